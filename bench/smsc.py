"""A fast fake SMSC: takes every submit_sm, answers at once, and gives a receipt a moment later.

    python -m bench.smsc PORT [--receipt-ms 200] [--window 256]

It reads and writes only what this needs, so that its own cost stays small beside the gateway's; it judges
nothing. Receipts go out within a window. Ends when its standard input is closed and prints JSON figures: how
many submits, how many receipts were acknowledged, and submits per second from the first to the last.
"""

import argparse
import asyncio
import json
import struct
import sys
import time
from collections import deque
from typing import cast

import uvloop

_HEADER = struct.Struct(">IIII")
_SUBMIT_SM, _SUBMIT_SM_RESP = 0x04, 0x80000004
_DELIVER_SM, _DELIVER_SM_RESP = 0x05, 0x80000005
_RESPONSE = 0x80000000
_BINDS = (0x01, 0x02, 0x09)
_RECEIPT = b"id:%b sub:001 dlvrd:001 submit date:2611230000 done date:2611230000 stat:DELIVRD err:000 text:"


_BOUND = b"bench\0" + b"\x02\x10\x00\x01\x34"  # system_id, then sc_interface_version 3.4


class Figures:
    def __init__(self) -> None:
        self.submits = 0
        self.acknowledged = 0
        self.refused = 0
        self.last_id = time.time_ns() // 1000 & 0xFFFFFFFF  # ids differ from those of an earlier run
        self.first_s = 0.0
        self.last_s = 0.0

    def took(self, count: int) -> None:
        now_s = time.perf_counter()
        if not self.submits:
            self.first_s = now_s
        self.last_s = now_s
        self.submits += count


class Peer(asyncio.Protocol):
    """One connection of an ESME."""

    def __init__(self, figures: Figures, receipt_s: float, window: int) -> None:
        self._figures = figures
        self._receipt_s = receipt_s
        self._window = window
        self._buffer = b""
        self._sequence = 0
        self._out = 0
        self._ready: deque[bytes] = deque()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        at, end = 0, len(buffer)
        answers: list[bytes] = []
        receipts: list[bytes] = []
        while end - at >= 16:
            length, command, status, sequence = _HEADER.unpack_from(buffer, at)
            if end - at < length:
                break
            if command == _SUBMIT_SM:
                message_id, receipt = self._take(buffer, at)
                head = _HEADER.pack(17 + len(message_id), _SUBMIT_SM_RESP, 0, sequence)
                answers.append(head + message_id + b"\0")
                receipts.append(receipt)
            elif command == _DELIVER_SM_RESP:
                self._out -= 1
                self._figures.acknowledged += status == 0
                self._figures.refused += status != 0
            elif command in _BINDS:
                answers.append(_HEADER.pack(16 + len(_BOUND), command | _RESPONSE, 0, sequence) + _BOUND)
            elif not command & _RESPONSE:
                answers.append(_HEADER.pack(16, command | _RESPONSE, 0, sequence))
            at += length
        self._buffer = buffer[at:]
        if receipts:
            self._figures.took(len(receipts))
            self._loop.call_later(self._receipt_s, self._report, receipts)
        self._transport.write(b"".join(answers) + self._receipts())

    def _take(self, buffer: bytes, at: int) -> tuple[bytes, bytes]:
        """The id of a submit_sm, and the body of the deliver_sm that will report on it."""
        source = buffer.index(b"\0", at + 16) + 1
        destination = buffer.index(b"\0", source + 2) + 1
        behind = buffer.index(b"\0", destination + 2) + 1
        self._figures.last_id += 1
        message_id = b"%010x" % self._figures.last_id
        text = _RECEIPT % message_id
        body = b"\0" + buffer[destination:behind] + buffer[source:destination]
        return message_id, body + b"\x04\0\0\0\0\0\0\0\0" + bytes([len(text)]) + text

    def _report(self, receipts: list[bytes]) -> None:
        self._ready.extend(receipts)
        self._transport.write(self._receipts())

    def _receipts(self) -> bytes:
        out: list[bytes] = []
        while self._ready and self._out < self._window:
            body = self._ready.popleft()
            self._sequence = self._sequence % 0x7FFFFFFF + 1
            self._out += 1
            out.append(_HEADER.pack(16 + len(body), _DELIVER_SM, 0, self._sequence) + body)
        return b"".join(out)


async def serve(port: int, receipt_ms: float, window: int) -> None:
    figures = Figures()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Peer(figures, receipt_ms / 1000, window), "127.0.0.1", port)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    seconds = figures.last_s - figures.first_s
    print(
        json.dumps(
            {
                "submits": figures.submits,
                "receipts_acknowledged": figures.acknowledged,
                "receipts_refused": figures.refused,
                "submits_per_s": round(figures.submits / seconds) if seconds else None,
            }
        ),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--receipt-ms", type=float, default=200)
    parser.add_argument("--window", type=int, default=256)
    given = parser.parse_args()
    uvloop.run(serve(given.port, given.receipt_ms, given.window))


if __name__ == "__main__":
    main()

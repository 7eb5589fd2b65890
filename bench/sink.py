"""An application's endpoint that answers 200 at once and counts.

    python -m bench.sink PORT COUNT

Ends when COUNT different messages were called back, or when its standard input is closed; prints JSON figures:
how many, how many twice, and the time from the POST of a message to its callback.
"""

import asyncio
import json
import re
import sys
import time
from typing import cast

import uvloop

_TAG = re.compile(rb'"tag":"n(\d+)t(\d+)"')
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Sink:
    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.seen: set[int] = set()
        self.twice = 0
        self.latencies_us: list[int] = []
        self.done = asyncio.Event()

    def caught(self, body: bytes) -> None:
        found = _TAG.search(body)
        if found is None:
            return
        number = int(found[1])
        if number in self.seen:
            self.twice += 1
            return
        self.seen.add(number)
        self.latencies_us.append(time.time_ns() // 1000 - int(found[2]))
        if len(self.seen) == self.expected:
            self.done.set()


class Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = int(self._buffer[:end].lower().split(b"content-length: ", 1)[1].split(b"\r", 1)[0])
            if len(self._buffer) < end + 4 + length:
                return
            self._sink.caught(self._buffer[end + 4 : end + 4 + length])
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(_ANSWER)


async def serve(port: int, expected: int) -> None:
    sink = Sink(expected)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(sink), "127.0.0.1", port)
    print("ready", flush=True)
    closed = loop.run_in_executor(None, sys.stdin.read)
    done = loop.create_task(sink.done.wait())
    await asyncio.wait([done, closed], return_when=asyncio.FIRST_COMPLETED)
    server.close()
    ordered = sorted(sink.latencies_us)
    figures = {
        "called_back": len(ordered),
        "twice": sink.twice,
        "p50_ms": ordered[len(ordered) // 2] / 1000 if ordered else None,
        "p99_ms": ordered[len(ordered) * 99 // 100] / 1000 if ordered else None,
    }
    print(json.dumps(figures), flush=True)
    done.cancel()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))

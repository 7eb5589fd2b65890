"""Posts messages over kept connections, as fast as they are answered or at a fixed rate; prints JSON figures.

    python -m bench.load PORT COUNT [--connections 64] [--rate MESSAGES_PER_S] [--warm]

Each message has its number and its sending time in `tag` (`n<number>t<microseconds>`), which the sink reads;
those of a warm-up begin with another letter and are not counted.
"""

import argparse
import asyncio
import json
import time
from base64 import b64encode
from typing import cast

import uvloop

_AUTHORIZATION = b64encode(b"t-demo:s-demo")
_HEAD = (
    b"POST /v2/users/u-demo/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    b"Authorization: Basic " + _AUTHORIZATION + b"\r\nContent-Type: application/json; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_BODY = (
    '{{"from":"+12345678901","to":["+1202555{suffix:04d}"],"text":"Your code is {number:06d}, it is good for '
    'ten minutes.","applicationId":"93de2206-9669-4e07-948d-329f4b722ee2","tag":"{prefix}{number}t{at_us}"}}'
)


class Figures:
    """What the answers were."""

    def __init__(self, count: int, *, warm: bool) -> None:
        self.prefix = "w" if warm else "n"
        self.left = count
        self.sent = 0
        self.latencies_us: list[int] = []
        self.other: dict[str, int] = {}
        self.done = asyncio.get_running_loop().create_future()

    def answered(self, status: bytes, began_us: int) -> None:
        if status == b"202":
            self.latencies_us.append(time.monotonic_ns() // 1000 - began_us)
        else:
            self.other[status.decode()] = self.other.get(status.decode(), 0) + 1
        self.left -= 1
        if self.left == 0:
            self.done.set_result(None)


class Connection(asyncio.Protocol):
    """One request at a time; in a closed loop the next follows the answer at once."""

    def __init__(self, figures: Figures, count: int, *, closed_loop: bool) -> None:
        self._figures = figures
        self._count = count
        self._closed_loop = closed_loop
        self._began_us = 0
        self._buffer = b""
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._closed_loop:
            self.post()

    def post(self) -> None:
        if self._figures.sent >= self._count:
            return
        number = self._figures.sent
        self._figures.sent += 1
        self.busy = True
        self._began_us = time.monotonic_ns() // 1000
        at_us = time.time_ns() // 1000
        body = _BODY.format(
            suffix=number % 10_000, number=number, at_us=at_us, prefix=self._figures.prefix
        ).encode()
        self._transport.write(_HEAD % len(body) + body)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(self._buffer.lower().split(b"content-length: ", 1)[1].split(b"\r", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        status = self._buffer[9:12]
        self._buffer = self._buffer[end + 4 + length :]
        self.busy = False
        self._figures.answered(status, self._began_us)
        if self._closed_loop:
            self.post()


async def drive(
    port: int, count: int, connections: int, rate: float | None, *, warm: bool
) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    figures = Figures(count, warm=warm)
    started_s = time.perf_counter()
    opened = [
        (
            await loop.create_connection(
                lambda: Connection(figures, count, closed_loop=rate is None), "127.0.0.1", port
            )
        )[1]
        for _ in range(connections)
    ]
    if rate is not None:
        await _post_at(rate, count, opened)
    await figures.done
    seconds = time.perf_counter() - started_s
    ordered = sorted(figures.latencies_us)
    return {
        "accepted": len(ordered),
        "other": figures.other,
        "seconds": round(seconds, 3),
        "per_s": round(len(ordered) / seconds),
        "p50_ms": ordered[len(ordered) // 2] / 1000 if ordered else None,
        "p99_ms": ordered[len(ordered) * 99 // 100] / 1000 if ordered else None,
    }


async def _post_at(rate: float, count: int, connections: list[Connection]) -> None:
    """An open loop: each message has its moment, whether the answers keep up or not."""
    started_s = time.perf_counter()
    sent = 0
    while sent < count:
        due = min(count, int((time.perf_counter() - started_s) * rate) + 1)
        for connection in connections:
            if sent >= due:
                break
            if not connection.busy:
                connection.post()
                sent += 1
        await asyncio.sleep(0.5 / rate)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--warm", action="store_true")
    given = parser.parse_args()
    figures = uvloop.run(drive(given.port, given.count, given.connections, given.rate, warm=given.warm))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

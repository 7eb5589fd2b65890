"""CPU per callback POST of the outbound HTTP client, against a sink in another process.

    python bench/webclient.py [--posts 20000] [--octets 400] [--in-flight 16] [--loop uvloop|asyncio]

Prints user + system CPU of this process per POST, and the rate. The sink reads requests and answers
`200` with an empty body; it costs its own process, not this one.
"""

import argparse
import asyncio
import itertools
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import cast

import uvloop

from trebuchet.webclient import AddressRules, WebClient

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nServer: sink\r\nContent-Length: 0\r\n\r\n"
)


class _Sink(asyncio.Protocol):
    """Answers once for every `octets` of body that follow a request head."""

    def __init__(self) -> None:
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (end := self._left.find(b"\r\n\r\n")) >= 0:
            head = self._left[:end].lower()
            length = int(head.split(b"content-length: ", 1)[1].split(b"\r", 1)[0])
            if len(self._left) < end + 4 + length:
                return
            self._left = self._left[end + 4 + length :]
            self._transport.write(_ANSWER)


async def sink() -> None:
    """Listen on a free port of loopback, print it, and serve until the reader of stdout has gone."""
    server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


async def measure(port: int, posts: int, octets: int, in_flight: int) -> None:
    """Run the POSTs and print the figures."""
    client = WebClient(AddressRules(allow_loopback=True))
    url = f"http://127.0.0.1:{port}/callbacks/messages?application=93de2206"
    body = b"x" * octets
    headers = (
        (b"Content-Type", b"application/json; charset=utf-8"),
        (b"User-Agent", b"BandwidthAPI/v2"),
        (b"Authorization", b"Basic dXNlcjpwYXNzd29yZA=="),
    )
    numbers = itertools.count()

    async def work(until: int) -> None:
        while next(numbers) < until:
            answer = await client.post(url, body, headers, timeout_s=10, answer_max=512)
            assert answer.status == 200

    await asyncio.gather(*[work(in_flight * 4) for _ in range(in_flight)])
    numbers = itertools.count()
    before, started_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*[work(posts) for _ in range(in_flight)])
    took_s, after = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_SELF)
    await client.close()
    user_us = (after.ru_utime - before.ru_utime) / posts * 1e6
    system_us = (after.ru_stime - before.ru_stime) / posts * 1e6
    print(
        f"{posts} POSTs of {octets} octets, {in_flight} in flight: {user_us + system_us:.1f} us CPU each"
        f" (user {user_us:.1f}, system {system_us:.1f}), {posts / took_s:,.0f}/s"
    )


def main() -> None:
    """Start the sink, measure, end the sink."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=20_000)
    parser.add_argument("--octets", type=int, default=400)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--sink", action="store_true", help="be the sink, on the chosen loop")
    options = parser.parse_args()
    run: Callable[[Coroutine[None, None, None]], None] = (
        uvloop.run if options.loop == "uvloop" else asyncio.run
    )
    if options.sink:
        run(sink())
        return
    with subprocess.Popen(
        [sys.executable, __file__, "--sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peer:
        assert peer.stdout is not None
        run(measure(int(peer.stdout.readline()), options.posts, options.octets, options.in_flight))


if __name__ == "__main__":
    main()

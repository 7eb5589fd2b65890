"""What `trebuchet simulate` runs from start to signal: one house of a carrier, its network and its handsets."""

import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from trebuchet.cli.outcome import Code, CommandError

if TYPE_CHECKING:
    from starlette.routing import Route

    from trebuchet.clock import Clock
    from trebuchet.simulator.base import Ledger
    from trebuchet.simulator.network import SimulatedNetwork

_STATUS_EVERY_S: Final = 1.0


@dataclass(frozen=True)
class Site:
    """What a house is given.

    `say` is told what happens, as words and as JSON. `url` is where the handsets' API is, or empty.
    """

    network: "SimulatedNetwork"
    clock: "Clock"
    chance: random.Random
    say: Callable[[str, dict[str, Any]], None]
    url: str


class House(Protocol):
    """What stands in front of the network: an SMSC or an MMSC."""

    async def start(self, site: Site) -> int:
        """Listen. Returns the port. Raises OSError, and ValueError for a wrong setting."""
        ...

    async def stop(self) -> None: ...

    def routes(self) -> Sequence["Route"]:
        """To be served beside the handsets' API."""
        ...

    def announcement(self, port: int) -> tuple[dict[str, Any], list[str]]:
        """What is said at the start, as JSON and as lines."""
        ...

    def status(self) -> str:
        """What has passed, on one line."""
        ...


class Station:
    """Runs one house. `delays_ms` are the least and the most that a receipt takes."""

    def __init__(
        self,
        house: House,
        data: Path | None,
        http_port: int,
        delays_ms: tuple[int, int],
        seed: int | None,
        as_json: bool,
    ) -> None:
        self._house = house
        self._data = data
        self._http_port = http_port
        self._delays_ms = delays_ms
        self._chance = random.Random(seed)  # noqa: S311  # of a pretend network
        self._as_json = as_json
        self._live = sys.stdout.isatty() and not as_json

    def serve(self) -> None:
        """Until SIGTERM or SIGINT. Raises CommandError for what cannot be had."""
        try:
            asyncio.run(self._run())
        except ValueError as error:
            raise CommandError(Code.REFUSED, str(error)) from None
        except OSError as error:
            raise CommandError(Code.NO, f"cannot listen: {error.strerror or error}") from None

    async def _run(self) -> None:
        from trebuchet.clock import SystemClock
        from trebuchet.simulator.network import SimulatedNetwork

        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        least_ms, most_ms = self._delays_ms
        async with AsyncExitStack() as stack:
            clock = SystemClock()
            stack.callback(clock.close)
            ledger = await self._ledger(stack)
            network = SimulatedNetwork(
                clock, self._chance, delay_min_ms=least_ms, delay_max_ms=most_ms, ledger=ledger
            )
            stack.push_async_callback(network.stop)
            await network.start()
            url = await self._http(network, clock, stack)
            stack.push_async_callback(self._house.stop)
            port = await self._house.start(Site(network, clock, self._chance, self._say, url))
            self._announce(port, url)
            await self._until(stopping)

    async def _ledger(self, stack: AsyncExitStack) -> "Ledger":
        """The network's memory."""
        from trebuchet.simulator.base import MemoryLedger

        if self._data is None:
            return MemoryLedger()

        from trebuchet.kept import StoredLedger
        from trebuchet.outbox.committer import Committer
        from trebuchet.storage import open_store

        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = open_store("", self._data)
        await store.open()
        stack.push_async_callback(store.close)
        committer = Committer(store, batch_max=1000, observe=lambda *_: None)
        stack.push_async_callback(committer.close)
        return StoredLedger(committer, store)

    async def _http(self, network: "SimulatedNetwork", clock: "Clock", stack: AsyncExitStack) -> str:
        """The handsets' API, if it is wanted. Returns where it is."""
        if self._http_port < 0:
            return ""
        from starlette.applications import Starlette
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        from trebuchet.simulator import api
        from trebuchet.webserver import HttpServer, listen, url_of

        sock = listen("127.0.0.1", self._http_port)
        routes = [*api.routes(network, clock), *self._house.routes()]
        server = HttpServer(Starlette(routes=routes), HttpToolsProtocol, grace_s=1)
        await server.start(sock)
        stack.push_async_callback(server.stop)
        return url_of("127.0.0.1", sock)

    # ---- what it says ----

    def _announce(self, port: int, url: str) -> None:
        said, lines = self._house.announcement(port)
        if self._as_json:
            self._line({"event": "listening", **said, "port": port, "handsets": url})
            return
        if url:
            lines.append(f"Handsets      curl '{url}/sim/v1/handsets/+12025550123/messages?wait=10s'")
        print("\n".join((*lines, "Ctrl-C stops it.")), flush=True)

    def _say(self, words: str, said: dict[str, Any]) -> None:
        """Something happened."""
        if self._as_json:
            self._line(said)
        else:
            print(f"\r{words}", flush=True)

    async def _until(self, stopping: asyncio.Event) -> None:
        """Wait for the signal; on a terminal show what passes meanwhile."""
        while not stopping.is_set():
            try:
                await asyncio.wait_for(stopping.wait(), _STATUS_EVERY_S if self._live else None)
            except TimeoutError:
                print(f"\r{time.strftime('%H:%M:%S')}  {self._house.status()} ", end="", flush=True)
        if self._live:
            print()

    @staticmethod
    def _line(value: dict[str, Any]) -> None:
        print(json.dumps(value), flush=True)

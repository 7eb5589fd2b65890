"""For test suites of ESMEs and MM4 relays, ours and yours: an SMSC or MMSC with handsets, as a context manager.

    async with trebuchet.testing.smsc(receipts="short-dates") as smsc:
        esme.connect(smsc.host, smsc.port)
        ...
        (message,) = await smsc.wait("+12025550123", contains="hello")

Without an event loop of your own, `smsc_in_thread` runs it in a thread and is used in the same way, with `call`.
Every setting of `trebuchet simulate smsc` can be given. Time is real unless a clock is given.

    async with trebuchet.testing.mmsc(peer_port=relay.port) as mmsc:
        relay.forward_to(mmsc.host, mmsc.port)
        (message,) = await mmsc.wait("+12025550123", contains="look")
        (picture,) = mmsc.files(message)
"""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import msgspec

from trebuchet.clock import Clock, SystemClock
from trebuchet.simulator import mmsc_base
from trebuchet.simulator.base import File, MemoryLedger
from trebuchet.simulator.mmsc import Mmsc
from trebuchet.simulator.mmsc_files import Files
from trebuchet.simulator.mmsc_settings import parse_settings
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.smsc import Bound, Counts, Smsc
from trebuchet.simulator.smsc_settings import SmscSettings
from trebuchet.storage.base import HandsetMessage

__all__ = ["RunningMmsc", "RunningSmsc", "SmscInThread", "mmsc", "smsc", "smsc_in_thread"]

T = TypeVar("T")
_WAIT_S = 10.0


class RunningSmsc:
    """An SMSC that listens on `host` and `port`. All calls in its event loop."""

    def __init__(self, inner: Smsc, network: SimulatedNetwork, clock: Clock, port: int) -> None:
        self.host = inner.settings.host
        self.port = port
        self.clock = clock
        self.network = network
        self._smsc = inner
        self._changed = asyncio.Event()

    @property
    def sessions(self) -> list[Bound]:
        """Who is bound now."""
        return self._smsc.sessions

    @property
    def counts(self) -> Counts:
        """What it has seen."""
        return self._smsc.counts

    async def bound(self, count: int = 1, wait_s: float = _WAIT_S) -> None:
        """Wait until so many sessions are bound. Raises TimeoutError."""
        async with asyncio.timeout(wait_s):
            while len(self.sessions) < count:
                self._changed.clear()
                await self._changed.wait()

    def messages(self, handset: str) -> Sequence[HandsetMessage]:
        """What a handset shows, oldest first."""
        return self.network.handsets.messages(handset)

    async def wait(
        self, handset: str, *, contains: str = "", wait_s: float = _WAIT_S
    ) -> Sequence[HandsetMessage]:
        """What a handset shows, once it shows something that matches; nothing if it never does."""
        return await self.network.handsets.read(handset, wait_s, contains=contains)

    async def type(self, handset: str, number: str, text: str) -> str:
        """Somebody types a message to a number of the ESME's. Returns its id once the ESME has acknowledged it.

        Raises simulator.base.NoLink if nobody who receives is bound, or the ESME refuses it.
        """
        return await self.network.type(handset, number, text)

    def cut(self) -> None:
        """Break every connection, as a power cut would."""
        self._smsc.cut()

    def hold_answers(self) -> None:
        """Take submits and do not answer them, until `answer`."""
        self._smsc.hold_answers()

    def answer(self) -> None:
        """Answer what was held back, and everything that follows."""
        self._smsc.answer_again()

    def changed(self) -> None:
        self._changed.set()


@asynccontextmanager
async def smsc(
    *,
    clock: Clock | None = None,
    seed: int = 1,
    delay_min_ms: int = 1,
    delay_max_ms: int = 20,
    **settings: Any,
) -> AsyncIterator[RunningSmsc]:
    """An SMSC on a free port of loopback. `settings` are those of SmscSettings; the delays are of receipts.

    Raises msgspec.ValidationError for a wrong setting.
    """
    given = msgspec.convert({"port": 0, **settings}, SmscSettings)
    own_clock = SystemClock() if clock is None else None
    used: Clock = own_clock or clock or SystemClock()
    chance = random.Random(seed)  # noqa: S311  # of a pretend network
    network = SimulatedNetwork(
        used, chance, delay_min_ms=delay_min_ms, delay_max_ms=delay_max_ms, ledger=MemoryLedger()
    )
    running: RunningSmsc | None = None

    def changed() -> None:
        if running is not None:
            running.changed()

    inner = Smsc(given, network=network, clock=used, chance=chance, changed=changed)
    await network.start()
    port = await inner.start()
    running = RunningSmsc(inner, network, used, port)
    try:
        yield running
    finally:
        await inner.stop()
        await network.stop()
        if own_clock is not None:
            own_clock.close()


class SmscInThread:
    """An SMSC whose event loop runs in a thread of its own."""

    def __init__(self, running: RunningSmsc, loop: asyncio.AbstractEventLoop) -> None:
        self.host = running.host
        self.port = running.port
        self._running = running
        self._loop = loop

    def call(self, function: Callable[[RunningSmsc], Awaitable[T]]) -> T:
        """Run something in the SMSC's loop and wait for its result, as in
        `smsc.call(lambda s: s.wait("+12025550123", contains="hello"))`."""

        async def run() -> T:
            return await function(self._running)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()


@contextmanager
def smsc_in_thread(**settings: Any) -> Iterator[SmscInThread]:
    """As `smsc`, for tests without an event loop."""
    ready: list[SmscInThread | BaseException] = []
    started, done = threading.Event(), threading.Event()

    async def live() -> None:
        try:
            async with smsc(**settings) as running:
                ready.append(SmscInThread(running, asyncio.get_running_loop()))
                started.set()
                await asyncio.get_running_loop().run_in_executor(None, done.wait)
        except BaseException as error:
            ready.append(error)
            started.set()
            raise

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="smsc", daemon=True)
    thread.start()
    started.wait()
    first = ready[0]
    if isinstance(first, BaseException):
        thread.join()
        raise first
    try:
        yield first
    finally:
        done.set()
        thread.join()


class RunningMmsc:
    """An MMSC that listens on `host` and `port`. All calls in its event loop."""

    def __init__(self, inner: Mmsc, network: SimulatedNetwork, clock: Clock, files: Files, port: int) -> None:
        self.host = inner.settings.host
        self.port = port
        self.clock = clock
        self.network = network
        self.mm7_port = inner.mm7_port  # -1 unless `mm7_port` was given
        self._mmsc = inner
        self._files = files

    @property
    def counts(self) -> mmsc_base.Counts:
        """What it has seen."""
        return self._mmsc.counts

    def messages(self, handset: str) -> Sequence[HandsetMessage]:
        """What a handset shows, oldest first."""
        return self.network.handsets.messages(handset)

    async def wait(
        self, handset: str, *, contains: str = "", wait_s: float = _WAIT_S
    ) -> Sequence[HandsetMessage]:
        """What a handset shows, once it shows something that matches; nothing if it never does."""
        return await self.network.handsets.read(handset, wait_s, contains=contains)

    def files(self, message: HandsetMessage) -> list[File]:
        """The pictures of a message that a handset shows, as they came; without those that are forgotten."""
        found = map(self._files.find, message.media)
        return [file for file in found if file is not None]

    async def type(self, handset: str, numbers: Sequence[str], text: str, files: Sequence[File] = ()) -> str:
        """Somebody types a message, for a group if there are several numbers. Returns its id once the peer has it.

        Raises simulator.base.NoLink if the peer cannot be reached or does not take it.
        """
        return await self.network.type(handset, numbers[0], text, participants=numbers, files=files)

    def cut(self) -> None:
        """Break every connection, as a power cut would."""
        self._mmsc.cut()

    def hold_answers(self) -> None:
        """Take forwards and do not answer them, until `answer`."""
        self._mmsc.hold_answers()

    def answer(self) -> None:
        """Answer what was held back, and everything that follows."""
        self._mmsc.answer_again()


@asynccontextmanager
async def mmsc(
    *,
    clock: Clock | None = None,
    seed: int = 1,
    delay_min_ms: int = 1,
    delay_max_ms: int = 20,
    **settings: Any,
) -> AsyncIterator[RunningMmsc]:
    """An MMSC on a free port of loopback. `settings` are those of MmscSettings, `peer_port` among them.

    Raises msgspec.ValidationError for a wrong setting, ValueError for those that do not go together.
    """
    given = parse_settings({"port": 0, **settings})
    own_clock = SystemClock() if clock is None else None
    used: Clock = own_clock or clock or SystemClock()
    chance = random.Random(seed)  # noqa: S311  # of a pretend network
    network = SimulatedNetwork(
        used, chance, delay_min_ms=delay_min_ms, delay_max_ms=delay_max_ms, ledger=MemoryLedger()
    )
    files = Files(given.files_octets_max)
    inner = Mmsc(given, network=network, clock=used, chance=chance, files=files)
    await network.start()
    port = await inner.start()
    try:
        yield RunningMmsc(inner, network, used, files, port)
    finally:
        await inner.stop()
        await network.stop()
        if own_clock is not None:
            own_clock.close()

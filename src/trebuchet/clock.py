"""Time, timers, ids and randomness: the only module that reads the system's clock or entropy.

Everything that waits asks a `Clock`, so that a test, or a developer with the simulator, can move time
forward and see 24-hour schedules run in milliseconds.
"""

import asyncio
import heapq
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Timer:
    """One call that is due at a moment of the clock. `cancel` may be called at any time, also twice."""

    __slots__ = ("callback", "due_ms")

    def __init__(self, due_ms: int, callback: Callable[[], None]) -> None:
        self.due_ms = due_ms
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def __lt__(self, other: "Timer") -> bool:
        return self.due_ms < other.due_ms


class Clock(Protocol):
    """Wall-clock time in milliseconds since the Unix epoch, with timers on that same time."""

    def now_ms(self) -> int: ...

    def call_at(self, due_ms: int, callback: Callable[[], None]) -> Timer:
        """Call back in the event loop when the clock reaches `due_ms`, at once if it has already."""
        ...

    def advance(self, by_ms: int) -> int:
        """Move this clock forward and run what became due. Returns the new time. Raises ValueError if negative."""
        ...


class SystemClock:
    """The machine's clock plus an offset that only `advance` changes.

    Timers are kept in a heap with one event-loop timer for the earliest, so an advance can run them all.
    Must be used from one event loop.
    """

    def __init__(self, system_ms: Callable[[], int] | None = None) -> None:
        self._system_ms = system_ms or (lambda: time.time_ns() // 1_000_000)
        self._offset_ms = 0
        self._timers: list[Timer] = []
        self._armed: asyncio.TimerHandle | None = None
        self._armed_for_ms = 0

    def now_ms(self) -> int:
        return self._system_ms() + self._offset_ms

    def call_at(self, due_ms: int, callback: Callable[[], None]) -> Timer:
        timer = Timer(due_ms, callback)
        heapq.heappush(self._timers, timer)
        if self._armed is None or due_ms < self._armed_for_ms:
            self._arm()
        return timer

    def advance(self, by_ms: int) -> int:
        if by_ms < 0:
            raise ValueError("a clock does not run backwards")
        self._offset_ms += by_ms
        self._arm()
        return self.now_ms()

    def close(self) -> None:
        """Forget all timers. May be called twice."""
        self._timers.clear()
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None

    def _arm(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        if self._timers:
            self._armed_for_ms = self._timers[0].due_ms
            delay_s = max(0, self._armed_for_ms - self.now_ms()) / 1000
            self._armed = asyncio.get_running_loop().call_later(delay_s, self._run_due)

    def _run_due(self) -> None:
        self._armed = None
        now = self.now_ms()
        while self._timers and self._timers[0].due_ms <= now:
            callback = heapq.heappop(self._timers).callback
            if callback is not None:
                callback()
        if self._armed is None:
            self._arm()


class ManualClock(SystemClock):
    """A clock that stands still until it is advanced: for tests."""

    def __init__(self, start_ms: int = 1_767_225_600_000) -> None:
        super().__init__(system_ms=lambda: start_ms)


async def sleep_until(clock: Clock, due_ms: int) -> None:
    """Wait until the clock reads `due_ms`; returns at once if it does already."""
    reached = asyncio.get_running_loop().create_future()
    timer = clock.call_at(due_ms, lambda: None if reached.done() else reached.set_result(None))
    try:
        await reached
    finally:
        timer.cancel()


# Each octet to the letter of its lowest five bits.
_BASE32 = bytes(b"abcdefghijklmnopqrstuvwxyz234567"[octet & 31] for octet in range(256))


class Ids:
    """Message ids: 13 digits of epoch milliseconds, then 16 of `a-z2-7` from 80 random bits; 29 characters.

    They sort by time, because random keys cost four times the CPU per insert in a B-tree. `random_bytes`
    is the source of randomness; tests pass a seeded one.
    """

    _CHUNK = 128

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._random_bytes = random_bytes
        self._tails = ""
        self._used = 0

    def message_id(self, now_ms: int) -> str:
        start = self._used
        if start >= len(self._tails):
            self._tails = self._random_bytes(16 * self._CHUNK).translate(_BASE32).decode()
            start = 0
        self._used = start + 16
        return f"{now_ms:013d}{self._tails[start : start + 16]}"


def iso_ms(moment_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds and `Z`, the form that captured answers have."""
    seconds, ms = divmod(moment_ms, 1000)
    return f"{_iso_s(seconds)}.{ms:03d}Z"


# Formatting costs 2 µs, several times per message, and the moments of busy traffic share their seconds.
@lru_cache(maxsize=1024)
def _iso_s(moment_s: int) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%dT%H:%M:%S}"

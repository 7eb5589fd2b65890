"""The head of one durable queue in memory, in order, refilled from its table.

A committed row is offered to its lane and usually handed out without another read. Memory is bounded: beyond
the bound, rows stay in the table only and the lane is *behind*; it then leaves new rows there too, empties
what it holds, and reads the table in order of (due, id). Rows that are due later are never held: a timer
makes the lane look at the table when the earliest of them is due.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from trebuchet.clock import Clock, Timer, sleep_until

T = TypeVar("T")


class Key(Hashable, Protocol):
    """Names a row; among rows that are due at the same moment, the order of the table."""

    def __lt__(self, other: Any, /) -> bool: ...


class LaneQueue(Generic[T]):
    """Not thread-safe; all calls in one event loop.

    `read(now_ms, limit)` returns due rows in order, in flight ones included or not. `next_due(now_ms)` is the
    due time of the earliest row that is not due yet. `wake` is called when there may be something to take.
    `failed` is told why the table could not be read; the read is repeated after a second.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        bound: int,
        read: Callable[[int, int], Awaitable[list[T]]],
        next_due: Callable[[int], Awaitable[int | None]],
        key: Callable[[T], Key],
        due_ms: Callable[[T], int],
        wake: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._clock = clock
        self._bound = bound
        self._read = read
        self._next_due = next_due
        self._key = key
        self._due_ms = due_ms
        self._wake = wake
        self._failed = failed
        self._ready: deque[T] = deque()
        self._known: set[Key] = set()  # held here or handed out, not yet settled
        self._behind = True  # the table may hold due rows that are not held here
        self._later = True  # the table may hold rows that are due later
        self._refill: asyncio.Task[None] | None = None
        self._settled_meanwhile: set[Key] = set()  # while a read is under way: it may still show them
        self._timer: Timer | None = None
        self._closed = False

    def offer(self, item: T) -> None:
        """A row was committed. Call `wake` yourself after a series of offers."""
        due_ms = self._due_ms(item)
        if due_ms > self._clock.now_ms():
            self._look_at(due_ms)
        elif self._behind or self._refill is not None or len(self._ready) >= self._bound:
            self._behind = True
        elif self._key(item) not in self._known:
            self._known.add(self._key(item))
            self._ready.append(item)

    def adopt(self, key: Key) -> None:
        """A row was committed that is handed out already. It must be settled."""
        self._known.add(key)

    def leave_in_table(self, due_ms: int) -> None:
        """A row was committed that the caller has not at hand: it will be read when due."""
        self._look_at(due_ms)

    def take(self, limit: int) -> list[T]:
        """At most `limit` items in order; each must be settled. Starts a refill when nothing is held."""
        taken = [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]
        if not self._ready and self._behind and self._refill is None and not self._closed:
            self._refill = asyncio.get_running_loop().create_task(self._refill_from_table())
        return taken

    def put_back(self, items: Iterable[T]) -> None:
        """Items that were taken and are to be handed out again, before all that are due after them."""
        order = sorted([*items, *self._ready], key=lambda item: (self._due_ms(item), self._key(item)))
        self._ready = deque(order)

    def settled(self, key: Key, again_ms: int | None = None) -> None:
        """A taken item is done with; `again_ms` if its row stays in the table, due then."""
        self._known.discard(key)
        if self._refill is not None:
            self._settled_meanwhile.add(key)
        if again_ms is not None:
            self._look_at(again_ms)

    @property
    def held(self) -> int:
        return len(self._ready)

    @property
    def nothing_due(self) -> bool:
        """Whether no row is due that was not handed out: what comes now may go before all that is there."""
        return not (self._ready or self._behind or self._refill)

    @property
    def idle(self) -> bool:
        """Nothing held, nothing handed out, nothing known to be in the table."""
        return not (self._ready or self._known or self._behind or self._later or self._refill)

    async def close(self) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.gather(self._refill, return_exceptions=True)

    def _look_at(self, due_ms: int) -> None:
        self._later = True
        if self._closed:
            return
        if self._timer is not None:
            if self._timer.callback is not None and self._timer.due_ms <= due_ms:
                return
            self._timer.cancel()
        self._timer = self._clock.call_at(due_ms, self._due_now)

    def _due_now(self) -> None:
        self._timer = None
        self._behind = True
        self._wake()

    async def _refill_from_table(self) -> None:
        """Until it succeeds: new rows are left in the table meanwhile, so that none overtakes those not read."""
        try:
            while not await self._refilled():
                await sleep_until(self._clock, self._clock.now_ms() + 1000)
        finally:
            self._refill = None
            self._settled_meanwhile.clear()
        self._wake()

    async def _refilled(self) -> bool:
        try:
            self._behind = False
            self._settled_meanwhile.clear()
            now_ms = self._clock.now_ms()
            # Rows in flight may be among those read, hence the wider limit.
            limit = self._bound + len(self._known)
            rows = await self._read(now_ms, limit)
            if len(rows) >= limit:
                self._behind = True
            elif self._later:
                self._later = False  # before the question: a row that comes meanwhile says otherwise
                due_ms = await self._next_due(now_ms)
                if due_ms is not None:
                    self._look_at(due_ms)
        except Exception as error:  # noqa: BLE001  # whatever it was, the lane must look again
            self._later = True
            self._failed(error)
            return False
        for row in rows:
            key = self._key(row)
            if key not in self._known and key not in self._settled_meanwhile:
                self._known.add(key)
                self._ready.append(row)
        return True

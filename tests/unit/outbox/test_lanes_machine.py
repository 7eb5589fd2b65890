"""Whatever happens in whatever order, a lane hands out every committed row, once per due time and in order.

Hypothesis looks for an interleaving that breaks this. The table is a dictionary. What takes time in the real
one takes time here: a commit is seen by reads before its owner hears of it, and a read has seen the table some
time before it answers, or it fails.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from outbox.loops import settle_loop
from trebuchet.clock import ManualClock
from trebuchet.outbox.lanes import LaneQueue

T = TypeVar("T")

OUT_MAX = 4  # rows that the owner has out at once
LATER_MS = 700


class Row(msgspec.Struct, frozen=True):
    key: int  # in order of commit
    due_ms: int


class Read:
    """A read of the table: it looks at one moment and answers at a later one."""

    def __init__(self, look: Callable[[], Any]) -> None:
        self.look = look
        self.seen: Any = None
        self.looked = False
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


class LaneMachine(RuleBasedStateMachine):
    """An owner that takes when it is woken, has offered or has settled, as the workers do, and not otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.table: dict[int, Row] = {}
        self.claimed: set[int] = set()  # rows that reads leave out
        self.results: deque[Callable[[], None]] = deque()  # committed, the owner has not heard of it
        self.unheard: set[int] = set()  # rows among these
        self.out: dict[int, Row] = {}
        self.fresh: set[int] = set()  # due when committed, never handed out for good: their order is kept
        self.read: Read | None = None
        self.woken = True
        self.broken = False  # a promise was: there is no end to look at
        self.next_key = 0

    @initialize(bound=st.integers(1, 4), claims=st.booleans(), earlier=st.integers(0, 6))
    def begin(self, bound: int, claims: bool, earlier: int) -> None:
        """`claims`: reads leave out what is handed out. `earlier` rows are there from an earlier run."""
        self.bound = bound
        self.claims = claims
        for _ in range(earlier):
            self._insert(0)
        self.queue: LaneQueue[Row] = LaneQueue(
            clock=self.clock,
            bound=bound,
            read=lambda now_ms, limit: self._reading(lambda: self._due(now_ms)[:limit]),
            next_due=lambda now_ms: self._reading(lambda: self._next_due(now_ms)),
            key=lambda row: row.key,
            due_ms=lambda row: row.due_ms,
            wake=self._wake,
            failed=lambda error: self._wake(),
        )

    # ---- the table ----

    def _visible(self) -> list[Row]:
        rows = [row for row in self.table.values() if row.key not in self.claimed]
        return sorted(rows, key=lambda row: (row.due_ms, row.key))

    def _due(self, now_ms: int) -> list[Row]:
        return [row for row in self._visible() if row.due_ms <= now_ms]

    def _next_due(self, now_ms: int) -> int | None:
        return next((row.due_ms for row in self._visible() if row.due_ms > now_ms), None)

    async def _reading(self, look: Callable[[], Any]) -> Any:
        assert self.read is None, "one read at a time"
        self.read = Read(look)
        try:
            return await self.read.answer
        finally:
            self.read = None

    def _insert(self, in_ms: int) -> Row:
        row = Row(self.next_key, self.clock.now_ms() + in_ms)
        self.next_key += 1
        self.table[row.key] = row
        if in_ms <= 0:
            self.fresh.add(row.key)
        return row

    # ---- what happens ----

    @rule(in_ms=st.sampled_from([0, 0, 0, LATER_MS]), at_hand=st.sampled_from([True, True, True, False]))
    def commit(self, in_ms: int, at_hand: bool) -> None:
        """A row is stored. Its owner hears of it later, and may not have it at hand then."""
        row = self._insert(in_ms)
        self.unheard.add(row.key)
        if not at_hand:
            self.fresh.discard(row.key)

        def heard() -> None:
            self.unheard.discard(row.key)
            if at_hand:
                self.queue.offer(row)
                self._wake()
            else:
                self.queue.leave_in_table(row.due_ms)

        self.results.append(heard)

    @precondition(lambda self: self.results)
    @rule()
    def hear(self) -> None:
        """The owner hears of the oldest commit that it has not heard of."""
        self._run(self._call(self.results.popleft()))

    @precondition(lambda self: self.woken and len(self.out) < OUT_MAX)
    @rule(limit=st.integers(1, OUT_MAX))
    def take(self, limit: int) -> None:
        limit = min(limit, OUT_MAX - len(self.out))
        self._run(self._take(limit))

    async def _take(self, limit: int) -> None:
        taken = self.queue.take(limit)
        assert len(taken) <= limit
        self.woken = len(taken) == limit  # there may be more
        for row in taken:
            assert row.key not in self.out, "handed out twice"
            assert self.table.get(row.key) == row, "it is not in the table, or not like this"
            assert row.due_ms <= self.clock.now_ms(), "it is not due"
            if row.key in self.fresh:
                earlier = {key for key in self.fresh if key < row.key} - self.out.keys()
                assert not earlier, "it overtook"
            self.out[row.key] = row
            if self.claims:
                self.claimed.add(row.key)
        await settle_loop()

    @precondition(lambda self: self._settleable())
    @rule(data=st.data(), again=st.sampled_from([None, None, 0, LATER_MS]))
    def settle(self, data: st.DataObject, again: int | None) -> None:
        """The outcome of a row is stored: it is deleted, or due again. Its owner hears of it later."""
        key = data.draw(st.sampled_from(self._settleable()))
        self._settle(key, again)

    def _settle(self, key: int, again: int | None) -> None:
        self.claimed.discard(key)
        self.fresh.discard(key)
        self.unheard.add(key)
        again_ms = None
        if again is None:
            del self.table[key]
        else:
            again_ms = self.clock.now_ms() + again
            self.table[key] = Row(key, again_ms)

        def heard() -> None:
            self.unheard.discard(key)
            del self.out[key]
            self.queue.settled(key, again_ms)
            self._wake()

        self.results.append(heard)

    @precondition(lambda self: self._settleable())
    @rule(data=st.data())
    def snooze(self, data: st.DataObject) -> None:
        """The carrier takes nothing now: the row keeps its place. Its owner hears of it later."""
        key = data.draw(st.sampled_from(self._settleable()))
        self.claimed.discard(key)
        self.unheard.add(key)

        def heard() -> None:
            self.unheard.discard(key)
            self.queue.put_back([self.out.pop(key)])
            self._wake()

        self.results.append(heard)

    @precondition(lambda self: self.read is not None and not self.read.looked)
    @rule()
    def look(self) -> None:
        """The read under way sees the table as it is now."""
        assert self.read is not None
        self.read.seen = self.read.look()
        self.read.looked = True

    @precondition(lambda self: self.read is not None)
    @rule()
    def answer(self) -> None:
        assert self.read is not None
        if not self.read.looked:
            self.look()
        self._run(self._call(partial(self.read.answer.set_result, self.read.seen)))

    @precondition(lambda self: self.read is not None)
    @rule()
    def fail(self) -> None:
        """The read under way fails, as it does when the disk does."""
        assert self.read is not None
        self._run(self._call(partial(self.read.answer.set_exception, OSError("disk"))))

    @rule(by_ms=st.sampled_from([1, LATER_MS // 2, LATER_MS, 1000]))
    def pass_time(self, by_ms: int) -> None:
        self._run(self._call(lambda: self.clock.advance(by_ms)))

    # ---- what holds ----

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.queue.held <= self.bound + 2 * OUT_MAX

    @invariant()
    def idle_means_that_nothing_is_left(self) -> None:
        """But for what the owner is about to hear of."""
        if self.queue.idle:
            assert self.table.keys() <= self.unheard

    def teardown(self) -> None:
        """In the end every row is handed out, if reads are answered and time goes on."""
        try:
            if hasattr(self, "queue") and not self.broken:
                self._finish()
        finally:
            self._run(self._close())
            self.loop.close()

    def _finish(self) -> None:
        for _ in range(20 * (len(self.table) + 5)):
            while self.results:
                self.hear()
            if not self.table:
                break
            if self.read is not None:
                self.answer()
            elif self.woken and len(self.out) < OUT_MAX:
                self.take(1)
            elif self.out:
                self._settle(next(iter(self.out)), None)
            else:
                self.pass_time(LATER_MS)
        assert not self.table, "rows were forgotten"

    async def _close(self) -> None:
        self.clock.close()
        if hasattr(self, "queue"):
            await self.queue.close()

    # ---- small helpers ----

    def _settleable(self) -> list[int]:
        return [key for key in self.out if key not in self.unheard]

    def _wake(self) -> None:
        self.woken = True

    async def _call(self, act: Callable[[], object]) -> None:
        act()
        await settle_loop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self.loop.run_until_complete(work)
        except AssertionError:
            self.broken = True
            raise


def test_no_interleaving_loses_doubles_or_disorders_rows() -> None:
    """See the module's docstring."""
    run_state_machine_as_test(
        LaneMachine, settings=settings(max_examples=150, report_multiple_bugs=False, stateful_step_count=40)
    )

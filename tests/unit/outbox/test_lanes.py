"""A lane in memory: order, bound, refill, time, failure and end, one behaviour at a time.

`test_lanes_machine.py` looks for interleavings that break the same promises.
"""

import asyncio
from collections.abc import Iterable

import msgspec
import pytest

from outbox.loops import settle_loop
from trebuchet.clock import ManualClock
from trebuchet.outbox.lanes import LaneQueue

pytestmark = pytest.mark.anyio

SECOND = 1000


class Row(msgspec.Struct, frozen=True):
    key: str
    due_ms: int


class Lane:
    """A queue over a table that is a dictionary. Reads answer at once unless `holds`."""

    def __init__(self, bound: int = 10) -> None:
        self.clock = ManualClock()
        self.rows: dict[str, Row] = {}
        self.reads: list[int] = []  # the limit of each
        self.wakes = 0
        self.failures: list[Exception] = []  # of coming reads
        self.announced: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.late_gate = asyncio.Event()  # of the question when the next row is due
        self.late_gate.set()
        self.queue: LaneQueue[Row] = LaneQueue(
            clock=self.clock,
            bound=bound,
            read=self._read,
            next_due=self._next_due,
            key=lambda row: row.key,
            due_ms=lambda row: row.due_ms,
            wake=self._wake,
            failed=self.announced.append,
        )

    async def _read(self, now_ms: int, limit: int) -> list[Row]:
        self.reads.append(limit)
        due = sorted((r for r in self.rows.values() if r.due_ms <= now_ms), key=lambda r: (r.due_ms, r.key))
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return due[:limit]

    async def _next_due(self, now_ms: int) -> int | None:
        due_ms = min((r.due_ms for r in self.rows.values() if r.due_ms > now_ms), default=None)
        await self.late_gate.wait()
        return due_ms

    def _wake(self) -> None:
        self.wakes += 1

    def commit(self, *keys: str, in_ms: int = 0) -> list[Row]:
        rows = [Row(key, self.clock.now_ms() + in_ms) for key in keys]
        self.rows.update((row.key, row) for row in rows)
        return rows

    def offer(self, *keys: str, in_ms: int = 0) -> None:
        for row in self.commit(*keys, in_ms=in_ms):
            self.queue.offer(row)

    def settle(self, keys: Iterable[str]) -> None:
        for key in keys:
            del self.rows[key]
            self.queue.settled(key)

    def take(self, limit: int = 100) -> str:
        """The keys that are handed out, as one word."""
        return "".join(row.key for row in self.queue.take(limit))

    async def caught_up(self) -> None:
        """Let the queue find out that its table holds nothing more."""
        assert self.take() == ""
        await settle_loop()
        self.wakes = 0
        self.reads.clear()

    async def pass_ms(self, duration_ms: int) -> None:
        self.clock.advance(duration_ms)
        await settle_loop()


async def empty_lane(bound: int = 10) -> Lane:
    lane = Lane(bound)
    await lane.caught_up()
    return lane


async def test_rows_of_an_earlier_run_are_read_in_order() -> None:
    """A new queue reads its table before it hands out anything, and wakes its owner when it has read."""
    lane = Lane()
    lane.commit("b", in_ms=0)
    lane.commit("a", in_ms=-SECOND)
    lane.commit("c", in_ms=0)
    assert lane.take() == ""
    await settle_loop()
    assert lane.wakes == 1
    assert lane.take() == "abc"


async def test_offered_rows_are_handed_out_without_a_read() -> None:
    """While the queue is not behind, a committed row costs no read."""
    lane = await empty_lane()
    lane.offer("a", "b", "c")
    assert lane.take(2) == "ab"
    assert lane.take(2) == "c"
    await settle_loop()
    assert lane.reads == []


async def test_a_row_is_offered_twice_but_handed_out_once() -> None:
    """An offer of what is held or handed out already is ignored."""
    lane = await empty_lane()
    (row,) = lane.commit("a")
    lane.queue.offer(row)
    lane.queue.offer(row)
    assert lane.take() == "a"
    lane.queue.offer(row)
    assert lane.take() == ""


async def test_rows_beyond_the_bound_stay_in_the_table() -> None:
    """Memory holds `bound` rows; the others, and all that come after them, are read back in order."""
    lane = await empty_lane(bound=3)
    lane.offer(*"abcdefg")
    assert lane.queue.held == 3
    assert lane.take(2) == "ab"
    lane.offer("h")  # there is room again, but d to g stand before it
    assert lane.queue.held == 1
    taken = "ab"
    while more := lane.take(2):
        taken += more
        await settle_loop()
        lane.settle(taken[-len(more) :])
    assert taken == "abcdefgh"


async def test_a_refill_reads_beyond_what_is_in_flight() -> None:
    """Rows that are handed out may be among those read, so the limit is wider by their number."""
    lane = await empty_lane(bound=2)
    lane.offer(*"abcd")
    assert lane.take() == "ab"
    await settle_loop()
    assert lane.reads == [4]
    assert lane.take() == "cd"


async def test_an_offer_during_a_refill_is_handed_out_once() -> None:
    """A row that was committed while the table is read may be among the rows read; it comes once either way."""
    lane = await empty_lane(bound=1)
    lane.offer("a", "b")
    lane.gate.clear()
    assert lane.take() == "a"
    await settle_loop()
    lane.offer("c")  # too late for this read
    lane.gate.set()
    await settle_loop()
    assert lane.take() == "b"
    await settle_loop()
    assert lane.take() == "c"
    lane.settle("abc")
    assert lane.take() == ""


async def test_a_row_settled_during_a_refill_does_not_come_back() -> None:
    """The read may still show a row that was settled while it was under way."""
    lane = await empty_lane(bound=1)
    lane.offer("a", "b")
    lane.gate.clear()
    assert lane.take() == "a"
    await settle_loop()  # the read has seen a and b
    lane.settle("a")
    lane.gate.set()
    await settle_loop()
    assert lane.take() == "b"
    await settle_loop()
    assert lane.take() == ""


async def test_rows_due_later_are_read_when_they_are_due() -> None:
    """A row that is due later is not held: the clock wakes the lane, which reads it back."""
    lane = await empty_lane()
    lane.offer("b", in_ms=2 * SECOND)
    lane.offer("a", in_ms=SECOND)
    assert lane.queue.held == 0
    await lane.pass_ms(SECOND - 1)
    assert lane.wakes == 0
    await lane.pass_ms(1)
    assert lane.wakes == 1
    assert lane.take() == ""
    await settle_loop()
    assert lane.take() == "a"
    await lane.pass_ms(SECOND)
    assert lane.take() == ""
    await settle_loop()
    assert lane.take() == "b"


async def test_rows_due_later_in_an_earlier_run_are_found() -> None:
    """The first read asks when the next row is due, so that a retry of before a restart is not forgotten."""
    lane = Lane()
    lane.commit("a", in_ms=SECOND)
    await lane.caught_up()
    await lane.pass_ms(SECOND)
    assert lane.wakes == 1
    assert lane.take() == ""
    await settle_loop()
    assert lane.take() == "a"


async def test_a_row_left_in_the_table_is_read_when_due() -> None:
    """The owner may know that a row exists without having it at hand."""
    lane = await empty_lane()
    (row,) = lane.commit("a")
    lane.queue.leave_in_table(row.due_ms)
    await settle_loop()
    assert lane.wakes == 1
    assert lane.take() == ""
    await settle_loop()
    assert lane.take() == "a"


async def test_a_settled_row_may_be_due_again() -> None:
    """A row that is to be tried again is handed out when it is due, and not before."""
    lane = await empty_lane()
    lane.offer("a")
    assert lane.take() == "a"
    (again,) = lane.commit("a", in_ms=SECOND)
    lane.queue.settled("a", again.due_ms)
    await lane.pass_ms(SECOND - 1)
    assert lane.take() == ""
    await lane.pass_ms(1)
    assert lane.take() == ""
    await settle_loop()
    assert lane.take() == "a"


async def test_rows_put_back_come_first() -> None:
    """What was handed out and comes back stands before everything that is due after it, in the old order."""
    lane = await empty_lane()
    lane.offer(*"abcd")
    taken = lane.queue.take(3)
    lane.queue.put_back([taken[2], taken[0]])
    lane.queue.put_back([taken[1]])
    assert lane.take() == "abcd"


async def test_rows_put_back_during_a_refill_come_first_and_once() -> None:
    """A refill that has seen the rows which come back neither doubles them nor overtakes them."""
    lane = await empty_lane(bound=2)
    lane.offer(*"abcd")
    lane.gate.clear()
    taken = lane.queue.take(2)
    await settle_loop()
    lane.queue.put_back(taken)
    lane.gate.set()
    await settle_loop()
    assert lane.take() == "abcd"


async def test_a_failing_read_is_announced_and_repeated() -> None:
    """After a second the table is read again; the owner is told why it was not."""
    lane = Lane()
    lane.commit("a")
    broken = OSError("disk")
    lane.failures = [broken]
    assert lane.take() == ""
    await settle_loop()
    assert lane.announced == [broken]
    await lane.pass_ms(SECOND - 1)
    assert (lane.take(), len(lane.reads), lane.wakes) == ("", 1, 0)
    await lane.pass_ms(1)
    assert (len(lane.reads), lane.wakes) == (2, 1)
    assert lane.take() == "a"


async def test_a_failing_read_does_not_let_new_rows_overtake() -> None:
    """What was in the table before the read failed is handed out before what came after."""
    lane = Lane()
    lane.commit("a")
    lane.failures = [OSError("disk")]
    assert lane.take() == ""
    await settle_loop()
    lane.offer("b")
    assert lane.take() == ""
    await lane.pass_ms(SECOND)
    assert lane.take() == "ab"


async def test_a_row_for_later_that_arrives_during_a_refill_is_not_forgotten() -> None:
    """The answer that nothing is due later may be older than the row: the lane is not idle."""
    lane = Lane()
    lane.late_gate.clear()
    lane.take()
    await settle_loop()  # the table has been asked
    lane.offer("a", in_ms=SECOND)
    lane.late_gate.set()
    await settle_loop()
    assert not lane.queue.idle
    await lane.pass_ms(SECOND)
    assert lane.take() == ""
    await settle_loop()
    assert lane.take() == "a"


async def _nothing(now_ms: int, limit: int) -> list[tuple[str, int]]:
    return []


async def _never(now_ms: int) -> int | None:
    return None


async def test_rows_put_back_have_the_order_of_the_table() -> None:
    """Rows that are due at the same moment are told apart by their keys as values, not as text."""
    clock = ManualClock()
    queue: LaneQueue[tuple[str, int]] = LaneQueue(
        clock=clock, bound=9, read=_nothing, next_due=_never, key=lambda row: row, due_ms=lambda row: 0,
        wake=lambda: None, failed=lambda error: None,
    )  # fmt: skip
    rows = [("m", -1), ("m", 2), ("m", 10)]
    queue.put_back(reversed(rows))
    assert queue.take(9) == rows
    await queue.close()


async def test_idle_means_nothing_held_out_or_in_the_table() -> None:
    """An owner may forget a queue that is idle; one that has a row for later is not."""
    lane = Lane()
    idle = {"new": lane.queue.idle}
    await lane.caught_up()
    idle["read"] = lane.queue.idle
    lane.offer("a")
    idle["offered"] = lane.queue.idle
    lane.take()
    idle["handed out"] = lane.queue.idle
    lane.settle("a")
    idle["settled"] = lane.queue.idle
    lane.offer("b", in_ms=SECOND)
    idle["due later"] = lane.queue.idle
    assert [when for when, is_idle in idle.items() if is_idle] == ["read", "settled"]


async def test_a_closed_queue_neither_reads_nor_wakes() -> None:
    """Closing ends the read under way and every timer. It may be repeated."""
    lane = await empty_lane()
    lane.offer("a", in_ms=SECOND)
    lane.gate.clear()
    lane.queue.leave_in_table(lane.clock.now_ms())
    await settle_loop()
    lane.take()
    await settle_loop()
    assert (len(lane.reads), lane.wakes) == (1, 1)
    await lane.queue.close()
    await lane.queue.close()
    lane.gate.set()
    lane.queue.settled("x", lane.clock.now_ms() + SECOND)
    await lane.pass_ms(2 * SECOND)
    assert lane.take() == ""
    await settle_loop()
    assert (len(lane.reads), lane.wakes) == (1, 1)

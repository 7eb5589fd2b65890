"""Time that can be moved, timers on it, ids and the way times are written."""

import asyncio
import random
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outbox.loops import settle_loop

from trebuchet.clock import Ids, ManualClock, SystemClock, iso_ms, sleep_until

T0 = 1_767_225_600_000
SECOND = 1000


class Turning:
    """The machine's time, turned by hand."""

    def __init__(self) -> None:
        self.ms = T0

    def __call__(self) -> int:
        return self.ms


@pytest.mark.anyio
async def test_timers_run_when_they_are_due_and_in_order() -> None:
    """Not a millisecond before; those that are due together run in the order of their moments."""
    clock = ManualClock(T0)
    ran: list[object] = []
    for after_ms in (300, 100, 200):
        clock.call_at(T0 + after_ms, partial(ran.append, after_ms))
    clock.advance(99)
    await settle_loop()
    assert ran == []
    clock.advance(1)
    await settle_loop()
    assert ran == [100]
    clock.advance(1000)
    await settle_loop()
    assert ran == [100, 200, 300]
    clock.close()


@pytest.mark.anyio
@pytest.mark.parametrize("due_ms", [0, T0 - 1, T0])
async def test_a_moment_that_has_passed_is_due_at_once(due_ms: int) -> None:
    """In the event loop, never inside of `call_at`."""
    clock = ManualClock(T0)
    ran: list[object] = []
    clock.call_at(due_ms, lambda: ran.append(due_ms))
    assert ran == []
    await settle_loop()
    assert ran == [due_ms]


@pytest.mark.anyio
async def test_a_cancelled_timer_does_not_run() -> None:
    """It may be cancelled at any time, also twice and after it ran."""
    clock = ManualClock(T0)
    ran: list[object] = []
    early = clock.call_at(T0 + 1, lambda: ran.append("early"))
    late = clock.call_at(T0 + 2, lambda: ran.append("late"))
    early.cancel()
    early.cancel()
    clock.advance(5)
    await settle_loop()
    late.cancel()
    assert ran == ["late"]


@pytest.mark.anyio
async def test_a_timer_may_set_another() -> None:
    """One that is due already runs too, without another advance."""
    clock = ManualClock(T0)
    ran: list[object] = []

    def first() -> None:
        ran.append("first")
        clock.call_at(T0 + 2, lambda: ran.append("second"))

    clock.call_at(T0 + 1, first)
    clock.advance(10)
    await settle_loop()
    assert ran == ["first", "second"]


@pytest.mark.anyio
async def test_a_closed_clock_forgets_its_timers() -> None:
    """It may be closed twice."""
    clock = ManualClock(T0)
    ran: list[object] = []
    clock.call_at(T0 + 1, lambda: ran.append("never"))
    clock.close()
    clock.close()
    clock.advance(10)
    await settle_loop()
    assert ran == []


@pytest.mark.anyio
async def test_the_system_clock_follows_the_machine_and_what_it_was_advanced() -> None:
    """An advance is added to the machine's time for good."""
    machine = Turning()
    clock = SystemClock(machine)
    assert clock.now_ms() == T0
    assert clock.advance(5 * SECOND) == T0 + 5 * SECOND
    machine.ms += SECOND
    assert clock.now_ms() == T0 + 6 * SECOND


@pytest.mark.anyio
async def test_a_timer_that_wakes_early_waits_again() -> None:
    """The loop's own clock may run ahead of the machine's: a timer is due when the machine says so."""
    machine, ran = Turning(), []
    clock = SystemClock(machine)
    clock.call_at(T0 + 1, lambda: ran.append(machine.ms))
    await asyncio.sleep(0.005)
    assert ran == []
    machine.ms += 1
    clock.advance(0)
    await settle_loop()
    assert ran == [T0 + 1]
    clock.close()


def test_the_system_clock_reads_the_machines() -> None:
    """In milliseconds since the Unix epoch."""
    before_ms = datetime.now(UTC).timestamp() * 1000
    assert before_ms - 1 <= SystemClock().now_ms() <= before_ms + 60_000


@pytest.mark.parametrize("kind", [SystemClock, ManualClock])
def test_no_clock_runs_backwards(kind: type[SystemClock]) -> None:
    """A negative advance is an error."""
    with pytest.raises(ValueError, match="backwards"):
        kind().advance(-1)


@pytest.mark.anyio
async def test_sleeping_until_a_moment() -> None:
    """It ends when the clock is advanced to the moment, and at once if that has passed."""
    clock = ManualClock(T0)
    sleeper = asyncio.ensure_future(sleep_until(clock, T0 + SECOND))
    clock.advance(SECOND - 1)
    await settle_loop()
    assert not sleeper.done()
    clock.advance(1)
    await settle_loop()
    assert sleeper.done()
    await sleep_until(clock, T0)


@pytest.mark.anyio
async def test_a_sleeper_that_is_cancelled_leaves_no_timer() -> None:
    """Its moment passes without effect."""
    clock = ManualClock(T0)
    sleeper = asyncio.ensure_future(sleep_until(clock, T0 + SECOND))
    await settle_loop()
    sleeper.cancel()
    await settle_loop()
    clock.advance(SECOND)
    await settle_loop()
    assert sleeper.cancelled()


# ---- ids ----


@given(st.lists(st.integers(0, 9_999_999_999_999), min_size=1, max_size=200))
def test_ids_are_unique_and_sort_by_time(moments: list[int]) -> None:
    """29 characters: the moment in 13 digits, then 16 of a to z and 2 to 7."""
    ids = Ids(random.Random(1).randbytes)
    made = [(moment, ids.message_id(moment)) for moment in moments]
    assert len({id_ for _, id_ in made}) == len(made)
    for moment, id_ in made:
        assert len(id_) == 29
        assert int(id_[:13]) == moment
        assert set(id_[13:]) <= set("abcdefghijklmnopqrstuvwxyz234567")
    by_id = sorted(made, key=lambda pair: pair[1])
    assert [moment for moment, _ in by_id] == sorted(moments)


def test_ids_of_one_moment_are_unique() -> None:
    """Over more than one draw of randomness, and between two gateways that draw for themselves."""
    one, other = Ids(), Ids()
    assert len({ids.message_id(T0) for ids in (one, other) for _ in range(1000)}) == 2000


def test_each_id_uses_its_own_random_bits() -> None:
    """All 80 of them: each of the 16 characters takes every value."""
    ids = Ids(random.Random(2).randbytes)
    tails = [ids.message_id(T0)[13:] for _ in range(1000)]
    for place in range(16):
        assert len({tail[place] for tail in tails}) == 32


# ---- how times are written ----


@pytest.mark.parametrize(
    ("moment_ms", "written"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (T0, "2026-01-01T00:00:00.000Z"),
        (T0 + 7, "2026-01-01T00:00:00.007Z"),
        (T0 + 86_399_999, "2026-01-01T23:59:59.999Z"),
        (1_709_208_000_120, "2024-02-29T12:00:00.120Z"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(moment_ms: int, written: str) -> None:
    """Whatever the machine's time zone."""
    assert iso_ms(moment_ms) == written


@given(st.integers(0, 4_102_444_800_000))
def test_a_written_time_reads_back(moment_ms: int) -> None:
    """Nothing is lost."""
    read = datetime.fromisoformat(iso_ms(moment_ms))
    assert round(read.timestamp() * 1000) == moment_ms

"""When a peer that could not be talked to is tried again."""

import asyncio

import pytest

from trebuchet.carriers.reach import PAUSES_MS, Reach
from trebuchet.clock import ManualClock

pytestmark = pytest.mark.anyio


async def test_each_failure_in_a_row_rests_longer() -> None:
    """Until the longest pause; whoever waits is told when it is over."""
    clock, again, said = ManualClock(), list[int](), list[tuple[bool, str]]()
    reach = Reach(clock, again=lambda: again.append(clock.now_ms()), changed=lambda *each: said.append(each))
    for pause_ms in (*PAUSES_MS, PAUSES_MS[-1]):
        before_ms = clock.now_ms()
        reach.failed("refused")
        clock.advance(pause_ms - 1)
        assert reach.resting
        clock.advance(1)
        await asyncio.sleep(0)  # timers are called in the next turn of the loop
        assert again[-1] == before_ms + pause_ms
    assert said == [(False, "refused")] * (len(PAUSES_MS) + 1)


async def test_failures_at_the_same_time_are_one() -> None:
    """Many requests fail together when a peer goes away."""
    clock, said = ManualClock(), list[tuple[bool, str]]()
    reach = Reach(clock, again=lambda: None, changed=lambda *each: said.append(each))
    for _ in range(5):
        reach.failed("gone")
    assert (reach.failures, reach.down_until_ms) == (1, clock.now_ms() + PAUSES_MS[0])
    assert len(said) == 1


async def test_an_answer_ends_it() -> None:
    """The next failure is the first again."""
    clock, again, said = ManualClock(), list[int](), list[tuple[bool, str]]()
    reach = Reach(clock, again=lambda: again.append(1), changed=lambda *each: said.append(each))
    reach.reached()
    assert said == []
    reach.failed("gone")
    clock.advance(PAUSES_MS[0])
    reach.failed("gone")
    reach.reached()
    assert (reach.failures, said[-1]) == (0, (True, ""))
    clock.advance(PAUSES_MS[1])
    reach.failed("gone")
    assert reach.down_until_ms == clock.now_ms() + PAUSES_MS[0]


async def test_cancelled_it_calls_nobody() -> None:
    """A link that stops is not woken."""
    clock, again = ManualClock(), list[int]()
    reach = Reach(clock, again=lambda: again.append(1), changed=lambda *_: None)
    reach.failed("gone")
    reach.cancel()
    clock.advance(PAUSES_MS[-1])
    await asyncio.sleep(0)
    assert again == []

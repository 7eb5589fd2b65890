"""What the charts of the console are drawn from."""

import asyncio

import pytest

from trebuchet.clock import ManualClock
from trebuchet.console.history import SAMPLES_MAX, STEP_MS, Counter, History

ACCEPTED: Counter = ("accepted", ("out",))
FAILED: Counter = ("failed", ("4720",))


def is_accepted(name: str, _: tuple[str, ...]) -> bool:
    return name == "accepted"


@pytest.mark.anyio
async def test_rates_are_per_second_of_each_step() -> None:
    """120 in a minute are 2 per second; the last step ends now."""
    clock, counts = ManualClock(), {ACCEPTED: 0.0}
    history = History(clock, lambda: dict(counts))
    history.start()
    counts[ACCEPTED] = 120
    clock.advance(STEP_MS)
    await _turn()
    counts[ACCEPTED] = 130
    clock.advance(1000)
    times, rates = history.series([is_accepted])
    assert [round(later - times[0]) for later in times] == [0, 1]
    assert rates == [2.0, 10.0]
    history.stop()


@pytest.mark.anyio
async def test_a_day_is_kept_and_no_more() -> None:
    clock = ManualClock()
    began_ms = clock.now_ms()
    history = History(clock, dict)
    for _ in range(SAMPLES_MAX + 10):
        history.take()
        clock.advance(STEP_MS)
    assert history.since_ms == began_ms + 10 * STEP_MS


def test_growth_of_the_last_hour_only() -> None:
    """What was counted before is not in it; what never moved is left out."""
    clock, counts = ManualClock(), {ACCEPTED: 5.0, FAILED: 1.0}
    history = History(clock, lambda: dict(counts))
    history.take()
    counts[ACCEPTED] = 7
    assert history.grown(3_600_000) == {ACCEPTED: 2}


def test_before_the_first_sample_there_is_nothing() -> None:
    history = History(ManualClock(), lambda: {ACCEPTED: 3})
    assert history.series([is_accepted]) == [[], []]
    assert history.grown(1000) == {}


async def _turn() -> None:
    """Let the timers that became due run."""
    await asyncio.sleep(0)

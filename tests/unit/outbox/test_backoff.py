"""When a failed try is repeated: growth, spread, the last try and the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.outbox.backoff import Schedule

T0 = 1_767_225_600_000
MIDDLE = 0.5  # a chance that spreads nothing
CALLBACKS = Schedule(first_s=10, max_s=3600, give_up_s=86_400)


def tries(schedule: Schedule, chance: float, takes_ms: int = 0) -> list[int]:
    """The moments of all tries if each fails after `takes_ms`, from the first at 0."""
    moments, now_ms = [0], T0 + takes_ms
    while (due_ms := schedule.next_ms(len(moments), T0, now_ms, chance)) is not None:
        assert len(moments) < 100_000
        assert due_ms > now_ms - takes_ms
        moments.append(due_ms - T0)
        now_ms = due_ms + takes_ms
    return moments


@pytest.mark.parametrize(
    ("attempts", "wait_s"),
    [(1, 10), (2, 20), (3, 40), (4, 80), (9, 2560), (10, 3600), (50, 3600), (10**9, 3600)],
)
def test_waits_grow_to_the_longest(attempts: int, wait_s: int) -> None:
    """Each wait is twice the one before, up to `max_s`, however many tries there were."""
    assert CALLBACKS.next_ms(attempts, T0, T0, MIDDLE) == T0 + wait_s * 1000


@pytest.mark.parametrize(("chance", "wait_ms"), [(0.0, 8_000), (0.5, 10_000), (1.0, 12_000)])
def test_waits_are_spread_by_the_jitter(chance: float, wait_ms: int) -> None:
    """A fifth to either side, so that callbacks that failed together do not come back together."""
    assert CALLBACKS.next_ms(1, T0, T0, chance) == T0 + wait_ms


def test_the_growth_is_a_setting() -> None:
    """A factor of 1 repeats at a fixed distance."""
    schedule = Schedule(first_s=5, max_s=60, give_up_s=12, factor=1, jitter=0)
    assert tries(schedule, MIDDLE) == [0, 5_000, 10_000, 12_000]


def test_a_day_of_callbacks_is_a_known_number_of_tries() -> None:
    """With the chance held still there are exactly 33 tries, the last one after 24 hours."""
    moments = tries(CALLBACKS, MIDDLE)
    assert len(moments) == 33
    assert moments[-1] == 86_400_000


@pytest.mark.parametrize(
    ("now_s", "due_s"),
    [(86_390, 86_400), (86_399.999, 86_400), (86_400, None), (90_000, None)],
    ids=["near the end", "just before it", "at the end", "after a long absence"],
)
def test_the_last_try_is_made_at_the_end_and_none_after_it(now_s: float, due_s: int | None) -> None:
    """The whole span is used, and not more."""
    due_ms = None if due_s is None else T0 + due_s * 1000
    assert CALLBACKS.next_ms(20, T0, T0 + int(now_s * 1000), MIDDLE) == due_ms


def test_every_wait_is_at_least_a_millisecond() -> None:
    """A schedule of tiny waits makes progress all the same."""
    schedule = Schedule(first_s=0.0001, max_s=0.0001, give_up_s=0.01)
    assert tries(schedule, 0.0) == list(range(11))


@given(
    first_s=st.floats(5, 60),
    longer=st.floats(1, 100),
    give_up_s=st.floats(0, 20_000),
    factor=st.floats(1, 10),
    jitter=st.floats(0, 0.9),
    chance=st.floats(0, 1),
    takes_ms=st.integers(0, 10_000),
)
def test_a_schedule_ends(
    first_s: float,
    longer: float,
    give_up_s: float,
    factor: float,
    jitter: float,
    chance: float,
    takes_ms: int,
) -> None:
    """Tries come in order, none after the span, the last at its very end unless the answer came too late."""
    schedule = Schedule(first_s, first_s * longer, give_up_s, factor, jitter)
    moments = tries(schedule, chance, takes_ms)
    span_ms = int(give_up_s * 1000)
    assert moments == sorted(set(moments))
    assert max(moments) <= span_ms
    assert moments[-1] == span_ms or moments[-1] + takes_ms >= span_ms
    shortest_ms = max(1, int(first_s * 1000 * (1 - jitter)) - 1)
    assert len(moments) <= span_ms // shortest_ms + 2

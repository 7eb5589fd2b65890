"""The rate of a bind: its limit, and what throttling makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.carriers.smpp.rate import Rate

T0 = 1_767_225_600_000


def test_no_limit_is_none() -> None:
    """Whatever is spent, more may go out."""
    rate = Rate(0)
    rate.spend(T0, 100_000)
    assert rate.allowance(T0) > 100_000
    assert (rate.current, rate.ready_ms(T0)) == (None, None)


def test_a_limit_is_kept_and_time_that_passed_is_not_saved_up() -> None:
    """A tenth of a second's worth at once, at most."""
    rate = Rate(100)
    assert rate.allowance(T0) == 10
    rate.spend(T0, 10)
    assert rate.allowance(T0) == 0
    assert rate.ready_ms(T0) == T0 + 11
    assert rate.allowance(T0 + 50) == 5
    assert rate.allowance(T0 + 3_600_000) == 10


def test_a_slow_link_sends_one_at_a_time() -> None:
    """One in ten seconds."""
    rate = Rate(0.1)
    assert rate.allowance(T0) == 1
    rate.spend(T0, 1)
    assert rate.ready_ms(T0) == T0 + 10_001
    assert (rate.allowance(T0 + 9_999), rate.allowance(T0 + 10_001)) == (0, 1)


def test_throttling_pauses_and_halves() -> None:
    """A second first, longer if it happens again soon; many answers of one moment count once."""
    rate = Rate(100)
    rate.throttled(T0)
    rate.throttled(T0)
    assert (rate.allowance(T0 + 999), rate.current) == (0, 50)
    assert rate.allowance(T0 + 1100) > 0
    rate.throttled(T0 + 1100)
    assert (rate.ready_ms(T0 + 1100), rate.current) == (T0 + 3101, 25)
    for again in range(10):
        rate.throttled(T0 + 10_000 * (again + 1))
    assert rate.current == 1


def test_the_rate_recovers_to_the_limit() -> None:
    """A tenth more each ten seconds of taken submits."""
    rate = Rate(100)
    rate.throttled(T0)
    rate.answered(T0 + 9_000)
    assert rate.current == 50
    rate.answered(T0 + 10_000)
    assert rate.current == pytest.approx(55)
    for step in range(2, 30):
        rate.answered(T0 + 10_000 * step)
    assert rate.current == 100


def test_an_unlimited_bind_slows_to_half_of_what_it_did() -> None:
    """And is unlimited again once it has been faster than ever without being throttled."""
    rate = Rate(0)
    for moment_ms in range(0, 4000, 10):
        rate.spend(T0 + moment_ms, 1)  # a hundred a second
    rate.throttled(T0 + 4000)
    assert rate.current == pytest.approx(50, rel=0.1)
    for step in range(1, 40):
        rate.answered(T0 + 4000 + 10_000 * step)
    assert rate.current is None


@pytest.mark.parametrize(("state", "current"), [(0, 100), (79, 100), (90, 50), (99, 50), (100, 50)])
def test_congestion_slows_before_throttling_does(state: int, current: float) -> None:
    """congestion_state of a 5.0 SMSC."""
    rate = Rate(100)
    rate.congested(T0, state)
    assert rate.current == current
    assert (rate.allowance(T0) == 0) is (state == 100)


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 5)), min_size=1, max_size=200),
    st.floats(0.5, 500),
)
def test_never_faster_than_the_limit(steps: list[tuple[int, int]], limit: float) -> None:
    """Over any stretch: the rate times its length, and one burst."""
    rate = Rate(limit)
    now_ms, sent = T0, 0
    for wait_ms, wanted in steps:
        now_ms += wait_ms
        segments = min(wanted, rate.allowance(now_ms))
        rate.spend(now_ms, segments)
        sent += segments
        ready_ms = rate.ready_ms(now_ms)
        assert ready_ms is None or (ready_ms > now_ms and rate.allowance(ready_ms) >= 1)
    assert sent <= limit * (now_ms - T0) / 1000 + max(limit * 0.1, 1) + 1

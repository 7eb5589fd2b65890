"""Rate limits, counted in segments."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.outbox.pacing import QUEUE_S, Full, Limit, Pacing

T0 = 1_767_225_600_000
SECOND = 1000
ACCOUNT = Limit("account", 10)
NUMBER = Limit("number", 1)


def turns(pacing: Pacing, limit: Limit, *segments: int, now_ms: int = T0) -> list[int]:
    """The turns of messages of so many segments each, from now."""
    given_turns = [pacing.turn([limit], each, now_ms) for each in segments]
    assert not any(isinstance(turn, Full) for turn in given_turns)
    return [turn - now_ms for turn in given_turns if isinstance(turn, int)]


def test_messages_come_at_the_rate() -> None:
    """Ten a second are a tenth of a second apart, without a burst; the first goes at once."""
    assert turns(Pacing(), ACCOUNT, 1, 1, 1, 1) == [0, 100, 200, 300]


def test_the_rate_is_counted_in_segments() -> None:
    """What follows a message of three segments waits three times as long."""
    assert turns(Pacing(), ACCOUNT, 3, 1, 2, 1) == [0, 300, 400, 600]


def test_time_that_passed_is_not_saved_up() -> None:
    """After an idle hour the next message goes at once, and the one after it at the rate."""
    pacing = Pacing()
    turns(pacing, ACCOUNT, 1, 1)
    assert turns(pacing, ACCOUNT, 1, 1, now_ms=T0 + 3600 * SECOND) == [0, 100]


def test_a_rate_of_less_than_one_a_second() -> None:
    """One in four seconds."""
    assert turns(Pacing(), Limit("slow", 0.25), 1, 1, 1) == [0, 4000, 8000]


def test_limits_are_kept_apart() -> None:
    """One number's messages do not use up another's rate."""
    pacing = Pacing()
    assert turns(pacing, Limit("a", 1), 1, 1) == [0, 1000]
    assert turns(pacing, Limit("b", 1), 1, 1) == [0, 1000]


def test_the_queue_holds_fifteen_minutes() -> None:
    """The message that would begin later is refused, names the limit, and uses up nothing; time makes room."""
    pacing = Pacing()
    assert len(turns(pacing, NUMBER, *[1] * (QUEUE_S + 1))) == QUEUE_S + 1
    assert pacing.turn([NUMBER], 1, T0) == Full(NUMBER)
    assert pacing.turn([NUMBER], 1, T0) == Full(NUMBER)
    assert pacing.turn([NUMBER], 1, T0 + SECOND) == T0 + (QUEUE_S + 1) * SECOND


def test_a_high_priority_goes_now() -> None:
    """It is ahead of the account's own queue, but its segments are added to it."""
    pacing = Pacing()
    assert turns(pacing, ACCOUNT, 1, 1) == [0, 100]
    assert pacing.turn([ACCOUNT], 5, T0, first=True) == T0
    assert turns(pacing, ACCOUNT, 1) == [700]


def test_a_high_priority_is_refused_when_the_queue_is_full() -> None:
    """Otherwise it could be used to go round the limit."""
    pacing = Pacing()
    turns(pacing, NUMBER, *[1] * (QUEUE_S + 1))
    assert pacing.turn([NUMBER], 1, T0, first=True) == Full(NUMBER)


def test_the_slower_of_two_limits_rules() -> None:
    """An account's rate and a number's rate hold both."""
    pacing = Pacing()
    both = [pacing.turn([ACCOUNT, NUMBER], 1, T0) for _ in range(3)]
    assert both == [T0, T0 + 1000, T0 + 2000]


def test_a_full_limit_uses_up_nothing_of_the_other() -> None:
    """A message that is refused was never there."""
    pacing = Pacing()
    turns(pacing, NUMBER, *[1] * (QUEUE_S + 1))
    assert pacing.turn([ACCOUNT, NUMBER], 1, T0) == Full(NUMBER)
    assert turns(pacing, ACCOUNT, 1) == [0]


def test_turns_go_on_after_a_restart() -> None:
    """The queue that was stored has its turns already; the latest of several resumptions counts."""
    pacing = Pacing()
    pacing.resume(ACCOUNT.key, T0 + 5000)
    pacing.resume(ACCOUNT.key, T0 + 3000)
    assert turns(pacing, ACCOUNT, 1, 1) == [5000, 5100]


@given(
    rate=st.floats(0.5, 100),
    arrivals=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 5)), min_size=2, max_size=40),
)
def test_the_rate_holds_whenever_messages_come(rate: float, arrivals: list[tuple[int, int]]) -> None:
    """No turn begins before the segments of the one before are through, nor before its message came."""
    pacing, now_ms = Pacing(), T0
    given_turns: list[tuple[int, int]] = []
    for pause_ms, segments in arrivals:
        now_ms += pause_ms
        turn = pacing.turn([Limit("account", rate)], segments, now_ms)
        assert isinstance(turn, int)
        assert turn >= now_ms
        given_turns.append((turn, segments))
    for (turn, segments), (following, _) in pairwise(given_turns):
        assert following - turn >= segments * 1000 / rate - 1  # turns are whole milliseconds


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_order_of_the_limits_does_not_matter(order: tuple[int, int]) -> None:
    """Which of them stands first changes nothing."""
    pacing, limits = Pacing(), (ACCOUNT, NUMBER)
    got = [pacing.turn([limits[place] for place in order], 2, T0) for _ in range(3)]
    assert got == [T0, T0 + 2000, T0 + 4000]

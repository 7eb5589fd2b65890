"""What the charts of carriers are drawn from."""

import pytest

from trebuchet.clock import ManualClock
from trebuchet.console.linkhistory import SAMPLES_MAX, STEP_MS, Figures, Key, LinkHistory

BIND: Key = ("acme", "acme/0")
OTHER: Key = ("acme", "acme/1")


def test_rates_of_all_binds_of_one_carrier() -> None:
    clock, now = ManualClock(), {BIND: Figures(), OTHER: Figures(), ("b", "b/0"): Figures()}
    history = LinkHistory(clock, lambda: dict(now))
    history.take()
    clock.advance(STEP_MS)
    now[BIND] = Figures(submits=30, receipts=10, throttles=5, response_ms=20)
    now[OTHER] = Figures(submits=20, response_ms=40)
    now["b", "b/0"] = Figures(submits=1000)
    assert history.rates("acme") == {"acme/0": 3.0, "acme/1": 2.0}
    history.take()
    _, *rows = history.series("acme")
    assert rows == [[5.0], [1.0], [0.0], [0.5], [0.0], [30.0]]


def test_a_link_that_was_made_anew_counts_from_nought() -> None:
    """Its counts are less than they were: no rate is below zero, and what it did since is not lost."""
    clock, now = ManualClock(), {BIND: Figures(submits=100)}
    history = LinkHistory(clock, lambda: dict(now))
    history.take()
    clock.advance(STEP_MS)
    now[BIND] = Figures(submits=10)
    history.take()
    assert history.series("acme")[1] == [1.0]


def test_an_hour_is_kept_and_no_more() -> None:
    clock = ManualClock()
    history = LinkHistory(clock, lambda: {BIND: Figures()})
    for _ in range(SAMPLES_MAX + 10):
        history.take()
        clock.advance(STEP_MS)
    assert len(history.series("acme")[0]) == SAMPLES_MAX - 1


@pytest.mark.parametrize("known", [True, False])
def test_before_time_has_passed_there_is_no_rate(known: bool) -> None:
    history = LinkHistory(ManualClock(), lambda: {BIND: Figures(submits=3)})
    if known:
        history.take()
    assert history.rates("acme") == {}
    assert history.series("acme") == [[], [], [], [], [], [], []]

"""How many searches a client may make."""

import pytest

from trebuchet.api.app import SearchLimit
from trebuchet.api.problems import Problem
from trebuchet.clock import ManualClock

WINDOW_MS = 300_000
START_MS = 1_767_225_600_000  # the beginning of a window


def searched(limit: SearchLimit, address: str, times: int) -> None:
    for _ in range(times):
        limit.check(address)


def test_each_address_has_its_own_count() -> None:
    """3,500 pass and the next does not; another address is not concerned."""
    limit = SearchLimit(ManualClock(START_MS))
    searched(limit, "192.0.2.1", 3500)
    with pytest.raises(Problem) as refused:
        limit.check("192.0.2.1")
    assert (refused.value.status, dict(refused.value.headers)) == (429, {b"Retry-After": b"300"})
    limit.check("192.0.2.2")


def test_a_window_ends() -> None:
    """Not a millisecond early."""
    clock = ManualClock(START_MS)
    limit = SearchLimit(clock)
    searched(limit, "192.0.2.1", 3500)
    clock.advance(WINDOW_MS - 1)
    with pytest.raises(Problem):
        limit.check("192.0.2.1")
    clock.advance(1)
    searched(limit, "192.0.2.1", 3500)


def test_the_addresses_remembered_are_bounded() -> None:
    """Beyond ten thousand all begin anew: a flood of addresses costs the limit, not the memory."""
    limit = SearchLimit(ManualClock(START_MS))
    searched(limit, "192.0.2.1", 3500)
    for number in range(10_001):
        limit.check(f"2001:db8::{number:x}")
    limit.check("192.0.2.1")

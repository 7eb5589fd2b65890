"""How long a link waits before it connects again, and who may call it."""

from typing import Any

import pytest

from trebuchet.carriers.smpp import parse_settings
from trebuchet.carriers.smpp.connection import Ended
from trebuchet.carriers.smpp.dialing import outbind_allowed, pause_ms


def pause(ended: Ended, failures: int = 0, chance: float = 0.5, **settings: Any) -> int:
    return pause_ms(parse_settings({"host": "x", "system_id": "y", **settings}), ended, failures, chance)


@pytest.mark.parametrize(
    ("failures", "pause_s"), [(0, 1), (1, 2), (2, 5), (3, 10), (4, 30), (5, 60), (6, 60), (1_000, 60)]
)
def test_each_failure_makes_the_pause_longer(failures: int, pause_s: int) -> None:
    """Up to a minute."""
    assert pause(Ended("cut"), failures) == pause_s * 1_000


@pytest.mark.parametrize(("chance", "expected_ms"), [(0, 8_000), (0.5, 10_000), (1, 12_000)])
def test_links_do_not_all_come_back_at_once(chance: float, expected_ms: int) -> None:
    """A fifth more or less, by chance."""
    assert pause(Ended("cut"), 3, chance) == expected_ms


@pytest.mark.parametrize(
    ("ended", "failures", "settings", "pause_s"),
    [
        (Ended("refused", refused=True), 0, {}, 60),
        (Ended("refused", refused=True), 0, {"refused_bind_pause_s": 600}, 600),
        (Ended("unbound", by_peer=True), 0, {}, 5),
        (Ended("unbound", by_peer=True), 4, {}, 30),
        (Ended("cut"), 0, {"reconnect_min_s": 20}, 20),
        (Ended("cut"), 9, {"reconnect_max_s": 40}, 40),
    ],
)
def test_the_pause_depends_on_the_end(
    ended: Ended, failures: int, settings: dict[str, Any], pause_s: int
) -> None:
    """Long after a refused bind, a moment after an unbind, else within the settings' bounds."""
    assert pause(ended, failures, **settings) == pause_s * 1_000


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        (("192.0.2.7", 2775), True),
        (("2001:db8::7", 2775, 0, 0), True),
        (("198.51.100.1", 2775), True),
        (("198.51.100.2", 2775), False),
        (("::1", 2775, 0, 0), False),
        (("nonsense", 2775), False),
        ("/run/socket", False),
        (None, False),
    ],
)
def test_only_who_is_named_may_call(peer: object, allowed: bool) -> None:
    """By address or network; what is no address is nobody."""
    assert outbind_allowed(peer, ["192.0.2.0/24", "2001:db8::/32", "198.51.100.1"]) is allowed
    assert not outbind_allowed(peer, [])

"""From a carrier's error to our code."""

import pytest

from trebuchet.carriers.smpp import receipterrors
from trebuchet.carriers.smpp.receipterrors import PROFILES, error_code
from trebuchet.model.errorcodes import ERROR_CODES
from trebuchet.protocols.smpp.constants import MessageState


@pytest.mark.parametrize(
    ("profile", "state", "err", "network_error", "code"),
    [
        ("generic", MessageState.UNDELIVERABLE, "027", None, 5650),
        ("generic", MessageState.UNDELIVERABLE, "027", (3, 27), 4702),
        ("generic", MessageState.REJECTED, "", None, 4750),
        ("generic", MessageState.UNKNOWN, "999", None, 9999),
        ("gsm", MessageState.UNDELIVERABLE, "001", None, 4720),
        ("gsm", MessageState.UNDELIVERABLE, "40", None, 4702),
        ("gsm", MessageState.EXPIRED, "000", None, 4702),
        ("gsm", MessageState.EXPIRED, "777", None, 4702),
        ("generic3", MessageState.UNDELIVERABLE, "005", None, 4720),
        ("bandwidth", MessageState.UNDELIVERABLE, "720", None, 4720),
        ("bandwidth", MessageState.UNDELIVERABLE, "600", None, 5600),
        ("bandwidth", MessageState.UNDELIVERABLE, "902", None, 9902),
        ("bandwidth", MessageState.UNDELIVERABLE, "999", None, 9999),
        ("bandwidth", MessageState.UNDELIVERABLE, "", (8, 403), 4403),
        ("bandwidth", MessageState.REJECTED, "0x1", None, 4750),
        ("bandwidth", MessageState.UNDELIVERABLE, "", (3, 1), 4720),  # a cause of the network, not 4001
        ("bandwidth", MessageState.UNDELIVERABLE, "", (3, 720), 4720),
    ],
)
def test_error_then_cause_then_state(
    profile: str, state: MessageState, err: str, network_error: tuple[int, int] | None, code: int
) -> None:
    """The most exact of what the carrier says decides."""
    assert error_code(profile, state, err, network_error) == code


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_whole(profile: str) -> None:
    """Its file is there, says where it is from, and gives codes that exist, for every failed state."""
    table = receipterrors.load(profile)
    assert table.name == profile
    assert table.source
    assert {*table.codes.values(), *table.states.values()} <= set(ERROR_CODES)
    assert {"EXPIRED", "DELETED", "UNDELIVERABLE", "UNKNOWN", "REJECTED"} <= set(table.states)


def test_a_profile_that_is_not_there() -> None:
    """Is refused with those that are."""
    with pytest.raises(ValueError, match="known: generic, gsm"):
        receipterrors.load("nobody")

"""What each command_status means for a message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.carriers.smpp.outcomes import OUTCOMES, Kind, judge
from trebuchet.model.errorcodes import ERROR_CODES
from trebuchet.protocols.smpp.constants import Status


@pytest.mark.parametrize(
    ("status", "kind", "error_code"),
    [
        (Status.RINVMSGLEN, Kind.REFUSED, 4751),
        (Status.RINVDSTADR, Kind.REFUSED, 4720),
        (Status.RINVSRCADR, Kind.REFUSED, 4740),
        (Status.RINVSERTYP, Kind.REFUSED, 4700),
        (Status.RINVESMCLASS, Kind.REFUSED, 4752),
        (Status.RX_P_APPN, Kind.REFUSED, 4750),
        (Status.RTHROTTLED, Kind.THROTTLED, 5600),
        (Status.RMSGQFUL, Kind.THROTTLED, 5600),
        (Status.RSUBMITFAIL, Kind.RETRY, 5610),
        (Status.RSYSERR, Kind.RETRY, 5620),
        (Status.RX_T_APPN, Kind.RETRY, 5620),
        (Status.RUNKNOWNERR, Kind.RETRY, 5620),
        (Status.RINVDSTADDRSUBUNIT, Kind.REFUSED, 4752),
        (Status.RBCASTFAIL, Kind.REFUSED, 4750),
        (Status.RINVBNDSTS, Kind.LINK_FAULT, 5106),
        (Status.RBINDFAIL, Kind.LINK_FAULT, 5106),
        (0x421, Kind.RETRY, 4750),
        (0x9999, Kind.RETRY, 9999),
    ],
)
def test_the_status_decides(status: int, kind: Kind, error_code: int) -> None:
    """Throttled is no attempt, a fault of the link not the message's, the carrier's own tried once more."""
    verdict = judge(status)
    assert (verdict.kind, verdict.error_code) == (kind, error_code)


@pytest.mark.parametrize(
    ("reason", "kind", "error_code"),
    [
        (0, Kind.REFUSED, 4702),
        (1, Kind.REFUSED, 4720),
        (2, Kind.REFUSED, 5650),
        (3, Kind.RETRY, 5650),
        (9, Kind.REFUSED, 5650),
    ],
)
def test_a_delivery_failure_has_its_reason(reason: int, kind: Kind, error_code: int) -> None:
    """delivery_failure_reason, where the SMSC gives one."""
    verdict = judge(Status.RDELIVERYFAILURE, None, reason)
    assert (verdict.kind, verdict.error_code) == (kind, error_code)


def test_the_words_name_the_status() -> None:
    """For a support desk: the name, the number, and what it means."""
    assert judge(Status.RINVDSTADR).words == "RINVDSTADR (0x0B): destination address refused"
    assert judge(0x421).words == "0x421: an error of the carrier's own"


def test_a_link_may_know_better() -> None:
    """Its status_map goes before the table."""
    assert judge(0x421, {0x421: "throttle"}).kind is Kind.THROTTLED
    assert judge(Status.RTHROTTLED, {Status.RTHROTTLED: "refuse"}).kind is Kind.REFUSED


def test_every_status_of_the_specification_has_a_row() -> None:
    """Only the carrier's own are left to guess at."""
    assert set(OUTCOMES) == set(Status) - {Status.ROK}


def test_every_code_of_the_table_exists() -> None:
    """And each row says what it means."""
    assert {row.error_code for row in OUTCOMES.values()} <= set(ERROR_CODES)
    assert all(row.meaning and row.tries >= 1 for row in OUTCOMES.values())


@given(st.integers(1, 0xFFFFFFFF))
def test_every_status_means_something(status: int) -> None:
    """With a code, words that name it, and an end."""
    verdict = judge(status)
    assert verdict.kind not in (Kind.TAKEN, Kind.LOST)
    assert verdict.error_code in ERROR_CODES
    assert verdict.words
    assert verdict.tries <= 5

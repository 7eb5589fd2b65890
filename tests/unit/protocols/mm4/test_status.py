"""What a peer's words mean, and what we say."""

import pytest

from trebuchet.model.errorcodes import ERROR_CODES
from trebuchet.protocols.mm4 import MmStatus, RequestStatus, StatusExtension
from trebuchet.protocols.mm4.status import (
    OK,
    REQUEST_STATUS,
    Fate,
    Outcome,
    Verdict,
    enhanced_code,
    from_internal,
    mm_fate,
    mm_status,
    request_outcome,
    request_status,
    smtp_outcome,
    to_internal,
)

TEMPORARY, PERMANENT, LINK = Verdict.TEMPORARY, Verdict.PERMANENT, Verdict.LINK


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("Ok", OK),
        ("OK", OK),
        ("0", OK),
        ("128", OK),
        (RequestStatus.UNSPECIFIED, Outcome(TEMPORARY, 5620)),
        (RequestStatus.NETWORK_PROBLEM, Outcome(TEMPORARY, 5650)),
        (RequestStatus.SERVICE_DENIED, Outcome(PERMANENT, 4750)),
        (RequestStatus.FORMAT_CORRUPT, Outcome(PERMANENT, 4752)),
        (RequestStatus.SENDING_ADDRESS_UNRESOLVED, Outcome(PERMANENT, 4720)),
        (RequestStatus.MESSAGE_NOT_FOUND, Outcome(PERMANENT, 4750)),
        (RequestStatus.CONTENT_NOT_ACCEPTED, Outcome(PERMANENT, 4712)),
        (RequestStatus.UNSUPPORTED_MESSAGE, Outcome(PERMANENT, 4700)),
        ("Error-transient-failure", Outcome(TEMPORARY, 5620)),
        ("Error-transient-something-new", Outcome(TEMPORARY, 5620)),
        ("Error-permanent-message-format-corrupt", Outcome(PERMANENT, 4752)),
        ("Error-own", Outcome(PERMANENT, 4750)),
        ("", Outcome(PERMANENT, 4750)),
        ("129", Outcome(TEMPORARY, 5620)),
        ("131", Outcome(PERMANENT, 4752)),
        ("136", Outcome(PERMANENT, 4700)),
        ("192", Outcome(TEMPORARY, 5620)),
        ("196", Outcome(TEMPORARY, 5650)),
        ("224", Outcome(PERMANENT, 4750)),
        ("229", Outcome(PERMANENT, 4712)),
        ("234", Outcome(PERMANENT, 4740)),
    ],
)
def test_request_statuses(status: str, outcome: Outcome) -> None:
    """In words, in the transient and permanent families of MM1, and as its numbers."""
    assert request_outcome(status) == outcome


@pytest.mark.parametrize(
    ("status", "internal_code", "outcome"),
    [
        ("Ok", 0, OK),
        ("Ok", 750, OK),
        (RequestStatus.SERVICE_DENIED, 720, Outcome(PERMANENT, 4720)),
        (RequestStatus.NETWORK_PROBLEM, 600, Outcome(TEMPORARY, 5600)),
        (RequestStatus.UNSPECIFIED, 411, Outcome(PERMANENT, 4411)),
        (RequestStatus.UNSPECIFIED, 770, Outcome(PERMANENT, 4770)),
        (RequestStatus.UNSPECIFIED, 211, Outcome(TEMPORARY, 5211)),
    ],
)
def test_a_peers_own_code_names_the_reason(status: str, internal_code: int, outcome: Outcome) -> None:
    """And decides, where the status says nothing, whether trying again helps."""
    assert request_outcome(status, internal_code) == outcome


@pytest.mark.parametrize(
    ("status", "extension", "fate", "code"),
    [
        (MmStatus.RETRIEVED, "", Fate.DELIVERED, None),
        (MmStatus.DEFERRED, "", Fate.WAITING, None),
        (MmStatus.FORWARDED, "", Fate.WAITING, None),
        (MmStatus.FORWARDED_TO_MMBOX, "", Fate.WAITING, None),
        (MmStatus.INDETERMINATE, "", Fate.UNKNOWN, 9999),
        (MmStatus.EXPIRED, "", Fate.FAILED, 4702),
        (MmStatus.UNREACHABLE, "", Fate.FAILED, 4702),
        (MmStatus.UNRECOGNISED, "", Fate.FAILED, 4700),
        ("Unrecognized", "", Fate.FAILED, 4700),
        (MmStatus.REJECTED, "", Fate.FAILED, 4750),
        (MmStatus.REJECTED, StatusExtension.BY_OTHER_RELAY, Fate.FAILED, 4750),
        (MmStatus.REJECTED, StatusExtension.BY_RECIPIENT, Fate.FAILED, 4753),
        ("rejected", "rejection-by-mms-recipient", Fate.FAILED, 4753),
        ("Own-Word", "", Fate.UNKNOWN, 9999),
    ],
)
def test_delivery_statuses(status: str, extension: str, fate: Fate, code: int | None) -> None:
    """What each means without a setting of the link."""
    assert mm_fate(status, extension) == (fate, code)


def test_links_say_what_vague_statuses_mean() -> None:
    """Hubs that never say Retrieved leave it at Forwarded or Indeterminate."""
    assert mm_fate(MmStatus.INDETERMINATE, indeterminate_delivered=True) == (Fate.DELIVERED, None)
    assert mm_fate(MmStatus.FORWARDED, forwarded_final=True) == (Fate.DELIVERED, None)
    assert mm_fate(MmStatus.DEFERRED, forwarded_final=True, indeterminate_delivered=True) == (
        Fate.WAITING,
        None,
    )


def test_a_report_with_a_code_fails_with_that() -> None:
    """Only if it is a failure at all."""
    assert mm_fate(MmStatus.REJECTED, internal_code=775) == (Fate.FAILED, 4775)
    assert mm_fate(MmStatus.RETRIEVED, internal_code=775) == (Fate.DELIVERED, None)


@pytest.mark.parametrize(
    ("internal_code", "code"),
    [
        (1, 4001),
        (106, 5106),
        (113, 5111),
        (130, 5220),
        (140, 5106),
        (141, 4401),
        (300, 4752),
        (405, 4405),
        (500, 5500),
        (600, 5600),
        (720, 4720),
        (902, 9902),
        (999, 9999),
        (150, 9999),
        (699, 5650),
        (799, 4750),
        (499, 4750),
        (12_345, 9999),
    ],
)
def test_codes_of_three_digits(internal_code: int, code: int) -> None:
    """The hundreds give the thousands; an unknown code has the general one of its hundred."""
    assert from_internal(internal_code) == code


def test_every_code_that_we_can_fail_with_has_a_name() -> None:
    """Applications get no code that is not documented."""
    codes = {outcome.code for outcome in REQUEST_STATUS.values()}
    codes |= {mm_fate(status)[1] for status in MmStatus}
    codes |= {from_internal(internal_code) for internal_code in range(1000)}
    codes |= {smtp_outcome(reply).code for reply in range(200, 600)}
    codes |= {enhanced_code(f"5.{subject}.{detail}") for subject in range(9) for detail in range(20)}
    assert codes - {None} <= set(ERROR_CODES)


def test_every_code_of_ours_can_be_told_to_a_peer() -> None:
    """By a status that is not Ok, and by its last three digits, which give it back."""
    for code in ERROR_CODES:
        assert request_outcome(request_status(code)).verdict in {TEMPORARY, PERMANENT}
        assert mm_fate(mm_status(code))[0] in {Fate.FAILED, Fate.UNKNOWN}
    peculiar = {5999}  # shares its digits with 9999
    known = [code for code in ERROR_CODES if code not in peculiar]
    assert [from_internal(to_internal(code)) for code in known] == known


@pytest.mark.parametrize(
    ("code", "request_word", "report_word"),
    [
        (4720, RequestStatus.SENDING_ADDRESS_UNRESOLVED, MmStatus.UNREACHABLE),
        (4740, RequestStatus.SENDING_ADDRESS_UNRESOLVED, MmStatus.REJECTED),
        (4752, RequestStatus.FORMAT_CORRUPT, MmStatus.REJECTED),
        (4711, RequestStatus.CONTENT_NOT_ACCEPTED, MmStatus.REJECTED),
        (4700, RequestStatus.UNSUPPORTED_MESSAGE, MmStatus.UNRECOGNISED),
        (4702, RequestStatus.SERVICE_DENIED, MmStatus.UNREACHABLE),
        (5600, RequestStatus.NETWORK_PROBLEM, MmStatus.UNREACHABLE),
        (5220, RequestStatus.UNSPECIFIED, MmStatus.UNREACHABLE),
        (4360, RequestStatus.SERVICE_DENIED, MmStatus.EXPIRED),
        (9902, RequestStatus.UNSPECIFIED, MmStatus.EXPIRED),
        (9999, RequestStatus.UNSPECIFIED, MmStatus.INDETERMINATE),
    ],
)
def test_what_we_say_of_a_code(code: int, request_word: RequestStatus, report_word: MmStatus) -> None:
    """In an answer, and in a report."""
    assert (request_status(code), mm_status(code)) == (request_word, report_word)


def test_what_we_say_of_a_delivered_message() -> None:
    """Retrieved, and the code zero."""
    assert (mm_status(None), to_internal(None)) == (MmStatus.RETRIEVED, 0)


@pytest.mark.parametrize(
    ("reply", "enhanced", "outcome"),
    [
        (250, "", OK),
        (251, "", OK),
        (421, "", Outcome(TEMPORARY, 5620)),
        (450, "4.2.1", Outcome(TEMPORARY, 4702)),
        (451, "", Outcome(TEMPORARY, 5620)),
        (452, "", Outcome(TEMPORARY, 5600)),
        (500, "", Outcome(LINK)),
        (503, "", Outcome(LINK)),
        (530, "5.7.0", Outcome(LINK)),
        (535, "", Outcome(LINK)),
        (550, "", Outcome(PERMANENT, 4720)),
        (550, "5.7.1", Outcome(PERMANENT, 4750)),
        (550, "5.1.8", Outcome(PERMANENT, 4740)),
        (551, "", Outcome(PERMANENT, 4720)),
        (552, "", Outcome(PERMANENT, 4711)),
        (552, "5.2.2", Outcome(PERMANENT, 4702)),
        (553, "", Outcome(PERMANENT, 4720)),
        (523, "", Outcome(PERMANENT, 4711)),
        (554, "", Outcome(PERMANENT, 4750)),
        (554, "5.3.4", Outcome(PERMANENT, 4711)),
        (501, "", Outcome(PERMANENT, 4750)),
    ],
)
def test_smtp_replies(reply: int, enhanced: str, outcome: Outcome) -> None:
    """Whether it is the message's fault, the link's, or the moment's."""
    assert smtp_outcome(reply, enhanced) == outcome


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("5.1.1", 4720),
        ("4.4.7", 5201),
        ("5.4.4", 4730),
        ("5.6.0", 4712),
        ("5.0.0", None),
        ("", None),
        ("5", None),
    ],
)
def test_enhanced_statuses(status: str, code: int | None) -> None:
    """By subject and detail; 0 says nothing."""
    assert enhanced_code(status) == code

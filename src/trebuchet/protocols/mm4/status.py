"""What the words of a peer mean to us, and which of them we use ourselves: tables.

Error codes are those that applications see (`message-failed`). Only their numbers are known here. Sources: 3GPP TS
23.140 sections 8.4.1 and 8.4.2, OMA MMS Encapsulation (numeric forms), RFC 5321, RFC 3463; the choice of error codes
is ours.
"""

import enum
from typing import Final

import msgspec

from trebuchet.protocols.mm4.pdu import MmStatus, RequestStatus, StatusExtension


class Verdict(enum.Enum):
    """What an answer means for the request."""

    OK = "ok"
    TEMPORARY = "temporary"  # trying again may help
    PERMANENT = "permanent"
    LINK = "link"  # the link is set up wrongly; the message is not to blame


class Outcome(msgspec.Struct, frozen=True):
    verdict: Verdict
    code: int | None = None  # what the message fails with if it fails; None if OK or LINK


class Fate(enum.Enum):
    """What a delivery report means."""

    DELIVERED = "delivered"
    FAILED = "failed"
    WAITING = "waiting"  # not final
    UNKNOWN = "unknown"  # final, but nobody knows


OK: Final = Outcome(Verdict.OK)
_LINK: Final = Outcome(Verdict.LINK)
_UNKNOWN: Final = 9999


def _temporary(code: int) -> Outcome:
    return Outcome(Verdict.TEMPORARY, code)


def _permanent(code: int) -> Outcome:
    return Outcome(Verdict.PERMANENT, code)


# ---- X-Mms-Request-Status-Code ----

_UNSPECIFIED: Final = _temporary(5620)
# By its definition a "sending address unresolved" is any address of the message, the recipients' as well as the
# sender's, that is malformed or not the relay's. Relays mean the recipients'.
REQUEST_STATUS: Final[dict[str, Outcome]] = {
    "ok": OK,
    "error-unspecified": _UNSPECIFIED,
    "error-service-denied": _permanent(4750),
    "error-message-format-corrupt": _permanent(4752),
    "error-sending-address-unresolved": _permanent(4720),
    "error-message-not-found": _permanent(4750),
    "error-network-problem": _temporary(5650),
    "error-content-not-accepted": _permanent(4712),
    "error-unsupported-message": _permanent(4700),
    "error-transient-failure": _temporary(5620),
    "error-transient-sending-address-unresolved": _temporary(4720),
    "error-transient-message-not-found": _temporary(5620),
    "error-transient-network-problem": _temporary(5650),
    "error-transient-partial-success": _temporary(5650),
    "error-permanent-failure": _permanent(4750),
    "error-permanent-service-denied": _permanent(4750),
    "error-permanent-message-format-corrupt": _permanent(4752),
    "error-permanent-sending-address-unresolved": _permanent(4720),
    "error-permanent-message-not-found": _permanent(4750),
    "error-permanent-content-not-accepted": _permanent(4712),
    "error-permanent-reply-charging-limitations-not-met": _permanent(4750),
    "error-permanent-reply-charging-request-not-accepted": _permanent(4750),
    "error-permanent-reply-charging-forwarding-denied": _permanent(4750),
    "error-permanent-reply-charging-not-supported": _permanent(4750),
    "error-permanent-address-hiding-not-supported": _permanent(4740),
}
# The same in the order of MM1's octets, as some peers write them, in decimal. 0 is a test tool's Ok.
_WORDS: Final = list(REQUEST_STATUS)
_BY_NUMBER: Final = {"0": OK} | {
    str(first + place): REQUEST_STATUS[each]
    for first, family in ((0x80, _WORDS[:9]), (0xC0, _WORDS[9:14]), (0xE0, _WORDS[14:]))
    for place, each in enumerate(family)
}


def request_outcome(status: str, internal_code: int | None = None) -> Outcome:
    """What a request status means. A peer's own error code says more than a vague word, and names the reason."""
    word = status.strip().lower()
    outcome = REQUEST_STATUS.get(word) or _BY_NUMBER.get(word)
    if outcome is None:
        transient = word.startswith("error-transient-")
        outcome = _temporary(5620) if transient else _permanent(4750)
    if outcome.verdict is Verdict.OK or not internal_code:
        return outcome
    code = from_internal(internal_code)
    if outcome is _UNSPECIFIED:
        return (
            _permanent(code) if 400 <= internal_code < 500 or 700 <= internal_code < 800 else _temporary(code)
        )
    return Outcome(outcome.verdict, code)


def request_status(code: int) -> RequestStatus:
    """What we answer a request with that fails with this error code of ours."""
    found = _REQUEST_STATUS_OF.get(code)
    if found is not None:
        return found
    if 5000 <= code < 6000:
        return RequestStatus.NETWORK_PROBLEM if code in {5600, 5650, 5106} else RequestStatus.UNSPECIFIED
    return RequestStatus.UNSPECIFIED if code >= 9000 else RequestStatus.SERVICE_DENIED


_REQUEST_STATUS_OF: Final = (
    dict.fromkeys((4301, 4350, 4751, 4752), RequestStatus.FORMAT_CORRUPT)
    | dict.fromkeys((4302, 4403, 4405, 4407, 4720, 4740), RequestStatus.SENDING_ADDRESS_UNRESOLVED)
    | dict.fromkeys((4411, 4412, 4711, 4712), RequestStatus.CONTENT_NOT_ACCEPTED)
    | {4700: RequestStatus.UNSUPPORTED_MESSAGE}
)


# ---- X-Mms-MM-Status-Code ----


def mm_fate(
    status: str,
    extension: str = "",
    internal_code: int | None = None,
    *,
    indeterminate_delivered: bool = False,
    forwarded_final: bool = False,
) -> tuple[Fate, int | None]:
    """What a delivery report means, and the error code of a failure.

    The settings are the link's: whether it counts as delivered that nobody knows (Indeterminate), and that another
    network has the message (Forwarded), which is the last that some hubs say.
    """
    word = status.strip().lower()
    if word == "indeterminate":
        return (Fate.DELIVERED, None) if indeterminate_delivered else (Fate.UNKNOWN, _UNKNOWN)
    if word in {"forwarded", "forwardedtommbox"}:
        return (Fate.DELIVERED if forwarded_final else Fate.WAITING), None
    if word == "retrieved":
        return Fate.DELIVERED, None
    if word == "deferred":
        return Fate.WAITING, None
    code = _MM_CODES.get(word)
    if code is None:
        return Fate.UNKNOWN, _UNKNOWN
    if word == "rejected" and extension.lower() == StatusExtension.BY_RECIPIENT.lower():
        code = 4753
    return Fate.FAILED, from_internal(internal_code) if internal_code else code


_MM_CODES: Final = {
    "expired": 4702,
    "rejected": 4750,
    "unrecognised": 4700,
    "unrecognized": 4700,
    "unreachable": 4702,
}


def mm_status(code: int | None) -> MmStatus:
    """What we report of a message that was delivered (None) or failed with this error code of ours."""
    if code is None:
        return MmStatus.RETRIEVED
    if code in {4360, 5201, 9902}:
        return MmStatus.EXPIRED
    if code in {4700, 4712}:
        return MmStatus.UNRECOGNISED
    if code in {4701, 4702, 4720, 4721, 4730} or 5000 <= code < 6000:
        return MmStatus.UNREACHABLE
    return MmStatus.INDETERMINATE if code >= 9000 else MmStatus.REJECTED


# ---- X-Internal-Status-Code ----

# Those that have an error code of their own by the rule below.
_RULED: Final = frozenset(
    {
        1,
        100,
        101,
        106,
        111,
        201,
        211,
        220,
        231,
        301,
        302,
        303,
        350,
        360,
        401,
        403,
        404,
        405,
        406,
        407,
        408,
        409,
    }
    | {410, 411, 412, 420, 421, 431, 432, 433, 434, 435, 451, 452, 470, 481, 482, 492, 493, 500, 501}
    | {600, 610, 620, 630, 650, 700, 701, 702, 711, 712, 720, 721, 730, 740, 750, 751, 752, 753}
    | {770, 771, 772, 773, 774, 775, 780, 781, 785, 790, 791, 792, 793, 795, 902, 999}
)
_PECULIAR: Final = {
    112: 5111,
    113: 5111,
    114: 5111,
    115: 5111,
    116: 5111,
    130: 5220,
    140: 5106,
    141: 4401,
    300: 4752,
}
_BY_HUNDREDS: Final = {0: 4000, 1: 5000, 2: 5000, 3: 4000, 4: 4000, 5: 5000, 6: 5000, 7: 4000, 9: 9000}


def from_internal(internal_code: int) -> int:
    """The error code for a peer's code of up to three digits: the hundreds say which thousands go before it."""
    if internal_code in _PECULIAR:
        return _PECULIAR[internal_code]
    if internal_code in _RULED:
        return _BY_HUNDREDS[internal_code // 100] + internal_code
    hundreds = internal_code // 100
    return 4750 if hundreds in {4, 7} else 5650 if hundreds == 6 else _UNKNOWN


def to_internal(code: int | None) -> int:
    """What we write for an error code of ours; 0 for a message that was delivered."""
    return 0 if code is None else code % 1000


# ---- SMTP ----

_SMTP: Final = (
    dict.fromkeys((530, 534, 535, 538), _LINK)
    | dict.fromkeys((500, 502, 503, 504), _LINK)
    | dict.fromkeys((550, 551, 553), _permanent(4720))
    | dict.fromkeys((523, 552), _permanent(4711))
    | {452: _temporary(5600)}
)
_ENHANCED: Final = {
    "1.7": 4740,
    "1.8": 4740,
    "2.1": 4702,
    "2.2": 4702,
    "2.3": 4711,
    "3.4": 4711,
    "4.4": 4730,
    "4.6": 4401,
    "4.7": 5201,
}
_ENHANCED_SUBJECTS: Final = {"1": 4720, "2": 4702, "3": 5620, "4": 5650, "5": 5620, "6": 4712, "7": 4750}


def smtp_outcome(reply: int, enhanced: str = "") -> Outcome:
    """What an SMTP reply means for a message, and for its recipient if it answers RCPT.

    `enhanced` is the code of RFC 3463 like 5.1.1, which tells more of a reply that means several things.
    """
    if 200 <= reply < 300:
        return OK
    known = _SMTP.get(reply)
    if known is _LINK:
        return known
    code = enhanced_code(enhanced)
    if reply < 500:
        return known or _temporary(code or 5620)
    return _permanent(code or (known.code if known and known.code else 4750))


def enhanced_code(status: str) -> int | None:
    """The error code for a status of RFC 3463 like 5.1.1; None if it says nothing."""
    _, _, detail = status.partition(".")
    if not detail or detail.startswith("0."):
        return None
    return _ENHANCED.get(detail) or _ENHANCED_SUBJECTS.get(detail.partition(".")[0])

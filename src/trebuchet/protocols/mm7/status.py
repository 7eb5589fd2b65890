"""What the status codes of MM7 mean to us: a table. Source: 3GPP TS 23.140 section 8.7.8; the error codes are ours.

What an MMStatus means is `protocols.mm4.status.mm_fate`: both interfaces have the same words.
"""

from typing import Final

from trebuchet.protocols.mm4.status import Fate, Outcome, Verdict, mm_fate

__all__ = [
    "CLIENT_ERROR",
    "SERVER_ERROR",
    "SUCCESS",
    "UNAVAILABLE",
    "Fate",
    "Outcome",
    "Verdict",
    "mm_fate",
    "outcome_of",
    "text_of",
]

SUCCESS: Final = 1000
CLIENT_ERROR: Final = 2000
SERVER_ERROR: Final = 3000
UNAVAILABLE: Final = 4006  # the relay as a whole: no message is to blame
_OK: Final = Outcome(Verdict.OK)
_LINK: Final = Outcome(Verdict.LINK)


def _permanent(code: int) -> Outcome:
    return Outcome(Verdict.PERMANENT, code)


def _temporary(code: int) -> Outcome:
    return Outcome(Verdict.TEMPORARY, code)


_TABLE: Final[dict[int, tuple[str, Outcome]]] = {
    1000: ("Success", _OK),
    1100: ("Partial success", _OK),
    2000: ("Client error", _permanent(4750)),
    2001: ("Operation restricted", _permanent(4493)),
    2002: ("Address error", _permanent(4720)),
    2003: ("Address not found", _permanent(4720)),
    2004: ("Multimedia content refused", _permanent(4712)),
    2005: ("Message ID not found", _permanent(4750)),
    2006: ("LinkedID not found", _permanent(4750)),
    2007: ("Message format corrupt", _permanent(4752)),
    2008: ("Application ID not found", _permanent(4750)),
    2009: ("Reply application ID not found", _permanent(4750)),
    3000: ("Server error", _temporary(5620)),
    3001: ("Not possible", _permanent(4750)),
    3002: ("Message rejected", _permanent(4750)),
    3003: ("Multiple addresses not supported", _permanent(4750)),
    3004: ("Application addressing not supported", _permanent(4750)),
    4000: ("General service error", _temporary(5620)),
    4001: ("Improper identification", _LINK),
    4002: ("Version not supported", _LINK),
    4003: ("Unsupported operation", _permanent(4700)),
    4004: ("Validation error", _permanent(4752)),
    4005: ("Service error", _permanent(4750)),
    4006: ("Service unavailable", _LINK),
    4007: ("Service denied", _permanent(4493)),
    4008: ("Application denied", _permanent(4750)),
}


def outcome_of(status: int) -> Outcome:
    """Of an answer's StatusCode. One that is not in the table is what its thousands and their class say."""
    known = _TABLE.get(status)
    if known is not None:
        return known[1]
    return _OK if 1000 <= status < 2000 else _permanent(4750)


def text_of(status: int) -> str:
    """StatusText of what we answer."""
    return _TABLE[status][0]

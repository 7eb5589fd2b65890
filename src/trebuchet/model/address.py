"""Telephone numbers as the HTTP edge takes them. Sources: E.164; NANP rules of the North American numbering plan.

Short codes and alphanumeric senders are never normalised. A number without `+` is read as North American
when it has ten digits, or eleven that start with 1.
"""

import enum
import re

from trebuchet.model.account import NumberKind

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_BARE_NANP = re.compile(r"1?[2-9]\d{9}", re.ASCII)
_SHORT_CODE = re.compile(r"[2-9]\d{4,5}", re.ASCII)
_ALPHANUMERIC = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 \-+_&]{1,11}", re.ASCII)
_EMERGENCY = re.compile(r"(\+?1)?(911|933|[2-8]11)", re.ASCII)
_PREMIUM = re.compile(r"\+1(900|976|700)\d{7}|\+1\d{3}976\d{4}", re.ASCII)

# Area codes of the North American toll-free service.
TOLL_FREE_PREFIXES = ("+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888")


class NumberClass(enum.StrEnum):
    """What sort of number a stored one of ours is, for searches; storage engines tell them apart in SQL."""

    LOCAL = "local"
    TOLL_FREE = "toll_free"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"


def normalise_e164(written: str) -> str | None:
    """`+` and 7 to 15 digits, or None if `written` is not a telephone number."""
    if _E164.fullmatch(written):
        return written
    if _BARE_NANP.fullmatch(written):
        return "+1" + written[-10:]
    return None


def kind_of(written: str) -> NumberKind | None:
    """What sort of sender this is, or None if it is none."""
    if normalise_e164(written) is not None:
        return NumberKind.E164
    if _SHORT_CODE.fullmatch(written):
        return NumberKind.SHORT_CODE
    if _ALPHANUMERIC.fullmatch(written):
        return NumberKind.ALPHANUMERIC
    return None


def normalise_sender(written: str) -> str | None:
    """A sender as numbers are stored: E.164 normalised, short codes and alphanumeric ids as written."""
    kind = kind_of(written)
    return normalise_e164(written) if kind is NumberKind.E164 else written if kind else None


def is_emergency(number: str) -> bool:
    """Numbers of the N11 and 933 services, with or without a country code."""
    return _EMERGENCY.fullmatch(number) is not None


def is_premium(number: str) -> bool:
    return _PREMIUM.fullmatch(number) is not None


def is_nanp(number: str) -> bool:
    return number.startswith("+1")


def class_of(number: str) -> NumberClass:
    """The class of a number as it is stored."""
    if number.lower() != number.upper():
        return NumberClass.ALPHANUMERIC
    if not number.startswith("+"):
        return NumberClass.SHORT_CODE
    return NumberClass.TOLL_FREE if number.startswith(TOLL_FREE_PREFIXES) else NumberClass.LOCAL

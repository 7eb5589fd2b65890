"""Times as SMPP writes them: sixteen characters. Source: SMPP 3.4 section 7.1.1, SMPP 5.0 section 4.7.23.

    YYMMDDhhmmsstnn+    local time, tenths of a second, and how many quarters of an hour it is ahead of UTC
    YYMMDDhhmmsstnn-    … or behind
    YYMMDDhhmmss000R    a duration from when the SMSC took the message

The century is the twenty-first. A month of a duration has 30 days here and a year 365; the specification does
not say. So durations of up to 31 days are written as days, and longer ones may come out differently at the peer.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from trebuchet.protocols.smpp.errors import EncodeError, MalformedTime

_DAY_S: Final = 86_400
_MONTH_DAYS: Final = 30
_YEAR_DAYS: Final = 365
_DAYS_WRITTEN: Final = 31  # the field has two digits, but peers check it for a day of a month
RELATIVE_MAX_S: Final = 100 * _YEAR_DAYS * _DAY_S - 1
_ABSOLUTE_MIN_S: Final = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())
_ABSOLUTE_MAX_S: Final = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) - 1


class Absolute(msgspec.Struct, frozen=True):
    """A moment, in seconds since 1970 UTC. Tenths are dropped."""

    epoch_s: int


class Relative(msgspec.Struct, frozen=True):
    """A duration in seconds."""

    seconds: int


def relative(seconds: int) -> str:
    """The duration of `seconds`. Raises EncodeError below 0 and above RELATIVE_MAX_S, which is a century."""
    if not 0 <= seconds <= RELATIVE_MAX_S:
        raise EncodeError("time", "the duration is negative or longer than a century")
    days, rest = divmod(seconds, _DAY_S)
    years = months = 0
    if days > _DAYS_WRITTEN:
        years, days = divmod(days, _YEAR_DAYS)
        months, days = divmod(days, _MONTH_DAYS)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{years:02}{months:02}{days:02}{hours:02}{minutes:02}{rest:02}000R"


def absolute(epoch_s: int) -> str:
    """The moment `epoch_s` (seconds since 1970 UTC) as UTC. Raises EncodeError outside of 2000 to 2099."""
    if not _ABSOLUTE_MIN_S <= epoch_s <= _ABSOLUTE_MAX_S:
        raise EncodeError("time", "the moment is not in the years 2000 to 2099")
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%y%m%d%H%M%S") + "000+"


def parse(text: str) -> Absolute | Relative:
    """What `text` says. Raises MalformedTime. The empty text, which means "now" or "none", is malformed here."""
    digits, sign = text[:-1], text[-1:]
    if len(digits) != 15 or not (digits.isascii() and digits.isdigit()):
        raise MalformedTime("a time has 15 digits and one letter or sign")
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    if sign == "R":
        days = year * _YEAR_DAYS + month * _MONTH_DAYS + day
        return Relative(days * _DAY_S + hour * 3600 + minute * 60 + second)
    quarters = int(digits[13:])
    if sign not in "+-" or quarters > 48:
        raise MalformedTime("a time ends with R, or with up to 48 quarters of an hour and + or -")
    try:
        local = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise MalformedTime("there is no such day or time of day") from None
    offset_s = quarters * 900 if sign == "+" else -quarters * 900
    return Absolute(int(local.timestamp()) - offset_s)

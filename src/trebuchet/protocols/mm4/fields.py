"""How each kind of header is read and written. What cannot be read as its kind is None; writing raises EncodeError."""

import datetime as dt
import email.utils
import enum
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from trebuchet.protocols.mm4 import address
from trebuchet.protocols.mm4.address import Address, Dialect
from trebuchet.protocols.mm4.errors import EncodeError
from trebuchet.protocols.mm4.headers import structured, unstructured, verbatim, words

_MAILBOX: Final = re.compile(r"[!-~]+", re.ASCII)
_COUNT: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_DATE_MAX: Final = 100  # characters that are looked at
_LAST_S: Final = 253_402_300_799  # the end of the year 9999
_YES: Final = frozenset({"yes", "y", "true", "1"})
_NO: Final = frozenset({"no", "n", "false", "0"})


class Kind(NamedTuple):
    """`read` takes the values of all headers of the name, none of them empty; `write` gives whole header lines.

    `kept`: a value that is not of this kind stays in the message's `extra`.
    """

    read: Callable[[list[str], Dialect], Any]
    write: Callable[[str, Any, Dialect], bytes]
    kept: bool = False


def _read_addresses(written: list[str], dialect: Dialect) -> tuple[Address, ...] | None:
    return tuple(found for value in written for found in address.parse_list(value, dialect)) or None


def _write_addresses(header: str, value: tuple[Address, ...], dialect: Dialect) -> bytes:
    lines = ",\r\n ".join(address.render_header(each, dialect) for each in value)
    return f"{header}: {lines}\r\n".encode("ascii")


def _read_address(written: list[str], dialect: Dialect) -> Address | None:
    return next(iter(_read_addresses(written, dialect) or ()), None)


def _write_address(header: str, value: Address, dialect: Dialect) -> bytes:
    return _write_addresses(header, (value,), dialect)


def _read_mailbox(written: list[str], _: Dialect) -> str | None:
    for value in written:
        for each in address.split_list(value):
            found = address.mailbox(each)
            if _MAILBOX.fullmatch(found) and address.mailbox(found) == found:
                return found
    return None


def _write_mailbox(header: str, value: str, _: Dialect) -> bytes:
    if not _MAILBOX.fullmatch(value) or address.mailbox(value) != value:
        raise EncodeError(header, "not a mailbox")
    return structured(header, value)


def _read_mail_id(written: list[str], _: Dialect) -> str | None:
    return written[0].strip("<> ") or None


def _write_mail_id(header: str, value: str, _: Dialect) -> bytes:
    if value != value.strip("<> "):
        raise EncodeError(header, "angle brackets or blanks around it")
    return verbatim(header, f"<{value}>")


def _read_date(written: list[str], _: Dialect) -> int | None:
    """RFC 5322, or ISO 8601, which some relays write; without a zone it is UTC."""
    value = written[0][:_DATE_MAX]
    if value.isdigit():
        return None  # a duration
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        try:
            moment = dt.datetime.fromisoformat(value)
        except ValueError:
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    try:
        seconds = int(moment.timestamp())
    except OverflowError:
        return None
    return seconds if 0 <= seconds <= _LAST_S else None


def _write_date(header: str, value: int, _: Dialect) -> bytes:
    if not 0 <= value <= _LAST_S:
        raise EncodeError(header, "not a moment of the years 1970 to 9999")
    return structured(header, email.utils.format_datetime(dt.datetime.fromtimestamp(value, dt.UTC)))


def _read_count(written: list[str], _: Dialect) -> int | None:
    return int(written[0]) if _COUNT.fullmatch(written[0]) else None


def _write_count(header: str, value: int, _: Dialect) -> bytes:
    if not _COUNT.fullmatch(str(value)):
        raise EncodeError(header, "not a number of up to nine digits")
    return structured(header, str(value))


def _read_flag(written: list[str], _: Dialect) -> bool | None:
    word = written[0].lower() if written else ""
    return True if word in _YES else False if word in _NO else None


def _write_flag(header: str, value: bool, _: Dialect) -> bytes:
    return structured(header, "Yes" if value else "No")


def _read_visibility(written: list[str], _: Dialect) -> bool | None:
    return {"show": True, "hide": False}.get(written[0].lower())


def _write_visibility(header: str, value: bool, _: Dialect) -> bytes:
    return structured(header, "Show" if value else "Hide")


def _read_text(written: list[str], _: Dialect) -> str | None:
    return words(written[0]) or None


def _write_text(header: str, value: str, _: Dialect) -> bytes:
    return unstructured(header, value)


def _read_texts(written: list[str], _: Dialect) -> tuple[str, ...] | None:
    return tuple(filter(None, map(words, written))) or None


def _write_texts(header: str, value: tuple[str, ...], _: Dialect) -> bytes:
    return b"".join(unstructured(header, each) for each in value)


def status(known: type[enum.StrEnum], also: Mapping[str, enum.StrEnum] | None = None) -> Kind:
    """A word of `known` whatever its case, in `also` under other spellings; any other text as it is."""
    spelt: dict[str, str] = {**{each.lower(): each for each in known}, **(also or {})}

    def read(written: list[str], _: Dialect) -> str | None:
        value = words(written[0])
        return spelt.get(value.lower(), value) or None

    return Kind(read, _write_text)


def word(known: type[enum.StrEnum]) -> Kind:
    """A word of `known` whatever its case."""
    spelt = {each.lower(): each for each in known}

    def read(written: list[str], _: Dialect) -> enum.StrEnum | None:
        return spelt.get(written[0].lower())

    return Kind(read, _write_text, kept=True)


ADDRESS: Final = Kind(_read_address, _write_address)
ADDRESSES: Final = Kind(_read_addresses, _write_addresses)
MAILBOX: Final = Kind(_read_mailbox, _write_mailbox)
MAIL_ID: Final = Kind(_read_mail_id, _write_mail_id)
DATE: Final = Kind(_read_date, _write_date, kept=True)
COUNT: Final = Kind(_read_count, _write_count, kept=True)
FLAG: Final = Kind(_read_flag, _write_flag)
OPTIONAL_FLAG: Final = Kind(_read_flag, _write_flag, kept=True)
SHOW_HIDE: Final = Kind(_read_visibility, _write_visibility, kept=True)
TEXT: Final = Kind(_read_text, _write_text)
TEXTS: Final = Kind(_read_texts, _write_texts)

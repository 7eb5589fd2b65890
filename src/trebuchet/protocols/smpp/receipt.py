"""Delivery receipts: what a deliver_sm says about a message, and how an SMSC writes one.

The text form is a convention (SMPP 3.4 appendix B) that every vendor bends: keys are missing, reordered, glued
together or capitalised, ids hold letters and dashes, dates have ten, twelve or fourteen digits. So nothing here
fails; what is missing is None or empty. Optional parameters go before the text, except for the error.
"""

import enum
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from trebuchet.protocols.smpp import tlv
from trebuchet.protocols.smpp.constants import INTERMEDIATE, RECEIPT, TYPE_MASK, MessageState
from trebuchet.protocols.smpp.pattern import Pattern
from trebuchet.protocols.smpp.tlv import Tag

_TEXT_MAX: Final = 1024  # characters that are looked at: a receipt has some two hundred
_ID_MAX: Final = 255

# Longest first, so that no key hides in another. `submitdate` and `donedate` lack their blank.
_KEYS: Final = {
    "submit date": "submit_date",
    "submitdate": "submit_date",
    "done date": "done_date",
    "donedate": "done_date",
    "dlvrd": "dlvrd",
    "stat": "stat",
    "text": "text",
    "sub": "sub",
    "err": "err",
    "id": "id",
}
_KEY: Final = re.compile(r"(?<![^\W_])(" + "|".join(map(re.escape, _KEYS)) + r"):", re.IGNORECASE | re.ASCII)

_STATES: Final = {
    "scheduled": MessageState.SCHEDULED,
    "schedld": MessageState.SCHEDULED,
    "enroute": MessageState.ENROUTE,
    "buffred": MessageState.ENROUTE,
    "bufferd": MessageState.ENROUTE,
    "buffered": MessageState.ENROUTE,
    "delivrd": MessageState.DELIVERED,
    "delivered": MessageState.DELIVERED,
    "expired": MessageState.EXPIRED,
    "deleted": MessageState.DELETED,
    "undeliv": MessageState.UNDELIVERABLE,
    "undelivered": MessageState.UNDELIVERABLE,
    "undeliverable": MessageState.UNDELIVERABLE,
    "failed": MessageState.UNDELIVERABLE,
    "syserr": MessageState.UNDELIVERABLE,
    "acceptd": MessageState.ACCEPTED,
    "accepted": MessageState.ACCEPTED,
    "acked": MessageState.ACCEPTED,
    "unknown": MessageState.UNKNOWN,
    "rejectd": MessageState.REJECTED,
    "rejected": MessageState.REJECTED,
    "nack": MessageState.REJECTED,
    "skipped": MessageState.SKIPPED,
}
_NUMBERS: Final = frozenset(map(int, MessageState))
# What an SMSC writes for each state.
WORDS: Final = {
    MessageState.SCHEDULED: "SCHEDLD",
    MessageState.ENROUTE: "ENROUTE",
    MessageState.DELIVERED: "DELIVRD",
    MessageState.EXPIRED: "EXPIRED",
    MessageState.DELETED: "DELETED",
    MessageState.UNDELIVERABLE: "UNDELIV",
    MessageState.ACCEPTED: "ACCEPTD",
    MessageState.UNKNOWN: "UNKNOWN",
    MessageState.REJECTED: "REJECTD",
    MessageState.SKIPPED: "SKIPPED",
}


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says. Words, dates and numbers are as the peer wrote them."""

    message_id: str | None = None
    state: MessageState | None = None  # UNKNOWN for a word that nobody knows
    stat: str = ""
    err: str = ""
    sub: str = ""
    dlvrd: str = ""
    submit_date: str = ""
    done_date: str = ""
    text: str = ""  # the start of the message it is about
    network_error: tuple[int, int] | None = None  # network type and code
    user_reference: int | None = None
    intermediate: bool = False  # closes nothing, whatever its state


def is_receipt(esm_class: int, tlvs: tuple[tuple[int, bytes], ...] = ()) -> bool:
    """Whether a deliver_sm is a receipt: by its esm_class, or because it has both parameters that only receipts have.

    Source: SMPP 3.4 sections 5.2.12 and 5.3.2.12. Mode bits and UDHI may be set beside.
    """
    if esm_class & TYPE_MASK in (RECEIPT, INTERMEDIATE):
        return True
    if esm_class & TYPE_MASK or not tlvs:
        return False
    return (
        tlv.first(tlvs, Tag.RECEIPTED_MESSAGE_ID) is not None
        and tlv.first(tlvs, Tag.MESSAGE_STATE) is not None
    )


def parse(
    text: str,
    tlvs: tuple[tuple[int, bytes], ...] = (),
    *,
    intermediate: bool = False,
    pattern: Pattern | None = None,
) -> Fields | None:
    """What text and optional parameters say; None if they name no message or no state.

    `pattern` replaces the conventional form.
    """
    found = (pattern.read if pattern is not None else _scan)(text[:_TEXT_MAX])
    message_id = _parameter_text(tlvs, Tag.RECEIPTED_MESSAGE_ID) or found.get("id", "")[:_ID_MAX] or None
    stat = found.get("stat", "")
    state = _state(tlvs, stat)
    if message_id is None or state is None:
        return None
    return Fields(
        message_id=message_id,
        state=state,
        stat=stat,
        err=found.get("err", ""),
        sub=found.get("sub", ""),
        dlvrd=found.get("dlvrd", ""),
        submit_date=found.get("submit_date", ""),
        done_date=found.get("done_date", ""),
        text=found.get("text", ""),
        network_error=_parameter_network_error(tlvs),
        user_reference=_parameter_reference(tlvs),
        intermediate=intermediate,
    )


def _scan(text: str) -> dict[str, str]:
    """Each key's value: up to the next key; of ids, words and numbers the first word. The first of a key counts."""
    found: dict[str, str] = {}
    for name, value in _pieces(text):
        if name in found:
            continue
        if name == "text":
            found[name] = value
            break
        found[name] = value.split(None, 1)[0] if value.strip() else ""
    return found


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    keys = list(_KEY.finditer(text))
    for place, key in enumerate(keys):
        name = _KEYS[key[1].lower()]
        if name == "text":  # the rest is the message's own, whatever it looks like
            yield name, text[key.end() :]
            return
        end = keys[place + 1].start() if place + 1 < len(keys) else len(text)
        yield name, text[key.end() : end]


def _parameter_text(tlvs: tuple[tuple[int, bytes], ...], tag: Tag) -> str:
    value = tlv.first(tlvs, tag)
    return tlv.text(value).strip()[:_ID_MAX] if value else ""


def _state(tlvs: tuple[tuple[int, bytes], ...], stat: str) -> MessageState | None:
    """By number, or by word if there is no number or none that is known; None if there is neither."""
    value = tlv.first(tlvs, Tag.MESSAGE_STATE)
    if value and value[0] in _NUMBERS:
        return MessageState(value[0])
    if stat:
        return _STATES.get(stat.lower(), MessageState.UNKNOWN)
    return MessageState.UNKNOWN if value else None


def _parameter_network_error(tlvs: tuple[tuple[int, bytes], ...]) -> tuple[int, int] | None:
    value = tlv.first(tlvs, Tag.NETWORK_ERROR_CODE)
    return (value[0], int.from_bytes(value[1:3])) if value and len(value) == 3 else None


def _parameter_reference(tlvs: tuple[tuple[int, bytes], ...]) -> int | None:
    value = tlv.first(tlvs, Tag.USER_MESSAGE_REFERENCE)
    return int.from_bytes(value) if value and len(value) == 2 else None


# ---- the SMSC's side ----


class Style(enum.StrEnum):
    """How an SMSC writes its receipts: what is met in the field."""

    STANDARD = "standard"  # dates of twelve digits
    SHORT_DATES = "short-dates"  # ten digits, as in the specification's appendix
    LONG_DATES = "long-dates"  # fourteen
    NO_COUNTS = "no-counts"  # without sub and dlvrd
    LOWER = "lower"  # keys and state in lower case
    SPACED = "spaced"  # a blank after each colon
    TLV_ONLY = "tlv-only"  # no text at all


def format(  # noqa: A001  # the counterpart of `parse`
    message_id: str,
    state: MessageState,
    *,
    submit_date: str,
    done_date: str,
    err: str = "000",
    text: str = "",
    style: Style = Style.STANDARD,
) -> str:
    """The text of a receipt. Dates are given with fourteen digits (YYYYMMDDhhmmss) and cut as the style wants.

    Of `text` the first 20 characters are quoted. Optional parameters are the caller's.
    """
    if style is Style.TLV_ONLY:
        return ""
    delivered = state is MessageState.DELIVERED
    first, last = {Style.SHORT_DATES: (2, 12), Style.LONG_DATES: (0, 14)}.get(style, (2, 14))
    counts = "" if style is Style.NO_COUNTS else f"sub:001 dlvrd:{int(delivered):03d} "
    written = (
        f"id:{message_id} {counts}submit date:{submit_date[first:last]} done date:{done_date[first:last]} "
        f"stat:{WORDS[state]} err:{err} text:"
    )
    if style is Style.LOWER:
        # The id keeps its letters: it is compared as it is.
        head, tail = written.split(" ", 1)
        written = f"{head} {tail.lower()}"
    elif style is Style.SPACED:
        written = written.replace(":", ": ")
    return written + text[:20]

"""Bounces: mails in which a mail system says that it could not deliver one of ours. Source: RFC 3464, RFC 6522."""

import enum
import re
from typing import Final

import msgspec

from trebuchet.protocols.mm4.address import STANDARD, Address, Dialect, parse
from trebuchet.protocols.mm4.charsets import on_one_line
from trebuchet.protocols.mm4.errors import Mm4Error
from trebuchet.protocols.mm4.headers import LIMITS, Headers, Limits, parameters, parse_block, words
from trebuchet.protocols.mm4.mime import leaves
from trebuchet.protocols.mm4.pdu import normalised

_STATUS: Final = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", re.ASCII)
_REPLY: Final = re.compile(r"\b([245][0-9]{2})\b", re.ASCII)
_TEXT_MAX: Final = 500  # characters of a diagnostic text that are kept


class Action(enum.StrEnum):
    """RFC 3464 section 2.3.3. Only FAILED is the end."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What a bounce says of one recipient."""

    recipient: Address | None
    action: Action
    status: str = ""  # like 5.1.1
    reply: int | None = None  # the SMTP reply that is quoted
    diagnostic: str = ""


class Bounce(msgspec.Struct, frozen=True, kw_only=True):
    """Ids are those of the mail that came back; empty if it is not quoted."""

    envelope_id: str = ""
    transaction_id: str = ""
    message_id: str = ""
    mail_id: str = ""
    fates: tuple[Fate, ...] = ()


def read(octets: bytes, dialect: Dialect = STANDARD, limits: Limits = LIMITS) -> Bounce | None:
    """What a delivery status notification says; None for any other mail, and for one that cannot be read."""
    try:
        headers, body = parse_block(octets, limits=limits)
        content_type, given = parameters(headers.first("Content-Type"))
        if content_type.lower() != "multipart/report":
            return None
        if given.get("report-type", "delivery-status").lower() != "delivery-status":
            return None
        parts = leaves(headers, octets, body, len(octets), limits)
        report = next((part for part in parts if part.content_type in _REPORTS), None)
        if report is None:
            return None
        original = next((part for part in parts if part.content_type in _ORIGINALS), None)
        quoted = parse_block(original.octets, limits=limits)[0] if original else Headers(())
        groups = _groups(report.octets, limits)
    except Mm4Error:
        return None
    fates = (_fate(group, dialect) for group in groups[1:])
    return Bounce(
        envelope_id=groups[0].first("Original-Envelope-Id"),
        transaction_id=quoted.first("X-Mms-Transaction-ID"),
        message_id=quoted.first("X-Mms-Message-ID"),
        mail_id=normalised(quoted.first("Message-ID")),
        fates=tuple(fate for fate in fates if fate is not None),
    )


_REPORTS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINALS: Final = frozenset(
    {
        "message/rfc822",
        "text/rfc822-headers",
        "message/global",
        "message/global-headers",
        "message/rfc822-headers",
    }
)


def _groups(octets: bytes, limits: Limits) -> list[Headers]:
    """Groups of fields between empty lines: that of the mail, then one for each recipient."""
    groups: list[Headers] = []
    place = 0
    while place < len(octets) and len(groups) <= limits.parts:
        headers, place = parse_block(octets, place, limits=limits)
        if headers.fields:
            groups.append(headers)
    return groups or [Headers(())]


def _fate(group: Headers, dialect: Dialect) -> Fate | None:
    try:
        action = Action(group.first("Action").partition(" ")[0].lower())
    except ValueError:
        return None
    written = group.first("Original-Recipient") or group.first("Final-Recipient")
    diagnostic = words(group.first("Diagnostic-Code"))
    status = _STATUS.search(group.first("Status"))
    reply = _REPLY.search(diagnostic)
    return Fate(
        recipient=parse(written.partition(";")[2].strip() or written, dialect),
        action=action,
        status=status[0] if status else "",
        reply=int(reply[1]) if reply else None,
        diagnostic=on_one_line(diagnostic.partition(";")[2] or diagnostic)[:_TEXT_MAX],
    )

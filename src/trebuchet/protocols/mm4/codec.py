"""MM4 messages from mails and to mails. Source: 3GPP TS 23.140 section 8.4.

What each message has is a table of headers; the content is `mime`'s. Reading asks for little: type, ids, a status
where the message is about one. Writing gives what the specification makes mandatory, and what is set.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from trebuchet.protocols.mm4 import fields, mime, pdu
from trebuchet.protocols.mm4.address import STANDARD, Dialect
from trebuchet.protocols.mm4.errors import About, EncodeError, Mm4Error
from trebuchet.protocols.mm4.fields import Kind
from trebuchet.protocols.mm4.headers import (
    LIMITS,
    Headers,
    Limits,
    parse_block,
    structured,
    unstructured,
    verbatim,
    words,
)
from trebuchet.protocols.mm4.mime import EncodedPart
from trebuchet.protocols.mm4.pdu import MessageType, RequestStatus

ID_MAX: Final = 256  # characters: of a Transaction-ID or Message-ID, which must fit a line of the answer
_VERSION: Final = "X-Mms-3GPP-MMS-Version"
_TYPE: Final = "X-Mms-Message-Type"
_TRANSACTION_ID: Final = "X-Mms-Transaction-ID"
_MESSAGE_ID: Final = "X-Mms-Message-ID"
_EXTRA: Final = re.compile(r"X-[A-Z0-9\-]{1,70}", re.ASCII | re.IGNORECASE)


class Field(NamedTuple):
    """One header of one kind of message: its name, the attribute that has it, and how it is read and written."""

    header: str
    attribute: str
    kind: Kind
    aliases: tuple[str, ...] = ()
    required: RequestStatus | None = None  # what its absence is answered with


_CORRUPT: Final = RequestStatus.FORMAT_CORRUPT
_COMMON: Final = (
    Field("Sender", "system", fields.MAILBOX),
    Field("Message-ID", "mail_id", fields.MAIL_ID),
    Field("Date", "date_s", fields.DATE),
)
_INTERNAL: Final = Field("X-Internal-Status-Code", "internal_code", fields.COUNT)
_TEXT: Final = Field("X-Mms-Status-Text", "status_text", fields.TEXT)
_ACK: Final = Field("X-Mms-Ack-Request", "ack_request", fields.FLAG)
_ANSWER: Final = (
    *_COMMON,
    Field("To", "to", fields.MAILBOX),
    Field(
        "X-Mms-Request-Status-Code",
        "status",
        fields.status(pdu.RequestStatus),
        aliases=("X-Mms-Request-Status",),
        required=_CORRUPT,
    ),
    _TEXT,
    _INTERNAL,
)
FORWARD_REQ: Final = (
    *_COMMON,
    Field("From", "source", fields.ADDRESS, required=RequestStatus.SENDING_ADDRESS_UNRESOLVED),
    Field("To", "to", fields.ADDRESSES),
    Field("Cc", "cc", fields.ADDRESSES),
    Field("Bcc", "bcc", fields.ADDRESSES),
    Field("Subject", "subject", fields.TEXT),
    Field("X-Mms-Originator-System", "originator_system", fields.MAILBOX),
    _ACK,
    Field("X-Mms-Delivery-Report", "delivery_report", fields.FLAG),
    Field("X-Mms-Read-Reply", "read_reply", fields.FLAG, aliases=("X-Mms-Read-Report",)),
    Field("X-Mms-Message-Class", "message_class", fields.word(pdu.MessageClass)),
    Field("X-Mms-Priority", "priority", fields.word(pdu.Priority)),
    Field("X-Mms-Sender-Visibility", "sender_visible", fields.SHOW_HIDE),
    Field("X-Mms-Expiry", "expires_s", fields.DATE),
    Field("X-Mms-Expiry", "expires_after_s", fields.COUNT),
    Field("X-Mms-Forward-Counter", "forward_counter", fields.COUNT),
    Field("X-Mms-Previously-Sent-By", "previously_sent_by", fields.TEXTS),
    Field("X-Mms-Previously-Sent-Date-and-Time", "previously_sent_at", fields.TEXTS),
    Field(
        "X-Mms-Originator-R/S-Delivery-Report",
        "originator_rs_delivery_report",
        fields.OPTIONAL_FLAG,
        aliases=("X-Mms-Originator-RS-Delivery-Report",),
    ),
    Field("X-Mms-Adaptation-Allowed", "adaptation_allowed", fields.OPTIONAL_FLAG),
    Field("X-Mms-Content-Class", "content_class", fields.TEXT),
    Field("X-Mms-Drm-Content", "drm_content", fields.OPTIONAL_FLAG),
    Field("X-Mms-Applic-ID", "applic_id", fields.TEXT),
    Field("X-Mms-Reply-Applic-ID", "reply_applic_id", fields.TEXT),
    Field("X-Mms-Aux-Applic-Info", "aux_applic_info", fields.TEXT),
)
FORWARD_RES: Final = (*_ANSWER, Field("X-Mms-Request-Recipients", "recipients", fields.ADDRESSES))
DELIVERY_REPORT_REQ: Final = (
    *_COMMON,
    Field("From", "source", fields.ADDRESS),
    Field("To", "to", fields.ADDRESS),
    Field(
        "X-Mms-MM-Status-Code",
        "status",
        fields.status(pdu.MmStatus, {"unrecognized": pdu.MmStatus.UNRECOGNISED}),
        aliases=("X-Mms-Status", "X-Mms-MM-Status"),
        required=_CORRUPT,
    ),
    Field("X-Mms-MM-Status-Extension", "status_extension", fields.status(pdu.StatusExtension)),
    _TEXT,
    _ACK,
    Field("X-Mms-Forward-To-Originator-UA", "forward_to_originator_ua", fields.OPTIONAL_FLAG),
    _INTERNAL,
)
READ_REPLY_REQ: Final = (
    *_COMMON,
    Field("From", "source", fields.ADDRESS),
    Field("To", "to", fields.ADDRESS),
    Field(
        "X-Mms-Read-Status",
        "status",
        fields.status(pdu.ReadStatus),
        aliases=("X-Mms-MM-Read-Status",),
        required=_CORRUPT,
    ),
    _TEXT,
    _ACK,
)
_MESSAGES: Final[dict[MessageType, tuple[type[pdu.Pdu], tuple[Field, ...]]]] = {
    MessageType.FORWARD_REQ: (pdu.ForwardReq, FORWARD_REQ),
    MessageType.FORWARD_RES: (pdu.ForwardRes, FORWARD_RES),
    MessageType.DELIVERY_REPORT_REQ: (pdu.DeliveryReportReq, DELIVERY_REPORT_REQ),
    MessageType.DELIVERY_REPORT_RES: (pdu.DeliveryReportRes, _ANSWER),
    MessageType.READ_REPLY_REQ: (pdu.ReadReplyReq, READ_REPLY_REQ),
    MessageType.READ_REPLY_RES: (pdu.ReadReplyRes, _ANSWER),
}
_TYPES: Final = {each.lower(): each for each in MessageType}
_OWN_NAMES: Final = frozenset(
    name.lower()
    for _, table in _MESSAGES.values()
    for field in table
    for name in (field.header, *field.aliases)
) | {_VERSION.lower(), _TYPE.lower(), _TRANSACTION_ID.lower(), _MESSAGE_ID.lower()}


# ---- reading ----


def decode(octets: bytes, dialect: Dialect = STANDARD, limits: Limits = LIMITS) -> pdu.Pdu:
    """The message that a mail is. Raises Mm4Error, which says what can be answered."""
    headers, body = parse_block(octets, limits=limits)
    about = _about(headers)
    try:
        return _decoded(headers, octets, body, dialect, limits)
    except Mm4Error as error:
        raise Mm4Error(error.what, error.status, about) from None


def _decoded(headers: Headers, octets: bytes, body: int, dialect: Dialect, limits: Limits) -> pdu.Pdu:
    written_type = headers.first(_TYPE)
    if not written_type:
        raise Mm4Error("no message type")
    message_type = _TYPES.get(written_type.lower())
    if message_type is None:
        raise Mm4Error("an unknown message type", RequestStatus.UNSUPPORTED_MESSAGE)
    made, table = _MESSAGES[message_type]
    values: dict[str, Any] = {
        "version": _version(headers),
        "transaction_id": _id(headers, _TRANSACTION_ID),
        "message_id": _id(headers, _MESSAGE_ID),
    }
    unusable: set[str] = set()
    for field in table:
        written = [value for name in (field.header, *field.aliases) for value in headers.all(name) if value]
        value = field.kind.read(written, dialect) if written else None
        if value is not None:
            values[field.attribute] = value
        elif field.required is not None:
            raise Mm4Error(f"no {field.header}", field.required)
        elif written and field.kind.kept:
            unusable |= {name.lower() for name in (field.header, *field.aliases)}
    if "expires_s" in values or "expires_after_s" in values:
        unusable.discard("x-mms-expiry")
    if message_type is MessageType.FORWARD_REQ:
        values["parts"] = mime.leaves(headers, octets, body, len(octets), limits)
    elif "system" not in values and message_type.endswith(".RES"):
        values["system"] = fields.MAILBOX.read(headers.all("From"), dialect) or ""
    return made(**values, extra=_extra(headers, unusable))


def _id(headers: Headers, name: str) -> str:
    value = headers.first(name)
    if not pdu.normalised(value):
        raise Mm4Error(f"no {name}")
    if not _is_id(value):
        raise Mm4Error(f"an {name} that is not printable ASCII, or too long")
    return value


def _version(headers: Headers) -> str:
    """Any is accepted; one that could not be repeated in an answer counts as none."""
    value = headers.first(_VERSION)
    return value if _is_id(value) and len(value) <= 40 else ""


def _is_id(value: str) -> bool:
    return value.isascii() and value.isprintable() and len(value) <= ID_MAX


def _extra(headers: Headers, unusable: set[str]) -> tuple[tuple[str, str], ...]:
    """Headers of MMS that are no fields of the message, and those of its fields that could not be read."""
    return tuple(
        (name, words(value))
        for name, value in headers.fields
        if _EXTRA.fullmatch(name)
        and name.lower().startswith("x-mms-")
        and (name.lower() not in _OWN_NAMES or name.lower() in unusable)
    )


def _about(headers: Headers) -> About:
    written_type = headers.first(_TYPE)
    transaction_id, message_id = headers.first(_TRANSACTION_ID), headers.first(_MESSAGE_ID)
    boxes = (headers.all(name) for name in ("X-Mms-Originator-System", "Sender"))
    return About(
        message_type=_TYPES.get(written_type.lower(), written_type[:80]),
        transaction_id=transaction_id if _is_id(transaction_id) else "",
        message_id=message_id if _is_id(message_id) else "",
        version=_version(headers),
        reply_to=next(filter(None, (fields.MAILBOX.read(box, STANDARD) for box in boxes)), ""),
        ack_request=bool(fields.FLAG.read(headers.all(_ACK.header), STANDARD)),
    )


# ---- writing ----


def encode(
    message: pdu.Pdu,
    boundary: str = "",
    *,
    dialect: Dialect = STANDARD,
    parts: Sequence[EncodedPart] | None = None,
) -> bytes:
    """The mail, 7-bit clean, its lines ended by CR LF and at most 998 octets long. Raises EncodeError.

    `boundary` is for a ForwardReq: letters and digits, unlike any other. `parts` go instead of the message's own,
    which are encoded anew each time.
    """
    _, table = _MESSAGES[message.TYPE]
    pieces = [
        b"MIME-Version: 1.0\r\n",
        verbatim(_VERSION, message.version or pdu.VERSION),
        verbatim(_TYPE, message.TYPE),
        *(_encoded_id(_TRANSACTION_ID, message.transaction_id), _encoded_id(_MESSAGE_ID, message.message_id)),
    ]
    if isinstance(message, pdu.Response) and message.system:
        pieces.append(fields.MAILBOX.write("From", message.system, dialect))
    for field in table:
        value = getattr(message, field.attribute)
        if value not in (None, "", ()):
            pieces.append(field.kind.write(field.header, value, dialect))
    pieces += _encoded_extra(message, table)
    if isinstance(message, pdu.ForwardReq):
        if parts is None:
            parts = [mime.encode_part(part) for part in message.parts]
        content_type, body = mime.multipart(parts, boundary)
        return b"".join([*pieces, structured("Content-Type", content_type), b"\r\n", *body])
    return b"".join([*pieces, b"Content-Type: text/plain; charset=us-ascii\r\n\r\n"])


def _encoded_id(header: str, value: str) -> bytes:
    if not pdu.normalised(value) or not _is_id(value):
        raise EncodeError(header, "empty, not printable ASCII, or too long")
    return verbatim(header, value)


def _encoded_extra(message: pdu.Pdu, table: tuple[Field, ...]) -> list[bytes]:
    """Those whose names no field of the message has written already."""
    taken = {
        field.header.lower() for field in table if getattr(message, field.attribute) not in (None, "", ())
    }
    taken |= {_VERSION.lower(), _TYPE.lower(), _TRANSACTION_ID.lower(), _MESSAGE_ID.lower()}
    written = []
    for name, value in message.extra:
        if not _EXTRA.fullmatch(name):
            raise EncodeError("extra", "not the name of a header that begins with X-")
        if name.lower() not in taken:
            written.append(unstructured(name, value))
    return written

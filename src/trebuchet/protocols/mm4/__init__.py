"""MM4: multimedia messages between the relays of two carriers, as mails. Source: 3GPP TS 23.140 section 8.4.

A mail becomes a value (`decode`) and a mail again (`encode`); media are encoded once (`encode_part`) for any number
of messages. `content_of` gives a message's text and media, `presentation` the parts of one of ours with its SMIL.
`answer` and `refusal` are what a request is answered with. `status` has what the words of a peer mean to us, and
`session` what becomes of a message for one recipient; `dsn.read` recognises a mail that came back.

No I/O, no clock, no randomness: ids, boundaries and dates are given. Errors are in `errors`.
"""

from trebuchet.protocols.mm4 import dsn, session, status
from trebuchet.protocols.mm4.address import (
    STANDARD,
    Address,
    Dialect,
    Kind,
    parse,
    render_envelope,
    render_header,
)
from trebuchet.protocols.mm4.answers import answer, refusal
from trebuchet.protocols.mm4.codec import decode, encode
from trebuchet.protocols.mm4.errors import About, EncodeError, Mm4Error
from trebuchet.protocols.mm4.headers import LIMITS, Limits
from trebuchet.protocols.mm4.mime import Content, EncodedPart, content_of, encode_part
from trebuchet.protocols.mm4.pdu import (
    DeliveryReportReq,
    DeliveryReportRes,
    ForwardReq,
    ForwardRes,
    MessageClass,
    MessageType,
    MimePart,
    MmStatus,
    Pdu,
    Priority,
    ReadReplyReq,
    ReadReplyRes,
    ReadStatus,
    Request,
    RequestStatus,
    Response,
    StatusExtension,
    normalised,
)
from trebuchet.protocols.mm4.smil import presentation

__all__ = [
    "LIMITS",
    "STANDARD",
    "About",
    "Address",
    "Content",
    "DeliveryReportReq",
    "DeliveryReportRes",
    "Dialect",
    "EncodeError",
    "EncodedPart",
    "ForwardReq",
    "ForwardRes",
    "Kind",
    "Limits",
    "MessageClass",
    "MessageType",
    "MimePart",
    "Mm4Error",
    "MmStatus",
    "Pdu",
    "Priority",
    "ReadReplyReq",
    "ReadReplyRes",
    "ReadStatus",
    "Request",
    "RequestStatus",
    "Response",
    "StatusExtension",
    "answer",
    "content_of",
    "decode",
    "dsn",
    "encode",
    "encode_part",
    "normalised",
    "parse",
    "presentation",
    "refusal",
    "render_envelope",
    "render_header",
    "session",
    "status",
]

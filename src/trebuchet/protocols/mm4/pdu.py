"""The six messages of MM4 as values. Source: 3GPP TS 23.140 section 8.4; RFC 4356.

Ids are kept as they were written, quotes and angle brackets included, since an answer repeats them; compare them
with `normalised`. Times are in seconds since 1970. What a peer wrote in a field of fixed words and we do not know
is kept: status fields have its text, other headers are in `extra`.
"""

import enum
from typing import ClassVar

import msgspec

from trebuchet.protocols.mm4.address import Address

VERSION = "6.10.0"


class MessageType(enum.StrEnum):
    """X-Mms-Message-Type. Names compare without regard to case."""

    FORWARD_REQ = "MM4_forward.REQ"
    FORWARD_RES = "MM4_forward.RES"
    DELIVERY_REPORT_REQ = "MM4_delivery_report.REQ"
    DELIVERY_REPORT_RES = "MM4_delivery_report.RES"
    READ_REPLY_REQ = "MM4_read_reply_report.REQ"
    READ_REPLY_RES = "MM4_read_reply_report.RES"


class RequestStatus(enum.StrEnum):
    """X-Mms-Request-Status-Code: what the peer's relay makes of a request."""

    OK = "Ok"
    UNSPECIFIED = "Error-unspecified"
    SERVICE_DENIED = "Error-service-denied"
    FORMAT_CORRUPT = "Error-message-format-corrupt"
    SENDING_ADDRESS_UNRESOLVED = "Error-sending-address-unresolved"
    MESSAGE_NOT_FOUND = "Error-message-not-found"
    NETWORK_PROBLEM = "Error-network-problem"
    CONTENT_NOT_ACCEPTED = "Error-content-not-accepted"
    UNSUPPORTED_MESSAGE = "Error-unsupported-message"


class MmStatus(enum.StrEnum):
    """X-Mms-MM-Status-Code: what became of a message for one recipient."""

    EXPIRED = "Expired"
    RETRIEVED = "Retrieved"
    REJECTED = "Rejected"
    DEFERRED = "Deferred"
    UNRECOGNISED = "Unrecognised"
    INDETERMINATE = "Indeterminate"
    FORWARDED = "Forwarded"
    UNREACHABLE = "Unreachable"
    FORWARDED_TO_MMBOX = "ForwardedToMMBox"


class StatusExtension(enum.StrEnum):
    """X-Mms-MM-Status-Extension: who rejected."""

    BY_RECIPIENT = "Rejection-By-MMS-Recipient"
    BY_OTHER_RELAY = "Rejection-by-Other-RS"


class ReadStatus(enum.StrEnum):
    """X-Mms-Read-Status."""

    READ = "Read"
    DELETED = "Deleted without being read"


class Priority(enum.StrEnum):
    """X-Mms-Priority."""

    LOW = "Low"
    NORMAL = "Normal"
    HIGH = "High"


class MessageClass(enum.StrEnum):
    """X-Mms-Message-Class."""

    PERSONAL = "Personal"
    ADVERTISEMENT = "Advertisement"
    INFORMATIONAL = "Informational"
    AUTO = "Auto"


class MimePart(msgspec.Struct, frozen=True, kw_only=True):
    """One leaf of a message's content, its transfer encoding undone."""

    content_type: str  # type/subtype in lower case, without parameters
    octets: bytes
    charset: str = ""  # as declared, in lower case
    name: str = ""  # a file name without folders
    content_id: str = ""  # without angle brackets
    content_location: str = ""


class _Pdu(msgspec.Struct, frozen=True, kw_only=True):
    """What all six have."""

    TYPE: ClassVar[MessageType]

    transaction_id: str
    message_id: str  # the originating relay's id of the multimedia message
    version: str = VERSION
    system: str = ""  # Sender: the mailbox of the relay that wrote this
    mail_id: str = ""  # Message-ID of the mail, without angle brackets
    date_s: int | None = None
    extra: tuple[tuple[str, str], ...] = ()  # other X-Mms-* headers, name and value


class ForwardReq(_Pdu, frozen=True, kw_only=True):
    """The message itself, on its way to the recipients' relay."""

    TYPE: ClassVar[MessageType] = MessageType.FORWARD_REQ

    source: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    subject: str = ""
    originator_system: str = ""  # the mailbox that the answer goes to
    ack_request: bool = False  # an MM4_forward.RES is wanted
    delivery_report: bool = False
    read_reply: bool = False
    message_class: MessageClass | None = None
    priority: Priority | None = None
    sender_visible: bool | None = None
    expires_s: int | None = None  # a moment; a peer writes this or the next
    expires_after_s: int | None = None  # a duration
    forward_counter: int | None = None  # relays that it has passed
    previously_sent_by: tuple[str, ...] = ()  # "n,address", each as written
    previously_sent_at: tuple[str, ...] = ()  # "n,date"
    originator_rs_delivery_report: bool | None = None
    adaptation_allowed: bool | None = None
    content_class: str = ""
    drm_content: bool | None = None
    applic_id: str = ""
    reply_applic_id: str = ""
    aux_applic_info: str = ""
    parts: tuple[MimePart, ...] = ()


class _Response(_Pdu, frozen=True, kw_only=True):
    to: str = ""  # the mailbox that asked
    status: str  # a RequestStatus, or what else the peer wrote
    status_text: str = ""
    internal_code: int | None = None  # X-Internal-Status-Code: an error code of three digits; 0: none


class ForwardRes(_Response, frozen=True, kw_only=True):
    """Whether the recipients' relay took the message."""

    TYPE: ClassVar[MessageType] = MessageType.FORWARD_RES

    recipients: tuple[Address, ...] = ()  # whom the status is about; empty: all


class DeliveryReportReq(_Pdu, frozen=True, kw_only=True):
    """What became of a message for one recipient, who is its `source`."""

    TYPE: ClassVar[MessageType] = MessageType.DELIVERY_REPORT_REQ

    status: str  # an MmStatus, or what else the peer wrote
    source: Address | None = None
    to: Address | None = None  # the message's originator
    status_extension: str = ""
    status_text: str = ""
    ack_request: bool = False
    forward_to_originator_ua: bool | None = None
    internal_code: int | None = None


class DeliveryReportRes(_Response, frozen=True, kw_only=True):
    """That a delivery report arrived."""

    TYPE: ClassVar[MessageType] = MessageType.DELIVERY_REPORT_RES


class ReadReplyReq(_Pdu, frozen=True, kw_only=True):
    """That a recipient, its `source`, has read a message, or deleted it unread."""

    TYPE: ClassVar[MessageType] = MessageType.READ_REPLY_REQ

    status: str  # a ReadStatus, or what else the peer wrote
    source: Address | None = None
    to: Address | None = None
    status_text: str = ""
    ack_request: bool = False


class ReadReplyRes(_Response, frozen=True, kw_only=True):
    """That a read report arrived."""

    TYPE: ClassVar[MessageType] = MessageType.READ_REPLY_RES


Request = ForwardReq | DeliveryReportReq | ReadReplyReq
Response = ForwardRes | DeliveryReportRes | ReadReplyRes
Pdu = Request | Response


def normalised(written_id: str) -> str:
    """A Transaction-ID or Message-ID for comparing: without blanks, quotes and angle brackets around it."""
    return written_id.strip(" \t\"'<>")

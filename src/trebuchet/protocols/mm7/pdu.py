"""The messages of MM7 as values. Source: 3GPP TS 23.140 section 8.7 and its annex of the XML schema.

A VASP submits (`SubmitReq`); the relay delivers, reports and says what was read. Names are those of the schema in
this language's spelling. Times are as the peer wrote them.
"""

import enum
from typing import ClassVar

import msgspec

from trebuchet.protocols.mm4.pdu import MimePart


class Kind(enum.StrEnum):
    """How an address is written: the name of its element."""

    NUMBER = "Number"
    SHORT_CODE = "ShortCode"
    MAILBOX = "RFC2822Address"


class Party(msgspec.Struct, frozen=True):
    """A sender or a recipient."""

    kind: Kind
    value: str  # as written
    display_only: bool = False  # named for the others to see; this request is not for it


class _Pdu(msgspec.Struct, frozen=True, kw_only=True):
    """What all have. A request that goes out may leave `namespace` and `version` to its profile."""

    NAME: ClassVar[str]
    ANSWERED_BY: ClassVar[str] = ""  # empty: it is an answer
    transaction_id: str
    namespace: str = ""
    version: str = ""


class Result(_Pdu, frozen=True, kw_only=True):
    """What all answers have."""

    status: int  # StatusCode
    status_text: str = ""
    details: str = ""


class SubmitReq(_Pdu, frozen=True, kw_only=True):
    NAME = "SubmitReq"
    ANSWERED_BY = "SubmitRsp"
    vasp_id: str = ""
    vas_id: str = ""
    sender: Party | None = None
    to: tuple[Party, ...] = ()
    cc: tuple[Party, ...] = ()
    bcc: tuple[Party, ...] = ()
    service_code: str = ""
    linked_id: str = ""
    expires: str = ""  # ExpiryDate
    delivery_report: bool = False
    read_reply: bool = False
    priority: str = ""
    subject: str = ""
    parts: tuple[MimePart, ...] = ()


class SubmitRsp(Result, frozen=True, kw_only=True):
    NAME = "SubmitRsp"
    message_id: str = ""


class DeliverReq(_Pdu, frozen=True, kw_only=True):
    NAME = "DeliverReq"
    ANSWERED_BY = "DeliverRsp"
    relay_id: str = ""
    vasp_id: str = ""
    vas_id: str = ""
    linked_id: str = ""
    sender: Party | None = None
    to: tuple[Party, ...] = ()
    cc: tuple[Party, ...] = ()
    bcc: tuple[Party, ...] = ()
    time_stamp: str = ""
    priority: str = ""
    subject: str = ""
    parts: tuple[MimePart, ...] = ()


class DeliverRsp(Result, frozen=True, kw_only=True):
    NAME = "DeliverRsp"
    service_code: str = ""


class DeliveryReportReq(_Pdu, frozen=True, kw_only=True):
    NAME = "DeliveryReportReq"
    ANSWERED_BY = "DeliveryReportRsp"
    relay_id: str = ""
    vasp_id: str = ""
    vas_id: str = ""
    message_id: str = ""
    recipient: Party | None = None
    sender: Party | None = None
    date: str = ""
    mm_status: str = ""
    mm_status_extension: str = ""
    status_text: str = ""


class DeliveryReportRsp(Result, frozen=True, kw_only=True):
    NAME = "DeliveryReportRsp"


class ReadReplyReq(_Pdu, frozen=True, kw_only=True):
    NAME = "ReadReplyReq"
    ANSWERED_BY = "ReadReplyRsp"
    relay_id: str = ""
    vasp_id: str = ""
    vas_id: str = ""
    message_id: str = ""
    recipient: Party | None = None
    sender: Party | None = None
    time_stamp: str = ""
    mm_status: str = ""
    status_text: str = ""


class ReadReplyRsp(Result, frozen=True, kw_only=True):
    NAME = "ReadReplyRsp"


class RsError(Result, frozen=True, kw_only=True):
    """A fault of the relay, in the detail of a SOAP fault."""

    NAME = "RSErrorRsp"


class VaspError(Result, frozen=True, kw_only=True):
    """A fault of the VASP."""

    NAME = "VASPErrorRsp"


Request = SubmitReq | DeliverReq | DeliveryReportReq | ReadReplyReq
Answer = SubmitRsp | DeliverRsp | DeliveryReportRsp | ReadReplyRsp | RsError | VaspError
Pdu = Request | Answer

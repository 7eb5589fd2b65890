"""MM7: multimedia messages between an application (VASP) and its relay, as SOAP over HTTP.

Source: 3GPP TS 23.140 section 8.7. `decode` reads the body of an HTTP message, `encode` writes one; `answer` and
`refusal` are what a request is answered with. `status` has what status codes mean to us, PROFILES how peers want to be
written to. Content is read and written by the MIME of `protocols.mm4`.

No I/O, no clock, no randomness: ids and boundaries are given. Errors are in `errors`.
"""

from trebuchet.protocols.mm7 import status
from trebuchet.protocols.mm7.codec import Encoded, answer, decode, encode, refusal
from trebuchet.protocols.mm7.errors import EncodeError, Mm7Error
from trebuchet.protocols.mm7.pdu import (
    Answer,
    DeliverReq,
    DeliverRsp,
    DeliveryReportReq,
    DeliveryReportRsp,
    Kind,
    Party,
    Pdu,
    ReadReplyReq,
    ReadReplyRsp,
    Request,
    RsError,
    SubmitReq,
    SubmitRsp,
    VaspError,
)
from trebuchet.protocols.mm7.profiles import PROFILES, STANDARD, Profile

__all__ = [
    "PROFILES",
    "STANDARD",
    "Answer",
    "DeliverReq",
    "DeliverRsp",
    "DeliveryReportReq",
    "DeliveryReportRsp",
    "EncodeError",
    "Encoded",
    "Kind",
    "Mm7Error",
    "Party",
    "Pdu",
    "Profile",
    "ReadReplyReq",
    "ReadReplyRsp",
    "Request",
    "RsError",
    "SubmitReq",
    "SubmitRsp",
    "VaspError",
    "answer",
    "decode",
    "encode",
    "refusal",
    "status",
]

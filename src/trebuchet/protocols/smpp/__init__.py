"""SMPP 3.4 and 5.0: from octets to PDUs, and back.

A connection's octets are cut into PDUs (`Framer`), a PDU becomes a value (`decode`) and octets again
(`encode`). Its optional parameters are in `tlv`, its times in `times`, and `describe.describe` puts it into words.
`session.Session` is one end of a conversation, ESME or SMSC; `receipt` reads and writes what a deliver_sm says of a
message.

No I/O, no clock, no randomness. Errors are the tree in `errors`.
"""

from trebuchet.protocols.smpp import pdu, times, tlv
from trebuchet.protocols.smpp.codec import decode, encode
from trebuchet.protocols.smpp.constants import Command, MessageState, Npi, Status, Ton, status_name
from trebuchet.protocols.smpp.errors import (
    DecodeError,
    EncodeError,
    FramingError,
    MalformedTime,
    SmppError,
)
from trebuchet.protocols.smpp.framing import Framer
from trebuchet.protocols.smpp.tlv import Tag

__all__ = [
    "Command",
    "DecodeError",
    "EncodeError",
    "Framer",
    "FramingError",
    "MalformedTime",
    "MessageState",
    "Npi",
    "SmppError",
    "Status",
    "Tag",
    "Ton",
    "decode",
    "encode",
    "pdu",
    "status_name",
    "times",
    "tlv",
]

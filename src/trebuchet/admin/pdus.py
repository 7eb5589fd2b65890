"""PDUs as answers show them: decoded field by field, and their octets only where texts may be shown.

What was exchanged by mail is kept in words: a first line that names it, then what was said.
"""

from typing import Any

from trebuchet.protocols.smpp import SmppError, decode
from trebuchet.protocols.smpp.describe import describe

# Their bodies hold a password: bind_receiver, bind_transmitter, bind_transceiver, outbind.
_WITH_PASSWORD = (0x01, 0x02, 0x09, 0x0B)


def decoded(octets: bytes, *, with_text: bool) -> dict[str, Any]:
    """`pdu` in words, and `hex` if the text in it may be shown."""
    if octets[:1] != b"\0":  # with which every PDU of SMPP begins: the length
        name, *lines = octets.decode("utf-8", "replace").split("\n")
        return {"pdu": {"command": name, "line": lines}}
    try:
        shown: dict[str, Any] = {"pdu": describe(decode(octets), show_text=with_text)}
    except SmppError as error:
        shown = {"pdu": {"command": "unreadable", "reason": str(error)}}
    if with_text and int.from_bytes(octets[4:8]) not in _WITH_PASSWORD:
        shown["hex"] = octets.hex()
    return shown

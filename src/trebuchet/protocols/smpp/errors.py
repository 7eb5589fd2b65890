"""What can be wrong with a PDU: the peer's fault when reading, the caller's when writing.

Retrying helps with a Refusal only.

    SmppError                base; a ValueError, since protocols know nothing of the gateway
    ├── DecodeError          a PDU that cannot be read; recoverable: answer it, the session goes on
    ├── FramingError         a length that cannot be; unrecoverable: nothing after it can be found, close
    ├── Refusal              a request that may not go out now
    ├── EncodeError          a field of ours that its place on the wire does not hold
    └── MalformedTime        a text that is no time of SMPP

No message of these contains the value of a field, so they may be logged.
"""

import struct
from typing import Final

_header_at: Final = struct.Struct(">IIII").unpack_from


class SmppError(ValueError):
    """Something is wrong with a PDU."""


class DecodeError(SmppError):
    """A PDU cannot be read. `status` is the command_status to answer with.

    `command` and `sequence` are those of its header, 0 where it has none.
    """

    def __init__(self, status: int, command: int, sequence: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.command = command
        self.sequence = sequence
        self.reason = reason


def malformed(frame: bytes, status: int, reason: str) -> DecodeError:
    """What is wrong with `frame`, of which the header at least is there."""
    _, command, _, sequence = _header_at(frame)
    return DecodeError(status, command, sequence, reason)


class Refusal(SmppError):
    """A request of ours that may not go out: the window is full, or the state does not allow it."""


class FramingError(SmppError):
    """A command_length that no PDU has. `length` is in octets."""

    def __init__(self, length: int, reason: str) -> None:
        super().__init__(reason)
        self.length = length


class EncodeError(SmppError):
    """A value does not fit the field that it is for. `field` has the specification's name."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class MalformedTime(SmppError):
    """The text is not one of the two kinds of time that SMPP has."""

"""What a session tells its driver: values to be carried out in order."""

from typing import Any

import msgspec

from trebuchet.protocols.smpp import pdu


class Bound(msgspec.Struct, frozen=True):
    """ESME: the bind was accepted."""

    response: pdu.Pdu


class BindRefused(msgspec.Struct, frozen=True):
    """ESME: the bind was refused. Close."""

    status: int


class BindRequested(msgspec.Struct, frozen=True):
    """SMSC: answer with `accept_bind` or `refuse_bind`."""

    request: pdu.Bind


class OutbindReceived(msgspec.Struct, frozen=True):
    """ESME: the SMSC connected to us and wants to be bound to."""

    outbind: pdu.Outbind


class Request(msgspec.Struct, frozen=True, gc=False):
    """The peer asks something that its user decides: answer with `respond`, in any order.

    An alert_notification comes this way, too, and is not answered.
    """

    pdu: pdu.Pdu
    octets: bytes


class Response(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request of ours, or a generic_nack in its place. `context` is what `request` was given."""

    pdu: pdu.Pdu
    octets: bytes
    context: Any
    waited_ms: int


class Unanswered(msgspec.Struct, frozen=True):
    """No answer will be recognised any more: what became of the request is unknown."""

    context: Any
    reason: str


class Rejected(msgspec.Struct, frozen=True):
    """The peer sent something that is not legal here, or came too late; it was answered if it could be."""

    reason: str
    status: int
    octets: bytes


class Closing(msgspec.Struct, frozen=True):
    """The session is over: write the output that is left and close the connection."""

    reason: str
    fault: bool  # ours or the peer's, not a wish to end


Event = (
    Bound
    | BindRefused
    | BindRequested
    | OutbindReceived
    | Request
    | Response
    | Unanswered
    | Rejected
    | Closing
)

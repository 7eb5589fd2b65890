"""What is announced to an application, and the id that makes each announcement unique."""

import enum

import msgspec


class EventType(enum.StrEnum):
    RECEIVED = "message-received"  # inbound, one per receiving number
    SENDING = "message-sending"  # outbound MMS and group only: with the carrier, receipt awaited
    DELIVERED = "message-delivered"  # outbound, final
    FAILED = "message-failed"  # outbound, final, with errorCode


# The place of an event in the life of one (message, recipient). Final events share a place, so the primary
# key of the events table lets exactly one of them exist.
PLACE = {EventType.RECEIVED: 0, EventType.SENDING: 1, EventType.DELIVERED: 9, EventType.FAILED: 9}


class Event(msgspec.Struct, array_like=True, frozen=True):
    id: str
    message_id: str
    recipient: int
    type: EventType
    to: str  # outbound: the recipient this is about; inbound: our number
    error_code: int | None
    description: str
    time_ms: int


class CallbackItem(msgspec.Struct, array_like=True):
    """One event that waits to be called back."""

    application_id: str
    due_ms: int
    event_id: str
    attempts: int = 0
    first_ms: int = 0  # of the first try; the 24 hours count from here. 0: not yet tried


class Announcement(msgspec.Struct, frozen=True):
    """An event together with its place in the callback queue."""

    event: Event
    item: CallbackItem


class Attempt(msgspec.Struct, array_like=True, frozen=True):
    """One try of a callback."""

    event_id: str
    started_ms: int
    duration_ms: int
    status: int | None  # None: no answer
    error: str | None
    answer: str  # first octets of the answer, decoded leniently


def event_id(message_id: str, recipient: int, type_: EventType) -> str:
    return f"{message_id}-{recipient}-{PLACE[type_]}"


def event_place(id_: str) -> int:
    """The place that `event_id` wrote."""
    return int(id_.rsplit("-", 1)[1])


DESCRIPTIONS = {
    EventType.RECEIVED: "Incoming message received",
    EventType.SENDING: "Message is sending to carrier",
    EventType.DELIVERED: "ok",
}
MMS_DELIVERED = "Message delivered to carrier"

"""What is POSTed to applications; with `api/wire.py` the only place that knows the customer's field names.

The body is an array of exactly one event. An inbound text message has no `media` key and no inbound message a
`tag`; what an outbound message was not given is absent.
"""

import msgspec

from trebuchet.clock import iso_ms
from trebuchet.model.account import Profile
from trebuchet.model.events import Event, EventType
from trebuchet.model.message import Message

CONTENT_TYPE = b"application/json; charset=utf-8"


class _Message(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    id: str
    owner: str
    application_id: str
    time: str
    segment_count: int
    direction: str
    to: tuple[str, ...]
    from_: str = msgspec.field(name="from")
    text: str
    media: tuple[str, ...] | None = None
    tag: str | None = None
    priority: str | None = None


class _Event(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    time: str
    type: EventType
    to: str
    description: str
    message: _Message
    error_code: int | None = None


_encode = msgspec.json.Encoder().encode


def render(event: Event, message: Message) -> bytes:
    """The body for one event. Delivery callbacks show the text in the profile `catapult` only."""
    hidden = event.type is not EventType.RECEIVED and message.profile is not Profile.CATAPULT
    return _encode(
        (
            _Event(
                iso_ms(event.time_ms),
                event.type,
                event.to,
                event.description,
                _Message(
                    message.id,
                    message.owner,
                    message.application_id,
                    iso_ms(message.received_ms),
                    message.segment_count,
                    message.direction,
                    message.destinations,
                    message.source,
                    "" if hidden else message.text,
                    message.media,
                    message.tag,
                    message.priority,
                ),
                event.error_code,
            ),
        )
    )

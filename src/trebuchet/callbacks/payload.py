"""What is POSTed to an application: an array of exactly one event.

Bodies differ by profile in one thing: what is told of an outbound message shows its text in `catapult`, as
the original did until 2019, and an empty text in `current`. An inbound text message has no `media` key, since
applications tell pictures from texts by its presence. What a message was not given is absent, never null.
"""

import msgspec
from msgspec import UNSET, UnsetType

from trebuchet.clock import iso_ms
from trebuchet.model.account import Profile
from trebuchet.model.events import Event, EventType
from trebuchet.model.message import Message


class _Message(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """In the order of captured callbacks."""

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


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    """In the order of captured callbacks."""

    time: str
    type: EventType
    to: str
    error_code: int | UnsetType
    description: str
    message: _Message


_encode = msgspec.json.Encoder().encode


def render(event: Event, message: Message) -> bytes:
    """The body of the callback, UTF-8. `to` is the recipient that it is about; inbound: the receiving number."""
    shown = event.type is EventType.RECEIVED or message.profile is Profile.CATAPULT
    return _encode(
        (
            _Event(
                iso_ms(event.time_ms),
                event.type,
                event.to,
                UNSET if event.error_code is None else event.error_code,
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
                    message.text if shown else "",
                    message.media,
                    message.tag,
                    message.priority,
                ),
            ),
        )
    )

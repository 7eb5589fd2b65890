"""The octets that applications get, one file per event, profile and sort of tag.

The files are the contract: a change of them is a change for every application. `NAME.json` is what the story
NAME renders to.
"""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from bandwidth.models.callback import Callback
from bandwidth.models.inbound_callback import InboundCallback
from bandwidth.models.status_callback import StatusCallback
from msgspec.structs import replace

from trebuchet.api.schemas import SCHEMAS
from trebuchet.callbacks.payload import render
from trebuchet.model.account import Profile
from trebuchet.model.events import DESCRIPTIONS, MMS_DELIVERED, Event, EventType, event_id
from trebuchet.model.message import Direction, Kind, Message

FOLDER = Path(__file__).parent / "callbacks"

MESSAGE_MS = 1_585_321_273_456  # 2020-03-27T15:01:13.456Z
EVENT_MS = 1_585_321_282_646  # 2020-03-27T15:01:22.646Z
OURS = "+18447242263"
HANDSET = "+12345678902"
THIRD = "+12345678903"
PICTURES = ("https://example.com/a.jpg", "https://example.com/b.png")

TEXT = Message(
    id="1585321273456iprz22vjeo4tvooc",
    account_id="u-demo",
    application_id="93de2206-9669-4e07-948d-329f4b722ee2",
    direction=Direction.OUT,
    kind=Kind.SMS,
    owner=OURS,
    source=OURS,
    destinations=(HANDSET,),
    text='Grüße, "you" 😀',
    media=None,
    tag=None,
    priority=None,
    expiration=None,
    valid_until_ms=MESSAGE_MS + 86_400_000,
    segment_count=1,
    encoding="UCS-2",
    profile=Profile.CURRENT,
    received_ms=MESSAGE_MS,
)
PICTURE = replace(TEXT, kind=Kind.MMS, media=PICTURES, encoding="")
GROUP = replace(TEXT, kind=Kind.MMS, destinations=(HANDSET, THIRD), encoding="")
INBOUND = replace(TEXT, direction=Direction.IN, source=HANDSET, destinations=(OURS,))


def event(type_: EventType, to: str = HANDSET, **fields: Any) -> Event:
    """An event of any message; the renderer looks at nothing of it but these."""
    made = Event(
        event_id(TEXT.id, 0, type_), TEXT.id, 0, type_, to, None, DESCRIPTIONS.get(type_, ""), EVENT_MS
    )
    return replace(made, **fields)


DELIVERED = event(EventType.DELIVERED)
FAILED = event(EventType.FAILED, error_code=4432, description="rejected-forbidden-country")
SENDING = event(EventType.SENDING)
RECEIVED = event(EventType.RECEIVED, to=OURS)

STORIES: dict[str, tuple[Event, Message]] = {
    "received-text-current": (RECEIVED, INBOUND),
    "received-text-catapult": (RECEIVED, replace(INBOUND, profile=Profile.CATAPULT)),
    "received-picture-current": (RECEIVED, replace(INBOUND, kind=Kind.MMS, media=PICTURES)),
    "received-group-current": (RECEIVED, replace(INBOUND, kind=Kind.MMS, destinations=(OURS, THIRD))),
    "delivered-current-no-tag": (DELIVERED, TEXT),
    "delivered-current-tag": (DELIVERED, replace(TEXT, tag="test message")),
    "delivered-current-empty-tag": (DELIVERED, replace(TEXT, tag="")),
    "delivered-catapult-no-tag": (DELIVERED, replace(TEXT, profile=Profile.CATAPULT)),
    "delivered-catapult-tag": (DELIVERED, replace(TEXT, profile=Profile.CATAPULT, tag="test message")),
    "delivered-current-high-priority": (
        DELIVERED,
        replace(TEXT, priority="high", expiration="2030-01-31T12:00:00Z"),
    ),
    "failed-current-no-tag": (FAILED, TEXT),
    "failed-current-tag": (FAILED, replace(TEXT, tag="test message")),
    "failed-catapult-no-tag": (FAILED, replace(TEXT, profile=Profile.CATAPULT)),
    "failed-current-no-e164": (replace(FAILED, to="345757070"), replace(TEXT, destinations=("345757070",))),
    "sending-picture-current-tag": (SENDING, replace(PICTURE, tag="test message")),
    "sending-picture-catapult-no-tag": (SENDING, replace(PICTURE, profile=Profile.CATAPULT)),
    "delivered-picture-current-no-tag": (replace(DELIVERED, description=MMS_DELIVERED), PICTURE),
    "delivered-group-current-no-tag": (replace(DELIVERED, to=THIRD, description=MMS_DELIVERED), GROUP),
    "failed-group-current-no-tag": (replace(FAILED, to=THIRD), GROUP),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_callback_is_octet_for_octet_what_was_agreed(name: str) -> None:
    """Key order, absent keys, text or none, milliseconds: all as in the file."""
    assert render(*STORIES[name]) == (FOLDER / f"{name}.json").read_bytes()


def test_every_file_has_its_story() -> None:
    """No file is left behind when a story goes."""
    assert {path.stem for path in FOLDER.iterdir()} == set(STORIES)


@pytest.mark.parametrize("name", STORIES)
def test_the_official_sdk_reads_every_callback(name: str) -> None:
    """Its own models, the common one and that of the event's direction, take the event without complaint."""
    (body,) = json.loads((FOLDER / f"{name}.json").read_bytes())
    inbound = body["type"] == "message-received"
    specific = (InboundCallback if inbound else StatusCallback).from_dict(body)
    common = Callback.from_json(json.dumps(body))
    assert specific is not None
    assert common is not None
    assert (specific.to, specific.message.id) == (body["to"], body["message"]["id"])
    assert type(common.actual_instance) is type(specific)


@pytest.mark.parametrize("name", STORIES)
def test_the_description_of_the_api_covers_every_callback(name: str) -> None:
    """Each file is an instance of the schema of callbacks."""
    schema = {"$ref": "#/components/schemas/Callback", "components": {"schemas": SCHEMAS}}
    body = json.loads((FOLDER / f"{name}.json").read_bytes())
    assert jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(body)

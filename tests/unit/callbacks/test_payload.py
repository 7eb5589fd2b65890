"""Rendering of callbacks, apart from their exact octets, which the golden files hold."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.callbacks.payload import render
from trebuchet.model.account import Profile
from trebuchet.model.events import Event, EventType
from trebuchet.model.message import Direction, Kind, Message


def message(
    text: str = "hello", tag: str | None = None, profile: Profile = Profile.CURRENT, **fields: Any
) -> Message:
    direction = fields.get("direction", Direction.OUT)
    return Message(
        "1585321273456iprz22vjeo4tvooc", "u-1", "app-1", direction, Kind.SMS, "+12345678901", "+12345678901",
        ("+12345678902",), text, fields.get("media"), tag, None, None, 0, 1, "GSM-7", profile, 1_585_321_273_456,
    )  # fmt: skip


def event(type_: EventType = EventType.DELIVERED, error_code: int | None = None) -> Event:
    return Event("e", "m", 0, type_, "+12345678902", error_code, "ok", 1_585_321_282_646)


def rendered(event: Event, message: Message) -> dict[str, Any]:
    (body,) = json.loads(render(event, message))
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("type_", "profile", "shown"),
    [
        (EventType.RECEIVED, Profile.CURRENT, "hello"),
        (EventType.RECEIVED, Profile.CATAPULT, "hello"),
        (EventType.SENDING, Profile.CURRENT, ""),
        (EventType.SENDING, Profile.CATAPULT, "hello"),
        (EventType.DELIVERED, Profile.CURRENT, ""),
        (EventType.DELIVERED, Profile.CATAPULT, "hello"),
        (EventType.FAILED, Profile.CURRENT, ""),
        (EventType.FAILED, Profile.CATAPULT, "hello"),
    ],
)
def test_who_sees_the_text(type_: EventType, profile: Profile, shown: str) -> None:
    """Inbound texts are always shown; outbound ones come back in the profile catapult only."""
    assert rendered(event(type_), message(profile=profile))["message"]["text"] == shown


@pytest.mark.parametrize("tag", [None, "", "test message"])
def test_the_tag_comes_back_as_it_was_given(tag: str | None) -> None:
    """An empty tag is a tag; no tag is no key."""
    assert rendered(event(), message(tag=tag))["message"].get("tag") == tag
    assert ("tag" in rendered(event(), message(tag=tag))["message"]) == (tag is not None)


@pytest.mark.parametrize("type_", list(EventType))
def test_only_failures_have_an_error_code(type_: EventType) -> None:
    """The code is an integer, and absent when there is none."""
    code = 4720 if type_ is EventType.FAILED else None
    body = rendered(event(type_, code), message())
    assert body.get("errorCode") == code
    assert ("errorCode" in body) == (type_ is EventType.FAILED)


def test_a_text_message_has_no_media_key() -> None:
    """Applications tell pictures from texts by the presence of the key."""
    inbound = message(direction=Direction.IN)
    assert "media" not in rendered(event(EventType.RECEIVED), inbound)["message"]


@given(
    text=st.text(),
    tag=st.none() | st.text(),
    media=st.none() | st.tuples(st.text()),
    profile=st.sampled_from(Profile),
)
def test_any_message_renders_to_an_array_of_one_event_without_nulls(
    text: str, tag: str | None, media: tuple[str, ...] | None, profile: Profile
) -> None:
    """Whatever the strings hold, the body is JSON, and no key is null: one of the SDKs refuses nulls."""
    body = rendered(event(EventType.RECEIVED), message(text, tag, profile, media=media))
    assert body["message"]["text"] == text
    assert None not in body.values()
    assert None not in body["message"].values()

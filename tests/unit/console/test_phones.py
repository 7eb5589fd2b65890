"""What is on a phone: two sources laid over each other."""

from typing import Any

import pytest
from msgspec.structs import replace

from trebuchet.console import phones
from trebuchet.model.account import Profile
from trebuchet.model.message import Delivery, Direction, Kind, Message
from trebuchet.model.status import State
from trebuchet.storage.base import Found, HandsetMessage

T0 = 1_767_225_600_000
HANDSET = "+19195551234"
OURS = "+12345678901"
OURS_TO_SHOW = "http://us/"


def own(url: str) -> bool:
    return url.startswith(OURS_TO_SHOW)


OTHER = "+19195551235"


def row(number: int, text: str = "hello") -> HandsetMessage:
    """What the network put on the handset."""
    return HandsetMessage(f"n-{number}", HANDSET, OURS, "mt", text, (), (), f"else/{number}", "", T0 + number)


def message(**fields: Any) -> Message:
    made = Message(
        id="m-1",
        account_id="a",
        application_id="b",
        direction=Direction.OUT,
        kind=Kind.SMS,
        owner=OURS,
        source=OURS,
        destinations=(HANDSET,),
        text="hello",
        media=None,
        tag=None,
        priority=None,
        expiration=None,
        valid_until_ms=0,
        segment_count=1,
        encoding="GSM-7",
        profile=Profile.CURRENT,
        received_ms=T0,
    )
    return replace(made, **fields)


def found(
    state: State = State.DELIVERED, code: int | None = None, *, claimed: bool = False, **fields: Any
) -> Found:
    made = message(**fields)
    final_ms = T0 if state in (State.DELIVERED, State.FAILED, State.UNDELIVERED) else None
    delivery = Delivery(made.id, 0, HANDSET, state, None, None, code, "", 0, 0, 0, None, None, final_ms)
    return Found(made, delivery, claimed, False)


def typed(state: State = State.RECEIVED, **fields: Any) -> Found:
    inbound = {"direction": Direction.IN, "source": HANDSET, "destinations": (OURS,), **fields}
    return found(state, **inbound)


def only(rows: Any, messages: Any, since_ms: int = 0) -> phones.Bubble:
    (bubble,) = phones.bubbles(HANDSET, rows, messages, since_ms)
    return bubble


@pytest.mark.parametrize(
    ("state", "tick", "final"),
    [(State.SENT, "sent", False), (State.DELIVERED, "done", True), (State.UNDELIVERED, "failed", True)],
)
def test_a_message_that_came_has_the_gateways_tick(state: State, tick: str, final: bool) -> None:
    """One bubble, whatever the two sources are."""
    bubble = only([replace(row(1), reference="m-1/0")], [found(state, 4720)])
    assert (bubble.shown, bubble.typed, bubble.tick, bubble.final) == (True, False, tick, final)
    assert bubble.message_id == "m-1"


def test_without_our_id_the_text_tells_which_it_is() -> None:
    """Over another protocol the network has an id of its own; each message of the gateway is of one row only."""
    rows = [replace(row(number, text="hello"), peer=OURS, reference=f"else/{number}") for number in (1, 2)]
    bubbles = phones.bubbles(HANDSET, rows, [found(id="m-1"), found(State.SENT, id="m-2")], 0)
    assert [(each.message_id, each.tick) for each in bubbles] == [("m-1", "done"), ("m-2", "sent")]


@pytest.mark.parametrize(
    ("state", "claimed", "tick", "words"),
    [
        (State.QUEUED, False, "waits", "on its way"),
        (State.QUEUED, True, "waits", "on its way"),
        (State.SENT, False, "waits", "waits in the network"),
        (State.FAILED, False, "failed", "carrier: bad number / landline"),
    ],
)
def test_what_is_not_on_the_phone_says_why(state: State, claimed: bool, tick: str, words: str) -> None:
    bubble = only([], [found(state, 4720 if tick == "failed" else None, claimed=claimed)])
    assert (bubble.shown, bubble.tick, bubble.words) == (False, tick, words)


def test_what_was_delivered_and_forgotten_does_not_come_back() -> None:
    assert phones.bubbles(HANDSET, [], [found(State.DELIVERED)], 0) == []


@pytest.mark.parametrize(("state", "tick"), [(State.RECEIVED, "sent"), (State.ACCEPTED, "done")])
def test_what_was_typed_shows_whether_its_callback_was_taken(state: State, tick: str) -> None:
    bubble = only([], [typed(state)])
    assert (bubble.typed, bubble.tick, bubble.members) == (True, tick, (OURS,))


def test_a_phone_that_was_cleared_is_empty() -> None:
    assert phones.bubbles(HANDSET, [], [typed(), found(State.FAILED)], T0) == []


def test_a_group_is_a_conversation_of_its_own() -> None:
    """The same, whoever of it wrote; all its members but the phone are named, our number first."""
    rows = [
        replace(row(1, text="to you"), peer=OURS),
        replace(row(2, text="to all"), peer=OURS, participants=(OTHER, HANDSET)),
    ]
    reply = typed(id="m-9", text="to all of us", destinations=(OURS, OTHER), received_ms=T0 + 100)
    bubbles = phones.bubbles(HANDSET, rows, [reply], 0)
    listed = phones.conversations(bubbles, with_text=True)
    assert [(each["id"], each["teaser"], each["count"]) for each in listed] == [
        (f"{OURS},{OTHER}", "to all of us", 2),
        (OURS, "to you", 1),
    ]
    texts = [each["parts"] for each in phones.opened(bubbles, f"{OURS},{OTHER}", own, with_text=True)]
    assert texts == [["to all"], ["to all of us"]]


def test_a_long_text_is_in_the_parts_that_went_on_air() -> None:
    """And says in what encoding."""
    text = "“" + "x" * 100
    shown = phones.shown(only([replace(row(1, text=text), peer=OURS)], []), own, with_text=True)
    assert ("".join(shown["parts"]), len(shown["parts"]), shown["encoding"]) == (text, 2, "UCS-2")


def test_who_may_not_read_texts_sees_none() -> None:
    """Neither in the list nor in a bubble, and no file either."""
    bubble = only([], [typed(text="secret", media=("http://x/secret.png",), kind=Kind.MMS)])
    everything = [phones.shown(bubble, own, with_text=False), phones.conversations([bubble], with_text=False)]
    assert "secret" not in str(everything)
    assert phones.shown(bubble, own, with_text=False)["media"] == []


def test_news_are_what_came_elsewhere_since() -> None:
    """Not what was typed there, and nothing once the open conversation is newer."""
    mine = replace(row(1), peer=OURS)
    elsewhere = replace(row(2), peer="+12025550100")
    newer = replace(row(3), peer=OURS)
    for rows, expected in [([mine, elsewhere], "+12025550100"), ([mine, elsewhere, newer], None)]:
        told = phones.news(phones.bubbles(HANDSET, rows, [], 0), OURS)
        assert (told["from"] if told else None) == expected


def test_a_number_that_nobody_has_is_proposed() -> None:
    taken = {"+12025550123", "+12025550124"}
    assert phones.free_number(taken.__contains__) == "+12025550125"
    assert phones.free_number(lambda number: number != "+12025550100") == "+12025550100"
    assert phones.free_number(lambda _: True) == "+12025550123"


def test_only_files_of_ours_are_shown_as_pictures() -> None:
    """Others are named, and looked at where they are."""
    urls = ("http://us/media/a.png", "https://example.com/b/c.png?d=/e")
    shown = phones.shown(only([], [typed(media=urls, kind=Kind.MMS)]), own, with_text=True)
    assert [(each["name"], each["picture"]) for each in shown["media"]] == [
        ("a.png", "/handsets/pictures/m-1/0"),
        ("c.png", ""),
    ]

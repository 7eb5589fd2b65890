"""What operators ask for is understood or refused, and what they are shown says why."""

import asyncio
from typing import Any

import msgspec
import pytest

from admin.contexts import NOW_MS, directory
from trebuchet.admin.operations import (
    ReplayRequest,
    life_shown,
    message_query,
    receipt_shown,
    replay_query,
    told,
)
from trebuchet.api.problems import Problem
from trebuchet.feed import Entry, Watch
from trebuchet.model.account import Carrier, Directory, Profile, Route
from trebuchet.model.message import Delivery, Direction, Kind, Message, Pdu
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.model.status import State
from trebuchet.protocols.smpp import encode, pdu
from trebuchet.storage.base import EventQuery, Life, MessageQuery

LONG_S = 30.0

# ---- searching ----


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({}, MessageQuery()),
        ({"account": "u-1", "application": "a"}, MessageQuery(account_id="u-1", application_id="a")),
        ({"source": "+12025550100"}, MessageQuery(sources=("+12025550100",))),
        ({"source": " 12025550100"}, MessageQuery(sources=("+12025550100",))),
        ({"source": "2025550100"}, MessageQuery(sources=("+12025550100",))),
        ({"destination": " 4915112345678"}, MessageQuery(destinations=("+4915112345678",))),
        ({"destination": "911"}, MessageQuery(destinations=("911",))),
        ({"state": "queued,SENDING"}, MessageQuery(states=("QUEUED", "SENDING"))),
        ({"direction": "in", "kind": "mms"}, MessageQuery(direction="in", kind="mms")),
        ({"error_code": "0"}, MessageQuery(error_code=0)),
        ({"carrier": "sim", "tag": "t"}, MessageQuery(carrier_id="sim", tag="t")),
        ({"from": "2026-01-01", "to": "2026-01-02"}, MessageQuery(from_ms=NOW_MS, to_ms=NOW_MS + 86_400_000)),
        ({"limit": "7", "page": "14"}, MessageQuery(limit=7, offset=14)),
    ],
)
def test_a_search_is_understood(given: dict[str, str], meant: MessageQuery) -> None:
    """Numbers are looked for as they are stored; a plus may arrive as a blank."""
    assert message_query(given) == meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "LOST"),
        ("state", "QUEUED,"),
        ("direction", "OUTBOUND"),
        ("kind", "rcs"),
        ("error_code", "x"),
        ("from", "now"),
        ("limit", "1001"),
        ("page", "-1"),
        ("page", "10001"),
        ("page", "00000000010001"),
    ],
)
def test_what_a_search_cannot_mean_is_refused(name: str, value: str) -> None:
    """By the name of the parameter."""
    with pytest.raises(Problem) as refused:
        message_query({name: value})
    assert [error.field_name for error in refused.value.field_errors] == [name]


# ---- replaying ----


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (ReplayRequest(event_ids=["e"]), None),
        (ReplayRequest(message_id="m"), EventQuery(message_id="m", limit=10_001)),
        (ReplayRequest(application_id="a"), EventQuery(application_id="a", limit=10_001)),
        (
            ReplayRequest(application_id="a", from_="2026-01-01", to="2026-01-02", failed_only=True),
            EventQuery(
                application_id="a",
                from_ms=NOW_MS,
                to_ms=NOW_MS + 86_400_000,
                failed_only=True,
                limit=10_001,
            ),
        ),
    ],
)
def test_a_replay_is_understood(wanted: ReplayRequest, meant: EventQuery | None) -> None:
    """One event more than a call takes is asked for, so that the answer can say whether there are more."""
    assert replay_query(wanted) == meant


@pytest.mark.parametrize(
    "wanted",
    [
        ReplayRequest(),
        ReplayRequest(event_ids=[]),
        ReplayRequest(from_="2026-01-01"),
        ReplayRequest(event_ids=["e"], message_id="m"),
        ReplayRequest(message_id="m", application_id="a"),
        ReplayRequest(event_ids=["e"], failed_only=True),
        ReplayRequest(message_id="m", to="2026-01-01"),
        ReplayRequest(application_id="a", from_=""),
        ReplayRequest(application_id="a", to="soon"),
    ],
)
def test_a_replay_that_is_not_plain_is_refused(wanted: ReplayRequest) -> None:
    """Exactly one way of naming the events; a span of time needs an application and must be one."""
    with pytest.raises(Problem) as refused:
        replay_query(wanted)
    assert refused.value.status == 400


# ---- why ----

MESSAGE = Message(
    "m", "u-1", "app-1", Direction.OUT, Kind.SMS, "+12025550100", "+12025550100", ("+12025550177",), "Grüße 🙂",
    None, None, None, None, 0, 1, "UCS-2", Profile.CATAPULT, NOW_MS,
)  # fmt: skip
ROUTED = Directory(
    carriers=[Carrier(id="sim", kind="simulator"), Carrier(id="uk", kind="simulator")],
    routes=[
        Route(id="all", carrier_id="sim"),
        Route(id="british", carrier_id="uk", prefix="+44", kind="sms"),
    ],
)


def life(message: Message = MESSAGE, to: str = "+12025550177", lane: str | None = "sim/0") -> Life:
    carrier = lane.partition("/")[0] if lane else None
    delivery = Delivery("m", 0, to, State.SENT, carrier, lane, None, "", 1, 1, 0, None, None, None)
    return Life(message, [delivery], [], [], [], [], [], [])


def shown(given: Life, records: Directory = ROUTED, *, with_text: bool = True) -> dict[str, Any]:
    return life_shown(given, records, with_text=with_text)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (life(), "sim/0, by rule all (any recipient, any)"),
        (life(to="+441632960123", lane="uk/1"), "uk/1, by rule british (prefix +44, sms)"),
        (life(lane="uk/1"), "uk/1, by a rule that is gone"),
        (life(lane=None), "none"),
    ],
)
def test_the_rule_of_a_route_is_told(given: Life, reason: str) -> None:
    """As the routes are now; one that is gone is said to be."""
    assert shown(given)["why"]["route"] == reason


def test_the_text_is_shown_only_when_asked_for() -> None:
    """Nor does the reason for the encoding give any of it away."""
    without = shown(life(), with_text=False)
    assert "text" not in without["message"]
    assert "🙂" not in str(without)
    assert without["why"]["encoding"] == "UCS-2"
    assert shown(life())["message"]["text"] == "Grüße 🙂"


def test_the_octets_of_pdus_are_shown_only_with_the_text() -> None:
    """It can be read from them; what was exchanged is told in words without it."""
    octets = encode(pdu.SubmitSm(sequence=7, short_message=b"secret words"))
    exchanged = msgspec.structs.replace(life(), pdus=[Pdu("m", 0, 0, 0, "sim/0", "out", octets)])
    (hidden,) = shown(exchanged, with_text=False)["pdus"]
    assert (hidden["lane"], hidden["pdu"]["command"]) == ("sim/0", "submit_sm")
    assert "hex" not in hidden
    assert "secret" not in str(hidden)
    (seen,) = shown(exchanged)["pdus"]
    assert (seen["hex"], seen["pdu"]["short_message"]) == (octets.hex(), "secret words")


def test_octets_that_are_no_pdu_are_said_to_be_so() -> None:
    """Another protocol's, or a broken one's."""
    exchanged = msgspec.structs.replace(life(), pdus=[Pdu("m", 0, 0, 0, "sim/0", "out", bytes(20))])
    assert shown(exchanged)["pdus"][0]["pdu"]["command"] == "unreadable"


def test_the_character_that_needed_ucs_2_is_named() -> None:
    """With the text, the reason says which one it was."""
    assert "🙂" in shown(life())["why"]["encoding"]


# ---- the feed ----


def entry(message_id: str = "m", account_id: str = "u-1", application_id: str = "app-1") -> Entry:
    return Entry(NOW_MS, "accepted", message_id, account_id=account_id, application_id=application_id)


def data_of(octets: bytes) -> Any:
    return msgspec.json.decode(octets.removeprefix(b"data: "))


@pytest.mark.anyio
async def test_the_feed_begins_with_a_comment() -> None:
    """So the client knows that it is open."""
    stream = told(Watch(), {}, LONG_S)
    assert await anext(stream) == b": open\n\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        ({}, ["m", "n", "o"]),
        ({"message": "n"}, ["n"]),
        ({"account": "u-2"}, ["n"]),
        ({"application": "app-2"}, ["n", "o"]),
        ({"account": "u-1", "application": "app-2"}, ["o"]),
    ],
)
async def test_only_what_was_asked_for_is_told(wanted: dict[str, str], seen: list[str]) -> None:
    """All filters must match."""
    watch = Watch()
    for one in (entry(), entry("n", "u-2", "app-2"), entry("o", "u-1", "app-2")):
        watch.put(one)
    stream = told(watch, wanted, LONG_S)
    await anext(stream)
    assert [data_of(await anext(stream))["message_id"] for _ in seen] == seen


@pytest.mark.anyio
async def test_silence_is_filled_with_comments_and_loses_nothing() -> None:
    """What comes after a comment is told all the same."""
    watch = Watch()
    stream = told(watch, {}, 0.001)
    await anext(stream)
    assert await anext(stream) == b": nothing new\n\n"
    assert await anext(stream) == b": nothing new\n\n"
    watch.put(entry())
    while (octets := await anext(stream)) == b": nothing new\n\n":
        pass
    assert data_of(octets)["message_id"] == "m"


@pytest.mark.anyio
async def test_a_slow_reader_hears_how_much_it_missed() -> None:
    """Once for each time, before what comes next, also if that is nothing it asked for."""
    watch = Watch()
    for _ in range(1002):
        watch.put(entry())
    stream = told(watch, {}, LONG_S)
    await anext(stream)
    assert await anext(stream) == b'event: missed\ndata: {"missed":2}\n\n'
    assert data_of(await anext(stream))["message_id"] == "m"
    assert (await anext(stream)).startswith(b"data: ")


@pytest.mark.anyio
async def test_a_feed_that_is_closed_leaves_nothing_behind() -> None:
    """The task that waited for the next entry ends with it."""
    before = asyncio.all_tasks()
    stream = told(Watch(), {}, 0.001)
    await anext(stream)
    await anext(stream)
    assert len(asyncio.all_tasks()) == len(before) + 1
    await stream.aclose()
    assert asyncio.all_tasks() == before


def test_a_directory_without_routes_has_no_rule() -> None:
    """What was routed by one that is gone says so."""
    assert shown(life(), directory())["why"]["route"] == "sim/0, by a rule that is gone"


# ---- unmatched receipts ----


def test_a_receipt_is_shown_with_its_pdu() -> None:
    """What it quotes of the message only if texts are asked for."""
    octets = encode(pdu.DeliverSm(esm_class=4, short_message=b"id:1 stat:DELIVRD text:secret"))
    receipt = Receipt(
        carrier_id="sim",
        carrier_message_id="1",
        state=ReceiptState.DELIVERED,
        at_ms=1,
        text="secret",
        octets=octets,
    )
    hidden = receipt_shown(receipt, with_text=False)
    assert (hidden["state"], hidden["pdu"]["command"]) == ("DELIVRD", "deliver_sm")
    assert hidden.keys().isdisjoint({"text", "octets", "hex"})
    assert "secret" not in str(hidden)
    shown = receipt_shown(receipt, with_text=True)
    assert (shown["text"], shown["hex"]) == ("secret", octets.hex())


def test_a_receipt_that_came_in_no_pdu_is_shown_without() -> None:
    """As the simulated carrier's are."""
    receipt = Receipt(carrier_id="sim", carrier_message_id="1", state=ReceiptState.DELIVERED, at_ms=1)
    assert "pdu" not in receipt_shown(receipt, with_text=True)

"""The simulator's HTTP API, request by request, without a socket."""

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

import msgspec
import pytest
from starlette.applications import Starlette

from support.network import DELAY_MS, HANDSET, OURS, T0, World, quiet, submitted
from trebuchet.clock import iso_ms
from trebuchet.errors import NotFound, StorageUnavailable
from trebuchet.model.message import Kind
from trebuchet.simulator.api import parse_duration_ms, routes
from trebuchet.simulator.base import File
from trebuchet.simulator.handsets import WAITERS_MAX
from trebuchet.simulator.scenario import MAGIC

pytestmark = pytest.mark.anyio

MESSAGES = f"/sim/v1/handsets/{HANDSET}/messages"


class Answer(msgspec.Struct):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


async def call(
    world: World,
    method: str,
    target: str,
    body: Any = None,
    *,
    content_type: str = "application/json",
    chunks: Iterable[bytes] | None = None,
) -> Answer:
    """One request to the ASGI application; `target` is what stands in the request line."""
    path, _, query = target.partition("?")
    parts = list(chunks) if chunks is not None else [b"" if body is None else msgspec.json.encode(body)]
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"content-type", content_type.encode())],
        "scheme": "http",
        "server": ("127.0.0.1", 80),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Any) -> None:
        sent.append(message)

    await Starlette(routes=routes(world.network, world.clock))(scope, receive, send)
    return Answer(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))


# ---- reading ----


async def test_a_message_is_shown_with_all_its_fields() -> None:
    """What a program needs to check what it sent."""
    world = World()
    await world.submit(submitted("hello", segment_count=2))
    answer = await call(world, "GET", MESSAGES)
    (message,) = answer.json
    assert len(message.pop("id")) == 29
    assert message == {
        "from": OURS,
        "to": HANDSET,
        "participants": [],
        "text": "hello",
        "media": [],
        "time": iso_ms(T0),
        "segmentCount": 2,
    }


@pytest.mark.parametrize("written", [HANDSET, quote(HANDSET), HANDSET[1:], HANDSET[2:]])
async def test_a_number_may_be_written_in_many_ways(written: str) -> None:
    """With a plus, with %2B, without a plus, and as a ten-digit number of North America."""
    world = World()
    await world.submit(submitted())
    assert len((await call(world, "GET", f"/sim/v1/handsets/{written}/messages")).json) == 1


@pytest.mark.parametrize("written", ["hello", "+", "12", "+1234567890123456", "1%202", "%00"])
async def test_what_is_no_number_is_refused(written: str) -> None:
    """400, whatever is asked of it."""
    for method, target in [("GET", ""), ("GET", "/messages"), ("DELETE", "/messages")]:
        answer = await call(World(), method, f"/sim/v1/handsets/{written}{target}")
        assert (answer.status, answer.json["type"]) == (400, "bad-request")


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("", ["one", "two", "three"]),
        ("?contains=t", ["two", "three"]),
        ("?contains=%2B", []),
        ("?limit=1", ["one"]),
        ("?contains=t&limit=1", ["two"]),
        ("?none=false", ["one", "two", "three"]),
    ],
)
async def test_messages_are_chosen_by_the_query(query: str, texts: list[str]) -> None:
    """By text and by number of messages, oldest first."""
    world = World()
    for number, text in enumerate(["one", "two", "three"]):
        await world.submit(submitted(text, number))
    assert [message["text"] for message in (await call(world, "GET", MESSAGES + query)).json] == texts


async def test_messages_since_one_that_was_seen() -> None:
    """The id of the last message is where the next reading begins."""
    world = World()
    await world.submit(submitted("one"))
    (seen,) = (await call(world, "GET", MESSAGES)).json
    await world.submit(submitted("two", 1))
    later = await call(world, "GET", f"{MESSAGES}?since={seen['id']}")
    assert [message["text"] for message in later.json] == ["two"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("wait=10", "wait"),
        ("wait=61s", "wait"),
        ("wait=-1s", "wait"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=x", "limit"),
        ("limit=99999999", "limit"),
        ("limit=%C2%B2", "limit"),
        ("none=yes", "none"),
        ("contain=x", "contain"),
    ],
)
async def test_wrong_queries_are_named(query: str, named: str) -> None:
    """400 with the parameter, also for one that does not exist."""
    answer = await call(World(), "GET", f"{MESSAGES}?{query}")
    assert answer.status == 400
    assert named in answer.json["description"]


async def test_a_reading_waits_for_its_message() -> None:
    """The answer comes as soon as a message matches."""
    world = World()
    reading = asyncio.create_task(call(world, "GET", f"{MESSAGES}?wait=10s&contains=code"))
    await quiet()
    await world.submit(submitted("hello"))
    assert not reading.done()
    await world.submit(submitted("your code", 1))
    assert [message["text"] for message in (await reading).json] == ["your code"]


async def test_a_reading_ends_without_a_message() -> None:
    """An empty list when the time is over."""
    answer = await call(World(), "GET", f"{MESSAGES}?wait=1ms")
    assert (answer.status, answer.json) == (200, [])


async def test_that_none_came_can_be_asserted() -> None:
    """200 if none came within the time, 409 with the message as soon as one did."""
    world = World()
    assert (await call(world, "GET", f"{MESSAGES}?none=true&wait=1ms")).status == 200
    reading = asyncio.create_task(call(world, "GET", f"{MESSAGES}?none=true&wait=10s"))
    await quiet()
    await world.submit(submitted("surprise"))
    answer = await reading
    assert (answer.status, answer.json["type"]) == (409, "message-came")
    assert answer.json["message"]["text"] == "surprise"


async def test_too_many_readers_are_refused() -> None:
    """409 says so; nobody's reading is disturbed."""
    world = World()
    readers = [asyncio.create_task(world.network.handsets.read(HANDSET, 10)) for _ in range(WAITERS_MAX)]
    await quiet()
    answer = await call(world, "GET", f"{MESSAGES}?wait=1s")
    assert (answer.status, answer.json["type"]) == (409, "too-many")
    await world.submit(submitted())
    assert all(len(found) == 1 for found in await asyncio.gather(*readers))


# ---- handsets ----


async def test_handsets_are_listed() -> None:
    """Those that show something or were switched, with counts."""
    world = World()
    await world.submit(submitted())
    await call(world, "PUT", "/sim/v1/handsets/+19195551235", {"power": "off"})
    assert (await call(world, "GET", "/sim/v1/handsets")).json == [
        {"number": HANDSET, "power": "on", "memory": "free", "messages": 1, "held": 0, "coverage": "good"},
        {
            "number": "+19195551235",
            "power": "off",
            "memory": "free",
            "messages": 0,
            "held": 0,
            "coverage": "good",
        },
    ]


async def test_a_handset_is_switched() -> None:
    """What is not named stays; the answer and a later question say the same."""
    world = World()
    first = await call(world, "PUT", f"/sim/v1/handsets/{HANDSET}", {"power": "off"})
    second = await call(world, "PUT", f"/sim/v1/handsets/{HANDSET}", {"memory": "full"})
    assert (first.json["power"], first.json["memory"]) == ("off", "free")
    assert (second.json["power"], second.json["memory"]) == ("off", "full")
    assert (await call(world, "GET", f"/sim/v1/handsets/{HANDSET}")).json == second.json


async def test_a_handset_loses_its_coverage_and_returns() -> None:
    """Nothing can be typed meanwhile; what came waits."""
    world = World()
    lost = await call(world, "PUT", f"/sim/v1/handsets/{HANDSET}", {"coverage": "lost"})
    assert (lost.json["coverage"], lost.json["power"]) == ("lost", "on")
    await world.submit(submitted())
    typed = await call(world, "POST", MESSAGES, {"to": OURS, "text": "hi"})
    assert (typed.status, typed.json["type"]) == (409, "no-coverage")
    assert (await call(world, "GET", MESSAGES)).json == []
    await call(world, "PUT", f"/sim/v1/handsets/{HANDSET}", {"coverage": "good"})
    assert [each["text"] for each in (await call(world, "GET", MESSAGES)).json] == ["hello"]


async def test_a_handset_that_is_off_shows_nothing_until_it_is_on() -> None:
    """Switching on brings the message and its receipt."""
    world = World()
    await call(world, "PUT", f"/sim/v1/handsets/{HANDSET}", {"power": "off"})
    await world.submit(submitted())
    assert (await call(world, "GET", f"/sim/v1/handsets/{HANDSET}")).json["held"] == 1
    await call(world, "PUT", f"/sim/v1/handsets/{HANDSET}", {"power": "on"})
    assert len((await call(world, "GET", MESSAGES)).json) == 1
    await world.pass_ms(DELAY_MS)
    assert len(world.line.receipts) == 1


async def test_a_handset_is_emptied() -> None:
    """Only this one, and nothing else changes."""
    world = World()
    await world.submit(submitted(), submitted(number=1, destinations=("+19195551235",)))
    assert (await call(world, "DELETE", MESSAGES)).status == 204
    assert [handset["number"] for handset in (await call(world, "GET", "/sim/v1/handsets")).json] == [
        "+19195551235"
    ]


async def test_all_handsets_are_reset() -> None:
    """Afterwards there is nothing to list."""
    world = World()
    await world.submit(submitted())
    await call(world, "PUT", f"/sim/v1/handsets/{HANDSET}", {"power": "off", "memory": "full"})
    assert (await call(world, "DELETE", "/sim/v1/handsets")).status == 204
    assert (await call(world, "GET", "/sim/v1/handsets")).json == []


# ---- typing ----


async def test_a_reply_is_typed() -> None:
    """202 with an id; our number may be a short code."""
    world = World()
    answer = await call(world, "POST", MESSAGES, {"to": OURS, "text": "STOP"})
    assert answer.status == 202
    (typed,) = world.line.typed_messages
    assert answer.json == {"id": typed.id}
    assert (typed.handset, typed.number, typed.text) == (HANDSET, OURS, "STOP")
    await call(world, "POST", MESSAGES, {"to": "28444", "text": "hi"})
    assert [each.number for each in world.line.typed_messages] == [OURS, "28444"]


async def test_a_group_reply_names_all_recipients_once() -> None:
    """Our number first, then the others, normalised."""
    world = World()
    body = {"to": OURS, "media": ["https://example.com/a.png"], "group": ["9195551235", "+19195551235", OURS]}
    assert (await call(world, "POST", MESSAGES, body)).status == 202
    (typed,) = world.line.typed_messages
    assert (typed.participants, typed.media) == ((OURS, "+19195551235"), ("https://example.com/a.png",))


async def test_files_are_typed_as_they_are() -> None:
    """Their octets in base64; a name and a type if there are any. No text is needed."""
    world = World()
    files = [{"name": "cat.jpg", "content_type": "image/jpeg", "data": "/9j/"}, {"data": "eA=="}]
    assert (await call(world, "POST", MESSAGES, {"to": OURS, "files": files})).status == 202
    (typed,) = world.line.typed_messages
    assert typed.files == (
        File("cat.jpg", "image/jpeg", b"\xff\xd8\xff"),
        File("", "application/octet-stream", b"x"),
    )


async def test_a_reply_to_all_goes_to_everybody_in_the_group() -> None:
    """To its sender first, then to the others; never to the handset itself. The newest group counts."""
    world = World()
    friend, other = "+19195551235", "+12025550100"
    for number, group in enumerate([(HANDSET, friend), (friend, HANDSET, other, OURS)]):
        await world.submit(submitted("all", number, kind=Kind.MMS, destinations=group))
    await world.submit(submitted("you alone", 2))
    assert (await call(world, "POST", MESSAGES, {"reply_all": True, "text": "me too"})).status == 202
    (typed,) = world.line.typed_messages
    assert (typed.handset, typed.number, typed.participants) == (HANDSET, OURS, (OURS, friend, other))


async def test_a_reply_to_all_needs_a_group() -> None:
    """409 while the handset shows none, whatever else it shows."""
    world = World()
    await world.submit(submitted())
    answer = await call(world, "POST", MESSAGES, {"reply_all": True, "text": "hi"})
    assert (answer.status, answer.json["type"]) == (409, "no-group")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"text": "hi"}, "to"),
        ({"to": OURS}, "text"),
        ({"to": OURS, "files": [{"data": "eA"}]}, "$.files[0].data"),
        ({"to": OURS, "files": [{"data": "no base64!"}]}, "$.files[0].data"),
        ({"to": OURS, "files": [{"data": ""}]}, "$.files[0].data"),
        ({"to": OURS, "files": [{"name": "cat.jpg"}]}, "data"),
        ({"to": OURS, "files": [{"data": "eA==", "name": "../cat.jpg"}]}, "$.files[0].name"),
        ({"to": OURS, "files": [{"data": "eA==", "name": "a\nb"}]}, "$.files[0].name"),
        ({"to": OURS, "files": [{"data": "eA==", "content_type": "image"}]}, "$.files[0].content_type"),
        ({"to": OURS, "files": [{"data": "eA==", "content_type": "a/b\r\nc: d"}]}, "$.files[0].content_type"),
        ({"to": OURS, "files": [{"data": "eA=="}] * 11}, "$.files"),
        ({"to": OURS, "text": "hi", "reply_all": True}, "reply_all"),
        ({"text": "hi", "reply_all": True, "group": [OURS]}, "reply_all"),
        ({"to": "??", "text": "hi"}, "to"),
        ({"to": OURS, "text": 5}, "text"),
        ({"to": OURS, "text": "a\0b"}, "NUL"),
        ({"to": OURS, "text": "hi", "txet": "hi"}, "txet"),
        ({"to": OURS, "text": "hi", "media": ["file:///etc/passwd"]}, "media"),
        ({"to": OURS, "text": "hi", "group": ["someone"]}, "someone"),
        ({"to": OURS, "text": "x" * 10_001}, "text"),
        ([], "object"),
    ],
)
async def test_wrong_replies_are_named(body: Any, named: str) -> None:
    """400 with the field; nothing is typed."""
    world = World()
    answer = await call(world, "POST", MESSAGES, body)
    assert answer.status == 400
    assert named in answer.json["description"]
    assert world.line.typed_messages == []


@pytest.mark.parametrize(
    ("failure", "status", "type_"),
    [
        (NotFound("+12345678901 is not a number of this gateway"), 404, "not-found"),
        (StorageUnavailable("the disk is full"), 503, "not-stored"),
    ],
)
async def test_a_reply_that_is_not_taken_is_not_promised(failure: Exception, status: int, type_: str) -> None:
    """The error of the gateway is told to whoever typed."""
    world = World()
    world.line.failures = [failure]
    answer = await call(world, "POST", MESSAGES, {"to": OURS, "text": "hi"})
    assert (answer.status, answer.json) == (status, {"type": type_, "description": str(failure)})


async def test_a_reply_needs_a_handset_that_is_on_and_a_link() -> None:
    """409 says which of them is missing."""
    world = World()
    await call(world, "PUT", f"/sim/v1/handsets/{HANDSET}", {"power": "off"})
    off = await call(world, "POST", MESSAGES, {"to": OURS, "text": "hi"})
    assert (off.status, off.json["type"]) == (409, "handset-off")
    world.network.detach(world.line)
    no_link = await call(world, "POST", "/sim/v1/handsets/+19195551235/messages", {"to": OURS, "text": "hi"})
    assert (no_link.status, no_link.json["type"]) == (409, "no-link")


# ---- bodies ----

BODIES = [("PUT", f"/sim/v1/handsets/{HANDSET}"), ("POST", MESSAGES), ("POST", "/sim/v1/clock/advance")]


@pytest.mark.parametrize(("method", "target"), BODIES)
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_bodies_are_json(method: str, target: str, content_type: str) -> None:
    """Anything else is 415, so that no web page can make a browser send it unasked."""
    answer = await call(World(), method, target, {}, content_type=content_type)
    assert (answer.status, answer.json["type"]) == (415, "unsupported-content-type")


@pytest.mark.parametrize(
    ("method", "target", "chunk"), [(*body, 6_000_000 if body[1] == MESSAGES else 40_000) for body in BODIES]
)
async def test_bodies_are_bounded(method: str, target: str, chunk: int) -> None:
    """413 as soon as there is too much, however it is cut; files may be larger than all else."""
    answer = await call(World(), method, target, chunks=[b" " * chunk] * 2)
    assert (answer.status, answer.json["type"]) == (413, "too-large")


@pytest.mark.parametrize(("method", "target"), BODIES)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'"\\ud800"', b"null", b'{"by": 1, "to": 1, "power": 1}']
)
async def test_bodies_that_are_no_json_are_refused(method: str, target: str, body: bytes) -> None:
    """400, and never a stack trace."""
    answer = await call(World(), method, target, chunks=[body])
    assert (answer.status, answer.json["type"]) == (400, "bad-request")


async def test_a_charset_is_no_obstacle() -> None:
    """Parameters of the content type are ignored."""
    answer = await call(
        World(), "POST", "/sim/v1/clock/advance", {"by": "1s"}, content_type="Application/JSON; charset=utf-8"
    )
    assert answer.status == 200


# ---- time, scenario ----


async def test_time_is_moved() -> None:
    """The answer has the new time, and what was due runs."""
    world = World()
    await world.submit(submitted("#delay:86400000"))
    assert (await call(world, "GET", "/sim/v1/clock")).json == {"now": iso_ms(T0)}
    answer = await call(world, "POST", "/sim/v1/clock/advance", {"by": "25h"})
    assert answer.json == {"now": iso_ms(T0 + 25 * 3_600_000)}
    await quiet()
    assert len(world.line.receipts) == 1


@pytest.mark.parametrize("by", ["", "1", "h", "-1h", "1.5h", "1 h", "367d", "1w", "9999999999999s", "１s"])
async def test_time_moves_by_a_duration(by: str) -> None:
    """Anything else is 400, backwards and more than a year included, and time stands."""
    world = World()
    answer = await call(world, "POST", "/sim/v1/clock/advance", {"by": by})
    assert answer.status == 400
    assert world.clock.now_ms() == T0


@pytest.mark.parametrize(
    ("written", "duration_ms"),
    [("0s", 0), ("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("25h", 90_000_000), ("2d", 172_800_000)],
)
def test_durations_have_a_unit(written: str, duration_ms: int) -> None:
    """A whole number and milliseconds, seconds, minutes, hours or days."""
    assert parse_duration_ms(written) == duration_ms


async def test_the_scenario_is_told() -> None:
    """Every row of the table, for a console to offer."""
    rows = (await call(World(), "GET", "/sim/v1/scenario")).json
    assert rows == [{"recipient": row.number, "text": row.text, "outcome": row.outcome} for row in MAGIC]


async def test_other_methods_are_refused() -> None:
    """405, by the framework."""
    assert (await call(World(), "PATCH", MESSAGES)).status == 405

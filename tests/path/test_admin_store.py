"""The admin API over a real store: what is answered is stored, and what is stored is answered.

Each answer is checked against the description of the API, whatever else a test looks at.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import jsonschema_rs
import pytest

from contract.stories import (
    CARRIER,
    FROM,
    HOUR,
    LANE,
    T0,
    TO,
    attempt,
    inbound,
    message,
    outbound,
    receipt,
    refused,
)
from trebuchet.admin import app, openapi
from trebuchet.admin.context import AdminContext, LinkStatus, NodesView
from trebuchet.admin.passwords import Passwords
from trebuchet.api.openapi import document
from trebuchet.clock import ManualClock
from trebuchet.errors import StorageUnavailable
from trebuchet.feed import Entry, Feed
from trebuchet.model.account import Account, Application, Carrier, Directory, Number, NumberKind, Route
from trebuchet.model.events import CallbackItem, EventType, event_id
from trebuchet.outbox.committer import Committer
from trebuchet.storage import open_store
from trebuchet.storage.base import Change, Create, Pulse, RecordReceipt, Remove, SettleCallback, Store, Write
from trebuchet.telemetry import Telemetry

pytestmark = pytest.mark.anyio

TOKEN = "the-admin-token"
DOCUMENT = document("http://127.0.0.1:8080", openapi.paths())
ANSWER_S = 30


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def wrong(self) -> set[str]:
        """The fields that a refusal names."""
        assert self.status == 400
        return {error["fieldName"] for error in self.json.get("fieldErrors", ())}


class World:
    """A store with one account, application, number, carrier and route, and the admin API over it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock(T0)
        self.committer = Committer(store, batch_max=100, observe=lambda changes, seconds: None)
        self.directory = Directory()
        self.telemetry = Telemetry()
        self.feed = Feed()
        self.replayed: list[CallbackItem] = []
        self.context = AdminContext(
            clock=self.clock,
            store=store,
            write=self.committer.add,
            directory=lambda: self.directory,
            reload=self.reload,
            replayed=self.replayed.extend,
            links=lambda: [LinkStatus(CARRIER, "simulator", "up", [(LANE, 10)])],
            nodes=lambda: NodesView(Pulse(0, (), (), 0), "", 0, shared=False),
            catch_up=None,
            feed=self.feed,
            telemetry=self.telemetry,
            random_bytes=_counted(),
            safe_to_repeat=(),
            carrier_kinds={"simulator": _check_settings},
            passwords=Passwords(),
            admin_token=TOKEN,
            started_ms=T0 - HOUR,
            version="1.2.3",
            database="sqlite",
            simulator=True,
            queued=lambda: 7,
        )
        self.app = app.build(self.context)

    async def reload(self) -> None:
        self.directory = await self.store.directory()

    async def write(self, *changes: Write) -> None:
        for change in changes:
            await self.committer.add(change)
        await self.reload()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. The answer must be one that the description has for this call."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        given = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **(headers or {})}
        path, _, query = path.partition("?")
        sent = await self.call(
            method, path, query, [(name.encode(), value.encode()) for name, value in given.items()], content
        )
        answer = Answer(
            sent[0]["status"],
            {name.decode(): value.decode() for name, value in sent[0]["headers"]},
            b"".join(part.get("body", b"") for part in sent[1:]),
        )
        _check_described(method, path, answer)
        return answer

    async def call(
        self, method: str, path: str, query: str, headers: Sequence[tuple[bytes, bytes]], content: bytes
    ) -> list[Any]:
        """What the application sends for one request, as ASGI messages. The client stays until then."""
        sent: list[Any] = []
        coming = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Any:
            return coming.pop() if coming else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await asyncio.wait_for(self.app(_scope(method, path, query, headers), receive, send), ANSWER_S)
        return sent


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))

    def warning(self, event: str, /, **fields: object) -> None:
        self.events.append((event, fields))


def _scope(
    method: str, path: str, query: str = "", headers: Sequence[tuple[bytes, bytes]] = ()
) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "server": ("127.0.0.1", 8080),
        "client": ("127.0.0.1", 50_000),
        "root_path": "",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": list(headers),
    }


def _check_described(method: str, path: str, answer: Answer) -> None:
    item = _described(path)
    if item is None or answer.status == 405:
        return
    responses = item[method.lower()]["responses"]
    assert str(answer.status) in responses, answer.body
    content = responses[str(answer.status)].get("content")
    assert bool(content) == bool(answer.body)
    if content:
        schema = {**content["application/json"]["schema"], "components": DOCUMENT["components"]}
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(answer.json)


def _described(path: str) -> Any:
    """The path item that a path is of; one without parameters before one with."""
    parts = f"{openapi.PREFIX}{path}".split("/")
    fitting = [
        template
        for template in DOCUMENT["paths"]
        if len(names := template.split("/")) == len(parts)
        and all(name == part or name[:1] == "{" for name, part in zip(names, parts, strict=True))
    ]
    return DOCUMENT["paths"][min(fitting, key=lambda template: template.count("{"))] if fitting else None


def _counted() -> Callable[[int], bytes]:
    """Octets that are different each time, and the same in every run."""
    count = 0

    def random_bytes(length: int) -> bytes:
        nonlocal count
        count += 1
        return count.to_bytes(length, "big")

    return random_bytes


def _check_settings(settings: dict[str, Any]) -> None:
    if settings.keys() - {"window"}:
        raise ValueError("there is only a window")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = open_store("", tmp_path)
    await store.open()
    try:
        world = World(store)
        await world.write(
            Create(Account(id="u-1")),
            Create(Application(id="app-1", account_id="u-1")),
            Create(Number(number=FROM, kind=NumberKind.E164, account_id="u-1", application_id="app-1")),
            Create(Carrier(id=CARRIER, kind="simulator")),
            Create(Route(id="all", carrier_id=CARRIER)),
        )
        yield world
        await world.committer.close()
    finally:
        await store.close()


# ---- who may ask ----


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        "Bearer x",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer{TOKEN}",
        "\x80",
    ],
)
async def test_without_the_token_nothing_is_told(world: World, authorization: str) -> None:
    """401 on every path, also on those that are not there."""
    for path in ("/accounts", "/nowhere"):
        answer = await world.ask("GET", path, headers={"authorization": authorization})
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json["type"] == "unauthorized"


async def test_the_scheme_is_written_in_any_case(world: World) -> None:
    """RFC 7235, section 2.1."""
    assert (await world.ask("GET", "/accounts", headers={"authorization": f"bearer {TOKEN}"})).status == 200


async def test_an_empty_token_lets_nobody_in(world: World) -> None:
    """A gateway whose token was lost is closed, not open."""
    world.app = app.build(replace(world.context, admin_token=""))
    for authorization in ("", "Bearer", "Bearer "):
        assert (await world.ask("GET", "/accounts", headers={"authorization": authorization})).status == 401


# ---- records ----

RECORDS = [
    ("accounts", {"id": "u-9", "name": "Nine"}, "u-9", {"name": "Ten", "profile": "current"}),
    (
        "applications",
        {"id": "a-9", "account_id": "u-1", "callback_password": "hush"},
        "a-9",
        {"callback_url": "https://example.com/", "events": ["message-failed"]},
    ),
    ("numbers", {"number": "2025550123", "application_id": "app-1"}, "+12025550123", {"segments_per_s": 2.5}),
    ("carriers", {"id": "c-9", "kind": "simulator"}, "c-9", {"in_doubt": "resend", "settings": {"window": 3}}),
    ("routes", {"id": "r-9", "carrier_id": CARRIER}, "r-9", {"prefix": "+44", "priority": 1}),
]  # fmt: skip
KINDS = pytest.mark.parametrize(("path", "made", "key", "change"), RECORDS, ids=[row[0] for row in RECORDS])


@KINDS
async def test_a_record_lives_from_creation_to_deletion(
    world: World, path: str, made: Any, key: str, change: Any
) -> None:
    """Made, listed, got, changed, deleted; each at once seen by the gateway and kept by the store."""
    created = await world.ask("POST", f"/{path}", made)
    assert created.status == 201
    assert created.json["created_ms"] == T0
    one = f"/{path}/{quote(key)}"
    assert (await world.ask("GET", one)).json == created.json
    assert created.json in (await world.ask("GET", f"/{path}")).json["items"]
    changed = await world.ask("PATCH", one, change)
    assert (changed.status, changed.json) == (200, {**created.json, **change})
    await world.reload()
    assert (await world.ask("GET", one)).json == changed.json
    deleted = await world.ask("DELETE", one)
    assert (deleted.status, deleted.body) == (204, b"")
    for method in ("GET", "DELETE"):
        assert (await world.ask(method, one)).status == 404
    assert (await world.ask("PATCH", one, {})).status == 404


@KINDS
async def test_what_is_there_is_not_made_twice(
    world: World, path: str, made: Any, key: str, change: Any
) -> None:
    """409 says what is taken, and the record stays as it was."""
    await world.ask("POST", f"/{path}", made)
    before = (await world.ask("GET", f"/{path}/{quote(key)}")).json
    again = await world.ask("POST", f"/{path}", {**made, **change})
    assert again.status == 409
    assert key in again.json["description"]
    assert (await world.ask("GET", f"/{path}/{quote(key)}")).json == before


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/accounts/u-1", "account u-1 still has 1 number and 1 application"),
        ("/applications/app-1", "application app-1 still has 1 number"),
        (f"/carriers/{CARRIER}", f"carrier {CARRIER} still has 1 route"),
    ],
)
async def test_what_is_in_use_is_not_deleted(world: World, path: str, reason: str) -> None:
    """409 with what still needs it."""
    answer = await world.ask("DELETE", path)
    assert (answer.status, answer.json["description"]) == (409, reason)
    assert (await world.ask("GET", path)).status == 200


@pytest.mark.parametrize("path", ["accounts", "applications", "numbers", "carriers", "routes", "opt-outs"])
async def test_unknown_fields_are_refused(world: World, path: str) -> None:
    """Together with all else that is wrong."""
    assert "colour" in (await world.ask("POST", f"/{path}", {"colour": "red"})).wrong


async def test_ids_may_be_left_out(world: World) -> None:
    """They are made, and different each time."""
    for path, body in (
        ("/accounts", {}),
        ("/applications", {"account_id": "u-1"}),
        ("/routes", {"carrier_id": CARRIER}),
    ):
        ids = {(await world.ask("POST", path, body)).json["id"] for _ in range(2)}
        assert len(ids) == 2


async def test_a_number_is_found_however_it_is_written(world: World) -> None:
    """With or without +1."""
    for written in (FROM, FROM[1:], FROM[2:]):
        assert (await world.ask("GET", f"/numbers/{quote(written)}")).json["number"] == FROM


async def test_lists_come_in_pages(world: World) -> None:
    """In order of their keys, every record once, and `next` only while there are more."""
    names = [f"n{place}" for place in range(10)] + ["n", "n a", "n-a", "n&a"]
    for name in names:
        answer = await world.ask("POST", "/numbers", {"number": name, "application_id": "app-1"})
        assert answer.status == 201
        opted = await world.ask("POST", "/opt-outs", {"number": name, "handset": TO})
        assert opted.status == 201
    for path, field, count in (("numbers", "number", 15), ("opt-outs", "number", 14)):
        seen: list[str] = []
        after = ""
        while True:
            page = (await world.ask("GET", f"/{path}?limit=4&after={quote(after)}")).json
            seen += [item[field] for item in page["items"]]
            if "next" not in page:
                break
            assert len(page["items"]) == 4
            after = page["next"]
        assert len(seen) == len(set(seen)) == count


async def test_a_list_takes_no_other_parameter(world: World) -> None:
    """A wrong one is no silent lack of effect."""
    assert (await world.ask("GET", "/numbers?limt=4")).wrong == {"limt"}
    assert (await world.ask("GET", "/numbers?limit=0")).wrong == {"limit"}


async def test_changes_at_the_same_time_are_both_made(world: World) -> None:
    """Neither overwrites what the other has just changed."""
    await asyncio.gather(
        world.ask("PATCH", "/accounts/u-1", {"name": "One"}),
        world.ask("PATCH", "/accounts/u-1", {"profile": "current"}),
        world.ask("PATCH", "/accounts/u-1", {"segments_per_s": 3}),
    )
    account = (await world.ask("GET", "/accounts/u-1")).json
    assert (account["name"], account["profile"], account["segments_per_s"]) == ("One", "current", 3)


# ---- numbers in bulk ----


async def test_a_list_of_numbers_is_made_at_once(world: World) -> None:
    """Every one is there afterwards."""
    numbers = [f"+1202555{place:04d}" for place in range(500)]
    answer = await world.ask(
        "POST", "/numbers", [{"number": number, "application_id": "app-1"} for number in numbers]
    )
    assert answer.status == 201
    assert [item["number"] for item in answer.json["items"]] == numbers
    assert set(numbers) <= set((await world.store.directory()).numbers)


async def test_a_list_with_something_wrong_makes_nothing(world: World) -> None:
    """Each fault is named with its place."""
    good = {"number": "+12025550123", "application_id": "app-1"}
    answer = await world.ask("POST", "/numbers", [good, {"number": "x/y", "colour": 1}, 5])
    assert answer.wrong == {"[1].number", "[1].colour", "[1].application_id", "[2]"}
    assert (await world.ask("GET", "/numbers/%2B12025550123")).status == 404


@pytest.mark.parametrize("numbers", [[FROM, "+12025550123"], ["+12025550123", "2025550123"]])
async def test_a_list_with_a_number_that_is_taken_makes_nothing(world: World, numbers: list[str]) -> None:
    """By a record, or by another of the list; 409 names it."""
    answer = await world.ask("POST", "/numbers", [{"number": n, "application_id": "app-1"} for n in numbers])
    assert answer.status == 409
    assert ("+12025550123" in answer.json["description"]) == (FROM not in numbers)
    assert set((await world.store.directory()).numbers) == {FROM}


async def test_a_list_has_its_bound(world: World) -> None:
    """10,000 numbers; the answer names no more faults than a person reads."""
    answer = await world.ask("POST", "/numbers", [{}] * 10_001)
    assert answer.wrong == set()
    assert "10000" in answer.json["description"]
    assert len((await world.ask("POST", "/numbers", [{}] * 10_000)).wrong) == 20


async def test_only_numbers_come_in_lists(world: World) -> None:
    """Other records are made one by one."""
    assert (await world.ask("POST", "/accounts", [{}])).status == 400


# ---- what only some have ----


async def test_a_carrier_is_paused_and_resumed(world: World) -> None:
    """And keeps all else."""
    before = (await world.ask("GET", f"/carriers/{CARRIER}")).json
    paused = await world.ask("POST", f"/carriers/{CARRIER}/pause")
    assert (paused.status, paused.json) == (200, {**before, "paused": True})
    assert (await world.store.directory()).carriers[CARRIER].paused
    assert (await world.ask("POST", f"/carriers/{CARRIER}/resume")).json == before
    assert (await world.ask("POST", "/carriers/nothing/pause")).status == 404


async def test_a_credential_is_shown_whole_only_once(world: World) -> None:
    """Token and secret in the answer to its making, and the token in the list."""
    made = (await world.ask("POST", "/accounts/u-1/credentials", {"label": "CI"})).json
    assert len(made["secret"]) == 32
    (listed,) = (await world.ask("GET", "/accounts/u-1/credentials")).json["items"]
    assert {**listed, "secret": made["secret"]} == made
    assert made["secret"] not in str(await world.store.directory())
    assert world.directory.credentials[made["token"]].account_id == "u-1"


async def test_a_revoked_credential_is_refused_and_stays_in_the_list(world: World) -> None:
    """With the time of its end, which a second call does not move."""
    token = (await world.ask("POST", "/accounts/u-1/credentials")).json["token"]
    world.clock.advance(1000)
    for _ in range(2):
        assert (await world.ask("DELETE", f"/accounts/u-1/credentials/{token}")).status == 204
        assert token not in world.directory.credentials
        (listed,) = (await world.ask("GET", "/accounts/u-1/credentials")).json["items"]
        assert (listed["token"], listed["revoked_ms"]) == (token, T0 + 1000)
        world.clock.advance(1000)


async def test_a_credential_is_only_found_under_its_account(world: World) -> None:
    """Neither listed nor revoked through another one."""
    await world.ask("POST", "/accounts", {"id": "u-2"})
    token = (await world.ask("POST", "/accounts/u-1/credentials")).json["token"]
    assert (await world.ask("GET", "/accounts/u-2/credentials")).json["items"] == []
    assert (await world.ask("DELETE", f"/accounts/u-2/credentials/{token}")).status == 404
    assert token in world.directory.credentials
    assert (await world.ask("POST", "/accounts/u-3/credentials")).status == 404


async def test_credentials_come_in_pages(world: World) -> None:
    """As every list does."""
    tokens = {(await world.ask("POST", "/accounts/u-1/credentials")).json["token"] for _ in range(3)}
    first = (await world.ask("GET", "/accounts/u-1/credentials?limit=2")).json
    second = (await world.ask("GET", f"/accounts/u-1/credentials?limit=2&after={first['next']}")).json
    assert "next" not in second
    assert {item["token"] for item in first["items"] + second["items"]} == tokens


async def test_revoked_credentials_go_with_their_account(world: World) -> None:
    """Valid ones stand in its way."""
    await world.ask("POST", "/accounts", {"id": "u-2"})
    token = (await world.ask("POST", "/accounts/u-2/credentials")).json["token"]
    refusal = await world.ask("DELETE", "/accounts/u-2")
    assert (refusal.status, refusal.json["description"]) == (409, "account u-2 still has 1 credential")
    await world.ask("DELETE", f"/accounts/u-2/credentials/{token}")
    assert (await world.ask("DELETE", "/accounts/u-2")).status == 204
    assert not world.directory.revoked


async def test_a_signing_secret_is_made_on_request(world: World) -> None:
    """A new one each time, shown in that answer only."""
    secrets = []
    for _ in range(2):
        answer = await world.ask("PATCH", "/applications/app-1", {"rotate_signing_secret": True})
        secrets.append(answer.json["signing_secret"])
        assert (await world.store.directory()).applications["app-1"].signing_secret == secrets[-1]
    assert secrets[0] != secrets[1]
    shown = (await world.ask("GET", "/applications/app-1")).json
    assert shown["signing_secret_set"] is True
    assert "signing_secret" not in shown


async def test_an_opt_out_is_made_and_taken_back(world: World) -> None:
    """Numbers in any form; it says since when."""
    made = await world.ask("POST", "/opt-outs", {"number": FROM[2:], "handset": TO[2:]})
    assert (made.status, made.json) == (201, {"number": FROM, "handset": TO, "created_ms": T0})
    assert (await world.ask("GET", "/opt-outs")).json["items"] == [made.json]
    assert (FROM, TO) in world.directory.opt_outs
    path = f"/opt-outs/{FROM[2:]}/{quote(TO)}"
    assert (await world.ask("DELETE", path)).status == 204
    assert (await world.ask("DELETE", path)).status == 404
    assert not world.directory.opt_outs


# ---- requests that are wrong as a whole ----


@pytest.mark.parametrize("body", [b"{", b"[1,]", b"\xff", b'"\xff"', b"{}{}", b'"\\ud800"', b"[" * 60_000])
async def test_what_is_no_json_is_refused(world: World, body: bytes) -> None:
    """400, however strange."""
    answer = await world.ask("POST", "/accounts", raw=body)
    assert answer.status == 400
    assert answer.json["description"].startswith("The body")


async def test_other_content_types_are_refused(world: World) -> None:
    """415, unless it is JSON with parameters."""
    for kind, status in (("text/plain", 415), ("Application/JSON; charset=utf-8", 201)):
        assert (await world.ask("POST", "/accounts", {}, headers={"content-type": kind})).status == status


@pytest.mark.parametrize(("path", "size"), [("/accounts", 65_537), ("/numbers", 4_194_305)])
async def test_bodies_have_their_bound(world: World, path: str, size: int) -> None:
    """64 KiB, and 4 MiB where lists are taken."""
    assert (await world.ask("POST", path, raw=b" " * size)).status == 413
    assert (await world.ask("POST", path, raw=b" " * (size - 3) + b"{}")).status in {201, 400}


async def test_other_methods_are_named(world: World) -> None:
    """405 says which are allowed."""
    answer = await world.ask("PUT", "/accounts/u-1")
    assert answer.status == 405
    assert {"GET", "PATCH", "DELETE"} <= set(answer.headers["allow"].replace(" ", "").split(","))
    assert (await world.ask("GET", "/nowhere")).status == 404


async def test_a_store_that_cannot_write_is_unavailable(world: World) -> None:
    """503 with the time to wait, and nothing changed."""
    failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    failed.set_exception(StorageUnavailable("the disk is full"))
    world.app = app.build(replace(world.context, write=lambda change: failed))
    answer = await world.ask("POST", "/accounts", {"id": "u-2"})
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "disk" not in answer.body.decode()
    assert "u-2" not in (await world.store.directory()).accounts


async def test_an_error_that_nobody_expected_stays_in_the_house(world: World) -> None:
    """500 says nothing of it; the log has its kind and its place, and no value."""
    log = Log()

    def broken() -> Sequence[LinkStatus]:
        raise RuntimeError("very secret")

    world.app = app.build(replace(world.context, links=broken, telemetry=Telemetry(lambda: log)))
    answer = await world.ask("GET", "/links")
    assert answer.status == 500
    assert b"secret" not in answer.body
    ((action, fields),) = log.events
    assert (action, fields["error"]) == ("admin_failed", "RuntimeError")
    assert str(fields["place"]).startswith("test_admin_store.py:")
    assert "secret" not in str(fields)


async def test_a_client_that_leaves_within_its_body_is_no_problem(world: World) -> None:
    """Nothing is made, and nothing is announced."""
    coming = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Any:
        return coming.pop()

    async def send(message: Any) -> None:
        return

    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    await world.app(_scope("POST", "/accounts", headers=headers), receive, send)
    assert world.telemetry.value("trebuchet_problems_total", "admin_failed") == 0
    assert set((await world.store.directory()).accounts) == {"u-1"}


# ---- operation ----


async def failed_message(world: World, number: int = 0) -> str:
    """A message that a carrier refused and whose callback was never answered. Returns the id of its event."""
    sent = message(number, text="a private text", tag="t")
    await world.write(outbound(sent), refused(sent))
    event = event_id(sent.id, 0, EventType.FAILED)
    await world.write(SettleCallback(event, attempt(event, status=None)))
    return event


async def test_messages_are_searched_over_all_accounts(world: World) -> None:
    """Newest first, page by page, and never with their texts."""
    for number in range(3):
        await failed_message(world, number)
    await world.write(inbound(10, account_id="u-2", text="a private text"))
    first = (await world.ask("GET", "/messages?limit=3")).json
    second = (await world.ask("GET", f"/messages?limit=3&page={first['next']}")).json
    rows = first["items"] + second["items"]
    assert [row["direction"] for row in rows] == ["in", "out", "out", "out"]
    assert (first["total"], second["total"]) == (4, 4)
    assert "next" not in second
    assert "private" not in json.dumps(rows)
    assert rows[-1] == {
        "id": message().id,
        "recipient": 0,
        "account_id": "u-1",
        "application_id": "app-1",
        "direction": "out",
        "kind": "sms",
        "from": FROM,
        "to": TO,
        "state": "FAILED",
        "error_code": 4720,
        "segment_count": 1,
        "received": "2026-01-01T00:00:00.000Z",
        "final": "2026-01-01T00:00:00.001Z",
        "tag": "t",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("account=u-1", 1),
        ("account=u-2", 1),
        ("application=app-1", 2),
        ("application=none", 0),
        (f"source={FROM[2:]}", 1),
        (f"destination={quote(TO)}", 1),
        ("state=failed", 1),
        ("state=QUEUED,SENDING", 0),
        ("direction=in", 1),
        ("kind=sms", 2),
        ("kind=mms", 0),
        ("error_code=4720", 1),
        ("error_code=0", 1),
        (f"carrier={CARRIER}", 2),
        ("tag=t", 1),
        ("from=2026-01-01T00:00:00.005Z", 1),
        ("to=2026-01-01T00:00:00.005Z", 1),
        ("direction=out&state=RECEIVED", 0),
    ],
)
async def test_every_filter_of_messages_filters(world: World, query: str, found: int) -> None:
    """All given ones must match: here a failed message and an inbound one of another account."""
    await failed_message(world)
    await world.write(inbound(10, account_id="u-2"))
    answer = (await world.ask("GET", f"/messages?{query}")).json
    assert (answer["total"], len(answer["items"])) == (found, found)


async def test_a_life_tells_everything(world: World) -> None:
    """Request, delivery, exchange with the carrier, event, callback and attempts; the text if asked for."""
    event = await failed_message(world)
    life = (await world.ask("GET", f"/messages/{message().id}?text=true")).json
    assert life["message"]["text"] == "a private text"
    assert life["deliveries"][0]["error_code"] == 4720
    assert life["exchanges"][0]["description"] == "no such number"
    assert [one["id"] for one in life["events"]] == [event]
    assert [one["error"] for one in life["attempts"]] == ["timeout"]
    assert life["why"] == {"route": f"{LANE}, by rule all (any recipient, any)", "encoding": "GSM-7"}
    assert b"private" not in (await world.ask("GET", f"/messages/{message().id}")).body
    assert (await world.ask("GET", "/messages/none")).status == 404
    assert (await world.ask("GET", f"/messages/{message().id}?text=yes")).wrong == {"text"}


async def test_events_are_listed_with_their_attempts(world: World) -> None:
    """In order of time, in pages; only the failed ones if asked for."""
    events = [await failed_message(world, number) for number in range(3)]
    await world.write(SettleCallback(events[1], attempt(events[1], T0 + 7000)))
    first = (await world.ask("GET", "/callbacks?limit=2&application=app-1")).json
    second = (await world.ask("GET", f"/callbacks?limit=2&application=app-1&after={first['next']}")).json
    assert [item["id"] for item in first["items"] + second["items"]] == events
    assert [len(item["attempts"]) for item in first["items"]] == [1, 2]
    assert "next" not in second
    failed = (await world.ask("GET", "/callbacks?failed_only=true")).json["items"]
    assert [item["id"] for item in failed] == [events[0], events[2]]
    span = "from=2026-01-01T00:00:00.003Z&to=2026-01-01T01:00:00Z"
    assert [item["id"] for item in (await world.ask("GET", f"/callbacks?{span}")).json["items"]] == [
        events[2]
    ]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ({"event_ids": [event_id(message(1).id, 0, EventType.FAILED), "none"]}, [1]),
        ({"event_ids": [event_id(message(1).id, 0, EventType.FAILED)] * 3}, [1]),
        ({"message_id": message(2).id}, [2]),
        ({"message_id": "none"}, []),
        ({"application_id": "app-1"}, [0, 1, 2]),
        ({"application_id": "app-1", "failed_only": True}, [0, 2]),
        ({"application_id": "app-1", "from": "2026-01-01T00:00:00.003Z"}, [2]),
        ({"application_id": "app-1", "to": "2026-01-01T00:00:00.002Z"}, [0, 1]),
        ({"application_id": "none"}, []),
    ],
)
async def test_callbacks_are_called_once_more(world: World, wanted: Any, places: list[int]) -> None:
    """Each event that is meant is in the queue again, once, and its lane is told of it."""
    events = [await failed_message(world, number) for number in range(3)]
    await world.write(SettleCallback(events[1], attempt(events[1])))
    answer = await world.ask("POST", "/callbacks/replay", wanted)
    assert (answer.status, answer.json) == (200, {"queued": len(places), "more": False})
    meant = [events[place] for place in places]
    assert sorted(item.event_id for item in world.replayed) == meant
    due = await world.store.due_callbacks("app-1", world.clock.now_ms(), (0, ""), 10)
    assert sorted(one.item.event_id for one in due) == meant


async def test_a_replay_must_say_what_it_means(world: World) -> None:
    """All three ways are named."""
    names = {"event_ids", "message_id", "application_id"}
    assert (await world.ask("POST", "/callbacks/replay", {})).wrong == names
    assert (await world.ask("POST", "/callbacks/replay", {"event_ids": "e"})).wrong == {"event_ids"}


async def test_receipts_that_match_nothing_are_listed(world: World) -> None:
    """So that an operator sees what the carrier meant."""
    await world.write(RecordReceipt(receipt("unknown")))
    (item,) = (await world.ask("GET", "/receipts/unmatched?limit=5")).json["items"]
    assert (item["carrier_id"], item["carrier_message_id"]) == (CARRIER, "unknown")


async def test_queues_and_links_say_what_waits(world: World) -> None:
    """Rows, and the age of the oldest in seconds on the gateway's clock."""
    await world.write(outbound(message()), outbound(message(1)), inbound(2))
    world.clock.advance(5000)
    queues = (await world.ask("GET", "/queues")).json
    assert queues == {
        "lanes": {LANE: {"rows": 2, "oldest_age_s": 5.0}},
        "callbacks": {"app-1": {"rows": 1, "oldest_age_s": 4.998}},
    }
    assert (await world.ask("GET", "/links")).json["items"] == [
        {
            "carrier_id": CARRIER,
            "kind": "simulator",
            "state": "up",
            "lanes": [{"name": LANE, "room": 10, "rows": 2}],
            "binds": [],
            "receipt_ids": None,
        }
    ]


async def test_the_status_says_who_answers(world: World) -> None:
    """Version, times in ISO 8601, database, and how much is queued."""
    assert (await world.ask("GET", "/status")).json == {
        "version": "1.2.3",
        "started": "2025-12-31T23:00:00.000Z",
        "now": "2026-01-01T00:00:00.000Z",
        "database": "sqlite",
        "simulator": True,
        "queued": 7,
    }


async def test_the_feed_tells_from_the_moment_that_it_answers(world: World) -> None:
    """Until the client leaves, and nobody is left watching then."""
    parts: asyncio.Queue[Any] = asyncio.Queue()
    gone = asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    watching = asyncio.ensure_future(
        world.app(_scope("GET", "/feed", "message=m", headers), receive, parts.put)
    )
    start = await parts.get()
    assert (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]
    assert world.feed.watched
    world.feed.publish(Entry(T0, "accepted", "other"))
    world.feed.publish(Entry(T0, "accepted", "m", account_id="u-1"))
    assert (await parts.get())["body"] == b": open\n\n"
    told = json.loads((await parts.get())["body"].removeprefix(b"data: "))
    assert told == {"at_ms": T0, "what": "accepted", "message_id": "m", "account_id": "u-1"}
    gone.set()
    await asyncio.wait_for(watching, ANSWER_S)
    assert not world.feed.watched


async def test_a_change_that_another_made_first_is_told(world: World) -> None:
    """The store has the last word: what is gone meanwhile is 404, what came meanwhile is 409."""
    await world.committer.add(Remove(Route(id="all", carrier_id=CARRIER)))
    assert (await world.ask("PATCH", "/routes/all", {"priority": 5})).status == 404
    await world.committer.add(Create(Account(id="u-2")))
    await world.committer.add(Change(Account(id="u-2", name="Two")))
    world.directory = Directory()
    assert (await world.ask("POST", "/accounts", {"id": "u-2"})).status == 409
    assert world.directory.accounts["u-2"].name == "Two"

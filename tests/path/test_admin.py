"""The admin API of a gateway that runs: what it changes holds for the traffic at once, and outlives the process.

Handler by handler it is judged in `test_admin_store`; here it is a process with its carrier, its callbacks and
its log.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from support.gateway import (
    ACCOUNT,
    ADMIN_TOKEN,
    APPLICATION,
    HANDSET,
    NUMBER,
    OTHER_NUMBER,
    SECRET,
    TOKEN,
    Gateway,
    running,
)
from support.http import Answer, Catcher, basic, catching, request
from trebuchet import __version__

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}
BEARER = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
_counter = itertools.count(1)


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One gateway for the stories that do not disturb each other."""
    async with running(tmp_path_factory.mktemp("gateway"), QUICK) as gateway:
        yield gateway


@dataclass
class Shop:
    """An account of its own: application, number and credential."""

    gateway: Gateway
    account: str
    application: str
    number: str
    token: str
    secret: str

    async def send(self, text: str = "hello", prefix: str = "/v2", **fields: Any) -> Answer:
        body = {"from": self.number, "to": HANDSET, "text": text, "applicationId": self.application, **fields}
        return await request(
            "POST",
            f"{self.gateway.url}{prefix}/users/{self.account}/messages",
            json_body=body,
            headers=basic(self.token, self.secret),
        )

    async def sent(self, text: str = "hello", **fields: Any) -> str:
        """The id of a message that is accepted and has come to its end."""
        answer = await self.send(text, **fields)
        assert answer.status == 202, answer.body
        message_id = str(answer.json["id"])
        await until(self.gateway, message_id, lambda life: ended(life["deliveries"]))
        return message_id


async def shop_of(gateway: Gateway, callback_url: str | None = None, **application: Any) -> Shop:
    """A new shop; the fields are those of its application."""
    place = next(_counter)
    account, application_id, number = f"shop-{place}", f"app-{place}", f"+1303555{place:04}"
    credential: Any = None
    for path, body in (
        ("accounts", {"id": account}),
        (
            "applications",
            {"id": application_id, "account_id": account, "callback_url": callback_url, **application},
        ),
        ("numbers", {"number": number, "application_id": application_id}),
        (f"accounts/{account}/credentials", {"label": "first"}),
    ):
        credential = await gateway.admin("POST", f"/{path}", body)
        assert credential.status == 201, credential.body
    return Shop(gateway, account, application_id, number, credential.json["token"], credential.json["secret"])


def ended(deliveries: Any) -> bool:
    return all(delivery["final_ms"] is not None for delivery in deliveries)


async def until(gateway: Gateway, message_id: str, condition: Callable[[Any], bool]) -> Any:
    """The message's life, once it fulfils the condition."""
    async with asyncio.timeout(20):
        while not condition(life := await gateway.life(message_id)):
            await asyncio.sleep(0.01)
    return life


async def listed(gateway: Gateway, path: str, **query: Any) -> list[Any]:
    """All items of a list, page by page."""
    items: list[Any] = []
    while True:
        page = (await gateway.admin("GET", f"{path}?{urlencode(query)}")).json
        items += page["items"]
        if "next" not in page:
            return items
        query["after"] = page["next"]


# ---- who may ask, and how ----


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", "Bearer ", basic(TOKEN, SECRET)["Authorization"]]
)
@pytest.mark.parametrize("path", ["/accounts", "/messages", "/feed", "/status", "/nothing"])
async def test_without_the_admin_token_there_is_nothing(
    gateway: Gateway, path: str, authorization: str | None
) -> None:
    """401 that asks for a bearer token, also where nothing is, and also for an account's own credentials."""
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = await request("GET", f"{gateway.url}/admin/v1{path}", headers=headers)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json["type"] == "unauthorized"
    assert ADMIN_TOKEN not in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/accounts", {"GET", "HEAD", "POST"}),
        ("POST", f"/accounts/{ACCOUNT}", {"GET", "HEAD", "PATCH", "DELETE"}),
        ("PATCH", f"/accounts/{ACCOUNT}/credentials/{TOKEN}", {"DELETE"}),
        ("GET", "/carriers/simulator/pause", {"POST"}),
        ("GET", "/callbacks/replay", {"POST"}),
        ("POST", "/feed", {"GET", "HEAD"}),
        ("DELETE", "/messages", {"GET", "HEAD"}),
    ],
)
async def test_other_methods_get_405_with_those_that_are_allowed(
    gateway: Gateway, method: str, path: str, allowed: set[str]
) -> None:
    """In the header Allow (RFC 9110, section 15.5.6) and in words."""
    answer = await gateway.admin(method, path)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == allowed
    assert answer.headers["allow"] in answer.json["description"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"name=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b'{"name": "' + b"x" * 70_000 + b'"}', {"Content-Type": "application/json"}, 413),
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b"\xff", {"Content-Type": "application/json"}, 400),
        (b"[" * 5000, {"Content-Type": "application/json"}, 400),
    ],
    ids=["form", "text", "large", "cut", "array", "no-utf-8", "deep"],
)
async def test_bodies_that_are_not_taken(
    gateway: Gateway, body: bytes, headers: dict[str, str], status: int
) -> None:
    """Another type, too many octets, no JSON, no object: each its own status, and nothing is made."""
    before = await listed(gateway, "/accounts")
    answer = await request(
        "POST", f"{gateway.url}/admin/v1/accounts", body=body, headers={**BEARER, **headers}
    )
    assert answer.status == status
    assert answer.json["description"] == answer.json["message"]
    assert await listed(gateway, "/accounts") == before


# ---- records ----

RECORDS = [
    ("accounts", {"id": "life-1", "name": "One"}, "life-1", {"name": "Two", "profile": "current"}),
    (
        "applications",
        {"id": "life-a", "account_id": ACCOUNT, "callback_username": "me"},
        "life-a",
        {"callback_url": "https://example.com/", "events": ["message-failed"], "callback_username": None},
    ),
    (
        "numbers",
        {"number": "+12025550190", "application_id": APPLICATION},
        "+12025550190",
        {"segments_per_s": 2.5},
    ),
    ("numbers", {"number": "24680", "application_id": APPLICATION}, "24680", {"segments_per_s": 100}),
    ("numbers", {"number": "Shop24", "application_id": APPLICATION}, "Shop24", {"segments_per_s": None}),
    ("carriers", {"id": "spare", "kind": "simulator"}, "spare", {"in_doubt": "resend", "paused": True}),
    ("routes", {"id": "r-1", "carrier_id": "simulator", "prefix": "+99"}, "r-1", {"prefix": "+98"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "made", "key", "change"), RECORDS, ids=[f"{row[0]}-{row[2]}" for row in RECORDS]
)
async def test_a_record_is_created_listed_changed_and_deleted(
    gateway: Gateway, path: str, made: Any, key: str, change: Any
) -> None:
    """And a second one of the same name is refused with 409."""
    one = f"/{path}/{quote(key)}"
    created = await gateway.admin("POST", f"/{path}", made)
    assert (created.status, {**created.json, **made}) == (201, created.json)
    again = await gateway.admin("POST", f"/{path}", made)
    assert (again.status, key in again.json["description"]) == (409, True)
    assert (await gateway.admin("GET", one)).json == created.json
    assert created.json in await listed(gateway, f"/{path}")
    changed = await gateway.admin("PATCH", one, change)
    assert (changed.status, changed.json) == (200, {**created.json, **change})
    assert (await gateway.admin("GET", one)).json == changed.json
    assert (await gateway.admin("DELETE", one)).status == 204
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        assert (await gateway.admin(method, one, body)).status == 404
    assert not [item for item in await listed(gateway, f"/{path}") if key in item.values()]


async def test_every_change_is_in_the_audit_log_and_no_refused_one(gateway: Gateway) -> None:
    """Newest first, page by page, with the names of changed fields and not their values."""
    route = {"id": "audited", "carrier_id": "simulator", "prefix": "+99"}
    assert (await gateway.admin("POST", "/routes", route)).status == 201
    assert (await gateway.admin("POST", "/routes", route)).status == 409
    assert (await gateway.admin("PATCH", "/routes/audited", {"prefix": "+98", "priority": 100})).status == 200
    assert (await gateway.admin("DELETE", "/routes/audited")).status == 204
    log = (await gateway.admin("GET", "/audit")).json["items"]
    mine = [entry for entry in log if entry["target"] == "route audited"]
    # Those of one millisecond have no order.
    assert sorted((entry["who"], entry["action"], entry["detail"]) for entry in mine) == [
        ("admin token", "change", "prefix"),
        ("admin token", "create", ""),
        ("admin token", "remove", ""),
    ]
    times = [entry["at_ms"] for entry in log]
    assert times == sorted(times, reverse=True)
    first = (await gateway.admin("GET", "/audit?limit=1")).json
    assert (first["items"], first["next"]) == (log[:1], log[0]["id"])
    assert (await gateway.admin("GET", f"/audit?limit=1&before={first['next']}")).json["items"] == log[1:2]


REFUSED = [
    # Unknown fields, with the closest known name.
    ("POST", "/accounts", {"nam": "x"}, "nam", "did you mean 'name'?"),
    ("POST", f"/accounts/{ACCOUNT}/credentials", {"lable": "x"}, "lable", "did you mean 'label'?"),
    ("POST", "/applications", {"callbackUrl": "x"}, "callbackUrl", "did you mean 'callback_url'?"),
    ("POST", "/numbers", {"application": "x"}, "application", "did you mean 'application_id'?"),
    ("POST", "/carriers", {"in-doubt": "x"}, "in-doubt", "did you mean 'in_doubt'?"),
    ("POST", "/routes", {"prefx": "x"}, "prefx", "did you mean 'prefix'?"),
    ("POST", "/opt-outs", {"handsets": "x"}, "handsets", "did you mean 'handset'?"),
    ("POST", "/callbacks/replay", {"messageid": "x"}, "messageid", "did you mean 'message_id'?"),
    ("PATCH", f"/accounts/{ACCOUNT}", {"segments": 1}, "segments", "did you mean 'segments_per_s'?"),
    # Missing ones.
    ("POST", "/applications", {}, "account_id", "is required"),
    ("POST", "/numbers", {}, "number", "is required"),
    ("POST", "/carriers", {"id": "x"}, "kind", "is required"),
    ("POST", "/routes", {}, "carrier_id", "is required"),
    ("POST", "/opt-outs", {"number": NUMBER}, "handset", "is required"),
    # Wrong values.
    ("POST", "/accounts", {"id": "a b"}, "id", "regex"),
    ("POST", "/accounts", {"name": "x" * 257}, "name", "256"),
    ("POST", "/accounts", {"profile": "old"}, "profile", "it takes catapult, current"),
    ("PATCH", f"/accounts/{ACCOUNT}", {"segments_per_s": 0}, "segments_per_s", "0.001"),
    ("POST", "/applications", {"callback_auth": "digest"}, "callback_auth", "it takes preemptive, challenge"),
    ("PATCH", f"/applications/{APPLICATION}", {"callback_url": "ftp://x/"}, "callback_url", "cannot be called"),
    ("PATCH", f"/applications/{APPLICATION}", {"events": ["x"]}, "events", "it takes "),
    ("PATCH", f"/applications/{APPLICATION}", {"callback_username": "a:b"}, "callback_username", "regex"),
    ("POST", "/numbers", {"number": "12"}, "number", "E.164"),
    ("POST", "/carriers", {"id": "x", "kind": "pigeon"}, "kind", "must be one of mm4, mm7, simulator, smpp"),
    ("POST", "/carriers", {"id": "x", "kind": "simulator", "settings": {"y": 1}}, "settings", "y"),
    ("PATCH", "/carriers/simulator", {"receipt_timeout_s": -1}, "receipt_timeout_s", ">= 1"),
    ("PATCH", "/carriers/simulator", {"in_doubt": "ask"}, "in_doubt", "it takes resend, fail"),
    ("PATCH", "/routes/all-to-simulator", {"kind": "fax"}, "kind", "it takes sms, mms, any"),
    ("PATCH", "/routes/all-to-simulator", {"prefix": "abc"}, "prefix", "regex"),
    ("POST", "/opt-outs", {"number": NUMBER, "handset": "x"}, "handset", "E.164"),
    # What cannot be changed.
    ("PATCH", f"/accounts/{ACCOUNT}", {"id": "other"}, "id", "cannot be changed"),
    ("PATCH", f"/applications/{APPLICATION}", {"account_id": "other"}, "account_id", "cannot be changed"),
    ("PATCH", f"/numbers/{NUMBER}", {"number": OTHER_NUMBER}, "number", "cannot be changed"),
    # What is not there.
    ("POST", "/applications", {"account_id": "nobody"}, "account_id", "no account that there is: nobody"),
    ("POST", "/numbers", {"application_id": "none"}, "application_id", "no application that there is: none"),
    ("PATCH", f"/numbers/{NUMBER}", {"application_id": "none"}, "application_id", "no application"),
    ("POST", "/routes", {"carrier_id": "none"}, "carrier_id", "no carrier that there is: none"),
    ("POST", "/opt-outs", {"number": "+12025550000", "handset": HANDSET}, "number", "no number"),
    # Queries.
    ("GET", "/accounts?limit=0", None, "limit", "from 1 to 1000"),
    ("GET", "/accounts?limit=1001", None, "limit", "from 1 to 1000"),
    ("GET", "/accounts?limt=1", None, "limt", "did you mean 'limit'?"),
    ("GET", "/messages?acount=x", None, "acount", "did you mean 'account'?"),
    ("GET", "/messages?state=LOST", None, "state", "known: "),
    ("GET", "/messages?direction=up", None, "direction", "in or out"),
    ("GET", "/messages?kind=fax", None, "kind", "sms or mms"),
    ("GET", "/messages?error_code=x", None, "error_code", "number"),
    ("GET", "/messages?from=yesterday", None, "from", "ISO 8601"),
    ("GET", "/messages?page=-1", None, "page", "number"),
    ("GET", "/messages/x?text=yes", None, "text", "true or false"),
    ("GET", "/callbacks?failed_only=1", None, "failed_only", "true or false"),
    ("GET", "/receipts/unmatched?after=x", None, "after", "no field"),
    ("GET", "/feed?mesage=x", None, "mesage", "did you mean 'message'?"),
    ("GET", "/status?x=y", None, "x", "no field"),
    # Replays that do not say what they mean.
    ("POST", "/callbacks/replay", {}, "message_id", "exactly one of"),
    ("POST", "/callbacks/replay", {"message_id": "x", "event_ids": ["y"]}, "event_ids", "exactly one of"),
    ("POST", "/callbacks/replay", {"message_id": "x", "failed_only": True}, "application_id", "need"),
    ("POST", "/callbacks/replay", {"application_id": "x", "from": "now"}, "from", "ISO 8601"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "said"),
    REFUSED,
    ids=[f"{row[0]} {row[1]} {row[3]}" for row in REFUSED],
)
async def test_what_is_wrong_is_named_with_what_would_be_right(
    gateway: Gateway, method: str, path: str, body: Any, field: str, said: str
) -> None:
    """400 that says of the field what is wrong with it."""
    answer = await gateway.admin(method, path, body)
    assert answer.status == 400
    told = [error["description"] for error in answer.json["fieldErrors"] if error["fieldName"] == field]
    assert [said in description for description in told] == [True]


async def test_all_that_is_wrong_is_told_at_once(gateway: Gateway) -> None:
    """One answer names every field, and nothing of the change is made."""
    before = (await gateway.admin("GET", f"/accounts/{ACCOUNT}")).json
    answer = await gateway.admin(
        "PATCH", f"/accounts/{ACCOUNT}", {"name": "New", "profile": "x", "segments_per_s": "y", "color": 1}
    )
    assert {error["fieldName"] for error in answer.json["fieldErrors"]} == {
        "profile",
        "segments_per_s",
        "color",
    }
    assert (await gateway.admin("GET", f"/accounts/{ACCOUNT}")).json == before


async def test_what_is_in_use_is_not_deleted(gateway: Gateway) -> None:
    """409 with what still needs it; taken away in order everything goes."""
    shop = await shop_of(gateway)
    for path, reason in (
        (f"/accounts/{shop.account}", "1 number, 1 application and 1 credential"),
        (f"/applications/{shop.application}", "1 number"),
        ("/carriers/simulator", "1 route"),
    ):
        answer = await gateway.admin("DELETE", path)
        assert (answer.status, reason in answer.json["description"]) == (409, True), answer.body
    for path in (
        f"/numbers/{shop.number}",
        f"/applications/{shop.application}",
        f"/accounts/{shop.account}/credentials/{shop.token}",
        f"/accounts/{shop.account}",
    ):
        assert (await gateway.admin("DELETE", path)).status == 204
    assert (await shop.send()).status == 401


@pytest.mark.parametrize("kind", ["accounts", "applications", "numbers", "carriers", "routes", "messages"])
async def test_what_is_not_there_is_404(gateway: Gateway, kind: str) -> None:
    """With its path, so that a mistake in it is seen."""
    answer = await gateway.admin("GET", f"/{kind}/nothing")
    assert (answer.status, answer.json["path"]) == (404, f"/admin/v1/{kind}/nothing")


async def test_lists_come_in_pages_in_order(gateway: Gateway) -> None:
    """Page by page it is the same list, each key once, and only the last page has no next."""
    shop = await shop_of(gateway)
    for _ in range(4):
        await gateway.admin("POST", f"/accounts/{shop.account}/credentials")
    await gateway.admin("POST", "/opt-outs", {"number": shop.number, "handset": HANDSET})
    await gateway.admin("POST", "/opt-outs", {"number": shop.number, "handset": OTHER_NUMBER})
    for path in ("/accounts", "/numbers", "/opt-outs", f"/accounts/{shop.account}/credentials"):
        whole = (await gateway.admin("GET", f"{path}?limit=1000")).json
        assert "next" not in whole
        assert len(whole["items"]) >= 2
        for limit in (1, 2, len(whole["items"])):
            assert await listed(gateway, path, limit=limit) == whole["items"]


async def test_numbers_come_in_bulk(gateway: Gateway) -> None:
    """Two thousand in one call, each usable at once; of a list with one that is wrong or taken, none."""
    shop = await shop_of(gateway)

    def bulk(first: int, count: int) -> list[dict[str, str]]:
        return [
            {"number": f"+1720555{place:04}", "application_id": shop.application}
            for place in range(first, first + count)
        ]

    answer = await gateway.admin("POST", "/numbers", bulk(0, 2000))
    assert (answer.status, len(answer.json["items"])) == (201, 2000)
    assert (await shop.send(**{"from": "+17205551999"})).status == 202
    before = await listed(gateway, "/numbers", limit=1000)
    taken = await gateway.admin("POST", "/numbers", bulk(1999, 2))
    assert (taken.status, "+17205551999" in taken.json["description"]) == (409, True)
    wrong = await gateway.admin("POST", "/numbers", [*bulk(3000, 1), {"number": "1"}])
    fields = [error["fieldName"] for error in wrong.json["fieldErrors"]]
    assert (wrong.status, fields) == (400, ["[1].application_id", "[1].number"])
    assert await listed(gateway, "/numbers", limit=1000) == before


# ---- credentials and secrets ----


async def test_a_revoked_credential_is_refused_at_once(gateway: Gateway) -> None:
    """On both prefixes; it stays in the list, and the account's other credential works on."""
    shop = await shop_of(gateway)
    credentials = f"/accounts/{shop.account}/credentials"
    second = (await gateway.admin("POST", credentials, {"label": "second"})).json
    assert (await shop.send()).status == 202
    assert (await gateway.admin("DELETE", f"{credentials}/{shop.token}")).status == 204
    assert [(await shop.send(prefix=prefix)).status for prefix in ("/v2", "/api/v2")] == [401, 401]
    by_label = {item["label"]: item for item in await listed(gateway, credentials)}
    assert by_label["first"]["revoked_ms"] >= by_label["first"]["created_ms"]
    assert by_label["second"]["revoked_ms"] is None
    assert (await gateway.admin("DELETE", f"{credentials}/{shop.token}")).status == 204
    revoked_ms = {item["label"]: item["revoked_ms"] for item in await listed(gateway, credentials)}["first"]
    assert revoked_ms == by_label["first"]["revoked_ms"]
    shop.token, shop.secret = second["token"], second["secret"]
    assert (await shop.send()).status == 202


async def test_a_credential_belongs_to_its_account(gateway: Gateway) -> None:
    """Under another account it is not found, and it opens no other account."""
    shop = await shop_of(gateway)
    assert (await gateway.admin("DELETE", f"/accounts/{ACCOUNT}/credentials/{shop.token}")).status == 404
    shop.account, shop.number, shop.application = ACCOUNT, NUMBER, APPLICATION
    assert (await shop.send()).status == 403


async def test_secrets_and_texts_are_nowhere_else(tmp_path: Path) -> None:
    """A secret is in the answer that makes it; no list, change, life, metric or log line holds it again."""
    text, password = "the text of this message", "open sesame please"
    async with catching() as catcher, running(tmp_path, {**QUICK, "logging.level": "debug"}) as gateway:
        shop = await shop_of(
            gateway,
            catcher.url,
            callback_username="me",
            callback_password=password,
            rotate_signing_secret=True,
        )
        application = f"/applications/{shop.application}"
        rotated = await gateway.admin("PATCH", application, {"rotate_signing_secret": True})
        secret = rotated.json["signing_secret"]
        message_id = await shop.sent(text, tag="t")
        await catcher.wait_for_event(message_id)
        await until(gateway, message_id, lambda life: life["attempts"])
        assert (await shop.send(text, to="nobody")).status == 400
        changed = await gateway.admin("PATCH", application, {"name": "new"})
        assert (changed.json["callback_password_set"], changed.json["signing_secret_set"]) == (True, True)
        everything = [changed.body]
        for path in (
            "accounts", f"accounts/{shop.account}", f"accounts/{shop.account}/credentials",
            "applications", application[1:], "numbers", "carriers", "routes", "messages",
            f"messages/{message_id}", "callbacks", "queues", "links", "status", "receipts/unmatched",
        ):  # fmt: skip
            answer = await gateway.admin("GET", f"/{path}")
            assert answer.status == 200
            everything.append(answer.body)
        everything.append((await request("GET", f"{gateway.url}/metrics")).body)
        assert await gateway.stop() == 0
        everything.append(gateway.output().encode())
        assert b"gateway_started" in everything[-1]
        for shown in everything:
            for hidden in (shop.secret, secret, password, text, ADMIN_TOKEN):
                assert hidden not in shown.decode()


async def test_what_is_provisioned_outlives_the_process(tmp_path: Path) -> None:
    """Killed as soon as it has answered, it has every record as it was answered, and the revoked one is refused."""
    async with running(tmp_path, QUICK) as gateway:
        shop = await shop_of(gateway, "https://example.com/", events=["message-failed"])
        await gateway.admin("PATCH", f"/numbers/{shop.number}", {"segments_per_s": 7})
        await gateway.admin("POST", "/opt-outs", {"number": shop.number, "handset": HANDSET})
        await gateway.admin("POST", "/carriers", {"id": "spare", "kind": "simulator"})
        await gateway.admin("POST", "/carriers/spare/pause")
        await gateway.admin("POST", "/routes", {"carrier_id": "spare", "prefix": "+49"})
        await gateway.admin("DELETE", f"/accounts/{shop.account}/credentials/{shop.token}")
        paths = [
            "/accounts", f"/accounts/{shop.account}/credentials", "/applications", "/numbers", "/carriers",
            "/routes", "/opt-outs",
        ]  # fmt: skip
        before = [await listed(gateway, path) for path in paths]
        await gateway.kill()
        await gateway.start()
        assert [await listed(gateway, path) for path in paths] == before
        assert (await shop.send()).status == 401
        states = {link["carrier_id"]: link["state"] for link in await listed(gateway, "/links")}
        assert states["spare"] == "paused"


# ---- what changes for the traffic ----


async def test_a_paused_carrier_takes_nothing_until_it_is_resumed(gateway: Gateway) -> None:
    """What is accepted meanwhile waits in its lane, and is submitted after."""
    before = await waiting(gateway)
    paused = await gateway.admin("POST", "/carriers/simulator/pause")
    assert (paused.status, paused.json["paused"]) == (200, True)
    try:
        message_id = (await gateway.send()).json["id"]
        [link] = [link for link in await listed(gateway, "/links") if link["carrier_id"] == "simulator"]
        assert (link["kind"], link["state"]) == ("simulator", "paused")
        assert await waiting(gateway) == [count + 1 for count in before]
    finally:
        now = (await gateway.admin("GET", "/status")).json["now"]
        resumed = await gateway.admin("POST", "/carriers/simulator/resume")
    assert (resumed.status, resumed.json["paused"]) == (200, False)
    life = await until(gateway, message_id, lambda life: ended(life["deliveries"]))
    assert life["deliveries"][0]["state"] == "DELIVERED"
    [segment] = life["segments"]
    assert segment["responded_ms"] >= datetime.fromisoformat(now).timestamp() * 1000
    assert (await gateway.admin("POST", "/carriers/nobody/pause")).status == 404


async def waiting(gateway: Gateway) -> list[int]:
    """How many wait for the simulator, as links, queues and status say."""
    [lanes] = [link["lanes"] for link in await listed(gateway, "/links") if link["carrier_id"] == "simulator"]
    queues = (await gateway.admin("GET", "/queues")).json["lanes"]
    return [
        sum(lane["rows"] for lane in lanes),
        sum(queues.get(lane["name"], {"rows": 0})["rows"] for lane in lanes),
        (await gateway.admin("GET", "/status")).json["queued"],
    ]


async def test_an_opt_out_keeps_messages_from_its_handset(gateway: Gateway) -> None:
    """4775 while it stands; deleted, the handset is reached again. Other numbers are not concerned."""
    shop = await shop_of(gateway, opt_out=True)
    handset = "+12025550155"
    made = await gateway.admin("POST", "/opt-outs", {"number": shop.number, "handset": handset})
    assert made.status == 201
    states = []
    for _ in range(2):
        life = await gateway.life(await shop.sent(to=handset))
        states.append((life["deliveries"][0]["state"], life["deliveries"][0]["error_code"]))
        await gateway.admin("DELETE", f"/opt-outs/{quote(shop.number)}/{quote(handset)}")
    assert states == [("FAILED", 4775), ("DELIVERED", None)]


async def test_an_account_is_held_to_its_rate_as_soon_as_it_has_one(gateway: Gateway) -> None:
    """A quarter of an hour of its rate may wait; beyond it the answer is 429, until the limit is taken away."""
    shop = await shop_of(gateway)
    account = f"/accounts/{shop.account}"
    await gateway.admin("PATCH", account, {"segments_per_s": 0.002})
    statuses = [(await shop.send()).status for _ in range(4)]
    assert (statuses[0], statuses[-1]) == (202, 429)
    await gateway.admin("PATCH", account, {"segments_per_s": None})
    assert (await shop.send()).status == 202


async def test_a_route_goes_before_a_shorter_one(gateway: Gateway) -> None:
    """The longest prefix decides from the next message on, and `why` names the rule."""
    await gateway.admin("POST", "/carriers", {"id": "far", "kind": "simulator"})
    await gateway.admin("POST", "/routes", {"id": "to-far", "carrier_id": "far", "prefix": "+1415"})
    shop = await shop_of(gateway)
    life = await gateway.life(await shop.sent(to="+14155550123"))
    assert life["deliveries"][0]["carrier_id"] == "far"
    assert "to-far" in life["why"]["route"]
    assert "+1415" in life["why"]["route"]
    await gateway.admin("DELETE", "/routes/to-far")
    life = await gateway.life(await shop.sent(to="+14155550123"))
    assert life["deliveries"][0]["carrier_id"] == "simulator"
    assert (await gateway.admin("DELETE", "/carriers/far")).status == 204


# ---- messages ----


async def test_every_filter_finds_its_messages(gateway: Gateway) -> None:
    """Each alone, within one account; all of them together; and page by page. Never a text."""
    shop = await shop_of(gateway)
    good = await shop.sent("one of three", tag="green")
    bad = await shop.sent("#refuse:4720", tag="red", to="+12025550156")
    group = await shop.sent("", to=[HANDSET, "+12025550157"], media=["https://example.com/a.png"])
    await gateway.sim(
        "POST", "/handsets/%2B12025550158/messages", {"to": shop.number, "text": "one of three"}
    )

    async def found(**query: Any) -> list[str]:
        page = await gateway.admin("GET", f"/messages?{urlencode({'account': shop.account, **query})}")
        assert page.status == 200, page.body
        assert b"one of three" not in page.body
        return [item["id"] for item in page.json["items"]]

    async with asyncio.timeout(20):
        while not (inbound := await found(direction="in")):
            await asyncio.sleep(0.01)
    at = (await gateway.admin("GET", f"/messages?account={shop.account}&tag=red")).json["items"][0][
        "received"
    ]
    for query, expected in (
        ({}, [*inbound, group, group, bad, good]),
        ({"application": shop.application}, [*inbound, group, group, bad, good]),
        ({"application": APPLICATION}, []),
        ({"source": shop.number}, [group, group, bad, good]),
        ({"source": "+12025550158"}, inbound),
        ({"destination": "+12025550156"}, [bad]),
        ({"state": "delivered", "kind": "sms"}, [good]),
        ({"state": "FAILED,UNDELIVERED"}, [bad]),
        ({"direction": "out", "kind": "mms"}, [group, group]),
        ({"error_code": 4720}, [bad]),
        ({"carrier": "simulator", "kind": "sms", "direction": "out"}, [bad, good]),
        ({"carrier": "nobody"}, []),
        ({"tag": "green"}, [good]),
        ({"from": at, "tag": "red"}, [bad]),
        ({"to": at}, [bad, good]),
        ({"source": shop.number, "destination": "+12025550156", "state": "FAILED", "tag": "red"}, [bad]),
        ({"limit": 2}, [*inbound, group]),
        ({"limit": 2, "page": 2}, [group, bad]),
    ):
        assert await found(**query) == expected, query
    row = (await gateway.admin("GET", f"/messages?account={shop.account}&tag=red")).json["items"][0]
    assert (row["from"], row["to"], row["state"], row["error_code"], row["segment_count"]) == (
        shop.number, "+12025550156", "FAILED", 4720, 1,
    )  # fmt: skip


async def test_a_life_tells_all_and_the_text_only_if_asked_for(gateway: Gateway) -> None:
    """Message, deliveries, segments, exchanges, events, attempts, and why; each from the real path."""
    async with catching() as catcher:
        shop = await shop_of(gateway, catcher.url)
        message_id = await shop.sent("smile ☺", tag="t")
        life = await until(gateway, message_id, lambda life: life["attempts"])
        assert life["message"]["text"] == "smile ☺"
        assert (life["message"]["account_id"], life["message"]["tag"]) == (shop.account, "t")
        assert [delivery["state"] for delivery in life["deliveries"]] == ["DELIVERED"]
        [segment] = life["segments"]
        assert (segment["carrier_id"], segment["state"]) == ("simulator", "DELIVRD")
        assert [event["type"] for event in life["events"]] == ["message-delivered"]
        assert [attempt["status"] for attempt in life["attempts"]] == [200]
        assert life["pending"] == []
        assert "all-to-simulator" in life["why"]["route"]
        assert "☺" in life["why"]["encoding"]
        for path in (f"/messages/{message_id}", f"/messages/{message_id}?text=false"):
            answer = await gateway.admin("GET", path)
            assert "text" not in answer.json["message"]
            assert "smile" not in answer.body.decode()
            assert "☺" not in answer.body.decode()


# ---- callbacks ----


async def test_callbacks_are_replayed_as_they_were_asked_for(gateway: Gateway) -> None:
    """One event, those of a message, those of an application in a span of time, or only those that failed."""
    async with catching() as catcher:
        shop = await shop_of(gateway, catcher.url)
        refused = await shop.sent("first")
        await catcher.wait_for_event(refused)
        event_id = (await until(gateway, refused, lambda life: life["attempts"]))["events"][0]["id"]
        start = (await gateway.admin("GET", "/status")).json["now"]
        catcher.answer = lambda caught: 503 if caught.event["message"]["text"] == "second" else 200
        messages = [await shop.sent("second"), await shop.sent("third")]
        for message_id in messages:
            await until(gateway, message_id, lambda life: life["attempts"])
        catcher.answer = lambda _: 200
        application = {"application_id": shop.application}
        for wanted, expected in (
            ({**application, "failed_only": True}, [messages[0]]),
            ({"event_ids": [event_id]}, [refused]),
            ({"message_id": messages[1]}, [messages[1]]),
            ({**application, "from": start}, messages),
            ({**application, "to": start}, [refused]),
            (application, [refused, *messages]),
            ({"event_ids": ["none"]}, []),
            ({"message_id": "none"}, []),
        ):
            catcher.caught.clear()
            answer = await gateway.admin("POST", "/callbacks/replay", wanted)
            assert (answer.status, answer.json) == (200, {"queued": len(expected), "more": False})
            await catcher.wait_for_count(len(expected))
            assert sorted(event["message"]["id"] for event in catcher.events()) == sorted(expected)
            await no_callback_waits(gateway, shop.application)


async def no_callback_waits(gateway: Gateway, application_id: str) -> None:
    async with asyncio.timeout(20):
        while application_id in (await gateway.admin("GET", "/queues")).json["callbacks"]:
            await asyncio.sleep(0.01)


async def test_callbacks_are_listed_with_every_attempt(gateway: Gateway) -> None:
    """Status, duration and the first octets of each answer; what failed can be listed alone, and page by page."""
    async with catching() as catcher:
        shop = await shop_of(gateway, catcher.url)
        catcher.answer = lambda _: b"HTTP/1.1 500 X\r\nContent-Length: 9\r\n\r\nnot today"
        failed = await shop.sent("first")
        await until(gateway, failed, lambda life: life["attempts"])
        waiting = (await gateway.admin("GET", "/queues")).json["callbacks"]
        assert waiting[shop.application]["rows"] == 1
        catcher.answer = lambda _: 204
        good = await shop.sent("second")
        await until(gateway, good, lambda life: life["attempts"])
        path = "/callbacks"
        items = await listed(gateway, path, application=shop.application)
        assert [item["message_id"] for item in items] == [failed, good]
        [attempt] = items[0]["attempts"]
        assert (attempt["status"], attempt["answer"]) == (500, "not today")
        assert attempt["duration_ms"] >= 0
        assert [attempt["status"] for attempt in items[1]["attempts"]] == [204]
        assert await listed(gateway, path, application=shop.application, limit=1) == items
        assert await listed(gateway, path, application=shop.application, failed_only="true") == items[:1]
        assert await listed(gateway, path, application=shop.application, to="2026-01-01T00:00:00Z") == []


# ---- how it does ----


@pytest.mark.sqlite
async def test_the_status_says_who_answers(gateway: Gateway) -> None:
    """Version, times, database, whether the carrier is simulated; and no receipt was without its message."""
    status = (await gateway.admin("GET", "/status")).json
    assert (status["version"], status["database"], status["simulator"]) == (__version__, "sqlite", True)
    assert status["started"] <= status["now"]
    assert (await gateway.admin("GET", "/receipts/unmatched?limit=5")).json == {"items": []}


@asynccontextmanager
async def watching(gateway: Gateway, **query: str) -> AsyncIterator[AsyncIterator[Any]]:
    """The entries of a feed that is open when this returns."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    target = "/admin/v1/feed" + (f"?{urlencode(query)}" if query else "")
    writer.write(
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    assert head.startswith("http/1.1 200")
    assert "content-type: text/event-stream" in head

    async def entries() -> AsyncIterator[Any]:
        # A chunk holds one event: the lines between are sizes of chunks and ends of events.
        while line := await reader.readline():
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))

    try:
        yield entries()
    finally:
        writer.close()


async def whole_life(entries: AsyncIterator[Any]) -> list[Any]:
    """Entries up to the end of the first message that ends."""
    found: list[Any] = []
    async with asyncio.timeout(20):
        async for entry in entries:
            found.append(entry)
            if entry["what"] == "event":
                break
    return found


async def test_the_feed_tells_what_happens_as_it_happens(gateway: Gateway) -> None:
    """From accepted to the final event, in order, without the text."""
    shop = await shop_of(gateway)
    async with watching(gateway, account=shop.account) as entries:
        message_id = await shop.sent("#refuse:4720 unspoken")
        life = await whole_life(entries)
    assert [entry["what"] for entry in life] == ["accepted", "submitted", "event"]
    assert {entry["message_id"] for entry in life} == {message_id}
    assert (life[-1]["detail"], life[-1]["error_code"]) == ("message-failed", 4720)
    assert "unspoken" not in json.dumps(life)


@pytest.mark.parametrize("by", ["account", "application", "message"])
async def test_the_feed_is_filtered(gateway: Gateway, by: str) -> None:
    """A watcher of one account, application or message is told of no other, whatever happened before."""
    shop, other = await shop_of(gateway), await shop_of(gateway)
    await gateway.admin("POST", "/carriers/simulator/pause")
    try:
        message_id = (await shop.send()).json["id"]
        wanted = {"account": shop.account, "application": shop.application, "message": message_id}[by]
        async with watching(gateway, **{by: wanted}) as entries:
            stranger = (await other.send()).json["id"]
            await gateway.admin("POST", "/carriers/simulator/resume")
            await until(gateway, stranger, lambda life: ended(life["deliveries"]))
            life = await whole_life(entries)
    finally:
        await gateway.admin("POST", "/carriers/simulator/resume")
    assert {entry["message_id"] for entry in life} == {message_id}


async def test_a_watcher_who_leaves_disturbs_nobody(gateway: Gateway, catcher: Catcher) -> None:
    """Connections that are cut in the middle of a feed leave the gateway and other watchers as they were."""
    shop = await shop_of(gateway, catcher.url)
    async with watching(gateway, account=shop.account) as entries:
        for _ in range(20):
            async with watching(gateway):
                pass
        message_id = await shop.sent()
        assert (await whole_life(entries))[-1]["message_id"] == message_id
    assert (await catcher.wait_for_event(message_id))["type"] == "message-delivered"


@pytest.fixture
async def catcher() -> AsyncIterator[Catcher]:
    async with catching() as catcher:
        yield catcher

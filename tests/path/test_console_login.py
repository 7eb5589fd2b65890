"""Who reaches the console from elsewhere must log in, and sees and does what the role allows."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

from support.gateway import Gateway, running
from support.http import Answer, request

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One that listens on every address, with a person of each role."""
    data: Path = tmp_path_factory.mktemp("data")
    async with running(data, {"server.host": "0.0.0.0"}) as gateway:
        for role in ("viewer", "operator"):
            made = {"name": role, "role": role, "password": PASSWORD}
            answer = await gateway.admin("POST", "/users", made)
            assert answer.status == 201, answer.body
            assert answer.json.keys() == {"name", "role", "created_ms"}
        yield gateway


async def post(gateway: Gateway, path: str, cookie: str = "", **fields: str) -> Answer:
    headers = {"Origin": gateway.url, "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    return await request("POST", gateway.url + path, body=urlencode(fields).encode(), headers=headers)


async def get(gateway: Gateway, path: str, cookie: str = "", accept: str = "text/html") -> Answer:
    return await request("GET", gateway.url + path, headers={"Cookie": cookie, "Accept": accept})


def tree(answer: Answer) -> Any:
    return html.fromstring(answer.body)


async def log_in(gateway: Gateway, name: str, password: str = PASSWORD) -> str:
    """The cookie of a session."""
    answer = await post(gateway, "/login", name=name, password=password, next="/messages")
    assert (answer.status, answer.headers["location"]) == (303, "/messages")
    return answer.headers["set-cookie"].partition(";")[0]


async def test_without_a_login_there_is_only_the_login(gateway: Gateway) -> None:
    """A page leads there and back; a program is told 401; files that pages need are open."""
    asked = await get(gateway, "/messages?state=FAILED")
    assert asked.status == 303
    assert asked.headers["location"] == "/login?next=%2Fmessages%3Fstate%3DFAILED"
    assert (await get(gateway, "/messages", accept="application/json")).status == 401
    assert (await get(gateway, "/events", accept="text/event-stream")).status == 401
    login = tree(await get(gateway, asked.headers["location"]))
    assert login.forms[0].fields["next"] == "/messages?state=FAILED"
    for needed in login.xpath("//link/@href"):
        assert (await get(gateway, needed)).status == 200


async def test_the_first_start_made_somebody_who_can_log_in(gateway: Gateway) -> None:
    """The password was printed once."""
    found = re.search(r"Log in as +(\S+), password (\S+) ", gateway.output())
    assert found is not None
    cookie = await log_in(gateway, found[1], found[2])
    assert (await get(gateway, "/", cookie)).status == 200


@pytest.mark.parametrize(
    ("name", "password"), [("admin", "wrong"), ("nobody", PASSWORD), ("", ""), ("viewer", PASSWORD + " ")]
)
async def test_a_wrong_name_and_a_wrong_password_are_told_alike(
    gateway: Gateway, name: str, password: str
) -> None:
    answer = await post(gateway, "/login", name=name, password=password)
    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    assert "Name or password is wrong." in answer.body.decode()


async def test_a_viewer_looks_and_does_nothing(gateway: Gateway) -> None:
    """And does not see what messages say."""
    cookie = await log_in(gateway, "viewer")
    message_id = (await gateway.send("between us", tag="shown")).json["id"]
    seen = await get(gateway, f"/messages/{message_id}", cookie)
    assert seen.status == 200
    assert b"between us" not in seen.body
    for twin in (f"/messages/{message_id}.json", f"/messages/{message_id}/support.json"):
        assert b"between us" not in (await get(gateway, twin, cookie)).body
    csrf = tree(seen).xpath("//input[@name='_csrf']/@value")[0]
    refused = await post(gateway, f"/messages/{message_id}/replay", cookie, _csrf=csrf)
    assert refused.status == 403


async def test_an_operator_replays(gateway: Gateway) -> None:
    cookie = await log_in(gateway, "operator")
    message_id = (await gateway.send("again")).json["id"]
    csrf = tree(await get(gateway, f"/messages/{message_id}", cookie)).xpath("//input[@name='_csrf']/@value")[
        0
    ]
    assert (await post(gateway, f"/messages/{message_id}/replay", cookie, _csrf=csrf)).status == 303


async def test_a_new_password_ends_the_sessions(gateway: Gateway) -> None:
    """So does the end of the person."""
    assert (await gateway.admin("POST", "/users", {"name": "leaver", "password": PASSWORD})).status == 201
    cookie = await log_in(gateway, "leaver")
    assert (await get(gateway, "/", cookie)).status == 200
    assert (await gateway.admin("PATCH", "/users/leaver", {"password": PASSWORD + "!"})).status == 200
    assert (await get(gateway, "/", cookie)).status == 303
    cookie = await log_in(gateway, "leaver", PASSWORD + "!")
    assert (await gateway.admin("DELETE", "/users/leaver")).status == 204
    assert (await get(gateway, "/", cookie)).status == 303


async def test_the_last_admin_stays(tmp_path: Path) -> None:
    """Or nobody could let anybody in."""
    async with running(tmp_path, {"server.host": "0.0.0.0"}) as gateway:
        assert (await gateway.admin("DELETE", "/users/admin")).status == 409
        assert (await gateway.admin("PATCH", "/users/admin", {"role": "viewer"})).status == 409


async def test_who_tries_too_often_waits(gateway: Gateway) -> None:
    """And is told how long, also with the right password then."""
    for _ in range(10):
        answer = await post(gateway, "/login", name="forgetful", password="wrong password")
        assert answer.status == 401
    answer = await post(gateway, "/login", name="forgetful", password="wrong password")
    assert answer.status == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_logging_out_ends_the_cookie(gateway: Gateway) -> None:
    cookie = await log_in(gateway, "admin", re.search(r"password (\S+) ", gateway.output())[1])  # type: ignore[index]
    form = tree(await get(gateway, "/", cookie)).xpath("//form[@action='/logout']")[0]
    csrf = form.fields["_csrf"]
    answer = await post(gateway, "/logout", cookie, _csrf=csrf)
    assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_logins_and_changes_of_people_are_in_the_log(gateway: Gateway) -> None:
    """Who, what, whom; never a password."""
    await log_in(gateway, "operator")
    entries = (await gateway.admin("GET", "/audit")).json["items"]
    said = [(entry["who"], entry["action"], entry["target"]) for entry in entries]
    assert ("operator", "log in", "console") in said
    assert ("admin token", "create", "user viewer") in said
    assert PASSWORD not in str(entries)
    assert "argon2" not in str(entries) + str((await gateway.admin("GET", "/users")).json)


async def test_on_loopback_a_strange_name_is_refused(tmp_path: Path) -> None:
    """A page of a stranger whose name leads to this machine reads nothing."""
    async with running(tmp_path) as gateway:
        port = gateway.url.rpartition(":")[2]
        for host in (f"evil.example:{port}", f"127.0.0.1.evil.example:{port}"):
            answer = await request("GET", f"{gateway.url}/messages", headers={"Host": host})
            assert answer.status == 421
        assert (await request("GET", f"http://localhost:{port}/messages")).status == 200

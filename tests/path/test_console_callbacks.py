"""Callbacks in the console: how endpoints do, replays, test events; and the catcher, an endpoint of our own."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

from support.gateway import APPLICATION, Gateway, running
from support.http import Answer, catching, request
from support.ports import free_port
from trebuchet.console.catcher import moved
from trebuchet.webserver import is_loopback

pytestmark = pytest.mark.anyio

EVIL = "<script>alert(1)</script>\"'>"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path) as gateway:
        yield gateway


def parsed(answer: Answer) -> Any:
    return html.fromstring(answer.body)


async def page(gateway: Gateway, path: str) -> Any:
    answer = await request("GET", gateway.url + path, headers={"Accept": "text/html"})
    assert answer.status == 200, answer.body
    return parsed(answer)


async def twin(gateway: Gateway, path: str) -> Any:
    return (await request("GET", gateway.url + path)).json


async def post(gateway: Gateway, path: str, **fields: str) -> Answer:
    """As a page of the console does, with its token."""
    (given,) = (await page(gateway, "/messages")).xpath("//body/@*[contains(., 'X-CSRF-Token')]")
    token = json.loads(given)["X-CSRF-Token"]
    headers = {
        "Origin": gateway.url, "Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html",
    }  # fmt: skip
    body = urlencode({"_csrf": token, **fields}).encode()
    return await request("POST", gateway.url + path, body=body, headers=headers)


async def use_catcher(gateway: Gateway, name: str = "mine") -> None:
    assert (await post(gateway, f"/catch/{name}/use", application=APPLICATION)).status == 303


async def caught(gateway: Gateway, count: int, name: str = "mine") -> Any:
    """What was caught, once there is so much of it."""
    while len(items := (await twin(gateway, f"/catch/{name}.json"))["items"]) < count:
        pass
    return items


async def test_a_message_is_called_back_to_the_catcher(gateway: Gateway) -> None:
    """One click, one message: its event is seen, with its headers, and leads to the message."""
    await use_catcher(gateway)
    message_id = (await gateway.send("hello")).json["id"]
    (item,) = await caught(gateway, 1)
    assert (item["type"], item["message_id"], item["answered"]) == ("message-delivered", message_id, 200)
    assert item["signature"] == "not signed"
    assert "content-type" in dict(item["headers"])


async def test_what_was_written_is_text(gateway: Gateway) -> None:
    """By whoever posts: a message, or anybody."""
    await use_catcher(gateway)
    await gateway.send(EVIL)
    await request("POST", f"{gateway.url}/catch/mine", body=EVIL.encode(), headers={"X-Evil": EVIL})
    await caught(gateway, 2)
    for path in ("/catch/mine", f"/callbacks/{APPLICATION}", "/callbacks"):
        assert (await page(gateway, path)).xpath("//script[not(@src)]") == []


async def test_a_catcher_that_fails_is_tried_again(gateway: Gateway) -> None:
    """As a person chooses; the page of the application says so."""
    await use_catcher(gateway)
    assert (await post(gateway, "/catch/mine/answer", answer="500")).status == 303
    await gateway.send("hello")
    (item,) = await caught(gateway, 1)
    assert item["answered"] == 500
    while (await twin(gateway, "/callbacks.json"))["items"][0]["tries"] < 1:
        pass
    (standing,) = (await twin(gateway, "/callbacks.json"))["items"]
    assert (standing["success"], standing["waiting"], standing["newest"]["status"]) == (0.0, 1, 500)
    (one, *_) = (await twin(gateway, f"/callbacks/{APPLICATION}.json"))["tries"]
    assert one["again"] is not None
    assert (await post(gateway, "/catch/mine/answer", answer="418")).status == 400


async def test_a_callback_is_replayed(gateway: Gateway) -> None:
    """One, and all of the last day."""
    await use_catcher(gateway)
    await gateway.send("hello")
    await caught(gateway, 1)
    while not (tries := (await twin(gateway, f"/callbacks/{APPLICATION}.json"))["tries"]):
        pass
    answer = await post(gateway, "/callbacks/replay", application=APPLICATION, event=tries[0]["event_id"])
    assert answer.headers["location"] == f"/callbacks/{APPLICATION}?replayed=1"
    await caught(gateway, 2)
    answer = await post(gateway, "/callbacks/replay", application=APPLICATION)
    assert answer.headers["location"].endswith("replayed=1")
    await caught(gateway, 3)


@pytest.mark.parametrize(
    "type_", ["message-received", "message-sending", "message-delivered", "message-failed"]
)
async def test_a_test_event_looks_like_a_real_one(gateway: Gateway, type_: str) -> None:
    """Signed, with the application's credentials; it belongs to no message."""
    await use_catcher(gateway)
    await gateway.admin("PATCH", f"/applications/{APPLICATION}", {"rotate_signing_secret": True})
    answer = await post(gateway, "/callbacks/test", application=APPLICATION, type=type_)
    assert f"Test event {type_}: answered 200" in parsed(answer).text_content()
    (item,) = await caught(gateway, 1)
    assert (item["type"], item["signature"]) == (type_, "signature is right")
    assert (await twin(gateway, "/messages.json"))["items"] == []


async def test_a_dead_endpoint_is_told_of(gateway: Gateway) -> None:
    """In words, and the application without one cannot be tried."""
    refused = await post(gateway, "/callbacks/test", application=APPLICATION, type="message-failed")
    assert refused.status == 400
    url = f"http://127.0.0.1:{free_port()}/nobody"
    await gateway.admin("PATCH", f"/applications/{APPLICATION}", {"callback_url": url})
    answer = await post(gateway, "/callbacks/test", application=APPLICATION, type="message-failed")
    assert "no answer" in parsed(answer).text_content()


async def test_credentials_of_a_caught_callback_are_not_shown(gateway: Gateway) -> None:
    await use_catcher(gateway)
    change = {"callback_username": "me", "callback_password": "s3cret-pw"}
    await gateway.admin("PATCH", f"/applications/{APPLICATION}", change)
    await gateway.send("hello")
    (item,) = await caught(gateway, 1)
    assert dict(item["headers"])["authorization"] == "Basic •••"
    assert base64.b64encode(b"me:s3cret-pw").decode() not in str(item)


async def test_the_catcher_keeps_within_bounds(gateway: Gateway) -> None:
    """Of a name the newest, of bodies only those that are not too large."""
    for number in range(510):
        await request("POST", f"{gateway.url}/catch/many", body=str(number).encode())
    items = (await twin(gateway, "/catch/many.json"))["items"]
    assert items[0]["body"] == "509"
    assert len((await twin(gateway, "/catch.json"))["items"]) == 1
    assert (await twin(gateway, "/catch.json"))["items"][0]["count"] == 500
    assert (await request("POST", f"{gateway.url}/catch/many", body=b"x" * 262_145)).status == 413
    assert (await request("POST", f"{gateway.url}/catch/..evil", body=b"x")).status == 404
    assert (await post(gateway, "/catch/many/clear")).status == 303
    assert (await twin(gateway, "/catch/many.json"))["items"] == []


async def test_there_is_no_catcher_where_others_could_post_to_it(tmp_path: Path) -> None:
    async with running(tmp_path, {"server.host": "0.0.0.0"}) as gateway:
        assert (await request("POST", f"{gateway.url}/catch/mine", body=b"x")).status in (404, 405, 403)


async def test_a_first_start_calls_back_to_the_catcher(tmp_path: Path) -> None:
    """Also after the gateway has moved to another port; an endpoint that was given stays."""
    gateway = Gateway(tmp_path)
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trebuchet", "serve", "--data", str(tmp_path), "--port", "0",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        await gateway.attach(process)
        (item,) = (await twin(gateway, "/callbacks.json"))["items"]
        assert item["url"] == f"{gateway.url}/catch/first"
        await gateway.stop()
        (tmp_path / "gateway.json").unlink(missing_ok=True)


async def test_the_demo_keeps_its_endpoint(tmp_path: Path) -> None:
    async with catching() as catcher, running(tmp_path, callback_url=catcher.url) as gateway:
        assert (await twin(gateway, "/callbacks.json"))["items"][0]["url"] == catcher.url


@pytest.mark.parametrize(
    ("url", "there"),
    [
        (None, None),
        ("http://127.0.0.1:8080/catch/a", "http://127.0.0.1:9000/catch/a"),
        ("http://localhost:8080/catch/a.b", "http://127.0.0.1:9000/catch/a.b"),
        ("http://[::1]:8080/catch/a", "http://127.0.0.1:9000/catch/a"),
        ("http://127.0.0.1:9000/catch/a", None),
        ("http://127.0.0.1:8080/other", None),
        ("http://example.com:8080/catch/a", None),
        ("https://127.0.0.1:8080/catch/a", None),
        ("http://127.0.0.1:8080/catch/a?x", None),
    ],
)
def test_which_urls_follow_the_gateway_to_another_port(url: str | None, there: str | None) -> None:
    """Those of its own catcher on this machine."""
    assert moved(url, "http://127.0.0.1:9000", is_loopback) == there

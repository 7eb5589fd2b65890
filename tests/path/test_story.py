"""Stories of an application developer, told over real sockets to a real gateway process."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway import (
    ACCOUNT,
    APPLICATION,
    HANDSET,
    NUMBER,
    OTHER_NUMBER,
    SECRET,
    TOKEN,
    Gateway,
    running,
)
from support.http import Caught, basic, catching, raw, request

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}


async def test_a_message_is_accepted_shown_on_the_handset_and_called_back(tmp_path: Path) -> None:
    """POST, 202, the handset has it, the endpoint gets message-delivered with the tag."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        answer = await gateway.send("Hey, check this out!", tag="test message")
        assert answer.status == 202
        message = answer.json
        assert list(message) == [
            "id", "owner", "applicationId", "time", "segmentCount", "direction", "to", "from", "text", "tag",
        ]  # fmt: skip
        assert answer.headers["location"] == f"/v2/users/{ACCOUNT}/messages/{message['id']}"
        event = await catcher.wait_for_event(message["id"])
        assert (event["type"], event["to"], event["message"]["tag"]) == (
            "message-delivered",
            HANDSET,
            "test message",
        )
        shown = await gateway.sim("GET", "/handsets/%2B12025550123/messages?wait=5s&contains=check")
        assert [text["text"] for text in shown.json] == ["Hey, check this out!"]


async def test_a_handset_answers_and_the_application_is_called_back(tmp_path: Path) -> None:
    """A reply typed on the handset is a message-received callback without media and without tag."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        typed = await gateway.sim(
            "POST", "/handsets/%2B12025550123/messages", {"to": NUMBER, "text": "Hi back"}
        )
        assert typed.status == 202
        await catcher.wait_for(lambda c: bool(c.caught))
        event = catcher.events()[0]
        assert (event["type"], event["to"]) == ("message-received", NUMBER)
        assert event["message"]["text"] == "Hi back"
        assert event["message"]["direction"] == "in"
        assert not event["message"].keys() & {"media", "tag"}


async def test_a_failure_is_forced_by_the_text(tmp_path: Path) -> None:
    """The simulated carrier refuses a message as its text asks; the callback has the code."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        message = (await gateway.send("#fail:4720")).json
        event = await catcher.wait_for_event(message["id"])
        assert (event["type"], event["errorCode"]) == ("message-failed", 4720)
        assert event["description"] == "invalid-destination-address"


@pytest.mark.parametrize("trigger", ["#early", "#twice", "#throttle:50", "#down:50"])
async def test_carrier_trouble_ends_in_one_delivered_event(trigger: str, tmp_path: Path) -> None:
    """Early and repeated receipts, throttling and a short outage change nothing for the application."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        first = (await gateway.send(trigger)).json
        second = (await gateway.send("after it")).json
        for message in (first, second):
            assert (await catcher.wait_for_event(message["id"]))["type"] == "message-delivered"
        assert len(catcher.events()) == 2


async def test_a_lost_receipt_is_9902_after_two_hours(tmp_path: Path) -> None:
    """Moving the clock by two hours shows what a missing receipt becomes."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        message = (await gateway.send("#noreceipt")).json
        await until_state(gateway, message["id"], "SENT")
        await gateway.sim("POST", "/clock/advance", {"by": "121m"})
        event = await catcher.wait_for_event(message["id"])
        assert (event["type"], event["errorCode"]) == ("message-failed", 9902)


async def test_a_message_that_expires_in_the_queue_is_4360(tmp_path: Path) -> None:
    """Its carrier paused, a message fails when its expiration passes, and never reaches the handset."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        await gateway.admin("POST", "/carriers/simulator/pause")
        message = (await gateway.send(expiration="2040-12-01T00:00:00+00:00")).json
        await gateway.sim("POST", "/clock/advance", {"by": "25h"})
        event = await catcher.wait_for_event(message["id"])
        assert (event["type"], event["errorCode"]) == ("message-failed", 4360)


async def test_a_failing_endpoint_is_tried_again_until_it_takes_the_callback(tmp_path: Path) -> None:
    """503, then 302, then 200: three attempts, recorded with their answers; the redirect is not followed."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        answers: Iterator[int | bytes] = iter(
            [503, b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 200]
        )
        catcher.answer = lambda _: next(answers)
        message = (await gateway.send()).json
        for attempt in (1, 2, 3):
            await catcher.wait_for_count(attempt)
            await gateway.sim("POST", "/clock/advance", {"by": "30m"})
        life = await until_attempts(gateway, message["id"], 3)
        assert [attempt["status"] for attempt in life["attempts"]] == [503, 302, 200]


async def test_a_dead_endpoint_delays_nobody_else(tmp_path: Path) -> None:
    """One application's endpoint never answers; another's callbacks arrive all the same."""
    async with catching() as dead, catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        silent = await gateway.admin(
            "POST", "/applications", {"account_id": ACCOUNT, "name": "silent", "callback_url": dead.url}
        )
        number = "+12025550177"
        await gateway.admin(
            "POST", "/numbers", {"number": number, "account_id": ACCOUNT, "application_id": silent.json["id"]}
        )
        dead.answer = lambda _: b""
        for _ in range(40):
            answer = await gateway.send(**{"from": number, "applicationId": silent.json["id"]})
            assert answer.status == 202
        message = (await gateway.send()).json
        assert (await catcher.wait_for_event(message["id"]))["type"] == "message-delivered"


async def test_the_same_idempotency_key_gets_the_first_answer(tmp_path: Path) -> None:
    """Repeated with its key a request is one message; another body under the key is refused."""
    async with running(tmp_path, QUICK) as gateway:
        url = f"{gateway.url}/api/v2/users/{ACCOUNT}/messages"
        body = {"from": NUMBER, "to": HANDSET, "text": "once", "applicationId": APPLICATION}
        headers = {**basic(TOKEN, SECRET), "Idempotency-Key": "order-17"}
        first = await request("POST", url, json_body=body, headers=headers)
        second = await request("POST", url, json_body=body, headers=headers)
        other = await request("POST", url, json_body={**body, "text": "twice"}, headers=headers)
        assert (first.status, second.status, other.status) == (202, 202, 409)
        assert first.body == second.body
        found = await request("GET", f"{url}?sourceTn=%2B12345678901", headers=basic(TOKEN, SECRET))
        assert found.json["totalCount"] == 1


async def test_stop_is_kept_and_answered_once(tmp_path: Path) -> None:
    """With opt-out handling on, STOP is called back, confirmed once, and later messages fail with 4775."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        await gateway.admin("PATCH", f"/applications/{APPLICATION}", {"opt_out": True})
        for _ in range(2):
            await gateway.sim("POST", "/handsets/%2B12025550123/messages", {"to": NUMBER, "text": " Stop. "})
        await catcher.wait_for(lambda c: len(c.events(type_="message-received")) == 2)
        shown = await gateway.sim("GET", "/handsets/%2B12025550123/messages?wait=5s&contains=unsubscribed")
        assert len(shown.json) == 1
        message = (await gateway.send()).json
        event = await catcher.wait_for_event(message["id"])
        assert (event["type"], event["errorCode"]) == ("message-failed", 4775)


async def test_a_group_message_has_one_fate_per_recipient(tmp_path: Path) -> None:
    """Several recipients make one MMS: message-sending first, then one final event for each of them."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        group = [HANDSET, "+12025550124"]
        message = (await gateway.send(to=group, media=["https://example.com/a.png"])).json
        assert (message["to"], message["segmentCount"]) == (group, 1)
        await catcher.wait_for(lambda c: len(c.events(message["id"])) == 4)
        by_recipient: dict[str, list[Any]] = {to: [] for to in group}
        for event in catcher.events(message["id"]):
            assert event["message"]["to"] == group
            by_recipient[event["to"]].append(event["type"])
        assert by_recipient == {to: ["message-sending", "message-delivered"] for to in group}


async def test_callbacks_carry_credentials_and_a_signature_if_asked_for(tmp_path: Path) -> None:
    """Challenge mode shows the password only after a 401 that asks for it; the signature is a Standard Webhook's."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        changed = await gateway.admin(
            "PATCH",
            f"/applications/{APPLICATION}",
            {
                "callback_username": "me",
                "callback_password": "let me in",
                "callback_auth": "challenge",
                "rotate_signing_secret": True,
            },
        )
        assert changed.status == 200

        def challenge(caught: Caught) -> int | bytes:
            if "authorization" in caught.headers:
                return 200
            return b'HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=""\r\nContent-Length: 0\r\n\r\n'

        catcher.answer = challenge
        await gateway.send()
        await catcher.wait_for(lambda c: len(c.caught) == 2)
        first, second = catcher.caught
        assert "authorization" not in first.headers
        assert second.headers["authorization"] == basic("me", "let me in")["Authorization"]
        assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= second.headers.keys()


@pytest.mark.parametrize("path", ["/v2", "/api/v2"])
async def test_a_request_in_pieces_is_answered_like_a_whole_one(path: str, tmp_path: Path) -> None:
    """The fast way and the ordinary way give the same answer, to good requests and to bad ones."""
    async with running(tmp_path, QUICK) as gateway:
        host, port = "127.0.0.1", int(gateway.url.rsplit(":", 1)[1])
        for body in (b'{"to":"x"}', b"{", b"[]", b"\xff"):
            head = (
                f"POST {path}/users/{ACCOUNT}/messages HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: {basic(TOKEN, SECRET)['Authorization']}\r\nContent-Type: application/json\r\n"
            ).encode()
            whole = await raw(host, port, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            chunked = b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
                len(body),
                body,
            )
            pieces = await raw(host, port, head + chunked)
            assert (whole.status, whole.body) == (pieces.status, pieces.body)


async def test_two_numbers_of_one_account_may_write_to_each_other(tmp_path: Path) -> None:
    """A number of ours as recipient is a handset of the simulated network like any other."""
    async with running(tmp_path, QUICK) as gateway:
        assert (await gateway.send(to=OTHER_NUMBER)).status == 202


async def until_state(gateway: Gateway, message_id: str, state: str) -> Any:
    """The message's life, once its delivery is in that state."""
    async with asyncio.timeout(20):
        while (life := await gateway.life(message_id))["deliveries"][0]["state"] != state:
            await asyncio.sleep(0.01)
    return life


async def until_attempts(gateway: Gateway, message_id: str, count: int) -> Any:
    """The message's life, once that many callback attempts are recorded."""
    async with asyncio.timeout(20):
        while len((life := await gateway.life(message_id))["attempts"]) < count:
            await asyncio.sleep(0.01)
    return life

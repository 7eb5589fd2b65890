"""What the gateway answers on the wire, and how its process ends."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, APPLICATION, HANDSET, NUMBER, SECRET, TOKEN, Gateway, running
from support.http import Answer, basic, catching, read_answer, request

pytestmark = pytest.mark.anyio

GOOD = {"from": NUMBER, "to": HANDSET, "text": "hello", "applicationId": APPLICATION}
QUICK = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}


async def post(gateway: Gateway, prefix: str = "/v2", account: str = ACCOUNT, **given: Any) -> Answer:
    given.setdefault("headers", basic(TOKEN, SECRET))
    return await request("POST", f"{gateway.url}{prefix}/users/{account}/messages", **given)


async def test_each_wrong_request_gets_its_documented_answer(tmp_path: Path) -> None:
    """Status and type of every synchronous error, in both profiles; `message` repeats the description."""
    async with running(tmp_path, {"api.max_body_bytes": 65_536}) as gateway:
        json = {"Content-Type": "application/json", **basic(TOKEN, SECRET)}
        cases: list[tuple[dict[str, Any], int, str]] = [
            ({"json_body": {}}, 400, "request-validation"),
            ({"body": b'{"to":', "headers": json}, 400, "request-validation"),
            ({"json_body": GOOD, "headers": {}}, 401, "authentication-error"),
            ({"json_body": GOOD, "headers": {}, "prefix": "/api/v2"}, 401, "unauthorized"),
            ({"json_body": GOOD, "headers": basic(TOKEN, "wrong")}, 401, "authentication-error"),
            ({"json_body": GOOD, "headers": {"Authorization": "Basic !!!"}}, 401, "authentication-error"),
            ({"json_body": GOOD, "account": "u-other"}, 403, "unauthorized"),
            ({"json_body": GOOD, "account": "u-other", "prefix": "/api/v2"}, 403, "forbidden"),
            ({"json_body": {**GOOD, "text": "x" * 70_000}}, 413, "request-too-large"),
            (
                {"body": b"x", "headers": {"Content-Type": "text/plain", **basic(TOKEN, SECRET)}},
                415,
                "unsupported-content-type",
            ),
        ]
        for given, status, type_ in cases:
            answer = await post(gateway, **given)
            assert (answer.status, answer.json["type"]) == (status, type_), given
            assert answer.json["message"] == answer.json["description"]
        refused = await request(
            "DELETE", f"{gateway.url}/v2/users/{ACCOUNT}/messages", headers=basic(TOKEN, SECRET)
        )
        assert (refused.status, set(refused.headers["allow"].split(", "))) == (405, {"GET", "HEAD", "POST"})
        missing = await request(
            "GET", f"{gateway.url}/v2/users/{ACCOUNT}/messages/none", headers=basic(TOKEN, SECRET)
        )
        assert (missing.status, missing.json["error"]) == (404, "Not Found")


async def test_requests_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    """Pipelined, split at awkward places and mixed with others, each request gets its own answer."""
    async with running(tmp_path, QUICK) as gateway:
        body = b'{"from":"%b","to":"%b","text":"hi","applicationId":"%b","tag":"%d"}'
        head = f"Host: x\r\nAuthorization: {basic(TOKEN, SECRET)['Authorization']}\r\n".encode()
        octets = b""
        for number in range(6):
            content = body % (NUMBER.encode(), HANDSET.encode(), APPLICATION.encode(), number)
            octets += b"POST /v2/users/u-demo/messages HTTP/1.1\r\n" + head
            octets += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content) + content
            octets += b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))
        for start in range(0, len(octets), 97):
            writer.write(octets[start : start + 97])
            await writer.drain()
        async with asyncio.timeout(20):
            for number in range(6):
                assert (await read_answer(reader)).json["tag"] == str(number)
                assert (await read_answer(reader)).body == b"ok\n"
        writer.close()


async def test_a_rate_is_held_and_its_queue_is_bounded(tmp_path: Path) -> None:
    """One segment a second: 900 are queued in order of their turn, the next is refused with the documented words."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        await gateway.admin("PATCH", f"/accounts/{ACCOUNT}", {"segments_per_s": 0.01})
        first = await gateway.send("first")
        statuses = [(await gateway.send(f"number {n}")).status for n in range(10)]
        assert first.status == 202
        assert statuses == [202] * 9 + [429]
        refusal = (await gateway.send("too many")).json
        assert refusal["type"] == "max-message-queue-size-exceeded"
        assert "The capacity of this queue is 9 messages (15 minutes)" in refusal["description"]
        await catcher.wait_for_event(first.json["id"])
        assert len(catcher.events()) == 1
        await gateway.sim("POST", "/clock/advance", {"by": "20m"})
        await catcher.wait_for_count(10)
        assert (await gateway.send("again")).status == 202


async def test_the_gateway_holds_no_more_than_it_is_set_to(tmp_path: Path) -> None:
    """With the carrier paused and room for three, the fourth is refused; resumed, there is room again."""
    async with (
        catching() as catcher,
        running(tmp_path, {**QUICK, "outbox.queue_max": 3}, catcher.url) as gateway,
    ):
        await gateway.admin("POST", "/carriers/simulator/pause")
        assert [(await gateway.send()).status for _ in range(4)] == [202, 202, 202, 429]
        await gateway.admin("POST", "/carriers/simulator/resume")
        await catcher.wait_for_count(3)
        assert (await gateway.send()).status == 202


async def test_sigterm_drains_and_ends_with_zero(tmp_path: Path) -> None:
    """What was accepted just before is called back, before the end or after the next start."""
    async with catching() as catcher:
        gateway = Gateway(tmp_path, QUICK, catcher.url)
        await gateway.start()
        ids = [(await gateway.send()).json["id"] for _ in range(20)]
        assert await gateway.stop() == 0
        await gateway.start()
        try:
            await catcher.wait_for(lambda c: {e["message"]["id"] for e in c.events()} == set(ids))
        finally:
            await gateway.kill()


async def test_a_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    """A callback that hangs keeps the first from ending; the second does not wait for it."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        catcher.answer = lambda _: b""
        await gateway.send()
        await catcher.wait_for_count(1)
        os.kill(gateway.pid, signal.SIGTERM)
        while "gateway_stopping" not in gateway.output():
            await asyncio.sleep(0.01)
        assert await gateway.stop() == 130


async def test_nothing_private_is_logged(tmp_path: Path) -> None:
    """At the most talkative level neither text nor secret is in the output, though a callback fails."""
    settings = {**QUICK, "logging.level": "debug", "callbacks.retry_for_s": 0}
    async with catching() as catcher, running(tmp_path, settings, catcher.url) as gateway:
        catcher.answer = lambda _: 500
        await gateway.send("a very private text")
        await catcher.wait_for_count(1)
        while "callback_given_up" not in gateway.output():
            await asyncio.sleep(0.01)
        logged = gateway.output().partition("gateway_started")[2]
        assert "private" not in logged
        assert SECRET not in logged


async def test_a_callback_to_a_forbidden_address_is_not_dialled(tmp_path: Path) -> None:
    """The attempt says why; loopback is allowed, since this is a developer's machine."""
    async with running(tmp_path, QUICK, "http://169.254.169.254/latest") as gateway:
        message = (await gateway.send()).json
        async with asyncio.timeout(20):
            while not (attempts := (await gateway.life(message["id"]))["attempts"]):
                await asyncio.sleep(0.01)
        assert attempts[0]["status"] is None
        assert "169.254.169.254" in attempts[0]["error"]

"""Operating the gateway: what keeps it from starting, how it stops, what it keeps, and whom it calls back."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
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
from support.http import Catcher, basic, catching, read_answer, request

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 1, "simulator.delay_max_ms": 5}
DAY_MS = 86_400_000


async def until_attempts(gateway: Gateway, message_id: str, count: int) -> list[Any]:
    """A message's callback attempts, oldest first, once there are so many."""
    async with asyncio.timeout(20):
        while len(attempts := (await gateway.life(message_id))["attempts"]) < count:
            await asyncio.sleep(0.01)
    return sorted(attempts, key=lambda attempt: attempt["started_ms"])


# ---- starting ----


async def serve(data: Path, port: int = 0) -> tuple[int, str]:
    """The exit status and words of a gateway that cannot start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trebuchet", "serve", "--demo", "--data", str(data), "--port", str(port)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "NO_COLOR": "1"},
    )
    try:
        async with asyncio.timeout(20):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """With what to do; and no trace."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, output = await serve(tmp_path, port)
    assert status == 1
    assert f"127.0.0.1:{port}" in output
    assert "--port" in output
    assert "Traceback" not in output


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Here it is a file, which not even root can make a folder in."""
    (tmp_path / "file").write_text("")
    status, output = await serve(tmp_path / "file" / "data")
    assert status == 1
    assert str(tmp_path / "file") in output
    assert "--data" in output
    assert "Traceback" not in output


async def test_a_folder_belongs_to_one_gateway(tmp_path: Path) -> None:
    """A second one on it does not start, and the first is not disturbed."""
    async with running(tmp_path, QUICK) as gateway:
        status, output = await serve(tmp_path)
        assert (status, str(tmp_path) in output, "Traceback" in output) == (1, True, False)
        assert (await gateway.send()).status == 202


# ---- stopping ----


async def test_a_stop_is_bounded(tmp_path: Path) -> None:
    """A callback that hangs, a request that does not end and an idle connection keep it no longer than its grace."""
    settings = {**QUICK, "server.shutdown_grace_s": 2}
    async with catching() as catcher, running(tmp_path, settings, catcher.url) as gateway:
        catcher.answer = lambda _: b""
        message_id = (await gateway.send()).json["id"]
        await catcher.wait_for_count(1)
        port = int(gateway.url.rsplit(":", 1)[1])
        lines = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        lines[0][1].write(b"POST /v2/users/u-demo/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        lines[1][1].write(
            b"GET /sim/v1/handsets/%2B19995550100/messages?wait=30s HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        begun_s = time.monotonic()
        assert await gateway.stop() == 0
        assert time.monotonic() - begun_s < 2 + 3  # and what a busy machine takes to end a process
        polled, _ = lines[1]
        assert (await read_answer(polled)).status == 503
        for _, writer in lines:
            writer.close()
        assert "Traceback" not in gateway.output()
        catcher.answer = lambda _: 200
        await gateway.start()
        await catcher.wait_for(lambda c: len(c.events(message_id)) > 1)


async def test_a_stop_under_load_loses_nothing(tmp_path: Path) -> None:
    """Messages are posted until the port is closed; each that was accepted is called back, now or after a start."""
    accepted: list[str] = []

    async def post_on(gateway: Gateway) -> None:
        while True:
            try:
                answer = await gateway.send()
            except (OSError, asyncio.IncompleteReadError):
                return
            if answer.status == 202:
                accepted.append(answer.json["id"])

    async with catching() as catcher:
        gateway = Gateway(tmp_path, QUICK, catcher.url)
        await gateway.start()
        posting = [asyncio.create_task(post_on(gateway)) for _ in range(4)]
        await catcher.wait_for_count(50)
        assert await gateway.stop() == 0
        await asyncio.gather(*posting)
        await gateway.start()
        try:
            await catcher.wait_for(lambda c: {e["message"]["id"] for e in c.events()} >= set(accepted))
        finally:
            await gateway.kill()


# ---- what is kept, and what is told ----


async def test_retention_deletes_what_is_old(tmp_path: Path) -> None:
    """A day after its end a message is gone with all that belongs to it; one that still waits is not."""
    settings = {**QUICK, "retention.messages_d": 1, "outbox.default_validity_s": 30 * 86_400}
    async with catching() as catcher, running(tmp_path, settings, catcher.url) as gateway:
        done = (await gateway.send()).json["id"]
        await until_attempts(gateway, done, 1)
        await gateway.admin("POST", "/carriers/simulator/pause")
        waiting = (await gateway.send()).json["id"]
        await gateway.sim("POST", "/clock/advance", {"by": "26h"})
        async with asyncio.timeout(20):
            while (await gateway.admin("GET", f"/messages/{done}")).status != 404:
                await asyncio.sleep(0.01)
        found = await request(
            "GET",
            f"{gateway.url}/v2/users/{ACCOUNT}/messages?sourceTn=%2B{NUMBER[1:]}",
            headers=basic(TOKEN, SECRET),
        )
        assert [row["messageId"] for row in found.json["messages"]] == [waiting]
        assert (
            'trebuchet_pruned_total{what="messages"} 1.0'
            in (await request("GET", f"{gateway.url}/metrics")).body.decode()
        )
        await gateway.admin("POST", "/carriers/simulator/resume")
        await catcher.wait_for_event(waiting, "message-delivered")


async def test_no_text_and_no_secret_is_logged(tmp_path: Path) -> None:
    """At the most talkative level, through delivery, failure, a reply, refused requests and noise on the port."""
    settings = {**QUICK, "logging.level": "debug", "callbacks.retry_for_s": 0}
    secrets = ("marked-text", "marked-reply", "marked-tag", "marked-password", "marked-wrong-secret")
    async with catching() as catcher, running(tmp_path, settings, catcher.url) as gateway:
        catcher.answer = lambda _: 500
        await gateway.admin(
            "PATCH",
            f"/applications/{APPLICATION}",
            {"callback_username": "me", "callback_password": "marked-password"},
        )
        await gateway.send("marked-text", tag="marked-tag")
        await gateway.send("marked-text #fail:4720")
        await gateway.send("marked-text", to="+1marked-text")
        reply = {"to": NUMBER, "text": "marked-reply"}
        await gateway.sim("POST", f"/handsets/%2B{HANDSET[1:]}/messages", reply)
        url = f"{gateway.url}/v2/users/{ACCOUNT}/messages"
        good = {"Content-Type": "application/json", **basic(TOKEN, SECRET)}
        await request("POST", url, body=b'{"text":"marked-text', headers=good)
        await request("POST", url, body=b"{}", headers=basic(TOKEN, "marked-wrong-secret"))
        await request("GET", f"{gateway.url}/marked-text?text=marked-text")
        await catcher.wait_for_count(3)
        async with asyncio.timeout(20):
            while gateway.output().count("callback_given_up") < 3:
                await asyncio.sleep(0.01)
        logged = gateway.output().partition("gateway_started")[2]
        assert [secret for secret in (*secrets, SECRET) if secret in logged] == []


# ---- whom it calls back, and when ----


@pytest.fixture(scope="module")
async def catcher() -> AsyncIterator[Catcher]:
    async with catching() as catcher:
        yield catcher


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with running(tmp_path_factory.mktemp("gateway"), QUICK) as gateway:
        yield gateway


async def application_of(gateway: Gateway, number: str, callback_url: str, **fields: Any) -> dict[str, str]:
    """What to add to a message so that it goes from a new number of a new application."""
    made = await gateway.admin(
        "POST", "/applications", {"account_id": ACCOUNT, "callback_url": callback_url, **fields}
    )
    assert made.status == 201, made.body
    application = made.json["id"]
    numbered = await gateway.admin("POST", "/numbers", {"number": number, "application_id": application})
    assert numbered.status == 201, numbered.body
    return {"from": number, "applicationId": application}


PRIVATE = [
    "10.0.0.1", "169.254.169.254", "192.168.0.1:8080", "[fe80::1]", "[::ffff:10.0.0.1]", "0.0.0.0", "100.64.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
async def test_a_private_address_is_not_dialled(gateway: Gateway, host: str) -> None:
    """The attempt is recorded without a status, and says why."""
    fields = await application_of(
        gateway, f"+130355502{PRIVATE.index(host):02}", f"http://{host}/latest/meta-data"
    )
    message_id = (await gateway.send(**fields)).json["id"]
    (attempt, *_) = await until_attempts(gateway, message_id, 1)
    assert attempt["status"] is None
    assert "not allowed" in attempt["error"] or "refused" in attempt["error"], attempt


async def test_an_allowed_network_is_dialled_and_loopback_is_not(tmp_path: Path, catcher: Catcher) -> None:
    """Loopback is for the simulator on loopback alone; elsewhere each network must be allowed by setting."""
    settings = {**QUICK, "server.host": "0.0.0.0"}
    async with running(tmp_path, settings, catcher.url) as gateway:
        message_id = (await gateway.send()).json["id"]
        (attempt, *_) = await until_attempts(gateway, message_id, 1)
        assert attempt["status"] is None
        assert catcher.events(message_id) == []
        await gateway.kill()
        gateway.settings["callbacks.allow_loopback"] = True
        await gateway.start()
        message_id = (await gateway.send()).json["id"]
        await catcher.wait_for_event(message_id, "message-delivered")


async def test_an_application_chooses_its_events(gateway: Gateway, catcher: Catcher) -> None:
    """Only those are called back; what handsets send always is. The choice holds from the next event on."""
    number = "+13035550301"
    fields = await application_of(gateway, number, catcher.url, events=["message-failed"])
    delivered = (await gateway.send(**fields)).json["id"]
    failed = (await gateway.send("#fail:4720", **fields)).json["id"]
    reply = {"to": number, "text": "a reply"}
    await gateway.sim("POST", f"/handsets/%2B{HANDSET[1:]}/messages", reply)
    assert (await catcher.wait_for_event(failed))["errorCode"] == 4720
    await catcher.wait_for(
        lambda c: any(event["to"] == number for event in c.events(None, "message-received"))
    )
    await gateway.admin("PATCH", f"/applications/{fields['applicationId']}", {"events": None})
    last = (await gateway.send(**fields)).json["id"]
    await catcher.wait_for_event(last, "message-delivered")
    assert (await gateway.life(delivered))["deliveries"][0]["state"] == "DELIVERED"
    assert catcher.events(delivered) == []


async def test_events_of_a_message_keep_their_order(gateway: Gateway) -> None:
    """The first callback of an MMS fails: what follows it waits until it is taken, for each recipient."""
    async with catching() as catcher:
        fields = await application_of(gateway, "+13035550302", catcher.url)
        group = [HANDSET, OTHER_NUMBER]
        refused: set[str] = set()

        def first_fails(caught: Any) -> int:
            event = caught.event
            if event["type"] == "message-sending" and event["to"] not in refused:
                refused.add(event["to"])
                return 503
            return 200

        catcher.answer = first_fails
        media = ["https://example.com/a.png"]
        message_id = (await gateway.send(to=group, media=media, **fields)).json["id"]
        await catcher.wait_for(lambda _: refused == set(group))
        await gateway.sim("POST", "/clock/advance", {"by": "1m"})
        await catcher.wait_for(lambda c: len(c.events(message_id, "message-delivered")) == 2)
        for to in group:
            types = [event["type"] for event in catcher.events(message_id) if event["to"] == to]
            assert types == ["message-sending", "message-sending", "message-delivered"]

"""The listening MMSC: as the process that its users start, with `trebuchet serve` as its peer, and as a context."""

import asyncio
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, HANDSET, NUMBER, OTHER_NUMBER, SECRET, TOKEN, Gateway
from support.http import Catcher, basic, request
from support.mmsc import WAIT_S, gateway_and_mmsc, mmsc_process
from support.pictures import encoded, photo
from support.ports import free_port

pytestmark = pytest.mark.anyio

PICTURE = encoded(photo(320, 240), "JPEG")
OTHER_HANDSET = "+12025550124"


async def upload(gateway: Gateway, name: str = "cat.jpg") -> str:
    url = f"{gateway.url}/v2/users/{ACCOUNT}/media/{name}"
    assert (await request("PUT", url, body=PICTURE, headers=basic(TOKEN, SECRET))).status == 204
    return url


async def final(catcher: Catcher, message_id: str, count: int = 1) -> dict[str, tuple[str, Any]]:
    """The last event of each recipient and its error code, once there are so many."""

    def found() -> dict[str, tuple[str, Any]]:
        return {
            event["to"]: (event["type"], event.get("errorCode"))
            for event in catcher.events(message_id)
            if event["type"] != "message-sending"
        }

    await catcher.wait_for(lambda _: len(found()) >= count)
    return found()


async def test_a_picture_is_shown_on_the_handset_and_called_back_as_delivered(tmp_path: Path) -> None:
    """Its octets are had from the handset's URL."""
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, mmsc):
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        assert sent.status == 202
        (shown,) = await mmsc.shown(HANDSET)
        assert (shown["from"], shown["text"]) == (NUMBER, "look")
        (url,) = shown["media"]
        got = await request("GET", url)
        assert (got.status, got.body, got.headers["content-type"]) == (200, PICTURE, "image/jpeg")
        assert got.headers["x-content-type-options"] == "nosniff"
        assert (await mmsc.sim("GET", "/files/0/cat.jpg")).status == 404
        assert (await final(catcher, sent.json["id"])) == {HANDSET: ("message-delivered", None)}
        assert await mmsc.stop() == 0


async def test_a_picture_typed_on_a_handset_comes_to_the_application(tmp_path: Path) -> None:
    """As a URL of its own media API, where the octets are had."""
    async with gateway_and_mmsc(tmp_path) as (_, catcher, mmsc):
        file = {"name": "dog.jpg", "content_type": "image/jpeg", "data": b64encode(PICTURE).decode()}
        typed = await mmsc.type(HANDSET, to=NUMBER, text="nice", files=[file])
        assert typed.status == 202, typed.body
        received = (await catcher.wait_for_event_of("message-received"))["message"]
        assert (received["from"], received["to"], received["text"]) == (HANDSET, [NUMBER], "nice")
        await same_picture(received)


async def same_picture(received: dict[str, Any]) -> None:
    """The application can get it."""
    (url,) = received["media"]
    got = await request("GET", url, headers=basic(TOKEN, SECRET))
    assert (got.status, got.body, got.headers["content-type"]) == (200, PICTURE, "image/jpeg")


async def test_a_picture_is_handed_on_to_a_group(tmp_path: Path) -> None:
    """A URL that a handset shows can be typed; each of our numbers has a message of its own."""
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, mmsc):
        await gateway.send("look", HANDSET, media=[await upload(gateway)])
        (shown,) = await mmsc.shown(HANDSET)
        typed = await mmsc.type(
            HANDSET, to=NUMBER, text="nice", media=shown["media"], group=[OTHER_NUMBER, OTHER_HANDSET]
        )
        assert typed.status == 202, typed.body
        await catcher.wait_for(lambda c: len(c.events(type_="message-received")) == 2)
        received = [event["message"] for event in catcher.events(type_="message-received")]
        assert {message["owner"] for message in received} == {NUMBER, OTHER_NUMBER}
        assert len({message["id"] for message in received}) == 2
        for message in received:
            assert set(message["to"]) == {NUMBER, OTHER_NUMBER, OTHER_HANDSET}
            await same_picture(message)
        foreign = await mmsc.type(HANDSET, to=NUMBER, media=["https://pictures.example/cat.jpg"])
        assert (foreign.status, foreign.json["type"]) == (404, "not-found")


async def test_a_handset_replies_to_all(tmp_path: Path) -> None:
    """The sender has it with everybody who was addressed."""
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, mmsc):
        await gateway.send("all of you", [HANDSET, OTHER_HANDSET])
        await mmsc.shown(HANDSET)
        assert (await mmsc.type(HANDSET, text="yes", reply_all=True)).status == 202
        received = (await catcher.wait_for_event_of("message-received"))["message"]
        assert (received["owner"], received["from"]) == (NUMBER, HANDSET)
        assert set(received["to"]) == {NUMBER, OTHER_HANDSET}


# ---- what the scenarios come to at the gateway ----

FATES = {
    "hello": ("message-delivered", None),
    "#twice": ("message-delivered", None),
    "#enroute": ("message-delivered", None),
    "#early": ("message-delivered", None),
    "#report:Deferred": ("message-delivered", None),
    "#refuse:4403": ("message-failed", 4403),
    "#fail:4720": ("message-failed", 4720),
    "#rejected": ("message-failed", 4750),
    "#expired": ("message-failed", 5650),
    "#deleted": ("message-failed", 5650),
    "#unknown": ("message-failed", 9999),
    "#answer:Error-content-not-accepted": ("message-failed", 4712),
    "#report:Expired": ("message-failed", 4702),
    "#smtp:552": ("message-failed", 4711),
}


async def test_the_scenarios_of_the_simulated_carrier_come_to_the_same(tmp_path: Path) -> None:
    """Each with the same event and error code as without MM4; called back once."""
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, _):
        picture = await upload(gateway)
        sent = {text: (await gateway.send(text, HANDSET, media=[picture])).json["id"] for text in FATES}
        found = {text: (await final(catcher, sent[text]))[HANDSET] for text in FATES}
        assert found == FATES
        finals = [e for e in catcher.events() if e["type"] in ("message-delivered", "message-failed")]
        assert len(finals) == len(FATES)


async def test_a_group_has_one_fate_per_recipient(tmp_path: Path) -> None:
    """Who is refused fails; the others show all recipients."""
    refused = "+19995554405"
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, mmsc):
        sent = await gateway.send("all of you", [HANDSET, OTHER_HANDSET, refused])
        assert await final(catcher, sent.json["id"], 3) == {
            HANDSET: ("message-delivered", None),
            OTHER_HANDSET: ("message-delivered", None),
            refused: ("message-failed", 4405),
        }
        for handset in (HANDSET, OTHER_HANDSET):
            (shown,) = await mmsc.shown(handset)
            assert shown["participants"] == [HANDSET, OTHER_HANDSET, refused]


@pytest.mark.parametrize("text", ["#smtp:451", "#answer:Error-network-problem", "#lost", "#unanswered"])
async def test_what_was_not_taken_is_tried_again(text: str, tmp_path: Path) -> None:
    """A 451, a status that may pass, an answer that never comes: it ends delivered, and is shown once."""
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, mmsc):
        sent = (await gateway.send(text, HANDSET, media=[await upload(gateway)])).json["id"]
        delivered = asyncio.create_task(catcher.wait_for_event(sent, "message-delivered"))
        while not delivered.done():
            await mmsc.sim("POST", "/clock/advance", {"by": "10s"})
            await gateway.sim("POST", "/clock/advance", {"by": "60s"})
            await asyncio.wait({delivered}, timeout=0.3)  # what was due takes its time
        assert await final(catcher, sent) == {HANDSET: ("message-delivered", None)}
        assert len(await mmsc.shown(HANDSET)) == 1


async def test_reports_survive_a_crash_of_the_mmsc(tmp_path: Path) -> None:
    """With --data: what was answered before is reported after the next start."""
    memory = tmp_path / "mmsc"
    options = ("--data", str(memory), "--delay-min-ms", "2000", "--delay-max-ms", "2000")
    (tmp_path / "gateway").mkdir()
    async with gateway_and_mmsc(tmp_path / "gateway", *options) as (gateway, catcher, mmsc):
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        await catcher.wait_for_event(sent.json["id"], "message-sending")
        await mmsc.kill()
        assert [event["type"] for event in catcher.events(sent.json["id"])] == ["message-sending"]
        async with mmsc_process(*mmsc.options, "--port", str(mmsc.port)) as again:
            assert await final(catcher, sent.json["id"]) == {HANDSET: ("message-delivered", None)}
            assert [message["text"] for message in await again.shown(HANDSET)] == ["look"]


# ---- the command ----


async def test_a_peer_that_cannot_be_told_is_named() -> None:
    """Once, and again when that has changed."""
    async with mmsc_process("--peer-port", str(free_port())) as mmsc:
        for _attempt in range(2):
            typed = await mmsc.type(HANDSET, to=NUMBER, text="hello")
            assert (typed.status, typed.json["type"]) == (409, "no-link")
        said = await mmsc.next_line()
        assert said["event"] == "peer"
        assert said["trouble"]
        assert await mmsc.stop() == 0


async def test_what_is_wrong_with_the_options_is_said() -> None:
    """With the option, and no stack trace."""
    for arguments, words in (
        (["--account", "nobody"], b"is not NAME:PASSWORD"),
        (["--reports", "poems"], b"reports"),
        (["--tls", "starttls"], b"tls_certificate_file"),
        (["--host", "203.0.113.1"], b"cannot listen"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trebuchet", "simulate", "mmsc", "--port", "0", "--http-port", "-1"),
            *arguments,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await asyncio.wait_for(process.communicate(), WAIT_S)
        assert process.returncode in (1, 2)
        assert words in errors
        assert b"Traceback" not in errors

"""`trebuchet simulate mmsc` over MM7, with `trebuchet serve` as its VASP: pictures, groups, refusals, crashes."""

import asyncio
import base64
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from support import capture
from support.gateway import ACCOUNT, CRASHING, HANDSET, NUMBER, OTHER_NUMBER, SECRET, TOKEN, Gateway, running
from support.http import Catcher, basic, catching, request
from support.mm7 import OLD_NAMESPACE, envelope
from support.mmsc import MmscProcess, mmsc_process
from support.pictures import encoded, photo
from support.ports import free_port

pytestmark = pytest.mark.anyio

PICTURE = encoded(photo(320, 240), "JPEG")
OTHER_HANDSET = "+12025550124"
NOBODY = "+19995554403"  # the simulated network refuses it
HTTP_PORT = 80


@asynccontextmanager
async def gateway_and_mmsc(
    tmp_path: Path, *options: str, **carrier: Any
) -> AsyncIterator[tuple[Gateway, Catcher, MmscProcess, capture.Tap]]:
    """A gateway with the MMSC as its carrier of pictures and groups, and a tap on what it posts."""
    ours = free_port()
    url = f"http://127.0.0.1:{ours}/mm7"
    record = {k: carrier.pop(k) for k in ("in_doubt",) if k in carrier}
    async with (
        catching() as catcher,
        mmsc_process("--peer-port", "0", "--mm7-port", "0", "--vasp-url", url, *options) as mmsc,
        capture.tapped(mmsc.mm7_port) as tap,
        running(tmp_path, {"callbacks.retry_first_s": 1}, catcher.url) as gateway,
    ):
        settings = {
            "url": f"http://127.0.0.1:{tap.port}/mm7",
            "listen_host": "127.0.0.1",
            "listen_port": ours,
            "listen_from": ["127.0.0.1"],
            **carrier,
        }
        created = await gateway.admin(
            "POST", "/carriers", {"id": "mmsc", "kind": "mm7", "settings": settings, **record}
        )
        assert created.status == 201, created.body
        route = {"id": "mms", "carrier_id": "mmsc", "kind": "mms", "priority": 1}
        assert (await gateway.admin("POST", "/routes", route)).status == 201
        yield gateway, catcher, mmsc, tap


async def upload(gateway: Gateway) -> str:
    url = f"{gateway.url}/v2/users/{ACCOUNT}/media/cat.jpg"
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


@pytest.mark.parametrize("profile", ["rel6-1.4", "rel5-1.0"])
async def test_a_picture_goes_to_a_handset_and_another_comes_back(tmp_path: Path, profile: str) -> None:
    """Shown with its text and reported; what the handset answers with is had by the URL in the callback."""
    options = ("--mm7-profile", profile, "--account", "us:secret", "--vasp-user", "mmsc:word")
    carrier = {"username": "us", "password": "secret", "listen_username": "mmsc", "listen_password": "word"}
    async with gateway_and_mmsc(tmp_path, *options, **carrier, profile=profile) as (
        gateway,
        catcher,
        mmsc,
        _,
    ):
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        (shown,) = await mmsc.shown(HANDSET)
        assert (shown["from"], shown["text"]) == (NUMBER, "look")
        assert (await request("GET", shown["media"][0])).body == PICTURE
        assert await final(catcher, sent.json["id"]) == {HANDSET: ("message-delivered", None)}
        file = {"name": "dog.jpg", "data": base64.b64encode(PICTURE).decode()}
        assert (await mmsc.type(HANDSET, to=NUMBER, text="and this", files=[file])).status == 202
        event = (await catcher.wait_for_event_of("message-received"))["message"]
        assert (event["from"], event["text"]) == (HANDSET, "and this")
        got = await request("GET", event["media"][0], headers=basic(TOKEN, SECRET))
        assert (got.body, got.headers["content-type"]) == (PICTURE, "image/jpeg")


@pytest.mark.parametrize(("groups", "code"), [("together", 4750), ("each", 4493)])
async def test_of_a_group_one_is_refused_and_one_has_it(tmp_path: Path, groups: str, code: int) -> None:
    """In one request, where a report says who (1100), or in one for each. A handset answers all."""
    async with gateway_and_mmsc(tmp_path, groups=groups) as (gateway, catcher, mmsc, _):
        sent = await gateway.send("hello", [HANDSET, NOBODY])
        assert await final(catcher, sent.json["id"], 2) == {
            HANDSET: ("message-delivered", None),
            NOBODY: ("message-failed", code),
        }
        (shown,) = await mmsc.shown(HANDSET)
        assert set(shown["participants"]) == {HANDSET, NOBODY}
        typed = await mmsc.type(HANDSET, to=NUMBER, group=[OTHER_NUMBER], text="hi both")
        assert typed.status == 202
        await catcher.wait_for(
            lambda _: (
                {e["message"]["owner"] for e in catcher.events() if e["type"] == "message-received"}
                == {NUMBER, OTHER_NUMBER}
            )
        )


@pytest.mark.parametrize(
    ("text", "code"),
    [("#refuse:4720", 4720), ("#answer:2004", 4712), ("#report:Expired", 4702), ("#fail:4712", 4700)],
)
async def test_every_failure_can_be_had(tmp_path: Path, text: str, code: int) -> None:
    """In the answer, and in the report."""
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, _, _):
        sent = await gateway.send(text, HANDSET, media=[await upload(gateway)])
        assert await final(catcher, sent.json["id"]) == {HANDSET: ("message-failed", code)}


async def test_what_is_not_taken_now_is_taken_later(tmp_path: Path) -> None:
    """The relay as a whole is not ready: the link rests for a second."""
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, _, _):
        sent = await gateway.send("#answer:4006", HANDSET, media=[await upload(gateway)])
        assert await final(catcher, sent.json["id"]) == {HANDSET: ("message-delivered", None)}


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        (b"hello", 400, b"2007"),
        (envelope("t", "<CancelReq/>"), 400, b"4003"),
        (envelope("t", "<SubmitReq/>"), 200, b"2002"),
        (envelope("t", "<SubmitReq/>", OLD_NAMESPACE), 200, OLD_NAMESPACE.encode()),
    ],
)
async def test_a_vasp_that_is_wrong_is_told(document: bytes, status: int, words: bytes) -> None:
    """In MM7's own terms, in its own namespace."""
    async with mmsc_process("--peer-port", "0", "--mm7-port", "0") as mmsc:
        url = f"http://127.0.0.1:{mmsc.mm7_port}/mm7"
        answer = await request("POST", url, body=document, headers={"Content-Type": "text/xml"})
        assert (answer.status, words in answer.body) == (status, True)
        assert (await request("GET", url)).status == 405


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("change", ["Accept", "Settle", "RecordReceipt", "SettleCallback"])
async def test_the_gateway_may_die_at_any_arrow(tmp_path: Path, change: str, moment: str) -> None:
    """Every 202 is on the handset once, and called back as delivered: the MMSC knows a repeated transaction."""
    accepted: dict[str, str] = {}
    async with gateway_and_mmsc(tmp_path, in_doubt="resend") as (gateway, catcher, mmsc, _):
        await gateway.kill()
        process = await asyncio.create_subprocess_exec(
            sys.executable, *CRASHING, str(tmp_path), catcher.url, change, moment, "3"
        )
        await gateway.attach(process)
        await send_groups(gateway, "first", accepted)
        async with asyncio.timeout(30):
            assert await gateway.ended() == -9
        await gateway.start()
        await send_groups(gateway, "second", accepted)

        def delivered(_: object) -> bool:
            events = [event for event in catcher.events() if event["type"] == "message-delivered"]
            return {(e["message"]["id"], e["to"]) for e in events} >= {
                (message_id, number) for message_id in accepted for number in (HANDSET, OTHER_HANDSET)
            }

        await catcher.wait_for(delivered, timeout_s=60)
        shown = Counter(message["text"] for message in await mmsc.shown(HANDSET))
        assert {text: shown[text] for text in accepted.values()} == dict.fromkeys(accepted.values(), 1)


async def send_groups(gateway: Gateway, run: str, accepted: dict[str, str]) -> None:
    """Post until the gateway dies; keep the text of each 202 under its id."""
    for number in range(12):
        text = f"{run}-{number}"
        with suppress(OSError, asyncio.IncompleteReadError, IndexError):
            answer = await gateway.send(text, [HANDSET, OTHER_HANDSET])
            assert answer.status == 202
            accepted[answer.json["id"]] = text


@pytest.mark.tshark
async def test_tshark_reads_our_requests(tmp_path: Path) -> None:
    """Not a frame is malformed, and it finds the envelope and the parts that we put there."""
    async with gateway_and_mmsc(tmp_path) as (gateway, catcher, _, tap):
        sent = await gateway.send("look", HANDSET, media=[await upload(gateway)])
        await final(catcher, sent.json["id"])
        path = tmp_path / "mm7.pcap"
        capture.write_pcap(path, tap.connections, HTTP_PORT)
    assert await capture.malformed(path, port=HTTP_PORT, protocol="http") == ""
    named = ("-T", "fields", "-e", "mime_multipart.header.content-type", "-e", "xml.tag")
    read = await capture.tshark(path, "-Y", "http.request", *named, port=HTTP_PORT, protocol="http")
    assert [each in read for each in ("text/xml", "application/smil", "image/jpeg", "<SubmitReq")] == [
        True
    ] * 4

"""The newest official Python SDK sends pictures and groups, which go out over MM4 to handsets and come back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import bandwidth
import pytest

from support import capture
from support.gateway import ACCOUNT, APPLICATION, NUMBER, SECRET, TOKEN, Gateway, running
from support.http import Catcher, catching
from support.mm4_pair import FAR_NUMBER, FAR_OTHER, connect, settings_of, two_gateways
from support.pictures import encoded, photo
from support.ports import free_port
from trebuchet.simulator.base import File
from trebuchet.testing import RunningMmsc, mmsc

pytestmark = pytest.mark.anyio

SMTP_PORT = 25
HANDSETS = ["+13125550101", "+13125550102"]
PICTURES = [encoded(photo(320, 240), "JPEG"), encoded(photo(120, 200), "PNG")]


def client(gateway: Gateway) -> bandwidth.ApiClient:
    return bandwidth.ApiClient(
        bandwidth.Configuration(
            host=f"{gateway.url}/api/v2", ignore_operation_servers=True, username=TOKEN, password=SECRET
        )
    )


async def upload(gateway: Gateway, count: int) -> list[str]:
    """URLs of so many pictures, put there by the SDK."""
    api = bandwidth.MediaApi(client(gateway))
    for place in range(count):
        await asyncio.to_thread(
            api.upload_media,
            ACCOUNT,
            f"demo{place}",
            PICTURES[place],
            _content_type="application/octet-stream",
        )
    return [f"{gateway.url}/api/v2/users/{ACCOUNT}/media/demo{place}" for place in range(count)]


async def send(gateway: Gateway, to: list[str], media: list[str], text: str = "Hey, check this out!") -> str:
    """A message as the API's first page has it; its id."""
    request = bandwidth.MessageRequest(
        **{
            "applicationId": APPLICATION,
            "to": to,
            "from": NUMBER,
            "text": text,
            "tag": "test message",
            "media": media,
        }
    )
    sent = await asyncio.to_thread(bandwidth.MessagesApi(client(gateway)).create_message, ACCOUNT, request)
    assert sent.id is not None
    return str(sent.id)


async def delivered_to(catcher: Catcher, message_id: str, count: int) -> set[str]:
    """Who has it, once so many are said to."""

    def found() -> set[str]:
        return {event["to"] for event in catcher.events(message_id) if event["type"] == "message-delivered"}

    await catcher.wait_for(lambda _: len(found()) >= count)
    return found()


@asynccontextmanager
async def with_handsets(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Catcher, RunningMmsc, capture.Tap]]:
    """A gateway and an MMSC, with a tap between them."""
    port = free_port()
    async with (
        catching() as catcher,
        mmsc(peer_port=port, peer_domain="mms.near.example", domain="mms.far.example") as peer,
        capture.tapped(peer.port) as tap,
        running(tmp_path, {"callbacks.retry_first_s": 1}, catcher.url) as gateway,
    ):
        await connect(gateway, settings_of("near", "far", tap.port, port))
        yield gateway, catcher, peer, tap


@pytest.mark.parametrize("count", [1, 2])
async def test_pictures_appear_on_a_handset(tmp_path: Path, count: int) -> None:
    """Octet for octet, with the text; the delivery is called back."""
    async with with_handsets(tmp_path) as (gateway, catcher, peer, _):
        sent = await send(gateway, HANDSETS[:1], await upload(gateway, count))
        (shown,) = await peer.wait(HANDSETS[0])
        assert (shown.peer, shown.text) == (NUMBER, "Hey, check this out!")
        assert [file.octets for file in peer.files(shown)] == PICTURES[:count]
        assert await delivered_to(catcher, sent, 1) == {HANDSETS[0]}
        types = [event["type"] for event in catcher.events(sent)]
        assert types == ["message-sending", "message-delivered"]


async def test_a_group_appears_on_each_handset_and_a_picture_comes_back(tmp_path: Path) -> None:
    """One callback per recipient; the picture that one of them answers all with is had by the URL in the callback."""
    async with with_handsets(tmp_path) as (gateway, catcher, peer, _):
        sent = await send(gateway, HANDSETS, await upload(gateway, 1))
        for handset in HANDSETS:
            (shown,) = await peer.wait(handset)
            assert set(shown.participants) == set(HANDSETS)
        assert await delivered_to(catcher, sent, 2) == set(HANDSETS)
        reply = File("cat.png", "image/png", PICTURES[1])
        await peer.type(HANDSETS[0], [NUMBER, HANDSETS[1]], "and this!", [reply])
        event = (await catcher.wait_for_event_of("message-received"))["message"]
        assert (event["from"], event["text"], set(event["to"])) == (
            HANDSETS[0],
            "and this!",
            {NUMBER, HANDSETS[1]},
        )
        (url,) = event["media"]
        name = url.partition("/media/")[2]
        got = await asyncio.to_thread(
            bandwidth.MediaApi(client(gateway)).get_media_with_http_info, ACCOUNT, name
        )
        assert (got.raw_data, got.headers["content-type"]) == (PICTURES[1], "image/png")


async def test_pictures_reach_another_gateway(tmp_path: Path) -> None:
    """Each is the other's carrier: the far application is called back for each of its numbers."""
    async with two_gateways(tmp_path) as (near, far):
        sent = await send(near.gateway, [FAR_NUMBER, FAR_OTHER], await upload(near.gateway, 2))
        await far.catcher.wait_for_count(2)
        assert {event["message"]["owner"] for event in far.catcher.events()} == {FAR_NUMBER, FAR_OTHER}
        for url in far.catcher.events()[0]["message"]["media"]:
            name = url.partition("/media/")[2]
            got = await asyncio.to_thread(
                bandwidth.MediaApi(client(far.gateway)).get_media_with_http_info, ACCOUNT, name
            )
            assert got.raw_data in PICTURES
        assert await delivered_to(near.catcher, sent, 2) == {FAR_NUMBER, FAR_OTHER}


@pytest.mark.node
async def test_the_older_sdk_sends_them_too(tmp_path: Path) -> None:
    """One picture, two pictures, a group: each is on its handsets, and called back for each of them."""
    async with with_handsets(tmp_path) as (gateway, catcher, peer, _):
        urls = await upload(gateway, 2)
        process = await asyncio.create_subprocess_exec(
            *("node", "send_pictures.js", gateway.url, NUMBER, *HANDSETS, APPLICATION, *urls),
            cwd=Path(__file__).parent / "node",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        one, two, group = json.loads(output)
        for sent, handsets in ((one, HANDSETS[:1]), (two, HANDSETS[:1]), (group, HANDSETS)):
            assert await delivered_to(catcher, sent, len(handsets)) == set(handsets)
        shown = peer.messages(HANDSETS[0])
        assert sorted(len(peer.files(message)) for message in shown) == [1, 1, 2]


@pytest.mark.tshark
async def test_tshark_reads_our_mails(tmp_path: Path) -> None:
    """Not a frame of the dialogue is malformed, and in the mail it finds the parts that we put there."""
    async with with_handsets(tmp_path) as (gateway, catcher, _, tap):
        sent = await send(gateway, HANDSETS, await upload(gateway, 2))
        await delivered_to(catcher, sent, 2)
        path = tmp_path / "mm4.pcap"
        capture.write_pcap(path, tap.connections, SMTP_PORT)
    assert await capture.malformed(path, port=SMTP_PORT, protocol="smtp") == ""
    mails = await capture.tshark(
        path,
        "-Y",
        "imf",
        "-T",
        "fields",
        "-e",
        "mime_multipart.header.content-type",
        port=SMTP_PORT,
        protocol="smtp",
    )
    (types,) = [line for line in mails.splitlines() if "smil" in line]
    assert [each in types for each in ("application/smil", "image/jpeg", "image/png", "text/plain")] == [
        True
    ] * 4

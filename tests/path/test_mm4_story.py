"""Pictures and groups between two gateways that are each other's MM4 carrier."""

from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, NUMBER, OTHER_NUMBER, SECRET, TOKEN, Gateway
from support.http import Answer, basic, request
from support.mm4_pair import FAR_NUMBER, FAR_OTHER, settings_of, two_gateways
from support.pictures import encoded, photo

pytestmark = pytest.mark.anyio

PICTURE = encoded(photo(320, 240), "JPEG")


async def media(gateway: Gateway, method: str, url: str, body: bytes | None = None) -> Answer:
    return await request(method, url, body=body, headers=basic(TOKEN, SECRET))


async def upload(gateway: Gateway, name: str, octets: bytes) -> str:
    url = f"{gateway.url}/v2/users/{ACCOUNT}/media/{name}"
    assert (await media(gateway, "PUT", url, octets)).status == 204
    return url


async def test_a_picture_goes_to_the_other_carrier_and_is_reported_delivered(tmp_path: Path) -> None:
    """The far application is called back with a URL of its own gateway, where the same octets can be had."""
    async with two_gateways(tmp_path) as (near, far):
        url = await upload(near.gateway, "cat.jpg", PICTURE)
        sent = await near.gateway.send("look", FAR_NUMBER, media=[url], tag="t-1")
        assert sent.status == 202
        received = (await far.catcher.wait_for_event_of("message-received"))["message"]
        assert (received["from"], received["to"], received["text"]) == (NUMBER, [FAR_NUMBER], "look")
        (theirs,) = received["media"]
        assert theirs.startswith(far.gateway.url)
        got = await media(far.gateway, "GET", theirs)
        assert (got.body, got.headers["content-type"]) == (PICTURE, "image/jpeg")
        delivered = await near.catcher.wait_for_event(sent.json["id"], "message-delivered")
        assert (delivered["to"], delivered["message"]["tag"]) == (FAR_NUMBER, "t-1")
        types = [event["type"] for event in near.catcher.events(sent.json["id"])]
        assert types == ["message-sending", "message-delivered"]


async def test_a_group_has_one_fate_per_recipient(tmp_path: Path) -> None:
    """Every recipient sees all; a number that is nobody's fails alone."""
    nobody = "+13125550199"
    async with two_gateways(tmp_path) as (near, far):
        sent = await near.gateway.send("all of you", [FAR_NUMBER, FAR_OTHER])
        await far.catcher.wait_for_count(2)
        events = far.catcher.events()
        assert {event["to"] for event in events} == {FAR_NUMBER, FAR_OTHER}
        assert len({event["message"]["id"] for event in events}) == 2
        assert {event["message"]["owner"] for event in events} == {FAR_NUMBER, FAR_OTHER}
        assert all(set(event["message"]["to"]) == {FAR_NUMBER, FAR_OTHER} for event in events)
        fates = await finals(near.catcher, sent.json["id"], 2)
        assert fates == {FAR_NUMBER: "message-delivered", FAR_OTHER: "message-delivered"}
        mixed = await near.gateway.send("some of you", [FAR_NUMBER, nobody])
        assert await finals(near.catcher, mixed.json["id"], 2) == {
            FAR_NUMBER: "message-delivered",
            nobody: "message-failed",
        }


async def finals(catcher: Any, message_id: str, count: int) -> dict[str, str]:
    """The last event of each recipient, once there are so many."""

    def found() -> dict[str, str]:
        return {e["to"]: e["type"] for e in catcher.events(message_id) if e["type"] != "message-sending"}

    await catcher.wait_for(lambda _: len(found()) >= count)
    return found()


async def test_an_answer_with_a_picture_comes_back(tmp_path: Path) -> None:
    """To all of a group: each of our numbers has a message of its own."""
    async with two_gateways(tmp_path) as (near, far):
        url = await upload(far.gateway, "dog.jpg", PICTURE)
        sent = await far.gateway.send("woof", [NUMBER, OTHER_NUMBER], media=[url], **{"from": FAR_NUMBER})
        assert sent.status == 202
        await near.catcher.wait_for_count(2)
        owners = {event["message"]["owner"] for event in near.catcher.events()}
        assert owners == {NUMBER, OTHER_NUMBER}
        (theirs,) = near.catcher.events()[0]["message"]["media"]
        assert (await media(near.gateway, "GET", theirs)).body == PICTURE


async def test_a_message_to_nobody_fails(tmp_path: Path) -> None:
    """The far relay knows no such number and says so."""
    async with two_gateways(tmp_path) as (near, _):
        url = await upload(near.gateway, "cat.jpg", PICTURE)
        sent = await near.gateway.send("hello?", "+13125550199", media=[url])
        failed = await near.catcher.wait_for_event(sent.json["id"], "message-failed")
        assert failed["errorCode"] == 4720


async def test_a_file_that_is_not_there_fails_the_message(tmp_path: Path) -> None:
    """4410, long before the carrier is asked; a file that nobody can show is 4412."""
    async with two_gateways(tmp_path) as (near, _):
        missing = f"{near.gateway.url}/v2/users/{ACCOUNT}/media/missing.jpg"
        sent = await near.gateway.send("look", FAR_NUMBER, media=[missing])
        failed = await near.catcher.wait_for_event(sent.json["id"], "message-failed")
        assert failed["errorCode"] == 4410
        strange = await upload(near.gateway, "x.bin", bytes(range(256)))
        sent = await near.gateway.send("look", FAR_NUMBER, media=[strange])
        failed = await near.catcher.wait_for_event(sent.json["id"], "message-failed")
        assert failed["errorCode"] == 4412


async def test_a_picture_is_made_to_fit(tmp_path: Path) -> None:
    """The peer takes 20,000 octets; the picture arrives smaller, and still a picture."""
    large = encoded(photo(1600, 1200), "JPEG")
    assert len(large) > 40_000
    async with two_gateways(tmp_path, max_octets=20_000) as (near, far):
        url = await upload(near.gateway, "large.jpg", large)
        await near.gateway.send("look", FAR_NUMBER, media=[url])
        received = (await far.catcher.wait_for_event_of("message-received"))["message"]
        got = await media(far.gateway, "GET", received["media"][0])
        assert got.headers["content-type"] == "image/jpeg"
        assert len(got.body) < 20_000


async def test_a_text_to_one_stays_a_text(tmp_path: Path) -> None:
    """Only pictures and groups go by MM4."""
    async with two_gateways(tmp_path) as (near, _):
        sent = await near.gateway.send("hello", FAR_NUMBER)
        life = await near.gateway.life(sent.json["id"])
        assert life["deliveries"][0]["carrier_id"] == "simulator"


async def test_a_port_that_is_taken_keeps_nobody_else_from_working(tmp_path: Path) -> None:
    """The carrier is there and says what is wrong; texts go on."""
    async with two_gateways(tmp_path) as (near, far):
        settings = settings_of("near", "other", far.mm4_port, far.mm4_port)
        record = {"id": "clash", "kind": "mm4", "settings": settings}
        assert (await near.gateway.admin("POST", "/carriers", record)).status == 201
        assert "mm4_not_listening" in near.gateway.output()
        sent = await near.gateway.send("hello")
        await near.catcher.wait_for_event(sent.json["id"], "message-delivered")

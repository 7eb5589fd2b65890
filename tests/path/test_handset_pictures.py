"""Pictures and groups on simulated handsets: shown, answered to all, and sent to applications that download them."""

import asyncio
import base64
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, HANDSET, NUMBER, OTHER_NUMBER, SECRET, TOKEN, Gateway, running
from support.http import Answer, basic, catching, request
from support.pictures import encoded, photo

pytestmark = pytest.mark.anyio

FRIEND = "+19195551234"
MESSAGES = f"/handsets/%2B{HANDSET[1:]}/messages"
PICTURE = encoded(photo(320, 240), "JPEG")
QUICK: dict[str, Any] = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}
# The same handsets, whichever way texts go.
WAYS = pytest.mark.parametrize("settings", [QUICK, {**QUICK, "simulator.over_smpp": True}])


def file(octets: bytes, name: str = "cat.jpg", **fields: Any) -> dict[str, Any]:
    return {"name": name, "data": base64.b64encode(octets).decode(), **fields}


async def download(url: str) -> Answer:
    return await request("GET", url, headers=basic(TOKEN, SECRET))


async def upload(gateway: Gateway, name: str, octets: bytes) -> str:
    url = f"{gateway.url}/v2/users/{ACCOUNT}/media/{name}"
    assert (await request("PUT", url, body=octets, headers=basic(TOKEN, SECRET))).status == 204
    return url


async def linked(gateway: Gateway) -> None:
    """Wait until every link is up."""
    async with asyncio.timeout(10):
        while any(link["state"] != "up" for link in (await gateway.admin("GET", "/links")).json["items"]):
            await asyncio.sleep(0.02)


@WAYS
async def test_a_picture_typed_on_a_handset_can_be_downloaded(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """By the URL in the callback, with the account's credentials, under the type that its octets have."""
    body = {
        "to": NUMBER,
        "text": "look",
        "files": [file(PICTURE, content_type="image/png"), file(b"so nice", "note.txt")],
    }
    async with catching() as catcher, running(tmp_path, settings, catcher.url) as gateway:
        assert (await gateway.sim("POST", MESSAGES, body)).status == 202
        message = (await catcher.wait_for_event_of("message-received"))["message"]
        assert (message["from"], message["to"], message["text"]) == (HANDSET, [NUMBER], "look")
        picture, note = [await download(url) for url in message["media"]]
        assert (picture.body, picture.headers["content-type"]) == (PICTURE, "image/jpeg")
        assert (note.body, note.headers["content-type"]) == (b"so nice", "text/plain")
        assert [url.rpartition("/")[2] for url in message["media"]] == ["cat.jpg", "note.txt"]


@WAYS
async def test_a_group_is_shown_with_its_picture_and_answered_to_all(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """Every handset shows all participants; the answer reaches each number of ours, as a message of its own."""
    async with catching() as catcher, running(tmp_path, settings, catcher.url) as gateway:
        url = await upload(gateway, "cat.jpg", PICTURE)
        group = [HANDSET, FRIEND, OTHER_NUMBER]
        sent = await gateway.send("who comes?", group, media=[url])
        assert sent.status == 202
        for handset in (HANDSET, FRIEND):
            (shown,) = (
                await gateway.sim("GET", f"/handsets/%2B{handset[1:]}/messages?wait=10s&contains=who")
            ).json
            assert (shown["from"], shown["participants"], shown["media"]) == (NUMBER, group, [url])

        answer = {"reply_all": True, "text": "me", "files": [file(PICTURE)]}
        assert (await gateway.sim("POST", MESSAGES, answer)).status == 202
        await catcher.wait_for(lambda caught: len(caught.events(type_="message-received")) == 2)
        events = catcher.events(type_="message-received")
        assert {event["message"]["owner"] for event in events} == {NUMBER, OTHER_NUMBER}
        assert len({event["message"]["id"] for event in events}) == 2
        for event in events:
            assert event["message"]["from"] == HANDSET
            assert event["message"]["to"] == [NUMBER, FRIEND, OTHER_NUMBER]
            (theirs,) = event["message"]["media"]
            assert (await download(theirs)).body == PICTURE


async def test_with_smpp_a_group_has_its_events_and_texts_go_over_smpp(tmp_path: Path) -> None:
    """Each kind has its link; one handset shows both and answers both."""
    settings = {**QUICK, "simulator.over_smpp": True}
    async with catching() as catcher, running(tmp_path, settings, catcher.url) as gateway:
        await linked(gateway)
        text, group = await gateway.send("a text"), await gateway.send("a group", [HANDSET, FRIEND])
        await catcher.wait_for(lambda caught: len(caught.events(type_="message-delivered")) == 3)
        shown = (await gateway.sim("GET", MESSAGES)).json
        assert sorted(message["text"] for message in shown) == ["a group", "a text"]
        carriers = [
            (await gateway.life(sent.json["id"]))["deliveries"][0]["carrier_id"] for sent in (text, group)
        ]
        assert carriers == ["simulator", "simulator-mms"]
        kinds = {
            link["carrier_id"]: link["kind"] for link in (await gateway.admin("GET", "/links")).json["items"]
        }
        assert kinds == {"simulator": "simulator", "simulator-mms": "simulator"}
        assert (await gateway.sim("POST", MESSAGES, {"to": NUMBER, "text": "back"})).status == 202
        back = (await catcher.wait_for_event_of("message-received"))["message"]
        assert (back["text"], (await gateway.life(back["id"]))["deliveries"][0]["carrier_id"]) == (
            "back",
            "simulator",
        )


async def test_a_data_folder_of_before_has_pictures_over_smpp_too(tmp_path: Path) -> None:
    """And once more without SMPP: the carrier that was added takes nothing away."""
    async with catching() as catcher:
        for over_smpp in (False, True, True, False):
            settings = {**QUICK, "simulator.over_smpp": over_smpp}
            async with running(tmp_path, settings, catcher.url) as gateway:
                await linked(gateway)
                for sent in (await gateway.send("a text"), await gateway.send("all", [HANDSET, FRIEND])):
                    event = await catcher.wait_for_event(sent.json["id"], "message-delivered")
                    assert event["to"] in (HANDSET, FRIEND)
                assert await gateway.stop() == 0


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"files": [{"name": "cat.jpg", "data": "no base64!"}]}, 400, "$.files[0].data"),
        ({"files": [{"name": "cat.jpg"}]}, 400, "data"),
        ({"files": [file(b"x")] * 11}, 400, "$.files"),
        ({"files": [file(b"x" * 8_000_000)]}, 413, "10000000"),
        ({"to": "", "reply_all": True, "text": "hi"}, 409, "no group message"),
    ],
)
async def test_what_cannot_be_typed_is_answered_and_stored_nowhere(
    body: dict[str, Any], status: int, said: str, tmp_path: Path
) -> None:
    """With what is wrong; the application hears of the next message only."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        answer = await gateway.sim("POST", MESSAGES, {"to": NUMBER, "text": "wrong", **body})
        assert (answer.status, said in answer.json["description"]) == (status, True)
        assert (await gateway.sim("POST", MESSAGES, {"to": NUMBER, "text": "right"})).status == 202
        await catcher.wait_for_event_of("message-received")
        assert [event["message"]["text"] for event in catcher.events()] == ["right"]


async def trebuchet(gateway: Gateway, *words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command against the gateway."""
    url = {"TREBUCHET_URL": gateway.url, "TREBUCHET_SERVER_DATA_DIR": str(gateway.data)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trebuchet", *words, stdout=PIPE, stderr=PIPE, env={**os.environ, **url}
    )
    async with asyncio.timeout(30):
        out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


async def test_the_command_line_types_pictures_and_replies_to_all(tmp_path: Path) -> None:
    """What it says is the gateway's answer: an id, or what keeps it from being typed."""
    picture = tmp_path / "cat.jpg"
    picture.write_bytes(PICTURE)
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        code, _, errors = await trebuchet(gateway, "type", HANDSET, "too", "early", "--reply-all")
        assert (code, errors) == (2, f"error: {HANDSET} shows no group message to reply to\n")
        await gateway.send("who comes?", [HANDSET, FRIEND])
        await gateway.sim("GET", f"{MESSAGES}?wait=10s")
        words = ("type", HANDSET, "I", "do", "--reply-all", "--picture", str(picture), "--json")
        code, out, errors = await trebuchet(gateway, *words)
        assert (code, errors, set(json.loads(out))) == (0, "", {"id"})
        message = (await catcher.wait_for_event_of("message-received"))["message"]
        assert (message["text"], message["to"]) == ("I do", [NUMBER, FRIEND])
        assert (await download(message["media"][0])).body == PICTURE


async def test_the_command_line_types_no_more_than_a_request_holds(tmp_path: Path) -> None:
    """It says so before it asks; a file that is not there is named."""
    large, missing = tmp_path / "large.jpg", tmp_path / "missing.jpg"
    large.write_bytes(bytes(7_000_001))
    async with running(tmp_path, QUICK) as gateway:
        for path, said in ((large, "7000000 octets"), (missing, "No such file")):
            code, _, errors = await trebuchet(
                gateway, "type", HANDSET, "--to", NUMBER, "--picture", str(path)
            )
            assert code in (1, 2)
            assert str(path) in errors
            assert said in errors

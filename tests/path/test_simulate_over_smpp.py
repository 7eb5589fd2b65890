"""`serve --simulate-over-smpp`: the same handsets and triggers, behind a real SMPP socket."""

import asyncio
from pathlib import Path

import pytest

from support.gateway import HANDSET, NUMBER, running
from support.http import catching

pytestmark = pytest.mark.anyio

QUICK = {"simulator.over_smpp": True, "simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}


async def test_a_long_message_arrives_whole_and_is_called_back_once(tmp_path: Path) -> None:
    """600 characters with an emoji go out as parts, are shown as one text, and end in one event."""
    text = "Grüße aus dem Gateway 😀 " * 25
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        answer = await gateway.send(text, tag="long")
        assert answer.json["segmentCount"] > 5
        event = await catcher.wait_for_event(answer.json["id"])
        assert event["type"] == "message-delivered"
        shown = await gateway.sim("GET", "/handsets/%2B12025550123/messages?wait=5s")
        assert [message["text"] for message in shown.json] == [text]
        life = await gateway.life(answer.json["id"])
        assert len(life["segments"]) == answer.json["segmentCount"]
        assert len(catcher.events(answer.json["id"])) == 1


@pytest.mark.parametrize(
    ("text", "code"), [("#refuse:4403", 4403), ("#fail:4720", 4720), ("#rejected", 4750)]
)
async def test_triggers_have_the_same_outcome_as_in_process(text: str, code: int, tmp_path: Path) -> None:
    """Their codes come through the protocol's own fields."""
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        answer = await gateway.send(text)
        event = await catcher.wait_for_event(answer.json["id"])
        assert (event["type"], event["errorCode"]) == ("message-failed", code)


async def test_a_long_reply_of_a_handset_is_put_together(tmp_path: Path) -> None:
    """Its parts come as deliver_sm; the application is called back once, with the whole text."""
    text = "Здравствуйте! " * 20
    async with catching() as catcher, running(tmp_path, QUICK, catcher.url) as gateway:
        async with asyncio.timeout(10):
            while (await gateway.admin("GET", "/links")).json["items"][0]["state"] != "up":
                await asyncio.sleep(0.02)
        typed = await gateway.sim(
            "POST", f"/handsets/%2B{HANDSET[1:]}/messages", {"to": NUMBER, "text": text}
        )
        assert typed.status == 202
        await catcher.wait_for(lambda c: bool(c.events()))
        (event,) = catcher.events()
        assert (event["type"], event["message"]["text"]) == ("message-received", text)
        assert event["message"]["segmentCount"] == 5

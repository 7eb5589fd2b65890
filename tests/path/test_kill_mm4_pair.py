"""The promises over MM4: one of two gateways is killed at each commit of the path, the other stays.

Pictures are under way: fetched, held, forwarded, answered, reported, called back. They are in the store of the one that
stays: the other is elsewhere after its restart.
"""

import asyncio
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, CRASHING, SECRET, TOKEN, Gateway
from support.http import basic, request
from support.mm4_pair import FAR_NUMBER, Side, two_gateways
from support.pictures import encoded, photo

pytestmark = pytest.mark.anyio

PICTURE = encoded(photo(160, 120), "JPEG")
ROUNDS = 24  # pictures of one run


async def upload(gateway: Gateway) -> str:
    """The URL of the picture, with what is needed to read it."""
    url = f"{gateway.url}/v2/users/{ACCOUNT}/media/cat.jpg"
    answer = await request("PUT", url, body=PICTURE, headers=basic(TOKEN, SECRET))
    assert answer.status == 204
    return url.replace("://", f"://{TOKEN}:{SECRET}@")


async def send_pictures(gateway: Gateway, picture: str, run: str, accepted: dict[str, str]) -> None:
    """Post until the gateway dies; keep the id of each 202 under its text."""
    for number in range(ROUNDS):
        text = f"{run}-{number}"
        with suppress(OSError, asyncio.IncompleteReadError, IndexError):
            answer = await gateway.send(text, FAR_NUMBER, media=[picture])
            assert answer.status == 202
            accepted[answer.json["id"]] = text


def texts(events: list[Any]) -> Counter[str]:
    return Counter(event["message"]["text"] for event in events if event["type"] == "message-received")


def delivered(side: Side) -> set[str]:
    """Ids of the messages that were called back as delivered."""
    return {e["message"]["id"] for e in side.catcher.events() if e["type"] == "message-delivered"}


async def crash(side: Side, data: Path, change: str, moment: str, count: int) -> None:
    """Start the side anew so that it kills itself at that commit."""
    await side.gateway.kill()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *CRASHING, str(data), side.catcher.url, change, moment, str(count)
    )
    await side.gateway.attach(process)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("change", ["Accept", "Settle", "RecordReceipt", "SettleCallback"])
async def test_the_sender_may_die_at_any_arrow(change: str, moment: str, tmp_path: Path) -> None:
    """Every 202 arrives at the far application once, and is called back as delivered."""
    accepted: dict[str, str] = {}
    async with two_gateways(tmp_path) as (near, far):
        picture = await upload(far.gateway)
        await crash(near, tmp_path / "near", change, moment, 5)
        await send_pictures(near.gateway, picture, "first", accepted)
        async with asyncio.timeout(30):
            assert await near.gateway.ended() == -9
        await near.gateway.start()
        await send_pictures(near.gateway, picture, "second", accepted)
        await near.catcher.wait_for(lambda _: delivered(near) >= accepted.keys(), timeout_s=60)
        assert {e["type"] for e in near.catcher.events()} <= {"message-sending", "message-delivered"}
        received = texts(far.catcher.events())
        assert set(accepted.values()) <= set(received)
        assert set(received.values()) == {1}, "what was submitted twice is known by its id"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("change", ["Accept", "DropOwed", "SettleCallback"])
async def test_the_receiver_may_die_at_any_arrow(change: str, moment: str, tmp_path: Path) -> None:
    """The peer repeats what was not answered 250; what was, is called back, and reported."""
    accepted: dict[str, str] = {}
    async with two_gateways(tmp_path) as (near, far):
        picture = await upload(near.gateway)
        await crash(far, tmp_path / "far", change, moment, 3)
        await send_pictures(near.gateway, picture, "first", accepted)
        async with asyncio.timeout(30):
            assert await far.gateway.ended() == -9
        await far.gateway.start()

        def all_received(_: object) -> bool:
            return set(accepted.values()) <= set(texts(far.catcher.events()))

        await far.catcher.wait_for(all_received, timeout_s=60)
        ids = {event["message"]["text"]: event["message"]["id"] for event in far.catcher.events()}
        assert len({event["message"]["id"] for event in far.catcher.events()}) == len(ids), "no doubles"
        await near.catcher.wait_for(lambda _: delivered(near) >= accepted.keys(), timeout_s=60)


async def test_reports_are_owed_until_the_sender_can_take_them(tmp_path: Path) -> None:
    """The sender dies as soon as its forwards are answered, the receiver after it: the reports come all the same."""
    accepted: dict[str, str] = {}
    async with two_gateways(tmp_path) as (near, far):
        picture = await upload(far.gateway)
        await crash(near, tmp_path / "near", "Settle", "after", 3)
        await send_pictures(near.gateway, picture, "first", accepted)
        async with asyncio.timeout(30):
            assert await near.gateway.ended() == -9
        await far.gateway.kill()
        await far.gateway.start()
        await near.gateway.start()
        await near.catcher.wait_for(lambda _: delivered(near) >= accepted.keys(), timeout_s=60)

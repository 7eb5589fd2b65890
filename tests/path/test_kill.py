"""The promises under SIGKILL: what was answered 202 is submitted and called back, whenever the process dies.

Each test kills a real gateway process, starts another on the same data, and asks the simulated network, which
keeps its own memory, and the application's endpoint what they have seen.
"""

import asyncio
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.gateway import CRASHING, Gateway, running
from support.http import catching
from support.kills import (
    all_called_back,
    one_final_event_each,
    send_until_it_dies,
    settled_or_in_doubt,
)

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 30, "callbacks.retry_first_s": 1}
WINDOW = 1000  # of the simulated carrier


async def shown_on_handsets(gateway: Gateway) -> Counter[str]:
    """How often the simulated network was given each text, which is unique to a message."""
    answer = await gateway.sim("GET", "/handsets/%2B12025550123/messages?limit=10000")
    return Counter(message["text"] for message in answer.json)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "change", ["Accept", "Claim", "RecordHandset", "Settle", "RecordReceipt", "SettleCallback"]
)
async def test_a_kill_at_any_arrow_of_the_path_loses_nothing(
    change: str, moment: str, tmp_path: Path
) -> None:
    """Killed just before or just after the commit of each step, every 202 is delivered and called back."""
    accepted: dict[str, str] = {}
    async with catching() as catcher:
        if change == "Claim":  # a commit of its own only for what found no room when it was accepted
            async with running(tmp_path, QUICK, catcher.url) as narrow:
                settings = {"settings": {"window": 2}}
                assert (await narrow.admin("PATCH", "/carriers/simulator", settings)).status == 200
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *CRASHING,
            str(tmp_path),
            catcher.url,
            change,
            moment,
            "3",
        )
        gateway = Gateway(tmp_path, QUICK, catcher.url)
        await gateway.attach(process)
        try:
            await send_until_it_dies(gateway, 60, accepted, "first")
            async with asyncio.timeout(30):
                assert await process.wait() == -9
            await gateway.start()
            await send_until_it_dies(gateway, 5, accepted, "second")
            await all_called_back(catcher, accepted)
            one_final_event_each(catcher)
            shown = await shown_on_handsets(gateway)
            assert all(shown[f"message {tag}"] >= 1 for tag in accepted.values())
            assert all(event["type"] == "message-delivered" for event in catcher.events())
        finally:
            await gateway.kill()


async def test_many_kills_under_load_lose_nothing(tmp_path: Path) -> None:
    """Rounds of load and SIGKILL: each 202 reaches the handset and the endpoint; nothing unknown arrives."""
    chance = random.Random(7)
    accepted: dict[str, str] = {}
    async with catching() as catcher:
        gateway = Gateway(tmp_path, QUICK, catcher.url)
        for round_ in range(5):
            await gateway.start()
            load = asyncio.create_task(send_until_it_dies(gateway, 200, accepted, f"round{round_}"))
            before = len(accepted)
            enough = before + chance.randint(20, 180)
            while len(accepted) < enough and not load.done():
                await asyncio.sleep(0)
            await gateway.kill()
            await load
        await gateway.start()
        try:
            await all_called_back(catcher, accepted)
            one_final_event_each(catcher)
            shown = await shown_on_handsets(gateway)
            assert all(shown[f"message {tag}"] >= 1 for tag in accepted.values())
            sent = {f"round{round_}-{number}" for round_ in range(5) for number in range(200)}
            assert {event["message"]["tag"] for event in catcher.events()} <= sent
        finally:
            await gateway.kill()


async def test_in_doubt_fail_never_submits_twice(tmp_path: Path) -> None:
    """With `in_doubt = fail` a message whose answer was lost in the crash is shown IN_DOUBT, or settled by its
    late receipt, and the handset has nothing twice."""
    accepted: dict[str, str] = {}
    async with catching() as catcher:
        async with running(tmp_path, QUICK, catcher.url) as gateway:
            assert (await gateway.admin("PATCH", "/carriers/simulator", {"in_doubt": "fail"})).status == 200
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *CRASHING,
            str(tmp_path),
            catcher.url,
            "Settle",
            "before",
            "2",
        )
        gateway = Gateway(tmp_path, QUICK, catcher.url)
        await gateway.attach(process)
        await send_until_it_dies(gateway, 60, accepted, "first")
        await process.wait()
        await gateway.start()
        try:
            await settled_or_in_doubt(gateway, catcher, accepted)
            shown = await shown_on_handsets(gateway)
            assert max(shown.values()) == 1
        finally:
            await gateway.kill()

"""The promises over SMPP: the gateway is killed, connections break, answers and receipts are lost in between.

The SMSC lives in the test, so it remembers what it was given and what was acknowledged to it, whoever dies.
"""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.gateway import CRASHING, Gateway, running
from support.http import Catcher, catching
from support.kills import (
    all_called_back,
    one_final_event_each,
    send_until_it_dies,
    settled_or_in_doubt,
)
from support.smsc import Smsc, listening
from trebuchet.protocols.smpp import pdu

pytestmark = pytest.mark.anyio

WINDOW = 20
QUICK = {"callbacks.retry_first_s": 1}


async def connect(gateway: Gateway, smsc: Smsc, in_doubt: str, window: int) -> None:
    """Every message goes to the SMSC."""
    settings = {"host": "127.0.0.1", "port": smsc.port, "system_id": "esme", "window": window}
    carrier = {"id": "acme", "kind": "smpp", "in_doubt": in_doubt, "settings": settings}
    assert (await gateway.admin("POST", "/carriers", carrier)).status == 201
    route = {"id": "all-to-acme", "carrier_id": "acme", "priority": 1}
    assert (await gateway.admin("POST", "/routes", route)).status == 201


@asynccontextmanager
async def provisioned(
    tmp_path: Path, in_doubt: str, window: int = WINDOW
) -> AsyncIterator[tuple[Smsc, Catcher, Gateway]]:
    """An SMSC that reports, an endpoint, and a gateway with a link between them that is not running."""
    async with listening() as smsc, catching() as catcher:
        smsc.reports = True
        async with running(tmp_path, QUICK, catcher.url) as gateway:
            await connect(gateway, smsc, in_doubt, window)
            await smsc.until(lambda: bool(smsc.binds))
        gateway = Gateway(tmp_path, QUICK, catcher.url)
        try:
            yield smsc, catcher, gateway
        finally:
            await gateway.kill()


def submitted(smsc: Smsc) -> Counter[str]:
    """How often the SMSC was given each text, which is unique to a message."""
    return Counter(submit.short_message.decode() for submit in smsc.submits)


def kept_promises(smsc: Smsc, catcher: Catcher, accepted: dict[str, str]) -> None:
    """Each 202 was submitted; each final event is one; every receipt that was acknowledged was called back."""
    given = submitted(smsc)
    assert all(given[f"message {tag}"] >= 1 for tag in accepted.values())
    one_final_event_each(catcher)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("change", ["Accept", "Claim", "Settle", "RecordReceipt", "SettleCallback"])
async def test_a_kill_at_any_arrow_loses_nothing(change: str, moment: str, tmp_path: Path) -> None:
    """Killed just before or after the commit of each step, every 202 is submitted, reported and called back."""
    accepted: dict[str, str] = {}
    # A claim is a commit of its own only for what found no room when it was accepted.
    window = 2 if change == "Claim" else WINDOW
    async with provisioned(tmp_path, "resend", window) as (smsc, catcher, gateway):
        process = await asyncio.create_subprocess_exec(
            sys.executable, *CRASHING, str(tmp_path), catcher.url, change, moment, "3"
        )
        await gateway.attach(process)
        await send_until_it_dies(gateway, 60, accepted, "first")
        async with asyncio.timeout(30):
            assert await process.wait() == -9
        await gateway.start()
        await send_until_it_dies(gateway, 5, accepted, "second")
        await all_called_back(catcher, accepted)
        kept_promises(smsc, catcher, accepted)
        assert all(event["type"] == "message-delivered" for event in catcher.events())
        twice = sum(count - 1 for count in submitted(smsc).values())
        assert twice <= WINDOW


async def test_many_kills_and_cuts_under_load_lose_nothing(tmp_path: Path) -> None:
    """Rounds of load in which the gateway is killed, or the SMSC's connections break, at any moment."""
    chance = random.Random(11)
    accepted: dict[str, str] = {}
    async with provisioned(tmp_path, "resend") as (smsc, catcher, gateway):
        for round_ in range(6):
            await gateway.start()
            load = asyncio.create_task(send_until_it_dies(gateway, 150, accepted, f"round{round_}"))
            enough = len(accepted) + chance.randint(20, 130)
            while len(accepted) < enough and not load.done():
                await asyncio.sleep(0)
            smsc.cut()
            if round_ % 2:
                await load
            else:
                await gateway.kill()
                await load
                continue
            await gateway.kill()
        await gateway.start()
        await all_called_back(catcher, accepted)
        kept_promises(smsc, catcher, accepted)
        sent = {f"message round{round_}-{number}" for round_ in range(6) for number in range(150)}
        assert submitted(smsc).keys() <= sent
        twice = sum(count - 1 for count in submitted(smsc).values())
        assert twice <= WINDOW * 12  # six kills and six cuts


async def test_in_doubt_fail_never_submits_twice(tmp_path: Path) -> None:
    """What was out when the gateway died is not submitted again; its late receipt settles it all the same."""
    accepted: dict[str, str] = {}
    async with provisioned(tmp_path, "fail") as (smsc, catcher, gateway):
        process = await asyncio.create_subprocess_exec(
            sys.executable, *CRASHING, str(tmp_path), catcher.url, "Settle", "before", "2"
        )
        await gateway.attach(process)
        await send_until_it_dies(gateway, 60, accepted, "first")
        await process.wait()
        await gateway.start()
        await settled_or_in_doubt(gateway, catcher, accepted)
        assert max(submitted(smsc).values()) == 1


async def test_a_lost_answer_is_settled_by_the_late_receipt(tmp_path: Path) -> None:
    """The SMSC took the message and its answer never came; the receipt names our reference."""
    async with provisioned(tmp_path, "fail") as (smsc, catcher, gateway):
        smsc.reports = False
        smsc.answer = lambda _: None
        await gateway.start()
        answer = await gateway.send("a message in doubt", tag="doubt")
        await smsc.until(lambda: bool(smsc.submits))
        binds = len(smsc.binds)
        smsc.cut()
        await smsc.until(lambda: len(smsc.binds) > binds)
        (submit,) = smsc.submits
        late = pdu.DeliverSm(
            esm_class=4,
            source_addr_ton=1,
            source_addr=submit.destination_addr,
            dest_addr_ton=1,
            destination_addr=submit.source_addr,
            short_message=b"id:late-1 stat:DELIVRD err:000 text:a message",
            tlvs=tuple((tag, value) for tag, value in submit.tlvs if tag == 0x0204),
        )
        assert (await smsc.deliver(late)).status == 0
        event = await catcher.wait_for_event(answer.json["id"])
        assert (event["type"], len(smsc.submits)) == ("message-delivered", 1)


async def test_a_receipt_during_the_restart_is_not_lost(tmp_path: Path) -> None:
    """Given to the gateway and not acknowledged when it died, it is given again and called back once."""
    async with provisioned(tmp_path, "resend") as (smsc, catcher, gateway):
        process = await asyncio.create_subprocess_exec(
            sys.executable, *CRASHING, str(tmp_path), catcher.url, "RecordReceipt", "before", "1"
        )
        await gateway.attach(process)
        answer = await gateway.send("hello", tag="one")
        async with asyncio.timeout(30):
            assert await process.wait() == -9
        assert smsc.acknowledged == set()
        await gateway.start()
        event: Any = await catcher.wait_for_event(answer.json["id"])
        assert event["type"] == "message-delivered"
        await smsc.until(lambda: len(smsc.acknowledged) == len(smsc.submits))
        assert len(catcher.events(answer.json["id"])) == 1

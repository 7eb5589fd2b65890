"""What the kill tests have in common: load until the process dies, and what must be true in the end."""

import asyncio
import json
from contextlib import suppress
from typing import Any

from support.gateway import Gateway
from support.http import Catcher


async def send_until_it_dies(gateway: Gateway, messages: int, accepted: dict[str, str], run: str) -> None:
    """Post messages on eight connections at once; keep the id of each 202 under its tag."""
    numbers = iter(range(messages))

    async def post() -> None:
        for number in numbers:
            tag = f"{run}-{number}"
            with suppress(OSError, asyncio.IncompleteReadError, IndexError):
                answer = await gateway.send(f"message {tag}", tag=tag)
                assert answer.status == 202
                accepted[answer.json["id"]] = tag

    await asyncio.gather(*(post() for _ in range(8)))


async def all_called_back(catcher: Catcher, accepted: dict[str, str]) -> None:
    await catcher.wait_for(
        lambda c: accepted.keys() <= {event["message"]["id"] for event in c.events()}, timeout_s=60
    )


def one_final_event_each(catcher: Catcher) -> None:
    """However often it was delivered, there is one final event per message."""
    finals: dict[str, set[str]] = {}
    for event in catcher.events():
        finals.setdefault(event["message"]["id"], set()).add(json.dumps(event, sort_keys=True))
    assert all(len(different) == 1 for different in finals.values())


async def settled_or_in_doubt(gateway: Gateway, catcher: Catcher, accepted: dict[str, str]) -> None:
    """Wait until each message was called back or is IN_DOUBT."""
    async with asyncio.timeout(60):
        for message_id in accepted:
            while not catcher.events(message_id):
                life: Any = await gateway.life(message_id)
                if [delivery["state"] for delivery in life["deliveries"]] == ["IN_DOUBT"]:
                    break
                await asyncio.sleep(0.02)

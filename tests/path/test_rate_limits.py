"""Rates in segments per second: who goes when, what is refused, and that a restart forgets no turn.

The rates are so low that turns are minutes apart; the simulator's clock is moved from one to the next.
"""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, HANDSET, NUMBER, OTHER_NUMBER, Gateway, running
from support.http import Answer, Catcher, basic, catching, request

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 1, "simulator.delay_max_ms": 5}
SEGMENT_S = 60  # what one segment takes of the rate below
RATE = 1 / SEGMENT_S
_counter = itertools.count(1)


@dataclass
class Shop:
    """An account of its own with two numbers."""

    gateway: Gateway
    catcher: Catcher
    account: str
    application: str
    numbers: tuple[str, str]
    credentials: dict[str, str]

    async def send(self, text: str = "hello", number: int = 0, **fields: Any) -> Answer:
        body = {
            "from": self.numbers[number],
            "to": HANDSET,
            "text": text,
            "applicationId": self.application,
            **fields,
        }
        url = f"{self.gateway.url}/api/v2/users/{self.account}/messages"
        return await request("POST", url, json_body=body, headers=self.credentials)

    async def accepted(self, text: str = "hello", number: int = 0, **fields: Any) -> str:
        """The id of a message that is taken."""
        answer = await self.send(text, number, **fields)
        assert answer.status == 202, answer.body
        return str(answer.json["id"])

    async def submitted_s(self, message_id: str) -> float:
        """How long after its acceptance a delivered message was submitted, on the gateway's clock."""
        await self.catcher.wait_for_event(message_id, "message-delivered")
        life = await self.gateway.life(message_id)
        return float(life["deliveries"][0]["submitted_ms"] - life["message"]["received_ms"]) / 1000

    async def state(self, message_id: str) -> str:
        return str((await self.gateway.life(message_id))["deliveries"][0]["state"])


@pytest.fixture(scope="module")
async def catcher() -> AsyncIterator[Catcher]:
    async with catching() as catcher:
        yield catcher


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with running(tmp_path_factory.mktemp("gateway"), QUICK) as gateway:
        yield gateway


async def advance(gateway: Gateway, seconds: float) -> None:
    answer = await gateway.sim("POST", "/clock/advance", {"by": f"{seconds:g}s"})
    assert answer.status == 200, answer.body


async def shop_of(
    gateway: Gateway, catcher: Catcher, rate: float | None, rates: tuple[float | None, float | None]
) -> Shop:
    """A shop whose account has a rate, and each of its numbers."""
    place = next(_counter)
    account, application = f"shop-{place}", f"app-{place}"
    numbers = (f"+1303555{place:04}", f"+1404555{place:04}")
    for path, body in (
        ("/accounts", {"id": account, "segments_per_s": rate}),
        ("/applications", {"id": application, "account_id": account, "callback_url": catcher.url}),
        *(
            ("/numbers", {"number": number, "application_id": application, "segments_per_s": own})
            for number, own in zip(numbers, rates, strict=True)
        ),
    ):
        assert (await gateway.admin("POST", path, body)).status == 201
    made = (await gateway.admin("POST", f"/accounts/{account}/credentials", {"label": "x"})).json
    credentials = basic(made["token"], made["secret"])
    return Shop(gateway, catcher, account, application, numbers, credentials)


async def turns(shop: Shop, messages: dict[str, int]) -> None:
    """Each message is submitted at its turn, so many seconds after now, and not before."""
    passed_s = 0
    for message_id, due_s in messages.items():
        if due_s > passed_s:
            await advance(shop.gateway, due_s - passed_s)
            passed_s = due_s
        # They were accepted within a moment of each other, and the next turn is a minute away.
        assert due_s - 5 < await shop.submitted_s(message_id) < due_s + SEGMENT_S - 5


@pytest.mark.parametrize(
    ("rate", "rates"), [(RATE, (None, None)), (None, (RATE, None)), (RATE, (RATE * 2, None))]
)
async def test_messages_take_turns_by_their_segments(
    gateway: Gateway, catcher: Catcher, rate: float | None, rates: tuple[float | None, float | None]
) -> None:
    """Whether the limit is the account's or the number's: the first at once, each next when its turn has come."""
    shop = await shop_of(gateway, catcher, rate, rates)
    first = await shop.accepted()
    three_segments = await shop.accepted("x" * 400)
    third = await shop.accepted()
    group = await shop.accepted(to=[HANDSET, "+12025550124"])
    last = await shop.accepted()
    await turns(
        shop,
        {
            first: 0,
            three_segments: SEGMENT_S,
            third: 4 * SEGMENT_S,
            group: 5 * SEGMENT_S,
            last: 7 * SEGMENT_S,
        },
    )


async def test_numbers_share_the_rate_of_their_account_and_no_other(
    gateway: Gateway, catcher: Catcher
) -> None:
    """Two numbers of a limited account wait for each other; those with limits of their own do not."""
    together = await shop_of(gateway, catcher, RATE, (None, None))
    apart = await shop_of(gateway, catcher, None, (RATE, RATE / 2))
    first, second = await together.accepted(number=0), await together.accepted(number=1)
    own = [await apart.accepted(number=0), await apart.accepted(number=1)]
    own += [await apart.accepted(number=0), await apart.accepted(number=1)]
    for message_id in (first, *own[:2]):
        assert await together.submitted_s(message_id) < 5
    await advance(gateway, SEGMENT_S)
    for message_id in (second, own[2]):
        assert SEGMENT_S - 5 < await together.submitted_s(message_id) < SEGMENT_S * 2 - 5
    assert await together.state(own[3]) == "QUEUED"
    await advance(gateway, SEGMENT_S)
    assert await together.submitted_s(own[3]) > SEGMENT_S * 2 - 5


async def test_high_priority_goes_first_and_uses_the_rate(gateway: Gateway, catcher: Catcher) -> None:
    """It passes what its account has waiting, which keeps its turns; what comes after waits longer."""
    shop = await shop_of(gateway, catcher, RATE, (None, None))
    first, second = await shop.accepted(), await shop.accepted()
    urgent = await shop.accepted(priority="high")
    after = await shop.accepted()
    await turns(shop, {first: 0, urgent: 0, second: SEGMENT_S, after: 3 * SEGMENT_S})


async def test_a_quarter_of_an_hour_may_wait(gateway: Gateway, catcher: Catcher) -> None:
    """Beyond it: 429 in the documented words, without Retry-After, and nothing is stored. It passes with time."""
    shop = await shop_of(gateway, catcher, None, (RATE, None))
    taken = []
    while (answer := await shop.send()).status == 202:
        taken.append(answer.json["id"])
    assert len(taken) == 900 / SEGMENT_S + 1  # the first did not wait
    assert answer.status == 429
    assert answer.json["type"] == "max-message-queue-size-exceeded"
    assert (
        answer.json["description"]
        == answer.json["message"]
        == (
            "The SMS queue for your account is full and cannot accept more messages right now. "
            "Your allowed rate is 1 messages per minute. The capacity of this queue is 15 messages (15 minutes). "
            "Reduce your message sending rate, or contact support to increase your allowed rate."
        )
    )
    assert "retry-after" not in answer.headers
    await shop.accepted(number=1)  # a number without a limit is not concerned
    listed = (await gateway.admin("GET", f"/messages?account={shop.account}&limit=1000")).json["items"]
    assert len(listed) == len(taken) + 1
    await advance(gateway, 2 * SEGMENT_S)
    taken.append(await shop.accepted())
    await advance(gateway, 900)
    for message_id in taken:
        await shop.catcher.wait_for_event(message_id, "message-delivered")


async def test_a_restart_keeps_the_turns(tmp_path: Path) -> None:
    """Killed with two messages waiting: they keep their turns, and a new one comes after them."""
    async with catching() as catcher:
        gateway = Gateway(tmp_path, QUICK, catcher.url)
        await gateway.start()
        try:
            await gateway.admin("PATCH", f"/accounts/{ACCOUNT}", {"segments_per_s": RATE})
            waiting = [(await gateway.send()).json["id"] for _ in range(3)]
            await catcher.wait_for_event(waiting[0])
            await gateway.kill()
            await gateway.start()
            shop = Shop(gateway, catcher, ACCOUNT, "", (NUMBER, OTHER_NUMBER), {})
            waiting.append((await gateway.send()).json["id"])
            for message_id in waiting[1:]:
                assert await shop.state(message_id) == "QUEUED"
                await advance(gateway, SEGMENT_S)
                await catcher.wait_for_event(message_id, "message-delivered")
        finally:
            await gateway.kill()


async def test_what_the_gateway_holds_is_bounded(tmp_path: Path) -> None:
    """Each recipient counts; refused is what would go beyond; a restart counts again; delivered makes room."""
    settings = {**QUICK, "outbox.queue_max": 5}
    async with catching() as catcher:
        gateway = Gateway(tmp_path, settings, catcher.url)
        await gateway.start()
        try:
            await gateway.admin("POST", "/carriers/simulator/pause")
            taken = [(await gateway.send()).json["id"] for _ in range(4)]
            group = [HANDSET, OTHER_NUMBER]
            assert (await gateway.send(to=group)).status == 429
            taken.append((await gateway.send()).json["id"])
            full = await gateway.send()
            assert (full.status, full.json["type"]) == (429, "max-message-queue-size-exceeded")
            assert "The capacity of this queue is 5 messages." in full.json["description"]
            await gateway.kill()
            await gateway.start()
            assert (await gateway.send()).status == 429
            await gateway.admin("POST", "/carriers/simulator/resume")
            for message_id in taken:
                await catcher.wait_for_event(message_id, "message-delivered")
            assert (await gateway.admin("GET", "/status")).json["queued"] == 0
            assert (await gateway.send(to=group)).status == 202
        finally:
            await gateway.kill()

"""The gateway as an ESME of SMSCs that others wrote: node-smpp, and smpp34 (Rust)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import bandwidth
import pytest

from support.gateway import ACCOUNT, APPLICATION, HANDSET, NUMBER, SECRET, TOKEN, Gateway, running
from support.http import Catcher, catching
from support.peers import Event, Peer, node, peer, python
from support.ports import free_port

pytestmark = pytest.mark.anyio

OURS, THEIRS = NUMBER.removeprefix("+"), HANDSET.removeprefix("+")
LONG = ("A long message: ½ of it is words, the rest is punctuation; 😀 stands at 66. " * 8)[:600]
PARTS = 10  # it is 608 UTF-16 units
WINDOW = 4

NODE = pytest.param("node", marks=pytest.mark.node)
BOTH = pytest.mark.parametrize("kind", [NODE, "smpp34"])


class Smsc:
    """A foreign SMSC that can be killed and started again at the same place."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.port = free_port()
        self.peer: Peer
        self._folder = folder
        self._stack = AsyncExitStack()
        self._first_id = 0xA1B2C3D0

    async def start(self) -> None:
        if self.kind == "node":
            command = node("smpp_server.js", port=self.port, password="secret")
        else:
            command = python("smpp34_server.py", port=self.port, first_id=self._first_id)
            self._first_id += 0x10000  # an SMSC that starts again does not begin its ids anew
        self.peer = await self._stack.enter_async_context(peer(command, self._folder))
        await self.peer.until("listening")

    async def kill(self) -> None:
        await self._stack.aclose()

    @property
    def settings(self) -> dict[str, Any]:
        """Of the carrier record, with what is peculiar to this SMSC."""
        peculiar = {"receipt_ids": "hex-decimal"} if self.kind == "smpp34" else {}
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "system_id": "trebuchet",
            "password": "secret",
            "window": WINDOW,
            **peculiar,
        }

    async def submits(self, count: int) -> list[Event]:
        """The submits so far, as soon as there are so many."""
        return await self.peer.until("submit", count)

    async def taken(self, count: int) -> list[str]:
        """The ids that it gave, as soon as there are so many."""
        return [event["id"] for event in await self.peer.until(self._taking, count)]

    @property
    def _taking(self) -> str:
        return "taken" if self.kind == "node" else "submit"

    async def receipt(self, message_id: str, stat: str = "DELIVRD") -> None:
        """Give a receipt and wait until the gateway has taken it."""
        before = len(self.peer.said("acknowledged", id=message_id))
        self.peer.tell("receipt", id=message_id, stat=stat)
        answers = await self.peer.until("acknowledged", before + 1, id=message_id)
        assert answers[-1]["status"] == 0

    async def receipts_for_everything(self) -> None:
        """One for each submit that it has taken and will take. What is taken and lost is taken again."""
        given = 0
        while True:
            await self.receipt((await self.taken(given + 1))[given])
            given += 1

    @property
    def texts(self) -> list[str]:
        """Of messages of one part, as it has read them."""
        return [
            submit["text"] if "text" in submit else bytes.fromhex(submit["octets"]).decode("ascii")
            for submit in self.peer.said("submit")
        ]


@asynccontextmanager
async def listening(kind: str, folder: Path) -> AsyncIterator[Smsc]:
    smsc = Smsc(kind, folder)
    await smsc.start()
    try:
        yield smsc
    finally:
        await smsc.kill()


@asynccontextmanager
async def linked(smsc: Smsc, folder: Path, **settings: Any) -> AsyncIterator[tuple[Gateway, Catcher]]:
    """A gateway whose every message goes to this SMSC, bound; and the endpoint of its callbacks."""
    data = folder / "gateway"
    data.mkdir()
    async with catching() as catcher, running(data, callback_url=catcher.url) as gateway:
        carrier = {"id": "foreign", "kind": "smpp", "in_doubt": "resend"}
        settings = {**smsc.settings, **settings}
        made = await gateway.admin("POST", "/carriers", {**carrier, "settings": settings})
        assert made.status == 201, made.body
        route = {"carrier_id": "foreign", "prefix": "+1", "priority": 1}
        assert (await gateway.admin("POST", "/routes", route)).status == 201
        await smsc.peer.until("bound")
        yield gateway, catcher


async def accept(gateway: Gateway, text: str) -> str:
    """The id of a message that the official SDK has posted."""
    configuration = bandwidth.Configuration(
        host=f"{gateway.url}/api/v2", ignore_operation_servers=True, username=TOKEN, password=SECRET
    )
    api = bandwidth.MessagesApi(bandwidth.ApiClient(configuration))
    fields = {"applicationId": APPLICATION, "to": [HANDSET], "from": NUMBER, "text": text}
    sent = await asyncio.to_thread(api.create_message, ACCOUNT, bandwidth.MessageRequest(**fields))
    return str(sent.id)


def part_of(submit: Event) -> tuple[int, int, int, str]:
    """Reference, number of parts, number and text of one submit, as this SMSC has read it."""
    if "octets" not in submit:
        (element,) = (bytes.fromhex(octets) for octets in submit["udh"])
        text = submit["text"]
    else:
        octets = bytes.fromhex(submit["octets"])
        element, body = octets[1 : octets[0] + 1], octets[octets[0] + 1 :]
        text = body.decode("utf-16-be")
    assert element[:2] == b"\x00\x03"
    return element[2], element[3], element[4], text


def cut_up(text: str, octets_each: int, reference: int) -> list[bytes]:
    """A text in UCS-2 parts with an 8-bit UDH, cut wherever it happens."""
    whole = text.encode("utf-16-be")
    bodies = [whole[at : at + octets_each] for at in range(0, len(whole), octets_each)]
    return [
        bytes([5, 0, 3, reference, len(bodies), number]) + body for number, body in enumerate(bodies, start=1)
    ]


def holds(text: str) -> Callable[[Catcher], bool]:
    return lambda catcher: any(event["message"]["text"] == text for event in catcher.events())


@BOTH
async def test_a_long_message_arrives_and_its_receipts_come_back_in_any_order(
    kind: str, tmp_path: Path
) -> None:
    """Its parts make up its text, each asks for a receipt, and one message-delivered follows the last of them."""
    async with listening(kind, tmp_path) as smsc, linked(smsc, tmp_path) as (gateway, catcher):
        message_id = await accept(gateway, LONG)
        submits = await smsc.submits(PARTS)
        parts = sorted(map(part_of, submits))
        assert "".join(text for *_, text in parts) == LONG
        (reference,) = {reference for reference, *_ in parts}
        assert [part[:3] for part in parts] == [(reference, PARTS, number + 1) for number in range(PARTS)]
        assert {(s["source"], s["destination"]) for s in submits} == {(OURS, THEIRS)}
        assert {(s["esm_class"], s["data_coding"], s["registered_delivery"]) for s in submits} == {
            (0x40, 8, 1)
        }
        ids = await smsc.taken(PARTS)
        for taken in reversed(ids):
            assert catcher.events(message_id) == []
            await smsc.receipt(taken)
        delivered = await catcher.wait_for_event(message_id)
        assert (delivered["type"], delivered["to"]) == ("message-delivered", HANDSET)
        await smsc.receipt(ids[0])  # a second time
        other = await accept(gateway, "after it")
        await smsc.receipt((await smsc.taken(PARTS + 1))[-1])
        await catcher.wait_for_event(other)
        assert len(catcher.events(message_id)) == 1


@BOTH
async def test_a_receipt_of_failure_is_called_back(kind: str, tmp_path: Path) -> None:
    """One part that was not delivered fails the message, with a code."""
    async with listening(kind, tmp_path) as smsc, linked(smsc, tmp_path) as (gateway, catcher):
        message_id = await accept(gateway, "a" * 200)
        first, second = await smsc.taken(2)
        await smsc.receipt(first)
        await smsc.receipt(second, "UNDELIV")
        failed = await catcher.wait_for_event(message_id)
        assert (failed["type"], failed["errorCode"]) == ("message-failed", 5650)


@BOTH
async def test_a_long_message_of_a_handset_is_put_together(kind: str, tmp_path: Path) -> None:
    """Parts in any order, cut through a surrogate pair: one message-received with the text as it was typed."""
    typed = "ab😀" * 40
    async with listening(kind, tmp_path) as smsc, linked(smsc, tmp_path) as (_, catcher):
        parts = cut_up(typed, 134, 77)
        assert len(parts) == 3
        assert parts[0][-2:] == "😀".encode("utf-16-be")[:2]
        for number in (2, 0, 1):
            smsc.peer.tell(
                "mo",
                source=THEIRS,
                destination=OURS,
                esm_class=0x40,
                data_coding=8,
                octets=parts[number].hex(),
            )
        answers = await smsc.peer.until("acknowledged", 3, id="")
        assert [answer["status"] for answer in answers] == [0, 0, 0]
        await catcher.wait_for(holds(typed))
        (event,) = catcher.events()
        assert (event["type"], event["to"]) == ("message-received", NUMBER)
        assert (event["message"]["from"], event["message"]["segmentCount"]) == (HANDSET, 3)


@pytest.mark.node
async def test_a_connection_that_breaks_loses_nothing(tmp_path: Path) -> None:
    """node-smpp drops it while submits are unanswered: they go out again, at most a window of them twice."""
    texts = {f"message {number}" for number in range(12)}
    async with listening("node", tmp_path) as smsc, linked(smsc, tmp_path) as (gateway, catcher):
        smsc.peer.tell("cut", at=5)
        sent = [(await gateway.send(text)).json["id"] for text in sorted(texts)]
        await smsc.peer.until("bound", 2)
        receipts = asyncio.create_task(smsc.receipts_for_everything())
        for message_id in sent:
            assert (await catcher.wait_for_event(message_id))["type"] == "message-delivered"
        receipts.cancel()
        assert set(smsc.texts) == texts
        assert len(texts) < len(smsc.texts) <= len(texts) + WINDOW


async def test_an_smsc_that_is_killed_and_comes_back_gets_everything(tmp_path: Path) -> None:
    """smpp34 ends in the middle of a run; what it had not taken reaches it after its start."""
    texts = {f"message {number}" for number in range(40)}
    slow = {"segments_per_s": 20}
    async with listening("smpp34", tmp_path) as smsc, linked(smsc, tmp_path, **slow) as (gateway, _):
        for text in sorted(texts):
            assert (await gateway.send(text)).status == 202
        await smsc.submits(5)
        await smsc.kill()
        seen = smsc.texts
        assert len(seen) < len(texts)
        await smsc.start()
        await smsc.peer.wait_for(lambda: set(seen + smsc.texts) == texts, "every message")
        assert len(seen + smsc.texts) <= len(texts) + WINDOW


@pytest.mark.node
async def test_a_wrong_password_is_not_repeated(tmp_path: Path) -> None:
    """node-smpp refuses the bind: the link stays down and says why, and messages wait."""
    async with listening("node", tmp_path) as smsc, catching() as catcher:
        data = tmp_path / "gateway"
        data.mkdir()
        async with running(data, callback_url=catcher.url) as gateway:
            settings = {**smsc.settings, "password": "wrong"}
            carrier = {"id": "foreign", "kind": "smpp", "settings": settings}
            assert (await gateway.admin("POST", "/carriers", carrier)).status == 201
            await smsc.peer.until("refused", system_id="trebuchet")
            await smsc.peer.until("closed")
            changed = {"settings": {**settings, "password": "secret"}}
            assert (await gateway.admin("PATCH", "/carriers/foreign", changed)).status == 200
            await smsc.peer.until("bound")
            assert len(smsc.peer.said("refused")) == 1

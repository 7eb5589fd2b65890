"""Our SMSC before ESMEs that others wrote: node-smpp, smpplib, aiosmpplib and Kannel."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from support import kannel
from support.peers import TIMEOUT_S, Event, Peer, node, peer, python
from trebuchet.testing import RunningSmsc, smsc

pytestmark = pytest.mark.anyio

OURS, THEIRS = "12025550100", "12025550123"
HANDSET, NUMBER = f"+{THEIRS}", f"+{OURS}"
ACCOUNTS = {"esme": "secret", kannel.SYSTEM_ID: kannel.PASSWORD}
INVALID_PASSWORD, INVALID_SYSTEM_ID, INVALID_DESTINATION = 0x0E, 0x0F, 0x0B
DELIVERED, UNDELIVERABLE = 2, 5

SHORT = "Hello from an ESME"
LONG = "a" * 152 + "{" + "b" * 147  # in GSM-7 the brace is two septets: cut there, they fall apart
EMOJI = "ab😀" * 40  # in parts of 67 units a pair falls apart

# What each writes for a long text, in submits; and what its receipts must be like.
ESMES: dict[str, tuple[Callable[..., list[str]], int, dict[str, Any]]] = {
    "node": (lambda **plan: node("smpp_client.js", **plan), 6, {}),
    "smpplib": (lambda **plan: python("smpplib_client.py", **plan), 6, {}),
    # It ends the connection over dates of more than ten digits, and cannot read a network_error_code.
    "aiosmpplib": (
        lambda **plan: python("aiosmpplib_client.py", **plan),
        3,
        {"receipts": "short-dates", "receipt_tlvs": False},
    ),
}
EACH = pytest.mark.parametrize(
    "esme", [pytest.param(name, marks=pytest.mark.node if name == "node" else ()) for name in ESMES]
)


def command(esme: str, port: int, texts: list[str], **changed: str) -> list[str]:
    plan = {"system_id": "esme", "password": "secret", "source": OURS, "destination": THEIRS, **changed}
    return ESMES[esme][0](port=port, texts=texts, **plan)


async def shown(ours: RunningSmsc, texts: Iterable[str]) -> list[str]:
    """What the handset shows, as soon as these are there."""
    for text in texts:
        await ours.wait(HANDSET, contains=text)
    return sorted(message.text for message in ours.messages(HANDSET))


async def nobody_bound(ours: RunningSmsc) -> None:
    """Wait until every session is over."""
    async with asyncio.timeout(TIMEOUT_S):
        while ours.sessions:
            await asyncio.sleep(0)


async def typed_text(client: Peer, parts: int) -> str:
    """What the client has read of a message of a handset, its parts put in order by their UDH."""
    events = await client.until("mo", parts, source=THEIRS, destination=OURS)
    ordered = sorted(events, key=lambda event: bytes.fromhex(event["udh"])[-1:])
    # A pair that was cut is two halves until they stand together again.
    return "".join(event["text"] for event in ordered).encode("utf-16", "surrogatepass").decode("utf-16")


def receipts_of(events: list[Event]) -> set[tuple[str, int, bool]]:
    """Of each receipt: id and state by its parameters, and whether its text says the same."""
    words = {DELIVERED: "stat:DELIVRD", UNDELIVERABLE: "stat:UNDELIV"}
    return {
        (
            event["id"],
            event["state"],
            f"id:{event['id']} " in event["text"] and words[event["state"]] in event["text"],
        )
        for event in events
    }


@EACH
async def test_an_esme_has_its_messages_delivered(esme: str, tmp_path: Path) -> None:
    """Short, long and with emoji: the handset shows each whole, each submit has one receipt, unbind ends it."""
    _, submits, settings = ESMES[esme]
    texts = [SHORT, LONG, EMOJI]
    async with (
        smsc(accounts=ACCOUNTS, **settings) as ours,
        peer(command(esme, ours.port, texts), tmp_path) as client,
    ):
        answers = await client.until("response", submits, status=0)
        assert await shown(ours, texts) == sorted(texts)
        receipts = await client.until("receipt", submits)
        assert receipts_of(receipts) == {(answer["id"], DELIVERED, True) for answer in answers}
        assert [session.system_id for session in ours.sessions] == ["esme"]
        client.tell("unbind")
        await client.until("unbound")
        await client.ended()
        await nobody_bound(ours)
        assert len(client.said("receipt")) == submits


@EACH
async def test_an_esme_receives_what_a_handset_types(esme: str, tmp_path: Path) -> None:
    """A long message with emoji comes in parts that make up its text."""
    _, _, settings = ESMES[esme]
    async with (
        smsc(accounts=ACCOUNTS, **settings) as ours,
        peer(command(esme, ours.port, []), tmp_path) as client,
    ):
        await client.until("bound")
        await ours.type(HANDSET, NUMBER, SHORT)
        assert await typed_text(client, 1) == SHORT
        client.events.clear()
        await ours.type(HANDSET, NUMBER, EMOJI)
        assert await typed_text(client, 1 if esme == "aiosmpplib" else 3) == EMOJI


@EACH
async def test_an_esme_is_told_of_refusal_and_failure(esme: str, tmp_path: Path) -> None:
    """A submit that is refused has a status, one that fails later a receipt."""
    _, _, settings = ESMES[esme]
    texts = ["#refuse:4720 this is no number", "#fail:4720 this was none"]
    async with (
        smsc(accounts=ACCOUNTS, **settings) as ours,
        peer(command(esme, ours.port, texts), tmp_path) as client,
    ):
        await client.until("response", status=INVALID_DESTINATION)
        (taken,) = await client.until("response", status=0)
        (receipt,) = await client.until("receipt")
        assert receipts_of([receipt]) == {(taken["id"], UNDELIVERABLE, True)}
        assert " err:720 " in receipt["text"]


@EACH
@pytest.mark.parametrize(
    ("changed", "status"),
    [({"password": "wrong"}, INVALID_PASSWORD), ({"system_id": "stranger"}, INVALID_SYSTEM_ID)],
)
async def test_a_stranger_is_refused(esme: str, changed: dict[str, str], status: int, tmp_path: Path) -> None:
    """A wrong password and an unknown system_id each have their status."""
    async with (
        smsc(accounts=ACCOUNTS) as ours,
        peer(command(esme, ours.port, [], **changed), tmp_path) as client,
    ):
        (refused, *_) = await client.until("refused")
        assert refused["status"] == status
        assert ours.sessions == []


@pytest.mark.kannel
async def test_kannel_has_its_messages_delivered(tmp_path: Path) -> None:
    """From HTTP to the handset and back: each is shown whole, and its reports say that it was taken and delivered."""
    texts = {"short": SHORT, "long": LONG, "emoji": EMOJI}
    async with smsc(accounts=ACCOUNTS) as ours, kannel.running(ours.port, tmp_path) as theirs:
        for name, text in texts.items():
            assert (await theirs.submit(name, OURS, THEIRS, text)).status == 202
        assert await shown(ours, texts.values()) == sorted(texts.values())
        for name in texts:
            (taken,) = await theirs.endpoint.until(name=name, type=str(kannel.TAKEN))
            (delivered,) = await theirs.endpoint.until(name=name, type=str(kannel.DELIVERED))
            assert taken["id"] == delivered["id"] != ""


@pytest.mark.kannel
async def test_kannel_is_told_of_refusal_and_failure(tmp_path: Path) -> None:
    """By the status of the submit, and by the receipt."""
    async with smsc(accounts=ACCOUNTS) as ours, kannel.running(ours.port, tmp_path) as theirs:
        await theirs.submit("refused", OURS, THEIRS, "#refuse:4720 this is no number")
        await theirs.submit("failed", OURS, THEIRS, "#fail:4720 this was none")
        await theirs.endpoint.until(name="refused", type=str(kannel.REFUSED))
        await theirs.endpoint.until(name="failed", type=str(kannel.FAILED))


@pytest.mark.kannel
async def test_kannel_receives_what_a_handset_types(tmp_path: Path) -> None:
    """It puts the parts together and calls its service with the text."""
    async with smsc(accounts=ACCOUNTS) as ours, kannel.running(ours.port, tmp_path) as theirs:
        await ours.bound()
        for count, text in enumerate((SHORT, LONG, EMOJI), start=1):
            await ours.type(HANDSET, NUMBER, text)
            calls = await theirs.endpoint.until(count, **{"from": HANDSET, "to": NUMBER})
            assert kannel.text_of(calls[-1]) == text


@pytest.mark.kannel
async def test_kannel_unbinds_when_it_stops(tmp_path: Path) -> None:
    """The session is gone with it."""
    async with smsc(accounts=ACCOUNTS) as ours, kannel.running(ours.port, tmp_path) as theirs:
        # A bearerbox that is told to stop before it has a smsbox may wait for one for ever.
        await theirs.submit("first", OURS, THEIRS, SHORT)
        await theirs.endpoint.until(name="first", type=str(kannel.DELIVERED))
        assert [session.system_id for session in ours.sessions] == [kannel.SYSTEM_ID]
        await theirs.bearerbox.stop()
        await nobody_bound(ours)


@pytest.mark.kannel
async def test_kannel_with_a_wrong_password_is_refused(tmp_path: Path) -> None:
    """It reads the status of the bind."""
    async with smsc(accounts=ACCOUNTS) as ours, kannel.running(ours.port, tmp_path, "wrong") as theirs:
        await theirs.bearerbox.until_line("code 0x0000000e (Invalid Password)")
        assert ours.sessions == []

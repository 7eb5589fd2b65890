"""What a reader of a trace is told, and which link it is told of."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec
import pytest

from trebuchet.admin.trace import Follower, Waiting, told
from trebuchet.carriers.status import BindReport, Passed
from trebuchet.protocols.smpp import encode, pdu
from trebuchet.protocols.smpp.pdu import Pdu

LONG_S = 30.0
SECRETS: dict[str, Any] = {"system_id": "esme", "password": "hunter2"}


def passed(sequence: int = 1, message: Pdu | None = None) -> Passed:
    message = message or pdu.SubmitSm(sequence=sequence, short_message=b"secret words")
    return Passed(1_767_225_600_000, "acme/0", "out", encode(message))


def stream(
    waiting: Waiting, *, with_text: bool = False, look: Callable[[], bool] = lambda: True
) -> AsyncGenerator[bytes, None]:
    return told(waiting, look, with_text=with_text, look_s=LONG_S, keep_alive_s=LONG_S)


async def entry_of(*, with_text: bool, message: Pdu | None = None) -> Any:
    """The one entry that a trace of one PDU has."""
    waiting = Waiting()
    waiting.note(passed(message=message))
    events = stream(waiting, with_text=with_text)
    await anext(events)
    return msgspec.json.decode((await anext(events)).removeprefix(b"data: "))


@pytest.mark.anyio
async def test_a_trace_begins_with_a_comment() -> None:
    """So the client knows that it is open."""
    assert await anext(stream(Waiting())) == b": open\n\n"


@pytest.mark.anyio
async def test_a_pdu_is_told_without_its_text() -> None:
    """When, where, in which direction, what; no octets, from which the text could be read."""
    entry = await entry_of(with_text=False)
    assert (entry["time"], entry["bind"], entry["direction"]) == ("2026-01-01T00:00:00.000Z", "acme/0", "out")
    assert (entry["pdu"]["command"], entry["pdu"]["short_message"]) == ("submit_sm", "12 octets")
    assert "hex" not in entry


@pytest.mark.anyio
async def test_with_the_text_there_are_the_octets() -> None:
    """As they passed."""
    entry = await entry_of(with_text=True)
    assert (entry["pdu"]["short_message"], entry["hex"]) == ("secret words", passed().octets.hex())


@pytest.mark.anyio
@pytest.mark.parametrize(
    "message",
    [
        pdu.BindTransceiver(**SECRETS),
        pdu.BindTransmitter(**SECRETS),
        pdu.BindReceiver(**SECRETS),
        pdu.Outbind(**SECRETS),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_password_is_never_told(message: Pdu) -> None:
    """Neither in words nor in octets, whatever was asked for."""
    entry = await entry_of(with_text=True, message=message)
    assert (entry["pdu"]["system_id"], entry["pdu"]["password"]) == ("esme", "•••")
    assert "hex" not in entry


@pytest.mark.anyio
async def test_pdus_are_told_in_their_order() -> None:
    """However many came at once."""
    waiting = Waiting()
    for sequence in range(1, 121):
        waiting.note(passed(sequence))
    events = stream(waiting)
    await anext(events)
    seen: list[int] = []
    while len(seen) < 120:
        blocks = (await anext(events)).removesuffix(b"\n\n").split(b"\n\n")
        seen += [msgspec.json.decode(b.removeprefix(b"data: "))["pdu"]["sequence_number"] for b in blocks]
    assert seen == list(range(1, 121))


@pytest.mark.anyio
async def test_a_slow_reader_hears_how_much_it_missed() -> None:
    """Once, before what is left: the newest."""
    size = len(passed().octets) + 256
    waiting = Waiting(octets_max=2 * size)
    for sequence in (1, 2, 3, 4, 5):
        waiting.note(passed(sequence))
    events = stream(waiting)
    await anext(events)
    assert await anext(events) == b'event: missed\ndata: {"missed":3}\n\n'
    left = await anext(events)
    assert (left.count(b"data: "), b'"sequence_number":4' in left, b'"sequence_number":5' in left) == (
        2,
        True,
        True,
    )
    waiting.note(passed(6))
    assert (await anext(events)).startswith(b"data: ")


@pytest.mark.anyio
async def test_silence_is_filled_with_comments() -> None:
    """So that the connection is not taken for dead; what comes after one is told all the same."""
    waiting = Waiting()
    events = told(waiting, lambda: True, with_text=False, look_s=0.001, keep_alive_s=0.002)
    await anext(events)
    assert await anext(events) == b": nothing new\n\n"
    waiting.note(passed())
    while (octets := await anext(events)) == b": nothing new\n\n":
        pass
    assert octets.startswith(b"data: ")


@pytest.mark.anyio
async def test_a_trace_ends_with_its_carrier() -> None:
    """A record that was deleted has no link that could come back."""
    there = [True, False]
    waiting = Waiting()
    waiting.note(passed())
    events = stream(waiting, look=lambda: there.pop(0))
    assert len([octets async for octets in events]) == 2


class Link:
    """The least that can be observed."""

    def __init__(self) -> None:
        self.watchers: list[Callable[[Passed], None]] = []

    def report(self) -> list[BindReport]:
        return []

    def watch(self, watcher: Callable[[Passed], None]) -> Callable[[], None]:
        self.watchers.append(watcher)
        return lambda: self.watchers.remove(watcher)

    def unbind(self, _bind: str | None) -> bool:
        return False

    def rebind(self, _bind: str | None) -> bool:
        return False


def test_the_link_that_follows_a_link_is_watched_in_its_place() -> None:
    """A changed record makes its link anew, and there is none for a while."""
    first, second = Link(), Link()
    current: list[Link | None] = [first]
    seen: list[Passed] = []
    follower = Follower(lambda: current[0], seen.append)
    for now, watched in ((first, (1, 0)), (first, (1, 0)), (None, (0, 0)), (second, (0, 1))):
        current[0] = now
        follower.look()
        assert (len(first.watchers), len(second.watchers)) == watched
    second.watchers[0](passed())
    assert seen == [passed()]
    follower.end()
    assert second.watchers == []

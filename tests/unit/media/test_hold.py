"""The files of a message are fetched and held before its carrier sees it."""

import asyncio
from collections.abc import Sequence

import pytest

from contract.stories import deliveries, message
from trebuchet.carriers.base import Held, LinkState, Outcome, Refused, RetryAt, Shipment, Snooze
from trebuchet.clock import ManualClock
from trebuchet.errors import StorageUnavailable
from trebuchet.media.fetch import TOO_LARGE, UNREADABLE, Fetched, Unavailable
from trebuchet.media.hold import MediaStage
from trebuchet.model.media import Content, HeldMedia
from trebuchet.model.message import GROUP, MEDIA_LANE, Kind

pytestmark = pytest.mark.anyio

URLS = ("http://media.example/a.png", "http://media.example/b.txt")
FILES = [Fetched("a.png", "image/png", b"one"), Fetched("b.txt", "text/plain", b"three")]
MESSAGE = message(0, kind=Kind.MMS, media=URLS)


async def settled() -> None:
    """Let everything that is ready run: more turns than a shipment takes here."""
    for _ in range(12):
        await asyncio.sleep(0)


class Desk:
    """A stage over a web and a store that do as told."""

    def __init__(self, under_way_max: int = 16) -> None:
        self.clock = ManualClock()
        self.asked: list[tuple[Sequence[str], str]] = []
        self.outcomes: list[tuple[str, Shipment, Outcome]] = []
        self.fetching: Exception | None = None
        self.keeping: Exception | None = None
        self.arrived = asyncio.Event()
        self.arrived.set()
        self.stage = MediaStage(
            clock=self.clock,
            fetch=self._fetch,
            keep=self._keep,
            outcome=lambda lane, shipment, outcome: self.outcomes.append((lane, shipment, outcome)),
            under_way_max=under_way_max,
        )

    async def _fetch(self, urls: Sequence[str], account_id: str) -> list[Fetched]:
        self.asked.append((urls, account_id))
        await self.arrived.wait()
        if self.fetching is not None:
            raise self.fetching
        return FILES

    async def _keep(self, octets: bytes) -> Content:
        if self.keeping is not None:
            raise self.keeping
        return Content(f"sha256 of {octets!r}", f"key of {octets!r}", len(octets), 0)

    async def outcome(self, attempt: int = 1) -> Outcome:
        """Of one shipment."""
        await self.stage.start()
        given = shipment(attempt)
        self.stage.submit(MEDIA_LANE, given)
        await settled()
        ((lane, of, outcome),) = self.outcomes
        assert (lane, of) == (MEDIA_LANE, given)
        return outcome


def shipment(attempt: int = 1) -> Shipment:
    return Shipment(MESSAGE, deliveries(MESSAGE), attempt, (MESSAGE.id, GROUP), MESSAGE.received_ms)


async def test_files_are_held_in_the_order_of_their_urls() -> None:
    """Each by what it is, with its name; fetched for the account that the message is of."""
    desk = Desk()
    held = await desk.outcome()
    assert desk.asked == [(URLS, MESSAGE.account_id)]
    assert isinstance(held, Held)
    assert held.media == (
        HeldMedia(MESSAGE.id, 0, "sha256 of b'one'", "image/png", "a.png", 3),
        HeldMedia(MESSAGE.id, 1, "sha256 of b'three'", "text/plain", "b.txt", 5),
    )
    assert [content.object_key for content in held.contents] == ["key of b'one'", "key of b'three'"]


async def test_a_file_that_can_never_be_had_refuses_the_message() -> None:
    """With the error code of the reason."""
    desk = Desk()
    desk.fetching = Unavailable(TOO_LARGE, "a file is too large")
    assert await desk.outcome() == Refused(TOO_LARGE, "a file is too large")


@pytest.mark.parametrize(
    ("attempt", "pause_ms"), [(1, 1_000), (2, 5_000), (3, 20_000), (4, 60_000), (5, 60_000), (50, 60_000)]
)
async def test_a_file_that_may_be_had_later_is_asked_for_again(attempt: int, pause_ms: int) -> None:
    """After longer and longer, at most a minute; each time is an attempt."""
    desk = Desk()
    desk.fetching = Unavailable(UNREADABLE, "no answer", temporary=True)
    now_ms = desk.clock.now_ms()
    assert await desk.outcome(attempt) == RetryAt(now_ms + pause_ms, UNREADABLE, "no answer")


async def test_a_store_that_is_away_costs_no_attempt() -> None:
    """It is not the message's fault."""
    desk = Desk()
    desk.keeping = StorageUnavailable("away")
    now_ms = desk.clock.now_ms()
    assert await desk.outcome() == Snooze(now_ms + 5_000, "media are not stored: away")


async def test_what_nobody_expects_is_tried_again() -> None:
    """Attempts are counted, so it ends; the words of the failure stay in the house."""
    desk = Desk()
    desk.fetching = RuntimeError("of the inner workings")
    now_ms = desk.clock.now_ms()
    assert await desk.outcome() == RetryAt(now_ms + 1_000, UNREADABLE, "media could not be held")


async def test_room_is_what_is_not_under_way() -> None:
    """None before the start, none in another lane."""
    desk = Desk(under_way_max=2)
    desk.arrived.clear()
    assert (desk.stage.state, desk.stage.room(MEDIA_LANE)) == (LinkState.DOWN, 0)
    await desk.stage.start()
    assert (desk.stage.state, desk.stage.room(MEDIA_LANE), desk.stage.room("other")) == (LinkState.UP, 2, 0)
    desk.stage.submit(MEDIA_LANE, shipment())
    desk.stage.submit(MEDIA_LANE, shipment())
    assert desk.stage.room(MEDIA_LANE) == 0
    desk.arrived.set()
    await settled()
    assert (desk.stage.room(MEDIA_LANE), len(desk.outcomes)) == (2, 2)


async def test_what_is_under_way_at_the_end_begins_anew() -> None:
    """It is told at once and costs no attempt; to stop twice does no harm."""
    desk = Desk()
    desk.arrived.clear()
    await desk.stage.start()
    desk.stage.submit(MEDIA_LANE, shipment())
    await settled()
    await desk.stage.stop(0)
    await desk.stage.stop(0)
    await settled()
    ((_, _, outcome),) = desk.outcomes
    assert outcome == Snooze(desk.clock.now_ms(), "the gateway is stopping")
    assert (desk.stage.state, desk.stage.room(MEDIA_LANE)) == (LinkState.DOWN, 0)

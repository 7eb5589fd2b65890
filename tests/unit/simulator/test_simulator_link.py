"""The link to the simulated network: its settings, its words, its rate limit."""

import asyncio
import random
from typing import Any

import pytest

from support.debts import MemoryDebts
from support.network import HANDSET, OURS, MemoryLedger, quiet, submitted
from trebuchet.carriers.base import (
    Accepted,
    File,
    InboundPart,
    Lost,
    Outcome,
    Refused,
    RetryAt,
    Shipment,
    Snooze,
    Surroundings,
)
from trebuchet.carriers.simulator import SimulatorSettings, build, parse_settings
from trebuchet.carriers.simulator.link import outcome_of
from trebuchet.clock import ManualClock
from trebuchet.media.workers import ImageWorkers
from trebuchet.model.account import Carrier
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.message import Kind
from trebuchet.model.receipt import Receipt
from trebuchet.simulator import base
from trebuchet.simulator.base import NoLink, Reply
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.scenario import Answer
from trebuchet.telemetry import Telemetry

pytestmark = pytest.mark.anyio

LANE = "sim/0"


class Counted:
    """Reports that are only counted."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.rooms = 0
        self.parts: list[InboundPart] = []

    def outcome(self, shipment: Shipment, outcome: Outcome) -> None:
        assert shipment.deliveries
        self.outcomes.append(outcome)

    def room(self) -> None:
        self.rooms += 1

    def receipt(
        self, receipt: Receipt, conversion: IdConversion = IdConversion.SAME, *, learn: bool = False
    ) -> Any:
        raise AssertionError(receipt)

    def inbound(self, part: InboundPart) -> Any:
        self.parts.append(part)
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


REPLIES: dict[Answer, tuple[Reply, Outcome]] = {
    Answer.ACCEPTED: (Reply(Answer.ACCEPTED, (("a", "b"),)), Accepted((("a", "b"),))),
    Answer.REFUSED: (Reply(Answer.REFUSED, error_code=4470, words="spam"), Refused(4470, "spam")),
    Answer.BUSY: (Reply(Answer.BUSY, error_code=5600, until_ms=9, words="busy"), RetryAt(9, 5600, "busy")),
    Answer.THROTTLED: (Reply(Answer.THROTTLED, until_ms=9, words="slow"), Snooze(9, "slow")),
    Answer.DOWN: (Reply(Answer.DOWN, until_ms=9, words="down"), Snooze(9, "down")),
    Answer.LOST: (Reply(Answer.LOST, words="silence"), Lost("silence")),
}


@pytest.mark.parametrize("answer", Answer)
def test_every_answer_has_its_outcome(answer: Answer) -> None:
    """The network's words are put into the gateway's."""
    reply, outcome = REPLIES[answer]
    assert outcome_of(reply) == outcome


def test_settings_have_defaults() -> None:
    """An empty record is a link for all kinds, with a window of 1000 and no rate limit."""
    assert parse_settings({}) == SimulatorSettings(
        window=1000, segments_per_s=0, carries=(Kind.SMS, Kind.MMS)
    )


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"window": 0}, "window"),
        ({"window": "10"}, "window"),
        ({"segments_per_s": -1}, "segments_per_s"),
        ({"widnow": 10}, "widnow"),
        ({"carries": []}, "carries"),
        ({"carries": ["fax"]}, "carries"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], complaint: str) -> None:
    """The error says which setting is wrong."""
    with pytest.raises(ValueError, match=complaint):
        parse_settings(settings)


async def no_files(message_id: str) -> list[File]:
    raise AssertionError(f"{message_id} needs no files")


async def linked(**settings: Any) -> tuple[Any, Counted, ManualClock, SimulatedNetwork]:
    clock, reports = ManualClock(), Counted()
    network = SimulatedNetwork(
        clock, random.Random(1), delay_min_ms=10**6, delay_max_ms=10**6, ledger=MemoryLedger()
    )
    carrier = Carrier(id="sim", kind="simulator", settings=settings)
    link = build(
        carrier,
        reports,
        Surroundings(
            clock, network, Telemetry(), no_files, ImageWorkers(), lambda number: False, MemoryDebts()
        ),
    )
    await link.start()
    return link, reports, clock, network


async def rated(segments_per_s: int) -> tuple[Any, Counted, ManualClock]:
    return (await linked(segments_per_s=segments_per_s))[:3]


def shipment(number: int, segments: int = 1) -> Shipment:
    of = submitted(number=number, segment_count=segments)
    return Shipment(of.message, of.deliveries, 1, of.work_key)


async def test_a_rate_limit_is_kept() -> None:
    """A tenth of a second's segments may go at once, then as many as time allows; the lanes are woken for them."""
    link, reports, clock = await rated(100)
    submitted_at: list[int] = []
    for _ in range(1000):
        for _ in range(link.room(LANE)):
            submitted_at.append(clock.now_ms())
            link.submit(LANE, shipment(len(submitted_at)))
        clock.advance(1)
    first = submitted_at[0]
    assert submitted_at.count(first) == 10
    assert 100 <= len(submitted_at) <= 110
    await quiet()
    assert reports.rooms > 0


async def test_a_long_message_is_paid_for() -> None:
    """It may exceed what is allowed now; then there is no room until its segments are made up for."""
    link, reports, clock = await rated(10)
    link.submit(LANE, shipment(1, segments=5))
    await quiet()
    assert link.room(LANE) == 0
    rooms = reports.rooms
    clock.advance(499)
    await quiet()
    assert (link.room(LANE), reports.rooms) == (0, rooms)
    clock.advance(2)
    await quiet()
    assert (link.room(LANE), reports.rooms) == (1, rooms + 1)


async def test_a_slow_link_goes_on() -> None:
    """At one segment a second each is allowed in its turn."""
    link, _, clock = await rated(1)
    for number in range(3):
        assert link.room(LANE) == 1
        link.submit(LANE, shipment(number))
        assert link.room(LANE) == 0
        clock.advance(1001)
        await quiet()


async def test_typed_files_are_what_their_octets_are() -> None:
    """Whatever the handset says of them: the gateway calls back with the type that a client will find."""
    _, reports, _, network = await linked()
    typed = [
        base.File("cat.jpg", "image/png", b"\xff\xd8\xff\xe0"),
        base.File("a.vcf", "text/vcard", b"hello"),
        base.File("note", "application/octet-stream", b"hello"),
    ]
    await network.type(HANDSET, OURS, "look", participants=(OURS, "+19195551235"), files=typed)
    (part,) = reports.parts
    assert [(file.name, file.content_type) for file in part.files] == [
        ("cat.jpg", "image/jpeg"),
        ("a.vcf", "text/plain"),
        ("note", "text/plain"),
    ]
    assert [file.octets for file in part.files] == [file.octets for file in typed]
    assert (part.destination, part.destinations) == (OURS, (OURS, "+19195551235"))


async def test_a_link_takes_the_kinds_that_it_carries() -> None:
    """From handsets; what the gateway submits to it is for routes to say."""
    _, reports, _, network = await linked(carries=["mms"])
    with pytest.raises(NoLink):
        await network.type(HANDSET, OURS, "hi")
    await network.type(HANDSET, OURS, "hi", participants=(OURS, "+19195551235"))
    assert len(reports.parts) == 1

"""What every kind of carrier link promises (`carriers.base`).

The peer of every kind behind these tests follows the scenario of the simulated network, so that a trigger in
the text makes it do what a test is about. `-k KIND` runs one kind.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import pytest

from contract.stories import deliveries, message
from support.debts import MemoryDebts
from support.mm4_pair import settings_of
from support.pictures import encoded, photo
from support.ports import free_port
from trebuchet.carriers import build
from trebuchet.carriers.base import (
    Accepted,
    CarrierLink,
    CarrierReports,
    File,
    InboundPart,
    LinkState,
    Lost,
    Outcome,
    Refused,
    RetryAt,
    Shipment,
    Snooze,
    Surroundings,
)
from trebuchet.carriers.simulator import SimulatorLink, SimulatorSettings
from trebuchet.carriers.smpp import SmppLink
from trebuchet.carriers.smpp import parse_settings as smpp_settings
from trebuchet.clock import ManualClock
from trebuchet.errors import NotFound, StorageUnavailable
from trebuchet.media.workers import ImageWorkers
from trebuchet.model.account import Carrier
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.ledger import user_reference
from trebuchet.model.message import GROUP, Kind
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.simulator.base import MemoryLedger, NoLink
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.telemetry import Telemetry
from trebuchet.testing import mmsc, smsc

pytestmark = pytest.mark.anyio

CARRIER = "sim"
HANDSET = "+19195551234"
OURS = "+12345678901"
WINDOW = 4
PICTURE = encoded(photo(40, 30), "PNG")
WAIT_S = 10  # a link that never reports fails its test instead of hanging it


class Reports:
    """The gateway's side of the seam: remembers what the link says and stores it, or fails to, as told."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[Shipment, Outcome]] = []
        self.receipts: list[Receipt] = []
        self.parts: list[InboundPart] = []
        self.rooms = 0
        self.failures: list[Exception] = []  # each fails one receipt or inbound message
        self._changed = asyncio.Event()

    def outcome(self, shipment: Shipment, outcome: Outcome) -> None:
        self.outcomes.append((shipment, outcome))
        self._changed.set()

    def receipt(
        self, receipt: Receipt, conversion: IdConversion = IdConversion.SAME, *, learn: bool = False
    ) -> "asyncio.Future[None]":
        self.receipts.append(receipt)
        return self._stored()

    def inbound(self, part: InboundPart) -> "asyncio.Future[None]":
        self.parts.append(part)
        return self._stored()

    def room(self) -> None:
        self.rooms += 1
        self._changed.set()

    def _stored(self) -> "asyncio.Future[None]":
        self._changed.set()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failures:
            future.set_exception(self.failures.pop())
        else:
            future.set_result(None)
        return future

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def outcomes_of(self, count: int) -> list[Outcome]:
        await self.until(lambda: len(self.outcomes) >= count)
        return [outcome for _, outcome in self.outcomes]


class Rig(msgspec.Struct, frozen=True):
    """One link of the kind under test, its peer, and the time they live in."""

    link: CarrierLink
    reports: Reports
    clock: ManualClock
    type: Callable[[str, str, str, Sequence[str]], Awaitable[Any]]  # handset, number, text, participants
    broken: Any = Snooze  # what becomes of a shipment under which the link breaks
    silent: Any = Lost  # of one that is never answered
    precise: bool = True  # whether its protocol tells a code of ours; else what comes nearest
    sms: bool = True  # whether it carries texts in segments
    mms: bool = True  # whether it carries pictures and groups


@asynccontextmanager
async def simulator_rig(reports: CarrierReports) -> AsyncIterator[Rig]:
    assert isinstance(reports, Reports)
    clock = ManualClock()
    network = SimulatedNetwork(
        clock, random.Random(1), delay_min_ms=50, delay_max_ms=60, ledger=MemoryLedger()
    )
    await network.start()
    link = SimulatorLink(
        CARRIER, SimulatorSettings(window=WINDOW), clock=clock, network=network, reports=reports
    )

    async def type_(handset: str, number: str, text: str, participants: Sequence[str]) -> None:
        await network.type(handset, number, text, participants=participants)

    yield Rig(link, reports, clock, type_)
    await link.stop(0)
    await network.stop()
    clock.close()


@asynccontextmanager
async def smpp_rig(reports: CarrierReports) -> AsyncIterator[Rig]:
    """The link and the listening SMSC, over a real socket."""
    assert isinstance(reports, Reports)
    clock = ManualClock()
    async with smsc(clock=clock, delay_min_ms=50, delay_max_ms=60) as peer:
        settings = {"host": peer.host, "port": peer.port, "system_id": "esme", "window": WINDOW}
        link = SmppLink(
            CARRIER,
            smpp_settings(
                settings | {"quirks": "bandwidth", "interface_version": "5.0", "response_timeout_s": 10}
            ),
            clock=clock,
            chance=lambda: 0.5,
            reports=reports,
            telemetry=Telemetry(),
        )

        async def type_(handset: str, number: str, text: str, _: Sequence[str]) -> None:
            await peer.type(handset, number, text)

        yield Rig(link, reports, clock, type_, broken=Lost, mms=False)
        await link.stop(0)
    clock.close()


@asynccontextmanager
async def mm4_rig(reports: CarrierReports) -> AsyncIterator[Rig]:
    """The link and the listening MMSC, each the other's relay over real sockets."""
    assert isinstance(reports, Reports)
    clock = ManualClock()
    port = free_port()
    async with (
        workers() as images,
        mmsc(clock=clock, delay_min_ms=50, delay_max_ms=60, peer_port=port) as peer,
    ):
        settings = settings_of("gateway", "handsets", peer.port, port, window=WINDOW, response_timeout_s=10)
        carrier = Carrier(id=CARRIER, kind="mm4", settings=settings)
        link = build(carrier, reports, surroundings(clock, images))

        async def type_(handset: str, number: str, text: str, participants: Sequence[str]) -> None:
            await peer.type(handset, participants or (number,), text)

        yield Rig(link, reports, clock, type_, broken=Lost, silent=Refused, sms=False)
        await link.stop(0)
    clock.close()


@asynccontextmanager
async def mm7_rig(reports: CarrierReports) -> AsyncIterator[Rig]:
    """The link, a VASP, and the listening MMSC, each posting to the other."""
    assert isinstance(reports, Reports)
    clock = ManualClock()
    port = free_port()
    url = f"http://127.0.0.1:{port}/mm7"
    async with (
        workers() as images,
        mmsc(clock=clock, delay_min_ms=50, delay_max_ms=60, peer_port=0, mm7_port=0, vasp_url=url) as peer,
    ):
        settings = {
            "url": f"http://127.0.0.1:{peer.mm7_port}/mm7",
            "listen_host": "127.0.0.1",
            "listen_port": port,
            "listen_from": ["127.0.0.1"],
            "window": WINDOW,
            "response_timeout_s": 1,
        }
        link = build(Carrier(id=CARRIER, kind="mm7", settings=settings), reports, surroundings(clock, images))

        async def type_(handset: str, number: str, text: str, participants: Sequence[str]) -> None:
            await peer.type(handset, participants or (number,), text)

        yield Rig(link, reports, clock, type_, precise=False, sms=False)
        await link.stop(0)
    clock.close()


def surroundings(clock: ManualClock, images: ImageWorkers) -> Surroundings:
    """Of a gateway that holds one picture for every message."""

    async def held_files(_: str) -> list[File]:
        return [File("a.png", "image/png", PICTURE)]

    return Surroundings(
        clock, None, Telemetry(), held_files, images, lambda number: number == OURS, MemoryDebts()
    )


@asynccontextmanager
async def workers() -> AsyncIterator[ImageWorkers]:
    images = ImageWorkers()
    yield images
    await images.close()


# A new kind adds its rig here: a link with a window of WINDOW, not started.
RIGS: dict[str, Callable[[CarrierReports], AbstractAsyncContextManager[Rig]]] = {
    "simulator": simulator_rig,
    "smpp": smpp_rig,
    "mm4": mm4_rig,
    "mm7": mm7_rig,
}


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A link that is not started yet."""
    async with RIGS[request.param](Reports()) as rig:
        yield rig


@pytest.fixture
async def up(rig: Rig) -> Rig:
    """A link that is up."""
    await rig.link.start()
    await rig.reports.until(lambda: rig.link.state is LinkState.UP)
    return rig


def shipment(number: int = 0, text: str = "hello", **fields: Any) -> Shipment:
    """An SMS to one handset, unless `fields` say otherwise; a group message if it has several recipients."""
    of = message(number, **({"text": text, "destinations": (HANDSET,)} | fields))
    recipient = GROUP if len(of.destinations) > 1 else 0
    return Shipment(of, deliveries(of), 1, (of.id, recipient), of.received_ms)


def lane(rig: Rig) -> str:
    return rig.link.lanes[0]


async def passing(rig: Rig, condition: Callable[[], bool]) -> None:
    """Let time pass until the condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():
            rig.clock.advance(100)
            await asyncio.sleep(0)


# ---- outcomes ----


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("hello", Accepted),
        ("#early", Accepted),
        ("#fail:4720", Accepted),
        ("#refuse:4403", Refused),
        ("#busy:1000", RetryAt),
        ("#throttle:2000", Snooze),
        ("#down:3000", "broken"),
        ("#lost", "silent"),
        ("#unanswered", "silent"),
    ],
)
async def test_each_shipment_has_exactly_one_outcome(up: Rig, text: str, outcome: type | str) -> None:
    """Whatever the carrier does, what became of a shipment is said once."""
    outcome = getattr(up, outcome) if isinstance(outcome, str) else outcome
    up.link.submit(lane(up), shipment(text=text))
    ordinary = shipment(1)
    await passing(up, lambda: bool(up.reports.outcomes))
    up.clock.advance(3000)
    await passing(up, lambda: up.link.room(lane(up)) > 0)
    up.link.submit(lane(up), ordinary)
    await up.reports.until(lambda: up.reports.outcomes[-1][0] is ordinary)
    await up.link.stop(1)
    assert [type(said) for _, said in up.reports.outcomes] == [outcome, Accepted]


async def test_a_refusal_has_a_code(up: Rig) -> None:
    """A carrier's refusal is translated to a code that applications know, with the carrier's own words."""
    up.link.submit(lane(up), shipment(text="#refuse:4403"))
    (refused,) = await up.reports.outcomes_of(1)
    assert isinstance(refused, Refused)
    assert refused.error_code == (4403 if up.precise else 4493)
    assert refused.description


async def test_what_may_pass_says_when_to_try_again(up: Rig) -> None:
    """A carrier that is busy or throttles gives a moment after now."""
    up.link.submit(lane(up), shipment(0, "#busy:1500"))
    up.link.submit(lane(up), shipment(1, "#throttle:2500"))
    busy, throttled = await up.reports.outcomes_of(2)
    assert isinstance(busy, RetryAt)
    assert isinstance(throttled, Snooze)
    assert busy.due_ms >= up.clock.now_ms() + 1000
    assert busy.error_code in (5600, 5620)
    assert throttled.until_ms >= up.clock.now_ms() + 1000


async def test_what_was_throttled_is_taken_at_its_moment(up: Rig) -> None:
    """The same shipment, submitted again when its Snooze ends, is accepted."""
    throttled = shipment(text="#throttle:2000")
    up.link.submit(lane(up), throttled)
    await up.reports.outcomes_of(1)
    up.clock.advance(2000)
    await passing(up, lambda: up.link.room(lane(up)) > 0)
    up.link.submit(lane(up), throttled)
    assert isinstance((await up.reports.outcomes_of(2))[1], Accepted)


async def test_order_is_kept_behind_a_throttled_shipment(up: Rig) -> None:
    """While the carrier throttles, later shipments are not taken before the throttled one."""
    for number, text in enumerate(["#throttle:2000", "second"]):
        up.link.submit(lane(up), shipment(number, text))
    assert [type(said) for said in await up.reports.outcomes_of(2)] == [Snooze, Snooze]


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({}, [1]),
        ({"text": "a" * 400, "segment_count": 3}, [3]),
        ({"kind": Kind.MMS, "media": ("https://example.com/a.png",)}, [1]),
        ({"kind": Kind.MMS, "destinations": (HANDSET, "+19195551235", "+19195551236")}, [1, 1, 1]),
    ],
    ids=["sms", "long sms", "mms", "group"],
)
async def test_the_carrier_gives_one_id_per_segment(up: Rig, fields: dict[str, Any], ids: list[int]) -> None:
    """Accepted has an id for each segment of each delivery, all different."""
    up.link.submit(lane(up), shipment(**fields))
    (accepted,) = await up.reports.outcomes_of(1)
    if "kind" in fields and not up.mms:
        assert isinstance(accepted, Refused)
        assert accepted.error_code == 4701
        return
    assert isinstance(accepted, Accepted)
    assert [len(each) for each in accepted.carrier_message_ids] == (ids if up.sms else [1] * len(ids))
    flat = [id_ for each in accepted.carrier_message_ids for id_ in each]
    assert len(set(flat)) == len(flat)


# ---- receipts ----


async def test_each_segment_has_its_receipt(up: Rig) -> None:
    """Receipts carry the ids that Accepted gave, and our reference of the segment, which MMS has none of."""
    of = shipment(text="a" * 400, segment_count=3)
    up.link.submit(lane(up), of)
    (accepted,) = await up.reports.outcomes_of(1)
    assert isinstance(accepted, Accepted)
    up.clock.advance(1000)
    count = 3 if up.sms else 1
    await up.reports.until(lambda: len(up.reports.receipts) == count)
    by_id = {r.carrier_message_id: r.reference or r.user_reference for r in up.reports.receipts}
    names = [by_id[carrier_id] for carrier_id in accepted.carrier_message_ids[0]]
    in_full = [f"{of.message.id}/0/{n}" for n in range(3)]
    in_short = [user_reference(of.message.id, 0, n) for n in range(3)]
    assert names in ((in_full, in_short) if up.sms else ([None],))
    assert {(r.carrier_id, r.state) for r in up.reports.receipts} == {(CARRIER, ReceiptState.DELIVERED)}


async def test_a_negative_receipt_has_a_code(up: Rig) -> None:
    """The carrier's reason is translated to a code that applications know, with the carrier's own words."""
    up.link.submit(lane(up), shipment(text="#fail:4720"))
    await up.reports.outcomes_of(1)
    up.clock.advance(1000)
    await up.reports.until(lambda: bool(up.reports.receipts))
    (receipt,) = up.reports.receipts
    code = 4720 if up.precise else 4702
    assert (receipt.state, receipt.error_code) == (ReceiptState.UNDELIVERABLE, code)
    assert receipt.error


async def test_a_receipt_is_repeated_until_it_is_stored(up: Rig) -> None:
    """Receipts whose storing failed come again; one that was stored does not."""
    up.reports.failures = [StorageUnavailable("the disk is full")] * 2
    up.link.submit(lane(up), shipment())
    await up.reports.outcomes_of(1)
    await passing(up, lambda: len(up.reports.receipts) == 3)
    up.link.submit(lane(up), shipment(1, "#early"))
    await passing(up, lambda: len(up.reports.receipts) > 3)
    same = [r.carrier_message_id == up.reports.receipts[0].carrier_message_id for r in up.reports.receipts]
    assert same == [True, True, True, False]


async def test_a_receipt_may_overtake_the_answer(up: Rig) -> None:
    """A receipt that the carrier gives before its answer is reported at once, not held back."""
    up.link.submit(lane(up), shipment(text="#early"))
    await up.reports.until(lambda: bool(up.reports.receipts))
    assert up.reports.outcomes == []


# ---- room ----


async def test_no_room_before_the_start(rig: Rig) -> None:
    """A link that was not started is down, and lists its lanes all the same."""
    assert rig.link.carrier_id == CARRIER
    assert len(rig.link.lanes) >= 1
    assert rig.link.state is LinkState.DOWN
    assert rig.link.room(lane(rig)) == 0


async def test_there_is_no_room_in_a_lane_that_is_not_the_links(up: Rig) -> None:
    """Another link's lane has no room here."""
    assert up.link.room("another/0") == 0


async def test_room_is_what_the_window_leaves(up: Rig) -> None:
    """Each shipment takes a place until its outcome, and then the lanes are told to look again."""
    assert up.link.room(lane(up)) == WINDOW
    for number in range(WINDOW):
        up.link.submit(lane(up), shipment(number))
    assert up.link.room(lane(up)) == 0
    await up.reports.outcomes_of(WINDOW)
    await up.reports.until(lambda: up.reports.rooms > 0)
    assert up.link.room(lane(up)) == WINDOW


async def test_nothing_is_submitted_beyond_the_room(up: Rig) -> None:
    """A shipment too many comes back to be tried again, and the carrier has not seen it."""
    shipments = [shipment(number) for number in range(WINDOW + 1)]
    for each in shipments:
        up.link.submit(lane(up), each)
    await up.reports.outcomes_of(WINDOW + 1)
    said = {id(of): type(outcome) for of, outcome in up.reports.outcomes}
    assert [said[id(of)] for of in shipments] == [Accepted] * WINDOW + [Snooze]
    up.clock.advance(1000)
    await up.reports.until(lambda: len(up.reports.receipts) == WINDOW)


async def test_outcomes_come_later_than_the_submit(up: Rig) -> None:
    """`submit` only takes: no outcome is reported while it runs, not even for what cannot be submitted."""
    for number in range(WINDOW + 1):
        up.link.submit(lane(up), shipment(number))
    assert up.reports.outcomes == []
    await up.reports.outcomes_of(WINDOW + 1)


async def test_a_broken_link_has_no_room_and_comes_back(up: Rig) -> None:
    """A link that broke is down, gives back what it was handed, and tells the lanes when it is up again."""
    broken, late = shipment(text="#down:3000"), shipment(1)
    up.link.submit(lane(up), broken)
    await up.reports.outcomes_of(1)
    assert (up.link.state, up.link.room(lane(up))) == (LinkState.DOWN, 0)
    up.link.submit(lane(up), late)
    assert [type(said) for said in await up.reports.outcomes_of(2)] == [up.broken, Snooze]
    before = up.reports.rooms
    await passing(up, lambda: up.reports.rooms > before)
    assert (up.link.state, up.link.room(lane(up))) == (LinkState.UP, WINDOW)
    up.link.submit(lane(up), broken)
    assert isinstance((await up.reports.outcomes_of(3))[2], Accepted)


# ---- stopping ----


async def test_stop_waits_for_outcomes(up: Rig) -> None:
    """What the carrier answers within the grace has its real outcome."""
    up.link.submit(lane(up), shipment())
    await up.link.stop(WAIT_S)
    assert [type(said) for _, said in up.reports.outcomes] == [Accepted]


async def test_stop_reports_the_rest_as_lost(up: Rig) -> None:
    """What has no answer by then is in doubt, once: an answer that comes later changes nothing."""
    up.link.submit(lane(up), shipment(text="#lost"))
    up.link.submit(lane(up), shipment(1, "#early"))
    await up.link.stop(0)
    assert [type(said) for _, said in up.reports.outcomes] == [Lost, Lost]
    for _ in range(20):
        up.clock.advance(1000)
        await asyncio.sleep(0)
    assert len(up.reports.outcomes) == 2


async def test_a_stopped_link_takes_nothing(up: Rig) -> None:
    """It is down, has no room, and gives back at once what it is handed all the same."""
    await up.link.stop(0)
    assert (up.link.state, up.link.room(lane(up))) == (LinkState.DOWN, 0)
    up.link.submit(lane(up), shipment())
    assert [type(said) for said in await up.reports.outcomes_of(1)] == [Snooze]


async def test_stop_may_come_twice(up: Rig) -> None:
    """The second stop has nothing to say."""
    up.link.submit(lane(up), shipment(text="#lost"))
    await up.link.stop(0)
    await up.link.stop(0)
    assert [type(said) for _, said in up.reports.outcomes] == [Lost]


async def test_a_second_stop_ends_the_patience_of_the_first(up: Rig) -> None:
    """Whoever is in a hurry need not wait for the grace of an earlier stop."""
    up.link.submit(lane(up), shipment(text="#lost"))
    patient = asyncio.create_task(up.link.stop(3600))
    await asyncio.sleep(0)
    await up.link.stop(0)
    async with asyncio.timeout(WAIT_S):
        await patient
    assert [type(said) for _, said in up.reports.outcomes] == [Lost]


async def test_stop_may_come_before_the_start(rig: Rig) -> None:
    """A link that was never started stops without a word."""
    await rig.link.stop(WAIT_S)
    assert rig.reports.outcomes == []


# ---- inbound ----


async def test_an_inbound_message_is_reported(up: Rig) -> None:
    """What a handset sends is reported with its sender and how many parts it came in: whole, or part by part."""
    await up.type(HANDSET, OURS, "x" * 200, ())
    parts = up.reports.parts
    assert {(p.carrier_id, p.source, p.destination) for p in parts} == {(CARRIER, HANDSET, OURS)}
    said = "".join(p.part.octets.decode() if p.part else p.text for p in parts)
    assert (said, {p.encoding for p in parts}) == ("x" * 200, {"GSM-7" if up.sms else ""})
    assert sum(p.segment_count for p in parts) == (2 if up.sms else 1)
    assert [p.part.number for p in parts if p.part] in ([], [1, 2])


async def test_an_inbound_group_message_names_all_its_recipients(up: Rig) -> None:
    """Every recipient of a group message is reported, ours among them; a link for texts reports its own."""
    await up.type(HANDSET, OURS, "hi all", (OURS, "+19195551235"))
    assert up.reports.parts[0].destinations == ((OURS, "+19195551235") if up.mms else ())


async def test_an_inbound_message_that_is_not_taken_is_not_acknowledged(up: Rig) -> None:
    """The carrier is told when the gateway did not store what it gave."""
    up.reports.failures = [NotFound("not a number of this gateway")]
    with pytest.raises((NotFound, NoLink)):
        await up.type(HANDSET, OURS, "hi", ())

"""Runs the links: one per carrier record, a worker per lane, and the reports that links make.

When a carrier record changes its link is stopped and started anew; what it had under way is reported lost and
follows the carrier's `in_doubt` setting.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from trebuchet.carriers import CarrierKind
from trebuchet.carriers.base import CarrierLink, CarrierReports, InboundPart, Outcome, Shipment
from trebuchet.clock import Clock
from trebuchet.dispatch import LaneWorker, Policy
from trebuchet.feed import Entry, Feed
from trebuchet.inbound import Inbound
from trebuchet.model.account import Carrier, Directory
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import Announcement
from trebuchet.model.message import MEDIA_LANE, Delivery, Kind, WorkItem
from trebuchet.model.receipt import Receipt
from trebuchet.outbox.committer import Committer
from trebuchet.receipts import Receipts
from trebuchet.storage.base import DueWork, Store
from trebuchet.telemetry import Telemetry
from trebuchet.tracing import OFF, Tracer

_DRAINS_MAX = 3  # a row that is accepted, handed to a link that stops, and put back

BuildLink = Callable[[Carrier, CarrierReports], CarrierLink]  # raises ValueError


class Supervisor:
    """All links of this process. All calls in one event loop."""

    def __init__(
        self,
        *,
        build: BuildLink,
        kind: Callable[[Carrier], CarrierKind],
        clock: Clock,
        store: Store,
        committer: Committer,
        directory: Callable[[], Directory],
        receipt_timeout_s: int,
        lane_memory: int,
        grace_s: float,
        announce: Callable[[Sequence[Announcement]], None],
        released: Callable[[int], None],
        feed: Feed,
        telemetry: Telemetry,
        tracer: Tracer = OFF,
    ) -> None:
        self._build = build
        self._kind = kind
        self._clock = clock
        self._store = store
        self._committer = committer
        self._directory = directory
        self._receipt_timeout_s = receipt_timeout_s
        self._lane_memory = lane_memory
        self._grace_s = grace_s
        self._announce = announce
        self._released = released
        self._feed = feed
        self._telemetry = telemetry
        self._tracer = tracer
        self._running: dict[str, tuple[Carrier, CarrierLink]] = {}
        self._workers: dict[str, LaneWorker] = {}
        self._following = asyncio.Lock()
        self.lanes: dict[str, Sequence[str]] = {}  # of each carrier that has a link
        self._stages: list[CarrierLink] = []
        self._needing_media: set[str] = set()
        self._lanes_for: dict[Kind, dict[str, Sequence[str]]] = {kind: {} for kind in Kind}
        self.receipts: Receipts | None = None
        self.inbound: Inbound | None = None

    async def follow_directory(self) -> None:
        """Start links of new carriers, stop those of removed ones, restart changed ones."""
        async with self._following:
            carriers = self._directory().carriers
            for carrier_id, (carrier, link) in list(self._running.items()):
                now = carriers.get(carrier_id)
                if now is not None and _same_link(carrier, now):
                    self._running[carrier_id] = (now, link)
                    self.room(carrier_id)  # it may have been resumed
                else:
                    await self._stop_link(carrier_id, self._grace_s)
            self.lanes = {name: lanes for name, lanes in self.lanes.items() if name in carriers}
            for carrier in carriers.values():
                if carrier.id not in self._running:
                    await self._start_link(carrier)
            self._lanes_for = {
                kind: {
                    name: lanes
                    for name, lanes in self.lanes.items()
                    if kind in self._kind(carriers[name]).carries
                }
                for kind in Kind
            }
            self._needing_media = {c.id for c in carriers.values() if self._kind(c).needs_media}

    def lanes_for(self, kind: Kind) -> Mapping[str, Sequence[str]]:
        """The lanes of each carrier that can carry messages of this kind."""
        return self._lanes_for[kind]

    def stage_for(self, delivery: Delivery) -> str:
        """The lane that a delivery with media begins in: that of media, if its carrier needs their octets."""
        assert delivery.lane is not None
        return MEDIA_LANE if delivery.carrier_id in self._needing_media else delivery.lane

    async def start_stage(self, link: CarrierLink, policy: Policy) -> None:
        """Run the lanes of a stage that rows pass before those of their carriers. It reports to `stage_outcome`."""
        self._stages.append(link)
        for lane in link.lanes:
            self._workers[lane] = self._worker(lane, link, lambda: policy)
        await link.start()
        for lane in link.lanes:
            await self._workers[lane].recover()

    def stage_outcome(self, lane: str, shipment: Shipment, outcome: Outcome) -> None:
        self._workers[lane].outcome(shipment, outcome)
        self._workers[lane].pump()

    def reserve(self, lane: str, due_ms: int) -> bool:
        """A row of this lane is about to be stored: whether as claimed. Then `offer` it, or `withdraw` it."""
        worker = self._workers.get(lane)
        return worker is not None and worker.reserve(due_ms)

    def withdraw(self, work: Sequence[WorkItem]) -> None:
        """Rows that were reserved for and not stored."""
        for item in work:
            worker = self._workers.get(item.lane)
            if worker is not None:
                worker.withdraw(reserved=item.claimed_ms is not None)

    def offer(self, due: Sequence[DueWork]) -> None:
        """Committed work that was reserved for: hand it to its lanes."""
        touched = set()
        for work in due:
            worker = self._workers.get(work.item.lane)
            if worker is not None:  # else it waits in the table until its carrier has a link again
                worker.offer(work)
                touched.add(worker)
        for worker in touched:
            worker.pump()

    def links(self) -> list[tuple[Carrier, CarrierLink]]:
        return list(self._running.values())

    @property
    def busy(self) -> int:
        """Shipments whose outcome is not stored yet."""
        return sum(worker.busy for worker in self._workers.values())

    async def stop(self, grace_s: float) -> None:
        """Stop all links. May be called twice."""
        async with self._following:
            stages, self._stages = self._stages, []
            await asyncio.gather(*(self._stop_lanes(stage, grace_s) for stage in stages))
            await asyncio.gather(
                *(self._stop_link(carrier_id, grace_s) for carrier_id in list(self._running))
            )

    async def _start_link(self, carrier: Carrier) -> None:
        try:
            link = self._build(carrier, _Reports(self, carrier.id))
        except ValueError as error:
            # One carrier's wrong settings keep nobody else from starting. Its messages wait in a lane.
            self._telemetry.problem("carrier_not_started", carrier=carrier.id, error=str(error))
            self.lanes = {**self.lanes, carrier.id: (f"{carrier.id}/0",)}
            return
        self._running[carrier.id] = (carrier, link)
        self.lanes = {**self.lanes, carrier.id: tuple(link.lanes)}
        for lane in link.lanes:
            self._workers[lane] = self._worker(lane, link, lambda: self._policy(carrier.id))
        await link.start()
        for lane in link.lanes:
            await self._workers[lane].recover()

    def _worker(self, lane: str, link: CarrierLink, policy: Callable[[], Policy]) -> LaneWorker:
        return LaneWorker(
            lane,
            link,
            policy=policy,
            clock=self._clock,
            committer=self._committer,
            store=self._store,
            memory=self._lane_memory,
            announce=self._announce,
            released=self._released,
            moved=self._moved,
            telemetry=self._telemetry,
            tracer=self._tracer,
        )

    def _moved(self, item: WorkItem) -> None:
        """A row has come from another lane: this one reads it."""
        worker = self._workers.get(item.lane)
        if worker is not None:
            worker.queue.leave_in_table(item.due_ms)

    async def _stop_link(self, carrier_id: str, grace_s: float) -> None:
        _, link = self._running[carrier_id]
        await self._stop_lanes(link, grace_s)
        del self._running[carrier_id]

    async def _stop_lanes(self, link: CarrierLink, grace_s: float) -> None:
        workers = [self._workers[lane] for lane in link.lanes]
        for worker in workers:
            await worker.close()
        await link.stop(grace_s)
        # Rows that were accepted as claimed, and the outcomes that stopping reported, are stored before the lanes
        # change hands. What a failing store keeps from being stored is in doubt when the link starts again.
        for _ in range(_DRAINS_MAX):
            await self._committer.drain()
            if not any(worker.busy for worker in workers):
                break
        for worker in workers:
            del self._workers[worker.lane]

    def _policy(self, carrier_id: str) -> Policy:
        carrier, _ = self._running[carrier_id]
        timeout_s = carrier.receipt_timeout_s or self._receipt_timeout_s
        return Policy(carrier.id, carrier.in_doubt, timeout_s * 1000, carrier.paused)

    def outcome(self, shipment: Shipment, outcome: Outcome, carrier_id: str) -> None:
        worker = self._workers.get(shipment.deliveries[0].lane or "")
        if worker is None:
            self._telemetry.problem(
                "outcome_for_unknown_lane", carrier=carrier_id, message=shipment.message.id
            )
            return
        if self._feed.watched:
            message = shipment.message
            self._feed.publish(
                Entry(
                    self._clock.now_ms(), "submitted", message.id, shipment.work_key[1], message.account_id,
                    message.application_id, shipment.deliveries[0].to, type(outcome).__name__,
                )
            )  # fmt: skip
        worker.outcome(shipment, outcome)

    def receipt(
        self, receipt: Receipt, conversion: IdConversion = IdConversion.SAME, *, learn: bool = False
    ) -> "asyncio.Future[None]":
        assert self.receipts is not None
        return self.receipts.record(receipt, conversion, learn=learn)

    def inbound_part(self, part: InboundPart) -> "asyncio.Future[None]":
        assert self.inbound is not None
        return self.inbound.receive(part)

    def room(self, carrier_id: str) -> None:
        for lane in self.lanes.get(carrier_id, ()):
            self._workers[lane].pump()


class _Reports:
    """What one link reports to."""

    def __init__(self, supervisor: Supervisor, carrier_id: str) -> None:
        self._supervisor = supervisor
        self._carrier_id = carrier_id

    def outcome(self, shipment: Shipment, outcome: Outcome) -> None:
        self._supervisor.outcome(shipment, outcome, self._carrier_id)

    def receipt(
        self, receipt: Receipt, conversion: IdConversion = IdConversion.SAME, *, learn: bool = False
    ) -> "asyncio.Future[None]":
        return self._supervisor.receipt(receipt, conversion, learn=learn)

    def inbound(self, part: InboundPart) -> "asyncio.Future[None]":
        return self._supervisor.inbound_part(part)

    def room(self) -> None:
        self._supervisor.room(self._carrier_id)


def _same_link(one: Carrier, other: Carrier) -> bool:
    """Whether a record still describes the same link; a pause or another receipt time-out needs no restart."""
    return one.kind == other.kind and one.settings == other.settings and one.created_ms == other.created_ms

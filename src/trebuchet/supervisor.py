"""Runs the links: one per carrier record, a worker per lane, and the reports that links make.

When a carrier record changes its link is stopped and started anew; what it had under way is reported lost and
follows the carrier's `in_doubt` setting. Where nodes share the database, a link runs in parts, each on the node that
has its lease.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from trebuchet.carriers import CarrierKind
from trebuchet.carriers.base import CarrierLink, CarrierReports, InboundPart, Outcome, Shipment
from trebuchet.clock import Clock
from trebuchet.dispatch import LaneWorker, Policy
from trebuchet.errors import StorageError
from trebuchet.feed import Entry, Feed
from trebuchet.inbound import Inbound
from trebuchet.model.account import Carrier, Directory
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import Announcement
from trebuchet.model.message import MEDIA_LANE, Delivery, Kind, WorkItem
from trebuchet.model.receipt import Receipt
from trebuchet.nodes.tenancy import FOREVER, Tenure
from trebuchet.outbox.committer import Committer
from trebuchet.receipts import Receipts
from trebuchet.storage.base import DueWork, Fence, Store
from trebuchet.telemetry import Telemetry
from trebuchet.tracing import OFF, Tracer

_DRAINS_MAX = 3  # a row that is accepted, handed to a link that stops, and put back

BuildLink = Callable[[Carrier, CarrierReports, str | None], CarrierLink]  # raises ValueError
Parts = Callable[[Carrier], Mapping[str, Sequence[str]]]
WORK = "work:"  # hint: rows have come into the lane that follows


def lease_of(part: str) -> str:
    """The name of the lease of a part of a link."""
    return f"carrier:{part}"


class _Run(msgspec.Struct):
    """A link that runs, or one part of it, or a stage."""

    carrier: Carrier | None  # None: a stage
    link: CarrierLink
    tenure: Tenure


class _Stage(msgspec.Struct, frozen=True):
    build: Callable[[], CarrierLink]
    policy: Policy


class Supervisor:
    """All links of this process. All calls in one event loop.

    `tenure` finds the lease of a part, where nodes share the database; None: this process has every link whole. `hint`
    is told of lanes that another node may have.
    """

    def __init__(
        self,
        *,
        build: BuildLink,
        kind: Callable[[Carrier], CarrierKind],
        parts: Parts,
        tenure: Callable[[str], Tenure | None] | None,
        hint: Callable[[Sequence[str]], None],
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
        self._parts = parts
        self._tenure = tenure
        self._hint = hint
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
        self._running: dict[str, _Run] = {}  # by carrier, or by part of a link
        self._workers: dict[str, LaneWorker] = {}
        self._following = asyncio.Lock()
        self.lanes: dict[str, Sequence[str]] = {}  # of each carrier
        self._stages: dict[str, _Stage] = {}  # by lane
        self._stopping = False
        self._needing_media: set[str] = set()
        self._lanes_for: dict[Kind, dict[str, Sequence[str]]] = {kind: {} for kind in Kind}
        self.receipts: Receipts | None = None
        self.inbound: Inbound | None = None

    async def follow_directory(self) -> None:
        """Start what is new here, stop what is not to run here any more, restart what has changed.

        Raises StorageError if what a link has to begin with cannot be read; the next call tries again.
        """
        async with self._following:
            if self._stopping:
                return
            carriers = self._directory().carriers
            self._know_lanes(carriers)
            wanted = self._wanted(carriers)
            for name, run in list(self._running.items()):
                now, tenure = wanted.get(name, (None, None))
                if tenure is run.tenure and _same_link(run.carrier, now):
                    run.carrier = now
                    self._pump(run)  # it may have been resumed
                else:
                    await self._stop_run(name, self._grace_s if run.tenure.held() else 0)
            for name, (carrier, tenure) in wanted.items():
                if name not in self._running:
                    await self._start_run(name, carrier, tenure)

    def _know_lanes(self, carriers: Mapping[str, Carrier]) -> None:
        self.lanes = {
            carrier.id: tuple(lane for lanes in self._parts(carrier).values() for lane in lanes)
            for carrier in carriers.values()
        }
        self._lanes_for = {
            kind: {
                name: lanes
                for name, lanes in self.lanes.items()
                if kind in self._kind(carriers[name]).carries
            }
            for kind in Kind
        }
        self._needing_media = {c.id for c in carriers.values() if self._kind(c).needs_media}

    def _wanted(self, carriers: Mapping[str, Carrier]) -> dict[str, tuple[Carrier | None, Tenure]]:
        """What is to run in this process, by name: links, parts of them, stages."""
        if self._tenure is None:
            whole = {carrier.id: (carrier, FOREVER) for carrier in carriers.values()}
            return {**whole, **dict.fromkeys(self._stages, (None, FOREVER))}
        found: dict[str, tuple[Carrier | None, Tenure]] = {}
        for carrier in carriers.values():
            for part in self._parts(carrier):
                tenure = self._tenure(lease_of(part))
                if tenure is not None:
                    found[part] = (carrier, tenure)
        for lane in self._stages:
            tenure = self._tenure(lease_of(lane))
            if tenure is not None:
                found[lane] = (None, tenure)
        return found

    def leases(self) -> list[str]:
        """What nodes share among them: every part of every link, and the stages."""
        parts = [part for carrier in self._directory().carriers.values() for part in self._parts(carrier)]
        return [lease_of(name) for name in (*parts, *self._stages)]

    def lanes_for(self, kind: Kind) -> Mapping[str, Sequence[str]]:
        """The lanes of each carrier that can carry messages of this kind."""
        return self._lanes_for[kind]

    def stage_for(self, delivery: Delivery) -> str:
        """The lane that a delivery with media begins in: that of media, if its carrier needs their octets."""
        assert delivery.lane is not None
        return MEDIA_LANE if delivery.carrier_id in self._needing_media else delivery.lane

    def add_stage(self, lane: str, build: Callable[[], CarrierLink], policy: Policy) -> None:
        """Have a lane that rows pass before those of their carriers, from the next `follow_directory` on.

        Its link reports to `stage_outcome`.
        """
        self._stages[lane] = _Stage(build, policy)

    def stage_outcome(self, lane: str, shipment: Shipment, outcome: Outcome) -> None:
        self._workers[lane].outcome(shipment, outcome)
        self._workers[lane].pump()

    def fence(self, lane: str) -> Fence | None:
        """What is stored with rows of a lane that are claimed as they are accepted."""
        worker = self._workers.get(lane)
        return worker.fence if worker is not None else None

    def heard(self, lane: str) -> None:
        """Rows have come into a lane, or may have."""
        worker = self._workers.get(lane)
        if worker is not None:
            worker.queue.leave_in_table(self._clock.now_ms())

    def look(self) -> None:
        """Rows may have come into any lane."""
        for lane in self._workers:
            self.heard(lane)

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
            if worker is None:
                # It waits in the table for another node, or until its carrier has a link again.
                self._hint([WORK + work.item.lane])
            else:
                worker.offer(work)
                touched.add(worker)
        for worker in touched:
            worker.pump()

    def links(self) -> list[tuple[Carrier, CarrierLink]]:
        return [(run.carrier, run.link) for run in self._running.values() if run.carrier is not None]

    @property
    def busy(self) -> int:
        """Shipments whose outcome is not stored yet."""
        return sum(worker.busy for worker in self._workers.values())

    async def stop(self, grace_s: float) -> None:
        """Stop all links. May be called twice."""
        async with self._following:
            self._stopping = True
            stages = [name for name, run in self._running.items() if run.carrier is None]
            await asyncio.gather(*(self._stop_run(name, grace_s) for name in stages))
            await asyncio.gather(*(self._stop_run(name, grace_s) for name in list(self._running)))

    async def _start_run(self, name: str, carrier: Carrier | None, tenure: Tenure) -> None:
        if carrier is None:
            link = self._stages[name].build()
        else:
            part = name if self._tenure is not None else None
            try:
                link = self._build(carrier, _Reports(self, carrier.id), part)
            except ValueError as error:
                # One carrier's wrong settings keep nobody else from starting. Its messages wait in a lane.
                self._telemetry.problem("carrier_not_started", carrier=carrier.id, error=str(error))
                return
        run = self._running[name] = _Run(carrier, link, tenure)
        for lane in link.lanes:
            self._workers[lane] = self._worker(lane, run)
        try:
            await link.start()
            for lane in link.lanes:
                await self._workers[lane].recover()
        except StorageError:
            await self._stop_run(name, 0)
            raise

    def _worker(self, lane: str, run: _Run) -> LaneWorker:
        return LaneWorker(
            lane,
            run.link,
            policy=lambda: self._policy(lane, run),
            tenure=run.tenure,
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
        else:
            self._hint([WORK + item.lane])

    async def _stop_run(self, name: str, grace_s: float) -> None:
        link = self._running[name].link
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
        del self._running[name]

    def _policy(self, lane: str, run: _Run) -> Policy:
        carrier = run.carrier
        if carrier is None:
            return self._stages[lane].policy
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
            worker = self._workers.get(lane)
            if worker is not None:
                worker.pump()

    def _pump(self, run: _Run) -> None:
        for lane in run.link.lanes:
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


def _same_link(one: Carrier | None, other: Carrier | None) -> bool:
    """Whether a record still describes the same link; a pause or another receipt time-out needs no restart."""
    if one is None or other is None:
        return one is other
    return one.kind == other.kind and one.settings == other.settings and one.created_ms == other.created_ms

"""From a lane to a carrier, and from the carrier's answer to what is stored.

`settlement` decides, `LaneWorker` does. Nothing is handed to a carrier before its work row is marked as
claimed on disk, so after a crash every row is either untouched or known to be in doubt. While a lane has room
and nothing waits in it, its rows are claimed as they are accepted, which saves them a commit of their own.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial

import msgspec
from msgspec.structs import replace

from trebuchet.carriers.base import (
    Accepted,
    CarrierLink,
    Exchanged,
    Held,
    Lost,
    Outcome,
    Refused,
    RetryAt,
    Shipment,
    Snooze,
)
from trebuchet.clock import Clock, Timer
from trebuchet.errors import LeaseLost
from trebuchet.model import errorcodes, ledger
from trebuchet.model.account import InDoubt
from trebuchet.model.events import Announcement, EventType
from trebuchet.model.message import Delivery, Kind, Pdu, Segment, WorkItem
from trebuchet.model.status import Happening
from trebuchet.nodes.tenancy import Tenure
from trebuchet.outbox.committer import Committer
from trebuchet.outbox.lanes import LaneQueue
from trebuchet.storage.base import Claim, DueWork, Exchange, Fence, Settle, Settled, Store, WorkKey
from trebuchet.telemetry import Telemetry
from trebuchet.tracing import OFF, Tracer

ATTEMPTS_MAX = 5  # submits of one delivery that a carrier refused for the moment
_CLAIM_MAX = 256  # rows of one claim: bounds how much is in doubt when the process dies between two commits
_STORE_AGAIN_MS = 1000


class Policy(msgspec.Struct, frozen=True):
    """What a carrier's record says about its deliveries."""

    carrier_id: str
    in_doubt: InDoubt
    receipt_timeout_ms: int
    paused: bool = False
    submits: bool = True  # False: a stage before the carrier's own lane


def settlement(shipment: Shipment, outcome: Outcome, lane: str, policy: Policy, now_ms: int) -> Settle:
    """What is stored for the outcome of a shipment. Pure."""
    key = shipment.work_key
    if isinstance(outcome, Held):
        lane = shipment.deliveries[0].lane or lane
        return Settle(
            key=key,
            requeue=_work(shipment, lane, shipment.due_ms, 0),
            held=outcome.media,
            contents=outcome.contents,
        )
    if isinstance(outcome, Accepted):
        return _taken(shipment, outcome, lane, policy, now_ms)
    if isinstance(outcome, Refused):
        return _failed(shipment, Happening.REFUSED, outcome, lane, policy, now_ms)
    if isinstance(outcome, RetryAt):
        if shipment.attempt >= ATTEMPTS_MAX or outcome.due_ms > shipment.message.valid_until_ms:
            final = Refused(outcome.error_code, outcome.description, pdus=outcome.pdus)
            return _failed(shipment, Happening.REFUSED, final, lane, policy, now_ms)
        return Settle(
            key=key,
            requeue=_work(shipment, lane, outcome.due_ms, shipment.attempt),
            exchanges=_exchanges(shipment, "retry", outcome.error_code, outcome.description, policy, now_ms),
            pdus=_pdus(shipment, outcome.pdus, lane),
        )
    if isinstance(outcome, Snooze):
        return Settle(
            key=key,
            requeue=_work(shipment, lane, shipment.due_ms, shipment.attempt - 1),
            exchanges=_exchanges(shipment, "snooze", None, outcome.description, policy, now_ms),
            pdus=_pdus(shipment, outcome.pdus, lane),
        )
    return _lost(shipment, outcome, lane, policy, now_ms)


def _taken(shipment: Shipment, outcome: Accepted, lane: str, policy: Policy, now_ms: int) -> Settle:
    deliveries: list[Delivery] = []
    segments: list[Segment] = []
    announcements: list[Announcement] = []
    message = shipment.message
    for stored, ids in zip(shipment.deliveries, outcome.carrier_message_ids, strict=True):
        delivery = copy(stored)
        ledger.verdict(delivery, Happening.TAKEN, None, "", now_ms)
        delivery.carrier_id = policy.carrier_id
        delivery.lane = lane
        delivery.attempts = shipment.attempt
        delivery.segments_total = len(ids)
        delivery.submitted_ms = now_ms
        delivery.receipt_due_ms = now_ms + policy.receipt_timeout_ms
        deliveries.append(delivery)
        segments += _segments(delivery, enumerate(ids), policy, now_ms)
        if message.kind is Kind.MMS:
            announcements.append(
                ledger.announcement(delivery, EventType.SENDING, message.application_id, Kind.MMS, now_ms)
            )
    return Settle(
        key=shipment.work_key,
        deliveries=deliveries,
        segments=segments,
        announcements=announcements,
        pdus=_pdus(shipment, outcome.pdus, lane),
    )


def _failed(
    shipment: Shipment, happening: Happening, failure: Refused, lane: str, policy: Policy, now_ms: int
) -> Settle:
    message = shipment.message
    code, why = failure.error_code, failure.description
    deliveries: list[Delivery] = []
    segments: list[Segment] = []
    announcements: list[Announcement] = []
    for stored in shipment.deliveries:
        delivery = copy(stored)
        event_type = ledger.verdict(delivery, happening, code, why, now_ms)
        if policy.submits:
            delivery.carrier_id = policy.carrier_id
            delivery.lane = lane
            delivery.attempts = shipment.attempt
        deliveries.append(delivery)
        segments += _segments(delivery, failure.taken, policy, now_ms)
        if event_type is not None:
            announcements.append(
                ledger.announcement(delivery, event_type, message.application_id, message.kind, now_ms)
            )
    return Settle(
        key=shipment.work_key,
        deliveries=deliveries,
        segments=segments,
        announcements=announcements,
        exchanges=_exchanges(shipment, str(happening), code, why, policy, now_ms),
        pdus=_pdus(shipment, failure.pdus, lane),
    )


def _lost(shipment: Shipment, outcome: Lost, lane: str, policy: Policy, now_ms: int) -> Settle:
    if policy.in_doubt is InDoubt.RESEND:
        # Segments that it took are not stored: each is submitted again and counts once, by its second id.
        return Settle(
            key=shipment.work_key,
            requeue=_work(shipment, lane, now_ms, shipment.attempt),
            exchanges=_exchanges(shipment, "resubmit", None, outcome.description, policy, now_ms),
            pdus=_pdus(shipment, outcome.pdus, lane),
        )
    deliveries: list[Delivery] = []
    segments: list[Segment] = []
    for stored in shipment.deliveries:
        delivery = copy(stored)
        ledger.verdict(delivery, Happening.LOST, None, "", now_ms)
        delivery.carrier_id = policy.carrier_id
        delivery.lane = lane
        delivery.attempts = shipment.attempt
        delivery.segments_total = outcome.parts
        delivery.receipt_due_ms = now_ms + policy.receipt_timeout_ms
        deliveries.append(delivery)
        segments += _segments(delivery, outcome.taken, policy, now_ms)
    return Settle(
        key=shipment.work_key,
        deliveries=deliveries,
        segments=segments,
        exchanges=_exchanges(shipment, "lost", None, outcome.description, policy, now_ms),
        pdus=_pdus(shipment, outcome.pdus, lane),
    )


def _segments(
    delivery: Delivery, taken: Iterable[tuple[int, str]], policy: Policy, now_ms: int
) -> list[Segment]:
    """What the carrier took, by number."""
    return [
        Segment(
            delivery.message_id,
            delivery.recipient,
            number,
            policy.carrier_id,
            carrier_message_id,
            ledger.TAKEN,
            None,
            now_ms,
            None,
        )
        for number, carrier_message_id in taken
    ]


def _pdus(shipment: Shipment, pdus: Exchanged, lane: str) -> list[Pdu]:
    message_id, recipient = shipment.work_key
    return [
        Pdu(message_id, recipient, at_ms, place, lane, direction, octets)
        for place, (at_ms, direction, octets) in enumerate(pdus)
    ]


def _work(shipment: Shipment, lane: str, due_ms: int, attempts: int) -> WorkItem:
    message_id, recipient = shipment.work_key
    return WorkItem(lane, due_ms, message_id, recipient, attempts, shipment.message.valid_until_ms)


def _exchanges(
    shipment: Shipment, what: str, code: int | None, description: str, policy: Policy, now_ms: int
) -> list[Exchange]:
    return [
        Exchange(d.message_id, d.recipient, now_ms, what, policy.carrier_id, code, description)
        for d in shipment.deliveries
    ]


class LaneWorker:
    """Moves one lane's work to its link, within the link's room and in order.

    `announce` is given what became due for callback; `released` how many rows left the queue for good;
    `moved` each row that went on into another lane. Everything is stored under the `tenure` of the lane: when that has
    ended nothing more is handed to the link, and what was under way is the next owner's.
    """

    def __init__(
        self,
        lane: str,
        link: CarrierLink,
        *,
        policy: Callable[[], Policy],
        tenure: Tenure,
        clock: Clock,
        committer: Committer,
        store: Store,
        memory: int,
        announce: Callable[[Sequence[Announcement]], None],
        released: Callable[[int], None],
        moved: Callable[[WorkItem], None],
        telemetry: Telemetry,
        tracer: Tracer = OFF,
    ) -> None:
        self.lane = lane
        self.link = link
        self._policy = policy
        self._tenure = tenure
        self._clock = clock
        self._committer = committer
        self._store = store
        self._announce = announce
        self._released = released
        self._moved = moved
        self._telemetry = telemetry
        self._tracer = tracer
        self._recovered = False
        self._closed = False
        self._claiming = False
        self._out: dict[WorkKey, DueWork] = {}  # with the link, outcome awaited or being stored
        self._reserved = 0  # rows that are being accepted as claimed: room that is taken
        self._coming = 0  # rows that are being accepted unclaimed: no later one may go before them
        self._snoozed = 0  # shipments that come back to the head of the lane once that is stored
        self._paused_until_ms = 0
        self._resume: Timer | None = None
        self.queue: LaneQueue[DueWork] = LaneQueue(
            clock=clock,
            bound=memory,
            read=lambda now_ms, limit: store.due_work(lane, now_ms, (0, "", -2), limit),
            next_due=lambda now_ms: store.next_work_due_ms(lane, now_ms),
            key=_work_key,
            due_ms=_due_ms,
            wake=self.pump,
            failed=lambda error: telemetry.problem("lane_unreadable", lane=lane, error=str(error)),
        )

    async def recover(self) -> None:
        """Settle what was claimed when the process ended: it is in doubt. Then begin to pump."""
        while rows := await self._store.claimed_work(self.lane, 500):
            lost = Lost("the gateway stopped before the answer was stored")
            now_ms = self._clock.now_ms()
            if self._tracer.on:
                for row in rows:
                    self._tracer.handed_over(_work_key(row), row.item.claimed_ms)
                    self._trace(_shipment(row), lost)
            changes = [settlement(_shipment(row), lost, self.lane, self._policy(), now_ms) for row in rows]
            futures = [self._committer.add(self._fenced(change)) for change in changes]
            try:
                stored = await asyncio.gather(*futures)
            except LeaseLost:
                return  # its next owner recovers it
            for change, settled in zip(changes, stored, strict=True):
                self._announce(settled.announcements)
                if change.requeue is None:
                    self._released(1)
            self._telemetry.count("trebuchet_in_doubt_total", self.lane, by=len(rows))
        self._recovered = True
        self.pump()

    def reserve(self, due_ms: int) -> bool:
        """A row is about to be stored: may it be stored as claimed?

        Each call is followed by `offer` with the row when it is stored, or by `withdraw` with the answer.
        """
        ahead = (
            self._recovered
            and due_ms <= self._clock.now_ms()
            and not self._coming
            and not self._snoozed
            and self._reserved < _CLAIM_MAX
            and self.queue.nothing_due
            and self.link.room(self.lane) > self._reserved
            and not self._resting()
        )
        if ahead:
            self._reserved += 1
        else:
            self._coming += 1
        return ahead

    def withdraw(self, *, reserved: bool) -> None:
        """What `reserve` was asked for was not stored."""
        # Never below 0: the link may have been changed in the meantime, and this be another worker.
        if reserved:
            self._reserved = max(self._reserved - 1, 0)
        else:
            self._coming = max(self._coming - 1, 0)

    def offer(self, due: DueWork) -> None:
        """A row was stored that `reserve` was asked for. Call `pump` after a series of offers."""
        self.withdraw(reserved=due.item.claimed_ms is not None)
        if due.item.claimed_ms is None:
            self.queue.offer(due)
            return
        key = _work_key(due)
        self.queue.adopt(key)
        self._out[key] = due
        self._hand_over(_shipment(due))

    def pump(self) -> None:
        """Claim as much as the link has room for. Called whenever there may be work or room."""
        # What is snoozed stands before everything else, so nothing is taken until it is back.
        if self._claiming or self._snoozed or not self._recovered or self._resting():
            return
        room = min(self.link.room(self.lane) - self._reserved, _CLAIM_MAX)
        if room <= 0:
            return
        taken = self.queue.take(room)
        if taken:
            self._claiming = True
            claim = Claim([_work_key(due) for due in taken], self._clock.now_ms(), self._tenure.fence)
            self._committer.put(claim, partial(self._claimed, taken))

    def outcome(self, shipment: Shipment, outcome: Outcome) -> None:
        """The link's word on a shipment: store it."""
        now_ms = self._clock.now_ms()
        if isinstance(outcome, Snooze):
            self._snoozed += 1
            self._pause(outcome.until_ms)
        if self._tracer.on:
            self._trace(shipment, outcome)
        self._store_settlement(settlement(shipment, outcome, self.lane, self._policy(), now_ms), outcome)

    @property
    def busy(self) -> int:
        """Shipments with the link or on their way to it, or whose outcome is being stored."""
        return len(self._out) + self._reserved

    async def close(self) -> None:
        """Hand out nothing more. Outcomes are still stored. May be called twice."""
        self._closed = True
        if self._resume is not None:
            self._resume.cancel()
        await self.queue.close()

    def _resting(self) -> bool:
        """Whether nothing may be handed to the link now."""
        return (
            self._closed
            or self._clock.now_ms() < self._paused_until_ms
            or self._policy().paused
            or not self._tenure.held()
        )

    def _claimed(self, taken: Sequence[DueWork], result: Sequence[WorkKey] | Exception) -> None:
        self._claiming = False
        if isinstance(result, LeaseLost):
            for due in taken:
                self.queue.settled(_work_key(due))
            return
        if isinstance(result, Exception):
            self._telemetry.problem("claim_failed", lane=self.lane, error=str(result))
            self.queue.put_back(taken)
            self._pause(self._clock.now_ms() + _STORE_AGAIN_MS)
            return
        claimed = set(result)
        for due in taken:
            key = _work_key(due)
            if key not in claimed:  # expired or removed since it was read
                self.queue.settled(key)
                continue
            self._out[key] = due
            self._hand_over(_shipment(due))
        self.pump()

    def _hand_over(self, shipment: Shipment) -> None:
        """Submit what is claimed, unless things have changed since it was taken."""
        now_ms = self._clock.now_ms()
        if shipment.message.valid_until_ms <= now_ms:
            expired = Refused(errorcodes.EXPIRED, "its validity ended in the queue")
            change = _failed(shipment, Happening.EXPIRED, expired, self.lane, self._policy(), now_ms)
            self._store_settlement(change, None)
        elif self._resting():  # the link never sees it: it is not in doubt
            self.outcome(shipment, Snooze(self._paused_until_ms, "the lane rests"))
        else:
            if self._tracer.on:
                self._tracer.handed_over(shipment.work_key)
            self.link.submit(self.lane, shipment)

    def _trace(self, shipment: Shipment, outcome: Outcome) -> None:
        policy = self._policy()
        step = "submit" if policy.submits else "fetch"
        self._tracer.submitted(
            shipment.work_key, step, policy.carrier_id, self.lane, shipment.attempt, outcome
        )

    def _store_settlement(self, change: Settle, outcome: Outcome | None) -> None:
        self._committer.put(self._fenced(change), partial(self._settled, change, outcome))

    def _fenced(self, change: Settle) -> Settle:
        fence = self._tenure.fence
        return change if fence is None else replace(change, fence=fence)

    @property
    def fence(self) -> Fence | None:
        """What is to be stored with rows of this lane that are claimed as they are accepted."""
        return self._tenure.fence

    def _settled(self, change: Settle, outcome: Outcome | None, result: Settled | Exception) -> None:
        if isinstance(result, LeaseLost):
            self._telemetry.count("trebuchet_lease_lost_total", self.lane)
            self._out.pop(change.key, None)
            self.queue.settled(change.key)
            return
        if isinstance(result, Exception):
            # The outcome is known and must not be lost: the shipment stays claimed until it is stored.
            self._telemetry.problem("settle_failed", lane=self.lane, error=str(result))
            if not self._closed:
                again_ms = self._clock.now_ms() + _STORE_AGAIN_MS
                self._clock.call_at(again_ms, partial(self._store_settlement, change, outcome))
            return
        due = self._out.pop(change.key, None)
        if isinstance(outcome, Snooze):
            self._snoozed -= 1
        if change.requeue is None:
            self.queue.settled(change.key)
            self._released(1)
        elif change.requeue.lane != self.lane:
            self.queue.settled(change.key)
            self._moved(change.requeue)
        elif isinstance(outcome, Snooze) and due is not None:
            self.queue.put_back([due])
        else:
            self.queue.settled(change.key, change.requeue.due_ms)
        if result.announcements:
            self._announce(result.announcements)
        self._telemetry.count(
            "trebuchet_submits_total", self.lane, type(outcome).__name__ if outcome else "Expired"
        )
        self.pump()

    def _pause(self, until_ms: int) -> None:
        if until_ms > self._paused_until_ms:
            self._paused_until_ms = until_ms
            if self._resume is not None:
                self._resume.cancel()
            self._resume = self._clock.call_at(until_ms, self.pump)


def _work_key(due: DueWork) -> WorkKey:
    return (due.item.message_id, due.item.recipient)


def _due_ms(due: DueWork) -> int:
    return due.item.due_ms


def _shipment(due: DueWork) -> Shipment:
    return Shipment(due.message, due.deliveries, due.item.attempts + 1, _work_key(due), due.item.due_ms)

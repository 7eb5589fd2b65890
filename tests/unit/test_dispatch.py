"""What is stored for each answer of a carrier, and how a lane's work gets to its link."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from outbox.doubles import OutboxTable, as_store
from outbox.loops import settle_loop
from outbox.records import APPLICATION, CARRIER, DAY, LANE, T0, delivery, due_work, message

from trebuchet.carriers.base import (
    Accepted,
    LinkState,
    Lost,
    Outcome,
    Refused,
    RetryAt,
    Shipment,
    Snooze,
)
from trebuchet.clock import ManualClock
from trebuchet.dispatch import ATTEMPTS_MAX, LaneWorker, Policy, settlement
from trebuchet.errors import StorageUnavailable
from trebuchet.model.account import InDoubt
from trebuchet.model.events import Announcement, EventType
from trebuchet.model.message import GROUP, Kind, Message, Pdu, Segment, WorkItem
from trebuchet.model.status import State
from trebuchet.nodes.tenancy import FOREVER
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import Claim, DueWork, Exchange, Settle
from trebuchet.telemetry import Telemetry
from trebuchet.tracing import OFF, Outlet, Span, Tracer

NOW = T0 + 5_000
SECOND = 1000
TIMEOUT_MS = 7_200_000
PDUS = ((NOW - 2, "out", b"\x00\x01"), (NOW, "in", b"\xff"))
WAIT = Policy(CARRIER, InDoubt.FAIL, TIMEOUT_MS)
RESEND = Policy(CARRIER, InDoubt.RESEND, TIMEOUT_MS)


def shipment(of: Message, attempt: int = 1) -> Shipment:
    due = due_work(of)
    return Shipment(of, due.deliveries, attempt, (of.id, due.item.recipient), due.item.due_ms)


def settled(outcome: Outcome, *, attempt: int = 1, policy: Policy = WAIT, **fields: Any) -> Settle:
    return settlement(shipment(message(**fields), attempt), outcome, LANE, policy, NOW)


# ---- the decision ----


def test_an_accepted_message_awaits_its_receipts() -> None:
    """Each segment is stored with the carrier's id; the time-out of the receipt starts now."""
    change = settled(Accepted((("c-1", "c-2"),)), attempt=2)
    assert change.key == ("m-1", 0)
    assert change.deliveries == [
        delivery(
            state=State.SENT, attempts=2, segments_total=2, submitted_ms=NOW, receipt_due_ms=NOW + TIMEOUT_MS
        )
    ]
    assert change.segments == [
        Segment("m-1", 0, number, CARRIER, carrier_id, "taken", None, NOW, None)
        for number, carrier_id in enumerate(["c-1", "c-2"])
    ]
    assert (change.announcements, change.exchanges, change.requeue) == ([], (), None)


def test_an_accepted_group_message_is_announced_as_sending_to_each_recipient() -> None:
    """Picture and group messages have the event `message-sending`; text messages do not."""
    change = settled(Accepted((("c-1",), ("c-2",))), to=("+19195551234", "+19195551235"))
    assert change.key == ("m-1", GROUP)
    assert [(d.recipient, d.state) for d in change.deliveries] == [(0, State.SENT), (1, State.SENT)]
    assert [(s.recipient, s.carrier_message_id) for s in change.segments] == [(0, "c-1"), (1, "c-2")]
    assert [(a.event.type, a.event.to) for a in change.announcements] == [
        (EventType.SENDING, "+19195551234"),
        (EventType.SENDING, "+19195551235"),
    ]
    assert change.announcements[0].item.application_id == APPLICATION


@pytest.mark.parametrize(
    ("outcome", "attempt", "valid_until_ms"),
    [
        (Refused(4720, "no such number"), 1, T0 + DAY),
        (RetryAt(NOW + SECOND, 4720, "no such number"), ATTEMPTS_MAX, T0 + DAY),
        (RetryAt(NOW + SECOND, 4720, "no such number"), 1, NOW + SECOND - 1),
    ],
    ids=["refused", "the last attempt was made", "it would come back too late"],
)
def test_a_failed_message_is_final_and_announced(outcome: Outcome, attempt: int, valid_until_ms: int) -> None:
    """With the code that the outcome carries; what the carrier said is kept for `trebuchet show`."""
    change = settled(outcome, attempt=attempt, valid_until_ms=valid_until_ms)
    assert change.deliveries == [
        delivery(
            state=State.FAILED, error_code=4720, description="no such number", attempts=attempt, final_ms=NOW
        )
    ]
    (announcement,) = change.announcements
    assert announcement.event.type is EventType.FAILED
    assert announcement.event.error_code == 4720
    assert announcement.event.description == "invalid-destination-address"
    assert change.exchanges == [Exchange("m-1", 0, NOW, "refused", CARRIER, 4720, "no such number")]
    assert (change.segments, change.requeue) == ([], None)


def test_segments_that_were_taken_before_a_refusal_are_kept() -> None:
    """The message has failed; the receipts of its first parts still find them."""
    change = settled(Refused(4720, taken=((0, "c-1"), (2, "c-3"))), segment_count=3)
    assert [d.state for d in change.deliveries] == [State.FAILED]
    assert change.segments == [
        Segment("m-1", 0, number, CARRIER, carrier_id, "taken", None, NOW, None)
        for number, carrier_id in [(0, "c-1"), (2, "c-3")]
    ]


def test_a_failed_group_message_fails_for_each_recipient() -> None:
    """One final event per recipient."""
    change = settled(Refused(4720), to=("+19195551234", "+19195551235"))
    assert [d.state for d in change.deliveries] == [State.FAILED, State.FAILED]
    assert [(a.event.type, a.event.recipient) for a in change.announcements] == [
        (EventType.FAILED, 0),
        (EventType.FAILED, 1),
    ]


@pytest.mark.parametrize(
    ("outcome", "policy", "due_ms", "attempts", "what"),
    [
        (RetryAt(NOW + SECOND, 5600, "why"), WAIT, NOW + SECOND, 2, ("retry", 5600)),
        (RetryAt(T0 + DAY, 5600, "why"), WAIT, T0 + DAY, 2, ("retry", 5600)),
        (Snooze(NOW + SECOND, "why"), WAIT, T0, 1, ("snooze", None)),
        (Lost("why"), RESEND, NOW, 2, ("resubmit", None)),
    ],
    ids=["a retry counts", "a retry at the end of validity", "a snooze does not count", "lost and resent"],
)
def test_what_comes_back_is_requeued(
    outcome: Outcome, policy: Policy, due_ms: int, attempts: int, what: tuple[str, int | None]
) -> None:
    """The delivery stays as it is; a snoozed one keeps its place in the lane."""
    change = settled(outcome, attempt=2, policy=policy)
    assert change.requeue == WorkItem(LANE, due_ms, "m-1", 0, attempts, T0 + DAY)
    assert change.exchanges == [Exchange("m-1", 0, NOW, what[0], CARRIER, what[1], "why")]
    assert (change.deliveries, change.segments, change.announcements) == ((), (), ())


def test_a_lost_message_is_in_doubt_where_it_must_not_be_resent() -> None:
    """It waits for a late receipt as long as for any receipt, and nothing is announced."""
    change = settled(Lost("no answer"), attempt=2)
    assert change.deliveries == [delivery(state=State.IN_DOUBT, attempts=2, receipt_due_ms=NOW + TIMEOUT_MS)]
    assert change.exchanges == [Exchange("m-1", 0, NOW, "lost", CARRIER, None, "no answer")]
    assert (change.announcements, change.requeue) == ((), None)


def test_segments_that_were_taken_of_a_lost_message_are_kept() -> None:
    """Their receipts count; how many parts there are is known from the link."""
    change = settled(Lost(taken=((1, "c-2"),), parts=3), segment_count=2)
    assert [(d.state, d.segments_total) for d in change.deliveries] == [(State.IN_DOUBT, 3)]
    assert change.segments == [Segment("m-1", 0, 1, CARRIER, "c-2", "taken", None, NOW, None)]


def test_segments_of_a_submit_that_is_repeated_are_not_kept() -> None:
    """Each would count twice: by the id of the first submit and by that of the second."""
    change = settled(Lost(taken=((0, "c-1"),)), policy=RESEND)
    assert (change.segments, change.deliveries) == ((), ())


@pytest.mark.parametrize(
    "outcome",
    [
        Accepted((("c",),), pdus=PDUS),
        Refused(1, pdus=PDUS),
        RetryAt(NOW, 1, pdus=PDUS),
        RetryAt(T0 + 2 * DAY, 1, pdus=PDUS),
        Snooze(NOW, pdus=PDUS),
        Lost(pdus=PDUS),
    ],
    ids=["accepted", "refused", "retry", "retry too late", "snooze", "lost"],
)
@pytest.mark.parametrize("policy", [WAIT, RESEND], ids=["wait", "resend"])
def test_the_pdus_of_every_outcome_are_kept(outcome: Outcome, policy: Policy) -> None:
    """With the lane and in their order."""
    assert settled(outcome, policy=policy).pdus == [
        Pdu("m-1", 0, NOW - 2, 0, LANE, "out", b"\x00\x01"),
        Pdu("m-1", 0, NOW, 1, LANE, "in", b"\xff"),
    ]


@pytest.mark.parametrize(
    "outcome",
    [Accepted((("c",),)), Refused(1), RetryAt(NOW, 1), Snooze(NOW), Lost()],
    ids=lambda outcome: type(outcome).__name__,
)
def test_a_shipment_is_not_changed_by_its_settlement(outcome: Outcome) -> None:
    """The same shipment may be settled again if storing failed."""
    given = shipment(message())
    settlement(given, outcome, LANE, WAIT, NOW)
    assert given == shipment(message())


# ---- the worker ----


class Link:
    """Remembers what is submitted; has as much room as it is told."""

    carrier_id = CARRIER
    lanes = (LANE,)
    state = LinkState.UP

    def __init__(self, free: int, claimed: Callable[[], set[tuple[str, int]]]) -> None:
        self.free = free
        self.shipments: list[Shipment] = []
        self._claimed = claimed

    def room(self, lane: str) -> int:
        assert lane == LANE
        return self.free

    def submit(self, lane: str, shipment: Shipment) -> None:
        assert lane == LANE
        assert shipment.work_key in self._claimed(), "submitted before its claim was committed"
        self.free -= 1
        self.shipments.append(shipment)

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self, grace_s: float) -> None:
        """Nothing to stop."""


class Works:
    """A lane worker between a table and a link, at a time that stands still."""

    def __init__(self, *stored: DueWork, free: int = 10, policy: Policy = WAIT, tracer: Tracer = OFF) -> None:
        self.clock = ManualClock(T0)
        self.table = OutboxTable()
        self.table.commit(*stored)
        self.link = Link(free, lambda: self.table.claimed)
        self.policy = policy
        self.telemetry = Telemetry()
        self.announced: list[Announcement] = []
        self.released = 0
        self.moved: list[WorkItem] = []
        self.committer = Committer(as_store(self.table), batch_max=100, observe=lambda size, seconds: None)
        self.worker = LaneWorker(
            LANE,
            self.link,
            policy=lambda: self.policy,
            tenure=FOREVER,
            clock=self.clock,
            committer=self.committer,
            store=as_store(self.table),
            memory=10,
            announce=self.announced.extend,
            released=self._release,
            moved=self.moved.append,
            telemetry=self.telemetry,
            tracer=tracer,
        )

    def _release(self, rows: int) -> None:
        self.released += rows

    async def start(self) -> None:
        await self.worker.recover()
        await settle_loop()

    async def offer(self, *due: DueWork) -> None:
        """Commit rows and hand them to the lane, as accepting does."""
        self.table.commit(*due)
        for row in due:
            self.worker.offer(row)
        self.worker.pump()
        await settle_loop()

    def accept(self, name: str, due_ms: int = T0) -> DueWork:
        """A row as it would be stored now; then `offer` it."""
        accepted = row(name, due_ms=due_ms)
        claimed_ms = T0 if self.worker.reserve(due_ms) else None
        return replace(accepted, item=replace(accepted.item, claimed_ms=claimed_ms))

    async def answer(self, outcome: Outcome, which: int = -1) -> None:
        """The carrier's answer to a shipment, the latest unless told otherwise, and all that follows at once."""
        self.link.free += 1
        self.worker.outcome(self.link.shipments[which], outcome)
        await self.committed()

    async def committed(self) -> None:
        await self.committer.drain()
        await settle_loop()

    async def pass_ms(self, duration_ms: int) -> None:
        self.clock.advance(duration_ms)
        await settle_loop()
        await self.committed()

    async def make_room(self, free: int) -> None:
        self.link.free = free
        self.worker.pump()
        await self.committed()

    @property
    def submitted(self) -> list[str]:
        return [shipment.message.id for shipment in self.link.shipments]

    def settled_as(self, what: str) -> list[str]:
        """Ids whose settlement said `what` of them."""
        return [
            exchange.message_id
            for change in self.table.changes
            if isinstance(change, Settle)
            for exchange in change.exchanges
            if exchange.what == what
        ]


def row(id_: str, due_ms: int = T0, **fields: Any) -> DueWork:
    return due_work(message(id_, **fields), due_ms)


pytest_async = pytest.mark.anyio


@pytest_async
async def test_stored_work_is_claimed_and_then_submitted() -> None:
    """In the order of the lane; the link is handed nothing whose claim is not on disk."""
    works = Works(row("b", T0 - 1), row("a"), row("c"))
    await works.start()
    assert works.submitted == ["b", "a", "c"]
    assert [s.attempt for s in works.link.shipments] == [1, 1, 1]
    assert works.worker.busy == 3


@pytest_async
async def test_nothing_is_submitted_while_a_claim_is_being_written() -> None:
    """A slow disk delays the submit, whatever else wakes the lane."""
    works = Works()
    await works.start()
    works.table.answer = None
    await works.offer(row("a"))
    works.worker.pump()
    await settle_loop()
    assert works.submitted == []
    assert works.table.changes == [Claim([("a", 0)], T0)]


# ---- rows that are claimed as they are accepted ----


@pytest_async
async def test_a_row_is_claimed_as_it_is_accepted_while_the_link_has_room() -> None:
    """It is submitted after the commit of its message, which no other commit follows."""
    works = Works(free=2)
    await works.start()
    accepted = [works.accept(name) for name in "abc"]
    assert [each.item.claimed_ms for each in accepted] == [T0, T0, None]
    assert (works.worker.busy, works.submitted) == (2, [])
    await works.offer(*accepted)
    assert (works.worker.busy, works.submitted, works.table.changes) == (2, ["a", "b"], [])
    await works.answer(Accepted((("m-1",),)), 0)
    assert works.submitted == ["a", "b", "c"]


@pytest_async
async def test_room_that_is_promised_is_not_given_to_another() -> None:
    """What waits in the table is claimed only into the room that is left, and more when a promise falls through."""
    works = Works(free=1)
    await works.start()
    works.accept("a")
    await works.offer(works.accept("b"))
    assert works.submitted == []
    works.worker.withdraw(reserved=True)
    works.worker.pump()
    await works.committed()
    assert works.submitted == ["b"]


@pytest_async
async def test_a_row_that_failed_to_be_stored_is_forgotten() -> None:
    """Later ones are claimed as they are accepted again."""
    works = Works(free=1)
    await works.start()
    assert works.accept("a").item.claimed_ms == T0
    assert works.accept("b").item.claimed_ms is None
    works.worker.withdraw(reserved=False)
    works.worker.withdraw(reserved=True)
    assert works.accept("c").item.claimed_ms == T0


@pytest_async
async def test_no_row_overtakes_one_that_waits() -> None:
    """Neither one in the lane, nor one that is being stored, nor one that was snoozed."""
    works = Works(row("a"), free=0)
    await works.start()
    works.link.free = 9
    assert works.accept("b").item.claimed_ms is None
    works.worker.pump()
    await works.committed()
    assert works.submitted == ["a"]
    assert works.accept("c").item.claimed_ms is None, "b is still being stored"
    await works.offer(row("b"), row("c"))
    await works.committed()
    assert works.accept("d").item.claimed_ms == T0
    works.worker.outcome(works.link.shipments[0], Snooze(T0 + SECOND))
    assert works.accept("e").item.claimed_ms is None


@pytest_async
@pytest.mark.parametrize("why", ["later", "paused", "closed", "not recovered"])
async def test_a_lane_that_must_not_submit_now_claims_nothing(why: str) -> None:
    """The row waits in the table as every other."""
    works = Works()
    if why != "not recovered":
        await works.start()
    if why == "paused":
        works.policy = replace(WAIT, paused=True)
    if why == "closed":
        await works.worker.close()
    due_ms = T0 + SECOND if why == "later" else T0
    assert works.accept("a", due_ms).item.claimed_ms is None


@pytest_async
async def test_what_was_claimed_for_a_lane_that_then_rests_is_not_in_doubt() -> None:
    """The link never sees it, and it goes back into the queue."""
    works = Works()
    await works.start()
    accepted = works.accept("a")
    works.policy = replace(WAIT, paused=True)
    await works.offer(accepted)
    await works.committed()
    assert (works.submitted, works.table.claimed) == ([], set())
    assert works.settled_as("snooze") == ["a"]


@pytest_async
async def test_the_links_room_is_kept() -> None:
    """No more is claimed than can be submitted: what waits in the table is not in doubt after a crash."""
    works = Works(*(row(name) for name in "abcde"), free=2)
    await works.start()
    assert works.submitted == ["a", "b"]
    assert works.table.claimed == {("a", 0), ("b", 0)}
    await works.make_room(1)
    assert works.submitted == ["a", "b", "c"]
    await works.make_room(5)
    assert works.submitted == ["a", "b", "c", "d", "e"]


@pytest_async
async def test_an_accepted_message_leaves_the_queue() -> None:
    """Its row is deleted, counted as released, and the next one takes its room in the window."""
    works = Works(row("a"), row("b"), free=1)
    await works.start()
    await works.answer(Accepted((("c-1",),)))
    assert works.submitted == ["a", "b"]
    assert works.table.rows.keys() == {("b", 0)}
    assert (works.released, works.worker.busy, works.announced) == (1, 1, [])
    assert works.telemetry.value("trebuchet_submits_total", LANE, "Accepted") == 1


@pytest_async
async def test_a_refused_message_is_announced() -> None:
    """The application hears of it once it is stored."""
    works = Works(row("a"))
    await works.start()
    await works.answer(Refused(4720, "no"))
    assert [a.event.type for a in works.announced] == [EventType.FAILED]
    assert (works.released, works.table.rows) == (1, {})


@pytest_async
async def test_a_snooze_pauses_the_lane_and_keeps_its_order() -> None:
    """The same message is first when the pause ends, and no attempt was counted."""
    works = Works(row("a"), row("b"), free=1)
    await works.start()
    await works.answer(Snooze(T0 + SECOND, "throttled"))
    await works.make_room(10)
    assert works.submitted == ["a"]
    await works.pass_ms(SECOND - 1)
    assert works.submitted == ["a"]
    await works.pass_ms(1)
    assert works.submitted == ["a", "a", "b"]
    assert [s.attempt for s in works.link.shipments] == [1, 1, 1]
    assert works.released == 0


@pytest_async
async def test_snoozed_messages_come_back_in_the_old_order() -> None:
    """Whatever the order of the answers, and before what was committed meanwhile."""
    works = Works(row("a"), row("b"), row("c"))
    await works.start()
    until = Snooze(T0 + SECOND, "throttled")
    for which in (1, 2, 0):
        await works.answer(until, which)
    await works.offer(row("d"))
    await works.pass_ms(SECOND)
    assert works.submitted == ["a", "b", "c", "a", "b", "c", "d"]


@pytest_async
async def test_a_pause_that_ends_before_the_snooze_is_stored_lets_nothing_overtake() -> None:
    """Nothing is taken from the lane until the snoozed message is back at its head."""
    works = Works(row("a"), row("b"), free=1)
    await works.start()
    works.table.answer, answer = None, works.table.answer
    works.link.free = 10
    works.worker.outcome(works.link.shipments[0], Snooze(T0, "the window is full"))
    await settle_loop()
    works.worker.pump()
    await settle_loop()
    assert works.submitted == ["a"]
    works.table.answer = answer
    works.table.complete()
    await works.committed()
    assert works.submitted == ["a", "a", "b"]


@pytest_async
async def test_what_was_claimed_when_a_pause_began_is_not_submitted() -> None:
    """A throttled carrier is handed nothing more; the claim is given back, and order is kept."""
    works = Works(row("a"))
    await works.start()
    works.table.answer, answer = None, works.table.answer
    await works.offer(row("b"), row("c"))
    works.worker.outcome(works.link.shipments[0], Snooze(T0 + SECOND, "throttled"))
    works.table.answer = answer
    works.table.complete()
    await works.committed()
    assert works.submitted == ["a"]
    assert works.table.claimed == set()
    await works.pass_ms(SECOND)
    assert works.submitted == ["a", "a", "b", "c"]


@pytest_async
async def test_a_retry_counts_as_an_attempt_and_does_not_hold_up_others() -> None:
    """It comes back when it is due; other messages pass meanwhile."""
    works = Works(row("a"), row("b"), free=1)
    await works.start()
    await works.answer(RetryAt(T0 + SECOND, 5600, "busy"))
    assert works.submitted == ["a", "b"]
    await works.make_room(5)
    await works.pass_ms(SECOND)
    assert [(s.message.id, s.attempt) for s in works.link.shipments] == [("a", 1), ("b", 1), ("a", 2)]


@pytest_async
async def test_retries_end() -> None:
    """After the last attempt the message fails with the code that the carrier gave."""
    works = Works(row("a"))
    await works.start()
    for attempt in range(ATTEMPTS_MAX):
        assert len(works.submitted) == attempt + 1
        await works.answer(RetryAt(works.clock.now_ms() + SECOND, 5600, "busy"))
        await works.pass_ms(SECOND)
    assert len(works.submitted) == ATTEMPTS_MAX
    assert [(a.event.type, a.event.error_code) for a in works.announced] == [(EventType.FAILED, 5600)]


@pytest_async
async def test_a_lost_message_is_submitted_again_where_it_may_be() -> None:
    """Under `resend` it comes back at once."""
    works = Works(row("a"), policy=RESEND)
    await works.start()
    await works.answer(Lost("time-out"))
    assert works.submitted == ["a", "a"]
    assert works.released == 0


@pytest_async
async def test_a_lost_message_is_not_submitted_again_where_it_must_not_be() -> None:
    """Under `fail` it leaves the queue and waits for a late receipt; nothing is announced yet."""
    works = Works(row("a"))
    await works.start()
    await works.answer(Lost("time-out"))
    assert (works.submitted, works.table.rows, works.released) == (["a"], {}, 1)
    assert works.announced == []


@pytest_async
@pytest.mark.parametrize(
    ("policy", "submitted", "released"), [(RESEND, ["a", "b"], 0), (WAIT, ["b"], 1)], ids=["resend", "fail"]
)
async def test_what_was_claimed_before_a_crash_is_in_doubt(
    policy: Policy, submitted: list[str], released: int
) -> None:
    """After a restart the policy decides about it before anything else is submitted."""
    works = Works(row("a"), row("b"), policy=policy)
    works.table.claimed.add(("a", 0))
    works.worker.pump()
    await settle_loop()
    assert works.submitted == []
    await works.start()
    assert works.submitted == submitted
    assert works.released == released
    assert works.telemetry.value("trebuchet_in_doubt_total", LANE) == 1


@pytest_async
async def test_a_shipment_in_doubt_is_traced_by_whoever_finds_it() -> None:
    """From its claim until it was found, with the outcome that nobody knows what became of it."""
    spans: list[Span] = []
    clock = ManualClock(T0 + 60_000)

    def export(batch: Sequence[Span]) -> bool:
        spans.extend(batch)
        return True

    outlet = Outlet(export, clock=clock, telemetry=Telemetry())
    due = row("a")
    works = Works(replace(due, item=replace(due.item, claimed_ms=T0)), tracer=Tracer(outlet, clock=clock))
    await works.start()
    await outlet.close(10)
    (span,) = spans
    assert (span.name, span.start_ms, span.end_ms, span.failed) == ("submit", T0, T0 + 60_000, True)
    assert span.attributes["trebuchet.outcome"] == "Lost"


@pytest_async
async def test_a_failed_claim_submits_nothing_and_is_repeated() -> None:
    """After a second, in the same order."""
    works = Works(row("a"), row("b"))
    works.table.failing[Claim] = [StorageUnavailable("disk full")]
    await works.start()
    assert works.submitted == []
    assert works.telemetry.value("trebuchet_problems_total", "claim_failed") == 1
    await works.pass_ms(SECOND)
    assert works.submitted == ["a", "b"]


@pytest_async
async def test_a_row_that_could_not_be_claimed_is_left_alone() -> None:
    """It expired or was removed since it was read; nobody is told a second time, nothing is counted twice."""
    works = Works()
    await works.start()
    works.link.free = 0
    await works.offer(row("a"), row("b"))
    assert works.worker.queue.held == 2
    del works.table.rows["a", 0]
    await works.make_room(2)
    assert works.submitted == ["b"]
    assert (works.released, works.announced) == (0, [])
    await works.answer(Accepted((("c-1",),)))
    assert works.worker.queue.idle


@pytest_async
async def test_an_outcome_that_cannot_be_stored_is_stored_later() -> None:
    """The shipment stays claimed until then: after a crash it is in doubt, which is the truth."""
    works = Works(row("a"))
    await works.start()
    unavailable = StorageUnavailable("disk full")
    works.table.failing[Settle] = [unavailable, unavailable]
    await works.answer(Accepted((("c-1",),)))
    assert (works.worker.busy, works.table.claimed) == (1, {("a", 0)})
    await works.pass_ms(SECOND)
    assert works.worker.busy == 1
    await works.pass_ms(SECOND)
    assert (works.worker.busy, works.table.rows, works.released) == (0, {}, 1)
    assert works.submitted == ["a"]
    assert works.telemetry.value("trebuchet_problems_total", "settle_failed") == 2


@pytest_async
async def test_an_expired_message_fails_without_reaching_the_link() -> None:
    """Its validity is looked at again before each submit; 4360 is announced."""
    works = Works()
    await works.start()
    works.link.free = 0
    await works.offer(row("a", valid_until_ms=T0 + SECOND), row("b", valid_until_ms=T0 + SECOND + 1))
    await works.pass_ms(SECOND)
    await works.make_room(2)
    assert works.submitted == ["b"]
    assert [(a.event.message_id, a.event.error_code) for a in works.announced] == [("a", 4360)]
    assert works.settled_as("expired") == ["a"]
    assert works.released == 1


@pytest_async
async def test_a_message_that_a_sweep_expired_is_not_released_twice() -> None:
    """It is held in memory while the link is down; the sweep fails it in the table and counts it."""
    works = Works()
    await works.start()
    works.link.free = 0
    await works.offer(row("a", valid_until_ms=T0 + SECOND))
    assert works.worker.queue.held == 1
    await works.pass_ms(SECOND)
    del works.table.rows["a", 0]
    await works.make_room(1)
    assert (works.submitted, works.released, works.announced) == ([], 0, [])


@pytest_async
async def test_a_paused_carrier_is_handed_nothing() -> None:
    """Until its record says otherwise and somebody wakes the lane."""
    works = Works(row("a"), policy=replace(WAIT, paused=True))
    await works.start()
    assert (works.submitted, works.table.changes) == ([], [])
    works.policy = WAIT
    works.worker.pump()
    await works.committed()
    assert works.submitted == ["a"]


@pytest_async
async def test_a_carrier_paused_during_a_claim_is_handed_nothing() -> None:
    """The claim is given back without a pause of time: the lane goes on when the record allows it."""
    works = Works()
    await works.start()
    works.table.answer, answer = None, works.table.answer
    await works.offer(row("a"))
    works.policy = replace(WAIT, paused=True)
    works.table.answer = answer
    works.table.complete()
    await works.committed()
    assert (works.submitted, works.table.claimed) == ([], set())
    works.policy = WAIT
    works.worker.pump()
    await works.committed()
    assert works.submitted == ["a"]


@pytest_async
async def test_a_closed_worker_stores_outcomes_and_submits_nothing() -> None:
    """What is under way is settled; a claim that was under way is given back. It may be closed twice."""
    works = Works(row("a"))
    await works.start()
    works.table.answer, answer = None, works.table.answer
    await works.offer(row("b"), row("c"))
    await works.worker.close()
    await works.worker.close()
    works.table.answer = answer
    works.table.complete()
    await works.committed()
    await works.answer(Accepted((("c-1",),)))
    assert works.submitted == ["a"]
    assert works.table.rows.keys() == {("b", 0), ("c", 0)}
    assert not works.table.claimed
    assert works.worker.busy == 0


@pytest_async
async def test_a_group_message_is_one_shipment() -> None:
    """All recipients go to the link together and are settled together."""
    group = message("g", ("+19195551234", "+19195551235"))
    works = Works(due_work(group))
    await works.start()
    (only,) = works.link.shipments
    assert (len(only.deliveries), only.message.kind, only.work_key) == (2, Kind.MMS, ("g", GROUP))
    await works.answer(Accepted((("c-1",), ("c-2",))))
    assert [a.event.type for a in works.announced] == [EventType.SENDING, EventType.SENDING]
    assert (works.released, works.table.rows) == (1, {})


@pytest_async
async def test_a_long_queue_passes_a_small_memory_in_order() -> None:
    """More rows than memory holds are read back as the link takes them; each is submitted once."""
    works = Works(*(row(f"{number:03d}") for number in range(60)), free=3)
    await works.start()
    await works.offer(row("100"))
    for which in range(61):
        await works.answer(Accepted((("c",),)), which)
    assert works.submitted == [*(f"{number:03d}" for number in range(60)), "100"]
    assert (works.released, works.table.rows) == (61, {})

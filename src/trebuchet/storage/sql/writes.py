"""One batch of changes, carried out inside the caller's transaction.

Changes are grouped by noun and each group is a handful of statements, whatever its size. The order of the
groups makes a receipt that arrives in the same batch as the response it belongs to find its segment.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trebuchet.errors import IdempotencyMismatch, LeaseLost
from trebuchet.model import carrierids, errorcodes, ledger
from trebuchet.model.events import Announcement, CallbackItem
from trebuchet.model.message import Delivery, Kind
from trebuchet.model.status import FINAL, Happening, State
from trebuchet.storage.base import (
    Accept,
    Change,
    Claim,
    Create,
    DeleteMedia,
    DropOwed,
    DropParts,
    Expired,
    ExpireWork,
    Fence,
    Heartbeat,
    HoldPart,
    IdempotencyKey,
    Leave,
    PartsGone,
    Prune,
    PutMedia,
    RecheckParked,
    Record,
    RecordAudit,
    RecordHandset,
    RecordReceipt,
    RematchParked,
    Remove,
    Replay,
    Settle,
    SettleCallback,
    Settled,
    SweepContents,
    TimeOutReceipts,
    WorkKey,
    Write,
)
from trebuchet.storage.sql import leases, media, provisioning, reads
from trebuchet.storage.sql import statements as sql
from trebuchet.storage.sql.announcing import announce
from trebuchet.storage.sql.held import hold_parts, take_parts
from trebuchet.storage.sql.recording import ReceiptBook, delivery_update
from trebuchet.storage.sql.steps import Row, Steps, ask, ask_one, each, over
from trebuchet.storage.sql.tally import delivery_of


class BatchWriter:
    """Carries out changes, one batch at a time. `only_writer`: nobody else writes to the database meanwhile."""

    def __init__(self, *, only_writer: bool) -> None:
        self._book = ReceiptBook(only_writer=only_writer)

    def rolled_back(self) -> None:
        """What this object remembers of the tables is read again: a transaction did not come to pass."""
        self._book.forget()

    def apply(self, changes: Sequence[Write]) -> Steps[list[Any]]:
        """Results in the order of `changes`. Raises on the first change that cannot be done: roll back then."""
        results: list[Any] = [None] * len(changes)
        groups: defaultdict[type, list[int]] = defaultdict(list)
        for place, change in enumerate(changes):
            groups[type(change)].append(place)
        for place, error in (yield from self._stale(changes, groups)).items():
            results[place] = error
            groups[type(changes[place])].remove(place)
        for kind, handler in _HANDLERS.items():
            if places := groups.get(kind):
                done = yield from handler(self, [changes[p] for p in places])
                for place, result in zip(places, done, strict=True):
                    results[place] = result
        return results

    @staticmethod
    def _stale(changes: Sequence[Write], groups: Mapping[type, Sequence[int]]) -> Steps[dict[int, LeaseLost]]:
        """Changes of lanes that have another owner by now, by place."""
        fences: dict[int, Sequence[Fence]] = {}
        for kind in _FENCED:
            for place in groups.get(kind, ()):
                change: Any = changes[place]
                fence = change.fence
                if fence is not None:
                    fences[place] = (fence,)
        for place in groups.get(Accept, ()):
            accept: Any = changes[place]
            if accept.fences:
                fences[place] = accept.fences
        if not fences:
            return {}
        stale = yield from leases.stale({fence for each in fences.values() for fence in each})
        return {
            place: LeaseLost(f"another node has the lane {fence.lane}")
            for place, each in fences.items()
            for fence in each
            if fence in stale
        }

    # ---- accept ----

    def accept(self, changes: Sequence[Accept]) -> Steps[list[Any]]:
        results: list[Any] = [None] * len(changes)
        new: list[Accept] = []
        made_of = [c.parts for c in changes if c.parts is not None]
        taken = yield from take_parts(made_of)
        for place, change in enumerate(changes):
            if change.parts is not None:
                if change.parts not in taken:
                    results[place] = PartsGone()
                    continue
                taken.remove(change.parts)  # also within a batch, one message is made of them
            if change.idempotency is not None:
                results[place] = yield from self._replayed(change, change.idempotency, new)
                if results[place] is not None:
                    continue
            new.append(change)
        yield from over(sql.INSERT_MESSAGES, [c.message for c in new])
        yield from over(sql.INSERT_DELIVERIES, [d for c in new for d in c.deliveries])
        yield from over(sql.INSERT_WORK, [w for c in new for w in c.work])
        yield from announce([a for c in new for a in c.announcements])
        yield from media.refer([r for c in new for r in c.contents], [o for c in new for o in c.media], ())
        yield from over(sql.INSERT_OWED, [o for c in new for o in c.owed])
        return results

    def _replayed(self, change: Accept, key: IdempotencyKey, new: Sequence[Accept]) -> Steps[Any]:
        """The first message of this idempotency key, an exception, or None if the key is new (and now taken)."""
        mine = (key.request_sha256, change.message.id, key.expires_ms)
        now_ms = change.message.received_ms
        if (yield from ask(sql.TAKE_IDEMPOTENT, key.account_id, key.key, *mine, now_ms)):
            return None
        row = yield from ask_one(sql.FIND_IDEMPOTENT, key.account_id, key.key)
        request_sha256, message_id = row or (None, None)
        if request_sha256 != key.request_sha256:
            return IdempotencyMismatch(
                f"Idempotency-Key {key.key!r} was used before with a different request"
            )
        first = yield from ask_one(sql.MESSAGE_BY_ID, message_id)
        if first is not None:
            return reads.message_from_row(first)
        # The first request may stand earlier in this very batch: its row is not inserted yet.
        for earlier in new:
            if earlier.message.id == message_id:
                return earlier.message
        # Retention has deleted its message.
        yield from ask(sql.REPLACE_IDEMPOTENT, *mine, key.account_id, key.key)
        return None

    # ---- submits ----

    def claim(self, changes: Sequence[Claim]) -> Steps[list[Any]]:
        rows = [(message_id, recipient, c.at_ms) for c in changes for message_id, recipient in c.keys]
        claimed = {(row[0], row[1]) for row in (yield from over(sql.CLAIM_WORK, rows))}
        results: list[list[WorkKey]] = []
        for change in changes:
            mine = [key for key in change.keys if key in claimed]
            claimed.difference_update(mine)  # a row has one claimant, also within a batch
            results.append(mine)
        return results

    def settle(self, changes: Sequence[Settle]) -> Steps[list[Any]]:
        final = yield from self._already_final([d for c in changes if c.announcements for d in c.deliveries])
        yield from over(sql.DELETE_WORK, [c.key for c in changes if c.requeue is None])
        yield from over(sql.REQUEUE_WORK, [c.requeue for c in changes if c.requeue is not None])
        yield from over(sql.UPDATE_DELIVERIES, [d for c in changes for d in c.deliveries])
        segments = [s for c in changes for s in c.segments]
        for segment in segments:
            segment.match_key = carrierids.canonical(segment.carrier_message_id)
        yield from over(sql.INSERT_SEGMENTS, segments)
        yield from over(sql.INSERT_EXCHANGES, [x for c in changes for x in c.exchanges])
        yield from over(sql.INSERT_PDUS, [p for c in changes for p in c.pdus])
        yield from media.refer(
            [r for c in changes for r in c.contents], (), [h for c in changes for h in c.held]
        )
        announced = [
            [a for a in c.announcements if (a.event.message_id, a.event.recipient) not in final]
            for c in changes
        ]
        yield from announce([a for announcements in announced for a in announcements])
        doubtful = [d for c in changes for d in c.deliveries if d.state is State.IN_DOUBT]
        late = yield from self._book.unpark(segments, [(d.message_id, d.recipient) for d in doubtful])
        results = [Settled(announcements) for announcements in announced]
        if late:
            self._add_late(changes, results, late)
        return results

    @staticmethod
    def _add_late(
        changes: Sequence[Settle],
        results: list[Settled],
        late: Mapping[WorkKey, tuple[int, Sequence[Announcement]]],
    ) -> None:
        """What receipts that had been waiting bring goes to the settlement of their delivery."""
        places = {(d.message_id, d.recipient): place for place, c in enumerate(changes) for d in c.deliveries}
        for key, (count, announcements) in late.items():
            place = places.get(key, 0)  # of another delivery in doubt: announced all the same
            settled = results[place]
            results[place] = Settled(
                [*settled.announcements, *announcements], settled.matched_receipts + count
            )

    def _already_final(self, deliveries: Sequence[Delivery]) -> Steps[set[WorkKey]]:
        rows = yield from over(sql.DELIVERIES_BY_KEY, [(d.message_id, d.recipient) for d in deliveries])
        stored = [delivery_of(row[3:]) for row in rows]
        return {(d.message_id, d.recipient) for d in stored if d.state in FINAL}

    # ---- receipts ----

    def receipts(self, changes: Sequence[RecordReceipt]) -> Steps[list[Any]]:
        return (yield from self._book.record(changes))

    def rematch(self, changes: Sequence[RematchParked]) -> Steps[list[Any]]:
        return (yield from each(self._book.rematch, changes))

    def recheck(self, changes: Sequence[RecheckParked]) -> Steps[list[Any]]:
        return (yield from each(self._book.recheck, changes))

    def time_out_receipts(self, changes: Sequence[TimeOutReceipts]) -> Steps[list[Any]]:
        results = []
        for change in changes:
            due = yield from ask(sql.RECEIPTS_DUE, change.now_ms, change.limit)
            results.append((yield from self._fail(due, Happening.RECEIPT_TIMEOUT, change.now_ms)))
        return results

    def _fail(self, rows: Sequence[Row], happening: Happening, now_ms: int) -> Steps[list[Announcement]]:
        """Fail deliveries given as (application, kind, segments, *delivery) and queue their callbacks."""
        deliveries: list[Delivery] = []
        announced: list[Announcement] = []
        for row in rows:
            delivery = delivery_of(row[3:])
            code, why = _FAILURE[happening, delivery.state]
            event_type = ledger.verdict(delivery, happening, code, why, now_ms)
            deliveries.append(delivery)
            if event_type is not None:
                announced.append(ledger.announcement(delivery, event_type, row[0], Kind(row[1]), now_ms))
        yield from over(sql.UPDATE_DELIVERIES_BY_RECEIPT, [delivery_update(d) for d in deliveries])
        yield from announce(announced)
        return announced

    def expire_work(self, changes: Sequence[ExpireWork]) -> Steps[list[Any]]:
        results = []
        for change in changes:
            expired = yield from ask(sql.WORK_EXPIRED, change.now_ms, change.limit)
            keys = [(row[0], row[1]) for row in expired]
            groups = [key for key in keys if key[1] < 0]
            deliveries = [key for key in keys if key[1] >= 0]
            deliveries += [(row[0], row[1]) for row in (yield from over(sql.QUEUED_DELIVERIES, groups))]
            rows = yield from over(sql.DELIVERIES_BY_KEY, deliveries)
            yield from over(sql.DELETE_WORK, keys)
            queued = [row for row in rows if row[3 + sql.DELIVERY.index("state")] == State.QUEUED]
            announced = yield from self._fail(queued, Happening.EXPIRED, change.now_ms)
            results.append(Expired(keys=keys, announcements=announced))
        return results

    # ---- callbacks ----

    def settle_callbacks(self, changes: Sequence[SettleCallback]) -> Steps[list[Any]]:
        yield from over(sql.INSERT_ATTEMPTS, [c.attempt for c in changes if c.attempt is not None])
        yield from over(sql.DELETE_CALLBACKS, [(c.event_id,) for c in changes if c.retry is None])
        yield from over(sql.INSERT_CALLBACKS, [c.retry for c in changes if c.retry is not None])
        accepted = [(c.inbound_accepted,) for c in changes if c.inbound_accepted is not None]
        yield from over(sql.ACCEPT_INBOUND, accepted)
        return [None] * len(changes)

    def replay(self, changes: Sequence[Replay]) -> Steps[list[Any]]:
        results = []
        for change in changes:
            rows = yield from over(sql.REPLAYABLE, [(event_id,) for event_id in change.event_ids])
            items = [
                CallbackItem(application_id, change.due_ms, event_id) for application_id, event_id in rows
            ]
            yield from over(sql.INSERT_CALLBACKS, items)
            results.append(items)
        return results

    # ---- the rest ----

    def hold_parts(self, changes: Sequence[HoldPart]) -> Steps[list[Any]]:
        return (yield from hold_parts(changes))

    def drop_parts(self, changes: Sequence[DropParts]) -> Steps[list[Any]]:
        yield from take_parts([change.parts for change in changes])
        return [None] * len(changes)

    def drop_owed(self, changes: Sequence[DropOwed]) -> Steps[list[Any]]:
        yield from over(sql.DELETE_OWED, [(id_,) for c in changes for id_ in c.ids])
        return [None] * len(changes)

    # ---- media ----

    def put_media(self, changes: Sequence[PutMedia]) -> Steps[list[Any]]:
        return (yield from media.put(changes))

    def delete_media(self, changes: Sequence[DeleteMedia]) -> Steps[list[Any]]:
        return (yield from each(media.delete, changes))

    def sweep_contents(self, changes: Sequence[SweepContents]) -> Steps[list[Any]]:
        return (yield from each(media.sweep, changes))

    def record_handset(self, changes: Sequence[RecordHandset]) -> Steps[list[Any]]:
        yield from over(sql.INSERT_HANDSET, [m for c in changes for m in c.messages])
        return [None] * len(changes)

    def record_audit(self, changes: Sequence[RecordAudit]) -> Steps[list[Any]]:
        yield from over(sql.INSERT_AUDIT, [entry for c in changes for entry in c.entries])
        return [None] * len(changes)

    def beat(self, changes: Sequence[Heartbeat]) -> Steps[list[Any]]:
        return (yield from each(leases.beat, changes))

    def leave(self, changes: Sequence[Leave]) -> Steps[list[Any]]:
        return (yield from each(leases.leave, changes))

    def prune(self, changes: Sequence[Prune]) -> Steps[list[Any]]:
        return (yield from each(self._prune, changes))

    def _prune(self, change: Prune) -> Steps[int]:
        # Ids begin with 13 digits of milliseconds, so an age is a bound on the key.
        bound = f"{change.before_ms:013d}"
        if change.what == "messages":
            ids = [(row[0],) for row in (yield from ask(sql.PRUNABLE_MESSAGES, bound, change.limit))]
            for statement in sql.PRUNE_MESSAGES:
                yield from over(statement, ids)
            return len(ids)
        if change.what not in sql.PRUNE_ROWS:
            raise ValueError(f"nothing called {change.what!r} can be pruned")
        by_time = change.what in ("idempotency", "media", "owed_mails", "parked_receipts")
        older_than = change.before_ms if by_time else bound
        deleted = yield from ask(sql.PRUNE_ROWS[change.what], older_than, change.limit)
        if change.what == "parked_receipts":
            self._book.forget()
        return len(deleted)

    def create(self, changes: Sequence[Create]) -> Steps[list[Any]]:
        return (yield from _audited(provisioning.create, changes))

    def change(self, changes: Sequence[Change]) -> Steps[list[Any]]:
        return (yield from _audited(provisioning.change, changes))

    def remove(self, changes: Sequence[Remove]) -> Steps[list[Any]]:
        return (yield from _audited(provisioning.remove, changes))


def _audited(
    carry_out: Callable[[Record], Steps[None]], changes: Sequence[Create | Change | Remove]
) -> Steps[list[Any]]:
    done = yield from each(carry_out, [change.record for change in changes])
    yield from leases.count_directory()
    yield from over(sql.INSERT_AUDIT, [change.audit for change in changes if change.audit is not None])
    return done


_HANDLERS: dict[type, Any] = {
    Create: BatchWriter.create,
    Change: BatchWriter.change,
    Remove: BatchWriter.remove,
    # Before messages are made of parts: those that came in the meantime make the set another one.
    HoldPart: BatchWriter.hold_parts,
    Accept: BatchWriter.accept,
    DropParts: BatchWriter.drop_parts,
    Claim: BatchWriter.claim,
    Settle: BatchWriter.settle,
    RecordReceipt: BatchWriter.receipts,
    RematchParked: BatchWriter.rematch,
    RecheckParked: BatchWriter.recheck,
    TimeOutReceipts: BatchWriter.time_out_receipts,
    ExpireWork: BatchWriter.expire_work,
    SettleCallback: BatchWriter.settle_callbacks,
    Replay: BatchWriter.replay,
    RecordHandset: BatchWriter.record_handset,
    DropOwed: BatchWriter.drop_owed,
    RecordAudit: BatchWriter.record_audit,
    PutMedia: BatchWriter.put_media,
    DeleteMedia: BatchWriter.delete_media,
    Prune: BatchWriter.prune,
    SweepContents: BatchWriter.sweep_contents,
    Heartbeat: BatchWriter.beat,
    Leave: BatchWriter.leave,
}
_FENCED = (Claim, Settle, SettleCallback)

_FAILURE = {
    (Happening.RECEIPT_TIMEOUT, State.SENT): (errorcodes.RECEIPT_EXPIRED, "no receipt in time"),
    (Happening.RECEIPT_TIMEOUT, State.IN_DOUBT): (errorcodes.NOT_ACKNOWLEDGED, "the carrier never answered"),
    (Happening.EXPIRED, State.QUEUED): (errorcodes.EXPIRED, "its validity ended in the queue"),
}

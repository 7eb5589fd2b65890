"""One batch of changes, carried out on one connection inside the caller's transaction.

Changes are grouped by noun and each group is a handful of statements, whatever its size. The order of the
groups makes a receipt that arrives in the same batch as the response it belongs to find its segment.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trebuchet.errors import IdempotencyMismatch
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
    HoldPart,
    IdempotencyKey,
    PartsGone,
    Prune,
    PutMedia,
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
from trebuchet.storage.sqlite import media, provisioning, reads
from trebuchet.storage.sqlite import statements as sql
from trebuchet.storage.sqlite.dbapi import Connection
from trebuchet.storage.sqlite.held import hold_parts, take_parts
from trebuchet.storage.sqlite.over import Over
from trebuchet.storage.sqlite.recording import ReceiptBook, delivery_update
from trebuchet.storage.sqlite.rows import announce, rows_parameter, run, select
from trebuchet.storage.sqlite.tally import delivery_of


class BatchWriter:
    """Carries out changes on one connection. Not thread-safe; used by the writer thread only."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self._book = ReceiptBook(connection)

    def rolled_back(self) -> None:
        """What this object remembers of the tables is read again: a transaction did not come to pass."""
        self._book.reload()

    def apply(self, changes: Sequence[Write]) -> list[Any]:
        """Results in the order of `changes`. Raises on the first change that cannot be done: roll back then."""
        results: list[Any] = [None] * len(changes)
        groups: defaultdict[type, list[int]] = defaultdict(list)
        for place, change in enumerate(changes):
            groups[type(change)].append(place)
        for kind, handler in _HANDLERS.items():
            if places := groups.get(kind):
                for place, result in zip(places, handler(self, [changes[p] for p in places]), strict=True):
                    results[place] = result
        return results

    def _run(self, statement: str | Over, rows: Sequence[Any]) -> None:
        run(self._db, statement, rows)

    # ---- accept ----

    def accept(self, changes: Sequence[Accept]) -> list[Any]:
        results: list[Any] = [None] * len(changes)
        new: list[Accept] = []
        made_of = [c.parts for c in changes if c.parts is not None]
        taken = take_parts(self._db, made_of)
        for place, change in enumerate(changes):
            if change.parts is not None:
                if change.parts not in taken:
                    results[place] = PartsGone()
                    continue
                taken.remove(change.parts)  # also within a batch, one message is made of them
            if change.idempotency is not None:
                results[place] = self._replayed(change, change.idempotency, new)
                if results[place] is not None:
                    continue
            new.append(change)
        self._run(sql.INSERT_MESSAGES, [c.message for c in new])
        self._run(sql.INSERT_DELIVERIES, [d for c in new for d in c.deliveries])
        self._run(sql.INSERT_WORK, [w for c in new for w in c.work])
        self._announce([a for c in new for a in c.announcements])
        media.refer(self._db, [r for c in new for r in c.contents], [o for c in new for o in c.media], ())
        self._run(sql.INSERT_OWED, [o for c in new for o in c.owed])
        return results

    def _announce(self, announcements: Sequence[Announcement]) -> None:
        announce(self._db, announcements)

    def _replayed(self, change: Accept, key: IdempotencyKey, new: Sequence[Accept]) -> Any:
        """The first message of this idempotency key, an exception, or None if the key is new (and now taken)."""
        now_ms = change.message.received_ms
        found = self._db.execute(sql.FIND_IDEMPOTENT, (key.account_id, key.key, now_ms)).fetchone()
        request_sha256, message_id = found or (None, None)
        if found is not None and request_sha256 != key.request_sha256:
            return IdempotencyMismatch(
                f"Idempotency-Key {key.key!r} was used before with a different request"
            )
        if found is not None:
            row = self._db.execute(sql.MESSAGE_BY_ID, (message_id,)).fetchone()
            if row is not None:
                return reads.message_from_row(row)
            # The first request may stand earlier in this very batch: its row is not inserted yet.
            for earlier in new:
                if earlier.message.id == message_id:
                    return earlier.message
        # A new key, or one whose message retention has deleted.
        taken = (key.account_id, key.key, key.request_sha256, change.message.id, key.expires_ms)
        self._db.execute(sql.PUT_IDEMPOTENT, taken)
        return None

    # ---- submits ----

    def claim(self, changes: Sequence[Claim]) -> list[Any]:
        rows = [(message_id, recipient, c.at_ms) for c in changes for message_id, recipient in c.keys]
        claimed = set(self._db.execute(sql.CLAIM_WORK, (rows_parameter(rows),)).fetchall())
        results: list[list[WorkKey]] = []
        for change in changes:
            mine = [key for key in change.keys if key in claimed]
            claimed.difference_update(mine)  # a row has one claimant, also within a batch
            results.append(mine)
        return results

    def settle(self, changes: Sequence[Settle]) -> list[Any]:
        final = self._already_final([d for c in changes if c.announcements for d in c.deliveries])
        self._run(sql.DELETE_WORK, [c.key for c in changes if c.requeue is None])
        self._run(sql.REQUEUE_WORK, [c.requeue for c in changes if c.requeue is not None])
        self._run(sql.UPDATE_DELIVERIES, [d for c in changes for d in c.deliveries])
        segments = [s for c in changes for s in c.segments]
        for segment in segments:
            segment.match_key = carrierids.canonical(segment.carrier_message_id)
        self._run(sql.INSERT_SEGMENTS, segments)
        self._run(sql.INSERT_EXCHANGES, [x for c in changes for x in c.exchanges])
        self._run(sql.INSERT_PDUS, [p for c in changes for p in c.pdus])
        media.refer(
            self._db, [r for c in changes for r in c.contents], (), [h for c in changes for h in c.held]
        )
        announced = [
            [a for a in c.announcements if (a.event.message_id, a.event.recipient) not in final]
            for c in changes
        ]
        self._announce([a for announcements in announced for a in announcements])
        doubtful = [d for c in changes for d in c.deliveries if d.state is State.IN_DOUBT]
        late = self._book.unpark(segments, [(d.message_id, d.recipient) for d in doubtful])
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

    def _already_final(self, deliveries: Sequence[Delivery]) -> set[WorkKey]:
        rows = select(self._db, sql.DELIVERIES_BY_KEY, [(d.message_id, d.recipient) for d in deliveries])
        stored = [delivery_of(row[3:]) for row in rows]
        return {(d.message_id, d.recipient) for d in stored if d.state in FINAL}

    # ---- receipts ----

    def receipts(self, changes: Sequence[RecordReceipt]) -> list[Any]:
        return self._book.record(changes)

    def rematch(self, changes: Sequence[RematchParked]) -> list[Any]:
        return [self._book.rematch(change) for change in changes]

    def time_out_receipts(self, changes: Sequence[TimeOutReceipts]) -> list[Any]:
        results = []
        for change in changes:
            due = self._db.execute(sql.RECEIPTS_DUE, (change.now_ms, change.limit)).fetchall()
            results.append(self._fail(due, Happening.RECEIPT_TIMEOUT, change.now_ms))
        return results

    def _fail(self, rows: Sequence[tuple[Any, ...]], happening: Happening, now_ms: int) -> list[Announcement]:
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
        self._run(sql.UPDATE_DELIVERIES_BY_RECEIPT, [delivery_update(d) for d in deliveries])
        self._announce(announced)
        return announced

    def expire_work(self, changes: Sequence[ExpireWork]) -> list[Any]:
        results = []
        for change in changes:
            keys = self._db.execute(sql.WORK_EXPIRED, (change.now_ms, change.limit)).fetchall()
            groups = [key for key in keys if key[1] < 0]
            deliveries = [key for key in keys if key[1] >= 0]
            if groups:
                deliveries += self._db.execute(sql.QUEUED_DELIVERIES, (rows_parameter(groups),)).fetchall()
            rows = self._db.execute(sql.DELIVERIES_BY_KEY, (rows_parameter(deliveries),)).fetchall()
            self._run(sql.DELETE_WORK, keys)
            queued = [row for row in rows if row[3 + sql.DELIVERY.index("state")] == State.QUEUED]
            results.append(
                Expired(keys=keys, announcements=self._fail(queued, Happening.EXPIRED, change.now_ms))
            )
        return results

    # ---- callbacks ----

    def settle_callbacks(self, changes: Sequence[SettleCallback]) -> list[Any]:
        self._run(sql.INSERT_ATTEMPTS, [c.attempt for c in changes if c.attempt is not None])
        self._run(sql.DELETE_CALLBACKS, [c.event_id for c in changes if c.retry is None])
        self._run(sql.INSERT_CALLBACKS, [c.retry for c in changes if c.retry is not None])
        self._run(sql.ACCEPT_INBOUND, [c.inbound_accepted for c in changes if c.inbound_accepted is not None])
        return [None] * len(changes)

    def replay(self, changes: Sequence[Replay]) -> list[Any]:
        results = []
        for change in changes:
            rows = self._db.execute(sql.REPLAYABLE, (rows_parameter(list(change.event_ids)),)).fetchall()
            items = [
                CallbackItem(application_id, change.due_ms, event_id) for application_id, event_id in rows
            ]
            self._run(sql.INSERT_CALLBACKS, items)
            results.append(items)
        return results

    # ---- the rest ----

    def hold_parts(self, changes: Sequence[HoldPart]) -> list[Any]:
        return hold_parts(self._db, changes)

    def drop_parts(self, changes: Sequence[DropParts]) -> list[Any]:
        take_parts(self._db, [change.parts for change in changes])
        return [None] * len(changes)

    def drop_owed(self, changes: Sequence[DropOwed]) -> list[Any]:
        self._run(sql.DELETE_OWED, [id_ for c in changes for id_ in c.ids])
        return [None] * len(changes)

    # ---- media ----

    def put_media(self, changes: Sequence[PutMedia]) -> list[Any]:
        return media.put(self._db, changes)

    def delete_media(self, changes: Sequence[DeleteMedia]) -> list[Any]:
        return media.delete(self._db, changes)

    def sweep_contents(self, changes: Sequence[SweepContents]) -> list[Any]:
        return media.sweep(self._db, changes)

    def record_handset(self, changes: Sequence[RecordHandset]) -> list[Any]:
        self._run(sql.INSERT_HANDSET, [m for c in changes for m in c.messages])
        return [None] * len(changes)

    def record_audit(self, changes: Sequence[RecordAudit]) -> list[Any]:
        self._run(sql.INSERT_AUDIT, [entry for c in changes for entry in c.entries])
        return [None] * len(changes)

    def prune(self, changes: Sequence[Prune]) -> list[Any]:
        return [self._prune(change) for change in changes]

    def _prune(self, change: Prune) -> int:
        # Ids begin with 13 digits of milliseconds, so an age is a bound on the key.
        bound = f"{change.before_ms:013d}"
        if change.what == "messages":
            ids = [
                row[0] for row in self._db.execute(sql.PRUNABLE_MESSAGES, (bound, change.limit)).fetchall()
            ]
            for statement in sql.PRUNE_MESSAGES:
                self._run(statement, ids)
            return len(ids)
        if change.what not in sql.PRUNE_ROWS:
            raise ValueError(f"nothing called {change.what!r} can be pruned")
        by_time = change.what in ("idempotency", "media", "owed_mails", "parked_receipts")
        cursor = self._db.execute(
            sql.PRUNE_ROWS[change.what], (change.before_ms if by_time else bound, change.limit)
        )
        if change.what == "parked_receipts":
            self._book.reload()
        return cursor.rowcount

    def create(self, changes: Sequence[Create]) -> list[Any]:
        return _each(provisioning.create, self._db, changes)

    def change(self, changes: Sequence[Change]) -> list[Any]:
        return _each(provisioning.change, self._db, changes)

    def remove(self, changes: Sequence[Remove]) -> list[Any]:
        return _each(provisioning.remove, self._db, changes)


def _each(
    carry_out: Callable[[Connection, Record], None],
    connection: Connection,
    changes: Sequence[Create | Change | Remove],
) -> list[Any]:
    for change in changes:
        carry_out(connection, change.record)
    run(connection, sql.INSERT_AUDIT, [change.audit for change in changes if change.audit is not None])
    return [None] * len(changes)


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
}

_FAILURE = {
    (Happening.RECEIPT_TIMEOUT, State.SENT): (errorcodes.RECEIPT_EXPIRED, "no receipt in time"),
    (Happening.RECEIPT_TIMEOUT, State.IN_DOUBT): (errorcodes.NOT_ACKNOWLEDGED, "the carrier never answered"),
    (Happening.EXPIRED, State.QUEUED): (errorcodes.EXPIRED, "its validity ended in the queue"),
}

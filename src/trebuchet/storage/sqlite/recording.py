"""Receipts: recorded with all that follows from them, or parked until their segment is known."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import astuple

from trebuchet.model import carrierids
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import Announcement
from trebuchet.model.message import Delivery, Pdu, Segment
from trebuchet.model.receipt import Receipt
from trebuchet.storage.base import ReceiptRecorded, RecordReceipt, Rematched, RematchParked, WorkKey
from trebuchet.storage.sqlite import reads
from trebuchet.storage.sqlite import statements as sql
from trebuchet.storage.sqlite.dbapi import Connection
from trebuchet.storage.sqlite.rows import announce, run, select
from trebuchet.storage.sqlite.tally import Entry, Tally, reference_key


class ReceiptBook:
    """Records receipts on one connection, inside the caller's transaction. Not thread-safe."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self.reload()

    def reload(self) -> None:
        """Whether any receipt is parked is remembered: while none is, settlements need not look."""
        self._any_parked = bool(self._db.execute(sql.ANY_PARKED).fetchone()[0])

    def record(self, changes: Sequence[RecordReceipt]) -> list[ReceiptRecorded]:
        return [recorded for recorded, _ in self._record(changes)]

    def unpark(
        self, segments: Sequence[Segment], doubtful: Sequence[WorkKey]
    ) -> dict[WorkKey, tuple[int, list[Announcement]]]:
        """Receipts that overtook these segments and deliveries in doubt are recorded now.

        Returns how many matched and what is announced, by delivery.
        """
        if not self._any_parked:
            return {}
        keys = [(s.carrier_id, s.carrier_message_id, s.match_key) for s in segments]
        rows = select(self._db, sql.PARKED_FOR_SEGMENTS, keys)
        rows += select(self._db, sql.PARKED_FOR_DOUBTS, doubtful)
        matched: dict[WorkKey, tuple[int, list[Announcement]]] = {}
        for recorded, entry in self._record(self._take(rows)):
            if entry is not None:
                key = (entry.delivery.message_id, entry.delivery.recipient)
                count, announced = matched.get(key, (0, []))
                matched[key] = (count + 1, [*announced, *recorded.announcements])
        return matched

    def rematch(self, change: RematchParked) -> Rematched:
        rows = self._db.execute(
            sql.PARKED_OF_CARRIER, (change.carrier_id, change.conversion, change.limit)
        ).fetchall()
        again = [RecordReceipt(parked.receipt, change.conversion) for parked in self._take(rows)]
        results = [recorded for recorded, _ in self._record(again)]
        return Rematched(
            announcements=[a for recorded in results for a in recorded.announcements],
            matched=sum(recorded.matched for recorded in results),
            examined=len(rows),
        )

    # ---- recording ----

    def _record(self, changes: Sequence[RecordReceipt]) -> list[tuple[ReceiptRecorded, Entry | None]]:
        if not changes:
            return []
        canonical = carrierids.canonical
        keys = [(c.receipt.carrier_id, canonical(c.receipt.carrier_message_id)) for c in changes]
        found = Tally()
        for row in select(self._db, sql.SEGMENTS_BY_KEY, keys):
            found.add(row)
        known = found.segments
        strange = [c for c in changes if (c.receipt.carrier_id, c.receipt.carrier_message_id) not in known]
        if strange:
            self._look_further(strange, found)
        results: list[tuple[ReceiptRecorded, Entry | None]] = []
        parked: list[RecordReceipt] = []
        pdus: list[Pdu] = []
        for change in changes:
            receipt = change.receipt
            entry = known.get((receipt.carrier_id, receipt.carrier_message_id))
            proposal = None
            if entry is None:
                entry, proposal = found.find(change)
            if entry is None:
                parked.append(change)
                results.append((ReceiptRecorded(matched=False, proposal=proposal), None))
                continue
            recorded = ReceiptRecorded(
                matched=True,
                announcements=found.note(entry, receipt),
                message_id=entry.delivery.message_id,
            )
            results.append((recorded, entry))
            if receipt.octets:
                pdus.append(_pdu(entry.delivery, receipt))
        self._write(found, pdus)
        self._park(parked)
        return results

    def _look_further(self, changes: Sequence[RecordReceipt], found: Tally) -> None:
        """Read what receipts may be about whose id is no segment's."""
        keys = {(change.receipt.carrier_id, key) for change in changes for key in _possible_keys(change)}
        found.add_more(select(self._db, sql.SEGMENTS_BY_KEY, list(keys)))
        receipts = [change.receipt for change in changes]
        names = {key for r in receipts if (key := reference_key(r)) is not None}
        numbers = {(r.carrier_id, r.handset, r.sender) for r in receipts if r.handset and r.sender}
        for row in select(self._db, sql.DOUBTS_BY_KEY, list(names)):
            found.doubt(row)
        for row in select(self._db, sql.DOUBTS_BY_HANDSET, list(numbers)):
            found.doubt(row)
        found.add_more(select(self._db, sql.SEGMENTS_BY_DELIVERY, found.doubts))

    def _write(self, found: Tally, pdus: Sequence[Pdu]) -> None:
        run(self._db, sql.INSERT_SEGMENTS, found.adopted)
        run(self._db, sql.UPDATE_SEGMENTS, [_segment_update(s) for s in found.changed_segments.values()])
        changed = [delivery_update(d) for d in found.changed_deliveries.values()]
        run(self._db, sql.UPDATE_DELIVERIES_BY_RECEIPT, changed)
        announce(self._db, found.announced)
        run(self._db, sql.INSERT_PDUS, pdus)

    # ---- parking ----

    def _park(self, changes: Sequence[RecordReceipt]) -> None:
        run(self._db, sql.INSERT_PARKED, [_parked_row(change) for change in changes])
        self._any_parked = self._any_parked or bool(changes)

    def _take(self, rows: Iterable[tuple[Any, ...]]) -> list[RecordReceipt]:
        """Parked receipts, each once and in order of their time, and parked no more."""
        taken = [_parked_change(row) for row in rows]
        by_key = {
            (c.receipt.carrier_id, c.receipt.carrier_message_id, c.receipt.at_ms, c.receipt.state): c
            for c in taken
        }
        if by_key:
            run(self._db, sql.DELETE_PARKED, list(by_key))
            self.reload()
        return sorted(by_key.values(), key=lambda change: change.receipt.at_ms)


def _possible_keys(change: RecordReceipt) -> list[str]:
    """The canonical ids of segments that a receipt may be about by some conversion of its id."""
    receipt = change.receipt
    keys = []
    if change.conversion is not IdConversion.SAME:
        keys.append(carrierids.response_key(receipt.carrier_message_id, change.conversion))
    if receipt.handset:
        keys += [key for _, key in carrierids.proposals(receipt.carrier_message_id)]
    return [key for key in keys if key is not None]


def _parked_row(change: RecordReceipt) -> tuple[Any, ...]:
    key = None
    if change.conversion is not IdConversion.SAME:
        key = carrierids.response_key(change.receipt.carrier_message_id, change.conversion)
    return (*astuple(change.receipt), change.conversion, key)


def _parked_change(row: tuple[Any, ...]) -> RecordReceipt:
    return RecordReceipt(reads.receipt_from_row(row), IdConversion(row[-1]))


def _pdu(delivery: Delivery, receipt: Receipt) -> Pdu:
    # Two receipts of one millisecond are told apart by what they say; the same one twice is one PDU.
    place = zlib.crc32(receipt.octets) & 0x7FFF_FFFF
    return Pdu(
        delivery.message_id,
        delivery.recipient,
        receipt.at_ms,
        place,
        receipt.carrier_id,
        "in",
        receipt.octets,
    )


def _segment_update(s: Segment) -> tuple[Any, ...]:
    return (
        s.message_id,
        s.recipient,
        s.number,
        s.carrier_message_id,
        s.state,
        s.receipt_error,
        s.receipt_ms,
    )


def delivery_update(d: Delivery) -> tuple[Any, ...]:
    """A row for `UPDATE_DELIVERIES_BY_RECEIPT`."""
    return (
        d.message_id,
        d.recipient,
        d.state.value,
        d.error_code,
        d.description,
        d.segments_delivered,
        d.receipt_due_ms,
        d.final_ms,
    )

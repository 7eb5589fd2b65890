"""Receipts: recorded with all that follows from them, or parked until their segment is known."""

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from trebuchet.model import carrierids
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import Announcement
from trebuchet.model.message import Delivery, Pdu, Segment
from trebuchet.model.receipt import Receipt
from trebuchet.storage.base import (
    ReceiptRecorded,
    RecheckParked,
    RecordReceipt,
    Rematched,
    RematchParked,
    WorkKey,
)
from trebuchet.storage.sql import reads
from trebuchet.storage.sql import statements as sql
from trebuchet.storage.sql.announcing import announce
from trebuchet.storage.sql.steps import Row, Steps, ask, over, value
from trebuchet.storage.sql.tally import Entry, Tally, reference_key


class ReceiptBook:
    """Records receipts, inside the caller's transaction. One batch at a time.

    The `only_writer` of a database remembers whether any receipt is parked: while none is, settlements need not look.
    """

    def __init__(self, *, only_writer: bool) -> None:
        self._only_writer = only_writer
        self._any_parked: bool | None = None

    def forget(self) -> None:
        """What is remembered of the tables is read again."""
        self._any_parked = None

    def record(self, changes: Sequence[RecordReceipt]) -> Steps[list[ReceiptRecorded]]:
        return [recorded for recorded, _ in (yield from self._record(changes))]

    def unpark(
        self, segments: Sequence[Segment], doubtful: Sequence[WorkKey]
    ) -> Steps[dict[WorkKey, tuple[int, list[Announcement]]]]:
        """Receipts that overtook these segments and deliveries in doubt are recorded now.

        Returns how many matched and what is announced, by delivery.
        """
        if self._any_parked is None or not self._only_writer:
            self._any_parked = bool((yield from value(sql.ANY_PARKED)))
        if not self._any_parked:
            return {}
        keys = [(s.carrier_id, s.carrier_message_id, s.match_key) for s in segments]
        rows = [
            *(yield from over(sql.PARKED_FOR_SEGMENTS, keys)),
            *(yield from over(sql.PARKED_FOR_DOUBTS, doubtful)),
        ]
        matched: dict[WorkKey, tuple[int, list[Announcement]]] = {}
        for recorded, entry in (yield from self._record((yield from self._take(rows)))):
            if entry is not None:
                key = (entry.delivery.message_id, entry.delivery.recipient)
                count, announced = matched.get(key, (0, []))
                matched[key] = (count + 1, [*announced, *recorded.announcements])
        return matched

    def rematch(self, change: RematchParked) -> Steps[Rematched]:
        rows = yield from ask(sql.PARKED_OF_CARRIER, change.carrier_id, change.conversion, change.limit)
        taken = yield from self._take(rows)
        again = [RecordReceipt(parked.receipt, change.conversion) for parked in taken]
        return (yield from self._again(again, len(rows)))

    def recheck(self, change: RecheckParked) -> Steps[Rematched]:
        rows = yield from ask(sql.PARKED_SINCE, change.since_ms, change.limit)
        return (yield from self._again((yield from self._take(rows)), len(rows)))

    def _again(self, parked: Sequence[RecordReceipt], examined: int) -> Steps[Rematched]:
        results = [recorded for recorded, _ in (yield from self._record(parked))]
        return Rematched(
            announcements=[a for recorded in results for a in recorded.announcements],
            matched=sum(recorded.matched for recorded in results),
            examined=examined,
        )

    # ---- recording ----

    def _record(self, changes: Sequence[RecordReceipt]) -> Steps[list[tuple[ReceiptRecorded, Entry | None]]]:
        if not changes:
            return []
        canonical = carrierids.canonical
        keys = [(c.receipt.carrier_id, canonical(c.receipt.carrier_message_id)) for c in changes]
        found = Tally()
        for row in (yield from over(sql.SEGMENTS_BY_KEY, keys)):
            found.add(row)
        known = found.segments
        strange = [c for c in changes if (c.receipt.carrier_id, c.receipt.carrier_message_id) not in known]
        if strange:
            yield from self._look_further(strange, found)
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
        yield from self._write(found, pdus)
        yield from self._park(parked)
        return results

    def _look_further(self, changes: Sequence[RecordReceipt], found: Tally) -> Steps[None]:
        """Read what receipts may be about whose id is no segment's."""
        keys = {(change.receipt.carrier_id, key) for change in changes for key in _possible_keys(change)}
        found.add_more((yield from over(sql.SEGMENTS_BY_KEY, list(keys))))
        receipts = [change.receipt for change in changes]
        names = {key for r in receipts if (key := reference_key(r)) is not None}
        numbers = {(r.carrier_id, r.handset, r.sender) for r in receipts if r.handset and r.sender}
        for row in (yield from over(sql.DOUBTS_BY_KEY, list(names))):
            found.doubt(row)
        for row in (yield from over(sql.DOUBTS_BY_HANDSET, list(numbers))):
            found.doubt(row)
        found.add_more((yield from over(sql.SEGMENTS_BY_DELIVERY, found.doubts)))

    def _write(self, found: Tally, pdus: Sequence[Pdu]) -> Steps[None]:
        yield from over(sql.INSERT_SEGMENTS, found.adopted)
        yield from over(sql.UPDATE_SEGMENTS, [_segment_update(s) for s in found.changed_segments.values()])
        changed = [delivery_update(d) for d in found.changed_deliveries.values()]
        yield from over(sql.UPDATE_DELIVERIES_BY_RECEIPT, changed)
        yield from announce(found.announced)
        yield from over(sql.INSERT_PDUS, pdus)

    # ---- parking ----

    def _park(self, changes: Sequence[RecordReceipt]) -> Steps[None]:
        yield from over(sql.INSERT_PARKED, [_parked_row(change) for change in changes])
        if changes:
            self._any_parked = True

    def _take(self, rows: Iterable[Row]) -> Steps[list[RecordReceipt]]:
        """Parked receipts, each once and in order of their time, and parked no more."""
        taken = [_parked_change(row) for row in rows]
        by_key = {
            (c.receipt.carrier_id, c.receipt.carrier_message_id, c.receipt.at_ms, c.receipt.state): c
            for c in taken
        }
        if by_key:
            yield from over(sql.DELETE_PARKED, list(by_key))
            self.forget()
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


def _parked_row(change: RecordReceipt) -> tuple[Receipt, str, str | None]:
    key = None
    if change.conversion is not IdConversion.SAME:
        key = carrierids.response_key(change.receipt.carrier_message_id, change.conversion)
    return (change.receipt, change.conversion.value, key)


def _parked_change(row: Row) -> RecordReceipt:
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

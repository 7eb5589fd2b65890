"""A batch of receipts against the segments and deliveries that they are about, and what they change.

How a receipt finds its segment, in this order:

1. its id is, to the character, that of a segment of its carrier;
2. its id is one by the conversion that it was recorded with, and the segment went to its handset;
3. it names a segment of a delivery in doubt, by our reference or by user_message_reference;
4. it quotes the text of the only delivery in doubt between its two numbers, of which one segment is missing.

Before the last, which is the weakest, comes a look at the other conversions: if one of them leads to exactly one
segment, that conversion is proposed and nothing is matched.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from trebuchet.model import carrierids, ledger
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import Announcement
from trebuchet.model.message import Delivery, Kind, Segment
from trebuchet.model.receipt import Receipt
from trebuchet.model.status import State
from trebuchet.storage.base import RecordReceipt, WorkKey

# Carriers use their ids again: a converted id of an older segment is taken for another's.
_YOUNG_MS = 7 * 86_400_000

# A look-up by value costs a fifth of a call of the enum.
_STATES = {str(state): state for state in State}
_KINDS = {str(kind): kind for kind in Kind}
_DELIVERY_WIDTH = len(Delivery.__struct_fields__)

Numbers = tuple[str, str, str]  # carrier, handset, our number


class Entry(msgspec.Struct, frozen=True):
    """One segment with all that its receipt may change. A delivery is one object, however many segments it has."""

    application_id: str
    kind: Kind
    parts: int
    segment: Segment
    delivery: Delivery


class Doubt(msgspec.Struct, frozen=True):
    """A delivery in doubt, and what a receipt may know it by."""

    application_id: str
    kind: Kind
    parts: int
    text: str
    received_ms: int
    delivery: Delivery


class Tally:
    """Filled with rows, then told each receipt in order; what it changed is then read from its attributes.

    All rows must be in before `find` is called.
    """

    def __init__(self) -> None:
        self.segments: dict[tuple[str, str], Entry] = {}  # by carrier and the carrier's message id
        self._entries: list[Entry] = []
        self._deliveries: dict[WorkKey, Delivery] = {}
        self.adopted: list[Segment] = []
        self.changed_segments: dict[tuple[str, int, int, str], Segment] = {}
        self.changed_deliveries: dict[WorkKey, Delivery] = {}
        self.announced: list[Announcement] = []
        # What only `find` needs, for receipts whose id is no segment's.
        self._indexed = False
        self._by_key: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
        self._by_number: dict[tuple[str, int, int], Entry] = {}
        self._doubts: dict[WorkKey, Doubt] = {}
        self._between: defaultdict[Numbers, list[Doubt]] = defaultdict(list)

    # ---- rows ----

    def add(self, row: Sequence[Any]) -> None:
        """A row of application, kind, segments of the message, segment, delivery. The first of an id counts."""
        delivery = self._delivery(row[-_DELIVERY_WIDTH:])
        segment = Segment(*row[3:-_DELIVERY_WIDTH])
        entry = Entry(row[0], _KINDS[row[1]], delivery.segments_total or row[2], segment, delivery)
        self.segments.setdefault((segment.carrier_id, segment.carrier_message_id), entry)
        self._entries.append(entry)

    def add_more(self, rows: Iterable[Sequence[Any]]) -> None:
        """Rows as in `add`, among which are segments that are in already."""
        known = {_identity(entry.segment) for entry in self._entries}
        for row in rows:
            identity = _identity(Segment(*row[3:-_DELIVERY_WIDTH]))
            if identity not in known:
                known.add(identity)
                self.add(row)

    def doubt(self, row: Sequence[Any]) -> None:
        """A row of application, kind, segments, source, text and time of the message, delivery in doubt."""
        delivery = self._delivery(row[6:])
        key = (delivery.message_id, delivery.recipient)
        if key in self._doubts:
            return
        parts = delivery.segments_total or row[2]
        self._doubts[key] = doubt = Doubt(row[0], _KINDS[row[1]], parts, row[4], row[5], delivery)
        self._between[delivery.carrier_id or "", delivery.to, row[3]].append(doubt)

    @property
    def doubts(self) -> list[WorkKey]:
        return list(self._doubts)

    def _delivery(self, row: Sequence[Any]) -> Delivery:
        delivery = delivery_of(row)
        return self._deliveries.setdefault((delivery.message_id, delivery.recipient), delivery)

    # ---- receipts whose id is no segment's ----

    def find(self, change: RecordReceipt) -> tuple[Entry | None, IdConversion | None]:
        """The segment that a receipt is about, or the conversion by which it would be about one."""
        if not self._indexed:
            self._index()
        receipt = change.receipt
        entry = self.segments.get((receipt.carrier_id, receipt.carrier_message_id))  # adopted just now
        entry = entry or self._converted(change) or self._named(receipt)
        if entry is not None:
            return entry, None
        proposal = self._proposal(change)
        return (None, proposal) if proposal is not None else (self._quoted(receipt), None)

    def _index(self) -> None:
        self._indexed = True
        for entry in self._entries:
            segment = entry.segment
            self._by_key[segment.carrier_id, segment.match_key].append(entry)
            self._by_number.setdefault((segment.message_id, segment.recipient, segment.number), entry)

    def _with_key(self, receipt: Receipt, key: str | None) -> list[Entry]:
        """Young segments of the receipt's carrier and handset whose canonical id is `key`."""
        if key is None:
            return []
        return [
            entry
            for entry in self._by_key.get((receipt.carrier_id, key), ())
            if receipt.handset in ("", entry.delivery.to)
            and receipt.at_ms - entry.segment.responded_ms < _YOUNG_MS
        ]

    def _converted(self, change: RecordReceipt) -> Entry | None:
        """The newest, because carriers use their ids again; rows come in that order."""
        if change.conversion is IdConversion.SAME:
            return None
        key = carrierids.response_key(change.receipt.carrier_message_id, change.conversion)
        return next(iter(self._with_key(change.receipt, key)), None)

    def _proposal(self, change: RecordReceipt) -> IdConversion | None:
        receipt = change.receipt
        if not receipt.handset:
            return None
        for conversion, key in carrierids.proposals(receipt.carrier_message_id):
            if len(self._with_key(receipt, key)) == 1:
                return conversion
        return None

    def _named(self, receipt: Receipt) -> Entry | None:
        """By our reference: `message/recipient/segment`, or the number made of it, which is not unique."""
        key = reference_key(receipt)
        doubt = self._doubts.get(key) if key is not None else None
        if doubt is not None and receipt.reference is not None:
            number = int(receipt.reference.rsplit("/", 1)[1])
            return self._adopt(doubt, number, receipt) if number < doubt.parts else None
        if receipt.user_reference is None:
            return None
        named = [
            (doubt, number)
            for doubt in self._candidates(receipt)
            for number in self._missing(doubt)
            if ledger.user_reference(doubt.delivery.message_id, doubt.delivery.recipient, number)
            == receipt.user_reference
        ]
        return self._adopt(*named[0], receipt) if len(named) == 1 else None

    def _quoted(self, receipt: Receipt) -> Entry | None:
        quote = receipt.text.strip()
        if not quote or receipt.user_reference is not None:
            return None
        quoted = [
            (doubt, missing)
            for doubt in self._candidates(receipt)
            if quote in doubt.text and (missing := self._missing(doubt))
        ]
        if len(quoted) != 1 or len(quoted[0][1]) != 1:
            return None
        doubt, (number,) = quoted[0]
        return self._adopt(doubt, number, receipt)

    def _candidates(self, receipt: Receipt) -> list[Doubt]:
        """Deliveries in doubt between the receipt's numbers whose message is older than the receipt."""
        numbers = (receipt.carrier_id, receipt.handset, receipt.sender)
        return [doubt for doubt in self._between.get(numbers, ()) if doubt.received_ms <= receipt.at_ms]

    def _missing(self, doubt: Doubt) -> list[int]:
        """Numbers of the segments whose id is not known."""
        delivery = doubt.delivery
        return [
            number
            for number in range(doubt.parts)
            if (delivery.message_id, delivery.recipient, number) not in self._by_number
        ]

    def _adopt(self, doubt: Doubt, number: int, receipt: Receipt) -> Entry:
        """The segment of that number, made if need be, is from now on known by the receipt's id as well.

        A second id of a segment that is known is that segment: it must not count as another part.
        """
        delivery = doubt.delivery
        place = (delivery.message_id, delivery.recipient, number)
        carrier_key = (receipt.carrier_id, receipt.carrier_message_id)
        entry = self._by_number.get(place)
        if entry is None:
            match_key = carrierids.canonical(receipt.carrier_message_id)
            segment = Segment(*place, *carrier_key, ledger.TAKEN, None, receipt.at_ms, None, match_key)
            entry = Entry(doubt.application_id, doubt.kind, doubt.parts, segment, delivery)
            self._by_number[place] = entry
            self.adopted.append(segment)
        self.segments[carrier_key] = entry
        return entry

    # ---- what follows ----

    def note(self, entry: Entry, receipt: Receipt) -> list[Announcement]:
        """Apply one receipt. Returns what is announced."""
        segment, delivery = entry.segment, entry.delivery
        before = segment.state
        event_type = ledger.note_receipt(delivery, segment, receipt, entry.parts)
        if segment.state != before:
            self.changed_segments[_identity(segment)] = segment
            self.changed_deliveries[delivery.message_id, delivery.recipient] = delivery
        if event_type is None:
            return []
        announcement = ledger.announcement(
            delivery, event_type, entry.application_id, entry.kind, receipt.at_ms
        )
        self.announced.append(announcement)
        return [announcement]


def _identity(segment: Segment) -> tuple[str, int, int, str]:
    return (segment.message_id, segment.recipient, segment.number, segment.carrier_message_id)


def delivery_of(row: Sequence[Any]) -> Delivery:
    """A delivery from its columns."""
    return Delivery(row[0], row[1], row[2], _STATES[row[3]], *row[4:])


def reference_key(receipt: Receipt) -> WorkKey | None:
    """Message id and recipient out of `message/recipient/segment`; None if it is not of that form."""
    parts = receipt.reference.split("/") if receipt.reference else ()
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return (parts[0], int(parts[1]))

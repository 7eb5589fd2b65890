"""A batch of receipts against the segments and deliveries that they are about, and what they change."""

from collections.abc import Sequence
from typing import Any

import msgspec

from trebuchet.model import ledger
from trebuchet.model.events import Announcement
from trebuchet.model.message import Delivery, Kind, Segment
from trebuchet.model.receipt import Receipt
from trebuchet.model.status import State
from trebuchet.storage.base import WorkKey

# A look-up by value costs a fifth of a call of the enum.
_STATES = {str(state): state for state in State}
_DELIVERY_WIDTH = len(Delivery.__struct_fields__)


class Entry(msgspec.Struct, frozen=True):
    """One segment with all that its receipt may change. A delivery is one object, however many segments it has."""

    application_id: str
    kind: Kind
    parts: int
    segment: Segment
    delivery: Delivery


class Tally:
    """Filled with rows, then told each receipt in order; what it changed is then read from its attributes."""

    def __init__(self) -> None:
        self.segments: dict[tuple[str, str], Entry] = {}  # by carrier and the carrier's message id
        self._by_number: dict[tuple[str, int, int], Entry] = {}
        self._doubtful: dict[WorkKey, tuple[str, Kind, int]] = {}
        self._deliveries: dict[WorkKey, Delivery] = {}
        self.adopted: list[Segment] = []
        self.changed_segments: dict[tuple[str, int, int, str], Segment] = {}
        self.changed_deliveries: dict[WorkKey, Delivery] = {}
        self.announced: list[Announcement] = []

    def add(self, row: Sequence[Any]) -> None:
        """A row of application, kind, segments of the message, segment, delivery. The first of a key counts."""
        delivery = self._delivery(row[-_DELIVERY_WIDTH:])
        segment = Segment(*row[3:-_DELIVERY_WIDTH])
        entry = Entry(row[0], Kind(row[1]), delivery.segments_total or row[2], segment, delivery)
        self.segments.setdefault((segment.carrier_id, segment.carrier_message_id), entry)
        self._by_number.setdefault((segment.message_id, segment.recipient, segment.number), entry)

    def doubt(self, row: Sequence[Any]) -> None:
        """A row of application, kind, segments of the message, delivery; noted if the delivery is IN_DOUBT."""
        delivery = self._delivery(row[3:])
        if delivery.state is State.IN_DOUBT:
            self._doubtful[delivery.message_id, delivery.recipient] = (row[0], Kind(row[1]), row[2])

    def adopt(self, receipt: Receipt) -> None:
        """Give a doubtful delivery the segment that this receipt names by our reference, if it does.

        A second id of a segment that is known is that segment: it must not count as another part.
        """
        key = reference_key(receipt)
        if key is None or key not in self._doubtful or receipt.reference is None:
            return
        application_id, kind, parts = self._doubtful[key]
        number = int(receipt.reference.rsplit("/", 1)[1])
        carrier_key = (receipt.carrier_id, receipt.carrier_message_id)
        if number >= parts or carrier_key in self.segments:
            return
        known = self._by_number.get((*key, number))
        if known is None:
            segment = Segment(*key, number, *carrier_key, ledger.TAKEN, None, receipt.at_ms, None)
            known = Entry(application_id, kind, parts, segment, self._deliveries[key])
            self._by_number[(*key, number)] = known
            self.adopted.append(segment)
        self.segments[carrier_key] = known

    def note(self, entry: Entry, receipt: Receipt) -> list[Announcement]:
        """Apply one receipt. Returns what is announced."""
        segment, delivery = entry.segment, entry.delivery
        before = segment.state
        event_type = ledger.note_receipt(delivery, segment, receipt, entry.parts)
        if segment.state != before:
            key = (segment.message_id, segment.recipient, segment.number, segment.carrier_message_id)
            self.changed_segments[key] = segment
            self.changed_deliveries[delivery.message_id, delivery.recipient] = delivery
        if event_type is None:
            return []
        announcement = ledger.announcement(
            delivery, event_type, entry.application_id, entry.kind, receipt.at_ms
        )
        self.announced.append(announcement)
        return [announcement]

    def _delivery(self, row: Sequence[Any]) -> Delivery:
        delivery = delivery_of(row)
        return self._deliveries.setdefault((delivery.message_id, delivery.recipient), delivery)


def delivery_of(row: Sequence[Any]) -> Delivery:
    """A delivery from its columns."""
    return Delivery(row[0], row[1], row[2], _STATES[row[3]], *row[4:])


def reference_key(receipt: Receipt) -> WorkKey | None:
    """Message id and recipient out of `message/recipient/segment`; None if it is not of that form."""
    parts = receipt.reference.split("/") if receipt.reference else ()
    if len(parts) != 3 or not (parts[1].isdecimal() and parts[2].isdecimal()):
        return None
    return (parts[0], int(parts[1]))

"""How receipts and verdicts change a delivery: pure decisions, applied inside the storage transaction.

Each segment has its own receipt. A message is delivered to a recipient when every segment is, and failed as
soon as one segment is (receipts of the others are still noted, and announce nothing).
"""

import zlib

from trebuchet.model import errorcodes
from trebuchet.model.events import (
    DESCRIPTIONS,
    MMS_DELIVERED,
    Announcement,
    CallbackItem,
    Event,
    EventType,
    event_id,
)
from trebuchet.model.message import Delivery, Kind, Segment
from trebuchet.model.receipt import INTERMEDIATE, Receipt, ReceiptState
from trebuchet.model.status import FINAL, Happening, change

_FINAL_SEGMENT = frozenset(ReceiptState) - INTERMEDIATE
TAKEN = "taken"  # state of a segment that has no receipt yet


def verdict(
    delivery: Delivery, happening: Happening, error_code: int | None, description: str, now_ms: int
) -> EventType | None:
    """Apply one happening to `delivery` in place. Returns the event to announce, if any.

    A delivery that is final already stays as it is.
    """
    state, event = change(delivery.state, happening)
    if delivery.state in FINAL:
        return None
    delivery.state = state
    if state in FINAL:
        delivery.error_code = error_code
        delivery.description = description
        delivery.receipt_due_ms = None
        delivery.final_ms = now_ms
    return event


def note_receipt(delivery: Delivery, segment: Segment, receipt: Receipt, segments: int) -> EventType | None:
    """Apply a receipt to a segment and its delivery in place. Returns the event to announce, if any.

    `segments` is how many parts the message has. A second final receipt of a segment changes nothing.
    """
    if segment.state in _FINAL_SEGMENT:
        return None
    segment.state = receipt.state
    segment.receipt_error = receipt.error or None
    segment.receipt_ms = receipt.at_ms
    if receipt.state in INTERMEDIATE:
        return None
    if receipt.state is not ReceiptState.DELIVERED:
        code = receipt.error_code or errorcodes.UNKNOWN
        return verdict(delivery, Happening.RECEIPT_FAILED, code, receipt.error, receipt.at_ms)
    delivery.segments_delivered += 1
    if delivery.segments_delivered < segments:
        return None
    return verdict(delivery, Happening.RECEIPT_DELIVERED, None, "", receipt.at_ms)


def user_reference(message_id: str, recipient: int, number: int) -> int:
    """What a link marks segment `number` (from 0) with, 1 to 65535: a carrier that echoes it in the receipt names
    the segment although its answer to the submit was lost. Not unique: candidates are checked against it."""
    return zlib.crc32(f"{message_id}/{recipient}/{number}".encode()) % 65_535 + 1


def announcement(
    delivery: Delivery, type_: EventType, application_id: str, kind: Kind, now_ms: int
) -> Announcement:
    """The event of `type_` about an outbound delivery as it stands now, due for its callback at once."""
    if type_ is EventType.FAILED:
        description = errorcodes.wire_name(delivery.error_code or errorcodes.UNKNOWN)
    elif type_ is EventType.DELIVERED and kind is Kind.MMS:
        description = MMS_DELIVERED
    else:
        description = DESCRIPTIONS[type_]
    event = Event(
        id=event_id(delivery.message_id, delivery.recipient, type_),
        message_id=delivery.message_id,
        recipient=delivery.recipient,
        type=type_,
        to=delivery.to,
        error_code=delivery.error_code if type_ is EventType.FAILED else None,
        description=description,
        time_ms=now_ms,
    )
    return Announcement(event, CallbackItem(application_id, now_ms, event.id))

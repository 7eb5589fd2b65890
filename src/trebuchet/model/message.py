"""Messages and what becomes of them: one Message, one Delivery per recipient, one Segment per part on air.

The structs encode as JSON arrays in the order of their fields, which is the order of the columns of their
tables, so that a batch goes to the database in one encode (`storage/schema.py`; a test keeps them equal).
"""

import enum

import msgspec

from trebuchet.model.account import Profile
from trebuchet.model.status import State


class Direction(enum.StrEnum):
    OUT = "out"
    IN = "in"


class Kind(enum.StrEnum):
    SMS = "sms"
    MMS = "mms"


class Message(msgspec.Struct, array_like=True, frozen=True):
    """One request of an application, or one message that a handset sent to one of our numbers."""

    id: str
    account_id: str
    application_id: str
    direction: Direction
    kind: Kind
    owner: str  # outbound: the sender; inbound: our number that received this copy
    source: str
    destinations: tuple[str, ...]
    text: str
    media: tuple[str, ...] | None
    tag: str | None
    priority: str | None
    expiration: str | None  # as the client wrote it; echoed
    valid_until_ms: int  # not submitted after this moment
    segment_count: int
    encoding: str  # "GSM-7" or "UCS-2"; why is derived from the text
    profile: Profile
    received_ms: int


class Delivery(msgspec.Struct, array_like=True):
    """What becomes of one message for one recipient (numbered from 0 in the order of `destinations`)."""

    message_id: str
    recipient: int
    to: str
    state: State
    carrier_id: str | None
    lane: str | None
    error_code: int | None
    description: str  # why it failed, or the carrier's words
    attempts: int  # submits that reached the carrier
    segments_total: int  # parts that were submitted; 0 while that is not known
    segments_delivered: int
    submitted_ms: int | None  # when the carrier took it
    receipt_due_ms: int | None  # no final receipt by then: 9902
    final_ms: int | None


class Segment(msgspec.Struct, array_like=True):
    """One part as the carrier knows it."""

    message_id: str
    recipient: int
    number: int  # from 0
    carrier_id: str
    carrier_message_id: str
    state: str  # "taken", then the receipt's state
    receipt_error: str | None
    responded_ms: int
    receipt_ms: int | None
    match_key: str = ""  # `carrierids.canonical` of the carrier's id; the store sets it


class Pdu(msgspec.Struct, array_like=True, frozen=True):
    """One PDU that was exchanged about a message."""

    message_id: str
    recipient: int  # -1: about all recipients of a group message
    at_ms: int
    place: int  # tells those of one millisecond apart
    lane: str  # of a receipt, which may come by any bind: the carrier
    direction: str  # "out": from us, or "in"
    octets: bytes


class WorkItem(msgspec.Struct, array_like=True):
    """One delivery that waits in a lane, or several of a group message that go out as one: see `group`."""

    lane: str
    due_ms: int
    message_id: str
    recipient: int
    attempts: int
    valid_until_ms: int  # not submitted after this moment
    claimed_ms: int | None = None  # handed to the carrier, no outcome stored yet; in doubt after a crash


MEDIA_LANE = "media"  # of rows whose files are to be fetched; no carrier's, which are named `carrier/number`


def group(first: int) -> int:
    """The `recipient` of a row for several: all that are queued of the message and go to the same carrier as the
    recipient number `first`."""
    return -1 - first


def first_of_group(recipient: int) -> int | None:
    """The number that `group` was made of; None for the row of one recipient."""
    return None if recipient >= 0 else -1 - recipient


GROUP = group(0)

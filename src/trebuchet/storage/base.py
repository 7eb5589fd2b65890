"""The storage contract: changes are written in batches, each batch in one transaction with one sync.

Changes are values. `Store.write` takes any mix of them and returns one result per change, in order; a
change that cannot be done is answered with its exception and disturbs no other. Everything else is reads.
Every engine passes `tests/contract/test_storage.py`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from trebuchet.model.account import (
    Account,
    Application,
    Carrier,
    Credential,
    Directory,
    Number,
    OptOut,
    Route,
    User,
)
from trebuchet.model.audit import AuditEntry
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import Announcement, Attempt, CallbackItem, Event
from trebuchet.model.media import Content, HeldMedia, MediaObject
from trebuchet.model.message import Delivery, Message, Pdu, Segment, WorkItem
from trebuchet.model.nodes import Lease, Node
from trebuchet.model.owed import OwedMail
from trebuchet.model.parts import HeldPart, Holding, PartsTaken
from trebuchet.model.receipt import Receipt

WorkKey = tuple[str, int]  # message id, recipient


# ---- changes of the message path ----


class Fence(msgspec.Struct, frozen=True):
    """The lane that a change was made for, and the epoch of the lease under which its owner made it.

    A change whose lane has another owner by now is not done: its result is LeaseLost.
    """

    lane: str
    epoch: int


class IdempotencyKey(msgspec.Struct, frozen=True):
    account_id: str
    key: str
    request_sha256: str
    expires_ms: int


class Accept(msgspec.Struct, frozen=True):
    """A new message, outbound or inbound, with everything that follows from it at once.

    Result: None; or, if the idempotency key was used before with the same request, the first Message; or
    PartsGone. Error: IdempotencyMismatch if the key was used with another request.
    """

    message: Message
    deliveries: Sequence[Delivery]
    work: Sequence[WorkItem] = ()
    announcements: Sequence[Announcement] = ()
    idempotency: IdempotencyKey | None = None
    parts: PartsTaken | None = None  # what it was made of; deleted with it
    media: Sequence[MediaObject] = ()  # what an inbound message brought
    contents: Sequence[Content] = ()
    owed: Sequence[OwedMail] = ()  # what the peer that sent it is to be told
    fences: Sequence[Fence] = ()  # of the lanes in which its work is claimed


class PartsGone(msgspec.Struct, frozen=True):
    """The message was not stored: the parts that it was made of were taken by another, or more have come."""


class HoldPart(msgspec.Struct, frozen=True):
    """Keep one part of a long inbound message, if `model.parts.hold` says so. Result: PartHeld."""

    part: HeldPart
    stale_before_ms: int


class PartHeld(msgspec.Struct, frozen=True):
    holding: Holding
    parts: Sequence[HeldPart]  # the whole set if COMPLETE, the earlier one if IN_THE_WAY; by number
    total: int  # parts that are now held, of all messages


class DropParts(msgspec.Struct, frozen=True):
    """Forget parts that can be made into nobody's message. Result: None."""

    parts: PartsTaken


class Claim(msgspec.Struct, frozen=True):
    """These work rows are about to be handed to a carrier: until settled, they are in doubt after a crash.

    Result: the keys whose row was there and unclaimed.
    """

    keys: Sequence[WorkKey]
    at_ms: int
    fence: Fence | None = None


class Exchange(msgspec.Struct, array_like=True, frozen=True):
    """What a carrier, or we in its place, said beyond plain success; for `trebuchet show`."""

    message_id: str
    recipient: int
    at_ms: int
    what: str
    carrier_id: str | None
    error_code: int | None
    description: str


class Settle(msgspec.Struct, frozen=True):
    """The outcome of one shipment. The work row is deleted, or put back with `requeue`.

    A delivery that a receipt has made final in the meantime keeps its state, and its announcement is dropped.
    Result: Settled.
    """

    key: WorkKey
    deliveries: Sequence[Delivery] = ()
    segments: Sequence[Segment] = ()
    announcements: Sequence[Announcement] = ()
    exchanges: Sequence[Exchange] = ()
    requeue: WorkItem | None = None
    pdus: Sequence[Pdu] = ()
    held: Sequence[HeldMedia] = ()  # the message holds these from now on
    contents: Sequence[Content] = ()
    fence: Fence | None = None


class Settled(msgspec.Struct, frozen=True):
    """What is now announced: of this settlement, and of receipts that had been waiting for it."""

    announcements: Sequence[Announcement]
    matched_receipts: int = 0


class RecordReceipt(msgspec.Struct, frozen=True):
    """A carrier's receipt. One that finds no segment is parked. Result: ReceiptRecorded.

    Its id is taken as it is and then, if that is no segment's, by `conversion`: then only for a segment that
    went to `receipt.handset`, if that is given. Last, it may be about a delivery in doubt.
    """

    receipt: Receipt
    conversion: IdConversion = IdConversion.SAME


class ReceiptRecorded(msgspec.Struct, frozen=True):
    matched: bool
    announcements: Sequence[Announcement] = ()
    proposal: IdConversion | None = None  # by which it would have matched exactly one segment
    message_id: str = ""  # that it is about, if it matched


class RematchParked(msgspec.Struct, frozen=True):
    """Record again at most `limit` parked receipts of a carrier that were not recorded by `conversion` yet.

    Result: Rematched. None are left when `examined` is less than `limit`.
    """

    carrier_id: str
    conversion: IdConversion
    limit: int


class Rematched(msgspec.Struct, frozen=True):
    announcements: Sequence[Announcement]
    matched: int
    examined: int


class SettleCallback(msgspec.Struct, frozen=True):
    """One try of a callback: done (`retry` None) or to be repeated. Result: None.

    `inbound_accepted` is the id of the inbound message whose callback was answered with 2xx.
    """

    event_id: str
    attempt: Attempt | None
    retry: CallbackItem | None = None
    inbound_accepted: str | None = None
    fence: Fence | None = None


class Replay(msgspec.Struct, frozen=True):
    """Put callbacks of existing events back into the queue. Result: the CallbackItems queued."""

    event_ids: Sequence[str]
    due_ms: int


class TimeOutReceipts(msgspec.Struct, frozen=True):
    """Fail at most `limit` deliveries whose receipt was due before `now_ms`. Result: list of Announcements."""

    now_ms: int
    limit: int


class ExpireWork(msgspec.Struct, frozen=True):
    """Fail at most `limit` queued, unclaimed deliveries whose validity ended. Result: Expired."""

    now_ms: int
    limit: int


class Expired(msgspec.Struct, frozen=True):
    keys: Sequence[WorkKey]
    announcements: Sequence[Announcement]


class Prune(msgspec.Struct, frozen=True):
    """Delete at most `limit` rows of one kind that are older than `before_ms`. Result: how many.

    `what`: "messages" (only final ones whose callbacks are done, with all that belongs to them),
    "attempts", "pdus", "idempotency", "parked_receipts", "handset_messages", "audit", "media" (objects
    that have expired), "held_media" (of messages whose deliveries are final), "owed_mails".
    """

    what: str
    before_ms: int
    limit: int


class HandsetMessage(msgspec.Struct, array_like=True, frozen=True):
    """One message on a simulated handset; the columns of `handset_messages`."""

    network_id: str
    handset: str
    peer: str
    direction: str
    text: str
    media: tuple[str, ...]
    participants: tuple[str, ...]
    reference: str
    fate: str
    at_ms: int


class RecheckParked(msgspec.Struct, frozen=True):
    """Record again at most `limit` parked receipts that came since a moment, as they were. Result: Rematched.

    Of a receipt and the response that it belongs to, written by two nodes at once, neither sees the other.
    """

    since_ms: int
    limit: int


class RecordHandset(msgspec.Struct, frozen=True):
    """The simulated network took these. Result: None."""

    messages: Sequence[HandsetMessage]


class DropOwed(msgspec.Struct, frozen=True):
    """Peers took these mails, or will never take them. Result: None."""

    ids: Sequence[str]


# ---- media ----


class PutMedia(msgspec.Struct, frozen=True):
    """Keep an object, in place of one of the same name. Result: the Content in use.

    If that names another object of the object store, the caller's own is not needed.
    """

    object: MediaObject
    content: Content


class DeleteMedia(msgspec.Struct, frozen=True):
    """Result: whether it was there."""

    account_id: str
    name: str


class SweepContents(msgspec.Struct, frozen=True):
    """Forget at most `limit` contents that were stored before a moment and that nothing refers to.

    Result: list of their object keys, for the caller to delete from the object store.
    """

    before_ms: int
    limit: int


# ---- provisioning ----

Record = Account | Credential | Application | Number | Carrier | Route | OptOut | User


class Create(msgspec.Struct, frozen=True):
    """Result: None. Errors: AlreadyExists; NotFound if what it refers to is missing."""

    record: Record
    audit: AuditEntry | None = None  # written with it, and not without it


class Change(msgspec.Struct, frozen=True):
    """Replace a record by its key. Result: None. Errors: NotFound."""

    record: Record
    audit: AuditEntry | None = None


class Remove(msgspec.Struct, frozen=True):
    """Delete a record; an account's revoked credentials go with it. Result: None.

    Errors: NotFound; InUse with the reason.
    """

    record: Record
    audit: AuditEntry | None = None


class RecordAudit(msgspec.Struct, frozen=True):
    """Somebody did these, and no record changed by them. Result: None."""

    entries: Sequence[AuditEntry]


# ---- nodes that share the database ----


class Heartbeat(msgspec.Struct, frozen=True):
    """A node is alive, keeps leases, gives some up and takes some that are nobody's. Result: Pulse.

    Leases end by the database's clock, `lease_ms` from the heartbeat that took or kept them.
    """

    node: Node
    lease_ms: int
    keep: Sequence[Fence] = ()
    release: Sequence[Fence] = ()
    take: Sequence[str] = ()


class Pulse(msgspec.Struct, frozen=True):
    """The nodes of a database and what each owns, at one moment."""

    now_ms: int  # by the database's clock
    nodes: Sequence[Node]  # seen within a day
    leases: Sequence[Lease]
    directory: int  # counts changes of provisioned records


class Leave(msgspec.Struct, frozen=True):
    """A node ends: its leases are nobody's. Result: None."""

    node_id: str


Write = (
    Accept
    | HoldPart
    | DropParts
    | Claim
    | Settle
    | RecordReceipt
    | RematchParked
    | RecheckParked
    | SettleCallback
    | Replay
    | TimeOutReceipts
    | ExpireWork
    | Prune
    | RecordHandset
    | DropOwed
    | PutMedia
    | DeleteMedia
    | SweepContents
    | Create
    | Change
    | Remove
    | RecordAudit
    | Heartbeat
    | Leave
)


# ---- reads ----


class DueWork(msgspec.Struct, frozen=True):
    item: WorkItem
    message: Message
    deliveries: tuple[Delivery, ...]


class DueCallback(msgspec.Struct, frozen=True):
    item: CallbackItem
    event: Event
    message: Message


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A search over deliveries, newest first unless `sort` says otherwise. All given filters must match."""

    account_id: str | None = None
    message_id: str | None = None
    application_id: str | None = None
    sources: tuple[str, ...] = ()  # exact numbers
    source_prefix: str | None = None
    destinations: tuple[str, ...] = ()
    destination_prefix: str | None = None
    states: tuple[str, ...] = ()  # of `Found.state`; "SENDING" is a queued one that is claimed
    direction: str | None = None
    kind: str | None = None
    error_code: int | None = None  # 0: none
    carrier_id: str | None = None
    tag: str | None = None
    number: str | None = None  # that of the sender or of the recipient
    text: str | None = None  # a part of the text; ASCII letters in either case
    owner_class: str | None = None  # of `model.address.NumberClass`
    from_ms: int | None = None
    to_ms: int | None = None
    min_segments: int | None = None
    max_segments: int | None = None
    min_octets: int | None = None  # of the text in UTF-8
    max_octets: int | None = None
    before_id: str | None = None  # only messages with smaller ids
    examine: int | None = None  # read at most so many messages, newest first, and say how far that reached
    sort: tuple[str, bool] = ("received_ms", True)  # column of Found, descending?
    limit: int = 100
    offset: int = 0
    count_up_to: int = 10_000


class Found(msgspec.Struct, frozen=True):
    message: Message
    delivery: Delivery
    claimed: bool
    callback_delivered: bool


class FoundPage(msgspec.Struct, frozen=True):
    total: int  # counted up to `count_up_to`
    rows: Sequence[Found]
    reached: str | None = None  # with `examine`: go on with this as `before_id`; None when all has been read


class Life(msgspec.Struct, frozen=True):
    """Everything that is known of one message."""

    message: Message
    deliveries: Sequence[Delivery]
    claimed: Sequence[int]  # recipients that are with a carrier right now
    segments: Sequence[Segment]
    exchanges: Sequence[Exchange]
    events: Sequence[Event]
    pending: Sequence[CallbackItem]
    attempts: Sequence[Attempt]
    pdus: Sequence[Pdu] = ()
    held: Sequence[HeldMedia] = ()


class EventQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Events in order of their id, for `replay` ranges and `tail`."""

    message_id: str | None = None
    application_id: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    failed_only: bool = False  # only those that no attempt delivered
    after_id: str = ""
    limit: int = 1000


class QueueDepths(msgspec.Struct, frozen=True):
    outbox: dict[str, tuple[int, int]]  # lane → rows, oldest due_ms
    callbacks: dict[str, tuple[int, int]]  # application → rows, oldest due_ms


class Store(Protocol):
    """One database. Reads see everything that was committed before they began."""

    async def open(self) -> None:
        """Create or migrate the schema if needed. Raises StorageUnavailable with what to do."""
        ...

    async def close(self) -> None: ...

    def write(self, changes: Sequence[Write], done: Callable[[Sequence[Any]], None]) -> None:
        """Start writing one batch in one transaction. `done` is called in the event loop after the commit with a
        result or an exception per change. One batch at a time unless `parallel_writes` is larger."""
        ...

    @property
    def parallel_writes(self) -> int: ...

    shared: bool  # whether other processes may write to the same database

    def hint(self, topics: Iterable[str]) -> None:
        """Tell the other processes that there is something to look at, sooner or later. It may never arrive."""
        ...

    def listen(self, heard: Callable[[str], None]) -> None:
        """Have `heard` called in the event loop with topics that others hint at."""
        ...

    # provisioning
    async def directory(self) -> Directory: ...

    async def directory_version(self) -> int:
        """Counts changes of provisioned records, as `Pulse.directory` does."""
        ...

    # queues
    async def claimed_work(self, lane: str, limit: int) -> list[DueWork]:
        """Rows that were claimed and never settled: after a restart, what is in doubt."""
        ...

    async def due_work(
        self, lane: str, now_ms: int, after: tuple[int, str, int], limit: int
    ) -> list[DueWork]:
        """Unclaimed rows of a lane with due_ms ≤ now in order, after the key (due, message, recipient)."""
        ...

    async def next_work_due_ms(self, lane: str, now_ms: int) -> int | None:
        """Due time of the earliest unclaimed row of a lane that is due after `now_ms`."""
        ...

    async def next_expiry_ms(self) -> int | None:
        """When the validity of the first unclaimed row of the outbox ends. Reads the whole outbox."""
        ...

    async def callback_applications(self) -> list[str]:
        """Applications that have callbacks waiting."""
        ...

    async def due_callbacks(
        self, application_id: str, now_ms: int, after: tuple[int, str], limit: int
    ) -> list[DueCallback]: ...

    async def next_callback_due_ms(self, application_id: str, now_ms: int) -> int | None:
        """Due time of the earliest callback of an application that is due after `now_ms`."""
        ...

    async def owed_mails(self, carrier_id: str, limit: int) -> list[OwedMail]:
        """What a peer has not taken yet, the oldest first."""
        ...

    async def earlier_callback_due_ms(self, event_id: str) -> int | None:
        """When an earlier event of the same message and recipient is due, if one still waits."""
        ...

    async def events_by_id(self, event_ids: Sequence[str]) -> list[tuple[Event, Message]]: ...

    async def complete_parts(self, limit: int) -> list[list[HeldPart]]:
        """Sets of held parts that are whole, at most `limit`: a crash came between the last part and its message."""
        ...

    async def stale_parts(self, before_ms: int, limit: int) -> list[list[HeldPart]]:
        """Sets whose first part came before that moment, whole or not; the oldest first, at most `limit`."""
        ...

    # media
    async def media_object(self, account_id: str, name: str) -> tuple[MediaObject, Content] | None: ...

    async def list_media(self, account_id: str, after: str, limit: int) -> list[MediaObject]:
        """Objects whose names sort after `after`, in order of their names."""
        ...

    async def held_media(self, message_id: str) -> list[tuple[HeldMedia, Content]]:
        """What a message holds, in order."""
        ...

    async def known_object_keys(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that some content names."""
        ...

    # questions of people
    async def search(self, query: MessageQuery) -> FoundPage: ...

    async def life(self, message_id: str) -> Life | None: ...

    async def find_events(self, query: EventQuery) -> list[Event]: ...

    async def depths(self) -> QueueDepths: ...

    async def dead_rows(self) -> dict[str, int]:
        """Rows of each queue that were deleted and still take room; empty where that cannot be."""
        ...

    async def queued(self) -> int:
        """Rows in the outbox."""
        ...

    async def pacing(self) -> dict[tuple[str, str], int]:
        """Latest due_ms of unclaimed work per (account, sender), for accounts and numbers with a rate limit."""
        ...

    async def unmatched_receipts(self, limit: int, carrier_id: str | None = None) -> list[Receipt]:
        """The newest first, of one carrier or of all."""
        ...

    async def handset_tail(self, since_ms: int, limit: int) -> list[HandsetMessage]:
        """The newest messages of the simulated network, oldest first."""
        ...

    async def audit(self, limit: int, before_id: str = "") -> list[AuditEntry]:
        """The newest entries of the audit log, newest first; only those before the one with this id, if given."""
        ...

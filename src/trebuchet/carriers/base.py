"""The seam between the gateway and a carrier: what a link is asked, and what it reports.

A link knows nothing of storage. It is handed shipments, reports their outcome, and reports receipts and
inbound messages through `CarrierReports`, whose futures resolve after the commit: a link acknowledges to
its peer only then. All calls happen in one event loop and none of them blocks.

To add a kind of carrier: copy `carriers/simulator/`, add its line to `CARRIERS`, pass
`tests/contract/test_carriers.py -k KIND`.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec

from trebuchet.clock import Clock
from trebuchet.media.workers import ImageWorkers
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.media import Content, HeldMedia
from trebuchet.model.message import Delivery, Message
from trebuchet.model.owed import OwedMail
from trebuchet.model.receipt import Receipt
from trebuchet.telemetry import Telemetry


class Shipment(msgspec.Struct, frozen=True):
    """One thing to submit: a message for one recipient, or for all of them if it is a group message."""

    message: Message
    deliveries: tuple[Delivery, ...]
    attempt: int  # 1 for the first submit
    work_key: tuple[str, int]  # message id and recipient of the work row; opaque to links
    due_ms: int = 0  # its place in the lane


Exchanged = tuple[tuple[int, str, bytes], ...]  # PDUs: milliseconds, "out" or "in", octets


class Accepted(msgspec.Struct, frozen=True):
    """The carrier took it. One id per segment, in order, the same for each delivery unless given apart."""

    carrier_message_ids: tuple[tuple[str, ...], ...]  # per delivery, per segment
    pdus: Exchanged = ()


class Refused(msgspec.Struct, frozen=True):
    """The carrier, or the link itself, will never take it."""

    error_code: int
    description: str = ""
    taken: tuple[tuple[int, str], ...] = ()  # segments that it had taken before: number and id
    pdus: Exchanged = ()


class RetryAt(msgspec.Struct, frozen=True):
    """It failed in a way that may pass: an attempt is counted and the shipment comes back at `due_ms`."""

    due_ms: int
    error_code: int  # what it fails with when the attempts are used up
    description: str = ""
    pdus: Exchanged = ()


class Snooze(msgspec.Struct, frozen=True):
    """Not now, and not this message's fault (throttled, link down): the lane pauses and keeps its order."""

    until_ms: int
    description: str = ""
    pdus: Exchanged = ()


class Lost(msgspec.Struct, frozen=True):
    """Submitted and never answered: the carrier may have it. The link's `in_doubt` setting decides."""

    description: str = ""
    taken: tuple[tuple[int, str], ...] = ()  # segments that it did take: number and id
    parts: int = 0  # that it was submitted in; 0: as many as the message has segments
    pdus: Exchanged = ()


class Held(msgspec.Struct, frozen=True):
    """The files of the message are held: it goes on into its carrier's lane. Said by the lane of media only."""

    media: tuple[HeldMedia, ...]
    contents: tuple[Content, ...]


Outcome = Accepted | Refused | RetryAt | Snooze | Lost | Held


class LinkState(enum.StrEnum):
    DOWN = "down"
    UP = "up"
    PAUSED = "paused"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a long message this is, with its octets: text can be had only from all of them."""

    reference: int
    width: int  # of the reference in bits: 8 and 16 are counted apart
    total: int
    number: int  # from 1
    octets: bytes
    encoding: str  # `protocols.sms.Encoding`
    single_shift: int = 0


class File(msgspec.Struct, frozen=True):
    """One file of a message."""

    name: str  # without folders; may be empty
    content_type: str  # what the octets are
    octets: bytes


class InboundPart(msgspec.Struct, frozen=True, kw_only=True):
    """One message, or one part of one, that a handset sent."""

    carrier_id: str
    source: str
    destination: str  # our number
    destinations: tuple[str, ...] = ()  # all recipients of a group message; empty: only `destination`
    text: str
    media: tuple[str, ...] = ()  # URLs
    files: tuple[File, ...] = ()  # become objects of the account's media store
    owners: tuple[str, ...] = ()  # whom this copy is for; empty: all recipients
    multimedia: bool = False  # an MMS, even with text only and for one
    repeat_key: str = ""  # the carrier's own id of it: within a day a second one is not stored again
    segment_count: int = 1
    encoding: str = "GSM-7"
    carrier_message_id: str = ""
    owed: tuple[
        tuple[str, OwedMail], ...
    ] = ()  # by number of ours: what the peer is to be told once it is stored
    part: Part | None = None  # of a long message: `text` is empty then


class CarrierReports(Protocol):
    """What a link calls. Given to it at construction."""

    def outcome(self, shipment: Shipment, outcome: Outcome) -> None:
        """Say what became of a shipment; exactly once for each. Returns at once; settled in the next commit."""
        ...

    def receipt(
        self, receipt: Receipt, conversion: IdConversion = IdConversion.SAME, *, learn: bool = False
    ) -> "asyncio.Future[None]":
        """Resolves when the receipt, the new state and the callback row are on disk; fails if they are not.

        `conversion` is how the ids of the carrier's receipts differ from those of its responses. With `learn`
        it is found out, and the given one holds until then.
        """
        ...

    def inbound(self, part: InboundPart) -> "asyncio.Future[None]":
        """Resolves when the message and its callback row, or the part, are on disk; fails if they are not."""
        ...

    def room(self) -> None:
        """The link can take more than it could when it was last asked; lanes look again."""
        ...


class CarrierLink(Protocol):
    """One configured connection to a carrier."""

    carrier_id: str

    @property
    def lanes(self) -> Sequence[str]:
        """Names of this link's lanes, one per bind; the same names after a restart."""
        ...

    @property
    def state(self) -> LinkState: ...

    def room(self, lane: str) -> int:
        """How many shipments may be submitted in this lane now. 0 when down, paused or the window is full."""
        ...

    def submit(self, lane: str, shipment: Shipment) -> None:
        """Hand over one shipment, within `room`. Its outcome is reported later, also if the link goes down."""
        ...

    async def start(self) -> None: ...

    async def stop(self, grace_s: float) -> None:
        """Take nothing more, wait at most `grace_s` for outcomes, report the rest as Lost. May be called twice."""
        ...


HeldFiles = Callable[[str], Awaitable[list[File]]]
"""The files that a message holds, by its id, in order. Raises StorageError."""


class Debts(Protocol):
    """The mails that peers are owed and have not taken yet: stored with the message, kept until they are dropped."""

    async def of(self, carrier_id: str, limit: int) -> list[OwedMail]:
        """The oldest first. Raises StorageError."""
        ...

    def drop(self, ids: Sequence[str]) -> None:
        """The peer took them, or will never take them. One that is not dropped after all is told again."""
        ...


class Surroundings(msgspec.Struct, frozen=True):
    """What a link may need besides its settings. `network` is the simulated one, None where it is off."""

    clock: Clock
    network: Any
    telemetry: Telemetry
    held_files: HeldFiles
    images: ImageWorkers
    is_ours: Callable[[str], bool]  # a number of this gateway
    debts: Debts

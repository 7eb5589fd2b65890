"""What the storage suites have in common: the engines, and short ways to say what happens to a message.

`taken`, `refused`, … build the changes that the gateway would write, with the gateway's own decisions.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from trebuchet.model import ledger
from trebuchet.model.account import Profile
from trebuchet.model.events import (
    DESCRIPTIONS,
    Announcement,
    Attempt,
    CallbackItem,
    Event,
    EventType,
    event_id,
)
from trebuchet.model.message import GROUP, Delivery, Direction, Kind, Message, Segment, WorkItem
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.model.status import Happening, State
from trebuchet.storage.base import Accept, Exchange, Settle, Store, Write
from trebuchet.storage.postgres.engine import PostgresStore
from trebuchet.storage.sqlite.engine import SqliteStore

Engine = Callable[[], Store]


def on_sqlite(folder: Path) -> Engine:
    """Makes stores on one new file in the folder."""
    return lambda: SqliteStore(str(folder / "trebuchet.sqlite3"))


def on_postgres(url: str) -> Engine:
    """Makes stores on the database of this URL, each with a slot of its own."""
    return lambda: PostgresStore(url, slot=uuid4().hex, now_ms=lambda: T0)


_ANSWER_S = 30  # an engine that never answers fails its test instead of hanging it

T0 = 1_767_225_600_000
HOUR = 3_600_000
DAY = 24 * HOUR
LANE = "sim/0"
CARRIER = "sim"
APPLICATION = "app-1"
FROM = "+12345678901"
TO = "+19195551234"


@asynccontextmanager
async def opened(engine: Engine) -> AsyncIterator[Store]:
    """A store, open within the block. A second one afterwards is what a restart sees."""
    store = engine()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def write(store: Store, *changes: Write) -> Sequence[Any]:
    """Results and exceptions of one batch, in order."""
    written: asyncio.Future[Sequence[Any]] = asyncio.get_running_loop().create_future()
    store.write(changes, written.set_result)
    return await asyncio.wait_for(written, _ANSWER_S)


async def do(store: Store, change: Write) -> Any:
    """The result of one change; raises what it was answered with."""
    (result,) = await write(store, change)
    if isinstance(result, Exception):
        raise result
    return result


# ---- messages ----


def message(number: int = 0, **fields: Any) -> Message:
    """An outbound message; `number` is how many milliseconds after T0 it was received, and its id."""
    received_ms = T0 + number
    return replace(
        Message(
            id=f"{received_ms:013d}aaaaaaaaaaaaaaaa",
            account_id="u-1",
            application_id=APPLICATION,
            direction=Direction.OUT,
            kind=Kind.SMS,
            owner=FROM,
            source=FROM,
            destinations=(TO,),
            text="hello",
            media=None,
            tag=None,
            priority=None,
            expiration=None,
            valid_until_ms=received_ms + DAY,
            segment_count=1,
            encoding="GSM-7",
            profile=Profile.CATAPULT,
            received_ms=received_ms,
        ),
        **fields,
    )


def deliveries(of: Message) -> tuple[Delivery, ...]:
    """One queued delivery per destination."""
    return tuple(
        Delivery(of.id, place, to, State.QUEUED, CARRIER, LANE, None, "", 0, 0, 0, None, None, None)
        for place, to in enumerate(of.destinations)
    )


def outbound(of: Message, due_ms: int | None = None, lane: str = LANE, *, group: bool = False) -> Accept:
    """A message taken for submission: due at once unless said otherwise, one work row per recipient or group."""
    due_ms = of.received_ms if due_ms is None else due_ms
    recipients = (GROUP,) if group else range(len(of.destinations))
    work = [WorkItem(lane, due_ms, of.id, recipient, 0, of.valid_until_ms) for recipient in recipients]
    return Accept(of, [replace_lane(d, lane) for d in deliveries(of)], work)


def replace_lane(of: Delivery, lane: str) -> Delivery:
    changed = copy(of)
    changed.lane, changed.carrier_id = lane, lane.partition("/")[0]
    return changed


def inbound(number: int = 0, **fields: Any) -> Accept:
    """A message of a handset to our number, with its event and callback."""
    received = message(
        number, **({"direction": Direction.IN, "source": TO, "destinations": (FROM,)} | fields)
    )
    event = Event(
        id=event_id(received.id, 0, EventType.RECEIVED),
        message_id=received.id,
        recipient=0,
        type=EventType.RECEIVED,
        to=FROM,
        error_code=None,
        description=DESCRIPTIONS[EventType.RECEIVED],
        time_ms=received.received_ms,
    )
    item = CallbackItem(received.application_id, received.received_ms, event.id)
    delivery = Delivery(
        received.id, 0, FROM, State.RECEIVED, CARRIER, None, None, "", 0, 0, 0, None, None, None
    )
    return Accept(received, (delivery,), announcements=(Announcement(event, item),))


# ---- outcomes of submits ----


def key(of: Message, recipient: int = 0) -> tuple[str, int]:
    return (of.id, recipient)


def taken(of: Message, *carrier_ids: str, recipient: int = 0, at_ms: int | None = None) -> Settle:
    """The carrier took every segment and gave it an id. The receipt is due in two hours."""
    at_ms = of.received_ms + 1 if at_ms is None else at_ms
    delivery = deliveries(of)[recipient]
    ledger.verdict(delivery, Happening.TAKEN, None, "", at_ms)
    delivery.attempts = 1
    delivery.segments_total = len(carrier_ids)
    delivery.submitted_ms = at_ms
    delivery.receipt_due_ms = at_ms + 2 * HOUR
    segments = [
        Segment(of.id, recipient, number, CARRIER, carrier_id, ledger.TAKEN, None, at_ms, None)
        for number, carrier_id in enumerate(carrier_ids)
    ]
    sending = [] if of.kind is Kind.SMS else [announced(delivery, EventType.SENDING, of, at_ms)]
    return Settle(key(of, recipient), (delivery,), segments, sending)


def refused(of: Message, recipient: int = 0, code: int = 4720) -> Settle:
    """The carrier refused it for good."""
    at_ms = of.received_ms + 1
    delivery = deliveries(of)[recipient]
    ledger.verdict(delivery, Happening.REFUSED, code, "refused", at_ms)
    announcement = announced(delivery, EventType.FAILED, of, at_ms)
    exchange = Exchange(of.id, recipient, at_ms, "refused", CARRIER, code, "no such number")
    return Settle(key(of, recipient), (delivery,), (), (announcement,), (exchange,))


def lost(
    of: Message, recipient: int = 0, at_ms: int | None = None, known: Mapping[int, str] | None = None
) -> Settle:
    """No answer to the submit, and the carrier's setting is to wait for a late receipt.

    `known` are segments that were answered all the same.
    """
    at_ms = of.received_ms + 1 if at_ms is None else at_ms
    delivery = deliveries(of)[recipient]
    ledger.verdict(delivery, Happening.LOST, None, "", at_ms)
    delivery.receipt_due_ms = at_ms + 2 * HOUR
    segments = [
        Segment(of.id, recipient, number, CARRIER, carrier_id, ledger.TAKEN, None, at_ms, None)
        for number, carrier_id in (known or {}).items()
    ]
    return Settle(key(of, recipient), (delivery,), segments)


def retried(of: Message, due_ms: int, attempts: int = 1, recipient: int = 0) -> Settle:
    """Back into the queue."""
    requeue = WorkItem(LANE, due_ms, of.id, recipient, attempts, of.valid_until_ms)
    return Settle(key(of, recipient), requeue=requeue)


def announced(delivery: Delivery, type_: EventType, of: Message, at_ms: int) -> Announcement:
    return ledger.announcement(delivery, type_, of.application_id, of.kind, at_ms)


# ---- receipts and callbacks ----


def receipt(carrier_id: str, state: ReceiptState = ReceiptState.DELIVERED, **fields: Any) -> Receipt:
    """A receipt of the carrier's id; a negative one means 4750."""
    negative = state not in {ReceiptState.DELIVERED, ReceiptState.ENROUTE, ReceiptState.ACCEPTED}
    return replace(
        Receipt(
            carrier_id=CARRIER,
            carrier_message_id=carrier_id,
            state=state,
            error_code=4750 if negative else None,
            error="err:001" if negative else "",
            at_ms=T0 + 5000,
        ),
        **fields,
    )


def attempt(event: str, started_ms: int = T0 + 6000, status: int | None = 200) -> Attempt:
    """A try of a callback; no status: it was not answered."""
    return Attempt(event, started_ms, 12, status, None if status else "timeout", "OK" if status else "")


def event_types(announcements: Sequence[Announcement]) -> list[EventType]:
    return [a.event.type for a in announcements]

"""A receipt is acknowledged when everything that follows from it is on disk."""

import asyncio

import pytest
from outbox.doubles import HeldStore, as_store
from outbox.loops import settle_loop
from outbox.records import APPLICATION, CARRIER, T0, delivery

from trebuchet.errors import StorageUnavailable
from trebuchet.model import ledger
from trebuchet.model.events import Announcement, EventType
from trebuchet.model.message import Kind
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.outbox.committer import Committer
from trebuchet.receipts import Receipts
from trebuchet.storage.base import ReceiptRecorded, RecordReceipt
from trebuchet.telemetry import Telemetry

pytestmark = pytest.mark.anyio

RECEIPT = Receipt(carrier_id=CARRIER, carrier_message_id="c-1", state=ReceiptState.DELIVERED, at_ms=T0)
DELIVERED = ledger.announcement(delivery(), EventType.DELIVERED, APPLICATION, Kind.SMS, T0)


class Desk:
    """Receipts over a store that commits when told to."""

    def __init__(self) -> None:
        self.store = HeldStore()
        self.announced: list[Announcement] = []
        self.telemetry = Telemetry()
        committer = Committer(as_store(self.store), batch_max=100, observe=lambda size, seconds: None)
        self.receipts = Receipts(
            committer=committer, announce=self.announced.extend, telemetry=self.telemetry
        )

    async def record(self) -> "asyncio.Future[None]":
        acknowledged = self.receipts.record(RECEIPT)
        await settle_loop()
        return acknowledged

    async def commit(self, result: object) -> None:
        self.store.complete([result])
        await settle_loop()


async def test_a_receipt_is_acknowledged_after_the_commit() -> None:
    """Then, too, what it decided is announced."""
    desk = Desk()
    acknowledged = await desk.record()
    assert desk.store.changes == [RecordReceipt(RECEIPT)]
    assert (acknowledged.done(), desk.announced) == (False, [])
    await desk.commit(ReceiptRecorded(matched=True, announcements=[DELIVERED]))
    assert (acknowledged.done(), desk.announced) == (True, [DELIVERED])
    assert desk.telemetry.value("trebuchet_receipts_total", CARRIER, "DELIVRD") == 1
    assert desk.telemetry.value("trebuchet_receipts_unmatched_total", CARRIER) == 0


async def test_a_receipt_of_an_unknown_segment_is_acknowledged_and_counted() -> None:
    """It is kept until the answer to its submit comes: the carrier need not repeat it."""
    desk = Desk()
    acknowledged = await desk.record()
    await desk.commit(ReceiptRecorded(matched=False))
    assert (acknowledged.done(), desk.announced) == (True, [])
    assert desk.telemetry.value("trebuchet_receipts_unmatched_total", CARRIER) == 1


async def test_a_receipt_that_cannot_be_stored_is_not_acknowledged() -> None:
    """So that the carrier repeats it."""
    desk = Desk()
    acknowledged = await desk.record()
    await desk.commit(StorageUnavailable("disk full"))
    assert isinstance(acknowledged.exception(), StorageUnavailable)
    assert desk.telemetry.value("trebuchet_problems_total", "receipt_not_stored") == 1
    assert desk.telemetry.value("trebuchet_receipts_total", CARRIER, "DELIVRD") == 0


@pytest.mark.parametrize(
    "result", [ReceiptRecorded(matched=True, announcements=[DELIVERED]), StorageUnavailable("disk full")]
)
async def test_a_link_that_goes_away_changes_nothing(result: object) -> None:
    """What was stored is announced, whoever waits for it or not."""
    desk = Desk()
    (await desk.record()).cancel()
    await desk.commit(result)
    assert desk.announced == ([DELIVERED] if isinstance(result, ReceiptRecorded) else [])

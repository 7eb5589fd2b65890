"""A receipt is acknowledged when everything that follows from it is on disk."""

import asyncio

import pytest
from msgspec.structs import replace
from outbox.doubles import HeldStore, as_store
from outbox.loops import settle_loop
from outbox.records import APPLICATION, CARRIER, T0, delivery

from trebuchet.errors import StorageUnavailable
from trebuchet.model import ledger
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import Announcement, EventType
from trebuchet.model.message import Kind
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.outbox.committer import Committer
from trebuchet.receipts import Proposal, Receipts
from trebuchet.storage.base import ReceiptRecorded, RecordReceipt, Rematched, RematchParked, Write
from trebuchet.telemetry import Telemetry

pytestmark = pytest.mark.anyio

RECEIPT = Receipt(carrier_id=CARRIER, carrier_message_id="c-1", state=ReceiptState.DELIVERED, at_ms=T0)
HEX, PADDED = IdConversion.RESPONSE_HEX_RECEIPT_DECIMAL, IdConversion.PADDED
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

    async def proposed(self, *conversions: IdConversion, learn: bool = True, first: int = 0) -> None:
        """Receipts of different ids, each of which would have matched by a conversion."""
        for number, conversion in enumerate(conversions, first):
            self.receipts.record(replace(RECEIPT, carrier_message_id=f"{number}"), learn=learn)
            await settle_loop()
            await self.commit(ReceiptRecorded(matched=False, proposal=conversion))

    async def commit(self, *results: object) -> None:
        self.store.complete(results)
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


# ---- ids that look different ----


def rematches(desk: Desk) -> list[Write]:
    return [change for change in desk.store.changes if isinstance(change, RematchParked)]


async def conversion_used(desk: Desk, *, learn: bool = True, given: IdConversion = IdConversion.SAME) -> str:
    """By which conversion the next receipt of the carrier is recorded."""
    desk.receipts.record(RECEIPT, given, learn=learn)
    await settle_loop()
    (change,) = desk.store.batches[-1]
    assert isinstance(change, RecordReceipt)
    await desk.commit(ReceiptRecorded(matched=True))
    return change.conversion


async def test_five_receipts_that_propose_the_same_teach_it() -> None:
    """From then on receipts are recorded so, and those that wait are recorded again."""
    desk = Desk()
    await desk.proposed(*[HEX] * 4)
    assert desk.receipts.proposal(CARRIER) == Proposal(HEX, 4, learned=False)
    assert (rematches(desk), await conversion_used(desk)) == ([], IdConversion.SAME)
    await desk.proposed(HEX, first=4)
    assert desk.receipts.proposal(CARRIER) == Proposal(HEX, 5, learned=True)
    assert rematches(desk) == [RematchParked(CARRIER, HEX, 500)]
    await desk.commit(Rematched([DELIVERED], 1, 499))
    assert (desk.announced, await conversion_used(desk)) == ([DELIVERED], HEX)
    assert desk.telemetry.value("trebuchet_receipt_id_proposals_total", CARRIER, "hex-decimal") == 5


async def test_another_proposal_in_between_begins_anew() -> None:
    """Five in a row must say the same."""
    desk = Desk()
    await desk.proposed(*[HEX] * 4, PADDED, *[HEX] * 4)
    assert desk.receipts.proposal(CARRIER) == Proposal(HEX, 4, learned=False)
    assert rematches(desk) == []


async def test_a_receipt_that_is_repeated_teaches_nothing() -> None:
    """It is the same evidence again."""
    desk = Desk()
    for _ in range(9):
        await desk.proposed(HEX, first=7)
    assert desk.receipts.proposal(CARRIER) == Proposal(HEX, 1, learned=False)


async def test_what_is_not_to_be_learned_is_only_shown() -> None:
    """A link with a setting of its own keeps to it, and people see that it may be wrong."""
    desk = Desk()
    await desk.proposed(*[HEX] * 9, learn=False)
    assert desk.receipts.proposal(CARRIER) == Proposal(HEX, 9, learned=False)
    assert await conversion_used(desk, learn=False, given=PADDED) == PADDED


async def test_carriers_are_taught_apart() -> None:
    """What one needs is nothing to another."""
    desk = Desk()
    await desk.proposed(*[HEX] * 5)
    await desk.commit(Rematched([], 0, 0))
    assert desk.receipts.proposal("other") is None
    desk.receipts.record(replace(RECEIPT, carrier_id="other"), learn=True)
    await settle_loop()
    assert desk.store.batches[-1] == [RecordReceipt(replace(RECEIPT, carrier_id="other"))]


async def test_what_was_learned_can_be_learned_anew() -> None:
    """A carrier may change how it writes its ids."""
    desk = Desk()
    await desk.proposed(*[HEX] * 5)
    await desk.commit(Rematched([], 0, 0))
    await desk.proposed(*[PADDED] * 5)
    await desk.commit(Rematched([], 0, 0))
    assert await conversion_used(desk) == PADDED
    assert rematches(desk) == [RematchParked(CARRIER, HEX, 500), RematchParked(CARRIER, PADDED, 500)]


async def test_waiting_receipts_are_recorded_again_until_none_is_left() -> None:
    """Some at a time, so that the path of messages goes on."""
    desk = Desk()
    await desk.proposed(*[HEX] * 5)
    await desk.commit(Rematched([DELIVERED], 1, 500))
    await desk.commit(Rematched([DELIVERED], 1, 500))
    await desk.commit(Rematched([], 0, 0))
    assert (rematches(desk), desk.announced) == ([RematchParked(CARRIER, HEX, 500)] * 3, [DELIVERED] * 2)


async def test_recording_again_that_fails_is_tried_again() -> None:
    """The next proposal teaches it once more."""
    desk = Desk()
    await desk.proposed(*[HEX] * 5)
    await desk.commit(StorageUnavailable("disk full"))
    assert desk.telemetry.value("trebuchet_problems_total", "receipts_not_rematched") == 1
    assert await conversion_used(desk) == IdConversion.SAME
    await desk.proposed(HEX, first=5)
    assert len(rematches(desk)) == 2

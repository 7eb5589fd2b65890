"""What every storage engine promises about the path of a message, noun by noun (`storage.base`)."""

import msgspec
import pytest
from msgspec.structs import replace

from contract.stories import (
    APPLICATION,
    DAY,
    FROM,
    HOUR,
    LANE,
    T0,
    TO,
    Engine,
    attempt,
    do,
    event_types,
    inbound,
    key,
    lost,
    message,
    opened,
    outbound,
    receipt,
    refused,
    retried,
    taken,
    write,
)
from trebuchet.errors import IdempotencyMismatch, StorageError, StorageUnavailable
from trebuchet.model.account import Account
from trebuchet.model.audit import AuditEntry
from trebuchet.model.events import CallbackItem, EventType, event_id
from trebuchet.model.message import GROUP, Delivery, Kind, Message
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.model.status import FINAL, State
from trebuchet.storage.base import (
    Accept,
    Change,
    Claim,
    Create,
    Expired,
    ExpireWork,
    HandsetMessage,
    IdempotencyKey,
    Life,
    Prune,
    RecordAudit,
    RecordHandset,
    RecordReceipt,
    Replay,
    Settle,
    SettleCallback,
    Store,
    TimeOutReceipts,
    Write,
)

pytestmark = pytest.mark.anyio

START = (0, "", -2)
LATER = T0 + 10 * DAY


async def life(store: Store, of: Message) -> Life:
    found = await store.life(of.id)
    assert found is not None
    return found


async def only_delivery(store: Store, of: Message) -> Delivery:
    (delivery,) = (await life(store, of)).deliveries
    return delivery


async def due(store: Store, lane: str = LANE, now_ms: int = LATER) -> list[tuple[str, int]]:
    """Keys of the work that a lane would be given, in order."""
    return [key(d.message, d.item.recipient) for d in await store.due_work(lane, now_ms, START, 1000)]


async def in_doubt(store: Store, lane: str = LANE) -> list[tuple[str, int]]:
    return [key(d.message, d.item.recipient) for d in await store.claimed_work(lane, 1000)]


async def waiting(store: Store, application_id: str = APPLICATION, now_ms: int = LATER) -> list[str]:
    """Ids of the events whose callback is due, in order."""
    return [d.event.id for d in await store.due_callbacks(application_id, now_ms, (0, ""), 1000)]


def final_event(of: Message, recipient: int = 0) -> str:
    return event_id(of.id, recipient, EventType.DELIVERED)


# ---- batches ----


async def test_results_come_in_the_order_of_the_changes(store: Store) -> None:
    """Changes of all kinds may stand in one batch in any order; each gets its own result."""
    first, second = message(1), message(2)
    await write(store, outbound(first), outbound(second))
    results = await write(
        store,
        Claim([key(first)], T0),
        RecordReceipt(receipt("unheard-of")),
        outbound(message(3)),
        Claim([key(second)], T0),
        Prune("attempts", T0, 10),
    )
    assert [type(result).__name__ for result in results] == [
        "list",
        "ReceiptRecorded",
        "NoneType",
        "list",
        "int",
    ]
    assert (results[0], results[3]) == ([key(first)], [key(second)])


async def test_a_change_that_cannot_be_done_disturbs_no_other(store: Store) -> None:
    """It alone is answered with its exception; the rest of its batch is committed."""
    good, taken_id, also_good = message(1), message(2), message(3)
    await do(store, outbound(taken_id))
    results = await write(
        store, outbound(good), outbound(taken_id), outbound(also_good), Change(Account(id="u-unknown"))
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False, True]
    assert isinstance(results[1], StorageError)
    assert await due(store) == [key(good), key(taken_id), key(also_good)]


async def test_a_failed_batch_is_repeated_without_losing_receipts(store: Store) -> None:
    """A receipt that waits for a settlement is matched, also when the settlement shares its batch with a failure."""
    of = message()
    await do(store, outbound(of))
    await do(store, RecordReceipt(receipt("c-1")))
    unencodable = receipt("c-2", error="\ud800")
    settled, failed = await write(store, taken(of, "c-1"), RecordReceipt(unencodable))
    assert isinstance(failed, StorageError)
    assert settled.matched_receipts == 1
    assert (await only_delivery(store, of)).state is State.DELIVERED


async def test_a_change_that_makes_no_sense_is_answered(store: Store) -> None:
    """Whatever goes wrong in a change, it is answered with an error and the store goes on."""
    nonsense, good = await write(store, Prune("nonsense", T0, 10), outbound(message()))
    assert isinstance(nonsense, StorageError)
    assert good is None
    assert await due(store) == [key(message())]


async def test_an_accept_that_fails_leaves_nothing_of_itself(store: Store) -> None:
    """A message is stored with its deliveries, work and events, or not at all."""
    of = message()
    whole = outbound(of)
    broken = replace(whole, work=[*whole.work, *whole.work])
    with pytest.raises(StorageError):
        await do(store, broken)
    assert await store.life(of.id) is None
    assert await store.queued() == 0


async def test_what_is_done_survives_a_restart(engine: Engine) -> None:
    """When `done` has been called, the change is on disk."""
    of = message()
    async with opened(engine) as store:
        await do(store, outbound(of))
    async with opened(engine) as store:
        assert await due(store) == [key(of)]


async def test_a_closed_store_takes_nothing(engine: Engine) -> None:
    """Writing to a store that is closed, or not yet open, is refused at once."""
    store = engine()
    with pytest.raises(StorageUnavailable):
        store.write([outbound(message())], lambda _: None)
    await store.open()
    await store.close()
    with pytest.raises(StorageUnavailable):
        store.write([outbound(message())], lambda _: None)


async def test_closing_finishes_what_was_taken(engine: Engine) -> None:
    """Batches that were handed over before `close` are written, in order; closing twice is harmless."""
    store = engine()
    await store.open()
    for number in range(20):
        store.write([outbound(message(number))], lambda _: None)
    await store.close()
    await store.close()
    async with opened(engine) as reopened:
        assert await due(reopened) == [key(message(number)) for number in range(20)]


# ---- accept ----


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "😀 \U0001f468‍\U0001f469‍\U0001f467",
        "quotes \" ' ` and \\ backslash",
        "line\nbreak\r\ttab",
        "\x01 \x1b \x7f \u2028 \ufeff",
        "inner\x00null",
        "007",
        "1e5",
        "null",
        '["json"]',
        "'); DROP TABLE messages; --",
        "ж" * 2048,
    ],
)
async def test_text_is_kept_to_the_character(store: Store, text: str) -> None:
    """Whatever was accepted comes back, also what looks like numbers, JSON or SQL."""
    of = message(text=text, tag=text)
    await do(store, outbound(of))
    (found,) = await store.due_work(LANE, LATER, START, 10)
    assert found.message == of


async def test_an_accepted_message_comes_back_whole(store: Store) -> None:
    """Message, deliveries and work row are what was handed over."""
    of = message(
        kind=Kind.MMS,
        destinations=(TO, "+19195550001"),
        media=("https://example.com/a.png", "https://example.com/b.png"),
        tag="",
        priority="high",
        expiration="2026-01-02T00:00:00+02:00",
        segment_count=3,
        encoding="UCS-2",
    )
    change = outbound(of)
    await do(store, change)
    found = await life(store, of)
    assert (found.message, found.deliveries) == (of, list(change.deliveries))
    assert [d.item for d in await store.due_work(LANE, LATER, START, 10)] == list(change.work)


async def test_an_inbound_message_has_its_callback_at_once(store: Store) -> None:
    """It is stored together with its event and the callback; there is no work for a carrier."""
    change = inbound()
    await do(store, change)
    (found,) = await store.due_callbacks(APPLICATION, LATER, (0, ""), 10)
    assert (found.event, found.item) == (change.announcements[0].event, change.announcements[0].item)
    assert found.message == change.message
    assert await store.queued() == 0


# ---- idempotency ----


def keyed(of: Message, name: str = "k", sha: str = "a" * 64, account: str = "u-1") -> Accept:
    return replace(outbound(of), idempotency=IdempotencyKey(account, name, sha, of.received_ms + DAY))


async def test_a_repeated_request_gets_the_first_message(store: Store) -> None:
    """Promise 5: the same key with the same request stores nothing more and answers with the first message."""
    first, repeated = message(1), message(2)
    assert await do(store, keyed(first)) is None
    assert await do(store, keyed(repeated)) == first
    assert await due(store) == [key(first)]


async def test_a_request_repeated_within_a_batch_gets_the_first_message(store: Store) -> None:
    """Two tries of one client can reach the same commit."""
    first, repeated = message(1), message(2)
    assert await write(store, keyed(first), keyed(repeated)) == [None, first]
    assert await due(store) == [key(first)]


async def test_another_request_under_the_same_key_is_refused(store: Store) -> None:
    """A key belongs to one request; the message of the second is not stored."""
    await do(store, keyed(message(1)))
    with pytest.raises(IdempotencyMismatch, match="k"):
        await do(store, keyed(message(2), sha="b" * 64))
    assert await due(store) == [key(message(1))]


async def test_keys_are_per_account(store: Store) -> None:
    """Two accounts may choose the same key."""
    results = await write(store, keyed(message(1)), keyed(message(2), sha="b" * 64, account="u-2"))
    assert results == [None, None]


async def test_a_key_can_be_used_again_when_it_has_expired(store: Store) -> None:
    """After its 24 hours a key is new, with whatever request."""
    late = message(DAY + 1)
    await do(store, keyed(message(0)))
    assert await do(store, keyed(late, sha="b" * 64)) is None
    assert await do(store, keyed(message(DAY + 2), sha="b" * 64)) == late


async def test_a_key_whose_message_was_deleted_is_new(store: Store) -> None:
    """Retention may be shorter than the life of a key: the request is then taken as a first one."""
    old, again = message(1), message(2)
    await do(store, replace(keyed(old), work=(), deliveries=()))
    assert await do(store, Prune("messages", T0 + HOUR, 10)) == 1
    assert await do(store, keyed(again)) is None
    assert await due(store) == [key(again)]


# ---- claim ----


async def test_a_claim_takes_rows_that_are_there_and_unclaimed(store: Store) -> None:
    """Its result names them; rows that are unknown or claimed already are left out."""
    here, claimed = message(1), message(2)
    await write(store, outbound(here), outbound(claimed))
    assert await do(store, Claim([key(claimed)], T0)) == [key(claimed)]
    assert await do(store, Claim([key(claimed), key(message(9)), key(here)], T0)) == [key(here)]


async def test_two_claims_of_one_batch_never_both_get_a_row(store: Store) -> None:
    """Whoever is second gets nothing, in the same batch too."""
    of = message()
    await do(store, outbound(of))
    assert await write(store, Claim([key(of)], T0), Claim([key(of)], T0)) == [[key(of)], []]


async def test_claimed_work_is_not_handed_out_again(store: Store) -> None:
    """A claimed row is not due; it is among the claimed ones, with message and delivery."""
    of, other = message(1), message(2)
    await write(store, outbound(of), outbound(other), Claim([key(of)], T0))
    await do(store, Claim([key(of)], T0))
    assert await due(store) == [key(other)]
    (found,) = await store.claimed_work(LANE, 10)
    assert (found.message, found.item.message_id) == (of, of.id)
    assert [d.state for d in found.deliveries] == [State.QUEUED]


async def test_a_restart_shows_what_was_in_flight(engine: Engine) -> None:
    """Promise 4: rows that were claimed and never settled are found again, lane by lane."""
    here, there, settled = message(1), message(2), message(3)
    async with opened(engine) as store:
        await write(store, outbound(here), outbound(there, lane="sim/1"), outbound(settled))
        await do(store, Claim([key(here), key(there), key(settled)], T0))
        await do(store, taken(settled, "c-1"))
    async with opened(engine) as store:
        assert await in_doubt(store) == [key(here)]
        assert await in_doubt(store, "sim/1") == [key(there)]


# ---- due work ----


async def test_due_work_comes_in_order_of_due_time_then_id(store: Store) -> None:
    """Rows that are due later, of other lanes or before `after` are left out; `limit` cuts the rest."""
    first, second, third = message(3), message(1), message(2)
    await write(
        store,
        outbound(second, T0 + 20),
        outbound(third, T0 + 20),
        outbound(first, T0 + 10),
        outbound(message(4), T0 + 21),
        outbound(message(5), T0, lane="sim/1"),
    )
    rows = await store.due_work(LANE, T0 + 20, START, 10)
    assert [d.message for d in rows] == [first, second, third]
    assert [d.message for d in await store.due_work(LANE, T0 + 20, START, 2)] == [first, second]
    after = (rows[1].item.due_ms, rows[1].item.message_id, rows[1].item.recipient)
    assert [d.message for d in await store.due_work(LANE, T0 + 20, after, 10)] == [third]


async def test_one_work_row_per_recipient_brings_one_delivery(store: Store) -> None:
    """Recipients wait on their own, each with its own delivery."""
    of = message(destinations=(TO, "+19195550001"))
    await do(store, outbound(of))
    rows = await store.due_work(LANE, LATER, START, 10)
    assert [[d.recipient for d in row.deliveries] for row in rows] == [[0], [1]]


async def test_a_group_brings_the_deliveries_that_are_still_queued(store: Store) -> None:
    """Recipient -1 stands for all recipients; one that was refused at intake is not submitted."""
    of = message(destinations=(TO, "+19195550001", "+19195550002"))
    change = outbound(of, group=True)
    change.deliveries[1].state = State.FAILED
    await do(store, change)
    (row,) = await store.due_work(LANE, LATER, START, 10)
    assert row.item.recipient == GROUP
    assert [d.recipient for d in row.deliveries] == [0, 2]


async def test_the_next_due_time_is_after_now_and_of_unclaimed_rows(store: Store) -> None:
    """It tells a lane when to look again; rows that are due already, claimed or of other lanes do not count."""
    claimed = message(1)
    await write(
        store,
        outbound(message(0), T0 + 10),
        outbound(claimed, T0 + 20),
        outbound(message(2), T0 + 30),
        outbound(message(3), T0 + 15, lane="sim/1"),
    )
    await do(store, Claim([key(claimed)], T0))
    assert await store.next_work_due_ms(LANE, T0) == T0 + 10
    assert await store.next_work_due_ms(LANE, T0 + 10) == T0 + 30
    assert await store.next_work_due_ms(LANE, T0 + 30) is None


# ---- settle ----


async def test_a_taken_submit_ends_its_work(store: Store) -> None:
    """The work row goes, the delivery awaits its receipt, the segments are known by the carrier's ids."""
    of = message()
    await write(store, outbound(of), Claim([key(of)], T0))
    change = taken(of, "c-1", "c-2")
    settled = await do(store, change)
    assert (settled.announcements, settled.matched_receipts) == ([], 0)
    found = await life(store, of)
    assert (found.deliveries, found.segments) == (list(change.deliveries), list(change.segments))
    assert await store.queued() == 0


async def test_a_refused_submit_is_final_and_announced(store: Store) -> None:
    """Delivery, exchange, event and callback are written together."""
    of = message()
    await do(store, outbound(of))
    change = refused(of)
    settled = await do(store, change)
    assert event_types(settled.announcements) == [EventType.FAILED]
    found = await life(store, of)
    assert found.deliveries[0].state is State.FAILED
    assert (found.exchanges, found.events) == (list(change.exchanges), [change.announcements[0].event])
    assert await waiting(store) == [final_event(of)]


async def test_requeued_work_waits_unclaimed_until_it_is_due(store: Store) -> None:
    """A retry puts the row back with its new due time and count of attempts."""
    of = message()
    await do(store, outbound(of))
    await do(store, Claim([key(of)], T0))
    await do(store, retried(of, due_ms=T0 + 60_000, attempts=3))
    assert await store.claimed_work(LANE, 10) == []
    assert await store.due_work(LANE, T0 + 59_999, START, 10) == []
    (row,) = await store.due_work(LANE, T0 + 60_000, START, 10)
    assert (row.item.attempts, row.item.due_ms) == (3, T0 + 60_000)


async def test_settling_a_group_settles_each_recipient(store: Store) -> None:
    """One work row, many deliveries: each has its own state, segments and receipts."""
    of = message(destinations=(TO, "+19195550001"))
    await do(store, outbound(of, group=True))
    one, other = taken(of, "c-1"), taken(of, "c-2", recipient=1)
    await do(
        store,
        Settle(key(of, GROUP), [*one.deliveries, *other.deliveries], [*one.segments, *other.segments]),
    )
    assert await store.queued() == 0
    await do(store, RecordReceipt(receipt("c-2")))
    assert [d.state for d in (await life(store, of)).deliveries] == [State.SENT, State.DELIVERED]


async def test_a_delivery_that_is_final_already_keeps_its_state(store: Store) -> None:
    """What a receipt has decided in the meantime stands, and the settlement announces nothing for it."""
    of = message()
    await do(store, outbound(of))
    await do(store, taken(of, "c-1"))
    await do(store, RecordReceipt(receipt("c-1")))
    settled = await do(store, refused(of))
    assert settled.announcements == []
    found = await life(store, of)
    assert found.deliveries[0].state is State.DELIVERED
    assert [e.type for e in found.events] == [EventType.DELIVERED]


async def test_a_multimedia_message_announces_that_it_is_sending(store: Store) -> None:
    """The event of a settlement that is not final is kept beside the final one."""
    of = message(kind=Kind.MMS)
    await do(store, outbound(of))
    settled = await do(store, taken(of, "c-1"))
    recorded = await do(store, RecordReceipt(receipt("c-1")))
    assert event_types(settled.announcements) == [EventType.SENDING]
    assert event_types(recorded.announcements) == [EventType.DELIVERED]
    assert [e.type for e in (await life(store, of)).events] == [EventType.SENDING, EventType.DELIVERED]


# ---- receipts ----


async def submitted(store: Store, of: Message, *carrier_ids: str) -> None:
    await do(store, replace(outbound(of), message=replace(of, segment_count=len(carrier_ids))))
    await do(store, taken(of, *carrier_ids))


@pytest.mark.parametrize(
    ("state", "ends_as", "event", "code"),
    [
        (ReceiptState.DELIVERED, State.DELIVERED, EventType.DELIVERED, None),
        (ReceiptState.UNDELIVERABLE, State.UNDELIVERED, EventType.FAILED, 4750),
        (ReceiptState.REJECTED, State.UNDELIVERED, EventType.FAILED, 4750),
        (ReceiptState.EXPIRED, State.UNDELIVERED, EventType.FAILED, 4750),
        (ReceiptState.DELETED, State.UNDELIVERED, EventType.FAILED, 4750),
        (ReceiptState.UNKNOWN, State.UNDELIVERED, EventType.FAILED, 4750),
    ],
)
async def test_a_final_receipt_decides_and_is_announced(
    store: Store, state: ReceiptState, ends_as: State, event: EventType, code: int | None
) -> None:
    """State, event and callback are written with the receipt; no receipt is awaited any more."""
    of = message()
    await submitted(store, of, "c-1")
    recorded = await do(store, RecordReceipt(receipt("c-1", state)))
    assert (recorded.matched, event_types(recorded.announcements)) == (True, [event])
    found = await life(store, of)
    (delivery,) = found.deliveries
    assert (delivery.state, delivery.error_code, delivery.receipt_due_ms) == (ends_as, code, None)
    assert delivery.final_ms == T0 + 5000
    assert (found.segments[0].state, found.segments[0].receipt_ms) == (state, T0 + 5000)
    assert found.events == [recorded.announcements[0].event]
    assert await waiting(store) == [final_event(of)]


@pytest.mark.parametrize("state", [ReceiptState.ENROUTE, ReceiptState.ACCEPTED])
async def test_an_intermediate_receipt_announces_nothing(store: Store, state: ReceiptState) -> None:
    """It is noted with the segment; the final one is still awaited and still decides."""
    of = message()
    await submitted(store, of, "c-1")
    recorded = await do(store, RecordReceipt(receipt("c-1", state)))
    assert (recorded.matched, recorded.announcements) == (True, [])
    found = await life(store, of)
    assert (found.deliveries[0].state, found.segments[0].state) == (State.SENT, state)
    recorded = await do(store, RecordReceipt(receipt("c-1", at_ms=T0 + 5001)))
    assert event_types(recorded.announcements) == [EventType.DELIVERED]


@pytest.mark.parametrize("first", [ReceiptState.DELIVERED, ReceiptState.UNDELIVERABLE])
@pytest.mark.parametrize("second", [ReceiptState.DELIVERED, ReceiptState.UNDELIVERABLE, ReceiptState.ENROUTE])
@pytest.mark.parametrize("together", [True, False])
async def test_the_first_final_receipt_wins(
    store: Store, first: ReceiptState, second: ReceiptState, together: bool
) -> None:
    """Repeated, contradicting and late ones are taken, change nothing and announce nothing; one batch or two."""
    of = message()
    await submitted(store, of, "c-1")
    changes = [RecordReceipt(receipt("c-1", first)), RecordReceipt(receipt("c-1", second, at_ms=T0 + 9000))]
    if together:
        one, two = await write(store, *changes)
    else:
        one, two = await do(store, changes[0]), await do(store, changes[1])
    assert len(one.announcements) == 1
    assert (two.matched, two.announcements) == (True, [])
    found = await life(store, of)
    assert (found.segments[0].state, len(found.events)) == (first, 1)
    assert found.deliveries[0].state in FINAL


async def test_a_message_is_delivered_when_all_its_segments_are(store: Store) -> None:
    """In whatever order their receipts come, only the last is announced."""
    of = message()
    await submitted(store, of, "c-1", "c-2", "c-3")
    early = await write(store, RecordReceipt(receipt("c-3")), RecordReceipt(receipt("c-1")))
    assert [r.announcements for r in early] == [[], []]
    assert (await only_delivery(store, of)).segments_delivered == 2
    last = await do(store, RecordReceipt(receipt("c-2")))
    assert event_types(last.announcements) == [EventType.DELIVERED]
    assert (await only_delivery(store, of)).state is State.DELIVERED


async def test_a_message_fails_with_its_first_failed_segment(store: Store) -> None:
    """Receipts of its other segments are noted and announce nothing."""
    of = message()
    await submitted(store, of, "c-1", "c-2")
    failed = await do(store, RecordReceipt(receipt("c-2", ReceiptState.UNDELIVERABLE)))
    late = await do(store, RecordReceipt(receipt("c-1")))
    assert event_types(failed.announcements) == [EventType.FAILED]
    assert (late.matched, late.announcements) == (True, [])
    found = await life(store, of)
    assert found.deliveries[0].state is State.UNDELIVERED
    assert [s.state for s in found.segments] == [ReceiptState.DELIVERED, ReceiptState.UNDELIVERABLE]


@pytest.mark.parametrize(
    "near_miss",
    ["C-1", "c-1 ", "c-10", "0c-1", ""],
)
async def test_receipts_are_matched_by_the_exact_id(store: Store, near_miss: str) -> None:
    """An id that only resembles one of ours belongs to nobody."""
    of = message()
    await submitted(store, of, "c-1")
    recorded = await do(store, RecordReceipt(receipt(near_miss)))
    assert recorded.matched is False
    assert (await only_delivery(store, of)).state is State.SENT


async def test_ids_are_those_of_one_carrier(store: Store) -> None:
    """Two carriers may use the same id: a receipt is only for messages of its own carrier."""
    of = message()
    await submitted(store, of, "c-1")
    recorded = await do(store, RecordReceipt(replace(receipt("c-1"), carrier_id="other")))
    assert recorded.matched is False
    assert (await only_delivery(store, of)).state is State.SENT


async def test_an_id_used_again_is_that_of_the_newest_message(store: Store) -> None:
    """Carriers begin again after a while; the older message is left as it is."""
    old, new = message(1), message(2)
    await submitted(store, old, "c-1")
    await submitted(store, new, "c-1")
    await do(store, RecordReceipt(receipt("c-1")))
    assert (await only_delivery(store, old)).state is State.SENT
    assert (await only_delivery(store, new)).state is State.DELIVERED


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_receipt_that_overtakes_the_response_waits_for_it(engine: Engine, restarted: bool) -> None:
    """It is parked, also over a restart, and applied in the transaction that brings its id."""
    of = message()
    async with opened(engine) as store:
        await do(store, outbound(of))
        await do(store, Claim([key(of)], T0))
        parked = await do(store, RecordReceipt(receipt("c-1")))
        assert (parked.matched, list(parked.announcements)) == (False, [])
        assert [r.carrier_message_id for r in await store.unmatched_receipts(10)] == ["c-1"]
        if not restarted:
            await settles_with_its_receipt(store, of)
    if restarted:
        async with opened(engine) as store:
            await settles_with_its_receipt(store, of)


async def settles_with_its_receipt(store: Store, of: Message) -> None:
    settled = await do(store, taken(of, "c-1"))
    assert (event_types(settled.announcements), settled.matched_receipts) == ([EventType.DELIVERED], 1)
    assert (await only_delivery(store, of)).state is State.DELIVERED
    assert await store.unmatched_receipts(10) == []
    assert await waiting(store) == [final_event(of)]


async def test_a_receipt_in_the_batch_of_its_response_is_matched(store: Store) -> None:
    """However the two stand in the batch, there is one final event."""
    first, second = message(1), message(2)
    await write(store, outbound(first), outbound(second))
    await write(
        store,
        RecordReceipt(receipt("c-1")),
        taken(first, "c-1"),
        taken(second, "c-2"),
        RecordReceipt(receipt("c-2")),
    )
    assert await store.unmatched_receipts(10) == []
    assert await waiting(store) == [final_event(first), final_event(second)]


async def test_parked_receipts_of_one_settlement_apply_in_order(store: Store) -> None:
    """An intermediate receipt and the final one may both be early."""
    of = message()
    await do(store, outbound(of))
    await write(
        store,
        RecordReceipt(receipt("c-1", ReceiptState.ENROUTE, at_ms=T0 + 1)),
        RecordReceipt(receipt("c-1", at_ms=T0 + 2)),
    )
    settled = await do(store, taken(of, "c-1"))
    assert (event_types(settled.announcements), settled.matched_receipts) == ([EventType.DELIVERED], 2)


def echoed(of: Message, carrier_id: str = "c-9", number: int = 0) -> Receipt:
    """A receipt that carries our reference."""
    return receipt(carrier_id, reference=f"{of.id}/0/{number}")


@pytest.mark.parametrize("early", [False, True])
async def test_a_reference_settles_a_doubtful_delivery(store: Store, early: bool) -> None:
    """The response was lost, so its id is not known; a carrier that echoes our reference resolves it."""
    of = message()
    await do(store, outbound(of))
    if early:
        await do(store, RecordReceipt(echoed(of)))
        settled = await do(store, lost(of))
        assert event_types(settled.announcements) == [EventType.DELIVERED]
    else:
        await do(store, lost(of))
        assert (await only_delivery(store, of)).state is State.IN_DOUBT
        recorded = await do(store, RecordReceipt(echoed(of)))
        assert (recorded.matched, event_types(recorded.announcements)) == (True, [EventType.DELIVERED])
    found = await life(store, of)
    assert found.deliveries[0].state is State.DELIVERED
    assert [s.carrier_message_id for s in found.segments] == ["c-9"]
    assert await waiting(store) == [final_event(of)]


async def test_a_doubtful_message_of_two_segments_needs_both_receipts(store: Store) -> None:
    """References name the segment, so that parts are counted as usual; a repeated receipt is one part."""
    of = message(segment_count=2)
    await do(store, outbound(of))
    await do(store, lost(of))
    one, again = await write(store, RecordReceipt(echoed(of)), RecordReceipt(echoed(of)))
    assert (one.announcements, again.announcements) == ([], [])
    last = await do(store, RecordReceipt(echoed(of, "c-10", 1)))
    assert event_types(last.announcements) == [EventType.DELIVERED]


async def test_known_and_new_segments_of_a_doubtful_message_meet_in_one_batch(store: Store) -> None:
    """The verdict of the one stands, whatever the intermediate receipt of the other brings with it."""
    of = message(segment_count=2)
    await do(store, outbound(of))
    await do(store, lost(of))
    await do(store, RecordReceipt(replace(echoed(of, "c-1"), state=ReceiptState.ENROUTE)))
    failed = replace(echoed(of, "c-1"), state=ReceiptState.UNDELIVERABLE, at_ms=T0 + 5001)
    enroute = replace(echoed(of, "c-2", 1), state=ReceiptState.ENROUTE)
    results = await write(store, RecordReceipt(failed), RecordReceipt(enroute))
    assert [event_types(r.announcements) for r in results] == [[EventType.FAILED], []]
    assert (await only_delivery(store, of)).state is State.UNDELIVERED


async def test_two_ids_for_one_doubtful_segment_are_one_part(store: Store) -> None:
    """A submit that was repeated has two ids for each part: a message of two parts needs both parts all the same."""
    of = message(segment_count=2)
    await do(store, outbound(of))
    await do(store, lost(of))
    await write(store, RecordReceipt(echoed(of, "c-1")), RecordReceipt(echoed(of, "c-2")))
    assert (await only_delivery(store, of)).state is State.IN_DOUBT
    await do(store, RecordReceipt(echoed(of, "c-3", 1)))
    assert (await only_delivery(store, of)).state is State.DELIVERED


@pytest.mark.parametrize(
    "reference",
    ["", "nonsense", "a/b/c", "{id}/0", "{id}/0/1", "{id}/1/0", "{id}/0/-1", "{id}/0/0/0", "{id}/0/²"],
)
async def test_a_wrong_reference_settles_nothing(store: Store, reference: str) -> None:
    """References come from outside: one that is not exactly of a doubtful segment is parked with its receipt."""
    of = message()
    await do(store, outbound(of))
    await do(store, lost(of))
    recorded = await do(store, RecordReceipt(receipt("c-9", reference=reference.format(id=of.id))))
    assert recorded.matched is False
    assert (await only_delivery(store, of)).state is State.IN_DOUBT


async def test_an_unknown_receipt_is_kept_as_it_came(store: Store) -> None:
    """Unmatched receipts can be read back, the newest first, so that an operator sees what a carrier means."""
    old = receipt("x-1", ReceiptState.REJECTED, reference="nobody", at_ms=T0 + 1)
    new = receipt("x-2", at_ms=T0 + 2)
    await write(store, RecordReceipt(old), RecordReceipt(new), RecordReceipt(old))
    assert await store.unmatched_receipts(10) == [new, old]
    assert await store.unmatched_receipts(1) == [new]


async def test_unmatched_receipts_of_one_carrier(store: Store) -> None:
    """Those of the others are not among them, nor do they count towards the limit."""
    ours = receipt("x-1", at_ms=T0 + 1)
    theirs = msgspec.structs.replace(receipt("x-2", at_ms=T0 + 2), carrier_id="another")
    await write(store, RecordReceipt(ours), RecordReceipt(theirs))
    assert await store.unmatched_receipts(1, ours.carrier_id) == [ours]
    assert await store.unmatched_receipts(10, "nobody") == []


# ---- callbacks ----


async def test_an_answered_callback_leaves_the_queue(store: Store) -> None:
    """Its attempt is kept with the event."""
    of = message()
    await write(store, outbound(of))
    await do(store, refused(of))
    done = attempt(final_event(of))
    await do(store, SettleCallback(final_event(of), done))
    assert await waiting(store) == []
    assert (await life(store, of)).attempts == [done]


async def test_a_failed_callback_waits_for_its_next_try(store: Store) -> None:
    """The row is put back with due time, count and the moment of the first try."""
    of = message()
    await do(store, outbound(of))
    await do(store, refused(of))
    event = final_event(of)
    retry = CallbackItem(APPLICATION, T0 + 60_000, event, 1, T0 + 6000)
    await do(store, SettleCallback(event, attempt(event, status=None), retry))
    assert await waiting(store, now_ms=T0 + 59_999) == []
    (found,) = await store.due_callbacks(APPLICATION, T0 + 60_000, (0, ""), 10)
    assert found.item == retry


async def test_giving_up_a_callback_needs_no_attempt(store: Store) -> None:
    """A callback that is not wanted, or too old, is settled without a try."""
    await do(store, inbound())
    event = inbound().announcements[0].event.id
    await do(store, SettleCallback(event, None))
    assert await waiting(store) == []
    assert (await life(store, message())).attempts == []


async def test_an_answered_inbound_message_is_accepted(store: Store) -> None:
    """2xx to message-received changes its state, once; any other inbound message stays as it is."""
    change, other = inbound(1), inbound(2)
    await write(store, change, other)
    event = change.announcements[0].event.id
    settle = SettleCallback(event, attempt(event), inbound_accepted=change.message.id)
    await do(store, settle)
    await do(store, settle)
    assert (await only_delivery(store, change.message)).state is State.ACCEPTED
    assert (await only_delivery(store, other.message)).state is State.RECEIVED


async def test_due_callbacks_come_in_order_of_due_time_then_id(store: Store) -> None:
    """Those of other applications, due later or before `after` are left out; `limit` cuts the rest."""
    changes = [inbound(n) for n in range(4)]
    await write(store, *changes, inbound(9, application_id="app-2"))
    events = [c.announcements[0].event.id for c in changes]
    await do(store, SettleCallback(events[0], None, CallbackItem(APPLICATION, T0 + 2, events[0], 1, T0)))
    expected = [events[1], events[0], events[2]]
    assert await waiting(store, now_ms=T0 + 2) == expected
    rows = await store.due_callbacks(APPLICATION, T0 + 2, (T0 + 1, events[1]), 10)
    assert [d.event.id for d in rows] == expected[1:]
    assert len(await store.due_callbacks(APPLICATION, LATER, (0, ""), 2)) == 2


async def test_applications_with_callbacks_are_known(store: Store) -> None:
    """Each is named once, however many callbacks it has."""
    assert await store.callback_applications() == []
    await write(store, *[inbound(n, application_id=f"app-{n % 3}") for n in range(7)])
    assert sorted(await store.callback_applications()) == ["app-0", "app-1", "app-2"]


async def test_the_next_callback_is_after_now(store: Store) -> None:
    """It tells when to look again; those that are due already, or of others, do not count."""
    await write(store, inbound(10), inbound(20), inbound(15, application_id="app-2"))
    assert await store.next_callback_due_ms(APPLICATION, T0) == T0 + 10
    assert await store.next_callback_due_ms(APPLICATION, T0 + 10) == T0 + 20
    assert await store.next_callback_due_ms(APPLICATION, T0 + 20) is None


async def test_an_earlier_event_of_the_same_recipient_is_seen(store: Store) -> None:
    """Order within a message: the final event can ask whether message-sending still waits."""
    of = message(kind=Kind.MMS, destinations=(TO, "+19195550001"))
    await do(store, outbound(of))
    await write(store, taken(of, "c-1", at_ms=T0 + 7), taken(of, "c-2", recipient=1, at_ms=T0 + 8))
    await write(store, RecordReceipt(receipt("c-1")), RecordReceipt(receipt("c-2")))
    sending = event_id(of.id, 0, EventType.SENDING)
    assert await store.earlier_callback_due_ms(final_event(of)) == T0 + 7
    assert await store.earlier_callback_due_ms(sending) is None
    await do(store, SettleCallback(sending, attempt(sending)))
    assert await store.earlier_callback_due_ms(final_event(of)) is None
    assert await store.earlier_callback_due_ms(final_event(of, 1)) == T0 + 8


# ---- replay ----


async def test_replayed_events_are_called_back_again(store: Store) -> None:
    """Their callbacks are queued as new, due at the given moment; unknown ids are left out."""
    of = message()
    await do(store, outbound(of))
    await do(store, refused(of))
    event = final_event(of)
    await do(store, SettleCallback(event, attempt(event, status=500)))
    queued = await do(store, Replay([event, "unheard-of-0-9"], T0 + 99))
    assert queued == [CallbackItem(APPLICATION, T0 + 99, event)]
    assert [d.item for d in await store.due_callbacks(APPLICATION, LATER, (0, ""), 10)] == queued
    assert len((await life(store, of)).events) == 1


# ---- receipt time-outs ----


@pytest.mark.parametrize(
    ("doubtful", "ends_as", "code"), [(False, State.UNDELIVERED, 9902), (True, State.FAILED, 5630)]
)
async def test_a_receipt_that_never_comes_fails_the_delivery(
    store: Store, doubtful: bool, ends_as: State, code: int
) -> None:
    """9902 if the carrier had taken it, 5630 if it never answered; announced like any other end."""
    of = message()
    await do(store, outbound(of))
    await do(store, lost(of, at_ms=T0) if doubtful else taken(of, "c-1", at_ms=T0))
    due_ms = T0 + 2 * HOUR
    assert await do(store, TimeOutReceipts(due_ms - 1, 10)) == []
    announcements = await do(store, TimeOutReceipts(due_ms, 10))
    assert [(a.event.type, a.event.error_code) for a in announcements] == [(EventType.FAILED, code)]
    delivery = await only_delivery(store, of)
    assert (delivery.state, delivery.error_code, delivery.receipt_due_ms) == (ends_as, code, None)
    assert await waiting(store) == [final_event(of)]
    assert await do(store, TimeOutReceipts(LATER, 10)) == []


async def test_receipt_time_outs_are_done_in_small_batches(store: Store) -> None:
    """At most `limit` at a time, the longest overdue first."""
    messages = [message(number) for number in range(3)]
    await write(store, *[outbound(of) for of in messages])
    await write(store, *[taken(of, f"c-{n}") for n, of in enumerate(messages)])
    first = await do(store, TimeOutReceipts(LATER, 2))
    second = await do(store, TimeOutReceipts(LATER, 2))
    assert [a.event.message_id for a in [*first, *second]] == [of.id for of in messages]


async def test_a_receipt_after_its_time_changes_nothing(store: Store) -> None:
    """The delivery has failed already; the receipt is noted with its segment."""
    of = message()
    await submitted(store, of, "c-1")
    await do(store, TimeOutReceipts(LATER, 10))
    recorded = await do(store, RecordReceipt(receipt("c-1")))
    assert (recorded.matched, recorded.announcements) == (True, [])
    assert (await only_delivery(store, of)).error_code == 9902


# ---- expiry ----


async def test_queued_work_expires_with_its_validity(store: Store) -> None:
    """4360: the delivery fails, its work row goes, its application is told."""
    of = message()
    await do(store, outbound(of))
    nothing = await do(store, ExpireWork(of.valid_until_ms - 1, 10))
    assert nothing == Expired([], [])
    expired = await do(store, ExpireWork(of.valid_until_ms, 10))
    assert list(expired.keys) == [key(of)]
    assert [(a.event.type, a.event.error_code) for a in expired.announcements] == [(EventType.FAILED, 4360)]
    delivery = await only_delivery(store, of)
    assert (delivery.state, delivery.final_ms) == (State.FAILED, of.valid_until_ms)
    assert await store.queued() == 0
    assert await waiting(store) == [final_event(of)]


async def test_claimed_work_does_not_expire(store: Store) -> None:
    """It is with the carrier: its outcome decides."""
    of = message()
    await do(store, outbound(of))
    await do(store, Claim([key(of)], T0))
    assert await do(store, ExpireWork(LATER, 10)) == Expired([], [])
    assert (await only_delivery(store, of)).state is State.QUEUED


async def test_an_expired_group_fails_those_still_queued(store: Store) -> None:
    """Each recipient has its event; one that was refused at intake is not announced again."""
    of = message(destinations=(TO, "+19195550001", "+19195550002"))
    change = outbound(of, group=True)
    change.deliveries[1].state = State.FAILED
    await do(store, change)
    expired = await do(store, ExpireWork(LATER, 10))
    assert list(expired.keys) == [key(of, GROUP)]
    assert [a.event.recipient for a in expired.announcements] == [0, 2]
    assert {d.state for d in (await life(store, of)).deliveries} == {State.FAILED}


async def test_expiry_is_done_in_small_batches(store: Store) -> None:
    """At most `limit` rows at a time."""
    await write(store, *[outbound(message(number)) for number in range(3)])
    sizes = [len((await do(store, ExpireWork(LATER, 2))).keys) for _ in range(3)]
    assert sizes == [2, 1, 0]


# ---- prune ----


async def finished(store: Store, of: Message) -> None:
    """A message whose whole life is over."""
    await submitted(store, of, f"c-{of.id}")
    await do(store, RecordReceipt(receipt(f"c-{of.id}")))
    await do(store, SettleCallback(final_event(of), attempt(final_event(of), of.received_ms + 9)))


async def test_finished_messages_are_deleted_with_all_that_is_theirs(store: Store) -> None:
    """Older than the bound, in small batches, oldest first."""
    messages = [message(number) for number in range(4)]
    for of in messages:
        await finished(store, of)
    assert await do(store, Prune("messages", T0 + 3, 2)) == 2
    assert await do(store, Prune("messages", T0 + 3, 2)) == 1
    assert await do(store, Prune("messages", T0 + 3, 2)) == 0
    assert [await store.life(of.id) is None for of in messages] == [True, True, True, False]
    assert await store.events_by_id([final_event(of) for of in messages]) == [
        ((await life(store, messages[3])).events[0], replace(messages[3], segment_count=1))
    ]


async def test_the_carriers_ids_of_deleted_messages_are_free(store: Store) -> None:
    """A receipt for a message that is gone belongs to nobody."""
    of = message()
    await finished(store, of)
    await do(store, Prune("messages", LATER, 10))
    assert (await do(store, RecordReceipt(receipt(f"c-{of.id}")))).matched is False


@pytest.mark.parametrize("stage", ["queued", "claimed", "submitted", "in doubt", "to be called back"])
async def test_unfinished_messages_are_never_deleted(store: Store, stage: str) -> None:
    """Neither before the final state nor while its callback still waits."""
    of = message()
    await do(store, outbound(of))
    changes: dict[str, list[Write]] = {
        "claimed": [Claim([key(of)], T0)],
        "submitted": [taken(of, "c-1")],
        "in doubt": [lost(of)],
        "to be called back": [refused(of)],
    }
    for change in changes.get(stage, []):
        await do(store, change)
    assert await do(store, Prune("messages", LATER, 10)) == 0
    assert await store.life(of.id) is not None


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("attempts", SettleCallback("x", attempt(event_id(message().id, 0, EventType.FAILED)))),
        ("idempotency", keyed(message(-DAY))),
        ("parked_receipts", RecordReceipt(receipt("x", at_ms=T0))),
        ("audit", RecordAudit([AuditEntry(f"{T0}-1", T0, "ann", "log in", "user ann")])),
        (
            "handset_messages",
            RecordHandset([HandsetMessage(f"{T0}-1", TO, FROM, "mt", "hi", (), (), "r", "delivered", T0)]),
        ),
    ],
)
async def test_old_rows_of_each_kind_are_deleted(store: Store, what: str, change: Write) -> None:
    """What is as young as the bound stays; what is older goes, and the number of rows is the result."""
    await do(store, change)
    assert await do(store, Prune(what, T0, 10)) == 0
    assert await do(store, Prune(what, T0 + 1, 10)) == 1
    assert await do(store, Prune(what, T0 + 1, 10)) == 0


# ---- handset messages ----


async def test_the_simulated_network_remembers_its_messages(store: Store) -> None:
    """The newest since a moment, oldest first; lists come back as lists."""
    messages = [
        HandsetMessage(
            f"{T0 + n}-x",
            TO,
            FROM,
            "mt",
            f"text {n}",
            ("https://example.com/a.png",),
            (TO, FROM),
            "r",
            "delivered",
            T0 + n,
        )
        for n in range(5)
    ]
    await do(store, RecordHandset(messages[:3]))
    await do(store, RecordHandset(messages[3:]))
    assert await store.handset_tail(T0, 10) == messages
    assert await store.handset_tail(T0 + 1, 2) == messages[3:]
    assert await store.handset_tail(T0 + 4, 10) == messages[4:]


async def test_creating_and_using_stand_in_one_batch(store: Store) -> None:
    """Provisioning is done before the messages of its batch."""
    results = await write(store, outbound(message()), Create(Account(id="u-1")))
    assert results == [None, None]
    assert set((await store.directory()).accounts) == {"u-1"}

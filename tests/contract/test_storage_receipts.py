"""What every storage engine promises about receipts that do not name their segment as its response did."""

from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from contract.stories import (
    APPLICATION,
    CARRIER,
    DAY,
    FROM,
    T0,
    TO,
    Engine,
    do,
    event_types,
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
from trebuchet.model import ledger
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import EventType
from trebuchet.model.message import Delivery, Message, Pdu, Segment
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.model.status import State
from trebuchet.storage.base import (
    Life,
    Prune,
    ReceiptRecorded,
    RecordReceipt,
    Rematched,
    RematchParked,
    SettleCallback,
    Settled,
    Store,
)

pytestmark = pytest.mark.anyio

SAME, PADDED = IdConversion.SAME, IdConversion.PADDED
HEX_DECIMAL = IdConversion.RESPONSE_HEX_RECEIPT_DECIMAL
DECIMAL_HEX = IdConversion.RESPONSE_DECIMAL_RECEIPT_HEX

# The id of a response, that of its receipt, and what lies between them.
PAIRS = [
    ("39f99dd5", "972660181", HEX_DECIMAL),
    ("39F99DD5", "0972660181", HEX_DECIMAL),
    ("972660181", "39F99DD5", DECIMAL_HEX),
    ("0972660181", "39f99dd5", DECIMAL_HEX),
    ("0012ab", "12AB", PADDED),
    ("1234567", "0001234567", PADDED),
    ("f" * 40, str(int("f" * 40, 16)), HEX_DECIMAL),
]
ELSEWHERE = "+19195550001"


async def life(store: Store, of: Message) -> Life:
    found = await store.life(of.id)
    assert found is not None
    return found


async def delivery_of(store: Store, of: Message) -> Delivery:
    (delivery,) = (await life(store, of)).deliveries
    return delivery


async def submitted(store: Store, of: Message, *carrier_ids: str) -> None:
    await do(store, outbound(replace(of, segment_count=len(carrier_ids))))
    await do(store, taken(of, *carrier_ids))


def about(carrier_id: str, state: ReceiptState = ReceiptState.DELIVERED, **fields: Any) -> Receipt:
    """A receipt that says which handset it is about."""
    return receipt(carrier_id, state, **({"handset": TO, "sender": FROM} | fields))


async def record(store: Store, of: Receipt, conversion: IdConversion = SAME) -> ReceiptRecorded:
    recorded = await do(store, RecordReceipt(of, conversion))
    assert isinstance(recorded, ReceiptRecorded)
    return recorded


async def parked(store: Store) -> list[str]:
    return sorted(r.carrier_message_id for r in await store.unmatched_receipts(100))


# ---- ids by a conversion ----


@pytest.mark.parametrize(("response", "reported", "conversion"), PAIRS)
async def test_an_id_is_found_by_the_conversion_of_its_carrier(
    store: Store, response: str, reported: str, conversion: IdConversion
) -> None:
    """The receipt decides as if it had named the segment exactly."""
    of = message()
    await submitted(store, of, response)
    recorded = await record(store, about(reported), conversion)
    assert (recorded.matched, event_types(recorded.announcements)) == (True, [EventType.DELIVERED])
    assert recorded.proposal is None
    found = await life(store, of)
    assert found.deliveries[0].state is State.DELIVERED
    assert [(s.carrier_message_id, s.state) for s in found.segments] == [(response, ReceiptState.DELIVERED)]


@pytest.mark.parametrize(("response", "reported", "conversion"), PAIRS)
async def test_a_conversion_that_would_help_is_proposed(
    store: Store, response: str, reported: str, conversion: IdConversion
) -> None:
    """Nothing is matched by it: the receipt is parked."""
    of = message()
    await submitted(store, of, response)
    assert await record(store, about(reported)) == ReceiptRecorded(matched=False, proposal=conversion)
    assert (await delivery_of(store, of)).state is State.SENT
    assert await parked(store) == [reported]


@pytest.mark.parametrize("together", [True, False])
async def test_an_exact_id_goes_before_a_converted_one(store: Store, together: bool) -> None:
    """However many segments the id could stand for, it is first of all itself."""
    exact, other = message(1), message(2)
    await submitted(store, exact, "100000")
    await submitted(store, other, f"{100_000:x}")
    change = RecordReceipt(about("100000"), HEX_DECIMAL)
    await write(store, *([change, change] if together else [change]))
    assert (await delivery_of(store, exact)).state is State.DELIVERED
    assert (await delivery_of(store, other)).state is State.SENT


@pytest.mark.parametrize(("handset", "matched"), [(TO, True), ("", True), (ELSEWHERE, False)])
async def test_a_converted_id_is_checked_against_the_handset(
    store: Store, handset: str, matched: bool
) -> None:
    """If the receipt says which it is about: different ids may be alike when converted."""
    await submitted(store, message(), "39f99dd5")
    recorded = await record(store, about("972660181", handset=handset), HEX_DECIMAL)
    about_what = message().id if matched else ""
    assert recorded == ReceiptRecorded(matched, recorded.announcements, message_id=about_what)
    assert bool(recorded.announcements) is matched


async def test_a_converted_id_of_a_week_ago_is_anothers(store: Store) -> None:
    """Carriers use their ids again."""
    await submitted(store, message(), "39f99dd5")
    late = about("972660181", at_ms=T0 + 7 * DAY + 1)
    assert await record(store, late, HEX_DECIMAL) == ReceiptRecorded(matched=False)
    assert await record(store, late) == ReceiptRecorded(matched=False)


async def test_of_several_converted_ids_the_newest_counts(store: Store) -> None:
    """As with exact ones."""
    old, new = message(1), message(2)
    await submitted(store, old, "39F99DD5")
    await submitted(store, new, "039f99dd5")
    assert (await record(store, about("972660181"), HEX_DECIMAL)).matched
    assert (await delivery_of(store, old)).state is State.SENT
    assert (await delivery_of(store, new)).state is State.DELIVERED


@pytest.mark.parametrize(
    ("response", "of", "conversion"),
    [
        ("39f99dd5", about("972660181", handset=ELSEWHERE), SAME),
        ("39f99dd5", about("972660181", handset=""), SAME),
        ("39f99dd5", replace(about("972660181"), carrier_id="other"), SAME),
        ("f423", about("62499"), SAME),
        ("c-1", about("c-2"), SAME),
        ("c-1", about(""), SAME),
        ("c-1", about("c-2"), HEX_DECIMAL),
        ("0012ab", about("12AB", handset=ELSEWHERE), PADDED),
    ],
    ids=[
        "another handset", "no handset", "another carrier", "a short id", "another id", "no id",
        "another id, converted", "a conversion that was tried",
    ],
)  # fmt: skip
async def test_what_is_no_evidence_is_not_proposed(
    store: Store, response: str, of: Receipt, conversion: IdConversion
) -> None:
    """A proposal names one segment that the receipt could really be about."""
    await submitted(store, message(), response)
    assert await record(store, of, conversion) == ReceiptRecorded(matched=False)


async def test_two_segments_that_would_match_are_no_proposal(store: Store) -> None:
    """It must be exactly one; the next conversion may still name one."""
    await submitted(store, message(1), "0012ABC")
    await submitted(store, message(2), "12ABC")
    assert await record(store, about("012abc")) == ReceiptRecorded(matched=False)
    await submitted(store, message(3), str(0x12ABC))
    assert await record(store, about("012abc")) == ReceiptRecorded(matched=False, proposal=DECIMAL_HEX)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("response", "reported", "conversion"), PAIRS)
async def test_a_converted_receipt_that_overtakes_its_response_waits_for_it(
    engine: Engine, response: str, reported: str, conversion: IdConversion, restarted: bool
) -> None:
    """It is parked with its conversion and applied when the response brings its id."""
    of = message()
    async with opened(engine) as store:
        await do(store, outbound(of))
        assert not (await record(store, about(reported), conversion)).matched
        if not restarted:
            await delivers(store, of, response)
    if restarted:
        async with opened(engine) as store:
            await delivers(store, of, response)


async def delivers(store: Store, of: Message, carrier_id: str) -> None:
    settled = await do(store, taken(of, carrier_id))
    assert (event_types(settled.announcements), settled.matched_receipts) == ([EventType.DELIVERED], 1)
    assert (await delivery_of(store, of)).state is State.DELIVERED
    assert await parked(store) == []


async def test_an_early_receipt_is_not_converted_for_another_handset(store: Store) -> None:
    """It goes on waiting for its own segment."""
    other, of = message(1, destinations=(ELSEWHERE,)), message(2)
    await write(store, outbound(other), outbound(of))
    await record(store, about("972660181"), HEX_DECIMAL)
    assert await do(store, taken(other, "39f99dd5")) == Settled([])
    assert await parked(store) == ["972660181"]
    await delivers(store, of, "39f99dd5")


async def test_the_canonical_id_is_kept_with_the_segment(store: Store) -> None:
    """It is what receipts are looked up by."""
    of = message()
    await submitted(store, of, "00AbC", "000")
    assert [s.match_key for s in (await life(store, of)).segments] == ["abc", "0"]


# ---- recording again what waits ----


async def test_waiting_receipts_are_recorded_again_by_a_conversion(store: Store) -> None:
    """Those that match now are applied and announced; the others wait on, and match later by it."""
    now, later = message(1), message(2)
    await submitted(store, now, "39f99dd5")
    await do(store, outbound(later))
    await write(store, RecordReceipt(about("972660181")), RecordReceipt(about("972660182")))
    again = await do(store, RematchParked(CARRIER, HEX_DECIMAL, 10))
    assert (event_types(again.announcements), again.matched, again.examined) == ([EventType.DELIVERED], 1, 2)
    found = await life(store, now)
    assert found.deliveries[0].state is State.DELIVERED
    assert found.events == [a.event for a in again.announcements]
    due = await store.due_callbacks(APPLICATION, T0 + DAY, (0, ""), 10)
    assert [d.event for d in due] == found.events
    await delivers(store, later, "39f99dd6")


async def test_recording_again_comes_to_an_end(store: Store) -> None:
    """At most `limit` at a time, each once, and only those of the carrier."""
    await write(store, *[RecordReceipt(about(f"97266018{n}")) for n in range(3)])
    await do(store, RecordReceipt(replace(about("972660189"), carrier_id="other")))
    sizes = [await do(store, RematchParked(CARRIER, HEX_DECIMAL, 2)) for _ in range(3)]
    assert sizes == [Rematched([], 0, 2), Rematched([], 0, 1), Rematched([], 0, 0)]
    assert await parked(store) == ["972660180", "972660181", "972660182", "972660189"]


async def test_receipts_of_one_segment_are_recorded_again_in_their_order(store: Store) -> None:
    """The first final one decides, however each writes the id."""
    of, other = message(1), message(2)
    await submitted(store, of, "39f99dd5")
    await submitted(store, other, "39f99dd6")
    await record(store, about("0972660182", ReceiptState.UNDELIVERABLE, at_ms=T0 + 9))
    await record(store, about("972660182", at_ms=T0 + 8))
    for at_ms, state in [
        (3, ReceiptState.UNDELIVERABLE),
        (1, ReceiptState.ENROUTE),
        (2, ReceiptState.DELIVERED),
    ]:
        await record(store, about("972660181", state, at_ms=T0 + at_ms))
    again = await do(store, RematchParked(CARRIER, HEX_DECIMAL, 10))
    assert (event_types(again.announcements), again.matched) == ([EventType.DELIVERED] * 2, 5)


# ---- deliveries in doubt ----


async def doubtful(store: Store, of: Message, known: dict[int, str] | None = None) -> None:
    await do(store, outbound(of))
    await do(store, lost(of, known=known))


def marked(of: Message, number: int = 0, carrier_id: str = "c-9", **fields: Any) -> Receipt:
    """A receipt that echoes what its submit was marked with."""
    return about(carrier_id, **({"user_reference": ledger.user_reference(of.id, 0, number)} | fields))


def quoting(text: str = "hello", carrier_id: str = "c-9", **fields: Any) -> Receipt:
    return about(carrier_id, text=text, **fields)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("late", [marked(message()), quoting(), quoting("hell"), quoting(" hello ")])
async def test_a_receipt_without_a_known_id_settles_a_doubtful_delivery(
    store: Store, late: Receipt, early: bool
) -> None:
    """It echoes the reference of the submit, or quotes the text; before or after the answer is given up."""
    of = message()
    await do(store, outbound(of))
    if early:
        assert not (await record(store, late)).matched
        settled = await do(store, lost(of))
        assert (event_types(settled.announcements), settled.matched_receipts) == ([EventType.DELIVERED], 1)
    else:
        await do(store, lost(of))
        recorded = await record(store, late)
        assert (recorded.matched, event_types(recorded.announcements)) == (True, [EventType.DELIVERED])
    found = await life(store, of)
    assert found.deliveries[0].state is State.DELIVERED
    assert [(s.number, s.carrier_message_id, s.match_key) for s in found.segments] == [(0, "c-9", "c-9")]
    assert [e.type for e in found.events] == [EventType.DELIVERED]
    assert await parked(store) == []


async def test_receipts_name_the_segments_of_a_doubtful_message(store: Store) -> None:
    """In any order; each counts once, also if it comes again."""
    of = message(segment_count=3)
    await doubtful(store, of)
    early = [marked(of, 2, "c-3"), marked(of, 0, "c-1"), marked(of, 0, "c-1")]
    results = await write(store, *[RecordReceipt(r) for r in early])
    assert [r.announcements for r in results] == [[], [], []]
    last = await record(store, marked(of, 1, "c-2"))
    assert event_types(last.announcements) == [EventType.DELIVERED]
    assert [s.number for s in sorted((await life(store, of)).segments, key=lambda s: s.number)] == [0, 1, 2]


async def test_doubtful_messages_to_one_handset_are_told_apart_by_their_references(store: Store) -> None:
    """The same text, the same numbers: what was marked is known again."""
    messages = [message(number) for number in range(5)]
    for of in messages:
        await doubtful(store, of)
    await record(store, marked(messages[3]))
    states = [(await delivery_of(store, of)).state for of in messages]
    assert states == [State.DELIVERED if n == 3 else State.IN_DOUBT for n in range(5)]


async def test_a_mark_that_two_segments_have_settles_neither(store: Store) -> None:
    """It is short: by chance two messages between the same numbers can have the same."""
    one = message(0)
    mark = ledger.user_reference(one.id, 0, 0)
    twin = next(of for of in map(message, count(1)) if ledger.user_reference(of.id, 0, 0) == mark)
    await doubtful(store, one)
    await doubtful(store, twin)
    assert await record(store, marked(one, at_ms=T0 + DAY)) == ReceiptRecorded(matched=False)


async def test_a_reference_and_a_quote_of_one_message_meet_in_one_batch(store: Store) -> None:
    """The one names its segment, so the other is about the segment that is left."""
    of = message(segment_count=2)
    await doubtful(store, of)
    named = receipt("c-1", reference=f"{of.id}/0/0", handset=TO, sender=FROM)
    results = await write(store, RecordReceipt(named), RecordReceipt(quoting(carrier_id="c-2")))
    assert [event_types(r.announcements) for r in results] == [[], [EventType.DELIVERED]]


async def test_the_receipts_of_one_new_id_are_of_one_segment(store: Store) -> None:
    """An intermediate and a final one, in one batch or two."""
    one, other = message(1, text="one"), message(2, text="other")
    await doubtful(store, one)
    await doubtful(store, other)
    enroute = quoting("one", state=ReceiptState.ENROUTE)
    results = await write(store, RecordReceipt(enroute), RecordReceipt(quoting("one", at_ms=T0 + 5001)))
    assert [r.matched for r in results] == [True, True]
    await record(store, quoting("other", "c-8", state=ReceiptState.ENROUTE))
    await record(store, quoting("other", "c-8", at_ms=T0 + 5001))
    assert [len((await life(store, of)).segments) for of in (one, other)] == [1, 1]
    assert (await delivery_of(store, other)).state is State.DELIVERED


async def test_a_quote_is_of_the_one_segment_that_is_missing(store: Store) -> None:
    """Those that were answered are known; the receipt of an unknown id must be that of the other."""
    of = message(text="a long text in two parts", segment_count=2)
    await doubtful(store, of, known={0: "c-1"})
    assert (await record(store, about("c-1"))).announcements == []
    last = await record(store, quoting("in two parts"))
    assert event_types(last.announcements) == [EventType.DELIVERED]
    assert [s.carrier_message_id for s in (await life(store, of)).segments] == ["c-1", "c-9"]


WRONG_QUOTES = {
    "another text": quoting("good-bye"),
    "no text": quoting(""),
    "blanks": quoting("   "),
    "another handset": quoting(handset=ELSEWHERE),
    "no handset": quoting(handset=""),
    "another sender": quoting(sender=ELSEWHERE),
    "no sender": quoting(sender=""),
    "another carrier": replace(quoting(), carrier_id="other"),
    "older than the message": quoting(at_ms=T0 - 1),
    "marked as another": quoting(user_reference=ledger.user_reference("another", 0, 0)),
}
WRONG_MARKS = {
    "another mark": marked(message(9)),
    "a segment that it does not have": marked(message(), 1),
    "no mark": marked(message(), user_reference=0),
    "another handset": marked(message(), handset=ELSEWHERE),
    "another sender": marked(message(), sender=ELSEWHERE),
    "another carrier": replace(marked(message()), carrier_id="other"),
    "older than the message": marked(message(), at_ms=T0 - 1),
}


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    "wrong",
    [*WRONG_QUOTES.values(), *WRONG_MARKS.values()],
    ids=[*(f"quote: {name}" for name in WRONG_QUOTES), *(f"mark: {name}" for name in WRONG_MARKS)],
)
async def test_what_only_resembles_a_doubtful_delivery_settles_nothing(
    store: Store, wrong: Receipt, early: bool
) -> None:
    """Better no receipt than another's: it is parked."""
    of = message()
    await do(store, outbound(of))
    if early:
        await record(store, wrong)
    await do(store, lost(of))
    if not early:
        assert await record(store, wrong) == ReceiptRecorded(matched=False)
    assert (await delivery_of(store, of)).state is State.IN_DOUBT
    assert await parked(store) == ["c-9"]


async def test_a_quote_of_two_doubtful_messages_settles_neither(store: Store) -> None:
    """Until one of them is known: then the other is meant."""
    one, other = message(1), message(2)
    await doubtful(store, one)
    await doubtful(store, other)
    assert not (await record(store, quoting())).matched
    assert (await record(store, marked(one, carrier_id="c-8"))).matched
    assert (await record(store, quoting(at_ms=T0 + 5001))).matched
    assert (await delivery_of(store, other)).state is State.DELIVERED


async def test_a_quote_of_a_message_with_two_missing_segments_settles_neither(store: Store) -> None:
    """Which of them it is about cannot be told."""
    of = message(segment_count=2)
    await doubtful(store, of)
    assert not (await record(store, quoting())).matched
    assert (await life(store, of)).segments == []


async def test_only_deliveries_in_doubt_are_settled_so(store: Store) -> None:
    """Those that wait, are known to the carrier or are done have an id of their own, or none yet."""
    messages = [message(number) for number in range(4)]
    await write(store, *[outbound(of) for of in messages])
    await write(store, taken(messages[1], "c-1"), refused(messages[2]), retried(messages[3], T0))
    results = [await record(store, r) for of in messages for r in (quoting(), marked(of))]
    assert [r.matched for r in results] == [False] * 8


async def test_an_id_that_could_be_converted_is_not_taken_by_its_quote(store: Store) -> None:
    """There is one segment that it names by another conversion: that is the stronger sign."""
    sent, of = message(1), message(2)
    await submitted(store, sent, "39f99dd5")
    await doubtful(store, of)
    recorded = await record(store, quoting(carrier_id="972660181"))
    assert recorded == ReceiptRecorded(matched=False, proposal=HEX_DECIMAL)
    assert (await delivery_of(store, of)).state is State.IN_DOUBT


async def test_what_a_settlement_brings_to_another_delivery_is_announced(store: Store) -> None:
    """A receipt that could not be told apart when it came is looked at again with the next delivery in doubt."""
    one, twin, other = message(1), message(2), message(3, text="something else")
    for of in (one, twin):
        await doubtful(store, of)
    await record(store, quoting())
    await record(store, marked(one, carrier_id="c-8"))
    await do(store, outbound(other))
    settled = await do(store, lost(other))
    assert [(a.event.message_id, a.event.type) for a in settled.announcements] == [
        (twin.id, EventType.DELIVERED)
    ]
    assert (await delivery_of(store, twin)).state is State.DELIVERED


# ---- what is kept ----


async def test_a_parked_receipt_is_kept_whole(store: Store) -> None:
    """Everything that it said is there when its segment is known, the octets too."""
    of = about(
        "c-7", ReceiptState.REJECTED, reference="m/0/0", user_reference=77, text="hello", octets=bytes(range(256))
    )  # fmt: skip
    await record(store, of, HEX_DECIMAL)
    assert await store.unmatched_receipts(10) == [of]


async def test_segments_of_a_refused_message_know_their_receipts(store: Store) -> None:
    """Parts that were taken before a later one was refused: nothing is announced a second time."""
    of = message(segment_count=2)
    await do(store, outbound(of))
    early = Segment(of.id, 0, 0, CARRIER, "c-1", ledger.TAKEN, None, T0 + 1, None)
    await do(store, replace(refused(of), segments=(early,)))
    recorded = await record(store, about("c-1"))
    assert recorded == ReceiptRecorded(matched=True, announcements=[], message_id=of.id)
    found = await life(store, of)
    assert (found.deliveries[0].state, found.segments[0].state) == (State.FAILED, ReceiptState.DELIVERED)


# ---- PDUs ----


def pdu(of: Message, at_ms: int, place: int = 0, octets: bytes = b"\x00\xff") -> Pdu:
    return Pdu(of.id, 0, at_ms, place, "sim/0", "out", octets)


async def test_the_pdus_of_a_settlement_are_kept_in_order(store: Store) -> None:
    """Of every try, to the octet."""
    of = message()
    await do(store, outbound(of))
    first = [pdu(of, T0 + 1, 0, bytes(range(256))), pdu(of, T0 + 1, 1), pdu(of, T0 + 2)]
    await do(store, replace(retried(of, T0 + 9), pdus=first))
    await do(store, replace(taken(of, "c-1"), pdus=[pdu(of, T0 + 10)]))
    assert (await life(store, of)).pdus == [*first, pdu(of, T0 + 10)]


@pytest.mark.parametrize("overtakes", [False, True])
async def test_the_pdu_of_a_receipt_is_kept_with_its_message(store: Store, overtakes: bool) -> None:
    """Whether it is matched at once or waits; the same one twice is kept once, two at one moment both."""
    of = message()
    await do(store, outbound(of))
    octets = [b"one", b"two", b"two"]
    receipts = [RecordReceipt(about("c-1", ReceiptState.ENROUTE, octets=o)) for o in octets]
    if overtakes:
        receipts[1] = receipts[2] = RecordReceipt(about("c-1", octets=b"two"))
        await write(store, *receipts)
    await do(store, taken(of, "c-1"))
    if not overtakes:
        await write(store, *receipts)
    found = (await life(store, of)).pdus
    assert [(p.at_ms, p.lane, p.direction) for p in found] == [(T0 + 5000, CARRIER, "in")] * 2
    assert sorted(p.octets for p in found) == [b"one", b"two"]


async def test_a_receipt_without_octets_leaves_no_pdu(store: Store) -> None:
    """Not every carrier speaks in PDUs."""
    of = message()
    await submitted(store, of, "c-1")
    await record(store, about("c-1"))
    assert (await life(store, of)).pdus == []


async def test_old_pdus_are_deleted_by_the_age_of_their_message(store: Store) -> None:
    """In small batches, whether the message is done or not."""
    messages = [message(number) for number in range(3)]
    for of in messages:
        await do(store, outbound(of))
        await do(store, replace(taken(of, f"c-{of.id}"), pdus=[pdu(of, of.received_ms)]))
    counts = [await do(store, Prune("pdus", T0 + 2, 1)) for _ in range(3)]
    assert counts == [1, 1, 0]
    assert [len((await life(store, of)).pdus) for of in messages] == [0, 0, 1]


async def test_pdus_are_deleted_with_their_message(store: Store) -> None:
    """Nothing of it stays behind."""
    of = message()
    await do(store, outbound(of))
    await do(store, replace(refused(of), pdus=[pdu(of, T0)]))
    await do(store, SettleCallback((await life(store, of)).events[0].id, None))
    assert await do(store, Prune("messages", T0 + DAY, 10)) == 1
    assert await do(store, Prune("pdus", T0 + DAY, 10)) == 0

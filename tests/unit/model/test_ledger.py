"""Receipts and verdicts on a delivery, and what is announced of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outbox.records import APPLICATION, CARRIER, HANDSET, T0, delivery

from trebuchet.model import errorcodes, ledger
from trebuchet.model.events import CallbackItem, Event, EventType
from trebuchet.model.message import Delivery, Kind, Segment
from trebuchet.model.receipt import INTERMEDIATE, Receipt, ReceiptState
from trebuchet.model.status import FINAL, Happening, IllegalTransition, State

NOW = T0 + 5000
NEGATIVE = [
    ReceiptState.EXPIRED, ReceiptState.DELETED, ReceiptState.UNDELIVERABLE, ReceiptState.UNKNOWN, ReceiptState.REJECTED,
]  # fmt: skip


def sent(segments: int = 1) -> Delivery:
    return delivery(state=State.SENT, segments_total=segments, submitted_ms=T0, receipt_due_ms=T0 + 9)


def segment(number: int = 0) -> Segment:
    return Segment("m-1", 0, number, CARRIER, f"c-{number}", ledger.TAKEN, None, T0, None)


def receipt(state: ReceiptState, number: int = 0, at_ms: int = NOW) -> Receipt:
    """A receipt in the carrier's words; a negative one has the code 4720."""
    failed = state not in INTERMEDIATE and state is not ReceiptState.DELIVERED
    return Receipt(
        carrier_id=CARRIER,
        carrier_message_id=f"c-{number}",
        state=state,
        error_code=4720 if failed else None,
        error="err:042" if failed else "",
        at_ms=at_ms,
    )


# ---- receipts ----


def test_a_positive_receipt_delivers() -> None:
    """The only segment is delivered, so the message is; no receipt is awaited any longer."""
    of, part = sent(), segment()
    assert ledger.note_receipt(of, part, receipt(ReceiptState.DELIVERED), 1) is EventType.DELIVERED
    assert (of.state, of.final_ms, of.receipt_due_ms) == (State.DELIVERED, NOW, None)
    assert (of.error_code, of.segments_delivered) == (None, 1)
    assert (part.state, part.receipt_ms, part.receipt_error) == ("DELIVRD", NOW, None)


@pytest.mark.parametrize("state", NEGATIVE)
def test_a_negative_receipt_fails(state: ReceiptState) -> None:
    """Every final state but delivered is a failure with the code that the link gave it."""
    of, part = sent(), segment()
    assert ledger.note_receipt(of, part, receipt(state), 1) is EventType.FAILED
    assert (of.state, of.error_code, of.description) == (State.UNDELIVERED, 4720, "err:042")
    assert (part.state, part.receipt_error) == (state, "err:042")


def test_a_negative_receipt_without_a_code_is_of_unknown_cause() -> None:
    """A carrier need not say why."""
    of = sent()
    without = Receipt(
        carrier_id=CARRIER, carrier_message_id="c-0", state=ReceiptState.UNDELIVERABLE, at_ms=NOW
    )
    assert ledger.note_receipt(of, segment(), without, 1) is EventType.FAILED
    assert of.error_code == errorcodes.UNKNOWN


@pytest.mark.parametrize("state", sorted(INTERMEDIATE))
def test_an_intermediate_receipt_is_noted_and_decides_nothing(state: ReceiptState) -> None:
    """The final one is still awaited, and still decides."""
    of, part = sent(), segment()
    assert ledger.note_receipt(of, part, receipt(state), 1) is None
    assert (of, part.state) == (sent(), state)
    assert ledger.note_receipt(of, part, receipt(ReceiptState.DELIVERED), 1) is EventType.DELIVERED


@pytest.mark.parametrize("second", [ReceiptState.DELIVERED, ReceiptState.UNDELIVERABLE, ReceiptState.ENROUTE])
@pytest.mark.parametrize("first", [ReceiptState.DELIVERED, ReceiptState.UNDELIVERABLE])
def test_a_segment_has_one_final_receipt(first: ReceiptState, second: ReceiptState) -> None:
    """What comes after it changes neither the segment nor the delivery, and announces nothing."""
    of, part = sent(2), segment()
    ledger.note_receipt(of, part, receipt(first), 2)
    kept = (of.state, of.segments_delivered, of.final_ms, part.state, part.receipt_ms)
    assert ledger.note_receipt(of, part, receipt(second, at_ms=NOW + 1), 2) is None
    assert (of.state, of.segments_delivered, of.final_ms, part.state, part.receipt_ms) == kept


@given(
    parts=st.integers(1, 5),
    data=st.data(),
)
def test_receipts_in_any_order_announce_one_result(parts: int, data: st.DataObject) -> None:
    """Delivered exactly if every segment is before any has failed; else failed by the first that did."""
    history = data.draw(
        st.lists(st.tuples(st.integers(0, parts - 1), st.sampled_from(ReceiptState)), max_size=4 * parts)
    )
    of, segments = sent(parts), [segment(number) for number in range(parts)]
    announced = [
        ledger.note_receipt(of, segments[number], receipt(state, number, NOW + at), parts)
        for at, (number, state) in enumerate(history)
    ]

    final: dict[int, ReceiptState] = {}
    outcome: tuple[int, EventType] | None = None
    for at, (number, state) in enumerate(history):
        if state in INTERMEDIATE or number in final:
            continue
        final[number] = state
        if outcome is None and state is not ReceiptState.DELIVERED:
            outcome = (at, EventType.FAILED)
        elif outcome is None and list(final.values()) == [ReceiptState.DELIVERED] * parts:
            outcome = (at, EventType.DELIVERED)
    assert [(at, event) for at, event in enumerate(announced) if event is not None] == (
        [outcome] if outcome else []
    )
    assert (of.state in FINAL) == (outcome is not None)
    assert of.final_ms == (NOW + outcome[0] if outcome else None)
    assert of.segments_delivered == list(final.values()).count(ReceiptState.DELIVERED)


# ---- verdicts ----


def test_a_verdict_that_is_not_final_changes_the_state_only() -> None:
    """Nothing is announced, and the code and words given with it are of no interest."""
    of = delivery()
    assert ledger.verdict(of, Happening.TAKEN, 1, "words", NOW) is None
    assert of == delivery(state=State.SENT)


def test_a_final_verdict_says_why_and_when() -> None:
    """With its code, the words, and the moment."""
    of = delivery(receipt_due_ms=T0)
    assert ledger.verdict(of, Happening.EXPIRED, 4360, "too late", NOW) is EventType.FAILED
    assert of == delivery(state=State.FAILED, error_code=4360, description="too late", final_ms=NOW)


@pytest.mark.parametrize(
    "late", [Happening.TAKEN, Happening.RECEIPT_DELIVERED, Happening.RECEIPT_TIMEOUT, Happening.LOST]
)
def test_the_first_final_verdict_stands(late: Happening) -> None:
    """A late answer or receipt leaves the delivery as it is and announces nothing."""
    of = delivery(state=State.UNDELIVERED, error_code=4720, description="no", final_ms=T0)
    before = delivery(state=State.UNDELIVERED, error_code=4720, description="no", final_ms=T0)
    assert ledger.verdict(of, late, 9999, "late", NOW) is None
    assert of == before


def test_a_verdict_that_cannot_be_is_an_error() -> None:
    """And leaves the delivery as it was."""
    of = delivery()
    with pytest.raises(IllegalTransition):
        ledger.verdict(of, Happening.CALLED_BACK, None, "", NOW)
    assert of == delivery()


# ---- announcements ----


@pytest.mark.parametrize(
    ("kind", "type_", "error_code", "place", "description"),
    [
        (Kind.SMS, EventType.DELIVERED, None, 9, "ok"),
        (Kind.MMS, EventType.DELIVERED, None, 9, "Message delivered to carrier"),
        (Kind.MMS, EventType.SENDING, None, 1, "Message is sending to carrier"),
        (Kind.SMS, EventType.FAILED, 4720, 9, "invalid-destination-address"),
        (Kind.SMS, EventType.FAILED, 1234, 9, "unknown-error"),
        (Kind.SMS, EventType.FAILED, None, 9, "unknown-error"),
    ],
)
def test_what_is_announced(
    kind: Kind, type_: EventType, error_code: int | None, place: int, description: str
) -> None:
    """An event with its place in the life of the recipient, in the words of the wire, due at once."""
    said = ledger.announcement(delivery(error_code=error_code), type_, APPLICATION, kind, NOW)
    id_ = f"m-1-0-{place}"
    assert said.event == Event(id_, "m-1", 0, type_, HANDSET, error_code, description, NOW)
    assert said.item == CallbackItem(APPLICATION, NOW, id_)


def test_an_error_code_is_announced_with_failures_only() -> None:
    """A delivery that is in doubt may have one from an earlier try."""
    said = ledger.announcement(delivery(error_code=4720), EventType.DELIVERED, APPLICATION, Kind.SMS, NOW)
    assert said.event.error_code is None


# ---- the number that submits are marked with ----


@given(st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1), st.integers(-1, 300), st.integers(0, 254))
def test_a_user_reference_fits_its_field(message_id: str, recipient: int, number: int) -> None:
    """16 bits, and never 0, which some carriers take for none; always the same for a segment."""
    reference = ledger.user_reference(message_id, recipient, number)
    assert 1 <= reference <= 0xFFFF
    assert reference == ledger.user_reference(message_id, recipient, number)


def test_user_references_tell_segments_apart() -> None:
    """Those of one message all; of a thousand messages hardly any two are alike."""
    of_one = {ledger.user_reference("1767225600000aaaaaaaaaaaaaaaa", 0, number) for number in range(20)}
    of_many = {ledger.user_reference(f"{T0 + number}aaaaaaaaaaaaaaaa", 0, 0) for number in range(1000)}
    assert len(of_one) == 20
    assert len(of_many) > 980

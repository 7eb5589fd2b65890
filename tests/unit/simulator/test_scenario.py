"""What the scenario decides, row by row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.model.errorcodes import ERROR_CODES
from trebuchet.model.receipt import ReceiptState
from trebuchet.simulator.scenario import (
    DELAY_MAX_MS,
    MAGIC,
    NUMBER_PREFIX,
    Answer,
    Fate,
    Magic,
    PlannedReceipt,
    decide,
    delivered,
    recall,
    remember,
)

ANYBODY = "+12025550123"
DELAY_MS = 70


def receipt(delay_ms: int, state: ReceiptState, code: int | None = None) -> PlannedReceipt:
    return PlannedReceipt(delay_ms, state, code)


DELIVERED = Fate(Answer.ACCEPTED, (receipt(DELAY_MS, ReceiptState.DELIVERED),))

TRIGGERS = {
    "hello": DELIVERED,
    "#delay:5000": Fate(Answer.ACCEPTED, (receipt(5000, ReceiptState.DELIVERED),)),
    "#delay": Fate(Answer.ACCEPTED, (receipt(5000, ReceiptState.DELIVERED),)),
    "#noreceipt": Fate(Answer.ACCEPTED),
    "#twice": Fate(
        Answer.ACCEPTED,
        (receipt(DELAY_MS, ReceiptState.DELIVERED), receipt(DELAY_MS + 50, ReceiptState.DELIVERED)),
    ),
    "#enroute": Fate(
        Answer.ACCEPTED,
        (receipt(DELAY_MS // 2, ReceiptState.ENROUTE), receipt(DELAY_MS, ReceiptState.DELIVERED)),
    ),
    "#early": Fate(Answer.ACCEPTED, (receipt(0, ReceiptState.DELIVERED),), answer_delay_ms=100),
    "#expired": Fate(Answer.ACCEPTED, (receipt(DELAY_MS, ReceiptState.EXPIRED, 5650),), shown=False),
    "#deleted": Fate(Answer.ACCEPTED, (receipt(DELAY_MS, ReceiptState.DELETED, 5650),), shown=False),
    "#rejected": Fate(Answer.ACCEPTED, (receipt(DELAY_MS, ReceiptState.REJECTED, 4750),), shown=False),
    "#unknown": Fate(Answer.ACCEPTED, (receipt(DELAY_MS, ReceiptState.UNKNOWN, 9999),), shown=False),
    "#busy:700": Fate(Answer.BUSY, shown=False, taken=False, error_code=5600, pause_ms=700),
    "#throttle:2000": Fate(Answer.THROTTLED, shown=False, taken=False, pause_ms=2000),
    "#down:3000": Fate(Answer.DOWN, shown=False, taken=False, pause_ms=3000),
    "#lost": Fate(Answer.LOST, shown=False, taken=False),
    "#unanswered": Fate(Answer.LOST, (receipt(DELAY_MS, ReceiptState.DELIVERED),)),
    "#fail:4702": Fate(Answer.ACCEPTED, (receipt(DELAY_MS, ReceiptState.UNDELIVERABLE, 4702),), shown=False),
    "#refuse:4470": Fate(Answer.REFUSED, shown=False, taken=False, error_code=4470),
}


@pytest.mark.parametrize(("text", "fate"), TRIGGERS.items())
def test_a_trigger_in_the_text_decides(text: str, fate: Fate) -> None:
    """Each trigger has its one fate, wherever it stands in the text."""
    assert decide(ANYBODY, text, 1, DELAY_MS) == fate
    assert decide(ANYBODY, f"Hello {text}, there", 1, DELAY_MS) == fate


def test_every_trigger_is_in_this_test() -> None:
    """A new row of the table brings its case."""
    assert {row.trigger for row in MAGIC} == {
        text[1:].partition(":")[0] for text in TRIGGERS if text[0] == "#"
    }


@pytest.mark.parametrize("row", MAGIC, ids=[row.number for row in MAGIC])
def test_a_number_does_what_its_text_does(row: Magic) -> None:
    """The recipient of a row and the text of a row lead to the same fate."""
    assert decide(row.number, "hello", 1, DELAY_MS) == decide(ANYBODY, row.text, 1, DELAY_MS)


def test_numbers_are_nobodys_and_unique() -> None:
    """999 is no area code of the North American plan, and each recipient stands in one row."""
    numbers = [row.number for row in MAGIC]
    assert len(set(numbers)) == len(numbers)
    assert all(number.startswith(NUMBER_PREFIX) and len(number) == 12 for number in numbers)


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_error_code_can_be_provoked(code: int) -> None:
    """+1999555CCCC fails with CCCC: by receipt if the code is the carrier's, by refusal else, 9902 by silence."""
    fate = decide(f"+1999555{code}", "hello", 1, DELAY_MS)
    if code == 9902:
        assert fate == Fate(Answer.ACCEPTED)
    elif str(code)[1] in "67" or code == 9999:
        assert [(r.state, r.error_code) for r in fate.receipts] == [(ReceiptState.UNDELIVERABLE, code)]
        assert not fate.shown
    else:
        assert (fate.answer, fate.error_code, fate.taken) == (Answer.REFUSED, code, False)


@pytest.mark.parametrize("text", ["#busy", "#throttle", "#down", "#lost", "#unanswered"])
def test_what_passes_by_itself_does_not_happen_again(text: str) -> None:
    """At the second attempt the message is delivered."""
    assert decide(ANYBODY, text, 1, DELAY_MS) != DELIVERED
    assert decide(ANYBODY, text, 2, DELAY_MS) == DELIVERED


@pytest.mark.parametrize("text", ["#refuse:4470", "#fail:4720", "#noreceipt", "#twice"])
def test_what_does_not_pass_happens_at_each_attempt(text: str) -> None:
    """A second attempt does not mend what is wrong with the message."""
    assert decide(ANYBODY, text, 2, DELAY_MS) == decide(ANYBODY, text, 1, DELAY_MS)


@pytest.mark.parametrize(
    "text",
    [
        "#", "# fail", "fail:4720", "#fail:1", "#fail:99999", "#refuse:1234", "#failing", "#fail:4720x", "#FAIL:4720",
        "#hello", "#twice:3", "#delay:86400001", "#delay:123456789", "#delay:", "#delay:-5", "#lost:9",
    ],
)  # fmt: skip
def test_what_is_no_trigger_is_just_text(text: str) -> None:
    """Unknown words, unknown codes, times beyond a day and needless arguments are delivered like any text."""
    assert decide(ANYBODY, text, 1, DELAY_MS) == DELIVERED


def test_the_longest_delay_is_a_day() -> None:
    """What the network has to remember is bounded."""
    assert decide(ANYBODY, f"#delay:{DELAY_MAX_MS}", 1, 0) == delivered(86_400_000)


def test_the_first_trigger_counts() -> None:
    """Later ones are text."""
    assert decide(ANYBODY, "#no #fail:1 #refuse:4470 #lost", 1, DELAY_MS).error_code == 4470


def test_the_number_goes_before_the_text() -> None:
    """A magic recipient does what its row says, whatever the text asks for."""
    assert decide(f"{NUMBER_PREFIX}4720", "#lost", 1, DELAY_MS).receipts[0].error_code == 4720


def test_other_numbers_of_the_prefix_are_ordinary() -> None:
    """A number that is in no row is a handset like any other."""
    assert decide(f"{NUMBER_PREFIX}8888", "hello", 1, DELAY_MS) == DELIVERED
    assert decide(f"{NUMBER_PREFIX}8888", "#lost", 1, DELAY_MS).answer is Answer.LOST


@given(st.text(), st.text(), st.integers(1, 9), st.integers(0, DELAY_MAX_MS))
def test_every_text_has_a_fate(recipient: str, text: str, attempt: int, delay_ms: int) -> None:
    """No recipient and no text is an error, and what is shown was taken."""
    fate = decide(recipient, text, attempt, delay_ms)
    assert fate.taken or not (fate.shown or fate.receipts)


receipts = st.builds(
    PlannedReceipt,
    delay_ms=st.integers(0, DELAY_MAX_MS),
    state=st.sampled_from(ReceiptState),
    error_code=st.none() | st.sampled_from(sorted(ERROR_CODES)),
)


@given(
    st.builds(Fate, receipts=st.lists(receipts, max_size=3).map(tuple), shown=st.booleans()),
    st.integers(1, 255),
    st.text(),
)
def test_a_remembered_fate_is_recalled(fate: Fate, segments: int, carrier_id: str) -> None:
    """What is written beside a message is enough to give its receipts again."""
    memory = recall(remember(fate, segments, carrier_id))
    assert (memory.receipts, memory.shown) == (fate.receipts, fate.shown)
    assert (memory.segments, memory.carrier_id) == (segments, carrier_id)


def test_a_remembered_fate_is_short() -> None:
    """It stands beside each message on disk."""
    assert remember(DELIVERED, 1, "sim") == "1 shown DELIVRD+70 @sim"


@pytest.mark.parametrize("text", ["", "1 shown", "1 maybe @sim", "x shown @sim", "1 shown GONE+5 @sim"])
def test_what_was_not_remembered_is_an_error(text: str) -> None:
    """A column that somebody else wrote is not guessed at."""
    with pytest.raises(ValueError, match=r".+"):
        recall(text)

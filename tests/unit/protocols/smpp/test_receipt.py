"""Receipts: every form that was met is understood, and what our SMSC writes is read back."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.smpp import receipt, tlv
from trebuchet.protocols.smpp.constants import MessageState
from trebuchet.protocols.smpp.pattern import compile_pattern
from trebuchet.protocols.smpp.receipt import Fields, Style
from trebuchet.protocols.smpp.tlv import Tag

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "dlr.json").read_text("utf-8")
)["receipts"]
OUTCOMES = {
    "delivered": {MessageState.DELIVERED},
    "failed": {MessageState.UNDELIVERABLE, MessageState.EXPIRED, MessageState.REJECTED, MessageState.DELETED},
    "pending": {MessageState.ACCEPTED, MessageState.ENROUTE},
    "unknown": {MessageState.UNKNOWN},
}
TLVS = (
    tlv.pack(Tag.RECEIPTED_MESSAGE_ID, "from-tlv"),
    tlv.pack(Tag.MESSAGE_STATE, 5),
    tlv.pack(Tag.NETWORK_ERROR_CODE, b"\x03\x00\x1b"),
    tlv.pack(Tag.USER_MESSAGE_REFERENCE, 4711),
)


def parsed(text: str, *args: Any, **kwargs: Any) -> Fields:
    found = receipt.parse(text, *args, **kwargs)
    assert found is not None
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["text"])[:30])
def test_every_text_of_the_vectors_is_understood(vector: dict[str, Any]) -> None:
    """Its fields, and what it means; a text without a state is no receipt."""
    found = receipt.parse(vector["text"])
    if vector["outcome"] is None:
        assert found is None
        return
    assert found is not None
    assert found.state in OUTCOMES[vector["outcome"]]
    expected = {name.replace(" ", "_"): value for name, value in vector["fields"].items()}
    assert found.message_id == expected.pop("id")
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "message_id", "stat", "err"),
    [
        ("id:abc-DEF_1.2 stat:DELIVRD err:042", "abc-DEF_1.2", "DELIVRD", "042"),
        ("id: 7 stat: delivrd err: 042", "7", "delivrd", "042"),
        ("stat:DELIVRD err:000 id:7", "7", "DELIVRD", "000"),
        ("id:7 stat:DELIVRD", "7", "DELIVRD", ""),
        ("id:1 id:2 stat:DELIVRD stat:UNDELIV", "1", "DELIVRD", ""),
        ("id:7 stat:EXPIRED text:id:9 stat:DELIVRD", "7", "EXPIRED", ""),
        ("IMSI:310150123456789 id:7 stat:DELIVRD", "7", "DELIVRD", ""),
    ],
)
def test_keys_in_any_order_case_and_spacing(text: str, message_id: str, stat: str, err: str) -> None:
    """The first of a key counts, and nothing behind `text:` does."""
    found = parsed(text)
    assert (found.message_id, found.stat, found.err) == (message_id, stat, err)


def test_optional_parameters_go_before_the_text() -> None:
    """But for the error, which only the text has."""
    found = parsed("id:from-text stat:DELIVRD err:027", TLVS)
    assert (found.message_id, found.state, found.err) == ("from-tlv", MessageState.UNDELIVERABLE, "027")
    assert (found.network_error, found.user_reference) == ((3, 27), 4711)


def test_optional_parameters_alone_are_enough() -> None:
    """Some SMSCs write no text."""
    assert parsed("", TLVS).message_id == "from-tlv"


def test_a_state_that_nobody_knows_is_unknown() -> None:
    """In words and in numbers; the word is kept."""
    assert (parsed("id:1 stat:GONE").state, parsed("id:1 stat:GONE").stat) == (MessageState.UNKNOWN, "GONE")
    assert parsed("", (*TLVS[:1], (Tag.MESSAGE_STATE, b"\x63"))).state is MessageState.UNKNOWN


def test_a_word_that_is_known_goes_before_a_number_that_is_not() -> None:
    """A number of the carrier's own does not make a delivered message a failed one."""
    strange = ((Tag.MESSAGE_STATE, b"\x63"),)
    assert parsed("id:1 stat:DELIVRD", strange).state is MessageState.DELIVERED


@pytest.mark.parametrize(
    ("word", "state"),
    [
        *((word, state) for state, word in receipt.WORDS.items()),
        ("BUFFRED", MessageState.ENROUTE),
        ("BUFFERD", MessageState.ENROUTE),
        ("ACKED", MessageState.ACCEPTED),
        ("Delivrd", MessageState.DELIVERED),
        ("UNDELIVERED", MessageState.UNDELIVERABLE),
        ("FAILED", MessageState.UNDELIVERABLE),
        ("SYSERR", MessageState.UNDELIVERABLE),
        ("NACK", MessageState.REJECTED),
    ],
)
def test_words_of_the_specification_and_of_the_field(word: str, state: MessageState) -> None:
    """In any case of letters."""
    assert parsed(f"id:1 stat:{word}").state is state


@pytest.mark.parametrize("text", ["", "hello", "id: my name", "stat:DELIVRD", "id:"])
def test_what_names_no_message_or_no_state_is_no_receipt(text: str) -> None:
    """A handset may write such things."""
    assert receipt.parse(text) is None


def test_a_form_of_the_carrier_s_own() -> None:
    """A pattern reads what no convention does."""
    pattern = compile_pattern("{stat},{done_date},{submit_date},{err},{},{},{id}")
    found = parsed("DELIVRD,2611230431,2611230430,0,12025550123,12345678901,x7", pattern=pattern)
    assert (found.message_id, found.state, found.err) == ("x7", MessageState.DELIVERED, "0")


@pytest.mark.parametrize(
    ("esm_class", "tlvs", "expected"),
    [
        (0x04, (), True),
        (0x20, (), True),
        (0x44, (), True),
        (0x07, (), True),
        (0x00, (), False),
        (0x40, (), False),
        (0x08, (), False),
        (0x00, TLVS, True),
        (0x00, TLVS[:1], False),
        (0x08, TLVS, False),
    ],
)
def test_what_marks_a_receipt(esm_class: int, tlvs: Any, expected: bool) -> None:
    """Its type in esm_class, whatever else is set there, or both parameters that only receipts have."""
    assert receipt.is_receipt(esm_class, tlvs) is expected


@pytest.mark.parametrize("style", [style for style in Style if style is not Style.TLV_ONLY])
@given(
    message_id=st.from_regex(r"[0-9a-zA-Z\-]{1,40}", fullmatch=True),
    state=st.sampled_from(list(MessageState)),
    err=st.from_regex(r"[0-9]{3}", fullmatch=True),
    text=st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=30),
)
def test_every_style_that_we_write_is_read(
    style: Style, message_id: str, state: MessageState, err: str, text: str
) -> None:
    """The id, the state and the error come through."""
    written = receipt.format(
        message_id,
        state,
        submit_date="20261123043000",
        done_date="20261123043112",
        err=err,
        text=text,
        style=style,
    )
    found = parsed(written)
    assert (found.message_id, found.state, found.err) == (message_id, state, err)


def test_the_styles_differ_as_they_say() -> None:
    """Dates, counts, case and blanks."""

    def written(style: Style) -> str:
        return receipt.format(
            "Ab1",
            MessageState.DELIVERED,
            submit_date="20261123043000",
            done_date="20261123043112",
            style=style,
        )

    assert written(Style.STANDARD) == (
        "id:Ab1 sub:001 dlvrd:001 submit date:261123043000 done date:261123043112 stat:DELIVRD err:000 text:"
    )
    assert "submit date:2611230430 " in written(Style.SHORT_DATES)
    assert "submit date:20261123043000 " in written(Style.LONG_DATES)
    assert "dlvrd" not in written(Style.NO_COUNTS)
    assert written(Style.LOWER).startswith("id:Ab1 sub")
    assert "stat:delivrd" in written(Style.LOWER)
    assert "err: 000" in written(Style.SPACED)
    assert written(Style.TLV_ONLY) == ""


@given(
    st.text(max_size=2000), st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=70)), max_size=4)
)
def test_nothing_makes_it_fail(text: str, tlvs: list[tuple[int, bytes]]) -> None:
    """Whatever a peer writes."""
    found = receipt.parse(text, tuple(tlvs))
    assert found is None or (found.message_id and found.state is not None)


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    """Only its first thousand characters are looked at."""
    assert receipt.parse("id:" * 500_000 + " stat:DELIVRD") is None

"""Whatever a receipt says, reading it raises nothing and is bounded, and a key says the same wherever it stands."""

from hypothesis import given, settings
from hypothesis import strategies as st

from trebuchet.protocols.smpp import MessageState, Tag, receipt, tlv

EXAMPLES = settings(max_examples=500)
LONGEST = 1024

# Texts made of what receipts are made of: keys, glue, words, and what a handset may type.
keys = st.sampled_from(
    ["id", "sub", "dlvrd", "submit date", "submitdate", "done date", "donedate", "stat", "err", "text", "xid"]
)
written = keys | keys.map(str.upper) | keys.map(str.title)
glue = st.sampled_from([":", ": ", " :", "::", ":\t", ""])
words = st.sampled_from(["DELIVRD", "delivrd", "NOCRED", "000", "-1", "0x0001", "1101C1-C9D03D", "id:7"])
values = words | st.text(max_size=12)
pieces = st.builds("{}{}{} ".format, written, glue, values)
texts = st.lists(pieces | st.text(max_size=8), max_size=20).map("".join) | st.text(max_size=2000)
tags = st.sampled_from(
    [Tag.RECEIPTED_MESSAGE_ID, Tag.MESSAGE_STATE, Tag.NETWORK_ERROR_CODE, Tag.USER_MESSAGE_REFERENCE, 0x1400]
).map(int)
parameters = st.lists(st.tuples(tags, st.binary(max_size=300)), max_size=5).map(tuple)


@EXAMPLES
@given(texts, parameters, st.integers(0, 255))
def test_any_text_is_read_or_is_no_receipt(
    text: str, tlvs: tuple[tuple[int, bytes], ...], esm_class: int
) -> None:
    """What is read names a message and a state, and nothing in it is longer than what is looked at."""
    receipt.is_receipt(esm_class, tlvs)
    found = receipt.parse(text, tlvs)
    if found is None:
        return
    assert found.message_id
    assert len(found.message_id) <= 255
    assert found.state is not None
    said = (found.stat, found.err, found.sub, found.dlvrd, found.submit_date, found.done_date, found.text)
    assert all(len(value) <= LONGEST for value in said)
    assert not any(character.isspace() for value in said[:-1] for character in value)


@EXAMPLES
@given(st.permutations(["id:a-1.B", "stat:UNDELIV", "err:720", "sub:001", "done date:2611230431"]), glue)
def test_the_order_of_keys_says_nothing(order: list[str], blank: str) -> None:
    """Nor what stands between them, nor what the message that is quoted looks like."""
    between = " " + blank.replace(":", " ")
    found = receipt.parse(between.join(order) + " text:id:9 stat:DELIVRD err:000")
    assert found is not None
    assert (found.message_id, found.state) == ("a-1.B", MessageState.UNDELIVERABLE)
    assert (found.err, found.sub, found.done_date) == ("720", "001", "2611230431")
    assert found.text == "id:9 stat:DELIVRD err:000"


@EXAMPLES
@given(texts, st.sampled_from(list(MessageState)), st.from_regex(r"[!-~]{1,65}", fullmatch=True))
def test_optional_parameters_decide_whatever_the_text_says(
    text: str, state: MessageState, message_id: str
) -> None:
    """A handset's text, quoted or typed, changes neither the id nor the state."""
    tlvs = (tlv.pack(Tag.RECEIPTED_MESSAGE_ID, message_id), tlv.pack(Tag.MESSAGE_STATE, int(state)))
    found = receipt.parse(text, tlvs)
    assert found is not None
    assert (found.message_id, found.state) == (message_id, state)

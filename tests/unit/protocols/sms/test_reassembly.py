"""Reassembly: parts in any order become one text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.sms import DataCoding, Encoding, Part, Reassembled, data_coding, join, segment

UCS2 = DataCoding.UCS2
GSM7 = DataCoding.DEFAULT


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1), (2, 2, 1, 3, 1)])
def test_any_order_and_repeats(order: tuple[int, ...]) -> None:
    """The order in which parts come, and that some come twice, changes nothing."""
    bodies = {1: b"one ", 2: b"two ", 3: b"three"}
    parts = [Part(sequence, bodies[sequence]) for sequence in order]
    assert join(3, parts, GSM7) == Reassembled("one two three", b"one two three", ())


def test_first_of_a_repeated_part_counts() -> None:
    """A second part under a taken number does not replace the first."""
    assert join(1, [Part(1, b"first"), Part(1, b"second")], GSM7).text == "first"


@pytest.mark.parametrize(
    ("coding", "first", "second", "text"),
    [
        (UCS2, "0436d83d", "de000436", "ж😀ж"),
        (UCS2, "043604", "36", "жж"),
        (GSM7, "611b", "6561", "a€a"),
    ],
)
def test_pairs_cut_by_the_peer_heal(coding: int, first: str, second: str, text: str) -> None:
    """Octets are joined before they are decoded, so a pair cut between parts is whole again."""
    parts = [Part(2, bytes.fromhex(second)), Part(1, bytes.fromhex(first))]
    assert join(2, parts, coding).text == text


@pytest.mark.parametrize(
    ("total", "parts", "text", "missing"),
    [
        (3, {1: "0061", 3: "0063"}, "ac", (2,)),
        (3, {2: "0062"}, "b", (1, 3)),
        (2, {}, "", (1, 2)),
        (3, {1: "0061d83d", 3: "de000063"}, "a\ufffd\ufffdc", (2,)),
        (3, {1: "006100", 3: "00620063"}, "a\ufffdbc", (2,)),
    ],
)
def test_missing_parts_are_named(
    total: int, parts: dict[int, str], text: str, missing: tuple[int, ...]
) -> None:
    """What came is read, what is absent is named, and the sides of a gap do not spoil each other."""
    joined = join(total, [Part(n, bytes.fromhex(body)) for n, body in parts.items()], UCS2)
    assert (joined.text, joined.missing) == (text, missing)


def test_binary_parts_are_kept() -> None:
    """Parts that are no text have none, and their octets are joined all the same."""
    assert join(2, [Part(2, b"\xff"), Part(1, b"\0")], DataCoding.OCTETS) == Reassembled(None, b"\0\xff", ())


def test_options_of_the_link_apply() -> None:
    """Default alphabet, the meaning of 0x01 and a national shift table are those of the decoder."""
    assert join(1, [Part(1, b"@")], 0x00, default=Encoding.LATIN1).text == "@"
    assert join(1, [Part(1, b"\0")], 0x01, ia5=Encoding.GSM7).text == "@"
    assert join(1, [Part(1, b"\x1ba")], 0x00, single_shift=2).text == "á"


@pytest.mark.parametrize("sequence", [0, 3, -1])
def test_impossible_part(sequence: int) -> None:
    """A part outside the total is refused."""
    with pytest.raises(ValueError, match=f"no part {sequence} of 2"):
        join(2, [Part(sequence, b"")], GSM7)


@given(st.text(st.sampled_from("aé€ж😀\u0301"), min_size=1, max_size=300), st.data())
def test_segments_join_to_the_text(text: str, data: st.DataObject) -> None:
    """What we cut, shuffled and doubled, joins to the same text."""
    segments = segment(text, 7)
    parts = [Part(n, each.body) for n, each in enumerate(segments, start=1)]
    arrived = data.draw(st.permutations(parts * 2))
    assert join(len(parts), arrived, data_coding(segments[0].encoding)).text == text

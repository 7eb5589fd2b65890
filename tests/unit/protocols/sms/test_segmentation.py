"""Segmentation: how many parts a text takes, and which."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.sms import (
    MAX_SEGMENTS,
    Encoding,
    LoneSurrogate,
    SegmentCount,
    TooManySegments,
    choose,
    count,
    data_coding,
    gsm7,
    segment,
    udh,
)
from trebuchet.protocols.sms.graphemes import is_boundary

Bits = Literal[8, 16]
BITS: tuple[Bits, ...] = (8, 16)
SINGLE = {Encoding.GSM7: 160, Encoding.UCS2: 70}
PART = {
    (Encoding.GSM7, 8): 153,
    (Encoding.GSM7, 16): 152,
    (Encoding.UCS2, 8): 67,
    (Encoding.UCS2, 16): 66,
}
FAMILY = "👨\u200d👩\u200d👧\u200d👦"  # one grapheme of 11 UTF-16 code units

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "segmentation.json").read_text("utf-8")
)["vectors"]


def vector_text(vector: dict[str, Any]) -> str:
    """Long texts of the vectors are written as `'x' * n`."""
    if vector["text"] is not None:
        return str(vector["text"])
    quoted, _, times = vector["text_rule"].partition(" * ")
    return str(quoted[1:-1]) * int(times)


def widths(text: str, encoding: Encoding) -> list[int]:
    """What each character costs, by the definition."""
    if encoding is Encoding.GSM7:
        return [2 if character in gsm7.EXTENSION.values() else 1 for character in text]
    return [2 if character > "\uffff" else 1 for character in text]


def filled_parts(text: str, encoding: Encoding, capacity: int) -> int:
    """How many parts there are if character after character goes into the current part while it fits."""
    parts, free = 1, capacity
    for width in widths(text, encoding):
        if width > free:
            parts, free = parts + 1, capacity
        free -= width
    return parts


pieces = st.sampled_from(
    ["a", "é", "€", "{", "\r\n", "ж", "日", "😀", "e\u0301", FAMILY, "👍🏽", "🇺🇸", "🇺", "\u200d", " "]
)
gsm_pieces = st.sampled_from(["a", "@", "€", "~", "\r\n", "\n", "aaaaaaaaaa"])
long_texts = st.lists(pieces, max_size=200).map("".join) | st.lists(gsm_pieces, max_size=300).map("".join)
bits = st.sampled_from(BITS)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_golden_count(vector: dict[str, Any]) -> None:
    """Encoding, units and number of parts are the agreed ones."""
    text = vector_text(vector)
    counted = count(text)
    assert len(text) == vector["codepoints"]
    assert counted.encoding.value == vector["encoding"]
    assert counted.segments == vector["segmentCount"]
    assert count(text, 16).segments == vector["segmentCount_16bit_ref"]
    assert choose(text).encoding is counted.encoding
    assert data_coding(counted.encoding) == vector["data_coding"]
    if counted.encoding is Encoding.UCS2:
        assert counted.units == vector["utf16_units"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
@pytest.mark.parametrize(
    ("key", "reference", "reference_bits"),
    [("first_last_8bit_ref_0x2A", 0x2A, 8), ("first_last_16bit_ref_0x1234", 0x1234, 16)],
)
def test_golden_octets(vector: dict[str, Any], key: str, reference: int, reference_bits: Bits) -> None:
    """First and last part have the agreed octets, unpacked as SMPP carries them and packed as on air."""
    segments = segment(vector_text(vector), reference, reference_bits)
    for expected in vector[key]:
        part = segments[expected["seq"] - 1]
        assert part.user_data.hex() == expected["short_message_hex"]
        assert len(part.user_data) == expected["sm_length"]
        assert len(part.text) == expected["chars"]
        if part.encoding is Encoding.GSM7:
            packed = gsm7.pack(part.body, gsm7.fill_bits(len(part.header)))
            assert (part.header + packed).hex() == expected["tpdu_packed_ud_hex"]
    assert vector[key][-1]["seq"] == len(segments)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("a" * 160, Encoding.GSM7, 160, [160]),
        ("a" * 161, Encoding.GSM7, 161, [153, 8]),
        ("a" * 159 + "€", Encoding.GSM7, 161, [153, 8]),
        ("a" * 152 + "€" + "a" * 152, Encoding.GSM7, 306, [152, 153, 1]),
        ("€" * 2048, Encoding.GSM7, 4096, [152] * 26 + [144]),
        ("я" * 70, Encoding.UCS2, 70, [70]),
        ("я" * 71, Encoding.UCS2, 71, [67, 4]),
        ("😀" * 35, Encoding.UCS2, 70, [70]),
        ("😀" * 36, Encoding.UCS2, 72, [66, 6]),
        ("я" * 66 + "😀" + "я" * 66, Encoding.UCS2, 134, [66, 67, 1]),
        ("😀" * 1024, Encoding.UCS2, 2048, [66] * 31 + [2]),
        ("“hi”", Encoding.UCS2, 4, [4]),
    ],
    ids=lambda value: None if isinstance(value, Encoding | int | list) else f"{value[0]!a}×{len(value)}",
)
def test_pairs_move_to_the_next_part(text: str, encoding: Encoding, units: int, parts: list[int]) -> None:
    """A part ends early rather than inside a pair, which division of the units would not show."""
    unit_octets = 2 if encoding is Encoding.UCS2 else 1
    assert count(text) == SegmentCount(encoding, units, len(parts))
    assert [len(part.body) // unit_octets for part in segment(text, 0)] == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("я" * 60 + FAMILY + "я", ["я" * 60, FAMILY + "я"]),
        ("я" * 60 + FAMILY + "я" * 56, ["я" * 60, FAMILY + "я" * 56]),
        ("я" * 66 + "e\u0301" + "я" * 9, ["я" * 66, "e\u0301" + "я" * 9]),
        ("я" * 64 + "🇺🇸🇨🇦", ["я" * 64, "🇺🇸🇨🇦"]),
        ("a" * 152 + "\r\n" + "a" * 20, ["a" * 152, "\r\n" + "a" * 20]),
    ],
    ids=["family", "family and a full part", "accent", "flags", "line end"],
)
def test_grapheme_stays_whole_where_it_fits(text: str, parts: list[str]) -> None:
    """A grapheme that would be torn moves to the next part."""
    assert [part.text for part in segment(text, 0)] == parts


@pytest.mark.parametrize(
    ("text", "cut", "total"),
    [
        ("я" * 61 + FAMILY + "я" * 62, 65, 2),  # 134 units: two full parts
        ("я" * 60 + FAMILY + "я" * 55 + "😀" + "я" * 66, 64, 3),  # 134 units from the family, but with a pair
        ("e" + "\u0301" * 100, 67, 2),  # longer than a part
        ("a" * 152 + "\r\n" + "a" * 152, 153, 2),
    ],
    ids=["family", "family and a pair", "accents", "line end"],
)
def test_grapheme_is_cut_rather_than_paid_for(text: str, cut: int, total: int) -> None:
    """Keeping a grapheme whole never makes one part more; then it is cut, though never inside a pair."""
    parts = segment(text, 0)
    assert parts[0].text == text[:cut]
    assert len(parts) == count(text).segments == total


@given(long_texts, bits)
def test_count_is_what_filling_gives(text: str, reference_bits: Bits) -> None:
    """One part if all fits, else as many as it takes to fill one after the other."""
    counted = count(text, reference_bits)
    encoding = choose(text).encoding
    units = sum(widths(text, encoding))
    expected = (
        1 if units <= SINGLE[encoding] else filled_parts(text, encoding, PART[encoding, reference_bits])
    )
    assert counted == SegmentCount(encoding, units, expected)


@given(long_texts, bits, st.integers(0, 255))
def test_parts_are_the_text(text: str, reference_bits: Bits, reference: int) -> None:
    """The parts are as many as counted, fit, are numbered, and each decodes to its share of the text."""
    counted = count(text, reference_bits)
    parts = segment(text, reference, reference_bits)
    assert len(parts) == counted.segments
    assert "".join(part.text for part in parts) == text
    for sequence, part in enumerate(parts, start=1):
        assert part.encoding is counted.encoding
        if part.encoding is Encoding.GSM7:
            assert gsm7.decode(part.body) == part.text
            assert 7 * len(part.body) + gsm7.fill_bits(len(part.header)) <= 8 * (140 - len(part.header))
        else:
            assert part.body.decode("utf_16_be") == part.text
            assert len(part.user_data) <= 140
        if len(parts) == 1:
            assert part.header == b""
        else:
            elements, body = udh.parse(part.user_data)
            assert body == part.body
            expected = udh.Concatenation(reference, len(parts), sequence, reference_bits)
            assert udh.concatenation_of(elements) == expected


@given(long_texts, bits)
def test_no_grapheme_is_torn_needlessly(text: str, reference_bits: Bits) -> None:
    """Where a grapheme is torn, every earlier place to cut would have made one part more."""
    parts = segment(text, 0, reference_bits)
    capacity = PART[parts[0].encoding, reference_bits]
    start = 0
    for sequence, part in enumerate(parts[:-1], start=1):
        end = start + len(part.text)
        if not is_boundary(text, end):
            others = [place for place in range(start + 1, end) if is_boundary(text, place)]
            rests = [filled_parts(text[place:], part.encoding, capacity) for place in others]
            assert all(sequence + rest > len(parts) for rest in rests)
        start = end


@pytest.mark.parametrize(
    ("text", "index"),
    [("\ud83d", 0), ("ok \ude00", 3), ("😀\ud83d😀", 1), ("a" * 200 + "\udfff", 200)],
    ids=["alone", "end", "between", "long"],
)
def test_lone_surrogate_is_refused(text: str, index: int) -> None:
    """Half a pair is no character; the error says where, and does not repeat the text."""
    for act in (lambda: count(text), lambda: segment(text, 0)):
        with pytest.raises(LoneSurrogate, match=f"code point at {index} ") as raised:
            act()
        assert raised.value.index == index
        assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("character", "per_part"),
    [("a", 153), ("€", 76), ("ж", 67), ("😀", 33)],
    ids=["a", "euro", "zhe", "emoji"],
)
def test_at_most_255_parts(character: str, per_part: int) -> None:
    """255 full parts are taken; one character more is an error, never a cut."""
    most = character * (per_part * MAX_SEGMENTS)
    assert count(most).segments == len(segment(most, 0)) == MAX_SEGMENTS
    for act in (lambda: count(most + character), lambda: segment(most + character, 0)):
        with pytest.raises(TooManySegments, match="256 segments") as raised:
            act()
        assert raised.value.segments == MAX_SEGMENTS + 1


@pytest.mark.parametrize(("reference", "reference_bits"), [(-1, 8), (256, 8), (-1, 16), (65536, 16)])
@pytest.mark.parametrize("text", ["short", "long" * 50], ids=["short", "long"])
def test_reference_must_fit(text: str, reference: int, reference_bits: Bits) -> None:
    """A reference that its bits cannot hold is refused, also where the text turns out not to need it."""
    with pytest.raises(ValueError, match="does not fit"):
        segment(text, reference, reference_bits)

"""The GSM 03.38 alphabet: characters, escape pairs, packing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.sms import NotInAlphabet, gsm7

VECTORS = Path(__file__).parents[3] / "vectors"
TABLE: dict[str, Any] = json.loads((VECTORS / "gsm0338.json").read_text("utf-8"))
PACKING: list[dict[str, Any]] = json.loads((VECTORS / "packing.json").read_text("utf-8"))["vectors"]
BASIC = {int(code, 16): cell["char"] for code, cell in TABLE["basic"].items()}
EXTENSION = {int(code, 16) & 0xFF: cell["char"] for code, cell in TABLE["ext"].items()}

gsm_texts = st.text(
    st.sampled_from([*(c for c in BASIC.values() if c != "\x1b"), *EXTENSION.values()]), max_size=400
)
septet_strings = st.binary(max_size=200).map(lambda octets: bytes(octet & 0x7F for octet in octets))


def test_tables_are_the_golden_ones() -> None:
    """All 128 cells of the basic table and all 10 of the extension are those of the vectors."""
    assert dict(enumerate(gsm7.BASIC)) == BASIC
    assert dict(gsm7.EXTENSION) == EXTENSION


@pytest.mark.parametrize("code", [code for code in BASIC if code != gsm7.ESCAPE])
def test_basic_character_is_its_code(code: int) -> None:
    """A character of the basic table is one septet, both ways."""
    assert gsm7.encode(BASIC[code]) == bytes([code])
    assert gsm7.decode(bytes([code])) == BASIC[code]
    assert gsm7.septets(BASIC[code]) == 1


@pytest.mark.parametrize("code", EXTENSION)
def test_extension_character_is_an_escape_pair(code: int) -> None:
    """A character of the extension is an escape and its code, both ways, and counts twice."""
    assert gsm7.encode(EXTENSION[code]) == bytes([0x1B, code])
    assert gsm7.decode(bytes([0x1B, code])) == EXTENSION[code]
    assert gsm7.septets(EXTENSION[code]) == 2


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("a`b", 1),
        ("\t", 0),
        ("ça va", 0),
        ("It’s", 2),
        ("€uro á", 5),
        ("a\0b", 1),
        ("a\0bя", 1),
        ("яb\0", 0),
        ("a\x1bb", 1),
        ("ok 😀", 3),
        ("ok \ud83d", 3),
        ("\xff", 0),
    ],
)
def test_foreign_character_is_found(text: str, index: int) -> None:
    """A text with any other character has no septets, and the first such character is named."""
    assert gsm7.septets(text) is None
    assert gsm7.try_encode(text) is None
    assert gsm7.first_foreign(text) == index
    with pytest.raises(NotInAlphabet) as raised:
        gsm7.encode(text)
    assert raised.value.index == index


@given(gsm_texts)
def test_text_survives(text: str) -> None:
    """What is encoded decodes to the same text, and takes as many septets as counted."""
    octets = gsm7.encode(text)
    assert gsm7.decode(octets) == text
    assert gsm7.septets(text) == len(octets)
    assert gsm7.first_foreign(text) is None


@given(st.text())
def test_alphabet_decides(text: str) -> None:
    """A text can be encoded if and only if each of its characters is in the tables."""
    known = {*BASIC.values(), *EXTENSION.values()} - {"\x1b"}
    assert (gsm7.septets(text) is not None) == (set(text) <= known)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("611b4162", "aAb"),
        ("611b1b62", "a b"),
        ("611b", "a "),
        ("1b1b1b", "  "),
        ("1b1b65", " e"),
        ("611b0a62", "a\fb"),
        ("61ff62", "a\ufffdb"),
        ("1b80", "\ufffd"),
        ("09", "Ç"),
        ("", ""),
    ],
)
def test_odd_octets_are_read_kindly(octets: str, text: str) -> None:
    """An unknown pair is its basic character, a reserved escape a space, an octet beyond the table U+FFFD."""
    assert gsm7.decode(bytes.fromhex(octets)) == text


@given(st.binary())
def test_decoding_never_fails(octets: bytes) -> None:
    """Any octets from a peer give some text, no longer than the octets."""
    assert len(gsm7.decode(octets)) <= len(octets)


def test_spanish_shift_is_read() -> None:
    """With the Spanish single shift table an escape pair may be an accented letter; the other pairs stay."""
    octets = bytes.fromhex("1b09 1b41 1b49 1b4f 1b55 1b61 1b69 1b6f 1b75 1b65 1b28")
    assert gsm7.decode(octets, gsm7.SPANISH) == "çÁÍÓÚáíóú€{"
    assert gsm7.decode(octets) == "ÇAIOUaiou€{"
    assert gsm7.decode(octets, 1) == "ÇAIOUaiou€{"


@pytest.mark.parametrize("vector", PACKING, ids=lambda vector: str(vector["text"])[:12])
def test_packing_vector(vector: dict[str, Any]) -> None:
    """Encoding and packing give the agreed octets, and these unpack again."""
    unpacked = bytes.fromhex(vector["unpacked_hex"])
    packed = bytes.fromhex(vector["packed_hex"])
    assert gsm7.encode(vector["text"]) == unpacked
    assert gsm7.septets(vector["text"]) == vector["septets"]
    assert gsm7.pack(unpacked) == packed
    assert gsm7.unpack(packed, vector["septets"]) == unpacked


@given(septet_strings, st.integers(0, 6))
def test_packed_septets_survive(unpacked: bytes, fill: int) -> None:
    """Septets packed behind any number of fill bits take 7 bits each and unpack to themselves."""
    packed = gsm7.pack(unpacked, fill)
    assert len(packed) == -(-(fill + 7 * len(unpacked)) // 8)
    assert gsm7.unpack(packed, len(unpacked), fill) == unpacked


@pytest.mark.parametrize(("header_octets", "bits"), [(0, 0), (1, 6), (6, 1), (7, 0), (12, 2), (13, 1)])
def test_fill_bits_reach_a_septet_boundary(header_octets: int, bits: int) -> None:
    """Header and fill bits together are whole septets."""
    assert gsm7.fill_bits(header_octets) == bits
    assert (8 * header_octets + bits) % 7 == 0


@pytest.mark.parametrize(
    ("packed", "count", "fill"), [(b"", 1, 0), (b"\0", 2, 0), (b"\0", 1, 2), (b"\0", -1, 0), (b"\0\0", 1, 7)]
)
def test_unpacking_more_than_there_is_fails(packed: bytes, count: int, fill: int) -> None:
    """A count or fill bits that the octets cannot have are an error."""
    with pytest.raises(ValueError, match=r"octets do not hold|fill bits"):
        gsm7.unpack(packed, count, fill)


@pytest.mark.parametrize(("unpacked", "fill"), [(b"\x80", 0), (b"a", 7), (b"a", -1)])
def test_packing_what_is_no_septet_fails(unpacked: bytes, fill: int) -> None:
    """An octet above 0x7F and impossible fill bits are an error."""
    with pytest.raises(ValueError, match=r"septet|fill bits"):
        gsm7.pack(unpacked, fill)

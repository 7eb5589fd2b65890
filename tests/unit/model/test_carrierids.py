"""Ids of carriers: text, whatever their digits, base, case and padding."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.model.carrierids import IdConversion, canonical, proposals, response_key

PAIRS = json.loads((Path(__file__).parents[2] / "vectors" / "dlr.json").read_text("utf-8"))["id_pairs_match"]


@pytest.mark.parametrize(("response", "receipt", "alike"), PAIRS)
def test_the_pairs_of_the_vectors(response: str, receipt: str, alike: bool) -> None:
    """Some conversion makes the receipt's id the response's, exactly where the vectors say so."""
    keys = {response_key(receipt, conversion) for conversion in IdConversion}
    assert (canonical(response) in keys) is alike


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("00B8BE19", "b8be19"),
        ("0", "0"),
        ("000", "0"),
        ("", ""),
        (" 7 ", "7"),
        ("1101C1-C9D03D", "1101c1-c9d03d"),
    ],
)
def test_canonical_drops_padding_and_case(raw: str, key: str) -> None:
    """And leaves at least one character."""
    assert canonical(raw) == key


@given(st.integers(1, 10**60))
def test_bases_convert_both_ways_at_any_length(number: int) -> None:
    """No machine integer is in the way: forty digits are met."""
    hexadecimal, decimal = f"{number:X}", f"{number:020d}"
    assert response_key(decimal, IdConversion.RESPONSE_HEX_RECEIPT_DECIMAL) == canonical(hexadecimal)
    assert response_key(hexadecimal, IdConversion.RESPONSE_DECIMAL_RECEIPT_HEX) == str(number)


def test_hexadecimal_may_be_marked() -> None:
    """With 0x, in either case."""
    for raw in ("0x39f99dd5", "0X39F99DD5", " 0x0039F99DD5 "):
        assert response_key(raw, IdConversion.RESPONSE_DECIMAL_RECEIPT_HEX) == "972660181"


@pytest.mark.parametrize(
    ("raw", "conversion"),
    [
        ("1a2b3c", IdConversion.RESPONSE_HEX_RECEIPT_DECIMAL),
        ("xyz", IdConversion.RESPONSE_DECIMAL_RECEIPT_HEX),
        ("0x", IdConversion.RESPONSE_DECIMAL_RECEIPT_HEX),
        ("1101c1-c9d03d", IdConversion.RESPONSE_DECIMAL_RECEIPT_HEX),
        ("9" * 65, IdConversion.PADDED),
        ("", IdConversion.RESPONSE_HEX_RECEIPT_DECIMAL),
    ],
)
def test_what_a_conversion_cannot_apply_to(raw: str, conversion: IdConversion) -> None:
    """Letters are no decimal digits; a number without end is none."""
    assert response_key(raw, conversion) is None


def test_short_ids_are_not_guessed_at() -> None:
    """10 in hexadecimal is 16 in decimal: below six characters only padding is proposed."""
    assert [conversion for conversion, _ in proposals("12345")] == [IdConversion.PADDED]
    assert len(proposals("123456")) == 3


@given(st.text(max_size=100))
def test_any_text_is_an_id(raw: str) -> None:
    """Nothing fails, and every proposal is the key of its conversion."""
    canonical(raw)
    assert all(response_key(raw, conversion) == key for conversion, key in proposals(raw))

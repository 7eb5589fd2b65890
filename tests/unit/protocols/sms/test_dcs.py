"""Data coding: what a text needs, and what a peer's octets mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.sms import DataCoding, Encoding, choose, data_coding, decode, encoding_of


@pytest.mark.parametrize("text", ["", "hello", "@£$_€{}", "ΔΦΓ", "line1\r\nline2"])
def test_gsm_text_needs_no_reason(text: str) -> None:
    """A text inside the alphabet is GSM-7."""
    choice = choose(text)
    assert (choice.encoding, choice.reason) == (Encoding.GSM7, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Hello there 😀", "UCS-2 because of '😀' at 12"),
        ("It’s `", "UCS-2 because of '’' at 2"),
        ("a\tb", "UCS-2 because of '\\t' at 1"),
        ("😀я", "UCS-2 because of '😀' at 0"),
        ("a\ud83d", "UCS-2 because of '\\ud83d' at 1"),
    ],
)
def test_ucs2_names_the_first_foreign_character(text: str, reason: str) -> None:
    """The reason names the character and its place in code points, in printable form."""
    choice = choose(text)
    assert choice.encoding is Encoding.UCS2
    assert str(choice.reason) == reason


@pytest.mark.parametrize(
    ("encoding", "flash", "coding"),
    [
        (Encoding.GSM7, False, 0x00),
        (Encoding.ASCII, False, 0x01),
        (Encoding.LATIN1, False, 0x03),
        (Encoding.OCTETS, False, 0x04),
        (Encoding.UCS2, False, 0x08),
        (Encoding.GSM7, True, 0xF0),
        (Encoding.UCS2, True, 0x18),
    ],
)
def test_data_coding_of_an_encoding(encoding: Encoding, flash: bool, coding: int) -> None:
    """Each encoding that we write has one data_coding, and it reads back as that encoding."""
    assert data_coding(encoding, flash=flash) == coding
    assert encoding_of(coding) is encoding


@pytest.mark.parametrize(
    ("encoding", "flash"), [(Encoding.HEBREW, False), (Encoding.LATIN1, True), (Encoding.OCTETS, True)]
)
def test_no_data_coding(encoding: Encoding, flash: bool) -> None:
    """An encoding that we only read, and a flash message of another alphabet, cannot be written."""
    with pytest.raises(ValueError, match=r"no (flash )?data coding"):
        data_coding(encoding, flash=flash)


def test_every_named_data_coding_is_written() -> None:
    """No DataCoding is named in vain."""
    written = (Encoding.GSM7, Encoding.UCS2, Encoding.ASCII, Encoding.LATIN1, Encoding.OCTETS)
    flash = (Encoding.GSM7, Encoding.UCS2)
    codings = {data_coding(each) for each in written} | {data_coding(each, flash=True) for each in flash}
    assert codings == set(DataCoding)


@pytest.mark.parametrize(
    ("codings", "encoding"),
    [
        ([0x00], Encoding.GSM7),
        ([0x01], Encoding.ASCII),
        ([0x02, 0x04], Encoding.OCTETS),
        ([0x03], Encoding.LATIN1),
        ([0x05, 0x09, 0x0B, 0x0C, 0x0D, 0x0F], Encoding.OCTETS),
        ([0x06], Encoding.CYRILLIC),
        ([0x07], Encoding.HEBREW),
        ([0x08], Encoding.UCS2),
        ([0x0A], Encoding.JAPANESE),
        ([0x0E], Encoding.KOREAN),
        (range(0x10, 0x14), Encoding.GSM7),
        (range(0x14, 0x18), Encoding.OCTETS),
        (range(0x18, 0x1C), Encoding.UCS2),
        (range(0x1C, 0xC0), Encoding.OCTETS),
        (range(0xC0, 0xE0), Encoding.GSM7),
        (range(0xE0, 0xF0), Encoding.UCS2),
        ([*range(0xF0, 0xF4), *range(0xF8, 0xFC)], Encoding.GSM7),
        ([*range(0xF4, 0xF8), *range(0xFC, 0x100)], Encoding.OCTETS),
    ],
)
def test_meaning_of_data_coding(codings: list[int] | range, encoding: Encoding) -> None:
    """Every octet that a peer may write has one meaning."""
    assert {encoding_of(coding) for coding in codings} == {encoding}


def test_links_may_differ() -> None:
    """A link decides what the default alphabet is, and whether 0x01 is really ASCII; nothing else changes."""
    assert encoding_of(0x00, default=Encoding.LATIN1) is Encoding.LATIN1
    assert encoding_of(0x01, ia5=Encoding.GSM7) is Encoding.GSM7
    assert encoding_of(0xF0, Encoding.LATIN1, Encoding.LATIN1) is Encoding.GSM7


@pytest.mark.parametrize(
    ("octets", "coding", "text"),
    [
        ("00010211 1b65", 0x00, "@£$_€"),
        ("40245f", 0x01, "@$_"),
        ("80", 0x01, "\ufffd"),
        ("e9a3", 0x03, "é£"),
        ("01ff", 0x04, None),
        ("b6", 0x06, "Ж"),
        ("e0", 0x07, "א"),
        ("0436 d83dde00", 0x08, "ж😀"),
        ("feff0061", 0x08, "a"),
        ("fffe6100", 0x08, "a"),
        ("006100", 0x08, "a\ufffd"),
        ("0061d83d", 0x08, "a\ufffd"),
        ("1b2442 2422 1b2842", 0x0A, "あ"),
        ("b0a1", 0x0E, "가"),
        ("0061", 0x18, "a"),
        ("1b28", 0xF0, "{"),
        ("61", 0xF5, None),
        ("61", 0x7F, None),
        ("", 0x08, ""),
    ],
)
def test_decoding(octets: str, coding: int, text: str | None) -> None:
    """Octets become text by their data coding; binary ones are no text; what is broken shows as U+FFFD."""
    assert decode(bytes.fromhex(octets), coding) == text


def test_decoding_by_link() -> None:
    """Default alphabet, the meaning of 0x01 and a national shift table reach the decoder."""
    assert decode(b"@", 0x00, default=Encoding.LATIN1) == "@"
    assert decode(b"\0", 0x01, ia5=Encoding.GSM7) == "@"
    assert decode(b"\x1ba", 0x00, single_shift=2) == "á"


@given(st.binary(), st.integers(0, 255))
def test_decoding_never_fails(octets: bytes, coding: int) -> None:
    """Whatever a peer claims of whatever octets, there is a text or none, but no error."""
    text = decode(octets, coding)
    assert (text is None) == (encoding_of(coding) is Encoding.OCTETS)


@given(st.text())
def test_ucs2_text_survives(text: str) -> None:
    """Any text as big-endian UTF-16 reads back, unless it starts with a byte order mark."""
    assert decode(b"\0-" + text.encode("utf_16_be"), DataCoding.UCS2) == "-" + text

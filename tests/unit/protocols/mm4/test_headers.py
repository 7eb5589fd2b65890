"""Header blocks as mail programs write them, and as we do."""

import pytest

from trebuchet.protocols.mm4 import EncodeError, Limits, Mm4Error
from trebuchet.protocols.mm4.charsets import decoded, on_one_line
from trebuchet.protocols.mm4.headers import (
    parameter,
    parameters,
    parse_block,
    structured,
    unstructured,
    verbatim,
    words,
)


@pytest.mark.parametrize(
    ("octets", "fields", "body"),
    [
        (b"A: b\r\nC: d\r\n\r\nbody", (("A", "b"), ("C", "d")), b"body"),
        (b"A: b\nC:d\n\nbody", (("A", "b"), ("C", "d")), b"body"),
        (b"A: b\r\n c\r\n\td\r\n\r\n", (("A", "b c d"),), b""),
        (b"A : b\r\n\r\n", (("A", "b"),), b""),
        (b"A: b\r\nA: c\r\n\r\n", (("A", "b"), ("A", "c")), b""),
        (b"no header\r\nA: b\r\n\r\n", (("A", "b"),), b""),
        (b" folded at once\r\nA: b\r\n\r\n", (("A", "b"),), b""),
        (b"A: b", (("A", "b"),), b""),
        (b"A: gr\xc3\xbc\xdf\r\n\r\n", (("A", "grÃ¼ß"),), b""),
        (b"A: gr\xc3\xbc\xc3\x9fe\r\n\r\n", (("A", "grüße"),), b""),
        (b"A: b\0c\r\n\r\n", (("A", "b c"),), b""),
        (b"\r\nbody", (), b"body"),
        (b"\nbody", (), b"body"),
        (b"", (), b""),
    ],
)
def test_a_block_is_cut_into_fields(octets: bytes, fields: tuple[tuple[str, str], ...], body: bytes) -> None:
    """Whatever the line ends, the folding, the blanks; lines that are no header are passed over."""
    headers, start = parse_block(octets)
    assert headers.fields == fields
    assert octets[start:] == body


def test_fields_are_found_by_any_spelling_of_their_name() -> None:
    """All of a name, or its first."""
    headers, _ = parse_block(b"To: a\r\nTO: b\r\n\r\n")
    assert headers.all("to") == ["a", "b"]
    assert headers.first("tO") == "a"
    assert headers.first("Cc") == ""


@pytest.mark.parametrize(
    "octets", [b"A: " + b"x" * 30 + b"\r\n\r\n", b"A: b\r\n" * 20, b"A: b\r\nC: d\r\nE: f\r\n\r\n"]
)
def test_blocks_are_bounded(octets: bytes) -> None:
    """In octets of a header and of all, and in their number."""
    with pytest.raises(Mm4Error):
        parse_block(octets, limits=Limits(block=100, header=20, headers=2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?b?4oKs?=", "€"),
        ("=?iso-8859-1?Q?Gr=FC=DFe_all?=", "Grüße all"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€"),
        ("=?utf-8?q?a?= b =?koi8-r?q?=C1?=", "a b а"),
        ("=?utf-8*en?q?a?=", "a"),
        ("=?x-unknown?q?=C3=A4?=", "ä"),
        ("=?utf-8?b?4oKs", "=?utf-8?b?4oKs"),
        ("=?utf-8?b?A?=", ""),
        ("=?utf-8?q?a=0D=0ABcc:_b?=", "a Bcc: b"),
    ],
)
def test_encoded_words_are_decoded(value: str, text: str) -> None:
    """One character may be in two words, blanks between words vanish, and no line end comes out."""
    assert words(value) == text


@pytest.mark.parametrize(
    ("value", "main", "given"),
    [
        ("text/plain; charset=utf-8", "text/plain", {"charset": "utf-8"}),
        ('image/jpeg; NAME="a;b \\"c\\".jpg"; x=y', "image/jpeg", {"name": 'a;b "c".jpg', "x": "y"}),
        ("image/jpeg; name=my picture.jpg", "image/jpeg", {"name": "my picture.jpg"}),
        ("a/b; name*=utf-8'de'gr%C3%BC%C3%9Fe", "a/b", {"name": "grüße"}),
        ("a/b; name*=iso-8859-1''%FC", "a/b", {"name": "ü"}),
        ("a/b; name*1=b; name*0*=utf-8''%41", "a/b", {"name": "Ab"}),
        ("a/b; name=plain; name*=utf-8''better", "a/b", {"name": "plain"}),
        ('a/b; name="=?utf-8?b?4oKs?="', "a/b", {"name": "€"}),
        ('a/b; name="open', "a/b", {"name": "open"}),
        ("a/b; name*99999999999999=x", "a/b", {"name*99999999999999": "x"}),
        ("a/b; ; =x; name=", "a/b", {"name": ""}),
        ("", "", {}),
    ],
)
def test_parameters_are_read(value: str, main: str, given: dict[str, str]) -> None:
    """Quoted, unquoted, in pieces, in other charsets; of two of a name the first."""
    assert parameters(value) == (main, given)


def test_long_values_are_folded_at_blanks() -> None:
    """Lines have up to 78 characters where they can."""
    written = structured("Name", " ".join(["x" * 30] * 4))
    assert (
        written
        == b"Name: " + b"x" * 30 + b" " + b"x" * 30 + b"\r\n " + b"x" * 30 + b" " + b"x" * 30 + b"\r\n"
    )


@pytest.mark.parametrize("value", ["a\r\nBcc: b", "a\nb", "ä", "a\0", " a", "a  b", "x" * 1000])
def test_structured_headers_hold_one_line(value: str) -> None:
    """Nothing that could end a header is written into one."""
    with pytest.raises(EncodeError):
        structured("Name", value)


@pytest.mark.parametrize("value", ["a\r\nBcc: b", "ä", "a\t", " a", "x" * 1000])
def test_ids_hold_one_line(value: str) -> None:
    """Nor into an id, which is not folded."""
    with pytest.raises(EncodeError):
        verbatim("Name", value)


@pytest.mark.parametrize(
    "text", ["plain words", "two  blanks", "Grüße 😀" * 30, "=?utf-8?q?literal?=", "x" * 5000, "", "ж" * 500]
)
def test_any_text_is_written_and_read(text: str) -> None:
    """In encoded words where mail would change it, each line within 78 characters then."""
    octets = unstructured("X-Mms-Reply-Applic-ID", text)
    assert octets.isascii()
    assert words(parse_block(octets)[0].first("x-mms-reply-applic-id")) == text
    assert max(map(len, octets.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("text", ["a\r\nBcc: b", "a\x85b", "a\u2028b", " a", "\ud800"])
def test_a_text_with_controls_is_not_written(text: str) -> None:
    """They are the caller's to take away; `on_one_line` does."""
    with pytest.raises(EncodeError):
        unstructured("Subject", text)
    assert unstructured("Subject", on_one_line(text))


@pytest.mark.parametrize(
    "value", ["a.jpg", 'a "b".jpg', "crème.png", "x" * 200, "ж" * 150, "a  b", "=?x?q?y?="]
)
def test_any_parameter_is_written_and_read(value: str) -> None:
    """In pieces if it is long."""
    assert parameters("a/b" + parameter("name", value)) == ("a/b", {"name": value})


def test_a_parameter_with_controls_is_not_written() -> None:
    """A file name ends no header."""
    with pytest.raises(EncodeError):
        parameter("name", "a\r\nb")


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        (b"\xe2\x82\xac", "utf-8", "€"),
        (b"\xe2\x82\xac", "", "€"),
        (b"\xe2\x82\xac", "us-ascii", "€"),
        (b"\x80", "utf-8", "€"),
        (b"\xa4", "ISO-8859-15", "€"),
        (b"\xff\xfe\xac\x20", "utf-16", "€"),
        (b"\x20\xac", "UTF-16", "€"),
        (b"\x20\xac", "iso-10646-ucs-2", "€"),
        (b"\xef\xbb\xbfa", "utf-8", "a"),
        (b"\x82\xa0", "Shift_JIS", "あ"),
        (b"\xc4\xe3", "gb2312", "你"),
        (b"6162", "hex", "6162"),
        (b"x-", "punycode", "x-"),
        (b"\\x41", "unicode_escape", "\\x41"),
        (b"a", "x" * 10_000, "a"),
    ],
)
def test_text_is_decoded_in_any_charset(octets: bytes, charset: str, text: str) -> None:
    """Wrong and unknown charsets fall back to UTF-8, then to Windows-1252; Python's other codecs are none."""
    assert decoded(octets, charset) == text

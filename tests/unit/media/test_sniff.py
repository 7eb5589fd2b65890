"""Content types from octets, as tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.media.sniff import ALLOWED, UNKNOWN, extension_for, sniff


def box(kind: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def base_media(brand: bytes, *further: bytes, tracks: tuple[bytes, ...] = ()) -> bytes:
    """An ISO base media file of a brand, with a handler box for each track."""
    handlers = b"".join(box(b"hdlr", bytes(8) + track + bytes(13)) for track in tracks)
    return box(b"ftyp", brand + bytes(4) + b"".join(further)) + box(b"moov", handlers) + bytes(range(256))


NOISE = bytes(range(256))

BINARY = [
    (b"\xff\xd8\xff\xe0" + NOISE, "image/jpeg"),
    (b"\xff\xd8\xff\xe1" + NOISE, "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n" + NOISE, "image/png"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + bytes(17) + b"\0\0\0\x08acTL" + NOISE, "image/png"),
    (b"GIF87a" + NOISE, "image/gif"),
    (b"GIF89a" + NOISE, "image/gif"),
    (b"RIFF\x24\0\0\0WEBPVP8 " + NOISE, "image/webp"),
    (b"BM" + NOISE, "image/bmp"),
    (b"II*\0" + NOISE, "image/tiff"),
    (b"MM\0*" + NOISE, "image/tiff"),
    (base_media(b"heic", b"mif1"), "image/heic"),
    (base_media(b"heix"), "image/heic"),
    (base_media(b"mif1", b"heic"), "image/heic"),
    (base_media(b"mif1", b"miaf"), "image/heif"),
    (base_media(b"mif1", b"miaf", b"avif"), "image/avif"),
    (base_media(b"avif"), "image/avif"),
    (b"#!AMR\n" + NOISE, "audio/amr"),
    (b"#!AMR\nabc", "audio/amr"),
    (b"#!AMR-WB\n" + NOISE, "audio/amr-wb"),
    (b"ID3\3\0" + NOISE, "audio/mpeg"),
    (b"\xff\xfb\x90\x44" + NOISE, "audio/mpeg"),
    (b"RIFF\x24\0\0\0WAVEfmt " + NOISE, "audio/wav"),
    (b"OggS" + NOISE, "audio/ogg"),
    (base_media(b"M4A "), "audio/mp4"),
    (base_media(b"mp42", b"isom", tracks=(b"soun",)), "audio/mp4"),
    (base_media(b"3gp4", tracks=(b"soun",)), "audio/3gpp"),
    (base_media(b"3gp4", tracks=(b"soun", b"vide")), "video/3gpp"),
    (base_media(b"3gp5"), "video/3gpp"),
    (base_media(b"3g2a", tracks=(b"vide",)), "video/3gpp2"),
    (base_media(b"isom", tracks=(b"vide", b"soun")), "video/mp4"),
    (base_media(b"mp41"), "video/mp4"),
    (base_media(b"M4V "), "video/mp4"),
    (base_media(b"XXXX", b"mp42"), "video/mp4"),
    (base_media(b"qt  "), "video/quicktime"),
    (base_media(b"XXXX"), UNKNOWN),
    (b"\0\0\1\xba" + NOISE, "video/mpeg"),
    (b"\0\0\0\1\x67\x42" + NOISE, "video/h264"),
    (b"\0\0\x80\x02\x08" + NOISE, "video/h263"),
    (b"%PDF-1.7\nabc", "application/pdf"),
    (b"%PDF-1.7\n" + NOISE, "application/pdf"),
    (b"{\\rtf1 abc}", "application/rtf"),
    (b"PK\3\4" + NOISE, "application/zip"),
    (b"\x7fELF" + NOISE, "application/x-executable"),
    (b"MZ" + NOISE, "application/x-msdownload"),
    (b"", UNKNOWN),
    (NOISE, UNKNOWN),
    (b"\0", UNKNOWN),
]


@pytest.mark.parametrize(("octets", "content_type"), BINARY)
@pytest.mark.parametrize("claimed", ["", "image/jpeg", "text/plain", "application/smil", "nonsense"])
def test_octets_say_what_they_are(octets: bytes, content_type: str, claimed: str) -> None:
    """Whatever the header claimed."""
    assert sniff(octets, claimed) == content_type


TEXTS = [
    (b"hello", "", "text/plain"),
    (b"hello", "application/octet-stream", "text/plain"),
    (b"hello", "image/jpeg", "text/plain"),
    (b"hello", "TEXT/Plain; charset=utf-8", "text/plain"),
    ("Grüße 😀\r\n\t\x1b[1m".encode(), "text/plain", "text/plain"),
    (b"BMW and MZ and ID3 are words", "", "text/plain"),
    (b"a,b", "text/csv; header=present", "text/csv"),
    (b"{}", "application/json", "application/json"),
    (b"<a/>", "application/xml", "application/xml"),
    (b"hello", "text/<script>", "text/plain"),
    (b"hello", "text/" + "a" * 100, "text/plain"),
    (b"hello", "text/vcard", "text/plain"),
    (b"hello", "text/calendar", "text/plain"),
    (b"hello", "text/html", "text/plain"),
    (b"hello", "application/smil", "text/plain"),
    (b"BEGIN:VCARD\r\nVERSION:2.1\r\n", "text/plain", "text/vcard"),
    (b"\xef\xbb\xbfbegin:vcard\nVERSION:3.0\n", "", "text/vcard"),
    ("BEGIN:VCARD\nN:Müller\n".encode("latin-1"), "text/x-vcard", "text/vcard"),
    (b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", "application/octet-stream", "text/calendar"),
    (b"BEGIN:VCARDIGAN", "", "text/plain"),
    (b"<smil><head/></smil>", "text/plain", "application/smil"),
    (b'<?xml version="1.0"?>\n<!DOCTYPE smil PUBLIC "x" "y">\n<smil >', "text/xml", "application/smil"),
    (b"<!-- a --> <!-- b -->\n<SMIL>", "", "application/smil"),
    (b"<!DOCTYPE html><html>", "", "text/html"),
    (b"<html>", "image/png", "text/html"),
    (b"<html> is how it begins", "text/plain", "text/plain"),
    (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/png", "image/svg+xml"),
    (b"<!-- -->" * 400 + b"<html>", "", "text/plain"),
    ("Grüße".encode("latin-1"), "text/plain", UNKNOWN),
    ("hello".encode("utf-16"), "text/plain", UNKNOWN),
    (b"a\0b", "text/plain", UNKNOWN),
    (b"a\x07b", "text/plain", UNKNOWN),
]


@pytest.mark.parametrize(("octets", "claimed", "content_type"), TEXTS)
def test_a_claim_tells_texts_apart_and_nothing_else(octets: bytes, claimed: str, content_type: str) -> None:
    """Text is UTF-8 without control characters; a kind that has a beginning of its own is told by that."""
    assert sniff(octets, claimed) == content_type


def test_comments_without_end_take_no_time() -> None:
    """A pattern that tried every way to read them would not come back."""
    assert sniff(b"<!--" * 100_000) == "text/plain"
    assert sniff(b"<!---->" * 100_000 + b"<") == "text/plain"


def test_boxes_without_end_take_no_time() -> None:
    """Of handlers so many are read, of brands those of the first box."""
    octets = box(b"ftyp", b"mp42" + bytes(4) + b"XXXX" * 250_000) + b"hdlr" * 250_000
    assert sniff(octets) == "video/mp4"


@given(st.binary(max_size=300), st.text(max_size=40))
def test_any_octets_have_a_content_type(octets: bytes, claimed: str) -> None:
    """One word, a slash, one word; text only where the octets are text."""
    content_type = sniff(octets, claimed)
    kind, _, name = content_type.partition("/")
    assert kind in {"image", "audio", "video", "text", "application"}
    assert name
    assert content_type == content_type.lower().strip()
    if content_type == "text/plain":
        octets.decode("utf-8")


@given(st.sampled_from([octets for octets, _ in BINARY]), st.data())
def test_a_file_that_is_cut_anywhere_has_a_content_type(octets: bytes, data: st.DataObject) -> None:
    """Headers that end early break nothing."""
    assert "/" in sniff(octets[: data.draw(st.integers(0, len(octets)))])


@pytest.mark.parametrize("content_type", sorted(ALLOWED))
def test_an_allowed_type_has_an_extension(content_type: str) -> None:
    """Handsets go by the extension, so what is delivered has one."""
    assert extension_for(content_type) != "bin"


@pytest.mark.parametrize(
    ("content_type", "extension"),
    [
        ("image/jpeg", "jpg"),
        ("text/plain", "txt"),
        ("video/quicktime", "mov"),
        (UNKNOWN, "bin"),
        ("", "bin"),
    ],
)
def test_a_content_type_has_its_usual_extension(content_type: str, extension: str) -> None:
    """And `bin` when it is not known."""
    assert extension_for(content_type) == extension


def test_what_a_browser_runs_is_not_delivered() -> None:
    """A login page that was served instead of the picture is not one."""
    assert not {"text/html", "image/svg+xml", "application/javascript", "application/zip", UNKNOWN} & ALLOWED

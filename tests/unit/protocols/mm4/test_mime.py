"""The content of mails: a corpus of what relays and handsets write, and parts as we write them."""

import base64
import email

import pytest

from trebuchet.protocols.mm4 import Content, EncodeError, Limits, MimePart, Mm4Error, content_of, encode_part
from trebuchet.protocols.mm4.headers import parse_block
from trebuchet.protocols.mm4.mime import leaves, multipart

MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
JPEG = b"\xff\xd8\xff\xe0picture"
JPEG_64 = base64.b64encode(JPEG)


def parts_of(mail: bytes, limits: Limits | None = None) -> tuple[MimePart, ...]:
    limits = limits or Limits()
    headers, start = parse_block(mail, limits=limits)
    return leaves(headers, mail, start, len(mail), limits)


def picture(**fields: str) -> MimePart:
    return MimePart(content_type="image/jpeg", octets=JPEG, **fields)


def text(octets: bytes, charset: str = "") -> MimePart:
    return MimePart(content_type="text/plain", octets=octets, charset=charset)


CORPUS: dict[str, tuple[bytes, tuple[MimePart, ...]]] = {
    "a text alone": (b"Content-Type: text/plain; charset=UTF-8\r\n\r\nhello", (text(b"hello", "utf-8"),)),
    "no headers at all": (b"\r\nhello", (text(b"hello"),)),
    "nothing": (b"", (text(b""),)),
    "a picture alone": (
        b"Content-Type: image/jpeg; name=a.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\n" + JPEG_64,
        (picture(name="a.jpg"),),
    ),
    "nested twice": (
        MIXED
        + b"--b\r\nContent-Type: multipart/related; boundary=b2\r\n\r\n"
        + b"--b2\r\nContent-Type: multipart/alternative; boundary=b23\r\n\r\n"
        + b"--b23\r\n\r\none\r\n--b23--\r\n--b2\r\n\r\ntwo\r\n--b2--\r\n--b\r\n\r\nthree\r\n--b--\r\n",
        (text(b"one"), text(b"two"), text(b"three")),
    ),
    "preamble and epilogue": (
        MIXED
        + b"This is a multipart.\r\n--b\r\n\r\none\r\n--b--\r\nSent by a relay\r\n--b\r\n\r\nno part\r\n",
        (text(b"one"),),
    ),
    "the closing boundary is missing": (
        MIXED + b"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n",
        (text(b"one"), text(b"two\r\n")),
    ),
    "a boundary in quotes, with blanks": (
        b'Content-Type: multipart/mixed; boundary="b c =_?"\r\n\r\n--b c =_?\r\n\r\none\r\n--b c =_?--',
        (text(b"one"),),
    ),
    "blanks after a boundary": (MIXED + b"--b \t\r\n\r\none\r\n--b-- \r\n", (text(b"one"),)),
    "lines that only look like the boundary": (
        MIXED + b"--b\r\n\r\n --b\r\n--bc\r\nx--b\r\n--b--c\r\n--b--",
        (text(b" --b\r\n--bc\r\nx--b\r\n--b--c"),),
    ),
    "line feeds alone": (
        MIXED.replace(b"\r\n", b"\n") + b"--b\nContent-Type: text/plain\n\none\n\n--b--\n",
        (text(b"one\n"),),
    ),
    "an empty part": (
        MIXED + b"--b\r\n\r\n\r\n--b\r\n--b\r\nA: b\r\n--b--\r\n",
        (text(b""), text(b""), text(b"")),
    ),
    "no parts": (MIXED + b"\r\n", ()),
    "closed at once": (MIXED + b"--b--\r\n", ()),
    "quoted-printable": (
        MIXED
        + b"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n"
        + b"gr=FC=DFe =\r\nall=20\r\n--b--",
        (text(b"gr\xfc\xdfe all ", "iso-8859-1"),),
    ),
    "8bit and binary": (
        MIXED
        + b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbcn"
        + b"\r\n--b\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        + JPEG
        + b"\r\n--b--",
        (text(b"gr\xc3\xbcn"), picture()),
    ),
    "base64 without padding, with blanks and odd lines": (
        b"Content-Type: image/jpeg\r\nContent-Transfer-Encoding: BASE64 \r\n\r\n"
        + b"\r\n ".join([JPEG_64[:7], JPEG_64[7:].rstrip(b"=")]),
        (picture(),),
    ),
    "an unknown transfer encoding": (
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n\r\nas it is",
        (text(b"as it is"),),
    ),
    "the same header twice": (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Type: image/jpeg\r\n\r\none",
        (text(b"one", "utf-8"),),
    ),
    "a type that is none": (
        b"Content-Type: jpeg\r\n\r\none",
        (MimePart(content_type="application/octet-stream", octets=b"one"),),
    ),
    "a folded type with a comment of its own": (
        b"Content-Type: image/jpeg;\r\n\tname*0*=utf-8''cr%C3%A8me;\r\n name*1=\" br.jpg\"\r\n\r\n" + JPEG,
        (picture(name="crème br.jpg"),),
    ),
    "a mail within": (
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhello",
        (MimePart(content_type="message/rfc822", octets=b"Subject: inner\r\n\r\nhello"),),
    ),
}


@pytest.mark.parametrize("name", CORPUS)
def test_leaves_of_the_corpus(name: str) -> None:
    """Each mail's leaves, in order, decoded."""
    mail, parts = CORPUS[name]
    assert parts_of(mail) == parts


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (b"Content-Location: a.jpg\r\nContent-Disposition: attachment; filename=b.jpg\r\n", "a.jpg"),
        (b"Content-Disposition: attachment; filename=b.jpg\r\nContent-ID: <d>\r\n", "b.jpg"),
        (b"Content-Disposition: attachment; filename*=utf-8''cr%C3%A8me.jpg\r\n", "crème.jpg"),
        (b"Content-ID: <d>\r\n", "c.jpg"),
        (b"Content-Location: http://host.example/x/a.jpg\r\n", "a.jpg"),
        (b"Content-Location: cid:a.jpg\r\n", "a.jpg"),
        (b"Content-Location: =?utf-8?q?cr=C3=A8me.jpg?=\r\n", "crème.jpg"),
        (b"Content-Location: ../../etc/\r\n", "c.jpg"),
        (b"Content-Location: ..\\..\\a.jpg\r\n", "a.jpg"),
        (b"Content-Location: ..\r\n", "c.jpg"),
        (b"Content-Location: " + b"x" * 300 + b".jpg\r\n", "x" * 196 + ".jpg"),
    ],
)
def test_where_the_name_of_a_part_is_taken_from(headers: bytes, name: str) -> None:
    """Content-Location, disposition, type, Content-ID: the first that names a file, without its path."""
    (part,) = parts_of(headers + b"Content-Type: image/jpeg; name=c.jpg\r\n\r\n")
    assert part.name == name


def test_a_part_without_a_name_may_have_an_id() -> None:
    """It is the last resort; without one the name is empty."""
    assert parts_of(b"Content-Type: image/jpeg\r\nContent-ID: <d@host>\r\n\r\n")[0].name == "d@host"
    assert parts_of(b"Content-Type: image/jpeg\r\n\r\n")[0].name == ""


@pytest.mark.parametrize(
    ("mail", "what"),
    [
        (MIXED + b"something without the boundary", "begins with the boundary"),
        (b"Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n--b--", "without a boundary"),
        (b"Content-Type: multipart/mixed; boundary=" + b"b" * 300 + b"\r\n\r\n", "without a boundary"),
        (b"Content-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJDR", "cut off"),
        (MIXED + b"--b\r\nA: " + b"x" * 70_000 + b"\r\n\r\n--b--", "too long"),
    ],
)
def test_what_cannot_be_read_is_refused(mail: bytes, what: str) -> None:
    """Nothing of it would be what was sent."""
    with pytest.raises(Mm4Error, match=what):
        parts_of(mail)


@pytest.mark.parametrize("limits", [Limits(parts=3), Limits(depth=1)])
def test_the_walk_is_bounded(limits: Limits) -> None:
    """In parts and in depth."""
    mail, _ = CORPUS["nested twice"]
    with pytest.raises(Mm4Error, match="too"):
        parts_of(mail, limits)


SMIL = MimePart(content_type="application/smil", octets=b"<smil/>", charset="utf-8", name="s.smil")
HTML = MimePart(content_type="text/html", octets=b"<p>hello</p>")
CARD = MimePart(content_type="text/x-vcard", octets=b"BEGIN:VCARD", name="a.vcf")


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ((SMIL, picture(), text(b"hello")), Content("hello", (picture(),))),
        ((text(b"one"), picture(), text(b"two\r\nthree")), Content("one\ntwo\nthree", (picture(),))),
        ((text(b""), picture(), text(b"two")), Content("two", (picture(),))),
        ((text(b"\xfc", "latin1"), text(b"\x04\x36", "utf-16be")), Content("ü\nж", ())),
        ((text(b"hello"), HTML, CARD), Content("hello", (CARD,))),
        ((HTML,), Content("", (HTML,))),
        ((SMIL,), Content("", ())),
        ((), Content("", ())),
    ],
)
def test_what_a_message_says(parts: tuple[MimePart, ...], content: Content) -> None:
    """Texts are joined; SMIL is left out, and HTML if there is a text beside it; all else are media in order."""
    assert content_of(parts) == content


def test_smil_can_be_kept() -> None:
    """For applications that want it as a medium."""
    assert content_of((SMIL, picture()), keep_smil=True).media == (SMIL, picture())


def test_an_encoded_part_is_what_a_foreign_parser_reads() -> None:
    """Base64 in lines of 76, and all that the part has in its headers."""
    part = MimePart(
        content_type="text/plain",
        octets=bytes(range(256)),
        charset="utf-8",
        name="crème brûlée.txt",
        content_id="txt1@host",
        content_location="txt1.txt",
    )
    encoded = encode_part(part)
    assert (encoded.content_type, encoded.content_id) == ("text/plain", "txt1@host")
    assert max(map(len, encoded.octets.split(b"\r\n"))) == 76
    message = email.message_from_bytes(encoded.octets)
    assert message.get_payload(decode=True) == part.octets
    assert message.get_content_charset() == "utf-8"
    assert message.get_filename() == "crème brûlée.txt"
    assert (message["Content-ID"], message["Content-Location"]) == ("<txt1@host>", "txt1.txt")


@pytest.mark.parametrize(
    "part",
    [
        MimePart(content_type="multipart/mixed", octets=b""),
        MimePart(content_type="image", octets=b""),
        MimePart(content_type="image/jpeg\r\nBcc: b", octets=b""),
        MimePart(content_type="image/jpeg", octets=b"", charset="a b"),
        MimePart(content_type="image/jpeg", octets=b"", name="a\r\nb"),
        MimePart(content_type="image/jpeg", octets=b"", content_id="a> b"),
        MimePart(content_type="image/jpeg", octets=b"", content_location="a\nb"),
    ],
)
def test_a_part_cannot_break_out_of_its_headers(part: MimePart) -> None:
    """Names come from customers and from URLs."""
    with pytest.raises(EncodeError):
        encode_part(part)


@pytest.mark.parametrize(
    ("parts", "content_type"),
    [
        ((picture(), SMIL), 'multipart/mixed; boundary="b"'),
        ((SMIL, picture()), 'multipart/related; type="application/smil"; boundary="b"'),
        (
            (MimePart(content_type="application/smil", octets=b"", content_id="s"),),
            'multipart/related; type="application/smil"; start="<s>"; boundary="b"',
        ),
    ],
)
def test_smil_at_the_beginning_relates_the_parts(parts: tuple[MimePart, ...], content_type: str) -> None:
    """It is their root then; otherwise they are a mixture."""
    assert multipart([encode_part(part) for part in parts], "b")[0] == content_type


@pytest.mark.parametrize("boundary", ["", "b" * 71, "b\r\n", "b c", 'b"'])
def test_a_boundary_has_its_characters(boundary: str) -> None:
    """Up to 70 of those that RFC 2046 allows; none with blanks."""
    with pytest.raises(EncodeError):
        multipart([encode_part(picture())], boundary)


def test_a_multipart_has_a_part() -> None:
    """RFC 2046 knows none without."""
    with pytest.raises(EncodeError):
        multipart([], "b")

"""The content of a mail: its leaves found and decoded within bounds, and parts written so that they can be reused.

Multiparts may lie in each other; only their leaves are kept. The walk copies nothing but the leaves, and stops at
the limits before it has made anything. Sources: RFC 2045, RFC 2046, RFC 2557.
"""

import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from trebuchet.protocols.mm4.charsets import decoded, on_one_line
from trebuchet.protocols.mm4.errors import EncodeError, Mm4Error
from trebuchet.protocols.mm4.headers import (
    LIMITS,
    Headers,
    Limits,
    parameter,
    parameters,
    parse_block,
    structured,
    unstructured,
    words,
)
from trebuchet.protocols.mm4.pdu import MimePart

SMIL: Final = "application/smil"
_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+\-]{1,127}/[A-Za-z0-9!#$&^_.+\-]{1,127}", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$&^_.+:\-]{1,60}", re.ASCII)
_BOUNDARY: Final = re.compile(r"[A-Za-z0-9'()+_,./:=?\-]{1,70}", re.ASCII)
_ID: Final = re.compile(r"[!-;=?-~]{1,255}", re.ASCII)
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")
_BOUNDARY_MAX: Final = 200  # the book says 70
_NAME_MAX: Final = 200  # characters
_BASE64_LINE: Final = 76


class Content(msgspec.Struct, frozen=True):
    """What a message says: its text, and the rest in order."""

    text: str
    media: tuple[MimePart, ...]


class EncodedPart(msgspec.Struct, frozen=True):
    """A part as it stands in a mail, headers and base64: made once, spliced into any number of messages."""

    content_type: str
    content_id: str
    octets: bytes


def leaves(
    headers: Headers, octets: bytes, start: int, end: int, limits: Limits = LIMITS
) -> tuple[MimePart, ...]:
    """All leaves of the content in octets[start:end], to which `headers` belong. Raises Mm4Error."""
    return tuple(_walk(headers, octets, start, end, limits, 0, [0]))


def _walk(
    headers: Headers, octets: bytes, start: int, end: int, limits: Limits, depth: int, count: list[int]
) -> Iterator[MimePart]:
    count[0] += 1
    if count[0] > limits.parts:
        raise Mm4Error("too many parts")
    content_type, given = content_type_of(headers)
    if not content_type.startswith("multipart/"):
        yield _leaf(content_type, given, headers, octets[start:end])
        return
    if depth >= limits.depth:
        raise Mm4Error("parts are nested too deep")
    for inner, body, last in children(headers, octets, start, end, limits):
        yield from _walk(inner, octets, body, last, limits, depth + 1, count)


def children(
    headers: Headers, octets: bytes, start: int, end: int, limits: Limits = LIMITS
) -> Iterator[tuple[Headers, int, int]]:
    """The parts of a multipart to which `headers` belong: their headers, and where their bodies begin and end.

    Raises Mm4Error.
    """
    boundary = content_type_of(headers)[1].get("boundary", "").encode("utf-8", "replace")
    if not boundary or len(boundary) > _BOUNDARY_MAX:
        raise Mm4Error("a multipart without a boundary")
    for first, last in _spans(boundary, octets, start, end, limits):
        inner, body = parse_block(octets, first, last, limits)
        yield inner, body, last


def _spans(boundary: bytes, octets: bytes, start: int, end: int, limits: Limits) -> Iterator[tuple[int, int]]:
    """Where each part begins and ends. The end of the content ends the last part if its delimiter is missing."""
    begun: int | None = None
    for before, after, closing in _delimiters(boundary, octets, start, end, limits):
        if begun is not None:
            yield begun, max(begun, before)
        begun = after
        if closing:
            return
    if begun is None:
        if octets[start:end].strip():
            raise Mm4Error("no part begins with the boundary")
        return
    yield begun, end


def _delimiters(
    boundary: bytes, octets: bytes, start: int, end: int, limits: Limits
) -> Iterator[tuple[int, int, bool]]:
    """Where the line end before each delimiter begins, where its line ends, and whether it is the closing one."""
    dashed = b"--" + boundary
    place = start if octets.startswith(dashed, start, end) else _after_line(octets, dashed, start, end)
    looked_at = 0
    while place >= 0:
        looked_at += 1
        if looked_at > 10 * limits.parts:
            raise Mm4Error("too many lines like the boundary")
        line_end = octets.find(b"\n", place, end)
        after = end if line_end < 0 else line_end + 1
        rest = octets[place + len(dashed) : min(after, place + len(dashed) + 80)]
        if rest.removeprefix(b"--").strip() == b"":
            before = max(place - 1, start)
            if octets[before - 1 : before] == b"\r" and before > start:
                before -= 1
            yield before, after, rest.startswith(b"--")
        place = _after_line(octets, dashed, max(after - 1, start), end)


def _after_line(octets: bytes, dashed: bytes, start: int, end: int) -> int:
    """Where `dashed` next begins a line; -1 if nowhere."""
    found = octets.find(b"\n" + dashed, start, end)
    return found + 1 if found >= 0 else -1


def content_type_of(headers: Headers) -> tuple[str, dict[str, str]]:
    """In lower case, and its parameters; what it is if nothing is said."""
    value = headers.first("Content-Type")
    if not value:
        return "text/plain", {}
    content_type, given = parameters(value)
    return (content_type.lower() if _TYPE.fullmatch(content_type) else "application/octet-stream"), given


def _leaf(content_type: str, given: dict[str, str], headers: Headers, raw: bytes) -> MimePart:
    location = words(headers.first("Content-Location"))
    content_id = on_one_line(headers.first("Content-ID").strip('<> \t"'))
    disposition = parameters(headers.first("Content-Disposition"))[1].get("filename", "")
    candidates = (location, disposition, given.get("name", ""), content_id)
    charset = given.get("charset", "").lower()
    return MimePart(
        content_type=content_type,
        octets=_transfer_decoded(headers.first("Content-Transfer-Encoding"), raw),
        charset=charset if _TOKEN.fullmatch(charset) else "",
        name=next(filter(None, map(_file_name, candidates)), ""),
        content_id=content_id,
        content_location=location,
    )


def _file_name(written: str) -> str:
    """The last step of a path or URL; empty if it names nothing."""
    name = re.split(r"[/\\]", written.removeprefix("cid:"))[-1].strip()
    return "" if name in {"", ".", ".."} else name[-_NAME_MAX:].strip()


def _transfer_decoded(encoding: str, raw: bytes) -> bytes:
    word = encoding.partition(";")[0].strip().lower()
    if word == "quoted-printable":
        return binascii.a2b_qp(raw)
    if word == "base64":
        return _base64(raw)
    return raw


def _base64(raw: bytes) -> bytes:
    """Line ends and foreign characters do not count (RFC 2045 section 6.8), and padding may be missing."""
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        pass
    letters = _NOT_BASE64.sub(b"", raw)
    if len(letters) % 4 == 1:
        raise Mm4Error("base64 that is cut off")
    return binascii.a2b_base64(letters + b"==")


def content_of(parts: Iterable[MimePart], *, keep_smil: bool = False) -> Content:
    """Text and media of a message. The text of several parts is joined by line feeds.

    SMIL says only how a message is shown. HTML is what carriers add beside the text; without any text it is a medium.
    """
    kept = [part for part in parts if keep_smil or part.content_type != SMIL]
    texts = [_text(part) for part in kept if part.content_type == "text/plain"]
    text = "\n".join(filter(None, texts))
    ignored = {"text/plain", "text/html"} if text else {"text/plain"}
    return Content(text, tuple(part for part in kept if part.content_type not in ignored))


def _text(part: MimePart) -> str:
    return decoded(part.octets, part.charset).replace("\r\n", "\n").replace("\0", "")


# ---- writing ----


def encode_part(part: MimePart) -> EncodedPart:
    """The part in base64, with its headers. Raises EncodeError."""
    if not _TYPE.fullmatch(part.content_type) or part.content_type.lower().startswith("multipart/"):
        raise EncodeError("Content-Type", "not the type of a leaf")
    if part.charset and not _TOKEN.fullmatch(part.charset):
        raise EncodeError("charset", "not a charset's name")
    if part.content_id and not _ID.fullmatch(part.content_id):
        raise EncodeError("Content-ID", "not printable ASCII without blanks")
    content_type = part.content_type
    if part.charset:
        content_type += parameter("charset", part.charset)
    if part.name:
        content_type += parameter("name", part.name)
    head = structured("Content-Type", content_type) + b"Content-Transfer-Encoding: base64\r\n"
    if part.content_id:
        head += structured("Content-ID", f"<{part.content_id}>")
    if part.content_location:
        head += unstructured("Content-Location", part.content_location)  # RFC 2557 section 4.4
    letters = binascii.b2a_base64(part.octets, newline=False)
    lines = [letters[start : start + _BASE64_LINE] for start in range(0, len(letters), _BASE64_LINE)]
    return EncodedPart(part.content_type, part.content_id, head + b"\r\n" + b"\r\n".join(lines))


def multipart(parts: Sequence[EncodedPart], boundary: str) -> tuple[str, list[bytes]]:
    """The Content-Type of all parts together, and the body in pieces. Raises EncodeError.

    If the first part is SMIL, it is the root of a multipart/related; else the parts are a multipart/mixed. No
    boundary can occur in an encoded part, since none of its lines begins with two hyphens.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise EncodeError("boundary", "not 1 to 70 of its characters")
    if not parts:
        raise EncodeError("parts", "a multipart has at least one")
    content_type = "multipart/mixed"
    if parts[0].content_type == SMIL:
        content_type = f'multipart/related; type="{SMIL}"'
        if parts[0].content_id:
            content_type += parameter("start", f"<{parts[0].content_id}>")
    delimiter = f"--{boundary}\r\n".encode("ascii")
    pieces = []
    for part in parts:
        pieces += [delimiter, part.octets, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return f'{content_type}; boundary="{boundary}"', pieces

"""Header blocks: cut into fields, unfolded, their encoded words and parameters read; and written.

Reading takes what mail programs really write: bare line feeds, octets above 127, blanks before a colon. It is bounded
by `Limits` and never fails for another reason. Sources: RFC 5322 section 2.2, RFC 2047, RFC 2231.
"""

import binascii
import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

import msgspec

from trebuchet.protocols.mm4.charsets import decoded, on_one_line
from trebuchet.protocols.mm4.errors import EncodeError, Mm4Error

LINE_MAX: Final = 998  # octets without the line end: RFC 5322 section 2.1.1
_FOLD: Final = 78
_NAME: Final = re.compile(r"[!-9;-~]+", re.ASCII)
_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_WORD: Final = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?\s]*)\?=")
_PLAIN: Final = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)
_PARAMETER: Final = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^;]*)', re.DOTALL)
_CONTINUED: Final = re.compile(r"(.+?)\*([0-9]{1,3})")
_PIECE: Final = 40  # characters of a long parameter in one of its pieces
_WORD_OCTETS: Final = 30  # of text in an encoded word: with the longest header name it stays within a line


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one mail may have; more is refused. Octets unless said otherwise."""

    block: int = 65_536  # all headers of a mail or a part
    header: int = 16_384
    headers: int = 500  # how many in a block
    parts: int = 100  # leaves and multiparts together
    depth: int = 8  # multiparts within multiparts


LIMITS: Final = Limits()


class Headers(msgspec.Struct, frozen=True):
    """Fields in order, name as written and value unfolded, with octets above 127 read as UTF-8 if they are that."""

    fields: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for each, value in self.fields if each.lower() == wanted]

    def first(self, name: str) -> str:
        """Empty if there is none."""
        wanted = name.lower()
        return next((value for each, value in self.fields if each.lower() == wanted), "")


def parse_block(
    octets: bytes, start: int = 0, end: int | None = None, limits: Limits = LIMITS
) -> tuple[Headers, int]:
    """The headers that begin at `start`, and where the body begins. Raises Mm4Error beyond the limits."""
    end = len(octets) if end is None else end
    stop, body = _block_end(octets, start, end, limits)
    fields: list[tuple[str, list[bytes]]] = []
    for line in octets[start:stop].split(b"\n"):
        if line[:1] in {b" ", b"\t"}:
            if fields:
                fields[-1][1].append(line.strip())
            continue
        raw_name, colon, value = line.partition(b":")
        name = raw_name.rstrip().decode("latin-1")
        if colon and _NAME.fullmatch(name):
            fields.append((name, [value.strip()]))
            if len(fields) > limits.headers:
                raise Mm4Error("too many headers")
    found = []
    for name, pieces in fields:
        value = b" ".join(pieces)
        if len(value) > limits.header:
            raise Mm4Error("a header is too long")
        found.append((name, on_one_line(decoded(value))))
    return Headers(tuple(found)), body


def _block_end(octets: bytes, start: int, end: int, limits: Limits) -> tuple[int, int]:
    """Where the block's text ends and where the body begins; a block without an empty line is all headers."""
    if octets.startswith(b"\r\n", start, end):
        return start, start + 2
    if octets.startswith(b"\n", start, end):
        return start, start + 1
    empty = _BLANK_LINE.search(octets, start, min(end, start + limits.block + 4))
    if empty is not None:
        return empty.start(), empty.end()
    if end - start > limits.block:
        raise Mm4Error("the headers are too long")
    return end, end


def words(value: str) -> str:
    """An unstructured header's text: encoded words decoded, on one line. Source: RFC 2047."""
    if "=?" not in value:
        return value
    out: list[str] = []
    pending: tuple[str, bytes] | None = None  # one character's octets may be in two words
    last = 0
    for match in _WORD.finditer(value):
        between = value[last : match.start()]
        charset = match[1].partition("*")[0].lower()
        octets = _word_octets(match[2], match[3])
        last = match.end()
        if pending is not None and not between.strip():
            if pending[0] == charset:
                pending = (charset, pending[1] + octets)
                continue
            between = ""
        if pending is not None:
            out.append(decoded(pending[1], pending[0]))
        out.append(between)
        pending = (charset, octets)
    if pending is not None:
        out.append(decoded(pending[1], pending[0]))
    return on_one_line("".join(out) + value[last:])


def _word_octets(encoding: str, text: str) -> bytes:
    if encoding in "qQ":
        return binascii.a2b_qp(text.encode("utf-8", "replace"), header=True)
    try:
        return binascii.a2b_base64(text.encode("utf-8", "replace") + b"==")
    except binascii.Error:
        return b""


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """A header like Content-Type: what is before the first semicolon, and its parameters by their lower-case names.

    Values in the forms of RFC 2231 and, against the book, of RFC 2047 are decoded. The first of a name counts.
    """
    main, semicolon, rest = value.partition(";")
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in _PARAMETER.finditer(semicolon + rest):
        name, written = match[1].lower(), _unquoted(match[2].strip())
        extended = name.endswith("*")
        base = name.rstrip("*")
        continued = _CONTINUED.fullmatch(base)
        if continued:
            pieces.setdefault(continued[1], {}).setdefault(int(continued[2]), (written, extended))
        elif extended:
            pieces.setdefault(base, {}).setdefault(0, (written, True))
        else:
            plain.setdefault(base, words(written))
    return main.strip(), {name: on_one_line(_joined(found)) for name, found in pieces.items()} | plain


def _unquoted(written: str) -> str:
    if not written.startswith('"'):
        return written
    inner = written[1:-1] if len(written) > 1 and written.endswith('"') else written[1:]
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)


def _joined(pieces: dict[int, tuple[str, bool]]) -> str:
    """The value of a parameter in pieces: `charset'language'` is at the beginning of the first."""
    charset = "utf-8"
    octets = b""
    for number in sorted(pieces):
        text, extended = pieces[number]
        if extended and number == min(pieces) and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        octets += unquote_to_bytes(text) if extended else text.encode("utf-8", "replace")
    return decoded(octets, charset)


# ---- writing ----


def structured(name: str, value: str) -> bytes:
    """A header of printable ASCII, folded at its blanks. Raises EncodeError."""
    if value and not _PLAIN.fullmatch(value):
        raise EncodeError(name, "not printable ASCII with single blanks")
    lines = [f"{name}:"]
    for piece in value.split(" "):
        if len(lines[-1]) + 1 + len(piece) > _FOLD and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += f" {piece}"
    if max(map(len, lines)) > LINE_MAX:
        raise EncodeError(name, "longer than a line of mail")
    return "\r\n".join(lines).encode("ascii") + b"\r\n"


def verbatim(name: str, value: str) -> bytes:
    """A header whose value is never folded: ids. Raises EncodeError if it is not one line of printable ASCII."""
    if not value.isascii() or not value.isprintable() or value != value.strip():
        raise EncodeError(name, "not printable ASCII")
    if len(name) + 2 + len(value) > LINE_MAX:
        raise EncodeError(name, "longer than a line of mail")
    return f"{name}: {value}\r\n".encode("ascii")


def unstructured(name: str, text: str) -> bytes:
    """A header of free text: as it is if mail can carry it so, else in encoded words. Raises EncodeError.

    Control characters and blanks around the text are the caller's to take away.
    """
    if on_one_line(text) != text:
        raise EncodeError(name, "control characters, or blanks around it")
    if not text or (_PLAIN.fullmatch(text) and "=?" not in text and len(max(text.split(" "), key=len)) < 900):
        return structured(name, text)
    chunks = [""]
    for character in text:
        if len((chunks[-1] + character).encode()) > _WORD_OCTETS:
            chunks.append("")
        chunks[-1] += character
    encoded = (binascii.b2a_base64(chunk.encode(), newline=False).decode("ascii") for chunk in chunks)
    return structured(name, " ".join(f"=?utf-8?b?{each}?=" for each in encoded))


def parameter(name: str, value: str) -> str:
    """`; name="value"`, or in the forms of RFC 2231 if the value is not ASCII or is long. Raises EncodeError.

    Control characters and blanks around the value are the caller's to take away.
    """
    if on_one_line(value) != value:
        raise EncodeError(name, "control characters, or blanks around it")
    if value.isascii() and "  " not in value and "=?" not in value and len(value) < _FOLD:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'; {name}="{escaped}"'
    pieces = [quote(value[start : start + _PIECE], safe="") for start in range(0, len(value), _PIECE)]
    if len(pieces) == 1:
        return f"; {name}*=utf-8''{pieces[0]}"
    numbered = [f"; {name}*{number}*={piece}" for number, piece in enumerate(pieces)]
    return numbered[0].replace("=", "=utf-8''", 1) + "".join(numbered[1:])

"""What passes between two mail systems: envelopes, replies, paths, and what DATA does to lines. Pure.

Source: RFC 5321, by section below.
"""

import re
from typing import Final

import msgspec

TERMINATOR: Final = b"\r\n.\r\n"
_REPLY_MAX: Final = 32 * 1024  # octets of one reply with all its lines
_TEXT_MAX: Final = 400  # RFC 5321 section 4.5.3.1.5: a reply line has 512 octets with code and line end

# Section 4.1.2, more liberal: dots anywhere, underscores in domains, a path without brackets or domain.
_LOCAL: Final = r"""(?:[-A-Za-z0-9!#$%&'*+/=?^_`{|}~.]+|"(?:[^"\\\r\n]|\\[ -~])*")"""
_DOMAIN: Final = r"(?:[-A-Za-z0-9._]+|\[[-A-Za-z0-9.:]+\])"
_MAILBOX: Final = rf"{_LOCAL}(?:@{_DOMAIN})?"
_PATH: Final = re.compile(
    rf"\A(?:<(?:@[-A-Za-z0-9._,@\[\]]+:)?(?P<path>{_MAILBOX})?>|(?P<bare>{_MAILBOX}))(?:[ \t]+(?P<rest>.*))?\Z",
    re.DOTALL,
)
_ADDRESS: Final = re.compile(rf"\A{_MAILBOX}\Z")
_CODE: Final = re.compile(rb"\A([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One mail in transit. `octets` are header and body with CRLF line ends, without DATA's extra dots."""

    mail_from: str  # "": the null reverse-path, of bounces
    rcpt_tos: tuple[str, ...]
    octets: bytes
    peer: str = ""  # address that a mail of the listener came from
    user: str = ""  # as whom that peer had authenticated; "": it had not

    def __repr__(self) -> str:
        return f"Envelope({len(self.rcpt_tos)} recipients, {len(self.octets)} octets, peer={self.peer!r})"


class Reply(msgspec.Struct, frozen=True):
    """An answer to a command: 2xx done, 3xx go on, 4xx not now, 5xx never (section 4.2).

    A text of several lines has newlines between them; with an enhanced status (RFC 3463) it begins with that.
    """

    code: int
    text: str

    @property
    def line(self) -> str:
        """As one line to write: printable ASCII, bounded."""
        words = "".join(letter if " " <= letter <= "~" else " " for letter in self.text)
        return f"{self.code} {words[:_TEXT_MAX]}"


def parse_path(text: str) -> tuple[str, str] | None:
    """The address of `<path> parameters`, and the parameters; None if it is no path.

    The null path gives "". A source route is dropped (appendix C). Letters of local parts such as `/`, `=` and `+`
    are ordinary ones.
    """
    match = _PATH.match(text.strip())
    if match is None:
        return None
    return match["path"] or match["bare"] or "", (match["rest"] or "").strip()


def is_address(text: str) -> bool:
    """Whether this may stand between angle brackets."""
    return _ADDRESS.match(text) is not None


def stuffed(octets: bytes) -> bytes:
    """A mail as DATA carries it, without the line of the final dot (section 4.5.2). It ends with CRLF.

    Raises ValueError for a CR or LF that is not part of CRLF: peers differ in what they take for a line's end,
    and so would see another mail than ours (section 2.3.8).
    """
    if not lines_are_whole(octets):
        raise ValueError("a line of the mail does not end with CRLF")
    if b"\r\n." in octets:
        octets = octets.replace(b"\r\n.", b"\r\n..")
    if octets.startswith(b"."):
        octets = b"." + octets
    return octets if not octets or octets.endswith(b"\r\n") else octets + b"\r\n"


def unstuffed(octets: bytes) -> bytes:
    """What DATA carried, without the line of the final dot, as the mail it was (section 4.5.2)."""
    if octets.startswith(b"."):
        octets = octets[1:]
    return octets.replace(b"\r\n.", b"\r\n") if b"\r\n." in octets else octets


def lines_are_whole(octets: bytes) -> bool:
    """Whether each CR and each LF is part of a CRLF."""
    lines = octets.count(b"\r\n")
    return octets.count(b"\n") == lines and octets.count(b"\r") == lines


def take_reply(buffer: bytearray) -> Reply | None:
    """Remove one whole reply from the buffer's beginning; None while it is not whole (section 4.2.1).

    Raises ValueError for what is no reply, and for one without end.
    """
    texts: list[str] = []
    start = 0
    while (end := buffer.find(b"\n", start)) >= 0:
        match = _CODE.match(bytes(buffer[start:end]).rstrip(b"\r"))
        if match is None:
            raise ValueError("not an SMTP reply")
        texts.append((match[3] or b"").decode("ascii", "replace").strip())
        start = end + 1
        if match[2] != b"-":
            del buffer[:start]
            return Reply(int(match[1]), "\n".join(texts))
    if len(buffer) > _REPLY_MAX:
        raise ValueError("an SMTP reply without end")
    return None


def extensions(reply: Reply) -> dict[str, str]:
    """What the answer to EHLO offers: keyword in upper case to its parameters (section 4.1.1.1)."""
    offered: dict[str, str] = {}
    for line in reply.text.split("\n")[1:]:
        # Some servers write AUTH=PLAIN for the mail programs of long ago.
        keyword, _, parameters = line.replace("=", " ", 1).partition(" ")
        offered.setdefault(keyword.upper(), parameters.upper())
    return offered

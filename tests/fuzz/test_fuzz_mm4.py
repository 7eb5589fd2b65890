"""Whatever mail arrives, it is an MM4 message or an Mm4Error, in bounded time; what was written is read again."""

import email
import email.policy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.mm4 import any_message, forward_reqs
from trebuchet.protocols.mm4 import (
    EncodeError,
    ForwardReq,
    Limits,
    Mm4Error,
    Pdu,
    content_of,
    decode,
    dsn,
    encode,
    refusal,
)

EXAMPLES = settings(max_examples=200)
FORWARD = (
    b"X-Mms-Message-Type: MM4_forward.REQ\r\nX-Mms-Transaction-ID: t\r\nX-Mms-Message-ID: m\r\n"
    b"X-Mms-Ack-Request: Yes\r\nFrom: +12025550100/TYPE=PLMN\r\n"
)

# Pieces of which mails are made, and what breaks them.
pieces = st.one_of(
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r\n\r\n",
            b"--b",
            b"--b--",
            b"\r\n--b\r\n",
            b"\r\n--b--\r\n",
            b"Content-Type: multipart/mixed; boundary=b\r\n",
            b'Content-Type: multipart/related; boundary="b"; type="application/smil"\r\n\r\n',
            b"Content-Type: text/plain; charset=utf-16\r\n",
            b"Content-Type: image/jpeg; name*0*=utf-8''%41; name*1=b\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"Content-Transfer-Encoding: quoted-printable\r\n",
            b"Content-Location: =?utf-8?q?a=2Fb?=\r\n",
            b"X-Mms-Message-Type: MM4_delivery_report.REQ\r\n",
            b"X-Mms-MM-Status-Code: Retrieved\r\n",
            b"X-Mms-Expiry: 3600\r\n",
            b"Date: Mon, 23 Nov 2026 04:51:00 -0000\r\n",
            b'To: "a, b" <+12025550123/TYPE=PLMN@x>, (c) 12345/type=plmn\r\n',
            b"Subject: =?iso-8859-1?q?=FC?= =?utf-8?b?4oKs?=\r\n",
            b" folded\r\n",
            b"QUJD",
            b"=C3=\r\n=A9",
        ]
    ),
    st.binary(max_size=12),
)
mails = st.tuples(st.booleans(), st.lists(pieces, max_size=25)).map(
    lambda made: (FORWARD if made[0] else b"") + b"".join(made[1])
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A mail of ours with octets changed, or cut off."""
    octets = bytearray(encode(draw(any_message), "b"))
    for _ in range(draw(st.integers(0, 6))):
        octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
    return bytes(octets[: draw(st.integers(0, len(octets)))])


def read(octets: bytes) -> Pdu | Mm4Error:
    """What decoding gives or raises; another error fails the test."""
    try:
        return decode(octets)
    except Mm4Error as error:
        return error


def check(octets: bytes) -> None:
    """The promise: a message, its content and its answer can be had; or the error, and what it is answered with."""
    dsn.read(octets)
    message = read(octets)
    if isinstance(message, Mm4Error):
        assert message.status
        answer = refusal(message, system="s@b.example", mail_id="1@b.example", date_s=0)
        assert answer is None or decode(encode(answer)) == answer
        return
    if isinstance(message, ForwardReq):
        content_of(message.parts)
    try:
        written = encode(message, "b")
    except EncodeError:
        return  # reading takes strings that writing does not
    assert encode(decode(written), "b") == written


@EXAMPLES
@given(mails)
def test_any_mail_is_a_message_or_an_error(octets: bytes) -> None:
    """Put together of what mails are made of."""
    check(octets)


@EXAMPLES
@given(damaged())
def test_any_damaged_mail_is_a_message_or_an_error(octets: bytes) -> None:
    """Changed and shortened mails."""
    check(octets)


@EXAMPLES
@given(any_message)
def test_what_is_written_is_read(message: Pdu) -> None:
    """Every field of every message, in 7-bit lines of bounded length that a foreign parser takes apart likewise."""
    octets = encode(message, "----=_b")
    assert decode(octets) == message
    assert octets.isascii()
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    foreign = email.message_from_bytes(octets)
    assert not foreign.defects
    assert len(foreign.get_all("X-Mms-Transaction-ID", [])) == 1
    if isinstance(message, ForwardReq) and message.parts:
        payloads = [part.get_payload(decode=True) for part in foreign.walk() if not part.is_multipart()]
        assert payloads == [part.octets for part in message.parts]


@EXAMPLES
@given(forward_reqs)
def test_case_of_names_line_ends_and_folding_say_nothing(message: ForwardReq) -> None:
    """A relay may write header names in any case, fold with tabs, and end lines with line feeds alone."""
    head, body = encode(message, "b").split(b"\r\n\r\n", 1)
    lines = head.decode("ascii").split("\r\n")
    recased = [line if line.startswith((" ", "X-Mms-Peculiar")) else swapped(line) for line in lines]
    octets = "\n".join(recased).replace("\n ", "\n\t").encode() + b"\n\n" + body
    assert decode(octets) == message


def swapped(line: str) -> str:
    name, colon, value = line.partition(":")
    return name.swapcase() + colon + value


@pytest.mark.parametrize("depth", [1, 8, 9, 2000])
def test_nested_multiparts_are_bounded(depth: int) -> None:
    """Those deeper than eight are refused, however deep."""
    octets = FORWARD + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%04d\r\n\r\n--b%04d\r\n" % (level, level)
        for level in range(depth)
    )
    octets += b"Content-Type: text/plain\r\n\r\nhello"
    if depth > 8:
        with pytest.raises(Mm4Error, match="too deep"):
            decode(octets)
    else:
        message = decode(octets)
        assert isinstance(message, ForwardReq)
        assert content_of(message.parts).text == "hello"


@pytest.mark.parametrize(
    ("mail", "what"),
    [
        (
            FORWARD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 200_000,
            "too many parts",
        ),
        (FORWARD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bc\r\n" * 200_000, "boundary"),
        (FORWARD + b"X-Mms-A: b\r\n" * 600 + b"\r\n", "too many headers"),
        (FORWARD + b"Subject: " + b"x" * 20_000 + b"\r\n\r\n", "too long"),
        (FORWARD + b"Subject: " + b"x" * 2_000_000, "too long"),
        (FORWARD + b"Content-Type: multipart/mixed\r\n\r\n--b\r\n", "without a boundary"),
    ],
    ids=["parts", "near-boundaries", "headers", "header", "block", "no-boundary"],
)
def test_bombs_are_refused(mail: bytes, what: str) -> None:
    """More than the limits allow is an error before anything is made of it, and can be answered."""
    with pytest.raises(Mm4Error, match=what) as caught:
        decode(mail)
    assert caught.value.status == "Error-message-format-corrupt"


def test_limits_are_the_callers() -> None:
    """A link may allow less."""
    mail = (
        FORWARD
        + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\na\r\n--b\r\n\r\nb\r\n--b--\r\n"
    )
    assert isinstance(decode(mail), ForwardReq)
    with pytest.raises(Mm4Error, match="too many parts"):
        decode(mail, limits=Limits(parts=2))

"""What passes between two mail systems, by RFC 5321."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.smtp.mail import (
    Envelope,
    Reply,
    extensions,
    is_address,
    lines_are_whole,
    parse_path,
    stuffed,
    take_reply,
    unstuffed,
)

MM4 = "+12025550123/TYPE=PLMN@mms.carrier.example"

lines = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"x.", b"text", b"\xff\x00"]), max_size=8)
mails = lines.map(lambda each: b"".join(line + b"\r\n" for line in each))


@pytest.mark.parametrize(
    ("text", "address", "parameters"),
    [
        (f"<{MM4}>", MM4, ""),
        (f"<{MM4}> SIZE=100 BODY=8BITMIME", MM4, "SIZE=100 BODY=8BITMIME"),
        (f"  <{MM4}>  ", MM4, ""),
        ("<>", "", ""),
        ("<> SIZE=1", "", "SIZE=1"),
        ("<12345/TYPE=PLMN@mms.mnc410.mcc310.gprs>", "12345/TYPE=PLMN@mms.mnc410.mcc310.gprs", ""),
        ("<+12025550123/TYPE=PLMN>", "+12025550123/TYPE=PLMN", ""),
        ("system-user@mms.example", "system-user@mms.example", ""),
        ("<a@[192.0.2.1]>", "a@[192.0.2.1]", ""),
        ("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", ""),
        ('<"a b"@mms.example> SIZE=1', '"a b"@mms.example', "SIZE=1"),
        ('<"a\\"b>"@mms.example>', '"a\\"b>"@mms.example', ""),
        ("<@relay.example,@other.example:a@mms.example>", "a@mms.example", ""),
        ("<a@under_score.example>", "a@under_score.example", ""),
    ],
)
def test_a_path_is_an_address_and_parameters(text: str, address: str, parameters: str) -> None:
    """MM4's slashes, equals and plus signs are ordinary letters; a source route is dropped."""
    assert parse_path(text) == (address, parameters)
    assert address == "" or is_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<",
        "<a@b",
        "a@b>",
        "<a b@c>",
        "<a@b>c",
        "<a@b><c@d>",
        "<a@>",
        "<@b>",
        '<"a@b>',
        "<a\r\n@b>",
        "<ä@b>",
        "<a@b@c>",
    ],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    """Half a path, two of them, spaces, line ends and letters beyond ASCII."""
    assert parse_path(text) is None


@pytest.mark.parametrize("address", ["", "a>b@c", "a@b\r\nRSET", "a@b ", "<a@b>", "a@b\n"])
def test_what_could_end_a_command_is_no_address(address: str) -> None:
    """Nothing that could close the brackets or the line gets between them."""
    assert not is_address(address)


@given(st.text(max_size=30))
def test_what_is_an_address_is_found_again_in_its_path(address: str) -> None:
    """Whatever may stand between brackets comes out of them."""
    if is_address(address):
        assert parse_path(f"<{address}> SIZE=1") == (address, "SIZE=1")


@pytest.mark.parametrize(
    ("mail", "carried"),
    [
        (b"", b""),
        (b"a\r\n", b"a\r\n"),
        (b"a", b"a\r\n"),
        (b".\r\n", b"..\r\n"),
        (b".a\r\n..b\r\nc.\r\n", b"..a\r\n...b\r\nc.\r\n"),
        (b"a\r\n.", b"a\r\n..\r\n"),
        (b"\r\n.\r\nQUIT\r\n", b"\r\n..\r\nQUIT\r\n"),
    ],
)
def test_dots_that_begin_a_line_are_doubled(mail: bytes, carried: bytes) -> None:
    """So that none of them ends the mail (section 4.5.2); the last line gets its end."""
    assert stuffed(mail) == carried


@given(mails)
def test_a_mail_survives_data(mail: bytes) -> None:
    """What was stuffed is found again, and has no end within."""
    carried = stuffed(mail)
    assert unstuffed(carried) == mail
    assert b"\r\n.\r\n" not in b"\r\n" + carried


@pytest.mark.parametrize(
    "mail", [b"a\nb\r\n", b"a\rb\r\n", b"\n", b"\r", b"a\r\r\n", b"a\r\n.\nb\r\n", b"a\n\r"]
)
def test_a_bare_line_end_is_not_carried(mail: bytes) -> None:
    """Section 2.3.8: peers do not agree on where such a line ends, and so where the mail does."""
    assert not lines_are_whole(mail)
    with pytest.raises(ValueError, match="does not end with CRLF"):
        stuffed(mail)


@pytest.mark.parametrize(
    ("octets", "reply", "rest"),
    [
        (b"250 ok\r\n", Reply(250, "ok"), b""),
        (b"250\r\n", Reply(250, ""), b""),
        (b"250 ok\n", Reply(250, "ok"), b""),
        (b"250-a\r\n250-b c\r\n250 d\r\n", Reply(250, "a\nb c\nd"), b""),
        (b"250 ok\r\n421 bye\r\n", Reply(250, "ok"), b"421 bye\r\n"),
        (b"550 \xff\r\n", Reply(550, "�"), b""),
        (b"250-a\r\n250 b", None, b"250-a\r\n250 b"),
        (b"25", None, b"25"),
        (b"", None, b""),
    ],
)
def test_replies_are_taken_one_by_one(octets: bytes, reply: Reply | None, rest: bytes) -> None:
    """Whole replies only, with all their lines (section 4.2.1)."""
    buffer = bytearray(octets)
    assert take_reply(buffer) == reply
    assert buffer == rest


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"\r\n",
        b"25 ok\r\n",
        b"150 ok\r\n",
        b"250ok\r\n",
        b"250-a\r\nb\r\n",
        b"2" * 40_000,
    ],
)
def test_what_is_no_reply_is_an_error(octets: bytes) -> None:
    """Another protocol, a code that does not exist, a line without end."""
    with pytest.raises(ValueError, match="SMTP reply"):
        take_reply(bytearray(octets))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_octets_are_replies_or_not(octets: bytes, cut: int) -> None:
    """However they arrive, the same replies or an error come out of them."""

    def replies(*pieces: bytes) -> list[Reply] | None:
        buffer, found = bytearray(), []
        try:
            for piece in pieces:
                buffer += piece
                while (reply := take_reply(buffer)) is not None:
                    found.append(reply)
        except ValueError:
            return None
        return found

    assert replies(octets) == replies(octets[:cut], octets[cut:])


def test_extensions_are_read_from_the_answer_to_ehlo() -> None:
    """Keywords in any case, with their parameters; the first line is the peer's name."""
    reply = Reply(250, "SIZE.example at your service\nsize 5000000\nAUTH plain LOGIN\nAUTH=PLAIN\n8BITMIME")
    assert extensions(reply) == {"SIZE": "5000000", "AUTH": "PLAIN LOGIN", "8BITMIME": ""}


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply(250, "ok"), "250 ok"),
        (Reply(451, "not\r\nnow ä"), "451 not  now  "),
        (Reply(550, "x" * 1000), "550 " + "x" * 400),
    ],
)
def test_a_reply_is_one_line_of_ascii(reply: Reply, line: str) -> None:
    """Whatever text a caller gave."""
    assert reply.line == line


def test_an_envelope_does_not_show_what_it_carries() -> None:
    """Neither addresses nor content get into a log by way of it."""
    mail = Envelope(mail_from="a@b", rcpt_tos=(MM4, "x@y"), octets=b"secret", peer="192.0.2.1")
    assert repr(mail) == "Envelope(2 recipients, 6 octets, peer='192.0.2.1')"

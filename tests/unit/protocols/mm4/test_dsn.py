"""Mails that came back."""

import pytest

from trebuchet.protocols.mm4 import Address, Kind, dsn
from trebuchet.protocols.mm4.dsn import Action, Bounce, Fate

HEAD = b'From: MAILER-DAEMON@relay.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"'
WORDS = b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nI'm sorry to have to tell you\r\n--b\r\n"
ORIGINAL = (
    b'\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nX-Mms-Transaction-ID: "t-1"\r\nX-Mms-Message-ID: m-1\r\n'
    b"Message-ID: <1@mms.a.example>\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nhello\r\n--b--\r\n"
)
STATUS = (
    b"Content-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; relay.example\r\nOriginal-Envelope-Id: e-1\r\n\r\n"
    b"Original-Recipient: rfc822;+12025550123/TYPE=PLMN@mms.b.example\r\n"
    b"Final-Recipient: rfc822; postmaster@mms.b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 User\r\n unknown\r\n\r\n"
    b"Final-Recipient: RFC822;+12025550124/TYPE=PLMN@mms.b.example\r\n"
    b"Action: Delayed (for now)\r\nStatus: 4.4.1 (no)\r\n"
)
FIRST = Address(Kind.PHONE, "+12025550123", "mms.b.example")
SECOND = Address(Kind.PHONE, "+12025550124", "mms.b.example")
FATES = (
    Fate(
        recipient=FIRST, action=Action.FAILED, status="5.1.1", reply=550, diagnostic="550 5.1.1 User unknown"
    ),
    Fate(recipient=SECOND, action=Action.DELAYED, status="4.4.1"),
)


def test_a_bounce_says_what_came_back_and_why() -> None:
    """The ids of the mail that is quoted, and for each recipient what happened; the original one goes first."""
    assert dsn.read(HEAD + WORDS + STATUS + ORIGINAL) == Bounce(
        envelope_id="e-1", transaction_id='"t-1"', message_id="m-1", mail_id="1@mms.a.example", fates=FATES
    )


def test_the_mail_may_be_quoted_by_its_headers_or_not_at_all() -> None:
    """Then the recipients are all there is."""
    headers = ORIGINAL.replace(b"message/rfc822", b"text/rfc822-headers")
    assert dsn.read(HEAD + WORDS + STATUS + headers) == dsn.read(HEAD + WORDS + STATUS + ORIGINAL)
    assert dsn.read(HEAD + WORDS + STATUS + b"\r\n--b--\r\n") == Bounce(envelope_id="e-1", fates=FATES)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"Subject: hello\r\n\r\nhello",
        HEAD.replace(b"delivery-status", b"disposition-notification") + WORDS + STATUS + b"\r\n--b--",
        HEAD.replace(b"report;", b"mixed;") + WORDS + STATUS + b"\r\n--b--",
        HEAD + WORDS + b"\r\nno report\r\n--b--",
        HEAD + b"\r\n\r\nno boundary",
    ],
)
def test_any_other_mail_is_none(octets: bytes) -> None:
    """Also one that cannot be read."""
    assert dsn.read(octets) is None


@pytest.mark.parametrize("action", ["", "exploded"])
def test_a_recipient_without_an_action_is_left_out(action: str) -> None:
    """Nothing is known of it."""
    report = (
        b"Content-Type: message/delivery-status\r\n\r\nA: b\r\n\r\nFinal-Recipient: rfc822;a@b\r\nAction: "
    )
    assert dsn.read(HEAD + WORDS + report + action.encode() + b"\r\n--b--") == Bounce()


def test_an_empty_report_says_nothing() -> None:
    """It is a bounce all the same."""
    assert dsn.read(HEAD + WORDS + b"Content-Type: message/delivery-status\r\n\r\n\r\n--b--") == Bounce()


def test_diagnostic_texts_are_cut() -> None:
    """They are shown to people."""
    long = STATUS.replace(b"550 5.1.1 User", b"550 " + b"x" * 5000)
    bounce = dsn.read(HEAD + WORDS + long + ORIGINAL)
    assert bounce is not None
    assert len(bounce.fates[0].diagnostic) == 500

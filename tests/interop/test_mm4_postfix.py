"""Our mail transport with a mail relay that others wrote between the two sides: Debian's Postfix."""

import asyncio
from pathlib import Path

import pytest

from support.certificates import self_signed
from support.postfix import relaying
from support.smtp import HOST, RECIPIENT, SENDER, TAKEN, envelope, pool, taking
from trebuchet.smtp import Envelope, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.postfix]

OTHER = "+12025550199/TYPE=PLMN@mms.c.example"
CONTENT = b".a\r\n.\r\n..\r\n" + (b"A" * 76 + b"\r\n") * 4_000
MAIL = b"Subject: x\r\nX-Mms-Message-Type: MM4_forward.REQ\r\n\r\n" + CONTENT


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A certificate and its key, for Postfix and for our listener."""
    certificate, key = self_signed(b"p" * 32, HOST)
    (tmp_path / "certificate.pem").write_text(certificate)
    (tmp_path / "key.pem").write_text(key)
    return str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")


async def test_a_picture_goes_through_postfix_and_a_bounce_comes_back(files: tuple[str, str]) -> None:
    """Over TLS both times: every octet of the content, both recipients; what is refused comes back as a bounce."""
    certificate, key = files
    listener = {"tls": "starttls-required", "tls_certificate_file": certificate, "tls_key_file": key}
    came = asyncio.Queue[Envelope]()

    async def take(mail: Envelope) -> Reply:
        came.put_nowait(mail)
        return Reply(550, "5.1.1 nobody") if b"Subject: refuse" in mail.octets and mail.mail_from else TAKEN

    async with taking(**listener) as taker, relaying(taker.port, certificate, key) as port:
        taker.answer = take
        async with pool(port, tls="starttls", tls_ca_file=certificate) as client:
            submitted = await client.submit(envelope(MAIL, RECIPIENT, OTHER))
            assert submitted.accepted == (RECIPIENT, OTHER)
            mail = await asyncio.wait_for(came.get(), 30)
            head, _, content = mail.octets.partition(b"\r\n\r\n")
            assert (mail.mail_from, {*mail.rcpt_tos}) == (SENDER, {RECIPIENT, OTHER})
            assert b"\r\nX-Mms-Message-Type: MM4_forward.REQ\r\n" in head
            assert content == CONTENT

            await client.submit(envelope(MAIL.replace(b"Subject: x", b"Subject: refuse")))
            await asyncio.wait_for(came.get(), 30)
            bounce = await asyncio.wait_for(came.get(), 30)
            assert (bounce.mail_from, bounce.rcpt_tos) == ("", (SENDER,))
            assert b"\r\nStatus: 5.1.1\r\n" in bounce.octets

"""Our mail listener as Debian's `swaks` finds it, the tester that operators have at hand."""

import asyncio
from pathlib import Path

import pytest

from support.certificates import self_signed
from support.smtp import HOST, SENDER, taking

pytestmark = [pytest.mark.anyio, pytest.mark.swaks]

RECIPIENTS = ("other@mms.b.example", "+12025550123/TYPE=PLMN@mms.b.example")


async def swaks(port: int, *options: str) -> tuple[int, str]:
    """Hand over a mail with a line that is a dot and one that begins with one. Exit code, and what was said."""
    # Alone, a recipient that begins with + would be taken for an option.
    process = await asyncio.create_subprocess_exec(
        *("swaks", "--server", f"{HOST}:{port}", "--ehlo", "mms.a.example", "--from", SENDER),
        *("--to", ",".join(RECIPIENTS), "--data", "Subject: x\\n\\n.\\n.two\\nend", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.parametrize(
    ("tls", "options"),
    [
        ("none", []),
        ("none", ["--pipeline"]),
        ("starttls", ["--tls"]),
        ("implicit", ["--tls-on-connect"]),
        (
            "implicit",
            ["--tls-on-connect", "--auth", "PLAIN", "--auth-user", "us", "--auth-password", "secret"],
        ),
        ("starttls", ["--tls", "--auth", "LOGIN", "--auth-user", "us", "--auth-password", "secret"]),
    ],
)
async def test_swaks_hands_over_a_mail(tmp_path: Path, tls: str, options: list[str]) -> None:
    """In the clear, without waiting for answers, under both kinds of TLS, and with a password."""
    certificate, key = self_signed(b"w" * 32, HOST)
    (tmp_path / "certificate.pem").write_text(certificate)
    (tmp_path / "key.pem").write_text(key)
    files = {
        "tls_certificate_file": str(tmp_path / "certificate.pem"),
        "tls_key_file": str(tmp_path / "key.pem"),
    }
    async with taking(tls=tls, users={"us": "secret"}, **files) as taker:
        code, said = await swaks(taker.port, *options)
        assert code == 0, said
        (mail,) = taker.mails
        assert (mail.mail_from, mail.rcpt_tos) == (SENDER, RECIPIENTS)
        assert mail.octets == b"Subject: x\r\n\r\n.\r\n.two\r\nend\r\n"
        assert mail.user == ("us" if "--auth" in options else "")


async def test_swaks_is_told_why_it_may_not() -> None:
    """From an address that is not allowed, before anything was said."""
    async with taking(allowed=("192.0.2.0/24",)) as taker:
        code, said = await swaks(taker.port)
        assert code != 0
        assert "554 5.7.1 this address may not hand over mail here" in said

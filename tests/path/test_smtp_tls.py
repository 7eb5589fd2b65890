"""TLS and AUTH of the mail transport: both sides with each other, with Python's own, with peers that do it wrong."""

import asyncio
import base64
import smtplib
import ssl
from pathlib import Path
from typing import Any

import pytest

from support.certificates import self_signed
from support.smtp import (
    HOST,
    MAIL,
    RECIPIENT,
    SENDER,
    TAKEN,
    TIMEOUT_S,
    Caller,
    answering,
    calling,
    envelope,
    pool,
    serving,
    taking,
)
from trebuchet.smtp import ClientSettings, SmtpPool, SmtpUnavailable

pytestmark = pytest.mark.anyio

PICTURE = b"Content-Type: image/jpeg\r\n\r\n" + (b"A" * 76 + b"\r\n") * 4_000
USERS = {"trebuchet": "se cret\u00e9", "plain": "ascii"}


@pytest.fixture(scope="module", params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: production runs on uvloop where there is one."""
    return ("asyncio", {"use_uvloop": request.param})


class Files:
    """A peer's certificate and key in files; the certificate is its own authority."""

    def __init__(self, folder: Path, *names: str, seed: bytes = b"s" * 32) -> None:
        certificate, key = self_signed(seed, *names)
        name = seed[:1].decode()
        self.certificate, self.key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
        Path(self.certificate).write_text(certificate)
        Path(self.key).write_text(key)

    @property
    def listener(self) -> dict[str, str]:
        return {"tls_certificate_file": self.certificate, "tls_key_file": self.key}


@pytest.fixture
def ours(tmp_path: Path) -> Files:
    """The listener's, good for the loopback address."""
    return Files(tmp_path, HOST)


def login(name: str, password: str) -> str:
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()


# ---- the two of us ----


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_mails_go_over_tls_both_ways_of_beginning(ours: Files, mode: str) -> None:
    """Verified by the authority given; a picture and the next mail over the same connection."""
    async with (
        taking(tls=mode, **ours.listener) as taker,
        pool(taker.port, tls=mode, tls_ca_file=ours.certificate) as client,
    ):
        first = await client.submit(envelope(PICTURE))
        await client.submit(envelope())
        assert [mail.octets for mail in taker.mails] == [PICTURE, MAIL]
        assert taker.listener.connections == 1
        assert ("> STARTTLS" in first.dialogue) == (mode == "starttls")
        assert first.dialogue.count("> EHLO mms.a.example") == (2 if mode == "starttls" else 1)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_a_peer_is_known_by_its_password(ours: Files, mode: str) -> None:
    """Under TLS; the envelope says who it was, the dialogue does not say the password."""
    async with (
        taking(tls=mode, users=USERS, auth_required=True, **ours.listener) as taker,
        pool(
            taker.port,
            tls=mode,
            tls_ca_file=ours.certificate,
            username="trebuchet",
            password=USERS["trebuchet"],
        ) as client,
    ):
        submitted = await client.submit(envelope())
        assert taker.mails[0].user == "trebuchet"
        assert "> AUTH PLAIN ***" in submitted.dialogue
        assert login("trebuchet", USERS["trebuchet"]) not in "".join(submitted.dialogue)


async def test_a_wrong_password_is_the_links_fault(ours: Files) -> None:
    """Told once, with the peer's answer and without the password; counted on the other side."""
    async with (
        taking(tls="implicit", users=USERS, **ours.listener) as taker,
        pool(
            taker.port, tls="implicit", tls_ca_file=ours.certificate, username="trebuchet", password="wrong"
        ) as client,
    ):
        with pytest.raises(SmtpUnavailable, match=r"^the credentials were refused: 535 ") as caught:
            await client.submit(envelope())
        assert caught.value.reply is not None
        assert caught.value.reply.code == 535
        assert "wrong" not in "".join(caught.value.dialogue)
        assert taker.problems("smtp_auth_failed") == 1


# ---- our client ----


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize(
    ("names", "trusted", "settings", "words"),
    [
        (["127.0.0.1"], False, {}, "self-signed certificate"),
        (["other.example"], True, {}, "mismatch"),
        (["other.example"], True, {"tls_server_name": "other.example"}, ""),
        (["other.example"], False, {"tls_verify": False}, ""),
    ],
)
async def test_the_peers_certificate_is_checked(
    tmp_path: Path, mode: str, names: list[str], *, trusted: bool, settings: dict[str, Any], words: str
) -> None:
    """By authority and name, unless the settings say otherwise; nothing is said to a peer that fails."""
    theirs = Files(tmp_path, *names)
    given = settings | ({"tls_ca_file": theirs.certificate} if trusted else {})
    async with taking(tls=mode, **theirs.listener) as taker, pool(taker.port, tls=mode, **given) as client:
        if not words:
            await client.submit(envelope())
            return
        with pytest.raises(SmtpUnavailable, match=words):
            await client.submit(envelope())
        assert taker.mails == []
        assert client.connections == 0


async def test_a_peer_without_starttls_is_not_spoken_to_in_the_clear() -> None:
    """The offer that somebody in between has taken out is missed, not overlooked."""
    async with answering() as peer, pool(peer.port, tls="starttls") as client:
        with pytest.raises(SmtpUnavailable, match=r"^the peer does not offer STARTTLS$"):
            await client.submit(envelope())
        assert peer.commands == ["EHLO mms.a.example"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("220 go on\r\n250 injected", "wrote in the clear after it had agreed to TLS|answered more"),
        ("220 go on\r\n250", "wrote in the clear after it had agreed to TLS"),
        ("454 not now", "STARTTLS was refused: 454 not now"),
        ("220 go on CLOSE", "TLS failed|closed the connection"),
        ("220 go on", "TLS failed"),  # what comes then is no TLS
    ],
)
async def test_a_start_of_tls_that_goes_wrong_is_the_links_fault(answer: str, words: str) -> None:
    """Answers smuggled in before the handshake (RFC 3207 section 6), refusals, and peers that leave or wait."""
    async with (
        answering(ehlo="250-b\r\n250 STARTTLS", starttls=answer) as peer,
        pool(peer.port, tls="starttls", connect_timeout_s=0.2) as client,
    ):
        with pytest.raises(SmtpUnavailable, match=words):
            await client.submit(envelope())
        assert client.connections == 0


async def test_a_handshake_that_hangs_is_not_waited_for() -> None:
    """A peer that agrees to TLS and says no more."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for said in ("220 b", "250-b\r\n250 STARTTLS", "220 go on"):
            writer.write(f"{said}\r\n".encode())
            await reader.readline()
        await over.wait()

    async with serving(serve) as port, pool(port, tls="starttls", connect_timeout_s=0.2) as client:
        with pytest.raises(SmtpUnavailable, match=r"^TLS did not begin within 0.2 s$"):
            await client.submit(envelope())
        over.set()


async def test_a_port_that_speaks_no_tls_is_the_links_fault() -> None:
    """A plain port called with implicit TLS."""
    async with answering() as peer, pool(peer.port, tls="implicit", connect_timeout_s=2) as client:
        with pytest.raises(SmtpUnavailable, match=rf"^{HOST} port {peer.port}: "):
            await client.submit(envelope())


async def test_a_password_is_not_given_in_the_clear() -> None:
    """Unless the settings allow it."""
    async with answering(ehlo="250-b\r\n250 AUTH PLAIN", auth="235 ok") as peer:
        async with pool(peer.port, username="a", password="b") as client:
            with pytest.raises(SmtpUnavailable, match="not given without TLS"):
                await client.submit(envelope())
            assert peer.commands == ["EHLO mms.a.example"]
        async with pool(peer.port, username="a", password="b", auth_without_tls=True) as client:
            await client.submit(envelope())
            assert f"AUTH PLAIN {login('a', 'b')}" in peer.commands


async def test_login_is_spoken_where_plain_is_not_offered() -> None:
    """Name and password one after the other; neither is in the dialogue."""
    said: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in ("220 b", "250-b\r\n250 AUTH LOGIN CRAM-MD5", "334 VXNlcg==", "334 UGFzcw==", "235 ok"):
            writer.write(f"{answer}\r\n".encode())
            said.append((await reader.readline()).decode().strip())

    async with (
        serving(serve) as port,
        pool(port, username="a", password="b", auth_without_tls=True) as client,
    ):
        await client.probe()
    assert said[:4] == ["EHLO mms.a.example", "AUTH LOGIN", "YQ==", "Yg=="]


async def test_a_peer_that_offers_no_way_we_speak_is_the_links_fault() -> None:
    """Neither PLAIN nor LOGIN."""
    async with (
        answering(ehlo="250-b\r\n250 AUTH CRAM-MD5") as peer,
        pool(peer.port, username="a", password="b", auth_without_tls=True) as client,
    ):
        with pytest.raises(SmtpUnavailable, match="neither AUTH PLAIN nor AUTH LOGIN"):
            await client.submit(envelope())


@pytest.mark.parametrize("name", ["tls_ca_file", "tls_certificate_file"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    """When the link is made, not when the first mail goes out."""
    missing = str(tmp_path / "missing.pem")
    settings: dict[str, Any] = {"host": HOST, "hostname": "a", "tls": "implicit", name: missing}
    with pytest.raises(ValueError, match=f"^{name} {missing}: "):
        SmtpPool(ClientSettings(**settings))


# ---- our listener ----


@pytest.mark.parametrize("name", ["tls_certificate_file", "tls_client_ca_file"])
async def test_a_file_that_the_listener_lacks_is_named(ours: Files, name: str, tmp_path: Path) -> None:
    """When it starts."""
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(ValueError, match=f"^{name} {missing}: "):
        async with taking(tls="implicit", **(ours.listener | {name: missing})):
            pass


@pytest.mark.parametrize("mode", ["starttls", "starttls-required", "implicit"])
async def test_smtplib_hands_over_under_tls_with_a_password(ours: Files, mode: str) -> None:
    """Python's own client, by each mechanism that it has and we offer."""
    context = ssl.create_default_context(cafile=ours.certificate)

    def submit(port: int, mechanism: str) -> None:
        made: smtplib.SMTP
        if mode == "implicit":
            made = smtplib.SMTP_SSL(HOST, port, timeout=TIMEOUT_S, context=context)
        else:
            made = smtplib.SMTP(HOST, port, timeout=TIMEOUT_S)
        with made as client:
            if mode != "implicit":
                client.starttls(context=context)
            client.ehlo()
            assert client.esmtp_features["auth"].strip() == "PLAIN LOGIN"
            assert "starttls" not in client.esmtp_features
            client.user, client.password = "plain", "ascii"
            client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
            client.sendmail(SENDER, [RECIPIENT], PICTURE)

    async with taking(tls=mode, users=USERS, auth_required=True, **ours.listener) as taker:
        await asyncio.to_thread(submit, taker.port, "PLAIN")
        await asyncio.to_thread(submit, taker.port, "LOGIN")
        assert [(mail.user, mail.octets) for mail in taker.mails] == [("plain", PICTURE)] * 2


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ([f"MAIL FROM:<{SENDER}>"], "530 5.7.0 authentication required"),
        (["AUTH"], "501 Not enough value"),
        (["AUTH CRAM-MD5"], "504 5.5.4 Unrecognized authentication type"),
        (["AUTH PLAIN !!"], "501 5.5.2 Can't decode base64"),
        (["AUTH PLAIN YWJj"], "501 5.5.2 Can't split auth value"),
        (["AUTH PLAIN", "*"], "501 5.7.0 Auth aborted"),
        (["AUTH PLAIN", "x" * 5_000], "500 5.5.2 line too long"),
        (["AUTH LOGIN", "YQ==", "Yg=="], "535 5.7.8 Authentication credentials invalid"),
        ([f"AUTH PLAIN {login('trebuchet', '')}"], "535 5.7.8 Authentication credentials invalid"),
        ([f"AUTH PLAIN {login('nobody', '')}"], "535 5.7.8 Authentication credentials invalid"),
        (
            [f"AUTH PLAIN {login('nobody', USERS['trebuchet'])}"],
            "535 5.7.8 Authentication credentials invalid",
        ),
        ([f"auth plain {login('trebuchet', USERS['trebuchet'])}"], "235 2.7.0 Authentication successful"),
        ([f"AUTH PLAIN {login('trebuchet', USERS['trebuchet'])}"] * 2, "503 Already authenticated"),
    ],
)
async def test_auth_is_answered(lines: list[str], answer: str) -> None:
    """Each mechanism in any case, what is wrong with it, and nothing else before it."""
    async with (
        taking(users=USERS, auth_required=True, auth_without_tls=True) as taker,
        calling(taker.port) as caller,
    ):
        assert (await caller.say("EHLO a")).endswith("\n250 AUTH PLAIN LOGIN")
        for line in lines:
            said = await caller.say(line)
        assert said == answer
        if answer.startswith(("235", "503")):
            await caller.begin()


async def test_passwords_are_not_taken_in_the_clear(ours: Files) -> None:
    """AUTH is neither offered nor taken before TLS, unless the settings allow it."""
    async with taking(tls="starttls", users=USERS, **ours.listener) as taker, calling(taker.port) as caller:
        offered = await caller.say("EHLO a")
        assert offered.endswith("\n250 STARTTLS")
        assert await caller.say(f"AUTH PLAIN {login('trebuchet', 'x')}") == "538 5.7.11 AUTH needs TLS"


async def test_guessing_passwords_ends_the_dialogue() -> None:
    """After as many as the settings allow."""
    async with (
        taking(users=USERS, auth_without_tls=True, errors_max=3) as taker,
        calling(taker.port) as caller,
    ):
        await caller.say("EHLO a")
        answers = [(await caller.say(f"AUTH PLAIN {login('trebuchet', 'x')}"))[:3] for _ in range(4)]
        assert answers == ["535"] * 4
        assert await caller.answer() == "421 4.7.0 too many errors"
        assert taker.problems("smtp_auth_failed") == 4


async def over_tls(caller: Caller, authority: str) -> None:
    """STARTTLS, from our side of a bare connection."""
    assert (await caller.say("STARTTLS")).startswith("220 ")
    await caller.writer.start_tls(ssl.create_default_context(cafile=authority), server_hostname=HOST)


async def test_nothing_but_starttls_goes_where_it_is_required(ours: Files) -> None:
    """Until TLS has begun; everything before it is forgotten (RFC 3207 section 4.2)."""
    async with taking(tls="starttls-required", **ours.listener) as taker, calling(taker.port) as caller:
        await caller.say("EHLO a")
        assert await caller.say(f"MAIL FROM:<{SENDER}>") == "530 Must issue a STARTTLS command first"
        await over_tls(caller, ours.certificate)
        assert (await caller.say(f"MAIL FROM:<{SENDER}>")).startswith("503 ")
        assert await caller.say("STARTTLS") == "503 5.5.1 TLS is on"
        assert await caller.hand_over() == TAKEN.line


async def test_what_was_written_before_tls_is_not_done_under_it(ours: Files) -> None:
    """Commands that somebody put behind STARTTLS in the clear are dropped (RFC 3207 section 6)."""
    async with taking(tls="starttls", **ours.listener) as taker, calling(taker.port) as caller:
        await caller.say("EHLO a")
        caller.write(f"STARTTLS\r\nEHLO x\r\nMAIL FROM:<{SENDER}>\r\n".encode())
        assert (await caller.answer()).startswith("220 ")
        await caller.writer.start_tls(
            ssl.create_default_context(cafile=ours.certificate), server_hostname=HOST
        )
        assert await caller.hand_over() == TAKEN.line
        assert len(taker.mails) == 1


@pytest.mark.parametrize("octets", [b"\x16\x03\x01garbage that is no handshake\r\n", b"EHLO a\r\n", b""])
@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_a_handshake_that_goes_wrong_disturbs_nobody(ours: Files, mode: str, octets: bytes) -> None:
    """Garbage, plain SMTP and silence: the connection ends within its time, and the next one is served."""
    async with (
        taking(tls=mode, tls_timeout_s=0.2, **ours.listener) as taker,
        pool(taker.port, tls=mode, tls_ca_file=ours.certificate) as client,
    ):
        async with calling(taker.port, greeted=mode == "starttls") as caller:
            if mode == "starttls":
                assert (await caller.say("STARTTLS")).startswith("220 ")
            caller.write(octets)
            async with asyncio.timeout(TIMEOUT_S):
                while await caller.reader.read(1000):
                    pass
        await client.submit(envelope())
        assert [mail.octets for mail in taker.mails] == [MAIL]


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_a_peer_can_be_asked_for_its_certificate(ours: Files, tmp_path: Path, mode: str) -> None:
    """With the one that the authority has signed it is served, without it is not."""
    theirs = Files(tmp_path, "mms.a.example", seed=b"t" * 32)
    async with taking(tls=mode, tls_client_ca_file=theirs.certificate, **ours.listener) as taker:
        trusted: dict[str, Any] = {"tls": mode, "tls_ca_file": ours.certificate}
        async with pool(taker.port, **trusted) as client:
            with pytest.raises(SmtpUnavailable):
                await client.submit(envelope())
        own = {"tls_certificate_file": theirs.certificate, "tls_key_file": theirs.key}
        async with pool(taker.port, **trusted, **own) as client:
            await client.submit(envelope())
        assert len(taker.mails) == 1


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
async def test_a_silent_peer_is_not_waited_for_under_tls(ours: Files, mode: str) -> None:
    """Its connection ends, although it does not take part in the end of TLS either."""
    async with (
        taking(tls=mode, idle_timeout_s=0.2, **ours.listener) as taker,
        pool(taker.port, tls=mode, tls_ca_file=ours.certificate) as client,
    ):
        await client.submit(envelope())
        while taker.listener.connections or client.connections:
            await asyncio.sleep(0)

"""The mail client over real sockets: what is handed over, what an answer means, and what is never submitted twice."""

import asyncio

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Session
from aiosmtpd.smtp import Envelope as Received

from support.ports import free_port
from support.smtp import (
    HOST,
    MAIL,
    RECIPIENT,
    SENDER,
    TIMEOUT_S,
    answering,
    envelope,
    pool,
    serving,
    taking,
    up_to_data,
)
from trebuchet.smtp import (
    ClientSettings,
    Envelope,
    Reply,
    SmtpLost,
    SmtpPool,
    SmtpRefused,
    SmtpTemporary,
    SmtpUnavailable,
)

pytestmark = pytest.mark.anyio

PICTURE = b"Content-Type: image/jpeg\r\n\r\n" + (b"A" * 76 + b"\r\n") * 4_000
SMALL = 10_000  # a peer that holds no more does not read on
OTHER = "+12025550199/TYPE=PLMN@mms.b.example"


# ---- handing over ----


async def test_a_mail_is_handed_over_and_the_dialogue_told() -> None:
    """The peer gets both paths and each octet; what was said is returned, without the mail itself."""
    mail = b"Subject: x\r\n\r\n.hidden\r\n..\r\n.\r\nend\r\n"
    async with answering() as peer, pool(peer.port) as client:
        submitted = await client.submit(envelope(mail))
        assert submitted.reply == Reply(250, "taken")
        assert submitted.accepted == (RECIPIENT,)
        assert submitted.refused == {}
        assert submitted.dialogue == (
            "< 220 mms.b.example",
            "> EHLO mms.a.example",
            "< 250 mms.b.example",
            "< 250 8BITMIME",
            "< 250 SIZE 1000000",
            f"> MAIL FROM:<{SENDER}> SIZE={len(mail)}",
            "< 250 ok",
            f"> RCPT TO:<{RECIPIENT}>",
            "< 250 ok",
            "> DATA",
            "< 354 go on",
            "> (38 octets)",
            "> .",
            "< 250 taken",
        )
        assert peer.mails == [b"Subject: x\r\n\r\n..hidden\r\n...\r\n..\r\nend\r\n.\r\n"]


async def test_our_listener_takes_what_our_client_hands_over() -> None:
    """A picture of 300 kB, octets beyond 7 bits, the null path, an empty mail: all as they were."""
    mails = [
        envelope(PICTURE, RECIPIENT, OTHER),
        envelope(b"\xff\xfe\r\n"),
        envelope(MAIL, mail_from=""),
        envelope(b""),
    ]
    async with taking() as taker, pool(taker.port) as client:
        for mail in mails:
            assert (await client.submit(mail)).accepted == mail.rcpt_tos
        taken = [(mail.mail_from, mail.rcpt_tos, mail.octets) for mail in taker.mails]
        assert taken == [(mail.mail_from, mail.rcpt_tos, mail.octets) for mail in mails]
        assert client.connections == taker.listener.connections == 1


class Kept:
    """aiosmtpd's own server, as it comes."""

    def __init__(self) -> None:
        self.mails: list[Received] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, received: Received) -> str:  # noqa: N802  # its name
        self.mails.append(received)
        return "250 OK"


async def test_aiosmtpd_takes_what_our_client_hands_over() -> None:
    """A foreign server, with its own reading of DATA."""
    kept = Kept()
    port = free_port()
    controller = Controller(kept, hostname=HOST, port=port)
    controller.start()
    try:
        async with pool(port) as client:
            for octets in (PICTURE, b"Subject: x\r\n\r\n.a\r\n.\r\n"):
                await client.submit(envelope(octets, RECIPIENT, OTHER))
    finally:
        controller.stop()
    assert [mail.content for mail in kept.mails] == [PICTURE, b"Subject: x\r\n\r\n.a\r\n.\r\n"]
    assert kept.mails[0].mail_from == SENDER
    assert kept.mails[0].rcpt_tos == [RECIPIENT, OTHER]


async def test_recipients_are_refused_one_by_one() -> None:
    """The mail goes to those that the peer takes; each other one has the peer's answer."""
    async with (
        answering(rcpt=["250 ok", "550 5.1.1 unknown", "452 4.5.3 too many"]) as peer,
        pool(peer.port) as client,
    ):
        submitted = await client.submit(envelope(MAIL, RECIPIENT, OTHER, "c@d"))
        assert submitted.accepted == (RECIPIENT,)
        assert submitted.refused == {OTHER: Reply(550, "5.1.1 unknown"), "c@d": Reply(452, "4.5.3 too many")}
        assert len(peer.mails) == 1


async def test_a_mail_that_no_recipient_is_taken_for_is_not_handed_over() -> None:
    """There is no reply to the mail then, and the connection takes the next one."""
    async with answering(rcpt=["550 no", "250 ok"]) as peer, pool(peer.port) as client:
        submitted = await client.submit(envelope())
        assert (submitted.reply, submitted.accepted, submitted.refused) == (
            None,
            (),
            {RECIPIENT: Reply(550, "no")},
        )
        assert peer.mails == []
        assert (await client.submit(envelope())).accepted == (RECIPIENT,)
        assert peer.connections == 1
        assert peer.commands[-4:-3] == ["RSET"]


async def test_an_older_server_is_greeted_with_helo() -> None:
    """Without extensions nothing is announced with MAIL (section 3.2)."""
    async with answering(ehlo="502 what?", helo="250 hello") as peer, pool(peer.port) as client:
        await client.submit(envelope())
        assert peer.commands[:3] == ["EHLO mms.a.example", "HELO mms.a.example", f"MAIL FROM:<{SENDER}>"]


async def test_octets_beyond_7_bits_are_announced() -> None:
    """By BODY, to a peer that offers 8BITMIME."""
    async with answering() as peer, pool(peer.port) as client:
        await client.submit(envelope(b"\xff\r\n"))
        assert peer.commands[1] == f"MAIL FROM:<{SENDER}> SIZE=3 BODY=8BITMIME"


@pytest.mark.parametrize(
    ("ehlo", "octets", "code"),
    [
        ("250-b\r\n250 SIZE 1000", b"a" * 999 + b"\r\n", 552),
        ("250 b", b"\xff\r\n", 554),
    ],
)
async def test_what_the_peer_has_said_it_refuses_is_not_tried(ehlo: str, octets: bytes, code: int) -> None:
    """Neither a mail larger than its SIZE nor 8-bit octets without 8BITMIME; SIZE 0 is no limit."""
    async with answering(ehlo=ehlo) as peer, pool(peer.port) as client:
        with pytest.raises(SmtpRefused) as caught:
            await client.submit(envelope(octets))
        assert (caught.value.reply.code, caught.value.command) == (code, "EHLO")
        assert (await client.submit(envelope())).reply is not None
        assert len(peer.mails) == 1
    async with answering(ehlo="250-b\r\n250 SIZE 0") as peer, pool(peer.port) as client:
        assert (await client.submit(envelope(PICTURE))).reply is not None


@pytest.mark.parametrize(
    "wrong",
    [
        Envelope(mail_from=SENDER, rcpt_tos=(), octets=MAIL),
        envelope(MAIL, "a@b\r\nRSET"),
        envelope(MAIL, "a@b> SIZE=1"),
        envelope(MAIL, ""),
        envelope(MAIL, mail_from="a b"),
        envelope(b"a\nb\r\n"),
    ],
)
async def test_what_smtp_cannot_carry_is_not_tried(wrong: Envelope) -> None:
    """No recipient, addresses that would end a command, lines that do not end with CRLF."""
    async with answering() as peer, pool(peer.port) as client:
        with pytest.raises(ValueError, match=r"recipient|address|CRLF"):
            await client.submit(wrong)
        assert peer.mails == []
        assert all(command.startswith("EHLO") for command in peer.commands)


# ---- what answers mean ----


@pytest.mark.parametrize(
    ("answers", "command"),
    [({"mail": "553 no"}, "MAIL"), ({"data": "554 no"}, "DATA"), ({"end": "550 no"}, ".")],
)
async def test_a_refusal_of_the_whole_mail_is_final(answers: dict[str, str], command: str) -> None:
    """By 5xx to MAIL, DATA or the mail itself; the connection is kept, and reset before the next mail."""
    first = {word: [answer, "354 go on" if word == "data" else "250 ok"] for word, answer in answers.items()}
    async with answering(**first) as peer, pool(peer.port) as client:
        with pytest.raises(SmtpRefused) as caught:
            await client.submit(envelope())
        assert caught.value.command == command
        assert caught.value.reply.text == "no"
        assert str(caught.value) == f"{command} was answered {caught.value.reply.code} no"
        assert caught.value.dialogue[-1] == f"< {caught.value.reply.code} no"
        assert (await client.submit(envelope())).accepted == (RECIPIENT,)
        assert peer.connections == 1
        assert "RSET" in peer.commands


@pytest.mark.parametrize(
    ("answers", "command"),
    [({"mail": "451 later"}, "MAIL"), ({"data": "452 later"}, "DATA"), ({"end": "450 later"}, ".")],
)
async def test_a_refusal_for_now_is_temporary(answers: dict[str, str], command: str) -> None:
    """By 4xx: nothing was taken, and the same mail may be taken later."""
    async with answering(**answers) as peer, pool(peer.port) as client:
        with pytest.raises(SmtpTemporary) as caught:
            await client.submit(envelope())
        assert caught.value.command == command
        assert client.connections == 1


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"greeting": "554 5.7.1 go away CLOSE"}, "the greeting was a refusal: 554 5.7.1 go away"),
        ({"greeting": "421 too many CLOSE"}, "the greeting was a refusal: 421 too many"),
        ({"greeting": "CUT"}, "the peer closed the connection"),
        ({"greeting": "SSH-2.0-OpenSSH_9.2"}, "not an SMTP reply"),
        ({"ehlo": "421 busy CLOSE"}, "EHLO was refused: 421 busy"),
        ({"ehlo": "550 no", "helo": "550 no"}, "EHLO was refused: 550 no"),
        ({"mail": "530 5.7.0 authentication required"}, "the peer wants other credentials: 530 5.7.0"),
        ({"rcpt": "530 5.7.0 authentication required"}, "the peer wants other credentials: 530 5.7.0"),
    ],
)
async def test_a_peer_that_does_not_talk_to_us_is_unavailable(answers: dict[str, str], words: str) -> None:
    """The link's fault, with words for an operator and what was said."""
    async with answering(**answers) as peer, pool(peer.port) as client:
        with pytest.raises(SmtpUnavailable) as caught:
            await client.submit(envelope())
        assert str(caught.value).startswith(words)
        assert peer.mails == []
        assert client.connections == 0


@pytest.mark.parametrize("host", [HOST, "nobody.invalid"])
async def test_a_host_that_is_not_there_is_unavailable(host: str) -> None:
    """Nobody listens, or the name has no address."""
    settings = ClientSettings(host=host, port=free_port(), hostname="a")
    with pytest.raises(SmtpUnavailable, match=rf"^{host} port {settings.port}: "):
        await SmtpPool(settings).probe()


@pytest.mark.parametrize(
    ("answers", "after_data"),
    [
        ({"mail": "CUT"}, False),
        ({"rcpt": "CUT"}, False),
        ({"data": "CUT"}, False),
        ({"data": "250 what?"}, False),
        ({"end": "CUT"}, True),
        ({"end": "what?"}, True),
        ({"end": "354 more"}, True),
        ({"mail": "354 more"}, False),
        ({"mail": "250 a\r\n250 b"}, False),
    ],
)
async def test_a_connection_that_ends_tells_whether_the_mail_may_be_taken(
    answers: dict[str, str], *, after_data: bool
) -> None:
    """Before the final dot the peer cannot have it; after it nobody knows. Neither is tried again by itself."""
    async with answering(**answers) as peer, pool(peer.port, data_timeout_s=0.2) as client:
        with pytest.raises(SmtpLost) as caught:
            await client.submit(envelope(PICTURE))
        assert caught.value.after_data is after_data
        assert peer.connections == 1
        assert client.connections == 0


async def test_a_mail_that_is_broken_off_half_way_was_not_taken() -> None:
    """A peer that vanishes while a large mail is on its way cannot have it: the dot comes after the rest."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await up_to_data(reader, writer)
        await reader.readexactly(100_000)
        writer.transport.abort()

    async with serving(serve) as port, pool(port) as client:
        with pytest.raises(SmtpLost) as caught:
            await client.submit(envelope(PICTURE * 50))
    assert not caught.value.after_data


@pytest.mark.parametrize(
    ("answer", "error"), [(b"552 too large", SmtpRefused), (b"421 closing", SmtpTemporary)]
)
async def test_an_answer_in_the_middle_of_the_mail_is_its_refusal(
    answer: bytes, error: type[Exception]
) -> None:
    """A peer that has read enough says so and reads no more: the reason is told, not the broken connection."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await up_to_data(reader, writer)
        await reader.readexactly(1_000)
        writer.write(answer + b"\r\n")
        await over.wait()

    async with serving(serve, limit=SMALL) as port, pool(port) as client:
        with pytest.raises(error, match=answer.decode()):
            await client.submit(envelope(PICTURE * 50))
        assert client.connections == 0
        over.set()


# ---- kept connections ----


@pytest.mark.parametrize("check_after_s", [0, 60])
async def test_a_connection_is_kept_and_checked_if_it_rested_long(check_after_s: int) -> None:
    """RSET finds out whether it lives; in busy traffic it is spared. The dialogue says that it was kept."""
    async with answering() as peer, pool(peer.port, check_after_s=check_after_s) as client:
        await client.submit(envelope())
        second = await client.submit(envelope())
        assert peer.connections == 1
        assert second.dialogue[0] == "(on a connection that was last used 0 s before)"
        assert ("RSET" in peer.commands) == (check_after_s == 0)


@pytest.mark.parametrize(
    "leave",
    [
        {"end": ["250 taken\r\n421 4.3.2 that was the last one CLOSE", "250 taken"]},
        {"end": ["250 taken CLOSE", "250 taken"]},
        {"mail": ["250 ok", "421 4.3.2 too many mails CLOSE", "250 ok"]},
        {"mail": ["250 ok", "CUT", "250 ok"]},
        {"rcpt": ["250 ok", "421 4.4.2 idle CLOSE", "250 ok"]},
        {"data": ["354 go on", "421 4.3.2 closing CLOSE", "354 go on"]},
    ],
)
async def test_a_peer_that_takes_leave_is_called_again(leave: dict[str, list[str]]) -> None:
    """421, or an end without a word, on a kept connection: the mail goes over a new one, once."""
    async with answering(**leave) as peer, pool(peer.port) as client:
        for _ in range(3):
            assert (await client.submit(envelope())).reply == Reply(250, "taken")
        assert len(peer.mails) == 3
        assert peer.connections in {2, 3}


async def test_the_answer_to_the_mail_is_never_tried_again() -> None:
    """421 to the mail itself is temporary, and a loss after it unknown, on a kept connection too."""
    async with (
        answering(end=["250 taken", "421 4.3.2 closing CLOSE", "250 taken", "CUT"]) as peer,
        pool(peer.port) as client,
    ):
        await client.submit(envelope())
        with pytest.raises(SmtpTemporary):
            await client.submit(envelope())
        await client.submit(envelope())
        with pytest.raises(SmtpLost) as caught:
            await client.submit(envelope())
        assert caught.value.after_data
        assert len(peer.mails) == 4


async def test_a_connection_that_rests_too_long_is_closed() -> None:
    """With QUIT, after `keep_s`."""
    async with answering() as peer, pool(peer.port, keep_s=0.05) as client:
        await client.submit(envelope())
        while "QUIT" not in peer.commands:
            await asyncio.sleep(0)
        assert client.connections == 0


async def test_so_many_mails_are_under_way_and_no_more() -> None:
    """Others wait for a connection, and all arrive."""
    stored = asyncio.Event()
    async with taking() as taker, pool(taker.port, connections_max=3) as client:
        usual = taker.answer

        async def store(mail: Envelope) -> Reply:
            await stored.wait()
            return await usual(mail)

        taker.answer = store
        submits = [asyncio.create_task(client.submit(envelope())) for _ in range(10)]
        while taker.listener.connections < 3:
            await asyncio.sleep(0)
        stored.set()
        await asyncio.gather(*submits)
        assert len(taker.mails) == 10
        assert client.connections == taker.listener.connections == 3


async def test_probing_opens_a_connection_for_the_next_mail() -> None:
    """The link knows that its peer is there before it has a mail for it."""
    async with answering() as peer, pool(peer.port) as client:
        await client.probe()
        await client.submit(envelope())
        assert peer.connections == 1


async def test_a_cancelled_mail_takes_its_connection_with_it() -> None:
    """The next mail must not meet the answers to that one."""
    async with answering(mail=["SILENT", "250 ok"]) as peer, pool(peer.port) as client:
        submit = asyncio.create_task(client.submit(envelope()))
        while len(peer.commands) < 2:
            await asyncio.sleep(0)
        submit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submit
        assert client.connections == 0
        assert (await client.submit(envelope())).reply == Reply(250, "taken")


async def test_closing_lets_mails_finish_within_its_grace() -> None:
    """Mails under way end, mails that come later are told so; kept connections are closed."""
    stored = asyncio.Event()
    async with taking() as taker, pool(taker.port) as client:

        async def store(_: Envelope) -> Reply:
            await stored.wait()
            return Reply(250, "stored")

        taker.answer = store
        submit = asyncio.create_task(client.submit(envelope()))
        while not taker.listener.connections:
            await asyncio.sleep(0)
        closing = asyncio.create_task(client.close(grace_s=TIMEOUT_S))
        await asyncio.sleep(0)
        with pytest.raises(SmtpUnavailable, match=r"^the link is closed$"):
            await client.submit(envelope())
        stored.set()
        assert (await submit).reply == Reply(250, "stored")
        await closing
        assert client.connections == 0


async def test_closing_does_not_wait_for_ever() -> None:
    """A mail that does not end within the grace is broken off, and says where it stood."""
    async with answering(end="SILENT") as peer, pool(peer.port) as client:
        submit = asyncio.create_task(client.submit(envelope()))
        while not peer.mails:
            await asyncio.sleep(0)
        await client.close(grace_s=0.05)
        with pytest.raises(SmtpLost) as caught:
            await submit
        assert caught.value.after_data


# ---- time ----


@pytest.mark.parametrize(
    ("answers", "error", "words"),
    [
        ({"greeting": "SILENT"}, SmtpUnavailable, "no answer within 0.1 s to the greeting"),
        ({"ehlo": "SILENT"}, SmtpUnavailable, "no answer within 0.1 s to EHLO"),
        ({"mail": "SILENT"}, SmtpLost, "no answer within 0.1 s to MAIL, before the end of the mail"),
        (
            {"end": "SILENT"},
            SmtpLost,
            "no answer within 0.1 s to the end of the mail, after the end of the mail",
        ),
    ],
)
async def test_a_silent_peer_is_not_waited_for(
    answers: dict[str, str], error: type[Exception], words: str
) -> None:
    """Each answer has its time; which one did not come is told."""
    async with (
        answering(**answers) as peer,
        pool(peer.port, command_timeout_s=0.1, data_timeout_s=0.1) as client,
    ):
        with pytest.raises(error, match=f"^{words}$"):
            await client.submit(envelope())
        assert client.connections == 0


async def test_a_peer_that_reads_nothing_is_not_waited_for() -> None:
    """A mail that does not leave in its time is given up, and was not taken."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await up_to_data(reader, writer)
        await over.wait()

    async with serving(serve, limit=SMALL) as port, pool(port, data_timeout_s=0.2) as client:
        with pytest.raises(SmtpLost, match=r"the mail was not read within 0.2 s") as caught:
            await client.submit(envelope(PICTURE * 50))
        assert not caught.value.after_data
        over.set()

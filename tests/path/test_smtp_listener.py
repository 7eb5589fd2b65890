"""The mail listener over real sockets: what it takes, what it refuses and how, and what it never waits for."""

import asyncio
import logging
import smtplib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from email.message import EmailMessage

import pytest

from support.smtp import HOST, MAIL, NAME, RECIPIENT, SENDER, TAKEN, TIMEOUT_S, Caller, calling, taking
from trebuchet.smtp import Envelope, Reply

pytestmark = pytest.mark.anyio

PICTURE = b"Content-Type: image/jpeg\r\n\r\n" + (b"A" * 76 + b"\r\n") * 4_000


# ---- what is taken ----


async def test_a_mail_is_handed_over_whole_and_answered_by_the_handler() -> None:
    """The envelope has who spoke, both paths, and the mail without DATA's dots; the reply is the handler's."""
    async with taking() as taker, calling(taker.port) as caller:
        assert await caller.hand_over(b"Subject: x\r\n\r\n..hidden\r\n...\r\nend.\r\n") == TAKEN.line
        assert taker.mails == [
            Envelope(
                mail_from=SENDER,
                rcpt_tos=(RECIPIENT,),
                octets=b"Subject: x\r\n\r\n.hidden\r\n..\r\nend.\r\n",
                peer=HOST,
            )
        ]


async def test_the_greeting_names_no_program_and_ehlo_offers_what_is_there() -> None:
    """The host's name and the limit from the settings; no HELP, no AUTH without users, no STARTTLS without TLS."""
    async with taking(mail_octets_max=5_000_000) as taker, calling(taker.port, greeted=False) as caller:
        assert await caller.answer() == f"220 {NAME} ESMTP"
        offered = await caller.say("EHLO mms.a.example")
        assert offered == f"250-{NAME}\n250-PIPELINING\n250-8BITMIME\n250 SIZE 5000000"
        assert await caller.say("QUIT") == "221 Bye"
        assert await caller.ended()


async def test_a_dialogue_takes_several_mails() -> None:
    """A connection is kept from mail to mail; the null path and several recipients are taken, each of them once."""
    async with taking() as taker, calling(taker.port) as caller:
        await caller.hand_over()
        assert await caller.say("NOOP") == "250 OK"
        assert await caller.say("MAIL FROM:<> SIZE=10 BODY=8BITMIME AUTH=<>") == "250 OK"
        for recipient in ("12345/TYPE=PLMN@mms.b.example", "a+b@c", "a+b@c"):
            assert (await caller.say(f"RCPT TO:<{recipient}>")).startswith("250")
        await caller.say("DATA")
        caller.write(b"\xff\r\n.\r\n")
        assert await caller.answer() == TAKEN.line
        await caller.hand_over()
        assert [mail.mail_from for mail in taker.mails] == [SENDER, "", SENDER]
        assert taker.mails[1].rcpt_tos == ("12345/TYPE=PLMN@mms.b.example", "a+b@c")
        assert taker.mails[1].octets == b"\xff\r\n"


@pytest.mark.parametrize(
    "mail", [b"", b"\r\n", b".\r\n", b"a\r\n", b"\r\n.\r\n\r\n", b"a: b\r\n\r\n.\r\n.x\r\n"]
)
async def test_the_end_of_a_mail_is_found_wherever_it_is(mail: bytes) -> None:
    """An empty mail ends by its first line; a cut at any place of the terminator changes nothing."""
    carried = b"".join(
        b"." + line if line.startswith(b".") else line for line in mail.splitlines(keepends=True)
    )
    async with taking() as taker, calling(taker.port) as caller:
        await caller.begin()
        for octet in carried + b".\r\n":
            caller.write(bytes((octet,)))
            await caller.writer.drain()
        assert await caller.answer() == TAKEN.line
        assert taker.mails[0].octets == mail


async def test_a_peer_need_not_wait_for_answers() -> None:
    """Everything in one write, two mails after each other: the answers come in their order (RFC 2920)."""
    each = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()
    async with taking() as taker, calling(taker.port) as caller:
        caller.write(b"EHLO a\r\n" + each + b"1\r\n.\r\n" + each + b"2\r\n.\r\nQUIT\r\n")
        codes = [(await caller.answer())[:3] for _ in range(10)]
        assert codes == ["250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]
        assert [mail.octets for mail in taker.mails] == [b"1\r\n", b"2\r\n"]


async def test_smtplib_hands_over_a_picture() -> None:
    """Python's own client, with a picture of 300 kB."""
    message = EmailMessage()
    message["Subject"] = "a picture"
    message.add_attachment(b"\0" * 300_000, "image", "jpeg", filename="a.jpg")
    message.set_boundary("boundary")

    def submit(port: int) -> None:
        with smtplib.SMTP(HOST, port, timeout=TIMEOUT_S) as client:
            assert client.send_message(message, SENDER, [RECIPIENT, "+1202/TYPE=PLMN@x"]) == {}

    async with taking() as taker:
        await asyncio.to_thread(submit, taker.port)
        assert taker.mails[0].rcpt_tos == (RECIPIENT, "+1202/TYPE=PLMN@x")
        assert taker.mails[0].octets == message.as_bytes().replace(b"\n", b"\r\n")


# ---- what the answer means ----


async def test_the_answer_waits_for_the_handler() -> None:
    """No 250 while the mail is being stored."""
    stored = asyncio.Event()
    async with taking() as taker, calling(taker.port) as caller:

        async def store(_: Envelope) -> Reply:
            await stored.wait()
            return Reply(250, "2.0.0 stored")

        taker.answer = store
        await caller.begin()
        caller.write(MAIL + b".\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await caller.reader.read(1)
        stored.set()
        assert await caller.answer() == "250 2.0.0 stored"


@pytest.mark.parametrize("reply", [Reply(450, "4.2.0 later"), Reply(550, "5.1.1 nobody of that number")])
async def test_what_the_handler_refuses_is_refused(reply: Reply) -> None:
    """Its reply goes to the peer, and the dialogue goes on."""

    async def refuse(_: Envelope) -> Reply:
        return reply

    async with taking(errors_max=1) as taker, calling(taker.port) as caller:
        taker.answer = refuse
        for _ in range(3):
            assert await caller.hand_over() == reply.line


async def test_a_fault_of_the_handler_is_told_as_temporary_and_counted() -> None:
    """No word of what went wrong leaves the house; the next mail is taken."""

    async def fail(_: Envelope) -> Reply:
        raise RuntimeError("secret path /var/lib")

    async with taking() as taker, calling(taker.port) as caller:
        usual, taker.answer = taker.answer, fail
        assert await caller.hand_over() == "451 4.3.0 the mail could not be stored, try again later"
        assert taker.problems("smtp_handler_failed") == 1
        taker.answer = usual
        assert await caller.hand_over() == TAKEN.line


async def test_a_handler_that_takes_too_long_is_told_as_temporary_and_goes_on() -> None:
    """The peer gets its answer in time; what is being stored is not broken off."""
    stored, over = asyncio.Event(), asyncio.Event()

    async def slow(_: Envelope) -> Reply:
        await stored.wait()
        over.set()
        return TAKEN

    async with taking(handler_timeout_s=0.05) as taker, calling(taker.port) as caller:
        taker.answer = slow
        assert (await caller.hand_over()).startswith("451 4.3.0")
        assert taker.problems("smtp_handler_slow") == 1
        stored.set()
        await asyncio.wait_for(over.wait(), TIMEOUT_S)


@pytest.mark.parametrize("how", ["half closed", "closed", "reset"])
async def test_a_mail_is_stored_although_its_peer_has_left(how: str) -> None:
    """A handler at work is not cancelled; a peer that only closed its own direction still gets the answer."""
    begun, stored = asyncio.Event(), asyncio.Event()
    async with taking() as taker, calling(taker.port) as caller:
        usual = taker.answer

        async def store(envelope: Envelope) -> Reply:
            begun.set()
            await stored.wait()
            return await usual(envelope)

        taker.answer = store
        await caller.begin()
        caller.write(MAIL + b".\r\n")
        await asyncio.wait_for(begun.wait(), TIMEOUT_S)
        if how == "half closed":
            caller.writer.write_eof()
        elif how == "closed":
            caller.writer.close()
        else:
            caller.reset()
        if how == "reset":
            while taker.listener.connections:
                await asyncio.sleep(0)
        stored.set()
        if how == "half closed":
            assert await caller.answer() == TAKEN.line
            assert await caller.answer() == "421 4.3.2 closing"
            assert await caller.ended()
        while not taker.mails:
            await asyncio.sleep(0)
        assert taker.mails[0].octets == MAIL


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_half_a_mail_is_no_mail(how: str) -> None:
    """A peer that dies in the middle of DATA has handed nothing over."""
    async with taking() as taker, calling(taker.port) as caller:
        await caller.begin()
        caller.write(PICTURE)
        await caller.writer.drain()
        if how == "closed":
            caller.writer.close()
        else:
            caller.reset()
        while taker.listener.connections:
            await asyncio.sleep(0)
        assert taker.mails == []
        async with calling(taker.port) as other:
            assert await other.hand_over() == TAKEN.line


async def test_nothing_of_a_mail_gets_into_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """Neither addresses nor content, of mails that are taken and of those that are refused, at any level."""
    caplog.set_level(logging.DEBUG)
    async with taking() as taker, calling(taker.port) as caller:
        await caller.hand_over(b"secret\r\n")
        await caller.hand_over(b"secret\nsecret\r\n")
        await caller.say(f"RCPT TO:<{RECIPIENT}")
    assert not [
        record
        for record in caplog.records
        if "secret" in record.getMessage() or "+1202" in record.getMessage()
    ]


# ---- what is refused ----


@pytest.mark.parametrize(
    "mail",
    [
        b"a\nb\r\n",
        b"a\r\n.\nMAIL FROM:<x@y>\r\nRCPT TO:<x@y>\r\nDATA\r\nsmuggled\r\n",
        b"a\n.\nMAIL FROM:<x@y>\r\n",
        b"a\n.\r\nMAIL FROM:<x@y>\r\n",
        b"a\r.\r\nMAIL FROM:<x@y>\r\n",
        b"a\r\n.\rMAIL FROM:<x@y>\r\n",
    ],
)
async def test_a_smuggled_mail_is_refused_with_the_one_that_hides_it(mail: bytes) -> None:
    """Only CRLF, dot, CRLF ends a mail; one with any other line end is refused whole, and none of it is a command."""
    async with taking() as taker, calling(taker.port) as caller:
        assert await caller.hand_over(mail) == "554 5.6.0 a line of the mail does not end with CRLF"
        assert await caller.hand_over() == TAKEN.line
        assert [each.octets for each in taker.mails] == [MAIL]


async def test_a_mail_that_is_announced_too_large_is_refused_before_it_comes() -> None:
    """By MAIL's SIZE (RFC 1870)."""
    async with taking(mail_octets_max=1_000) as taker, calling(taker.port) as caller:
        await caller.say("EHLO a")
        assert (await caller.say(f"MAIL FROM:<{SENDER}> SIZE=1001")).startswith("552 ")
        assert (await caller.say(f"MAIL FROM:<{SENDER}> SIZE=1000")).startswith("250 ")


@pytest.mark.parametrize(("octets", "code"), [(1_000, "250"), (1_001, "552"), (300_000, "552")])
async def test_a_mail_that_turns_out_too_large_is_refused_at_its_end(octets: int, code: str) -> None:
    """It is read to its end, is not kept, and the dialogue goes on."""
    async with taking(mail_octets_max=1_000) as taker, calling(taker.port) as caller:
        assert (await caller.hand_over(b"a" * (octets - 2) + b"\r\n")).startswith(code)
        assert len(taker.mails) == (code == "250")
        assert await caller.hand_over() == TAKEN.line


@pytest.mark.parametrize(("octets", "code"), [(1_000, "250"), (1_001, "552")])
async def test_the_limit_does_not_depend_on_how_a_mail_arrives(octets: int, code: str) -> None:
    """Octet by octet: those of the final dot do not count."""
    async with taking(mail_octets_max=1_000) as taker, calling(taker.port) as caller:
        await caller.begin()
        for octet in b"a" * (octets - 2) + b"\r\n.\r\n":
            caller.write(bytes((octet,)))
            await asyncio.sleep(0)
        assert (await caller.answer()).startswith(code)


async def test_mails_under_way_share_their_room() -> None:
    """Beyond `held_octets_max` a mail is told to come later; when the others are stored there is room again."""
    begun, stored = asyncio.Event(), asyncio.Event()
    async with (
        taking(held_octets_max=400_000) as taker,
        calling(taker.port) as one,
        calling(taker.port) as two,
    ):
        usual = taker.answer

        async def store(envelope: Envelope) -> Reply:
            begun.set()
            await stored.wait()
            return await usual(envelope)

        taker.answer = store
        await one.begin()
        one.write(PICTURE + b".\r\n")
        await asyncio.wait_for(begun.wait(), TIMEOUT_S)
        for mail in (PICTURE, PICTURE[:100_000]):
            assert (await two.hand_over(mail + b"\r\n")).startswith("452 4.3.1 ")
        stored.set()
        assert await one.answer() == TAKEN.line
        assert await two.hand_over(PICTURE) == TAKEN.line


async def test_recipients_beyond_the_limit_are_refused_one_by_one() -> None:
    """With 452, so that the peer brings the rest in another mail (section 4.5.3.1.10)."""
    async with taking(recipients_max=2) as taker, calling(taker.port) as caller:
        await caller.say("EHLO a")
        await caller.say(f"MAIL FROM:<{SENDER}>")
        answers = [(await caller.say(f"RCPT TO:<{name}@b>"))[:3] for name in "abc"]
        await caller.say("DATA")
        caller.write(MAIL + b".\r\n")
        assert await caller.answer() == TAKEN.line
        assert answers == ["250", "250", "452"]
        assert taker.mails[0].rcpt_tos == ("a@b", "b@b")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["MAIL FROM:<a@b>"], "503"),
        (["EHLO"], "501"),
        (["EHLO a", "RCPT TO:<a@b>"], "503"),
        (["EHLO a", "DATA"], "503"),
        (["EHLO a", "MAIL FROM:<a@b>", "DATA"], "503"),
        (["EHLO a", "MAIL FROM:<a@b>", "MAIL FROM:<a@b>"], "503"),
        (["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<>"], "501"),
        (["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<a b>"], "553"),
        (["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<a@b> NOTIFY=NEVER"], "555"),
        (["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA x"], "501"),
        (["EHLO a", "MAIL FROM:<a@b>", "RCPT TO:<a@b>", "RSET", "DATA"], "503"),
        (["EHLO a", "MAIL FROM:a b"], "555"),
        (["EHLO a", "MAIL FROM:<a@b> SMTPUTF8"], "501"),
        (["EHLO a", "MAIL FROM:<a@b> SIZE=x"], "501"),
        (["EHLO a", "MAIL FROM:<a@b> BODY=BINARYMIME"], "501"),
        (["EHLO a", "MAIL FROM:<\xe4@b>"], "500"),
        (["EHLO a", "MAIL"], "501"),
        (["EHLO a", "AUTH PLAIN AGEAYg=="], "502"),
        (["EHLO a", "STARTTLS"], "502"),
        (["VRFY a@b"], "500"),
        (["EXPN a@b"], "500"),
        (["HELP"], "500"),
        (["BDAT 3 LAST"], "500"),
        (["GET / HTTP/1.1"], "500"),
        ([""], "500"),
        (["NOOP " + "x" * 600], "500"),
        (["NOOP " + "x" * 5_000], "500"),
    ],
)
async def test_commands_out_of_order_or_wrong_are_answered_and_the_dialogue_goes_on(
    lines: list[str], code: str
) -> None:
    """A clear code for each, nothing taken, and a mail in order is taken afterwards."""
    async with taking() as taker, calling(taker.port) as caller:
        for line in lines:
            answer = await caller.say(line)
        assert answer.startswith(f"{code} ")
        assert await caller.hand_over() == TAKEN.line


@pytest.mark.parametrize(
    ("line", "first", "last"),
    [
        ("RCPT TO:<a@b>", "503 ", "421 4.7.0 too many errors"),
        ("FOO", "500 ", "502 5.5.1 Too many unrecognized"),
    ],
)
async def test_a_dialogue_of_errors_is_ended(line: str, first: str, last: str) -> None:
    """Somebody who guesses, or speaks another protocol, is not answered for ever."""
    async with taking(errors_max=7) as taker, calling(taker.port) as caller:
        await caller.say("EHLO a")
        answers = [await caller.say(line)]
        while answers[-1] and len(answers) < 20:
            answers.append(await caller.say(line))
        assert answers[0].startswith(first)
        assert answers[-2].startswith(last)
        assert len(answers) <= 10


async def test_a_dialogue_without_a_mail_is_ended() -> None:
    """Commands that lead nowhere are counted from mail to mail."""
    async with taking(commands_max=20) as taker, calling(taker.port) as caller:
        for _ in range(10):
            assert await caller.hand_over() == TAKEN.line
        answers = [await caller.say("NOOP") for _ in range(21)]
        assert answers == ["250 OK"] * 21
        assert await caller.answer() == "421 4.7.0 too many commands without a mail"
        assert await caller.ended()


async def test_an_address_that_is_not_allowed_is_not_greeted() -> None:
    """It is told so, the connection is closed, and it is counted; nothing it wrote before is read."""
    async with (
        taking(allowed=("192.0.2.0/24", "2001:db8::/32")) as taker,
        calling(taker.port, greeted=False) as caller,
    ):
        caller.write(b"EHLO a\r\n")
        assert await caller.answer() == "554 5.7.1 this address may not hand over mail here"
        assert await caller.ended()
        assert taker.problems("smtp_not_allowed") == 1


@pytest.mark.parametrize("limit", ["connections_max", "connections_per_address_max"])
async def test_connections_beyond_the_limit_are_told_to_come_later(limit: str) -> None:
    """Those that are open go on; when one has ended there is room again."""
    async with taking(**{limit: 2}) as taker, AsyncExitStack() as stack:
        first, _ = [await stack.enter_async_context(calling(taker.port)) for _ in range(2)]
        async with calling(taker.port, greeted=False) as third:
            assert await third.answer() == "421 4.7.0 too many connections"
            assert await third.ended()
        assert await first.hand_over() == TAKEN.line
        await first.say("QUIT")
        while taker.listener.connections > 1:
            await asyncio.sleep(0)
        async with calling(taker.port) as fourth:
            assert await fourth.hand_over() == TAKEN.line


# ---- time ----


@pytest.mark.parametrize(
    "said", [b"", b"EHLO a\r\nMAIL FR", b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\nabc"]
)
async def test_a_silent_peer_is_not_waited_for(said: bytes) -> None:
    """Before a command, within one, and within a mail: it is told so, and the connection is closed."""
    async with taking(idle_timeout_s=0.1) as taker, calling(taker.port) as caller:
        caller.write(said)
        answers = [await caller.answer()]
        while answers[-1]:
            answers.append(await caller.answer())
        assert answers[-2] == "421 4.4.2 idle for too long"
        assert taker.mails == []


@asynccontextmanager
async def dripping(caller: Caller, octets: bytes) -> AsyncIterator[None]:
    """Write them again and again, whatever is answered."""

    async def drip() -> None:
        with suppress(ConnectionError):
            while True:
                caller.write(octets)
                await caller.writer.drain()
                await asyncio.sleep(0)

    task = asyncio.create_task(drip())
    try:
        yield
    finally:
        task.cancel()


async def test_a_line_that_never_ends_is_not_waited_for() -> None:
    """Octets without a command do not count as life."""
    async with taking(idle_timeout_s=0.2) as taker, calling(taker.port) as caller, dripping(caller, b"N"):
        assert await caller.answer() == "421 4.4.2 idle for too long"


async def test_recipients_that_drip_are_not_waited_for() -> None:
    """A mail has its time, however busy its peer is."""
    settings = {"mail_timeout_s": 0.2, "recipients_max": 100_000, "commands_max": 100_000}
    async with taking(**settings) as taker, calling(taker.port) as caller:
        await caller.say("EHLO a")
        await caller.say(f"MAIL FROM:<{SENDER}>")
        while (answer := await caller.say("RCPT TO:<a@b>")) == "250 2.1.5 OK":
            pass
        assert answer == "421 4.4.2 the mail took too long"


async def test_a_mail_that_drips_is_not_waited_for() -> None:
    """Octets now and then keep no mail going beyond its time."""
    async with taking(mail_timeout_s=0.2) as taker, calling(taker.port) as caller:
        await caller.begin()
        async with dripping(caller, b"a\r\n"):
            assert await caller.answer() == "421 4.4.2 the mail took too long"
        assert taker.mails == []


async def test_after_a_mail_its_time_is_over_with_it() -> None:
    """Neither RSET nor the answer to a mail leaves a timer behind that would end the next one."""
    async with taking(mail_timeout_s=0.2, commands_max=100_000) as taker, calling(taker.port) as caller:
        await caller.hand_over()
        await caller.say(f"MAIL FROM:<{SENDER}>")
        await caller.say("RSET")
        until_s = asyncio.get_running_loop().time() + 0.4
        while asyncio.get_running_loop().time() < until_s:
            assert await caller.say("NOOP") == "250 OK"


# ---- the end ----


async def test_stopping_ends_idle_dialogues_and_lets_mails_finish() -> None:
    """No new connection; 421 between mails; the mail under way is stored, answered, then told goodbye."""
    begun, stored = asyncio.Event(), asyncio.Event()
    async with taking() as taker, calling(taker.port) as idle, calling(taker.port) as busy:
        usual = taker.answer

        async def store(envelope: Envelope) -> Reply:
            begun.set()
            await stored.wait()
            return await usual(envelope)

        taker.answer = store
        await busy.begin()
        busy.write(MAIL + b".\r\n")
        await asyncio.wait_for(begun.wait(), TIMEOUT_S)
        stopping = asyncio.create_task(taker.listener.stop())
        assert await idle.answer() == "421 4.3.2 closing"
        assert await idle.ended()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await asyncio.open_connection(HOST, taker.port)
        assert not stopping.done()
        stored.set()
        assert await busy.answer() == TAKEN.line
        assert await busy.answer() == "421 4.3.2 closing"
        await stopping
        assert len(taker.mails) == 1


async def test_stopping_does_not_wait_for_ever() -> None:
    """After the grace a mail that does not end is broken off with 421, and a handler that does not end is cancelled."""
    async with taking(stop_grace_s=0.1) as taker, calling(taker.port) as endless, calling(taker.port) as slow:

        async def never(_: Envelope) -> Reply:
            await asyncio.Event().wait()
            return TAKEN

        taker.answer = never
        await endless.begin()
        await slow.begin()
        slow.write(MAIL + b".\r\n")
        endless.write(b"a")
        await taker.listener.stop()
        assert await endless.answer() == "421 4.3.2 closing"
        assert await slow.answer() == "421 4.3.2 closing"
        assert taker.mails == []

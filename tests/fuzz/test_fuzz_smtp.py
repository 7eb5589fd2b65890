"""Whatever a mail peer writes: our listener answers or closes, our client tells what happened."""

import asyncio
import itertools
import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.smtp import MAIL, RECIPIENT, SENDER, TAKEN, calling, envelope, pool, serving, taking
from trebuchet.smtp import SmtpError
from trebuchet.smtp.mail import is_address, lines_are_whole

pytestmark = pytest.mark.anyio

EXAMPLES = settings(max_examples=150)
REPLY_LINE = re.compile(rb"[2-5][0-9][0-9][ -][ -~]*\r\n")
# However a script ends, this ends the mail, the AUTH and the dialogue that it was in.
GOODBYE = b"\r\n.\r\n*\r\nQUIT\r\nQUIT\r\n"

words = st.sampled_from(
    [
        b"EHLO",
        b"HELO",
        b"MAIL",
        b"RCPT",
        b"DATA",
        b"RSET",
        b"NOOP",
        b"AUTH",
        b"STARTTLS",
        b"VRFY",
        b"HELP",
        b"BDAT",
    ]
)
arguments = st.one_of(
    st.sampled_from(
        [
            b"",
            b"a",
            b"PLAIN",
            b"LOGIN",
            b"PLAIN AGEAYg==",
            b"FROM:<>",
            b"FROM:<a@b> SIZE=9999999",
            b"TO:<>",
            b"TO:<<>>",
        ]
    ),
    st.binary(max_size=30),
    st.integers(0, 3_000).map(lambda length: b"x" * length),
)
commands = st.builds(
    lambda word, argument, end: word + b" " + argument + end,
    words,
    arguments,
    st.sampled_from([b"\r\n", b"\n"]),
)
starts = st.just(f"EHLO a\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode())
contents = st.lists(
    st.sampled_from(
        [b"\r\n", b"\n", b"\r", b".", b"\r\n.\r\n", b"a", b"\0\xff", b"Subject: x", b"x" * 2_000]
    ),
    max_size=12,
).map(b"".join)
scripts = st.lists(st.one_of(commands, starts, contents, st.binary(max_size=20)), max_size=8).map(b"".join)
cuts = st.lists(st.integers(0, 5_000), max_size=4)


@EXAMPLES
@given(scripts, cuts)
async def test_any_script_is_answered_line_by_line(script: bytes, places: list[int]) -> None:
    """Only replies come back, the connection ends, no fault of ours is met, and the next peer is served."""
    octets = script + GOODBYE
    edges = sorted({0, *(min(place, len(octets)) for place in places), len(octets)})
    async with taking(
        users={"a": "b"}, auth_without_tls=True, mail_octets_max=3_000, idle_timeout_s=5
    ) as taker:
        async with calling(taker.port) as caller:
            for start, end in itertools.pairwise(edges):
                caller.write(octets[start:end])
                await asyncio.sleep(0)
            said = await caller.rest()
        assert b"".join(REPLY_LINE.findall(said)) == said
        assert b" idle " not in said
        for mail in taker.mails:
            assert lines_are_whole(mail.octets)
            assert len(mail.octets) <= 3_000
            assert mail.rcpt_tos
            assert all(is_address(address) for address in mail.rcpt_tos)
        assert taker.problems("smtp_session_failed") == taker.problems("smtp_handler_failed") == 0
        async with calling(taker.port) as caller:
            assert await caller.hand_over(MAIL) == TAKEN.line


bodies = st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a", b"\xff", b"x" * 1_000]), max_size=20).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)


@EXAMPLES
@given(st.lists(bodies, min_size=1, max_size=4))
async def test_any_mail_arrives_as_it_was(mails: list[bytes]) -> None:
    """From our client to our listener, over one connection."""
    async with taking() as taker, pool(taker.port) as client:
        for mail in mails:
            await client.submit(envelope(mail))
        assert [mail.octets for mail in taker.mails] == mails
        assert client.connections == 1


replies = st.one_of(
    st.sampled_from(
        [
            b"220 b\r\n",
            b"250 ok\r\n",
            b"250-b\r\n250 SIZE 10\r\n",
            b"354 go on\r\n",
            b"421 bye\r\n",
            b"550 no\r\n",
            b"250 ok\n",
        ]
    ),
    st.sampled_from(
        [b"250-", b"250-a\r\n", b"250 ok\r\n250 ok\r\n", b"\r\n", b"", b"250ok\r\n", b"999 x\r\n"]
    ),
    st.binary(max_size=30),
)
sane = st.sampled_from(
    [
        [b"220 b\r\n", b"250 b\r\n"],
        [b"220 b\r\n", b"250 b\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"],
    ]
)


@EXAMPLES
@given(st.one_of(st.just([]), sane), st.lists(replies, max_size=8))
async def test_any_answers_give_a_result_or_an_error_with_words(
    begin: list[bytes], said: list[bytes]
) -> None:
    """A peer that answers anything to anything: the mail is taken or not, and it is told which."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in begin + said:
            writer.write(answer)
            await reader.readline()

    async with serving(serve) as port, pool(port, command_timeout_s=0.05, data_timeout_s=0.05) as client:
        for _ in range(2):
            submitted = None
            with suppress(SmtpError):
                submitted = await client.submit(envelope())
            if submitted is None:
                assert client.connections <= 1
                continue
            assert (submitted.reply is not None) == bool(submitted.accepted)
            assert {*submitted.accepted, *submitted.refused} == {RECIPIENT}

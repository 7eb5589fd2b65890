"""The listening MMSC in this process: what it answers, reports and shows, to a relay that says what a test wants."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.certificates import self_signed
from support.gateway import HANDSET
from support.mmsc import OURS, WAIT_S, Relay, relay_and_mmsc
from support.pictures import encoded, photo
from support.smtp import calling
from trebuchet.clock import ManualClock
from trebuchet.protocols import mm4
from trebuchet.protocols.mm4 import status
from trebuchet.simulator.base import File, NoLink
from trebuchet.smtp import (
    ClientSettings,
    Reply,
    SmtpError,
    SmtpLost,
    SmtpPool,
    SmtpRefused,
    SmtpTemporary,
    SmtpUnavailable,
)
from trebuchet.testing import RunningMmsc

pytestmark = pytest.mark.anyio

PICTURE = encoded(photo(320, 240), "JPEG")
OTHER_HANDSET = "+12025550124"

# ---- as its peer sees it ----


async def test_a_forward_is_answered_shown_and_reported() -> None:
    """The answer and the report are about the peer's own ids; the picture is as it came."""
    async with relay_and_mmsc() as (relay, mmsc):
        part = mm4.MimePart(content_type="image/jpeg", octets=PICTURE, name="cat.jpg")
        message_id = await relay.forward("look", HANDSET, media=(part,))
        (answer,) = await relay.answers(message_id)
        assert (answer.status, answer.transaction_id, answer.internal_code) == ("Ok", "transaction-1", 0)
        (report,) = await relay.reports(message_id)
        assert (report.status, report.internal_code) == ("Retrieved", 0)
        assert report.source == mm4.Address(mm4.Kind.PHONE, HANDSET, "mms.handsets.example")
        (shown,) = await mmsc.wait(HANDSET)
        assert (shown.peer, shown.text, shown.participants) == (OURS, "look", ())
        (file,) = mmsc.files(shown)
        assert (file.name, file.content_type, file.octets) == ("cat.jpg", "image/jpeg", PICTURE)


async def test_nothing_is_said_that_nobody_asked_for() -> None:
    """Without an ack request there is no answer, without a report request no report; a refusal is a 5xx then."""
    async with relay_and_mmsc() as (relay, mmsc):
        await relay.forward("look", HANDSET, ack_request=False, delivery_report=False)
        await mmsc.wait(HANDSET)
        with pytest.raises(SmtpRefused) as refused:
            await relay.forward("#refuse:4720", HANDSET, ack_request=False)
        assert refused.value.reply.code == 550
        last = await relay.forward("look again", HANDSET)
        await relay.answers(last)
        await relay.reports(last)
        assert {said.message_id for said in relay.said} == {last}


@pytest.mark.parametrize("word", [*mm4.RequestStatus, "Error-permanent-service-denied", "130"])
async def test_every_request_status_can_be_had(word: str) -> None:
    """A text asks for it. What may pass is said at the first attempt only; what may not, always."""
    async with relay_and_mmsc() as (relay, mmsc):
        message_id = await relay.forward(f"#answer:{word}", HANDSET)
        (answer,) = await relay.answers(message_id)
        assert answer.status == word
        await relay.forward(f"#answer:{word}", HANDSET, message_id=message_id)
        (_, second) = await relay.answers(message_id, 2)
        permanent = status.request_outcome(word).verdict is status.Verdict.PERMANENT
        assert second.status == (word if permanent else "Ok")
        assert bool(mmsc.messages(HANDSET)) != permanent


@pytest.mark.parametrize("word", list(mm4.MmStatus))
async def test_every_mm_status_can_be_had(word: mm4.MmStatus) -> None:
    """A text asks for it. After one that is not final the ordinary one follows; what failed is not shown."""
    async with relay_and_mmsc() as (relay, mmsc):
        message_id = await relay.forward(f"#report:{word}", HANDSET)
        fate, _ = status.mm_fate(word)
        follows = fate is status.Fate.WAITING
        reports = await relay.reports(message_id, 2 if follows else 1)
        assert [report.status for report in reports] == [word, "Retrieved"][: 1 + follows]
        assert bool(mmsc.messages(HANDSET)) == (fate is not status.Fate.FAILED)


@pytest.mark.parametrize(
    ("text", "word", "internal", "extension"),
    [
        ("#fail:4720", "Unreachable", 720, ""),
        ("#fail:4753", "Rejected", 753, "Rejection-By-MMS-Recipient"),
        ("#rejected", "Rejected", 750, ""),
        ("#expired", "Expired", 650, ""),
        ("#deleted", "Rejected", 650, ""),
        ("#unknown", "Indeterminate", 999, ""),
    ],
)
async def test_a_message_that_fails_later_is_reported(
    text: str, word: str, internal: int, extension: str
) -> None:
    """With the MM status that fits, and our code in X-Internal-Status-Code."""
    async with relay_and_mmsc() as (relay, _):
        message_id = await relay.forward(text, HANDSET)
        (answer,) = await relay.answers(message_id)
        assert answer.status == "Ok"
        (report,) = await relay.reports(message_id)
        assert (report.status, report.internal_code, report.status_extension) == (word, internal, extension)


@pytest.mark.parametrize(
    ("code", "word", "reply"),
    [
        (4720, "Error-sending-address-unresolved", 550),
        (4740, "Error-sending-address-unresolved", 553),
        (4750, "Error-service-denied", 554),
        (4711, "Error-content-not-accepted", 552),
        (4700, "Error-unsupported-message", 554),
    ],
)
async def test_a_refusal_comes_in_the_answer_or_by_smtp(code: int, word: str, reply: int) -> None:
    """As the setting says; nothing is shown."""
    async with relay_and_mmsc() as (relay, mmsc):
        (answer,) = await relay.answers(await relay.forward(f"#refuse:{code}", HANDSET))
        assert (answer.status, answer.internal_code) == (word, code % 1000)
        assert not mmsc.messages(HANDSET)
    async with relay_and_mmsc(refuses="smtp") as (relay, mmsc):
        with pytest.raises(SmtpRefused) as refused:
            await relay.forward(f"#refuse:{code}", HANDSET)
        assert refused.value.reply.code == reply
        await relay.answers(await relay.forward("hello", HANDSET))
        assert mmsc.counts.refused == 1


@pytest.mark.parametrize(
    ("text", "reply"), [("#smtp:421", 421), ("#smtp:451", 451), ("#busy:1", 451), ("#throttle:1", 452)]
)
async def test_what_is_not_taken_now_is_taken_later(text: str, reply: int) -> None:
    """A 4xx at the first attempt; the second, under the same message id, is answered Ok."""
    async with relay_and_mmsc() as (relay, mmsc):
        with pytest.raises(SmtpTemporary) as refused:
            await relay.forward(text, HANDSET, message_id="m@x.example")
        assert refused.value.reply.code == reply
        async with asyncio.timeout(WAIT_S):
            while not mmsc.messages(HANDSET):
                with suppress(SmtpTemporary):  # the pause is in milliseconds of a real clock
                    await relay.forward(text, HANDSET, message_id="m@x.example")
        assert (await relay.answers("m@x.example"))[-1].status == "Ok"
        assert mmsc.counts.busy >= 1


async def test_a_5xx_is_for_good() -> None:
    """`#smtp:554` is said at every attempt."""
    async with relay_and_mmsc() as (relay, _):
        for _attempt in range(2):
            with pytest.raises(SmtpRefused) as refused:
                await relay.forward("#smtp:554", HANDSET, message_id="m@x.example")
            assert refused.value.reply.code == 554


async def test_a_broken_network_drops_its_peer_and_comes_back() -> None:
    """`#down`: the mail's fate is unknown to its peer, and nobody is answered for a while."""
    clock = ManualClock()
    async with relay_and_mmsc(clock=clock) as (relay, mmsc):
        with pytest.raises(SmtpLost):
            await relay.forward("#down:5000", HANDSET, message_id="m@x.example")
        async with asyncio.timeout(WAIT_S):
            while True:
                try:
                    await relay.forward("#down:5000", HANDSET, message_id="m@x.example")
                except (SmtpUnavailable, SmtpLost):
                    break
        assert not mmsc.messages(HANDSET)
        await until_taken(relay, clock, "#down:5000", "m@x.example")
        await mmsc.wait(HANDSET)
        assert (await relay.answers("m@x.example"))[0].status == "Ok"
    clock.close()


async def until_taken(relay: Relay, clock: ManualClock, text: str, message_id: str) -> None:
    """Move the clock on until the MMSC is back."""
    async with asyncio.timeout(WAIT_S):
        while True:
            clock.advance(1_000)
            try:
                await relay.forward(text, HANDSET, message_id=message_id)
            except SmtpError:
                continue
            return


@pytest.mark.parametrize(("text", "at_first"), [("#lost", 0), ("#unanswered", 1)])
async def test_an_answer_that_is_lost(text: str, at_first: int) -> None:
    """The mail is taken and not answered; submitted again it is, and is shown once, whoever lost what."""
    clock = ManualClock()
    async with relay_and_mmsc(clock=clock) as (relay, mmsc):
        forwarding = asyncio.create_task(relay.forward(text, HANDSET, message_id="m@x.example"))
        async with asyncio.timeout(WAIT_S):
            while not forwarding.done():
                clock.advance(1_000)
                await asyncio.sleep(0)
        assert len(mmsc.messages(HANDSET)) == at_first
        assert not [said for said in relay.said if isinstance(said, mm4.ForwardRes)]
        await relay.forward(text, HANDSET, message_id="m@x.example")
        (answer,) = await relay.answers("m@x.example")
        assert answer.status == "Ok"
        clock.advance(1_000)
        await relay.reports("m@x.example")
        assert len(await mmsc.wait(HANDSET)) == 1
    clock.close()


async def test_a_forward_that_is_repeated_is_answered_again_and_shown_once() -> None:
    """It is known by its message id."""
    async with relay_and_mmsc() as (relay, mmsc):
        message_id = await relay.forward("hello", HANDSET)
        await relay.reports(message_id)
        await relay.forward("hello", HANDSET, message_id=message_id)
        answers = await relay.answers(message_id, 2)
        assert [answer.transaction_id for answer in answers] == ["transaction-1", "transaction-2"]
        assert len(mmsc.messages(HANDSET)) == 1


async def test_answers_can_be_held_back_delayed_and_dropped() -> None:
    """Reports go out all the same."""
    async with relay_and_mmsc() as (relay, mmsc):
        mmsc.hold_answers()
        message_id = await relay.forward("hello", HANDSET)
        await relay.reports(message_id)
        assert mmsc.counts.answers == 0
        mmsc.answer()
        await relay.answers(message_id)
    clock = ManualClock()
    async with relay_and_mmsc(clock=clock, answer_delay_ms=60_000) as (relay, mmsc):
        message_id = await relay.forward("hello", HANDSET)
        clock.advance(59_000)
        await relay.reports(message_id)
        assert mmsc.counts.answers == 0
        clock.advance(1_000)
        await relay.answers(message_id)
    clock.close()
    async with relay_and_mmsc(drop_answers=1) as (relay, mmsc):
        await relay.reports(await relay.forward("hello", HANDSET))
        assert (mmsc.counts.answers, mmsc.counts.unsaid) == (0, 0)


async def test_mails_are_refused_and_cut_by_chance() -> None:
    """451 for some; every so many mails all connections end."""
    async with relay_and_mmsc(busy=1) as (relay, _):
        with pytest.raises(SmtpTemporary):
            await relay.forward("hello", HANDSET)
    async with relay_and_mmsc(disconnect_every=2) as (relay, _):
        await relay.forward("hello", HANDSET)
        with pytest.raises(SmtpLost):
            await relay.forward("hello", HANDSET)


@pytest.mark.parametrize(("habit", "words"), [("forwarded", ["Forwarded"]), ("none", [])])
async def test_a_hub_reports_in_its_own_way(habit: str, words: list[str]) -> None:
    """It hands messages on and knows no more, or says nothing at all."""
    async with relay_and_mmsc(reports=habit) as (relay, mmsc):
        message_id = await relay.forward("hello", HANDSET)
        await mmsc.wait(HANDSET)
        await relay.answers(message_id)
        reports = await relay.reports(message_id, len(words))
        assert [report.status for report in reports] == words


async def test_a_group_is_shown_as_one_and_refused_by_name() -> None:
    """Every handset shows all recipients; each error names whom it is about, and the others are taken."""
    refused = {"+19995554403": 4403, "+19995554405": 4405}
    fine = (HANDSET, OTHER_HANDSET)
    async with relay_and_mmsc() as (relay, mmsc):
        message_id = await relay.forward("hello", *fine, *refused)
        named = {}
        for answer in await relay.answers(message_id, 2):
            (recipient,) = answer.recipients
            named[recipient.value] = status.request_outcome(answer.status, answer.internal_code).code
        assert named == refused
        reports = await relay.reports(message_id, 2)
        assert {report.source.value for report in reports if report.source} == set(fine)
        for handset in fine:
            (shown,) = await mmsc.wait(handset)
            assert shown.participants == (*fine, *refused)


async def test_a_report_that_the_peer_cannot_take_is_repeated() -> None:
    """One that it never takes is not."""
    async with relay_and_mmsc() as (relay, mmsc):
        relay.refusals = [
            Reply(451, "4.3.0 not now")
        ] * 2  # the answer, which is not repeated, and the report
        message_id = await relay.forward("hello", HANDSET)
        await relay.reports(message_id)
        assert mmsc.counts.unsaid == 1


async def test_whoever_has_no_mailbox_is_told_nothing() -> None:
    """The message is shown; that nothing could be said of it is counted, once for the answer, once for the report."""
    async with relay_and_mmsc() as (relay, mmsc):
        await relay.forward("hello", HANDSET, originator_system="", mail_from="")
        await relay.reports(await relay.forward("again", OTHER_HANDSET))
        assert await mmsc.wait(HANDSET)
        async with asyncio.timeout(WAIT_S):
            while mmsc.counts.unsaid < 2:
                await asyncio.sleep(0)
        assert mmsc.counts.unsaid == 2


# ---- what handsets type ----


async def test_a_handset_writes_to_a_group() -> None:
    """The peer gets one forward with all recipients and the files as they are."""
    async with relay_and_mmsc() as (relay, mmsc):
        files = [File("cat.jpg", "image/jpeg", PICTURE)]
        await mmsc.type(HANDSET, [OURS, OTHER_HANDSET], "look", files)
        (forward,) = [said for said in relay.said if isinstance(said, mm4.ForwardReq)]
        assert forward.source.value == HANDSET
        assert [each.value for each in forward.to] == [OURS, OTHER_HANDSET]
        content = mm4.content_of(forward.parts)
        assert content.text == "look"
        assert [(part.name, part.octets) for part in content.media] == [("cat.jpg", PICTURE)]
        assert mmsc.counts.inbound == 1


@pytest.mark.parametrize(
    ("answer", "words"), [("Error-service-denied", "Error-service-denied"), ("", "has not answered")]
)
async def test_a_peer_that_does_not_take_what_is_typed(answer: str, words: str) -> None:
    """Whoever typed is told what it said."""
    async with relay_and_mmsc(peer_timeout_s=0.3) as (relay, mmsc):
        relay.request_status = answer
        with pytest.raises(NoLink, match=words):
            await mmsc.type(HANDSET, [OURS], "hello")
        relay.refusals = [Reply(550, "5.1.1 nobody")]
        with pytest.raises(NoLink, match="550"):
            await mmsc.type(HANDSET, [OURS], "hello")


async def test_without_a_peer_nothing_is_typed() -> None:
    """Forwards are taken all the same, by SMTP alone."""
    async with relay_and_mmsc(peer_port=0) as (relay, mmsc):
        with pytest.raises(NoLink):
            await mmsc.type(HANDSET, [OURS], "hello")
        await relay.forward("hello", HANDSET)
        await mmsc.wait(HANDSET)
        assert relay.said == []


# ---- who may, and what is no message ----


async def test_what_is_no_message_of_mm4_is_refused() -> None:
    """A mail without its headers by SMTP; a request that lacks something by its answer."""
    async with relay_and_mmsc() as (relay, mmsc):
        async with calling(mmsc.port) as caller:
            assert (await caller.hand_over()).startswith("554")
            broken = (
                b"X-Mms-Message-Type: MM4_forward.REQ\r\nX-Mms-Transaction-ID: t\r\nX-Mms-Message-ID: m\r\n"
                b"X-Mms-Ack-Request: Yes\r\nSender: relay@mms.gateway.example\r\n\r\nhello\r\n"
            )
            assert (await caller.hand_over(broken)).startswith("250")
        (answer,) = await relay.answers("m")
        assert answer.status == "Error-sending-address-unresolved"


async def test_who_may_hand_over_mail() -> None:
    """With accounts, those that authenticate."""
    async with relay_and_mmsc(accounts={"relay": "right"}) as (relay, mmsc):
        with pytest.raises(SmtpError):
            await relay.forward("hello", HANDSET)
        login(relay, mmsc, auth_without_tls=True)
        await relay.answers(await relay.forward("hello", HANDSET))


async def test_it_speaks_tls(tmp_path: Path) -> None:
    """If it must be so, nobody hands over mail without."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path, pem in zip((certificate, key), self_signed(b"m" * 32, "localhost"), strict=True):
        path.write_text(pem)
    files = {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}
    accounts = {"relay": "right"}
    async with relay_and_mmsc(tls="starttls-required", accounts=accounts, **files) as (relay, mmsc):
        with pytest.raises(SmtpError):
            await relay.forward("hello", HANDSET)
        login(relay, mmsc, tls="starttls", tls_ca_file=str(certificate), tls_server_name="localhost")
        await relay.answers(await relay.forward("hello", HANDSET))


def login(relay: Relay, mmsc: RunningMmsc, **settings: Any) -> None:
    """From now on the peer authenticates."""
    given = {"host": mmsc.host, "port": mmsc.port, "hostname": "mms.gateway.example"}
    account = {"username": "relay", "password": "right"}
    relay.pool = SmtpPool(msgspec.convert({**given, **account, **settings}, ClientSettings))

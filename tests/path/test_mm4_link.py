"""The MM4 link against relays that others wrote: Python's smtplib hands over mail, aiosmtpd takes it."""

import asyncio
import smtplib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as Mail

from support.gateway import HANDSET, NUMBER, Gateway, running
from support.http import Catcher, catching
from support.mm4_pair import connect, settings_of
from support.ports import free_port

pytestmark = pytest.mark.anyio

OTHER = "+13125550102"
HOUR_S = 3_600


class Relay:
    """The peer: keeps what comes, answers each recipient and mail as it is told."""

    def __init__(self) -> None:
        self.port = free_port()
        self.gateway_port = free_port()
        self.mails: list[EmailMessage] = []
        self.replies: list[str] = []  # to the next mails; then they are taken
        self._changed = asyncio.Event()

    # The name is aiosmtpd's.
    async def handle_DATA(self, _server: SMTP, _session: Any, mail: Mail) -> str:  # noqa: N802
        assert isinstance(mail.content, bytes)
        parsed = message_from_bytes(mail.content, policy=policy.SMTP)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self._changed.set()
        return self.replies.pop(0) if self.replies else "250 taken"

    def of(self, kind: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["X-Mms-Message-Type"] == kind]

    async def wait_for(self, kind: str, count: int = 1) -> list[EmailMessage]:
        async with asyncio.timeout(20):
            while len(self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(self, hostname="far.example", enable_SMTPUTF8=False), "127.0.0.1", self.port
        )
        try:
            yield
        finally:
            server.close()

    async def say(self, headers: dict[str, str], body: bytes = b"", *, to: str = "system-user") -> int:
        """Hand a mail over to the gateway; the code of its reply."""
        mail = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
        return await asyncio.to_thread(self._hand_over, f"{to}@mms.near.example", mail + b"\r\n" + body)

    def _hand_over(self, to: str, mail: bytes) -> int:
        with smtplib.SMTP("127.0.0.1", self.gateway_port) as client:
            try:
                client.sendmail("system-user@mms.far.example", [to], mail)
            except smtplib.SMTPDataError as error:
                return error.smtp_code
            except smtplib.SMTPRecipientsRefused as error:
                ((code, _),) = error.recipients.values()
                return code
        return 250

    async def forward(
        self, message_id: str, *, to: str = NUMBER, age_s: int = 0, body: bytes = b"hello"
    ) -> int:
        """An MM4_forward.REQ from a handset, that asks for everything."""
        headers = self.head("MM4_forward.REQ", "t-" + message_id, message_id) | {
            "Date": formatdate(time.time() - age_s),
            "From": f"{HANDSET}/TYPE=PLMN@mms.far.example",
            "To": f"{to}/TYPE=PLMN@mms.near.example",
            "X-Mms-Ack-Request": "Yes",
            "X-Mms-Delivery-Report": "Yes",
            "X-Mms-Originator-System": "system-user@mms.far.example",
        }
        return await self.say(headers, body, to=f"{to}/TYPE=PLMN")

    async def answer(self, request: EmailMessage, word: str = "Ok") -> int:
        ids = request["X-Mms-Transaction-ID"], request["X-Mms-Message-ID"]
        return await self.say(self.head("MM4_forward.RES", *ids) | {"X-Mms-Request-Status-Code": word})

    async def report(self, request: EmailMessage, word: str = "Retrieved", number: str = HANDSET) -> int:
        headers = self.head("MM4_delivery_report.REQ", "r-1", request["X-Mms-Message-ID"]) | {
            "From": f"{number}/TYPE=PLMN@mms.far.example",
            "To": f"{NUMBER}/TYPE=PLMN@mms.near.example",
            "Date": formatdate(),
            "X-Mms-MM-Status-Code": word,
        }
        return await self.say(headers)

    @staticmethod
    def head(kind: str, transaction_id: str, message_id: str) -> dict[str, str]:
        return {
            "X-Mms-3GPP-MMS-Version": "6.10.0",
            "X-Mms-Message-Type": kind,
            "X-Mms-Transaction-ID": transaction_id,
            "X-Mms-Message-ID": message_id,
            "Sender": "system-user@mms.far.example",
        }


@asynccontextmanager
async def linked(tmp_path: Path, **more: Any) -> AsyncIterator[tuple[Gateway, Catcher, Relay]]:
    """A gateway whose pictures and groups go to the relay, which is not listening yet."""
    relay = Relay()
    async with (
        catching() as catcher,
        running(tmp_path, {"callbacks.retry_first_s": 1}, catcher.url) as gateway,
    ):
        await connect(gateway, settings_of("near", "far", relay.port, relay.gateway_port) | more)
        yield gateway, catcher, relay


async def picture(gateway: Gateway) -> str:
    """A message that goes over MM4: a group, which needs no picture. Its id."""
    sent = await gateway.send("hello", [HANDSET, OTHER])
    assert sent.status == 202
    return str(sent.json["id"])


async def delivered(catcher: Catcher, relay: Relay, request: EmailMessage, message_id: str) -> None:
    """Both recipients are reported, and called back."""
    for number in (HANDSET, OTHER):
        assert await relay.report(request, number=number) == 250
    await catcher.wait_for(
        lambda _: len([e for e in catcher.events(message_id) if e["type"] == "message-delivered"]) == 2
    )


# ---- out ----


async def test_a_late_answer_and_a_late_report_are_in_time(tmp_path: Path) -> None:
    """A report may overtake the answer, and both may be repeated."""
    async with linked(tmp_path) as (gateway, catcher, relay), relay.listening():
        message_id = await picture(gateway)
        (request,) = await relay.wait_for("MM4_forward.REQ")
        await relay.report(request, number=OTHER)
        for _ in range(2):
            assert await relay.answer(request) == 250
        await delivered(catcher, relay, request, message_id)
        assert len(relay.of("MM4_forward.REQ")) == 1
        types = [event["type"] for event in catcher.events(message_id)]
        assert sorted(types) == ["message-delivered"] * 2 + ["message-sending"] * 2


async def test_without_an_answer_it_is_forwarded_once_more_and_fails(tmp_path: Path) -> None:
    """Under the same message id, so that the peer takes one; then with 5630."""
    async with linked(tmp_path, response_timeout_s=60) as (gateway, catcher, relay), relay.listening():
        message_id = await picture(gateway)
        await relay.wait_for("MM4_forward.REQ")
        await gateway.sim("POST", "/clock/advance", {"by": "61s"})
        first, second = await relay.wait_for("MM4_forward.REQ", 2)
        assert first["X-Mms-Message-ID"] == second["X-Mms-Message-ID"]
        await gateway.sim("POST", "/clock/advance", {"by": "61s"})
        failed = await catcher.wait_for_event(message_id, "message-failed")
        assert failed["errorCode"] == 5630


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("Error-service-denied", 4750),
        ("Error-sending-address-unresolved", 4720),
        ("Error-content-not-accepted", 4712),
        ("Error-nobody-has-heard-of", 4750),
    ],
)
async def test_a_negative_answer_fails_the_message(tmp_path: Path, word: str, code: int) -> None:
    """For every recipient, by what it says."""
    async with linked(tmp_path) as (gateway, catcher, relay), relay.listening():
        message_id = await picture(gateway)
        (request,) = await relay.wait_for("MM4_forward.REQ")
        await relay.answer(request, word)
        assert (await catcher.wait_for_event(message_id, "message-failed"))["errorCode"] == code


@pytest.mark.parametrize(
    ("reply", "code"),
    [("550 5.1.1 nobody", 4720), ("552 5.3.4 too large", 4711), ("554 5.6.0 no", 4712), ("554 no", 4750)],
)
async def test_a_mail_that_is_refused_fails_the_message(tmp_path: Path, reply: str, code: int) -> None:
    """For good, by the reply."""
    async with linked(tmp_path) as (gateway, catcher, relay), relay.listening():
        relay.replies = [reply]
        message_id = await picture(gateway)
        assert (await catcher.wait_for_event(message_id, "message-failed"))["errorCode"] == code
        assert len(relay.of("MM4_forward.REQ")) == 1


@pytest.mark.parametrize("reply", ["451 4.3.0 later", "452 4.3.1 too much", "421 4.3.2 closing"])
async def test_a_mail_that_is_not_taken_now_is_taken_later(tmp_path: Path, reply: str) -> None:
    """Under the same message id."""
    async with linked(tmp_path) as (gateway, catcher, relay), relay.listening():
        relay.replies = [reply]
        message_id = await picture(gateway)
        await relay.wait_for("MM4_forward.REQ")
        await gateway.sim("POST", "/clock/advance", {"by": "61s"})
        first, second = await relay.wait_for("MM4_forward.REQ", 2)
        assert first["X-Mms-Message-ID"] == second["X-Mms-Message-ID"]
        await relay.answer(second)
        await delivered(catcher, relay, second, message_id)


async def test_a_peer_that_is_away_gets_its_messages_when_it_is_back(tmp_path: Path) -> None:
    """No try is counted, and none is at stake while it is away."""
    async with linked(tmp_path, response_timeout_s=60) as (gateway, catcher, relay):
        message_id = await picture(gateway)
        await gateway.sim("POST", "/clock/advance", {"by": "2h"})
        async with relay.listening():
            await gateway.sim("POST", "/clock/advance", {"by": "61s"})
            (request,) = await relay.wait_for("MM4_forward.REQ")
            await relay.answer(request)
            await delivered(catcher, relay, request, message_id)


async def test_an_answer_to_a_forward_from_before_a_crash_counts(tmp_path: Path) -> None:
    """The forward was repeated under its id, in another transaction; the peer answers the first one only."""
    async with linked(tmp_path) as (gateway, catcher, relay), relay.listening():
        message_id = await picture(gateway)
        (before,) = await relay.wait_for("MM4_forward.REQ")
        await gateway.kill()
        await gateway.start()
        _, after = await relay.wait_for("MM4_forward.REQ", 2)
        assert before["X-Mms-Message-ID"] == after["X-Mms-Message-ID"]
        assert before["X-Mms-Transaction-ID"] != after["X-Mms-Transaction-ID"]
        await relay.answer(before)
        await delivered(catcher, relay, before, message_id)
        assert len(relay.of("MM4_forward.REQ")) == 2


async def test_a_peer_that_neither_answers_nor_reports(tmp_path: Path) -> None:
    """Its 250 is all there is: taken is delivered, and nothing else is asked for."""
    async with (
        linked(tmp_path, answers=False, reports=False, listen_port=0) as (gateway, catcher, relay),
        relay.listening(),
    ):
        message_id = await picture(gateway)
        (request,) = await relay.wait_for("MM4_forward.REQ")
        assert request["X-Mms-Ack-Request"] in (None, "No")
        assert request["X-Mms-Delivery-Report"] in (None, "No")
        await catcher.wait_for_event(message_id, "message-delivered")


# ---- in ----


async def test_a_message_is_stored_answered_and_reported(tmp_path: Path) -> None:
    """By the time of its 250. The same again is answered again, and called back once."""
    async with linked(tmp_path) as (_, catcher, relay), relay.listening():
        for times in (1, 2):
            assert await relay.forward("m-1") == 250
            assert len(relay.of("MM4_forward.RES")) == times
            assert len(relay.of("MM4_delivery_report.REQ")) == times
        answer, report = relay.of("MM4_forward.RES")[0], relay.of("MM4_delivery_report.REQ")[0]
        assert (answer["X-Mms-Request-Status-Code"], answer["X-Mms-Transaction-ID"]) == ("Ok", "t-m-1")
        assert (report["X-Mms-MM-Status-Code"], report["X-Mms-Message-ID"]) == ("Retrieved", "m-1")
        assert await relay.forward("m-2") == 250
        await catcher.wait_for_count(2)
        assert [event["message"]["text"].strip() for event in catcher.events()] == ["hello", "hello"]


async def test_what_the_peer_cannot_be_told_comes_again(tmp_path: Path) -> None:
    """451 until it takes our answers: it repeats the message, and nothing that we owe it can be lost here."""
    async with linked(tmp_path) as (gateway, catcher, relay):
        assert await relay.forward("m-1") == 451
        await catcher.wait_for_count(1)
        await gateway.kill()
        await gateway.start()
        async with relay.listening():
            assert await relay.forward("m-1") == 250
            assert len(relay.of("MM4_forward.RES")) == 1
            assert len(relay.of("MM4_delivery_report.REQ")) == 1
        assert len({event["message"]["id"] for event in catcher.events()}) == 1


async def test_what_is_owed_for_an_old_message_is_said_later(tmp_path: Path) -> None:
    """A peer whose own port stays shut is not made to send for days what we have."""
    async with linked(tmp_path) as (gateway, catcher, relay):
        assert await relay.forward("m-1", age_s=2 * HOUR_S) == 250
        await catcher.wait_for_count(1)
        async with relay.listening():
            await gateway.sim("POST", "/clock/advance", {"by": "10s"})
            await relay.wait_for("MM4_forward.RES")
            await relay.wait_for("MM4_delivery_report.REQ")


async def test_a_message_for_nobody_is_answered_so(tmp_path: Path) -> None:
    """The mail is taken, the forward is not."""
    async with linked(tmp_path) as (_, catcher, relay), relay.listening():
        assert await relay.forward("m-1", to="+19995550100") == 250
        (answer,) = relay.of("MM4_forward.RES")
        assert answer["X-Mms-Request-Status-Code"] == "Error-sending-address-unresolved"
        assert relay.of("MM4_delivery_report.REQ") == []
        assert catcher.events() == []


async def test_what_is_no_message_is_refused(tmp_path: Path) -> None:
    """A mail of another sort by SMTP; one of MM4 that lacks something by its answer."""
    async with linked(tmp_path) as (_, _, relay), relay.listening():
        assert await relay.say({"Subject": "cheap watches"}, b"hello") == 554
        broken = relay.head("MM4_forward.REQ", "t-1", "m-1") | {
            "X-Mms-Ack-Request": "Yes",
            "From": f"{HANDSET}/TYPE=PLMN@mms.far.example",
            "Content-Type": "multipart/mixed",
        }
        assert await relay.say(broken, b"hello") == 250
        (answer,) = relay.of("MM4_forward.RES")
        assert answer["X-Mms-Request-Status-Code"] == "Error-message-format-corrupt"


async def test_a_mail_that_comes_back_fails_the_message(tmp_path: Path) -> None:
    """A bounce of the peer's mail system (RFC 3464) stands for the answer that never comes."""
    async with linked(tmp_path) as (gateway, catcher, relay), relay.listening():
        message_id = await picture(gateway)
        (request,) = await relay.wait_for("MM4_forward.REQ")
        assert await asyncio.to_thread(bounce, relay, request) == 250
        assert (await catcher.wait_for_event(message_id, "message-failed"))["errorCode"] == 4720


def bounce(relay: Relay, request: EmailMessage) -> int:
    """Hand over the report that a mail system writes about a mail that it could not deliver."""
    fates = "".join(
        f"\r\nFinal-Recipient: rfc822; {number}/TYPE=PLMN@mms.far.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        for number in (HANDSET, OTHER)
    )
    original = "".join(f"{name}: {value}\r\n" for name, value in request.items() if name.startswith("X-Mms"))
    mail = (
        "From: MAILER-DAEMON@far.example\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; far.example\r\n{fates}\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{original}\r\n--b--\r\n"
    )
    with smtplib.SMTP("127.0.0.1", relay.gateway_port) as client:
        client.sendmail("", ["system-user@mms.near.example"], mail.encode())
    return 250

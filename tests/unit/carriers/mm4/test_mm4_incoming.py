"""What becomes of each mail of a peer: the reply, what is stored, and what is said back."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from support.debts import MemoryDebts
from trebuchet.carriers.base import InboundPart, Outcome, Shipment
from trebuchet.carriers.mm4 import translate
from trebuchet.carriers.mm4.incoming import AGAIN, TAKEN, Incoming
from trebuchet.carriers.mm4.settings import parse_settings
from trebuchet.carriers.mm4.telling import Teller
from trebuchet.clock import Ids, ManualClock
from trebuchet.errors import StorageUnavailable
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.protocols.mm4 import (
    DeliveryReportReq,
    DeliveryReportRes,
    ForwardReq,
    ForwardRes,
    MimePart,
    Pdu,
    ReadReplyReq,
    ReadReplyRes,
    decode,
    encode,
)
from trebuchet.smtp import Envelope, Reply, SmtpRefused, SmtpUnavailable, Submitted
from trebuchet.telemetry import Telemetry

pytestmark = pytest.mark.anyio

NEAR, FAR = "mms.near.example", "mms.far.example"
PEER = f"system-user@{FAR}"
OURS, OTHER, HANDSET = "+12345678901", "+12345678999", "+12025550123"
SETTINGS = parse_settings(
    {
        "host": "mta.far.example",
        "domain": FAR,
        "our_domain": NEAR,
        "listen_port": 2525,
        "listen_from": ["192.0.2.1"],
    }
)

TEXT = MimePart(content_type="text/plain", octets=b"hello", charset="utf-8", name="text.txt")
REPORT = DeliveryReportReq(
    transaction_id="r",
    message_id=f"m.0@{NEAR}",
    system=PEER,
    source=translate.address_of(HANDSET, FAR),
    to=translate.address_of(OURS, NEAR),
    status="Retrieved",
    ack_request=True,
)
REFUSED = ForwardRes(
    transaction_id="t",
    message_id=f"m.0@{NEAR}",
    system=PEER,
    to=SETTINGS.system,
    status="Error-sending-address-unresolved",
    recipients=(translate.address_of(HANDSET, FAR),),
)
BOUNCE = (
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n'
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.example\r\n\r\n"
    b"Final-Recipient: rfc822; +12025550123/TYPE=PLMN@mms.far.example\r\nAction: failed\r\n"
    b"Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 nobody\r\n\r\n--b\r\n"
    b"Content-Type: message/rfc822\r\n\r\nX-Mms-Transaction-ID: t\r\n"
    b"X-Mms-Message-ID: m.0@mms.near.example\r\n\r\nhello\r\n--b--\r\n"
)


async def settled() -> None:
    """Let everything that is ready run: more turns than any answer takes."""
    for _ in range(12):
        await asyncio.sleep(0)


class Desk:
    """Incoming between a peer and a gateway that do as told; also what the gateway is reported to by."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.telemetry = Telemetry()
        self.receipts: list[Receipt] = []
        self.parts: list[InboundPart] = []
        self.said: list[Envelope] = []
        self.bounces: list[tuple[str, str | None, int, str]] = []
        self.failure: Exception | None = None  # of the store
        self.peer_failures: list[Exception] = []  # of the coming answers
        self.awaited = True  # whether somebody waits for answers
        self.debts = MemoryDebts()
        self.teller = Teller(
            "far",
            SETTINGS.system,
            clock=self.clock,
            submit=self._submit,
            debts=self.debts,
            telemetry=self.telemetry,
        )
        self.incoming = Incoming(
            "far",
            SETTINGS,
            clock=self.clock,
            ids=Ids(bytes),
            reports=self,
            teller=self.teller,
            is_ours=lambda number: number == OURS,
            answered=lambda _: self.awaited,
            bounced=self._bounced,
            telemetry=self.telemetry,
        )

    def outcome(self, shipment: Shipment, outcome: Outcome) -> None:
        raise AssertionError("no mail settles a shipment by itself")

    def room(self) -> None:
        raise AssertionError("no mail makes room")

    def receipt(
        self, receipt: Receipt, conversion: IdConversion = IdConversion.SAME, *, learn: bool = False
    ) -> "asyncio.Future[None]":
        self.receipts.append(receipt)
        return self._stored()

    def inbound(self, part: InboundPart) -> "asyncio.Future[None]":
        self.parts.append(part)
        return self._stored()

    def _stored(self) -> "asyncio.Future[None]":
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failure is None:
            stored.set_result(None)
        else:
            stored.set_exception(self.failure)
        return stored

    async def _submit(self, mail: Envelope) -> Submitted:
        if self.peer_failures:
            raise self.peer_failures.pop(0)
        self.said.append(mail)
        return Submitted(reply=TAKEN, accepted=mail.rcpt_tos, refused={}, dialogue=())

    def _bounced(self, transaction_id: str, number: str | None, code: int, words: str) -> bool:
        self.bounces.append((transaction_id, number, code, words))
        return self.awaited

    async def take(self, message: Pdu, *to: str) -> Reply:
        """The reply to this message, for these numbers."""
        octets = encode(message, "b")
        mailboxes = tuple(f"{number}/TYPE=PLMN@{NEAR}" for number in to or (OURS,))
        return await self.incoming.handle(Envelope(mail_from=PEER, rcpt_tos=mailboxes, octets=octets))

    def answers(self) -> list[Any]:
        """What was said to the peer."""
        return [decode(mail.octets) for mail in self.said]

    def forward(self, **fields: Any) -> ForwardReq:
        """A message of this moment that wants an answer and a report."""
        request = ForwardReq(
            transaction_id="t",
            message_id="m@far",
            system=PEER,
            originator_system=PEER,
            source=translate.address_of(HANDSET, FAR),
            to=(translate.address_of(OURS, NEAR),),
            date_s=self.clock.now_ms() // 1000,
            ack_request=True,
            delivery_report=True,
            parts=(TEXT,),
        )
        return replace(request, **fields)


async def test_a_message_is_stored_answered_and_reported() -> None:
    """In this order, and then its mail is taken."""
    desk = Desk()
    assert await desk.take(desk.forward()) == TAKEN
    (part,) = desk.parts
    assert (part.owners, part.text, part.repeat_key) == ((OURS,), "hello", "m@far")
    answer, report = desk.answers()
    assert isinstance(answer, ForwardRes)
    assert (answer.transaction_id, answer.message_id, answer.status) == ("t", "m@far", "Ok")
    assert isinstance(report, DeliveryReportReq)
    assert report.source is not None
    assert (report.message_id, report.source.value, report.status) == ("m@far", OURS, "Retrieved")
    assert [mail.rcpt_tos for mail in desk.said] == [(PEER,), (PEER,)]


async def test_nothing_is_said_to_who_asks_for_nothing() -> None:
    """The reply to the mail is all."""
    desk = Desk()
    assert await desk.take(desk.forward(ack_request=False, delivery_report=False)) == TAKEN
    assert (len(desk.parts), desk.said) == (1, [])


async def test_a_message_that_is_not_stored_is_not_taken() -> None:
    """Nor answered: it comes again."""
    desk = Desk()
    desk.failure = StorageUnavailable("the disk is full")
    assert await desk.take(desk.forward()) == AGAIN
    assert desk.said == []
    assert desk.telemetry.value("trebuchet_problems_total", "mm4_mail_not_stored") == 1


async def test_a_message_for_nobody_of_ours() -> None:
    """It is refused in the answer; by the reply to its mail if no answer is wanted."""
    desk = Desk()
    assert await desk.take(desk.forward(), OTHER) == TAKEN
    (answer,) = desk.answers()
    assert (answer.status, answer.recipients) == ("Error-sending-address-unresolved", ())
    assert (await desk.take(desk.forward(ack_request=False), OTHER)).code == 550
    assert (desk.parts, len(desk.said)) == ([], 1)


async def test_a_message_for_some_of_ours() -> None:
    """The answer names the others; those that are ours have it, and are reported."""
    desk = Desk()
    assert await desk.take(desk.forward(), OURS, OTHER) == TAKEN
    answer, report = desk.answers()
    assert [each.value for each in answer.recipients] == [OTHER]
    assert report.source.value == OURS
    assert [part.owners for part in desk.parts] == [(OURS,)]


@pytest.mark.parametrize(
    ("age_s", "code", "later"),
    [(0, 451, 0), (3_599, 451, 0), (3_600, 250, 1), (86_400, 250, 1), (-60, 250, 1)],
)
async def test_an_answer_that_the_peer_does_not_take(age_s: int, code: int, later: int) -> None:
    """A message of the last hour comes again; for an older one the answer is tried again from here."""
    desk = Desk()
    desk.peer_failures = [SmtpUnavailable("no connection")]
    moment_s = desk.clock.now_ms() // 1000 - age_s
    reply = await desk.take(desk.forward(date_s=moment_s, delivery_report=False))
    assert (reply.code, len(desk.parts), desk.said) == (code, 1, [])
    desk.clock.advance(1_000)
    await settled()
    assert len(desk.said) == later


async def test_an_answer_that_is_refused_for_good_is_given_up() -> None:
    """To send it again would end alike; the message is ours all the same."""
    desk = Desk()
    desk.peer_failures = [SmtpRefused(Reply(550, "5.1.1 nobody"), "RCPT")]
    assert await desk.take(desk.forward(delivery_report=False)) == TAKEN
    desk.clock.advance(86_400_000)
    await settled()
    assert desk.said == []


async def test_what_waits_is_forgotten_at_the_end() -> None:
    """Nothing is said after `close`, which may be called twice."""
    desk = Desk()
    desk.peer_failures = [SmtpUnavailable("no connection")]
    await desk.take(REPORT)
    await desk.teller.close()
    await desk.teller.close()
    desk.clock.advance(86_400_000)
    await settled()
    assert desk.said == []


async def test_a_report_is_a_receipt_and_is_answered() -> None:
    """Once it is on disk."""
    desk = Desk()
    assert await desk.take(REPORT) == TAKEN
    (receipt,) = desk.receipts
    assert (receipt.carrier_message_id, receipt.state) == (f"m.0@{NEAR}/{HANDSET}", ReceiptState.DELIVERED)
    (answer,) = desk.answers()
    assert isinstance(answer, DeliveryReportRes)
    assert (answer.transaction_id, answer.status) == ("r", "Ok")
    desk.failure = StorageUnavailable("the disk is full")
    assert await desk.take(REPORT) == AGAIN
    assert len(desk.said) == 1


async def test_a_reading_is_answered_and_nothing_else() -> None:
    """Applications are not told of it."""
    desk = Desk()
    reading = ReadReplyReq(
        transaction_id="r",
        message_id="m",
        system=PEER,
        source=REPORT.source,
        to=REPORT.to,
        status="Read",
        ack_request=True,
    )
    assert await desk.take(reading) == TAKEN
    (answer,) = desk.answers()
    assert isinstance(answer, ReadReplyRes)
    assert (desk.receipts, desk.parts) == ([], [])


@pytest.mark.parametrize(
    ("awaited", "status", "states"),
    [
        (True, "Error-sending-address-unresolved", []),
        (False, "Error-sending-address-unresolved", [(ReceiptState.REJECTED, 4720)]),
        (False, "Error-transient-failure", []),
        (False, "Ok", []),
    ],
)
async def test_a_late_answer(awaited: bool, status: str, states: list[tuple[ReceiptState, int]]) -> None:
    """If nobody waits for it any more, only a refusal for good still tells something, of those that it names."""
    desk = Desk()
    desk.awaited = awaited
    assert await desk.take(replace(REFUSED, status=status)) == TAKEN
    assert [(receipt.state, receipt.error_code) for receipt in desk.receipts] == states


@pytest.mark.parametrize("awaited", [True, False])
async def test_a_mail_of_ours_that_came_back(awaited: bool) -> None:
    """It fails the message that waits; without one it is a receipt of the recipient."""
    desk = Desk()
    desk.awaited = awaited
    assert (
        await desk.incoming.handle(Envelope(mail_from="", rcpt_tos=(SETTINGS.system,), octets=BOUNCE))
        == TAKEN
    )
    assert desk.bounces == [("t", HANDSET, 4720, "returned: 550 5.1.1 nobody")]
    found = [(each.carrier_message_id, each.state, each.error_code) for each in desk.receipts]
    mine = (f"m.0@{NEAR}/{HANDSET}", ReceiptState.UNDELIVERABLE, 4720)
    assert found == ([] if awaited else [mine])


async def test_a_bounce_with_a_sender_is_none() -> None:
    """Anybody could write one; a relay's has the null reverse-path."""
    desk = Desk()
    reply = await desk.incoming.handle(Envelope(mail_from=PEER, rcpt_tos=(SETTINGS.system,), octets=BOUNCE))
    assert (reply.code, desk.bounces, desk.receipts) == (554, [], [])


@pytest.mark.parametrize("octets", [b"", b"Subject: x\r\n\r\nhello\r\n", b"\xff" * 100])
async def test_what_is_not_mm4_is_refused(octets: bytes) -> None:
    """By the reply to its mail; nothing is stored, nothing said."""
    desk = Desk()
    reply = await desk.incoming.handle(Envelope(mail_from=PEER, rcpt_tos=(SETTINGS.system,), octets=octets))
    assert (reply.code, desk.parts, desk.receipts, desk.said) == (554, [], [], [])
    assert desk.telemetry.value("trebuchet_problems_total", "mm4_mail_refused") == 1


async def test_a_forward_that_cannot_be_read_is_answered() -> None:
    """If its ids can: the peer learns what is wrong, and does not send it again."""
    desk = Desk()
    broken = encode(desk.forward(), "b").replace(b"From: +12025550123", b"X-From: +12025550123")
    assert await desk.incoming.handle(Envelope(mail_from=PEER, rcpt_tos=(OURS,), octets=broken)) == TAKEN
    (answer,) = desk.answers()
    assert (answer.transaction_id, answer.message_id) == ("t", "m@far")
    assert answer.status.startswith("Error-")
    assert desk.parts == []


# ---- reports that are owed ----


def owe(desk: Desk) -> None:
    """What the last message owes is on disk, as the gateway stores it."""
    for _, mail in desk.parts[-1].owed:
        desk.debts.mails[mail.id] = mail


async def test_a_report_is_owed_with_the_message_until_the_peer_has_it() -> None:
    """It is in what is stored, and dropped once it was taken."""
    desk = Desk()
    desk.peer_failures = [SmtpUnavailable("no connection")]
    assert await desk.take(desk.forward(ack_request=False)) == TAKEN
    owe(desk)
    assert [number for number, _ in desk.parts[-1].owed] == [OURS]
    assert desk.said == []
    desk.clock.advance(1_000)
    await settled()
    assert [type(answer) for answer in desk.answers()] == [DeliveryReportReq]
    assert desk.debts.mails == {}


async def test_a_report_that_an_earlier_run_left_is_told() -> None:
    """From what is on disk alone, under the same transaction id."""
    before, after = Desk(), Desk()
    before.peer_failures = [SmtpUnavailable("no connection")]
    await before.take(before.forward(ack_request=False))
    owe(before)
    await before.teller.close()
    after.debts.mails = before.debts.mails
    await after.teller.resume()
    after.clock.advance(1_000)
    await settled()
    (report,) = after.answers()
    assert (report.message_id, report.source.value) == ("m@far", OURS)
    assert after.debts.mails == {}


async def test_a_report_of_yesterday_is_given_up() -> None:
    desk = Desk()
    desk.peer_failures = [SmtpUnavailable("no connection")] * 100
    await desk.take(desk.forward(ack_request=False))
    owe(desk)
    for _ in range(40):
        desk.clock.advance(3_600_000)
        await settled()
    assert desk.debts.mails == {}
    assert desk.said == []


async def test_a_message_that_comes_again_owes_nothing_twice() -> None:
    """While its report waits, another of the same id does not wait beside it."""
    desk = Desk()
    desk.peer_failures = [SmtpUnavailable("no connection")] * 2
    for _ in range(2):
        await desk.take(desk.forward(ack_request=False))
        owe(desk)
    desk.clock.advance(1_000)
    await settled()
    assert len(desk.said) == 1


async def test_a_report_that_is_refused_for_good_is_dropped() -> None:
    desk = Desk()
    desk.peer_failures = [SmtpRefused(Reply(550, "5.1.1 nobody"), "RCPT")]
    await desk.take(desk.forward(ack_request=False))
    desk.clock.advance(86_400_000)
    await settled()
    assert desk.said == []


async def test_a_report_follows_an_answer_that_came_late() -> None:
    """The peer sends its message again for the answer; the report does not come long before."""
    desk = Desk()
    desk.peer_failures = [SmtpUnavailable("no connection")]
    assert (await desk.take(desk.forward())).code == 451
    owe(desk)
    desk.clock.advance(60_000)
    await settled()
    assert desk.said == []
    assert (await desk.take(desk.forward())).code == 250
    assert [type(answer) for answer in desk.answers()] == [ForwardRes, DeliveryReportReq]
    assert desk.debts.mails == {}

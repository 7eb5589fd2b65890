"""What the peer sends: answers and reports to our forwards, messages for our numbers, and mails that came back.

A mail is answered 250 once all that follows from it is on disk. A message is answered and reported to the peer before
its 250: if we die in between, the peer sends it again, we know it by its id, and answer again. If the peer cannot take
the answer now, a message of the last hour is not taken either (451): it comes again, and the answer need not be kept
here. A report, and what is owed for an older message or another mail, is tried again from memory.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from trebuchet.carriers.base import CarrierReports
from trebuchet.carriers.mm4 import translate
from trebuchet.carriers.mm4.settings import Mm4Settings
from trebuchet.carriers.multimedia import judged
from trebuchet.clock import Clock, Ids, Timer
from trebuchet.errors import TrebuchetError
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.protocols.mm4 import (
    Address,
    DeliveryReportReq,
    ForwardReq,
    ForwardRes,
    Mm4Error,
    Pdu,
    ReadReplyReq,
    Request,
    RequestStatus,
    Response,
    answer,
    content_of,
    decode,
    dsn,
    encode,
    normalised,
    refusal,
    status,
)
from trebuchet.smtp import Envelope, Reply, SmtpError, SmtpRefused, Submitted
from trebuchet.telemetry import Telemetry

TAKEN: Final = Reply(250, "2.0.0 taken")
AGAIN: Final = Reply(451, "4.3.0 not now")
_NOBODY: Final = Reply(550, "5.1.1 no such recipient here")
_NO_MM4: Final = Reply(554, "5.6.0 not a message of MM4")
_UNHEARD: Final = Reply(451, "4.4.1 stored, but your relay does not take the answer")
_YOUNG_S: Final = 3_600  # of a message that the peer shall send again rather than be answered late
_ANSWER_S: Final = 10.0  # that a 250 waits for our answer to be taken by the peer
_AGAIN_S: Final = (1, 5, 15, 60, 300, 900, 3600, 3600)  # until an answer or a report is sent again
_PENDING_MAX: Final = 10_000  # of those
_UNKNOWN_NUMBER: Final = 4720

Submit = Callable[[Envelope], Awaitable[Submitted]]


class Incoming:
    """Handles each mail of the listener. All calls in one event loop.

    `answered` is given each MM4_forward.RES, `bounced` what a mail that came back says: transaction id, number or
    None for all, error code, words. Both say whether they knew it.
    """

    def __init__(
        self,
        carrier_id: str,
        settings: Mm4Settings,
        *,
        clock: Clock,
        ids: Ids,
        reports: CarrierReports,
        submit: Submit,
        is_ours: Callable[[str], bool],
        answered: Callable[[ForwardRes], bool],
        bounced: Callable[[str, str | None, int, str], bool],
        telemetry: Telemetry,
    ) -> None:
        self._carrier_id = carrier_id
        self._settings = settings
        self._clock = clock
        self._ids = ids
        self._reports = reports
        self._submit = submit
        self._is_ours = is_ours
        self._answered = answered
        self._bounced = bounced
        self._telemetry = telemetry
        self._timers: set[Timer] = set()
        self._tasks: set[asyncio.Task[bool]] = set()
        self._closed = False

    async def handle(self, envelope: Envelope) -> Reply:
        """The SMTP reply to a mail. Raises nothing that the peer could cause."""
        if envelope.mail_from == "" and await self._bounce(envelope):
            return TAKEN
        try:
            message = decode(envelope.octets, self._settings.dialect)
        except Mm4Error as error:
            self._telemetry.problem("mm4_mail_refused", carrier=self._carrier_id, reason=error.what)
            now_ms = self._clock.now_ms()
            refused = refusal(
                error, system=self._settings.system, mail_id=self._mail_id(now_ms), date_s=now_ms // 1000
            )
            if refused is None:
                return _NO_MM4
            await self._say(refused, envelope)
            return TAKEN
        self._telemetry.count("trebuchet_mm4_received_total", self._carrier_id, str(message.TYPE))
        try:
            return await self._take(message, envelope)
        except TrebuchetError as error:
            self._telemetry.problem("mm4_mail_not_stored", carrier=self._carrier_id, error=str(error))
            return AGAIN

    async def _take(self, message: Pdu, envelope: Envelope) -> Reply:
        if isinstance(message, ForwardReq):
            return await self._forwarded(message, envelope)
        if isinstance(message, ForwardRes):
            if not self._answered(message):
                await self._late(message)
        elif isinstance(message, DeliveryReportReq):
            return await self._reported(message, envelope)
        elif isinstance(message, ReadReplyReq) and message.ack_request:
            await self._say(self._answer(message, RequestStatus.OK), envelope)
        return TAKEN

    # ---- about our forwards ----

    async def _reported(self, report: DeliveryReportReq, envelope: Envelope) -> Reply:
        receipt = translate.receipt_of(report, self._carrier_id, self._settings, self._clock.now_ms())
        if receipt is not None:
            await self._reports.receipt(receipt)
        if report.ack_request:
            known = RequestStatus.OK if receipt is not None else RequestStatus.MESSAGE_NOT_FOUND
            await self._say(self._answer(report, known), envelope)
        return TAKEN

    async def _late(self, message: ForwardRes) -> None:
        """A refusal of a forward that nobody waits for any more still tells of the recipients that it names."""
        outcome = status.request_outcome(message.status, message.internal_code)
        if outcome.verdict is not status.Verdict.PERMANENT:
            return
        words = " ".join(filter(None, (message.status, message.status_text)))
        for address in message.recipients:
            await self._reports.receipt(
                translate.refused_part(
                    self._carrier_id,
                    message.message_id,
                    address.value,
                    outcome.code or _UNKNOWN_NUMBER,
                    words,
                    self._clock.now_ms(),
                )
            )

    async def _bounce(self, envelope: Envelope) -> bool:
        """Whether the mail is one of ours that came back."""
        bounce = dsn.read(envelope.octets, self._settings.dialect)
        if bounce is None:
            return False
        for fate in bounce.fates:
            if fate.action is not dsn.Action.FAILED:
                continue
            code = status.smtp_outcome(fate.reply or 550, fate.status).code or _UNKNOWN_NUMBER
            number = None if fate.recipient is None else fate.recipient.value
            words = f"returned: {fate.diagnostic or fate.status}"[:200]
            if self._bounced(normalised(bounce.transaction_id), number, code, words) or number is None:
                continue
            await self._reports.receipt(
                Receipt(
                    carrier_id=self._carrier_id,
                    carrier_message_id=translate.part_id(bounce.message_id, number),
                    state=ReceiptState.UNDELIVERABLE,
                    error_code=code,
                    error=words,
                    handset=number,
                    at_ms=self._clock.now_ms(),
                )
            )
        return True

    # ---- messages for our numbers ----

    async def _forwarded(self, request: ForwardReq, envelope: Envelope) -> Reply:
        called = translate.numbers(envelope.rcpt_tos, self._settings)
        ours = tuple(number for number in called if self._is_ours(number))
        if ours:
            content = judged(content_of(request.parts))
            part = translate.inbound_of(request, content, ours, self._carrier_id)
            await self._reports.inbound(part)
        elif not request.ack_request:
            return _NOBODY
        young = request.date_s is not None and 0 <= self._clock.now_ms() // 1000 - request.date_s < _YOUNG_S
        if request.ack_request:
            said = self._answer_to(request, ours, [n for n in called if n not in ours])
            if not await self._say(said, envelope, again=not young) and young:
                return _UNHEARD
        if request.delivery_report:
            # A peer that has the answer may never send the message again, whatever it is told now.
            for number in ours:
                await self._say(self._report(request, number), envelope)
        return TAKEN

    def _answer_to(self, request: ForwardReq, ours: tuple[str, ...], others: list[str]) -> Response:
        """Ok, or a refusal: of all, or of those that it names."""
        word = RequestStatus.SENDING_ADDRESS_UNRESOLVED if others else RequestStatus.OK
        named = tuple(map(translate.address_of, others)) if ours else ()
        return self._answer(request, word, _UNKNOWN_NUMBER if others else None, named)

    def _report(self, request: ForwardReq, number: str) -> DeliveryReportReq:
        """That one of our numbers has it: to hand it to its application is what is left."""
        now_ms = self._clock.now_ms()
        transaction_id = self._ids.message_id(now_ms)
        source: Address = translate.address_of(number, self._settings.our_domain)
        return DeliveryReportReq(
            transaction_id=transaction_id,
            message_id=request.message_id,
            system=self._settings.system,
            mail_id=f"{transaction_id}@{self._settings.our_domain}",
            date_s=now_ms // 1000,
            source=source,
            to=request.source,
            status=status.mm_status(None),
            internal_code=0 if self._settings.internal_status else None,
        )

    # ---- saying something ----

    def _answer(
        self,
        request: Request,
        word: str,
        code: int | None = None,
        recipients: tuple[Address, ...] = (),
    ) -> Response:
        """`code` is the error code of a refusal; `recipients` whom it is about, if not all."""
        now_ms = self._clock.now_ms()
        return answer(
            request,
            word,
            system=self._settings.system,
            mail_id=self._mail_id(now_ms),
            date_s=now_ms // 1000,
            recipients=recipients,
            internal_code=status.to_internal(code) if self._settings.internal_status else None,
        )

    def _mail_id(self, now_ms: int) -> str:
        return f"{self._ids.message_id(now_ms)}@{self._settings.our_domain}"

    async def _say(self, message: Response | Request, envelope: Envelope, *, again: bool = True) -> bool:
        """Send an answer or a report to whoever sent the mail. False if it may be taken later.

        With `again` it is then tried again for some hours.
        """
        to = message.to if isinstance(message, Response) else ""
        mailbox = to or envelope.mail_from
        return not mailbox or await self._send(message, mailbox, 0, again=again)

    async def _send(
        self, message: Response | Request, mailbox: str, tries: int, *, again: bool = True
    ) -> bool:
        mail = Envelope(
            mail_from=self._settings.system,
            rcpt_tos=(mailbox,),
            octets=encode(message, dialect=self._settings.dialect),
        )
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._submit(mail)
        except (SmtpError, ValueError, TimeoutError) as error:
            self._telemetry.problem(
                "mm4_answer_not_sent",
                carrier=self._carrier_id,
                kind=str(message.TYPE),
                reason=str(error) or "no answer in time",
            )
            if isinstance(error, SmtpRefused | ValueError):
                return True
            if again:
                self._send_again(message, mailbox, tries)
            return False
        return True

    def _send_again(self, message: Response | Request, mailbox: str, tries: int) -> None:
        if self._closed or tries >= len(_AGAIN_S) or len(self._timers) >= _PENDING_MAX:
            return

        def due() -> None:
            self._timers.discard(timer)
            task = asyncio.get_running_loop().create_task(self._send(message, mailbox, tries + 1))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        timer = self._clock.call_at(self._clock.now_ms() + _AGAIN_S[tries] * 1000, due)
        self._timers.add(timer)

    async def close(self) -> None:
        """Forget what is still to be said. May be called twice."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

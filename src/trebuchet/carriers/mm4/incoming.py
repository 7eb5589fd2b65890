"""What the peer sends: answers and reports to our forwards, messages for our numbers, and mails that came back.

A mail is answered 250 once all that follows from it is on disk. A message is answered and reported to the peer before
its 250: if we die in between, the peer sends it again, we know it by its id, and answer again. If the peer cannot take
the answer now, a message of the last hour is not taken either (451): it comes again, and the answer need not be kept
here. The reports that a message owes are stored with it and told until the peer has them; the answer to an older
message or to another mail is tried again from memory.
"""

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from trebuchet.carriers.base import CarrierReports
from trebuchet.carriers.mm4 import translate
from trebuchet.carriers.mm4.settings import Mm4Settings
from trebuchet.carriers.mm4.telling import Mail, Teller
from trebuchet.carriers.multimedia import judged
from trebuchet.clock import Clock, Ids
from trebuchet.errors import TrebuchetError
from trebuchet.model.owed import OwedMail
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
from trebuchet.smtp import Envelope, Reply
from trebuchet.telemetry import Telemetry

TAKEN: Final = Reply(250, "2.0.0 taken")
AGAIN: Final = Reply(451, "4.3.0 not now")
_NOBODY: Final = Reply(550, "5.1.1 no such recipient here")
_NO_MM4: Final = Reply(554, "5.6.0 not a message of MM4")
_UNHEARD: Final = Reply(451, "4.4.1 stored, but your relay does not take the answer")
_YOUNG_S: Final = 3_600  # of a message that the peer shall send again rather than be answered late
_AFTER_ANSWER: Final = 4  # tries whose pause a report waits when the answer before it was not taken
_UNKNOWN_NUMBER: Final = 4720


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
        teller: Teller,
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
        self._teller = teller
        self._is_ours = is_ours
        self._answered = answered
        self._bounced = bounced
        self._telemetry = telemetry

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
        owed = self._owed(request, ours, envelope.mail_from)
        if ours:
            content = judged(content_of(request.parts))
            part = translate.inbound_of(request, content, ours, self._carrier_id)
            await self._reports.inbound(replace(part, owed=tuple(owed.items())))
        elif not request.ack_request:
            return _NOBODY
        young = request.date_s is not None and 0 <= self._clock.now_ms() // 1000 - request.date_s < _YOUNG_S
        if request.ack_request:
            said = self._answer_to(request, ours, [n for n in called if n not in ours])
            if not await self._say(said, envelope, again=not young) and young:
                for debt in owed.values():
                    self._teller.later(self._teller.of_debt(debt), _AFTER_ANSWER)
                return _UNHEARD
        for debt in owed.values():
            await self._teller.tell(self._teller.of_debt(debt))
        return TAKEN

    def _owed(self, request: ForwardReq, ours: tuple[str, ...], mailbox: str) -> dict[str, OwedMail]:
        """The reports that the peer asks for, by number of ours. One that comes again owes the same ones."""
        if not request.delivery_report or not mailbox:
            return {}
        now_ms = self._clock.now_ms()
        return {
            number: OwedMail(
                "\0".join((self._carrier_id, request.message_id, number)),
                self._carrier_id,
                mailbox,
                encode(self._report(request, number), dialect=self._settings.dialect).decode("latin-1"),
                now_ms,
            )
            for number in ours
        }

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
        """Send an answer to whoever sent the mail. False if it may be taken later; see `Teller.tell`."""
        to = message.to if isinstance(message, Response) else ""
        mailbox = to or envelope.mail_from
        if not mailbox:
            return True
        mail = Envelope(
            mail_from=self._settings.system,
            rcpt_tos=(mailbox,),
            octets=encode(message, dialect=self._settings.dialect),
        )
        return await self._teller.tell(Mail(mail, str(message.TYPE)), again=again)

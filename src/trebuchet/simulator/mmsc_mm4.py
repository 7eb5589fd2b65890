"""The MMSC's relay: a port that takes the peer's mails, and the mails that go to the peer."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from trebuchet.clock import Clock, Ids
from trebuchet.protocols import mm4
from trebuchet.protocols.mm4 import status
from trebuchet.simulator import mmsc_mail as mail
from trebuchet.simulator import mmsc_onair as onair
from trebuchet.simulator.base import NoLink
from trebuchet.simulator.mmsc_account import Account
from trebuchet.simulator.mmsc_base import Counts, NotSaid, Report, Written
from trebuchet.simulator.mmsc_settings import MmscSettings
from trebuchet.smtp import Envelope, Reply, SmtpError, SmtpListener, SmtpPool, SmtpRefused
from trebuchet.telemetry import Telemetry

_AGAIN_MS: Final = 500  # until a port that is taken is tried again
_SAY_S: Final = 30.0  # for one mail to the peer


class Mm4Relay:
    """Listens from `start` to `stop`; each once. A `Relay` of its account. All calls in one event loop."""

    def __init__(
        self,
        settings: MmscSettings,
        account: Account,
        *,
        clock: Clock,
        ids: Ids,
        chance: random.Random,
        counts: Counts,
        changed: Callable[[str], None],
        telemetry: Telemetry,
    ) -> None:
        self.settings = settings
        self.answering = True  # False: answers are held back
        self._account = account
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._counts = counts
        self._telemetry = telemetry
        self._pool = SmtpPool(settings.client()) if settings.peer_port else None
        self._listener = self._make_listener(settings.port)
        self._port = settings.port
        self._changed = changed
        self._trouble = ""
        self._mails = 0
        self._held: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._awaited: dict[str, asyncio.Future[mm4.ForwardRes]] = {}  # by transaction id
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def start(self) -> int:
        """Listen. Returns the port. Raises OSError if it is taken, ValueError for a wrong certificate."""
        self._port = await self._listener.start()
        return self._port

    async def stop(self) -> None:
        """Close everything. May be called twice."""
        self._stopped = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.stop()
        if self._pool is not None:
            await self._pool.close()

    @property
    def connections(self) -> int:
        """How many the peer has open."""
        return self._listener.connections

    def cut(self) -> None:
        """Break every connection, as a power cut would."""
        self._listener.cut()

    def answer_held(self) -> None:
        """Say the answers that were held back, and all that follow."""
        self.answering = True
        held, self._held = self._held, []
        for say in held:
            self._begin(say)

    # ---- Relay: what the account has to say ----

    def down(self, until_ms: int) -> None:
        self.cut()
        self._begin(partial(self._rest, until_ms))

    async def report(self, report: Report) -> None:
        if self._pool is None:
            return
        for word in mail.words_of(report, self.settings):
            transaction_id = self._ids.message_id(self._clock.now_ms())
            said = mail.delivery_report(report, word, self.settings, transaction_id)
            try:
                await self._submit(said, (report.origin,))
            except (SmtpRefused, ValueError):  # never to be had, or no mailbox to say it to
                self._counts.unsaid += 1
                return
            except (SmtpError, TimeoutError) as error:
                raise NotSaid(str(error)) from None
            self._counts.reports += 1

    async def write(self, written: Written) -> None:
        now_ms = self._clock.now_ms()
        transaction_id = self._ids.message_id(now_ms)
        answered: asyncio.Future[mm4.ForwardRes] = asyncio.get_running_loop().create_future()
        self._awaited[transaction_id] = answered
        try:
            async with asyncio.timeout(self.settings.peer_timeout_s):
                request = mail.forward(written, self.settings, transaction_id, now_ms)
                await self._submit(request, mail.recipients(written, self.settings))
                said = await answered
        except (SmtpError, ValueError) as error:
            raise NoLink(f"the peer did not take it: {error}") from None
        except TimeoutError:
            raise NoLink("the peer has not answered in time") from None
        finally:
            del self._awaited[transaction_id]
        refused = status.request_outcome(said.status).verdict is not status.Verdict.OK
        if refused and len(said.recipients) in (0, len(written.recipients)):
            raise NoLink(f"the peer answered {said.status}")

    # ---- what the peer sends ----

    def _make_listener(self, port: int) -> SmtpListener:
        return SmtpListener(self.settings.listener(port), self._handle, telemetry=self._telemetry)

    async def _handle(self, envelope: Envelope) -> Reply:
        """The reply to one mail."""
        settings = self.settings
        self._mails += 1
        if settings.disconnect_every and self._mails % settings.disconnect_every == 0:
            self.cut()
            return mail.AGAIN
        if self._chance.random() < settings.busy:
            self._counts.busy += 1
            return mail.AGAIN
        try:
            message = mm4.decode(envelope.octets, settings.dialect)
        except mm4.Mm4Error as error:
            return self._unreadable(error, envelope)
        if isinstance(message, mm4.ForwardReq):
            return await self._forwarded(message, envelope)
        if isinstance(message, mm4.ForwardRes):
            answered = self._awaited.get(mm4.normalised(message.transaction_id))
            if answered is not None and not answered.done():
                answered.set_result(message)
        elif isinstance(message, mm4.DeliveryReportReq | mm4.ReadReplyReq) and message.ack_request:
            self._answer(message, mail.Said(mm4.RequestStatus.OK), envelope)
        return mail.TAKEN

    def _unreadable(self, error: mm4.Mm4Error, envelope: Envelope) -> Reply:
        now_ms = self._clock.now_ms()
        refused = mm4.refusal(
            error, system=self.settings.system, mail_id=self._mail_id(now_ms), date_s=now_ms // 1000
        )
        self._counts.refused += 1
        if refused is None or self._pool is None:
            return mail.NO_MM4
        self._begin(partial(self._say, refused, envelope))
        return mail.TAKEN

    async def _forwarded(self, request: mm4.ForwardReq, envelope: Envelope) -> Reply:
        settings = self.settings
        self._counts.forwards += 1
        heard = mail.hear(request, envelope.rcpt_tos, envelope.mail_from, settings.dialect)
        if not heard.recipients:
            self._counts.refused += 1
            return mail.NOBODY
        answers = request.ack_request and self._pool is not None
        by_smtp = settings.refuses == "smtp"
        attempt = self._account.attempt(heard)
        judgement = mail.asked_for(onair.asked(heard.text), attempt, answers=answers and not by_smtp)
        if judgement is None:
            replies = await self._account.take(heard, attempt, shown=mail.is_shown(heard.report_as))
            judgement = mail.judge(replies, answers=answers, by_smtp=by_smtp)
        self._count(judgement)
        for said in judgement.answers:
            self._answer(request, said, envelope)
        return judgement.reply

    def _count(self, judgement: mail.Judgement) -> None:
        code = judgement.reply.code
        self._counts.busy += 400 <= code < 500
        refused = code >= 500 or any(each.status != mm4.RequestStatus.OK for each in judgement.answers)
        self._counts.refused += refused

    # ---- saying something ----

    def _answer(self, request: mm4.Request, said: mail.Said, envelope: Envelope) -> None:
        """Soon, later or never, as the settings have it."""
        if self._chance.random() < self.settings.drop_answers:
            return
        now_ms = self._clock.now_ms()
        made = mail.answer(request, said, self.settings, self._mail_id(now_ms), now_ms)
        say = partial(self._say, made, envelope)
        if not self.answering:
            self._held.append(say)
        elif self.settings.answer_delay_ms:
            self._clock.call_at(now_ms + self.settings.answer_delay_ms, partial(self._begin, say))
        else:
            self._begin(say)

    async def _say(self, answer: mm4.Response, envelope: Envelope) -> None:
        """Once: whoever misses an answer submits again."""
        try:
            await self._submit(answer, (answer.to or envelope.mail_from,))
            self._counts.answers += 1
        except (SmtpError, ValueError, TimeoutError):
            self._counts.unsaid += 1

    async def _submit(self, message: mm4.Pdu, rcpt_tos: tuple[str, ...]) -> None:
        if self._pool is None:
            raise NoLink("the MMSC has no peer: it was told no port of one")
        # Only what we forward has parts, and its transaction id is ours.
        octets = mm4.encode(message, f"b{message.transaction_id}", dialect=self.settings.dialect)
        envelope = Envelope(mail_from=self.settings.system, rcpt_tos=rcpt_tos, octets=octets)
        try:
            async with asyncio.timeout(_SAY_S):
                await self._pool.submit(envelope)
        except (SmtpError, TimeoutError) as error:
            self._tell(str(error) or "no answer in time")
            raise
        self._tell("")

    def _tell(self, trouble: str) -> None:
        """Whether the peer takes what it is told, if that has changed."""
        if trouble != self._trouble:
            self._trouble = trouble
            self._changed(trouble)

    def _mail_id(self, now_ms: int) -> str:
        return f"{self._ids.message_id(now_ms)}@{self.settings.domain}"

    # ---- being away ----

    async def _rest(self, until_ms: int) -> None:
        """Take no connection until then."""
        await self._listener.stop()
        self._clock.call_at(until_ms, partial(self._begin, self._open))

    async def _open(self) -> None:
        self._listener = self._make_listener(self._port)
        try:
            await self._listener.start()
        except OSError:
            again_ms = self._clock.now_ms() + _AGAIN_MS
            self._clock.call_at(again_ms, partial(self._begin, self._open))

    def _begin(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not self._stopped:
            task = asyncio.get_running_loop().create_task(work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

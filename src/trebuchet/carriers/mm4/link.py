"""A link to an MM4 peer: forwards go out, and stay with the link until the peer's relay has answered.

A forward that waits for its answer is a claimed row, so nothing of a transaction but its row need survive: after a
crash it is submitted again under the same message id, and the peer, which knows that id, answers again. What the
answer says of each recipient is in `protocols.mm4.session`.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec.structs import replace

from trebuchet.carriers.base import (
    Accepted,
    CarrierReports,
    Debts,
    HeldFiles,
    LinkState,
    Lost,
    Refused,
    RetryAt,
    Shipment,
    Snooze,
)
from trebuchet.carriers.mm4 import translate
from trebuchet.carriers.mm4.incoming import Incoming
from trebuchet.carriers.mm4.settings import Mm4Settings
from trebuchet.carriers.mm4.telling import Teller
from trebuchet.carriers.mm4.transit import WAITING, Transit
from trebuchet.carriers.multimedia import Encoder
from trebuchet.carriers.reach import Reach
from trebuchet.clock import Clock, Ids, Timer
from trebuchet.errors import TrebuchetError
from trebuchet.media.images import BadImage, CannotFit
from trebuchet.media.workers import Busy, ImageWorkers
from trebuchet.model.receipt import Receipt
from trebuchet.protocols.mm4 import EncodeError, ForwardRes, encode, normalised, session, status
from trebuchet.protocols.mm4.session import Do, State, Terms
from trebuchet.protocols.mm4.status import Verdict
from trebuchet.smtp import (
    Envelope,
    Reply,
    SmtpError,
    SmtpListener,
    SmtpLost,
    SmtpPool,
    SmtpRefused,
    SmtpTemporary,
    Submitted,
)
from trebuchet.telemetry import Telemetry

TOO_LARGE: Final = 4711
BAD_MEDIA: Final = 4412
NOT_WRITABLE: Final = 4752
_AGAIN_MS: Final = (60_000, 300_000, 900_000, 3_600_000)  # after a refusal for now, by try
_NOT_NOW: Final = frozenset({421, 452})  # said of the peer itself, not of a mail: RFC 5321 section 4.2.3
_BUSY_MS: Final = 2_000
_LISTEN_AGAIN_MS: Final = 10_000


class Mm4Link:
    """A CarrierLink with one lane. Everything happens in one event loop; only `start` and `stop` wait."""

    def __init__(
        self,
        carrier_id: str,
        settings: Mm4Settings,
        *,
        clock: Clock,
        ids: Ids,
        reports: CarrierReports,
        held_files: HeldFiles,
        images: ImageWorkers,
        is_ours: Callable[[str], bool],
        debts: Debts,
        telemetry: Telemetry,
    ) -> None:
        self.carrier_id = carrier_id
        self.lanes: Sequence[str] = (f"{carrier_id}/0",)
        self.settings = settings
        self._clock = clock
        self._ids = ids
        self._reports = reports
        self._held_files = held_files
        self._encoder = Encoder(settings, images)
        self._telemetry = telemetry
        self._terms = Terms(ack=settings.answers, response_ms=settings.response_timeout_s * 1000)
        self._pool = SmtpPool(settings.client())
        self._teller = Teller(
            carrier_id,
            settings.system,
            clock=clock,
            submit=self._pool.submit,
            debts=debts,
            telemetry=telemetry,
        )
        self._incoming = Incoming(
            carrier_id,
            settings,
            clock=clock,
            ids=ids,
            reports=reports,
            teller=self._teller,
            is_ours=is_ours,
            answered=self._answered,
            bounced=self._bounced,
            telemetry=telemetry,
        )
        listening = settings.listener()
        self._listener = (
            None if listening is None else SmtpListener(listening, self._incoming.handle, telemetry=telemetry)
        )
        self._out: dict[str, Transit] = {}  # by transaction id
        self._none_out = asyncio.Event()
        self._turns = asyncio.Semaphore(2 * settings.connections)
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False
        self._reach = Reach(clock, probe=self._pool.probe, again=reports.room, changed=self._reach_changed)
        self._again: Timer | None = None

    @property
    def state(self) -> LinkState:
        return LinkState.UP if self._running and not self._reach.down else LinkState.DOWN

    def room(self, lane: str) -> int:
        """See CarrierLink."""
        if not self._running or lane not in self.lanes or self._reach.down:
            return 0
        return max(self.settings.window - len(self._out), 0)

    def submit(self, lane: str, shipment: Shipment) -> None:
        """See CarrierLink. The outcome follows the peer's answer, minutes later perhaps."""
        now_ms = self._clock.now_ms()
        if self.room(lane) <= 0:
            until_ms = max(self._reach.down_until_ms, now_ms + _BUSY_MS)
            call = partial(self._reports.outcome, shipment, Snooze(until_ms, "the link has no room"))
            asyncio.get_running_loop().call_soon(call)
            return
        transaction_id = self._ids.message_id(now_ms)
        begun = [session.begun(now_ms, self._terms) for _ in shipment.deliveries]
        transit = Transit(shipment, translate.message_id_of(shipment, self.settings), begun)
        self._out[transaction_id] = transit
        self._begin(self._forward(transaction_id, transit))

    async def start(self) -> None:
        """See CarrierLink. While the listening port cannot be had, forwards go out all the same."""
        self._running = True
        await self._teller.resume()
        await self._listen()

    async def stop(self, grace_s: float) -> None:
        """See CarrierLink. A forward whose answer is still awaited then is submitted again after the next start."""
        self._running = False
        self._reach.cancel()
        if self._out and grace_s > 0:
            self._none_out.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._none_out.wait()
        for timer in (self._again, *(transit.timer for transit in self._out.values())):
            if timer is not None:
                timer.cancel()
        if self._listener is not None:
            await self._listener.stop()
        await self._teller.close()
        await self._pool.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transaction_id in list(self._out):
            self._settle(transaction_id, Lost("the link was stopped before the answer came"))

    async def _listen(self) -> None:
        self._again = None
        if self._listener is None or not self._running:
            return
        try:
            await self._listener.start()
        except (OSError, ValueError) as error:
            self._telemetry.problem("mm4_not_listening", carrier=self.carrier_id, reason=str(error))
            again_ms = self._clock.now_ms() + _LISTEN_AGAIN_MS
            self._again = self._clock.call_at(again_ms, lambda: self._begin(self._listen()))

    # ---- out ----

    def _begin(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, transaction_id: str, transit: Transit) -> None:
        """Write the mail and hand it over; few at a time, for mails are large."""
        async with self._turns:
            outcome = await self._written(transaction_id, transit)
            if outcome is not None:
                self._settle(transaction_id, outcome)
                return
            await self._hand_over(transaction_id, transit)
            transit.mail = b""  # to submit it again it is written again

    async def _written(self, transaction_id: str, transit: Transit) -> Refused | Snooze | None:
        """Make the mail; an outcome if that cannot be."""
        shipment, now_ms = transit.shipment, self._clock.now_ms()
        try:
            files = await self._held_files(shipment.message.id) if shipment.message.media else []
            parts = await self._encoder.parts(files, shipment.message.text)
            request = translate.forward(shipment, self.settings, transaction_id, now_ms)
            dialect = self.settings.dialect
            transit.mail = encode(request, f"b{transaction_id}", dialect=dialect, parts=parts)
            transit.recipients = translate.recipients_of(shipment, self.settings)
        except CannotFit as error:
            return Refused(TOO_LARGE, str(error))
        except BadImage as error:
            return Refused(BAD_MEDIA, str(error))
        except EncodeError as error:
            return Refused(NOT_WRITABLE, str(error))
        except (Busy, TrebuchetError) as error:
            return Snooze(now_ms + _BUSY_MS, str(error))
        return None

    async def _hand_over(self, transaction_id: str, transit: Transit) -> None:
        # The answer may come before the SMTP reply, hence the deadline is set before.
        self._set_deadline(transaction_id, transit)
        envelope = Envelope(
            mail_from=self.settings.system, rcpt_tos=tuple(transit.recipients), octets=transit.mail
        )
        try:
            submitted = await self._pool.submit(envelope)
        except SmtpError as error:
            transit.exchanged.append(self._said("out", "SMTP", error.dialogue))
            self._not_handed_over(transaction_id, transit, error)
            return
        self._reach.reached()
        transit.exchanged.append(self._said("out", "SMTP", submitted.dialogue))
        self._taken(transaction_id, transit, submitted)

    def _taken(self, transaction_id: str, transit: Transit, submitted: Submitted) -> None:
        later = [reply for reply in submitted.refused.values() if reply.code < 500]
        if later and not transit.settled:
            # The whole is submitted again: who has it already knows its id.
            self._settle(transaction_id, self._retry(transit, later[0]))
            return
        for rcpt, reply in submitted.refused.items():
            transit.words = reply.line
            refused = session.SmtpRefused(status.smtp_outcome(reply.code, _enhanced(reply)))
            self._step(transit, transit.recipients[rcpt], refused)
        for rcpt in submitted.accepted:
            self._step(transit, transit.recipients[rcpt], session.SmtpAccepted())
        self._conclude(transaction_id, transit)

    def _not_handed_over(self, transaction_id: str, transit: Transit, error: SmtpError) -> None:
        now_ms = self._clock.now_ms()
        if isinstance(error, SmtpRefused):
            self._reach.reached()
            outcome = status.smtp_outcome(error.reply.code, _enhanced(error.reply))
            if outcome.verdict is Verdict.LINK:
                self._reach.failed(str(error))
                self._settle(transaction_id, Snooze(self._reach.down_until_ms, str(error)))
            else:
                self._settle(transaction_id, Refused(outcome.code or NOT_WRITABLE, error.reply.line))
        elif isinstance(error, SmtpTemporary) and error.reply.code not in _NOT_NOW:
            self._reach.reached()
            self._settle(transaction_id, self._retry(transit, error.reply))
        elif isinstance(error, SmtpLost) and error.after_data:
            # The peer may have it. To ask is to submit it again, under the same message id.
            self._reach.failed(str(error))
            self._settle(transaction_id, Lost(str(error)))
        else:
            self._reach.failed(str(error))
            self._settle(transaction_id, Snooze(max(self._reach.down_until_ms, now_ms + 1), str(error)))

    def _retry(self, transit: Transit, reply: Reply) -> RetryAt:
        pause_ms = _AGAIN_MS[min(transit.shipment.attempt, len(_AGAIN_MS)) - 1]
        code = status.smtp_outcome(reply.code, _enhanced(reply)).code
        return RetryAt(self._clock.now_ms() + pause_ms, code or NOT_WRITABLE, reply.line)

    # ---- what the peer says of it ----

    def _answered(self, answer: ForwardRes) -> bool:
        """An MM4_forward.RES. False if no forward waits for it."""
        outcome = status.request_outcome(answer.status, answer.internal_code)
        transaction_id = self._meant(answer, outcome.verdict)
        transit = self._out.get(transaction_id)
        if transit is None:
            return False
        transit.words = " ".join(filter(None, (answer.status, answer.status_text)))[:200]
        transit.exchanged.append(self._said("in", str(answer.TYPE), translate.shown(answer)))
        named = {address.value for address in answer.recipients}
        for place, delivery in enumerate(transit.shipment.deliveries):
            said = session.about(outcome, named=delivery.to in named, any_named=bool(named))
            if said is not None:
                self._step(transit, place, said)
        self._conclude(transaction_id, transit)
        return True

    def _meant(self, answer: ForwardRes, verdict: Verdict) -> str:
        """The transaction of an answer. Ok to an earlier one, from before a restart, is Ok to the message."""
        transaction_id = normalised(answer.transaction_id)
        if transaction_id in self._out or verdict is not Verdict.OK:
            return transaction_id
        message_id = normalised(answer.message_id)
        same = (each for each, out in self._out.items() if normalised(out.message_id) == message_id)
        return next(same, transaction_id)

    def _bounced(self, transaction_id: str, number: str | None, code: int, words: str) -> bool:
        """The mail came back. False if no forward of that id is out."""
        transit = self._out.get(transaction_id)
        if transit is None:
            return False
        transit.words = words
        for place, delivery in enumerate(transit.shipment.deliveries):
            if number is None or delivery.to == number:
                self._step(transit, place, session.Bounced(code))
        self._conclude(transaction_id, transit)
        return True

    def _step(self, transit: Transit, place: int, happened: session.Happening) -> Do:
        step = session.step(transit.transactions[place], happened, self._clock.now_ms(), self._terms)
        transit.transactions[place] = step.transaction
        return step.do

    def _set_deadline(self, transaction_id: str, transit: Transit) -> None:
        if transit.timer is not None:
            transit.timer.cancel()
            transit.timer = None
        due = [t.deadline_ms for t in transit.transactions if t.state in WAITING and t.deadline_ms]
        if due and not transit.settled:
            transit.timer = self._clock.call_at(min(due), partial(self._deadline, transaction_id))

    def _deadline(self, transaction_id: str) -> None:
        transit = self._out.get(transaction_id)
        if transit is None:
            return
        now_ms = self._clock.now_ms()
        resend = False
        for place, transaction in enumerate(transit.transactions):
            due_ms = transaction.deadline_ms
            if transaction.state in WAITING and due_ms is not None and due_ms <= now_ms:
                resend |= self._step(transit, place, session.Deadline()) is Do.RESEND
        if resend:
            self._begin(self._forward(transaction_id, transit))
        else:
            self._conclude(transaction_id, transit)

    def _conclude(self, transaction_id: str, transit: Transit) -> None:
        """Settle the shipment, if nothing is to be waited for any more."""
        if transit.settled or transit.open:
            self._set_deadline(transaction_id, transit)
            return
        failed = [
            (delivery.to, transaction.code or NOT_WRITABLE)
            for delivery, transaction in zip(transit.shipment.deliveries, transit.transactions, strict=True)
            if transaction.state is State.FAILED
        ]
        if len(failed) == len(transit.transactions):
            self._settle(transaction_id, Refused(failed[0][1], transit.words))
            return
        ids = [
            (translate.part_id(transit.message_id, delivery.to),) for delivery in transit.shipment.deliveries
        ]
        self._settle(transaction_id, Accepted(tuple(ids)))
        now_ms = self._clock.now_ms()
        for number, code in failed:
            self._report(
                translate.refused_part(
                    self.carrier_id, transit.message_id, number, code, transit.words, now_ms
                )
            )
        if not self.settings.reports:
            gone = {number for number, _ in failed}
            for delivery in transit.shipment.deliveries:
                if delivery.to not in gone:
                    self._report(
                        translate.delivered_part(self.carrier_id, transit.message_id, delivery.to, now_ms)
                    )

    def _report(self, receipt: Receipt) -> None:
        """A receipt that nobody acknowledges: what fails to be stored is announced, and times out."""
        self._reports.receipt(receipt).add_done_callback(_observed)

    def _said(self, direction: str, what: str, lines: Iterable[str]) -> tuple[int, str, bytes]:
        """As `trebuchet show` has it: neither the message nor a password is in it."""
        return self._clock.now_ms(), direction, "\n".join((what, *lines)).encode()

    def _settle(self, transaction_id: str, outcome: Accepted | Refused | RetryAt | Snooze | Lost) -> None:
        transit = self._out.pop(transaction_id, None)
        if transit is None or transit.settled:
            return
        transit.settled = True
        if not self._out:
            self._none_out.set()
        if transit.timer is not None:
            transit.timer.cancel()
        self._reports.outcome(transit.shipment, replace(outcome, pdus=tuple(transit.exchanged)))
        if self._running:
            self._reports.room()

    def _reach_changed(self, there: bool, why: str) -> None:
        if there:
            self._telemetry.note("mm4_peer_reached", carrier=self.carrier_id)
        else:
            self._telemetry.problem("mm4_peer_unreachable", carrier=self.carrier_id, reason=why)


def _enhanced(reply: Reply) -> str:
    """The status of RFC 3463 that a reply's text begins with, if it does."""
    first = reply.text.partition(" ")[0]
    return first if first.count(".") == 2 and first.replace(".", "").isdecimal() else ""


def _observed(future: "asyncio.Future[None]") -> None:
    """Its failure was announced where it happened."""
    if not future.cancelled():
        future.exception()

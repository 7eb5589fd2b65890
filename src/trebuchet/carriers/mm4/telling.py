"""Mails about messages of the peer: answers and reports, told until the peer has taken them.

What is owed is on disk (`Debts`) and is told again after a restart; an answer that is not is tried again from memory,
for whoever never got it sends its message again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from trebuchet.carriers.base import Debts
from trebuchet.clock import Clock, Timer
from trebuchet.errors import TrebuchetError
from trebuchet.model.owed import OwedMail
from trebuchet.smtp import Envelope, SmtpError, SmtpRefused, Submitted
from trebuchet.telemetry import Telemetry

_ANSWER_S: Final = 10.0  # that a mail may take
_AGAIN_S: Final = (1, 5, 15, 60, 300, 900, 3600, 3600)  # until it is sent again
_PENDING_MAX: Final = 10_000  # mails that wait for that
_LOADED_MAX: Final = 5_000  # debts that are told after a start
_GIVE_UP_MS: Final = 86_400_000  # of what is owed: a report of yesterday is of no use

Submit = Callable[[Envelope], Awaitable[Submitted]]


class Mail(msgspec.Struct, frozen=True):
    """What is told. `owed` is its id among the debts, and since when it is owed; None: it is not on disk."""

    envelope: Envelope
    kind: str  # for the log
    owed: tuple[str, int] | None = None


class Teller:
    """Sends mails to one peer. All calls in one event loop."""

    def __init__(
        self,
        carrier_id: str,
        sender: str,
        *,
        clock: Clock,
        submit: Submit,
        debts: Debts,
        telemetry: Telemetry,
    ) -> None:
        self._carrier_id = carrier_id
        self._sender = sender
        self._clock = clock
        self._submit = submit
        self._debts = debts
        self._telemetry = telemetry
        self._waiting: dict[Timer, str | None] = {}  # until a mail is sent again; its id among the debts
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def resume(self) -> None:
        """Begin to tell what an earlier run left."""
        try:
            owed = await self._debts.of(self._carrier_id, _LOADED_MAX)
        except TrebuchetError as error:
            self._telemetry.problem("mm4_debts_not_read", carrier=self._carrier_id, error=str(error))
            return
        for debt in owed:
            self.later(self.of_debt(debt), 0)

    def of_debt(self, debt: OwedMail) -> Mail:
        """The mail that is owed."""
        envelope = Envelope(
            mail_from=self._sender, rcpt_tos=(debt.mailbox,), octets=debt.mail.encode("latin-1")
        )
        return Mail(envelope, "owed", (debt.id, debt.created_ms))

    async def tell(self, mail: Mail, tries: int = 0, *, again: bool = True) -> bool:
        """Whether the peer took it, or refused it for good; otherwise it is tried again, unless `again` says not."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._submit(mail.envelope)
        except (SmtpError, ValueError, TimeoutError) as error:
            self._telemetry.problem(
                "mm4_answer_not_sent",
                carrier=self._carrier_id,
                kind=mail.kind,
                reason=str(error) or "no answer in time",
            )
            if not isinstance(error, SmtpRefused | ValueError):
                if again:
                    self.later(mail, tries)
                return False
        if mail.owed is not None:
            self._debts.drop([mail.owed[0]])
        return True

    def later(self, mail: Mail, tries: int) -> None:
        """Tell it after the pause that follows so many tries; not if it waits already or has waited long enough."""
        if self._closed or len(self._waiting) >= _PENDING_MAX:
            return
        now_ms = self._clock.now_ms()
        if mail.owed is None:
            if tries >= len(_AGAIN_S):
                return
        elif now_ms - mail.owed[1] > _GIVE_UP_MS:
            self._debts.drop([mail.owed[0]])
            return
        elif mail.owed[0] in self._waiting.values():
            return

        def due() -> None:
            del self._waiting[timer]
            task = asyncio.get_running_loop().create_task(self._told(mail, tries + 1))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        pause_s = _AGAIN_S[min(tries, len(_AGAIN_S) - 1)]
        timer = self._clock.call_at(now_ms + pause_s * 1000, due)
        self._waiting[timer] = None if mail.owed is None else mail.owed[0]

    async def _told(self, mail: Mail, tries: int) -> None:
        await self.tell(mail, tries)

    async def close(self) -> None:
        """Forget what is still to be told; what is owed is on disk. May be called twice."""
        self._closed = True
        for timer in self._waiting:
            timer.cancel()
        self._waiting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

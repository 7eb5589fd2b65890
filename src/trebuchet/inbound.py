"""A message that a handset sent: stored with its event and callback row, then acknowledged to the carrier."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from trebuchet.accept import Acceptor, SendRequest
from trebuchet.carriers.base import InboundPart
from trebuchet.clock import Clock, Ids
from trebuchet.errors import Conflict, NotFound, TrebuchetError
from trebuchet.model.account import Application, Directory, Number, OptOut, Profile
from trebuchet.model.events import DESCRIPTIONS, Announcement, CallbackItem, Event, EventType, event_id
from trebuchet.model.keywords import Keyword, keyword
from trebuchet.model.message import Delivery, Direction, Kind, Message
from trebuchet.model.status import State
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import Accept, Create, Remove, Write
from trebuchet.telemetry import Telemetry

_CONFIRM_OUT = "You are unsubscribed and will receive no more messages. Reply START to resubscribe."
_CONFIRM_IN = "You are subscribed again. Reply STOP to unsubscribe."
_DEFAULT_HELP = "Reply STOP to unsubscribe."


class KeywordAction(msgspec.Struct, frozen=True):
    """What follows from a keyword: a change of the opt-out list, and what is answered to the handset."""

    change: Write | None
    reply: str | None


def keyword_action(
    text: str, number: Number, handset: str, application: Application, directory: Directory, now_ms: int
) -> KeywordAction:
    """What STOP, START or HELP asks for, for an application that has it handled. Pure.

    A keyword that changes nothing is not answered, so that two machines cannot talk to each other for ever.
    """
    word = keyword(text) if application.opt_out else None
    out = (number.number, handset) in directory.opt_outs
    record = OptOut(number=number.number, handset=handset, created_ms=now_ms)
    if word is Keyword.OUT and not out:
        return KeywordAction(Create(record), _CONFIRM_OUT)
    if word is Keyword.IN and out:
        return KeywordAction(Remove(record), _CONFIRM_IN)
    if word is Keyword.HELP and not out:
        return KeywordAction(None, application.help_text or _DEFAULT_HELP)
    return KeywordAction(None, None)


class Inbound:
    """All calls in the event loop; none blocks."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        committer: Committer,
        directory: Callable[[], Directory],
        reload_directory: Callable[[], Awaitable[None]],
        acceptor: Acceptor,
        announce: Callable[[Message, Sequence[Announcement]], None],
        telemetry: Telemetry,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._committer = committer
        self._directory = directory
        self._reload_directory = reload_directory
        self._acceptor = acceptor
        self._announce = announce
        self._telemetry = telemetry
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, part: InboundPart) -> "asyncio.Future[None]":
        """Resolves when the message, its event and its callback row are on disk.

        A group message gives one message per number of ours, each with its own id. Fails with NotFound if
        no number of ours is among the recipients.
        """
        task = asyncio.get_running_loop().create_task(self._receive(part))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _receive(self, part: InboundPart) -> None:
        directory = self._directory()
        recipients = part.destinations or (part.destination,)
        ours = [directory.numbers[to] for to in dict.fromkeys(recipients) if to in directory.numbers]
        if not ours:
            self._telemetry.problem(
                "inbound_for_unknown_number", carrier=part.carrier_id, number=part.destination
            )
            raise NotFound(f"{part.destination} is not a number of this gateway")
        changes = [self._message(part, recipients, number, directory) for number in ours]
        actions = [self._action(part, number, directory) for number in ours] if len(recipients) == 1 else []
        await self._store([*changes, *(a.change for a in actions if a.change is not None)])
        for change in changes:
            self._telemetry.count("trebuchet_messages_accepted_total", Direction.IN)
            self._announce(change.message, change.announcements)
        if any(a.change is not None for a in actions):
            await self._reload_directory()
        for number, action in zip(ours, actions, strict=False):
            if action.reply is not None:
                await self._reply(number, part.source, action.reply)

    async def _store(self, changes: Sequence[Write]) -> None:
        results: Sequence[Any] = await asyncio.gather(
            *(self._committer.add(change) for change in changes), return_exceptions=True
        )
        for change, result in zip(changes, results, strict=True):
            # An opt-out that another message of this handset made at the same time is as good as ours.
            repeated = isinstance(result, Conflict | NotFound) and not isinstance(change, Accept)
            if isinstance(result, BaseException) and not repeated:
                raise result

    def _message(
        self, part: InboundPart, recipients: tuple[str, ...], number: Number, directory: Directory
    ) -> Accept:
        now_ms = self._clock.now_ms()
        mms = bool(part.media) or len(recipients) > 1
        account = directory.accounts[number.account_id]
        message = Message(
            id=self._ids.message_id(now_ms),
            account_id=number.account_id,
            application_id=number.application_id,
            direction=Direction.IN,
            kind=Kind.MMS if mms else Kind.SMS,
            owner=number.number,
            source=part.source,
            destinations=recipients,
            text=part.text,
            media=part.media or None,
            tag=None,
            priority=None,
            expiration=None,
            valid_until_ms=now_ms,
            segment_count=1 if mms else part.segment_count,
            encoding=part.encoding,
            profile=account.profile or Profile.CURRENT,
            received_ms=now_ms,
        )
        delivery = Delivery(
            message.id,
            0,
            number.number,
            State.RECEIVED,
            part.carrier_id,
            None,
            None,
            "",
            0,
            0,
            0,
            None,
            None,
            None,
        )
        event = Event(
            id=event_id(message.id, 0, EventType.RECEIVED),
            message_id=message.id,
            recipient=0,
            type=EventType.RECEIVED,
            to=number.number,
            error_code=None,
            description=DESCRIPTIONS[EventType.RECEIVED],
            time_ms=now_ms,
        )
        item = CallbackItem(number.application_id, now_ms, event.id)
        return Accept(message, (delivery,), announcements=(Announcement(event, item),))

    def _action(self, part: InboundPart, number: Number, directory: Directory) -> KeywordAction:
        application = directory.applications[number.application_id]
        return keyword_action(part.text, number, part.source, application, directory, self._clock.now_ms())

    async def _reply(self, number: Number, handset: str, text: str) -> None:
        """Answer a keyword. The opt-out itself is stored already, so a reply that fails is only announced."""
        account = self._directory().accounts[number.account_id]
        request = SendRequest(
            source=number.number, destinations=(handset,), text=text, application_id=number.application_id
        )
        try:
            await self._acceptor.accept(
                request, account, account.profile or Profile.CURRENT, keyword_reply=True
            )
        except TrebuchetError as error:
            self._telemetry.problem("keyword_reply_failed", number=number.number, error=str(error))

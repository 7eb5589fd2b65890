"""A message that a handset sent: stored with its event and callback row, then acknowledged to the carrier.

The parts of a long one are held in the database, in any order and by whichever bind they come, until all are
there or have been waited for long enough.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec

from trebuchet.accept import Acceptor, SendRequest
from trebuchet.carriers.base import File, InboundPart, Part
from trebuchet.clock import Clock, Ids
from trebuchet.errors import Conflict, NotFound, StorageError, TrebuchetError
from trebuchet.media.library import MediaLibrary
from trebuchet.model.account import Application, Directory, Number, OptOut, Profile
from trebuchet.model.events import DESCRIPTIONS, Announcement, CallbackItem, Event, EventType, event_id
from trebuchet.model.keywords import Keyword, keyword
from trebuchet.model.media import Content
from trebuchet.model.message import Delivery, Direction, Kind, Message
from trebuchet.model.parts import HeldPart, Holding, PartsTaken
from trebuchet.model.status import State
from trebuchet.outbox.committer import Committer
from trebuchet.protocols import sms
from trebuchet.storage.base import (
    Accept,
    Create,
    DropParts,
    HoldPart,
    IdempotencyKey,
    PartHeld,
    PartsGone,
    Remove,
    Store,
    Write,
)
from trebuchet.telemetry import Telemetry
from trebuchet.tracing import OFF, Tracer

_CONFIRM_OUT = "You are unsubscribed and will receive no more messages. Reply START to resubscribe."
_CONFIRM_IN = "You are subscribed again. Reply STOP to unsubscribe."
_DEFAULT_HELP = "Reply STOP to unsubscribe."

_REPEATED_MS = 86_400_000
_REFERENCE_REUSED_MS = 1_800_000  # other octets after that long: the reference stands for another message
_HOLD_TRIES = 3  # each takes an earlier set out of the way
_SETS_AT_ONCE = 100
_FOREVER_MS = 1 << 62
HELD_MAX = 100_000  # parts; a flood of first parts must not fill the disk


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


def assembled(parts: Sequence[HeldPart]) -> tuple[str, str]:
    """Text and encoding of the message that parts of one set make. Pure.

    Octets are joined before they are decoded. What is no text is shown in hexadecimal digits.
    """
    first = parts[0]
    if all((part.encoding, part.single_shift) == (first.encoding, first.single_shift) for part in parts):
        pieces = [sms.Part(part.number, part.octets) for part in parts]
        encoding = sms.Encoding(first.encoding)
        joined = sms.join(
            first.total, pieces, sms.DataCoding.DEFAULT, encoding, single_shift=first.single_shift
        )
        return joined.octets.hex() if joined.text is None else joined.text, first.encoding
    # Parts that are written differently: each says what it says.
    texts = [assembled([part])[0] for part in sorted(parts, key=lambda part: part.number)]
    return "".join(texts), first.encoding


def _repeat_key(part: InboundPart, number: Number, now_ms: int) -> IdempotencyKey | None:
    """By what a repetition is recognised, for a day. Applications' own keys cannot be like it: a NUL is in it."""
    if not part.repeat_key:
        return None
    key = f"{part.carrier_id}\0{part.repeat_key}\0{number.number}"
    return IdempotencyKey(number.account_id, key, "", now_ms + _REPEATED_MS)


def _recipients(part: InboundPart) -> tuple[str, ...]:
    return part.destinations or (part.destination,)


def _held(inbound: InboundPart, part: Part, now_ms: int) -> HeldPart:
    return HeldPart(
        inbound.carrier_id,
        inbound.source,
        inbound.destination,
        part.reference,
        part.width,
        part.total,
        part.number,
        part.encoding,
        part.octets,
        part.single_shift,
        now_ms,
        inbound.carrier_message_id,
    )


def _whole(parts: Sequence[HeldPart]) -> InboundPart:
    """The message that parts of one set make."""
    first = parts[0]
    text, encoding = assembled(parts)
    return InboundPart(
        carrier_id=first.carrier_id,
        source=first.source,
        destination=first.destination,
        text=text,
        segment_count=first.total,
        encoding=encoding,
        carrier_message_id=first.carrier_message_id,
    )


class Inbound:
    """All calls in the event loop; none blocks."""

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        store: Store,
        committer: Committer,
        directory: Callable[[], Directory],
        reload_directory: Callable[[], Awaitable[None]],
        acceptor: Acceptor,
        library: MediaLibrary,
        reassembly_timeout_s: int,
        announce: Callable[[Message, Sequence[Announcement]], None],
        telemetry: Telemetry,
        tracer: Tracer = OFF,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._database = store
        self._committer = committer
        self._directory = directory
        self._reload_directory = reload_directory
        self._acceptor = acceptor
        self._library = library
        self._reassembly_timeout_ms = reassembly_timeout_s * 1000
        self._announce = announce
        self._telemetry = telemetry
        self._tracer = tracer
        self._tasks: set[asyncio.Task[None]] = set()
        self._making_room = False

    def receive(self, part: InboundPart) -> "asyncio.Future[None]":
        """Resolves when the message, its event and its callback row are on disk; for one of several parts, when
        it is held, and if it was the last to come, when the message is on disk.

        A group message gives one message per number of ours, each with its own id. Fails with NotFound if
        no number of ours is among the recipients.
        """
        return self._begin(self._receive(part))

    async def resume(self) -> None:
        """Finish the messages of which all parts were there when the process ended."""
        while sets := await self._database.complete_parts(_SETS_AT_ONCE):
            await asyncio.gather(*map(self._finish, sets))

    async def hand_over_late(self) -> None:
        """Finish, with what is there, the messages whose parts did not all come in time."""
        before_ms = self._clock.now_ms() - self._reassembly_timeout_ms
        while sets := await self._database.stale_parts(before_ms, _SETS_AT_ONCE):
            await asyncio.gather(*map(self._finish, sets))

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _receive(self, inbound: InboundPart) -> None:
        part = inbound.part
        if part is None:
            await self._accept(inbound)
            return
        self._ours(inbound)  # what is for nobody here is not held
        held = _held(inbound, part, self._clock.now_ms())
        for _ in range(_HOLD_TRIES):
            result: PartHeld = await self._committer.add(
                HoldPart(held, held.received_ms - _REFERENCE_REUSED_MS)
            )
            if result.total > HELD_MAX and not self._making_room:
                self._making_room = True
                self._begin(self._make_room(result.total - HELD_MAX))
            if result.holding is Holding.ALONE:
                await self._accept(_whole([held]))
                self._incomplete(held)
            elif result.holding is not Holding.HELD:
                await self._hand_over(result.parts)
            if result.holding is not Holding.IN_THE_WAY:
                return
        raise StorageError(f"the parts under reference {part.reference} change too often")

    # ---- parts ----

    async def _hand_over(self, parts: Sequence[HeldPart]) -> None:
        """Store the message that parts make, unless somebody was faster or more of them have come."""
        first = parts[0]
        stored = await self._accept(_whole(parts), PartsTaken(first.key, len(parts)))
        if stored and len(parts) < first.total:
            self._incomplete(first)

    async def _finish(self, parts: Sequence[HeldPart]) -> None:
        try:
            await self._hand_over(parts)
        except NotFound:  # its number is gone, and was announced as unknown
            await self._committer.add(DropParts(PartsTaken(parts[0].key, len(parts))))

    async def _make_room(self, excess: int) -> None:
        """Finish the oldest messages until so many parts are gone."""
        try:
            while excess > 0 and (sets := await self._database.stale_parts(_FOREVER_MS, _SETS_AT_ONCE)):
                oldest = []
                for parts in sets:
                    if excess > 0:
                        oldest.append(parts)
                        excess -= len(parts)
                await asyncio.gather(*map(self._finish, oldest))
        except TrebuchetError as error:
            self._telemetry.problem("parts_not_handed_over", error=str(error))
        finally:
            self._making_room = False

    def _incomplete(self, part: HeldPart) -> None:
        self._telemetry.count("trebuchet_inbound_incomplete_total", part.carrier_id)

    # ---- messages ----

    def _ours(self, part: InboundPart) -> list[Number]:
        """The numbers of ours among the recipients. Raises NotFound if there is none."""
        numbers = self._directory().numbers
        ours = [numbers[to] for to in dict.fromkeys(part.owners or _recipients(part)) if to in numbers]
        if not ours:
            self._telemetry.problem(
                "inbound_for_unknown_number", carrier=part.carrier_id, number=part.destination
            )
            raise NotFound(f"{part.destination} is not a number of this gateway")
        return ours

    async def _accept(self, part: InboundPart, parts: PartsTaken | None = None) -> bool:
        """Store a whole message, made of held parts if they are given. False if those are not what they were."""
        directory = self._directory()
        ours, recipients = self._ours(part), _recipients(part)
        contents = [await self._library.keep(file.octets) for file in part.files]
        files = list(zip(part.files, contents, strict=True))
        changes = [self._message(part, recipients, number, directory, parts, files) for number in ours]
        actions = [self._action(part, number, directory) for number in ours] if len(recipients) == 1 else []
        results = await self._store([*changes, *(a.change for a in actions if a.change is not None)])
        if isinstance(results[0], PartsGone):
            return False
        for change, result in zip(changes, results, strict=False):
            if result is not None:  # it had come before
                continue
            self._telemetry.count("trebuchet_messages_accepted_total", Direction.IN)
            if self._tracer.on:
                self._tracer.received(change.message, part.carrier_id)
            self._announce(change.message, change.announcements)
        if any(a.change is not None for a in actions):
            await self._reload_directory()
        for number, action, result in zip(ours, actions, results, strict=False):
            if action.reply is not None and result is None:
                await self._reply(number, part.source, action.reply)
        return True

    async def _store(self, changes: Sequence[Write]) -> Sequence[Any]:
        results: Sequence[Any] = await asyncio.gather(
            *(self._committer.add(change) for change in changes), return_exceptions=True
        )
        for change, result in zip(changes, results, strict=True):
            # An opt-out that another message of this handset made at the same time is as good as ours.
            repeated = isinstance(result, Conflict | NotFound) and not isinstance(change, Accept)
            if isinstance(result, BaseException) and not repeated:
                raise result
        return results

    def _message(
        self,
        part: InboundPart,
        recipients: tuple[str, ...],
        number: Number,
        directory: Directory,
        parts: PartsTaken | None,
        files: Sequence[tuple[File, Content]],
    ) -> Accept:
        now_ms = self._clock.now_ms()
        mms = part.multimedia or bool(part.media or files) or len(recipients) > 1
        account = directory.accounts[number.account_id]
        profile = account.profile or Profile.CURRENT
        id_ = self._ids.message_id(now_ms)
        objects = self._library.received(account.id, id_, files)
        media = (*part.media, *(self._library.url_for(each, profile) for each in objects))
        message = Message(
            id=id_,
            account_id=number.account_id,
            application_id=number.application_id,
            direction=Direction.IN,
            kind=Kind.MMS if mms else Kind.SMS,
            owner=number.number,
            source=part.source,
            destinations=recipients,
            text=part.text,
            media=media or None,
            tag=None,
            priority=None,
            expiration=None,
            valid_until_ms=now_ms,
            segment_count=1 if mms else part.segment_count,
            encoding=part.encoding,
            profile=profile,
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
        return Accept(
            message,
            (delivery,),
            announcements=(Announcement(event, item),),
            parts=parts,
            idempotency=_repeat_key(part, number, now_ms),
            media=objects,
            contents=[content for _, content in files],
            owed=[mail for owed_by, mail in part.owed if owed_by == number.number],
        )

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

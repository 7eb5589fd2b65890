"""Taking a message: judge it, give it its place in a lane, store all of it in one change, then say so.

What is wrong with the request's form has been answered before this. What is wrong with its content (a number
that is not the account's, a recipient that opted out) is accepted and called back as `message-failed`, as the
API that we speak does, unless the setting `api.strict_numbers` asks for an answer at once.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from trebuchet.clock import Clock, Ids
from trebuchet.errors import LeaseLost, QueueFull, Rejected
from trebuchet.model import address, errorcodes, ledger
from trebuchet.model.account import Account, Directory, NumberKind, Profile
from trebuchet.model.events import Announcement, EventType
from trebuchet.model.message import Delivery, Direction, Kind, Message, WorkItem, first_of_group, group
from trebuchet.model.status import Happening, State
from trebuchet.outbox.committer import Committer
from trebuchet.outbox.pacing import QUEUE_S, Full, Limit, Pacing
from trebuchet.protocols.sms import segmentation, smart_encode
from trebuchet.routing import NoRoute, route
from trebuchet.storage.base import Accept, DueWork, Fence, IdempotencyKey
from trebuchet.tracing import OFF, Tracer


class SendRequest(msgspec.Struct, frozen=True):
    """A well-formed request. Numbers are normalised, duplicates among the recipients dropped."""

    source: str
    destinations: tuple[str, ...]
    text: str
    application_id: str
    media: tuple[str, ...] | None = None
    tag: str | None = None
    priority: str | None = None
    expiration: str | None = None
    expires_ms: int | None = None


class AccountQueueFull(QueueFull):
    """The paced queue of an account or number holds its 15 minutes."""

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self.capacity = per_minute * QUEUE_S / 60
        super().__init__(f"allowed rate {per_minute:g} segments per minute, capacity {self.capacity:g}")


class GatewayQueueFull(QueueFull):
    """The gateway holds as many deliveries as the setting `outbox.queue_max` allows."""


class ForeignNumber(Rejected):
    """`from` is not the account's or not the application's (strict mode)."""


class WrongApplication(Rejected):
    """`applicationId` is not the account's (strict mode)."""


class AcceptSettings(msgspec.Struct, frozen=True):
    default_validity_ms: int
    queue_max: int
    recipients_max: int
    strict_numbers: bool


def judge_sender(request: SendRequest, account_id: str, directory: Directory) -> int | None:
    """The error code that fails the whole message, or None. Pure."""
    application = directory.applications.get(request.application_id)
    if application is None or application.account_id != account_id:
        return errorcodes.WRONG_APPLICATION
    number = directory.numbers.get(request.source)
    if number is None or number.account_id != account_id or number.application_id != request.application_id:
        return errorcodes.FOREIGN_FROM
    return None


def judge_recipient(request: SendRequest, to: str, directory: Directory) -> int | None:
    """The error code that fails this recipient, or None. Pure."""
    if to == request.source:
        return errorcodes.SAME_NUMBER
    if address.is_emergency(to):
        return errorcodes.EMERGENCY
    if address.is_premium(to):
        return errorcodes.FORBIDDEN_TO
    if not to.startswith("+"):
        return errorcodes.MALFORMED_TO
    number = directory.numbers.get(request.source)
    if number is not None and number.kind is NumberKind.ALPHANUMERIC and address.is_nanp(to):
        return errorcodes.FORBIDDEN_COUNTRY
    if (request.source, to) in directory.opt_outs:
        return errorcodes.OPTED_OUT
    return None


class Acceptor:
    """Stores outbound messages. All calls in the event loop; none blocks.

    `reserve` says whether a work item may be stored as claimed, with the `fence` of its lane; then `offer` is given
    it, committed, or `withdraw`, if that failed. `announce` is given what is to be called back at once.
    `queued` counts deliveries that wait for a carrier. `lanes` names those of each carrier that can carry a kind;
    `stage` the lane that the delivery of a message with media begins in.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Ids,
        committer: Committer,
        directory: Callable[[], Directory],
        lanes: Callable[[Kind], Mapping[str, Sequence[str]]],
        stage: Callable[[Delivery], str],
        pacing: Pacing,
        settings: AcceptSettings,
        reserve: Callable[[str, int], bool],
        fence: Callable[[str], Fence | None],
        withdraw: Callable[[Sequence[WorkItem]], None],
        offer: Callable[[Sequence[DueWork]], None],
        announce: Callable[[Message, Sequence[Announcement]], None],
        tracer: Tracer = OFF,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._committer = committer
        self._directory = directory
        self._lanes = lanes
        self._stage = stage
        self._pacing = pacing
        self._settings = settings
        self._reserve = reserve
        self._fence = fence
        self._withdraw = withdraw
        self._offer = offer
        self._announce = announce
        self._tracer = tracer
        self.queued = 0

    def accept(
        self,
        request: SendRequest,
        account: Account,
        profile: Profile,
        idempotency: Callable[[int], IdempotencyKey] | None = None,
        *,
        keyword_reply: bool = False,
    ) -> "asyncio.Future[Message]":
        """As `take`, with a future: it fails with IdempotencyMismatch or StorageUnavailable."""
        stored: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self.take(
            request, account, profile, partial(_resolve, stored), idempotency, keyword_reply=keyword_reply
        )
        return stored

    def take(
        self,
        request: SendRequest,
        account: Account,
        profile: Profile,
        stored: Callable[[Message | Exception], None],
        idempotency: Callable[[int], IdempotencyKey] | None = None,
        *,
        keyword_reply: bool = False,
        caller: bytes | None = None,
    ) -> None:
        """Store a message. `stored` is called, once it is on disk, with it (or with the first message of a
        repeated idempotency key), or with IdempotencyMismatch or StorageUnavailable.

        Raises QueueFull, or in strict mode ForeignNumber or WrongApplication, before anything is stored.
        `keyword_reply` marks the one answer that a handset gets although it has just opted out. `caller` is the
        `traceparent` of the request.
        """
        now_ms = self._clock.now_ms()
        directory = self._directory()
        refusal = judge_sender(request, account.id, directory)
        if refusal is not None and self._settings.strict_numbers:
            raise (WrongApplication if refusal == errorcodes.WRONG_APPLICATION else ForeignNumber)(
                request.source
            )
        if self.queued + len(request.destinations) > self._settings.queue_max:
            raise GatewayQueueFull(f"{self.queued} deliveries are queued")
        message = self._message(request, account, profile, now_ms)
        deliveries, announcements = self._deliveries(request, message, refusal, directory, keyword_reply)
        work = self._work(request, message, deliveries, account, directory, now_ms)
        change = Accept(
            message,
            deliveries,
            work,
            announcements,
            idempotency(now_ms) if idempotency is not None else None,
            fences=self._fences(work),
        )
        self.queued += len(work)
        self._committer.put(change, partial(self._stored, change, stored, caller))

    def _fences(self, work: Sequence[WorkItem]) -> Sequence[Fence]:
        """Of the lanes in which work is claimed, where lanes have fences."""
        fences = [self._fence(item.lane) for item in work if item.claimed_ms is not None]
        return [fence for fence in fences if fence is not None]

    def _message(self, request: SendRequest, account: Account, profile: Profile, now_ms: int) -> Message:
        mms = request.media is not None or len(request.destinations) > 1
        counted = None if mms else self._counted(request)
        valid_until_ms = now_ms + self._settings.default_validity_ms
        if request.expires_ms is not None:
            valid_until_ms = min(valid_until_ms, request.expires_ms)
        return Message(
            id=self._ids.message_id(now_ms),
            account_id=account.id,
            application_id=request.application_id,
            direction=Direction.OUT,
            kind=Kind.MMS if mms else Kind.SMS,
            owner=request.source,
            source=request.source,
            destinations=request.destinations,
            text=request.text,
            media=request.media,
            tag=request.tag,
            priority=request.priority,
            expiration=request.expiration,
            valid_until_ms=valid_until_ms,
            segment_count=counted.segments if counted else 1,
            encoding=counted.encoding.value if counted else "",
            profile=profile,
            received_ms=now_ms,
        )

    def _counted(self, request: SendRequest) -> segmentation.SegmentCount:
        """What the text takes on air. With smart encoding a text that becomes GSM-7 is counted so, and links
        write it so; it is stored and called back as it was sent."""
        application = self._directory().applications.get(request.application_id)
        smart = application is not None and application.smart_encoding
        return segmentation.count(smart_encode(request.text) if smart else request.text)

    def _deliveries(
        self,
        request: SendRequest,
        message: Message,
        refusal: int | None,
        directory: Directory,
        keyword_reply: bool,
    ) -> tuple[list[Delivery], list[Announcement]]:
        deliveries: list[Delivery] = []
        announcements: list[Announcement] = []
        lanes = self._lanes(message.kind)
        now_ms = message.received_ms
        if refusal is None and len(message.destinations) > self._settings.recipients_max:
            refusal = errorcodes.TOO_MANY_RECIPIENTS
        for place, to in enumerate(message.destinations):
            delivery = Delivery(
                message.id, place, to, State.QUEUED, None, None, None, "", 0, 0, 0, None, None, None
            )
            code = refusal or judge_recipient(request, to, directory)
            if code == errorcodes.OPTED_OUT and keyword_reply:
                code = None
            why = "refused by the gateway"
            if code is None:
                chosen = route(directory, lanes, message.kind, message.source, to)
                if isinstance(chosen, NoRoute):
                    code, why = errorcodes.NO_CARRIER, chosen.reason
                else:
                    delivery.carrier_id, delivery.lane = chosen.carrier_id, chosen.lane
            if code is not None:
                ledger.verdict(delivery, Happening.REFUSED, code, why, now_ms)
                announcements.append(
                    ledger.announcement(
                        delivery, EventType.FAILED, message.application_id, message.kind, now_ms
                    )
                )
            deliveries.append(delivery)
        return deliveries, announcements

    def _work(
        self,
        request: SendRequest,
        message: Message,
        deliveries: Sequence[Delivery],
        account: Account,
        directory: Directory,
        now_ms: int,
    ) -> list[WorkItem]:
        """One row per lane: for its recipient, or for all recipients of a group message. Raises AccountQueueFull."""
        queued = [d for d in deliveries if d.lane is not None]
        if not queued:
            return []
        due_ms = self._turn(request, message, len(queued), account, directory, now_ms)
        by_lane: dict[str, list[Delivery]] = {}
        for delivery in queued:
            assert delivery.lane is not None
            by_lane.setdefault(delivery.lane, []).append(delivery)
        work = []
        for lane, together in by_lane.items():
            first = together[0]
            stage = self._stage(first) if message.media else lane
            recipient = first.recipient if len(together) == 1 else group(first.recipient)
            claimed_ms = now_ms if self._reserve(stage, due_ms) else None
            work.append(WorkItem(stage, due_ms, message.id, recipient, 0, message.valid_until_ms, claimed_ms))
        return work

    def _turn(
        self,
        request: SendRequest,
        message: Message,
        recipients: int,
        account: Account,
        directory: Directory,
        now_ms: int,
    ) -> int:
        limits = []
        if account.segments_per_s is not None:
            limits.append(Limit(account.id, account.segments_per_s))
        number = directory.numbers.get(message.source)
        if number is not None and number.segments_per_s is not None:
            limits.append(Limit((account.id, number.number), number.segments_per_s))
        if not limits:
            return now_ms
        segments = message.segment_count * recipients
        turn = self._pacing.turn(limits, segments, now_ms, first=request.priority == "high")
        if isinstance(turn, Full):
            raise AccountQueueFull(turn.limit.segments_per_s * 60)
        return turn

    def _stored(
        self,
        change: Accept,
        stored: Callable[[Message | Exception], None],
        caller: bytes | None,
        result: Any,
    ) -> None:
        if isinstance(result, LeaseLost):  # the lane is another node's by now, which is to claim it
            self._withdraw(change.work)
            unclaimed = [replace(item, claimed_ms=None) for item in change.work]
            again = replace(change, work=unclaimed, fences=())
            self._committer.put(again, partial(self._stored, again, stored, caller))
            return
        if result is not None:  # an error, or the first message of a repeated idempotency key
            self.queued -= len(change.work)
            self._withdraw(change.work)
            stored(result)
            return
        if self._tracer.on:
            self._tracer.accepted(change.message, caller)
        if change.work:
            self._offer([_due(change, item) for item in change.work])
        if change.announcements:
            self._announce(change.message, change.announcements)
        stored(change.message)


def _resolve(future: "asyncio.Future[Message]", result: Message | Exception) -> None:
    if future.done():  # whoever waited has gone away; the message is accepted all the same
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def _due(change: Accept, item: WorkItem) -> DueWork:
    first = first_of_group(item.recipient)
    if first is None:
        return DueWork(item, change.message, (change.deliveries[item.recipient],))
    carrier_id = change.deliveries[first].carrier_id
    together = [d for d in change.deliveries if d.state is State.QUEUED and d.carrier_id == carrier_id]
    return DueWork(item, change.message, tuple(together))

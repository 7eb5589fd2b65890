"""Delivers callbacks: one queue per application, a few POSTs at a time, retried for a day.

Each application has its own lane, so a slow or dead endpoint holds up nobody else. An endpoint that keeps
failing is probed by one POST at a time until it answers again. Any 2xx ends a callback, everything else is
tried again: `decide` says when. Events of one (message, recipient) keep their order: a later one waits for
the earlier.
"""

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final
from zlib import crc32

import msgspec
from msgspec.structs import replace
from standardwebhooks import Webhook

from trebuchet.callbacks.payload import render
from trebuchet.callbacks.recent import RecentTries, Try
from trebuchet.clock import Clock
from trebuchet.errors import LeaseLost
from trebuchet.feed import Entry, Feed
from trebuchet.model.account import Application, CallbackAuth, Directory
from trebuchet.model.events import Announcement, Attempt, CallbackItem, EventType, event_place
from trebuchet.model.message import Message
from trebuchet.nodes.tenancy import FOREVER, Tenure
from trebuchet.outbox.backoff import Schedule
from trebuchet.outbox.committer import Committer
from trebuchet.outbox.lanes import LaneQueue
from trebuchet.storage.base import DueCallback, SettleCallback, Store
from trebuchet.telemetry import Telemetry
from trebuchet.tracing import OFF, Tracer
from trebuchet.webclient import Answer, WebClient, WebError

_RECENT_MAX = 20_000  # messages kept at hand so that their callbacks need not be read back
_FAILURES_UNTIL_PROBING = 3
_STORE_AGAIN_MS = 1000
_HAND_OVER_S = 5  # that POSTs under way have when a shard is given up
_FAULT_AGAIN_MS = 60_000


class CallbackPolicy(msgspec.Struct, frozen=True):
    schedule: Schedule
    timeout_s: float
    concurrency: int
    memory: int
    user_agent: str
    answer_keep: int  # octets of an answer that are kept


class Verdict(msgspec.Struct, frozen=True):
    """`retry_ms` None: done with, `delivered` or given up."""

    delivered: bool
    retry_ms: int | None


def decide(status: int | None, item: CallbackItem, schedule: Schedule, now_ms: int, chance: float) -> Verdict:
    """What one try means: any 2xx delivered it, everything else is repeated while the schedule lasts. Pure."""
    if status is not None and 200 <= status < 300:
        return Verdict(delivered=True, retry_ms=None)
    first_ms = item.first_ms or now_ms
    return Verdict(delivered=False, retry_ms=schedule.next_ms(item.attempts + 1, first_ms, now_ms, chance))


CALLBACKS: Final = "callbacks:"  # a shard, as a lease and as a hint, is this and its number
SHARDS: Final = 16
LEASES: Final = tuple(f"{CALLBACKS}{number}" for number in range(SHARDS))


def shard_of(application_id: str) -> str:
    """The lease under which an application is called back, the same on every node."""
    return LEASES[crc32(application_id.encode()) % SHARDS]


class Callbacks:
    """All applications' callback lanes. All calls in one event loop.

    `tenure` finds the lease of a shard of applications, where nodes share the database: `hint` is told of shards that
    another node may have.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        store: Store,
        committer: Committer,
        client: WebClient,
        directory: Callable[[], Directory],
        policy: CallbackPolicy,
        chance: Callable[[], float],
        feed: Feed,
        telemetry: Telemetry,
        tenure: Callable[[str], Tenure | None] = lambda _: FOREVER,
        hint: Callable[[Sequence[str]], None] = lambda _: None,
        tracer: Tracer = OFF,
    ) -> None:
        self._tenure = tenure
        self._hint = hint
        self.recent = RecentTries()
        self.clock = clock
        self.store = store
        self.committer = committer
        self.client = client
        self.directory = directory
        self.policy = policy
        self.chance = chance
        self.headers = _base_headers(policy.user_agent)
        self.feed = feed
        self.telemetry = telemetry
        self.tracer = tracer
        self._lanes: dict[str, _ApplicationLane] = {}
        self._recent: OrderedDict[str, Message] = OrderedDict()
        self._closed = False

    async def follow(self, shards: Collection[str] | None = None) -> None:
        """Take up what waits in these shards, or in all, and let go of shards that are not this process's any more."""
        gone = [lane for lane in self._lanes.values() if self._lost(lane)]
        for lane in gone:
            self.forget(lane)
        await asyncio.gather(*(lane.close(_HAND_OVER_S) for lane in gone))
        for application_id in await self.store.callback_applications():
            if shards is None or shard_of(application_id) in shards:
                mine = self._lane(application_id)
                if mine is not None:
                    mine.queue.leave_in_table(self.clock.now_ms())
                    mine.pump()

    def _lost(self, lane: "_ApplicationLane") -> bool:
        return self._tenure(shard_of(lane.application_id)) is not lane.tenure

    def remember(self, message: Message) -> None:
        """Keep an outbound message at hand for the callbacks that will follow."""
        self._recent[message.id] = message
        if len(self._recent) > _RECENT_MAX:
            self._recent.popitem(last=False)

    def announce(self, announcements: Sequence[Announcement]) -> None:
        """Committed events: call them back."""
        touched = set()
        elsewhere = set()
        for announcement in announcements:
            event, item = announcement.event, announcement.item
            self.telemetry.count("trebuchet_events_total", event.type)
            if event.error_code is not None:
                self.telemetry.count("trebuchet_failures_total", str(event.error_code))
            if self.feed.watched:
                self._publish(announcement)
            lane = self._lane(item.application_id)
            message = self._recent.get(event.message_id)
            if lane is None:
                elsewhere.add(shard_of(item.application_id))
            elif message is None:
                lane.queue.leave_in_table(item.due_ms)
            else:
                if event.type is EventType.DELIVERED:
                    self.recent.delivered(event.time_ms, event.time_ms - message.received_ms)
                lane.queue.offer(DueCallback(item, event, message))
                touched.add(lane)
        for lane in touched:
            lane.pump()
        if elsewhere:
            self._hint(sorted(elsewhere))

    def _publish(self, announcement: Announcement) -> None:
        event, application_id = announcement.event, announcement.item.application_id
        application = self.directory().applications.get(application_id)
        self.feed.publish(
            Entry(
                at_ms=event.time_ms,
                what="event",
                message_id=event.message_id,
                recipient=event.recipient,
                account_id=application.account_id if application else None,
                application_id=application_id,
                to=event.to,
                detail=event.type,
                error_code=event.error_code,
            )
        )

    def replayed(self, items: Sequence[CallbackItem]) -> None:
        """Rows were put back into the queue by hand."""
        for item in items:
            lane = self._lane(item.application_id)
            if lane is None:
                self._hint([shard_of(item.application_id)])
            else:
                lane.queue.leave_in_table(item.due_ms)

    async def post(
        self,
        application: Application,
        event_id: str,
        body: bytes,
        more_headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> tuple[Attempt, str]:
        """POST a body once, signed and with the application's credentials: what came of it, and its class, such as
        `2xx` or the name of an error. Nothing is stored. The application must have a callback URL."""
        started_ms = self.clock.now_ms()
        headers = [
            *self.headers,
            *more_headers,
            *signature_headers(application, event_id, started_ms, body),
        ]
        preemptive = application.callback_auth is CallbackAuth.PREEMPTIVE
        try:
            answer = await self._ask(application, body, [*headers, *_credentials(application, preemptive)])
            if answer.status == 401 and not preemptive and _challenged(answer):
                answer = await self._ask(application, body, [*headers, *_credentials(application, True)])
        except WebError as error:
            took_ms = self.clock.now_ms() - started_ms
            return Attempt(event_id, started_ms, took_ms, None, str(error), ""), type(error).__name__
        words = answer.body.decode("utf-8", "replace").replace("\0", "\ufffd")
        attempt = Attempt(event_id, started_ms, int(answer.duration_ms), answer.status, None, words)
        return attempt, f"{answer.status // 100}xx"

    async def _ask(self, application: Application, body: bytes, headers: list[tuple[bytes, bytes]]) -> Answer:
        assert application.callback_url is not None
        policy = self.policy
        return await self.client.post(
            application.callback_url, body, headers, timeout_s=policy.timeout_s, answer_max=policy.answer_keep
        )

    async def close(self, grace_s: float) -> None:
        """Start no more POSTs, wait at most `grace_s` for those under way. What is not settled is repeated later."""
        self._closed = True
        lanes = list(self._lanes.values())
        await asyncio.gather(*(lane.close(grace_s) for lane in lanes))

    def forget(self, lane: "_ApplicationLane") -> None:
        """A lane has nothing left to do."""
        if self._lanes.get(lane.application_id) is lane:
            del self._lanes[lane.application_id]

    def _lane(self, application_id: str) -> "_ApplicationLane | None":
        """None: another node calls this application back."""
        lane = self._lanes.get(application_id)
        if lane is None:
            tenure = self._tenure(shard_of(application_id))
            if tenure is None:
                return None
            lane = self._lanes[application_id] = _ApplicationLane(application_id, self, tenure)
        return lane


class _ApplicationLane:
    """One application's callbacks, delivered by at most `policy.concurrency` posters."""

    def __init__(self, application_id: str, owner: Callbacks, tenure: Tenure) -> None:
        self.application_id = application_id
        self.tenure = tenure
        self._owner = owner
        self._posters: set[asyncio.Task[None]] = set()
        self._failures = 0  # in a row
        self._closed = False
        store = owner.store
        self.queue: LaneQueue[DueCallback] = LaneQueue(
            clock=owner.clock,
            bound=owner.policy.memory,
            read=lambda now_ms, limit: store.due_callbacks(application_id, now_ms, (0, ""), limit),
            next_due=lambda now_ms: store.next_callback_due_ms(application_id, now_ms),
            key=_event_id,
            due_ms=_due_ms,
            wake=self.pump,
            failed=lambda error: owner.telemetry.problem(
                "callbacks_unreadable", application=application_id, error=str(error)
            ),
        )

    def pump(self) -> None:
        """Start posters while there is work and room."""
        room = 1 if self._failures >= _FAILURES_UNTIL_PROBING else self._owner.policy.concurrency
        while not self._closed and self.tenure.held() and len(self._posters) < room:
            taken = self.queue.take(1)
            if not taken:
                break
            poster = asyncio.get_running_loop().create_task(self._post_until_empty(taken[0]))
            self._posters.add(poster)
            poster.add_done_callback(self._poster_done)

    async def close(self, grace_s: float) -> None:
        self._closed = True
        await self.queue.close()
        if self._posters:
            _, late = await asyncio.wait(self._posters, timeout=grace_s)
            for poster in late:
                poster.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _poster_done(self, poster: asyncio.Task[None]) -> None:
        self._posters.discard(poster)
        if not poster.cancelled() and poster.exception() is not None:
            self._owner.telemetry.problem(
                "poster_failed", application=self.application_id, error=repr(poster.exception())
            )
        if self.queue.idle and not self._posters:
            self._owner.forget(self)

    async def _post_until_empty(self, due: DueCallback) -> None:
        """One poster: POST, settle without waiting for the commit, take the next."""
        while True:
            try:
                await self._deliver(due)
            except Exception as error:  # noqa: BLE001  # a fault of ours must not strand the callback
                self._owner.telemetry.problem(
                    "callback_failed", event_id=due.item.event_id, error=repr(error)
                )
                self.queue.settled(due.item.event_id, self._owner.clock.now_ms() + _FAULT_AGAIN_MS)
            probing = self._failures >= _FAILURES_UNTIL_PROBING
            if self._closed or not self.tenure.held() or (probing and len(self._posters) > 1):
                return
            taken = self.queue.take(1)
            if not taken:
                return
            due = taken[0]

    async def _deliver(self, due: DueCallback) -> None:
        owner = self._owner
        application = owner.directory().applications.get(self.application_id)
        if application is None or not wanted(application, due.event.type):
            self._settle(due, None, Verdict(delivered=False, retry_ms=None))
            return
        if event_place(due.item.event_id) > 0:
            earlier_ms = (
                await owner.store.earlier_callback_due_ms(due.item.event_id) if _may_follow(due) else None
            )
            if earlier_ms is not None:
                again_ms = max(earlier_ms, owner.clock.now_ms()) + 1000
                item = CallbackItem(
                    self.application_id, again_ms, due.item.event_id, due.item.attempts, due.item.first_ms
                )
                self._store(due, SettleCallback(due.item.event_id, None, retry=item))
                return
        attempt = await self._post(due, application)
        verdict = decide(
            attempt.status, due.item, owner.policy.schedule, owner.clock.now_ms(), owner.chance()
        )
        self._failures = 0 if verdict.delivered else self._failures + 1
        self._settle(due, attempt, verdict)

    async def _post(self, due: DueCallback, application: Application) -> Attempt:
        body = render(due.event, due.message)
        tracer, item, message_id = self._owner.tracer, due.item, due.message.id
        span = tracer.calling_back(message_id) if tracer.on else None
        attempt, result = await self._owner.post(
            application, item.event_id, body, () if span is None else span.headers
        )
        if span is not None:
            tracer.called_back(
                span, message_id, item.event_id, due.event.type, application.id, item.attempts + 1,
                attempt.status, result,
            )  # fmt: skip
        self._owner.telemetry.count("trebuchet_callback_attempts_total", result)
        if attempt.status is not None:
            self._owner.telemetry.callback_took(attempt.duration_ms / 1000)
        return attempt

    def _settle(self, due: DueCallback, attempt: Attempt | None, verdict: Verdict) -> None:
        item = due.item
        retry = None
        if verdict.retry_ms is not None and attempt is not None:
            first_ms = item.first_ms or attempt.started_ms
            retry = CallbackItem(
                item.application_id, verdict.retry_ms, item.event_id, item.attempts + 1, first_ms
            )
        elif attempt is not None and not verdict.delivered:
            self._owner.telemetry.count("trebuchet_callbacks_given_up_total")
            self._owner.telemetry.problem("callback_given_up", event_id=item.event_id, status=attempt.status)
        if attempt is not None:
            again_ms = None if retry is None else retry.due_ms
            one = Try(attempt, due.message.id, due.event.to, due.event.type.value, again_ms)
            self._owner.recent.add(item.application_id, one)
        inbound = due.event.type is EventType.RECEIVED and verdict.delivered
        self._store(due, SettleCallback(item.event_id, attempt, retry, due.message.id if inbound else None))
        if self._owner.feed.watched and attempt is not None:
            detail = attempt.error or str(attempt.status)
            self._owner.feed.publish(
                Entry(
                    attempt.started_ms, "callback", due.message.id, due.event.recipient, due.message.account_id,
                    item.application_id, due.event.to, detail,
                )
            )  # fmt: skip

    def _store(self, due: DueCallback, change: SettleCallback) -> None:
        fence = self.tenure.fence
        fenced = change if fence is None else replace(change, fence=fence)
        self._owner.committer.put(fenced, partial(self._stored, due, change))

    def _stored(self, due: DueCallback, change: SettleCallback, result: object) -> None:
        if isinstance(result, LeaseLost):  # its next owner calls it back, perhaps again
            self.queue.settled(change.event_id)
            return
        if isinstance(result, Exception):
            # Not stored, so it would be called back again after a restart; until then, try to store it.
            self._owner.telemetry.problem("callback_not_settled", event_id=change.event_id)
            if not self._closed:
                again_ms = self._owner.clock.now_ms() + _STORE_AGAIN_MS
                self._owner.clock.call_at(again_ms, partial(self._store, due, change))
            return
        self.queue.settled(change.event_id, change.retry.due_ms if change.retry else None)


def wanted(application: Application, type_: EventType) -> bool:
    """Whether an application is called back for a type of event. Inbound messages always are."""
    if application.callback_url is None:
        return False
    return application.events is None or type_ is EventType.RECEIVED or type_ in application.events


def signature_headers(
    application: Application, event_id: str, at_ms: int, body: bytes
) -> Sequence[tuple[bytes, bytes]]:
    """Standard Webhooks headers, if the application has a signing secret; the id is the event's, so it repeats."""
    if application.signing_secret is None:
        return ()
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    signature = Webhook(application.signing_secret).sign(event_id, moment, body.decode())
    return (
        (b"webhook-id", event_id.encode()),
        (b"webhook-timestamp", str(at_ms // 1000).encode()),
        (b"webhook-signature", signature.encode()),
    )


def _base_headers(user_agent: str) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"Content-Type", b"application/json; charset=utf-8"),
        (b"User-Agent", user_agent.encode("latin-1", "replace")),
        (b"Accept", b"*/*"),
    )


def _credentials(application: Application, show: bool) -> Sequence[tuple[bytes, bytes]]:
    if not show or application.callback_username is None:
        return ()
    pair = f"{application.callback_username}:{application.callback_password or ''}".encode()
    return ((b"Authorization", b"Basic " + base64.b64encode(pair)),)


def _challenged(answer: Answer) -> bool:
    return any(name.lower() == b"www-authenticate" for name, _ in answer.headers)


def _may_follow(due: DueCallback) -> bool:
    """Only group and picture messages have an event before the final one."""
    return due.message.kind == "mms"


def _event_id(due: DueCallback) -> str:
    return due.item.event_id


def _due_ms(due: DueCallback) -> int:
    return due.item.due_ms

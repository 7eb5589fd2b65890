"""What operators ask of a running gateway: messages and their lives, callbacks, receipts, queues, the feed."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from trebuchet.admin import requests as ask
from trebuchet.admin.answers import answer
from trebuchet.admin.context import AdminContext
from trebuchet.admin.pdus import decoded
from trebuchet.api.problems import FieldError, invalid, invalid_field, not_found
from trebuchet.api.routing import route
from trebuchet.clock import iso_ms
from trebuchet.feed import Entry, Feed, Watch
from trebuchet.model.account import Directory
from trebuchet.model.address import normalise_sender
from trebuchet.model.audit import AuditEntry
from trebuchet.model.events import Event
from trebuchet.model.message import Pdu
from trebuchet.model.receipt import Receipt
from trebuchet.model.status import State
from trebuchet.protocols import sms
from trebuchet.routing import rule_for
from trebuchet.storage.base import EventQuery, Found, Life, MessageQuery, Replay

_REACH = 10_000  # how far a listing of messages can be paged: `total` counts no further
_REPLAY_MAX = 10_000
_REPLAY_BATCH = 500
_KEEP_ALIVE_S = 15
MESSAGE_FILTERS = (
    "account", "application", "source", "destination", "state", "direction", "kind", "error_code", "carrier",
    "tag", "from", "to", "limit", "page",
)  # fmt: skip


class ReplayRequest(msgspec.Struct, kw_only=True):
    """Which callbacks to send again: given events, those of a message, or an application's in a span of time."""

    event_ids: list[str] | None = None
    message_id: str | None = None
    application_id: str | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    failed_only: bool = False


class Operations:
    def __init__(self, context: AdminContext) -> None:
        self.context = context

    async def messages(self, request: Request) -> Response:
        given = ask.query(request, *MESSAGE_FILTERS)
        query = message_query(given)
        page = await self.context.store.search(query)
        following = query.offset + query.limit
        more = {"next": str(following)} if len(page.rows) == query.limit and following < page.total else {}
        return answer({"total": page.total, "items": [row(found) for found in page.rows], **more})

    async def message(self, request: Request) -> Response:
        with_text = ask.flag(ask.query(request, "text"), "text")
        life = await self.context.store.life(request.path_params["id"])
        if life is None:
            raise not_found(request.url.path, self.context.clock.now_ms())
        return answer(life_shown(life, self.context.directory(), with_text=with_text))

    async def callbacks(self, request: Request) -> Response:
        given = ask.query(request, "application", "failed_only", "from", "to", "limit", "after")
        most = ask.limit(given)
        events = await self.context.store.find_events(
            EventQuery(
                application_id=given.get("application"),
                from_ms=ask.moment_ms(given, "from"),
                to_ms=ask.moment_ms(given, "to"),
                failed_only=ask.flag(given, "failed_only"),
                after_id=given.get("after", ""),
                limit=most + 1,
            )
        )
        attempts = await self._attempts(events[:most])
        items = [{**_named(event), "attempts": attempts.get(event.id, [])} for event in events[:most]]
        more = {"next": events[most - 1].id} if len(events) > most else {}
        return answer({"items": items, **more})

    async def _attempts(self, events: Sequence[Event]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for message_id, _ in itertools.groupby(events, key=lambda event: event.message_id):
            life = await self.context.store.life(message_id)
            for attempt in life.attempts if life is not None else ():
                found.setdefault(attempt.event_id, []).append(_named(attempt))
        return found

    async def replay(self, request: Request) -> Response:
        wanted = ask.read_body_as(await ask.read_json(request, ask.BULK_MAX), ReplayRequest)
        queued, more = await self.replay_events(wanted)
        return answer({"queued": queued, "more": more})

    async def replay_events(self, wanted: ReplayRequest) -> tuple[int, bool]:
        """Put callbacks back into the queue: how many, and whether one call left some out. Raises Problem."""
        ids, more = await self._replayable(wanted)
        queued = 0
        for start in range(0, len(ids), _REPLAY_BATCH):
            now_ms = self.context.clock.now_ms()
            items = await self.context.write(Replay(ids[start : start + _REPLAY_BATCH], now_ms))
            self.context.replayed(items)
            queued += len(items)
        return queued, more

    async def _replayable(self, wanted: ReplayRequest) -> tuple[list[str], bool]:
        """Ids of the events to send again, and whether there are more than one call takes."""
        query = replay_query(wanted)
        if query is None:
            ids = list(dict.fromkeys(wanted.event_ids or ()))
        else:
            ids = [event.id for event in await self.context.store.find_events(query)]
        return ids[:_REPLAY_MAX], len(ids) > _REPLAY_MAX

    async def unmatched_receipts(self, request: Request) -> Response:
        given = ask.query(request, "carrier", "text", "limit")
        receipts = await self.context.store.unmatched_receipts(ask.limit(given), given.get("carrier"))
        with_text = ask.flag(given, "text")
        return answer({"items": [receipt_shown(receipt, with_text=with_text) for receipt in receipts]})

    async def audit(self, request: Request) -> Response:
        given = ask.query(request, "limit", "before")
        most = ask.limit(given)
        found = await self.context.store.audit(most + 1, given.get("before", ""))
        more = {"next": found[most - 1].id} if len(found) > most else {}
        fields = AuditEntry.__struct_fields__
        items = [{name: getattr(entry, name) for name in fields} for entry in found[:most]]
        return answer({"items": items, **more})

    async def queues(self, request: Request) -> Response:
        ask.query(request)
        depths = await self.context.store.depths()
        now_ms = self.context.clock.now_ms()
        return answer(
            {
                name: {
                    key: {"rows": rows, "oldest_age_s": max(0, now_ms - due_ms) / 1000}
                    for key, (rows, due_ms) in queue.items()
                }
                for name, queue in (("lanes", depths.outbox), ("callbacks", depths.callbacks))
            }
        )

    async def status(self, request: Request) -> Response:
        ask.query(request)
        context = self.context
        return answer(
            {
                "version": context.version,
                "started": iso_ms(context.started_ms),
                "now": iso_ms(context.clock.now_ms()),
                "database": context.database,
                "simulator": context.simulator,
                "queued": context.queued(),
            }
        )

    async def feed(self, request: Request) -> Response:
        given = ask.query(request, "message", "account", "application")
        return FeedResponse(self.context.feed, given)


class FeedResponse(StreamingResponse):
    """What happens from the moment that the head of the answer is sent, until the client has gone."""

    def __init__(self, feed: Feed, wanted: Mapping[str, str]) -> None:
        super().__init__((), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._feed = feed
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = self._feed.open()
        try:
            self.body_iterator = told(watch, self._wanted, _KEEP_ALIVE_S)
            await super().__call__(scope, receive, send)
        finally:
            self._feed.close(watch)


async def told(watch: Watch, wanted: Mapping[str, str], keep_alive_s: float) -> AsyncGenerator[bytes, None]:
    """Server-sent events: an entry each, a comment when nothing happens, and a word when some were missed."""
    source = aiter(watch)
    missed = 0
    coming: asyncio.Task[Entry] | None = None
    try:
        yield b": open\n\n"
        while True:
            coming = coming or asyncio.ensure_future(anext(source))
            done, _ = await asyncio.wait({coming}, timeout=keep_alive_s)
            if not done:
                yield b": nothing new\n\n"
                continue
            entry, coming = coming.result(), None
            if watch.missed > missed:
                yield b'event: missed\ndata: {"missed":%d}\n\n' % (watch.missed - missed)
                missed = watch.missed
            if _concerns(entry, wanted):
                yield b"data: " + msgspec.json.encode(entry) + b"\n\n"
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming


def replay_query(wanted: ReplayRequest) -> EventQuery | None:
    """The events that are meant, one more than a call takes; None if they are named one by one.

    Raises Problem unless exactly one way of naming them is used.
    """
    ways = {name: getattr(wanted, name) for name in ("event_ids", "message_id", "application_id")}
    if sum(bool(value) for value in ways.values()) != 1:
        raise invalid([FieldError(name, f"exactly one of {', '.join(ways)} must be given") for name in ways])
    span = {name: value for name, value in (("from", wanted.from_), ("to", wanted.to)) if value is not None}
    from_ms, to_ms = ask.moment_ms(span, "from"), ask.moment_ms(span, "to")
    if wanted.application_id is None and (span or wanted.failed_only):
        raise invalid_field("application_id", "from, to and failed_only need 'application_id'")
    if wanted.event_ids:
        return None
    return EventQuery(
        message_id=wanted.message_id,
        application_id=wanted.application_id,
        from_ms=from_ms,
        to_ms=to_ms,
        failed_only=wanted.failed_only,
        limit=_REPLAY_MAX + 1,
    )


def _concerns(entry: Entry, wanted: Mapping[str, str]) -> bool:
    return (
        wanted.get("message") in (None, entry.message_id)
        and wanted.get("account") in (None, entry.account_id)
        and wanted.get("application") in (None, entry.application_id)
    )


def message_query(given: dict[str, str]) -> MessageQuery:
    """The search that query parameters ask for. Raises Problem."""
    states = tuple(given["state"].upper().split(",")) if "state" in given else ()
    known = {*State, "SENDING"}
    if unknown := [state for state in states if state not in known]:
        raise invalid_field(
            "state", f"there is no state '{unknown[0][:32]}'; known: {', '.join(sorted(known))}"
        )
    for name, allowed in (("direction", ("in", "out")), ("kind", ("sms", "mms"))):
        if name in given and given[name] not in allowed:
            raise invalid_field(name, f"'{name}' must be {' or '.join(allowed)}")
    return MessageQuery(
        account_id=given.get("account"),
        application_id=given.get("application"),
        sources=_number(given, "source"),
        destinations=_number(given, "destination"),
        states=states,
        direction=given.get("direction"),
        kind=given.get("kind"),
        error_code=ask.whole(given, "error_code", 0, 99_999),
        carrier_id=given.get("carrier"),
        tag=given.get("tag"),
        from_ms=ask.moment_ms(given, "from"),
        to_ms=ask.moment_ms(given, "to"),
        limit=ask.limit(given),
        offset=ask.whole(given, "page", 0, _REACH) or 0,
        count_up_to=_REACH,
    )


def _number(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The number to look for, as numbers are stored."""
    if name not in given:
        return ()
    # A plus that was not percent-encoded arrives as a blank.
    written = "+" + given[name][1:] if given[name].startswith(" ") else given[name]
    return (normalise_sender(written) or written,)


def row(found: Found) -> dict[str, Any]:
    """One delivery of a listing, without its text."""
    message, delivery = found.message, found.delivery
    return {
        "id": message.id,
        "recipient": delivery.recipient,
        "account_id": message.account_id,
        "application_id": message.application_id,
        "direction": message.direction,
        "kind": message.kind,
        "from": message.source,
        "to": delivery.to,
        "state": "SENDING" if found.claimed else delivery.state,
        "error_code": delivery.error_code,
        "segment_count": message.segment_count,
        "received": iso_ms(message.received_ms),
        "final": None if delivery.final_ms is None else iso_ms(delivery.final_ms),
        "tag": message.tag,
    }


def life_shown(life: Life, directory: Directory, *, with_text: bool) -> dict[str, Any]:
    """A message's life as JSON values; its text only if asked for."""
    message = _named(life.message)
    if not with_text:
        del message["text"]
    return {
        "message": message,
        "deliveries": [_named(delivery) for delivery in life.deliveries],
        "claimed": list(life.claimed),
        "segments": [_named(segment) for segment in life.segments],
        "exchanges": [_named(exchange) for exchange in life.exchanges],
        "events": [_named(event) for event in life.events],
        "pending": [_named(item) for item in life.pending],
        "attempts": [_named(attempt) for attempt in life.attempts],
        "pdus": [_pdu(pdu, with_text=with_text) for pdu in life.pdus],
        "why": {
            "route": route_reason(life, directory),
            "encoding": _encoding_reason(life, with_text=with_text),
        },
    }


def receipt_shown(receipt: Receipt, *, with_text: bool) -> dict[str, Any]:
    """A receipt as JSON values, with its PDU if it came in one; what it quotes of the text only if asked for."""
    values = _named(receipt)
    del values["octets"]
    if not with_text:
        del values["text"]
    if receipt.octets:
        values |= decoded(receipt.octets, with_text=with_text)
    return values


def _pdu(pdu: Pdu, *, with_text: bool) -> dict[str, Any]:
    return {
        "time": iso_ms(pdu.at_ms),
        "lane": pdu.lane,
        "direction": pdu.direction,
        **decoded(pdu.octets, with_text=with_text),
    }


def route_reason(life: Life, directory: Directory) -> str:
    """Each delivery's lane, and the rule that leads there as the routes are now."""
    reasons = []
    for delivery in life.deliveries:
        rule = rule_for(directory, life.message.kind, delivery.to)
        if delivery.lane is None:
            reasons.append("none")
        elif rule is None or rule.carrier_id != delivery.carrier_id:
            reasons.append(f"{delivery.lane}, by a rule that is gone")
        else:
            prefix = f"prefix {rule.prefix}" if rule.prefix else "any recipient"
            reasons.append(f"{delivery.lane}, by rule {rule.id} ({prefix}, {rule.kind})")
    return "; ".join(dict.fromkeys(reasons))


def _encoding_reason(life: Life, *, with_text: bool) -> str:
    """The encoding and, if the text may be shown, the character that made it UCS-2."""
    message = life.message
    if message.kind != "sms" or not with_text:
        return message.encoding
    choice = sms.choose(message.text)
    return str(choice.reason) if choice.reason is not None else message.encoding


def _named(struct: Any) -> dict[str, Any]:
    """A struct as an object, also one that is an array on its way to the database."""
    values: dict[str, Any] = msgspec.to_builtins({n: getattr(struct, n) for n in struct.__struct_fields__})
    return values


def routes(context: AdminContext) -> list[Route]:
    operations = Operations(context)
    return [
        route("/messages", GET=operations.messages),
        route("/messages/{id}", GET=operations.message),
        route("/callbacks", GET=operations.callbacks),
        route("/callbacks/replay", POST=operations.replay),
        route("/receipts/unmatched", GET=operations.unmatched_receipts),
        route("/audit", GET=operations.audit),
        route("/queues", GET=operations.queues),
        route("/status", GET=operations.status),
        route("/feed", GET=operations.feed),
    ]

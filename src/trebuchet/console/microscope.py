"""One message's whole life on one time line, as JSON values in words that a person can follow. Pure.

Nothing is guessed: each step says what is stored, and the reasons are those of the same pure functions that made the
decisions. Where a person may not see texts, octets that may hold one are left out as well.
"""

import json
import unicodedata
from collections.abc import Iterator
from typing import Any

import msgspec

from trebuchet.admin.operations import route_reason
from trebuchet.callbacks.payload import render
from trebuchet.clock import iso_ms
from trebuchet.console.shown import duration
from trebuchet.model.account import Directory
from trebuchet.model.errorcodes import ERROR_CODES
from trebuchet.model.events import Attempt, Event, EventType
from trebuchet.model.message import Delivery, Direction, Kind, Message, Pdu, Segment
from trebuchet.model.status import FINAL, State
from trebuchet.protocols import sms
from trebuchet.protocols.smpp.layout import layout
from trebuchet.storage.base import Exchange, Life

_RECEIPT_STATES = {
    "DELIVRD": "delivered",
    "UNDELIV": "not deliverable",
    "EXPIRED": "expired at the carrier",
    "REJECTD": "rejected",
    "DELETED": "deleted",
    "ACCEPTD": "accepted",
    "ENROUTE": "on its way",
    "UNKNOWN": "unknown",
}
_GOOD, _BAD, _PLAIN, _WAITS = "good", "bad", "plain", "waits"


class Step(msgspec.Struct, frozen=True):
    """One thing that happened, or that is still to come."""

    at_ms: int
    rank: int  # of steps of one millisecond: the order of the path
    kind: str  # request, route, part, media, pdu, exchange, segment, receipt, event, callback or pending
    title: str
    tone: str = _PLAIN  # good, bad, plain or waits
    facts: tuple[tuple[str, str], ...] = ()
    pdu: dict[str, Any] | None = None
    body: str | None = None  # what was posted
    answer: str | None = None


def looked_at(life: Life, directory: Directory, now_ms: int, *, with_text: bool) -> dict[str, Any]:
    """Everything that the page of a message shows."""
    message = life.message
    steps = sorted(_steps(life, directory, with_text=with_text), key=lambda step: (step.at_ms, step.rank))
    return {
        "message": _message(message, with_text=with_text),
        "summary": summary(life, now_ms),
        "recipients": [_recipient(life, delivery) for delivery in life.deliveries],
        "encoding": encoding(message, with_text=with_text),
        "route": route_reason(life, directory) if message.direction is Direction.OUT else None,
        "media": [
            {"place": held.place, "name": held.name, "content_type": held.content_type, "size": held.size}
            for held in life.held
        ],
        "steps": list(_timed(steps, message.received_ms)),
        "final": all(delivery.state in FINAL | {State.ACCEPTED} for delivery in life.deliveries)
        and not life.pending,
    }


def _message(message: Message, *, with_text: bool) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins({n: getattr(message, n) for n in message.__struct_fields__})
    values["received"] = iso_ms(message.received_ms)
    values["valid_until"] = iso_ms(message.valid_until_ms) if message.valid_until_ms else None
    if not with_text:
        values["text"] = None
    return values


# ---- in one sentence ----


def summary(life: Life, now_ms: int) -> dict[str, str]:
    """How the message fares, as a sentence and its tone."""
    message, deliveries = life.message, life.deliveries
    if message.direction is Direction.IN:
        return {"text": _inbound(life), "tone": _WAITS if life.pending else _GOOD}
    if len(deliveries) > 1:
        return _group(life)
    (delivery,) = deliveries
    return {
        "text": f"{_fate(message, delivery, life, now_ms)} {_called_back(life)}".strip(),
        "tone": _tone(delivery.state),
    }


def _fate(message: Message, delivery: Delivery, life: Life, now_ms: int) -> str:
    took = duration((delivery.final_ms or now_ms) - message.received_ms)
    match delivery.state:
        case State.DELIVERED:
            return f"Delivered after {took}."
        case State.FAILED:
            return f"Failed after {took}: {_error(delivery)}."
        case State.UNDELIVERED:
            return f"Not delivered, known after {took}: {_error(delivery)}."
        case State.SENT:
            due = (
                f", at the latest until {iso_ms(delivery.receipt_due_ms)}" if delivery.receipt_due_ms else ""
            )
            return f"Taken by {delivery.carrier_id}; its receipt is awaited{due}."
        case State.IN_DOUBT:
            return (
                f"Submitted to {delivery.carrier_id}, which never answered; a late receipt still settles it."
            )
    if delivery.recipient in life.claimed:
        return f"With {delivery.carrier_id}, which has not answered yet."
    return f"Waits in lane {delivery.lane} for {took}, after {delivery.attempts} tries."


def _group(life: Life) -> dict[str, str]:
    counts: dict[State, int] = {}
    for delivery in life.deliveries:
        counts[delivery.state] = counts.get(delivery.state, 0) + 1
    said = ", ".join(f"{count} {state.replace('_', ' ').lower()}" for state, count in counts.items())
    worst = _BAD if counts.keys() & {State.FAILED, State.UNDELIVERED} else _GOOD
    tone = worst if counts.keys() <= FINAL else _WAITS
    return {
        "text": f"To {len(life.deliveries)} recipients: {said}. {_called_back(life)}".strip(),
        "tone": tone,
    }


def _inbound(life: Life) -> str:
    return f"Received from {life.message.source}. {_called_back(life)}".strip()


def _called_back(life: Life) -> str:
    """What became of the callbacks."""
    if life.pending:
        tries = max(item.attempts for item in life.pending)
        return (
            "Its callback waits."
            if not tries
            else f"Its callback was tried {_times(tries)} and is to be repeated."
        )
    if not life.events:
        return ""
    if not life.attempts:
        return "There was no callback to make: the application has no URL for it."
    taken = [attempt for attempt in life.attempts if _taken(attempt)]
    if len(taken) < len({attempt.event_id for attempt in life.attempts}):
        return "Its callback was given up."
    return (
        "The callback was taken at the first try."
        if len(life.attempts) == len(taken)
        else (f"The callback was taken after {_times(len(life.attempts))}.")
    )


def _taken(attempt: Attempt) -> bool:
    return attempt.status is not None and 200 <= attempt.status < 300


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _tone(state: State) -> str:
    if state in (State.DELIVERED, State.ACCEPTED):
        return _GOOD
    return _BAD if state in (State.FAILED, State.UNDELIVERED) else _WAITS


def _error(delivery: Delivery) -> str:
    if delivery.error_code is None:
        return delivery.description or "no reason is known"
    known = ERROR_CODES.get(delivery.error_code)
    meaning = known.meaning if known is not None else "a code that is not in the table"
    return f"{delivery.error_code}, {meaning}"


def _recipient(life: Life, delivery: Delivery) -> dict[str, Any]:
    known = ERROR_CODES.get(delivery.error_code) if delivery.error_code is not None else None
    return {
        "recipient": delivery.recipient,
        "to": delivery.to,
        "state": "SENDING" if delivery.recipient in life.claimed else delivery.state.value,
        "carrier_id": delivery.carrier_id,
        "lane": delivery.lane,
        "error_code": delivery.error_code,
        "error": known.meaning if known is not None else None,
        "description": delivery.description,
        "attempts": delivery.attempts,
        "segments_total": delivery.segments_total,
        "segments_delivered": delivery.segments_delivered,
        "took_ms": None if delivery.final_ms is None else delivery.final_ms - life.message.received_ms,
    }


# ---- what the text costs ----


def encoding(message: Message, *, with_text: bool) -> dict[str, Any] | None:
    """How a text message is encoded and why, and what another spelling would cost; None for other messages."""
    if message.kind is not Kind.SMS:
        return None
    found: dict[str, Any] = {"encoding": message.encoding, "segments": message.segment_count}
    found |= {"reason": None, "parts": []}
    if with_text:
        found |= explained(message.text)
        parts = _parts(message.text, message.encoding)
        found["parts"] = [
            {"text": part.text, "octets": len(part.user_data), "hex": part.user_data.hex(" ")}
            for part in parts
        ]
    return found


def explained(text: str) -> dict[str, Any]:
    """Why a text is encoded as it is: the character that needs UCS-2, and what it would cost without such ones."""
    reason = sms.choose(text).reason
    if reason is None:
        return {"reason": None, "smart": None, "culprits": []}
    culprits = [character for character in dict.fromkeys(text) if sms.choose(character).reason is not None]
    smart = sms.smart_encode(text)
    without = "".join(character for character in text if character not in set(culprits))
    return {
        "reason": {"character": reason.character, "index": reason.index, "name": _name(reason.character)},
        "culprits": [{"character": character, "name": _name(character)} for character in culprits[:20]],
        "smart": _cost(smart) if smart != text else None,
        "without": _cost(without),
    }


def _cost(text: str) -> dict[str, Any]:
    counted = sms.count(text)
    return {"segments": counted.segments, "encoding": counted.encoding.value, "units": counted.units}


def _name(character: str) -> str:
    return unicodedata.name(character, f"U+{ord(character):04X}").lower()


def _parts(text: str, stored: str) -> list[sms.Segment]:
    """The text as it is cut; with smart encoding, which made it GSM-7, as that is."""
    needs_smart = stored == sms.Encoding.GSM7.value and sms.choose(text).encoding is not sms.Encoding.GSM7
    return sms.segment(sms.smart_encode(text) if needs_smart else text, 0)


# ---- the time line ----


def _timed(steps: list[Step], began_ms: int) -> Iterator[dict[str, Any]]:
    before_ms = began_ms
    for step in steps:
        values: dict[str, Any] = msgspec.to_builtins(step)
        del values["rank"]
        yield {
            **values,
            "at": iso_ms(step.at_ms),
            "after_ms": step.at_ms - began_ms,
            "since_ms": step.at_ms - before_ms,
        }
        before_ms = step.at_ms


def _steps(life: Life, directory: Directory, *, with_text: bool) -> Iterator[Step]:
    yield _request(life, directory)
    for pdu in life.pdus:
        yield _pdu(life, pdu, with_text=with_text)
    for exchange in life.exchanges:
        yield _exchange(life, exchange)
    for segment in life.segments:
        yield from _segment(life, segment)
    events = {event.id: event for event in life.events}
    for event in life.events:
        yield _event(event)
    for attempt in life.attempts:
        yield _attempt(life.message, events.get(attempt.event_id), attempt, directory, with_text=with_text)
    for item in life.pending:
        tried = f"tried {_times(item.attempts)}" if item.attempts else "not tried yet"
        title = f"Callback waits: {tried}"
        yield Step(
            item.due_ms, 9, "pending", title, _WAITS, (("event", item.event_id), ("due", iso_ms(item.due_ms)))
        )


def _request(life: Life, directory: Directory) -> Step:
    message = life.message
    application = directory.applications.get(message.application_id)
    facts = [
        ("account", message.account_id),
        (
            "application",
            f"{application.name} ({application.id})"
            if application and application.name
            else message.application_id,
        ),
        ("owner", message.owner if message.owner != message.source else None),
        ("tag", message.tag),
        ("priority", message.priority),
        ("expiration", message.expiration),
        ("submitted until", iso_ms(message.valid_until_ms) if message.valid_until_ms else None),
        ("API", f"profile {message.profile.value}"),
        ("media", ", ".join(message.media) if message.media else None),
    ]
    if message.direction is Direction.IN:
        count = message.segment_count
        title = f"Received from {message.source}" + (f", {count} parts put together" if count > 1 else "")
    else:
        title = "Request valid, stored, answered 202"
        facts.append(("route", route_reason(life, directory)))
    return Step(message.received_ms, 0, "request", title, _PLAIN, _facts(facts))


def _pdu(life: Life, pdu: Pdu, *, with_text: bool) -> Step:
    outbound = pdu.direction == "out"
    arrow = "to" if outbound else "from"
    if pdu.octets[:1] != b"\0":  # with which every PDU of SMPP begins; what was exchanged by mail is in words
        name, *lines = pdu.octets.decode("utf-8", "replace").split("\n")
        dialogue = {"direction": pdu.direction, "name": name, "lines": lines, "fields": [], "hex": None}
        return Step(pdu.at_ms, 1 + (not outbound), "pdu", f"{name} {arrow} {pdu.lane}", _PLAIN, (), dialogue)
    fields = layout(pdu.octets, show_text=with_text)
    named = {field.name: field.meaning for field in fields}
    command, status = named.get("command_id", "unreadable"), named.get("command_status", "ROK")
    title = f"{command} {arrow} {pdu.lane}"
    if command.endswith("_resp"):
        title += f": {status}"
    shown = {
        "direction": pdu.direction,
        "name": command,
        "lines": [],
        "fields": [
            {
                "name": field.name,
                "start": field.start,
                "octets": _hex(
                    pdu.octets[field.start : field.end],
                    hidden=_secret(field.name) or (field.text and not with_text),
                ),
                "length": field.end - field.start,
                "meaning": field.meaning,
            }
            for field in fields
        ],
        "hex": pdu.octets.hex() if with_text else None,
    }
    tone = _BAD if command.endswith("_resp") and status != "ROK" else _PLAIN
    return Step(
        pdu.at_ms, 1 + (not outbound), "pdu", title, tone, (("to", _whom(life, pdu.recipient)),), shown
    )


def _secret(name: str) -> bool:
    return name == "password"


def _hex(octets: bytes, *, hidden: bool) -> str:
    return "·· " * min(len(octets), 8) if hidden else octets.hex(" ")


def _exchange(life: Life, exchange: Exchange) -> Step:
    by = f"by {exchange.carrier_id}" if exchange.carrier_id else "here"
    known = ERROR_CODES.get(exchange.error_code) if exchange.error_code is not None else None
    facts = (
        ("to", _whom(life, exchange.recipient)),
        (
            "code",
            f"{exchange.error_code}, {known.meaning}"
            if known
            else exchange.error_code and str(exchange.error_code),
        ),
        ("said", exchange.description),
    )
    tone = _BAD if exchange.error_code else _WAITS
    return Step(exchange.at_ms, 3, "exchange", f"{exchange.what.replace('_', ' ')} {by}", tone, _facts(facts))


def _segment(life: Life, segment: Segment) -> Iterator[Step]:
    which = f"Segment {segment.number + 1}" if life.message.segment_count > 1 else "Message"
    whom = (("to", _whom(life, segment.recipient)),)
    facts = (*whom, ("carrier's id", segment.carrier_message_id))
    yield Step(segment.responded_ms, 3, "segment", f"{which} taken by {segment.carrier_id}", _PLAIN, facts)
    if segment.receipt_ms is not None:
        said = _RECEIPT_STATES.get(segment.state, segment.state.lower())
        tone = (
            _GOOD
            if segment.state == "DELIVRD"
            else _BAD
            if segment.state in ("UNDELIV", "REJECTD", "EXPIRED", "DELETED")
            else _PLAIN
        )
        matched = _facts((*facts, ("error", segment.receipt_error), ("state", segment.state)))
        yield Step(segment.receipt_ms, 4, "receipt", f"Receipt: {which.lower()} {said}", tone, matched)


def _event(event: Event) -> Step:
    tone = _BAD if event.type is EventType.FAILED else _GOOD if event.type is EventType.DELIVERED else _PLAIN
    known = ERROR_CODES.get(event.error_code) if event.error_code is not None else None
    facts = (
        ("to", event.to),
        ("code", f"{event.error_code}, {known.meaning}" if known else None),
        ("description", event.description),
        ("event", event.id),
    )
    return Step(event.time_ms, 5, "event", f"Event {event.type.value}", tone, _facts(facts))


def _attempt(
    message: Message, event: Event | None, attempt: Attempt, directory: Directory, *, with_text: bool
) -> Step:
    application = directory.applications.get(message.application_id)
    outcome = f"answered {attempt.status}" if attempt.status is not None else f"failed: {attempt.error}"
    facts = (
        ("event", attempt.event_id),
        ("URL now", application.callback_url if application is not None else None),
        ("took", duration(attempt.duration_ms)),
    )
    body = render(event, message).decode() if event is not None and with_text else None
    return Step(
        attempt.started_ms,
        6,
        "callback",
        f"Callback {outcome}",
        _GOOD if _taken(attempt) else _BAD,
        _facts(facts),
        body=_pretty(body) if body is not None else None,
        answer=attempt.answer or None,
    )


def _pretty(body: str) -> str:
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)


def _whom(life: Life, recipient: int) -> str:
    numbers = [delivery.to for delivery in life.deliveries if recipient in (delivery.recipient, -1)]
    return ", ".join(numbers) or f"recipient {recipient}"


def _facts(pairs: Any) -> tuple[tuple[str, str], ...]:
    """Those that have a value."""
    return tuple((name, value) for name, value in pairs if value)

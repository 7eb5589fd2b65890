"""A message's whole life, from the admin API's answer to lines in order of time. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from trebuchet.cli.output import BAD, GOOD, QUIET, TITLE, Line
from trebuchet.cli.pdus import pdu_lines
from trebuchet.cli.when import clock_time, span
from trebuchet.clock import iso_ms
from trebuchet.model.errorcodes import ERROR_CODES

Life = Mapping[str, Any]

STATE_STYLES = {"DELIVERED": GOOD, "ACCEPTED": GOOD, "FAILED": BAD, "UNDELIVERED": BAD, "IN_DOUBT": "yellow"}


class _Moment(NamedTuple):
    at_ms: int
    rank: int  # of things that happened in the same millisecond: the order of the path
    line: Line


def life_lines(life: Life, *, with_hex: bool = False) -> list[Line]:
    """The life as `trebuchet show` prints it. Fields that an older gateway leaves out are not shown."""
    message = life["message"]
    started_ms = message["received_ms"]
    lines = [*_head(message), *_reasons(life), *_recipients(life), Line(""), Line("Time line (UTC)", TITLE)]
    for moment in sorted(_moments(life), key=lambda moment: moment[:2]):
        after = f"+{span(max(0, moment.at_ms - started_ms))}"
        lines.append(
            Line(f"  {clock_time(moment.at_ms)}  {after:>12}  {moment.line.text}", moment.line.style)
        )
    lines += _waiting(life)
    if life.get("pdus"):
        lines += [Line(""), Line("PDUs (UTC)", TITLE)]
        for pdu in life["pdus"]:
            lines += pdu_lines(pdu, pdu["lane"], with_hex=with_hex)
    return lines


def error_text(code: int | None) -> str:
    """`4720 invalid-destination-address: carrier: bad number / landline`; empty without a code."""
    if code is None:
        return ""
    known = ERROR_CODES.get(code)
    return f"{code} {known.name}: {known.meaning}" if known else f"{code} (no code of this version)"


def _head(message: Mapping[str, Any]) -> Iterator[Line]:
    outbound = message["direction"] == "out"
    yield Line(f"{'Outbound' if outbound else 'Inbound'} {message['kind']} {message['id']}", TITLE)
    fields = (
        ("accepted" if outbound else "received", iso_ms(message["received_ms"])),
        ("account", message.get("account_id")),
        ("application", message.get("application_id")),
        ("from", message.get("source")),
        ("to", ", ".join(message.get("destinations") or ())),
        ("text", message.get("text")),
        ("media", ", ".join(message.get("media") or ()) or None),
        ("tag", message.get("tag")),
        ("priority", message.get("priority")),
        ("expiration", message.get("expiration")),
        ("valid until", iso_ms(message["valid_until_ms"]) if message.get("valid_until_ms") else None),
        ("profile", message.get("profile")),
        ("segments", message.get("segment_count")),
    )
    for name, value in fields:
        if value is not None:
            yield Line(f"  {name:<12} {value}")


def _reasons(life: Life) -> Iterator[Line]:
    why = life.get("why") or {}
    for name in ("route", "encoding"):
        if why.get(name):
            yield Line(f"  {name:<12} {_reason(why[name])}")


def _reason(value: object) -> str:
    """A reason is a text, or an object whose parts are named."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items() if part not in (None, ""))
    return str(value)


def _recipients(life: Life) -> Iterator[Line]:
    yield Line("")
    yield Line("Recipients", TITLE)
    for delivery in life.get("deliveries") or ():
        state = delivery["state"]
        sending = state == "QUEUED" and delivery["recipient"] in (life.get("claimed") or ())
        text = f"  {delivery['to']:<16} {'SENDING' if sending else state}"
        if delivery.get("carrier_id"):
            text += f"  through {delivery['carrier_id']}"
            text += f" ({delivery['lane']})" if delivery.get("lane") else ""
        if delivery.get("error_code") is not None:
            text += f"  {error_text(delivery['error_code'])}"
        if delivery.get("description"):
            text += f"  “{delivery['description']}”"
        yield Line(text, STATE_STYLES.get(state, ""))


def _moments(life: Life) -> Iterator[_Moment]:
    message = life["message"]
    verb = "accepted with 202" if message["direction"] == "out" else "received"
    yield _Moment(message["received_ms"], 0, Line(f"{verb}: {message['segment_count']} segment(s)"))
    for segment in life.get("segments") or ():
        part = f"{_whom(life, segment)}, segment {segment['number'] + 1}"
        taken = f"taken by {segment['carrier_id']} as {segment['carrier_message_id']}: {part}"
        yield _Moment(segment["responded_ms"], 1, Line(taken))
        if segment.get("receipt_ms") is not None:
            error = f", error {segment['receipt_error']}" if segment.get("receipt_error") else ""
            yield _Moment(segment["receipt_ms"], 3, Line(f"receipt {segment['state']}{error}: {part}"))
    for exchange in life.get("exchanges") or ():
        by = f"by {exchange['carrier_id']}" if exchange.get("carrier_id") else "here"
        text = f"{exchange['what']} {by}: {_whom(life, exchange)}"
        for more in (error_text(exchange.get("error_code")), exchange.get("description")):
            text += f", {more}" if more else ""
        yield _Moment(exchange["at_ms"], 2, Line(text, BAD if exchange.get("error_code") else ""))
    for event in life.get("events") or ():
        more = f", {error_text(event['error_code'])}" if event.get("error_code") is not None else ""
        style = BAD if event["type"] == "message-failed" else GOOD
        yield _Moment(event["time_ms"], 4, Line(f"event {event['type']}: {event['to']}{more}", style))
    for attempt in life.get("attempts") or ():
        yield _Moment(attempt["started_ms"], 5, _attempt_line(attempt))


def _attempt_line(attempt: Mapping[str, Any]) -> Line:
    status, error = attempt.get("status"), attempt.get("error")
    outcome = f"answered {status}" if status is not None else f"failed: {error}"
    text = f"callback {attempt['event_id']} {outcome} in {span(attempt['duration_ms'])}"
    good = status is not None and 200 <= status < 300
    if attempt.get("answer") and not good:
        text += f", “{attempt['answer']}”"
    return Line(text, QUIET if good else BAD)


def _waiting(life: Life) -> Iterator[Line]:
    for item in life.get("pending") or ():
        tried = "once" if item["attempts"] == 1 else f"{item['attempts']} times"
        yield Line(
            f"Waiting: callback {item['event_id']}, tried {tried}, next {iso_ms(item['due_ms'])}", "yellow"
        )


def _whom(life: Life, part: Mapping[str, Any]) -> str:
    """The number that a segment or an exchange is about; of a group message's exchange, all of them."""
    numbers = [d["to"] for d in life.get("deliveries") or () if part["recipient"] in (d["recipient"], -1)]
    return ", ".join(numbers) or f"recipient {part['recipient']}"

"""JSON of the messages API ↔ the gateway's own nouns; with `callbacks/payload.py` the only place that knows
the customer's field names.

A request is decoded once into a typed struct. Only when that fails, or a rule is broken, is it looked at again
to name every wrong field in one answer.
"""

import re
from datetime import datetime
from typing import Any

import msgspec

from trebuchet.accept import SendRequest
from trebuchet.api.problems import FieldError, Problem, invalid, malformed
from trebuchet.clock import iso_ms
from trebuchet.model.address import normalise_e164, normalise_sender
from trebuchet.model.message import Message

TEXT_MAX = 2048  # UTF-16 units: the API's "characters", counted as the services behind it count
TAG_MAX = 1024
MEDIA_URL_MAX = 4096
MEDIA_MAX = 10
RECIPIENTS_HARD_MAX = 100  # beyond it a request is refused in every profile
APPLICATION_MAX = 64

_DIGITS = re.compile(r"\+?[0-9]{5,15}", re.ASCII)  # refused later, by callback, as the original does
_MEDIA_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_PLACE = re.compile(r"\(byte (\d+)\)")


class _Body(msgspec.Struct):
    """What clients post. Unknown keys and nulls are tolerated."""

    to: str | list[str] | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    text: str | None = None
    applicationId: str | None = None  # noqa: N815  # the wire's name
    media: list[str] | None = None
    tag: str | None = None
    priority: str | None = None
    expiration: str | None = None


_decode = msgspec.json.Decoder(_Body).decode


def parse_send(body: bytes, now_ms: int, recipients_max: int, refuse_many: bool) -> SendRequest:
    """The request in `body`. Raises Problem 400 that names every wrong field.

    With `refuse_many` more than `recipients_max` recipients are refused here; without, they fail later.
    """
    try:
        sent = _decode(body)
    except msgspec.ValidationError:
        raise invalid(_wrong_types(body)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(body, str(error)) from None
    errors: list[FieldError] = []
    source = _source(sent.from_, errors)
    destinations = _destinations(sent.to, recipients_max, refuse_many, errors)
    text = _text(sent, errors)
    media = tuple(sent.media) if sent.media else None
    if media is not None:
        _check_media(media, errors)
    if sent.tag is not None and len(sent.tag) > TAG_MAX:
        errors.append(FieldError("tag", f"'tag' must be {TAG_MAX} characters or less"))
    application_id = sent.applicationId or ""
    if not application_id:
        errors.append(FieldError("applicationId", "'applicationId' is required"))
    elif len(application_id) > APPLICATION_MAX:
        errors.append(
            FieldError("applicationId", f"'applicationId' must be {APPLICATION_MAX} characters or less")
        )
    if sent.priority is not None and sent.priority not in ("default", "high"):
        errors.append(FieldError("priority", "'priority' must be 'default' or 'high'"))
    expires_ms = None if sent.expiration is None else _expires_ms(sent.expiration, now_ms, errors)
    for name, value in (("tag", sent.tag), ("applicationId", application_id), ("text", text)):
        if value and _UNSTORABLE.search(value):
            errors.append(FieldError(name, f"'{name}' must not contain U+0000 or lone surrogates"))
    if errors:
        raise invalid(errors)
    return SendRequest(
        source=source,
        destinations=destinations,
        text=text,
        application_id=application_id,
        media=media,
        tag=sent.tag,
        priority=sent.priority,
        expiration=sent.expiration,
        expires_ms=expires_ms,
    )


def _source(sent: str | None, errors: list[FieldError]) -> str:
    if not sent:
        errors.append(FieldError("from", "'from' must contain exactly one telephone number"))
        return ""
    source = normalise_sender(sent)
    if source is None:
        errors.append(
            FieldError("from", f"'{sent[:40]}' must be replaced with a valid E164 formatted telephone number")
        )
        return ""
    return source


def _destinations(
    sent: str | list[str] | None, recipients_max: int, refuse_many: bool, errors: list[FieldError]
) -> tuple[str, ...]:
    if isinstance(sent, str):
        sent = [sent]
    if not sent:
        errors.append(FieldError("to", "'to' must contain at least one telephone number"))
        return ()
    found: dict[str, None] = {}
    for written in sent[: RECIPIENTS_HARD_MAX + 1]:
        number = normalise_e164(written)
        if number is None:
            if not _DIGITS.fullmatch(written):
                errors.append(
                    FieldError(
                        "to",
                        f"'{written[:40]}' must be replaced with a valid E164 formatted telephone number",
                    )
                )
            number = written
        found[number] = None
    if len(sent) > RECIPIENTS_HARD_MAX or (refuse_many and len(found) > recipients_max):
        errors.append(FieldError("to", f"'to' must contain at most {recipients_max} telephone numbers"))
    return tuple(found)


def _text(sent: _Body, errors: list[FieldError]) -> str:
    text = sent.text or ""
    if not text and not sent.media:
        errors.append(FieldError("text", "'text' is required unless media is included"))
    # Characters beyond the basic plane are two units; only a text that could exceed the limit is counted so.
    if len(text) * 2 > TEXT_MAX and len(text.encode("utf-16-le", "surrogatepass")) > TEXT_MAX * 2:
        errors.append(FieldError("text", f"'text' must be {TEXT_MAX} characters or less"))
    return text


def _check_media(media: tuple[str, ...], errors: list[FieldError]) -> None:
    if len(media) > MEDIA_MAX:
        errors.append(FieldError("media", f"'media' must contain at most {MEDIA_MAX} URLs"))
    for url in media[:MEDIA_MAX]:
        if len(url) > MEDIA_URL_MAX:
            errors.append(
                FieldError("media", f"each URL of 'media' must be {MEDIA_URL_MAX} characters or less")
            )
        elif not _MEDIA_URL.fullmatch(url) or _UNSTORABLE.search(url):
            errors.append(
                FieldError("media", f"'{url[:80]}' must be replaced with a valid http or https URL")
            )


def _expires_ms(written: str, now_ms: int, errors: list[FieldError]) -> int | None:
    try:
        if not _RFC3339.fullmatch(written):
            raise ValueError(written)
        moment_ms = int(datetime.fromisoformat(written.upper()).timestamp() * 1000)
    except (ValueError, OverflowError):
        errors.append(
            FieldError("expiration", "'expiration' must be an RFC 3339 date and time with an offset")
        )
        return None
    if moment_ms <= now_ms:
        errors.append(FieldError("expiration", "'expiration' must be in the future"))
    return moment_ms


_TYPES: dict[str, tuple[Any, str]] = {
    "from": (str | None, "'from' must contain exactly one telephone number"),
    "to": (str | list[str] | None, "'to' must be a telephone number or an array of them"),
    "text": (str | None, "'text' must be a string"),
    "applicationId": (str | None, "'applicationId' must be a string"),
    "media": (list[str] | None, "'media' must be an array of URLs"),
    "tag": (str | None, "'tag' must be a string"),
    "priority": (str | None, "'priority' must be 'default' or 'high'"),
    "expiration": (str | None, "'expiration' must be an RFC 3339 date and time with an offset"),
}


def _wrong_types(body: bytes) -> list[FieldError]:
    """A field error for each field that has the wrong JSON type."""
    loose = msgspec.json.decode(body)
    if not isinstance(loose, dict):
        return [FieldError("body", "the body must be a JSON object")]
    errors = []
    for name, (type_, description) in _TYPES.items():
        try:
            msgspec.convert(loose.get(name), type_)
        except msgspec.ValidationError:
            errors.append(FieldError(name, description))
    return errors


def _malformed(body: bytes, error: str) -> Problem:
    """Where a body stops being JSON, by line and column."""
    place = _PLACE.search(error)
    octet = min(int(place[1]), len(body)) if place else len(body)
    before = body[:octet]
    line = before.count(b"\n") + 1
    column = octet - (before.rfind(b"\n") + 1) + 1
    return malformed(f"The body is not valid JSON: line {line}, column {column} (byte {octet})")


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The 202. Field order as captured answers have it; what was not given is absent, never null."""

    id: str
    owner: str
    application_id: str
    time: str
    segment_count: int
    direction: str
    to: tuple[str, ...]
    from_: str = msgspec.field(name="from")
    text: str
    media: tuple[str, ...] | None = None
    tag: str | None = None
    priority: str | None = None
    expiration: str | None = None


_encode = msgspec.json.Encoder().encode


def send_answer(message: Message) -> bytes:
    """The body of the 202."""
    return _encode(
        _Answer(
            message.id,
            message.owner,
            message.application_id,
            iso_ms(message.received_ms),
            message.segment_count,
            message.direction,
            message.destinations,
            message.source,
            message.text,
            message.media,
            message.tag,
            message.priority,
            message.expiration,
        )
    )

"""JSON of the messages API ↔ the gateway's own nouns.

The customer's field names live here and in `callbacks/payload`; those of the search in `filters` and `search`;
all of them are described in `schemas`.

A request is decoded once into a typed struct. Only one with a field of the wrong type is looked at again,
field by field. Everything that is wrong with a request is named in one answer. Where the original's words are
public they are used; the others follow their style.
"""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec

from trebuchet.accept import SendRequest
from trebuchet.api.problems import FieldError, Problem, invalid, malformed
from trebuchet.clock import iso_ms
from trebuchet.model.address import is_emergency, normalise_e164, normalise_sender
from trebuchet.model.message import Message

# The documentation says characters and not which. The services behind the original count UTF-16 units.
TEXT_MAX = 2048
TAG_MAX = 1024
APPLICATION_ID_MAX = 64
MEDIA_MAX = 10
MEDIA_URL_MAX = 4096
RECIPIENTS_HARD_MAX = 100  # where an account may exceed its number of recipients and is told by callback
PRIORITIES = ("default", "high")

# Absolute, http or https, without blanks and control characters; in words that JSON Schema has too.
MEDIA_URL_PATTERN = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://([^\s\x00-\x1f/?#@]*@)?"
    r"(\[[0-9A-Fa-f:.]+\]|[^\s\x00-\x1f/?#@:\[\]]+)(:[0-9]{1,5})?([/?#][^\s\x00-\x1f]*)?$"
)

_QUOTED_MAX = 64  # of what is quoted back in an error

# The check of recipients is shallow, as the original's: bare digits are taken, and fail later by callback.
_DIGITS = re.compile(r"\d{5,15}", re.ASCII)
_MEDIA_URL = re.compile(MEDIA_URL_PATTERN)
_PLACE = re.compile(r"(.*) \(byte (\d+)\)")
_LONE_SURROGATE = re.compile(rb"\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])", re.IGNORECASE)

_NO_SENDER = "'from' must contain exactly one telephone number"
_NOT_A_TIME = "'expiration' must be an RFC 3339 date and time with an offset, such as 2030-01-31T12:00:00Z"
_NOT_A_PRIORITY = "'priority' must be 'default' or 'high'"


class _Body(msgspec.Struct, gc=False):
    """What clients post. Unknown keys and nulls are tolerated."""

    to: str | list[str] | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    text: str | None = None
    application_id: str | None = msgspec.field(name="applicationId", default=None)
    media: list[str] | None = None
    tag: str | None = None
    priority: str | None = None
    expiration: str | None = None


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

# Wire name → attribute of _Body, what is said of a wrong type, and a value that passes in its place, so that
# the field is not complained of twice.
_WRONG_TYPE: dict[str, tuple[str, str, Any]] = {
    "from": ("from_", _NO_SENDER, "+12025550100"),
    "to": ("to", "'to' must be a telephone number or an array of telephone numbers", "+12025550100"),
    "text": ("text", "'text' must be a string", "-"),
    "applicationId": ("application_id", "'applicationId' must be a string", "-"),
    "media": ("media", "'media' must be an array of URLs", ["http://-"]),
    "tag": ("tag", "'tag' must be a string", None),
    "priority": ("priority", _NOT_A_PRIORITY, None),
    "expiration": ("expiration", _NOT_A_TIME, None),
}
_DECODERS = {
    field.encode_name: msgspec.json.Decoder(field.type).decode for field in msgspec.structs.fields(_Body)
}


def parse_send(body: bytes, now_ms: int, recipients_max: int, refuse_many: bool) -> SendRequest:
    """The request in `body`. Raises Problem 400 with every wrong field, or the place where it is no JSON.

    With `refuse_many` more than `recipients_max` recipients are refused here; without, they are taken, up to
    RECIPIENTS_HARD_MAX, to fail later.
    """
    errors: list[FieldError] = []
    try:
        sent = _decode_body(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        sent = _decode_loosely(body, errors)
    source = _source(sent.from_, errors)
    limit = recipients_max if refuse_many else RECIPIENTS_HARD_MAX
    destinations = _destinations(sent.to, limit, errors)
    text = sent.text or ""
    media = tuple(sent.media) if sent.media else None
    if media is not None:
        _check_media(media, errors)
    elif not text:
        errors.append(FieldError("text", "'text' is required unless media is included"))
    application_id = sent.application_id or ""
    if not application_id:
        errors.append(FieldError("applicationId", "'applicationId' is required"))
    _check_string("text", text, TEXT_MAX, errors)
    _check_string("applicationId", application_id, APPLICATION_ID_MAX, errors)
    if sent.tag:
        _check_string("tag", sent.tag, TAG_MAX, errors)
    if sent.priority is not None and sent.priority not in PRIORITIES:
        errors.append(FieldError("priority", _NOT_A_PRIORITY))
    expires_ms = None if sent.expiration is None else _expires_ms(sent.expiration, now_ms, errors)
    if errors:
        raise invalid(errors)
    return SendRequest(
        source,
        destinations,
        text,
        application_id,
        media,
        sent.tag,
        sent.priority,
        sent.expiration,
        expires_ms,
    )


def _source(written: str | None, errors: list[FieldError]) -> str:
    if not written:
        errors.append(FieldError("from", _NO_SENDER))
        return ""
    source = normalise_sender(written)
    if source is None:
        errors.append(_not_a_number("from", written))
        return ""
    return source


def _destinations(written: str | list[str] | None, limit: int, errors: list[FieldError]) -> tuple[str, ...]:
    """Normalised, in the order of their first mention. Repeated ones count towards the limit."""
    if not written:
        errors.append(FieldError("to", "'to' must contain at least one telephone number"))
        return ()
    if isinstance(written, str):
        written = [written]
    numbers: dict[str, None] = {}
    # More are refused whatever they are, and need not all be named.
    for one in written[:RECIPIENTS_HARD_MAX]:
        number = normalise_e164(one)
        if number is None:
            number = one
            if not _DIGITS.fullmatch(one) and not is_emergency(one):
                errors.append(_not_a_number("to", one))
        numbers[number] = None
    if len(written) > limit:
        errors.append(FieldError("to", f"'to' must contain {limit} telephone numbers or less"))
    return tuple(numbers)


def _not_a_number(name: str, written: str) -> FieldError:
    return FieldError(
        name, f"'{written[:_QUOTED_MAX]}' must be replaced with a valid E164 formatted telephone number"
    )


def _check_media(media: tuple[str, ...], errors: list[FieldError]) -> None:
    if len(media) > MEDIA_MAX:
        errors.append(FieldError("media", f"'media' must contain {MEDIA_MAX} URLs or less"))
    for url in media[:MEDIA_MAX]:
        if len(url) > MEDIA_URL_MAX:
            errors.append(
                FieldError("media", f"each URL in 'media' must be {MEDIA_URL_MAX} characters or less")
            )
        elif not _MEDIA_URL.fullmatch(url):
            errors.append(
                FieldError("media", f"'{url[:_QUOTED_MAX]}' must be replaced with a valid http or https URL")
            )


def _check_string(name: str, value: str, units_max: int, errors: list[FieldError]) -> None:
    # A character is one or two units, so most strings need not be counted.
    if len(value) * 2 > units_max and len(value.encode("utf-16-le")) > units_max * 2:
        errors.append(FieldError(name, f"'{name}' must be {units_max} characters or less"))
    if "\0" in value:  # databases and carriers cut a string there
        errors.append(FieldError(name, f"'{name}' must not contain the character U+0000"))


def _expires_ms(written: str, now_ms: int, errors: list[FieldError]) -> int | None:
    try:
        moment = msgspec.convert(written, Annotated[datetime, msgspec.Meta(tz=True)])
    except msgspec.ValidationError:
        errors.append(FieldError("expiration", _NOT_A_TIME))
        return None
    moment_ms = int(moment.timestamp() * 1000)
    if moment_ms <= now_ms:
        errors.append(FieldError("expiration", "'expiration' must be in the future"))
    return moment_ms


# ---- requests that do not decode ----


def _decode_loosely(body: bytes, errors: list[FieldError]) -> _Body:
    """The body with an error for each field of a wrong type. Raises Problem 400 if it is no JSON object."""
    sent = _Body()
    try:
        fields = _decode_fields(body)
        for name, (attribute, description, stand_in) in _WRONG_TYPE.items():
            if name in fields:
                value, wrong = _decode_field(name, fields[name], body)
                if wrong:
                    errors.append(FieldError(name, description))
                setattr(sent, attribute, stand_in if wrong else value)
    except msgspec.ValidationError:
        raise malformed("The body must be a JSON object") from None
    except RecursionError:
        raise malformed("The body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_json(body, error) from None
    return sent


def _decode_field(name: str, raw: msgspec.Raw, body: bytes) -> tuple[Any, bool]:
    """The value, and whether it is of the wrong type. Raises Problem 400, RecursionError, UnicodeDecodeError."""
    try:
        return _DECODERS[name](raw), False
    except msgspec.ValidationError:
        return None, True
    except msgspec.DecodeError as error:  # places in it count from the start of the value
        raise _not_json(body, error, body.find(bytes(raw))) from None


def _not_json(body: bytes, error: Exception, start: int = 0) -> Problem:
    """Says what is wrong and where: line and column as an editor counts them, and the octet from 0."""
    octet, reason = _where_and_what(body, error, start)
    before = body[:octet]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return malformed(f"The body is not valid JSON: {reason} at line {line}, column {column} (byte {octet})")


def _where_and_what(body: bytes, error: Exception, start: int) -> tuple[int, str]:
    try:
        body.decode()
    except UnicodeDecodeError as undecodable:  # the decoder's own error counts from the start of a string
        return undecodable.start, "invalid UTF-8"
    place = _PLACE.fullmatch(str(error))
    if place is not None:
        return min(start + int(place[2]), len(body)), place[1].removeprefix("JSON is malformed: ")
    # The decoder takes a string that ends within a surrogate pair for a body that ends too early.
    lone = _LONE_SURROGATE.search(body, start)
    return (lone.start(), "unpaired surrogate") if lone else (len(body), "unexpected end")


# ---- answers ----


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A message as the 202 shows it. The order is that of captured answers; what was not given is absent."""

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
        Answer(
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

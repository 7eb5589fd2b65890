"""Search of messages: the query string of a GET to a `MessageQuery`, what was found to JSON.

One row is one recipient of one message. The text is never shown.
"""

import base64
import binascii
import hashlib
from urllib.parse import parse_qsl, urlencode

import msgspec

from trebuchet.api.filters import FILTERS, NOTHING, OPTIONS, PRODUCTS, Fields, Refused
from trebuchet.api.problems import FieldError, invalid, malformed
from trebuchet.api.wire import Answer
from trebuchet.clock import iso_ms
from trebuchet.model.account import Profile
from trebuchet.model.address import class_of
from trebuchet.model.message import Direction
from trebuchet.model.status import State
from trebuchet.storage.base import Found, FoundPage, Life, MessageQuery

LIMIT_DEFAULT = 100
REACH = 10_000  # limit and offset together; totalCount counts no further either
SPAN_MS = 14 * 86_400_000

_PARAMETERS_MAX = 64
_NAME_MAX = 64  # of an unknown parameter, quoted back
_TOKEN_OFFSET_OCTETS = 2
_TOKEN_DIGEST_OCTETS = 10

Parameters = list[tuple[str, str]]


def parse_query(query_string: bytes, account_id: str) -> MessageQuery:
    """What to search for among the messages of one account. Raises Problem 400 with every wrong parameter."""
    parameters = _parameters(query_string)
    errors: list[FieldError] = []
    fields: Fields = {"account_id": account_id}
    names = [name for name, _ in parameters]
    for name, value in parameters:
        read = FILTERS.get(name) or OPTIONS.get(name)
        if read is None and name != "pageToken":
            errors.append(
                FieldError(name[:_NAME_MAX], f"'{name[:_NAME_MAX]}' is not a parameter of this search")
            )
        elif names.count(name) > 1:
            errors.append(FieldError(name, f"'{name}' must be given once"))
        elif not value or not value.isprintable():
            errors.append(FieldError(name, f"'{name}' must not be empty or contain control characters"))
        elif read is not None:
            try:
                _merge(fields, read(value))
            except Refused as refused:
                errors.append(FieldError(name, f"'{name}' must {refused}"))
    limit = fields.get("limit", LIMIT_DEFAULT)
    offset = _offset(parameters, account_id, limit, errors)
    _check_span(fields, errors)
    if errors:
        raise invalid(errors)
    if not FILTERS.keys() & names:
        raise malformed("At least one filter is required, such as 'messageId', 'sourceTn' or 'fromDateTime'")
    return MessageQuery(**{**fields, "limit": limit, "offset": offset, "count_up_to": REACH})


def _parameters(query_string: bytes) -> Parameters:
    try:
        return parse_qsl(
            query_string.decode(),
            keep_blank_values=True,
            strict_parsing=bool(query_string),
            errors="strict",
            max_num_fields=_PARAMETERS_MAX,
        )
    except ValueError:  # of decoding too
        raise malformed("The query string is malformed") from None


def _merge(fields: Fields, more: Fields) -> None:
    """All filters must match: states that two of them allow are those that both do."""
    if "states" in fields and "states" in more:
        states = tuple(state for state in fields["states"] if state in more["states"])
        more = {"states": states} if states else NOTHING
    if fields.get("message_id") != "":
        fields.update(more)
    else:
        fields.update({name: value for name, value in more.items() if name != "message_id"})


def _check_span(fields: Fields, errors: list[FieldError]) -> None:
    from_ms, to_ms = fields.get("from_ms"), fields.get("to_ms")
    if from_ms is None or to_ms is None:
        return
    if to_ms < from_ms:
        errors.append(FieldError("toDateTime", "'toDateTime' must not be before 'fromDateTime'"))
    elif to_ms - from_ms > SPAN_MS:
        errors.append(FieldError("toDateTime", "'toDateTime' must be 14 days or less after 'fromDateTime'"))


# ---- page tokens ----


def _offset(parameters: Parameters, account_id: str, limit: int, errors: list[FieldError]) -> int:
    token = dict(parameters).get("pageToken")
    if not token:
        return 0
    try:
        octets = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        octets = b""
    offset = int.from_bytes(octets[:_TOKEN_OFFSET_OCTETS], "big")
    if octets != _token_octets(offset, _digest(parameters, account_id)):
        errors.append(FieldError("pageToken", "'pageToken' must come from an answer to the same search"))
    elif offset + limit > REACH:
        errors.append(
            FieldError("limit", f"'limit' and the rows before this page must be {REACH} or less together")
        )
    return offset


def _digest(parameters: Parameters, account_id: str) -> bytes:
    """Of what is searched for: a page of one search is no page of another."""
    same = sorted(pair for pair in parameters if pair[0] not in ("limit", "pageToken", "limitTotalCount"))
    return hashlib.sha256(msgspec.json.encode((account_id, same))).digest()[:_TOKEN_DIGEST_OCTETS]


def _token_octets(offset: int, digest: bytes) -> bytes:
    return offset.to_bytes(_TOKEN_OFFSET_OCTETS, "big") + digest


def _page_info(page: FoundPage, query: MessageQuery, url: str, query_string: bytes) -> dict[str, str]:
    parameters = _parameters(query_string)
    digest = _digest(parameters, query.account_id or "")
    kept = [pair for pair in parameters if pair[0] != "pageToken"]
    offsets = {}
    if query.offset > 0:
        offsets["prev"] = max(0, query.offset - query.limit)
    following = query.offset + query.limit
    if following < page.total and following + query.limit <= REACH:
        offsets["next"] = following
    info = {}
    for way, offset in offsets.items():
        token = base64.urlsafe_b64encode(_token_octets(offset, digest)).decode()
        info[f"{way}Page"] = f"{url}?{urlencode([*kept, ('pageToken', token)])}"
        info[f"{way}PageToken"] = token
    return info


# ---- answers ----


class _Row(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    message_id: str
    account_id: str
    source_tn: str
    destination_tn: str
    message_status: str
    message_direction: str
    message_type: str
    segment_count: int
    error_code: int
    receive_time: str
    message_size: int
    message_length: int
    attachment_count: int
    recipient_count: int
    product: str
    carrier_name: str | None = None


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    total_count: int
    page_info: dict[str, str]
    messages: list[_Row]


class _Recipient(msgspec.Struct, frozen=True, rename="camel"):
    to: str
    message_status: str
    error_code: int


class _OneMessage(Answer, frozen=True, omit_defaults=True, kw_only=True, rename="camel"):
    recipients: list[_Recipient]


def render_page(page: FoundPage, query: MessageQuery, url: str, query_string: bytes) -> bytes:
    """The answer to a search. `url` is that of the request without its query string.

    The links and tokens to other pages are there only if the pages are. What is not known is absent, never
    null: one of the SDKs refuses nulls.
    """
    rows = [_row(found) for found in page.rows]
    return msgspec.json.encode(_Page(page.total, _page_info(page, query, url, query_string), rows))


def _row(found: Found) -> _Row:
    message, delivery = found.message, found.delivery
    return _Row(
        message_id=message.id,
        account_id=message.account_id,
        source_tn=message.source,
        destination_tn=delivery.to,
        message_status=_shown_status(delivery.state, found.claimed),
        message_direction="OUTBOUND" if message.direction is Direction.OUT else "INBOUND",
        message_type=message.kind,
        segment_count=message.segment_count,
        error_code=delivery.error_code or 0,
        receive_time=iso_ms(message.received_ms),
        message_size=len(message.text.encode()),
        message_length=len(message.text),
        attachment_count=len(message.media or ()),
        recipient_count=len(message.destinations),
        product=PRODUCTS[class_of(message.owner)],
        carrier_name=delivery.carrier_id,
    )


def _shown_status(state: State, claimed: bool) -> str:
    return "SENDING" if claimed or state is State.IN_DOUBT else state.value


def render_one(life: Life) -> bytes:
    """One message: the 202's object, and what became of it for each recipient (the original has no such call).

    As in callbacks, the text is shown in the profile catapult only.
    """
    message = life.message
    recipients = [
        _Recipient(
            delivery.to,
            _shown_status(delivery.state, delivery.recipient in life.claimed),
            delivery.error_code or 0,
        )
        for delivery in life.deliveries
    ]
    return msgspec.json.encode(
        _OneMessage(
            id=message.id,
            owner=message.owner,
            application_id=message.application_id,
            time=iso_ms(message.received_ms),
            segment_count=message.segment_count,
            direction=message.direction,
            to=message.destinations,
            from_=message.source,
            text=message.text if message.profile is Profile.CATAPULT else "",
            media=message.media,
            tag=message.tag,
            priority=message.priority,
            expiration=message.expiration,
            recipients=recipients,
        )
    )

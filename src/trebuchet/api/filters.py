"""The parameters of a search of messages: each has a function from its value to fields of a `MessageQuery`.

Every documented parameter is here. Of some filters we hold no data (NO_DATA): they match nothing, as they
would where the data is empty.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from trebuchet.model.address import NumberClass, class_of, normalise_e164, normalise_sender
from trebuchet.model.message import Direction
from trebuchet.model.status import State

LIMIT_MAX = 1000
NUMBERS_MAX = 10
PREFIX_MIN = 5
_INTEGER_MAX = 2**31 - 1
_MOMENT_MAX_MS = 9_999_999_999_998  # ids begin with 13 digits of milliseconds

Fields = dict[str, Any]  # of MessageQuery
NOTHING: Fields = {"message_id": ""}  # the id of no message

PRODUCTS = {
    NumberClass.LOCAL: "LOCAL_A2P",
    NumberClass.TOLL_FREE: "TOLL_FREE",
    NumberClass.SHORT_CODE: "SHORT_CODE_REACH",
    NumberClass.ALPHANUMERIC: "ALPHA_NUMERIC",
}
OTHER_PRODUCTS = ("P2P", "HOSTED_SHORT_CODE", "RBM_MEDIA", "RBM_RICH", "RBM_CONVERSATIONAL")
DIRECTIONS = {"INBOUND": Direction.IN, "OUTBOUND": Direction.OUT}
TYPES = ("sms", "mms", "rcs")

# Status as it is shown → states of a delivery, with SENDING for a queued one that is with its carrier. One
# that is in doubt was handed over and never answered: to a customer it is still being sent.
STATUSES: dict[str, tuple[str, ...]] = {
    "RECEIVED": (State.RECEIVED,),
    "QUEUED": (State.QUEUED,),
    "SENDING": ("SENDING", State.IN_DOUBT),
    "SENT": (State.SENT,),
    "FAILED": (State.FAILED,),
    "DELIVERED": (State.DELIVERED,),
    "ACCEPTED": (State.ACCEPTED,),
    "UNDELIVERED": (State.UNDELIVERED,),
}
_QUEUED_HERE = ("QUEUED", "SENDING")
_QUEUED_AT_CARRIER = (State.SENT, State.IN_DOUBT)

SORTS = {
    "messageId": "id",
    "accountId": "account_id",
    "sourceTn": "source",
    "destinationTn": "to",
    "messageStatus": "state",
    "messageDirection": "direction",
    "messageType": "kind",
    "segmentCount": "segment_count",
    "errorCode": "error_code",
    "receiveTime": "received_ms",
    "carrierName": "carrier_id",
}


class Refused(ValueError):
    """A value that a parameter cannot have. The text completes "'name' must …"."""


# ---- values of parameters; each raises Refused ----


def _one_of(value: str, allowed: Iterable[str]) -> str:
    if value not in allowed:
        raise Refused(f"be one of {', '.join(allowed)}")
    return value


def _integer(value: str, low: int = 0, high: int = _INTEGER_MAX) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 10 and low <= int(value) <= high):
        raise Refused(f"be a whole number from {low} to {high}")
    return int(value)


def _boolean(value: str) -> bool:
    return _one_of(value, ("true", "false")) == "true"


def _moment_ms(value: str) -> int:
    # A plus that was not percent-encoded arrives as a blank.
    written = value.replace(" ", "+") if "T" in value else value
    try:
        moment = datetime.fromisoformat(written)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment_ms = int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Refused("be an ISO 8601 date and time, such as 2026-01-31T12:00:00Z") from None
    return min(max(moment_ms, 0), _MOMENT_MAX_MS)


def _numbers(exact: str, prefix: str) -> Callable[[str], Fields]:
    def fields(value: str) -> Fields:
        if value.startswith(" "):  # a plus that was not percent-encoded
            value = "+" + value[1:]
        if "," not in value:
            full = _full_number(value)
            if full is not None:
                return {exact: (full,)}
            if len(value) < PREFIX_MIN:
                raise Refused(f"be a telephone number, or {PREFIX_MIN} or more of its first characters")
            return {prefix: value}
        full_numbers = [_full_number(one) or normalise_e164(one) for one in value.split(",")]
        if len(full_numbers) > NUMBERS_MAX or None in full_numbers:
            raise Refused(f"be a list of {NUMBERS_MAX} full telephone numbers or less")
        return {exact: tuple(full_numbers)}

    return fields


def _full_number(value: str) -> str | None:
    """The number as stored, or None if `value` may be the beginning of one. Outside of North America any may."""
    number = normalise_sender(value)
    if number is None or class_of(number) in (NumberClass.SHORT_CODE, NumberClass.ALPHANUMERIC):
        return number
    return number if number.startswith("+1") and len(number) == len("+12345678901") else None


def _status(value: str) -> Fields:
    return {"states": STATUSES[_one_of(value, STATUSES)]}


def _queued(states: tuple[str, ...]) -> Callable[[str], Fields]:
    def fields(value: str) -> Fields:
        every = [state for shown in STATUSES.values() for state in shown]
        wanted = _boolean(value)
        return {"states": tuple(state for state in every if (state in states) == wanted)}

    return fields


def _type(value: str) -> Fields:
    return NOTHING if _one_of(value, TYPES) == "rcs" else {"kind": value}


def _product(value: str) -> Fields:
    classes = {name: class_ for class_, name in PRODUCTS.items()}
    _one_of(value, (*classes, *OTHER_PRODUCTS))
    return {"owner_class": classes[value].value} if value in classes else NOTHING


def _nothing_for(check: Callable[[str], object]) -> Callable[[str], Fields]:
    def fields(value: str) -> Fields:
        check(value)
        return NOTHING

    return fields


# Parameter → whether its value can be right at all. No row has the column.
NO_DATA: dict[str, Callable[[str], object]] = {
    "campaignId": str,
    "location": str,
    "fromBwLatency": _integer,
    "fromCarrierLatency": _integer,
    "callingNumberCountryA3": str,
    "calledNumberCountryA3": str,
}

FILTERS: dict[str, Callable[[str], Fields]] = {
    "messageId": lambda value: {"message_id": value},
    "sourceTn": _numbers("sources", "source_prefix"),
    "destinationTn": _numbers("destinations", "destination_prefix"),
    "messageStatus": _status,
    "messageDirection": lambda value: {"direction": DIRECTIONS[_one_of(value, DIRECTIONS)]},
    "messageType": _type,
    "carrierName": lambda value: {"carrier_id": value},
    "errorCode": lambda value: {"error_code": _integer(value)},
    "fromDateTime": lambda value: {"from_ms": _moment_ms(value)},
    "toDateTime": lambda value: {"to_ms": _moment_ms(value)},
    "product": _product,
    "bwQueued": _queued(_QUEUED_HERE),
    "carrierQueued": _queued(_QUEUED_AT_CARRIER),
    "fromSegmentCount": lambda value: {"min_segments": _integer(value)},
    "toSegmentCount": lambda value: {"max_segments": _integer(value)},
    "fromMessageSize": lambda value: {"min_octets": _integer(value)},
    "toMessageSize": lambda value: {"max_octets": _integer(value)},
    **{name: _nothing_for(check) for name, check in NO_DATA.items()},
}


def _sort(value: str) -> Fields:
    field, _, direction = value.partition(":")
    if field not in SORTS or direction not in ("asc", "desc"):
        raise Refused(f"be field:asc or field:desc, with one of the fields {', '.join(SORTS)}")
    return {"sort": (SORTS[field], direction == "desc")}


def _limit_total_count(value: str) -> Fields:
    _boolean(value)  # totalCount never counts further than it would limit it to
    return {}


OPTIONS: dict[str, Callable[[str], Fields]] = {
    "sort": _sort,
    "limit": lambda value: {"limit": _integer(value, 1, LIMIT_MAX)},
    "limitTotalCount": _limit_total_count,
}

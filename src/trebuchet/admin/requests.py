"""Reading a request of the admin API: bodies with unknown fields refused, bounded pages, times. Raises Problem."""

import difflib
import enum
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from starlette.requests import Request

from trebuchet.api.body import read_body
from trebuchet.api.problems import (
    FieldError,
    invalid,
    invalid_field,
    malformed,
    unsupported_content_type,
)

T = TypeVar("T", bound=msgspec.Struct)

BODY_MAX = 65_536
BULK_MAX = 4 << 20
LIMIT = 100
LIMIT_MAX = 1000
_DIGITS_MAX = 9  # more of them are no number that any parameter takes


async def read_json(request: Request, body_max: int = BODY_MAX) -> Any:
    """The body as JSON values; an empty one is an empty object."""
    kind = request.headers.get("content-type", "application/json")
    body = await read_body(request, body_max)
    if body and kind.partition(";")[0].strip().lower() != "application/json":
        raise unsupported_content_type(kind)
    try:
        return msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(f"The body is not valid JSON: {error}") from None


def read_fields(
    value: Any, type_: type[msgspec.Struct], needed: Sequence[str] = ()
) -> tuple[dict[str, Any], list[FieldError]]:
    """The right fields of a body, converted, and what is wrong with the others or missing.

    Raises Problem if it is no object at all.
    """
    if not isinstance(value, dict):
        raise malformed("The body must be a JSON object")
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    errors = [FieldError(name[:64], _unknown(name, list(fields))) for name in value if name not in fields]
    given: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            try:
                given[field.name] = msgspec.convert(value[name], field.type)
            except msgspec.ValidationError as error:
                errors.append(FieldError(name, f"'{name}': {error}{_choice(field.type)}"))
        elif field.required or name in needed:
            errors.append(FieldError(name, f"'{name}' is required"))
    return given, errors


def read_body_as(value: Any, type_: type[T]) -> T:
    """A body as one of our structs. Every unknown and every wrong field is named at once."""
    given, errors = read_fields(value, type_)
    if errors:
        raise invalid(errors)
    return type_(**given)


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name[:64], known, 1)
    return f"there is no field '{name[:64]}'" + (f"; did you mean '{close[0]}'?" if close else "")


def _choice(type_: Any) -> str:
    """What a field of a few known values takes; empty if it takes others too."""
    values = _values(type_)
    return f"; it takes {', '.join(values)}" if values else ""


def _values(type_: Any) -> list[str]:
    if get_origin(type_) is Literal:
        return list(get_args(type_))
    if isinstance(type_, type) and issubclass(type_, enum.StrEnum):
        return [member.value for member in type_]
    return [value for part in get_args(type_) for value in _values(part)]


def query(request: Request, *known: str) -> dict[str, str]:
    """The query parameters. One that is not known is refused."""
    given = dict(request.query_params)
    check_names(given, *known)
    return given


def check_names(given: Mapping[str, str], *known: str) -> None:
    """Raises Problem for a parameter that is not known."""
    errors = [FieldError(name[:64], _unknown(name, list(known))) for name in given if name not in known]
    if errors:
        raise invalid(errors)


def limit(given: dict[str, str]) -> int:
    asked = whole(given, "limit", 1, LIMIT_MAX)
    return LIMIT if asked is None else asked


def whole(given: dict[str, str], name: str, least: int, most: int) -> int | None:
    """A whole number from `least` to `most`; None if it is not given."""
    if name not in given:
        return None
    written = given[name]
    if not (written.isascii() and written.isdecimal() and len(written) <= _DIGITS_MAX) or not (
        least <= int(written) <= most
    ):
        raise invalid_field(name, f"'{name}' must be a number from {least} to {most}")
    return int(written)


def flag(given: dict[str, str], name: str) -> bool:
    if given.get(name, "false") not in ("true", "false"):
        raise invalid_field(name, f"'{name}' must be true or false")
    return given.get(name) == "true"


def moment_ms(given: dict[str, str], name: str) -> int | None:
    """An ISO 8601 time in milliseconds since the epoch; UTC if it has no offset. None if it is not given."""
    if name not in given:
        return None
    # A plus that was not percent-encoded arrives as a blank.
    written = given[name].replace(" ", "+") if "T" in given[name] else given[name]
    try:
        moment = datetime.fromisoformat(written)
        moment_ms = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise invalid_field(name, f"'{name}' must be an ISO 8601 date and time") from None
    return max(moment_ms, 0)

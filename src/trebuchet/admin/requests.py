"""Reading a request of the admin API: bodies with unknown fields refused, bounded pages, times. Raises Problem."""

import difflib
from datetime import UTC, datetime
from typing import Any, TypeVar

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


async def read_json(request: Request, body_max: int = BODY_MAX) -> Any:
    """The body as JSON values."""
    kind = request.headers.get("content-type", "application/json")
    body = await read_body(request, body_max)
    if body and kind.partition(";")[0].strip().lower() != "application/json":
        raise unsupported_content_type(kind)
    try:
        return msgspec.json.decode(body) if body else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"The body is not valid JSON: {error}") from None


def convert(value: Any, type_: type[T]) -> T:
    """`value` as one of our structs. Every unknown and every wrong field is named at once."""
    if not isinstance(value, dict):
        raise malformed("The body must be a JSON object")
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    errors = [FieldError(name, _unknown(name, list(fields))) for name in value if name not in fields]
    for name, field in fields.items():
        if name in value:
            try:
                msgspec.convert(value[name], field.type)
            except msgspec.ValidationError as error:
                errors.append(FieldError(name, f"'{name}': {error}"))
        elif field.required:
            errors.append(FieldError(name, f"'{name}' is required"))
    if errors:
        raise invalid(errors)
    return msgspec.convert(value, type_)


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"there is no field '{name[:64]}'" + (f"; did you mean '{close[0]}'?" if close else "")


def query(request: Request, *known: str) -> dict[str, str]:
    """The query parameters. One that is not known is refused."""
    given = dict(request.query_params)
    errors = [FieldError(name, _unknown(name, list(known))) for name in given if name not in known]
    if errors:
        raise invalid(errors)
    return given


def limit(given: dict[str, str], most: int = LIMIT_MAX) -> int:
    return whole(given, "limit", most) or min(LIMIT, most)


def whole(given: dict[str, str], name: str, most: int) -> int | None:
    """A whole number from 1 to `most`."""
    if name not in given:
        return None
    if not given[name].isdecimal() or not 1 <= int(given[name][:9]) <= most:
        raise invalid_field(name, f"'{name}' must be a number from 1 to {most}")
    return int(given[name])


def flag(given: dict[str, str], name: str) -> bool:
    if given.get(name, "false") not in ("true", "false"):
        raise invalid_field(name, f"'{name}' must be true or false")
    return given.get(name) == "true"


def moment_ms(given: dict[str, str], name: str) -> int | None:
    """An ISO 8601 time; UTC if it has no offset."""
    if not given.get(name):
        return None
    try:
        moment = datetime.fromisoformat(given[name])
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise invalid_field(name, f"'{name}' must be an ISO 8601 date and time") from None

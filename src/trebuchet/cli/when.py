"""Times and durations as people write them. Pure."""

import re
from datetime import UTC, datetime

from trebuchet.cli.outcome import Code, CommandError
from trebuchet.clock import iso_ms

UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION_MAX_MS = 366 * UNITS_MS["d"]
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)", re.ASCII)


def duration_ms(written: str) -> int:
    """Milliseconds of a duration such as `500ms`, `30s`, `1.5h` or `2d`. Raises CommandError."""
    found = _DURATION.fullmatch(written.strip())
    value = round(float(found[1]) * UNITS_MS[found[2]]) if found else -1
    if not 0 <= value <= DURATION_MAX_MS:
        raise CommandError(
            Code.REFUSED, f"{written!r} is not a duration up to 366d: write it like 500ms, 30s, 5m, 2h or 1d"
        )
    return value


def moment(written: str, now_ms: int) -> str:
    """An ISO 8601 time in UTC, from one, or from a duration that means as long ago. Raises CommandError.

    A time without an offset is UTC.
    """
    if _DURATION.fullmatch(written.strip()):
        return iso_ms(now_ms - duration_ms(written))
    try:
        at = datetime.fromisoformat(written.strip())
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(
            Code.REFUSED,
            f"{written!r} is not a time: write it like 2026-01-31T12:00:00Z, or 2h for two hours ago",
        ) from None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_time(at_ms: int) -> str:
    """`12:00:00.000`, in UTC."""
    return iso_ms(at_ms)[11:23]


def span(ms: int) -> str:
    """A duration for people: `37 ms`, `1.2 s`, `5 min 3 s`, `2 h 5 min`, `3 d 4 h`."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < UNITS_MS["m"]:
        return f"{ms / 1000:.1f} s"
    for unit, name, smaller, smaller_name in (
        ("d", "d", "h", "h"),
        ("h", "h", "m", "min"),
        ("m", "min", "s", "s"),
    ):
        if ms >= UNITS_MS[unit]:
            rest = ms % UNITS_MS[unit] // UNITS_MS[smaller]
            return f"{ms // UNITS_MS[unit]} {name}" + (f" {rest} {smaller_name}" if rest else "")
    raise AssertionError("every duration of a minute has a unit")

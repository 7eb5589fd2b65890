"""How values look on pages: the filters of the templates. Pure."""

from collections.abc import Callable
from typing import Any

# state → the colour of its badge, and what it means to a person.
STATES = {
    "QUEUED": ("neutral", "waits in its lane"),
    "SENDING": ("info", "is with the carrier, which has not answered"),
    "SENT": ("info", "taken by the carrier; a receipt is awaited"),
    "IN_DOUBT": ("warning", "submitted, and never answered"),
    "DELIVERED": ("success", "on the handset"),
    "FAILED": ("error", "never taken by a carrier"),
    "UNDELIVERED": ("error", "taken by the carrier, and not delivered"),
    "RECEIVED": ("info", "came in; its callback has not been taken"),
    "ACCEPTED": ("success", "came in, and its callback was taken"),
}


def colour(state: str) -> str:
    return STATES.get(state, ("neutral", ""))[0]


def meaning(state: str) -> str:
    return STATES.get(state, ("neutral", ""))[1]


def number(value: float | None) -> str:
    """A count with thin spaces between thousands, a rate with as many places as tell something."""
    if value is None:
        return "–"
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}".replace(",", "\u202f")


def duration(ms: float | None) -> str:
    """`3 ms`, `1.24 s`, `2 min 5 s`, `3 h 4 min`, `2 d 3 h`."""
    if ms is None:
        return "–"
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms / 1000:.3g} s"
    seconds = int(ms // 1000)
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // small
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def octets(count: float | None) -> str:
    """A size: `512 B`, `41 kB`, `1.2 MB`."""
    if count is None:
        return "–"
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def clock_time(iso: str | None) -> str:
    """The time of day of an ISO time, in UTC; the browser shows its own in its place."""
    return iso[11:19] if iso else "–"


FILTERS: dict[str, Callable[..., Any]] = {
    "colour": colour,
    "meaning": meaning,
    "number": number,
    "duration": duration,
    "octets": octets,
    "clock_time": clock_time,
}

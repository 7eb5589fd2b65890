"""Overview: rates, success, lanes and error codes of the last hours."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from trebuchet.clock import iso_ms
from trebuchet.console.context import ConsoleContext
from trebuchet.console.history import Belongs, Counts, total
from trebuchet.console.pages.welcome import Guide
from trebuchet.console.render import Page, Pages
from trebuchet.model import errorcodes

_HOUR_MS = 3_600_000


def _is(name: str, *labels: str) -> Belongs:
    """The counters of a metric, all of them or those with given first labels."""
    return lambda counter, has: counter == name and has[: len(labels)] == labels


ACCEPTED = _is("trebuchet_messages_accepted_total", "out")
RECEIVED = _is("trebuchet_messages_accepted_total", "in")
DELIVERED = _is("trebuchet_events_total", "message-delivered")
FAILED = _is("trebuchet_events_total", "message-failed")
CALLED_BACK = _is("trebuchet_callback_attempts_total", "2xx")
CALLBACK_TRIES = _is("trebuchet_callback_attempts_total")

# The lines of the chart: what it is called, and what it is the rate of.
LINES: tuple[tuple[str, Belongs], ...] = (
    ("Accepted", ACCEPTED),
    ("Delivered", DELIVERED),
    ("Failed", FAILED),
    ("Received", RECEIVED),
)


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    guide = Guide(context)

    async def overview(request: Request) -> Page:
        part = request.query_params.get("part")
        values = await _values(context) if part != "steps" else {}
        if part == "figures" or (part != "steps" and not await guide.wanted(request)):
            return Page("overview", {**values, "guide": None}, "Overview")
        shown, hidden = await guide.look(request)
        return Page("overview", {**values, "guide": shown}, "Overview", hidden=hidden)

    return pages.routes("/", GET=overview)


async def _values(context: ConsoleContext) -> dict[str, Any]:
    admin, history = context.admin, context.history
    depths = await admin.store.depths()
    now_ms = admin.clock.now_ms()
    hour = history.grown(_HOUR_MS)
    links = admin.links()
    return {
        "since": iso_ms(max(history.since_ms, now_ms - _HOUR_MS)),
        "started": iso_ms(admin.started_ms),
        "uptime_ms": now_ms - admin.started_ms,
        "queued": admin.queued(),
        "delays": dict(
            zip(("p50_ms", "p95_ms"), context.callbacks.recent.delays(now_ms - _HOUR_MS), strict=True)
        ),
        "hour": _sums(hour),
        "errors": _errors(hour),
        "lanes": [
            {"name": name, "rows": rows, "oldest_age_ms": max(0, now_ms - due_ms)}
            for name, (rows, due_ms) in sorted(depths.outbox.items())
        ],
        "callbacks": [
            {"application_id": name, "rows": rows, "oldest_age_ms": max(0, now_ms - due_ms)}
            for name, (rows, due_ms) in sorted(depths.callbacks.items())
        ],
        "links": [{"carrier_id": link.carrier_id, "kind": link.kind, "state": link.state} for link in links],
        "chart": {
            "labels": [name for name, _ in LINES],
            "data": history.series([belongs for _, belongs in LINES]),
        },
        "base_url": context.base_url(),
    }


def _sums(counts: Counts) -> dict[str, Any]:
    delivered, failed = total(counts, DELIVERED), total(counts, FAILED)
    tries, taken = total(counts, CALLBACK_TRIES), total(counts, CALLED_BACK)
    return {
        "accepted": total(counts, ACCEPTED),
        "received": total(counts, RECEIVED),
        "delivered": delivered,
        "failed": failed,
        "success": delivered / (delivered + failed) if delivered + failed else None,
        "callbacks": tries,
        "callback_success": taken / tries if tries else None,
    }


def _errors(counts: Counts) -> list[dict[str, Any]]:
    """Error codes of deliveries that failed, the most frequent first."""
    found = [
        (labels[0], count) for (name, labels), count in counts.items() if name == "trebuchet_failures_total"
    ]
    return [
        {"code": int(code), "count": count, "meaning": _meaning(int(code))}
        for code, count in sorted(found, key=lambda pair: -pair[1])
    ]


def _meaning(code: int) -> str:
    known = errorcodes.ERROR_CODES.get(code)
    return known.meaning if known is not None else ""

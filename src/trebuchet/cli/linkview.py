"""A link as the admin API answers it, as tables and lines for people. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trebuchet.cli.output import BAD, QUIET, Line
from trebuchet.cli.when import span
from trebuchet.clock import iso_ms

LIST_COLUMNS = ("id", "kind", "state", "bound", "waiting", "receipt ids")
NOW_COLUMNS = ("bind", "role", "state", "since", "in flight", "queued", "limit", "response")
COUNT_COLUMNS = (
    "bind", "submits", "receipts", "inbound", "throttles", "unanswered", "rejected", "reconnects",
)  # fmt: skip

RECEIPT_COLUMNS = ("time", "carrier", "id", "state", "error", "handset")

Link = Mapping[str, Any]
Bind = Mapping[str, Any]


def list_row(link: Link) -> Sequence[object]:
    """One row under LIST_COLUMNS."""
    binds = link["binds"]
    bound = sum(bind["state"] == "bound" for bind in binds)
    waiting = sum(lane["rows"] for lane in link["lanes"])
    of_all = f"{bound} of {len(binds)}" if binds else None
    return (link["carrier_id"], link["kind"], link["state"], of_all, waiting, link["receipt_ids"])


def now_row(bind: Bind, now_ms: int) -> Sequence[object]:
    """How a bind is, under NOW_COLUMNS."""
    state = bind["state"]
    if state == "waiting" and bind["next_try_ms"] is not None:
        state += f", next try in {span(max(0, bind['next_try_ms'] - now_ms))}"
    response = bind["response_ms"]
    return (
        bind["name"],
        bind["role"],
        state,
        span(max(0, now_ms - bind["since_ms"])),
        f"{bind['in_flight']} of {bind['window']}" if bind["window"] else None,  # a receiver has none
        bind["queued"],
        _limit(bind),
        None if response is None else f"{response:.1f} ms",
    )


def count_row(bind: Bind) -> Sequence[object]:
    """What a bind has seen since the link started, under COUNT_COLUMNS."""
    return (bind["name"], *(bind[column] for column in COUNT_COLUMNS[1:]))


def bind_lines(binds: Sequence[Bind]) -> Iterator[Line]:
    """Who is on the other side, and what went wrong last."""
    for bind in binds:
        if bind["peer_system_id"]:
            version = f", SMPP {bind['peer_version']}" if bind["peer_version"] else ""
            yield Line(f"{bind['name']}: the SMSC is {bind['peer_system_id']}{version}", QUIET)
        if bind["last_error"]:
            # What has been overcome is worth knowing, and no alarm.
            yield Line(
                f"{bind['name']}: last error: {bind['last_error']}",
                QUIET if bind["state"] == "bound" else BAD,
            )


def _limit(bind: Bind) -> str | None:
    limit, rate = bind["limit_per_s"], bind["rate_per_s"]
    if rate is None or rate == limit:
        return None if limit is None else f"{limit:g}/s"
    return f"{rate:.3g}/s" + (f" of {limit:g}/s" if limit is not None else "")


def receipt_row(receipt: Mapping[str, Any]) -> Sequence[object]:
    """One row under RECEIPT_COLUMNS."""
    names = ("carrier_id", "carrier_message_id", "state", "error", "handset")
    return (iso_ms(receipt["at_ms"]), *(receipt[name] for name in names))

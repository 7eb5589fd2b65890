"""Links as the carriers' pages show them, from what the admin API says of them. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trebuchet.admin.context import LinkStatus
from trebuchet.admin.links import shown
from trebuchet.carriers.status import BindReport, BindState, Observable
from trebuchet.clock import iso_ms
from trebuchet.console.history import Counts
from trebuchet.console.linkhistory import Figures, Key, Series

Depths = Mapping[str, tuple[int, int]]

_SUMMED = ("submits", "receipts", "inbound", "throttles", "unanswered", "rejected", "reconnects", "in_flight")


def measured(links: list[LinkStatus], counts: Counts) -> dict[Key, Figures]:
    """A sample of all links: their binds, or what carriers answered to the lanes of links that have none."""
    by_lane: dict[str, float] = {}
    for (name, labels), count in counts.items():
        if name == "trebuchet_submits_total":
            by_lane[labels[0]] = by_lane.get(labels[0], 0) + count
    found: dict[Key, Figures] = {}
    for status in links:
        if isinstance(status.link, Observable):
            for bind in status.link.report():
                found[status.carrier_id, bind.name] = Figures(
                    bind.submits,
                    bind.receipts,
                    bind.inbound,
                    bind.throttles,
                    bind.unanswered,
                    bind.response_ms,
                )
        else:
            for lane, _ in status.lanes:
                found[status.carrier_id, lane] = Figures(by_lane.get(lane, 0))
    return found


def link(status: LinkStatus, depths: Depths, rates: Mapping[str, float], now_ms: int) -> dict[str, Any]:
    """A link, its lanes, its binds and all of them together."""
    reports = status.link.report() if isinstance(status.link, Observable) else []
    values = shown(status, depths)
    for lane in values["lanes"]:
        rows, due_ms = depths.get(lane["name"], (0, now_ms))
        lane["oldest_age_ms"] = max(0, now_ms - due_ms) if rows else None
    ages = [lane["oldest_age_ms"] for lane in values["lanes"] if lane["oldest_age_ms"] is not None]
    return {
        **values,
        "proposal": status.proposal,
        "has_addresses": status.try_address is not None,
        "has_binds": isinstance(status.link, Observable),
        "binds": [_bind(report, rates.get(report.name), now_ms) for report in reports],
        "waiting": sum(lane["rows"] for lane in values["lanes"]),
        "oldest_age_ms": max(ages, default=None),
        "rate_now": sum(rates.values()) if rates else None,
        "sums": {**_sums(reports), "bound": sum(report.state is BindState.BOUND for report in reports)},
    }


def charts(series: Series, *, binds: bool) -> list[dict[str, Any]]:
    """What is drawn of a link, each with its unit. Without binds nothing but its throughput is known."""
    times, submits, receipts, inbound, throttles, unanswered, response = series
    if not binds:
        return [_chart("Shipments per second", ["Answered"], [times, submits], "/s")]
    return [
        _chart(
            "PDUs per second", ["Submits", "Receipts", "Inbound"], [times, submits, receipts, inbound], "/s"
        ),
        _chart("Time to an answer", ["Response"], [times, response], " ms"),
        _chart("Throttled and unanswered", ["Throttled", "Unanswered"], [times, throttles, unanswered], "/s"),
    ]


def _chart(title: str, labels: list[str], data: Series, unit: str) -> dict[str, Any]:
    return {"title": title, "labels": labels, "data": data, "unit": unit}


def _bind(report: BindReport, rate: float | None, now_ms: int) -> dict[str, Any]:
    values = msgspec.to_builtins(report)
    next_try_ms = report.next_try_ms
    return {
        **values,
        "since": iso_ms(report.since_ms),
        "for_ms": max(0, now_ms - report.since_ms),
        "next_try_in_ms": max(0, next_try_ms - now_ms) if next_try_ms is not None else None,
        "rate_now": rate,
    }


def _sums(reports: list[BindReport]) -> dict[str, Any]:
    times = [report.response_ms for report in reports if report.response_ms is not None]
    senders = [report for report in reports if report.role != "receiver"]
    return {
        **{name: sum(getattr(report, name) for report in reports) for name in _SUMMED},
        "window": sum(report.window for report in senders),
        "response_ms": sum(times) / len(times) if times else None,
    }

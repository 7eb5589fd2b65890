"""What the gateway says about itself: counters, histograms and log events, with their names in one place.

Counting is a dictionary increment, because it happens several times per message; Prometheus formats are made
when somebody asks. Log events carry an `action` and the ids to join on; never a text, never a secret, and no
line per message at INFO.
"""

from collections import Counter as Counts
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class MetricRow(msgspec.Struct, frozen=True):
    name: str
    kind: str  # counter, gauge or histogram
    labels: tuple[str, ...]
    help: str


METRICS = (
    MetricRow(
        "trebuchet_http_requests_total",
        "counter",
        ("status",),
        "Answers of POST messages, and to requests that could not be read, by HTTP status.",
    ),
    MetricRow(
        "trebuchet_messages_accepted_total", "counter", ("direction",), "Messages stored, by direction."
    ),
    MetricRow(
        "trebuchet_segments_accepted_total", "counter", (), "Segments of outbound text messages stored."
    ),
    MetricRow(
        "trebuchet_submits_total", "counter", ("lane", "outcome"), "Outcomes that carriers gave to shipments."
    ),
    MetricRow(
        "trebuchet_lease_lost_total",
        "counter",
        ("lane",),
        "Outcomes that were not stored because another node has the lane by now.",
    ),
    MetricRow("trebuchet_in_doubt_total", "counter", ("lane",), "Shipments found in doubt after a restart."),
    MetricRow(
        "trebuchet_receipts_total", "counter", ("carrier", "state"), "Delivery receipts by carrier and state."
    ),
    MetricRow(
        "trebuchet_receipts_unmatched_total", "counter", ("carrier",), "Receipts whose segment was not known."
    ),
    MetricRow(
        "trebuchet_receipt_id_proposals_total",
        "counter",
        ("carrier", "conversion"),
        "Receipts that would have matched a segment if their id were converted so.",
    ),
    MetricRow(
        "trebuchet_inbound_incomplete_total",
        "counter",
        ("carrier",),
        "Inbound messages handed over although parts of them never came.",
    ),
    MetricRow("trebuchet_events_total", "counter", ("type",), "Events announced to applications, by type."),
    MetricRow(
        "trebuchet_failures_total", "counter", ("error_code",), "Deliveries that failed, by error code."
    ),
    MetricRow(
        "trebuchet_callback_attempts_total",
        "counter",
        ("result",),
        "Callback attempts: 2xx, another status class, or the error.",
    ),
    MetricRow(
        "trebuchet_callbacks_given_up_total",
        "counter",
        (),
        "Callbacks dropped after the whole retry schedule.",
    ),
    MetricRow(
        "trebuchet_problems_total",
        "counter",
        ("action",),
        "Things that went wrong and were handled; see the log.",
    ),
    MetricRow(
        "trebuchet_mm4_received_total",
        "counter",
        ("carrier", "type"),
        "Messages that an MM4 peer sent, by type.",
    ),
    MetricRow(
        "trebuchet_mm7_received_total",
        "counter",
        ("carrier", "type"),
        "Messages that an MMSC posted over MM7, by type.",
    ),
    MetricRow("trebuchet_pruned_total", "counter", ("what",), "Rows deleted by retention."),
    MetricRow("trebuchet_leases_held", "gauge", (), "Leases of lanes that this node holds; PostgreSQL only."),
    MetricRow(
        "trebuchet_dead_rows",
        "gauge",
        ("table",),
        "Rows of a queue that are deleted and not cleared away yet; PostgreSQL only.",
    ),
    MetricRow("trebuchet_lane_depth", "gauge", ("lane",), "Deliveries that wait in a lane."),
    MetricRow(
        "trebuchet_lane_oldest_age_seconds", "gauge", ("lane",), "Age of the oldest due delivery of a lane."
    ),
    MetricRow(
        "trebuchet_callback_backlog", "gauge", ("application",), "Callbacks that wait, by application."
    ),
    MetricRow(
        "trebuchet_callback_oldest_age_seconds", "gauge", ("application",), "Age of the oldest due callback."
    ),
    MetricRow("trebuchet_link_up", "gauge", ("carrier",), "1 if the link can take messages."),
    MetricRow("trebuchet_bind_up", "gauge", ("bind",), "1 if the session is bound."),
    MetricRow("trebuchet_bind_in_flight", "gauge", ("bind",), "Submits of a bind without an answer."),
    MetricRow("trebuchet_bind_window", "gauge", ("bind",), "The most that may be without an answer."),
    MetricRow(
        "trebuchet_bind_response_seconds", "gauge", ("bind",), "Moving average of the time to an answer."
    ),
    MetricRow(
        "trebuchet_bind_rate", "gauge", ("bind",), "Segments per second that throttling and the limit allow."
    ),
    MetricRow("trebuchet_bind_throttled_total", "counter", ("bind",), "Submits that the SMSC throttled."),
    MetricRow(
        "trebuchet_bind_unanswered_total", "counter", ("bind",), "Submits that the SMSC never answered."
    ),
    MetricRow(
        "trebuchet_bind_rejected_total",
        "counter",
        ("bind",),
        "PDUs of the SMSC that were wrong or not legal.",
    ),
    MetricRow("trebuchet_bind_ended_total", "counter", ("bind",), "Ends of sessions, and tries that failed."),
    MetricRow("trebuchet_commit_batch_size", "histogram", (), "Changes per transaction."),
    MetricRow(
        "trebuchet_commit_seconds", "histogram", (), "Duration of a transaction, from hand-over to result."
    ),
    MetricRow("trebuchet_callback_seconds", "histogram", (), "Duration of a callback POST."),
)
_BY_NAME = {row.name: row for row in METRICS}


class EventLog(Protocol):
    """Where events go: a structlog logger, or anything alike."""

    def info(self, action: str, /, **fields: object) -> object: ...

    def warning(self, action: str, /, **fields: object) -> object: ...


class Silent:
    """An EventLog that nobody reads."""

    def info(self, action: str, /, **fields: object) -> None: ...

    def warning(self, action: str, /, **fields: object) -> None: ...


class Telemetry(Collector):
    """Counts and logs. One per gateway; not thread-safe, used in the event loop."""

    def __init__(self, make_log: Callable[[], EventLog] | None = None) -> None:
        self._make_log = make_log
        self._log: EventLog | None = None
        self._counts: Counts[tuple[str, tuple[str, ...]]] = Counts()
        self._gauges: dict[tuple[str, tuple[str, ...]], float] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._batch_size = self._histogram(
            "trebuchet_commit_batch_size", (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
        )
        self._commit_s = self._histogram(
            "trebuchet_commit_seconds", (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
        )
        self._callback_s = self._histogram(
            "trebuchet_callback_seconds", (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10)
        )

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        self._counts[name, labels] += by

    def value(self, name: str, *labels: str) -> int:
        """What a counter stands at; 0 if it never moved."""
        return self._counts[name, labels]

    def counts(self) -> dict[tuple[str, tuple[str, ...]], int]:
        """All counters that ever moved, by name and labels."""
        return dict(self._counts)

    def gauges(self, name: str, values: dict[tuple[str, ...], float]) -> None:
        """Replace all values of one gauge."""
        for key in [key for key in self._gauges if key[0] == name]:
            del self._gauges[key]
        for labels, value in values.items():
            self._gauges[name, labels] = value

    def problem(self, action: str, **fields: object) -> None:
        """Something went wrong and is dealt with: announced once, here."""
        self.count("trebuchet_problems_total", action)
        self._event_log().warning(action, **fields)

    def note(self, action: str, **fields: object) -> None:
        """Something that an operator wants to find in the log, and that is no problem."""
        self._event_log().info(action, **fields)

    def _event_log(self) -> EventLog:
        # Made when there is something to say: the library behind it takes a tenth of a second to load.
        if self._log is None:
            self._log = self._make_log() if self._make_log is not None else Silent()
        return self._log

    def batch(self, size: int, seconds: float) -> None:
        self._batch_size.observe(size)
        self._commit_s.observe(seconds)

    def callback_took(self, seconds: float) -> None:
        self._callback_s.observe(seconds)

    def render(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        values: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        for source in (self._counts, self._gauges):
            for (name, labels), value in source.items():
                values.setdefault(name, []).append((labels, value))
        for row in METRICS:
            if row.kind == "histogram":
                continue
            family = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
            metric = family(row.name, row.help, labels=row.labels)
            for labels, value in values.get(row.name, [] if row.labels else [((), 0.0)]):
                metric.add_metric(labels, value)
            yield metric

    def _histogram(self, name: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, _BY_NAME[name].help, buckets=buckets, registry=self._registry)

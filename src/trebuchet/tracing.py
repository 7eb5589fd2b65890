"""The way of each message as spans for an OpenTelemetry collector: accepted, submitted, receipt, called back.

No step hands a trace on to the next, and none is stored: the ids of a trace and of its first span are made of the
id of the message. So whichever process does a step, its span joins the others. Whether a message is traced is
decided by the id, too, and is the same everywhere.

A span has ids, states and numbers; never a text, a telephone number, a URL or the words of a carrier.
"""

import asyncio
import hashlib
import logging
import os
import queue
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import msgspec

from trebuchet.clock import Clock, Timer
from trebuchet.errors import TrebuchetError
from trebuchet.model.message import Direction, Message
from trebuchet.model.receipt import Receipt
from trebuchet.telemetry import Telemetry

HELD_MAX = 8192  # spans that wait for the collector; what comes beyond is dropped
BATCH_MAX = 512
EVERY_MS = 1000  # how long a span may wait for others
_EXPORT_S = 5.0  # one batch, with its repetitions
_INSTALL = "the tracing packages are not installed: pip install 'trebuchet[tracing]', or leave tracing.endpoint empty"

# W3C Trace Context, section 3.2: version ff and ids of zeros are not valid.
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)
_FAILED = frozenset({"Refused", "RetryAt", "Lost"})


class TracingUnavailable(TrebuchetError):
    """Spans are asked for, and what would send them is not installed."""


class Span(msgspec.Struct, frozen=True):
    """One step of one message. Ids are those of OpenTelemetry."""

    trace_id: int
    span_id: int
    parent_id: int | None  # None: the first of its trace
    name: str
    kind: str  # server, client or consumer
    start_ms: int
    end_ms: int
    attributes: Mapping[str, str | int]
    failed: bool = False
    link: tuple[int, int] | None = None  # trace and span of the caller


class CallbackSpan(msgspec.Struct, frozen=True):
    """A callback that is under way, and the headers that tell the application its span."""

    span_id: int
    start_ms: int
    headers: tuple[tuple[bytes, bytes], ...]


Export = Callable[[Sequence[Span]], bool]
"""Sends spans; whether they arrived. Blocks; called in a thread of its own."""


def ids_of(message_id: str) -> tuple[int, int]:
    """The ids of a message's trace and of the first span in it. Pure."""
    digest = hashlib.sha256(message_id.encode()).digest()
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")


def read_traceparent(header: bytes | None) -> tuple[int, int] | None:
    """Trace and span of a caller; None if it names none, or names it wrongly. Pure."""
    match = _TRACEPARENT.fullmatch(header) if header else None
    return None if match is None else (int(match[1], 16), int(match[2], 16))


class Outlet:
    """Sends spans some at a time, one batch after the other. Never waits, never raises; what it cannot keep it drops.

    All calls in one event loop.
    """

    def __init__(self, export: Export, *, clock: Clock, telemetry: Telemetry) -> None:
        self._clock = clock
        self._telemetry = telemetry
        self._waiting: deque[Span] = deque()
        self._timer: Timer | None = None
        self._sending = False
        self._failing = False
        self._lost = 0
        self._closing = False
        self._idle = asyncio.Event()
        self._batches: queue.SimpleQueue[list[Span] | None] = queue.SimpleQueue()
        loop = asyncio.get_running_loop()
        # A daemon: a collector that does not answer keeps no process from ending.
        threading.Thread(
            target=_send_all, args=(export, self._batches, loop, self._sent), name="spans", daemon=True
        ).start()

    def add(self, span: Span) -> None:
        if self._closing:
            return
        if len(self._waiting) >= HELD_MAX:
            self._lose(1)
            return
        self._waiting.append(span)
        self._send_or_wait()

    async def close(self, grace_s: float) -> None:
        """Send what waits, for at most `grace_s`; to a collector that does not answer nothing more is sent."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if not self._failing and (self._sending or self._waiting):
            self._send_or_wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), grace_s)
        self._batches.put(None)

    def _send_or_wait(self) -> None:
        if self._sending or not self._waiting:
            return
        if self._closing or len(self._waiting) >= BATCH_MAX:
            self._send()
        elif self._timer is None:
            self._timer = self._clock.call_at(self._clock.now_ms() + EVERY_MS, self._send)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sending:
            return
        self._sending = True
        self._batches.put([self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))])

    def _sent(self, count: int, arrived: bool) -> None:
        self._sending = False
        if not arrived:
            self._lose(count)
        elif self._failing:
            self._failing = False
            self._telemetry.note("spans_exported_again", lost=self._lost)
            self._lost = 0
        self._send_or_wait()
        if not self._sending:
            self._idle.set()

    def _lose(self, count: int) -> None:
        """Announced once, until spans arrive again: a collector may be away for days."""
        self._lost += count
        if not self._failing:
            self._failing = True
            self._telemetry.problem("spans_not_exported", spans=count)


def _send_all(
    export: Export,
    batches: "queue.SimpleQueue[list[Span] | None]",
    loop: asyncio.AbstractEventLoop,
    sent: Callable[[int, bool], None],
) -> None:
    while (batch := batches.get()) is not None:
        try:
            arrived = export(batch)
        except Exception:  # noqa: BLE001  # whatever the exporter's fault is, messages go on
            arrived = False
        try:
            loop.call_soon_threadsafe(sent, len(batch), arrived)
        except RuntimeError:  # the loop is closed: nobody wants to know
            return


class Tracer:
    """Makes the spans. Where there are none to be made `on` is False: ask it before calling anything else.

    All calls in one event loop; none blocks.
    """

    def __init__(
        self,
        outlet: Outlet | None,
        *,
        clock: Clock | None = None,
        sample_ratio: float = 1.0,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.on = outlet is not None
        self._outlet = outlet
        self._clock = clock
        self._sampled_below = round(sample_ratio * 2**64)
        self._random_bytes = random_bytes
        self._handed_over: dict[tuple[str, int], int] = {}  # when; as many as the links have under way

    # ---- the steps ----

    def accepted(self, message: Message, caller: bytes | None = None) -> None:
        """A new message of an application is on disk. `caller` is the `traceparent` of its request."""
        attributes = {
            **_about(message),
            "trebuchet.recipients": len(message.destinations),
            "trebuchet.segments": message.segment_count,
        }
        self._end(
            message.id, "accept", "server", message.received_ms, attributes, first=True, link=read_traceparent(caller)
        )  # fmt: skip

    def received(self, message: Message, carrier_id: str) -> None:
        """A new message of a handset is on disk."""
        attributes = {**_about(message), "trebuchet.carrier.id": carrier_id}
        self._end(message.id, "inbound", "consumer", message.received_ms, attributes, first=True)

    def handed_over(self, work_key: tuple[str, int], at_ms: int | None = None) -> None:
        """A shipment goes to its link, or went there at `at_ms`; `submitted` follows."""
        self._handed_over[work_key] = self._now_ms() if at_ms is None else at_ms

    def submitted(
        self, work_key: tuple[str, int], step: str, carrier_id: str, lane: str, attempt: int, outcome: object
    ) -> None:
        """The outcome of a shipment. One that never went to its link has no span."""
        start_ms = self._handed_over.pop(work_key, None)
        if start_ms is None:
            return
        word = type(outcome).__name__
        attributes: dict[str, str | int] = {
            "trebuchet.carrier.id": carrier_id,
            "trebuchet.lane": lane,
            "trebuchet.attempt": attempt,
            "trebuchet.outcome": word,
        }
        message_id, recipient = work_key
        if recipient >= 0:
            attributes["trebuchet.recipient"] = recipient
        error_code = getattr(outcome, "error_code", None)
        if error_code is not None:
            attributes["trebuchet.error_code"] = error_code
        self._end(message_id, step, "client", start_ms, attributes, failed=word in _FAILED)

    def receipt(self, message_id: str, receipt: Receipt) -> None:
        """A receipt about one of the message's segments is on disk."""
        attributes: dict[str, str | int] = {
            "trebuchet.carrier.id": receipt.carrier_id,
            "trebuchet.receipt.state": receipt.state.value,
        }
        if receipt.error_code is not None:
            attributes["trebuchet.error_code"] = receipt.error_code
        failed = receipt.error_code is not None
        self._end(message_id, "receipt", "consumer", receipt.at_ms, attributes, failed=failed)

    def calling_back(self, message_id: str) -> CallbackSpan:
        """A callback begins. Give the headers to the application; `called_back` follows."""
        span_id = self._new_id()
        trace_id, _ = ids_of(message_id)
        header = f"00-{trace_id:032x}-{span_id:016x}-{self._sampled(trace_id):02x}"
        return CallbackSpan(span_id, self._now_ms(), ((b"traceparent", header.encode()),))

    def called_back(
        self,
        begun: CallbackSpan,
        message_id: str,
        event_id: str,
        type_: str,
        application_id: str,
        attempt: int,
        status: int | None,
        result: str,
    ) -> None:
        """One try of a callback; `result` is the class of the status, or the name of the error."""
        attributes: dict[str, str | int] = {
            "trebuchet.event.id": event_id,
            "trebuchet.event.type": type_,
            "trebuchet.application.id": application_id,
            "trebuchet.attempt": attempt,
        }
        if status is not None:
            attributes["http.response.status_code"] = status
        failed = result != "2xx"
        if failed:
            attributes["error.type"] = result if status is None else str(status)
        self._end(
            message_id, "callback", "client", begun.start_ms, attributes, failed=failed, span_id=begun.span_id
        )

    async def close(self, grace_s: float) -> None:
        """Send what waits, for at most `grace_s`."""
        if self._outlet is not None:
            await self._outlet.close(grace_s)

    # ---- spans ----

    def _end(
        self,
        message_id: str,
        name: str,
        kind: str,
        start_ms: int,
        attributes: Mapping[str, str | int],
        *,
        first: bool = False,
        failed: bool = False,
        span_id: int | None = None,
        link: tuple[int, int] | None = None,
    ) -> None:
        trace_id, first_id = ids_of(message_id)
        if self._outlet is None or not self._sampled(trace_id):
            return
        self._outlet.add(
            Span(
                trace_id=trace_id,
                span_id=first_id if first else span_id or self._new_id(),
                parent_id=None if first else first_id,
                name=name,
                kind=kind,
                start_ms=start_ms,
                end_ms=max(start_ms, self._now_ms()),
                attributes={"messaging.message.id": message_id, **attributes},
                failed=failed,
                link=link,
            )
        )

    def _sampled(self, trace_id: int) -> bool:
        # OpenTelemetry's TraceIdRatioBased compares the same 64 bits in the same way.
        return trace_id & (2**64 - 1) < self._sampled_below

    def _new_id(self) -> int:
        return int.from_bytes(self._random_bytes(8), "big") or 1

    def _now_ms(self) -> int:
        assert self._clock is not None
        return self._clock.now_ms()


OFF = Tracer(None)


def _about(message: Message) -> dict[str, str | int]:
    kind = (
        "group"
        if message.direction is Direction.OUT and len(message.destinations) > 1
        else message.kind.value
    )
    return {
        "trebuchet.account.id": message.account_id,
        "trebuchet.application.id": message.application_id,
        "trebuchet.kind": kind,
    }


# ---- OpenTelemetry ----


def build(
    endpoint: str, sample_ratio: float, *, instance: str, version: str, clock: Clock, telemetry: Telemetry
) -> Tracer:
    """A tracer for the collector at `endpoint`; OFF if that is empty. Raises TracingUnavailable."""
    if not endpoint:
        return OFF
    outlet = Outlet(otlp(endpoint, instance=instance, version=version), clock=clock, telemetry=telemetry)
    return Tracer(outlet, clock=clock, sample_ratio=sample_ratio)


def otlp(endpoint: str, *, instance: str, version: str) -> Export:
    """Exports by OTLP over HTTP. Headers and certificates come from the environment, as OpenTelemetry's exporter
    takes them. Raises TracingUnavailable."""
    # Start-up: a third of a second that only who wants spans spends; and the packages are an extra.
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
        from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415
    except ImportError as error:
        raise TracingUnavailable(_INSTALL) from error
    # What fails is announced by us, once; the exporter would write a line to stderr for every try.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_S)
    resource = Resource.create(
        {"service.name": "trebuchet", "service.version": version, "service.instance.id": instance}
    )
    scope = InstrumentationScope("trebuchet", version)
    context = partial(SpanContext, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def readable(span: Span) -> ReadableSpan:
        first = span.parent_id is None
        return ReadableSpan(
            name=span.name,
            context=context(span.trace_id, span.span_id, is_remote=False),
            # Another process may have made it: only the ids are known here.
            parent=None if first else context(span.trace_id, span.parent_id or 0, is_remote=True),
            resource=resource,
            attributes=span.attributes,
            links=[Link(context(*span.link, is_remote=True))] if span.link else [],
            kind=SpanKind[span.kind.upper()],
            status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
            start_time=span.start_ms * 1_000_000,
            end_time=span.end_ms * 1_000_000,
            instrumentation_scope=scope,
        )

    return lambda spans: exporter.export(list(map(readable, spans))) is SpanExportResult.SUCCESS

"""An OpenTelemetry collector, as far as tests need it: what was posted to it, decoded."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from support.http import Catcher


@dataclass(frozen=True)
class Collected:
    """One span as it was on the wire."""

    span: Span
    instance: str  # the process that made it

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def failed(self) -> bool:
        return self.span.status.code == Status.STATUS_CODE_ERROR

    @property
    def attributes(self) -> dict[str, Any]:
        return _values(self.span.attributes)


def collected(collector: Catcher, message_id: str | None = None) -> list[Collected]:
    """All spans that arrived, or those of one message, in the order in which they came."""
    spans = [span for caught in collector.caught for span in _decoded(caught.body)]
    return [s for s in spans if message_id in (None, s.attributes["messaging.message.id"])]


async def collect(collector: Catcher, message_id: str, *names: str) -> dict[str, Collected]:
    """Wait until spans of these names have come, and answer those of the message, the last of each name."""
    await collector.wait_for(lambda c: {s.name for s in collected(c, message_id)} >= set(names))
    return {span.name: span for span in collected(collector, message_id)}


def _decoded(body: bytes) -> Iterator[Collected]:
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        instance = _values(group.resource.attributes)["service.instance.id"]
        for scope in group.scope_spans:
            yield from (Collected(span, instance) for span in scope.spans)


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}

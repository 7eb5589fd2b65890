"""Which spans a tracer makes, and how they leave without holding anything up."""

import asyncio
import hashlib
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from outbox.loops import settle_loop
from outbox.records import message

from trebuchet import tracing
from trebuchet.carriers.base import Accepted, Lost, Refused, RetryAt, Snooze
from trebuchet.clock import ManualClock
from trebuchet.telemetry import Telemetry
from trebuchet.tracing import (
    BATCH_MAX,
    EVERY_MS,
    HELD_MAX,
    OFF,
    Outlet,
    Span,
    Tracer,
    ids_of,
    read_traceparent,
)

pytestmark = pytest.mark.anyio

SPAN = Span(1, 2, None, "accept", "server", 0, 0, {})


class Collector:
    """What was exported; holds each export up until it is released, if told to."""

    def __init__(self) -> None:
        self.arrived = True
        self.batches: list[Sequence[Span]] = []
        self.released = threading.Event()
        self.released.set()
        self.telemetry = Telemetry()
        self.clock = ManualClock()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.outlet = Outlet(self._export, clock=self.clock, telemetry=self.telemetry)

    def tracer(self, sample_ratio: float = 1.0) -> Tracer:
        return Tracer(self.outlet, clock=self.clock, sample_ratio=sample_ratio)

    @property
    def spans(self) -> list[Span]:
        return [span for batch in self.batches for span in batch]

    async def wait_for(self, batches: int) -> None:
        """Wait until so many batches have been handed over, and the outlet knows what came of those before."""
        async with asyncio.timeout(10):
            while len(self.batches) < batches:
                self._changed.clear()
                await self._changed.wait()
        await settle_loop()

    def _export(self, spans: Sequence[Span]) -> bool:
        self.batches.append(spans)
        self._loop.call_soon_threadsafe(self._changed.set)
        self.released.wait(10)
        if not self.arrived:
            raise OSError("connection refused")
        return True


# ---- ids ----


def test_ids_are_made_of_the_message_id() -> None:
    """Everybody who knows the id of a message finds its trace: the start of its SHA-256."""
    digest = hashlib.sha256(b"1795417200000k2xw5n3vqd7a4bhe").hexdigest()
    trace_id, span_id = ids_of("1795417200000k2xw5n3vqd7a4bhe")
    assert f"{trace_id:032x}{span_id:016x}" == digest[:48]


TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"00-{TRACE}-{PARENT}-00", True),
        (f"cc-{TRACE}-{PARENT}-01-what-comes-later", True),
        (f"ff-{TRACE}-{PARENT}-01", False),
        (f"00-{'0' * 32}-{PARENT}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE.upper()}-{PARENT}-01", False),
        (f"00-{TRACE}-{PARENT}", False),
        (f" 00-{TRACE}-{PARENT}-01", False),
        ("", False),
        ("\xff", False),
    ],
)
def test_a_traceparent_is_read_as_w3c_writes_it(header: str, valid: bool) -> None:
    """What is wrong counts as not given."""
    expected = (int(TRACE, 16), int(PARENT, 16)) if valid else None
    assert read_traceparent(header.encode("latin-1")) == expected


async def test_a_wrong_traceparent_makes_no_link() -> None:
    """The message is traced all the same."""
    collector = Collector()
    collector.tracer().accepted(message(), b"nonsense")
    await collector.outlet.close(10)
    assert [span.link for span in collector.spans] == [None]


# ---- which ----


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.25, 400, 600), (1.0, 2000, 2000)])
async def test_a_part_of_the_messages_is_traced_whole(ratio: float, least: int, most: int) -> None:
    """The id decides, so two processes trace the same messages; a callback says whether its message is traced."""
    one, other = Collector(), Collector()
    ids = [f"message-{number}" for number in range(2000)]
    headers = {}
    for tracer in (one.tracer(ratio), other.tracer(ratio)):
        for id_ in ids:
            begun = tracer.calling_back(id_)
            tracer.called_back(begun, id_, "event", "message-delivered", "application", 1, 200, "2xx")
            headers[id_] = begun.headers[0][1]
    await asyncio.gather(one.outlet.close(10), other.outlet.close(10))
    traced = {span.attributes["messaging.message.id"] for span in one.spans}
    assert least <= len(traced) <= most
    assert traced == {span.attributes["messaging.message.id"] for span in other.spans}
    assert {id_ for id_, header in headers.items() if header.endswith(b"-01")} == traced


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (Accepted((("id",),)), False),
        (Snooze(0, "throttled"), False),
        (Refused(4720, "words of the carrier"), True),
        (RetryAt(0, 4750, "words of the carrier"), True),
        (Lost("words of the carrier"), True),
    ],
)
async def test_the_outcome_of_a_shipment_is_on_its_span(outcome: object, failed: bool) -> None:
    """By its kind and our code; the carrier's words are not."""
    collector = Collector()
    tracer = collector.tracer()
    tracer.handed_over(("m", 0))
    collector.clock.advance(40)
    tracer.submitted(("m", 0), "submit", "c", "c/0", 1, outcome)
    await collector.outlet.close(10)
    (span,) = collector.spans
    assert (span.failed, span.end_ms - span.start_ms) == (failed, 40)
    assert span.attributes["trebuchet.outcome"] == type(outcome).__name__
    assert "words of the carrier" not in span.attributes.values()


async def test_what_never_went_to_its_link_is_no_submit() -> None:
    """A shipment that a resting lane puts back has no span."""
    collector = Collector()
    collector.tracer().submitted(("m", 0), "submit", "c", "c/0", 1, Snooze(0))
    await collector.outlet.close(10)
    assert collector.spans == []


# ---- how they leave ----


async def test_spans_leave_together_after_a_moment() -> None:
    """Or at once, when there are many."""
    collector = Collector()
    for _ in range(3):
        collector.outlet.add(SPAN)
    await settle_loop()
    assert collector.batches == []
    collector.clock.advance(EVERY_MS)
    await collector.wait_for(1)
    assert len(collector.batches[0]) == 3
    for _ in range(BATCH_MAX):
        collector.outlet.add(SPAN)
    await collector.wait_for(2)
    assert len(collector.batches[1]) == BATCH_MAX
    await collector.outlet.close(10)


async def test_what_waits_is_bounded_and_what_is_lost_is_announced_once() -> None:
    """A collector that does not answer costs a bounded memory and one line in the log."""
    collector = Collector()
    collector.released.clear()
    for _ in range(HELD_MAX + BATCH_MAX + 100):
        collector.outlet.add(SPAN)
    assert collector.telemetry.value("trebuchet_problems_total", "spans_not_exported") == 1
    collector.released.set()
    await collector.outlet.close(0)
    await collector.wait_for(1)
    assert len(collector.spans) <= HELD_MAX + BATCH_MAX


async def test_after_a_failure_the_next_batch_is_tried() -> None:
    """Spans of a failed batch are gone, and that is announced; an exporter that raises is one that failed."""
    collector = Collector()
    collector.arrived = False
    collector.outlet.add(SPAN)
    collector.clock.advance(EVERY_MS)
    async with asyncio.timeout(10):
        while not collector.telemetry.value("trebuchet_problems_total", "spans_not_exported"):
            await asyncio.sleep(0)
    collector.arrived = True
    collector.outlet.add(SPAN)
    collector.clock.advance(EVERY_MS)
    await collector.wait_for(2)
    assert [len(batch) for batch in collector.batches] == [1, 1]
    assert collector.telemetry.value("trebuchet_problems_total", "spans_not_exported") == 1
    await collector.outlet.close(10)


async def test_closing_sends_what_waits() -> None:
    """More than one batch, too; nothing is taken after it."""
    collector = Collector()
    for _ in range(2 * BATCH_MAX + 1):
        collector.outlet.add(SPAN)
    await collector.outlet.close(10)
    assert len(collector.spans) == 2 * BATCH_MAX + 1
    collector.outlet.add(SPAN)
    await settle_loop()
    assert len(collector.spans) == 2 * BATCH_MAX + 1


async def test_closing_waits_no_longer_than_it_may() -> None:
    """A collector that never answers does not keep the gateway from stopping."""
    collector = Collector()
    collector.released.clear()
    collector.outlet.add(SPAN)
    async with asyncio.timeout(5):
        await collector.outlet.close(0.01)
    collector.released.set()


# ---- what is installed ----


def test_off_is_one_question() -> None:
    """Without an endpoint there is the one tracer that is off."""
    assert tracing.build("", 1.0, instance="", version="", clock=ManualClock(), telemetry=Telemetry()) is OFF
    assert not OFF.on


def test_a_start_without_tracing_imports_nothing_of_it() -> None:
    """Start-up time and memory are of those who ask for spans."""
    program = (
        "import sys, trebuchet.process; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("command", ["serve --demo --port 0", "check"])
def test_without_the_packages_a_start_says_what_to_install(command: str, tmp_path: Path) -> None:
    """And `check` says it before; no database is made."""
    words = [
        *command.split(),
        "--data",
        str(tmp_path),
        "--set",
        "tracing.endpoint=http://127.0.0.1:9/v1/traces",
    ]
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = sys.modules['opentelemetry.exporter'] = None\n"
        f"from trebuchet.cli.program import run; sys.exit(run({words!r}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "pip install 'trebuchet[tracing]'" in " ".join((ended.stdout + ended.stderr).split())
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "trebuchet.sqlite3").exists()

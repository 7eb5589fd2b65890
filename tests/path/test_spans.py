"""The spans of a message, as a collector gets them from real gateway processes."""

import hashlib
from pathlib import Path

import pytest

from support.collector import collect, collected
from support.gateway import ACCOUNT, APPLICATION, HANDSET, NUMBER, SECRET, TOKEN, running
from support.http import basic, catching, request
from support.mm7 import connect, mmsc
from support.ports import free_port

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STEPS = ("accept", "submit", "receipt", "callback")


async def test_a_message_is_one_trace_from_the_request_to_the_callback(tmp_path: Path) -> None:
    """Every step is a span under the first one, which links to the caller; the callback names its own span."""
    async with catching() as application, catching() as collector:
        settings = {**QUICK, "tracing.endpoint": collector.url}
        async with running(tmp_path, settings, application.url) as gateway:
            answer = await request(
                "POST",
                f"{gateway.url}/v2/users/{ACCOUNT}/messages",
                json_body={
                    "from": NUMBER, "to": HANDSET, "text": "confidential words", "applicationId": APPLICATION,
                    "tag": "confidential tag",
                },
                headers={**basic(TOKEN, SECRET), "traceparent": CALLER},
            )  # fmt: skip
            id_ = answer.json["id"]
            spans = await collect(collector, id_, *STEPS)
        digest = hashlib.sha256(id_.encode()).digest()
        root = spans["accept"].span
        assert (root.trace_id, root.span_id, root.parent_span_id) == (digest[:16], digest[16:24], b"")
        assert [(link.trace_id.hex(), link.span_id.hex()) for link in root.links] == [
            ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
        ]
        others = [spans[name].span for name in STEPS[1:]]
        assert {(span.trace_id, span.parent_span_id) for span in others} == {(root.trace_id, root.span_id)}
        assert len({span.span_id for span in (root, *others)}) == 4
        assert all(root.start_time_unix_nano <= span.start_time_unix_nano for span in others)
        assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in (root, *others))
        (caught,) = application.caught
        called_back = spans["callback"].span
        assert caught.headers["traceparent"] == f"00-{root.trace_id.hex()}-{called_back.span_id.hex()}-01"
        assert (
            spans["submit"].attributes.items()
            >= {
                "trebuchet.carrier.id": "simulator",
                "trebuchet.lane": "simulator/0",
                "trebuchet.outcome": "Accepted",
                "trebuchet.attempt": 1,
            }.items()
        )
        assert spans["receipt"].attributes["trebuchet.receipt.state"] == "DELIVRD"
        assert (
            spans["callback"].attributes.items()
            >= {"http.response.status_code": 200, "trebuchet.attempt": 1}.items()
        )
        assert not any(span.failed for span in spans.values())


@pytest.mark.parametrize("more", [{}, {"Expect": "100-continue"}], ids=["fast", "ordinary"])
async def test_a_repeated_request_is_traced_once(more: dict[str, str], tmp_path: Path) -> None:
    """The trace is that of the first; both ways that a request can take link it to its caller."""
    async with catching() as application, catching() as collector:
        settings = {**QUICK, "tracing.endpoint": collector.url}
        async with running(tmp_path, settings, application.url) as gateway:
            for traceparent in (CALLER, CALLER.replace("b7ad", "aaaa")):
                answer = await request(
                    "POST",
                    f"{gateway.url}/v2/users/{ACCOUNT}/messages",
                    json_body={"from": NUMBER, "to": HANDSET, "text": "once", "applicationId": APPLICATION},
                    headers={
                        **basic(TOKEN, SECRET), "Idempotency-Key": "1", "traceparent": traceparent, **more,
                    },
                )  # fmt: skip
                assert answer.status == 202
            await collect(collector, answer.json["id"], *STEPS)
            assert await gateway.stop() == 0
        first = [span.span for span in collected(collector) if span.name == "accept"]
        assert [[link.span_id.hex() for link in span.links] for span in first] == [["b7ad6b7169203331"]]


async def test_spans_hold_no_text_number_address_or_secret(tmp_path: Path) -> None:
    """Neither of a message sent, nor of one received, nor of one that failed."""
    async with catching() as application, catching() as collector:
        settings = {**QUICK, "tracing.endpoint": collector.url}
        async with running(tmp_path, settings, f"{application.url}?key=hidden") as gateway:
            sent = (await gateway.send("confidential words", tag="confidential tag")).json["id"]
            failed = (await gateway.send("#fail:4720 confidential", to=[HANDSET, "+12025550124"])).json["id"]
            await gateway.sim(
                "POST", "/handsets/%2B12025550123/messages", {"to": NUMBER, "text": "confidential answer"}
            )
            received = (await application.wait_for_event_of("message-received"))["message"]["id"]
            for id_, first in ((sent, "accept"), (failed, "accept"), (received, "inbound")):
                await collect(collector, id_, first, "callback")
            assert (await gateway.stop()) == 0
        everything = b"".join(caught.body for caught in collector.caught)
        hidden = [
            "confidential",
            "hidden",
            TOKEN,
            SECRET,
            *(n.lstrip("+") for n in (NUMBER, HANDSET, "+12025550124")),
        ]
        assert [word for word in hidden if word.encode() in everything] == []


async def test_processes_that_share_a_database_make_one_trace(tmp_path: Path) -> None:
    """One accepts and ends, which sends its span; another submits and calls back. Nothing of a trace is stored."""
    async with catching() as application, catching() as collector:
        settings = {**QUICK, "tracing.endpoint": collector.url}
        async with running(tmp_path, settings, application.url) as first:
            await first.admin("POST", "/carriers/simulator/pause")
            id_ = (await first.send()).json["id"]
            assert await first.stop() == 0
        assert [span.name for span in collected(collector, id_)] == ["accept"]
        async with running(tmp_path, settings, application.url) as second:
            await second.admin("POST", "/carriers/simulator/resume")
            spans = await collect(collector, id_, *STEPS)
        assert {span.span.parent_span_id for name, span in spans.items() if name != "accept"} == {
            spans["accept"].span.span_id
        }
        assert len({span.span.trace_id for span in spans.values()}) == 1
        made_by = {name: span.instance for name, span in spans.items()}
        assert made_by["accept"] != made_by["submit"] == made_by["receipt"] == made_by["callback"]


async def test_a_callback_that_fails_has_a_span_for_each_try(tmp_path: Path) -> None:
    """The application sees which try it is: each has another span in the same trace."""
    async with catching() as application, catching() as collector:
        answers = iter([503, 200])
        application.answer = lambda _: next(answers)
        settings = {**QUICK, "tracing.endpoint": collector.url}
        async with running(tmp_path, settings, application.url) as gateway:
            id_ = (await gateway.send()).json["id"]
            await application.wait_for_count(1)
            await collect(collector, id_, "callback")
            await gateway.sim("POST", "/clock/advance", {"by": "30m"})
            await collector.wait_for(
                lambda c: len([s for s in collected(c, id_) if s.name == "callback"]) == 2
            )
        one, two = (span for span in collected(collector, id_) if span.name == "callback")
        assert (one.failed, one.attributes["trebuchet.attempt"], one.attributes["error.type"]) == (
            True,
            1,
            "503",
        )
        assert (two.failed, two.attributes["trebuchet.attempt"]) == (False, 2)
        headers = [caught.headers["traceparent"].split("-") for caught in application.caught]
        assert [parts[2] for parts in headers] == [one.span.span_id.hex(), two.span.span_id.hex()]
        assert headers[0][1] == headers[1][1]


async def test_a_negative_receipt_is_marked_as_failed(tmp_path: Path) -> None:
    """With the error code that the application gets."""
    async with catching() as application, catching() as collector:
        settings = {**QUICK, "tracing.endpoint": collector.url}
        async with running(tmp_path, settings, application.url) as gateway:
            id_ = (await gateway.send("#fail:4720")).json["id"]
            spans = await collect(collector, id_, *STEPS)
        assert {name for name, span in spans.items() if span.failed} == {"receipt"}
        assert spans["receipt"].attributes["trebuchet.error_code"] == 4720


async def test_the_fetching_of_files_is_a_step_of_its_own(tmp_path: Path) -> None:
    """Before the submit, with its failure if a file cannot be had."""
    async with catching() as application, catching() as host, catching() as collector, mmsc() as peer:
        host.answer = lambda _: 404
        settings = {**QUICK, "tracing.endpoint": collector.url}
        async with running(tmp_path, settings, application.url) as gateway:
            await connect(gateway, peer)
            id_ = (await gateway.send(media=[f"{host.url}/picture.png"])).json["id"]
            spans = await collect(collector, id_, "accept", "fetch", "callback")
        assert spans["fetch"].failed
        assert "submit" not in spans


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "absent"])
async def test_a_collector_that_is_down_disturbs_nothing(silent: bool, tmp_path: Path) -> None:
    """Messages go their way, and the gateway stops in its time, whether the collector is away or never answers."""
    async with catching() as application, catching() as collector:
        collector.answer = lambda _: b""
        endpoint = collector.url if silent else f"http://127.0.0.1:{free_port()}/v1/traces"
        settings = {**QUICK, "tracing.endpoint": endpoint, "server.shutdown_grace_s": 1}
        async with running(tmp_path, settings, application.url) as gateway:
            messages = [(await gateway.send()).json["id"] for _ in range(20)]
            for id_ in messages:
                assert (await application.wait_for_event(id_))["type"] == "message-delivered"
            if silent:
                await collector.wait_for_count(1)
            assert await gateway.stop() == 0
            assert "Traceback" not in gateway.output()


async def test_without_an_endpoint_no_callback_names_a_trace(tmp_path: Path) -> None:
    """Tracing is off unless it is asked for."""
    async with catching() as application, running(tmp_path, QUICK, application.url) as gateway:
        await application.wait_for_event((await gateway.send()).json["id"])
        assert "traceparent" not in application.caught[0].headers

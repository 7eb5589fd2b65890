"""The command line against a peer on loopback that answers from a script."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trebuchet.cli.client import Client, ConnectionLost, FeedEvent
from trebuchet.cli.follow import _events
from trebuchet.cli.options import Session
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.output import Printer
from trebuchet.cli.program import run

Script = Callable[["Peer", BaseHTTPRequestHandler], None]


class Peer:
    """A listening peer. `script` answers each request; `requests` holds what came: line, headers, body."""

    def __init__(self, script: Script) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.finished = threading.Event()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Tests print nothing."""

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                content = json.loads(body) if body else None
                peer.requests.append((f"{self.command} {self.path}", dict(self.headers), content))
                script(peer, self)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  # names of the standard library

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.finished.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def lines(self) -> list[str]:
        return [line for line, _, _ in self.requests]


@contextmanager
def peer_with(script: Script) -> Iterator[Peer]:
    peer = Peer(script)
    try:
        yield peer
    finally:
        peer.close()


def reply(
    handler: BaseHTTPRequestHandler, status: int, content: object, kind: str = "application/json"
) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def stream(handler: BaseHTTPRequestHandler, *blocks: str) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.end_headers()
    handler.wfile.write("".join(blocks).encode())


def always(status: int, content: object, kind: str = "application/json") -> Script:
    return lambda _, handler: reply(handler, status, content, kind)


def hang(peer: Peer, handler: BaseHTTPRequestHandler) -> None:
    """Take the request and say nothing."""
    del handler
    peer.finished.wait(10)


def break_off(peer: Peer, handler: BaseHTTPRequestHandler) -> None:
    """Promise more than there is."""
    del peer
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"{")


def data(entry: dict[str, object]) -> str:
    return f"data: {json.dumps(entry)}\n\n"


# ---- one request ----


def test_a_request_carries_query_body_and_credentials() -> None:
    """Left-out query values are left out, booleans are words, and the answer is decoded."""
    with peer_with(always(200, {"ü": 1})) as peer:
        answer = Client(peer.url + "/prefix/", "Bearer t").call(
            "POST", "/x", query={"a": None, "b": True, "c": "1 & 2"}, body={"text": "ü"}
        )
    assert answer == (200, {"ü": 1})
    [(line, headers, body)] = peer.requests
    assert line == "POST /prefix/x?b=true&c=1+%26+2"
    assert headers["Authorization"] == "Bearer t"
    assert body == {"text": "ü"}


def test_an_empty_answer_is_none() -> None:
    """As to a DELETE."""
    with peer_with(always(204, b"")) as peer:
        assert Client(peer.url, "Bearer t").call("DELETE", "/x") == (204, None)


def test_where_nobody_listens_it_says_how_to_start_one() -> None:
    """And how to name another gateway."""
    with peer_with(hang) as peer:
        url = peer.url
    with pytest.raises(CommandError, match="start one with `trebuchet serve`, or give --url") as refused:
        Client(url, "Bearer t").call("GET", "/x")
    assert refused.value.code is Code.UNREACHABLE
    with pytest.raises(CommandError, match="no gateway answers"):
        Client(url, "Bearer t").feed("/x")


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (hang, "did not answer in time"),
        (break_off, "is not a Trebuchet gateway|broke off"),
        (lambda _, handler: handler.connection.close(), "broke off|not a Trebuchet"),
        (always(200, b"<html>", "text/html"), "is not a Trebuchet gateway"),
        (always(404, b"<html>", "text/html"), "is not a Trebuchet gateway"),
        (always(302, b""), "is not a Trebuchet gateway"),
        (always(404, {"detail": "another program"}), "is not a Trebuchet gateway"),
        (lambda _, handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "is not a Trebuchet gateway"),
    ],
)
def test_bad_answers_are_named(script: Script, text: str) -> None:
    """Silence, a broken connection and foreign programs are told apart, with exit code 3."""
    with peer_with(script) as peer, pytest.raises(CommandError, match=text) as refused:
        Client(peer.url, "Bearer t", timeout_s=0.2).call("GET", "/x")
    assert refused.value.code is Code.UNREACHABLE


# ---- feeds ----


def test_a_feed_yields_until_it_ends() -> None:
    """Entries in order, then ConnectionLost, and half a line is none."""
    blocks = (": hi\n\n", data({"what": "accepted"}), "data: half")
    with (
        peer_with(lambda _, handler: stream(handler, *blocks)) as peer,
        Client(peer.url, "Bearer t").feed("/feed", {"account": "u-1"}) as feed,
    ):
        events = feed.events(lambda: 5.0)
        assert next(events) == FeedEvent("comment", {})
        assert next(events) == FeedEvent("message", {"what": "accepted"})
        with pytest.raises(ConnectionLost):
            next(events)
        feed.close()
    assert peer.lines == ["GET /feed?account=u-1"]


def test_a_feed_ends_quietly_when_time_is_up() -> None:
    """A silent feed does not hold up `wait`."""

    def silent(peer: Peer, handler: BaseHTTPRequestHandler) -> None:
        stream(handler, data({"what": "accepted"}))
        peer.finished.wait(10)

    left = iter([5.0, 5.0, 0.05])
    with peer_with(silent) as peer, Client(peer.url, "Bearer t").feed("/feed") as feed:
        assert list(feed.events(lambda: next(left))) == [FeedEvent("message", {"what": "accepted"})]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (always(401, {"description": "no"}), Code.REFUSED),
        (always(200, {"not": "a feed"}), Code.UNREACHABLE),
        (hang, Code.UNREACHABLE),
    ],
)
def test_a_refused_feed_says_why(script: Script, code: Code) -> None:
    """As any request does."""
    with peer_with(script) as peer, pytest.raises(CommandError) as refused:
        Client(peer.url, "Bearer t", timeout_s=0.2).feed("/feed")
    assert refused.value.code is code


def test_a_broken_feed_is_opened_again(capsys: pytest.CaptureFixture[str]) -> None:
    """With growing waits while nobody answers, a note, and an event so that the reader can catch up."""
    starting = always(503, {"description": "starting"})
    scripts: Iterator[Script] = iter(
        [
            lambda _, handler: stream(handler, data({"n": 1})),
            starting,
            starting,
            lambda _, handler: stream(handler, data({"n": 2})),
        ]
    )
    pauses: list[float] = []

    def script(peer: Peer, handler: BaseHTTPRequestHandler) -> None:
        next(scripts)(peer, handler)

    with peer_with(script) as peer:
        session = Session(peer.url, "t", None, Printer())
        session.pause = pauses.append
        events = _events(
            session, session.admin.feed("/feed"), lambda: session.admin.feed("/feed"), lambda: 9.0
        )
        assert next(events) == FeedEvent("message", {"n": 1})
        assert next(events) == FeedEvent("reopened", {})
        assert next(events) == FeedEvent("message", {"n": 2})
        events.close()
    assert pauses == [1.0, 2.0, 4.0]
    assert capsys.readouterr().err == "the feed ended; trying again\nconnected again\n"


# ---- commands ----

ACCEPTED = {"id": "m-1", "segmentCount": 1, "to": ["+12345678902"]}
STORED = {
    "id": "m-1-0-9",
    "message_id": "m-1",
    "recipient": 0,
    "to": "+12345678902",
    "type": "message-delivered",
    "error_code": None,
    "time_ms": 1_769_860_800_000,
}


def entry(what: str, detail: str = "", message_id: str = "m-1", **more: object) -> dict[str, object]:
    return {
        "at_ms": 1_769_860_800_000,
        "what": what,
        "message_id": message_id,
        "recipient": 0,
        "to": "+12345678902",
        "detail": detail,
        **more,
    }


def gateway(*feed: str, life: object = None) -> Script:
    """A gateway that takes every message, whose feed is as given and then stays silent."""

    def script(peer: Peer, handler: BaseHTTPRequestHandler) -> None:
        if "/feed" in handler.path:
            stream(handler, *feed)
            peer.finished.wait(10)
        elif handler.command == "POST":
            reply(handler, 202, ACCEPTED)
        else:
            reply(handler, 200, life)

    return script


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A data folder as `serve` leaves it."""
    (tmp_path / "admin-token").write_text("admin-1\n")
    first = {
        "account": "u-1",
        "token": "t-1",
        "secret": "s-1",
        "application": "app-1",
        "numbers": ["+12345678901"],
    }
    (tmp_path / "first-account.json").write_text(json.dumps(first))
    return str(tmp_path)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (entry("event", "message-delivered"), Code.OK),
        (entry("event", "message-failed", error_code=4720), Code.NO),
    ],
)
def test_send_follows_to_the_end(
    end: dict[str, object], code: Code, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The feed is opened first, other messages are not shown, and the exit code is the outcome."""
    feed = (data(entry("accepted")), data(entry("event", "message-failed", "m-0")), data(end))
    with peer_with(gateway(*feed)) as peer:
        assert run(["send", "+12345678902", "Hello", "there", "--url", peer.url, "--data", folder]) == code
    assert peer.lines == ["GET /admin/v1/feed?account=u-1", "POST /v2/users/u-1/messages"]
    assert [headers["Authorization"] for _, headers, _ in peer.requests] == [
        "Bearer admin-1",
        "Basic dC0xOnMtMQ==",
    ]
    assert peer.requests[1][2]["text"] == "Hello there"
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["m-1", "accepted", "event"]
    assert not any("m-0" in line for line in lines)


@pytest.mark.parametrize("silence", [": nothing new\n\n", "event: missed\ndata: {}\n\n"])
def test_send_looks_at_what_is_stored_when_the_feed_may_have_lost_the_end(silence: str, folder: str) -> None:
    """So it ends although the last entry never came."""
    with peer_with(gateway(silence, life={"events": [STORED]})) as peer:
        assert run(["send", "+12345678902", "Hi", "--url", peer.url, "--data", folder]) == Code.OK
    assert peer.lines[-1] == "GET /admin/v1/messages/m-1"


def test_send_without_following_needs_no_admin_token(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The public API is enough; JSON is the answer itself."""
    Path(folder, "admin-token").unlink()
    with peer_with(gateway()) as peer:
        arguments = [
            "send",
            "+12345678902",
            "Hi",
            "--url",
            peer.url,
            "--data",
            folder,
            "--no-follow",
            "--json",
        ]
        assert run(arguments) == Code.OK
    assert json.loads(capsys.readouterr().out) == ACCEPTED


def test_send_that_cannot_follow_does_not_begin(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an admin token nothing is accepted that would not be followed."""
    Path(folder, "admin-token").unlink()
    with peer_with(gateway()) as peer:
        assert run(["send", "+12345678902", "Hi", "--url", peer.url, "--data", folder]) == Code.REFUSED
    assert peer.requests == []
    assert "no admin token" in capsys.readouterr().err


def test_a_message_that_is_not_accepted(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, with every field that is wrong."""
    problem = {"description": "refused", "fieldErrors": [{"fieldName": "to", "description": "is no number"}]}
    with peer_with(always(400, problem)) as peer:
        assert run(["send", "x", "Hi", "--url", peer.url, "--data", folder, "--no-follow"]) == Code.REFUSED
    assert capsys.readouterr().err == "error: refused\nerror: to: is no number\n"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"account":"u"}', '{"numbers":[]}'])
def test_a_damaged_file_of_credentials_is_named(
    content: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its path, and without its content."""
    Path(folder, "first-account.json").write_text(content)
    assert run(["send", "+1", "Hi", "--data", folder, "--no-follow"]) == Code.REFUSED
    assert "first-account.json does not hold the first account" in capsys.readouterr().err


def test_wait_ends_with_the_event(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 and the event, whatever else happens before."""
    feed = (
        data(entry("submitted")),
        data(entry("event", "message-received", "m-2", to="+1")),
        data(entry("event", "message-delivered")),
    )
    with peer_with(gateway(*feed)) as peer:
        arguments = ["wait", "--to", "+12345678902", "--url", peer.url, "--data", folder, "--json"]
        assert run(arguments) == Code.OK
    assert json.loads(capsys.readouterr().out)["message_id"] == "m-1"


def test_wait_for_a_message_counts_what_has_happened(folder: str) -> None:
    """So that a script may be slower than the gateway."""
    with peer_with(gateway(life={"events": [STORED]})) as peer:
        assert run(["wait", "--message", "m-1", "--url", peer.url, "--data", folder]) == Code.OK


@pytest.mark.parametrize(("contains", "code"), [("ell", Code.OK), ("bye", Code.NO)])
def test_wait_looks_into_the_text(contains: str, code: Code, folder: str) -> None:
    """The feed holds no texts, so the message is asked for."""
    life = {"message": {"text": "Hello"}, "events": []}
    with peer_with(gateway(data(entry("event", "message-received")), life=life)) as peer:
        arguments = [
            "wait",
            "--contains",
            contains,
            "--timeout",
            "200ms",
            "--url",
            peer.url,
            "--data",
            folder,
        ]
        assert run(arguments) == code
    assert peer.lines[1] == "GET /admin/v1/messages/m-1?text=true"


def test_wait_in_vain(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 when time is up."""
    with peer_with(gateway()) as peer:
        arguments = ["wait", "--to", "+1", "--timeout", "50ms", "--url", peer.url, "--data", folder]
        assert run(arguments) == Code.NO
    assert "nothing matched in time" in capsys.readouterr().err


def test_lists_are_read_page_by_page(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Until there are no more, or the limit is reached."""

    def script(_: Peer, handler: BaseHTTPRequestHandler) -> None:
        second = "after=p2" in handler.path
        reply(
            handler, 200, {"items": [{"id": "u-2"}]} if second else {"items": [{"id": "u-1"}], "next": "p2"}
        )

    with peer_with(script) as peer:
        assert run(["accounts", "list", "--url", peer.url, "--data", folder, "--json"]) == Code.OK
        assert capsys.readouterr().out == '{"id": "u-1"}\n{"id": "u-2"}\n'
        assert run(["accounts", "list", "--limit", "1", "--url", peer.url, "--data", folder]) == Code.OK
        assert "there are more" in capsys.readouterr().err
    assert peer.lines == [
        "GET /admin/v1/accounts?limit=1000",
        "GET /admin/v1/accounts?after=p2&limit=999",
        "GET /admin/v1/accounts?limit=1",
    ]


@pytest.mark.parametrize(
    ("words", "line", "body"),
    [
        (["accounts", "create", "--name", "One"], "POST /admin/v1/accounts", {"name": "One"}),
        (["accounts", "create", "u-1"], "POST /admin/v1/accounts", {"id": "u-1"}),
        (["accounts", "show", "u/1"], "GET /admin/v1/accounts/u%2F1", None),
        (
            ["numbers", "update", "+1", "--application", "app-2", "--clear", "segments-per-s"],
            "PATCH /admin/v1/numbers/%2B1",
            {"application_id": "app-2", "segments_per_s": None},
        ),
        (
            ["applications", "update", "a", "--no-opt-out"],
            "PATCH /admin/v1/applications/a",
            {"opt_out": False},
        ),
        (["routes", "delete", "r-1"], "DELETE /admin/v1/routes/r-1", None),
        (["carriers", "pause", "sim"], "POST /admin/v1/carriers/sim/pause", None),
        (["carriers", "resume", "sim"], "POST /admin/v1/carriers/sim/resume", None),
        (
            ["credentials", "create", "u-1", "--label", "x"],
            "POST /admin/v1/accounts/u-1/credentials",
            {"label": "x"},
        ),
        (["credentials", "revoke", "u-1", "t-1"], "DELETE /admin/v1/accounts/u-1/credentials/t-1", None),
        (["opt-outs", "create", "+1", "+2"], "POST /admin/v1/opt-outs", {"number": "+1", "handset": "+2"}),
        (["opt-outs", "delete", "+1", "+2"], "DELETE /admin/v1/opt-outs/%2B1/%2B2", None),
        (["replay", "e-1", "e-2"], "POST /admin/v1/callbacks/replay", {"event_ids": ["e-1", "e-2"]}),
        (
            ["replay", "--application", "a", "--failed", "--from", "2026-01-31"],
            "POST /admin/v1/callbacks/replay",
            {"application_id": "a", "failed_only": True, "from": "2026-01-31T00:00:00.000Z"},
        ),
    ],
)
def test_commands_as_requests(words: list[str], line: str, body: object, folder: str) -> None:
    """Each command is one request of the admin API."""
    with peer_with(always(200, {"id": "x"})) as peer:
        assert run([*words, "--url", peer.url, "--data", folder]) == Code.OK
    assert [(came, content) for came, _, content in peer.requests] == [(line, body)]


def test_numbers_from_a_file_go_in_bulk(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thousand in one request."""
    file = tmp_path / "numbers.txt"
    file.write_text("".join(f"+1234567{n:04}\n" for n in range(1001)))
    with peer_with(always(201, {})) as peer:
        arguments = [
            "numbers",
            "import",
            str(file),
            "--application",
            "app-1",
            "--url",
            peer.url,
            "--data",
            folder,
        ]
        assert run([*arguments, "--json"]) == Code.OK
    assert [len(body) for _, _, body in peer.requests] == [1000, 1]
    assert peer.requests[0][2][0] == {"application_id": "app-1", "number": "+12345670000"}
    assert json.loads(capsys.readouterr().out) == {"created": 1001}


def test_a_refused_chunk_says_how_far_it_came(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the rest of the file can be given again."""
    file = tmp_path / "numbers.txt"
    file.write_text("+1\n")
    with peer_with(always(409, {"description": "+1 exists"})) as peer:
        assert run(["numbers", "import", str(file), "--url", peer.url, "--data", folder]) == Code.REFUSED
    assert capsys.readouterr().err == (
        "error: after 0 numbers were created, those from +1 on were not:\nerror: +1 exists\n"
    )

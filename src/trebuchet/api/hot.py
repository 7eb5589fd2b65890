"""The HTTP protocol: uvicorn's, with the one hot request answered before any framework sees it.

A POST of a message that arrives whole in one read is parsed by httptools and handed to `CreateMessage`. All
else, and every oddity of such a POST (a body in pieces, pipelining, HTTP/1.0, Expect), goes the ordinary way
through uvicorn and the framework, which ends in the same `CreateMessage`. Measured per request: bare ASGI on
uvicorn 63 µs, this about 20.
"""

import asyncio
import re
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trebuchet.api import problems
from trebuchet.api.create import CreateMessage, CreateRequest, Headers
from trebuchet.model.account import Profile
from trebuchet.telemetry import Telemetry

_PATH = re.compile(rb"(/v2|/api/v2)/users/([A-Za-z0-9._~-]{1,128})/messages")
_PREFIXES = (b"POST /v2/users/", b"POST /api/v2/users/")
_HEAD_MAX = 65_536  # octets of a request's head; larger ones are of no client that we know
_BODY_STEP = 65_536  # octets of a body that may take as long as a head
_LINGER_S = 1.0  # how long what a refused client still says is thrown away, so that it can read its answer
PROFILES = {b"/v2": Profile.CATAPULT, b"/api/v2": Profile.CURRENT}
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}


class _WholeRequest:
    """Collects one request; `messages` tells whether there was exactly one and `complete` whether all of it."""

    __slots__ = ("body", "complete", "headers", "messages", "url")

    def __init__(self) -> None:
        self.messages = 0
        self.complete = False
        self.url = b""
        self.body = b""
        self.headers: dict[bytes, bytes] = {}

    def on_message_begin(self) -> None:
        self.messages += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.setdefault(name.lower(), value)  # of repeated ones the first counts, as in the framework

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def make_protocol(
    create: CreateMessage, body_max: int, head_timeout_s: float, telemetry: Telemetry
) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's `http` option.

    A request's head may take `head_timeout_s` to arrive, and each further 64 KiB of its body as long again; a
    slower one is answered 408. A connection on which nothing comes for that long at first is closed.
    """

    class GatewayProtocol(_HotProtocol):
        _create = create
        _body_max = body_max
        _head_timeout_s = head_timeout_s
        _telemetry = telemetry

    return GatewayProtocol


class _HotProtocol(HttpToolsProtocol):
    _create: CreateMessage
    _body_max: int
    _head_timeout_s: float
    _telemetry: Telemetry
    _within = False  # a request of the ordinary way has begun and not ended
    _in_body = False  # and its head is complete
    _octets = 0  # of its head, or of its body since the deadline was set
    _unread = 0  # octets of its body that came after its answer
    _deadline: asyncio.TimerHandle | None = None  # when what is incomplete is too slow
    _declining = False  # its head offers another protocol
    _waiting = False  # a hot request is being committed
    _closing = False  # after the answer to the hot request
    _deaf = False  # what comes now is not read: it follows something that was no request
    _held: bytes = b""
    _last_s = 0.0

    def connection_made(self, transport: Any) -> None:  # the two bases have different types
        super().connection_made(transport)
        self._await_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._waiting:
            # Most clients wait for the answer; pausing before each of them would cost two system calls a request.
            if not self._held:
                self.transport.pause_reading()
            self._held += data
            return
        if self._deaf:
            return
        if not self._within and data.startswith(_PREFIXES) and self._nothing_under_way():
            request = self._whole_request(data)
            if request is not None:
                self._await_nothing()
                self._waiting = True
                self._create.handle(request, self._respond)
                return
        self._ordinary(data)

    def _ordinary(self, data: bytes) -> None:
        if not self._in_body:
            self._octets += len(data)
        self._unset_keepalive_if_required()
        self._feed(data)
        if self._deaf or self.transport.is_closing():
            return
        if self._within and not self._in_body and self._octets > _HEAD_MAX:
            self._refuse(problems.head_too_large())
        elif self._within or self._nothing_under_way():  # in the second case only blank lines have come
            self._await_more()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(problems.malformed("This is not a request of HTTP/1.1"))
        except httptools.HttpParserUpgrade as upgrade:
            self._decline(data[upgrade.args[0] :])

    def _decline(self, rest: bytes) -> None:
        """Read a request that offers another protocol, as Java's client does, as if it did not (RFC 9110, 7.8).

        The parser has taken the end of its head for the end of HTTP and thrown away how its body is framed.
        """
        version = self.parser.get_http_version().encode()
        head = [b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)]
        head += [name + b": " + value + b"\r\n" for name, value in self.headers if name != b"upgrade"]
        self._declining = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn
        self._feed(b"".join([*head, b"\r\n", rest]))

    def eof_received(self) -> Any:  # bool, which uvicorn's signature does not have
        """A client that has said all may still read: its message is answered before the connection is closed."""
        if self._waiting:
            self._closing = True
            return True
        if self._within or self._nothing_under_way() or self.cycle.scope["method"] != "POST":
            return False
        self.cycle.keep_alive = False
        return True

    def _nothing_under_way(self) -> bool:
        # There is no cycle until the first request of the ordinary way.
        return bool(getattr(self.cycle, "response_complete", True))

    def _whole_request(self, data: bytes) -> CreateRequest | None:
        """The request if `data` is exactly one that can be answered here."""
        sink = _WholeRequest()
        parser = httptools.HttpRequestParser(sink)
        try:
            parser.feed_data(data)
        except (
            httptools.HttpParserError,
            httptools.HttpParserUpgrade,
        ):  # uvicorn's own parser will answer it
            return None
        path = _PATH.fullmatch(sink.url)
        headers = sink.headers
        connection = headers.get(b"connection", b"keep-alive").lower()
        if (
            path is None
            or sink.messages != 1
            or not sink.complete
            or connection not in (b"keep-alive", b"close")
            or parser.get_http_version() != "1.1"
            or b"expect" in headers
            or b"content-encoding" in headers
            or len(sink.body) > self._body_max
        ):
            return None
        self._closing = connection == b"close"
        return CreateRequest(
            path=sink.url.decode(),
            account_id=path[2].decode(),
            by_path=PROFILES[path[1]],
            authorization=headers.get(b"authorization"),
            content_type=headers.get(b"content-type"),
            idempotency_key=headers.get(b"idempotency-key"),
            body=sink.body,
            traceparent=headers.get(b"traceparent"),
        )

    def _respond(self, status: int, headers: Headers, body: bytes) -> None:
        self._waiting = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        lines = [_STATUS_LINES[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines.append(name + b": " + value + b"\r\n")
        lines.append(b"Content-Length: %d\r\n" % len(body))
        if self._closing:
            lines.append(b"Connection: close\r\n")
        lines.append(b"\r\n")
        lines.append(body)
        self.transport.write(b"".join(lines))
        if self._closing:
            self.transport.close()
            return
        self._last_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)
        if self._held:
            held, self._held = self._held, b""
            self.transport.resume_reading()
            self.data_received(held)

    def _close_if_idle(self) -> None:
        """One timer per idle period instead of one per request."""
        idle_s = self.loop.time() - self._last_s
        if self._waiting or idle_s < self.timeout_keep_alive:
            again_s = self.timeout_keep_alive if self._waiting else self.timeout_keep_alive - idle_s
            self.timeout_keep_alive_task = self.loop.call_later(again_s, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def shutdown(self) -> None:
        if self._waiting:
            self._closing = True
        else:
            super().shutdown()

    def on_message_begin(self) -> None:
        self._within = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._declining = True
            return
        super().on_headers_complete()  # fails, if it can make nothing of the target
        self._in_body = True
        self._octets = 0
        self._await_nothing()

    def on_body(self, body: bytes) -> None:
        self._octets += len(body)
        if self._octets >= _BODY_STEP:
            self._octets = 0
            self._await_nothing()
        super().on_body(body)
        if self.cycle.response_complete:
            self._unread += len(body)
            if self._unread > self._body_max:
                self.transport.close()

    def on_message_complete(self) -> None:
        if self._declining:
            return
        self._within = self._in_body = False
        self._octets = self._unread = 0
        self._await_nothing()
        super().on_message_complete()

    def _await_more(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._head_timeout_s, self._too_slow)

    def _await_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # the client is not the one who waits
            self._await_more()
        elif self._within:
            self._refuse(problems.too_slow())
        else:
            self.transport.close()

    def _refuse(self, problem: problems.Problem) -> None:
        """Answer what cannot be read to its end, if it is its turn, and close the connection."""
        self._telemetry.count("trebuchet_http_requests_total", str(problem.status))
        self._await_nothing()
        self._deaf = True
        if not self._in_body and not self._nothing_under_way():
            self.cycle.keep_alive = False  # those before it are answered; then the connection is closed
            return
        if self._in_body and (self.pipeline or self.cycle.response_started):
            self.transport.close()
            return
        body = problem.encode()
        self.transport.write(
            _STATUS_LINES[problem.status]
            + b"Content-Type: application/json;charset=utf-8\r\nConnection: close\r\n"
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
        )
        # Closed with octets unread, TCP would reset the connection and the client might never see the answer.
        self.transport.write_eof()
        self._deadline = self.loop.call_later(_LINGER_S, self.transport.close)

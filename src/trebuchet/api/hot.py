"""The HTTP protocol: uvicorn's, with the one hot request answered before any framework sees it.

A POST of a message that arrives whole in one read is parsed by httptools and handed to `CreateMessage`. All
else, and every oddity of such a POST (a body in pieces, pipelining, HTTP/1.0, Expect), goes the ordinary way
through uvicorn and the framework, which ends in the same `CreateMessage`. Measured per request: bare ASGI on
uvicorn 63 µs, this about 20.
"""

import asyncio
import re
from http import HTTPStatus

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trebuchet.api.create import CreateMessage, CreateRequest, Headers
from trebuchet.model.account import Profile

_PATH = re.compile(rb"(/v2|/api/v2)/users/([A-Za-z0-9._~-]{1,128})/messages")
_PREFIXES = (b"POST /v2/users/", b"POST /api/v2/users/")
_HEAD_MAX = 65_536  # octets of a request's head; larger ones are of no client that we know
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
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


def make_protocol(create: CreateMessage, body_max: int) -> type[asyncio.Protocol]:
    """The protocol class for uvicorn's `http` option."""

    class GatewayProtocol(_HotProtocol):
        _create = create
        _body_max = body_max

    return GatewayProtocol


class _HotProtocol(HttpToolsProtocol):
    _create: CreateMessage
    _body_max: int
    _within = False  # a request of the ordinary way has begun and not ended
    _head_octets = 0
    _waiting = False  # a hot request is being committed
    _closing = False
    _held: bytes = b""
    _last_s = 0.0

    def data_received(self, data: bytes) -> None:
        if self._waiting:
            # Most clients wait for the answer; pausing before each of them would cost two system calls a request.
            if not self._held:
                self.transport.pause_reading()
            self._held += data
            return
        if not self._within and data.startswith(_PREFIXES) and self._nothing_under_way():
            request = self._whole_request(data)
            if request is not None:
                self._waiting = True
                self._create.handle(request, self._respond)
                return
        self._head_octets += len(data)
        super().data_received(data)
        if self._within and self._head_octets > _HEAD_MAX and not self.transport.is_closing():
            self._refuse_head()

    def _nothing_under_way(self) -> bool:
        # There is no cycle until the first request of the ordinary way.
        return bool(getattr(self.cycle, "response_complete", True))

    def _whole_request(self, data: bytes) -> CreateRequest | None:
        """The request if `data` is exactly one that can be answered here."""
        sink = _WholeRequest()
        parser = httptools.HttpRequestParser(sink)
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:  # uvicorn's own parser will answer it; an upgrade is one too
            return None
        path = _PATH.fullmatch(sink.url)
        headers = sink.headers
        if (
            path is None
            or sink.messages != 1
            or not sink.complete
            or not parser.should_keep_alive()
            or parser.get_http_version() != "1.1"
            or b"expect" in headers
            or b"content-encoding" in headers
            or len(sink.body) > self._body_max
        ):
            return None
        return CreateRequest(
            path=sink.url.decode(),
            account_id=path[2].decode(),
            by_path=PROFILES[path[1]],
            authorization=headers.get(b"authorization"),
            content_type=headers.get(b"content-type"),
            idempotency_key=headers.get(b"idempotency-key"),
            body=sink.body,
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
        self._head_octets = -(1 << 62)  # the body is bounded by the route that reads it
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._within = False
        self._head_octets = 0
        super().on_message_complete()

    def _refuse_head(self) -> None:
        body = b'{"type":"request-validation","description":"The request head is too large"}'
        self.transport.write(
            _STATUS_LINES[431]
            + b"Content-Type: application/json;charset=utf-8\r\nConnection: close\r\n"
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
        )
        self.transport.close()

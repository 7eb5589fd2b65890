"""One HTTP/1.1 connection to a peer, from the client's side: one request at a time, answers bounded.

An `asyncio.Protocol` around the httptools parser: streams and a task per request would cost more CPU than
everything else a callback needs. No decision about addresses, pools or retries is made here.
"""

import asyncio
import math
from collections.abc import Callable
from typing import cast

import httptools
import msgspec

from trebuchet.webclient.errors import AnswerMalformed, ConnectionLost, TimedOut, TooLarge, WebError

# What an answer may spend on anything but its body: status line, headers, interim answers, chunk lines,
# trailers. Servers commonly bound headers at 8 to 32 KiB.
OVERHEAD_MAX = 32 * 1024
# How much body beyond what the caller keeps is read for the sake of keeping the connection.
DROPPED_MAX = 64 * 1024

Headers = list[tuple[bytes, bytes]]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A final answer, of any status from 200 up."""

    status: int
    headers: Headers
    """As they came, names in lower case. Trailers are not among them."""
    body: bytes
    """The first octets of the body, as many as the caller allowed."""
    whole: bool
    """False when the body was longer than `body`."""
    duration_ms: int
    """From the call to the end of the answer: name lookup, connecting and TLS included."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One whole request, ready to write, and what bounds it. Moments are on the event loop's clock."""

    octets: bytes
    started_s: float
    deadline_s: float
    answer_max: int
    whole_only: bool = False
    """Whether a successful answer that is encoded or longer than `answer_max` is an error, found as early as
    can be, rather than a body cut short."""
    repeatable: bool = True
    """Whether it may go to a kept connection, which may be closed by the time that it is written."""


class Connection(asyncio.Protocol):
    """A connection that is idle, or has one request under way, or is closed.

    `deadline_s` is on the event loop's clock and is enforced by whoever calls `expire`. `on_lost` is called
    once, when the transport is gone.
    """

    def __init__(
        self, peer: str, loop: asyncio.AbstractEventLoop, on_lost: Callable[["Connection"], None]
    ) -> None:
        self.deadline_s = math.inf
        self.closed = False
        self.reusable = False
        self.peer = peer
        self._loop = loop
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[Answer] | None = None
        self._started_s = 0.0
        self._octets = 0
        self._whole_only = False
        self._reset_answer(0)

    @property
    def answer_begun(self) -> bool:
        """Whether any octet came back for the request."""
        return self._octets > 0

    def exchange(self, request: Request) -> asyncio.Future[Answer]:
        """Write the request at once. The future gives the answer or raises a WebError.

        The connection must be idle. Afterwards `reusable` says whether it can take another request.
        """
        waiter: asyncio.Future[Answer] = self._loop.create_future()
        if self._transport is None or self.closed:
            self._octets = 0
            waiter.set_exception(ConnectionLost(f"{self.peer} closed the connection"))
            return waiter
        self._waiter = waiter
        self._started_s = request.started_s
        self.deadline_s = request.deadline_s
        self.reusable = False
        self._octets = 0
        self._whole_only = request.whole_only
        self._reset_answer(request.answer_max)
        self._transport.write(request.octets)
        return waiter

    def expire(self) -> None:
        """The deadline has come: fail the request under way, or end the idle connection."""
        waited_s = self.deadline_s - self._started_s
        self.fail(TimedOut(f"no complete answer from {self.peer} within {waited_s:g} s", asked=True))

    def fail(self, error: WebError) -> None:
        """Close, and give `error` to the request under way, if there is one. May be called twice."""
        waiter = self._waiter
        self._waiter = None
        self.closed = True
        self.reusable = False
        self.deadline_s = math.inf
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
        if self._transport is not None:
            # Not close(): nothing is owed to the peer, and a TLS close would wait for its farewell.
            self._transport.abort()

    @property
    def transport(self) -> asyncio.Transport:
        """The transport while the connection is open. Raises ConnectionLost afterwards."""
        if self._transport is None:
            raise ConnectionLost(f"{self.peer} closed the connection")
        return self._transport

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            # Octets that nobody asked for would be taken for the answer to the next request.
            self.fail(AnswerMalformed(f"{self.peer} wrote without being asked"))
            return
        self._octets += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(AnswerMalformed(f"{self.peer} changed to another protocol"))
        except httptools.HttpParserError as error:
            self.fail(AnswerMalformed(f"the answer of {self.peer} is not HTTP: {error}"))
        else:
            if self._waiter is not None:
                self._check_bounds()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiter is not None and exc is None and self._headers_done and self._ends_with_connection():
            self._finish(reusable=False)
        how = "closed" if exc is None else "broke"
        when = "in the middle of its answer" if self.answer_begun else "without an answer"
        self.fail(ConnectionLost(f"{self.peer} {how} the connection {when}"))
        self._on_lost(self)

    # What the parser calls. It also calls for octets beyond the answer; these change nothing but `reusable`,
    # because the answer has been handed over by then and its headers are no longer added to.

    def on_message_begin(self) -> None:
        self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headers_done:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        self._headers_done = True
        if self._whole_only:
            self._judge_headers()

    def on_body(self, body: bytes) -> None:
        room = self._answer_max - self._body_octets
        self._body_octets += len(body)
        if room > 0:
            self._body.append(body[:room])
        if len(body) > room and self._whole_only and 200 <= self._status < 300:
            self.fail(TooLarge(f"the answer of {self.peer} has over {self._answer_max} octets"))

    def on_message_complete(self) -> None:
        if self._waiter is None:
            return
        if 100 <= self._status < 200:
            # An interim answer (RFC 9110 section 15.2); the final one follows.
            self._reset_answer(self._answer_max)
        elif self._status < 100:
            self.fail(AnswerMalformed(f"{self.peer} answered with status {self._status:03d}"))
        else:
            self._finish(reusable=self._parser.should_keep_alive())

    def _reset_answer(self, answer_max: int) -> None:
        self._answer_max = answer_max
        self._status = 0
        self._headers: Headers = []
        self._headers_done = False
        self._body: list[bytes] = []
        self._body_octets = 0

    def _finish(self, *, reusable: bool) -> None:
        waiter = self._waiter
        self._waiter = None
        self.reusable = reusable
        self.deadline_s = math.inf
        if waiter is not None and not waiter.done():
            duration_ms = round((self._loop.time() - self._started_s) * 1000)
            whole = self._body_octets <= self._answer_max
            waiter.set_result(Answer(self._status, self._headers, b"".join(self._body), whole, duration_ms))

    def _check_bounds(self) -> None:
        """End an answer that goes on beyond its bounds."""
        # Chunk lines may take as much as the body they carry; a stream of single octets is not for us.
        if self._octets - self._body_octets > OVERHEAD_MAX + self._body_octets:
            self.fail(AnswerMalformed(f"the headers of {self.peer}'s answer are over {OVERHEAD_MAX} octets"))
        elif self._body_octets > self._answer_max + DROPPED_MAX:
            self._finish(reusable=False)
            self.fail(ConnectionLost("the rest of the answer is not read"))

    def _judge_headers(self) -> None:
        """End a successful answer that will not be taken before its body comes."""
        if not 200 <= self._status < 300:
            return
        for name, value in self._headers:
            if name == b"content-encoding" and value.strip().lower() not in {b"identity", b""}:
                # Not asked for, and a small body could unpack to any size.
                self.fail(AnswerMalformed(f"{self.peer} compressed its answer, which was not asked for"))
            # The parser has seen to it that a length is digits and stands alone.
            elif name == b"content-length" and int(value) > self._answer_max:
                self.fail(TooLarge(f"the answer of {self.peer} has over {self._answer_max} octets"))

    def _ends_with_connection(self) -> bool:
        """Whether the body's end is the connection's end (RFC 9112 section 6.3, case 8)."""
        fields = dict(self._headers)
        coding = fields.get(b"transfer-encoding", b"").lower()
        return b"content-length" not in fields and not coding.endswith(b"chunked")

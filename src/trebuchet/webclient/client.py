"""The client itself: turns, kept connections, dialling of checked addresses, time-outs."""

import asyncio
import errno
import math
import os
import ssl
from collections.abc import Sequence
from functools import lru_cache, partial

from trebuchet.webclient.addresses import AddressRules, IPAddress, Target, literal, parse_url
from trebuchet.webclient.connection import Answer, Connection, Request
from trebuchet.webclient.errors import (
    AddressRefused,
    ConnectFailed,
    ConnectionLost,
    TimedOut,
    TlsFailed,
)
from trebuchet.webclient.redirects import Document, headers_for, next_url
from trebuchet.webclient.resolver import CachedResolver, Resolver, system_resolver

_REFUSALS = {
    errno.ECONNREFUSED: "connection refused by",
    errno.EHOSTUNREACH: "no route to",
    errno.ENETUNREACH: "no route to",
}


class _Origin:
    """One scheme, host and port: turns of its requests and its idle connections, the last used at the end."""

    __slots__ = ("idle", "key", "turns", "users")

    def __init__(self, key: tuple[bool, str, int], turns: int) -> None:
        self.key = key
        self.turns = asyncio.Semaphore(turns)
        self.idle: list[Connection] = []
        self.users = 0


@lru_cache(maxsize=1024)
def _prepare(url: str) -> tuple[Target, tuple[bool, str, int], bytes]:
    """What all POSTs to one URL share: its parts, the key of its origin, the start of the request."""
    target = parse_url(url)
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.authority}\r\n".encode("ascii")
    return target, (target.tls, target.host, target.port), head


def _header_block(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    block = b"".join([b"%b: %b\r\n" % header for header in headers])
    if block.count(b"\n") != len(headers) or block.count(b"\r") != len(headers) or b"\0" in block:
        raise ValueError("a header holds a line end or a NUL")
    return block


def _post_request(head: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bytes:
    return b"%bContent-Length: %d\r\n%b\r\n%b" % (head, len(body), _header_block(headers), body)


def _get_request(target: Target, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    head = f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nAccept-Encoding: identity\r\n"
    return b"%b%b\r\n" % (head.encode("ascii"), _header_block(headers))


class WebClient:
    """The one way out of the gateway over HTTP. Must be made and used within one running event loop.

    - Dials only addresses that `rules` admit, checked after resolution, at every hop of a redirect too.
    - Keeps connections for `keep_alive_s` and writes each request at once.
    - At most `connections_max` requests are under way, and `connections_per_origin` to one scheme, host and
      port; more wait for their turn, within their time-out. As many idle connections are kept at most.
    - A host's addresses are tried in turn, `connect_timeout_s` each; names are kept for `dns_keep_s`.

    `tls` replaces the default context, which verifies against the system's authorities.
    """

    def __init__(
        self,
        rules: AddressRules,
        *,
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        connections_max: int = 512,
        connections_per_origin: int = 32,
        keep_alive_s: float = 15.0,
        connect_timeout_s: float = 2.0,
        dns_keep_s: float = 5.0,
    ) -> None:
        self._rules = rules
        self._resolver = CachedResolver(resolver, dns_keep_s)
        self._tls = tls
        self._connections_max = connections_max
        self._per_origin = connections_per_origin
        self._keep_alive_s = keep_alive_s
        self._connect_timeout_s = connect_timeout_s
        self._loop = asyncio.get_running_loop()
        self._turns = asyncio.Semaphore(connections_max)
        self._origins: dict[tuple[bool, str, int], _Origin] = {}
        self._open: set[Connection] = set()
        self._idle_count = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_s = math.inf
        self._closed = False
        self._all_gone: asyncio.Future[None] | None = None

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        *,
        timeout_s: float,
        answer_max: int,
        repeatable: bool = True,
    ) -> Answer:
        """POST `body` and return the answer, whatever its status.

        `timeout_s` covers everything: a turn, resolution, connecting, TLS, the whole answer. Of the answer's
        body `answer_max` octets are kept; 64 KiB more are read and dropped, then the connection is closed.
        Host and Content-Length are set here; `headers` are the caller's others. A kept connection that
        turns out closed is replaced once, so the peer may see a request twice, unless `repeatable` is False:
        then a new connection is made. Cancelling closes the connection. Raises a WebError when there is no
        answer (see `WebError.asked`), ValueError when a header is not one line.
        """
        target, key, head = _prepare(url)
        octets = _post_request(head, headers, body)
        started_s = self._loop.time()
        request = Request(octets, started_s, started_s + timeout_s, answer_max, repeatable=repeatable)
        return await self._answer(target, key, request)

    async def get(
        self,
        url: str,
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        timeout_s: float,
        answer_max: int,
        redirects_max: int = 0,
    ) -> Document:
        """GET what the URL names, as it is and whole, or whatever else the answer is.

        Up to `redirects_max` redirects are followed, each to an address that passes the same checks; without
        any, a redirect is the answer. `headers` but Accept and User-Agent go to the first origin only. Host
        and Accept-Encoding are set here. `timeout_s` covers all hops. Raises a WebError when there is no
        answer: TooLarge for a 2xx with more than `answer_max` octets, RedirectRefused after too many hops or
        from https to http. ValueError when a header is not one line. See `post` for the rest.
        """
        started_s = self._loop.time()
        for hops_left in range(redirects_max, -1, -1):
            target = parse_url(url)
            request = Request(
                _get_request(target, headers), started_s, started_s + timeout_s, answer_max, whole_only=True
            )
            answer = await self._answer(target, (target.tls, target.host, target.port), request)
            following = next_url(url, target, answer, hops_left) if redirects_max else None
            if following is None:
                break
            headers = headers_for(parse_url(following), target, headers)
            url = following
        return Document(
            url, answer.status, answer.headers, answer.body, round((self._loop.time() - started_s) * 1000)
        )

    async def _answer(self, target: Target, key: tuple[bool, str, int], request: Request) -> Answer:
        """The answer to one request, which waits for its turn first."""
        if self._closed:
            raise ConnectionLost("the HTTP client is closed")
        origin = self._origins.get(key)
        if origin is None:
            origin = self._origins[key] = _Origin(key, self._per_origin)
        origin.users += 1
        try:
            await self._take_turn(origin, target, request)
            try:
                return await self._ask(origin, target, request)
            finally:
                self._turns.release()
                origin.turns.release()
        finally:
            origin.users -= 1
            self._drop_if_unused(origin)

    async def close(self) -> None:
        """Close every connection and wait until they are gone. Requests under way fail with ConnectionLost.

        May be called twice. Does not wait for the peer.
        """
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_s = -math.inf  # No deadline is before it, so none is watched any more.
        self._resolver.close()
        for connection in list(self._open):
            connection.fail(ConnectionLost("the HTTP client is closed"))
        if self._open:
            if self._all_gone is None:
                self._all_gone = self._loop.create_future()
            await asyncio.wait((self._all_gone,))

    async def _take_turn(self, origin: _Origin, target: Target, request: Request) -> None:
        if not origin.turns.locked() and not self._turns.locked():
            # Neither acquire waits, so the cost of a timer is saved.
            await origin.turns.acquire()
            await self._turns.acquire()
            return
        try:
            async with asyncio.timeout_at(request.deadline_s):
                await origin.turns.acquire()
                try:
                    await self._turns.acquire()
                except BaseException:
                    origin.turns.release()
                    raise
        except TimeoutError:
            waited_s = request.deadline_s - request.started_s
            raise TimedOut(f"no connection to {target.peer} came free within {waited_s:g} s") from None

    async def _ask(self, origin: _Origin, target: Target, request: Request) -> Answer:
        while origin.idle and request.repeatable:
            connection = origin.idle.pop()
            self._idle_count -= 1
            if connection.closed:
                continue
            try:
                return await self._exchange(origin, connection, request)
            except ConnectionLost:
                # RFC 9112 section 9.3.1: the peer ended an idle connection while we began to use it.
                if connection.answer_begun or self._closed:
                    raise
                break
        connection = await self._dial(origin, target, request)
        return await self._exchange(origin, connection, request)

    async def _exchange(self, origin: _Origin, connection: Connection, request: Request) -> Answer:
        answer = connection.exchange(request)
        self._watch(request.deadline_s)
        keep = False
        try:
            result = await answer
            keep = connection.reusable and not self._closed and self._idle_count < self._connections_max
        finally:
            if not keep:
                connection.fail(ConnectionLost("the request was given up"))
        if keep:
            connection.deadline_s = self._loop.time() + self._keep_alive_s
            self._watch(connection.deadline_s)
            origin.idle.append(connection)
            self._idle_count += 1
        return result

    # Dialling.

    async def _dial(self, origin: _Origin, target: Target, request: Request) -> Connection:
        try:
            async with asyncio.timeout_at(request.deadline_s):
                connection = await self._connect(origin, target)
                if target.tls:
                    await self._start_tls(connection, target)
        except TimeoutError:
            waited_s = request.deadline_s - request.started_s
            raise TimedOut(f"no connection to {target.peer} within {waited_s:g} s") from None
        self._open.add(connection)
        if self._closed:
            connection.fail(ConnectionLost("the HTTP client is closed"))
        return connection

    async def _checked_addresses(self, target: Target) -> list[IPAddress]:
        """The addresses of the host that may be dialled: at least one."""
        admitted: list[IPAddress] = []
        refusal = ""
        for ip in await self._resolver.addresses(target.host):
            reason = self._rules.check(ip) or self._rules.check_port(ip, target.port)
            if reason is None:
                admitted.append(ip)
            else:
                refusal = refusal or reason
        if not admitted:
            raise AddressRefused(refusal if literal(target.host) else f"{target.host}: {refusal}")
        return admitted

    async def _connect(self, origin: _Origin, target: Target) -> Connection:
        """Try the addresses in turn. Raises the failure of the first one, which is the preferred one."""
        first_failure: ConnectFailed | None = None
        for ip in await self._checked_addresses(target):
            peer = target.peer if str(ip) == target.host else f"{target.peer} ({ip})"
            connection = Connection(peer, self._loop, partial(self._forget, origin))
            try:
                await self._connect_to(ip, target.port, connection)
            except ConnectFailed as failure:
                first_failure = first_failure or failure
            else:
                return connection
        raise first_failure or ConnectFailed(f"{target.host} has no address")

    async def _connect_to(self, ip: IPAddress, port: int, connection: Connection) -> None:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._loop.create_connection(lambda: connection, str(ip), port)
        except TimeoutError:
            raise ConnectFailed(
                f"no connection to {connection.peer} within {self._connect_timeout_s:g} s"
            ) from None
        except OSError as error:
            code = error.errno or 0
            words = _REFUSALS.get(code) or f"{os.strerror(code) if code else error}:"
            raise ConnectFailed(f"{words} {connection.peer}") from None

    async def _start_tls(self, connection: Connection, target: Target) -> None:
        peer = connection.peer
        try:
            transport = await self._loop.start_tls(
                connection.transport, connection, self._tls_context(), server_hostname=target.host.rstrip(".")
            )
        except ssl.SSLCertVerificationError as error:
            raise TlsFailed(f"the certificate of {peer} is not trusted: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise TlsFailed(f"TLS with {peer} failed: {error.reason or error}") from None
        except OSError:
            raise TlsFailed(f"{peer} closed the connection during the TLS handshake") from None
        if transport is None:
            raise TlsFailed(f"{peer} closed the connection during the TLS handshake")
        connection.connection_made(transport)

    def _tls_context(self) -> ssl.SSLContext:
        # Made at first need: reading the authorities takes tens of milliseconds, and the start is measured.
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls

    # Deadlines. One timer for all connections, set for the earliest deadline it has heard of. A timer for
    # each request would cost more; nearly all of them would be cancelled.

    def _watch(self, deadline_s: float) -> None:
        if deadline_s < self._alarm_s:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm_s = deadline_s
            self._alarm = self._loop.call_at(deadline_s, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        self._alarm_s = math.inf
        now_s = self._loop.time()
        for connection in list(self._open):
            if connection.deadline_s <= now_s:
                connection.expire()
        self._watch(min((connection.deadline_s for connection in self._open), default=math.inf))

    def _forget(self, origin: _Origin, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in origin.idle:
            origin.idle.remove(connection)
            self._idle_count -= 1
            self._drop_if_unused(origin)
        if not self._open and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)

    def _drop_if_unused(self, origin: _Origin) -> None:
        if not origin.users and not origin.idle:
            self._origins.pop(origin.key, None)

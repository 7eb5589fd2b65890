"""HTTP to a gateway, with the standard library: one request at a time, everything bounded.

Each failure becomes a CommandError that says what to do next. Answers of the gateway are JSON; a feed is
server-sent events (WHATWG HTML, section 9.2), of which only `data`, `event` and comments are used.
"""

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

from trebuchet.cli.outcome import Code, CommandError

TIMEOUT_S: Final = 10.0
# The gateway writes a comment every 15 s; two missing ones mean that the connection is dead.
FEED_TIMEOUT_S: Final = 40.0
ANSWER_MAX: Final = 64 * 1024 * 1024  # a thousand rows of a list, or a life with many attempts, are far less
LINE_MAX: Final = 1024 * 1024
_LISTED: Final = ("accounts", "applications", "numbers", "carriers", "routes", "links")


class ConnectionLost(CommandError):
    """The connection ended before the answer did."""


class Answer(NamedTuple):
    """What the gateway answered. `content` is the decoded JSON, None for an empty body."""

    status: int
    content: Any


class FeedEvent(NamedTuple):
    """One event of a feed: "message" with an entry, "missed", or "comment" when there was nothing to say."""

    kind: str
    entry: Mapping[str, Any]


class Client:
    """Requests to the gateway at `base_url`, with `authorization` as the header of that name."""

    def __init__(self, base_url: str, authorization: str, *, timeout_s: float = TIMEOUT_S) -> None:
        try:
            parts = urlsplit(base_url)
            port = parts.port
        except ValueError:  # a port out of range, or a bad IPv6 address
            parts, port = urlsplit(""), None
        host = parts.hostname or ""
        usable = host.isprintable() and host and not set(host) & set(" /\\")
        if parts.scheme not in ("http", "https") or not usable or port == 0 or "@" in parts.netloc:
            raise CommandError(
                Code.REFUSED, f"{base_url!r} is not the URL of a gateway: give one like http://127.0.0.1:8080"
            )
        self.base_url = base_url.rstrip("/")
        self._https = parts.scheme == "https"
        self._host = host
        self._port = port
        self._prefix = parts.path.rstrip("/")
        self._authorization = authorization
        self._timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
    ) -> Answer:
        """One request and its answer, 2xx only. Blocks for at most about the time-out.

        A `query` value of None is left out. Raises CommandError for anything but a 2xx.
        """
        connection = self._connect()
        try:
            # Closed apart from the connection, which lets go of an answer that ends by closing.
            with self._request(connection, method, path, query, body) as response:
                content = response.read(ANSWER_MAX + 1)
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        finally:
            connection.close()
        if len(content) > ANSWER_MAX:
            raise CommandError(Code.UNREACHABLE, "the answer is too large: ask for less with --limit")
        return self._judged(response.status, content)

    def feed(self, path: str, query: Mapping[str, object] | None = None) -> "FeedReader":
        """Open a feed. When this returns, everything that happens from now on will be in it."""
        connection = self._connect()
        # The connection forgets its socket when the answer will end by closing.
        sock: socket.socket = connection.sock
        with ExitStack() as unless_open:
            unless_open.callback(connection.close)
            try:
                response = self._request(connection, "GET", path, query, None)
                unless_open.callback(response.close)
                kind = response.headers.get("Content-Type", "")
                if response.status != http.client.OK or not kind.startswith("text/event-stream"):
                    self._judged(response.status, response.read(ANSWER_MAX))
                    raise self._not_a_gateway()
            except (OSError, http.client.HTTPException) as error:
                raise self._lost(error) from error
            return FeedReader(response, sock, unless_open.pop_all().close)

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._https else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.connect()
        except ssl.SSLError as error:
            raise CommandError(Code.UNREACHABLE, f"no TLS with {self.base_url}: {error.reason}") from error
        except (OSError, UnicodeError) as error:
            raise CommandError(
                Code.UNREACHABLE,
                f"no gateway answers at {self.base_url}: start one with `trebuchet serve`, or give --url",
            ) from error
        return connection

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        body: object,
    ) -> http.client.HTTPResponse:
        given = {name: _query_text(value) for name, value in (query or {}).items() if value is not None}
        target = f"{self._prefix}{path}" + (f"?{urlencode(given)}" if given else "")
        headers = {"Authorization": self._authorization, "Accept": "application/json, text/event-stream"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode()
        connection.request(method, target, content, headers)
        return connection.getresponse()

    def _judged(self, status: int, content: bytes) -> Answer:
        try:
            decoded = json.loads(content) if content.strip() else None
        except (ValueError, RecursionError) as error:
            raise self._not_a_gateway() from error
        if 200 <= status < 300:
            return Answer(status, decoded)
        if not isinstance(decoded, dict) or "description" not in decoded:
            raise self._not_a_gateway()
        raise refusal(status, decoded)

    def _lost(self, error: Exception) -> CommandError:
        if isinstance(error, TimeoutError):
            what = f"{self.base_url} took the request but did not answer in time"
            return ConnectionLost(Code.UNREACHABLE, f"{what}: see its log; whether it was done is unknown")
        if isinstance(error, http.client.HTTPException) and not isinstance(
            error, http.client.RemoteDisconnected
        ):
            return self._not_a_gateway()
        what = f"{self.base_url} broke off before it had answered"
        return ConnectionLost(Code.UNREACHABLE, f"{what}: see its log; whether it was done is unknown")

    def _not_a_gateway(self) -> CommandError:
        return CommandError(
            Code.UNREACHABLE, f"what answers at {self.base_url} is not a Trebuchet gateway: give its --url"
        )


class FeedReader:
    """An open feed. Close it when done, also twice."""

    def __init__(
        self, response: http.client.HTTPResponse, sock: socket.socket, close: Callable[[], None]
    ) -> None:
        self._response = response
        self._sock = sock
        self.close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def events(self, left_s: Callable[[], float]) -> Iterator[FeedEvent]:
        """The events, until `left_s` says that no second is left.

        Blocks for the next one. Raises ConnectionLost when the stream ends before that.
        """
        return events_of(self._lines(left_s))

    def _lines(self, left_s: Callable[[], float]) -> Iterator[bytes]:
        while (left := left_s()) > 0:
            try:
                self._sock.settimeout(min(left, FEED_TIMEOUT_S))
                line = self._response.readline(LINE_MAX)
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, TimeoutError) and left <= FEED_TIMEOUT_S:
                    return
                raise ConnectionLost(Code.UNREACHABLE, "the feed broke off") from error
            if not line.endswith(b"\n"):
                raise ConnectionLost(Code.UNREACHABLE, "the feed ended")
            yield line


def events_of(lines: Iterator[bytes]) -> Iterator[FeedEvent]:
    """Server-sent events from the lines of a stream; comments are passed on as such."""
    kind, data = "message", ""
    for line in lines:
        field, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data += value
        elif field == "" and line.startswith(b":"):
            yield FeedEvent("comment", {})
        elif field == "":
            if data or kind != "message":
                yield FeedEvent(kind, _entry(data))
            kind, data = "message", ""


def _entry(data: str) -> Mapping[str, Any]:
    try:
        entry = json.loads(data) if data else {}
    except (ValueError, RecursionError) as error:
        raise ConnectionLost(Code.UNREACHABLE, "the feed holds something that is not JSON") from error
    return entry if isinstance(entry, dict) else {}


def refusal(status: int, problem: Mapping[str, Any]) -> CommandError:
    """The error for an answer that is not 2xx: what the gateway says, and what to do where it is known."""
    text = str(problem["description"])
    if status == http.client.UNAUTHORIZED:
        text += (
            "\nGive the right credentials: the admin token in TREBUCHET_ADMIN_TOKEN or by the gateway's --data"
            " folder; for `send`, TREBUCHET_ACCOUNT, TREBUCHET_TOKEN and TREBUCHET_SECRET"
        )
    if status == http.client.NOT_FOUND and "path" in problem:
        text += f": {problem['path']}"
        kind = str(problem["path"]).removeprefix("/admin/v1/").partition("/")[0]
        if kind in _LISTED:
            text += f"\n`trebuchet {kind} list` prints those that there are"
    for field in problem.get("fieldErrors") or ():
        if isinstance(field, dict):
            text += f"\n{field.get('fieldName')}: {field.get('description')}"
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return CommandError(Code.UNREACHABLE, f"the gateway could not do it ({status}): {text}")
    return CommandError(Code.REFUSED, text)


def _query_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

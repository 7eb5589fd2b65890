"""The port that an MMSC posts to: who may call, how much is read, and one answer to each POST."""

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trebuchet.carriers.mm7.settings import Mm7Settings
from trebuchet.webserver import HttpServer, listen

_GRACE_S: Final = 5.0
_READ_S: Final = 120.0  # that a whole request may take to come in
_ANSWER_S: Final = 60.0  # that storing it may take
_TOGETHER_MAX: Final = 64  # requests at a time: each is held whole


class Answer(msgspec.Struct, frozen=True):
    """What the peer is told: an HTTP status and a SOAP document."""

    status: int
    content_type: str
    octets: bytes


Handler = Callable[[str, bytes], Awaitable[Answer]]
"""Given the content type and the body of a POST. Must answer 200 only for what is stored."""


class Mm7Listener:
    """Answers from `start` to `stop`. Whoever may not call never gets as far as the handler."""

    def __init__(self, settings: Mm7Settings, handler: Handler) -> None:
        self._settings = settings
        self._handler = handler
        self._networks = [ip_network(network) for network in settings.listen_from]
        self._under_way = 0
        self._server: HttpServer | None = None

    async def start(self) -> int:
        """Listen. Returns the port. Raises OSError if it is taken, or for a certificate that cannot be used."""
        settings = self._settings
        sock = listen(settings.listen_host, settings.listen_port)
        try:
            self._server = HttpServer(
                self._answer,
                HttpToolsProtocol,
                grace_s=_GRACE_S,
                certificate_file=settings.listen_certificate_file,
                key_file=settings.listen_key_file,
            )
            await self._server.start(sock)
        except BaseException:
            sock.close()
            raise
        return int(sock.getsockname()[1])

    async def stop(self) -> None:
        """Take nothing more, and let what is under way end within seconds. May be called twice."""
        if self._server is not None:
            await self._server.stop()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = self._refusal(request) or await self._taken(request)
        await response(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        """By address, path, method and password, before anything is read."""
        settings = self._settings
        if not self._may_call(request):
            return Response("this address may not call here\n", 403)
        if request.url.path.rstrip("/") != settings.listen_path.rstrip("/"):
            return Response("nothing is here\n", 404)
        if request.method != "POST":
            return Response("MM7 is spoken by POST\n", 405, {"Allow": "POST"})
        if not self._is_known(request.headers.get("authorization", "")):
            return Response("a user name and password are needed\n", 401, {"WWW-Authenticate": "Basic"})
        if self._under_way >= _TOGETHER_MAX:
            return Response("too many requests at a time\n", 503, {"Retry-After": "5"})
        return None

    def _may_call(self, request: Request) -> bool:
        try:
            address = ip_address(request.client.host) if request.client else None
        except ValueError:
            return False
        return address is not None and any(address in network for network in self._networks)

    def _is_known(self, authorization: str) -> bool:
        settings = self._settings
        if not settings.listen_username:
            return True
        wanted = base64.b64encode(f"{settings.listen_username}:{settings.listen_password}".encode()).decode()
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "basic" and hmac.compare_digest(given.strip().encode(), wanted.encode())

    async def _taken(self, request: Request) -> Response:
        self._under_way += 1
        try:
            async with asyncio.timeout(_READ_S):
                body = await self._body(request)
            if body is None:
                return Response(f"at most {self._settings.listen_max_octets} octets are taken\n", 413)
            async with asyncio.timeout(_ANSWER_S):
                answer = await self._handler(request.headers.get("content-type", ""), body)
        except TimeoutError:
            return Response("not in time\n", 503, {"Retry-After": "5"})
        finally:
            self._under_way -= 1
        return Response(answer.octets, answer.status, media_type=answer.content_type)

    async def _body(self, request: Request) -> bytes | None:
        """None if it is too large; the rest is not read then."""
        chunks: list[bytes] = []
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self._settings.listen_max_octets:
                return None
            chunks.append(chunk)
        return b"".join(chunks)

"""The framework's half of the HTTP API: everything but the hot request. Probes and metrics live here too."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from trebuchet.api import media, openapi, problems, search, wire
from trebuchet.api.auth import authenticate
from trebuchet.api.body import read_body
from trebuchet.api.create import CreateMessage, CreateRequest, Headers
from trebuchet.api.hot import PROFILES
from trebuchet.api.routing import route
from trebuchet.clock import Clock
from trebuchet.errors import StorageUnavailable
from trebuchet.media.library import MediaLibrary
from trebuchet.model.account import Account, Directory, Profile
from trebuchet.storage.base import Store
from trebuchet.telemetry import Telemetry

_JSON = "application/json;charset=utf-8"
_LIST_LIMIT = 3500  # searches per window and client address, as the API that we speak has it
_LIST_WINDOW_MS = 300_000
_LIST_CLIENTS_MAX = 10_000


class ApiContext(msgspec.Struct, frozen=True):
    """What the routes need."""

    clock: Clock
    directory: Callable[[], Directory]
    create: CreateMessage
    store: Store
    telemetry: Telemetry
    body_max: int
    base_url: Callable[[], str]
    ready: Callable[[], str]  # "" when ready, else what is missing
    refresh_gauges: Callable[[], Awaitable[None]]
    extra_paths: Mapping[str, Any]
    library: MediaLibrary
    media_max: int  # octets of one media object


def build(context: ApiContext, more: Sequence[BaseRoute]) -> Starlette:
    """The ASGI application; `more` are the routes of other parts (admin, simulator, console)."""
    routes: list[BaseRoute] = []
    limit = SearchLimit(context.clock)
    for prefix, profile in PROFILES.items():
        path = prefix.decode() + "/users/{account_id}/messages"
        routes += [
            route(path, GET=_search(context, profile, limit), POST=_create(context, profile)),
            route(path + "/{message_id}", GET=_get(context, profile)),
        ]
    routes += media.routes(
        media.MediaContext(
            context.clock, context.library, partial(_authenticated, context), context.media_max
        )
    )
    document = msgspec.json.encode(openapi.document(context.base_url(), context.extra_paths))
    page = openapi.docs_page("/openapi.json")

    async def openapi_json(_: Request) -> Response:
        return Response(document, media_type="application/json")

    async def docs(_: Request) -> Response:
        return HTMLResponse(page)

    async def livez(_: Request) -> Response:
        return Response(b"ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        missing = context.ready()
        return Response(missing or "ok\n", status_code=503 if missing else 200, media_type="text/plain")

    async def metrics(_: Request) -> Response:
        await context.refresh_gauges()
        return Response(context.telemetry.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    routes += [
        Route("/openapi.json", openapi_json),
        Route("/docs", docs),
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        *more,
    ]
    application = Starlette(
        routes=routes,
        exception_handlers={
            problems.Problem: _problem,
            HTTPException: _http_error(context.clock),
            ClientDisconnect: _disconnected,
            StorageUnavailable: _unavailable,
            Exception: _unexpected(context.telemetry),
        },
    )
    # A redirect to the path without its slash would go to whatever host the request names.
    application.router.redirect_slashes = False
    return application


class SearchLimit:
    """Searches per client address in fixed windows; the number of addresses remembered is bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._window = 0
        self._counts: dict[str, int] = {}

    def check(self, address: str) -> None:
        """Raises Problem 429 with Retry-After."""
        window = self._clock.now_ms() // _LIST_WINDOW_MS
        if window != self._window or len(self._counts) > _LIST_CLIENTS_MAX:
            self._window, self._counts = window, {}
        count = self._counts[address] = self._counts.get(address, 0) + 1
        if count > _LIST_LIMIT:
            raise problems.list_rate_limit()


def _create(context: ApiContext, by_path: Profile) -> Callable[[Request], Awaitable[Response]]:
    async def create_message(request: Request) -> Response:
        try:
            body = await read_body(request, context.body_max)
        except problems.Problem as problem:
            context.telemetry.count("trebuchet_http_requests_total", str(problem.status))
            raise
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def respond(status: int, headers: Headers, content: bytes) -> None:
            if not answered.done():
                response = Response(content, status_code=status)
                response.raw_headers += [(name.lower(), value) for name, value in headers]
                answered.set_result(response)

        headers = request.headers
        context.create.handle(
            CreateRequest(
                path=request.url.path,
                account_id=request.path_params["account_id"],
                by_path=by_path,
                authorization=_octets(headers.get("authorization")),
                content_type=_octets(headers.get("content-type")),
                idempotency_key=_octets(headers.get("idempotency-key")),
                body=body,
                traceparent=_octets(headers.get("traceparent")),
            ),
            respond,
        )
        return await answered

    return create_message


def _search(
    context: ApiContext, by_path: Profile, limit: SearchLimit
) -> Callable[[Request], Awaitable[Response]]:
    async def list_messages(request: Request) -> Response:
        account, _ = _authenticated(context, request, by_path)
        limit.check(request.client.host if request.client else "")
        query = search.parse_query(request.scope["query_string"], account.id)
        page = await context.store.search(query)
        content = search.render_page(
            page, query, context.base_url() + request.url.path, request.scope["query_string"]
        )
        return Response(content, media_type=_JSON)

    return list_messages


def _get(context: ApiContext, by_path: Profile) -> Callable[[Request], Awaitable[Response]]:
    async def get_message(request: Request) -> Response:
        account, _ = _authenticated(context, request, by_path)
        life = await context.store.life(request.path_params["message_id"])
        if life is None or life.message.account_id != account.id:
            raise problems.not_found(request.url.path, context.clock.now_ms())
        return Response(search.render_one(life), media_type=_JSON)

    return get_message


def _authenticated(context: ApiContext, request: Request, by_path: Profile) -> tuple[Account, Profile]:
    directory = context.directory()
    account_id = request.path_params["account_id"]
    named = directory.accounts.get(account_id)
    profile = named.profile if named is not None and named.profile is not None else by_path
    account = authenticate(directory, _octets(request.headers.get("authorization")), account_id, profile)
    return account, profile


def _octets(value: str | None) -> bytes | None:
    return None if value is None else value.encode("latin-1")


async def _problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, problems.Problem)
    return _response(problem)


def _http_error(clock: Clock) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404:
            return _response(problems.not_found(request.url.path, clock.now_ms()))
        if error.status_code == 405:
            return _response(problems.method_not_allowed((error.headers or {}).get("Allow", "")))
        return _response(problems.other(error.status_code, error.detail))

    return http_error


async def _unavailable(_: Request, __: Exception) -> Response:
    return _response(problems.unavailable())


async def _disconnected(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # which nobody reads: the client left in the middle of its request


def _unexpected(telemetry: Telemetry) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def unexpected(_: Request, error: Exception) -> Response:
        telemetry.problem("request_failed", error=repr(error))
        return _response(problems.internal())

    return unexpected


def _response(problem: problems.Problem) -> Response:
    response = Response(problem.encode(), status_code=problem.status, media_type=_JSON)
    response.raw_headers += [(name.lower(), value) for name, value in problem.headers]
    return response


__all__ = ["ApiContext", "SearchLimit", "build", "wire"]

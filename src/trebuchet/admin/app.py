"""The admin API as an ASGI application: one bearer token, one place where errors become answers."""

import hmac
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trebuchet.admin import links, nodes, operations, resources, users
from trebuchet.admin.answers import problem_answer
from trebuchet.admin.context import AdminContext
from trebuchet.api import problems
from trebuchet.errors import Conflict, NotFound, StorageUnavailable, TrebuchetError
from trebuchet.telemetry import Telemetry


def build(context: AdminContext, records: resources.Admin | None = None) -> Starlette:
    """The application to mount at /admin/v1. Whoever else changes records shares `records`, so that they take turns."""
    records = records or resources.Admin(context)

    async def known(request: Request, error: Exception) -> Response:
        return problem_answer(_problem(error, request, context))

    return Starlette(
        routes=[
            *resources.routes(records),
            *users.routes(records),
            *operations.routes(context),
            *links.routes(context),
            *nodes.routes(context),
        ],
        middleware=[
            Middleware(BearerGuard, token=context.admin_token),
            Middleware(LastDefence, telemetry=context.telemetry),
            *([Middleware(CaughtUp, catch_up=context.catch_up)] if context.catch_up is not None else []),
        ],
        exception_handlers=dict.fromkeys((TrebuchetError, HTTPException, ClientDisconnect), known),
    )


class BearerGuard:
    """Lets only requests with the right bearer token through; nobody if the token is empty."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._wanted = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
        scheme, _, token = given.partition(b" ")
        known = hmac.compare_digest(token.strip(), self._wanted)
        if known and self._wanted and scheme.lower() == b"bearer":
            await self._app(scope, receive, send)
            return
        refusal = problems.Problem(
            401,
            "unauthorized",
            "A bearer token is needed: the admin token of this gateway",
            headers=((b"WWW-Authenticate", b"Bearer"),),
        )
        await problem_answer(refusal)(scope, receive, send)


class CaughtUp:
    """Has every request see the records as they are, whichever process changed them last."""

    def __init__(self, app: ASGIApp, catch_up: Callable[[], Awaitable[None]]) -> None:
        self._app = app
        self._catch_up = catch_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._catch_up()
        except StorageUnavailable:
            await problem_answer(problems.unavailable())(scope, receive, send)
            return
        await self._app(scope, receive, send)


class LastDefence:
    """Answers 500 in place of an error that nobody expected. Its kind and place go to the log, and no value."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  # the last line of defence: no trace leaves the house
            self._telemetry.problem("admin_failed", error=type(error).__name__, place=_place(error))
            if not begun:
                await problem_answer(problems.internal())(scope, receive, send)


def _place(error: Exception) -> str:
    """Where it was raised."""
    frames = traceback.extract_tb(error.__traceback__, -1)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _problem(error: Exception, request: Request, context: AdminContext) -> problems.Problem:
    """What an error that we know means to the caller."""
    path, now_ms = request.url.path, context.clock.now_ms()
    match error:
        case problems.Problem():
            return error
        case Conflict():
            return problems.conflict(str(error))
        case NotFound() | HTTPException(status_code=404):
            return problems.not_found(path, now_ms)
        case StorageUnavailable():
            return problems.unavailable()
        case HTTPException(status_code=405):
            return problems.method_not_allowed((error.headers or {}).get("Allow", ""))
        case HTTPException():
            return problems.other(error.status_code, error.detail)
        case ClientDisconnect():
            return problems.malformed("The body ended early")
    context.telemetry.problem("admin_failed", error=type(error).__name__, place=_place(error))
    return problems.internal()

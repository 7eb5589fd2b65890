"""The admin API as an ASGI application: one bearer token, one place where errors become answers."""

import hmac

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from trebuchet.admin import operations, resources
from trebuchet.admin.answers import problem_answer
from trebuchet.admin.context import AdminContext
from trebuchet.api import problems
from trebuchet.errors import Conflict, NotFound, StorageUnavailable, TrebuchetError


def build(context: AdminContext) -> Starlette:
    """The application to mount at /admin/v1."""

    async def known(request: Request, error: Exception) -> Response:
        return problem_answer(_problem(error, request, context))

    async def unexpected(_: Request, error: Exception) -> Response:
        context.telemetry.problem("admin_failed", error=repr(error))
        return problem_answer(problems.internal())

    return Starlette(
        routes=[*resources.routes(context), *operations.routes(context)],
        middleware=[Middleware(BearerGuard, token=context.admin_token)],
        exception_handlers={
            problems.Problem: known,
            HTTPException: known,
            TrebuchetError: known,
            Exception: unexpected,
        },
    )


class BearerGuard:
    """Lets only requests with the right bearer token through."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
        if hmac.compare_digest(given, self._wanted):
            await self._app(scope, receive, send)
            return
        challenge = ((b"WWW-Authenticate", b"Bearer"),)
        refusal = problems.Problem(
            401,
            "unauthorized",
            "A bearer token is needed: the admin token of this gateway",
            headers=challenge,
        )
        await problem_answer(refusal)(scope, receive, send)


def _problem(error: Exception, request: Request, context: AdminContext) -> problems.Problem:
    """What an error that we know means to the caller."""
    now_ms = context.clock.now_ms()
    if isinstance(error, problems.Problem):
        return error
    if isinstance(error, Conflict):
        return problems.conflict(str(error))
    if isinstance(error, NotFound):
        return problems.not_found(request.url.path, now_ms)
    if isinstance(error, StorageUnavailable):
        return problems.unavailable()
    if isinstance(error, HTTPException) and error.status_code == 404:
        return problems.not_found(request.url.path, now_ms)
    if isinstance(error, HTTPException) and error.status_code == 405:
        return problems.method_not_allowed((error.headers or {}).get("Allow", ""))
    context.telemetry.problem("admin_failed", error=repr(error))
    return problems.internal()

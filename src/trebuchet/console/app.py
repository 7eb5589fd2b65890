"""The console as an ASGI application, and the route that lets its pages stand beside the APIs at `/`."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from trebuchet.admin.answers import problem_answer
from trebuchet.admin.app import LastDefence
from trebuchet.api.problems import Problem
from trebuchet.console import assets
from trebuchet.console.context import ConsoleContext
from trebuchet.console.guard import Guard
from trebuchet.console.headers import SafeHeaders
from trebuchet.console.live import HintResponse
from trebuchet.console.pages import PAGES
from trebuchet.console.render import Page, Pages, wants_json
from trebuchet.errors import NotFound, StorageUnavailable, TrebuchetError


def build(context: ConsoleContext) -> Starlette:
    """The application; `ConsoleRoute` puts it beside the APIs."""
    pages = Pages(context)

    feeds = [context.admin.feed, *([context.network.feed] if context.network is not None else [])]

    async def events(_: Request) -> Response:
        return HintResponse(*feeds)

    routes: list[BaseRoute] = [
        Route("/assets/{digest}/{name}", assets.serve),
        Route("/events", events),
    ]
    for page in PAGES:
        routes += page.routes(context, pages)
    application = Starlette(
        routes=routes,
        middleware=[
            Middleware(SafeHeaders),
            Middleware(LastDefence, telemetry=context.admin.telemetry),
            Middleware(Guard, rules=context.rules, page=partial(_refusal, pages)),
        ],
        exception_handlers=dict.fromkeys((TrebuchetError, HTTPException, ClientDisconnect), _failure(pages)),
    )
    application.router.redirect_slashes = False
    return application


class ConsoleRoute(BaseRoute):
    """Takes the paths that the console has, and leaves all others to whoever comes after."""

    def __init__(self, application: Starlette) -> None:
        self._application = application

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        found = max(
            (route.matches(scope)[0] for route in self._application.routes), key=lambda match: match.value
        )
        # A known path with a wrong method is the console's to refuse.
        return (Match.FULL if found is not Match.NONE else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)


def _refusal(pages: Pages, request: Request, problem: Problem) -> Response:
    values = {"status": problem.status, "what": problem.description, "fields": []}
    return pages.render_whole(request, Page("failure", values, "Refused", problem.status))


def _failure(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def failure(request: Request, error: Exception) -> Response:
        problem = _problem(error)
        if wants_json(request):
            return problem_answer(problem)
        fields = [each.description for each in problem.field_errors]
        values = {"status": problem.status, "what": problem.description, "fields": fields}
        page = Page("failure", values, "Not found" if problem.status == 404 else "Refused", problem.status)
        if request.headers.get("hx-request"):
            # What a part is put in place of must stay: scripts show the words of a failure beside it.
            return Response("; ".join(fields) or problem.description, problem.status, media_type="text/plain")
        return pages.render_whole(request, page)

    return failure


def _problem(error: Exception) -> Problem:
    """What an error means to the person who asked."""
    match error:
        case Problem():
            return error
        case NotFound():
            return Problem(404, "not-found", str(error))
        case HTTPException(status_code=404):
            return Problem(404, "not-found", "There is no such page")
        case StorageUnavailable():
            return Problem(503, "unavailable", "The database does not answer; try again in a moment")
        case HTTPException():
            return Problem(error.status_code, "refused", error.detail)
        case ClientDisconnect():
            return Problem(400, "bad-request", "The body ended early")
    return Problem(400, "refused", str(error))

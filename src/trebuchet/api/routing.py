"""Routes that answer several methods, so that a 405 names all that a path allows."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Handler = Callable[[Request], Awaitable[Response]]


def route(path: str, **by_method: Handler) -> Route:
    """One route for a path: `route("/things", GET=list_things, POST=make_thing)`."""

    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await by_method[method](request)

    return Route(path, endpoint, methods=list(by_method))

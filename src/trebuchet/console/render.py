"""Pages as HTML and as JSON: a handler says what a page shows, and this how it looks to who asked.

The JSON twin of a page is at its path with `.json`, or at its path for a client that prefers JSON. A part of a page,
`?part=name`, is what its live regions fetch again.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from trebuchet.clock import iso_ms
from trebuchet.console import assets, shown
from trebuchet.console.context import ConsoleContext
from trebuchet.console.person import Person

if TYPE_CHECKING:
    import jinja2


class Page(msgspec.Struct, frozen=True):
    """What a handler answers. `values` are JSON values: the twin shows them, the template is given them by name."""

    template: str  # `messages` is templates/messages.html; its part `rows` is templates/messages/rows.html
    values: Mapping[str, Any]
    title: str
    status: int = 200
    hidden: Mapping[str, Any] = {}  # for the template only: what of the chrome differs


PageHandler = Callable[[Request], Awaitable[Page | Response]]

# Name in the menu, path, icon, and whether only the simulator has it.
NAVIGATION = (
    ("Overview", "/", "overview", False),
    ("Handsets", "/handsets", "handset", True),
    ("Messages", "/messages", "messages", False),
    ("Compose", "/compose", "compose", False),
    ("Callbacks", "/callbacks", "callbacks", False),
    ("Carriers", "/carriers", "carriers", False),
    ("Nodes", "/nodes", "nodes", False),
    ("Set-up", "/set-up", "setup", False),
)
_PART = re.compile(r"[a-z_]{1,32}", re.ASCII)
_THEMES = ("day", "night")


class Pages:
    """Makes routes of handlers."""

    def __init__(self, context: ConsoleContext) -> None:
        self._context = context

    @cached_property
    def _environment(self) -> "jinja2.Environment":
        # Start-up: the first page waits for it, and no message.
        import jinja2  # noqa: PLC0415

        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("trebuchet.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals["asset"] = assets.url
        environment.filters.update(shown.FILTERS)
        return environment

    def routes(self, path: str, **by_method: PageHandler) -> list[Route]:
        """A page at a path and its twin: `routes("/things", GET=list_things, POST=make_thing)`."""

        async def endpoint(request: Request) -> Response:
            method = "GET" if request.method == "HEAD" else request.method
            answer = await by_method[method](request)
            return self.render(request, answer) if isinstance(answer, Page) else answer

        methods = list(by_method)
        twin = "/overview.json" if path == "/" else path + ".json"
        return [Route(twin, endpoint, methods=["GET"]), Route(path, endpoint, methods=methods)]

    def action(self, path: str, handler: PageHandler) -> Route:
        """Where forms are posted that no page is at."""

        async def endpoint(request: Request) -> Response:
            answer = await handler(request)
            return self.render(request, answer) if isinstance(answer, Page) else answer

        return Route(path, endpoint, methods=["POST"])

    def render(self, request: Request, page: Page) -> Response:
        """The page as its client wants it. Raises HTTPException 404 for a part that it does not have."""
        if wants_json(request):
            return Response(msgspec.json.encode(page.values), page.status, media_type="application/json")
        part = request.query_params.get("part")
        name = f"{page.template}.html"
        if part is not None:
            name = f"{page.template}/{part}.html"
            if not _PART.fullmatch(part) or name not in self._environment.list_templates(("html",)):
                raise HTTPException(404)
        return self._html(name, request, page)

    def render_whole(self, request: Request, page: Page) -> Response:
        """The page as HTML, whatever part was asked for."""
        return self._html(f"{page.template}.html", request, page)

    def _html(self, name: str, request: Request, page: Page) -> Response:
        template = self._environment.get_template(name)
        return HTMLResponse(template.render({**self._chrome(request, page), **page.values}), page.status)

    def _chrome(self, request: Request, page: Page) -> dict[str, Any]:
        """What every template is given beside the values of its page."""
        admin = self._context.admin
        theme = request.cookies.get("theme", "")
        return {
            "title": page.title,
            "here": _menu_entry(request.url.path),
            "navigation": [
                entry[:3] for entry in NAVIGATION if self._context.network is not None or not entry[3]
            ],
            "me": person_of(request),
            "login_needed": self._context.rules.login_needed,
            "theme": theme if theme in _THEMES else "",
            "version": admin.version,
            "now": iso_ms(admin.clock.now_ms()),
            "simulator": self._context.network is not None,
            "query": dict(request.query_params),
            **page.hidden,
        }


def _menu_entry(path: str) -> str:
    """The path of the menu's entry that a page belongs to."""
    if path.startswith("/catch"):
        return "/callbacks"
    return next((entry for _, entry, _, _ in NAVIGATION if entry != "/" and path.startswith(entry)), "/")


def person_of(request: Request) -> Person:
    """Who asks; the guard has put them there."""
    person = request.scope.get("state", {}).get("person")
    return person if isinstance(person, Person) else Person(role="viewer")


def wants_json(request: Request) -> bool:
    """Whether the client asks for the twin: by its path, or because it names JSON and no HTML."""
    accept = request.headers.get("accept", "")
    return request.url.path.endswith(".json") or ("application/json" in accept and "text/html" not in accept)


def see_other(path: str) -> Response:
    """The answer to a form that was carried out: what to look at next."""
    return RedirectResponse(path, status_code=303)

"""The door of the console: who asks, from where, and whether they may. All else behind it can trust `Person`.

What is decided is pure: `origins` for where a request comes from, `rights` for what a role may, `sessions` for whose
a cookie is. Here they are put in order, and a form's token is read.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote

from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trebuchet.admin.answers import problem_answer
from trebuchet.api.problems import Problem
from trebuchet.console import origins, rights, sessions
from trebuchet.console.person import Person
from trebuchet.model.account import Role, User

FORM_MAX = 262_144  # octets of a form that is read for its token
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class GuardRules:
    """What the guard must know of this gateway.

    `secret` keys the tokens of forms where nobody logs in; it must be the same for as long as a page may stay open.
    """

    login_needed: bool
    users: Callable[[], Mapping[str, User]]
    now_ms: Callable[[], int]
    secret: str = field(repr=False)
    allowed_hosts: Collection[str] = ()
    session_ms: int = 12 * 3_600_000
    viewers_see_text: bool = False


class Guard:
    """Middleware that lets a request through with `scope["state"]["person"]`, or answers it."""

    def __init__(
        self,
        app: ASGIApp,
        rules: GuardRules,
        page: Callable[[Request, Problem], Response] | None = None,
    ) -> None:
        """`page` makes the page that says to a person why they were refused."""
        self._app = app
        self._rules = rules
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        person = person_for(headers, self._rules)
        refusal = judged(scope["method"], scope["path"], headers, person, self._rules)
        if refusal is None and needs_token(scope["method"], person):
            given, receive = await _token(headers, receive)
            if person is None or not sessions.same(given, person.csrf):
                refusal = _forbidden("This page is too old: load it again, then repeat what you did")
        if refusal is not None:
            answer = self._answered(refusal, scope, headers)
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["person"] = person or Person(role=Role.VIEWER, sees_text=False)
        await self._app(scope, receive, send)

    def _answered(self, refusal: Problem, scope: Scope, headers: origins.Headers) -> Response:
        by_person = "text/html" in ",".join(headers.get("accept", ())) and "hx-request" not in headers
        # Whoever must log in, or calls us by a strange name, is shown no page of ours.
        if self._page is not None and by_person and refusal.status == 403:
            return self._page(Request(scope), refusal)
        return _answer(refusal, scope, headers)


# ---- decisions ----


def person_for(headers: origins.Headers, rules: GuardRules) -> Person | None:
    """Who asks; None if they must log in."""
    if not rules.login_needed:
        return Person(role=Role.ADMIN, csrf=sessions.csrf_token(rules.secret, ""))
    cookie = _cookie(headers)
    user = sessions.user_of(cookie, rules.users(), rules.now_ms(), rules.session_ms)
    if user is None:
        return None
    return Person(
        name=user.name,
        role=user.role,
        sees_text=user.role is not Role.VIEWER or rules.viewers_see_text,
        csrf=sessions.csrf_token(user.password_hash, cookie),
    )


def judged(
    method: str, path: str, headers: origins.Headers, person: Person | None, rules: GuardRules
) -> Problem | None:
    """Why a request is refused, or None. The token of a form is checked after this."""
    if not origins.host_allowed(headers, rules.allowed_hosts, loopback=not rules.login_needed):
        return Problem(421, "wrong-host", "This name is not in console.allowed_hosts")
    if method in rights.SAFE:
        if not origins.may_read(headers, stream=_wants_stream(path, headers)):
            return _forbidden("Another site may not read this")
    elif not origins.from_own_page(headers):
        return _forbidden("Only a page of this console may do this")
    least = rights.least_role(method, path)
    if least is None:
        return None
    if person is None:
        return Problem(401, "unauthorized", "Log in first")
    if least is False or least is True or not rights.reaches(Role(person.role), least):
        return _forbidden("Your role may not do this")
    return None


def needs_token(method: str, person: Person | None) -> bool:
    """Whether a request must bring the token of its page. Who only logs in has none yet."""
    return method not in rights.SAFE and person is not None


def _forbidden(why: str) -> Problem:
    return Problem(403, "forbidden", why)


def _wants_stream(path: str, headers: origins.Headers) -> bool:
    return path == "/events" or any("text/event-stream" in value for value in headers.get("accept", ()))


def _answer(problem: Problem, scope: Scope, headers: origins.Headers) -> Response:
    """A page that needs a login leads to it; whoever else asked is told so."""
    if problem.status != 401:
        return problem_answer(problem)
    accept = ",".join(headers.get("accept", ()))
    if "hx-request" in headers:
        answer = problem_answer(problem)
        answer.headers["HX-Redirect"] = "/login"
        return answer
    if scope["method"] in rights.SAFE and "text/html" in accept:
        query = scope.get("query_string", b"").decode("latin-1")
        here = quote(scope["path"]) + (f"?{query}" if query else "")
        return RedirectResponse(f"/login?next={quote(origins.local_path(here), safe='')}", 303)
    return problem_answer(problem)


# ---- what a request brings ----


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _cookie(headers: origins.Headers) -> str:
    found = (cookie_parser(value).get(sessions.COOKIE) for value in headers.get("cookie", ()))
    return next(filter(None, found), "")


async def _token(headers: origins.Headers, receive: Receive) -> tuple[str, Receive]:
    """The token that a request brings in its header or its form, and the body once more for whoever is next.

    Forms with files bring it in the header: they are not held in memory here.
    """
    if "x-csrf-token" in headers:
        values = headers["x-csrf-token"]
        return (values[0] if len(values) == 1 else ""), receive
    if not headers.get("content-type", [""])[0].lower().startswith(_FORM):
        return "", receive
    taken: list[Message] = []
    size = 0
    while True:
        message = await receive()
        taken.append(message)
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body") or size > FORM_MAX:
            break

    async def again() -> Message:
        return taken.pop(0) if taken else await receive()

    if size > FORM_MAX or taken[-1]["type"] != "http.request":
        return "", again
    try:
        body = b"".join(each.get("body", b"") for each in taken).decode("ascii")
        values = parse_qs(body, keep_blank_values=True, max_num_fields=1000).get("_csrf", [])
    except ValueError:
        return "", again
    return (values[0] if len(values) == 1 else ""), again

"""The login, where one is needed, and its end."""

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trebuchet.admin.audit import entry
from trebuchet.admin.passwords import Busy
from trebuchet.api.body import read_body
from trebuchet.console import origins, sessions
from trebuchet.console.context import ConsoleContext
from trebuchet.console.forms import fields_of
from trebuchet.console.render import Page, Pages, see_other
from trebuchet.model.account import User
from trebuchet.storage.base import Change, RecordAudit

_FORM_MAX = 8_192


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    login = Login(context, pages)
    return [
        Route("/login", login.page, methods=["GET"]),
        Route("/login", login.enter, methods=["POST"]),
        Route("/logout", login.leave, methods=["POST"]),
    ]


class Login:
    def __init__(self, context: ConsoleContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    async def page(self, request: Request) -> Response:
        if not self._context.rules.login_needed:
            return see_other("/")
        return self._form(request, request.query_params.get("next", "/"))

    async def enter(self, request: Request) -> Response:
        """Begin a session. An unknown name takes as long as a wrong password and is told the same."""
        admin = self._context.admin
        form = fields_of(await read_body(request, _FORM_MAX))
        name, target = form.get("name", ""), origins.local_path(form.get("next", "/"))
        address = request.client.host if request.client is not None else ""
        now_ms = admin.clock.now_ms()
        attempts = self._context.attempts
        wait_s = attempts.wait_s(name, address, now_ms)
        if wait_s:
            answer = self._form(request, target, f"Too many tries. Wait {-(-wait_s // 60)} minutes.", 429)
            answer.headers["Retry-After"] = str(wait_s)
            return answer
        attempts.begin(name, address, now_ms)
        user = admin.directory().users.get(name)
        try:
            stored = user.password_hash if user is not None else None
            verdict = await admin.passwords.verify(form.get("password", ""), stored)
        except Busy:
            return self._form(request, target, "Too many people log in right now. Try again.", 503)
        if user is None or not verdict.right:
            return self._form(request, target, "Name or password is wrong.", 401)
        attempts.succeeded(name, address)
        if verdict.rehashed is not None:
            user = msgspec.structs.replace(user, password_hash=verdict.rehashed)
            await admin.write(Change(user))
            await admin.reload()
        await self._note(user, "log in", address)
        return self._with_cookie(see_other(target), sessions.sign(user, now_ms), request)

    async def leave(self, request: Request) -> Response:
        return self._with_cookie(see_other("/login"), "", request)

    def _with_cookie(self, answer: Response, value: str, request: Request) -> Response:
        max_age_s = self._context.rules.session_ms // 1000 if value else 0
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        answer.headers.append("Set-Cookie", sessions.set_cookie(value, max_age_s, secure=secure))
        return answer

    def _form(self, request: Request, target: str, wrong: str = "", status: int = 200) -> Response:
        values = {"next": origins.local_path(target), "wrong": wrong}
        return self._pages.render_whole(request, Page("login", values, "Log in", status))

    async def _note(self, user: User, action: str, address: str) -> None:
        admin = self._context.admin
        now_ms = admin.clock.now_ms()
        made = entry(user.name, action, "console", address, now_ms=now_ms, random_bytes=admin.random_bytes)
        await admin.write(RecordAudit((made,)))

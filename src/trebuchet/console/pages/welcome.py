"""The first-run guide: from a fresh gateway to a first message, a reply and its callback. It stands on the overview."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trebuchet.admin.bootstrap import FIRST_HANDSET
from trebuchet.console import guide
from trebuchet.console.catcher import url_of
from trebuchet.console.codes import codes
from trebuchet.console.context import ConsoleContext
from trebuchet.console.render import Pages, person_of, see_other
from trebuchet.model.account import Role
from trebuchet.storage.base import MessageQuery

ROLES: Final = {"POST /guide/dismiss": "viewer"}
_COOKIE: Final = "guide"
_KEPT_S: Final = 365 * 86_400


def routes(_context: ConsoleContext, _pages: Pages) -> Sequence[BaseRoute]:
    return [Route("/guide/dismiss", dismiss, methods=["POST"])]


async def dismiss(_: Request) -> Response:
    """The overview shows it no longer in this browser."""
    answer = see_other("/")
    answer.set_cookie(_COOKIE, "off", max_age=_KEPT_S, samesite="strict", httponly=True)
    return answer


class Guide:
    """How far this gateway has come, and since when somebody looks."""

    def __init__(self, context: ConsoleContext) -> None:
        self._context = context
        self._begun_ms: int | None = None  # first looked at, with nothing sent

    async def wanted(self, request: Request) -> bool:
        """Whether the overview shows it: until it is dismissed, or more was sent than it takes to know how.

        Who asks for it, with `?guide`, gets it.
        """
        if "guide" in request.query_params:
            return True
        if request.cookies.get(_COOKIE) == "off":
            return False
        most = guide.MESSAGES_MAX + 1
        found = await self._context.admin.store.search(MessageQuery(limit=1, count_up_to=most))
        return found.total < most

    async def look(self, request: Request) -> tuple[dict[str, Any], dict[str, Any]]:
        """The guide's values, and what only its template gets: program text, and the secret for an admin."""
        context, person = self._context, person_of(request)
        admin = context.admin
        directory = admin.directory()
        found = await admin.store.search(MessageQuery(limit=guide.MESSAGES_MAX))
        given = guide.sender(directory, context.first)
        if context.network is not None:
            stands = guide.with_handsets(found.rows, given, with_text=person.sees_text)
        else:
            stands = guide.with_carriers(found.rows, directory, with_text=person.sees_text)
        if self._begun_ms is None and not found.rows:
            self._begun_ms = admin.clock.now_ms()
        ended_ms, begun_ms = stands.pop("ended_ms"), self._begun_ms
        took_ms = max(0, ended_ms - begun_ms) if ended_ms is not None and begun_ms is not None else None
        values = {
            **stands,
            "done": all(stands["steps"]),
            "took_ms": took_ms,
            "simulator": context.network is not None,
            "base_url": context.base_url(),
            "sender": given,
            "catcher": self._catcher(given["callback_url"] if given is not None else None),
        }
        to = FIRST_HANDSET if context.network is not None else guide.YOUR_PHONE
        request_body = guide.request_of(given, to) if given is not None else None
        hidden = {
            "request": request_body,
            "reply_text": guide.REPLY,
            "programs": codes(context.base_url(), given["account_id"], request_body)
            if given is not None and request_body is not None
            else [],
            "first": context.first if person.role == Role.ADMIN else None,
        }
        return values, hidden

    def _catcher(self, callback_url: str | None) -> str | None:
        """The name of the catcher that takes the callbacks, or that could; None if they go elsewhere."""
        if self._context.catcher is None or callback_url is None:
            return "first" if self._context.catcher is not None else None
        head = url_of(self._context.base_url(), "")
        return callback_url.removeprefix(head) if callback_url.startswith(head) else None

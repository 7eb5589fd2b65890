"""Callbacks: how each application's endpoint does, its newest tries, replays and test events; and what was caught."""

import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec
from standardwebhooks import Webhook
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trebuchet.admin.operations import Operations, ReplayRequest
from trebuchet.api.body import read_body
from trebuchet.api.problems import invalid_field
from trebuchet.callbacks.payload import render
from trebuchet.callbacks.recent import Try
from trebuchet.clock import iso_ms
from trebuchet.console import catcher
from trebuchet.console.catcher import Caught
from trebuchet.console.context import ConsoleContext
from trebuchet.console.forms import fields_of
from trebuchet.console.render import Page, Pages, person_of, see_other, wants_json
from trebuchet.model.account import Application, Profile
from trebuchet.model.events import DESCRIPTIONS, Event, EventType, event_id
from trebuchet.model.message import Direction, Kind, Message
from trebuchet.storage.base import Change

_FORM_MAX = 16_384
_HOUR_MS = 3_600_000
_SHOWN = 50
_FAILURE = 4720  # that a test event of a failure tells of


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    callbacks = CallbackPages(context, pages)
    found: list[BaseRoute] = [
        Route("/callbacks/replay", callbacks.replay, methods=["POST"]),
        Route("/callbacks/test", callbacks.test, methods=["POST"]),
        *pages.routes("/callbacks", GET=callbacks.list),
        *pages.routes("/callbacks/{id}", GET=callbacks.one),
    ]
    if context.catcher is not None:
        catch = CatchPages(context, context.catcher)
        found += [
            Route("/catch/{name}/answer", catch.choose, methods=["POST"]),
            Route("/catch/{name}/clear", catch.clear, methods=["POST"]),
            Route("/catch/{name}/use", catch.use, methods=["POST"]),
            *pages.routes("/catch", GET=catch.list),
            *pages.routes("/catch/{name}", GET=catch.one),
        ]
    return found


class CallbackPages:
    def __init__(self, context: ConsoleContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages
        self._operations = Operations(context.admin)

    async def list(self, _: Request) -> Page:
        admin = self._context.admin
        depths = (await admin.store.depths()).callbacks
        applications = admin.directory().applications.values()
        values = {
            "items": [self._standing(application, depths) for application in applications],
            "catcher": self._context.catcher is not None,
        }
        return Page("callbacks", values, "Callbacks")

    async def one(self, request: Request) -> Page:
        application = self._found(request.path_params["id"])
        admin = self._context.admin
        depths = (await admin.store.depths()).callbacks
        failed_only = request.query_params.get("failed") == "1"
        tries = [
            one
            for one in self._context.callbacks.recent.of(application.id)
            if not (failed_only and one.taken)
        ]
        values = {
            "application": self._standing(application, depths),
            "tries": [_shown(one) for one in tries[:_SHOWN]],
            "failed_only": failed_only,
            "replayed": request.query_params.get("replayed"),
            "tested": None,
        }
        hidden = {"types": [each.value for each in EventType]}
        return Page("callbacks_one", values, application.name or application.id, hidden=hidden)

    def _standing(self, application: Application, depths: dict[str, tuple[int, int]]) -> dict[str, Any]:
        """How an endpoint does."""
        now_ms = self._context.admin.clock.now_ms()
        recent = self._context.callbacks.recent
        figures = recent.figures(application.id, now_ms - _HOUR_MS)
        rows, oldest_ms = depths.get(application.id, (0, now_ms))
        newest = next(iter(recent.of(application.id)), None)
        return {
            "id": application.id,
            "name": application.name,
            "url": application.callback_url,
            "signed": application.signing_secret is not None,
            "tries": figures.tries,
            "success": figures.taken / figures.tries if figures.tries else None,
            "p50_ms": figures.p50_ms,
            "p95_ms": figures.p95_ms,
            "waiting": rows,
            "oldest_age_ms": max(0, now_ms - oldest_ms) if rows else None,
            "newest": None if newest is None else _shown(newest),
        }

    async def replay(self, request: Request) -> Response:
        """One callback, all of a span of time, or those in it that failed."""
        form = fields_of(await read_body(request, _FORM_MAX))
        if "event" in form:
            wanted = ReplayRequest(event_ids=[form["event"]])
        else:
            wanted = ReplayRequest(
                application_id=form.get("application"),
                from_=form.get("from") or iso_ms(self._context.admin.clock.now_ms() - 24 * _HOUR_MS),
                to=form.get("to") or None,
                failed_only=form.get("failed") == "1",
            )
        queued, _ = await self._operations.replay_events(wanted)
        return see_other(f"/callbacks/{quote(form.get('application', ''), safe='')}?replayed={queued}")

    async def test(self, request: Request) -> Response:
        """POST one sample event to the endpoint, as real ones are posted; it belongs to no message."""
        form = fields_of(await read_body(request, _FORM_MAX))
        application = self._found(form.get("application", ""))
        if application.callback_url is None:
            raise invalid_field("application", f"{application.id} has no callback URL")
        now_ms = self._context.admin.clock.now_ms()
        profile = self._context.admin.directory().accounts[application.account_id].profile
        event, message = sample(application, _type(form.get("type", "")), profile or Profile.CURRENT, now_ms)
        body = render(event, message)
        attempt, _result = await self._context.callbacks.post(application, event.id, body)
        page = await self.one(_at(request, application.id))
        tested = {
            "type": event.type.value,
            "body": json.dumps(json.loads(body), indent=2, ensure_ascii=False),
            "status": attempt.status,
            "error": attempt.error,
            "answer": attempt.answer,
            "duration_ms": attempt.duration_ms,
        }
        tried = msgspec.structs.replace(page, values={**page.values, "tested": tested})
        return self._pages.render_whole(request, tried)

    def _found(self, application_id: str) -> Application:
        found = self._context.admin.directory().applications.get(application_id)
        if found is None:
            raise HTTPException(404)
        return found


class CatchPages:
    def __init__(self, context: ConsoleContext, caught: catcher.Catcher) -> None:
        self._context = context
        self._catcher = caught

    async def list(self, request: Request) -> Page | Response:
        names = self._catcher.names()
        if len(names) == 1 and "part" not in request.query_params and not wants_json(request):
            return see_other(f"/catch/{names[0]}")
        values = {"items": [{"name": name, "count": len(self._catcher.caught(name))} for name in names]}
        return Page("catch", {**values, "url": self._url("first")}, "Catcher")

    async def one(self, request: Request) -> Page:
        name = _name(request)
        directory = self._context.admin.directory()
        values = {
            "name": name,
            "url": self._url(name),
            "answer": self._catcher.answer_of(name),
            "items": [
                _caught(one, directory.applications, with_text=person_of(request).sees_text)
                for one in self._catcher.caught(name)[:_SHOWN]
            ],
        }
        unused = [
            (each.id, each.name or each.id)
            for each in directory.applications.values()
            if each.callback_url != self._url(name)
        ]
        return Page(
            "catch_one", values, "Catcher", hidden={"answers": catcher.ANSWERS, "applications": unused}
        )

    async def choose(self, request: Request) -> Response:
        form = fields_of(await read_body(request, _FORM_MAX))
        name = _name(request)
        try:
            self._catcher.choose(name, form.get("answer", ""))
        except ValueError as error:
            raise invalid_field("answer", str(error)) from None
        return see_other(f"/catch/{name}")

    async def clear(self, request: Request) -> Response:
        name = _name(request)
        self._catcher.clear(name)
        return see_other(f"/catch/{name}")

    async def use(self, request: Request) -> Response:
        """Let an application's callbacks come here."""
        form = fields_of(await read_body(request, _FORM_MAX))
        name, records = _name(request), self._context.records
        async with records.turn:
            before = self._context.admin.directory().applications.get(form.get("application", ""))
            if before is None:
                raise HTTPException(404)
            after = msgspec.structs.replace(before, callback_url=self._url(name))
            await records.save(Change(after), before=before, who=person_of(request).name or "console")
        return see_other(f"/catch/{name}")

    def _url(self, name: str) -> str:
        return catcher.url_of(self._context.base_url(), name)


def sample(
    application: Application, type_: EventType, profile: Profile, now_ms: int
) -> tuple[Event, Message]:
    """An event of that type that says of itself that it is a test. Pure."""
    message_id = f"{now_ms:013d}testtesttesttest"
    inbound = type_ is EventType.RECEIVED
    ours, theirs = "+12025550100", "+12025550123"
    message = Message(
        id=message_id,
        account_id=application.account_id,
        application_id=application.id,
        direction=Direction.IN if inbound else Direction.OUT,
        kind=Kind.MMS if type_ is EventType.SENDING else Kind.SMS,
        owner=ours,
        source=theirs if inbound else ours,
        destinations=(ours,) if inbound else (theirs,),
        text="This is a test event; there is no such message.",
        media=None,
        tag="test",
        priority=None,
        expiration=None,
        valid_until_ms=now_ms,
        segment_count=1,
        encoding="GSM-7",
        profile=profile,
        received_ms=now_ms,
    )
    failed = type_ is EventType.FAILED
    event = Event(
        id=event_id(message_id, 0, type_),
        message_id=message_id,
        recipient=0,
        type=type_,
        to=message.destinations[0],
        error_code=_FAILURE if failed else None,
        description="test" if failed else DESCRIPTIONS[type_],
        time_ms=now_ms,
    )
    return event, message


def _type(written: str) -> EventType:
    try:
        return EventType(written)
    except ValueError:
        raise invalid_field("type", f"there is no event type {written[:64]!r}") from None


def _at(request: Request, application_id: str) -> Request:
    """The request for the page of an application."""
    return Request({**request.scope, "path_params": {"id": application_id}, "query_string": b""})


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    if not catcher.NAME.fullmatch(name):
        raise HTTPException(404)
    return name


def _shown(one: Try) -> dict[str, Any]:
    attempt = one.attempt
    return {
        "event_id": attempt.event_id,
        "message_id": one.message_id,
        "to": one.to,
        "type": one.type,
        "at": iso_ms(attempt.started_ms),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "error": attempt.error,
        "answer": attempt.answer,
        "taken": one.taken,
        "again": None if one.again_ms is None else iso_ms(one.again_ms),
    }


def _caught(one: Caught, applications: Any, *, with_text: bool) -> dict[str, Any]:
    events = catcher.decoded(one)
    first = events[0] if events else {}
    told = first.get("message")
    message: dict[str, Any] = told if isinstance(told, dict) else {}
    application = applications.get(message.get("applicationId"))
    body = json.dumps(events, indent=2, ensure_ascii=False) if events else one.body.decode("utf-8", "replace")
    return {
        "number": one.number,
        "at": iso_ms(one.at_ms),
        "type": str(first.get("type", "")),
        "to": str(first.get("to", "")),
        "message_id": str(message.get("id", "")),
        "text": str(message.get("text", "")) if with_text else "",
        "answered": one.answered,
        "body": body if with_text else None,
        "headers": [[name, _safe(name, value)] for name, value in one.headers],
        "signature": _signature(one, application),
    }


def _safe(name: str, value: str) -> str:
    """A header as it may be shown: credentials are only said to be there."""
    return value.partition(" ")[0] + " •••" if name.lower() == "authorization" else value


def _signature(one: Caught, application: Application | None) -> str:
    """What there is to say of the request's signature."""
    headers = {name.lower(): value for name, value in one.headers}
    if "webhook-signature" not in headers:
        return "not signed"
    if application is None or application.signing_secret is None:
        return "signed, by whom is not known"
    try:
        at = datetime.fromtimestamp(int(headers.get("webhook-timestamp", "")), UTC)
        wanted = Webhook(application.signing_secret).sign(
            headers.get("webhook-id", ""), at, one.body.decode("utf-8")
        )
    except (ValueError, OverflowError):
        return "signature is wrong"
    given = headers["webhook-signature"].split(" ")
    right = any(hmac.compare_digest(each.encode(), wanted.encode()) for each in given)
    return "signature is right" if right else "signature is wrong"

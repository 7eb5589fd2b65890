"""Links to carriers as operators see and steer them: binds, addresses, and the PDUs that pass."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from trebuchet.admin import requests as ask
from trebuchet.admin.answers import answer
from trebuchet.admin.context import AdminContext, LinkStatus
from trebuchet.admin.pdus import decoded
from trebuchet.api.problems import conflict, invalid_field, not_found
from trebuchet.api.routing import Handler, route
from trebuchet.carriers.status import Observable, Passed
from trebuchet.clock import iso_ms

_KEEP_ALIVE_S = 15
_TRACED_MAX = 10_000  # PDUs that wait for a slow reader


class BindRequest(msgspec.Struct, forbid_unknown_fields=True):
    bind: str | None = None  # None: all of the link's


class Links:
    def __init__(self, context: AdminContext) -> None:
        self.context = context

    async def list(self, request: Request) -> Response:
        ask.query(request)
        depths = (await self.context.store.depths()).outbox
        return answer({"items": [_shown(link, depths) for link in self.context.links()]})

    async def get(self, request: Request) -> Response:
        ask.query(request)
        depths = (await self.context.store.depths()).outbox
        return answer(_shown(self._find(request), depths))

    def steer(self, what: str) -> Handler:
        """Unbind or rebind one bind of a link, or all of them."""

        async def handler(request: Request) -> Response:
            status = self._find(request)
            wanted = ask.read_body_as(await ask.read_json(request), BindRequest)
            link = _observable(status)
            done = link.unbind(wanted.bind) if what == "unbind" else link.rebind(wanted.bind)
            if not done:
                names = ", ".join(bind.name for bind in link.report())
                raise invalid_field("bind", f"'bind' must be one of {names}")
            return answer(_shown(status, {}))

        return handler

    async def trace(self, request: Request) -> Response:
        with_text = ask.flag(ask.query(request, "text"), "text")
        return TraceResponse(_observable(self._find(request)), with_text=with_text)

    async def address(self, request: Request) -> Response:
        given = ask.query(request, "number")
        status = self._find(request)
        if "number" not in given:
            raise invalid_field("number", "'number' must be given")
        # A plus that was not percent-encoded arrives as a blank.
        written = given["number"]
        number = "+" + written[1:] if written.startswith(" ") else written
        if status.try_address is None:
            raise conflict(f"{status.carrier_id} has no addresses: its kind is {status.kind}")
        return answer({"number": number, **status.try_address(number)})

    def _find(self, request: Request) -> LinkStatus:
        for link in self.context.links():
            if link.carrier_id == request.path_params["id"]:
                return link
        raise not_found(request.url.path, self.context.clock.now_ms())


def _observable(status: LinkStatus) -> Observable:
    if not isinstance(status.link, Observable):
        raise conflict(f"{status.carrier_id} has no binds: its kind is {status.kind}")
    return status.link


def _shown(status: LinkStatus, depths: dict[str, tuple[int, int]]) -> dict[str, Any]:
    binds = status.link.report() if isinstance(status.link, Observable) else []
    return {
        "carrier_id": status.carrier_id,
        "kind": status.kind,
        "state": status.state,
        "lanes": [
            {"name": name, "room": room, "rows": depths.get(name, (0, 0))[0]} for name, room in status.lanes
        ],
        "binds": [msgspec.to_builtins(bind) for bind in binds],
        "receipt_ids": status.receipt_ids,
    }


class TraceResponse(StreamingResponse):
    """Server-sent events, one for each PDU from the moment that the head of the answer is sent."""

    def __init__(self, link: Observable, *, with_text: bool) -> None:
        super().__init__((), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._link = link
        self._with_text = with_text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        passed: deque[Passed] = deque(maxlen=_TRACED_MAX)
        arrived = asyncio.Event()
        missed = [0]

        def note(pdu: Passed) -> None:
            missed[0] += len(passed) == _TRACED_MAX
            passed.append(pdu)
            arrived.set()

        end = self._link.watch(note)
        try:
            self.body_iterator = _told(passed, arrived, missed, self._with_text)
            await super().__call__(scope, receive, send)
        finally:
            end()


async def _told(
    passed: deque[Passed], arrived: asyncio.Event, missed: list[int], with_text: bool
) -> AsyncGenerator[bytes, None]:
    yield b": open\n\n"
    while True:
        try:
            async with asyncio.timeout(_KEEP_ALIVE_S):
                await arrived.wait()
        except TimeoutError:
            yield b": nothing new\n\n"
            continue
        arrived.clear()
        if missed[0]:
            yield b'event: missed\ndata: {"missed":%d}\n\n' % missed[0]
            missed[0] = 0
        while passed:
            yield b"data: " + msgspec.json.encode(traced(passed.popleft(), with_text=with_text)) + b"\n\n"


def traced(passed: Passed, *, with_text: bool) -> dict[str, Any]:
    """One PDU for people."""
    return {
        "time": iso_ms(passed.at_ms),
        "bind": passed.bind,
        "direction": passed.direction,
        **decoded(passed.octets, with_text=with_text),
    }


def routes(context: AdminContext) -> list[Route]:
    links = Links(context)
    return [
        route("/links", GET=links.list),
        route("/links/{id}", GET=links.get),
        route("/links/{id}/unbind", POST=links.steer("unbind")),
        route("/links/{id}/rebind", POST=links.steer("rebind")),
        route("/links/{id}/trace", GET=links.trace),
        route("/links/{id}/address", GET=links.address),
    ]

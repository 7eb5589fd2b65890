"""Links to carriers as operators see and steer them: binds, addresses, and the PDUs that pass."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trebuchet.admin import requests as ask
from trebuchet.admin.answers import answer
from trebuchet.admin.context import AdminContext, LinkStatus
from trebuchet.admin.trace import TraceResponse
from trebuchet.api.problems import conflict, invalid_field, not_found
from trebuchet.api.routing import Handler, route
from trebuchet.carriers.status import Observable
from trebuchet.model.address import normalise_sender


class BindRequest(msgspec.Struct, forbid_unknown_fields=True):
    bind: str | None = None  # None: all of the link's


class Links:
    def __init__(self, context: AdminContext) -> None:
        self.context = context

    async def list(self, request: Request) -> Response:
        ask.query(request)
        depths = (await self.context.store.depths()).outbox
        return answer({"items": [shown(link, depths) for link in self.context.links()]})

    async def get(self, request: Request) -> Response:
        ask.query(request)
        return await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        depths = (await self.context.store.depths()).outbox
        return answer(shown(self._find(request), depths))

    def steer(self, what: str) -> Handler:
        """Unbind or rebind one bind of a link, or all of them."""

        async def handler(request: Request) -> Response:
            wanted = ask.read_body_as(await ask.read_json(request), BindRequest)
            steered(self._find(request), what, wanted.bind)
            return await self._answer(request)

        return handler

    async def trace(self, request: Request) -> Response:
        with_text = ask.flag(ask.query(request, "text"), "text")
        return trace_of(self.context, self._find(request), with_text=with_text)

    async def address(self, request: Request) -> Response:
        given = ask.query(request, "number")
        return answer(address_of(self._find(request), given.get("number", "")))

    def _find(self, request: Request) -> LinkStatus:
        found = named(self.context, request.path_params["id"])
        if found is None:
            raise not_found(request.url.path, self.context.clock.now_ms())
        return found


def named(context: AdminContext, carrier_id: str) -> LinkStatus | None:
    """The link of a carrier as it is now."""
    return next((link for link in context.links() if link.carrier_id == carrier_id), None)


def steered(status: LinkStatus, what: str, bind: str | None) -> None:
    """ "unbind" or "rebind" one bind, or all. Raises Problem: the link has no binds, or none of this name."""
    link = _observable(status)
    done = link.unbind(bind) if what == "unbind" else link.rebind(bind)
    if not done:
        names = ", ".join(each.name for each in link.report())
        raise invalid_field("bind", f"'bind' must be one of {names}")


def trace_of(context: AdminContext, status: LinkStatus, *, with_text: bool) -> Response:
    """The PDUs of a link from now on. Raises Problem if it has no binds."""
    _observable(status)

    def current() -> Observable | None:
        found = named(context, status.carrier_id)
        return found.link if found is not None and isinstance(found.link, Observable) else None

    def exists() -> bool:
        return status.carrier_id in context.directory().carriers

    return TraceResponse(current, exists, with_text=with_text)


def address_of(status: LinkStatus, written: str) -> dict[str, Any]:
    """How a number goes on the wire of a link. Raises Problem: it has no addresses, or this is no number."""
    if status.try_address is None:
        raise conflict(f"{status.carrier_id} has no addresses: its kind is {status.kind}")
    # A plus that was not percent-encoded arrives as a blank.
    number = normalise_sender("+" + written[1:] if written.startswith(" ") else written)
    if number is None:
        raise invalid_field(
            "number",
            "'number' must be an E.164 number, a short code of 5 or 6 digits, or up to 11 letters and digits",
        )
    return {"number": number, **status.try_address(number)}


def _observable(status: LinkStatus) -> Observable:
    if not isinstance(status.link, Observable):
        raise conflict(f"{status.carrier_id} has no binds: its kind is {status.kind}")
    return status.link


def shown(status: LinkStatus, depths: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """A link as JSON values; `depths` are rows and the time of the oldest, by lane."""
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

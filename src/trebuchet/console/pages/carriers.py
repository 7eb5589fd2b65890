"""Carriers: how their links stand, what is done to them, their receipts, addresses and PDUs."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trebuchet.admin import links
from trebuchet.admin.audit import entry
from trebuchet.admin.context import LinkStatus
from trebuchet.admin.operations import receipt_shown
from trebuchet.admin.records import CARRIERS, shown
from trebuchet.admin.resources import Admin
from trebuchet.api.body import read_body
from trebuchet.api.problems import Problem, conflict, not_found
from trebuchet.clock import iso_ms
from trebuchet.console import capture, linkview
from trebuchet.console.context import ConsoleContext
from trebuchet.console.forms import fields_of
from trebuchet.console.guard import FORM_MAX
from trebuchet.console.person import Person
from trebuchet.console.render import Page, Pages, person_of, see_other
from trebuchet.model.account import Carrier
from trebuchet.storage.base import RecordAudit

_RECEIPTS_SHOWN = 20


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    carriers = Carriers(context)
    return [
        *pages.routes("/carriers", GET=carriers.all),
        Route("/carriers/{id}/trace", carriers.trace, methods=["GET"]),
        Route("/carriers/{id}/capture", carriers.capture, methods=["POST"]),
        Route("/carriers/{id}/pause", carriers.pause, methods=["POST"]),
        Route("/carriers/{id}/resume", carriers.resume, methods=["POST"]),
        Route("/carriers/{id}/unbind", carriers.unbind, methods=["POST"]),
        Route("/carriers/{id}/rebind", carriers.rebind, methods=["POST"]),
        Route("/carriers/{id}/receipt-ids", carriers.take_proposal, methods=["POST"]),
        *pages.routes("/carriers/{id}", GET=carriers.one),
    ]


class Carriers:
    def __init__(self, context: ConsoleContext) -> None:
        self._context = context
        self._records = Admin(context.admin)

    # ---- looking ----

    async def all(self, _: Request) -> Page:
        depths = (await self._context.admin.store.depths()).outbox
        items = [self._shown(status, depths) for status in self._context.admin.links()]
        return Page("carriers", {"items": items}, "Carriers")

    async def one(self, request: Request) -> Page:
        carrier, status = self._carrier(request), self._link(request)
        admin, person = self._context.admin, person_of(request)
        depths = (await admin.store.depths()).outbox
        receipts = await admin.store.unmatched_receipts(_RECEIPTS_SHOWN + 1, carrier.id)
        series = self._context.link_history.series(carrier.id)
        link = self._shown(status, depths)
        values = {
            "link": link,
            "carrier": shown(carrier),
            "charts": linkview.charts(series, binds=link["has_binds"]),
            "unmatched": [
                {**receipt_shown(receipt, with_text=person.sees_text), "at": iso_ms(receipt.at_ms)}
                for receipt in receipts[:_RECEIPTS_SHOWN]
            ],
            "more_unmatched": len(receipts) > _RECEIPTS_SHOWN,
            "address": _address(status, request.query_params.get("number", "")),
        }
        return Page("carrier", values, f"Carrier {carrier.id}")

    async def trace(self, request: Request) -> Response:
        """The PDUs as they pass; with `text=true` what they say too, for a person who may see it."""
        with_text = request.query_params.get("text") == "true" and person_of(request).sees_text
        return links.trace_of(self._context.admin, self._link(request), with_text=with_text)

    async def capture(self, request: Request) -> Response:
        """The PDUs that a page shows, as a capture file."""
        form = await self._form(request)
        name = f"{self._carrier(request).id}.pcap"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        media_type = "application/vnd.tcpdump.pcap"
        return Response(capture.written(form.get("pdus", "")), media_type=media_type, headers=headers)

    # ---- doing ----

    async def pause(self, request: Request) -> Response:
        return await self._change(request, {"paused": True})

    async def resume(self, request: Request) -> Response:
        return await self._change(request, {"paused": False})

    async def unbind(self, request: Request) -> Response:
        return await self._steer(request, "unbind")

    async def rebind(self, request: Request) -> Response:
        return await self._steer(request, "rebind")

    async def take_proposal(self, request: Request) -> Response:
        """Set the conversion that was shown; another one may have been proposed since."""
        wanted = (await self._form(request)).get("conversion", "")
        if wanted != self._link(request).proposal:
            raise conflict("This conversion is not proposed any more: look at the page again")
        settings = self._carrier(request).settings
        return await self._change(request, {"settings": {**settings, "receipt_ids": wanted}})

    async def _change(self, request: Request, fields: Mapping[str, Any]) -> Response:
        admin = self._context.admin
        async with admin.turn:
            carrier = self._carrier(request)
            await self._records.put(CARRIERS, carrier, dict(fields), who=_who(person_of(request)))
        return see_other(f"/carriers/{carrier.id}")

    async def _steer(self, request: Request, what: str) -> Response:
        form = await self._form(request)
        admin, status = self._context.admin, self._link(request)
        bind = form.get("bind") or None
        links.steered(status, what, bind)
        made = entry(
            _who(person_of(request)),
            what,
            f"link {status.carrier_id}",
            bind or "all",
            now_ms=admin.clock.now_ms(),
            random_bytes=admin.random_bytes,
        )
        await admin.write(RecordAudit((made,)))
        return see_other(f"/carriers/{status.carrier_id}")

    # ---- what they need ----

    def _shown(self, status: LinkStatus, depths: linkview.Depths) -> dict[str, Any]:
        rates = self._context.link_history.rates(status.carrier_id)
        return linkview.link(status, depths, rates, self._context.admin.clock.now_ms())

    def _carrier(self, request: Request) -> Carrier:
        found = self._context.admin.directory().carriers.get(request.path_params["id"])
        if found is None:
            raise not_found(request.url.path, self._context.admin.clock.now_ms())
        return found

    def _link(self, request: Request) -> LinkStatus:
        found = links.named(self._context.admin, request.path_params["id"])
        if found is None:
            raise not_found(request.url.path, self._context.admin.clock.now_ms())
        return found

    async def _form(self, request: Request) -> dict[str, str]:
        return fields_of(await read_body(request, FORM_MAX))


def _address(status: LinkStatus, written: str) -> dict[str, Any] | None:
    """What became of a number that somebody tries, or why it cannot be tried; None if nobody does."""
    if not written or status.try_address is None:
        return None
    try:
        return {"written": written, "wrong": None, **links.address_of(status, written)}
    except Problem as problem:
        what = "; ".join(error.description for error in problem.field_errors) or problem.description
        return {"written": written, "wrong": what}


def _who(person: Person) -> str:
    return person.name or "console"

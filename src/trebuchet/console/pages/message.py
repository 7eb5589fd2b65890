"""One message under the microscope, and what can be done with it: download, replay its callbacks."""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trebuchet.admin.operations import life_shown
from trebuchet.api.problems import not_found
from trebuchet.console.codes import body_of, codes
from trebuchet.console.context import ConsoleContext
from trebuchet.console.microscope import looked_at
from trebuchet.console.render import Page, Pages, person_of, see_other
from trebuchet.model.message import Direction
from trebuchet.protocols import pcap
from trebuchet.storage.base import EventQuery, Life, Replay

_EVENTS_MAX = 100  # of one message: three for each of its recipients at most


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    one = OneMessage(context)
    return [
        Route("/messages/{id}/support.json", one.download, methods=["GET"]),
        Route("/messages/{id}/replay", one.replay, methods=["POST"]),
        *pages.routes("/messages/{id}", GET=one.page),
    ]


class OneMessage:
    def __init__(self, context: ConsoleContext) -> None:
        self._context = context

    async def page(self, request: Request) -> Page:
        life = await self._life(request)
        admin = self._context.admin
        with_text = person_of(request).sees_text
        values = looked_at(life, admin.directory(), admin.clock.now_ms(), with_text=with_text)
        outbound = life.message.direction is Direction.OUT
        hidden: dict[str, Any] = {"codes": [], "again": None, "text_hidden": not with_text}
        if outbound and with_text:
            body = body_of(life.message)
            hidden["codes"] = codes(self._context.base_url(), life.message.account_id, body)
            hidden["again"] = body
        return Page("message", values, f"Message {life.message.id}", hidden=hidden)

    async def replay(self, request: Request) -> Response:
        """Put the callbacks of the message back into the queue."""
        life = await self._life(request)
        admin = self._context.admin
        events = await admin.store.find_events(EventQuery(message_id=life.message.id, limit=_EVENTS_MAX))
        items = await admin.write(Replay([event.id for event in events], admin.clock.now_ms()))
        admin.replayed(items)
        return see_other(f"/messages/{life.message.id}#callbacks")

    async def download(self, request: Request) -> Response:
        """All that is known, as one file for a carrier's support desk, with a capture of the PDUs in it."""
        life = await self._life(request)
        admin = self._context.admin
        with_text = person_of(request).sees_text
        values = {
            "version": admin.version,
            **looked_at(life, admin.directory(), admin.clock.now_ms(), with_text=with_text),
            "records": life_shown(life, admin.directory(), with_text=with_text),
            "pcap_base64": base64.b64encode(_captured(life)).decode() if with_text else None,
        }
        name = f"message-{life.message.id}.json"
        content = msgspec.json.format(msgspec.json.encode(values))
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="application/json", headers=headers)

    async def _life(self, request: Request) -> Life:
        life = await self._context.admin.store.life(request.path_params["id"])
        if life is None:
            raise not_found(request.url.path, self._context.admin.clock.now_ms())
        return life


def _captured(life: Life) -> bytes:
    """The PDUs of SMPP as a capture file."""
    stream = pcap.Stream()
    passed = [pdu for pdu in life.pdus if pdu.octets[:1] == b"\0"]
    packets = [stream.packets(pdu.at_ms, pdu.direction == "out", pdu.octets) for pdu in passed]
    return pcap.header() + b"".join(packets)

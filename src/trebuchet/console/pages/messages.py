"""Messages: the live list with its filters, and its export."""

import csv
import io
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from trebuchet.admin import requests as ask
from trebuchet.admin.operations import MESSAGE_FILTERS, message_query, row
from trebuchet.clock import iso_ms
from trebuchet.console.context import ConsoleContext
from trebuchet.console.render import Page, Pages
from trebuchet.console.shown import STATES
from trebuchet.storage.base import Found, MessageQuery

_ROWS = 50
_EXPORT_PAGE = 1000


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    listing = Listing(context)
    return [
        *pages.routes("/messages", GET=listing.page),
        Route("/messages/export.{form}", listing.export),
    ]


class Listing:
    def __init__(self, context: ConsoleContext) -> None:
        self._context = context

    async def page(self, request: Request) -> Page:
        given = _given(request)
        query = message_query({"limit": str(_ROWS), **given})
        found = await self._context.admin.store.search(query)
        following = query.offset + query.limit
        directory = self._context.admin.directory()
        values = {
            "items": [_item(each) for each in found.rows],
            "total": found.total,
            "more_than": found.total >= query.count_up_to,
            "offset": query.offset,
            "next": _link(given, following) if following < found.total else None,
            "previous": _link(given, max(0, query.offset - query.limit)) if query.offset else None,
            "filters": given,
            "live": query.offset == 0,
        }
        hidden = {
            "state_options": [(state, state.replace("_", " ").lower()) for state in STATES],
            "applications": [(a.id, a.name or a.id) for a in directory.applications.values()],
            "carriers": [(carrier, carrier) for carrier in directory.carriers],
            "filter_query": urlencode(given),
        }
        return Page("messages", values, "Messages", hidden=hidden)

    async def export(self, request: Request) -> Response:
        """All that the filters find, newest first, as CSV or JSON Lines."""
        form = request.path_params["form"]
        if form not in _FORMS:
            raise HTTPException(404)
        media_type, write = _FORMS[form]
        query = message_query({**_given(request), "limit": str(_EXPORT_PAGE)})
        name = f"messages-{iso_ms(self._context.admin.clock.now_ms())[:19].replace(':', '')}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(self._exported(query, write), media_type=media_type, headers=headers)

    async def _exported(self, query: MessageQuery, write: "Writer") -> AsyncGenerator[bytes, None]:
        """Page by page, each from the time of the last row on, so that no page costs more than the first."""
        yield write(None)
        seen: set[tuple[str, int]] = set()
        while True:
            found = await self._context.admin.store.search(query)
            fresh = [each for each in found.rows if (each.message.id, each.delivery.recipient) not in seen]
            if fresh:
                yield b"".join(write(row(each)) for each in fresh)
            if len(found.rows) < query.limit:
                return
            last_ms = found.rows[-1].message.received_ms
            if query.to_ms == last_ms:
                # One moment has more rows than a page: go on behind them.
                query = msgspec.structs.replace(query, offset=query.offset + query.limit)
            else:
                seen = {
                    (each.message.id, each.delivery.recipient)
                    for each in found.rows
                    if each.message.received_ms == last_ms
                }
                query = msgspec.structs.replace(query, to_ms=last_ms, offset=0)


Writer = Callable[[dict[str, Any] | None], bytes]

_COLUMNS = (
    "id", "recipient", "account_id", "application_id", "direction", "kind", "from", "to", "state", "error_code",
    "segment_count", "received", "final", "tag",
)  # fmt: skip


def _csv(values: dict[str, Any] | None) -> bytes:
    """A line of CSV (RFC 4180); None: the header. What a spreadsheet would run as a formula is quoted for it."""
    line = io.StringIO()
    csv.writer(line).writerow(_COLUMNS if values is None else [_cell(values[name]) for name in _COLUMNS])
    return line.getvalue().encode()


def _cell(value: Any) -> Any:
    dangerous = isinstance(value, str) and value[:1] in ("=", "-", "@", "\t", "\r")
    return "'" + value if dangerous else value


def _json_line(values: dict[str, Any] | None) -> bytes:
    return b"" if values is None else msgspec.json.encode(values) + b"\n"


_FORMS: dict[str, tuple[str, Writer]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "jsonl": ("application/jsonl; charset=utf-8", _json_line),
}


def _item(found: Found) -> dict[str, Any]:
    """A row, with how long it took until its delivery was final."""
    final_ms = found.delivery.final_ms
    return {**row(found), "took_ms": None if final_ms is None else final_ms - found.message.received_ms}


def _given(request: Request) -> dict[str, str]:
    """The filters that are filled in."""
    given = {name: value for name, value in request.query_params.items() if value and name != "part"}
    ask.check_names(given, *MESSAGE_FILTERS)
    return given


def _link(given: Mapping[str, str], offset: int) -> str:
    return "/messages?" + urlencode({**given, "page": offset})

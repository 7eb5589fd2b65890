"""Messages: the live list with its filters, and its export."""

import csv
import io
import re
from collections.abc import AsyncGenerator, Callable, Sequence
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
from trebuchet.console.render import Page, Pages, see_other
from trebuchet.console.shown import STATES
from trebuchet.model.address import normalise_sender
from trebuchet.storage.base import Found, FoundPage, MessageQuery

_ROWS = 50
_EXAMINED = 50_000  # messages that one step of a search reads: some tens of milliseconds
_ID = re.compile(r"[0-9]{13}[a-z2-7]{16}", re.ASCII)
_FILTERS = (
    *(name for name in MESSAGE_FILTERS if name not in ("limit", "page")),
    "number",
    "text",
    "before",
    "shown",
)
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

    async def page(self, request: Request) -> Page | Response:
        given = _given(request)
        if _ID.fullmatch(given.get("number", "")):
            return see_other(f"/messages/{given['number']}")
        shown = ask.whole(given, "shown", 0, _ROWS) or 0
        query = _query(given, limit=_ROWS + 1 - shown, before_id=given.get("before"), examine=_EXAMINED)
        found = await self._context.admin.store.search(query)
        filters = {name: value for name, value in given.items() if name not in ("before", "shown")}
        values = {"filters": filters, **_window(found, _ROWS - shown), "newest": "before" not in given}
        return Page(
            "messages", values, "Messages", hidden=self._choices(filters, shown + len(values["items"]))
        )

    def _choices(self, filters: dict[str, str], shown: int) -> dict[str, Any]:
        """What the filters offer."""
        directory = self._context.admin.directory()
        return {
            "state_options": [(state, state.replace("_", " ").lower()) for state in STATES],
            "applications": [(a.id, a.name or a.id) for a in directory.applications.values()],
            "carriers": [(carrier, carrier) for carrier in directory.carriers],
            "filter_query": urlencode(filters),
            "shown": shown,
        }

    async def export(self, request: Request) -> Response:
        """All that the filters find, newest first, as CSV or JSON Lines."""
        form = request.path_params["form"]
        if form not in _FORMS:
            raise HTTPException(404)
        media_type, write = _FORMS[form]
        query = _query(_given(request), limit=_EXPORT_PAGE)
        name = f"messages-{iso_ms(self._context.admin.clock.now_ms())[:19].replace(':', '')}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(self._exported(query, write), media_type=media_type, headers=headers)

    async def _exported(self, query: MessageQuery, write: "Writer") -> AsyncGenerator[bytes, None]:
        """Page by page, each from behind the last one, so that no page costs more than the first."""
        yield write(None)
        before: str | None = None
        while True:
            page = await self._context.admin.store.search(msgspec.structs.replace(query, before_id=before))
            window = _window(page, query.limit - 1)
            if window["items"]:
                yield b"".join(write(item) for item in window["items"])
            before = window["older"]
            if before is None:
                return


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


def _window(page: FoundPage, limit: int) -> dict[str, Any]:
    """The rows of one step of a search, and where the next one begins.

    `older` is behind the last row when there are more rows than are shown. `searched_to` is behind what was read when
    that held too few: to be searched on from there.
    """
    rows = list(page.rows)
    older = None
    if len(rows) > limit:
        # The recipients of a message stay together, unless there are more of them than rows.
        cut = rows[limit].message.id
        kept = [each for each in rows[:limit] if each.message.id != cut] or rows[:limit]
        rows, older = kept, kept[-1].message.id
    searched_to = page.reached if older is None else None
    return {
        "items": [_item(each) for each in rows],
        "older": older,
        "searched_to": searched_to,
        "searched_to_time": iso_ms(int(searched_to[:13])) if searched_to is not None else None,
    }


def _query(given: dict[str, str], **more: Any) -> MessageQuery:
    """The search that the filters ask for. Raises Problem."""
    query = message_query({name: value for name, value in given.items() if name in MESSAGE_FILTERS})
    return msgspec.structs.replace(
        query, **_sought(given.get("number", "").strip()), text=given.get("text"), count_up_to=0, **more
    )


def _sought(written: str) -> dict[str, str]:
    """What the one field that takes everything is about: a number or a tag."""
    if not written:
        return {}
    number = normalise_sender(written)
    looks_like_one = number is not None and (number[:1] == "+" or number.isdecimal())
    return {"number": number} if looks_like_one and number is not None else {"tag": written}


def _given(request: Request) -> dict[str, str]:
    """The filters that are filled in."""
    given = {name: value for name, value in request.query_params.items() if value and name != "part"}
    ask.check_names(given, *_FILTERS)
    return given

"""Handsets: the phones of the simulated network side by side, to look at and to type on."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trebuchet.api.problems import Problem, invalid_field
from trebuchet.console import phones, uploads
from trebuchet.console.context import ConsoleContext
from trebuchet.console.render import Page, Pages, person_of, see_other
from trebuchet.media.fetch import Unavailable
from trebuchet.media.sniff import sniff
from trebuchet.model.address import normalise_sender
from trebuchet.protocols import sms
from trebuchet.simulator.api import handset_number
from trebuchet.simulator.base import CannotType, File, NoLink
from trebuchet.simulator.handsets import Coverage, Memory, Power, Summary, TooMany
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.storage.base import MessageQuery

_SIDE_BY_SIDE: Final = 8
_ROWS: Final = 200  # messages of one handset that are looked through
_EXAMINED: Final = 5_000  # messages of the gateway that are looked through for those
_PICTURE_MAX: Final = 20_000_000  # octets
_FILES_MAX: Final = 10
_CLEARED_MAX: Final = 10_000
_TEXT_MAX: Final = 10_000
# What a browser may show as a picture. SVG can hold scripts.
_PICTURES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"})
_NO_SIMULATOR: Final = "There are no handsets here: this gateway runs without the simulated network"


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    if context.network is None:
        return ()
    bench = Bench(context, context.network)
    one = "/handsets/{number}"
    return [
        Route("/handsets/pictures/{message}/{place:int}", bench.picture, methods=["GET"]),
        *pages.routes("/handsets", GET=bench.all, POST=bench.add),
        pages.action(f"{one}/state", bench.change),
        pages.action(f"{one}/messages", bench.type),
        pages.action(f"{one}/clear", bench.clear),
        pages.action(f"{one}/remove", bench.remove),
        *pages.routes(one, GET=bench.one),
    ]


class Bench:
    """Handsets that are on the page are those that the network remembers."""

    def __init__(self, context: ConsoleContext, network: SimulatedNetwork) -> None:
        self._context = context
        self._network = network
        self._handsets = network.handsets
        self._cleared: OrderedDict[str, int] = OrderedDict()  # number → when

    # ---- looking ----

    async def all(self, request: Request) -> Page:
        chosen = self._handsets.foremost(_SIDE_BY_SIDE)
        values: dict[str, Any] = {"total": len(self._handsets), "numbers": [each.number for each in chosen]}
        hidden = self._chrome(chosen)
        if request.query_params.get("part") != "tabs":
            values["phones"] = [await self._phone(request, each.number) for each in chosen]
        return Page("handsets", values, "Handsets", hidden=hidden)

    async def one(self, request: Request) -> Page:
        number = _number(request)
        phone = await self._phone(request, number, request.query_params.get("with", ""))
        summaries = [self._handsets.summary(number)]
        hidden = {**self._chrome(summaries), "phones": [phone], "numbers": [number], "total": 1}
        return Page("handsets", {"phone": phone}, number, hidden={**hidden, "alone": True})

    def _chrome(self, chosen: Sequence[Summary]) -> dict[str, Any]:
        directory = self._context.admin.directory()
        return {
            "summaries": chosen,
            "ours": list(directory.numbers),
            "proposed": phones.free_number(
                lambda number: number in directory.numbers or self._handsets.find(number) is not None
            ),
            "magic": phones.magic(),
            "alone": False,
        }

    async def _phone(self, request: Request, number: str, wanted: str = "") -> dict[str, Any]:
        with_text = person_of(request).sees_text
        found = await self._context.admin.store.search(
            MessageQuery(number=number, examine=_EXAMINED, limit=_ROWS, count_up_to=_ROWS)
        )
        rows = self._handsets.newest(number, _ROWS)
        bubbles = phones.bubbles(number, rows, found.rows, self._cleared.get(number, 0))
        listed = phones.conversations(bubbles, with_text=with_text)
        chosen = wanted or (listed[0]["id"] if listed else "")
        is_open = chosen not in ("", "list", "new")
        own = self._context.library.is_own
        shown = phones.opened(bubbles, chosen, own, with_text=with_text) if is_open else []
        return {
            **msgspec.to_builtins(self._handsets.summary(number)),
            "view": "conversation" if is_open else chosen or "new",
            "conversation": chosen if is_open else "",
            "members": chosen.split(",") if is_open else [],
            "conversations": listed,
            "bubbles": shown,
            "news": phones.news(bubbles, chosen) if is_open else None,
            "follows": [number, *(each["message_id"] for each in shown if not each["final"])],
        }

    async def picture(self, request: Request) -> Response:
        """A file of a message, for looking at only: whatever it is, no browser takes it for a page of ours."""
        if not person_of(request).sees_text:
            raise HTTPException(403, "What messages say is hidden from you")
        file = await self._file(request.path_params["message"], request.path_params["place"])
        if file is None:
            raise HTTPException(404)
        kind = sniff(file.octets, file.content_type)
        picture = kind in _PICTURES
        disposition = "inline" if picture else "attachment"
        headers = {
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(file.name or 'file', safe='')}",
            "Cache-Control": "private, max-age=3600",
        }
        return Response(
            file.octets, media_type=kind if picture else "application/octet-stream", headers=headers
        )

    async def _file(self, message_id: str, place: int) -> File | None:
        """A media object of the message's own account; nothing is fetched from elsewhere."""
        life = await self._context.admin.store.life(message_id)
        media = life.message.media or () if life is not None else ()
        if life is None or place >= len(media):
            return None
        try:
            own = await self._context.library.own(life.message.account_id, media[place], _PICTURE_MAX)
        except Unavailable:
            return None
        return File(own.name, own.content_type, own.octets) if own is not None else None

    # ---- handling ----

    async def add(self, request: Request) -> Response:
        form = await uploads.read(request)
        number = _checked(form.text("number"))
        if number in self._context.admin.directory().numbers:
            raise invalid_field("number", f"{number} is one of your own numbers; a phone has another")
        try:
            self._handsets.keep(number)
        except TooMany as error:
            raise _refused(error) from None
        return see_other(f"/handsets#phone-{number.removeprefix('+')}")

    async def change(self, request: Request) -> Page | Response:
        number, form = _number(request), await uploads.read(request)
        try:
            power, memory, coverage = (
                kind(written) if (written := form.text(kind.__name__.lower())) else None
                for kind in (Power, Memory, Coverage)
            )
        except ValueError as error:
            raise Problem(400, "bad-request", str(error)) from None
        try:
            self._handsets.change(number, power, memory, coverage)  # type: ignore[arg-type]
        except TooMany as error:
            raise _refused(error) from None
        return await self._after(request, number)

    async def type(self, request: Request) -> Page | Response:
        """A message that somebody types: to one of our numbers, or to all of a group."""
        number = _number(request)
        form = await uploads.read(request, octets_max=_PICTURE_MAX, files_max=_FILES_MAX)
        ours, *others = form.text("to").split(",")
        to = normalise_sender(ours)
        if to is None:
            raise invalid_field("to", "Choose one of your numbers to write to")
        text = form.text("text")
        if len(text) > _TEXT_MAX:
            raise invalid_field("text", f"A text has at most {_TEXT_MAX} characters")
        participants = (to, *map(_checked, others)) if others else ()
        files = [
            File(each.name, sniff(each.octets, each.content_type), each.octets)
            for each in form.files("files")
        ]
        try:
            await self._network.type(number, to, text, (), participants, files)
        except (CannotType, NoLink, sms.SmsError) as error:
            raise _refused(error) from None
        return await self._after(request, number)

    async def clear(self, request: Request) -> Page | Response:
        """Empty a handset: what it shows, what was typed on it, what never came."""
        number = _number(request)
        self._cleared[number] = self._context.admin.clock.now_ms()
        self._cleared.move_to_end(number)
        while len(self._cleared) > _CLEARED_MAX:
            self._cleared.popitem(last=False)
        self._handsets.keep(number)
        self._handsets.clear(number)
        return await self._after(request, number)

    async def remove(self, request: Request) -> Response:
        self._handsets.drop(_number(request))
        return see_other("/handsets")

    async def _after(self, request: Request, number: str) -> Page | Response:
        """What a script wanted to see next, or the page that shows it."""
        if request.headers.get("hx-request") and "part" in request.query_params:
            return await self.one(request)
        return see_other(f"/handsets/{quote(number)}")


def _number(request: Request) -> str:
    return _checked(request.path_params["number"])


def _checked(written: str) -> str:
    """Raises Problem 400."""
    try:
        return handset_number(written.strip())
    except ValueError:
        raise invalid_field(
            "number", f"“{written[:32]}” is no telephone number; write it like +12025550123"
        ) from None


def _refused(error: Exception) -> Problem:
    words = str(error)
    return Problem(409, "refused", words[:1].upper() + words[1:])

"""The media calls: upload, list, download, delete; under both prefixes and the path of the API's first version.

A name is all of the path after `media/`, whichever way its slashes are written, so it is read from the octets of the
path. An answer never depends on `Accept`: clients ask for JSON and expect the picture.
"""

import base64
import binascii
import enum
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Final

import msgspec
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from trebuchet.api import problems
from trebuchet.api.body import chunks_of
from trebuchet.api.routing import Handler
from trebuchet.clock import Clock
from trebuchet.media.contents import TooLarge
from trebuchet.media.library import MediaLibrary
from trebuchet.media.names import BadName, name_of
from trebuchet.model.account import Account, Profile
from trebuchet.model.media import MediaObject

PAGE: Final = 1_000  # objects of one answer
_JSON: Final = "application/json;charset=utf-8"
_HEADER_MAX: Final = 255
# Prefix → profile of its error answers, and the status that tells that an upload or a deletion was done.
PREFIXES: Final = {
    "/v2": (Profile.CATAPULT, 204),
    "/api/v2": (Profile.CURRENT, 204),
    "/v1": (Profile.CATAPULT, 200),
}

Authenticate = Callable[[Request, Profile], tuple[Account, Profile]]


class _Name(Convertor[str]):
    """All that is left of a path, line ends too. Starlette has undone its encoding: handlers read `raw_path`."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("media_name", _Name())


class MediaContext(msgspec.Struct, frozen=True):
    """What the media routes need."""

    clock: Clock
    library: MediaLibrary
    authenticate: Authenticate  # raises Problem
    octets_max: int


def routes(context: MediaContext) -> list[BaseRoute]:
    """All of them."""
    found: list[BaseRoute] = []
    for prefix, (profile, done) in PREFIXES.items():
        base = prefix + "/users/{account_id}/media"
        found += [
            _route(base, {"GET": _list(context, prefix, profile)}),
            _route(
                base + "/{name:media_name}",
                {
                    "PUT": _upload(context, profile, done),
                    "GET": _download(context, profile),
                    "DELETE": _delete(context, profile, done),
                },
            ),
        ]
    return found


def _route(path: str, by_method: dict[str, Handler]) -> Route:
    async def endpoint(request: Request) -> Response:
        return await by_method["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, endpoint, methods=list(by_method))


def _list(context: MediaContext, prefix: str, by_path: Profile) -> Handler:
    async def list_media(request: Request) -> Response:
        account, _ = context.authenticate(request, by_path)
        after = _after(request.headers.get("continuation-token"))
        page = await context.library.listed(account.id, after, PAGE + 1)
        shown = page[:PAGE]
        listed = [
            {
                "contentLength": each.size,
                "mediaName": each.name,
                "content": context.library.url_of(account.id, each.name, prefix),
            }
            for each in shown
        ]
        headers = {"Continuation-Token": _token(shown[-1].name)} if len(page) > PAGE else {}
        return Response(msgspec.json.encode(listed), media_type=_JSON, headers=headers)

    return list_media


def _upload(context: MediaContext, by_path: Profile, done: int) -> Handler:
    async def upload_media(request: Request) -> Response:
        account, _ = context.authenticate(request, by_path)
        name = _name(request)
        content_type = _header(request, "content-type") or "application/octet-stream"
        try:
            await context.library.put(
                account.id,
                name,
                content_type,
                _header(request, "cache-control"),
                chunks_of(request, context.octets_max),
            )
        except TooLarge:
            raise problems.too_large(context.octets_max) from None
        return Response(status_code=done)

    return upload_media


def _download(context: MediaContext, by_path: Profile) -> Handler:
    async def download_media(request: Request) -> Response:
        account, _ = context.authenticate(request, by_path)
        found = await context.library.find(account.id, _name(request))
        if found is None:
            raise problems.not_found(request.url.path, context.clock.now_ms())
        kept, content = found
        headers = _headers(kept)
        if _matches(request.headers.get("if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        asked = request.headers.get("range") if _may_be_partial(request, headers["ETag"]) else None
        span = None if asked is None else span_of(asked, kept.size)
        if span is Unsatisfiable.SPAN:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{kept.size}"})
        start, end = span or (0, kept.size)
        status = 200 if span is None else 206
        if span is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{kept.size}"
        headers["Content-Length"] = str(end - start)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        stream = await _begun(context.library.stream(content, start, end))
        return StreamingResponse(stream, status_code=status, headers=headers)

    return download_media


def _delete(context: MediaContext, by_path: Profile, done: int) -> Handler:
    async def delete_media(request: Request) -> Response:
        account, _ = context.authenticate(request, by_path)
        await context.library.delete(account.id, _name(request))
        return Response(status_code=done)

    return delete_media


# ---- parts of requests and answers ----


def _name(request: Request) -> str:
    """Raises Problem 400."""
    raw: bytes = request.scope["raw_path"]
    try:
        # An account may be called "media".
        return name_of(raw.partition(b"?")[0].partition(b"/users/")[2].partition(b"/media/")[2])
    except BadName as error:
        raise problems.malformed(str(error)) from None


def _header(request: Request, name: str) -> str | None:
    """A header that is given back later. Raises Problem 400 for one that could not be."""
    value = request.headers.get(name)
    if value is not None and (len(value) > _HEADER_MAX or not value.isascii() or not value.isprintable()):
        raise problems.malformed(f"the header {name} is no text of at most {_HEADER_MAX} characters")
    return value


def _headers(kept: MediaObject) -> dict[str, str]:
    headers = {
        "Content-Type": kept.content_type,
        "ETag": f'"{kept.sha256}"',
        "Last-Modified": formatdate(kept.created_ms / 1000, usegmt=True),
        "Accept-Ranges": "bytes",
        # What somebody uploaded must never run as a page of ours.
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    if kept.cache_control is not None:
        headers["Cache-Control"] = kept.cache_control
    return headers


def _may_be_partial(request: Request, etag: str) -> bool:
    """RFC 9110 section 13.1.5: a range of another version is no use to the client."""
    condition = request.headers.get("if-range")
    return condition is None or condition == etag


def _matches(condition: str | None, etag: str) -> bool:
    return condition is not None and (condition == "*" or etag in condition)


class Unsatisfiable(enum.Enum):
    """A range of which nothing is there."""

    SPAN = enum.auto()


def span_of(header: str, size: int) -> tuple[int, int] | Unsatisfiable | None:
    """What a Range header asks for, as octets from the first to before the last (RFC 9110 section 14.1.2). Pure.

    None: not understood, or several ranges; the whole is answered then.
    """
    unit, _, ranges = header.partition("=")
    first, dash, last = ranges.strip().partition("-")
    if unit.strip().lower() != "bytes" or not dash or not (first + last).isascii():
        return None
    if not (first.isdecimal() or not first) or not (last.isdecimal() or not last) or not (first or last):
        return None
    if len(first) > 18 or len(last) > 18:
        return Unsatisfiable.SPAN
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    return (start, end) if start < end else Unsatisfiable.SPAN


async def _begun(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A stream whose first chunk is there: an object store that is away is a 503, not a broken answer."""
    first = await anext(stream, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for chunk in stream:
            yield chunk

    return whole()


def _token(name: str) -> str:
    return base64.b64encode(name.encode()).decode()


def _after(token: str | None) -> str:
    """The name that a continuation token was made of. Raises Problem 400."""
    try:
        return base64.b64decode(token or "", validate=True).decode()
    except (binascii.Error, ValueError):
        raise problems.malformed("the Continuation-Token is not one of ours") from None

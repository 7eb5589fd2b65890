"""The simulator's HTTP API under `/sim/v1`: read and type on handsets, switch them off, move time.

Nobody is asked who they are: mount it only where everybody who can reach it may do all of it. Errors are
`{"type", "description"}`. A number in a path may be written with `+`, with `%2B` or without either.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trebuchet.clock import Clock, iso_ms
from trebuchet.errors import NotFound, TrebuchetError
from trebuchet.model.address import normalise_e164, normalise_sender
from trebuchet.protocols import sms
from trebuchet.simulator import scenario
from trebuchet.simulator.base import CannotType, File, NoLink
from trebuchet.simulator.handsets import MESSAGES_MAX, Coverage, Memory, Power, TooMany
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.storage.base import HandsetMessage

_BODY_MAX: Final = 65_536
_TYPED_MAX: Final = 10_000_000  # octets of a body with files, which are a third longer in base64
_WAIT_MAX_MS: Final = 60_000  # longer than most clients wait for an answer, shorter than most proxies
_ADVANCE_MAX_MS: Final = 366 * 86_400_000
_LIMIT: Final = 1_000

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)", re.ASCII)
_DIGITS: Final = re.compile(r"\+?[0-9]{3,15}", re.ASCII)
_QUERY: Final = frozenset({"wait", "contains", "since", "limit", "none"})

T = TypeVar("T")
_Handler = Callable[[Request], Awaitable[Response]]


class _Refused(Exception):
    """The request is answered with this error."""

    def __init__(self, status: int, type_: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.type = type_


class _Reading(msgspec.Struct, frozen=True):
    """What is asked of a handset's messages."""

    wait_ms: int
    contains: str
    since: str
    limit: int
    none: bool


class _HandsetChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    power: Power | None = None
    memory: Memory | None = None
    coverage: Coverage | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Annotated[bytes, Meta(min_length=1)]  # base64
    name: Annotated[str, Meta(pattern=r"^[^/\\\x00-\x1f\x7f]*$", max_length=200)] = ""
    content_type: Annotated[str, Meta(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=100)] = (
        "application/octet-stream"
    )


class _Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to: str = ""  # our number
    text: Annotated[str, Meta(max_length=10_000)] = ""
    media: Annotated[
        tuple[Annotated[str, Meta(pattern="^https?://", max_length=4096)], ...], Meta(max_length=10)
    ] = ()
    files: Annotated[tuple[_File, ...], Meta(max_length=10)] = ()
    group: Annotated[tuple[str, ...], Meta(max_length=100)] = ()  # the other recipients
    reply_all: bool = False  # to all of the newest group message


class _Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: str


class _Shown(msgspec.Struct, frozen=True, rename="camel"):
    """A message as its handset shows it. Media are URLs; nothing is fetched."""

    id: str
    from_: str = msgspec.field(name="from")
    to: str
    participants: tuple[str, ...]
    text: str
    media: tuple[str, ...]
    time: str
    segment_count: int


def parse_duration_ms(written: str) -> int:
    """`500ms`, `10s`, `5m`, `25h` or `2d` in milliseconds. Raises ValueError."""
    match = _DURATION.fullmatch(written)
    if match is None:
        raise ValueError(f"{written!r} is no duration: write a number and ms, s, m, h or d, such as 10s")
    return int(match[1]) * _UNITS_MS[match[2]]


def handset_number(written: str) -> str:
    """A number as carriers are given it. Raises ValueError for what is no telephone number."""
    if not _DIGITS.fullmatch(written):
        raise ValueError(f"{written!r} is no telephone number")
    return normalise_e164(written) or "+" + written.removeprefix("+")


def routes(network: SimulatedNetwork, clock: Clock) -> list[Route]:
    """All routes of the API, for a Starlette application."""
    api = _Api(network, clock)
    handset = "/sim/v1/handsets/{number}"
    return [
        _route("/sim/v1/handsets", GET=api.list_handsets, DELETE=api.reset),
        _route(handset, GET=api.get_handset, PUT=api.change_handset),
        _route(f"{handset}/messages", GET=api.read_messages, POST=api.type_message, DELETE=api.clear),
        _route("/sim/v1/clock", GET=api.get_clock),
        _route("/sim/v1/clock/advance", POST=api.advance),
        _route("/sim/v1/scenario", GET=api.get_scenario),
    ]


class _Api:
    """The handlers, one per route and method."""

    def __init__(self, network: SimulatedNetwork, clock: Clock) -> None:
        self._network = network
        self._handsets = network.handsets
        self._clock = clock

    async def list_handsets(self, _: Request) -> Response:
        return _json(self._handsets.list())

    async def reset(self, _: Request) -> Response:
        self._handsets.reset()
        return Response(status_code=204)

    async def get_handset(self, request: Request) -> Response:
        return _json(self._handsets.summary(_number(request)))

    async def change_handset(self, request: Request) -> Response:
        change = await _body(request, _HandsetChange)
        return _json(self._handsets.change(_number(request), change.power, change.memory, change.coverage))

    async def read_messages(self, request: Request) -> Response:
        number, reading = _number(request), _reading(request)
        found = await self._handsets.read(
            number, reading.wait_ms / 1000, since=reading.since, contains=reading.contains
        )
        shown = [_shown(message) for message in found[: reading.limit]]
        if reading.none and shown:
            description = f"{number} has a message"
            return _json({"type": "message-came", "description": description, "message": shown[0]}, 409)
        return _json(shown)

    async def type_message(self, request: Request) -> Response:
        number = _number(request)
        reply = await _body(request, _Reply, _TYPED_MAX)
        to, participants = _recipients(reply, number, self._handsets.last_group(number))
        files = [File(file.name, file.content_type, file.data) for file in reply.files]
        typed_id = await self._network.type(number, to, reply.text, reply.media, participants, files)
        return _json({"id": typed_id}, 202)

    async def clear(self, request: Request) -> Response:
        self._handsets.clear(_number(request))
        return Response(status_code=204)

    async def get_clock(self, _: Request) -> Response:
        return _json({"now": iso_ms(self._clock.now_ms())})

    async def advance(self, request: Request) -> Response:
        by_ms = _duration((await _body(request, _Advance)).by, "by", _ADVANCE_MAX_MS)
        return _json({"now": iso_ms(self._clock.advance(by_ms))})

    async def get_scenario(self, _: Request) -> Response:
        return _json([{"recipient": m.number, "text": m.text, "outcome": m.outcome} for m in scenario.MAGIC])


def _route(path: str, **handlers: _Handler) -> Route:
    """One route for all methods of a path, with our own answers to what goes wrong."""

    async def handle(request: Request) -> Response:
        try:
            return await handlers["GET" if request.method == "HEAD" else request.method](request)
        except _Refused as refused:
            return _problem(refused.status, refused.type, str(refused))
        except sms.SmsError as error:
            return _problem(400, "bad-request", str(error))
        except CannotType as error:
            return _problem(400 if error.type == "bad-request" else 409, error.type, str(error))
        except TooMany as error:
            return _problem(409, "too-many", str(error))
        except NoLink as error:
            return _problem(409, "no-link", str(error))
        except NotFound as error:
            return _problem(404, "not-found", str(error))
        except TrebuchetError as error:
            return _problem(503, "not-stored", str(error))

    return Route(path, handle, methods=list(handlers))


def _number(request: Request) -> str:
    return _handset_number(request.path_params["number"])


def _handset_number(written: str) -> str:
    """Raises _Refused 400."""
    try:
        return handset_number(written)
    except ValueError as error:
        raise _bad(str(error)) from None


def _recipients(reply: _Reply, handset: str, group: HandsetMessage | None) -> tuple[str, Sequence[str]]:
    """Our number, and for a group all recipients. `group` is the message that is answered to all."""
    if reply.reply_all:
        if reply.to or reply.group:
            raise _bad("reply_all: the recipients are those of the group message; leave out to and group")
        if group is None:
            raise _Refused(409, "no-group", f"{handset} shows no group message to reply to")
        others = (number for number in group.participants if number != handset)
        return group.peer, tuple(dict.fromkeys([group.peer, *others]))
    to = normalise_sender(reply.to)
    if to is None:
        raise _bad(f"to: {reply.to!r} is no number of an application")
    if not reply.group:
        return to, ()
    return to, tuple(dict.fromkeys([to, *(_handset_number(other) for other in reply.group)]))


def _reading(request: Request) -> _Reading:
    given = _query(request)
    limit = given.get("limit", str(_LIMIT))
    if not limit.isdecimal() or len(limit) > 6 or not 1 <= int(limit) <= MESSAGES_MAX:
        raise _bad(f"limit: {limit!r} is no whole number from 1 to {MESSAGES_MAX}")
    none = given.get("none", "false")
    if none not in ("true", "false"):
        raise _bad(f"none: {none!r} is neither true nor false")
    return _Reading(
        wait_ms=_duration(given.get("wait", "0s"), "wait", _WAIT_MAX_MS),
        contains=given.get("contains", ""),
        since=given.get("since", ""),
        limit=int(limit),
        none=none == "true",
    )


def _query(request: Request) -> dict[str, str]:
    given = dict(parse_qsl(request.url.query, keep_blank_values=True))
    unknown = sorted(given.keys() - _QUERY)
    if unknown:
        raise _bad(f"unknown parameter {unknown[0]!r}; there are {', '.join(sorted(_QUERY))}")
    return given


def _duration(written: str, name: str, max_ms: int) -> int:
    try:
        duration_ms = parse_duration_ms(written)
    except ValueError as error:
        raise _bad(f"{name}: {error}") from None
    if duration_ms > max_ms:
        raise _bad(f"{name}: {written} is longer than {max_ms // 1000} s")
    return duration_ms


async def _body(request: Request, type_: type[T], octets_max: int = _BODY_MAX) -> T:
    """The JSON body as a value of `type_`. Raises _Refused 400, 413 or 415."""
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise _Refused(415, "unsupported-content-type", "send application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > octets_max:
            raise _Refused(413, "too-large", f"a body has at most {octets_max} octets")
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _bad(str(error)) from None


def _shown(message: HandsetMessage) -> _Shown:
    return _Shown(
        id=message.network_id,
        from_=message.peer,
        to=message.handset,
        participants=message.participants,
        text=message.text,
        media=message.media,
        time=iso_ms(message.at_ms),
        segment_count=scenario.recall(message.fate).segments,
    )


def _bad(description: str) -> _Refused:
    return _Refused(400, "bad-request", description)


def _problem(status: int, type_: str, description: str) -> Response:
    return _json({"type": type_, "description": description}, status)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")

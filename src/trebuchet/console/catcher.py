"""The catcher: an endpoint for callbacks of developers who have none yet. It keeps what comes in memory, and shows it.

Every bound drops the oldest. Whoever can reach the gateway may post to it, so it is there on loopback only.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trebuchet.api.body import read_body
from trebuchet.clock import Clock, sleep_until
from trebuchet.feed import Entry, Feed

BODY_MAX: Final = 262_144
NAMES_MAX: Final = 50
CAUGHT_MAX: Final = 500  # of each name
OCTETS_MAX: Final = 32 << 20  # of all bodies together
_SLOW_MS: Final = 5_000
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

# What a catcher answers with, as a person chooses it.
ANSWERS: Final = {
    "200": "takes it (200)",
    "500": "fails (500): tried again",
    "404": "refuses (404): tried again",
    "slow": "takes 5 seconds, then 200",
}


class Caught(msgspec.Struct, frozen=True):
    """One request that came."""

    number: int  # counts up from 1 over all names
    at_ms: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    answered: int


class Catcher:
    """All calls in the event loop."""

    def __init__(self, clock: Clock, feed: Feed) -> None:
        self._clock = clock
        self._feed = feed
        self._caught: OrderedDict[str, deque[Caught]] = OrderedDict()
        self._answers: dict[str, str] = {}
        self._octets = 0
        self._count = 0

    def route(self) -> Route:
        """Where callbacks are posted to: beside the console, for who posts has neither a session nor a token."""
        return Route("/catch/{name}", self._take, methods=["POST"])

    def names(self) -> Sequence[str]:
        """Those that something came for, the newest first."""
        return tuple(reversed(self._caught))

    def caught(self, name: str) -> Sequence[Caught]:
        """The newest first."""
        return tuple(reversed(self._caught.get(name, ())))

    def answer_of(self, name: str) -> str:
        return self._answers.get(name, "200")

    def choose(self, name: str, answer: str) -> None:
        """What requests for this name are answered with from now on. Raises ValueError."""
        if answer not in ANSWERS:
            raise ValueError(f"there is no answer {answer!r}")
        self._answers[name] = answer
        while len(self._answers) > NAMES_MAX:
            del self._answers[next(iter(self._answers))]

    def clear(self, name: str) -> None:
        for each in self._caught.pop(name, ()):
            self._octets -= len(each.body)

    async def _take(self, request: Request) -> Response:
        name = request.path_params["name"]
        if not NAME.fullmatch(name):
            return Response("no such catcher\n", 404, media_type="text/plain")
        body = await read_body(request, BODY_MAX)
        chosen = self.answer_of(name)
        if chosen == "slow":
            await sleep_until(self._clock, self._clock.now_ms() + _SLOW_MS)
        status = int(chosen) if chosen.isdecimal() else 200
        headers = tuple((key, value) for key, value in request.headers.items())
        self._keep(name, headers, body, status)
        return Response("caught\n" if status == 200 else "as you chose\n", status, media_type="text/plain")

    def _keep(self, name: str, headers: tuple[tuple[str, str], ...], body: bytes, status: int) -> None:
        self._count += 1
        caught = self._caught.setdefault(name, deque())
        self._caught.move_to_end(name)
        now_ms = self._clock.now_ms()
        caught.append(Caught(self._count, now_ms, headers, body, status))
        self._octets += len(body)
        if len(caught) > CAUGHT_MAX:
            self._octets -= len(caught.popleft().body)
        while len(self._caught) > NAMES_MAX:
            self.clear(next(iter(self._caught)))
        while self._octets > OCTETS_MAX:
            oldest = next(iter(self._caught))
            self._octets -= len(self._caught[oldest].popleft().body)
            if not self._caught[oldest]:
                del self._caught[oldest]
        if self._feed.watched:
            self._feed.publish(Entry(now_ms, "caught", "", detail=name))


def decoded(caught: Caught) -> list[Any]:
    """The events of a body, as JSON values; none if it is no array of objects. Pure."""
    try:
        events = msgspec.json.decode(caught.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return [event for event in events if isinstance(event, dict)] if isinstance(events, list) else []


def url_of(base_url: str, name: str) -> str:
    return f"{base_url}/catch/{name}"


def moved(url: str | None, base_url: str, is_loopback: Callable[[str], bool]) -> str | None:
    """Where a callback URL leads now that names a catcher of this machine at another port; None if it need not move."""
    found = re.fullmatch(r"http://(\[[^/\]]+\]|[^/:]+)(?::\d+)?/catch/([^/?#]+)", url or "")
    if found is None or not is_loopback(found[1].strip("[]")) or url == url_of(base_url, found[2]):
        return None
    return url_of(base_url, found[2])

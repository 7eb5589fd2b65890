"""The PDUs of a link as they pass, for one reader: server-sent events, from the moment that it asks."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from trebuchet.admin.pdus import decoded
from trebuchet.carriers.status import Observable, Passed
from trebuchet.clock import iso_ms

_WAITING_MAX = 4 << 20  # octets of PDUs that wait for a slow reader
_WEIGHT = 256  # octets that one PDU needs beside its own
_AT_ONCE = 50  # PDUs decoded in one turn of the loop, which has messages to carry: about 1.5 ms
_LOOK_S = 1.0  # a link that is made anew is found after this long at most
_KEEP_ALIVE_S = 15.0


class Waiting:
    """PDUs that the reader has not had yet. Beyond the bound the oldest go, and are counted."""

    def __init__(self, octets_max: int = _WAITING_MAX) -> None:
        self.arrived = asyncio.Event()
        self._pdus: deque[Passed] = deque()
        self._octets = 0
        self._octets_max = octets_max
        self._missed = 0

    def note(self, passed: Passed) -> None:
        self._pdus.append(passed)
        self._octets += _WEIGHT + len(passed.octets)
        while self._octets > self._octets_max:
            self._drop()
            self._missed += 1
        self.arrived.set()

    def take(self, most: int) -> tuple[int, list[Passed]]:
        """How many were missed since the last time, and the oldest that wait."""
        missed, self._missed = self._missed, 0
        taken = [self._drop() for _ in range(min(most, len(self._pdus)))]
        if not self._pdus:
            self.arrived.clear()
        return missed, taken

    def _drop(self) -> Passed:
        passed = self._pdus.popleft()
        self._octets -= _WEIGHT + len(passed.octets)
        return passed


class Follower:
    """Watches the link that a carrier has now; a change of its record makes another one.

    `current` is None while there is none.
    """

    def __init__(self, current: Callable[[], Observable | None], note: Callable[[Passed], None]) -> None:
        self._current = current
        self._note = note
        self._watched: Observable | None = None
        self._end: Callable[[], None] = _nothing

    def look(self) -> None:
        link = self._current()
        if link is not self._watched:
            self.end()
            self._watched = link
            self._end = _nothing if link is None else link.watch(self._note)

    def end(self) -> None:
        self._end()
        self._watched, self._end = None, _nothing


def _nothing() -> None:
    return None


class TraceResponse(StreamingResponse):
    """Ends when the client has gone, or `exists` says that the carrier has."""

    def __init__(
        self, current: Callable[[], Observable | None], exists: Callable[[], bool], *, with_text: bool
    ) -> None:
        super().__init__((), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._waiting = Waiting()
        self._follower = Follower(current, self._waiting.note)
        self._exists = exists
        self._with_text = with_text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._follower.look()
        try:
            self.body_iterator = told(
                self._waiting,
                self._look,
                with_text=self._with_text,
                look_s=_LOOK_S,
                keep_alive_s=_KEEP_ALIVE_S,
            )
            await super().__call__(scope, receive, send)
        finally:
            self._follower.end()

    def _look(self) -> bool:
        self._follower.look()
        return self._exists()


async def told(
    waiting: Waiting, look: Callable[[], bool], *, with_text: bool, look_s: float, keep_alive_s: float
) -> AsyncGenerator[bytes, None]:
    """Server-sent events until `look` says no: a PDU each, a word when some were missed, comments in silence."""
    yield b": open\n\n"
    silent_s = 0.0
    while look():
        try:
            async with asyncio.timeout(look_s):
                await waiting.arrived.wait()
        except TimeoutError:
            silent_s += look_s
            if silent_s >= keep_alive_s:
                silent_s = 0.0
                yield b": nothing new\n\n"
            continue
        silent_s = 0.0
        missed, pdus = waiting.take(_AT_ONCE)
        if missed:
            yield b'event: missed\ndata: {"missed":%d}\n\n' % missed
        yield b"".join(
            b"data: " + msgspec.json.encode(traced(p, with_text=with_text)) + b"\n\n" for p in pdus
        )
        await asyncio.sleep(0)


def traced(passed: Passed, *, with_text: bool) -> dict[str, Any]:
    """One PDU for people."""
    return {
        "time": iso_ms(passed.at_ms),
        "bind": passed.bind,
        "direction": passed.direction,
        **decoded(passed.octets, with_text=with_text),
    }

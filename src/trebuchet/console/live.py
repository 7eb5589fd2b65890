"""What has changed, as server-sent events: hints by which pages fetch their live parts again.

A hint says which messages something happened to, not what: the pages ask for that themselves, so that a busy gateway
costs a watcher a few small requests a second and never more.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from trebuchet.feed import Entry, Feed, Watch

LEAST_S = 0.25  # between two hints, on the average
KEEP_ALIVE_S = 15.0
_QUICK = 6  # hints that may follow each other quickly
_NAMED_MAX = 50  # messages that one hint names; of more it says only that there are more


class HintResponse(StreamingResponse):
    """Hints from the moment that the head of the answer is sent, until the client has gone."""

    def __init__(self, *feeds: Feed, least_s: float = LEAST_S, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__((), media_type="text/event-stream", headers=headers)
        self._feeds = feeds
        self._least_s = least_s
        self._keep_alive_s = keep_alive_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch = Watch()
        for feed in self._feeds:
            feed.open(watch)
        try:
            self.body_iterator = hints(watch, self._least_s, self._keep_alive_s)
            await super().__call__(scope, receive, send)
        finally:
            for feed in self._feeds:
                feed.close(watch)


async def hints(watch: Watch, least_s: float, keep_alive_s: float) -> AsyncGenerator[bytes, None]:
    """Hints as things happen, one in `least_s` seconds on the average at most; comments in long silence.

    The first few come almost at once: what follows a click within a moment is seen within that moment.
    """
    loop = asyncio.get_running_loop()
    last: deque[float] = deque(maxlen=_QUICK)
    yield b"retry: 1000\n: open\n\n"
    waiting: asyncio.Task[None] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(watch.wait())
            done, _ = await asyncio.wait({waiting}, timeout=keep_alive_s)
            if not done:
                yield b": nothing new\n\n"
                continue
            waiting = None
            yield b"event: changed\ndata: " + hint(watch.take()) + b"\n\n"
            many = len(last) == _QUICK and loop.time() - last[0] < _QUICK * least_s
            last.append(loop.time())
            await asyncio.sleep(least_s if many else least_s / 10)
    finally:
        if waiting is not None:
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting


def hint(entries: list[Entry]) -> bytes:
    """What happened, as JSON: the kinds of happening, the messages, the numbers that something went to or that are
    handsets, and whether there were more than are named."""
    messages = list(dict.fromkeys(entry.message_id for entry in entries if entry.message_id))
    numbers = list(dict.fromkeys(to for entry in entries if entry.to for to in entry.to.split(", ")))
    return msgspec.json.encode(
        {
            "what": sorted({entry.what for entry in entries}),
            "messages": messages[:_NAMED_MAX],
            "numbers": numbers[:_NAMED_MAX],
            "more": max(len(messages), len(numbers)) > _NAMED_MAX,
        }
    )

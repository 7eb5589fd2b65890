"""The hints by which pages know what to fetch again."""

import json

import pytest

from trebuchet.console.live import hint, hints
from trebuchet.feed import Entry, Feed

pytestmark = pytest.mark.anyio


def entry(message_id: str, what: str = "event") -> Entry:
    return Entry(1, what, message_id)


async def test_what_happens_together_is_one_hint() -> None:
    """And names each message once."""
    feed = Feed()
    watch = feed.open()
    stream = hints(watch, least_s=0, keep_alive_s=60)
    assert b"open" in await anext(stream)
    for message_id in ("a", "b", "a"):
        feed.publish(entry(message_id))
    told = (await anext(stream)).decode()
    assert told.startswith("event: changed\ndata: ")
    assert json.loads(told.partition("data: ")[2])["messages"] == ["a", "b"]
    await stream.aclose()


async def test_silence_is_kept_alive() -> None:
    feed = Feed()
    stream = hints(feed.open(), least_s=0, keep_alive_s=0)
    await anext(stream)
    assert (await anext(stream)).startswith(b":")
    feed.publish(entry("a"))
    while not (told := await anext(stream)).startswith(b"event"):
        pass
    assert b'"a"' in told
    await stream.aclose()


def test_a_hint_is_bounded() -> None:
    """However much happened, it is one small line."""
    told = json.loads(hint([entry(str(n)) for n in range(1000)]))
    assert (len(told["messages"]), told["more"]) == (50, True)

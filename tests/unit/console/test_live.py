"""The hints by which pages know what to fetch again."""

import asyncio
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


def test_a_hint_names_numbers() -> None:
    """Of all recipients of a group, and of handsets, which are no messages."""
    entries = [Entry(1, "accepted", "a", to="+1, +2"), Entry(2, "handset", "", to="+1")]
    told = json.loads(hint(entries))
    assert (told["messages"], told["numbers"], told["what"]) == (["a"], ["+1", "+2"], ["accepted", "handset"])


async def test_one_watch_sees_two_feeds() -> None:
    one, other = Feed(), Feed()
    watch = one.open()
    assert other.open(watch) is watch
    one.publish(entry("a"))
    other.publish(entry("b"))
    assert [each.message_id for each in watch.take()] == ["a", "b"]


async def test_the_first_hints_come_quickly_and_then_few() -> None:
    """What follows a click is seen at once; a busy gateway does not tell more for it."""
    feed = Feed()
    watch = feed.open()
    loop = asyncio.get_running_loop()
    least_s = 0.3
    stream = hints(watch, least_s=least_s, keep_alive_s=60)
    await anext(stream)
    moments = []
    for _ in range(8):
        feed.publish(entry("a"))
        await anext(stream)
        moments.append(loop.time())
    assert moments[5] - moments[0] < 5 * least_s
    assert moments[7] - moments[6] > 0.9 * least_s
    await stream.aclose()

"""Watching what happens, as it happens."""

import asyncio

import pytest
from outbox.loops import settle_loop

from trebuchet.feed import Entry, Feed, Watch

pytestmark = pytest.mark.anyio

HELD_MAX = 1000


def entry(number: int) -> Entry:
    return Entry(at_ms=number, what="event", message_id=f"m-{number}")


async def next_of(watch: Watch, count: int) -> list[int]:
    """The moments of the next entries."""
    seen: list[int] = []
    async for each in watch:
        seen.append(each.at_ms)
        if len(seen) == count:
            break
    return seen


async def test_a_watcher_sees_everything_from_its_beginning_in_order() -> None:
    """Not what happened before it looked."""
    feed = Feed()
    feed.publish(entry(1))
    watch = feed.open()
    for number in (2, 3, 4):
        feed.publish(entry(number))
    assert await next_of(watch, 3) == [2, 3, 4]


async def test_a_watcher_waits_for_what_comes() -> None:
    """It is woken by the next entry."""
    feed = Feed()
    seeing = asyncio.ensure_future(next_of(feed.open(), 2))
    await settle_loop()
    feed.publish(entry(1))
    await settle_loop()
    assert not seeing.done()
    feed.publish(entry(2))
    assert await seeing == [1, 2]


async def test_watchers_do_not_take_from_each_other() -> None:
    """Each sees everything."""
    feed = Feed()
    one, other = feed.open(), feed.open()
    feed.publish(entry(1))
    assert await next_of(one, 1) == [1]
    assert await next_of(other, 1) == [1]


async def test_a_slow_watcher_loses_the_oldest() -> None:
    """Memory is bounded; how many are lost is said, and the others see all."""
    feed = Feed()
    slow, quick = feed.open(), feed.open()
    for number in range(HELD_MAX):
        feed.publish(entry(number))
    assert await next_of(quick, HELD_MAX) == list(range(HELD_MAX))
    for number in range(HELD_MAX, HELD_MAX + 5):
        feed.publish(entry(number))
    assert (slow.missed, quick.missed) == (5, 0)
    assert await next_of(slow, HELD_MAX) == list(range(5, HELD_MAX + 5))
    assert await next_of(quick, 5) == list(range(HELD_MAX, HELD_MAX + 5))


async def test_a_closed_watcher_sees_nothing_more() -> None:
    """It may be closed twice."""
    feed = Feed()
    watch = feed.open()
    feed.publish(entry(1))
    feed.close(watch)
    feed.close(watch)
    feed.publish(entry(2))
    feed.publish(entry(3))
    assert await next_of(watch, 1) == [1]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await next_of(watch, 1)


async def test_whether_anybody_watches() -> None:
    """Callers make no entries for nobody."""
    feed = Feed()
    watched = [feed.watched]
    one, other = feed.open(), feed.open()
    watched.append(feed.watched)
    feed.close(one)
    watched.append(feed.watched)
    feed.close(other)
    watched.append(feed.watched)
    assert watched == [False, True, True, False]

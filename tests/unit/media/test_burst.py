"""What many ask for at once is made once."""

import asyncio

import pytest

from trebuchet.media.burst import Burst, Closed

pytestmark = pytest.mark.anyio


class Kitchen:
    """Makes values when told to, and counts; the time is what `now_s` says."""

    def __init__(self, octets_max: int = 100) -> None:
        self.now_s = 0.0
        self.made: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.burst: Burst[str] = Burst(
            weigh=len, keep_s=lambda _: 10.0, octets_max=octets_max, now_s=lambda: self.now_s
        )

    async def get(self, key: str) -> str:
        async def make() -> str:
            self.made.append(key)
            await self.open.wait()
            if key.startswith("bad"):
                raise LookupError(key)
            return key * 10

        return await self.burst.get(key, make)


async def test_those_who_ask_at_once_share_one_making() -> None:
    """A hundred callers, one value."""
    kitchen = Kitchen()
    assert set(await asyncio.gather(*[kitchen.get("a") for _ in range(100)])) == {"a" * 10}
    assert kitchen.made == ["a"]


async def test_a_value_is_kept_while_the_burst_lasts() -> None:
    """Until its time is over, then it is made again."""
    kitchen = Kitchen()
    for kitchen.now_s in (0, 9.9, 10, 15, 20):
        await kitchen.get("a")
    assert kitchen.made == ["a", "a", "a"]


async def test_the_least_used_makes_room() -> None:
    """Of three values of ten octets two are kept: those asked for last."""
    kitchen = Kitchen(octets_max=20)
    for key in ("a", "b", "a", "c", "a", "b"):
        await kitchen.get(key)
    assert kitchen.made == ["a", "b", "c", "b"]


async def test_a_value_beyond_the_bound_is_not_kept() -> None:
    """It is handed out and forgotten."""
    kitchen = Kitchen(octets_max=9)
    assert await kitchen.get("a") == "a" * 10
    await kitchen.get("a")
    assert kitchen.made == ["a", "a"]


async def test_what_is_over_is_forgotten_even_if_nobody_asks_again() -> None:
    """The room of values whose time is over is free for others."""
    kitchen = Kitchen(octets_max=20)
    await kitchen.get("a")
    await kitchen.get("b")
    kitchen.now_s = 5
    await kitchen.get("b")
    kitchen.now_s = 11
    for key in ("c", "d", "c", "d"):
        await kitchen.get(key)
    assert kitchen.made == ["a", "b", "c", "d"]


async def test_an_error_is_for_all_who_wait_and_not_kept() -> None:
    """The next one who asks has it tried again."""
    kitchen = Kitchen()
    outcomes = await asyncio.gather(kitchen.get("bad"), kitchen.get("bad"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError, LookupError]
    with pytest.raises(LookupError):
        await kitchen.get("bad")
    assert kitchen.made == ["bad", "bad"]


async def test_a_caller_that_leaves_does_not_end_it_for_the_others() -> None:
    """Not even the one that came first; and an error that nobody waits for is no trouble."""
    kitchen = Kitchen()
    kitchen.open.clear()
    first, second = asyncio.create_task(kitchen.get("a")), asyncio.create_task(kitchen.get("a"))
    lonely = asyncio.create_task(kitchen.get("bad"))
    await asyncio.sleep(0)
    first.cancel()
    lonely.cancel()
    kitchen.open.set()
    assert await second == "a" * 10
    assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], asyncio.CancelledError)
    assert isinstance((await asyncio.gather(lonely, return_exceptions=True))[0], asyncio.CancelledError)


async def test_closing_ends_the_making() -> None:
    """Those who wait are told, and what was kept is gone."""
    kitchen = Kitchen()
    await kitchen.get("a")
    kitchen.open.clear()
    waiting = [asyncio.create_task(kitchen.get("b")) for _ in range(2)]
    await asyncio.sleep(0)
    await kitchen.burst.close()
    await kitchen.burst.close()
    for task in waiting:
        with pytest.raises(Closed):
            await task
    kitchen.open.set()
    assert await kitchen.get("a") == "a" * 10
    assert await kitchen.get("b") == "b" * 10
    assert kitchen.made.count("a") == 2

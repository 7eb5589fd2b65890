"""Handsets: what they show, what is kept for them, who waits."""

import asyncio
from functools import partial

import pytest
from msgspec.structs import replace

from support.network import HANDSET, quiet, row
from trebuchet.simulator import handsets as module
from trebuchet.simulator.handsets import Coverage, Handsets, Memory, Power, Summary, TooMany

pytestmark = pytest.mark.anyio

OTHER = "+19195551235"


def shown(handsets: Handsets, number: str = HANDSET, **filters: str) -> list[str]:
    return [message.text for message in handsets.messages(number, **filters)]


async def test_messages_are_shown_in_order() -> None:
    """Each handset has its own messages, oldest first."""
    handsets = Handsets()
    for number, (handset, text) in enumerate([(HANDSET, "a"), (OTHER, "b"), (HANDSET, "c")]):
        handsets.show(row(number, handset, text))
    assert shown(handsets) == ["a", "c"]
    assert shown(handsets, OTHER) == ["b"]
    assert shown(handsets, "+19195550000") == []


@pytest.mark.parametrize(
    ("filters", "texts"),
    [
        ({}, ["one", "two", "three"]),
        ({"contains": "t"}, ["two", "three"]),
        ({"contains": "T"}, []),
        ({"since": row(0).network_id}, ["two", "three"]),
        ({"since": row(2).network_id}, []),
        ({"since": row(1).network_id, "contains": "e"}, ["three"]),
        ({"since": row(-5).network_id}, ["one", "two", "three"]),
        ({"since": "9"}, []),
    ],
)
async def test_messages_are_filtered(filters: dict[str, str], texts: list[str]) -> None:
    """By a part of the text, and by the message after which they came, whether it is still there or not."""
    handsets = Handsets()
    for number, text in enumerate(["one", "two", "three"]):
        handsets.show(row(number, text=text))
    assert shown(handsets, **filters) == texts


async def test_the_newest_group_message_is_known() -> None:
    """Whatever came after it for the handset alone; without any there is none."""
    handsets = Handsets()
    assert handsets.last_group(HANDSET) is None
    for number, participants in enumerate([(), (HANDSET, "+1"), (HANDSET, "+2"), ()]):
        handsets.show(replace(row(number), participants=participants))
    newest = handsets.last_group(HANDSET)
    assert newest is not None
    assert newest.participants == (HANDSET, "+2")
    handsets.clear(HANDSET)
    assert handsets.last_group(HANDSET) is None


async def test_since_goes_by_arrival_within_a_millisecond() -> None:
    """Ids of one millisecond are in no order; what came after is told by its place."""
    handsets = Handsets()
    first, second = (replace(row(text=text), network_id=f"{row().network_id[:13]}{text}") for text in "zx")
    handsets.show(first)
    handsets.show(second)
    assert shown(handsets, since=first.network_id) == ["x"]
    assert shown(handsets, since=second.network_id) == []


async def test_a_handset_keeps_its_newest_messages() -> None:
    """Beyond the bound of one handset its oldest message is forgotten."""
    handsets = Handsets()
    for number in range(module.MESSAGES_PER_HANDSET + 2):
        handsets.show(row(number, text=str(number)))
    texts = shown(handsets)
    assert (len(texts), texts[0]) == (module.MESSAGES_PER_HANDSET, "2")


async def test_all_handsets_keep_the_newest_messages() -> None:
    """Beyond the bound of all handsets the oldest message of all is forgotten, and its handset with it."""
    handsets = Handsets()
    for number in range(module.MESSAGES_MAX + 1):
        handsets.show(row(number, f"+1{number:010d}"))
    summaries = handsets.list()
    assert len(summaries) == module.MESSAGES_MAX
    assert summaries[0].number == "+10000000001"


async def test_a_forgotten_message_of_an_emptied_handset_is_counted_once() -> None:
    """Clearing and dropping do not disturb each other's counts."""
    handsets = Handsets()
    handsets.show(row(0))
    handsets.clear(HANDSET)
    for number in range(1, module.MESSAGES_MAX + 2):
        handsets.show(row(number, f"+1{number % 20:010d}"))
    assert sum(summary.messages for summary in handsets.list()) == module.MESSAGES_MAX


async def test_any_number_has_a_handset() -> None:
    """One that nothing is known of is on, has free memory, shows nothing, and is not listed."""
    handsets = Handsets()
    assert handsets.summary(HANDSET) == Summary(HANDSET, Power.ON, Memory.FREE, 0, 0)
    assert handsets.list() == []


async def test_a_handset_is_changed_one_property_at_a_time() -> None:
    """What is not named stays; a handset that is back in its first state is forgotten."""
    handsets = Handsets()
    assert handsets.change(HANDSET, None, Memory.FULL) == Summary(HANDSET, Power.ON, Memory.FULL, 0, 0)
    assert handsets.change(HANDSET, Power.OFF, None) == Summary(HANDSET, Power.OFF, Memory.FULL, 0, 0)
    handsets.change(HANDSET, Power.ON, Memory.FREE)
    assert handsets.list() == []


async def test_what_is_held_arrives_when_the_handset_is_switched_on() -> None:
    """In the order in which it came; switching on twice changes nothing."""
    handsets, arrived = Handsets(), list[str]()
    handsets.change(HANDSET, Power.OFF, None)
    handset = handsets.find(HANDSET)
    assert handset is not None
    for text in ("a", "b"):
        assert handsets.hold(handset, partial(arrived.append, text))
    assert handsets.summary(HANDSET).held == 2
    handsets.change(HANDSET, Power.ON, None)
    handsets.change(HANDSET, Power.ON, None)
    assert arrived == ["a", "b"]


async def test_what_is_held_is_bounded() -> None:
    """One handset and all handsets together hold only so many messages; released ones make room."""
    handsets = Handsets()
    count = 0
    numbers = [f"+1919555{n:04d}" for n in range(module.HELD_MAX // module.MESSAGES_PER_HANDSET + 1)]
    for number in numbers:
        handsets.change(number, Power.OFF, None)
        handset = handsets.find(number)
        assert handset is not None
        while handsets.hold(handset, lambda: None):
            count += 1
    assert handsets.summary(numbers[0]).held == module.MESSAGES_PER_HANDSET
    assert count == module.HELD_MAX
    handsets.reset()
    handsets.change(HANDSET, Power.OFF, None)
    handset = handsets.find(HANDSET)
    assert handset is not None
    assert handsets.hold(handset, lambda: None)


async def test_changed_handsets_are_bounded() -> None:
    """Nobody fills the memory by switching numbers off."""
    handsets = Handsets()
    for number in range(module.HANDSETS_MAX):
        handsets.change(f"+1{number:010d}", Power.OFF, None)
    with pytest.raises(TooMany, match="reset"):
        handsets.change(HANDSET, Power.OFF, None)
    handsets.reset()
    handsets.change(HANDSET, Power.OFF, None)


async def test_a_reader_is_woken_by_its_message() -> None:
    """Whoever waits has the message as soon as it is shown, and is not woken by what does not match."""
    handsets = Handsets()
    reader = asyncio.create_task(handsets.read(HANDSET, 10, contains="code"))
    await quiet()
    handsets.show(row(0, OTHER, "code of another handset"))
    handsets.show(row(1, text="hello"))
    await quiet()
    assert not reader.done()
    handsets.show(row(2, text="your code"))
    assert [message.text for message in await reader] == ["your code"]


async def test_a_reader_has_at_once_what_is_there() -> None:
    """Nobody waits for a message that has come already."""
    handsets = Handsets()
    handsets.show(row())
    assert len(await handsets.read(HANDSET, 10)) == 1


async def test_a_reader_gives_up() -> None:
    """When the time is over there is nothing, and nothing is remembered of the handset."""
    handsets = Handsets()
    assert await handsets.read(HANDSET, 0.001) == ()
    assert handsets.list() == []


async def test_readers_are_bounded() -> None:
    """One more than may wait is refused, and may wait when another has gone."""
    handsets = Handsets()
    readers = [asyncio.create_task(handsets.read(HANDSET, 10)) for _ in range(module.WAITERS_MAX)]
    await quiet()
    with pytest.raises(TooMany, match="wait"):
        await handsets.read(HANDSET, 10)
    readers[0].cancel()
    await asyncio.gather(readers[0], return_exceptions=True)
    late = asyncio.create_task(handsets.read(HANDSET, 10))
    await quiet()
    handsets.show(row())
    assert all(len(found) == 1 for found in await asyncio.gather(late, *readers[1:]))


async def test_reset_forgets_everything() -> None:
    """Afterwards every handset is as new."""
    handsets = Handsets()
    handsets.show(row())
    handsets.change(HANDSET, Power.OFF, Memory.FULL)
    handsets.change(OTHER, Power.OFF, None)
    handsets.reset()
    assert handsets.list() == []
    handsets.show(row())
    assert shown(handsets) == ["hello"]


# ---- coverage, and what is listed ----


@pytest.mark.parametrize(
    ("power", "coverage", "reachable"),
    [
        (Power.ON, Coverage.GOOD, True),
        (Power.OFF, Coverage.GOOD, False),
        (Power.ON, Coverage.LOST, False),
        (Power.OFF, Coverage.LOST, False),
    ],
)
async def test_what_is_held_arrives_when_the_handset_can_be_reached(
    power: Power, coverage: Coverage, reachable: bool
) -> None:
    """It must be both on and in coverage."""
    handsets = Handsets()
    handsets.change(HANDSET, Power.OFF, None, Coverage.LOST)
    handset = handsets.find(HANDSET)
    assert handset is not None
    arrived: list[str] = []
    assert handsets.hold(handset, lambda: arrived.append("a"))
    summary = handsets.change(HANDSET, power, None, coverage)
    assert (arrived, summary.held) == ((["a"], 0) if reachable else ([], 1))


async def test_a_handset_that_is_kept_is_listed_until_it_is_dropped() -> None:
    """With nothing on it; dropping it puts it back into its first state."""
    handsets = Handsets()
    handsets.keep(HANDSET)
    assert [each.number for each in handsets.list()] == [HANDSET]
    handsets.change(HANDSET, Power.OFF, Memory.FULL, Coverage.LOST)
    handsets.show(row(1))
    handsets.drop(HANDSET)
    assert (handsets.list(), handsets.find(HANDSET), len(handsets)) == ([], None, 0)
    handsets.drop(HANDSET)


async def test_the_foremost_are_those_that_are_kept_and_those_with_news() -> None:
    """In the order in which they came to be known, so that nothing on a screen changes places."""
    handsets = Handsets()
    for number in range(5):
        handsets.show(replace(row(number, f"+1202555000{number}"), at_ms=100 - number))
    handsets.keep("+12025550004")
    assert [each.number for each in handsets.foremost(3)] == ["+12025550000", "+12025550001", "+12025550004"]
    assert len(handsets.foremost(9)) == 5


async def test_the_newest_messages_are_the_last_ones() -> None:
    handsets = Handsets()
    for number, text in enumerate("abc"):
        handsets.show(row(number, text=text))
    assert [each.text for each in handsets.newest(HANDSET, 2)] == ["b", "c"]
    assert handsets.newest(OTHER, 2) == []


async def test_every_change_is_told() -> None:
    """Whatever makes a handset look different, and whose it is."""
    told: list[str] = []
    handsets = Handsets(told.append)
    handsets.show(row(1))
    handsets.change(OTHER, Power.OFF, None)
    handset = handsets.find(OTHER)
    assert handset is not None
    handsets.hold(handset, lambda: None)
    handsets.keep(HANDSET)
    handsets.clear(HANDSET)
    assert told == [HANDSET, OTHER, OTHER, HANDSET, HANDSET]

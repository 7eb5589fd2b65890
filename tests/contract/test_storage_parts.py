"""What every storage engine promises about the parts of long inbound messages."""

import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from contract.stories import CARRIER, FROM, HOUR, T0, TO, Engine, do, inbound, opened, write
from trebuchet.errors import StorageError
from trebuchet.model.parts import HeldPart, Holding, PartsKey, PartsTaken
from trebuchet.storage.base import Accept, DropParts, HoldPart, PartHeld, PartsGone, Store

pytestmark = pytest.mark.anyio

OTHER_KEYS: dict[str, Any] = {
    "carrier_id": "other",
    "source": "+19195550001",
    "destination": "+12025550100",
    "reference": 43,
    "width": 16,
    "total": 4,
}


def part(number: int, octets: bytes = b"text", total: int = 3, **fields: Any) -> HeldPart:
    """A part of the message under reference 42, one millisecond after the one before it."""
    plain = HeldPart(CARRIER, TO, FROM, 42, 8, total, number, "GSM-7", octets, 0, T0 + number, f"c-{number}")
    return replace(plain, **fields)


def hold(of: HeldPart) -> HoldPart:
    """References are used again after half an hour."""
    return HoldPart(of, of.received_ms - HOUR // 2)


async def held(store: Store, of: HeldPart) -> PartHeld:
    result = await do(store, hold(of))
    assert isinstance(result, PartHeld)
    return result


def made_of(parts: list[HeldPart], number: int = 0) -> Accept:
    """The message that parts make."""
    return replace(inbound(number), parts=PartsTaken(parts[0].key, len(parts)))


async def all_held(store: Store) -> list[HeldPart]:
    return [part for parts in await store.stale_parts(T0 + 1000 * HOUR, 1000) for part in parts]


# ---- holding ----


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_set_is_complete_with_its_last_part(
    engine: Engine, order: tuple[int, ...], restarted: bool
) -> None:
    """Whatever the order and whatever happened in between; its parts come back by number, as they were."""
    octets = {1: bytes(range(256)), 2: b"", 3: "два".encode("utf_16_be")}
    parts = {n: part(n, octets[n], encoding="UCS-2", single_shift=n, received_ms=T0 + n) for n in (1, 2, 3)}
    async with opened(engine) as store:
        for place, number in enumerate(order[:2], 1):
            assert await held(store, parts[number]) == PartHeld(Holding.HELD, [], place)
        if not restarted:
            assert await held(store, parts[order[2]]) == whole(parts)
    if restarted:
        async with opened(engine) as store:
            assert await held(store, parts[order[2]]) == whole(parts)


def whole(parts: dict[int, HeldPart]) -> PartHeld:
    return PartHeld(Holding.COMPLETE, [parts[1], parts[2], parts[3]], 3)


async def test_parts_of_one_batch_find_each_other(store: Store) -> None:
    """The last of them completes the set."""
    results = await write(store, *[hold(part(n)) for n in (2, 3, 1)])
    assert [r.holding for r in results] == [Holding.HELD, Holding.HELD, Holding.COMPLETE]
    assert results[2].parts == [part(1), part(2), part(3)]


async def test_a_part_that_is_repeated_changes_nothing(store: Store) -> None:
    """The first is kept; with a whole set the repeat is told so, in case the message was not stored then."""
    again = part(1, received_ms=T0 + 99, carrier_message_id="c-99")
    await held(store, part(1))
    assert await held(store, again) == PartHeld(Holding.HELD, [], 1)
    await held(store, part(2))
    await held(store, part(3))
    assert await held(store, again) == PartHeld(Holding.COMPLETE, [part(1), part(2), part(3)], 3)
    assert await write(store, hold(again), hold(again)) == [await held(store, again)] * 2


@pytest.mark.parametrize("field", OTHER_KEYS)
async def test_what_differs_in_its_key_is_another_message(store: Store, field: str) -> None:
    """Carrier, numbers, reference, its width and the total: each alone."""
    other = replace(part(3), **{field: OTHER_KEYS[field]})
    await write(store, hold(part(1)), hold(part(2)))
    assert await held(store, other) == PartHeld(Holding.HELD, [], 3)
    assert (await held(store, part(3))).parts == [part(1), part(2), part(3)]


@pytest.mark.parametrize("together", [True, False])
async def test_another_part_of_the_same_number_is_not_held(store: Store, together: bool) -> None:
    """Two messages under one reference at once: the set stays that of the first."""
    other = part(1, b"other", received_ms=T0 + HOUR // 2)
    if together:
        (_, result) = await write(store, hold(part(1)), hold(other))
    else:
        await held(store, part(1))
        result = await held(store, other)
    assert result == PartHeld(Holding.ALONE, [], 1)
    await held(store, part(2))
    assert (await held(store, part(3))).parts == [part(1), part(2), part(3)]


async def test_an_old_set_is_in_the_way_of_a_new_message(store: Store) -> None:
    """It is shown, so that it can be handed over; then the new part is held."""
    late = part(2, b"later", received_ms=T0 + HOUR // 2 + 1)
    new = part(2, b"new", received_ms=T0 + HOUR)
    await write(store, hold(part(1)), hold(late))
    result = await held(store, new)
    assert result == PartHeld(Holding.IN_THE_WAY, [part(1), late], 2)
    assert await do(store, made_of([part(1), late])) is None
    assert await held(store, new) == PartHeld(Holding.HELD, [], 1)


async def test_a_whole_set_is_in_the_way_at_any_age(store: Store) -> None:
    """Its message is about to be stored: the next one under its reference waits for that."""
    await write(store, *[hold(part(n)) for n in (1, 2, 3)])
    result = await held(store, part(2, b"new"))
    assert result == PartHeld(Holding.IN_THE_WAY, [part(1), part(2), part(3)], 3)


async def test_a_part_that_cannot_be_stored_is_answered_and_disturbs_no_other(store: Store) -> None:
    """Octets and numbers of outside are data, whatever is in them; what is no text at all is an error."""
    good, broken = await write(store, hold(part(1, source="'); --")), hold(part(2, source="\ud800")))
    assert good.holding is Holding.HELD
    assert isinstance(broken, StorageError)
    assert await all_held(store) == [part(1, source="'); --")]


# ---- messages made of parts ----


async def test_a_message_takes_its_parts_along(store: Store) -> None:
    """In one transaction; parts of others stay."""
    other = part(1, reference=43)
    await write(store, hold(other), *[hold(part(n)) for n in (1, 2, 3)])
    change = made_of([part(1), part(2), part(3)])
    assert await do(store, change) is None
    assert await store.life(change.message.id) is not None
    assert await all_held(store) == [other]


async def test_of_two_messages_of_the_same_parts_one_is_stored(store: Store) -> None:
    """Whoever comes second is told so, in the same batch or later, and leaves nothing."""
    parts = [part(n) for n in (1, 2, 3)]
    await write(store, *map(hold, parts))
    first, second, third = (made_of(parts, number) for number in range(3))
    assert await write(store, first, second) == [None, PartsGone()]
    assert await do(store, third) == PartsGone()
    found = [await store.life(change.message.id) for change in (first, second, third)]
    assert [life is not None for life in found] == [True, False, False]
    assert len(await store.due_callbacks(first.message.application_id, T0 + HOUR, (0, ""), 10)) == 1


@pytest.mark.parametrize("together", [True, False])
async def test_a_message_is_not_stored_when_more_of_its_parts_have_come(store: Store, together: bool) -> None:
    """It would be handed over unfinished although nothing is missing: the part that came completes it."""
    early = [part(1), part(2)]
    await write(store, *map(hold, early))
    unfinished = made_of(early)
    if together:
        gone, last = await write(store, unfinished, hold(part(3)))
    else:
        last = await held(store, part(3))
        gone = await do(store, unfinished)
    assert (gone, last.holding) == (PartsGone(), Holding.COMPLETE)
    assert await do(store, made_of(list(last.parts), 1)) is None
    assert await all_held(store) == []


async def test_unfinished_and_whole_message_in_one_batch(store: Store) -> None:
    """Only the one that is made of all that is there is stored."""
    parts = [part(n) for n in (1, 2, 3)]
    await write(store, *map(hold, parts))
    assert await write(store, made_of(parts[:2], 1), made_of(parts, 2)) == [PartsGone(), None]
    assert await store.life(made_of(parts, 2).message.id) is not None


async def test_a_message_that_cannot_be_stored_leaves_its_parts(store: Store) -> None:
    """They are deleted with it or not at all."""
    parts = [part(n) for n in (1, 2, 3)]
    change = made_of(parts)
    await write(store, *map(hold, parts))
    (error,) = await write(store, replace(change, deliveries=[*change.deliveries, *change.deliveries]))
    assert isinstance(error, StorageError)
    assert await all_held(store) == parts


async def test_parts_for_nobody_are_dropped(store: Store) -> None:
    """Those that were seen; if more have come in the meantime, nothing is."""
    await write(store, hold(part(1)), hold(part(2)))
    key: PartsKey = part(1).key
    await do(store, DropParts(PartsTaken(key, 1)))
    assert len(await all_held(store)) == 2
    await do(store, DropParts(PartsTaken(key, 2)))
    assert await all_held(store) == []


# ---- sets that a sweep looks for ----


async def test_whole_sets_are_found(store: Store) -> None:
    """After a crash between the last part and the message; at most so many at a time."""
    first, second = [part(n) for n in (1, 2, 3)], [part(n, reference=43) for n in (1, 2, 3)]
    await write(store, *map(hold, [*first, *second]), hold(part(1, reference=44)))
    assert await store.complete_parts(10) == [first, second]
    assert len(await store.complete_parts(1)) == 1


async def test_sets_are_found_by_the_age_of_their_first_part(store: Store) -> None:
    """The oldest first, whole or not, each with all its parts; at most so many at a time."""
    old = [part(1, reference=45, received_ms=T0 + 50), part(2, reference=45, received_ms=T0 + 10)]
    older = [part(3, reference=44, received_ms=T0 + 5)]
    young = [part(2, reference=43, received_ms=T0 + 20)]
    await write(store, *map(hold, [*old, *older, *young]))
    assert await store.stale_parts(T0 + 20, 10) == [older, old]
    assert await store.stale_parts(T0 + 21, 10) == [older, old, young]
    assert await store.stale_parts(T0 + 20, 1) == [older]
    assert await store.stale_parts(T0 + 5, 10) == []

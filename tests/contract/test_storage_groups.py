"""What every storage engine promises about work rows that stand for several recipients: one row per carrier."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.stories import (
    CARRIER,
    DAY,
    T0,
    deliveries,
    do,
    event_types,
    key,
    message,
    refused,
    replace_lane,
    taken,
    write,
)
from trebuchet.model.events import EventType
from trebuchet.model.message import GROUP, MEDIA_LANE, Kind, Message, WorkItem, first_of_group, group
from trebuchet.model.status import State
from trebuchet.storage.base import Accept, Claim, DueWork, ExpireWork, MessageQuery, Settle, Store

pytestmark = pytest.mark.anyio

LATER = T0 + 10 * DAY
START = (0, "", -100)
NUMBERS = tuple(f"+1919555{number:04d}" for number in range(5))
# Recipients 0, 2 and 4 go by one carrier, 1 and 3 by another.
LANES = ("one/0", "two/0", "one/0", "two/0", "one/0")


def pictures(number: int = 0) -> Message:
    return message(number, destinations=NUMBERS, kind=Kind.MMS)


def accepted(of: Message, lanes: tuple[str, str] = ("one/0", "two/0")) -> Accept:
    """One row for each of the two carriers."""
    work = [
        WorkItem(lane, of.received_ms, of.id, group(first), 0, of.valid_until_ms)
        for lane, first in zip(lanes, (0, 1), strict=True)
    ]
    each = [replace_lane(d, lane) for d, lane in zip(deliveries(of), LANES, strict=True)]
    return Accept(of, each, work)


def recipients(rows: list[DueWork]) -> list[list[int]]:
    return [[d.recipient for d in row.deliveries] for row in rows]


async def states(store: Store, of: Message) -> list[State]:
    found = await store.life(of.id)
    assert found is not None
    return [d.state for d in found.deliveries]


@given(st.integers(min_value=0, max_value=1000))
def test_a_row_for_several_is_named_after_the_first(first: int) -> None:
    """By a number that no recipient has."""
    assert group(first) < 0
    assert first_of_group(group(first)) == first
    assert first_of_group(first) is None
    assert group(0) == GROUP


async def test_a_row_stands_for_the_recipients_of_its_carrier(store: Store) -> None:
    """Each of the two rows brings its own."""
    await do(store, accepted(pictures()))
    assert recipients(await store.due_work("one/0", LATER, START, 10)) == [[0, 2, 4]]
    assert recipients(await store.due_work("two/0", LATER, START, 10)) == [[1, 3]]


async def test_rows_of_several_carriers_wait_in_one_lane(store: Store) -> None:
    """In that of media, before they come to those of their carriers."""
    of = pictures()
    await do(store, accepted(of, (MEDIA_LANE, MEDIA_LANE)))
    rows = await store.due_work(MEDIA_LANE, LATER, START, 10)
    assert [row.item.recipient for row in rows] == [group(1), group(0)]
    assert recipients(rows) == [[1, 3], [0, 2, 4]]
    after = (rows[0].item.due_ms, of.id, rows[0].item.recipient)
    assert recipients(await store.due_work(MEDIA_LANE, LATER, after, 10)) == [[0, 2, 4]], "the rest of a page"


async def test_only_those_that_are_queued_are_in_a_row(store: Store) -> None:
    """Also if the one that the row is named after was refused at intake."""
    change = accepted(pictures())
    for place in (0, 3):
        change.deliveries[place].state = State.FAILED
    await do(store, change)
    assert recipients(await store.due_work("one/0", LATER, START, 10)) == [[2, 4]]
    assert recipients(await store.due_work("two/0", LATER, START, 10)) == [[1]]


async def test_a_row_is_claimed_for_all_that_are_in_it(store: Store) -> None:
    """Those of the other carrier wait on; the claimed ones are shown as being submitted."""
    of = pictures()
    await do(store, accepted(of))
    assert await do(store, Claim([key(of, group(1))], T0)) == [key(of, group(1))]
    assert recipients(await store.claimed_work("two/0", 10)) == [[1, 3]]
    assert await store.claimed_work("one/0", 10) == []
    assert recipients(await store.due_work("one/0", LATER, START, 10)) == [[0, 2, 4]]
    found = await store.life(of.id)
    assert found is not None
    assert found.claimed == [1, 3]
    page = await store.search(MessageQuery(message_id=of.id, states=("SENDING",)))
    assert sorted(row.delivery.recipient for row in page.rows) == [1, 3]


async def test_settling_one_row_leaves_the_other(store: Store) -> None:
    """Each carrier has its own outcome."""
    of = pictures()
    await do(store, accepted(of))
    outcomes = [refused(of, recipient) for recipient in (1, 3)]
    settled = await do(store, merged(of, group(1), outcomes))
    assert event_types(settled.announcements) == [EventType.FAILED] * 2
    assert await store.queued() == 1
    assert recipients(await store.due_work("one/0", LATER, START, 10)) == [[0, 2, 4]]
    await do(store, merged(of, group(0), [taken(of, f"c-{r}", recipient=r) for r in (0, 2, 4)]))
    assert await store.queued() == 0
    expected = [State.SENT, State.FAILED, State.SENT, State.FAILED, State.SENT]
    assert await states(store, of) == expected


async def test_a_row_that_is_put_back_keeps_its_recipients(store: Store) -> None:
    """In another lane of the same carrier, too; one that has failed meanwhile is not in it any more."""
    of = pictures()
    await do(store, accepted(of))
    back = WorkItem("one/1", T0 + 60_000, of.id, group(0), 1, of.valid_until_ms)
    failed = refused(of, 2)
    await do(store, Settle(key(of, group(0)), failed.deliveries, announcements=(), requeue=back))
    assert await store.due_work("one/0", LATER, START, 10) == []
    assert recipients(await store.due_work("one/1", LATER, START, 10)) == [[0, 4]]


async def test_a_row_expires_with_those_that_are_in_it(store: Store) -> None:
    """One event each; those of the other carrier, which has its row already, keep their state."""
    of = pictures()
    await do(store, accepted(of))
    await do(store, Claim([key(of, group(1))], T0))
    expired = await do(store, ExpireWork(LATER, 10))
    assert list(expired.keys) == [key(of, group(0))]
    assert sorted(a.event.recipient for a in expired.announcements) == [0, 2, 4]
    failed, queued = State.FAILED, State.QUEUED
    assert await states(store, of) == [failed, queued, failed, queued, failed]


async def test_rows_of_one_and_of_several_live_side_by_side(store: Store) -> None:
    """A message to one recipient, and a group whose row is named after its first recipient."""
    single, of = message(1), pictures(2)
    alone = WorkItem("one/0", single.received_ms, single.id, 0, 0, single.valid_until_ms)
    each = [replace_lane(d, "one/0") for d in deliveries(single)]
    await write(store, Accept(single, each, [alone]), accepted(of))
    assert recipients(await store.due_work("one/0", LATER, START, 10)) == [[0], [0, 2, 4]]


async def test_a_group_of_one_carrier_has_one_row(store: Store) -> None:
    """It stands for all of them."""
    of = pictures()
    row = WorkItem("one/0", of.received_ms, of.id, GROUP, 0, of.valid_until_ms)
    await do(store, Accept(of, deliveries(of), [row]))
    assert {d.carrier_id for d in deliveries(of)} == {CARRIER}
    assert recipients(await store.due_work("one/0", LATER, START, 10)) == [[0, 1, 2, 3, 4]]


def merged(of: Message, recipient: int, outcomes: Sequence[Settle]) -> Settle:
    """The outcomes of several recipients, which one row stood for."""
    return Settle(
        key(of, recipient),
        [d for each in outcomes for d in each.deliveries],
        [s for each in outcomes for s in each.segments],
        [a for each in outcomes for a in each.announcements],
        [x for each in outcomes for x in each.exchanges],
    )

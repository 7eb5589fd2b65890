"""What every engine promises to nodes that share it: leases, fences, and what two of them may leave behind."""

import pytest
from msgspec.structs import replace

from contract.stories import (
    HOUR,
    LANE,
    T0,
    attempt,
    do,
    event_types,
    key,
    message,
    outbound,
    receipt,
    taken,
    write,
)
from trebuchet.errors import LeaseLost
from trebuchet.model.account import Account
from trebuchet.model.events import EventType, event_id
from trebuchet.model.nodes import Node
from trebuchet.model.receipt import ReceiptState
from trebuchet.storage.base import (
    Change,
    Claim,
    Create,
    Fence,
    Heartbeat,
    Leave,
    Pulse,
    RecheckParked,
    RecordReceipt,
    Remove,
    SettleCallback,
    Store,
)

pytestmark = pytest.mark.anyio

LEASE_MS = 60_000
OVER = -1  # a lease that ends before it begins


def node(name: str) -> Node:
    return Node(f"id-{name}", name, f"http://{name}", ("api", "carriers"), "0.1.0", T0)


async def beat(store: Store, name: str, *take: str, lease_ms: int = LEASE_MS, **more: object) -> Pulse:
    pulse: Pulse = await do(store, Heartbeat(node(name), lease_ms, take=take, **more))  # type: ignore[arg-type]
    return pulse


def owned(pulse: Pulse, name: str) -> dict[str, int]:
    """The lanes of a node, with their epochs."""
    return {lease.lane: lease.epoch for lease in pulse.leases if lease.node == f"id-{name}"}


# ---- leases ----


async def test_a_free_lane_is_whose_who_takes_it(store: Store) -> None:
    """Its first owner is epoch 1; its lease ends by the database's clock."""
    pulse = await beat(store, "one", "a", "b")
    assert owned(pulse, "one") == {"a": 1, "b": 1}
    assert all(lease.until_ms == pytest.approx(pulse.now_ms + LEASE_MS, abs=1000) for lease in pulse.leases)
    assert [n.name for n in pulse.nodes] == ["one"]
    assert pulse.nodes[0].roles == ("api", "carriers")


async def test_a_lane_has_one_owner(store: Store) -> None:
    """Who asks for another's gets nothing of it."""
    await beat(store, "one", "a")
    pulse = await beat(store, "two", "a", "b")
    assert owned(pulse, "one") == {"a": 1}
    assert owned(pulse, "two") == {"b": 1}


async def test_a_lane_whose_lease_has_ended_may_be_taken(store: Store) -> None:
    """The epoch counts its owners, also when the former one is still there."""
    await beat(store, "one", "a", lease_ms=OVER)
    assert owned(await beat(store, "two", "a"), "two") == {"a": 2}
    pulse = await beat(store, "one", keep=[Fence("a", 1)])
    assert owned(pulse, "one") == {}


async def test_a_lease_that_is_kept_goes_on(store: Store) -> None:
    """Also one that has ended and that nobody has taken: the epoch stays."""
    before = await beat(store, "one", "a", lease_ms=OVER)
    after = await beat(store, "one", keep=[Fence("a", 1)])
    assert owned(after, "one") == {"a": 1}
    assert after.leases[0].until_ms > before.leases[0].until_ms
    assert owned(await beat(store, "two", "a"), "two") == {}


async def test_a_lease_that_is_released_is_free_at_once(store: Store) -> None:
    """With the epoch that it was held under, and no other."""
    await beat(store, "one", "a", "b")
    await beat(store, "one", release=[Fence("a", 1), Fence("b", 7)])
    assert owned(await beat(store, "two", "a", "b"), "two") == {"a": 2}


async def test_a_node_that_leaves_owns_nothing(store: Store) -> None:
    """And is listed no more."""
    await beat(store, "one", "a", "b")
    await do(store, Leave("id-one"))
    pulse = await beat(store, "two", "a")
    assert owned(pulse, "two") == {"a": 2}
    assert owned(pulse, "one") == {}
    assert [n.name for n in pulse.nodes] == ["two"]


async def test_a_change_of_records_is_counted(store: Store) -> None:
    """So that every node reads them again; what failed is not counted."""
    before = (await beat(store, "one")).directory
    await write(store, Create(Account(id="u-1")))
    await write(store, Change(Account(id="u-1", name="new")))
    await write(store, Remove(Account(id="u-1")))
    await write(store, Remove(Account(id="u-1")))
    assert (await beat(store, "one")).directory == before + 3


# ---- fences ----


async def test_what_a_former_owner_stores_is_refused(store: Store) -> None:
    """Each change of a lane that has a newer epoch, or none, is answered LeaseLost; the rest of its batch is done."""
    first, second, third = message(1), message(2), message(3)
    await write(store, outbound(first), outbound(second))
    await beat(store, "one", LANE, lease_ms=OVER)
    await beat(store, "two", LANE)
    old = Fence(LANE, 1)
    results = await write(
        store,
        Claim([key(first)], T0, old),
        replace(taken(second, "c-2"), fence=old),
        SettleCallback(event_id(first.id, 0, EventType.DELIVERED), attempt("e"), fence=old),
        replace(outbound(third), fences=[old]),
        Claim([key(second)], T0, Fence("nobody", 1)),
        outbound(message(4)),
    )
    assert [type(result) for result in results] == [LeaseLost] * 5 + [type(None)]
    assert await store.claimed_work(LANE, 10) == []
    assert await store.queued() == 3
    assert await store.life(third.id) is None


async def test_what_the_owner_stores_is_done(store: Store) -> None:
    """With the current epoch."""
    of = message()
    await beat(store, "one", LANE)
    fence = Fence(LANE, 1)
    stored, claimed = await write(store, replace(outbound(of), fences=[fence]), Claim([key(of)], T0, fence))
    assert (stored, claimed) == (None, [key(of)])
    settled = await do(store, replace(taken(of, "c-1"), fence=fence))
    assert settled.announcements == []
    assert await store.queued() == 0


# ---- what two nodes may leave behind ----


async def test_a_receipt_that_was_parked_beside_its_segment_is_matched(store: Store) -> None:
    """By a second look at what came of late; what is older, or nobody's, stays parked."""
    of = message()
    await write(store, outbound(of), RecordReceipt(receipt("c-1", at_ms=T0 + 5)))
    await write(store, RecordReceipt(receipt("strange", at_ms=T0 + 6)))
    rechecked = await do(store, RecheckParked(T0, 10))
    assert (rechecked.examined, rechecked.matched) == (2, 0)
    assert len(await store.unmatched_receipts(10)) == 2
    assert (await do(store, RecheckParked(T0 + HOUR, 10))).examined == 0
    settled = await do(store, taken(of, "c-1"))
    assert event_types(settled.announcements) == [EventType.DELIVERED]
    assert [r.carrier_message_id for r in await store.unmatched_receipts(10)] == ["strange"]
    assert (await do(store, RecheckParked(T0, 10))).examined == 1


async def test_a_second_look_changes_nothing_twice(store: Store) -> None:
    """The same receipt again is one event."""
    of = message()
    await write(store, outbound(of), taken(of, "c-1"))
    assert (await do(store, RecordReceipt(receipt("c-1")))).matched
    await do(store, RecordReceipt(receipt("c-1", ReceiptState.UNDELIVERABLE)))
    assert (await do(store, RecheckParked(T0, 10))).announcements == []


async def test_only_an_engine_that_is_shared_counts_what_is_dead(store: Store) -> None:
    """Queues are named, or nothing is."""
    assert (await store.dead_rows()).keys() <= {"outbox", "callbacks"}

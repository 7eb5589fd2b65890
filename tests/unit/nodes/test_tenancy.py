"""The leases of one node, over a real table: what is held until when, and what ends before it is given up."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from trebuchet.errors import StorageUnavailable
from trebuchet.model.nodes import Node
from trebuchet.nodes.tenancy import FOREVER, Tenancy
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import Fence, Heartbeat, Pulse
from trebuchet.storage.sqlite.engine import SqliteStore
from trebuchet.telemetry import Telemetry

pytestmark = pytest.mark.anyio

LEASE_S = 10.0
ROLE = "carriers"


class Part:
    """One node, whose time stands still until it is moved."""

    def __init__(self, name: str, committer: Committer, lanes: list[str]) -> None:
        self.now_s = 1000.0
        self.lanes = lanes
        self.held_when_told: list[set[str]] = []
        self.hints: list[str] = []
        self.done = asyncio.Event()
        self.done.set()
        self.tenancy = Tenancy(
            Node(name, name, "", (ROLE,), "", 0),
            committer=committer,
            lease_s=LEASE_S,
            now_s=lambda: self.now_s,
            wanted=lambda: {ROLE: self.lanes},
            changed=self._changed,
            hint=self.hints.extend,
            telemetry=Telemetry(),
        )

    async def _changed(self, _: Pulse) -> None:
        self.held_when_told.append(self.held())
        await self.done.wait()

    def held(self) -> set[str]:
        return {lane for lane in self.lanes if self.tenancy.tenure(lane) is not None}

    async def until_followed(self) -> None:
        """Wait until `changed` has been told of what is held now."""
        async with asyncio.timeout(10):
            while not self.held_when_told or self.held_when_told[-1] != self.held():
                await asyncio.sleep(0)

    async def until_idle(self) -> None:
        """Wait until no call of `changed` is under way or to come."""
        async with asyncio.timeout(10):
            while self.tenancy._changing is not None and not self.tenancy._changing.done():
                await asyncio.sleep(0)


@asynccontextmanager
async def table(folder: Path) -> AsyncIterator[Committer]:
    store = SqliteStore(str(folder / "trebuchet.sqlite3"))
    await store.open()
    committer = Committer(store, batch_max=100, observe=lambda _changes, _seconds: None)
    try:
        yield committer
    finally:
        await committer.close()
        await store.close()


async def settled(*parts: Part, rounds: int = 4) -> None:
    for _ in range(rounds):
        for part in parts:
            await part.tenancy.beat()
            await part.until_followed()


async def test_a_first_share_is_held_when_the_start_returns(tmp_path: Path) -> None:
    """With its fence, for as long as the lease less a margin."""
    async with table(tmp_path) as committer:
        part = Part("one", committer, ["a", "b"])
        await part.tenancy.start()
        tenure = part.tenancy.tenure("a")
        assert tenure is not None
        assert tenure.fence == Fence("a", 1)
        part.now_s += LEASE_S * 0.89
        assert tenure.held()
        part.now_s += LEASE_S * 0.02
        assert not tenure.held()
        assert part.tenancy.tenure("a") is None
        await part.tenancy.stop()


async def test_a_heartbeat_prolongs_what_is_held(tmp_path: Path) -> None:
    """Counted from before it was sent."""
    async with table(tmp_path) as committer:
        part = Part("one", committer, ["a"])
        await part.tenancy.start()
        tenure = part.tenancy.tenure("a")
        part.now_s += LEASE_S / 2
        await part.tenancy.beat()
        part.now_s += LEASE_S / 2
        assert part.tenancy.tenure("a") is tenure
        await part.tenancy.stop()


async def test_a_database_that_does_not_answer_ends_what_is_held(tmp_path: Path) -> None:
    """Nothing is prolonged by a heartbeat that failed."""
    async with table(tmp_path) as committer:
        part = Part("one", committer, ["a"])
        await part.tenancy.start()
        await committer.close()
        with pytest.raises(StorageUnavailable):
            await part.tenancy.beat()
        assert part.held() == {"a"}
        part.now_s += LEASE_S
        assert part.held() == set()
        await part.tenancy.stop()


async def test_two_nodes_share_and_the_first_lets_end_before_it_gives_up(tmp_path: Path) -> None:
    """What runs under a lease ends before anybody else can have it."""
    async with table(tmp_path) as committer:
        one, two = Part("one", committer, ["a", "b"]), Part("two", committer, ["a", "b"])
        await settled(one)
        assert one.held() == {"a", "b"}
        await one.until_idle()
        one.done.clear()  # what runs takes its time to end
        await two.tenancy.beat()
        await one.tenancy.beat()
        await one.until_followed()
        (kept,) = one.held()
        await settled(two)
        assert two.held() == set()
        one.done.set()
        await settled(one, two)
        assert one.held() == {kept}
        assert two.held() == {"a", "b"} - {kept}
        assert one.hints == ["leases"]
        await one.tenancy.stop()
        await two.tenancy.stop()


async def test_who_stops_leaves_everything(tmp_path: Path) -> None:
    """The other has it with its next heartbeats, and is told to look."""
    async with table(tmp_path) as committer:
        one, two = Part("one", committer, ["a", "b"]), Part("two", committer, ["a", "b"])
        await settled(one)
        await one.tenancy.stop()
        assert one.held() == set()
        assert one.hints == ["leases"]
        await settled(two)
        assert two.held() == {"a", "b"}
        await two.tenancy.stop()


async def test_a_lane_that_another_took_is_lost(tmp_path: Path) -> None:
    """Whatever this node's clock says."""
    async with table(tmp_path) as committer:
        part = Part("one", committer, ["a"])
        await settled(part)
        await committer.add(Heartbeat(part.tenancy.node, -1, keep=[Fence("a", 1)]))
        await committer.add(Heartbeat(Node("two", "two", "", (), "", 0), 60_000, take=["a"]))
        await part.tenancy.beat()
        assert part.held() == set()
        await part.tenancy.stop()


async def test_one_at_a_time_sets_up(tmp_path: Path) -> None:
    """The second waits until the first is done."""
    async with table(tmp_path) as committer:
        order: list[str] = []

        async def set_up(name: str, entered: asyncio.Event, leave: asyncio.Event) -> None:
            async with Part(name, committer, []).tenancy.alone("set-up"):
                order.append(f"{name} in")
                entered.set()
                await leave.wait()
                order.append(f"{name} out")

        entered: Sequence[asyncio.Event] = [asyncio.Event(), asyncio.Event()]
        leave: Sequence[asyncio.Event] = [asyncio.Event(), asyncio.Event()]
        first = asyncio.create_task(set_up("one", entered[0], leave[0]))
        await entered[0].wait()
        second = asyncio.create_task(set_up("two", entered[1], leave[1]))
        leave[0].set()
        leave[1].set()
        await asyncio.gather(first, second)
        assert order == ["one in", "one out", "two in", "two out"]


def test_a_lane_that_nobody_else_can_have_is_always_held() -> None:
    """As all are with SQLite."""
    assert FOREVER.held()
    assert FOREVER.fence is None

"""The leases of this node: taken, kept and given up in one heartbeat, and not relied upon for longer than is sure.

A lease is held from the answer of the heartbeat that took it until the moment at which it may have ended: counted, on
a clock that does not stop with the process, from before the last heartbeat that kept it was sent. A node that was
paused for longer than a lease finds when it wakes that it holds nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from msgspec.structs import replace

from trebuchet.errors import StorageError
from trebuchet.model.nodes import Node
from trebuchet.nodes.shares import share
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import Fence, Heartbeat, Leave, Pulse
from trebuchet.telemetry import Telemetry

LEASES: Final = "leases"  # hint: some were given up
_MARGIN: Final = 0.1  # of a lease: an owner is done before the next one may begin
_BEATS: Final = 4  # of a lease
_ASK_AGAIN_S: Final = 0.2


class Tenure:
    """One lease of this node, or a lane that nobody else can have (`FOREVER`)."""

    def __init__(self, fence: Fence | None, until_s: float, now_s: Callable[[], float]) -> None:
        self.fence = fence
        self.until_s = until_s
        self._now_s = now_s

    def held(self) -> bool:
        """Whether it is sure that nobody else owns the lane."""
        return self._now_s() < self.until_s


FOREVER = Tenure(None, float("inf"), lambda: 0.0)


class Tenancy:
    """`wanted` says what this node may own, by role; `changed` is awaited, one call at a time, whenever what it holds
    has changed and at each heartbeat. It returns when everything that is not held any more has ended.

    Lanes that are given up are kept until then. All calls in one event loop.
    """

    def __init__(
        self,
        node: Node,
        *,
        committer: Committer,
        lease_s: float,
        now_s: Callable[[], float],
        wanted: Callable[[], Mapping[str, Sequence[str]]],
        changed: Callable[[Pulse], Awaitable[None]],
        hint: Callable[[Sequence[str]], None],
        telemetry: Telemetry,
    ) -> None:
        self.node = node
        self._committer = committer
        self._lease_s = lease_s
        self._now_s = now_s
        self._wanted = wanted
        self._changed = changed
        self._hint = hint
        self._telemetry = telemetry
        self._held: dict[str, Tenure] = {}
        self._leaving: set[str] = set()  # given up, but what runs under them has not ended
        self._left: set[str] = set()  # to be released by the next heartbeat
        self._taking: tuple[str, ...] = ()
        self._closing = False
        self._unfollowed = False
        self._look = asyncio.Event()
        self._one = asyncio.Lock()
        self._beating: asyncio.Task[None] | None = None
        self._changing: asyncio.Task[None] | None = None
        self.pulse = Pulse(0, (), (), 0)

    def tenure(self, lane: str) -> Tenure | None:
        """The lease of a lane, while it is held and meant to stay."""
        tenure = self._held.get(lane)
        return tenure if tenure is not None and lane not in self._leaving and tenure.held() else None

    @property
    def held(self) -> int:
        """How many leases are held."""
        return sum(tenure.held() for tenure in self._held.values())

    def look(self) -> None:
        """Others may have given something up: beat now."""
        self._look.set()

    def serve_at(self, url: str) -> None:
        """Where this node answers, from the next heartbeat on."""
        self.node = replace(self.node, url=url)

    async def start(self) -> None:
        """Take a first share; what runs under it has begun when this returns. Raises StorageError."""
        await self.refresh()
        self._beating = asyncio.get_running_loop().create_task(self._beat_forever())

    async def close(self) -> None:
        """Take nothing more, and do not call `changed` again. What is held is kept until `stop`."""
        self._closing = True
        if self._changing is not None:
            await asyncio.gather(self._changing, return_exceptions=True)

    async def stop(self) -> None:
        """Everything that ran under a lease has ended: the lanes are anybody's."""
        await self.close()
        if self._beating is not None:
            beating, self._beating = self._beating, None
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        self._held.clear()
        try:
            await self._committer.add(Leave(self.node.id))
        except StorageError as error:
            self._telemetry.problem("leases_not_released", error=str(error))  # they end by themselves
        self._hint([LEASES])

    @asynccontextmanager
    async def alone(self, what: str) -> AsyncIterator[None]:
        """At most one node at a time is in a block of this name. Waits for its turn. Raises StorageError."""
        while True:
            pulse: Pulse = await self._committer.add(Heartbeat(self.node, self._lease_ms, take=(what,)))
            mine = [lease for lease in pulse.leases if lease.lane == what and lease.node == self.node.id]
            if mine:
                break
            await asyncio.sleep(_ASK_AGAIN_S)
        fence = Fence(what, mine[0].epoch)
        try:
            yield
        finally:
            await self._committer.add(Heartbeat(self.node, self._lease_ms, release=(fence,)))

    async def refresh(self) -> None:
        """What may be owned has changed: take a share of it now, and return when `changed` has been told."""
        await self.beat()
        if self._taking:
            await self.beat()
        while self._changing is not None and not self._changing.done():
            await asyncio.wait([self._changing])

    async def beat(self) -> None:
        """One heartbeat, and what follows from it. Raises StorageError if it could not be stored."""
        async with self._one:
            await self._beat()

    async def _beat(self) -> None:
        sent_s = self._now_s()
        release = [self._fence(lane) for lane in sorted(self._left)]
        keep = [self._fence(lane) for lane in sorted(self._held) if lane not in self._left]
        change = Heartbeat(self.node, self._lease_ms, keep, release, self._taking)
        pulse: Pulse = await self._committer.add(change)
        self._take_in(pulse, sent_s + self._lease_s * (1 - _MARGIN), {fence.lane for fence in release})
        if release:
            self._hint([LEASES])
        self._taking = ()
        if self._closing:
            return
        decided = share(self.node.id, self._wanted(), pulse, self._lease_ms)
        self._taking = decided.take
        self._leaving.update(lane for lane in decided.give_up if lane in self._held)
        self._change()
        if self._taking:
            self._look.set()

    def _take_in(self, pulse: Pulse, until_s: float, released: set[str]) -> None:
        self.pulse = pulse
        mine = {lease.lane: lease.epoch for lease in pulse.leases if lease.node == self.node.id}
        for lane in released:
            self._forget(lane)
        for lane, tenure in list(self._held.items()):
            assert tenure.fence is not None
            if mine.get(lane) == tenure.fence.epoch:
                tenure.until_s = until_s
            else:
                self._telemetry.problem("lease_lost", lane=lane)
                self._forget(lane)
        for lane in self._taking:
            if lane in mine and lane not in self._held:
                self._held[lane] = Tenure(Fence(lane, mine[lane]), until_s, self._now_s)

    def _forget(self, lane: str) -> None:
        self._held.pop(lane, None)
        self._leaving.discard(lane)
        self._left.discard(lane)

    def _fence(self, lane: str) -> Fence:
        fence = self._held[lane].fence
        assert fence is not None
        return fence

    async def _beat_forever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lease_s / _BEATS):
                    await self._look.wait()
            self._look.clear()
            try:
                await self.beat()
            except StorageError as error:
                self._telemetry.problem("heartbeat_failed", error=str(error))
                self._change()  # what has ended by now is let go
                await asyncio.sleep(_ASK_AGAIN_S)

    def _change(self) -> None:
        self._unfollowed = True
        if not self._closing and (self._changing is None or self._changing.done()):
            self._changing = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        while self._unfollowed and not self._closing:
            self._unfollowed = False
            leaving = set(self._leaving)
            try:
                await self._changed(self.pulse)
            except Exception as error:  # noqa: BLE001  # the next heartbeat tries again
                self._telemetry.problem("lanes_not_followed", error=repr(error))
                return
            # Only what was told of before is known to have ended.
            self._left |= leaving & self._leaving
            if self._left:
                self._look.set()

    @property
    def _lease_ms(self) -> int:
        return int(self._lease_s * 1000)

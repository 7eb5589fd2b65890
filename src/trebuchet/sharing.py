"""One process among several on one database: what it does when lanes become its own, or another's.

The leases are kept by `nodes.tenancy`. Here they are given to whoever works under them: the supervisor (links and their
lanes), the callbacks (shards of applications) and housekeeping, which one node does for all.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from trebuchet.admin.context import NodesView
from trebuchet.callbacks import deliver
from trebuchet.callbacks.deliver import Callbacks
from trebuchet.model.nodes import CALLBACKS, CARRIERS, SET_UP, Node
from trebuchet.nodes.shares import alive
from trebuchet.nodes.tenancy import LEASES, Tenancy, Tenure
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import Leave, Pulse, Store
from trebuchet.supervisor import WORK, Supervisor
from trebuchet.telemetry import Telemetry

HOUSEKEEPING: Final = "housekeeping"
DIRECTORY: Final = "directory"  # hint: provisioned records changed


class Sharing:
    """All calls in one event loop. `works_with` is called once, before `start`."""

    def __init__(
        self,
        node: Node,
        *,
        store: Store,
        committer: Committer,
        lease_s: float,
        now_s: Callable[[], float],
        telemetry: Telemetry,
    ) -> None:
        self._store = store
        self._committer = committer
        self._lease_ms = int(lease_s * 1000)
        self._telemetry = telemetry
        self._directory = 0  # the number of the records that are in memory
        self._shards: set[str] = set()  # with rows that were hinted at
        self._calling: asyncio.Task[None] | None = None
        self._tenancy = Tenancy(
            node,
            committer=committer,
            lease_s=lease_s,
            now_s=now_s,
            wanted=self._wanted,
            changed=self._changed,
            hint=store.hint,
            telemetry=telemetry,
        )

    def works_with(
        self,
        supervisor: Supervisor,
        callbacks: Callbacks,
        reload_directory: Callable[[], Awaitable[None]],
        recount: Callable[[], Awaitable[None]],
    ) -> None:
        """`reload_directory` reads the provisioned records again, `recount` how many rows are queued."""
        self._supervisor = supervisor
        self._callbacks = callbacks
        self._reload_directory = reload_directory
        self._recount = recount

    def tenure(self, lease: str) -> Tenure | None:
        """The lease, while this process has it."""
        return self._tenancy.tenure(lease)

    @asynccontextmanager
    async def setting_up(self) -> AsyncIterator[None]:
        """At most one process makes the first records. What this node owned before it was started again is given up.

        Raises StorageError.
        """
        await self._committer.add(Leave(self.node.id))
        async with self._tenancy.alone(SET_UP):
            yield

    def held(self) -> int:
        """How many leases this process has."""
        return self._tenancy.held

    def sharers(self, role: str) -> int:
        """How many processes with this role there are, this one included."""
        return max(1, len(alive(self.pulse, role, self._lease_ms)))

    @property
    def pulse(self) -> Pulse:
        """The nodes and what each owns, as of the last heartbeat."""
        return self._tenancy.pulse

    def view(self) -> NodesView:
        """For people to look at."""
        return NodesView(self.pulse, self.node.id, self._lease_ms, shared=True)

    @property
    def node(self) -> Node:
        return self._tenancy.node

    async def start(self, url: str) -> None:
        """Take a share of the lanes and begin with them. `url` is where this process answers. Raises StorageError."""
        self._tenancy.serve_at(url)
        self._store.listen(self._heard)
        await self._tenancy.start()
        self._directory = self.pulse.directory

    async def refresh(self) -> None:
        """Records were changed here: begin with what is new, as far as it is this process's. Raises StorageError."""
        self._store.hint([DIRECTORY])
        await self._tenancy.refresh()

    async def close(self) -> None:
        """Take nothing more; what runs under a lease may now be ended."""
        await self._tenancy.close()
        if self._calling is not None:
            await asyncio.gather(self._calling, return_exceptions=True)

    async def stop(self) -> None:
        """Everything has ended: the lanes are anybody's."""
        await self._tenancy.stop()

    def _wanted(self) -> Mapping[str, Sequence[str]]:
        roles = self.node.roles
        wanted: dict[str, Sequence[str]] = {}
        if CARRIERS in roles:
            wanted[CARRIERS] = self._supervisor.leases()
        if CALLBACKS in roles:
            wanted[CALLBACKS] = (*deliver.LEASES, HOUSEKEEPING)
        return wanted

    async def catch_up(self) -> None:
        """Know the records as another process may have changed them just now. Raises StorageUnavailable."""
        await self._follow_records(await self._store.directory_version())

    async def _follow_records(self, version: int) -> None:
        if version > self._directory:
            await self._reload_directory()
            self._directory = max(self._directory, version)

    async def _changed(self, pulse: Pulse) -> None:
        await self._follow_records(pulse.directory)
        await self._supervisor.follow_directory()
        self._supervisor.look()
        await self._callbacks.follow()
        await self._recount()

    def _heard(self, topic: str) -> None:
        if topic.startswith(WORK):
            self._supervisor.heard(topic.removeprefix(WORK))
        elif topic.startswith(deliver.CALLBACKS):
            self._shards.add(topic)
            if self._calling is None or self._calling.done():
                self._calling = asyncio.get_running_loop().create_task(self._call_back())
        elif topic in {LEASES, DIRECTORY}:
            self._tenancy.look()

    async def _call_back(self) -> None:
        while self._shards:
            shards, self._shards = self._shards, set()
            mine = [shard for shard in shards if self.tenure(shard) is not None]
            if not mine:
                continue
            try:
                await self._callbacks.follow(mine)
            except Exception as error:  # noqa: BLE001  # the next heartbeat looks again
                self._telemetry.problem("callbacks_not_followed", error=repr(error))

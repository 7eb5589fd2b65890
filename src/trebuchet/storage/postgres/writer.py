"""One connection that writes batches, each in one transaction, and knows of each whether it was committed.

When the connection is lost while a commit is on its way, nobody has said whether it came to pass. So every batch counts
its writer's row in the table `writers` up, in the same transaction: once a connection can be had again, the row tells.
A batch is then neither lost nor written twice, whatever happened to the server.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.base import Write
from trebuchet.storage.postgres import connecting
from trebuchet.storage.postgres.connecting import Connection
from trebuchet.storage.sql.writes import BatchWriter

Done = Callable[[Sequence[Any]], None]

_TRIES: Final = 5  # of a batch that is in the way of another node's
_AGAIN_S: Final = 0.05
_AGAIN_MAX_S: Final = 2.0
_CLOSING_S: Final = 20.0  # that the end waits for a database which does not answer

_ENTER: Final = """
INSERT INTO writers (slot, batch, at_ms) VALUES ($1, 0, $2) ON CONFLICT (slot) DO UPDATE SET batch = 0"""
_DURABLE: Final = """
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"""
# Waits for a transaction of this writer that the server is not done with.
_REACHED: Final = "UPDATE writers SET batch = batch WHERE slot = $1 RETURNING batch"
_FORGET: Final = "DELETE FROM writers WHERE at_ms < $1"  # of processes that were killed
_KEPT_MS: Final = 30 * 86_400_000
_LEAVE: Final = "DELETE FROM writers WHERE slot = $1"


class Writer:
    """Takes batches in order. `slot` names it among all writers of the database, now and in time."""

    def __init__(self, url: str, slot: str, now_ms: Callable[[], int]) -> None:
        self._url = url
        self._slot = slot
        self._now_ms = now_ms
        self._changes = BatchWriter(only_writer=False)
        self._connection: Connection | None = None
        self._batch = 0  # the last one that was committed
        self._handed: asyncio.Queue[tuple[Sequence[Write], Done] | None] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        self.unsure = False  # nobody has said yet whether the last batch was committed

    async def open(self) -> None:
        """Raises StorageUnavailable."""
        connection = await self._connected()
        now_ms = self._now_ms()
        await connection.execute(_FORGET, now_ms - _KEPT_MS)
        await connection.execute(_ENTER, self._slot, now_ms)
        self._running = asyncio.create_task(self._write_forever())

    async def close(self) -> None:
        """Finish what was handed over, if the database answers."""
        if self._running is None:
            return
        running, self._running = self._running, None
        self._handed.put_nowait(None)
        await running
        if self._connection is not None:
            try:
                await self._connection.execute(_LEAVE, self._slot)
                await self._connection.close(timeout=1)
            except connecting.LOST:
                self._drop()

    def write(self, changes: Sequence[Write], done: Done) -> None:
        """Raises StorageUnavailable if it is not open, or cannot know when it will go on."""
        if self._running is None:
            raise StorageUnavailable("the database is closed")
        if self.unsure:
            raise StorageUnavailable("the database has not said whether the last batch was committed")
        self._handed.put_nowait((changes, done))

    async def _write_forever(self) -> None:
        while (handed := await self._handed.get()) is not None:
            changes, done = handed
            done(await self._results(changes))

    async def _results(self, changes: Sequence[Write]) -> Sequence[Any]:
        try:
            return await self._in_one(changes)
        except StorageUnavailable as error:
            return [error] * len(changes)
        except Exception:  # noqa: BLE001  # found out below which change it was
            return [await self._alone(change) for change in changes]

    async def _alone(self, change: Write) -> Any:
        try:
            (result,) = await self._in_one([change])
        except Exception as error:  # noqa: BLE001  # the writer must go on, whatever one change made of it
            return connecting.translate(error)
        return result

    async def _in_one(self, changes: Sequence[Write]) -> Sequence[Any]:
        """One transaction, tried again where that is sure to be right and may help.

        Raises StorageUnavailable, and whatever a change met that cannot be done.
        """
        clean = False
        for tries in range(1, _TRIES + 1):
            fresh = self._connection is None
            try:
                return await self._transaction(changes, clean=clean)
            except connecting.NUL:
                if clean:
                    raise
                clean = True
            except connecting.AGAIN:
                if tries == _TRIES:
                    raise
            except StorageUnavailable:
                # Once: a connection that has lain idle is found dead only when it is used.
                if fresh or tries > 1:
                    raise
        raise StorageUnavailable("PostgreSQL: other transactions were in the way")

    async def _transaction(self, changes: Sequence[Write], *, clean: bool) -> Sequence[Any]:
        connection = await self._connected()
        results: Sequence[Any] | None = None
        try:
            await connection.execute(
                f"BEGIN; UPDATE writers SET batch = {self._batch + 1}, at_ms = {self._now_ms()}"
                f" WHERE slot = '{self._slot}'"
            )
            results = await connecting.carry_out(connection, self._changes.apply(changes), clean=clean)
            await connection.execute("COMMIT")
        except connecting.LOST as error:
            self._drop()
            self._changes.rolled_back()
            if results is not None and await self._surely_reached() == self._batch + 1:
                self._batch += 1
                return results
            raise connecting.unavailable(error) from error
        except BaseException:
            self._changes.rolled_back()
            await self._roll_back(connection)
            raise
        self._batch += 1
        return results

    async def _surely_reached(self) -> int:
        self.unsure = True
        try:
            return await self._reached()
        finally:
            self.unsure = False

    async def _reached(self) -> int:
        """The last batch that was committed, asked until there is an answer. Raises StorageUnavailable at the end."""
        wait_s = _AGAIN_S
        closing_s: float | None = None
        while True:
            try:
                connection = await self._connected()
                return int(await connection.fetchval(_REACHED, self._slot))
            except (*connecting.LOST, StorageUnavailable) as error:
                self._drop()
                loop = asyncio.get_running_loop()
                if self._running is None:  # closed
                    closing_s = closing_s or loop.time() + _CLOSING_S
                    if loop.time() > closing_s:
                        raise connecting.unavailable(error) from error
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, _AGAIN_MAX_S)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await connecting.connect(self._url, by_key=True)
            # A server may be set to acknowledge before it has written; one that waits for a standby stays so.
            await connection.execute(_DURABLE)
            self._connection = connection
        return self._connection

    async def _roll_back(self, connection: Connection) -> None:
        try:
            await connection.execute("ROLLBACK")
        except connecting.LOST:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None

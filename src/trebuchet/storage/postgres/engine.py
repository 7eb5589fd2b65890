"""PostgreSQL as a store: one connection that writes, a few that read, all in the event loop."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.base import (
    Write,
)
from trebuchet.storage.postgres import checking, connecting, migrating
from trebuchet.storage.postgres.hints import Hints
from trebuchet.storage.postgres.writer import Writer
from trebuchet.storage.sql.reader import Reader
from trebuchet.storage.sql.steps import Steps, ask

if TYPE_CHECKING:
    import asyncpg

T = TypeVar("T")
Done = Callable[[Sequence[Any]], None]

_READERS: Final = 6
_DEAD_ROWS: Final = """
SELECT relname::text, n_dead_tup FROM pg_stat_user_tables WHERE relname IN ('outbox', 'callbacks')"""


class PostgresStore(Reader):
    """The `Store` contract on a PostgreSQL database, given by its URL. `slot` names this process among all that write
    to it, now and in time. `open` must be called in the event loop that uses it."""

    shared = True

    def __init__(self, url: str, *, slot: str, now_ms: Callable[[], int]) -> None:
        self._url = url
        self._writer = Writer(url, slot, now_ms)
        self._hints = Hints(url, slot)
        self._readers: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        async with connecting.connected(self._url) as connection:
            await checking.require_sound(connection)
            await migrating.bring_up_to_date(connection)
        self._readers = await connecting.pool(self._url, _READERS)
        await self._writer.open()
        self._hints.open()

    async def close(self) -> None:
        """Finish what waits, then close. May be called twice."""
        await self._hints.close()
        await self._writer.close()
        if self._readers is not None:
            readers, self._readers = self._readers, None
            readers.terminate()

    @property
    def parallel_writes(self) -> int:
        """One batch at a time; while it is not known when that ends, none waits for it, and each is refused."""
        return sys.maxsize if self._writer.unsure else 1

    def write(self, changes: Sequence[Write], done: Done) -> None:
        self._writer.write(changes, done)

    def hint(self, topics: Iterable[str]) -> None:
        self._hints.tell(topics)

    def listen(self, heard: Callable[[str], None]) -> None:
        self._hints.listen(heard)

    # ---- reading ----

    async def _read(self, steps: Steps[T], *, at_once: bool = False) -> T:
        """`at_once`: all of several statements see the database as it is at one moment."""
        if self._readers is None:
            raise StorageUnavailable("the database is closed")
        try:
            async with self._readers.acquire(timeout=connecting.COMMAND_S) as connection:
                if not at_once:
                    return await connecting.carry_out(connection, steps)
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    return await connecting.carry_out(connection, steps)
        except connecting.LOST as error:
            raise connecting.unavailable(error) from error

    async def _read_at_once(self, steps: Steps[T]) -> T:
        return await self._read(steps, at_once=True)

    async def dead_rows(self) -> dict[str, int]:
        return {row[0]: row[1] for row in await self._read(ask(_DEAD_ROWS))}

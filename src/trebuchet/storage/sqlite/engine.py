"""SQLite as a store: one writing connection, readers beside it, WAL with synchronous=FULL.

A batch is one transaction with one sync. Its statements, microseconds per row, run in the event loop, and its
commit, which waits for the disk, in a thread: with all of it in a thread the two fought for the interpreter at
every statement, which cost more than the statements (a batch of 120 changes: 13 ms instead of 3). If a batch
fails as a whole, each change is tried alone, so that one that cannot be done disturbs no other.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from trebuchet.errors import StorageError, StorageUnavailable, TrebuchetError
from trebuchet.storage.base import (
    ExpireWork,
    Prune,
    RematchParked,
    Replay,
    SweepContents,
    TimeOutReceipts,
    Write,
)
from trebuchet.storage.sql.over import Over
from trebuchet.storage.sql.reader import Reader
from trebuchet.storage.sql.steps import Row, Rows, Steps
from trebuchet.storage.sql.writes import BatchWriter
from trebuchet.storage.sqlite import dbapi, texts

T = TypeVar("T")
Done = Callable[[Sequence[Any]], None]

# Changes that read or touch many rows: carried out beside the event loop.
_LONG = frozenset({ExpireWork, Prune, RematchParked, Replay, SweepContents, TimeOutReceipts})

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA wal_autocheckpoint = 16000",  # pages, some 64 MiB: those that change often are written back less often
)
# The writer's keeps the pages that every batch touches; a reader's is filled by whatever was scanned last.
_WRITER_CACHE_KIB = 64 * 1024
_READER_CACHE_KIB = 8 * 1024


class SqliteStore(Reader):
    """The `Store` contract on one SQLite file. `open` must be called in the event loop that uses it."""

    parallel_writes = 1
    shared = False

    def __init__(self, path: str, *, readers: int = 2) -> None:
        self._path = path
        self._batches: _Batches | None = None
        self._under_way = 0  # batches handed to the writer thread
        self._handed: queue.SimpleQueue[tuple[Sequence[Write], list[Any] | None, Done] | None] = (
            queue.SimpleQueue()
        )
        self._writer: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="sqlite-reader")
        self._local = threading.local()
        self._reading: list[dbapi.Connection] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        self._batches = await self._loop.run_in_executor(self._readers, self._open_batches)
        self._writer = threading.Thread(target=self._commit_forever, name="sqlite-writer", daemon=True)
        self._writer.start()

    def _open_batches(self) -> "_Batches":
        try:
            # The log files beside it get the same mode: texts and callback passwords are nobody else's.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = self._connect(_WRITER_CACHE_KIB)
            migrate_if_needed(connection, self._path)
            return _Batches(connection, BatchWriter(only_writer=True))
        except (dbapi.Error, OSError, TrebuchetError) as error:
            raise _translate(error, self._path) from error

    async def close(self) -> None:
        """Finish what waits, then close. May be called twice."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            self._handed.put(None)
            await asyncio.get_running_loop().run_in_executor(None, writer.join)
        self._readers.shutdown(wait=True)
        for connection in self._reading:
            connection.close()
        self._reading.clear()

    def hint(self, topics: Iterable[str]) -> None:
        """There is no other process."""

    def listen(self, heard: Callable[[str], None]) -> None:
        """There is no other process."""

    # ---- writing ----

    def write(self, changes: Sequence[Write], done: Done) -> None:
        if self._writer is None or self._batches is None:
            raise StorageUnavailable("the database is closed")
        results = None
        # While a batch is being committed the connection is the writer thread's, and so is what follows.
        if not self._under_way and not any(type(change) in _LONG for change in changes):
            results = self._batches.carry_out(changes)
        self._under_way += 1
        self._handed.put((changes, results, done))

    def _commit_forever(self) -> None:
        assert self._loop is not None
        assert self._batches is not None
        while (handed := self._handed.get()) is not None:
            changes, results, done = handed
            self._loop.call_soon_threadsafe(self._committed, done, self._batches.commit(changes, results))
        self._batches.close()

    def _committed(self, done: Done, results: Sequence[Any]) -> None:
        self._under_way -= 1
        done(results)

    def _connect(self, cache_kib: int) -> dbapi.Connection:
        connection = dbapi.connect(self._path)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        connection.execute(f"PRAGMA cache_size = {-cache_kib}")
        return connection

    # ---- reading ----

    async def _read(self, steps: Steps[T]) -> T:
        assert self._loop is not None
        return await self._loop.run_in_executor(self._readers, self._read_now, steps)

    def _read_now(self, steps: Steps[T]) -> T:
        connection: dbapi.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(_READER_CACHE_KIB)
            self._reading.append(connection)
        try:
            connection.execute("BEGIN")  # one moment for all of it
            try:
                return carry_out(connection, steps)
            finally:
                connection.execute("COMMIT")
        except dbapi.Error as error:
            raise _translate(error, self._path) from error

    async def dead_rows(self) -> dict[str, int]:
        return {}


def carry_out(connection: dbapi.Connection, steps: Steps[T]) -> T:
    """The result of these steps. Blocks. Raises dbapi.Error, and whatever they raise."""
    try:
        statement, values = next(steps)
        while True:
            statement, values = steps.send(_found(connection, statement, values))
    except StopIteration as done:
        result: T = done.value
        return result


def _found(connection: dbapi.Connection, statement: str | Over, values: Sequence[Any]) -> Rows:
    if isinstance(statement, str):
        return connection.execute(texts.render(statement), texts.parameters(values)).fetchall()
    found: list[Row] = []
    for text, parameters in texts.steps(statement, values):
        found += connection.execute(text, parameters).fetchall()
    return found


def migrate_if_needed(connection: dbapi.Connection, path: str) -> None:
    """Bring the schema to the newest revision. Alembic is imported only if there is something to do."""
    from trebuchet.storage import migrations  # noqa: PLC0415  # start-up: most starts need none of it

    if migrations.current_revision(connection) != migrations.HEAD:
        migrations.migrate(path)


class _Batches:
    """The writing connection: at most one transaction, begun in one thread and committed in another."""

    def __init__(self, connection: dbapi.Connection, writer: BatchWriter) -> None:
        self._connection = connection
        self._writer = writer

    def carry_out(self, changes: Sequence[Write]) -> list[Any] | None:
        """Begin a transaction and carry out all changes in it; None, and no transaction, if one cannot be."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            return carry_out(self._connection, self._writer.apply(changes))
        except Exception:  # noqa: BLE001  # `commit` finds out which change it was
            self._roll_back()
            return None

    def commit(self, changes: Sequence[Write], results: list[Any] | None) -> Sequence[Any]:
        """Commit what `carry_out` did; where that or this fails, each change has a transaction of its own."""
        if results is not None:
            try:
                self._connection.execute("COMMIT")
            except dbapi.Error:
                self._roll_back()
            else:
                return results
        return [self._alone(change) for change in changes]

    def close(self) -> None:
        self._connection.close()

    def _alone(self, change: Write) -> Any:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            (result,) = carry_out(self._connection, self._writer.apply([change]))
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  # the writer must go on, whatever one change made of it
            self._roll_back()
            return _translate(error)
        return result

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._writer.rolled_back()
        except dbapi.Error:
            return  # the next transaction fails, and says why


def _translate(error: Exception, path: str = "the database") -> TrebuchetError:
    """Ours for what the driver raised: bad rows are StorageError, everything else means it may work later."""
    if isinstance(error, TrebuchetError):
        return error
    if isinstance(error, dbapi.Error | OSError) and not isinstance(error, dbapi.IntegrityError):
        return StorageUnavailable(f"{path}: {error}")
    return StorageError(f"{type(error).__name__}: {error}")

"""Moving everything that a SQLite file holds into a PostgreSQL database, in pieces, each kept with how far it reached.

Until all is there and counted, the target's revision is `MOVING`, which no gateway starts on; a move that was
interrupted goes on where it was. The source is only read: nobody else may use it meanwhile, which is for the caller to
see to.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import msgspec
from asyncpg import exceptions
from sqlalchemy import Table

from trebuchet.errors import StorageError, StorageUnavailable, TrebuchetError
from trebuchet.storage import migrations, schema
from trebuchet.storage.postgres import checking, connecting, migrating, texts
from trebuchet.storage.postgres.connecting import Connection
from trebuchet.storage.sqlite import dbapi

_OF_NODES: Final = {"nodes", "leases", "writers", "versions"}
TABLES: Final = tuple(t for t in schema.metadata.sorted_tables if t.name not in _OF_NODES)
"""What is moved, in the order in which rows may refer to each other. What is known of nodes is each database's own."""

_PIECE_S: Final = 120.0
_COUNT_S: Final = 3_600.0
_ALIVE_MS: Final = 60_000  # since a node was heard of that may still be there

_MOVES: Final = """
CREATE TABLE IF NOT EXISTS moves (what text PRIMARY KEY, reached text NOT NULL, copied bigint NOT NULL)"""
_ADVANCE: Final = """
INSERT INTO moves VALUES ($1, $2, $3) ON CONFLICT (what) DO UPDATE SET reached = $2, copied = $3
WHERE moves.copied = $4 RETURNING 1"""
_SET_REVISION: Final = "UPDATE alembic_version SET version_num = $1"
_ALIVE: Final = """
SELECT name FROM nodes WHERE seen_ms > (extract(epoch FROM clock_timestamp()) * 1000)::int8 - $1
ORDER BY name LIMIT 1"""
# What is counted by group besides all rows of each table: the states that a wrong move would show in.
_GROUPS: Final = {
    "deliveries": "state",
    "outbox": "lane",
    "callbacks": "application_id",
    "media": "account_id",
}

Progress = Callable[[str, int, int], None]
"""Told of a table's name, its rows that are copied, and all its rows."""


class MoveRefused(TrebuchetError):
    """The move cannot begin or go on; the text says what to do. Nothing was changed."""


class Moved(msgspec.Struct, frozen=True):
    """Rows by table; `finished` unless they were only counted."""

    rows: dict[str, int]
    finished: bool

    @property
    def total(self) -> int:
        return sum(self.rows.values())


async def move(
    source: Path,
    url: str,
    *,
    progress: Progress,
    restart: bool = False,
    only_count: bool = False,
    piece: int = 5_000,
) -> Moved:
    """Copy all rows, `piece` at a time, count them on both sides, and make the target fit for use. Blocks on the file.

    With `restart` what an interrupted move has copied is deleted first. With `only_count` nothing is changed.
    Raises MoveRefused; StorageUnavailable if a database cannot be used or is lost on the way; StorageError if the
    counts differ at the end.
    """
    try:
        with closing(_opened(source)) as file:
            rows = {table.name: _count(file, table) for table in TABLES}
            async with connecting.connected(url) as connection:
                await checking.require_sound(connection)
                if only_count:
                    await _refuse_if_used(connection)
                    return Moved(rows, finished=False)
                reached = await _begun(connection, _identity(source), restart=restart)
                for table in TABLES:
                    copy = _Copy(file, connection, table, *reached.get(table.name, (None, 0)))
                    await copy.run(rows[table.name], piece, progress)
                await _compare(file, connection, rows)
                await _finish(connection)
    except dbapi.Error as error:
        raise StorageUnavailable(f"{source}: {error}") from error
    except (exceptions.PostgresError, *connecting.LOST) as error:
        raise connecting.translate(error) from error
    return Moved(rows, finished=True)


# ---- the source ----


def _opened(source: Path) -> dbapi.Connection:
    if not source.is_file():
        raise MoveRefused(f"there is no database {source}: name the file of the gateway that is to be moved")
    with ExitStack() as opened:
        connection = opened.enter_context(closing(dbapi.connect(str(source))))
        revision = migrations.current_revision(connection)
        if revision != migrations.HEAD:
            raise MoveRefused(
                f"{source} has {f'schema {revision}' if revision else 'no schema'}, not {migrations.HEAD}: "
                "bring it up to date first, with `trebuchet migrate`"
            )
        # Into the file itself, whose size and time then tell whether anybody has changed it.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        opened.pop_all()
    return connection


def _identity(source: Path) -> str:
    """Another one as soon as a gateway has run on it."""
    found = source.stat()
    return f"{source.resolve()} {found.st_size} {found.st_mtime_ns}"


def _count(file: dbapi.Connection, table: Table) -> int:
    return int(file.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0])


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _key(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _rows_after(table: Table, reached: Sequence[Any] | None) -> tuple[str, Sequence[Any]]:
    """A question for the rows whose key is greater, in its order."""
    key = _quoted(_key(table))
    later = f"WHERE ({key}) > ({', '.join('?' * len(reached))})" if reached else ""
    return f'SELECT {_quoted(_names(table))} FROM "{table.name}" {later} ORDER BY {key}', reached or ()


# ---- the target ----


async def _refuse_if_used(connection: Connection) -> None:
    """A database with anything in it is left alone, and so is one that a gateway runs on."""
    if await migrating.revision_or_moving(connection) in {None, migrations.MOVING}:
        return
    alive = await connection.fetchval(_ALIVE, _ALIVE_MS)
    if alive is not None:
        raise MoveRefused(
            f"the gateway {alive} was on the target within the last minute: stop it, wait, and try again"
        )
    for table in TABLES:
        if await connection.fetchval(f'SELECT 1 FROM "{table.name}" LIMIT 1'):
            raise MoveRefused(
                f"the target has rows in its table {table.name} already: "
                "move into a database of its own (CREATE DATABASE …)"
            )


async def _begun(connection: Connection, identity: str, *, restart: bool) -> dict[str, tuple[list[Any], int]]:
    """The key that each table's rows were copied up to, and how many; all begun tables of a move that goes on."""
    if await migrating.revision_or_moving(connection) != migrations.MOVING:
        await migrating.bring_up_to_date(connection)
        await _refuse_if_used(connection)
        async with connection.transaction():
            await connection.execute(_MOVES)
            await connection.execute("INSERT INTO moves VALUES ('', $1, 0)", identity)
            await connection.execute(_SET_REVISION, migrations.MOVING)
        return {}
    if restart:
        async with connection.transaction():
            for table in reversed(TABLES):
                await connection.execute(f'DELETE FROM "{table.name}"', timeout=_COUNT_S)
            await connection.execute("DELETE FROM moves WHERE what <> ''")
            await connection.execute("UPDATE moves SET reached = $1 WHERE what = ''", identity)
        return {}
    begun = {row["what"]: row for row in await connection.fetch("SELECT what, reached, copied FROM moves")}
    if begun[""]["reached"] != identity:
        raise MoveRefused(
            "the target has a part of another database, or of this one before a gateway ran on it again: "
            "begin anew with --restart"
        )
    return {what: (msgspec.json.decode(row["reached"]), row["copied"]) for what, row in begun.items() if what}


class _Copy:
    """One table, from the row after the key `reached` on; `copied` rows are there already."""

    def __init__(
        self,
        file: dbapi.Connection,
        connection: Connection,
        table: Table,
        reached: list[Any] | None,
        copied: int,
    ) -> None:
        self._file = file
        self._connection = connection
        self._table = table
        self._reached = reached
        self._copied = copied

    async def run(self, total: int, piece: int, progress: Progress) -> None:
        progress(self._table.name, self._copied, total)
        found = self._file.execute(*_rows_after(self._table, self._reached))
        while rows := found.fetchmany(piece):
            await self._add(rows)
            progress(self._table.name, self._copied, total)

    async def _add(self, rows: Sequence[Sequence[Any]]) -> None:
        names = _names(self._table)
        last = [rows[-1][names.index(name)] for name in _key(self._table)]
        async with self._connection.transaction():
            await self._advance(last, self._copied + len(rows))
            await self._connection.copy_records_to_table(
                self._table.name,
                records=[texts.without_nul(row) for row in rows],
                columns=names,
                timeout=_PIECE_S,
            )
        self._copied += len(rows)

    async def _advance(self, last: list[Any], copied: int) -> None:
        """Two moves at once would both go on from the same piece: the second finds that it was advanced."""
        key = msgspec.json.encode(last).decode()
        if not await self._connection.fetchval(_ADVANCE, self._table.name, key, copied, self._copied):
            raise MoveRefused("another move into this database is under way: let it end, or stop it")


async def _compare(file: dbapi.Connection, connection: Connection, rows: dict[str, int]) -> None:
    for table, count in rows.items():
        found = await connection.fetchval(f'SELECT count(*) FROM "{table}"', timeout=_COUNT_S)
        if found != count:
            raise StorageError(
                f"{table}: {found} rows are in the target, {count} in the file; begin anew with --restart"
            )
    for table, column in _GROUPS.items():
        question = f'SELECT "{column}", count(*) FROM "{table}" GROUP BY 1'
        there = {tuple(row) for row in await connection.fetch(question, timeout=_COUNT_S)}
        here = set(map(tuple, file.execute(question).fetchall()))
        if there != here:
            wrong = ", ".join(sorted({str(value) for value, _ in there ^ here}))
            raise StorageError(
                f"{table} differ by {column} ({wrong}) in the target and the file; begin anew with --restart"
            )


async def _finish(connection: Connection) -> None:
    async with connection.transaction():
        # The nodes read the records anew.
        await connection.execute("UPDATE versions SET number = number + 1")
        await connection.execute("DROP TABLE moves")
        await connection.execute(_SET_REVISION, migrations.HEAD)
    await connection.execute("ANALYZE", timeout=_COUNT_S)

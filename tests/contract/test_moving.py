"""Moving a SQLite file into a PostgreSQL database: every row, once, whatever interrupts it."""

import asyncio
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Float, Integer, Table

from contract.stories import T0, do, message, on_postgres, on_sqlite, opened, outbound
from support.postgres import PostgresServer
from trebuchet.errors import StorageError, StorageUnavailable
from trebuchet.model.nodes import Node
from trebuchet.storage import migrations, moving
from trebuchet.storage.base import Heartbeat
from trebuchet.storage.moving import TABLES, MoveRefused
from trebuchet.storage.postgres import connecting
from trebuchet.storage.sqlite import dbapi

ROWS = 23  # of each table
PIECE = 5

# What the checks of the schema allow.
_ALLOWED = {("direction", "messages"): "out", ("direction", "pdus"): "in", ("kind", "messages"): "mms"}
_STATES = ("QUEUED", "SENT", "DELIVERED", "FAILED")


class Interrupted(Exception):
    """As if the process had ended here."""


def ignore(_table: str, _copied: int, _total: int) -> None:
    """Nobody looks."""


def value(table: Table, column: Column[Any], number: int) -> Any:
    """Something that the column may hold, different in each row."""
    for foreign in column.foreign_keys:
        return value(foreign.column.table, foreign.column, number)
    if (column.name, table.name) in _ALLOWED:
        return _ALLOWED[column.name, table.name]
    if table.name == "deliveries" and column.name == "state":
        return _STATES[number % len(_STATES)]
    if column.nullable and number % 3 == 0:
        return None
    if isinstance(column.type, (BigInteger, Integer)):
        return number * (1 << 33 if isinstance(column.type, BigInteger) else 7)
    if isinstance(column.type, Float):
        return number / 3
    # Order of octets is not the order of any language: the key of a piece must be found again.
    return f"{table.name}-{'Zz-a.é😀'[number % 7]}{number}"


def fill(path: Path) -> None:
    """A database of the newest schema with rows in every table."""
    migrations.migrate(str(path))
    with closing(dbapi.connect(str(path))) as connection:
        for table in TABLES:
            columns = list(table.columns)
            names = ", ".join(f'"{column.name}"' for column in columns)
            connection.executemany(
                f'INSERT INTO "{table.name}" ({names}) VALUES ({", ".join("?" * len(columns))})',
                [[value(table, column, number) for column in columns] for number in range(ROWS)],
            )


def in_file(path: Path) -> dict[str, set[tuple[Any, ...]]]:
    with closing(dbapi.connect(str(path))) as connection:
        return {t.name: set(connection.execute(select(t)).fetchall()) for t in TABLES}


async def in_target(url: str) -> dict[str, set[tuple[Any, ...]]]:
    async with connecting.connected(url) as connection:
        return {t.name: {tuple(row) for row in await connection.fetch(select(t))} for t in TABLES}


def select(table: Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return f'SELECT {names} FROM "{table.name}"'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trebuchet.sqlite3"
    fill(path)
    return path


def ending_after(steps: int) -> Callable[[str, int, int], None]:
    """Interrupts the move when it reports for the last time of these."""
    told = 0

    def progress(_table: str, _copied: int, _total: int) -> None:
        nonlocal told
        told += 1
        if told == steps:
            raise Interrupted

    return progress


@pytest.mark.anyio
async def test_every_row_of_every_table_is_moved(file: Path, postgres: PostgresServer) -> None:
    """The target has the same rows, is of the newest schema, and a gateway's store opens on it."""
    url = await postgres.new_database("template0")
    moved = await moving.move(file, url, progress=ignore, piece=PIECE)
    assert (moved.total, moved.finished) == (ROWS * len(TABLES), True)
    assert await in_target(url) == in_file(file)
    async with opened(on_postgres(url)) as store:
        assert await store.queued() == ROWS


@pytest.mark.anyio
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
async def test_an_interrupted_move_goes_on_where_it_was(
    file: Path, postgres: PostgresServer, steps: int
) -> None:
    """No row is missing or there twice, and what was copied is not copied again."""
    url = await postgres.new_database()
    with pytest.raises(Interrupted):
        await moving.move(file, url, progress=ending_after(steps), piece=PIECE)
    first: list[tuple[str, int]] = []
    before = {name: len(rows) for name, rows in (await in_target(url)).items()}
    await moving.move(file, url, progress=lambda table, copied, _: first.append((table, copied)), piece=PIECE)
    assert dict(reversed(first)) == before
    assert await in_target(url) == in_file(file)


@pytest.mark.anyio
async def test_no_gateway_starts_on_half_a_move(file: Path, postgres: PostgresServer) -> None:
    """The store says what to do."""
    url = await postgres.new_database()
    with pytest.raises(Interrupted):
        await moving.move(file, url, progress=ending_after(9), piece=PIECE)
    with pytest.raises(StorageUnavailable, match="trebuchet move"):
        await on_postgres(url)().open()


@pytest.mark.anyio
async def test_a_file_that_was_used_meanwhile_is_moved_from_the_beginning(
    file: Path, postgres: PostgresServer
) -> None:
    """Half of one state and half of another would be neither: only `restart` helps."""
    url = await postgres.new_database()
    with pytest.raises(Interrupted):
        await moving.move(file, url, progress=ending_after(9), piece=PIECE)
    async with opened(on_sqlite(file.parent)) as store:
        await do(store, outbound(message(1)))
    with pytest.raises(MoveRefused, match="--restart"):
        await moving.move(file, url, progress=ignore)
    await moving.move(file, url, progress=ignore, restart=True)
    assert await in_target(url) == in_file(file)


@pytest.mark.anyio
async def test_a_target_with_rows_is_left_alone(file: Path, postgres: PostgresServer) -> None:
    """Also with `restart`, and when it was moved into before."""
    url = await postgres.new_database()
    await moving.move(file, url, progress=ignore)
    before = await in_target(url)
    for restart in (False, True):
        with pytest.raises(MoveRefused, match="has rows in its table"):
            await moving.move(file, url, progress=ignore, restart=restart)
    assert await in_target(url) == before


@pytest.mark.anyio
async def test_a_target_on_which_a_gateway_runs_is_refused(file: Path, postgres: PostgresServer) -> None:
    """By name, so that it can be found and stopped."""
    url = await postgres.new_database()
    node = Node("node-1", "alpha", "http://alpha", ("api",), "1", T0, T0)
    async with opened(on_postgres(url)) as store:
        await do(store, Heartbeat(node, 10_000))
        with pytest.raises(MoveRefused, match="alpha"):
            await moving.move(file, url, progress=ignore)


@pytest.mark.anyio
async def test_of_two_moves_at_once_one_is_refused(file: Path, postgres: PostgresServer) -> None:
    """Whichever comes second to a piece; the other ends with every row."""
    url = await postgres.new_database()
    with pytest.raises(Interrupted):
        await moving.move(file, url, progress=ending_after(3), piece=PIECE)
    results = await asyncio.gather(
        *(moving.move(file, url, progress=ignore, piece=PIECE) for _ in range(2)), return_exceptions=True
    )
    assert sorted(isinstance(result, Exception) for result in results) == [False, True]
    assert await in_target(url) == in_file(file)


@pytest.mark.anyio
async def test_counting_changes_nothing(file: Path, postgres: PostgresServer) -> None:
    """It tells how many rows there are, and would refuse what the move refuses."""
    url = await postgres.new_database("template0")
    counted = await moving.move(file, url, progress=ignore, only_count=True)
    assert (counted.rows["messages"], counted.finished) == (ROWS, False)
    async with connecting.connected(url) as connection:
        assert await connection.fetchval("SELECT to_regclass('messages')") is None


@pytest.mark.anyio
async def test_a_row_that_got_lost_is_noticed(file: Path, postgres: PostgresServer) -> None:
    """The counts differ: the target stays unfit for use."""
    url = await postgres.new_database()
    with pytest.raises(Interrupted):
        await moving.move(file, url, progress=ending_after(120), piece=PIECE)
    async with connecting.connected(url) as connection:
        assert await connection.execute("DELETE FROM audit WHERE id LIKE '%7'") != "DELETE 0"
    with pytest.raises(StorageError, match=r"audit: \d+ rows are in the target"):
        await moving.move(file, url, progress=ignore)
    with pytest.raises(StorageUnavailable, match="trebuchet move"):
        await on_postgres(url)().open()


@pytest.mark.anyio
async def test_a_file_of_another_schema_or_none_is_refused(tmp_path: Path, postgres: PostgresServer) -> None:
    """With what to do about it; the target is not touched."""
    url = await postgres.new_database()
    nothing, empty = tmp_path / "nothing", tmp_path / "empty"
    empty.touch()
    with pytest.raises(MoveRefused, match="there is no database"):
        await moving.move(nothing, url, progress=ignore)
    with pytest.raises(MoveRefused, match="trebuchet migrate"):
        await moving.move(empty, url, progress=ignore)
    garbage = tmp_path / "garbage"
    garbage.write_bytes(os.urandom(4096))
    with pytest.raises(StorageUnavailable, match="garbage"):
        await moving.move(garbage, url, progress=ignore)

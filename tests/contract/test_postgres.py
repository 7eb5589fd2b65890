"""What is PostgreSQL's own: the migration scripts make its tables as the schema describes them."""

from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from support.postgres import PostgresServer
from trebuchet.storage import schema
from trebuchet.storage.migrations import run

_COLUMNS = """
SELECT table_name, ordinal_position, column_name, data_type, is_nullable FROM information_schema.columns
WHERE table_schema = 'public' ORDER BY 1, 2"""
_INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
_CONSTRAINTS = """
SELECT conrelid::regclass::text, contype::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f', 'c') ORDER BY 1, 2, 3"""


def by_schema() -> Iterator[str]:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in schema.metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            yield str(CreateIndex(index).compile(dialect=dialect))


def by_scripts() -> Iterator[str]:
    yield run.script("postgresql", None)


async def described(postgres: PostgresServer, statements: Iterator[str]) -> list[list[tuple[object, ...]]]:
    """Columns, indexes and constraints of a new database after these statements."""
    connection = await asyncpg.connect(await postgres.new_database("template0"))
    try:
        for statement in statements:
            await connection.execute(statement)
        found = [await connection.fetch(question) for question in (_COLUMNS, _INDEXES, _CONSTRAINTS)]
    finally:
        await connection.close()
    return [[tuple(row) for row in rows] for rows in found]


@pytest.mark.anyio
async def test_all_scripts_together_make_the_schema(postgres: PostgresServer) -> None:
    """Columns in their order, with types; indexes with their conditions; keys and checks."""
    columns, indexes, constraints = await described(postgres, by_scripts())
    expected_columns, expected_indexes, expected_constraints = await described(postgres, by_schema())
    assert columns == expected_columns
    assert sorted(_named_anew(indexes)) == sorted(_named_anew(expected_indexes))
    assert constraints == expected_constraints


def _named_anew(indexes: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Primary keys lose their names: a table that was written anew has another one for its own."""
    return [
        (table, "", str(definition).partition(" ON ")[2])
        if "_pkey" in str(name)
        else (table, name, definition)
        for table, name, definition in indexes
    ]


@pytest.mark.anyio
async def test_what_is_committed_outlives_a_crash_of_the_server(postgres: PostgresServer) -> None:
    """The server of these tests is a durable one: tests of lost commits rely on it."""
    url = await postgres.new_database("template0")
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept (number INT)")
    await connection.execute("INSERT INTO kept VALUES (7)")
    postgres.kill()
    postgres.start()
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetch("SELECT number FROM kept")
    again = await asyncpg.connect(url)
    assert await again.fetchval("SELECT number FROM kept") == 7
    await again.close()

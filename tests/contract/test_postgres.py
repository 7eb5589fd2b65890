"""What is PostgreSQL's own: its schema, several that write at once, and commits of which nobody hears."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest
from msgspec.structs import replace
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from contract.stories import DAY, T0, do, message, on_postgres, opened, outbound, receipt, taken, write
from support.postgres import PostgresServer
from trebuchet.errors import StorageUnavailable
from trebuchet.model.events import EventType
from trebuchet.model.status import State
from trebuchet.storage import migrations, schema
from trebuchet.storage.base import IdempotencyKey, RecheckParked, RecordReceipt, Store
from trebuchet.storage.migrations import run
from trebuchet.storage.postgres import migrating

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


# ---- several that write at once ----


@asynccontextmanager
async def two_stores(postgres: PostgresServer) -> AsyncIterator[tuple[Store, Store]]:
    """As two nodes have them, on one new database."""
    engine = on_postgres(await postgres.new_database())
    async with opened(engine) as one, opened(engine) as two:
        yield one, two


@pytest.mark.anyio
async def test_receipts_of_one_message_at_two_nodes_both_count(postgres: PostgresServer) -> None:
    """Each brings one of two parts; the message is delivered, with one event."""
    async with two_stores(postgres) as (one, two):
        for number in range(40):
            of = message(number, segment_count=2)
            await write(one, outbound(of), taken(of, f"a-{number}", f"b-{number}"))
            results = await asyncio.gather(
                do(one, RecordReceipt(receipt(f"a-{number}"))), do(two, RecordReceipt(receipt(f"b-{number}")))
            )
            assert [a.event.type for r in results for a in r.announcements] == [EventType.DELIVERED]
            life = await one.life(of.id)
            assert life is not None
            assert [d.state for d in life.deliveries] == [State.DELIVERED]


@pytest.mark.anyio
async def test_many_receipts_at_two_nodes_are_not_in_each_others_way(postgres: PostgresServer) -> None:
    """Batches that touch the same messages in any order are all done: who is in a deadlock tries again."""
    async with two_stores(postgres) as (one, two):
        messages = [message(number, segment_count=2) for number in range(30)]
        await write(one, *map(outbound, messages))
        await write(one, *(taken(of, f"a-{of.id}", f"b-{of.id}") for of in messages))
        first = [RecordReceipt(receipt(f"a-{of.id}")) for of in messages]
        second = [RecordReceipt(receipt(f"b-{of.id}")) for of in reversed(messages)]
        results = await asyncio.gather(write(one, *first), write(two, *second))
        assert [r for batch in results for r in batch if isinstance(r, Exception)] == []
        assert sum(len(r.announcements) for batch in results for r in batch) == len(messages)


@pytest.mark.anyio
async def test_a_receipt_and_its_response_at_two_nodes_find_each_other(postgres: PostgresServer) -> None:
    """At once or, when both were written at the same moment, at the second look."""
    async with two_stores(postgres) as (one, two):
        messages = [message(number) for number in range(40)]
        await write(one, *map(outbound, messages))
        for of in messages:
            await asyncio.gather(
                do(one, taken(of, f"c-{of.id}")), do(two, RecordReceipt(receipt(f"c-{of.id}")))
            )
        await do(one, RecheckParked(T0, 100))
        assert await one.unmatched_receipts(100) == []
        lives = [await one.life(of.id) for of in messages]
        assert [d.state for life in lives if life for d in life.deliveries] == [State.DELIVERED] * 40


@pytest.mark.anyio
async def test_one_idempotency_key_at_two_nodes_is_one_message(postgres: PostgresServer) -> None:
    """Whoever comes second is given the first one's."""
    async with two_stores(postgres) as (one, two):
        for number in range(20):
            first, second = message(2 * number), message(2 * number + 1)
            idempotency = IdempotencyKey("u-1", f"key-{number}", "digest", T0 + DAY)
            results = await asyncio.gather(
                do(one, replace(outbound(first), idempotency=idempotency)),
                do(two, replace(outbound(second), idempotency=idempotency)),
            )
            stored = [of for of in (first, second) if await one.life(of.id) is not None]
            assert len(stored) == 1
            assert [r for r in results if r is not None] == stored


@pytest.mark.anyio
async def test_any_number_of_nodes_may_start_on_an_empty_database(postgres: PostgresServer) -> None:
    """One makes the schema, the others wait for it."""
    url = await postgres.new_database("template0")
    assert await asyncio.gather(*(migrating.migrate(url) for _ in range(6))) == [migrations.HEAD] * 6


@pytest.mark.anyio
async def test_a_database_of_a_newer_version_is_left_alone(postgres: PostgresServer) -> None:
    """The reason names both revisions and what to do."""
    url = await postgres.new_database()
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageUnavailable, match=r"9999, which this version does not know .* restore"):
        await migrating.migrate(url)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999"
    await connection.close()


# ---- connections that are lost ----


class Wire:
    """Between a store and its server. `cut` says which commit's connection is lost, and on which side of it."""

    def __init__(self, server: int) -> None:
        self._server = server
        self.port = 0
        self.cut = ""  # "before" the server has it, or "after" it was done and before the answer

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_server = await asyncio.open_connection("127.0.0.1", self._server)
        back = asyncio.create_task(self._copy(there, writer))
        try:
            while octets := await reader.read(65536):
                cut, self.cut = (self.cut, "") if b"COMMIT" in octets else ("", self.cut)
                if cut == "before":
                    break
                if cut == "after":
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    to_server.write(octets)
                    await there.read(65536)
                    break
                to_server.write(octets)
        finally:
            back.cancel()
            to_server.close()
            writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(65536):
            writer.write(octets)
        writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_commit_of_which_nobody_heard_is_neither_lost_nor_repeated(
    side: str, postgres: PostgresServer
) -> None:
    """The connection is lost just before or just after it; the answer is right, and the row is there as it says."""
    url = await postgres.new_database()
    host = urlsplit(url)
    assert host.port is not None
    wire = Wire(host.port)
    proxy = await asyncio.start_server(wire.pass_on, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    engine = on_postgres(url.replace(f":{host.port}/", f":{port}/"))
    async with opened(engine) as store:
        await do(store, outbound(message(0)))
        for number in range(1, 6):
            wire.cut = side
            of = message(number)
            (result,) = await write(store, outbound(of))
            assert wire.cut == ""
            there = await store.life(of.id) is not None
            assert (result is None) == there
            assert result is None or (side == "before" and isinstance(result, StorageUnavailable))
            if result is not None:
                await do(store, outbound(of))
        assert await store.queued() == 6
    proxy.close()


@pytest.mark.anyio
async def test_a_session_that_the_server_ends_in_a_batch_costs_nothing(postgres: PostgresServer) -> None:
    """The batch is written over another connection, once."""
    url = await postgres.new_database()
    other = await asyncpg.connect(url)
    async with opened(on_postgres(url)) as store:
        for number in range(5):
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            await do(store, outbound(message(number)))
        assert await store.queued() == 5
    await other.close()

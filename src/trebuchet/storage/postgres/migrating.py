"""The schema of a PostgreSQL database: its revision, and bringing it up to date."""

import asyncio
from typing import Final

from asyncpg import exceptions

from trebuchet.errors import StorageUnavailable
from trebuchet.storage import migrations
from trebuchet.storage.postgres import connecting
from trebuchet.storage.postgres.connecting import Connection

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS alembic_version (
    version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"""
# A row that two transactions cannot both have written: of two nodes that start at once, one waits for the other.
_LOCK: Final = "INSERT INTO alembic_version VALUES ('migrating') ON CONFLICT DO NOTHING"
_UNLOCK: Final = "DELETE FROM alembic_version WHERE version_num = 'migrating'"
_REVISION: Final = "SELECT version_num FROM alembic_version WHERE version_num <> 'migrating'"
_KNOWN: Final = "SELECT to_regclass('alembic_version') IS NOT NULL"

_TRIES: Final = 5
_AGAIN_S: Final = 0.2


async def current_revision(connection: Connection) -> str | None:
    """None if the database has no schema yet. Raises StorageUnavailable if a move into it has not ended."""
    revision = await revision_or_moving(connection)
    if revision == migrations.MOVING:
        raise StorageUnavailable(
            "a move into this database has not ended: let it go on with `trebuchet move`, or use another database"
        )
    return revision


async def revision_or_moving(connection: Connection) -> str | None:
    """As `current_revision`, or `migrations.MOVING`."""
    if not await connection.fetchval(_KNOWN):
        return None
    revision: str | None = await connection.fetchval(_REVISION)
    return revision


async def migrate(url: str) -> str:
    """As `bring_up_to_date`, over a connection of its own. Raises StorageUnavailable if there can be none, too."""
    async with connecting.connected(url) as connection:
        return await bring_up_to_date(connection)


async def bring_up_to_date(connection: Connection) -> str:
    """Bring a database to `migrations.HEAD` in one transaction; returns that. Any number of nodes may do so at once.

    Raises StorageUnavailable if the connection is lost, or the database was written by a newer version of the gateway.
    """
    try:
        if await current_revision(connection) == migrations.HEAD:
            return migrations.HEAD
        for _ in range(_TRIES - 1):
            try:
                return await _upgrade(connection)
            except exceptions.UniqueViolationError:
                await asyncio.sleep(_AGAIN_S)  # two made the first table at the same moment
        return await _upgrade(connection)
    except (exceptions.PostgresError, *connecting.LOST) as error:
        raise connecting.unavailable(error) from error


async def _upgrade(connection: Connection) -> str:
    from trebuchet.storage.migrations import run  # noqa: PLC0415  # half a second, not needed by most starts

    async with connection.transaction():
        await connection.execute(_TABLE)
        await connection.execute(_LOCK)
        before = await current_revision(connection)
        if before == migrations.HEAD:
            await connection.execute(_UNLOCK)
            return migrations.HEAD
        if before is not None and before not in run.revisions():
            raise StorageUnavailable(migrations.too_new("the database", before))
        await connection.execute(run.script("postgresql", before), timeout=None)
        await connection.execute("DELETE FROM alembic_version")  # the lock too
        await connection.execute("INSERT INTO alembic_version VALUES ($1)", migrations.HEAD)
    return migrations.HEAD

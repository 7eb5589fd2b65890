"""Whether a PostgreSQL server is new enough and keeps what it has committed; for people and for a start."""

from typing import Final

import msgspec

from trebuchet.errors import StorageUnavailable
from trebuchet.storage import migrations
from trebuchet.storage.postgres import connecting, migrating
from trebuchet.storage.postgres.connecting import Connection

OLDEST: Final = 15
_SETTINGS: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"
_LOSES: Final = {
    "fsync": "an acknowledged message is lost when the machine of the server fails: set it to on",
    "full_page_writes": "a crash of the server's machine may damage the database: set it to on",
}


class Findings(msgspec.Struct, frozen=True):
    problems: list[str]
    fine: list[str]


async def inspect(url: str) -> Findings:
    """Changes nothing. Raises StorageUnavailable if the server cannot be reached."""
    async with connecting.connected(url) as connection:
        version = connection.get_server_version()
        named = f"PostgreSQL {version.major}.{version.minor}"
        if version.major < OLDEST:
            return Findings([_too_old(named)], [])
        problems = await losses(connection)
        fine = [f"{named} answers"]
        revision = await migrating.current_revision(connection)
    if revision == migrations.HEAD:
        fine.append(f"the database has the current schema, {revision}")
    else:
        now = f"schema {revision}" if revision is not None else "no schema yet"
        fine.append(f"the database has {now}; the next start brings it to {migrations.HEAD}")
    return Findings(problems, fine)


async def losses(connection: Connection) -> list[str]:
    """Settings of the server with which committed rows may be lost."""
    rows = await connection.fetch(_SETTINGS, list(_LOSES))
    return [
        f"the server has {row['name']} = off: {_LOSES[row['name']]}"
        for row in rows
        if row["setting"] == "off"
    ]


async def require_sound(connection: Connection) -> None:
    """Raises StorageUnavailable for a server to which no message should be entrusted."""
    version = connection.get_server_version()
    if version.major < OLDEST:
        raise StorageUnavailable(_too_old(f"PostgreSQL {version.major}.{version.minor}"))
    for problem in await losses(connection):
        raise StorageUnavailable(problem)


def _too_old(named: str) -> str:
    return f"{named} is too old: {OLDEST} or newer is needed"

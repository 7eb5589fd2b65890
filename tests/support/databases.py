"""Which database a gateway of the tests has: SQLite in its folder, or, under `--postgres`, one of a server's own.

The server's URL is in the environment, because some of the gateways are started by programs of their own.
"""

import hashlib
import os
from pathlib import Path

import asyncpg

_SERVER = "TREBUCHET_TEST_POSTGRES"  # not a setting: programs of the tests read it


def use_server(url: str | None) -> None:
    """From now on gateways have a database of this server; None: SQLite. `url` ends where a database's name goes."""
    if url is None:
        os.environ.pop(_SERVER, None)
    else:
        os.environ[_SERVER] = url


async def database_of(data: Path) -> str:
    """The URL of a data folder's database, always the same and made if need be; empty for SQLite."""
    server = os.environ.get(_SERVER)
    if server is None:
        return ""
    name = f"of_{hashlib.sha256(str(data).encode()).hexdigest()[:16]}"
    connection = await asyncpg.connect(f"{server}postgres")
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template1 STRATEGY file_copy")
    finally:
        await connection.close()
    return f"{server}{name}"

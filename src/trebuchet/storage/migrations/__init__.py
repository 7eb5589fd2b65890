"""The schema's history, as Alembic scripts in `versions/`, each written out in full.

There is no way back: a newer schema is left by restoring the copy that was made before the upgrade. Importing
this module is cheap; Alembic and SQLAlchemy are imported when there is something to migrate.
"""

from pathlib import Path

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.sqlite import dbapi

HEAD = "0006"
"""The newest revision, which this version of the gateway works with."""

MOVING = "moving"
"""Stands in place of a revision while another database is being moved into this one."""

SCRIPTS = Path(__file__).parent
FRESH = SCRIPTS / "fresh.sql"


def current_revision(connection: dbapi.Connection) -> str | None:
    """The revision of a database, None if it has no schema yet."""
    known = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
    )
    if known.fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def is_empty(connection: dbapi.Connection) -> bool:
    """Whether a database has no table at all."""
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def too_new(what: str, revision: str) -> str:
    """Why a database of a revision that is not known here is left alone, and what to do."""
    return (
        f"{what} has schema revision {revision}, which this version does not know (its own is {HEAD}): "
        "start the newer version that wrote it, or restore the copy made before the upgrade"
    )


def migrate(path: str) -> str:
    """Bring the database file at `path` to HEAD in one transaction, creating it if need be. Returns HEAD.

    Blocks, for minutes if large tables change. Raises StorageUnavailable if the file was written by a newer
    version of the gateway, and dbapi.Error if it cannot be changed now.
    """
    connection = dbapi.connect(path)
    try:
        connection.execute("PRAGMA busy_timeout = 5000")
        before = current_revision(connection)
        if before is None and is_empty(connection):
            connection.executescript(f"BEGIN IMMEDIATE;\n{FRESH.read_text('utf-8')}\nCOMMIT;")
            return HEAD
        from trebuchet.storage.migrations import run  # noqa: PLC0415  # half a second, not needed by most starts

        if before is not None and before not in run.revisions():
            raise StorageUnavailable(too_new(path, before))
        run.upgrade(connection)
        return HEAD
    finally:
        connection.close()

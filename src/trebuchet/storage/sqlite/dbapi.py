"""The one SQLite library of the process: pysqlite3 with the SQLite in its wheel, else Python's own.

Two copies of SQLite in one process break each other's locks on a shared file, so everything that opens the
database, migrations included, takes `driver` from here.
"""

from typing import TYPE_CHECKING

from trebuchet.errors import StorageUnavailable

if TYPE_CHECKING:
    import sqlite3 as _driver  # pysqlite3 is the same module under another name, and has no types
else:
    try:
        from pysqlite3 import dbapi2 as _driver
    except ImportError:
        import sqlite3 as _driver

driver = _driver
Connection = _driver.Connection
Error = _driver.Error
IntegrityError = _driver.IntegrityError

# The operator `->>` came with 3.38.0; UPDATE FROM and RETURNING are older.
OLDEST_VERSION = (3, 38, 0)
# Up to 3.51.2 a reset of the WAL by two connections at once could corrupt the file.
SOUND_VERSION = (3, 51, 3)

OLD_VERSION_WARNING = (
    "this Python's SQLite is older than 3.51.3: its write-ahead log can be corrupted when two processes write. "
    "Open the database with this gateway only, or install pysqlite3"
)

_STATEMENTS_CACHED = 512


def version_warning(version: tuple[int, ...] = _driver.sqlite_version_info) -> str | None:
    """What an operator should know about this version of SQLite, or None if it is sound.

    Raises StorageUnavailable if the gateway's statements do not run on it.
    """
    if version < OLDEST_VERSION:
        found, needed = (".".join(map(str, v)) for v in (version, OLDEST_VERSION))
        raise StorageUnavailable(
            f"SQLite {found} is too old: {needed} is needed. Install pysqlite3 or a newer Python"
        )
    return OLD_VERSION_WARNING if version < SOUND_VERSION else None


def connect(path: str) -> Connection:
    """A connection in autocommit mode: transactions begin and end by explicit statements only.

    Another thread than its user may close it. Raises StorageUnavailable if SQLite is too old.
    """
    version_warning()
    return _driver.connect(
        path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS_CACHED
    )

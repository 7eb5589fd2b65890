"""Everything that is kept: the schema, the contract that each engine fulfils, and the engines."""

from collections.abc import Callable
from pathlib import Path

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.base import Store

FILE = "trebuchet.sqlite3"


def open_store(url: str, data_dir: Path, *, slot: str = "", now_ms: Callable[[], int] = lambda: 0) -> Store:
    """The store that a database URL names; a SQLite file in `data_dir` for an empty one. Opens nothing yet.

    `slot` names this process among all that write to a shared database.

    Raises StorageUnavailable for a URL of no engine.
    """
    if is_postgres(url):
        from trebuchet.storage.postgres.engine import PostgresStore  # noqa: PLC0415

        return PostgresStore(url, slot=slot, now_ms=now_ms)
    from trebuchet.storage.sqlite.engine import SqliteStore  # noqa: PLC0415  # each engine only when it is used

    return SqliteStore(str(sqlite_file(url, data_dir)))


def is_postgres(url: str) -> bool:
    """Whether a database URL is that of a PostgreSQL server, or of one that speaks as it does."""
    return url.startswith(("postgresql://", "postgres://"))


def sqlite_file(url: str, data_dir: Path) -> Path:
    """The file that a database URL names: `sqlite:///FILE`, with one more slash for an absolute path.

    Raises StorageUnavailable for a URL of no engine.
    """
    if not url:
        return data_dir / FILE
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return Path("/" + rest.lstrip("/") if rest.startswith("//") else rest.removeprefix("/"))
    raise StorageUnavailable(
        f"no storage engine for {scheme or url!r}: use postgresql://USER@HOST/NAME or sqlite:///FILE"
    )

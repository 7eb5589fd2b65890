"""Everything that is kept: the schema, the contract that each engine fulfils, and the engines."""

from pathlib import Path

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.base import Store

FILE = "trebuchet.sqlite3"


def open_store(url: str, data_dir: Path) -> Store:
    """The store that a database URL names; a SQLite file in `data_dir` for an empty one. Opens nothing yet.

    Raises StorageUnavailable for a URL of no engine.
    """
    scheme, _, rest = url.partition("://")
    if not url:
        return _sqlite(data_dir / FILE)
    if scheme == "sqlite":
        return _sqlite(
            Path("/" + rest.removeprefix("/") if rest.startswith("//") else rest.removeprefix("/"))
        )
    raise StorageUnavailable(f"no storage engine for {scheme or url!r}: use sqlite:///FILE")


def _sqlite(path: Path) -> Store:
    from trebuchet.storage.sqlite.engine import SqliteStore  # noqa: PLC0415  # each engine only when it is used

    return SqliteStore(str(path))

"""Which SQLite the gateway runs on."""

import pytest

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.sqlite import dbapi


@pytest.mark.parametrize(
    ("version", "warning"),
    [
        ((3, 38, 0), dbapi.OLD_VERSION_WARNING),
        ((3, 40, 1), dbapi.OLD_VERSION_WARNING),
        ((3, 51, 2), dbapi.OLD_VERSION_WARNING),
        ((3, 51, 3), None),
        ((3, 53, 4), None),
        ((4, 0, 0), None),
    ],
)
def test_versions_with_the_wal_defect_are_taken_with_a_warning(
    version: tuple[int, ...], warning: str | None
) -> None:
    """Python's own SQLite may be older than the repair; the operator is told."""
    assert dbapi.version_warning(version) == warning


@pytest.mark.parametrize("version", [(3, 37, 2), (3, 8, 11), (2, 8, 17)])
def test_versions_without_the_needed_sql_are_refused(version: tuple[int, ...]) -> None:
    """With both versions named and what to do."""
    with pytest.raises(
        StorageUnavailable, match=r"SQLite \d+\.\d+\.\d+ is too old: 3\.38\.0 is needed\. Install"
    ):
        dbapi.version_warning(version)


def test_transactions_are_explicit() -> None:
    """A statement alone is committed at once: nothing begins a transaction behind the engine's back."""
    connection = dbapi.connect(":memory:")
    connection.execute("CREATE TABLE t (n INTEGER)")
    connection.execute("INSERT INTO t VALUES (1)")
    assert connection.in_transaction is False
    connection.close()

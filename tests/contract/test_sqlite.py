"""What is SQLite's own: the file, its revision, and how little a start needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from contract.stories import T0, do, message, outbound, taken, write
from trebuchet.errors import StorageUnavailable
from trebuchet.model.message import Segment
from trebuchet.storage import migrations
from trebuchet.storage.migrations import run
from trebuchet.storage.sqlite import dbapi
from trebuchet.storage.sqlite.engine import SqliteStore


def test_migrating_a_file_gives_its_revision(tmp_path: Path) -> None:
    """A new file, and one that is current already."""
    path = str(tmp_path / "new.sqlite3")
    assert migrations.migrate(path) == migrations.HEAD
    assert migrations.migrate(path) == migrations.HEAD


def schema(connection: dbapi.Connection) -> list[tuple[str, str]]:
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
    ).fetchall()
    return [(name, " ".join(sql.split())) for name, sql in rows]


def test_a_new_file_is_what_all_scripts_together_make(tmp_path: Path) -> None:
    """`fresh.sql` is a short cut. To write it anew, dump `sqlite_master` of a file made by `run.upgrade`."""
    fresh, scripted = str(tmp_path / "fresh.sqlite3"), dbapi.connect(str(tmp_path / "scripted.sqlite3"))
    migrations.migrate(fresh)
    run.upgrade(scripted)
    connection = dbapi.connect(fresh)
    assert schema(connection) == schema(scripted)
    assert migrations.current_revision(connection) == migrations.current_revision(scripted) == migrations.HEAD
    connection.close()
    scripted.close()


@pytest.mark.anyio
async def test_a_file_of_the_first_revision_is_brought_up_to_date(tmp_path: Path) -> None:
    """What it holds is there afterwards: segments find their receipts, and parked receipts their segments."""
    path = str(tmp_path / "first.sqlite3")
    connection = dbapi.connect(path)
    run.upgrade(connection, "0001")
    old, waiting = message(1), message(2)
    store = SqliteStore(path)
    connection.execute(
        "INSERT INTO segments VALUES (?, 0, 0, 'sim', ' 00AbC', 'taken', NULL, ?, NULL)", (old.id, T0)
    )
    connection.execute(
        "INSERT INTO segments VALUES (?, 0, 1, 'sim', '000', 'DELIVRD', 'x', ?, ?)", (old.id, T0, T0)
    )
    connection.execute(
        "INSERT INTO parked_receipts VALUES ('sim', 'c-2', ?, 'DELIVRD', NULL, '', NULL)", (T0,)
    )
    connection.close()
    await store.open()
    await write(store, outbound(old), outbound(waiting))
    found = await store.life(old.id)
    assert found is not None
    assert found.segments == [
        Segment(old.id, 0, 0, "sim", " 00AbC", "taken", None, T0, None, "abc"),
        Segment(old.id, 0, 1, "sim", "000", "DELIVRD", "x", T0, T0, "0"),
    ]
    assert (await do(store, taken(waiting, "c-2"))).matched_receipts == 1
    await store.close()


@pytest.mark.anyio
async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    """The reason names both revisions and what to do; nothing is changed."""
    path = str(tmp_path / "newer.sqlite3")
    migrations.migrate(path)
    connection = dbapi.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageUnavailable, match=r"9999, which this version does not know .* restore"):
        await SqliteStore(path).open()
    assert migrations.current_revision(connection) == "9999"
    connection.close()


@pytest.mark.anyio
async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """The reason names the file, which keeps its content."""
    path = tmp_path / "letter.sqlite3"
    path.write_text("Dear reader, " * 1000)
    with pytest.raises(StorageUnavailable, match=r"letter\.sqlite3: file is not a database"):
        await SqliteStore(str(path)).open()
    assert path.read_text() == "Dear reader, " * 1000


@pytest.mark.anyio
async def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """A folder in the place of the file, say."""
    folder = tmp_path / "folder.sqlite3"
    folder.mkdir()
    with pytest.raises(StorageUnavailable, match=r"folder\.sqlite3"):
        await SqliteStore(str(folder)).open()


@pytest.mark.anyio
async def test_missing_folders_are_made(tmp_path: Path) -> None:
    """The data folder need not exist."""
    store = SqliteStore(str(tmp_path / "a" / "b" / "trebuchet.sqlite3"))
    await store.open()
    await do(store, outbound(message()))
    await store.close()
    assert (tmp_path / "a" / "b" / "trebuchet.sqlite3").is_file()


_START = """
import asyncio, sys
from trebuchet.storage.sqlite.engine import SqliteStore

async def start():
    store = SqliteStore(sys.argv[1])
    await store.open()
    await store.directory()
    await store.due_work("sim/0", 0, (0, "", -2), 10)
    await store.close()

asyncio.run(start())
print(sorted({"alembic", "sqlalchemy"} & set(sys.modules)))
"""


def test_a_start_with_a_current_file_imports_no_migration_tools(tmp_path: Path) -> None:
    """They take half a second, and start to ready is to take less than one."""
    path = str(tmp_path / "current.sqlite3")
    migrations.migrate(path)
    started = subprocess.run([sys.executable, "-c", _START, path], capture_output=True, text=True, check=True)
    assert started.stdout == "[]\n"

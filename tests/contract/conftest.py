"""Every test of the storage contract gets an open store of each engine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contract.stories import Engine, on_postgres, on_sqlite, opened
from support.postgres import PostgresServer
from trebuchet.storage.base import Store


@pytest.fixture(params=["sqlite", "postgres"])
def new_engine(request: pytest.FixtureRequest) -> Callable[[Path], Engine]:
    """The engine under test: given an empty folder, makes stores on one new database."""
    if request.param == "sqlite":
        return on_sqlite
    server: PostgresServer = request.getfixturevalue("postgres")
    return lambda _: on_postgres(asyncio.run(server.new_database()))


@pytest.fixture
def engine(new_engine: Callable[[Path], Engine], tmp_path: Path) -> Engine:
    """Makes stores on one new database of the engine under test."""
    return new_engine(tmp_path)


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """An open store on a new database."""
    async with opened(engine) as store:
        yield store

"""Every test of the storage contract gets an open store of each engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.stories import ENGINES, Engine, opened
from trebuchet.storage.base import Store


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Makes stores on one database of the engine under test."""
    return ENGINES[request.param](tmp_path)


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """An open store on a new database."""
    async with opened(engine) as store:
        yield store

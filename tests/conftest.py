"""What every test shares: the event loop of production, and Hypothesis without a stopwatch."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.postgres import PostgresServer, running_server
from trebuchet.storage.postgres import migrating

# A busy machine must not fail a property. The parent is whichever profile is active: Hypothesis picks a
# repeatable one itself when the variable CI is set.
settings.register_profile("trebuchet", parent=settings(), deadline=None)
settings.load_profile("trebuchet")


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Async tests run on asyncio with uvloop, as the gateway does."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server whose database `template1` has the newest schema: each new one begins with it."""
    with running_server() as server:
        asyncio.run(migrating.migrate(server.url("template1")))
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server for one test, which may stop it."""
    with running_server() as server:
        yield server

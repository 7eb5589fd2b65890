"""What every test shares: the event loop of production, and Hypothesis without a stopwatch."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.databases import use_server
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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", action="store_true", help="Give every gateway a PostgreSQL database.")


@pytest.fixture(scope="session", autouse=True)
def chosen_engine(request: pytest.FixtureRequest) -> Iterator[None]:
    """The engine of the gateways that tests start: SQLite, or PostgreSQL under `--postgres`."""
    if request.config.getoption("--postgres"):
        server: PostgresServer = request.getfixturevalue("postgres")
        use_server(server.url(""))
    yield
    use_server(None)


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

"""Connections to PostgreSQL, and what its errors mean: whether the connection is lost, or trying again would help."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg import exceptions

from trebuchet.errors import StorageError, StorageUnavailable, TrebuchetError
from trebuchet.storage.postgres import texts
from trebuchet.storage.sql.over import Over
from trebuchet.storage.sql.steps import Rows, Steps

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]
    Pooled: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Connection, Pooled = asyncpg.Connection, None

T = TypeVar("T")

CONNECT_S: Final = 5.0
COMMAND_S: Final = 30.0  # no question of ours takes as long: whoever does not answer by then is gone
_WRITE_S: Final = 10.0  # nor does a statement of a batch
_STATEMENTS_CACHED: Final = 512

_SETTINGS: Final = {
    "application_name": "trebuchet",
    # A node that is paused or cut off in the middle of a batch keeps others from the leases of its lanes for so long,
    # and every deleted row of the queues from being cleared away.
    "idle_in_transaction_session_timeout": "5000",
    "jit": "off",  # costs more than any statement of ours
    "timezone": "UTC",
}
# Batches find their rows by key. Right after a burst the statistics of a queue still say that it is empty, and a
# plan that reads the whole of a small table is kept when it has grown.
_BY_KEY: Final = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}

LOST: Final = (
    OSError,
    asyncio.TimeoutError,
    exceptions.PostgresConnectionError,
    exceptions.InterfaceError,
    exceptions.InternalClientError,
    exceptions.OperatorInterventionError,  # shut down, not up yet
    exceptions.InsufficientResourcesError,
    exceptions.ReadOnlySQLTransactionError,  # no longer the primary
    exceptions.IdleInTransactionSessionTimeoutError,
)
"""The connection is of no use any more."""

AGAIN: Final = (exceptions.TransactionRollbackError,)
"""Two transactions were in each other's way; this one did not come to pass."""

NUL: Final = (exceptions.CharacterNotInRepertoireError, exceptions.UntranslatableCharacterError)
"""A text has a character that the database cannot store."""


async def connect(url: str, *, by_key: bool = False) -> Connection:
    """A connection of its own. Raises StorageUnavailable, whose words do not name the password."""
    try:
        return await asyncpg.connect(url, **_options(by_key=by_key))
    except (exceptions.PostgresError, *LOST, ValueError) as error:
        raise unavailable(error) from error


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection for the block. Raises StorageUnavailable."""
    connection = await connect(url)
    try:
        yield connection
    finally:
        await connection.close(timeout=CONNECT_S)


def pool(url: str, size: int) -> "asyncpg.Pool[asyncpg.Record]":
    """Connections to share; opened when it is entered."""
    return asyncpg.create_pool(url, min_size=0, max_size=size, **_options(by_key=False))


def _options(*, by_key: bool) -> dict[str, Any]:
    return {
        "timeout": CONNECT_S,
        "command_timeout": _WRITE_S if by_key else COMMAND_S,
        "statement_cache_size": _STATEMENTS_CACHED,
        "max_cached_statement_lifetime": 0,
        "server_settings": {**_SETTINGS, **(_BY_KEY if by_key else {})},
    }


async def carry_out(connection: Connection | Pooled, steps: Steps[T], *, clean: bool = False) -> T:
    """The result of these steps. Raises what asyncpg and the steps raise. `clean`: see `without_nul`."""
    try:
        statement, values = next(steps)
        while True:
            statement, values = steps.send(await _found(connection, statement, values, clean=clean))
    except StopIteration as done:
        result: T = done.value
        return result


async def _found(
    connection: Connection | Pooled, statement: str | Over, values: Sequence[Any], *, clean: bool
) -> Rows:
    if isinstance(statement, str):
        text, parameters = texts.render(statement), values
    else:
        text, parameters = texts.over(statement), texts.columns(statement, values)
    if clean:
        parameters = texts.without_nul(parameters)
    rows: Sequence[Any] = await connection.fetch(text, *parameters)
    return rows


def unavailable(error: BaseException) -> StorageUnavailable:
    """Ours for a connection that cannot be had, or was lost."""
    words = str(error) or type(error).__name__
    return StorageUnavailable(f"PostgreSQL: {words}")


def translate(error: Exception) -> TrebuchetError:
    """Ours for whatever one change met: bad rows are StorageError, everything else means it may work later."""
    if isinstance(error, TrebuchetError):
        return error
    if isinstance(error, (*LOST, *AGAIN)):
        return unavailable(error)
    return StorageError(f"{type(error).__name__}: {error}")

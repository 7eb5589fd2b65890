"""A listening SMSC in front of the simulated network, for anybody's ESME.

Each system_id is one more way into the network, a `Port` like an in-process link: the same scenarios, triggers,
handsets and clock. What an account does is in `smsc_account`, what passes on a connection in `smsc_connection`.
"""

import asyncio
import random
import ssl
from collections.abc import Callable
from typing import Final

import msgspec

from trebuchet.clock import Clock, Ids
from trebuchet.model.message import Kind
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.smsc_account import Account, Counts, Shared
from trebuchet.simulator.smsc_connection import Connection
from trebuchet.simulator.smsc_settings import SmscSettings

__all__ = ["Bound", "Counts", "Smsc"]

_CONNECTIONS_MAX: Final = 1_000


class Bound(msgspec.Struct, frozen=True):
    """One session, for people."""

    system_id: str
    kind: str
    peer: str


class Smsc:
    """Listens from `start` to `stop`; each once. All calls in one event loop.

    `changed` is called when somebody binds or leaves.
    """

    def __init__(
        self,
        settings: SmscSettings,
        *,
        network: SimulatedNetwork,
        clock: Clock,
        chance: random.Random,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.counts = Counts()
        self._shared = Shared(settings, network, clock, chance, Ids(chance.randbytes), self.counts)
        self._changed = changed
        self._accounts: dict[str, Account] = {}
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen. Returns the port. Raises OSError if it is taken, ValueError for a wrong certificate."""
        settings = self.settings
        self._server = await asyncio.get_running_loop().create_server(
            self._connect, settings.host, settings.port, ssl=_tls(settings)
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close everything. May be called twice."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()
        for account in self._accounts.values():
            self._shared.network.detach(account)

    @property
    def sessions(self) -> list[Bound]:
        """Who is bound now."""
        return [
            Bound(c.account.carrier_id, c.session.state.value, c.peer)
            for c in self._connections
            if c.account is not None and c.session.bound
        ]

    def cut(self) -> None:
        """Break every connection, as a power cut would."""
        for connection in list(self._connections):
            connection.abort()

    def hold_answers(self) -> None:
        """Take submits and do not answer them, until `answer_again`."""
        self._shared.answering = False

    def answer_again(self) -> None:
        """Answer what was held back, and everything that follows."""
        self._shared.answering = True
        for account in self._accounts.values():
            account.answer_held()

    def account(self, system_id: str) -> Account:
        account = self._accounts.get(system_id)
        if account is None:
            account = self._accounts[system_id] = Account(system_id, self._shared)
            self._shared.network.attach(account, frozenset({Kind.SMS}))
        return account

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._changed()

    def entered(self) -> None:
        self.counts.binds += 1
        self._changed()

    def _connect(self) -> Connection:
        connection = Connection(self, full=len(self._connections) >= _CONNECTIONS_MAX)
        self._connections.add(connection)
        return connection


def _tls(settings: SmscSettings) -> ssl.SSLContext | None:
    if not settings.tls_certificate_file:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        made.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"tls_certificate_file {settings.tls_certificate_file}: {error}") from None
    return made

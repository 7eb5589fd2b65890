"""A listening port that takes mail and answers 250 only once it is safe."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

from trebuchet.smtp.mail import Envelope, Reply
from trebuchet.smtp.session import FAILED, Session
from trebuchet.smtp.settings import ListenerSettings
from trebuchet.smtp.tls import listener_context
from trebuchet.telemetry import Telemetry

Handler = Callable[[Envelope], Coroutine[Any, Any, Reply]]

_NOT_ALLOWED: Final = Reply(554, "5.7.1 this address may not hand over mail here")
_TOO_MANY: Final = Reply(421, "4.7.0 too many connections")
_CLOSING: Final = Reply(421, "4.3.2 closing")
_BACKLOG: Final = 128
_LAST_WORD_S: Final = 1


class SmtpListener:
    """`handler` is called with each whole mail, and its reply given to the peer: 250 must mean that the mail is
    stored. A handler that raises, or takes longer than `handler_timeout_s`, is answered with 451 and counted; it
    is not cancelled when the peer leaves. It may get the same mail again from a peer that did not read its reply.

    Refused mails never reach it: from addresses not `allowed`, too large, with lines that do not end with CRLF.
    """

    def __init__(self, settings: ListenerSettings, handler: Handler, *, telemetry: Telemetry) -> None:
        self.settings = settings
        self.stopping = False
        self._handler = handler
        self._telemetry = telemetry
        self._networks = settings.networks
        self._server: asyncio.Server | None = None
        self._sessions: dict[Session, str] = {}  # to the peer's address
        self._by_address: Counter[str] = Counter()
        self._mails: set[asyncio.Task[Reply]] = set()
        self._held = 0
        self._changed = asyncio.Event()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._sessions)

    async def start(self) -> int:
        """Listen. Returns the port. Raises OSError if it is taken, ValueError for a wrong certificate file."""
        settings = self.settings
        # aiosmtpd's own log has addresses and what peers wrote.
        logging.getLogger("mail.log").disabled = True
        loop = asyncio.get_running_loop()
        tls = listener_context(settings)
        implicit = tls if settings.tls == "implicit" else None
        self._server = await loop.create_server(
            lambda: Session(settings, tls, self, loop),
            settings.host or None,
            settings.port,
            ssl=implicit,
            ssl_handshake_timeout=settings.tls_timeout_s if implicit else None,
            backlog=_BACKLOG,
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections, let mails under way finish within the grace, and close. May be called twice."""
        self.stopping = True
        if self._server is not None:
            self._server.close()
        for session in list(self._sessions):
            session.wind_up()
        await self._empty(self.settings.stop_grace_s)
        for session in list(self._sessions):
            session.wind_up(now=True)
        await self._empty(_LAST_WORD_S)
        for session in list(self._sessions):
            session.abort()
        for mail in self._mails:
            mail.cancel()
        await asyncio.gather(*self._mails, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection without a word. Mails whose end has come are handled all the same."""
        for session in list(self._sessions):
            session.abort()

    async def _empty(self, grace_s: float) -> None:
        """Wait for the end of all connections and mails, but not longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._sessions or self._mails:
                    self._changed.clear()
                    await self._changed.wait()

    # ---- SessionUser ----

    def refusal(self, session: Session) -> Reply | None:
        address = session.peer
        self._sessions[session] = address
        self._by_address[address] += 1
        if self.stopping or not address:  # "": the peer has left already
            return _CLOSING
        if not self._is_allowed(address):
            self.fault("smtp_not_allowed", peer=address)
            return _NOT_ALLOWED
        settings = self.settings
        if (
            len(self._sessions) > settings.connections_max
            or self._by_address[address] > settings.connections_per_address_max
        ):
            self.fault("smtp_too_many_connections", peer=address)
            return _TOO_MANY
        return None

    def left(self, session: Session) -> None:
        address = self._sessions.pop(session, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]
        self._changed.set()

    def hold(self, octets: int) -> bool:
        self._held += octets
        return self._held <= self.settings.held_octets_max

    async def take(self, envelope: Envelope) -> Reply:
        self.hold(len(envelope.octets))
        mail = asyncio.create_task(self._handler(envelope))
        self._mails.add(mail)
        mail.add_done_callback(partial(self._taken, envelope))
        await asyncio.wait({mail}, timeout=self.settings.handler_timeout_s)
        if not mail.done():
            self.fault("smtp_handler_slow", peer=envelope.peer)
            return FAILED
        if mail.cancelled() or mail.exception() is not None:
            return FAILED
        return mail.result()

    def fault(self, action: str, **fields: object) -> None:
        self._telemetry.problem(action, **fields)

    def _taken(self, envelope: Envelope, mail: asyncio.Task[Reply]) -> None:
        """A handler has ended, whether its peer waits for it or not."""
        self.hold(-len(envelope.octets))
        self._mails.discard(mail)
        self._changed.set()
        if not mail.cancelled() and (error := mail.exception()) is not None:
            self.fault("smtp_handler_failed", peer=envelope.peer, error=type(error).__name__)

    def _is_allowed(self, address: str) -> bool:
        number = ip_address(address)
        return any(number in network for network in self._networks)

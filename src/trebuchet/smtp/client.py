"""Mail out to one peer, over a few connections that are kept from mail to mail."""

import asyncio
from contextlib import suppress

from trebuchet.smtp.connection import Connection, Submitted
from trebuchet.smtp.errors import SmtpLost, SmtpTemporary, SmtpUnavailable
from trebuchet.smtp.mail import Envelope, is_address
from trebuchet.smtp.settings import ClientSettings
from trebuchet.smtp.tls import client_context


class SmtpPool:
    """At most `connections_max` mails are under way at once; others wait in turn, without bound.

    Raises ValueError at once for a certificate file that is wrong. From one event loop.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._tls = client_context(settings)
        self._slots = asyncio.Semaphore(settings.connections_max)
        self._busy: set[Connection] = set()
        self._idle: dict[Connection, asyncio.TimerHandle] = {}  # the last used comes last
        self._closed = False

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._busy) + sum(connection.usable for connection in self._idle)

    async def submit(self, envelope: Envelope) -> Submitted:
        """Hand over one mail, and return once the peer has answered for it.

        Raises SmtpRefused, SmtpTemporary, SmtpLost or SmtpUnavailable, as their docstrings say; each has the
        `dialogue`. A mail whose kept connection turns out to be gone before the final dot takes another by itself.
        Bounded by the time-outs of the settings; a mail that waits for a connection waits as long as the others
        take. Cancelling it breaks its connection. Raises ValueError for an address or a line that SMTP cannot carry,
        and for no recipient. Source: RFC 5321 section 3.3.
        """
        _check(envelope)
        self._refuse_if_closed()
        async with self._slots:
            while True:
                connection, kept = await self._take()
                try:
                    return await connection.submit(envelope)
                except (SmtpLost, SmtpTemporary) as error:
                    if not (kept and _was_stale(error)):
                        raise
                finally:
                    self._give_back(connection)

    async def probe(self) -> None:
        """Find out that the peer can be talked to; keeps the connection for the next mail. Raises SmtpUnavailable."""
        self._refuse_if_closed()
        async with self._slots:
            connection, _ = await self._take()
            self._give_back(connection)

    async def close(self, grace_s: float = 0) -> None:
        """Let the mails under way finish for so long, then break their connections. May be called twice."""
        self._closed = True
        for connection in list(self._idle):
            self._drop(connection)
        until_s = asyncio.get_running_loop().time() + grace_s
        held = 0
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                while held < self.settings.connections_max:
                    await self._slots.acquire()
                    held += 1
        for connection in list(self._busy):
            connection.abort()
        for _ in range(held):
            self._slots.release()

    async def _take(self) -> tuple[Connection, bool]:
        """A connection, and whether it was kept."""
        while self._idle:
            connection, expiry = self._idle.popitem()
            expiry.cancel()
            if connection.usable:
                self._busy.add(connection)
                return connection, True
            connection.quit()
        self._refuse_if_closed()
        connection = await Connection.open(self.settings, self._tls)
        self._busy.add(connection)
        return connection, False

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise SmtpUnavailable("the link is closed")

    def _give_back(self, connection: Connection) -> None:
        self._busy.discard(connection)
        if self._closed or not connection.usable:
            connection.quit()
            return
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.call_later(self.settings.keep_s, self._drop, connection)

    def _drop(self, connection: Connection) -> None:
        expiry = self._idle.pop(connection, None)
        if expiry is not None:
            expiry.cancel()
        connection.quit()


def _was_stale(error: SmtpLost | SmtpTemporary) -> bool:
    """Whether the peer just took leave of a kept connection, and the mail is still ours."""
    if isinstance(error, SmtpLost):
        return not error.after_data
    return error.reply.code == 421 and error.command != "."


def _check(envelope: Envelope) -> None:
    if not envelope.rcpt_tos:
        raise ValueError("the mail has no recipient")
    for address in (envelope.mail_from, *envelope.rcpt_tos):
        if not is_address(address) and not (address == "" and address is envelope.mail_from):
            raise ValueError("an address of the mail cannot stand in an SMTP command")

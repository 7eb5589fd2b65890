"""One connection to a peer that takes mail: its greeting, TLS and AUTH, then one mail after the other."""

import asyncio
import base64
import socket
import ssl
from collections import deque
from typing import Final, cast

import msgspec

from trebuchet.smtp.errors import SmtpError, SmtpLost, SmtpRefused, SmtpTemporary, SmtpUnavailable
from trebuchet.smtp.mail import Envelope, Reply, extensions, stuffed, take_reply
from trebuchet.smtp.settings import ClientSettings

_DIALOGUE_MAX: Final = 300  # lines
_LINE_MAX: Final = 512
_CLOSING: Final = 421  # RFC 5321 section 3.8: the peer closes the connection after this, whatever was asked
_NEEDS_AUTH: Final = 530  # RFC 4954 section 6


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a mail that was not refused as a whole.

    `reply` is the answer to the mail itself: the peer has it for each of `accepted`. If every recipient was refused
    there is none, and nothing was handed over. `refused` has the answer to each recipient that the peer did not
    take: 4xx not now, 5xx never. `dialogue` is what was said, one line each: `> ` ours, `< ` theirs; neither the
    mail nor a password is in it.
    """

    reply: Reply | None
    accepted: tuple[str, ...]
    refused: dict[str, Reply]
    dialogue: tuple[str, ...]


class Connection(asyncio.Protocol):
    """`open` makes one. One mail at a time; from one event loop."""

    def __init__(self, settings: ClientSettings, loop: asyncio.AbstractEventLoop) -> None:
        self.usable = False  # whether it waits for a mail
        self._settings = settings
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._replies: deque[Reply] = deque()
        self._fault = ""  # why nothing more will come
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._offered: dict[str, str] = {}
        self._rested_at_s = 0.0
        self._clean = True  # no mail has begun since it was last reset
        self._dialogue: list[str] = []

    @classmethod
    async def open(cls, settings: ClientSettings, tls: ssl.SSLContext | None) -> "Connection":
        """Connect, greet, go over to TLS and authenticate, as the settings say. Raises SmtpUnavailable."""
        loop = asyncio.get_running_loop()
        connection = cls(settings, loop)
        try:
            await connection._connect(tls)
            await connection._greet(tls)
        except SmtpError as error:
            connection.abort()
            reason = error.reason if isinstance(error, SmtpLost) else str(error)
            unavailable = error if isinstance(error, SmtpUnavailable) else SmtpUnavailable(reason)
            unavailable.dialogue = tuple(connection._dialogue)
            raise unavailable from None
        except BaseException:
            connection.abort()
            raise
        connection.usable = not connection._fault
        return connection

    async def submit(self, envelope: Envelope) -> Submitted:
        """Hand over one mail.

        Raises SmtpRefused, SmtpTemporary, SmtpLost, SmtpUnavailable as they say, each with the dialogue; ValueError
        before anything is written if a line of the mail does not end with CRLF. Afterwards `usable` says
        whether the connection can take another.
        """
        octets = stuffed(envelope.octets)
        self.usable = False
        try:
            self._check(envelope)
            await self._refresh()
            submitted = await self._mail(envelope, octets)
        except SmtpError as error:
            error.dialogue = tuple(self._dialogue)
            if isinstance(error, SmtpRefused | SmtpTemporary):
                self._rest()
            else:
                self.abort()
            raise
        except BaseException:
            self.abort()
            raise
        self._clean = submitted.reply is not None
        self._rest()
        return submitted

    def quit(self) -> None:
        """Say goodbye and close, without waiting for the answer. May be called twice."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"QUIT\r\n")
            self._transport.close()
        self.usable = False

    def abort(self) -> None:
        """Close at once. May be called twice."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # ---- how a dialogue goes ----

    async def _connect(self, tls: ssl.SSLContext | None) -> None:
        settings = self._settings
        where = f"{settings.host} port {settings.port}"
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await self._connect_to_one(tls if settings.tls == "implicit" else None)
        except TimeoutError:
            raise SmtpUnavailable(f"{where}: no connection within {settings.connect_timeout_s:g} s") from None
        except OSError as error:  # refused, unreachable, unknown name, TLS
            raise SmtpUnavailable(f"{where}: {str(error) or type(error).__name__}") from None

    async def _connect_to_one(self, tls: ssl.SSLContext | None) -> None:
        """Try the host's addresses in turn. Raises the last failure."""
        settings = self._settings
        found = await self._loop.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
        for place, address in enumerate(addresses, start=1):
            try:
                async with asyncio.timeout(settings.connect_timeout_s / len(addresses)):
                    await self._loop.create_connection(
                        lambda: self,
                        address,
                        settings.port,
                        ssl=tls,
                        server_hostname=self._tls_name if tls else None,
                    )
            except OSError:  # TimeoutError is one
                if place == len(addresses):
                    raise
            else:
                return

    @property
    def _tls_name(self) -> str:
        return self._settings.tls_server_name or self._settings.host

    async def _greet(self, tls: ssl.SSLContext | None) -> None:
        settings = self._settings
        greeting = await self._answer("the greeting", settings.command_timeout_s)
        if greeting.code != 220:
            raise SmtpUnavailable("the greeting was a refusal", greeting)
        await self._hello()
        if settings.tls == "starttls" and tls is not None:
            await self._start_tls(tls)
            await self._hello()
        if settings.username:
            await self._authenticate()

    async def _hello(self) -> None:
        reply = await self._ask(f"EHLO {self._settings.hostname}")
        if reply.code in {500, 501, 502, 504, 550}:  # RFC 5321 section 3.2: older servers know only HELO
            reply = await self._ask(f"HELO {self._settings.hostname}")
            self._offered = {}
        else:
            self._offered = extensions(reply)
        if reply.code != 250:
            raise SmtpUnavailable("EHLO was refused", reply)

    async def _start_tls(self, tls: ssl.SSLContext) -> None:
        if "STARTTLS" not in self._offered:
            raise SmtpUnavailable("the peer does not offer STARTTLS")
        reply = await self._ask("STARTTLS")
        if reply.code != 220:
            raise SmtpUnavailable("STARTTLS was refused", reply)
        if self._buffer or self._replies or self._transport is None:
            # RFC 3207 section 6: what came in the clear would be taken for answers given under TLS.
            raise SmtpUnavailable("the peer wrote in the clear after it had agreed to TLS")
        settings = self._settings
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                transport = await self._loop.start_tls(
                    self._transport,
                    self,
                    tls,
                    server_hostname=self._tls_name,
                )
        except TimeoutError:
            raise SmtpUnavailable(f"TLS did not begin within {settings.connect_timeout_s:g} s") from None
        except OSError as error:
            raise SmtpUnavailable(f"TLS failed: {str(error) or type(error).__name__}") from None
        if transport is None:
            raise SmtpUnavailable("TLS failed: the connection was lost")
        self.connection_made(transport)

    async def _authenticate(self) -> None:
        """PLAIN (RFC 4616) or LOGIN."""
        settings = self._settings
        if settings.tls == "none" and not settings.auth_without_tls:
            raise SmtpUnavailable("the password is not given without TLS (auth_without_tls allows it)")
        offered = self._offered.get("AUTH", "").split()
        user, password = settings.username, settings.password
        if "PLAIN" in offered:
            secrets = _base64(f"\0{user}\0{password}")
            reply = await self._ask(f"AUTH PLAIN {secrets}", shown="AUTH PLAIN ***")
        elif "LOGIN" in offered:
            reply = await self._ask("AUTH LOGIN")
            for secret in (user, password):
                if reply.code == 334:
                    reply = await self._ask(_base64(secret), shown="***")
        else:
            raise SmtpUnavailable("the peer offers neither AUTH PLAIN nor AUTH LOGIN")
        if reply.code != 235:
            raise SmtpUnavailable("the credentials were refused", reply)

    def _check(self, envelope: Envelope) -> None:
        """Refuse here what the peer has said it will refuse."""
        limit = self._offered.get("SIZE", "").strip()
        if limit.isdecimal() and 0 < int(limit) < len(envelope.octets):
            text = f"the mail has {len(envelope.octets)} octets, the peer takes {limit}"
            raise SmtpRefused(Reply(552, text), "EHLO")
        if not envelope.octets.isascii() and "8BITMIME" not in self._offered:
            raise SmtpRefused(Reply(554, "the mail has octets beyond 7 bits, the peer takes none"), "EHLO")

    async def _refresh(self) -> None:
        """Bring a kept connection to the beginning of a mail, and find out whether it lives if that is in doubt."""
        if self._rested_at_s:
            rested_s = self._loop.time() - self._rested_at_s
            self._dialogue = [f"(on a connection that was last used {rested_s:.0f} s before)"]
            if not self._clean or rested_s >= self._settings.check_after_s:
                reply = await self._ask("RSET")
                if reply.code != 250:
                    raise SmtpLost(f"RSET was answered {reply.line}", after_data=False)
        self._clean = False

    def _rest(self) -> None:
        """Wait for the next mail, unless the peer has ended the dialogue."""
        self._rested_at_s = self._loop.time()
        self.usable = not self._fault and not self._replies

    async def _mail(self, envelope: Envelope, octets: bytes) -> Submitted:
        _judge(await self._ask(f"MAIL FROM:<{envelope.mail_from}>{self._parameters(envelope)}"), "MAIL")
        accepted: list[str] = []
        refused: dict[str, Reply] = {}
        for address in envelope.rcpt_tos:
            reply = await self._ask(f"RCPT TO:<{address}>")
            if 200 <= reply.code < 300:
                accepted.append(address)
            elif reply.code in {_CLOSING, _NEEDS_AUTH}:
                _judge(reply, "RCPT")
            else:
                refused[address] = reply
        final = await self._data(octets) if accepted else None
        return Submitted(
            reply=final, accepted=tuple(accepted), refused=refused, dialogue=tuple(self._dialogue)
        )

    def _parameters(self, envelope: Envelope) -> str:
        size = f" SIZE={len(envelope.octets)}" if "SIZE" in self._offered else ""
        return size if envelope.octets.isascii() else f"{size} BODY=8BITMIME"

    async def _data(self, octets: bytes) -> Reply:
        timeout_s = self._settings.data_timeout_s
        _judge(await self._ask("DATA"), "DATA", wanted=354)
        self._note("> ", f"({len(octets)} octets)")
        self._write(octets)
        await self._written(timeout_s)
        # Up to here the peer cannot have the mail. The dot is a write of its own so that this is certain.
        self._write(b".\r\n")
        self._note("> ", ".")
        reply = await self._answer("the end of the mail", timeout_s, after_data=True)
        _judge(reply, ".")
        return reply

    # ---- octets ----

    async def _ask(self, line: str, *, shown: str = "") -> Reply:
        self._note("> ", shown or line)
        self._write(line.encode("utf-8", "replace") + b"\r\n")
        return await self._answer(
            line.partition(" ")[0] if not shown else "AUTH", self._settings.command_timeout_s
        )

    async def _answer(self, to_what: str, timeout_s: float, *, after_data: bool = False) -> Reply:
        try:
            async with asyncio.timeout(timeout_s):
                while not self._replies:
                    if self._fault:
                        raise SmtpLost(self._fault, after_data=after_data)
                    await self._wait()
        except TimeoutError:
            self._fault = f"no answer within {timeout_s:g} s to {to_what}"
            raise SmtpLost(self._fault, after_data=after_data) from None
        reply = self._replies.popleft()
        for line in reply.text.split("\n"):
            self._note("< ", Reply(reply.code, line).line)
        if reply.code == _CLOSING:
            self._fault = "the peer closed the connection after 421"
        return reply

    async def _written(self, timeout_s: float) -> None:
        """Wait until the operating system has all octets. An early answer is a refusal, and ends the upload."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._paused and not self._fault and not self._replies:
                    await self._wait()
        except TimeoutError:
            raise SmtpLost(f"the mail was not read within {timeout_s:g} s", after_data=False) from None
        if self._replies:
            reply = await self._answer("the mail", timeout_s)
            self._fault = "the peer answered in the middle of the mail"
            _judge(reply, ".", wanted=0)
        if self._fault:
            raise SmtpLost(self._fault, after_data=False)

    def _write(self, octets: bytes) -> None:
        if self._transport is None or self._transport.is_closing() or self._fault:
            raise SmtpLost(self._fault or "the connection is closed", after_data=False)
        self._transport.write(octets)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _note(self, direction: str, line: str) -> None:
        if len(self._dialogue) < _DIALOGUE_MAX:
            self._dialogue.append(direction + line[:_LINE_MAX])

    # ---- what the transport calls ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        # "Not paused" then means that the operating system has everything. Not 0: uvloop's TLS would pause for ever.
        self._transport.set_write_buffer_limits(high=1, low=0)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (reply := take_reply(self._buffer)) is not None:
                self._replies.append(reply)
        except ValueError as error:
            self._end(str(error))
        if len(self._replies) > 1:
            self._end("the peer answered more than it was asked")
        if self.usable and self._replies:
            self._end("the peer spoke unasked")  # it takes its leave
        self._wake()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end("the peer closed the connection" if exc is None else f"the connection broke: {exc}")

    def _end(self, fault: str) -> None:
        self._fault = self._fault or fault
        self.usable = False
        if self._transport is not None:
            self._transport.abort()
        self._wake()


def _judge(reply: Reply, command: str, *, wanted: int = 250) -> None:
    """Raise what an answer to the mail as a whole means; return if it is the wanted one, or another 2xx for 250."""
    if reply.code == wanted or (wanted == 250 and 200 <= reply.code < 300):
        return
    if reply.code == _NEEDS_AUTH:
        raise SmtpUnavailable("the peer wants other credentials", reply)
    if 400 <= reply.code < 500:
        raise SmtpTemporary(reply, command)
    if 500 <= reply.code < 600:
        raise SmtpRefused(reply, command)
    raise SmtpLost(f"{command} was answered {reply.line}", after_data=command == ".")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()

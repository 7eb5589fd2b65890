# ruff: noqa: N802  # aiosmtpd finds commands and hooks by such names
"""One connection of a peer that hands us mail: aiosmtpd's server with our DATA, our limits and our manners.

aiosmtpd reads commands, keeps the order of a mail's commands, and does STARTTLS and the exchanges of AUTH. What we
replace is said at each method. Source: RFC 5321, by section below.
"""

import asyncio
import hmac
import re
import ssl
from typing import Any, AnyStr, Final, NoReturn, Protocol, cast

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword, TLSSetupException
from aiosmtpd.smtp import Envelope as MailEnvelope

from trebuchet.smtp.mail import TERMINATOR, Envelope, Reply, lines_are_whole, parse_path, unstuffed
from trebuchet.smtp.settings import ListenerSettings

_ALL: Final = 1 << 30  # more than the reader ever holds
_FLUSH_S: Final = 5  # how long a last word may take to be read
_NULL_PATH: Final = "<>"  # what aiosmtpd takes for the empty reverse-path
_AUTH_PARAMETER: Final = re.compile(r"[ \t]+AUTH=[^ \t]+(?=[ \t]|\Z)", re.IGNORECASE)
_UNPRINTABLE: Final = re.compile(r"[^ -~\r\n]|\r(?!\n)|(?<!\r)\n")

BARE: Final = Reply(554, "5.6.0 a line of the mail does not end with CRLF")
TOO_LARGE: Final = Reply(552, "5.3.4 the mail is larger than SIZE allows")
NO_ROOM: Final = Reply(452, "4.3.1 too much mail is under way, try again later")
FAILED: Final = Reply(451, "4.3.0 the mail could not be stored, try again later")


class SessionUser(Protocol):
    """Who sessions work for: the listener. None of these may block or raise."""

    stopping: bool

    def refusal(self, session: "Session") -> Reply | None:
        """Why this connection is not wanted, before the greeting."""
        ...

    def left(self, session: "Session") -> None: ...

    def hold(self, octets: int) -> bool:
        """Count octets that a mail under way holds; negative ones are let go. False if there is no room."""
        ...

    async def take(self, envelope: Envelope) -> Reply:
        """Hand a mail over; the answer once it is safe. It goes on although the caller is cancelled."""
        ...

    def fault(self, action: str, **fields: object) -> None:
        """Something went wrong that an operator should know."""
        ...


class Session(SMTP):
    """Made for each connection by the listener; lives until the connection ends."""

    def __init__(
        self,
        settings: ListenerSettings,
        tls: ssl.SSLContext | None,
        user: SessionUser,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._settings = settings
        self._user = user
        self._errors = 0  # since the last mail
        self._answers = 0  # likewise
        self._in_data = False  # from DATA to the answer to the mail
        self._handing_over = False
        self._half_closed = False
        self._login = ""  # as whom the peer has authenticated
        self._mail_timer: asyncio.TimerHandle | None = None
        super().__init__(
            _Hooks(settings.recipients_max),
            data_size_limit=settings.mail_octets_max,
            hostname=settings.hostname,
            ident="ESMTP",
            tls_context=tls if settings.tls.startswith("starttls") else None,
            require_starttls=settings.tls == "starttls-required",
            timeout=settings.idle_timeout_s,
            # By TLS it means STARTTLS only; smtp_AUTH below asks for either kind.
            auth_require_tls=False,
            authenticator=self._judge_credentials,
            loop=loop,
        )
        for command in ("VRFY", "EXPN", "HELP"):  # nobody's business
            del self._smtp_methods[command]

    @property
    def peer(self) -> str:
        """The peer's address, or "" if it is gone already."""
        name = self.session.peer if self.session is not None else None
        return str(name[0]) if name else ""

    def wind_up(self, *, now: bool = False) -> None:
        """End the dialogue: between mails or `now` at once, else after the answer to the mail under way."""
        if now or not self._in_data:
            self._farewell("421 4.3.2 closing")

    def abort(self) -> None:
        """Close at once, whatever is under way. May be called twice."""
        # The one under TLS: TLS itself would wait for the peer's farewell, or in a handshake do nothing.
        transport = self._original_transport or self.transport
        if transport is not None:
            # uvloop's transports do not derive from asyncio's.
            cast("asyncio.WriteTransport", transport).abort()

    # ---- the connection ----

    async def _handle_client(self) -> None:
        """Refuse who is not wanted before the greeting; a connection that ends is no error."""
        try:
            refusal = self._user.refusal(self)
            if refusal is None:
                await super()._handle_client()
            else:
                self._farewell(refusal.line)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass

    def connection_lost(self, error: Exception | None) -> None:
        self._cancel_mail_timer()
        super().connection_lost(error)
        self._user.left(self)

    def eof_received(self) -> bool | None:
        """aiosmtpd gives up at once; a mail that is being stored still gets its answer."""
        if self._handing_over and not self._secure:
            self._half_closed = True
            return True
        return super().eof_received()

    def _timeout_cb(self) -> None:
        """aiosmtpd closes without a word."""
        handshake = self._tls_protocol is not None and self.session is not None and self.session.ssl is None
        if handshake:
            self.abort()
        else:
            self._farewell("421 4.4.2 idle for too long")

    def _set_post_data_state(self) -> None:
        """Called wherever a mail ends: DATA, RSET, EHLO, STARTTLS."""
        self._cancel_mail_timer()
        self.envelope = self._create_envelope()

    def _cancel_mail_timer(self) -> None:
        if self._mail_timer is not None:
            self._mail_timer.cancel()
            self._mail_timer = None

    def _mail_expired(self) -> None:
        if not self._handing_over:
            self._farewell("421 4.4.2 the mail took too long")

    async def push(self, status: AnyStr) -> None:
        """Write an answer, and end a dialogue that goes nowhere. aiosmtpd's answers repeat what the peer wrote."""
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError
        self._answers += 1
        self._errors += status[:1] in {"5", b"5"}
        await super().push(_printable(status))
        if self._errors > self._settings.errors_max:
            self._leave("421 4.7.0 too many errors")
        if self._answers > self._settings.commands_max:
            self._leave("421 4.7.0 too many commands without a mail")

    def _leave(self, line: str) -> NoReturn:
        """Close from within a command."""
        self._farewell(line)
        raise ConnectionResetError

    def _farewell(self, line: str) -> None:
        """Say a last word and close; without waiting, so that a peer that reads nothing cannot keep us."""
        if self.transport is None or self.transport.is_closing():
            return
        self._writer.write(line.encode("ascii") + b"\r\n")
        self.transport.close()
        self.loop.call_later(_FLUSH_S, self.abort)

    async def handle_exception(self, error: Exception) -> str:
        """What a fault of ours or of aiosmtpd's is answered with; aiosmtpd would show it to the peer."""
        if isinstance(error, TLSSetupException):  # aiosmtpd closes, and writes nothing of what is returned
            self._user.fault("smtp_tls_failed", peer=self.peer, error=str(error.__cause__))
        elif isinstance(error, ValueError):
            # A line of AUTH without end; its words are of no use to an operator.
            return "500 5.5.2 line too long"
        else:
            self._user.fault("smtp_session_failed", peer=self.peer, error=type(error).__name__)
        return FAILED.line

    # ---- commands ----

    async def smtp_EHLO(self, hostname: str) -> None:
        """In one write, without HELP, and with AUTH only where it would be taken."""
        if not hostname:
            await self.push("501 Syntax: EHLO hostname")
            return
        assert self.session is not None
        self._set_post_data_state()
        self.session.extended_smtp = True
        self.session.host_name = hostname
        lines = [self.hostname, "PIPELINING", "8BITMIME", f"SIZE {self._settings.mail_octets_max}"]
        if self.tls_context is not None and not self._secure:
            lines.append("STARTTLS")
        if self._takes_passwords:
            lines.append("AUTH PLAIN LOGIN")
        *others, last = lines
        await self.push("".join(f"250-{line}\r\n" for line in others) + f"250 {last}")

    async def smtp_STARTTLS(self, arg: str) -> None:
        """aiosmtpd would begin TLS within TLS, and give the handshake as long as an idle peer."""
        if self._secure or self.tls_context is None:
            await self.push("503 5.5.1 TLS is on" if self._secure else "502 5.5.1 TLS is not offered")
            return
        self._reset_timeout(self._settings.tls_timeout_s)
        self._login = ""  # RFC 3207 section 4.2: everything begins anew
        await super().smtp_STARTTLS(arg)
        assert self.session is not None
        if self._tls_protocol is not None and self.session.ssl is None:
            raise TLSSetupException from ConnectionResetError("the peer left")  # no error in aiosmtpd's eyes

    async def smtp_AUTH(self, arg: str) -> None:
        """Mechanisms in any case (RFC 4954 section 4), passwords under either kind of TLS."""
        if not self._settings.users:
            await self.push("502 5.5.1 AUTH is not offered")
        elif not self._takes_passwords:
            await self.push("538 5.7.11 AUTH needs TLS")
        else:
            mechanism, space, rest = (arg or "").partition(" ")
            await super().smtp_AUTH(mechanism.upper() + space + rest)

    async def check_auth_needed(self, caller_method: str) -> bool:  # noqa: ARG002  # aiosmtpd's signature
        """Asked by the commands of a mail."""
        if not self._settings.auth_required or self._login:
            return False
        await self.push("530 5.7.0 authentication required")
        return True

    async def smtp_MAIL(self, arg: str | None) -> None:
        """Takes, and ignores, who the mail is from in the peer's own eyes (RFC 4954 section 5)."""
        await super().smtp_MAIL(_AUTH_PARAMETER.sub("", arg) if arg else arg)
        if self._mail_timer is None and self.envelope is not None and self.envelope.mail_from:
            self._mail_timer = self.loop.call_later(self._settings.mail_timeout_s, self._mail_expired)

    async def smtp_DATA(self, arg: str) -> None:
        """Read the mail in a few steps instead of one for each line, and answer once it is safe."""
        if await self.check_helo_needed() or await self.check_auth_needed("DATA"):
            return
        if arg:
            await self.push("501 Syntax: DATA")
            return
        if self.envelope is None or not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 no recipient yet")
            return
        self._in_data = True
        try:
            await self.push("354 end with <CRLF>.<CRLF>")
            octets = await self._read_mail()
            reply = octets if isinstance(octets, Reply) else await self._hand_over(octets)
            self._set_post_data_state()
            await self.push(reply.line)
            if octets is not reply:
                self._errors = self._answers = 0
        finally:
            self._in_data = False
        if self._user.stopping or self._half_closed:
            self._leave("421 4.3.2 closing")

    # ---- the mail ----

    async def _read_mail(self) -> bytes | Reply:
        """Everything up to the final dot (section 4.5.2), or why it is not taken; then it has been read, too.

        Only CRLF, dot, CRLF ends a mail, and a line that ends otherwise has it refused: where two servers see the
        end in different places, one sees a mail that the other never checked.
        """
        largest = self._settings.mail_octets_max
        data = bytearray(b"\r\n")  # so that the dot of an empty mail is found like any other
        refused: Reply | None = None
        held = 0
        try:
            while True:
                chunk = await self._reader.read(_ALL)
                if not chunk:
                    raise ConnectionResetError
                self._reset_timeout()
                searched = max(0, len(data) - len(TERMINATOR) + 1)
                data += chunk
                end = data.find(TERMINATOR, searched)
                if refused is None:
                    held += len(chunk)
                    room = self._user.hold(len(chunk))
                    # Before the end is there, the last two octets may belong to it.
                    if (end if end >= 0 else len(data) - 4) > largest:
                        refused = TOO_LARGE
                    elif not room:
                        refused = NO_ROOM
                if end >= 0:
                    break
                if refused is not None:
                    del data[: 1 - len(TERMINATOR)]
        finally:
            self._user.hold(-held)
        following = bytes(data[end + len(TERMINATOR) :])
        if following:  # commands of a peer that does not wait for answers; the reader is empty now
            self._reader.feed_data(following)
        if refused is not None:
            return refused
        octets = bytes(data[2 : end + 2])
        return unstuffed(octets) if lines_are_whole(octets) else BARE

    async def _hand_over(self, octets: bytes) -> Reply:
        assert self.envelope is not None
        assert self._timeout_handle is not None
        mail_from = self.envelope.mail_from or ""
        envelope = Envelope(
            mail_from="" if mail_from == _NULL_PATH else mail_from,
            rcpt_tos=tuple(dict.fromkeys(self.envelope.rcpt_tos)),
            octets=octets,
            peer=self.peer,
            user=self._login,
        )
        self._timeout_handle.cancel()
        self._handing_over = True
        try:
            reply = await self._user.take(envelope)
        finally:
            self._handing_over = False
        self._reset_timeout()
        return reply

    # ---- what commands ask ----

    @property
    def _secure(self) -> bool:
        return self._tls_protocol is not None or self._settings.tls == "implicit"

    @property
    def _takes_passwords(self) -> bool:
        return bool(self._settings.users) and (self._secure or self._settings.auth_without_tls)

    def _judge_credentials(
        self, _server: SMTP, _session: Any, _envelope: Any, _how: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        name = given.login.decode("utf-8", "replace")
        password = self._settings.users.get(name)
        right = hmac.compare_digest(given.password, (password or "").encode())
        if password is None or not right:
            self._user.fault("smtp_auth_failed", peer=self.peer)
            return AuthResult(success=False, handled=False)
        self._login = name
        return AuthResult(success=True)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """By one expression: aiosmtpd takes the header parser of `email`, 90 us for an address."""
        parsed = parse_path(arg)
        if parsed is None:
            return None, None
        address, parameters = parsed
        return address or _NULL_PATH, parameters


def _printable(status: str | bytes) -> str:
    return _UNPRINTABLE.sub("?", status if isinstance(status, str) else status.decode("latin-1"))


class _Hooks:
    """What aiosmtpd asks while it reads commands."""

    def __init__(self, recipients_max: int) -> None:
        self._recipients_max = recipients_max

    async def handle_RCPT(
        self, _server: SMTP, _session: Any, envelope: MailEnvelope, address: str, _options: list[str]
    ) -> str:
        if address == _NULL_PATH:
            return "501 5.1.3 a recipient needs an address"
        if len(envelope.rcpt_tos) >= self._recipients_max:
            return "452 4.5.3 too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

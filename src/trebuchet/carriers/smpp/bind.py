"""One bind: kept up. A connection is made and bound, and when it ends, made again after a while.

What passes on it goes on to the link (`BindUser`). The figures that people look at are counted here.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from trebuchet.carriers.smpp.connection import Connection, Ended
from trebuchet.carriers.smpp.dialing import Unreachable, dial, outbind_allowed, pause_ms
from trebuchet.carriers.smpp.settings import SmppSettings
from trebuchet.carriers.status import BindReport, BindState
from trebuchet.clock import Clock, sleep_until
from trebuchet.protocols.smpp import pdu
from trebuchet.protocols.smpp.session import (
    Bound,
    Event,
    OutbindReceived,
    Rejected,
    Request,
    Response,
    Role,
    Session,
    Timers,
    Unanswered,
)
from trebuchet.telemetry import Telemetry

_PEER_WINDOW = 2_000  # deliver_sm that wait for a commit; beyond it the SMSC is asked to repeat
_SMOOTHING = 0.1  # weight of the newest response time in the moving average
_VERSIONS = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}
_BINDS: dict[str, type[pdu.Bind]] = {
    "transceiver": pdu.BindTransceiver,
    "transmitter": pdu.BindTransmitter,
    "receiver": pdu.BindReceiver,
}


class Counts(msgspec.Struct):
    """What happened on a bind since the link started."""

    submits: int = 0
    receipts: int = 0
    inbound: int = 0
    throttles: int = 0
    unanswered: int = 0
    rejected: int = 0
    reconnects: int = 0
    response_ms: float | None = None
    last_error: str = ""
    peer_system_id: str = ""


class BindUser(Protocol):
    """Who a bind works for. None of these may block or raise."""

    def bound(self, bind: "Bind") -> None:
        """It is bound, or was and can write again."""
        ...

    def ended(self, bind: "Bind", ended: Ended) -> None:
        """No longer bound, or not bound at all. What was under way has been reported as unanswered before."""
        ...

    def response(self, bind: "Bind", response: Response) -> None: ...

    def unanswered(self, bind: "Bind", unanswered: Unanswered) -> None: ...

    def asked(self, bind: "Bind", request: Request) -> None: ...

    def passed(self, bind: "Bind", direction: str, octets: bytes) -> None:
        """A PDU was read or written; called only while `watched` is set."""
        ...


class Bind:
    """`start` once, `stop` once. Everything happens in one event loop. A ConnectionUser.

    One that is not started can `answer` a connection that the SMSC opened: it binds when the SMSC has sent its
    outbind, and is over when that connection is.
    """

    def __init__(
        self,
        name: str,
        role: str,
        settings: SmppSettings,
        tls: ssl.SSLContext | None,
        *,
        clock: Clock,
        chance: Callable[[], float],
        user: BindUser,
        telemetry: Telemetry,
    ) -> None:
        self.name = name
        self.role = role
        self.submits = role != "receiver"
        self.counts = Counts()
        self._settings = settings
        self._tls = tls
        self._clock = clock
        self._chance = chance
        self._user = user
        self._telemetry = telemetry
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None  # the newest that was open
        self._incoming = False
        self._task: asyncio.Task[None] | None = None
        self._watched = False
        self._held = asyncio.Event()  # cleared while an operator wants it unbound
        self._held.set()
        self._hurry: asyncio.Event = asyncio.Event()  # set: do not wait for the next try
        self._stopping = False
        self._state = BindState.CONNECTING
        self._since_ms = clock.now_ms()
        self._next_try_ms: int | None = None

    # ---- what the link asks ----

    @property
    def session(self) -> Session | None:
        """That of the connection that is up."""
        return self._connection.session if self._connection is not None else None

    @property
    def bound(self) -> bool:
        return self._connection is not None and self._connection.bound

    @property
    def room(self) -> int:
        """How many requests may go out now."""
        return self._connection.room if self._connection is not None else 0

    @property
    def takes_tlvs(self) -> bool:
        session = self.session
        return session is None or session.takes_tlvs

    def request(self, message: pdu.Pdu, now_ms: int, context: Any) -> bytes:
        """Send a request. Returns its octets. Raises as `Session.request`."""
        connection = self._connection
        assert connection is not None
        assert connection.session is not None
        octets = connection.session.request(message, now_ms, context)
        connection.touch()
        return octets

    def respond(self, session: Session | None, response: pdu.Pdu) -> bytes:
        """Answer a request of `session`, unless that session is over: the SMSC repeats it then."""
        connection = self._connection
        if session is None or connection is None or session is not connection.session:
            return b""
        octets = session.respond(response)
        connection.touch()
        return octets

    def watch(self, on: bool) -> None:
        self._watched = on
        if self.session is not None:
            self.session.watch = self._passed if on else None

    def report(self, queued: int, limit_per_s: float | None, rate_per_s: float | None) -> BindReport:
        session, counts = self.session, self.counts
        version = f"{session.peer_version >> 4}.{session.peer_version & 15}" if session and self.bound else ""
        return BindReport(
            name=self.name,
            role=self.role,
            state=self._state,
            since_ms=self._since_ms,
            window=self._settings.window if self.submits else 0,
            in_flight=session.in_flight if session else 0,
            queued=queued,
            limit_per_s=limit_per_s,
            rate_per_s=rate_per_s,
            response_ms=counts.response_ms,
            submits=counts.submits,
            receipts=counts.receipts,
            inbound=counts.inbound,
            throttles=counts.throttles,
            unanswered=counts.unanswered,
            rejected=counts.rejected,
            reconnects=counts.reconnects,
            last_error=counts.last_error,
            peer_system_id=counts.peer_system_id if self.bound else "",
            peer_version=version,
            next_try_ms=self._next_try_ms,
        )

    def rejected(self, reason: str) -> None:
        """The peer sent something that cannot be used."""
        self.counts.rejected += 1
        self.counts.last_error = reason
        self._telemetry.count("trebuchet_bind_rejected_total", self.name)

    # ---- life ----

    def start(self) -> None:
        self._task = self._loop.create_task(self._keep_up())

    def answer(self) -> Connection:
        """The protocol of a connection that the SMSC opened, in place of `start`."""
        self._incoming = True
        return self._new_connection()

    def hold(self) -> None:
        """Unbind, and stay so until `release`."""
        self._held.clear()
        self._unbind()

    def release(self) -> None:
        """Bind again now: end the session if there is one, and do not wait for the next try."""
        self._held.set()
        self._hurry.set()
        self._unbind()

    async def stop(self, grace_s: float) -> None:
        """Unbind within `grace_s`, then close. May be called twice."""
        self._stopping = True
        self._held.set()
        self._hurry.set()
        connection, task = self._connection, self._task
        self._unbind()
        if connection is not None:
            if grace_s > 0:
                await asyncio.wait([connection.over], timeout=grace_s)
            connection.abort()
            await asyncio.wait([connection.over], timeout=1)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._enter(BindState.STOPPED)

    def drop(self, reason: str) -> None:
        """The session is of no use any more: close it and bind anew."""
        if self._connection is not None:
            self._connection.finish(reason)

    async def _keep_up(self) -> None:
        failures = 0
        while True:
            self._hurry.clear()
            if not self._held.is_set():
                self._enter(BindState.UNBOUND)
                await self._held.wait()
                continue
            self._enter(BindState.CONNECTING)
            ended = await self._once()
            failures = 0 if ended.was_bound else failures + 1
            if self._stopping:
                return
            if not self._held.is_set():
                continue
            self.counts.reconnects += 1
            self._next_try_ms = self._clock.now_ms() + pause_ms(
                self._settings, ended, max(failures - 1, 0), self._chance()
            )
            self._enter(BindState.WAITING)
            await self._wait_until(self._next_try_ms)
            self._next_try_ms = None

    async def _wait_until(self, due_ms: int) -> None:
        waiting = [
            asyncio.ensure_future(sleep_until(self._clock, due_ms)),
            asyncio.ensure_future(self._hurry.wait()),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _once(self) -> Ended:
        """Connect, and wait for the end of it. The bind goes out as soon as there is a connection."""
        try:
            connection = await dial(self._settings, self._tls, self._new_connection)
        except Unreachable as error:
            ended = Ended(str(error))
            self.closed(ended)
            return ended
        return await connection.over

    def _unbind(self) -> None:
        if self._connection is not None:
            self._connection.unbind()

    def _enter(self, state: BindState) -> None:
        if state is not self._state:
            self._state = state
            self._since_ms = self._clock.now_ms()

    # ---- one connection ----

    def _new_connection(self) -> Connection:
        return Connection(self._new_session, clock=self._clock, user=self)

    def _new_session(self) -> Session:
        settings = self._settings
        return Session(
            Role.ESME,
            self._clock.now_ms(),
            window=settings.window,
            peer_window=_PEER_WINDOW,
            timers=Timers(
                bind_ms=settings.bind_timeout_s * 1000,
                enquire_link_ms=settings.enquire_link_s * 1000,
                response_ms=settings.response_timeout_s * 1000,
                progress_ms=settings.progress_timeout_s * 1000,
            ),
            lenient=len(settings.password) > 8,
        )

    def _bind(self, connection: Connection) -> None:
        settings = self._settings
        connection.bind(
            _BINDS[self.role](
                system_id=settings.system_id,
                password=settings.password,
                system_type=settings.system_type,
                interface_version=_VERSIONS[settings.interface_version],
                address_range=settings.address_range,
            )
        )
        self._enter(BindState.BINDING)

    # ---- ConnectionUser: what the connection says ----

    def opened(self, connection: Connection) -> None:
        self._connection = connection
        self.watch(self._watched)
        if self._stopping or not self._held.is_set():
            connection.unbind()
        elif not self._incoming:
            self._bind(connection)
        elif not outbind_allowed(connection.peer, self._settings.outbind_from):
            connection.abort()

    def happened(self, event: Event) -> None:
        if isinstance(event, Response):
            self._responded(event)
        elif isinstance(event, Request):
            self._user.asked(self, event)
        elif isinstance(event, Unanswered):
            self.counts.unanswered += 1
            self._telemetry.count("trebuchet_bind_unanswered_total", self.name)
            self._user.unanswered(self, event)
        elif isinstance(event, Rejected):
            self.rejected(event.reason)
        elif isinstance(event, Bound):
            self._became_bound(event)
        elif isinstance(event, OutbindReceived) and self._incoming and self._connection is not None:
            self._bind(self._connection)

    def writable(self) -> None:
        self._user.bound(self)

    def closed(self, ended: Ended) -> None:
        """A bind, or a try, has ended."""
        self._telemetry.count("trebuchet_bind_ended_total", self.name)
        if self._stopping or not self._held.is_set():
            self._telemetry.note("unbound", bind=self.name, reason=ended.reason)
        else:
            if ended.reason != self.counts.last_error:  # the same again, minute after minute, is said once
                self._telemetry.problem("bind_ended", bind=self.name, reason=ended.reason)
            self.counts.last_error = ended.reason
        self._user.ended(self, ended)

    def _responded(self, response: Response) -> None:
        counts = self.counts
        waited = response.waited_ms
        known = counts.response_ms
        counts.response_ms = waited if known is None else known + _SMOOTHING * (waited - known)
        self._user.response(self, response)

    def _became_bound(self, event: Bound) -> None:
        self.counts.peer_system_id = getattr(event.response, "system_id", "")
        self._enter(BindState.BOUND)
        self._telemetry.note("bound", bind=self.name, role=self.role, smsc=self.counts.peer_system_id)
        self._user.bound(self)

    def _passed(self, direction: str, octets: bytes) -> None:
        self._user.passed(self, direction, octets)

"""One bind: a connection to the SMSC that is brought up, watched, and brought up again.

It drives a `Session` over a socket: octets in, events out to its `BindUser`, one write per turn of the loop.
Whatever ends the connection, every request that was under way comes back as unanswered, once.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Protocol, cast

import msgspec

from trebuchet.carriers.smpp.settings import SmppSettings
from trebuchet.carriers.status import BindReport, BindState
from trebuchet.clock import Clock, Timer, sleep_until
from trebuchet.protocols.smpp import pdu
from trebuchet.protocols.smpp.constants import Status, status_name
from trebuchet.protocols.smpp.session import (
    BindRefused,
    Bound,
    Closing,
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

_STEPS_S = (1, 2, 5, 10, 30, 60)  # between tries to connect, within the settings' bounds
_JITTER = 0.2
_AFTER_UNBIND_S = 5  # a peer that unbinds wants to be left alone for a moment
_PEER_WINDOW = 2_000  # deliver_sm that wait for a commit; beyond it the SMSC is asked to repeat
_SMOOTHING = 0.1  # weight of the newest response time in the moving average
_VERSIONS = {"3.3": 0x33, "3.4": 0x34, "5.0": 0x50}
_BINDS: dict[str, type[pdu.Bind]] = {
    "transceiver": pdu.BindTransceiver,
    "transmitter": pdu.BindTransmitter,
    "receiver": pdu.BindReceiver,
}


class Ended(msgspec.Struct, frozen=True):
    """How a try to bind, or a bind, came to its end."""

    reason: str
    was_bound: bool = False
    refused: bool = False  # the SMSC said no: asking again at once would be hammering
    by_peer: bool = False  # it unbound


def pause_ms(settings: SmppSettings, ended: Ended, failures: int, chance: float) -> int:
    """How long to wait before the next try. `failures` in a row, `chance` from 0 to 1. Pure."""
    if ended.refused:
        base_s = float(settings.refused_bind_pause_s)
    else:
        step = _STEPS_S[min(failures, len(_STEPS_S) - 1)]
        base_s = min(max(step, settings.reconnect_min_s), settings.reconnect_max_s)
        if ended.by_peer:
            base_s = max(base_s, _AFTER_UNBIND_S)
    return int(base_s * 1000 * (1 + _JITTER * (2 * chance - 1)))


class BindUser(Protocol):
    """Who a bind works for. None of these may block or raise."""

    def bound(self, bind: "Bind") -> None: ...

    def ended(self, bind: "Bind", ended: Ended) -> None:
        """No longer bound, or not bound at all. What was under way has been reported as unanswered before."""
        ...

    def response(self, bind: "Bind", response: Response) -> None: ...

    def unanswered(self, bind: "Bind", unanswered: Unanswered) -> None: ...

    def asked(self, bind: "Bind", request: Request) -> None: ...

    def passed(self, bind: "Bind", direction: str, octets: bytes) -> None:
        """A PDU was read or written; called only while `watched` is set."""
        ...


class Bind(asyncio.Protocol):
    """`start` once, `stop` once. Everything happens in one event loop.

    An `incoming` one is not started: it is the protocol of a connection that the SMSC opened, binds when the
    SMSC has sent its outbind, and is over when that connection is.
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
        incoming: bool = False,
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
        self._incoming = incoming
        self._loop = asyncio.get_running_loop()
        self._session: Session | None = None
        self._transport: asyncio.Transport | None = None
        self._over: asyncio.Future[Ended] | None = None  # of the connection that is up
        self._was_bound = False
        self._task: asyncio.Task[None] | None = None
        self._touched = False
        self._blocked = False  # the peer does not read
        self._timer: Timer | None = None
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
    def bound(self) -> bool:
        return self._session is not None and self._session.bound

    @property
    def room(self) -> int:
        """How many requests may go out now."""
        if self._session is None or self._blocked:
            return 0
        return self._session.room

    @property
    def takes_tlvs(self) -> bool:
        return self._session is None or self._session.takes_tlvs

    def request(self, message: pdu.Pdu, now_ms: int, context: Any) -> bytes:
        """Send a request. Returns its octets. Raises as `Session.request`."""
        assert self._session is not None
        octets = self._session.request(message, now_ms, context)
        self._touch()
        return octets

    def respond(self, session: Session | None, response: pdu.Pdu) -> bytes:
        """Answer a request of `session`, unless that session is over: the SMSC repeats it then."""
        if session is None or session is not self._session:
            return b""
        octets = session.respond(response)
        self._touch()
        return octets

    @property
    def session(self) -> Session | None:
        return self._session

    def watch(self, on: bool) -> None:
        self._watched = on
        if self._session is not None:
            self._session.watch = self._passed if on else None

    def report(self, queued: int, limit_per_s: float | None, rate_per_s: float | None) -> BindReport:
        session, counts = self._session, self.counts
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
        over, task = self._over, self._task
        self._unbind()
        if over is not None and grace_s > 0:
            await asyncio.wait([over], timeout=grace_s)
        if self._transport is not None:
            self._transport.abort()
            if over is not None:
                await asyncio.wait([over], timeout=1)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._enter(BindState.STOPPED)

    def drop(self, reason: str) -> None:
        """The session is of no use any more: close it and bind anew."""
        self._finish(Ended(reason, was_bound=self._was_bound))

    async def _keep_up(self) -> None:
        failures = 0
        while True:
            self._hurry.clear()
            if not self._held.is_set():
                self._enter(BindState.UNBOUND)
                await self._held.wait()
                continue
            self._enter(BindState.CONNECTING)
            ended = await self._connect()
            if ended is None:
                assert self._over is not None
                ended = await self._over
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

    async def _connect(self) -> Ended | None:
        """Open the connection; the bind goes out at once. None if there is one now."""
        settings = self._settings
        where = f"{settings.host}:{settings.port}"
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await self._connect_to_one()
        except TimeoutError:
            return self._failed(f"no connection to {where} within {settings.connect_timeout_s} s")
        except OSError as error:  # refused, unreachable, unknown name, TLS
            return self._failed(f"cannot connect to {where}: {error}")
        except Exception as error:  # noqa: BLE001  # a fault of ours must not end the tries
            return self._failed(f"cannot connect to {where}: {error!r}")
        return None

    async def _connect_to_one(self) -> None:
        """Try the host's addresses in turn. Raises the last failure."""
        settings = self._settings
        tls_name = (settings.tls_server_name or settings.host) if self._tls else None
        found = await self._loop.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(address[4][0] for address in found))
        for place, address in enumerate(addresses, start=1):
            try:
                async with asyncio.timeout(settings.connect_timeout_s / len(addresses)):
                    await self._loop.create_connection(
                        lambda: self, str(address), settings.port, ssl=self._tls, server_hostname=tls_name
                    )
            except OSError:  # TimeoutError is one
                if place == len(addresses):
                    raise
            else:
                return

    def _failed(self, reason: str) -> Ended:
        ended = Ended(reason)
        self._over_and_out(ended)
        return ended

    def _over_and_out(self, ended: Ended) -> None:
        """Say once that a bind, or a try, has ended."""
        self._telemetry.count("trebuchet_bind_ended_total", self.name)
        if self._stopping or not self._held.is_set():
            self._telemetry.note("unbound", bind=self.name, reason=ended.reason)
        else:
            if ended.reason != self.counts.last_error:  # the same again, minute after minute, is said once
                self._telemetry.problem("bind_ended", bind=self.name, reason=ended.reason)
            self.counts.last_error = ended.reason
        self._user.ended(self, ended)

    def _unbind(self) -> None:
        if self._session is not None and self._session.bound:
            self._session.unbind(self._clock.now_ms())
            self._touch()
        elif self._transport is not None:
            self._finish(Ended("stopped before it was bound"))

    def _enter(self, state: BindState) -> None:
        if state is not self._state:
            self._state = state
            self._since_ms = self._clock.now_ms()

    # ---- asyncio.Protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        settings = self._settings
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._over = self._loop.create_future()
        self._was_bound = self._blocked = False
        self._session = Session(
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
        self._session.watch = self._passed if self._watched else None
        if not self._incoming:
            self._bind(self._session)
        elif not outbind_allowed(transport.get_extra_info("peername"), settings.outbind_from):
            self._transport.abort()

    def _bind(self, session: Session) -> None:
        settings = self._settings
        session.bind(
            _BINDS[self.role](
                system_id=settings.system_id,
                password=settings.password,
                system_type=settings.system_type,
                interface_version=_VERSIONS[settings.interface_version],
                address_range=settings.address_range,
            )
        )
        self._enter(BindState.BINDING)
        self._touch()

    def data_received(self, data: bytes) -> None:
        if self._session is not None:
            self._handle(self._session.receive(data, self._clock.now_ms()))
            self._touch()

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        if self.bound:
            self._user.bound(self)

    def connection_lost(self, exc: Exception | None) -> None:
        reason = f"the connection was lost: {exc}" if exc else "the SMSC closed the connection"
        self._finish(Ended(reason, was_bound=self._was_bound))
        self._transport = None

    # ---- events ----

    def _handle(self, events: list[Event]) -> None:
        for event in events:
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
            elif isinstance(event, BindRefused):
                self._finish(Ended(f"bind refused: {_said(event.status)}", refused=True))
            elif isinstance(event, Closing):
                by_peer = not event.fault
                self._finish(Ended(event.reason, was_bound=self._was_bound, by_peer=by_peer))
            elif isinstance(event, OutbindReceived) and self._incoming and self._session is not None:
                self._bind(self._session)

    def _responded(self, response: Response) -> None:
        counts = self.counts
        waited = response.waited_ms
        known = counts.response_ms
        counts.response_ms = waited if known is None else known + _SMOOTHING * (waited - known)
        self._user.response(self, response)

    def _became_bound(self, event: Bound) -> None:
        self._was_bound = True
        self.counts.peer_system_id = getattr(event.response, "system_id", "")
        self._enter(BindState.BOUND)
        self._telemetry.note("bound", bind=self.name, role=self.role, smsc=self.counts.peer_system_id)
        self._user.bound(self)

    def _finish(self, ended: Ended) -> None:
        """The session is over, whichever way it ended; the first word on it counts."""
        session, over = self._session, self._over
        if session is None or over is None or over.done():
            return
        if self._transport is not None:
            self._transport.write(session.take_output())
            self._transport.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._handle(session.lost(ended.reason))
        self._session = None
        over.set_result(ended)
        self._over_and_out(ended)

    # ---- output and time ----

    def _touch(self) -> None:
        if not self._touched:
            self._touched = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._touched = False
        if self._session is None or self._transport is None:
            return
        output = self._session.take_output()
        if output:
            self._transport.write(output)
        due_ms = self._session.deadline_ms
        timer = self._timer
        if due_ms is not None and (timer is None or timer.callback is None or due_ms < timer.due_ms):
            if timer is not None:
                timer.cancel()
            self._timer = self._clock.call_at(due_ms, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._session is not None:
            self._handle(self._session.tick(self._clock.now_ms()))
            self._touch()

    def _passed(self, direction: str, octets: bytes) -> None:
        self._user.passed(self, direction, octets)


def outbind_allowed(peer: object, allowed: Sequence[str]) -> bool:
    """Whether the other end of a connection (a socket address) may call us: only who is named. Pure."""
    try:
        address = ip_address(peer[0]) if isinstance(peer, tuple) else None
    except ValueError:
        return False
    return address is not None and any(address in ip_network(network) for network in allowed)


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


def _said(status: int) -> str:
    try:
        return f"{status_name(status)} (0x{Status(status):02X})"
    except ValueError:
        return status_name(status)

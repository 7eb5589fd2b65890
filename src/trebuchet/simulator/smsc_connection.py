"""One connection of an ESME to the listening SMSC: drives a `Session` over a socket, and judges its bind."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, cast

from trebuchet.clock import Clock, Timer
from trebuchet.protocols.smpp import pdu
from trebuchet.protocols.smpp.constants import Status
from trebuchet.protocols.smpp.session import (
    BindRequested,
    Closing,
    Event,
    Request,
    Response,
    Role,
    Session,
    State,
    Unanswered,
)
from trebuchet.simulator.smsc_account import Account
from trebuchet.simulator.smsc_settings import SmscSettings

_VERSIONS: Final = {"3.3": None, "3.4": 0x34, "5.0": 0x50}
_RECEIVING: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})


class House(Protocol):
    """What a connection needs of its SMSC."""

    @property
    def settings(self) -> SmscSettings: ...

    @property
    def clock(self) -> Clock: ...

    def account(self, system_id: str) -> Account: ...

    def entered(self) -> None:
        """Somebody is bound."""
        ...

    def left(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """A Peer of its account, once it is bound. With `full` it is closed at once: there are too many."""

    def __init__(self, house: House, *, full: bool) -> None:
        self.account: Account | None = None
        self.peer = ""
        self._house = house
        self._full = full
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._touched = False
        self._timer: Timer | None = None
        self._submits = 0
        self._blocked = False
        self.session = Session(
            Role.SMSC,
            house.clock.now_ms(),
            window=house.settings.deliver_window,
            peer_window=house.settings.window,
        )

    # ---- what the account asks ----

    @property
    def receives(self) -> bool:
        return self.session.state in _RECEIVING and not self._blocked

    def respond(self, response: pdu.Pdu) -> None:
        self.session.respond(response)
        self._touch()

    def ignore(self) -> None:
        """A submit that is never answered."""
        self.session.ignore()

    def ask(self, message: pdu.DeliverSm, future: "asyncio.Future[None]") -> None:
        self.session.request(message, self._house.clock.now_ms(), (message, future))
        self._touch()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Unbind and close, without waiting for the answer."""
        self.session.unbind(self._house.clock.now_ms())
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # ---- asyncio.Protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else ""
        if self._full:
            self._transport.abort()
        self._touch()

    def data_received(self, data: bytes) -> None:
        self._handle(self.session.receive(data, self._house.clock.now_ms()))
        self._touch()

    def pause_writing(self) -> None:
        # A peer that does not read is given nothing more, and asks for nothing more.
        self._blocked = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._blocked = False
        if self._transport is not None:
            self._transport.resume_reading()
        if self.account is not None:
            self.account.deliver()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self.account is not None:
            self.account.connections.remove(self)
        self._handle(self.session.lost(str(exc) if exc else "the ESME closed the connection"))
        self._house.left(self)

    # ---- events ----

    def _handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Request):
                self._asked(event.pdu)
            elif isinstance(event, Response):
                message, future = event.context
                if self.account is not None:
                    self.account.delivered(message, future, event.pdu.status)
                    self.account.deliver()
            elif isinstance(event, Unanswered):
                if self.account is not None:
                    self.account.again(*event.context)
            elif isinstance(event, BindRequested):
                self._bind(event.request)
            elif isinstance(event, Closing):
                self._end()

    def _asked(self, message: pdu.Pdu) -> None:
        assert self.account is not None  # only what is bound is handed on
        if isinstance(message, pdu.SubmitSm | pdu.DataSm):
            self._submits += 1
            every = self._house.settings.disconnect_every
            if every and self._submits % every == 0:
                self.abort()
                return
            self.account.submit(self, message)
        elif isinstance(message, pdu.QuerySm | pdu.CancelSm | pdu.ReplaceSm):
            self.respond(self.account.change(message))
        else:
            self.respond(message.response(status=Status.RINVCMDID))

    def _bind(self, request: pdu.Bind) -> None:
        house, settings = self._house, self._house.settings
        status = self._judge(request)
        if status is None:
            self.abort()
        elif status:
            self.session.refuse_bind(request, status)
            self._end()
        else:
            self.account = house.account(request.system_id)
            self.account.connections.append(self)
            self.session.accept_bind(request, settings.system_id, _VERSIONS[settings.version])
            house.entered()
            self._loop.call_soon(self.account.deliver)

    def _judge(self, request: pdu.Bind) -> int | None:
        """Status of the answer to a bind; None: none at all, because the carrier is down."""
        settings = self._house.settings
        if settings.accounts:
            if request.system_id not in settings.accounts:
                return Status.RINVSYSID
            if request.password != settings.accounts[request.system_id]:
                return Status.RINVPASWD
        elif not request.system_id:
            return Status.RINVSYSID
        account = self._house.account(request.system_id)
        if account.down_until_ms > self._house.clock.now_ms():
            return None
        return Status.RBINDFAIL if len(account.connections) >= settings.binds_max else Status.ROK

    def _end(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # ---- output and time ----

    def _touch(self) -> None:
        if not self._touched:
            self._touched = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._touched = False
        if self._transport is None or self._transport.is_closing():
            return
        output = self.session.take_output()
        if output:
            self._transport.write(output)
        due_ms = self.session.deadline_ms
        timer = self._timer
        if due_ms is not None and (timer is None or timer.callback is None or due_ms < timer.due_ms):
            if timer is not None:
                timer.cancel()
            self._timer = self._house.clock.call_at(due_ms, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._handle(self.session.tick(self._house.clock.now_ms()))
        self._touch()

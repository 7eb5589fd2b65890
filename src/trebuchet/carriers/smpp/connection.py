"""One connection to the SMSC, from its first octet to its end: drives a `Session` over a socket.

Octets in, events out to its user, one write per turn of the loop. Whatever ends the connection, every request
that was under way comes back as unanswered, once, and then its end is said, once.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import msgspec

from trebuchet.clock import Clock, Timer
from trebuchet.protocols.smpp import pdu
from trebuchet.protocols.smpp.constants import Status, status_name
from trebuchet.protocols.smpp.session import BindRefused, Bound, Closing, Event, Session


class Ended(msgspec.Struct, frozen=True):
    """How a try to bind, or a bind, came to its end."""

    reason: str
    was_bound: bool = False
    refused: bool = False  # the SMSC said no: asking again at once would be hammering
    by_peer: bool = False  # it unbound


class ConnectionUser(Protocol):
    """Who a connection works for. None of these may block or raise."""

    def opened(self, connection: "Connection") -> None: ...

    def happened(self, event: Event) -> None:
        """Every event of the session but those that end it."""
        ...

    def writable(self) -> None:
        """The peer reads again."""
        ...

    def closed(self, ended: Ended) -> None: ...


class Connection(asyncio.Protocol):
    """The protocol of one transport. `make_session` is called when it is open."""

    def __init__(self, make_session: Callable[[], Session], *, clock: Clock, user: ConnectionUser) -> None:
        self.session: Session | None = None  # None before it is open, and once it is over
        self.over: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._make_session = make_session
        self._clock = clock
        self._user = user
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._was_bound = False
        self._touched = False
        self._blocked = False  # the peer does not read
        self._timer: Timer | None = None

    # ---- what its user asks ----

    @property
    def bound(self) -> bool:
        return self.session is not None and self.session.bound

    @property
    def room(self) -> int:
        """How many requests may go out now."""
        if self.session is None or self._blocked:
            return 0
        return self.session.room

    @property
    def peer(self) -> object:
        """The socket address of the other end."""
        return self._transport.get_extra_info("peername") if self._transport else None

    def bind(self, request: pdu.Bind) -> None:
        """Ask for the bind. Raises as `Session.bind`."""
        assert self.session is not None
        self.session.bind(request)
        self.touch()

    def unbind(self) -> None:
        """End it: in good order if it is bound. Does nothing once it is over."""
        if self.session is not None and self.session.bound:
            self.session.unbind(self._clock.now_ms())
            self.touch()
        else:
            self.finish("stopped before it was bound")

    def finish(self, reason: str, *, refused: bool = False, by_peer: bool = False) -> None:
        """The session is over, whichever way it ended; the first word on it counts."""
        session = self.session
        if session is None or self.over.done():
            return
        ended = Ended(reason, self._was_bound, refused, by_peer)
        if self._transport is not None:
            self._transport.write(session.take_output())
            self._transport.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._handle(session.lost(reason))
        self.session = None
        self.over.set_result(ended)
        self._user.closed(ended)

    def abort(self) -> None:
        """Close the transport without another word, also one that is closing."""
        if self._transport is not None:
            self._transport.abort()

    def touch(self) -> None:
        """The session has output, or another deadline: see to it at the end of this turn of the loop."""
        if not self._touched:
            self._touched = True
            self._loop.call_soon(self._flush)

    # ---- asyncio.Protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.session = self._make_session()
        self._user.opened(self)

    def data_received(self, data: bytes) -> None:
        if self.session is not None:
            self._handle(self.session.receive(data, self._clock.now_ms()))
            self.touch()

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        if self.bound:
            self._user.writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self.finish(f"the connection was lost: {exc}" if exc else "the SMSC closed the connection")
        self._transport = None

    # ---- events, output and time ----

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, BindRefused):
                self.finish(f"bind refused: {_said(event.status)}", refused=True)
            elif isinstance(event, Closing):
                self.finish(event.reason, by_peer=not event.fault)
            else:
                self._was_bound = self._was_bound or isinstance(event, Bound)
                self._user.happened(event)

    def _flush(self) -> None:
        self._touched = False
        if self.session is None or self._transport is None:
            return
        output = self.session.take_output()
        if output:
            self._transport.write(output)
        due_ms = self.session.deadline_ms
        timer = self._timer
        if due_ms is not None and (timer is None or timer.callback is None or due_ms < timer.due_ms):
            if timer is not None:
                timer.cancel()
            self._timer = self._clock.call_at(due_ms, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self.session is not None:
            self._handle(self.session.tick(self._clock.now_ms()))
            self.touch()


def _said(status: int) -> str:
    try:
        return f"{status_name(status)} (0x{Status(status):02X})"
    except ValueError:
        return status_name(status)

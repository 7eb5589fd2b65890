"""One SMPP session, for both roles, without sockets and without a clock. Source: SMPP 3.4 section 2, 5.0 section 2.

The driver feeds octets and moments, sends what `take_output` returns, and carries out the events. Time comes in
as milliseconds of any steady clock; `deadline_ms` says when `tick` is wanted next.

The session answers by itself what needs no judgement: enquire_link, unbind, and everything that is malformed,
unknown, or not legal now. Recoverable errors are answered and reported as `Rejected`; after an unrecoverable
one there is a `Closing`, and the driver writes the output that is left and closes the connection.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from trebuchet.protocols.smpp import codec, pdu, tlv
from trebuchet.protocols.smpp.constants import RESPONSE, Command, Status, status_name
from trebuchet.protocols.smpp.errors import DecodeError, Refusal
from trebuchet.protocols.smpp.events import (
    BindRefused,
    BindRequested,
    Bound,
    Closing,
    Event,
    OutbindReceived,
    Rejected,
    Request,
    Response,
    Unanswered,
)
from trebuchet.protocols.smpp.framing import Framer
from trebuchet.protocols.smpp.states import BINDS, BOUND, BOUND_BY, LEGAL, UNANSWERED, Role, State
from trebuchet.protocols.smpp.timers import Moments, Timers, ends, enquiry_due_ms

__all__ = [
    "LEGAL",
    "SEQUENCE_MAX",
    "BindRefused",
    "BindRequested",
    "Bound",
    "Closing",
    "Event",
    "OutbindReceived",
    "Refusal",
    "Rejected",
    "Request",
    "Response",
    "Role",
    "Session",
    "State",
    "Timers",
    "Unanswered",
]

SEQUENCE_MAX = 0x7FFF_FFFF
_MISSES_MAX = 2  # enquire_links without an answer before the session counts as dead


class _Waiting(msgspec.Struct, gc=False):
    """One request of ours in the window."""

    command: int
    context: Any
    sent_ms: int


class Session:
    """One connection's session. `window` bounds our unanswered requests, `peer_window` the peer's.

    `watch`, if set, is called with ("out" or "in", octets) for each PDU as it is written or read.
    """

    def __init__(
        self,
        role: Role,
        now_ms: int,
        *,
        window: int = 10,
        peer_window: int = 1000,
        timers: Timers | None = None,
        max_pdu: int = 70_000,
        lenient: bool = False,
    ) -> None:
        self.role = role
        self.state = State.OPEN
        self.window = window
        self.peer_window = peer_window
        self.peer_version = 0x34  # until the bind says otherwise
        self.watch: Callable[[str, bytes], None] | None = None
        self._timers = timers or Timers()
        self._lenient = lenient
        self._framer = Framer(max_pdu)
        self._output: list[bytes] = []
        self._sequence = 0
        self._waiting: dict[int, _Waiting] = {}  # oldest first
        self._unanswered = 0  # requests of the peer that wait for `respond`
        self._moments = Moments(began_ms=now_ms, heard_ms=now_ms, active_ms=now_ms)
        self._binding: tuple[int, int] | None = None  # sequence and command of our bind
        self._asked_to_bind = False  # the peer's bind waits for `accept_bind` or `refuse_bind`
        self._unbinding: int | None = None  # sequence of our unbind
        self._peer = Role.SMSC if role is Role.ESME else Role.ESME

    # ---- what the driver asks ----

    @property
    def bound(self) -> bool:
        return self.state in BOUND

    @property
    def in_flight(self) -> int:
        """Requests of ours that wait for an answer."""
        return len(self._waiting)

    @property
    def room(self) -> int:
        """How many requests may go out now."""
        if self.state not in BOUND or self._unbinding is not None:
            return 0
        return max(self.window - len(self._waiting), 0)

    @property
    def takes_tlvs(self) -> bool:
        """Whether the peer may be sent optional parameters (SMPP 3.4 section 5.2.4: not below version 3.4)."""
        return self.peer_version >= 0x34

    def take_output(self) -> bytes:
        """What is to be written to the connection now, in one piece."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    @property
    def deadline_ms(self) -> int | None:
        """When `tick` is wanted. It may be called sooner, and must be asked again after every call."""
        if self.state is State.CLOSED:
            return None
        due = [due_ms for due_ms, _ in ends(self._timers, self.state, self._moments)]
        if self._waiting and self._timers.response_ms:
            due.append(next(iter(self._waiting.values())).sent_ms + self._timers.response_ms)
        enquiry_ms = enquiry_due_ms(self._timers, self.state, self._moments)
        if enquiry_ms is not None:
            due.append(enquiry_ms)
        return min(due, default=None)

    def tick(self, now_ms: int) -> list[Event]:
        """Do what is due. Returns what the driver must know."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        self._expire_requests(now_ms, events)
        for due_ms, reason in ends(self._timers, self.state, self._moments):
            if due_ms <= now_ms:
                self._close(reason, events)
                return events
        enquiry_ms = enquiry_due_ms(self._timers, self.state, self._moments)
        if enquiry_ms is not None and enquiry_ms <= now_ms:
            self._enquire(now_ms, events)
        return events

    # ---- what the driver does ----

    def bind(self, request: pdu.Bind) -> None:
        """ESME: ask for the bind. Raises Refusal if the state does not allow it, EncodeError for bad fields."""
        self._check_legal(request.COMMAND)
        request.sequence = self._next_sequence()
        self._put(request)
        self._binding = (request.sequence, request.COMMAND)

    def accept_bind(self, request: pdu.Bind, system_id: str, version: int | None = 0x34) -> None:
        """SMSC: the ESME is bound from now on. `version` None: say nothing of it, as a 3.3 peer does.

        Nothing happens once the session is over: what ended it may have come with the bind.
        """
        if self.state is State.CLOSED:
            return
        self.peer_version = request.interface_version
        said = self.takes_tlvs and version is not None
        tlvs = ((tlv.Tag.SC_INTERFACE_VERSION, bytes([version or 0])),) if said else ()
        self._put(request.response(system_id=system_id, tlvs=tlvs))
        self.state = BOUND_BY[request.COMMAND]
        self._asked_to_bind = False

    def refuse_bind(self, request: pdu.Bind, status: int) -> None:
        """SMSC: the ESME is not bound; it may try again or be closed. As `accept_bind` once the session is over."""
        if self.state is State.CLOSED:
            return
        self._put(request.response(status=status))
        self._asked_to_bind = False

    def request(self, request: pdu.Pdu, now_ms: int, context: Any = None) -> bytes:
        """Send a request; its answer comes with `context`. Returns its octets.

        Raises Refusal if the window is full or the state does not allow it, EncodeError for bad fields.
        """
        if len(self._waiting) >= self.window:
            raise Refusal(f"the window of {self.window} is full")
        if self._unbinding is not None:
            raise Refusal("the session is being unbound")
        self._check_legal(request.COMMAND)
        request.sequence = self._next_sequence()
        octets = self._put(request)
        if request.COMMAND in UNANSWERED:
            if request.COMMAND == Command.OUTBIND:
                self.state = State.OUTBOUND
            return octets
        self._waiting[request.sequence] = _Waiting(request.COMMAND, context, now_ms)
        if self._moments.progress_ms is None:
            self._moments.progress_ms = now_ms
        return octets

    def respond(self, response: pdu.Pdu) -> bytes:
        """Answer a `Request`: each exactly once, in any order. Returns the octets, none once the session is over."""
        self._unanswered -= 1
        if self.state is State.CLOSED:
            return b""
        return self._put(response)

    def ignore(self) -> None:
        """Leave one `Request` without an answer for ever."""
        self._unanswered -= 1

    def unbind(self, now_ms: int) -> None:
        """Ask the peer to end the session. No request goes out any more. Does nothing unless bound."""
        if self.state in BOUND and self._unbinding is None:
            request = pdu.Unbind(sequence=self._next_sequence())
            self._put(request)
            self._unbinding = request.sequence
            self._moments.unbinding_ms = now_ms

    def receive(self, data: bytes, now_ms: int) -> list[Event]:
        """Octets came in. Returns what the driver must do, in order."""
        events: list[Event] = []
        for octets in self._framer.feed(data):
            if self.state is State.CLOSED:
                return events
            if self.watch is not None:
                self.watch("in", octets)
            self._moments.heard_ms = now_ms
            self._moments.enquiries = 0
            try:
                message = codec.decode(octets)
            except DecodeError as error:
                self._malformed(error, octets, events)
                continue
            if message.COMMAND & RESPONSE:
                self._answered(message, octets, now_ms, events)
            else:
                self._asked(message, octets, now_ms, events)
        if self._framer.broken is not None and self.state is not State.CLOSED:
            self._put(pdu.GenericNack(status=Status.RINVCMDLEN))
            self._close(str(self._framer.broken), events)
        return events

    def lost(self, reason: str = "the connection was lost") -> list[Event]:
        """The connection is gone: every request of ours that waits is `Unanswered`. May be called twice."""
        events: list[Event] = []
        self.state = State.CLOSED
        self._output.clear()
        self._give_up(reason, events)
        return events

    # ---- what comes in ----

    def _asked(self, message: pdu.Pdu, octets: bytes, now_ms: int, events: list[Event]) -> None:
        command = message.COMMAND
        if command == Command.ENQUIRE_LINK:
            self._put(message.response())
            return
        self._moments.active_ms = now_ms
        again = command in BINDS and self._asked_to_bind
        if again or command not in LEGAL[self._peer, self.state]:
            when = "a bind waits" if again else self.state.value
            reason = f"{Command(command).name.lower()} is not legal when {when}"
            if command not in UNANSWERED:
                self._put(message.response(status=self._illegal_status(command)))
            events.append(Rejected(reason, Status.RINVBNDSTS, octets))
        elif command == Command.UNBIND:
            self._put(message.response())
            self.state = State.UNBOUND
            self._close("the peer unbound", events, fault=False)
        elif isinstance(message, pdu.Bind):
            self._asked_to_bind = True
            events.append(BindRequested(message))
        elif isinstance(message, pdu.Outbind):
            self.state = State.OUTBOUND
            events.append(OutbindReceived(message))
        elif command in UNANSWERED:
            events.append(Request(message, octets))
        elif self._unanswered >= self.peer_window:
            status = Status.RTHROTTLED if self.role is Role.SMSC else Status.RX_T_APPN
            self._put(message.response(status=status))
            events.append(Rejected("the peer has too many unanswered requests", status, octets))
        else:
            self._unanswered += 1
            events.append(Request(message, octets))

    def _illegal_status(self, command: int) -> int:
        again = command in BINDS and (self.state in BOUND or self._asked_to_bind)
        return Status.RALYBND if again else Status.RINVBNDSTS

    def _answered(self, message: pdu.Pdu, octets: bytes, now_ms: int, events: list[Event]) -> None:
        waiting = self._waiting.get(message.sequence)
        if waiting is not None and message.COMMAND in (waiting.command | RESPONSE, Command.GENERIC_NACK):
            del self._waiting[message.sequence]
            self._moments.active_ms = now_ms
            self._moments.progress_ms = now_ms if self._waiting else None
            events.append(Response(message, octets, waiting.context, now_ms - waiting.sent_ms))
        elif message.COMMAND == Command.ENQUIRE_LINK_RESP:
            return
        elif self._binding is not None and message.sequence == self._binding[0]:
            self._bind_answered(message, self._binding[1], events)
        elif self._unbinding == message.sequence:
            self.state = State.UNBOUND
            self._close("unbound", events, fault=False)
        else:
            name = Command(message.COMMAND).name.lower()
            events.append(Rejected(f"{name} to nothing that waits", message.status, octets))
            if isinstance(message, pdu.GenericNack) and message.status == Status.RINVCMDLEN:
                self._close("the peer could not read our octets", events)

    def _bind_answered(self, message: pdu.Pdu, command: int, events: list[Event]) -> None:
        self._binding = None
        if message.status != Status.ROK:
            events.append(BindRefused(message.status))
            self._close(f"the bind was refused: {status_name(message.status)}", events)
            return
        said = tlv.first(message.tlvs, tlv.Tag.SC_INTERFACE_VERSION)
        # A peer that says nothing is taken at 3.4: many speak it and leave the parameter out.
        self.peer_version = said[0] if said else 0x34
        self.state = BOUND_BY[command]
        events.append(Bound(message))

    def _malformed(self, error: DecodeError, octets: bytes, events: list[Event]) -> None:
        """Answer what cannot be decoded, so that the peer's window is freed, and go on."""
        if error.command & RESPONSE:
            waiting = self._waiting.pop(error.sequence, None)
            if waiting is not None:
                self._moments.progress_ms = self._moments.heard_ms if self._waiting else None
                events.append(Unanswered(waiting.context, f"its answer cannot be read: {error.reason}"))
        else:
            response = pdu.response_to(error.command, error.sequence, error.status)
            if response is not None:
                self._put(response)
        events.append(Rejected(str(error), error.status, octets))

    # ---- what goes out ----

    def _put(self, message: pdu.Pdu) -> bytes:
        octets = codec.encode(message, lenient=self._lenient) if self._lenient else codec.encode(message)
        self._output.append(octets)
        if self.watch is not None:
            self.watch("out", octets)
        return octets

    def _next_sequence(self) -> int:
        sequence = self._sequence
        while True:
            sequence = sequence % SEQUENCE_MAX + 1
            if sequence not in self._waiting:
                self._sequence = sequence
                return sequence

    def _check_legal(self, command: int) -> None:
        if command not in LEGAL[self.role, self.state]:
            raise Refusal(f"{Command(command).name.lower()} is not legal when {self.state.value}")

    # ---- time ----

    def _enquire(self, now_ms: int, events: list[Event]) -> None:
        """Ask whether the peer is there, unless it did not answer that before."""
        moments = self._moments
        if moments.enquiries >= _MISSES_MAX:
            self._close("the peer does not answer enquire_link", events)
            return
        moments.enquiries += 1
        moments.enquired_ms = now_ms
        self._put(pdu.EnquireLink(sequence=self._next_sequence()))

    def _expire_requests(self, now_ms: int, events: list[Event]) -> None:
        if not self._timers.response_ms:
            return
        late = now_ms - self._timers.response_ms
        while self._waiting:
            sequence, waiting = next(iter(self._waiting.items()))
            if waiting.sent_ms > late:
                return
            del self._waiting[sequence]
            events.append(Unanswered(waiting.context, "no answer in time"))

    def _close(self, reason: str, events: list[Event], *, fault: bool = True) -> None:
        self._give_up(reason, events)
        self.state = State.CLOSED
        events.append(Closing(reason, fault))

    def _give_up(self, reason: str, events: list[Event]) -> None:
        waiting, self._waiting = self._waiting, {}
        self._moments.progress_ms = None
        events.extend(Unanswered(entry.context, reason) for entry in waiting.values())

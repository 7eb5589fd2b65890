"""Whatever a peer writes, and whenever: a session of either role raises nothing and writes only whole PDUs.

It keeps its windows, ends each request of its user exactly once, and says nothing after its end.
"""

import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["trebuchet.protocols"]):
    from trebuchet.protocols.smpp import Framer, decode, encode, pdu
    from trebuchet.protocols.smpp.session import (
        BindRequested,
        Bound,
        Closing,
        Event,
        Refusal,
        Request,
        Response,
        Role,
        Session,
        State,
        Unanswered,
    )

WINDOW = 3
STEPS_MAX = 25
REQUESTS = (pdu.SubmitSm, pdu.DeliverSm, pdu.DataSm, pdu.QuerySm, pdu.AlertNotification, pdu.Outbind)
COMMANDS = tuple(pdu.CLASSES)
NEEDED: dict[int, dict[str, Any]] = {
    pdu.SubmitMulti.COMMAND: {"dest_address": (pdu.DestAddress(destination_addr="1"),)}
}
BINDS = (pdu.BindTransmitter, pdu.BindReceiver, pdu.BindTransceiver)


class Driver:
    """The session's user, who takes each decision from the input."""

    def __init__(self, chosen: atheris.FuzzedDataProvider) -> None:
        self.chosen = chosen
        self.now_ms = 0
        role = Role.ESME if chosen.ConsumeBool() else Role.SMSC
        self.session = Session(role, 0, window=WINDOW, peer_window=WINDOW, max_pdu=500)
        self.written = Framer(70_000)
        self.asked: list[pdu.Pdu] = []  # by the peer, not answered yet
        self.waiting: set[int] = set()
        self.contexts = 0
        self.over = False

    def step(self) -> None:
        chosen, session = self.chosen, self.session
        events: list[Event] = []
        match chosen.ConsumeIntInRange(0, 6):
            case 0 | 1:
                events = session.receive(self.octets(), self.now_ms)
            case 2:
                self.now_ms += chosen.ConsumeIntInRange(0, 40_000)
                events = session.tick(self.now_ms)
            case 3:
                self.request()
            case 4 if self.asked:
                asked = self.asked.pop(chosen.ConsumeIntInRange(0, len(self.asked) - 1))
                session.respond(asked.response(status=chosen.ConsumeIntInRange(0, 255)))
            case 5:
                session.unbind(self.now_ms)
            case 6 if session.role is Role.ESME:
                self.bind()
        self.carry_out(events)
        self.check()

    def octets(self) -> bytes:
        """A few PDUs in one piece, or what looks like some."""
        return b"".join(self.piece() for _ in range(self.chosen.ConsumeIntInRange(1, 3)))

    def piece(self) -> bytes:
        """A PDU; or a body of anything under the header of one; or anything."""
        chosen = self.chosen
        kind = chosen.ConsumeIntInRange(0, 9)
        if kind == 0:
            return bytes(chosen.ConsumeBytes(chosen.ConsumeIntInRange(0, 60)))
        command = COMMANDS[chosen.ConsumeIntInRange(0, len(COMMANDS) - 1)]
        status, sequence = max(chosen.ConsumeIntInRange(-5, 1), 0), chosen.ConsumeIntInRange(0, 8)
        if kind > 1:
            return encode(pdu.CLASSES[command](status=status, sequence=sequence, **NEEDED.get(command, {})))
        body = bytes(chosen.ConsumeBytes(chosen.ConsumeIntInRange(0, 60)))
        words = (16 + len(body), command, status, sequence)
        return b"".join(word.to_bytes(4) for word in words) + body

    def be_bound(self) -> None:
        """The shortest way there."""
        request = BINDS[self.chosen.ConsumeIntInRange(0, 2)](system_id="esme", sequence=1)
        if self.session.role is Role.SMSC:
            (event,) = self.session.receive(encode(request), 0)
            assert isinstance(event, BindRequested)
            self.session.accept_bind(event.request, "smsc")
        else:
            self.session.bind(request)
            (event,) = self.session.receive(encode(request.response(system_id="smsc")), 0)
            assert isinstance(event, Bound)

    def request(self) -> None:
        kind = REQUESTS[self.chosen.ConsumeIntInRange(0, len(REQUESTS) - 1)]
        try:
            self.session.request(kind(), self.now_ms, self.contexts)
        except Refusal:
            return
        if kind not in (pdu.AlertNotification, pdu.Outbind):
            self.waiting.add(self.contexts)
        self.contexts += 1

    def bind(self) -> None:
        try:
            self.session.bind(BINDS[self.chosen.ConsumeIntInRange(0, 2)](system_id="esme"))
        except Refusal:
            return

    def carry_out(self, events: list[Event]) -> None:
        assert not (events and self.over), events
        for event in events:
            match event:
                case BindRequested(request=request):
                    assert not self.session.bound
                    if self.chosen.ConsumeBool():
                        self.session.accept_bind(request, "smsc")
                    else:
                        self.session.refuse_bind(request, 0x0D)
                case Request(pdu=asked) if not isinstance(asked, pdu.AlertNotification):
                    self.asked.append(asked)
                case Response(context=context) | Unanswered(context=context):
                    self.waiting.remove(context)
                case Closing():
                    self.over = True

    def check(self) -> None:
        session = self.session
        for frame in self.written.feed(session.take_output()):
            decode(frame)
        assert self.written.broken is None
        assert session.in_flight <= WINDOW
        assert len(self.asked) <= WINDOW or self.over
        assert self.over == (session.state is State.CLOSED)
        due_ms = session.deadline_ms
        assert due_ms is None or not self.over

    def end(self) -> None:
        self.over = False
        self.carry_out(self.session.lost())
        assert not self.waiting, self.waiting
        assert self.session.lost() == []
        assert self.session.take_output() == b""


def one(data: bytes) -> None:
    chosen = atheris.FuzzedDataProvider(data)
    driver = Driver(chosen)
    if chosen.ConsumeBool():
        driver.be_bound()
    for _ in range(STEPS_MAX):
        if not chosen.remaining_bytes() or driver.over:
            break
        driver.step()
    driver.end()


atheris.Setup(sys.argv, one)
atheris.Fuzz()

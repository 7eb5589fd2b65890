"""An SMSC that does exactly what a test says, on a real socket: for what the simulated one would never do."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from trebuchet.protocols.smpp import pdu
from trebuchet.protocols.smpp.session import (
    BindRequested,
    Closing,
    Request,
    Response,
    Role,
    Session,
    Timers,
    Unanswered,
)

WAIT_S = 10
_NO_TIMERS = Timers(bind_ms=0, enquire_link_ms=0, response_ms=0, progress_ms=0)

Answer = Callable[[pdu.SubmitSm], pdu.Pdu | None]  # None: never


class Smsc:
    """Takes every submit_sm and gives it an id, unless `answer` says otherwise. Remembers everything."""

    def __init__(self) -> None:
        self.port = 0
        self.connections: list[Connection] = []
        self.accepted = 0  # connections ever
        self.binds: list[pdu.Bind] = []
        self.submits: list[pdu.SubmitSm] = []
        self.bind_status = 0
        self.name = "test-smsc"  # its system_id
        self.greets = True  # answers binds at all
        self.answer: Answer = self.take
        self.reports = False  # gives a receipt for each submit that it took, until it is acknowledged
        self.acknowledged: set[str] = set()  # ids whose receipt was answered with 0
        self._due: deque[tuple[str, pdu.DeliverSm]] = deque()
        self._taken = 0
        self._changed = asyncio.Event()

    def take(self, submit: pdu.SubmitSm) -> pdu.Pdu:
        """The ordinary answer."""
        self._taken += 1
        message_id = f"id-{self._taken}"
        if self.reports:
            self._due.append((message_id, receipt(submit, message_id)))
            asyncio.get_running_loop().call_soon(self.report)
        return submit.response(message_id=message_id)

    def report(self) -> None:
        """Hand out receipts that are due, within the windows of whoever is bound."""
        for connection in self.connections:
            while self._due and connection.session.room and connection.session.state.value != "bound_tx":
                message_id, message = self._due.popleft()
                connection.ask(message).add_done_callback(partial(self._reported, message_id, message))

    def _reported(self, message_id: str, message: pdu.DeliverSm, answered: "asyncio.Future[pdu.Pdu]") -> None:
        if not answered.cancelled() and answered.result().status == 0:
            self.acknowledged.add(message_id)
        else:
            self._due.append((message_id, message))
        self.report()
        self.changed()

    @property
    def texts(self) -> list[bytes]:
        return [submit.short_message for submit in self.submits]

    def cut(self) -> None:
        """Every connection breaks."""
        for connection in list(self.connections):
            connection.transport.abort()

    async def deliver(self, message: pdu.Pdu) -> pdu.Pdu:
        """Hand a deliver_sm to the newest bound connection that receives; its answer."""
        receivers = [c for c in self.connections if c.session.bound and c.session.state.value != "bound_tx"]
        answered = receivers[-1].ask(message)
        await asyncio.wait([answered], timeout=WAIT_S)
        if not answered.done() or answered.cancelled():
            raise AssertionError("the delivery was not answered")
        return answered.result()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def changed(self) -> None:
        self._changed.set()


class Connection(asyncio.Protocol):
    """One connection of an ESME, or one that the SMSC opened to it."""

    def __init__(self, smsc: Smsc) -> None:
        self.smsc = smsc
        self.session = Session(Role.SMSC, 0, window=1000, timers=_NO_TIMERS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.smsc.connections.append(self)
        self.smsc.accepted += 1
        self.smsc.changed()

    def connection_lost(self, exc: Exception | None) -> None:
        for event in self.session.lost():
            if isinstance(event, Unanswered):
                event.context.cancel()
        if self in self.smsc.connections:
            self.smsc.connections.remove(self)
        self.smsc.changed()

    def data_received(self, data: bytes) -> None:
        for event in self.session.receive(data, 0):
            if isinstance(event, BindRequested):
                self._bind(event.request)
            elif isinstance(event, Request):
                self._asked(event.pdu)
            elif isinstance(event, Response):
                event.context.set_result(event.pdu)
            elif isinstance(event, Unanswered):
                event.context.cancel()
            elif isinstance(event, Closing):
                self.transport.write(self.session.take_output())
                self.transport.close()
        self.flush()
        self.smsc.changed()

    def ask(self, message: pdu.Pdu) -> "asyncio.Future[pdu.Pdu]":
        answered: asyncio.Future[pdu.Pdu] = asyncio.get_running_loop().create_future()
        self.session.request(message, 0, answered)
        self.flush()
        return answered

    def flush(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.session.take_output())

    def _bind(self, request: pdu.Bind) -> None:
        self.smsc.binds.append(request)
        if not self.smsc.greets:
            return
        if self.smsc.bind_status:
            self.session.refuse_bind(request, self.smsc.bind_status)
        else:
            self.session.accept_bind(request, self.smsc.name)
            self.smsc.report()

    def _asked(self, message: pdu.Pdu) -> None:
        if not isinstance(message, pdu.SubmitSm):
            return
        self.smsc.submits.append(message)
        answer = self.smsc.answer(message)
        if answer is not None:
            self.session.respond(answer)


def receipt(submit: pdu.SubmitSm, message_id: str) -> pdu.DeliverSm:
    """That a submit was delivered."""
    return pdu.DeliverSm(
        esm_class=4,
        source_addr_ton=submit.dest_addr_ton,
        source_addr=submit.destination_addr,
        dest_addr_ton=submit.source_addr_ton,
        destination_addr=submit.source_addr,
        short_message=f"id:{message_id} sub:001 dlvrd:001 stat:DELIVRD err:000 text:".encode(),
    )


@asynccontextmanager
async def listening() -> AsyncIterator[Smsc]:
    """An SMSC on a free port of loopback."""
    smsc = Smsc()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(smsc), "127.0.0.1", 0)
    smsc.port = server.sockets[0].getsockname()[1]
    try:
        yield smsc
    finally:
        server.close()
        smsc.cut()
        await server.wait_closed()

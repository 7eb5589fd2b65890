"""A client of the simulated SMSC: a session of ours on a real socket, with everything that it was told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from trebuchet.protocols import sms
from trebuchet.protocols.smpp import pdu
from trebuchet.protocols.smpp.session import (
    BindRefused,
    Event,
    Request,
    Response,
    Role,
    Session,
    Timers,
    Unanswered,
)
from trebuchet.testing import RunningSmsc, smsc

HANDSET = "+12025550123"
OURS = "+12345678901"
WAIT_S = 10


class Esme(asyncio.Protocol):
    """A client that acknowledges everything with `status` and remembers it."""

    def __init__(self) -> None:
        self.session = Session(
            Role.ESME, 0, window=1000, timers=Timers(bind_ms=0, response_ms=0, progress_ms=0)
        )
        self.delivered: list[pdu.DeliverSm] = []
        self.refused: int | None = None
        self.status = 0
        self.closed = False
        self._changed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._handle(self.session.lost())

    def data_received(self, data: bytes) -> None:
        self._handle(self.session.receive(data, 0))
        self.flush()

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Response):
                event.context.set_result(event.pdu)
            elif isinstance(event, Unanswered):
                event.context.cancel()
            elif isinstance(event, BindRefused):
                self.refused = event.status
            elif isinstance(event, Request) and isinstance(event.pdu, pdu.DeliverSm):
                self.delivered.append(event.pdu)
                self.session.respond(event.pdu.response(status=self.status))
        self._changed.set()

    def flush(self) -> None:
        self.transport.write(self.session.take_output())

    def ask(self, message: pdu.Pdu) -> "asyncio.Future[pdu.Pdu]":
        answered: asyncio.Future[pdu.Pdu] = asyncio.get_running_loop().create_future()
        self.session.request(message, 0, answered)
        self.flush()
        return answered

    async def submit(self, text: str = "hello", **fields: Any) -> pdu.SubmitSmResp:
        answer = await asyncio.wait_for(self.ask(submit(text, **fields)), WAIT_S)
        assert isinstance(answer, pdu.SubmitSmResp)
        return answer

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


def submit(text: str = "hello", **fields: Any) -> pdu.SubmitSm:
    ordinary: dict[str, Any] = {
        "source_addr_ton": 1,
        "source_addr": OURS[1:],
        "dest_addr_ton": 1,
        "destination_addr": HANDSET[1:],
        "registered_delivery": 1,
        "short_message": sms.segment(text, 0)[0].body,
        "data_coding": sms.data_coding(sms.choose(text).encoding),
    }
    return pdu.SubmitSm(**(ordinary | fields))


async def connect(peer: RunningSmsc, kind: type[pdu.Bind] = pdu.BindTransceiver, **fields: Any) -> Esme:
    esme = Esme()
    await asyncio.get_running_loop().create_connection(lambda: esme, peer.host, peer.port)
    ordinary: dict[str, Any] = {"system_id": "esme", "interface_version": 0x34}
    esme.session.bind(kind(**(ordinary | fields)))
    esme.flush()
    await esme.until(lambda: esme.session.bound or esme.refused is not None or esme.closed)
    return esme


@asynccontextmanager
async def bound(**settings: Any) -> AsyncIterator[tuple[RunningSmsc, Esme]]:
    async with smsc(**settings) as peer:
        yield peer, await connect(peer)

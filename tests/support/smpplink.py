"""A link to the SMSC of `support.smsc`, with its reports and a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from contract.stories import deliveries, message
from contract.test_carriers import Reports
from support.smsc import Smsc, listening
from trebuchet.carriers.base import LinkState, Shipment
from trebuchet.carriers.smpp import SmppLink, parse_settings
from trebuchet.carriers.status import BindReport
from trebuchet.clock import ManualClock
from trebuchet.protocols import sms
from trebuchet.protocols.smpp import pdu
from trebuchet.telemetry import Telemetry

HANDSET = "+19195551234"
OURS = "+12345678901"
LANE = "acme/0"


class Rig:
    """A link, what it reports, its SMSC, and the time that they live in."""

    def __init__(self, smsc: Smsc, **settings: Any) -> None:
        self.smsc = smsc
        self.clock = ManualClock()
        self.reports = Reports()
        self.telemetry = Telemetry()
        self._submitted = 0
        self.link = SmppLink(
            "acme",
            parse_settings({"host": "127.0.0.1", "port": smsc.port, "system_id": "esme", **settings}),
            clock=self.clock,
            chance=lambda: 0.5,
            reports=self.reports,
            telemetry=self.telemetry,
        )

    async def up(self) -> None:
        await self.link.start()
        await self.reports.until(lambda: self.link.state is LinkState.UP)

    def submit(self, *texts: str, attempt: int = 1, lane: str = LANE) -> list[Shipment]:
        shipments = []
        for text in texts:
            self._submitted += 1
            of = message(
                self._submitted,
                text=text,
                destinations=(HANDSET,),
                source=OURS,
                encoding=sms.choose(text).encoding.value,
                segment_count=sms.count(text).segments,
            )
            shipments.append(Shipment(of, deliveries(of), attempt, (of.id, 0), of.received_ms))
            self.link.submit(lane, shipments[-1])
        return shipments

    async def passing(self, condition: Callable[[], bool], step_ms: int = 100) -> None:
        """Let time pass until the condition holds."""
        async with asyncio.timeout(10):
            while not condition():
                self.clock.advance(step_ms)
                await asyncio.sleep(0)

    @property
    def bind(self) -> BindReport:
        """The first of its binds."""
        return self.link.report()[0]


@asynccontextmanager
async def linked(*, up: bool = True, **settings: Any) -> AsyncIterator[Rig]:
    async with listening() as smsc:
        rig = Rig(smsc, **settings)
        try:
            if up:
                await rig.up()
            yield rig
        finally:
            await rig.link.stop(0)
            rig.clock.close()


def refuse(status: int, texts: set[bytes] | None = None, times: int = 1_000_000) -> Callable[..., Any]:
    """An answer that refuses submits (those of `texts`, the first `times` of them) and takes the others."""
    left = times

    def build(smsc: Smsc) -> Callable[[pdu.SubmitSm], pdu.Pdu]:
        def answer(submit: pdu.SubmitSm) -> pdu.Pdu:
            nonlocal left
            if left and (texts is None or any(text in submit.short_message for text in texts)):
                left -= 1
                return submit.response(status=status)
            return smsc.take(submit)

        return answer

    return build


def receipt(message_id: str = "id-1", stat: str = "DELIVRD") -> pdu.DeliverSm:
    return pdu.DeliverSm(
        esm_class=4,
        source_addr_ton=1,
        source_addr="19195551234",
        destination_addr="12345678901",
        short_message=f"id:{message_id} sub:001 dlvrd:001 stat:{stat} err:000 text:".encode(),
    )

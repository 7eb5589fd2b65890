"""What the SMSC delivers: receipts and messages of handsets. Nothing is answered before it is committed."""

import asyncio
from functools import partial

from trebuchet.carriers.base import CarrierReports
from trebuchet.carriers.smpp import translate
from trebuchet.carriers.smpp.bind import Bind
from trebuchet.carriers.smpp.settings import SmppSettings
from trebuchet.clock import Clock
from trebuchet.errors import NotFound
from trebuchet.model.carrierids import IdConversion
from trebuchet.protocols.smpp.constants import Status
from trebuchet.protocols.smpp.pdu import AlertNotification, DataSm, DeliverSm, Pdu
from trebuchet.protocols.smpp.session import Request, Session


class Receiver:
    """The inbound half of a link."""

    def __init__(
        self, carrier_id: str, settings: SmppSettings, *, clock: Clock, reports: CarrierReports
    ) -> None:
        self._carrier_id = carrier_id
        self._settings = settings
        self._clock = clock
        self._reports = reports
        self._learns = settings.receipt_ids == "auto"
        self._conversion = IdConversion.SAME if self._learns else IdConversion(settings.receipt_ids)

    def asked(self, bind: Bind, request: Request) -> None:
        """A request of the SMSC: it is answered now, or when what it brought is stored."""
        pdu = request.pdu
        if isinstance(pdu, AlertNotification):
            return
        if not isinstance(pdu, DeliverSm | DataSm):
            bind.respond(bind.session, pdu.response(status=Status.RINVCMDID))
            return
        if translate.is_receipt(pdu, self._settings):
            bind.counts.receipts += 1
            receipt = translate.receipt(
                pdu, request.octets, self._carrier_id, self._settings, self._clock.now_ms()
            )
            if receipt is None:
                # Nothing in it names a message. Refusing would have it repeated for ever.
                bind.rejected("a receipt without id or state")
                bind.respond(bind.session, pdu.response())
                return
            future = self._reports.receipt(receipt, self._conversion, learn=self._learns)
        else:
            bind.counts.inbound += 1
            future = self._reports.inbound(translate.inbound(pdu, self._carrier_id, self._settings))
        future.add_done_callback(partial(_stored, bind, bind.session, pdu))


def _stored(bind: Bind, session: Session | None, pdu: Pdu, future: "asyncio.Future[None]") -> None:
    """What the SMSC delivered is committed, or not: only now it is answered."""
    status = Status.ROK
    if future.cancelled():
        status = Status.RX_T_APPN
    elif (error := future.exception()) is not None:
        # It will not help to repeat what is for nobody here; everything else may pass.
        status = Status.RX_P_APPN if isinstance(error, NotFound) else Status.RX_T_APPN
    bind.respond(session, pdu.response(status=status))

"""What the MMSC posts: messages for our numbers, delivery reports, what was read. 200 with success only once stored."""

from collections.abc import Callable
from typing import Final

from trebuchet.carriers.base import CarrierReports
from trebuchet.carriers.mm7 import translate
from trebuchet.carriers.mm7.listener import Answer
from trebuchet.carriers.mm7.settings import Mm7Settings
from trebuchet.carriers.multimedia import judged
from trebuchet.clock import Clock
from trebuchet.errors import TrebuchetError
from trebuchet.protocols import mm4, mm7
from trebuchet.protocols.mm7 import status
from trebuchet.telemetry import Telemetry

_NOT_FOUND: Final = 2005
_NO_NUMBER: Final = 2003
_UNSUPPORTED: Final = 4003


class Incoming:
    """Handles each POST of the listener. All calls in one event loop."""

    def __init__(
        self,
        carrier_id: str,
        settings: Mm7Settings,
        *,
        clock: Clock,
        reports: CarrierReports,
        is_ours: Callable[[str], bool],
        telemetry: Telemetry,
    ) -> None:
        self._carrier_id = carrier_id
        self._settings = settings
        self._clock = clock
        self._reports = reports
        self._is_ours = is_ours
        self._telemetry = telemetry

    async def handle(self, content_type: str, octets: bytes) -> Answer:
        """See `listener.Handler`. Raises nothing that the peer could cause."""
        try:
            request = mm7.decode(content_type, octets)
        except mm7.Mm7Error as error:
            self._telemetry.problem("mm7_request_refused", carrier=self._carrier_id, reason=error.what)
            return self._said(mm7.refusal(error), 400)
        self._telemetry.count("trebuchet_mm7_received_total", self._carrier_id, request.NAME)
        if not isinstance(request, mm7.DeliverReq | mm7.DeliveryReportReq | mm7.ReadReplyReq):
            refused = mm7.Mm7Error(
                "not for a VASP",
                _UNSUPPORTED,
                transaction_id=request.transaction_id,
                namespace=request.namespace,
            )
            return self._said(mm7.refusal(refused), 400)
        try:
            word = await self._take(request)
        except TrebuchetError as error:
            self._telemetry.problem("mm7_request_not_stored", carrier=self._carrier_id, error=str(error))
            return self._said(mm7.answer(request, status.UNAVAILABLE), 503)
        return self._said(mm7.answer(request, word), 200)

    async def _take(self, request: mm7.DeliverReq | mm7.DeliveryReportReq | mm7.ReadReplyReq) -> int:
        """The StatusCode for it, once it is stored."""
        if isinstance(request, mm7.DeliverReq):
            return await self._delivered(request)
        if isinstance(request, mm7.DeliveryReportReq):
            now_ms = self._clock.now_ms()
            receipt = translate.receipt_of(request, self._carrier_id, self._settings, now_ms)
            if receipt is None:
                return _NOT_FOUND
            await self._reports.receipt(receipt)
        return status.SUCCESS

    async def _delivered(self, request: mm7.DeliverReq) -> int:
        called = translate.numbers((*request.to, *request.cc, *request.bcc), self._settings)
        ours = tuple(number for number in called if self._is_ours(number))
        if not ours:
            return _NO_NUMBER
        content = judged(mm4.content_of(request.parts))
        await self._reports.inbound(
            translate.inbound_of(request, content, ours, self._settings, self._carrier_id)
        )
        return status.SUCCESS

    def _said(self, answer: mm7.Answer, http_status: int) -> Answer:
        encoded = mm7.encode(answer, mm7.PROFILES[self._settings.profile])
        return Answer(http_status, encoded.content_type, encoded.octets)

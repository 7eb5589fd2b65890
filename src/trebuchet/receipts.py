"""A carrier's receipt: stored with the new status, the event and its callback row, then acknowledged.

Carriers write ids differently in receipts than in responses. When receipts that match nothing would match if
their ids were converted in one and the same way, that way is proposed and, where the link asks for it, learned.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from trebuchet.model.carrierids import IdConversion
from trebuchet.model.events import Announcement
from trebuchet.model.receipt import Receipt
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import ReceiptRecorded, RecordReceipt, Rematched, RematchParked
from trebuchet.telemetry import Telemetry
from trebuchet.tracing import OFF, Tracer

LEARNED_AFTER = 5  # receipts of different ids, one after the other, that propose the same
_REMATCHED_AT_ONCE = 500


class Proposal(msgspec.Struct, frozen=True):
    """What unmatched receipts of a carrier say about its ids."""

    conversion: IdConversion
    seen: int  # receipts in a row that say so
    learned: bool  # in use


class Receipts:
    """All calls in the event loop; none blocks."""

    def __init__(
        self,
        *,
        committer: Committer,
        announce: Callable[[Sequence[Announcement]], None],
        telemetry: Telemetry,
        tracer: Tracer = OFF,
    ) -> None:
        self._committer = committer
        self._announce = announce
        self._telemetry = telemetry
        self._tracer = tracer
        # One of each per carrier.
        self._proposed: dict[str, tuple[IdConversion, int, str]] = {}  # how often, and by which id last
        self._learned: dict[str, IdConversion] = {}

    def record(
        self, receipt: Receipt, conversion: IdConversion = IdConversion.SAME, *, learn: bool = False
    ) -> "asyncio.Future[None]":
        """Resolves when everything that follows from the receipt is on disk; fails if it cannot be stored.

        A receipt whose segment is not known is kept and matched when the response to its submit arrives. With
        `learn` a conversion that was learned goes before the given one.
        """
        if learn and self._learned:
            conversion = self._learned.get(receipt.carrier_id, conversion)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._committer.put(
            RecordReceipt(receipt, conversion), partial(self._recorded, receipt, learn, acknowledged)
        )
        return acknowledged

    def proposal(self, carrier_id: str) -> Proposal | None:
        """What the ids of a carrier's receipts seem to need, if they need anything."""
        if carrier_id not in self._proposed:
            return None
        conversion, seen, _ = self._proposed[carrier_id]
        return Proposal(conversion, seen, self._learned.get(carrier_id) is conversion)

    def _recorded(
        self,
        receipt: Receipt,
        learn: bool,
        acknowledged: "asyncio.Future[None]",
        result: ReceiptRecorded | Exception,
    ) -> None:
        if isinstance(result, Exception):
            self._telemetry.problem("receipt_not_stored", carrier=receipt.carrier_id, error=str(result))
            if not acknowledged.done():
                acknowledged.set_exception(result)
            return
        self._telemetry.count("trebuchet_receipts_total", receipt.carrier_id, receipt.state)
        if not result.matched:
            self._telemetry.count("trebuchet_receipts_unmatched_total", receipt.carrier_id)
        if self._tracer.on and result.message_id:
            self._tracer.receipt(result.message_id, receipt)
        if result.proposal is not None:
            self._propose(receipt, result.proposal, learn)
        if result.announcements:
            self._announce(result.announcements)
        if not acknowledged.done():
            acknowledged.set_result(None)

    # ---- ids that look different ----

    def _propose(self, receipt: Receipt, conversion: IdConversion, learn: bool) -> None:
        carrier_id = receipt.carrier_id
        self._telemetry.count("trebuchet_receipt_id_proposals_total", carrier_id, conversion)
        before, seen, last_id = self._proposed.get(carrier_id, (conversion, 0, ""))
        if before is not conversion:
            seen = 0
        elif last_id == receipt.carrier_message_id:
            return  # the same receipt again proves nothing
        self._proposed[carrier_id] = (conversion, seen + 1, receipt.carrier_message_id)
        if learn and seen + 1 >= LEARNED_AFTER and self._learned.get(carrier_id) is not conversion:
            self._learned[carrier_id] = conversion
            self._telemetry.note("receipt_ids_learned", carrier=carrier_id, conversion=str(conversion))
            self._rematch(carrier_id, conversion)

    def _rematch(self, carrier_id: str, conversion: IdConversion) -> None:
        """Record what is parked once more, some at a time."""
        self._committer.put(
            RematchParked(carrier_id, conversion, _REMATCHED_AT_ONCE),
            partial(self._rematched, carrier_id, conversion),
        )

    def _rematched(self, carrier_id: str, conversion: IdConversion, result: Rematched | Exception) -> None:
        if isinstance(result, Exception):
            self._telemetry.problem("receipts_not_rematched", carrier=carrier_id, error=str(result))
            self._learned.pop(carrier_id, None)  # the next proposal learns it again, and tries again
            return
        if result.announcements:
            self._announce(result.announcements)
        if result.examined == _REMATCHED_AT_ONCE:
            self._rematch(carrier_id, conversion)

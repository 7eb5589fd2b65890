"""A carrier's receipt: stored with the new status, the event and its callback row, then acknowledged."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from trebuchet.model.events import Announcement
from trebuchet.model.receipt import Receipt
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import ReceiptRecorded, RecordReceipt
from trebuchet.telemetry import Telemetry


class Receipts:
    """All calls in the event loop; none blocks."""

    def __init__(
        self,
        *,
        committer: Committer,
        announce: Callable[[Sequence[Announcement]], None],
        telemetry: Telemetry,
    ) -> None:
        self._committer = committer
        self._announce = announce
        self._telemetry = telemetry

    def record(self, receipt: Receipt) -> "asyncio.Future[None]":
        """Resolves when everything that follows from the receipt is on disk; fails if it cannot be stored.

        A receipt whose segment is not known is kept and matched when the response to its submit arrives.
        """
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._committer.add(RecordReceipt(receipt)).add_done_callback(
            partial(self._recorded, receipt, acknowledged)
        )
        return acknowledged

    def _recorded(
        self, receipt: Receipt, acknowledged: "asyncio.Future[None]", future: "asyncio.Future[Any]"
    ) -> None:
        error = future.exception()
        if error is not None:
            self._telemetry.problem("receipt_not_stored", carrier=receipt.carrier_id, error=str(error))
        else:
            recorded: ReceiptRecorded = future.result()
            self._telemetry.count("trebuchet_receipts_total", receipt.carrier_id, receipt.state)
            if not recorded.matched:
                self._telemetry.count("trebuchet_receipts_unmatched_total", receipt.carrier_id)
            if recorded.announcements:
                self._announce(recorded.announcements)
        if acknowledged.done():
            return
        if error is not None:
            acknowledged.set_exception(error)
        else:
            acknowledged.set_result(None)

"""What the simulated network keeps for one carrier, link or no link: its receipts, until they are stored."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from trebuchet.clock import Clock
from trebuchet.model.message import Kind
from trebuchet.model.receipt import Receipt
from trebuchet.simulator.base import Port, Reply
from trebuchet.simulator.plan import Plan
from trebuchet.simulator.scenario import Answer

AGAIN_MS: Final = 1_000
_UNACKNOWLEDGED_MAX: Final = 2_000  # receipts that a link has been given and has not stored yet


class Outlet:
    """`port` is the link at the other end while there is one; what waits goes there on `give`."""

    __slots__ = (
        "_acknowledging",
        "_clock",
        "_pending",
        "_plan",
        "_unacknowledged",
        "carrier_id",
        "carries",
        "port",
        "refuses",
    )

    def __init__(self, carrier_id: str, plan: Plan, clock: Clock) -> None:
        self.carrier_id = carrier_id
        self.port: Port | None = None
        self.carries: frozenset[Kind] = frozenset(Kind)  # what handsets can send by `port`
        self.refuses: Reply | None = None  # what every submit is answered with until its moment has passed
        self._plan = plan
        self._clock = clock
        self._pending: deque[Receipt] = deque()
        self._unacknowledged: dict[asyncio.Future[None], Receipt] = {}
        self._acknowledging = self._acknowledged  # bound once: it is handed out with each receipt

    def up(self, kind: Kind, now_ms: int) -> bool:
        """Whether a handset's message of this kind could go out by it."""
        refuses = self.refuses
        broken = refuses is not None and refuses.answer is Answer.DOWN and refuses.until_ms > now_ms
        return self.port is not None and kind in self.carries and not broken

    def report(self, receipts: Iterable[Receipt]) -> None:
        """Receipts to give, after those that wait."""
        self._pending.extend(receipts)
        self.give()

    def give(self) -> None:
        """Hand what waits to the link, as many as it may hold unacknowledged."""
        pending, unacknowledged, port = self._pending, self._unacknowledged, self.port
        if port is None:
            return
        while pending and len(unacknowledged) < _UNACKNOWLEDGED_MAX:
            receipt = pending.popleft()
            future = port.receipt(receipt)
            unacknowledged[future] = receipt
            future.add_done_callback(self._acknowledging)

    def _acknowledged(self, future: "asyncio.Future[None]") -> None:
        receipt = self._unacknowledged.pop(future)
        if future.cancelled() or future.exception() is not None:
            self._plan.add(self._clock.now_ms() + AGAIN_MS, self.report, (receipt,))
        if self._pending:
            self.give()

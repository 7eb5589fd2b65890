"""How the queues and the links stand, for the admin API, the console and the gauges of the metrics."""

from collections.abc import Callable

from trebuchet.admin.context import LinkStatus
from trebuchet.carriers.base import CarrierLink, LinkState
from trebuchet.carriers.status import BindReport, BindState, Observable
from trebuchet.clock import Clock
from trebuchet.storage.base import Store
from trebuchet.supervisor import Supervisor
from trebuchet.telemetry import Telemetry

_BIND_GAUGES: dict[str, Callable[[BindReport], float | None]] = {
    "trebuchet_bind_up": lambda bind: bind.state is BindState.BOUND,
    "trebuchet_bind_in_flight": lambda bind: bind.in_flight,
    "trebuchet_bind_window": lambda bind: bind.window,
    "trebuchet_bind_response_seconds": lambda bind: bind.response_ms and bind.response_ms / 1000,
    "trebuchet_bind_rate": lambda bind: bind.rate_per_s,
}


class Standing:
    """Asked when somebody wants to know; costs the path of messages nothing."""

    def __init__(self, *, supervisor: Supervisor, store: Store, clock: Clock, telemetry: Telemetry) -> None:
        self._supervisor = supervisor
        self._store = store
        self._clock = clock
        self._telemetry = telemetry

    def links(self) -> list[LinkStatus]:
        """Every link as it is now."""
        return [
            LinkStatus(
                carrier.id,
                carrier.kind,
                str(LinkState.PAUSED if carrier.paused else link.state),
                [(lane, link.room(lane)) for lane in link.lanes],
                link,
                self._receipt_ids(carrier.id, link),
                self._receipt_proposal(carrier.id, link),
                getattr(link, "try_address", None),
            )
            for carrier, link in self._supervisor.links()
        ]

    def _receipt_ids(self, carrier_id: str, link: CarrierLink) -> str | None:
        """How a link's receipts are matched, in words; None for a kind that needs no words."""
        setting: str | None = getattr(link, "receipt_ids", None)
        receipts = self._supervisor.receipts
        proposal = receipts.proposal(carrier_id) if receipts is not None else None
        if setting is None or proposal is None:
            return setting
        if proposal.learned:
            return f"{setting}: learned {proposal.conversion}"
        return f"{setting}: {proposal.conversion} would match {proposal.seen} that do not match"

    def _receipt_proposal(self, carrier_id: str, link: CarrierLink) -> str | None:
        """The conversion that unmatched receipts speak for, unless it is set already."""
        receipts = self._supervisor.receipts
        proposal = receipts.proposal(carrier_id) if receipts is not None else None
        setting: str | None = getattr(link, "receipt_ids", None)
        if setting is None or proposal is None or proposal.conversion == setting:
            return None
        return str(proposal.conversion)

    async def refresh(self) -> None:
        """Bring the gauges of queues and links up to date."""
        depths = await self._store.depths()
        now_ms = self._clock.now_ms()
        for rows, depth, age in (
            (depths.outbox, "trebuchet_lane_depth", "trebuchet_lane_oldest_age_seconds"),
            (depths.callbacks, "trebuchet_callback_backlog", "trebuchet_callback_oldest_age_seconds"),
        ):
            self._telemetry.gauges(depth, {(name,): count for name, (count, _) in rows.items()})
            self._telemetry.gauges(
                age, {(name,): max(0, now_ms - due_ms) / 1000 for name, (_, due_ms) in rows.items()}
            )
        self._telemetry.gauges(
            "trebuchet_link_up",
            {(c.id,): 1.0 if link.state == "up" else 0.0 for c, link in self._supervisor.links()},
        )
        self._refresh_bind_gauges()

    def _refresh_bind_gauges(self) -> None:
        observable = [link for _, link in self._supervisor.links() if isinstance(link, Observable)]
        binds = [bind for link in observable for bind in link.report()]
        for name, value in _BIND_GAUGES.items():
            measured = [(bind.name, value(bind)) for bind in binds]
            self._telemetry.gauges(name, {(bind,): float(v) for bind, v in measured if v is not None})

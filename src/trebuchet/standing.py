"""How the queues and the links stand, for the admin API, the console and the gauges of the metrics."""

from collections.abc import Callable, Sequence

from trebuchet.admin.context import LinkStatus
from trebuchet.carriers.base import CarrierLink, LinkState
from trebuchet.carriers.status import BindReport, BindState, Observable, Passed
from trebuchet.clock import Clock
from trebuchet.model.account import Carrier
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


class _Together:
    """The parts of a link that run here, as one that is Observable."""

    def __init__(self, links: Sequence[Observable]) -> None:
        self._links = links

    def report(self) -> list[BindReport]:
        return [bind for link in self._links for bind in link.report()]

    def watch(self, watcher: Callable[[Passed], None]) -> Callable[[], None]:
        ends = [link.watch(watcher) for link in self._links]

        def end_all() -> None:
            for end in ends:
                end()

        return end_all

    def unbind(self, bind: str | None) -> bool:
        done = [link.unbind(bind) for link in self._links]
        return any(done)

    def rebind(self, bind: str | None) -> bool:
        done = [link.rebind(bind) for link in self._links]
        return any(done)


class Standing:
    """Asked when somebody wants to know; costs the path of messages nothing."""

    def __init__(
        self,
        *,
        supervisor: Supervisor,
        store: Store,
        clock: Clock,
        telemetry: Telemetry,
        held: Callable[[], int] | None = None,
    ) -> None:
        self._supervisor = supervisor
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._held = held  # leases of this node

    def links(self) -> list[LinkStatus]:
        """Every link that runs here as it is now; parts of one link together."""
        runs: dict[str, list[tuple[Carrier, CarrierLink]]] = {}
        for carrier, link in self._supervisor.links():
            runs.setdefault(carrier.id, []).append((carrier, link))
        return [self._status(parts[0][0], [link for _, link in parts]) for parts in runs.values()]

    def _status(self, carrier: Carrier, parts: Sequence[CarrierLink]) -> LinkStatus:
        first = parts[0]
        up = any(part.state == LinkState.UP for part in parts)
        observable = [part for part in parts if isinstance(part, Observable)]
        return LinkStatus(
            carrier.id,
            carrier.kind,
            str(LinkState.PAUSED if carrier.paused else LinkState.UP if up else first.state),
            [(lane, part.room(lane)) for part in parts for lane in part.lanes],
            _Together(observable) if len(observable) > 1 else first,
            self._receipt_ids(carrier.id, first),
            self._receipt_proposal(carrier.id, first),
            getattr(first, "try_address", None),
        )

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
        up: dict[tuple[str, ...], float] = {}
        for carrier, link in self._supervisor.links():
            up[carrier.id,] = max(up.get((carrier.id,), 0.0), float(link.state == LinkState.UP))
        self._telemetry.gauges("trebuchet_link_up", up)
        self._telemetry.gauges(
            "trebuchet_dead_rows", {(table,): rows for table, rows in (await self._store.dead_rows()).items()}
        )
        if self._held is not None:
            self._telemetry.gauges("trebuchet_leases_held", {(): float(self._held())})
        self._refresh_bind_gauges()

    def _refresh_bind_gauges(self) -> None:
        observable = [link for _, link in self._supervisor.links() if isinstance(link, Observable)]
        binds = [bind for link in observable for bind in link.report()]
        for name, value in _BIND_GAUGES.items():
            measured = [(bind.name, value(bind)) for bind in binds]
            self._telemetry.gauges(name, {(bind,): float(v) for bind, v in measured if v is not None})

"""The link to an SMSC: what the gateway asks of it and what its binds say, each handed on to the half it is for.

What goes out is in `submitting`, what comes in is in `receiving`.
"""

import asyncio
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from trebuchet.carriers.base import CarrierReports, LinkState, Outcome, Refused, Shipment, Snooze
from trebuchet.carriers.smpp import addresses, tls, translate
from trebuchet.carriers.smpp.bind import Bind
from trebuchet.carriers.smpp.connection import Ended
from trebuchet.carriers.smpp.receiving import Receiver
from trebuchet.carriers.smpp.references import References
from trebuchet.carriers.smpp.settings import SmppSettings
from trebuchet.carriers.smpp.submitting import Submitter
from trebuchet.carriers.status import BindReport, Passed
from trebuchet.clock import Clock
from trebuchet.protocols.smpp.session import Request, Response, Unanswered
from trebuchet.telemetry import Telemetry

_CALLED_MAX = 16  # connections that the SMSC may have opened to us
_BEYOND_ROOM_MS = 100  # how long a lane rests after a submit that there was no room for
_DOWN_MS = 1_000  # how long a lane rests that was handed a shipment when the link was down


class SmppLink:
    """A CarrierLink, and Observable. Everything happens in one event loop; only `stop` waits.

    With `only` the name of a bind it is that bind alone: the others are on other nodes. Of the link's rate it takes an
    even share, and the first bind's node is called by the SMSC (outbind).
    """

    def __init__(
        self,
        carrier_id: str,
        settings: SmppSettings,
        *,
        clock: Clock,
        chance: Callable[[], float],
        reports: CarrierReports,
        telemetry: Telemetry,
        only: str | None = None,
    ) -> None:
        self.carrier_id = carrier_id
        self._settings = settings if only is None else _share(settings, carrier_id, only)
        settings = self._settings
        self._clock = clock
        self._chance = chance
        self._reports = reports
        self._telemetry = telemetry
        self._loop = asyncio.get_running_loop()
        self._tls = tls.context(settings)
        names = [f"{carrier_id}/{number}" for number in range(len(settings.binds))]
        self._binds = [
            self._make_bind(name, role)
            for name, role in zip(names, settings.binds, strict=True)
            if only in (None, name)
        ]
        self._out = Submitter(
            [bind for bind in self._binds if bind.submits],
            settings,
            clock=clock,
            reports=reports,
            telemetry=telemetry,
        )
        self._in = Receiver(carrier_id, settings, clock=clock, reports=reports)
        self._references = References()
        self.lanes: Sequence[str] = tuple(self._out.lanes)
        self._running = False
        self._watchers: list[Callable[[Passed], None]] = []
        self._outbind: asyncio.Server | None = None
        self._called: list[Bind] = []  # binds of connections that the SMSC opened

    def _make_bind(self, name: str, role: str) -> Bind:
        return Bind(
            name, role, self._settings, self._tls,
            clock=self._clock, chance=self._chance, user=self, telemetry=self._telemetry,
        )  # fmt: skip

    # ---- CarrierLink ----

    @property
    def state(self) -> LinkState:
        up = self._running and any(lane.bind.bound for lane in self._out.lanes.values())
        return LinkState.UP if up else LinkState.DOWN

    def room(self, lane: str) -> int:
        """See CarrierLink. A shipment counts as one segment until it is submitted."""
        chosen = self._out.lanes.get(lane)
        return self._out.room(chosen) if chosen is not None and self._running else 0

    def submit(self, lane: str, shipment: Shipment) -> None:
        """See CarrierLink. What cannot go out now is Snoozed; what never can is Refused."""
        now_ms = self._clock.now_ms()
        chosen = self._out.lanes.get(lane)
        if chosen is None or not self._running or not chosen.bind.bound:
            self._later(shipment, Snooze(now_ms + _DOWN_MS, "the link is down"))
            return
        if self._out.room(chosen) <= 0:
            self._later(shipment, Snooze(now_ms + _BEYOND_ROOM_MS, "the window is full"))
            return
        message = shipment.message
        try:
            parts = translate.submits(
                shipment,
                self._settings,
                self._references.next(message.source, shipment.deliveries[0].to, message.id),
                now_ms,
                takes_tlvs=chosen.bind.takes_tlvs,
            )
        except translate.Untranslatable as error:
            self._later(shipment, Refused(error.error_code, error.words))
            return
        self._out.take(chosen, shipment, parts)

    async def start(self) -> None:
        self._running = True
        if self._settings.outbind_listen_port:
            self._outbind = await self._loop.create_server(
                self._answer_outbind, port=self._settings.outbind_listen_port
            )
        for bind in self._binds:
            bind.start()

    async def stop(self, grace_s: float) -> None:
        """See CarrierLink."""
        self._running = False
        if self._outbind is not None:
            self._outbind.close()
        self._out.stop()
        await self._out.drained(grace_s)
        await asyncio.gather(*(bind.stop(min(grace_s, 1)) for bind in (*self._binds, *self._called)))
        self._out.give_up()

    def _later(self, shipment: Shipment, outcome: Outcome) -> None:
        """Report an outcome that is known during `submit`, after it."""
        self._loop.call_soon(self._reports.outcome, shipment, outcome)

    # ---- Observable ----

    def report(self) -> list[BindReport]:
        rate = self._out.rate
        found = []
        for bind in (*self._binds, *self._called):
            lane = self._out.lanes.get(bind.name)
            if lane is not None:
                found.append(bind.report(len(lane.waiting), rate.limit_per_s or None, rate.current))
            else:
                found.append(bind.report(0, None, None))
        return found

    def watch(self, watcher: Callable[[Passed], None]) -> Callable[[], None]:
        self._watchers.append(watcher)
        self._watch_all()

        def end() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)
                self._watch_all()

        return end

    def unbind(self, bind: str | None) -> bool:
        chosen = [b for b in self._binds if bind in (None, b.name)]
        for one in chosen:
            one.hold()
        return bool(chosen)

    def rebind(self, bind: str | None) -> bool:
        chosen = [b for b in self._binds if bind in (None, b.name)]
        for one in chosen:
            one.release()
        return bool(chosen)

    def try_address(self, number: str) -> dict[str, object]:
        """How a number goes on the wire over this link, and what is read when it comes back."""
        settings = self._settings
        address = addresses.outbound(number, settings.addresses, home_country=settings.home_country)
        read = addresses.inbound(address.ton, address.npi, address.text, home_country=settings.home_country)
        return {"ton": address.ton, "npi": address.npi, "address": address.text, "read_back": read}

    @property
    def receipt_ids(self) -> str:
        """The setting: auto, or how the ids of receipts are read."""
        return self._settings.receipt_ids

    def _watch_all(self) -> None:
        for bind in (*self._binds, *self._called):
            bind.watch(bool(self._watchers))

    # ---- BindUser: what the binds say ----

    def bound(self, bind: Bind) -> None:
        lane = self._out.lanes.get(bind.name)
        if lane is not None:
            self._out.has_room(lane)

    def ended(self, bind: Bind, ended: Ended) -> None:
        lane = self._out.lanes.get(bind.name)
        if lane is not None:
            self._out.give_back(lane, ended.reason, self._clock.now_ms() + 1)
        if bind in self._called:
            self._called.remove(bind)

    def response(self, bind: Bind, response: Response) -> None:
        self._out.response(bind, response)

    def unanswered(self, bind: Bind, unanswered: Unanswered) -> None:
        self._out.unanswered(bind, unanswered)

    def asked(self, bind: Bind, request: Request) -> None:
        self._in.asked(bind, request)

    def passed(self, bind: Bind, direction: str, octets: bytes) -> None:
        passed = Passed(self._clock.now_ms(), bind.name, direction, octets)
        for watcher in tuple(self._watchers):
            watcher(passed)

    # ---- outbind ----

    def _answer_outbind(self) -> asyncio.Protocol:
        """A connection that the SMSC opened: it is bound as a receiver once it has sent its outbind."""
        if len(self._called) >= _CALLED_MAX:
            return _Refused()
        taken = {bind.name for bind in self._called}
        names = (f"{self.carrier_id}/outbind-{number}" for number in range(_CALLED_MAX))
        bind = self._make_bind(next(name for name in names if name not in taken), "receiver")
        bind.watch(bool(self._watchers))
        self._called.append(bind)
        return bind.answer()


def _share(settings: SmppSettings, carrier_id: str, only: str) -> SmppSettings:
    """The settings of one bind on its own."""
    submitting = sum(role != "receiver" for role in settings.binds)
    return replace(
        settings,
        segments_per_s=settings.segments_per_s / max(1, submitting),
        outbind_listen_port=settings.outbind_listen_port if only == f"{carrier_id}/0" else 0,
    )


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()

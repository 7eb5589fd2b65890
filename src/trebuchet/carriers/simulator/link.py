"""A link to the simulated network: keeps the window and the rate, and puts the network's words into ours."""

import asyncio
from collections.abc import Sequence

from trebuchet.carriers.base import (
    Accepted,
    CarrierReports,
    File,
    InboundPart,
    LinkState,
    Lost,
    Outcome,
    Refused,
    RetryAt,
    Shipment,
    Snooze,
    Surroundings,
)
from trebuchet.carriers.simulator.settings import SimulatorSettings, parse_settings
from trebuchet.clock import Clock, Timer
from trebuchet.media.sniff import sniff
from trebuchet.model.account import Carrier
from trebuchet.model.receipt import Receipt
from trebuchet.simulator.base import Key, Reply, Typed
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.scenario import Answer

_BEYOND_ROOM_MS = 100  # how long the lane rests after a submit that there was no room for
_BURST_S = 0.1  # of the rate limit: what may be submitted at once


def outcome_of(reply: Reply) -> Outcome:
    """What the network's answer means for a shipment. Pure."""
    if reply.answer is Answer.ACCEPTED:
        return Accepted(reply.ids)
    if reply.answer is Answer.REFUSED:
        return Refused(reply.error_code, reply.words)
    if reply.answer is Answer.BUSY:
        return RetryAt(reply.until_ms, reply.error_code, reply.words)
    if reply.answer is Answer.LOST:
        return Lost(reply.words)
    return Snooze(reply.until_ms, reply.words)


class SimulatorLink:
    """A CarrierLink with one lane. Everything happens in one event loop; only `stop` waits."""

    def __init__(
        self,
        carrier_id: str,
        settings: SimulatorSettings,
        *,
        clock: Clock,
        network: SimulatedNetwork,
        reports: CarrierReports,
    ) -> None:
        self.carrier_id = carrier_id
        self.lanes: Sequence[str] = (f"{carrier_id}/0",)
        self._settings = settings
        self._clock = clock
        self._network = network
        self._reports = reports
        self._loop = asyncio.get_running_loop()
        self._out: dict[Key, Shipment] = {}  # submitted, not answered
        self._answered = asyncio.Event()  # stopping, and nothing is left in `_out`
        self._running = False
        self._down_until_ms: int | None = None
        self._up_again: Timer | None = None
        self._paid_ms = 0.0  # when the rate limit has made up for all that was submitted
        self._refill: Timer | None = None

    @property
    def state(self) -> LinkState:
        return LinkState.UP if self._running and self._down_until_ms is None else LinkState.DOWN

    def room(self, lane: str) -> int:
        """See CarrierLink. Under a rate limit each shipment counts as one segment until it is submitted."""
        if not self._running or self._down_until_ms is not None or lane not in self.lanes:
            return 0
        free = self._settings.window - len(self._out)
        if self._settings.segments_per_s:
            free = min(free, self._allowance())
        return max(free, 0)

    def submit(self, lane: str, shipment: Shipment) -> None:
        """See CarrierLink. Beyond `room` the shipment is not submitted and comes back as Snooze."""
        if not self._running or self._down_until_ms is not None or lane not in self.lanes:
            until_ms = self._down_until_ms or self._clock.now_ms()
            self._loop.call_soon(self._reports.outcome, shipment, Snooze(until_ms, "the link is down"))
            return
        if len(self._out) >= self._settings.window:
            until_ms = self._clock.now_ms() + _BEYOND_ROOM_MS
            self._loop.call_soon(self._reports.outcome, shipment, Snooze(until_ms, "the window is full"))
            return
        self._out[shipment.work_key] = shipment
        if self._settings.segments_per_s:
            segments = shipment.message.segment_count * len(shipment.deliveries)
            self._paid_ms = max(self._paid_ms, self._clock.now_ms()) + segments * self._segment_ms
        self._network.submit(self, shipment)

    async def start(self) -> None:
        self._running = True
        self._network.attach(self, frozenset(self._settings.carries))

    async def stop(self, grace_s: float) -> None:
        """See CarrierLink."""
        self._running = False
        if self._out and grace_s > 0:
            try:
                async with asyncio.timeout(grace_s):
                    await self._answered.wait()
            except TimeoutError:
                pass  # what is left is reported below
        self._answered.set()
        self._network.detach(self)
        for timer in (self._up_again, self._refill):
            if timer is not None:
                timer.cancel()
        left, self._out = self._out, {}
        for shipment in left.values():
            self._reports.outcome(shipment, Lost("the link was stopped before the answer came"))

    # ---- called by the network ----

    def answered(self, replies: Sequence[tuple[Key, Reply]]) -> None:
        for key, reply in replies:
            shipment = self._out.pop(key, None)
            if shipment is not None:  # else it was reported as lost when the link stopped
                self._reports.outcome(shipment, outcome_of(reply))
        if self._running:
            self._reports.room()
        elif not self._out:
            self._answered.set()

    def down(self, until_ms: int) -> None:
        self._down_until_ms = until_ms
        self._up_again = self._clock.call_at(until_ms, self._up)

    def receipt(self, receipt: Receipt) -> "asyncio.Future[None]":
        return self._reports.receipt(receipt)

    def typed(self, typed: Typed) -> "asyncio.Future[None]":
        return self._reports.inbound(
            InboundPart(
                carrier_id=self.carrier_id,
                source=typed.handset,
                destination=typed.number,
                destinations=typed.participants,
                text=typed.text,
                media=typed.media,
                files=tuple(
                    File(file.name, sniff(file.octets, file.content_type), file.octets)
                    for file in typed.files
                ),
                segment_count=typed.segment_count,
                encoding=typed.encoding,
                carrier_message_id=typed.id,
            )
        )

    # ---- state ----

    def _up(self) -> None:
        self._down_until_ms = None
        if self._running:
            self._reports.room()

    @property
    def _segment_ms(self) -> float:
        return 1000 / self._settings.segments_per_s

    def _allowance(self) -> int:
        """Segments that the rate limit allows now. Looks again when it allows one, if it does not."""
        now_ms = self._clock.now_ms()
        burst_ms = max(_BURST_S * 1000, self._segment_ms)
        segments = int((now_ms + burst_ms - self._paid_ms) / self._segment_ms)
        if segments < 1 and self._refill is None:
            wait_ms = self._paid_ms + self._segment_ms - now_ms - burst_ms
            self._refill = self._clock.call_at(now_ms + int(wait_ms) + 1, self._refilled)
        burst = max(1, int(burst_ms / self._segment_ms))
        return min(segments, burst)

    def _refilled(self) -> None:
        self._refill = None
        if self._running:
            self._reports.room()


def build(carrier: Carrier, reports: CarrierReports, surroundings: Surroundings) -> SimulatorLink:
    """The link of a carrier record. Raises ValueError for settings that are wrong."""
    settings = parse_settings(carrier.settings)
    clock, network = surroundings.clock, surroundings.network
    return SimulatorLink(carrier.id, settings, clock=clock, network=network, reports=reports)

"""What goes out: parts of shipments over the binds of a link, and the outcome of each shipment back.

Each bind has a lane, an order of its own, and a window. The rate is the link's: one bucket for all its binds.
Where it is limited, the lanes that wait take turns, so a bind that is down or has nothing to do leaves its share
to the others, and none is starved. What does not get through goes back, in order, and is on disk again.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial

import msgspec

from trebuchet.carriers.base import CarrierReports, Outcome, Shipment, Snooze
from trebuchet.carriers.smpp import receipterrors, translate
from trebuchet.carriers.smpp.bind import Bind
from trebuchet.carriers.smpp.outcomes import Kind, Verdict, judge
from trebuchet.carriers.smpp.rate import Rate
from trebuchet.carriers.smpp.settings import SmppSettings
from trebuchet.carriers.smpp.transit import RETRY_FIRST_MS, Again, Transit, conclusion
from trebuchet.clock import Clock, Timer
from trebuchet.model import errorcodes
from trebuchet.protocols.smpp import tlv
from trebuchet.protocols.smpp.constants import Status
from trebuchet.protocols.smpp.pdu import Pdu, SubmitSm
from trebuchet.protocols.smpp.session import Refusal, Response, Unanswered
from trebuchet.protocols.smpp.tlv import Tag
from trebuchet.telemetry import Telemetry

_TAKEN = Verdict(Kind.TAKEN)
_LOST = Verdict(Kind.LOST)


class Lane:
    """The order of what goes out over one bind."""

    __slots__ = ("bind", "rested", "resting", "waiting")

    def __init__(self, bind: Bind) -> None:
        self.bind = bind
        self.waiting: deque[tuple[Transit, int]] = deque()  # parts, in order
        self.resting = False  # until `rested`: a part of it was refused for the moment
        self.rested: Timer | None = None


class Submitter:
    """The outbound half of a link. Everything happens in one event loop; only `drained` waits."""

    def __init__(
        self,
        binds: Sequence[Bind],
        settings: SmppSettings,
        *,
        clock: Clock,
        reports: CarrierReports,
        telemetry: Telemetry,
    ) -> None:
        self.lanes = {bind.name: Lane(bind) for bind in binds}
        self.rate = Rate(settings.segments_per_s)
        self._settings = settings
        self._statuses = settings.statuses
        self._clock = clock
        self._reports = reports
        self._telemetry = telemetry
        self._loop = asyncio.get_running_loop()
        self._turns = deque(self.lanes.values())
        self._ready: Timer | None = None  # when the rate allows something again
        self._under_way: set[Transit] = set()
        self._running = True
        self._answered = asyncio.Event()  # stopping, and nothing is under way any more
        self._room_told = False

    # ---- what the link asks ----

    def room(self, lane: Lane) -> int:
        """How many shipments the lane may be given now. Each counts as one segment until it is submitted."""
        free = lane.bind.room - len(lane.waiting)
        if free <= 0 or lane.resting:
            return 0
        if self.rate.current is None:
            return free
        now_ms = self._clock.now_ms()
        spare = self.rate.allowance(now_ms) - sum(len(one.waiting) for one in self._turns)
        sharing = sum(one.bind.bound for one in self._turns)
        allowed = -(-spare // sharing)
        if sharing > 1 and not self.rate.resting(now_ms):
            # One waits here in any case: only so its lane has a turn when the rate allows the next part.
            allowed = max(allowed, 1 - len(lane.waiting))
        if allowed <= 0:
            self._wait_for_rate(now_ms)
            return 0
        return min(free, allowed)

    def take(self, lane: Lane, shipment: Shipment, parts: list[SubmitSm]) -> None:
        """Submit a shipment, within `room`."""
        transit = Transit(shipment, parts)
        self._under_way.add(transit)
        lane.waiting.extend((transit, number) for number in range(len(parts)))
        self.pump(lane)

    def pump(self, lane: Lane) -> None:
        """Submit what waits, within window and rate."""
        if not lane.waiting or lane.bind.room <= 0:
            return
        now_ms = self._clock.now_ms()
        allowed = self.rate.allowance(now_ms)
        if self.rate.current is None:
            self._go_out(lane, allowed, now_ms)
        else:
            self._take_turns(allowed, now_ms)
        if lane.waiting:
            self._wait_for_rate(now_ms)

    def has_room(self, lane: Lane) -> None:
        """Its bind is there, or can write again."""
        self.pump(lane)
        self._tell_room()

    def give_back(self, lane: Lane, why: str, until_ms: int) -> None:
        """What never went out returns to the lane; parts of messages begun stay here."""
        waiting, lane.waiting = lane.waiting, deque()
        untouched: dict[Transit, None] = {}
        for transit, number in waiting:
            if transit.spoiled or transit not in self._under_way:
                continue
            if transit.begun:
                lane.waiting.append((transit, number))
            else:
                untouched[transit] = None
        for transit in untouched:
            self._report(transit, Snooze(until_ms, why))

    def stop(self) -> None:
        """Submit nothing new. What is under way may still be answered."""
        self._running = False
        now_ms = self._clock.now_ms()
        for lane in self.lanes.values():
            self.give_back(lane, "the link is being stopped", now_ms + 1)

    async def drained(self, within_s: float) -> None:
        """Wait until nothing is under way, at most so long. After `stop`."""
        if self._under_way and within_s > 0:
            try:
                async with asyncio.timeout(within_s):
                    await self._answered.wait()
            except TimeoutError:
                pass  # what is left is reported as lost when its bind ends

    def give_up(self) -> None:
        """After the binds have ended: parts that stayed here are lost."""
        for timer in (self._ready, *(lane.rested for lane in self._turns)):
            if timer is not None:
                timer.cancel()
        for transit in list(self._under_way):
            self._report(transit, transit.lost("the link was stopped before all parts were answered"))

    # ---- what the binds say ----

    def response(self, bind: Bind, response: Response) -> None:
        transit, number = response.context
        lane = self.lanes[bind.name]
        now_ms = self._clock.now_ms()
        if self._settings.keep_pdus:
            transit.pdus.append((now_ms, "in", response.octets))
        pdu = response.pdu
        if pdu.tlvs:
            congestion = tlv.first(pdu.tlvs, Tag.CONGESTION_STATE)
            if congestion:
                self.rate.congested(now_ms, congestion[0])
        if pdu.status == Status.ROK:
            transit.ids[number] = getattr(pdu, "message_id", "")
            verdict = _TAKEN
            self.rate.answered(now_ms)
        else:
            verdict = self._judge(pdu)
            if verdict.kind is Kind.THROTTLED:
                self._throttled(lane, now_ms)
            elif verdict.kind is Kind.LINK_FAULT:
                bind.drop(f"submit answered with {verdict.words}")
        self._concluded(lane, transit, number, verdict)

    def unanswered(self, bind: Bind, unanswered: Unanswered) -> None:
        transit, number = unanswered.context
        self._concluded(self.lanes[bind.name], transit, number, _LOST)

    def _throttled(self, lane: Lane, now_ms: int) -> None:
        lane.bind.counts.throttles += 1
        self._telemetry.count("trebuchet_bind_throttled_total", lane.bind.name)
        self.rate.throttled(now_ms)
        # The message that was throttled goes back to the head of the lane: what waits here comes after it.
        self.give_back(lane, "throttled", self.rate.ready_ms(now_ms) or now_ms + 1)

    def _judge(self, pdu: Pdu) -> Verdict:
        reason = tlv.first(pdu.tlvs, Tag.DELIVERY_FAILURE_REASON)
        verdict = judge(pdu.status, self._statuses, reason[0] if reason else None)
        network = translate.network_error(pdu.tlvs)
        if verdict.kind is Kind.REFUSED and network is not None:
            # The network's own code says more than the status, where the link's profile knows it.
            exact = receipterrors.exact_code(self._settings.receipt_errors, str(network[1]), network)
            verdict = msgspec.structs.replace(verdict, error_code=exact or verdict.error_code)
        return msgspec.structs.replace(verdict, words=translate.status_words(pdu.tlvs, verdict.words))

    # ---- out ----

    def _take_turns(self, allowed: int, now_ms: int) -> None:
        """One part of each lane that can submit, and round again."""
        turns = self._turns
        idle = 0
        while allowed > 0 and idle < len(turns):
            turns.rotate(-1)
            gone = self._go_out(turns[-1], 1, now_ms)
            allowed -= gone
            idle = 0 if gone else idle + 1

    def _go_out(self, lane: Lane, most: int, now_ms: int) -> int:
        """Submit up to `most` parts. Returns how many went out."""
        bind, waiting = lane.bind, lane.waiting
        if lane.resting:
            return 0
        most = min(most, bind.room)
        gone = 0
        while waiting and gone < most:
            transit, number = waiting.popleft()
            if transit.spoiled:
                self._settle_if_done(lane, transit)
                continue
            try:
                octets = bind.request(transit.parts[number], now_ms, (transit, number))
            except Refusal:  # what `room` said has changed: the session is ending
                waiting.appendleft((transit, number))
                break
            except ValueError as error:  # the codec will not write it, now or later
                transit.answers[number] = Verdict(
                    Kind.REFUSED, errorcodes.MALFORMED_FOR_DESTINATION, str(error)
                )
                self._settle_if_done(lane, transit)
                continue
            gone += 1
            bind.counts.submits += 1
            transit.out += 1
            self.rate.spend(now_ms, 1)
            if self._settings.keep_pdus:
                transit.pdus.append((now_ms, "out", octets))
        return gone

    def _wait_for_rate(self, now_ms: int) -> None:
        if self._ready is not None and self._ready.callback is not None:
            return
        due_ms = self.rate.ready_ms(now_ms)
        if due_ms is not None and due_ms > now_ms:
            self._ready = self._clock.call_at(due_ms, self._rate_allows)

    def _rate_allows(self) -> None:
        self._ready = None
        now_ms = self._clock.now_ms()
        self._take_turns(self.rate.allowance(now_ms), now_ms)
        if any(lane.waiting for lane in self._turns):
            self._wait_for_rate(now_ms)
        self._tell_room()

    # ---- and back ----

    def _concluded(self, lane: Lane, transit: Transit, number: int, verdict: Verdict) -> None:
        transit.answers[number] = verdict
        transit.out -= 1
        self._settle_if_done(lane, transit)
        self.has_room(lane)

    def _settle_if_done(self, lane: Lane, transit: Transit) -> None:
        if transit.out or transit not in self._under_way:
            return
        now_ms = self._clock.now_ms()
        concluded = conclusion(transit, now_ms, self.rate.ready_ms(now_ms))
        if isinstance(concluded, Again):
            self._again(lane, transit, concluded, now_ms)
        elif concluded is not None:
            self._report(transit, concluded)

    def _again(self, lane: Lane, transit: Transit, again: Again, now_ms: int) -> None:
        """Parts that were refused for the moment, while others were taken, go out again before all else."""
        missing = transit.begin_again(counts=again.counts)
        lane.waiting.extendleft((transit, number) for number in reversed(missing))
        if again.counts:
            lane.resting = True
            if lane.rested is not None:
                lane.rested.cancel()
            lane.rested = self._clock.call_at(now_ms + RETRY_FIRST_MS, partial(self._rested, lane))

    def _rested(self, lane: Lane) -> None:
        lane.resting = False
        self.has_room(lane)

    def _report(self, transit: Transit, outcome: Outcome) -> None:
        self._under_way.discard(transit)
        if not self._running and not self._under_way:
            self._answered.set()
        self._reports.outcome(transit.shipment, outcome)

    def _tell_room(self) -> None:
        """Once per turn of the loop, however many answers it brought."""
        if self._running and not self._room_told:
            self._room_told = True
            self._loop.call_soon(self._told)

    def _told(self) -> None:
        self._room_told = False
        if self._running:
            self._reports.room()

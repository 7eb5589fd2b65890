"""The link to an SMSC: shipments out over its binds, receipts and messages in.

A shipment is one submit_sm per part. Its parts may be under way at once; what becomes of it is decided when
the last of them is answered. A part that the SMSC refuses for the moment, while others of its message are
taken already, stays here and is submitted again, because the message as a whole cannot go back to its lane.
Everything else that did not get through goes back, in order, and is on disk again.
"""

import asyncio
import zlib
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from trebuchet.carriers.base import (
    Accepted,
    CarrierReports,
    LinkState,
    Lost,
    Outcome,
    Refused,
    RetryAt,
    Shipment,
    Snooze,
)
from trebuchet.carriers.smpp import addresses, receipterrors, tls, translate
from trebuchet.carriers.smpp.bind import Bind, Ended
from trebuchet.carriers.smpp.outcomes import Kind, Verdict, judge
from trebuchet.carriers.smpp.rate import Rate
from trebuchet.carriers.smpp.settings import SmppSettings
from trebuchet.carriers.status import BindReport, Passed
from trebuchet.clock import Clock, Timer
from trebuchet.errors import NotFound
from trebuchet.model import errorcodes
from trebuchet.model.carrierids import IdConversion
from trebuchet.protocols.smpp import tlv
from trebuchet.protocols.smpp.constants import Status
from trebuchet.protocols.smpp.pdu import AlertNotification, DataSm, DeliverSm, Pdu, SubmitSm
from trebuchet.protocols.smpp.session import Refusal, Request, Response, Session, Unanswered
from trebuchet.protocols.smpp.tlv import Tag
from trebuchet.telemetry import Telemetry

_RETRY_FIRST_MS = 1_000
_RETRY_MAX_MS = 60_000
_PART_TRIES_MAX = 5  # of a part that stays here, for reasons that count as a try
_REFERENCES_MAX = 10_000  # pairs of numbers whose last concatenation reference is remembered
_CALLED_MAX = 16  # connections that the SMSC may have opened to us
_BEYOND_ROOM_MS = 100  # how long a lane rests after a submit that there was no room for
_DOWN_MS = 1_000  # how long a lane rests that was handed a shipment when the link was down

_TAKEN = Verdict(Kind.TAKEN)
_LOST = Verdict(Kind.LOST)


class _Transit:
    """One shipment under way: its parts, and what the SMSC said to each."""

    __slots__ = ("answers", "ids", "out", "parts", "pdus", "shipment", "tries")

    def __init__(self, shipment: Shipment, parts: list[SubmitSm]) -> None:
        self.shipment = shipment
        self.parts = parts
        self.ids: list[str | None] = [None] * len(parts)
        self.answers: list[Verdict | None] = [None] * len(parts)
        self.out = 0  # parts that wait for their answer
        self.tries = 0  # rounds that parts of it stayed here for
        self.pdus: list[tuple[int, str, bytes]] = []

    @property
    def spoiled(self) -> bool:
        """A part was refused, or lost: the others that are still here need not go out."""
        return any(answer is not None and answer.kind in (Kind.REFUSED, Kind.LOST) for answer in self.answers)

    @property
    def taken(self) -> tuple[tuple[int, str], ...]:
        """The parts that the SMSC took, with its ids."""
        return tuple((number, id_) for number, id_ in enumerate(self.ids) if id_ is not None)

    def lost(self, why: str) -> Lost:
        return Lost(why, self.taken, len(self.parts), tuple(self.pdus))


class _Lane:
    """The order of what goes out over one bind, and its rate."""

    __slots__ = ("bind", "name", "rate", "ready", "waiting")

    def __init__(self, bind: Bind, rate: Rate) -> None:
        self.name = bind.name
        self.bind = bind
        self.rate = rate
        self.waiting: deque[tuple[_Transit, int]] = deque()  # parts, in order
        self.ready: Timer | None = None  # when the rate allows something again


class SmppLink:
    """A CarrierLink, and Observable. Everything happens in one event loop; only `stop` waits."""

    def __init__(
        self,
        carrier_id: str,
        settings: SmppSettings,
        *,
        clock: Clock,
        chance: Callable[[], float],
        reports: CarrierReports,
        telemetry: Telemetry,
    ) -> None:
        self.carrier_id = carrier_id
        self._settings = settings
        self._statuses = settings.statuses
        self._learns = settings.receipt_ids == "auto"
        self._conversion = IdConversion.SAME if self._learns else IdConversion(settings.receipt_ids)
        self._clock = clock
        self._chance = chance
        self._reports = reports
        self._telemetry = telemetry
        self._loop = asyncio.get_running_loop()
        self._tls = tls.context(settings)
        self._binds = [self._make_bind(f"{carrier_id}/{n}", role) for n, role in enumerate(settings.binds)]
        per_bind = settings.segments_per_s / max(sum(bind.submits for bind in self._binds), 1)
        self._lanes = {b.name: _Lane(b, Rate(per_bind)) for b in self._binds if b.submits}
        self.lanes: Sequence[str] = tuple(self._lanes)
        self._under_way: set[_Transit] = set()
        self._answered = asyncio.Event()  # stopping, and nothing is under way any more
        self._running = False
        self._room_told = False
        self._references: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()
        self._watchers: list[Callable[[Passed], None]] = []
        self._outbind: asyncio.Server | None = None
        self._called: list[Bind] = []  # binds of connections that the SMSC opened

    def _make_bind(self, name: str, role: str, *, incoming: bool = False) -> Bind:
        return Bind(
            name, role, self._settings, self._tls,
            clock=self._clock, chance=self._chance, user=self, telemetry=self._telemetry, incoming=incoming,
        )  # fmt: skip

    # ---- CarrierLink ----

    @property
    def state(self) -> LinkState:
        up = self._running and any(lane.bind.bound for lane in self._lanes.values())
        return LinkState.UP if up else LinkState.DOWN

    def room(self, lane: str) -> int:
        """See CarrierLink. A shipment counts as one segment until it is submitted."""
        chosen = self._lanes.get(lane)
        if chosen is None or not self._running:
            return 0
        free = chosen.bind.room - len(chosen.waiting)
        if free <= 0:
            return 0
        allowed = chosen.rate.allowance(self._clock.now_ms())
        if allowed <= len(chosen.waiting):
            self._wait_for_rate(chosen)
            return 0
        return min(free, allowed - len(chosen.waiting))

    def submit(self, lane: str, shipment: Shipment) -> None:
        """See CarrierLink. What cannot go out now is Snoozed; what never can is Refused."""
        now_ms = self._clock.now_ms()
        chosen = self._lanes.get(lane)
        if chosen is None or not self._running or not chosen.bind.bound:
            self._later(shipment, Snooze(now_ms + _DOWN_MS, "the link is down"))
            return
        if self.room(lane) <= 0:
            self._later(shipment, Snooze(now_ms + _BEYOND_ROOM_MS, "the window is full"))
            return
        message = shipment.message
        try:
            parts = translate.submits(
                shipment,
                self._settings,
                self._reference(message.source, shipment.deliveries[0].to, message.id),
                now_ms,
                takes_tlvs=chosen.bind.takes_tlvs,
            )
        except translate.Untranslatable as error:
            self._later(shipment, Refused(error.error_code, error.words))
            return
        transit = _Transit(shipment, parts)
        self._under_way.add(transit)
        chosen.waiting.extend((transit, number) for number in range(len(parts)))
        self._pump(chosen)

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
        for lane in self._lanes.values():
            self._give_back(lane, "the link is being stopped")
            if lane.ready is not None:
                lane.ready.cancel()
        if self._under_way and grace_s > 0:
            try:
                async with asyncio.timeout(grace_s):
                    await self._answered.wait()
            except TimeoutError:
                pass  # what is left is reported as lost when its bind ends
        await asyncio.gather(*(bind.stop(min(grace_s, 1)) for bind in (*self._binds, *self._called)))
        for transit in list(self._under_way):  # parts that stayed here
            self._report(transit, transit.lost("the link was stopped before all parts were answered"))

    # ---- Observable ----

    def report(self) -> list[BindReport]:
        found = []
        for bind in (*self._binds, *self._called):
            lane = self._lanes.get(bind.name)
            limit = lane.rate.limit_per_s if lane else None
            current = lane.rate.current if lane else None
            found.append(bind.report(len(lane.waiting) if lane else 0, limit or None, current))
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
        lane = self._lanes.get(bind.name)
        if lane is not None:
            self._pump(lane)
            self._tell_room()

    def ended(self, bind: Bind, ended: Ended) -> None:
        lane = self._lanes.get(bind.name)
        if lane is not None:
            self._give_back(lane, ended.reason)
        if bind in self._called:
            self._called.remove(bind)

    def response(self, bind: Bind, response: Response) -> None:
        transit, number = response.context
        lane = self._lanes[bind.name]
        now_ms = self._clock.now_ms()
        if self._settings.keep_pdus:
            transit.pdus.append((now_ms, "in", response.octets))
        pdu = response.pdu
        if pdu.tlvs:
            self._note_congestion(lane, pdu, now_ms)
        if pdu.status == Status.ROK:
            transit.ids[number] = getattr(pdu, "message_id", "")
            verdict = _TAKEN
            lane.rate.answered(now_ms)
        else:
            verdict = self._judge(pdu)
            if verdict.kind is Kind.THROTTLED:
                bind.counts.throttles += 1
                self._telemetry.count("trebuchet_bind_throttled_total", bind.name)
                lane.rate.throttled(now_ms)
            elif verdict.kind is Kind.LINK_FAULT:
                bind.drop(f"submit answered with {verdict.words}")
        self._concluded(lane, transit, number, verdict)

    def unanswered(self, bind: Bind, unanswered: Unanswered) -> None:
        transit, number = unanswered.context
        self._concluded(self._lanes[bind.name], transit, number, _LOST)

    def asked(self, bind: Bind, request: Request) -> None:
        pdu = request.pdu
        if isinstance(pdu, AlertNotification):
            return
        if not isinstance(pdu, DeliverSm | DataSm):
            bind.respond(bind.session, pdu.response(status=Status.RINVCMDID))
            return
        if translate.is_receipt(pdu, self._settings):
            bind.counts.receipts += 1
            receipt = translate.receipt(
                pdu, request.octets, self.carrier_id, self._settings, self._clock.now_ms()
            )
            if receipt is None:
                # Nothing in it names a message. Refusing would have it repeated for ever.
                bind.rejected("a receipt without id or state")
                bind.respond(bind.session, pdu.response())
                return
            future = self._reports.receipt(receipt, self._conversion, learn=self._learns)
        else:
            bind.counts.inbound += 1
            future = self._reports.inbound(translate.inbound(pdu, self.carrier_id, self._settings))
        future.add_done_callback(partial(self._stored, bind, bind.session, pdu))

    def passed(self, bind: Bind, direction: str, octets: bytes) -> None:
        passed = Passed(self._clock.now_ms(), bind.name, direction, octets)
        for watcher in tuple(self._watchers):
            watcher(passed)

    def _stored(self, bind: Bind, session: Session | None, pdu: Pdu, future: "asyncio.Future[None]") -> None:
        """What the SMSC delivered is committed, or not: only now it is answered."""
        status = Status.ROK
        if future.cancelled():
            status = Status.RX_T_APPN
        elif (error := future.exception()) is not None:
            # It will not help to repeat what is for nobody here; everything else may pass.
            status = Status.RX_P_APPN if isinstance(error, NotFound) else Status.RX_T_APPN
        bind.respond(session, pdu.response(status=status))

    def _note_congestion(self, lane: _Lane, pdu: Pdu, now_ms: int) -> None:
        value = tlv.first(pdu.tlvs, Tag.CONGESTION_STATE)
        if value:
            lane.rate.congested(now_ms, value[0])

    def _judge(self, pdu: Pdu) -> Verdict:
        reason = tlv.first(pdu.tlvs, Tag.DELIVERY_FAILURE_REASON)
        verdict = judge(pdu.status, self._statuses, reason[0] if reason else None)
        network = translate.network_error(pdu.tlvs)
        if verdict.kind is Kind.REFUSED and network is not None:
            # The network's own code says more than the status, where the link's profile knows it.
            exact = receipterrors.exact_code(self._settings.receipt_errors, str(network[1]), network)
            verdict = msgspec.structs.replace(verdict, error_code=exact or verdict.error_code)
        return msgspec.structs.replace(verdict, words=translate.status_words(pdu.tlvs, verdict.words))

    # ---- what goes out ----

    def _pump(self, lane: _Lane) -> None:
        """Submit what waits, within window and rate."""
        bind, waiting = lane.bind, lane.waiting
        room = bind.room
        if not waiting or room <= 0:
            return
        now_ms = self._clock.now_ms()
        room = min(room, lane.rate.allowance(now_ms))
        while waiting and room > 0:
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
            bind.counts.submits += 1
            transit.out += 1
            lane.rate.spend(now_ms, 1)
            room -= 1
            if self._settings.keep_pdus:
                transit.pdus.append((now_ms, "out", octets))
        if waiting and room <= 0:
            self._wait_for_rate(lane)

    def _concluded(self, lane: _Lane, transit: _Transit, number: int, verdict: Verdict) -> None:
        transit.answers[number] = verdict
        transit.out -= 1
        self._settle_if_done(lane, transit)
        self._pump(lane)
        self._tell_room()

    def _settle_if_done(self, lane: _Lane, transit: _Transit) -> None:
        """Decide what became of a shipment once nothing of it is out any more."""
        if transit.out or transit not in self._under_way:
            return
        answers = transit.answers
        if None in answers and not transit.spoiled:
            return  # parts still wait here
        outcome = self._outcome(lane, transit)
        if outcome is not None:
            self._report(transit, outcome)

    def _outcome(self, lane: _Lane, transit: _Transit) -> Outcome | None:
        """None: parts of it stay here and are submitted again."""
        contrary = [a for a in transit.answers if a is not None and a.kind is not Kind.TAKEN]
        pdus = tuple(transit.pdus)
        if not contrary:
            return Accepted((tuple(i or "" for i in transit.ids),), pdus=pdus)
        worst = max(contrary, key=lambda verdict: _GRAVITY[verdict.kind])
        taken = transit.taken
        if worst.kind is Kind.REFUSED:
            return Refused(worst.error_code, worst.words, taken=taken, pdus=pdus)
        if worst.kind is Kind.LOST:
            return transit.lost("the carrier did not answer")
        attempt = transit.shipment.attempt + transit.tries
        if worst.kind is Kind.RETRY and (attempt >= worst.tries or transit.tries >= _PART_TRIES_MAX):
            return Refused(worst.error_code, worst.words, taken=taken, pdus=pdus)
        now_ms = self._clock.now_ms()
        if taken:
            self._again(lane, transit, worst, now_ms)
            return None
        if worst.kind is Kind.RETRY:
            due_ms = now_ms + min(_RETRY_FIRST_MS << (attempt - 1), _RETRY_MAX_MS)
            return RetryAt(due_ms, worst.error_code, worst.words, pdus=pdus)
        until_ms = lane.rate.ready_ms(now_ms) or now_ms
        return Snooze(max(until_ms, now_ms + 1), worst.words, pdus=pdus)

    def _again(self, lane: _Lane, transit: _Transit, worst: Verdict, now_ms: int) -> None:
        """Parts that were refused for the moment, while others were taken, go out again before all else."""
        transit.tries += worst.kind is Kind.RETRY
        for number in reversed(range(len(transit.parts))):
            if transit.ids[number] is None:
                transit.answers[number] = None
                lane.waiting.appendleft((transit, number))
        if worst.kind is Kind.RETRY:
            lane.rate.pause(now_ms, _RETRY_FIRST_MS)

    def _give_back(self, lane: _Lane, why: str) -> None:
        """The bind is gone: what never went out returns to the lane; parts of messages begun stay here."""
        waiting, lane.waiting = lane.waiting, deque()
        untouched: dict[_Transit, None] = {}
        for transit, number in waiting:
            if transit.spoiled or transit not in self._under_way:
                continue
            if any(i is not None for i in transit.ids) or transit.out:
                lane.waiting.append((transit, number))
            else:
                untouched[transit] = None
        now_ms = self._clock.now_ms()
        for transit in untouched:
            self._report(transit, Snooze(now_ms + 1, why))

    def _report(self, transit: _Transit, outcome: Outcome) -> None:
        self._under_way.discard(transit)
        if not self._running and not self._under_way:
            self._answered.set()
        self._reports.outcome(transit.shipment, outcome)

    def _later(self, shipment: Shipment, outcome: Outcome) -> None:
        """Report an outcome that is known during `submit`, after it."""
        self._loop.call_soon(self._reports.outcome, shipment, outcome)

    def _wait_for_rate(self, lane: _Lane) -> None:
        if lane.ready is not None and lane.ready.callback is not None:
            return
        now_ms = self._clock.now_ms()
        due_ms = lane.rate.ready_ms(now_ms)
        if due_ms is not None and due_ms > now_ms:
            lane.ready = self._clock.call_at(due_ms, partial(self._ready, lane))

    def _ready(self, lane: _Lane) -> None:
        lane.ready = None
        self._pump(lane)
        self._tell_room()

    def _tell_room(self) -> None:
        """Once per turn of the loop, however many answers it brought."""
        if self._running and not self._room_told:
            self._room_told = True
            self._loop.call_soon(self._told)

    def _told(self) -> None:
        self._room_told = False
        if self._running:
            self._reports.room()

    def _reference(self, source: str, to: str, message_id: str) -> int:
        """The concatenation reference: the next one of this pair of numbers; the same when a message repeats."""
        pair = (source, to)
        known = self._references.pop(pair, None)
        if known is None:
            reference = zlib.crc32(message_id.encode()) & 0xFFFF
        else:
            reference = known[1] if known[0] == message_id else (known[1] + 1) & 0xFFFF
        self._references[pair] = (message_id, reference)
        if len(self._references) > _REFERENCES_MAX:
            self._references.popitem(last=False)
        return reference

    # ---- outbind ----

    def _answer_outbind(self) -> asyncio.Protocol:
        """A connection that the SMSC opened: it is bound as a receiver once it has sent its outbind."""
        if len(self._called) >= _CALLED_MAX:
            return _Refused()
        bind = self._make_bind(f"{self.carrier_id}/outbind-{len(self._called)}", "receiver", incoming=True)
        bind.watch(bool(self._watchers))
        self._called.append(bind)
        return bind


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


_GRAVITY = {Kind.LINK_FAULT: 0, Kind.THROTTLED: 1, Kind.RETRY: 2, Kind.LOST: 3, Kind.REFUSED: 4}

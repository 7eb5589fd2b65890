"""A link to an MMSC over MM7: requests are posted, and their answers settle the shipment at once.

A shipment is one request, or one for each recipient where the peer takes no groups. A recipient whose request was
refused while others' were taken fails alone; one that was refused for now is asked again from here. A repeated
request has the same TransactionID, but few relays look at it: one that was never answered is in doubt.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from trebuchet.carriers.base import (
    Accepted,
    CarrierReports,
    HeldFiles,
    LinkState,
    Lost,
    Outcome,
    Refused,
    RetryAt,
    Shipment,
    Snooze,
)
from trebuchet.carriers.mm7 import translate
from trebuchet.carriers.mm7.incoming import Incoming
from trebuchet.carriers.mm7.listener import Mm7Listener
from trebuchet.carriers.mm7.post import Poster, Said
from trebuchet.carriers.mm7.settings import Mm7Settings
from trebuchet.carriers.multimedia import Encoder
from trebuchet.carriers.reach import Reach
from trebuchet.clock import Clock, Timer, sleep_until
from trebuchet.errors import TrebuchetError
from trebuchet.media.images import BadImage, CannotFit
from trebuchet.media.workers import Busy, ImageWorkers
from trebuchet.model.message import Delivery
from trebuchet.model.receipt import Receipt
from trebuchet.protocols.mm4 import EncodedPart
from trebuchet.protocols.mm7 import EncodeError
from trebuchet.protocols.mm7.status import Verdict
from trebuchet.telemetry import Telemetry

TOO_LARGE: Final = 4711
BAD_MEDIA: Final = 4412
NOT_WRITABLE: Final = 4752
_AGAIN_MS: Final = (60_000, 300_000, 900_000, 3_600_000)  # after a refusal for now, by try
_ALONE_AGAIN_MS: Final = (1_000, 5_000, 15_000)  # of one recipient, while others are taken
_BUSY_MS: Final = 2_000
_LISTEN_AGAIN_MS: Final = 10_000


class _Asked(msgspec.Struct, frozen=True):
    """One request and what became of it."""

    deliveries: tuple[Delivery, ...]
    said: Said


class Mm7Link:
    """A CarrierLink with one lane. Everything happens in one event loop; only `start` and `stop` wait."""

    def __init__(
        self,
        carrier_id: str,
        settings: Mm7Settings,
        *,
        clock: Clock,
        reports: CarrierReports,
        held_files: HeldFiles,
        images: ImageWorkers,
        incoming: Incoming,
        telemetry: Telemetry,
    ) -> None:
        self.carrier_id = carrier_id
        self.lanes: Sequence[str] = (f"{carrier_id}/0",)
        self.settings = settings
        self._clock = clock
        self._reports = reports
        self._held_files = held_files
        self._telemetry = telemetry
        self._encoder = Encoder(settings, images)
        self._poster = Poster(settings)
        self._reach = Reach(clock, probe=self._poster.probe, again=reports.room, changed=self._reach_changed)
        self._listener = Mm7Listener(settings, incoming.handle) if settings.listen_port else None
        self._listen_again: Timer | None = None
        self._out: dict[asyncio.Task[None], Shipment] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(settings.connections)
        self._running = False

    # ---- CarrierLink ----

    @property
    def state(self) -> LinkState:
        return LinkState.UP if self._running and not self._reach.down else LinkState.DOWN

    def room(self, lane: str) -> int:
        """See CarrierLink."""
        if not self._running or lane not in self.lanes or self._reach.down:
            return 0
        return max(self.settings.window - len(self._out), 0)

    def submit(self, lane: str, shipment: Shipment) -> None:
        """See CarrierLink."""
        loop = asyncio.get_running_loop()
        if self.room(lane) <= 0:
            until_ms = max(self._reach.down_until_ms, self._clock.now_ms() + _BUSY_MS)
            loop.call_soon(self._reports.outcome, shipment, Snooze(until_ms, "the link has no room"))
            return
        task = loop.create_task(self._submit(shipment))
        self._out[task] = shipment

    async def start(self) -> None:
        """See CarrierLink. While the listening port cannot be had, requests go out all the same."""
        self._running = True
        await self._listen()

    async def stop(self, grace_s: float) -> None:
        """See CarrierLink. A request that is still not answered then is in doubt."""
        self._running = False
        self._reach.cancel()
        if self._listen_again is not None:
            self._listen_again.cancel()
        if self._out and grace_s > 0:
            await asyncio.wait(self._out, timeout=grace_s)
        for task in [*self._out, *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._out, *self._tasks, return_exceptions=True)
        while self._out:
            _, shipment = self._out.popitem()
            self._reports.outcome(shipment, Lost("the link was stopped before the answer came"))
        if self._listener is not None:
            await self._listener.stop()
        await self._poster.close()

    async def _listen(self) -> None:
        if self._listener is None or not self._running:
            return
        try:
            await self._listener.start()
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self._telemetry.problem("mm7_not_listening", carrier=self.carrier_id, reason=str(error))
            again_ms = self._clock.now_ms() + _LISTEN_AGAIN_MS
            self._listen_again = self._clock.call_at(again_ms, self._begin_listening)

    def _begin_listening(self) -> None:
        task = asyncio.get_running_loop().create_task(self._listen())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- out ----

    async def _submit(self, shipment: Shipment) -> None:
        outcome = await self._outcome(shipment)
        task = asyncio.current_task()
        assert task is not None
        del self._out[task]
        self._reports.outcome(shipment, outcome)
        if self._running:
            self._reports.room()

    async def _outcome(self, shipment: Shipment) -> Outcome:
        try:
            files = await self._held_files(shipment.message.id) if shipment.message.media else []
            parts = await self._encoder.parts(files, shipment.message.text)
        except CannotFit as error:
            return Refused(TOO_LARGE, str(error))
        except BadImage as error:
            return Refused(BAD_MEDIA, str(error))
        except EncodeError as error:
            return Refused(NOT_WRITABLE, str(error))
        except (Busy, TrebuchetError) as error:
            return Snooze(self._clock.now_ms() + _BUSY_MS, str(error))
        groups = translate.requests(shipment, self.settings)
        asked = await asyncio.gather(*(self._ask(shipment, each, parts) for each in groups))
        return await self._concluded(shipment, asked, parts)

    async def _ask(
        self, shipment: Shipment, deliveries: tuple[Delivery, ...], parts: Sequence[EncodedPart]
    ) -> _Asked:
        """Post one request, few at a time."""
        async with self._turns:
            request = translate.submit(shipment.message, deliveries, self.settings)
            said = await self._poster.post(request, parts, self._clock)
        if said.verdict is Verdict.LINK:
            self._reach.failed(said.words)
        elif said.verdict is not None:
            self._reach.reached()
        return _Asked(deliveries, said)

    async def _concluded(
        self, shipment: Shipment, asked: Sequence[_Asked], parts: Sequence[EncodedPart]
    ) -> Outcome:
        """One outcome of all requests: who was taken is not asked about again."""
        tries = 0
        while self._some_are_taken(asked) and tries < len(_ALONE_AGAIN_MS):
            later = [each for each in asked if each.said.verdict in (Verdict.TEMPORARY, Verdict.LINK)]
            if not later:
                break
            await sleep_until(self._clock, self._clock.now_ms() + _ALONE_AGAIN_MS[tries])
            again = await asyncio.gather(*(self._ask(shipment, each.deliveries, parts) for each in later))
            asked = [*(each for each in asked if each not in later), *again]
            tries += 1
        pdus = tuple(pdu for each in asked for pdu in each.said.exchanged)
        return replace(self._decided(shipment, asked), pdus=pdus)

    @staticmethod
    def _some_are_taken(asked: Sequence[_Asked]) -> bool:
        return any(each.said.verdict is Verdict.OK for each in asked)

    def _decided(
        self, shipment: Shipment, asked: Sequence[_Asked]
    ) -> Accepted | Refused | RetryAt | Snooze | Lost:
        now_ms = self._clock.now_ms()
        if self._some_are_taken(asked):
            return self._taken(shipment, asked, now_ms)
        for verdict in (None, Verdict.LINK, Verdict.TEMPORARY, Verdict.PERMANENT):
            said = next((each.said for each in asked if each.said.verdict is verdict), None)
            if said is None:
                continue
            if verdict is None:
                return Lost(said.words)
            if verdict is Verdict.LINK:
                return Snooze(max(self._reach.down_until_ms, now_ms + 1), said.words)
            if verdict is Verdict.TEMPORARY:
                pause_ms = _AGAIN_MS[min(shipment.attempt, len(_AGAIN_MS)) - 1]
                return RetryAt(now_ms + pause_ms, said.code or NOT_WRITABLE, said.words)
            return Refused(said.code or NOT_WRITABLE, said.words)
        return Refused(NOT_WRITABLE, "there was nothing to submit")

    def _taken(self, shipment: Shipment, asked: Sequence[_Asked], now_ms: int) -> Accepted:
        """Those that were refused are told of by a receipt, which is recorded after the ids."""
        ids: dict[int, str] = {}
        later: list[Receipt] = []
        for each in asked:
            for delivery in each.deliveries:
                message_id = each.said.message_id or f"{shipment.message.id}.{delivery.recipient}"
                part = ids[delivery.recipient] = translate.part_id(message_id, delivery.to)
                if each.said.verdict is None:
                    continue  # perhaps it has it: its report will tell, or never come
                if each.said.verdict is not Verdict.OK:
                    code = each.said.code or NOT_WRITABLE
                    later.append(
                        translate.refused_part(
                            self.carrier_id, part, delivery.to, code, each.said.words, now_ms
                        )
                    )
                elif not self.settings.reports:
                    later.append(translate.delivered_part(self.carrier_id, part, delivery.to, now_ms))
        if later:
            asyncio.get_running_loop().call_soon(partial(self._report, later))
        return Accepted(tuple((ids[delivery.recipient],) for delivery in shipment.deliveries))

    def _report(self, receipts: Sequence[Receipt]) -> None:
        """Nobody acknowledges these: what fails to be stored is announced where it fails, and times out."""
        for receipt in receipts:
            self._reports.receipt(receipt).add_done_callback(_observed)

    def _reach_changed(self, there: bool, why: str) -> None:
        if there:
            self._telemetry.note("mm7_peer_reached", carrier=self.carrier_id)
        else:
            self._telemetry.problem("mm7_peer_unreachable", carrier=self.carrier_id, reason=why)


def _observed(future: "asyncio.Future[None]") -> None:
    """Its failure was announced where it happened."""
    if not future.cancelled():
        future.exception()

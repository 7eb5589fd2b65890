"""The simulated network: takes messages, shows them on handsets, gives receipts, and survives our restart.

It is a carrier's network, so it keeps its own promise: what it answers with "accepted" is in its ledger. After a
restart it gives the receipts of the last hour again. One that is given twice changes nothing at our side; one
that were forgotten would leave a message without an end.

Submits of one loop turn share one record. Receipts wait in one queue with one timer. Nothing else is done per
message, because every benchmark of the gateway runs through here.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from trebuchet.clock import Clock, Ids
from trebuchet.feed import Entry, Feed
from trebuchet.model.message import Delivery, Kind
from trebuchet.model.receipt import Receipt
from trebuchet.protocols import sms
from trebuchet.simulator import scenario
from trebuchet.simulator.base import CannotType, File, Key, Ledger, NoLink, Port, Reply, Submission, Typed
from trebuchet.simulator.handsets import Handset, Handsets, Memory, Power
from trebuchet.simulator.outlet import AGAIN_MS, Outlet
from trebuchet.simulator.plan import Plan
from trebuchet.simulator.scenario import Answer, Fate, PlannedReceipt
from trebuchet.storage.base import HandsetMessage

_REPEAT_MS: Final = 3_600_000  # receipts of this long ago are given again after a restart
_TAIL_MAX: Final = 100_000
_PLANNED_MAX: Final = 400_000  # receipts and answers that are still to come; beyond, submits are throttled
_ALL: Final = frozenset(Kind)
_PAUSED_MAX: Final = 10_000  # messages remembered to have been throttled once


class _Unseen:
    """A message that no handset has shown, while its fate is to come. `arrive` is set if it waits for its handset."""

    __slots__ = ("arrive", "fate", "outlet", "row", "segments")

    def __init__(self, outlet: Outlet, row: HandsetMessage, segments: int, fate: Fate) -> None:
        self.outlet = outlet
        self.row = row
        self.segments = segments
        self.fate = fate
        self.arrive: Callable[[], None] | None = None


_Pairs = Sequence[tuple[Fate, HandsetMessage]]  # one per delivery
_Taken = tuple[Outlet, Submission, Fate, _Pairs]


class SimulatedNetwork:
    """All calls in one event loop; none blocks but `start` and `type`.

    `feed` is told, with its number in `to`, of each handset that looks different now.
    `chance` decides delays and ids: a seeded one repeats itself. Beyond `planned_max` receipts and answers
    that are still to come, submits are throttled.
    """

    def __init__(
        self,
        clock: Clock,
        chance: random.Random,
        *,
        delay_min_ms: int,
        delay_max_ms: int,
        ledger: Ledger,
        planned_max: int = _PLANNED_MAX,
    ) -> None:
        self.handsets = Handsets(self._handset_changed)
        self.feed = Feed()
        self._clock = clock
        self._chance = chance
        self._delay_ms = delay_min_ms
        self._spread_ms = max(delay_max_ms - delay_min_ms, 0) + 1
        self._ledger = ledger
        self._planned_max = planned_max
        self._ids = Ids(chance.randbytes)
        self._loop = asyncio.get_running_loop()
        self._outlets: dict[str, Outlet] = {}
        self._turn: list[tuple[Outlet, Submission, bool]] = []
        self._recording: dict[asyncio.Future[None], Sequence[_Taken]] = {}
        self._paused_once: dict[Key, None] = {}
        self._plan = Plan(clock)
        self._unseen: dict[str, _Unseen] = {}  # by network id

    async def start(self) -> None:
        """Remember what was there before the last stop. Receipts go out as soon as their link is attached."""
        now_ms = self._clock.now_ms()
        since_ms = now_ms - _REPEAT_MS - scenario.DELAY_MAX_MS
        for row in await self._ledger.tail(since_ms, _TAIL_MAX):
            if row.direction != "mt":
                continue
            memory = scenario.recall(row.fate)
            if memory.shown:
                self.handsets.show(row)
            # A row from the future was written under a clock that had been advanced.
            at_ms = min(row.at_ms, now_ms)
            outlet = self._outlet(memory.carrier_id)
            for planned in memory.receipts:
                if at_ms + planned.delay_ms >= now_ms - _REPEAT_MS:
                    due_ms = at_ms + planned.delay_ms
                    self._plan.add(due_ms, self._emit, outlet, row, memory.segments, planned)

    async def stop(self) -> None:
        """Forget everything that is still to come; the ledger has it. May be called twice."""
        self._plan.close()

    # ---- links ----

    def attach(self, port: Port, carries: frozenset[Kind] = _ALL) -> None:
        """A link is there for its carrier: it gets the receipts that wait for it.

        What is typed on handsets goes to it if it is of a kind that it `carries`.
        """
        outlet = self._outlet(port.carrier_id)
        outlet.port, outlet.carries = port, carries
        outlet.refuses = None
        self._loop.call_soon(outlet.give)

    def detach(self, port: Port) -> None:
        """A link is gone. What it submitted is not answered any more; receipts wait for the next one."""
        outlet = self._outlet(port.carrier_id)
        if outlet.port is port:
            outlet.port = None

    def submit(self, port: Port, submission: Submission, *, shown: bool = True) -> None:
        """Take one submission; the link gets its reply later, never during this call.

        One that is not `shown` has its fate, and no handset shows it: a part of a message that is not whole yet.
        """
        if not self._turn:
            self._loop.call_soon(self._take_turn)
        self._turn.append((self._outlet(port.carrier_id), submission, shown))

    def _outlet(self, carrier_id: str) -> Outlet:
        outlet = self._outlets.get(carrier_id)
        if outlet is None:
            outlet = self._outlets[carrier_id] = Outlet(carrier_id, self._plan, self._clock)
        return outlet

    def _take_turn(self) -> None:
        """Decide on everything that was submitted in this turn of the loop, and record what is taken."""
        turn, self._turn = self._turn, []
        now_ms = self._clock.now_ms()
        if self._plan.size >= self._planned_max:
            for outlet, _, _ in turn:
                outlet.refuses = Reply(
                    Answer.THROTTLED, until_ms=now_ms + AGAIN_MS, words="simulated queue is full"
                )
        taken: list[_Taken] = []
        rows: list[HandsetMessage] = []
        replies: dict[Outlet, list[tuple[Key, Reply]]] = {}
        for outlet, submission, shown in turn:
            if outlet.refuses is not None and outlet.refuses.until_ms > now_ms:
                replies.setdefault(outlet, []).append((submission.work_key, outlet.refuses))
                continue
            fates = self._fates(submission)
            if not shown:
                fates = [msgspec.structs.replace(fate, shown=False) for fate in fates]
            speaking = fates[0] if len(fates) == 1 else _speaking(fates)
            if not speaking.taken:
                reply = self._contrary(outlet, submission, speaking, now_ms)
                if reply is not None:
                    replies.setdefault(outlet, []).append((submission.work_key, reply))
                continue
            pairs = []
            for fate, delivery in zip(fates, submission.deliveries, strict=True):
                row = self._row(outlet, submission, delivery, fate, now_ms)
                rows.append(row)
                pairs.append((fate, row))
            taken.append((outlet, submission, speaking, pairs))
        self._answer(replies)
        if taken:
            future = self._ledger.record(rows)
            self._recording[future] = taken
            future.add_done_callback(self._recorded)

    def _fates(self, submission: Submission) -> list[Fate]:
        attempt = submission.attempt + (submission.work_key in self._paused_once)
        text = submission.message.text
        chance, least_ms, spread_ms = self._chance.random, self._delay_ms, self._spread_ms
        fates = []
        for delivery in submission.deliveries:
            fate = scenario.decide(delivery.to, text, attempt, least_ms + int(chance() * spread_ms))
            handset = self.handsets.find(delivery.to)
            if handset is not None and handset.memory is Memory.FULL and fate.taken and fate.shown:
                fate = scenario.failed(scenario.HANDSET_FULL, least_ms)
            fates.append(fate)
        return fates

    def _contrary(self, outlet: Outlet, submission: Submission, fate: Fate, now_ms: int) -> Reply | None:
        """The answer to a submit that is not taken. None: it comes, as lost, when it is given up."""
        words = f"simulated {fate.answer}"
        until_ms = now_ms + fate.pause_ms
        if fate.answer is Answer.LOST:
            self._plan.add(now_ms + scenario.ANSWER_TIMEOUT_MS, self._give_up, outlet, submission.work_key)
            return None
        if fate.answer is Answer.REFUSED:
            return Reply(
                fate.answer, error_code=fate.error_code, words=scenario.carrier_words(fate.error_code)
            )
        if fate.answer is Answer.BUSY:
            return Reply(fate.answer, error_code=fate.error_code, until_ms=until_ms, words=words)
        # Neither counts as an attempt, so the network itself must know that it was so once.
        if len(self._paused_once) >= _PAUSED_MAX:
            del self._paused_once[next(iter(self._paused_once))]
        self._paused_once[submission.work_key] = None
        outlet.refuses = Reply(fate.answer, until_ms=until_ms, words=words)
        if fate.answer is Answer.DOWN and outlet.port is not None:
            outlet.port.down(until_ms)
        return outlet.refuses

    def _row(
        self, outlet: Outlet, submission: Submission, delivery: Delivery, fate: Fate, now_ms: int
    ) -> HandsetMessage:
        message = submission.message
        segments = message.segment_count if message.kind is Kind.SMS else 1
        return HandsetMessage(
            self._ids.message_id(now_ms),
            delivery.to,
            message.source,
            "mt",
            message.text,
            message.media or (),
            message.destinations if len(message.destinations) > 1 else (),
            f"{message.id}/{delivery.recipient}",
            scenario.remember(fate, segments, outlet.carrier_id),
            now_ms,
        )

    def _recorded(self, future: "asyncio.Future[None]") -> None:
        """The rows of one turn are committed, or not: only now the network has answered."""
        taken = self._recording.pop(future)
        now_ms = self._clock.now_ms()
        replies: dict[Outlet, list[tuple[Key, Reply]]] = {}
        if future.cancelled() or future.exception() is not None:
            reply = Reply(
                Answer.THROTTLED, until_ms=now_ms + AGAIN_MS, words="simulated network cannot store"
            )
            for outlet, submission, _, _ in taken:
                replies.setdefault(outlet, []).append((submission.work_key, reply))
            self._answer(replies)
            return
        for outlet, submission, speaking, pairs in taken:
            message = submission.message
            segments = message.segment_count if message.kind is Kind.SMS else 1
            ids = []
            for fate, row in pairs:
                self._deliver(outlet, row, segments, fate, now_ms)
                ids.append(_segment_ids(row.network_id, segments))
            reply = Reply(Answer.ACCEPTED, tuple(ids))
            if speaking.answer is Answer.LOST:
                due_ms = now_ms + scenario.ANSWER_TIMEOUT_MS
                self._plan.add(due_ms, self._give_up, outlet, submission.work_key)
            elif speaking.answer_delay_ms:
                due_ms = now_ms + speaking.answer_delay_ms
                self._plan.add(due_ms, self._answer, {outlet: [(submission.work_key, reply)]})
            else:
                replies.setdefault(outlet, []).append((submission.work_key, reply))
        self._answer(replies)

    def _answer(self, replies: Mapping[Outlet, Sequence[tuple[Key, Reply]]]) -> None:
        for outlet, answered in replies.items():
            if outlet.port is not None:
                outlet.port.answered(answered)

    def _give_up(self, outlet: Outlet, key: Key) -> None:
        self._answer({outlet: [(key, Reply(Answer.LOST, words="no answer within 10 s"))]})

    # ---- handsets ----

    def _handset_changed(self, number: str) -> None:
        if self.feed.watched:
            self.feed.publish(Entry(self._clock.now_ms(), "handset", "", to=number))

    def _deliver(self, outlet: Outlet, row: HandsetMessage, segments: int, fate: Fate, now_ms: int) -> None:
        if not fate.shown:
            self._plan_unseen(_Unseen(outlet, row, segments, fate), now_ms)
            return
        handset = self.handsets.find(row.handset)
        if handset is not None and not handset.reachable:
            self._hold(_Unseen(outlet, row, segments, fate), handset)
            return
        self.handsets.show(row)
        for planned in fate.receipts:
            self._plan.add(now_ms + planned.delay_ms, self._emit, outlet, row, segments, planned)

    def _hold(self, unseen: _Unseen, handset: Handset) -> None:
        """Keep a message for a handset that cannot be reached."""
        arrive = partial(self._arrive, unseen)
        if self.handsets.hold(handset, arrive):
            unseen.arrive = arrive
            self._unseen[unseen.row.network_id] = unseen
        else:
            full = scenario.failed(scenario.HANDSET_FULL, self._delay_ms)
            self._deliver(unseen.outlet, unseen.row, unseen.segments, full, self._clock.now_ms())

    def _arrive(self, unseen: _Unseen) -> None:
        del self._unseen[unseen.row.network_id]
        self._deliver(unseen.outlet, unseen.row, unseen.segments, unseen.fate, self._clock.now_ms())

    def _plan_unseen(self, unseen: _Unseen, now_ms: int) -> None:
        """Receipts of a message that is never shown. They do not come if it is withdrawn before."""
        receipts = unseen.fate.receipts
        if receipts:
            self._unseen[unseen.row.network_id] = unseen
        for planned in receipts:
            last = planned is receipts[-1]
            self._plan.add(now_ms + planned.delay_ms, self._emit_unseen, unseen, planned, last)

    def _emit_unseen(self, unseen: _Unseen, planned: PlannedReceipt, last: bool) -> None:
        if self._unseen.get(unseen.row.network_id) is not unseen:
            return
        if last:
            del self._unseen[unseen.row.network_id]
        self._emit(unseen.outlet, unseen.row, unseen.segments, planned)

    # ---- second thoughts of the sender ----

    def withdraw(self, network_id: str) -> bool:
        """Delete a message that no handset has shown; a receipt will say so. False if it cannot be any more.

        Nothing of this survives a restart: what was deleted comes again with the rows of the ledger.
        """
        unseen = self._unseen.pop(network_id, None)
        if unseen is None:
            return False
        if unseen.arrive is not None:
            self.handsets.let_go(unseen.row.handset, unseen.arrive)
        (deleted,) = scenario.deleted(self._delay_ms).receipts
        due_ms = self._clock.now_ms() + deleted.delay_ms
        self._plan.add(due_ms, self._emit, unseen.outlet, unseen.row, unseen.segments, deleted)
        return True

    def rewrite(self, network_id: str, change: Callable[[HandsetMessage], HandsetMessage]) -> bool:
        """Change a message that no handset has shown, but not its fate. False if it cannot be any more."""
        unseen = self._unseen.get(network_id)
        if unseen is None:
            return False
        unseen.row = change(unseen.row)
        return True

    # ---- what people type ----

    async def type(
        self,
        handset: str,
        number: str,
        text: str,
        media: Sequence[str] = (),
        participants: Sequence[str] = (),
        files: Sequence[File] = (),
    ) -> str:
        """A message from a handset to one of our numbers. Returns its id once the gateway has stored it.

        `participants` are all recipients of a group message, `number` among them; `media` are URLs. Raises
        CannotType for a handset that is off or out of coverage and for a message of nothing, NoLink, the gateway's
        own error if it does not take it, and sms.SmsError for a text that is too long for an SMS.
        """
        if not (text or media or files):
            raise CannotType("bad-request", "a message needs a text, media or files")
        if "\0" in text:
            raise CannotType("bad-request", "NUL is no character of a text")
        state = self.handsets.find(handset)
        if state is not None and not state.reachable:
            off = state.power is Power.OFF
            raise CannotType(
                "handset-off" if off else "no-coverage",
                f"{handset} {'is switched off' if off else 'has no coverage'}",
            )
        kind = Kind.MMS if media or files or len(participants) > 1 else Kind.SMS
        counted = sms.count(text) if kind is Kind.SMS else None
        now_ms = self._clock.now_ms()
        port = next((o.port for o in self._outlets.values() if o.up(kind, now_ms)), None)
        if port is None:
            raise NoLink(f"no simulated carrier that takes {kind.upper()} from handsets is up")
        typed = Typed(
            id=self._ids.message_id(now_ms),
            handset=handset,
            number=number,
            participants=tuple(participants) if len(participants) > 1 else (),
            text=text,
            media=tuple(media),
            files=tuple(files),
            segment_count=counted.segments if counted else 1,
            encoding=counted.encoding.value if counted else "",
        )
        await port.typed(typed)
        self._handset_changed(handset)
        row = HandsetMessage(
            typed.id, handset, number, "mo", text, typed.media, typed.participants, "", "", now_ms
        )
        await self._ledger.record([row])
        return typed.id

    def _emit(self, outlet: Outlet, row: HandsetMessage, segments: int, planned: PlannedReceipt) -> None:
        now_ms = self._clock.now_ms()
        words = scenario.carrier_words(planned.error_code)
        outlet.report(
            [
                Receipt(
                    carrier_id=outlet.carrier_id,
                    carrier_message_id=network_id,
                    state=planned.state,
                    error_code=planned.error_code,
                    error=words,
                    reference=f"{row.reference}/{number}",
                    handset=row.handset,
                    sender=row.peer,
                    text=row.text[:20],
                    at_ms=now_ms,
                )
                for number, network_id in enumerate(_segment_ids(row.network_id, segments))
            ]
        )


def _speaking(fates: Sequence[Fate]) -> Fate:
    """The fate that decides on the one answer to a submit for several recipients."""
    contrary = (f for f in fates if not f.taken)
    late = (f for f in fates if f.answer is not Answer.ACCEPTED or f.answer_delay_ms)
    return next(contrary, None) or next(late, fates[0])


def _segment_ids(network_id: str, segments: int) -> tuple[str, ...]:
    if segments == 1:
        return (network_id,)
    return (network_id, *(f"{network_id}-{number}" for number in range(2, segments + 1)))

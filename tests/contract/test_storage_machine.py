"""A delivery is in the state that its history gives it; it is final exactly if one final event was announced,
written and queued for its application; and it has a work row exactly while nobody has settled it.

Hypothesis looks for a history that breaks this: batches of accepts, claims, outcomes of submits and receipts in
any mixture and order, with changes among them that cannot be done, receipt time-outs, expiry and restarts.
"""

import asyncio
import enum
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from contract.stories import (
    APPLICATION,
    DAY,
    FROM,
    LANE,
    T0,
    TO,
    Engine,
    attempt,
    key,
    lost,
    message,
    outbound,
    receipt,
    refused,
    retried,
    taken,
    write,
)
from trebuchet.errors import StorageError
from trebuchet.model import ledger
from trebuchet.model.carrierids import IdConversion
from trebuchet.model.message import Message
from trebuchet.model.receipt import ReceiptState
from trebuchet.model.status import FINAL, State
from trebuchet.storage.base import (
    Claim,
    EventQuery,
    Expired,
    ExpireWork,
    MessageQuery,
    ReceiptRecorded,
    RecordReceipt,
    SettleCallback,
    Settled,
    Store,
    TimeOutReceipts,
    Write,
)

T = TypeVar("T")

LATER = T0 + 30 * DAY
POSITIVE = {ReceiptState.DELIVERED}
INTERMEDIATE = {ReceiptState.ENROUTE}


class Habit(enum.Enum):
    """How the receipts of a carrier name their segment."""

    SAME_ID = "by the id of the response"
    CONVERTED_ID = "by that id in decimal digits, where the response has hexadecimal ones"
    REFERENCE = "by the id, and with our reference"
    MARK = "by the id, and with the number that the submit was marked with"


@dataclass
class History:
    """What happened to one message of one or two parts, told apart from how the gateway keeps it."""

    message: Message
    habit: Habit
    work: str = "queued"  # then "claimed", then "gone"
    submits: int = 0
    state: State = State.QUEUED
    known: set[str] = field(default_factory=set)  # ids that we know of the carrier
    parked: list[tuple[str, ReceiptState]] = field(default_factory=list)
    decided: dict[str, ReceiptState] = field(default_factory=dict)  # first final receipt of each id

    @property
    def ids(self) -> list[str]:
        """The carrier's ids of the latest submit, one per part."""
        parts = range(self.message.segment_count)
        if self.habit is Habit.CONVERTED_ID:
            return [f"{(self.message.received_ms * 1000 + self.submits) * 10 + part:X}" for part in parts]
        return [f"{self.message.received_ms}.{self.submits}.{part}" for part in parts]

    @property
    def echoes(self) -> bool:
        return self.habit in {Habit.REFERENCE, Habit.MARK}

    @property
    def marks(self) -> set[int]:
        return {ledger.user_reference(self.message.id, 0, part) for part in range(2)}

    def report(self, part: int, state: ReceiptState, at_ms: int) -> RecordReceipt:
        """What the carrier says of a part of the latest submit."""
        id_ = self.ids[part]
        match self.habit:
            case Habit.SAME_ID:
                return RecordReceipt(receipt(id_, state, at_ms=at_ms))
            case Habit.CONVERTED_ID:
                decimal = receipt(f"0{int(id_, 16)}", state, at_ms=at_ms, handset=TO)
                return RecordReceipt(decimal, IdConversion.RESPONSE_HEX_RECEIPT_DECIMAL)
            case Habit.REFERENCE:
                reference = f"{self.message.id}/0/{part}"
                return RecordReceipt(receipt(id_, state, at_ms=at_ms, reference=reference))
            case Habit.MARK:
                mark = ledger.user_reference(self.message.id, 0, part)
                marked = receipt(id_, state, at_ms=at_ms, user_reference=mark, handset=TO, sender=FROM)
                return RecordReceipt(marked)

    def receive(self, id_: str, state: ReceiptState) -> None:
        by_reference = self.echoes and self.state is State.IN_DOUBT
        if id_ not in self.known and not by_reference:
            self.parked.append((id_, state))
            return
        self.known.add(id_)
        if id_ in self.decided or state in INTERMEDIATE:
            return
        self.decided[id_] = state
        if self.state in FINAL:
            return
        if state not in POSITIVE:
            self.state = State.UNDELIVERED
        elif sum(s in POSITIVE for s in self.decided.values()) == self.message.segment_count:
            self.state = State.DELIVERED

    def settle(self, state: State, known: Sequence[str]) -> None:
        """The outcome of a submit was stored: receipts that overtook it count now."""
        self.work = "gone"
        self.state = state
        self.known.update(known)
        waiting, self.parked = self.parked, []
        for id_, receipt_state in waiting:
            self.receive(id_, receipt_state)


class Histories(RuleBasedStateMachine):
    """The store beside the histories of what was written to it."""

    def __init__(self, make: Callable[[Path], Engine]) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._engine = make(Path(self._folder.name))
        self._runner = asyncio.Runner()
        self._store: Store = self._engine()
        self._histories: list[History] = []
        self._announced: list[str] = []  # ids of events, as results named them
        self._called_back: set[str] = set()
        self._clock = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    @initialize()
    def open(self) -> None:
        self.run(self._store.open())

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """One batch: something or nothing for every message, a new one perhaps, perhaps one that fails."""
        changes: list[Write] = []
        told: list[Callable[[], None]] = []
        for history in self._histories:
            change = data.draw(st.sampled_from(self._possible(history)))
            if change is not None:
                changes.append(change[0])
                told.append(change[1])
            for _ in range(data.draw(st.integers(0, 2)) if history.submits else 0):
                late, tell = self._receipt(history, data)
                changes.append(late)
                told.append(tell)
        if not self._histories or data.draw(st.integers(0, 5)) == 0:
            history = self._accepted(data)
            changes.append(outbound(history.message))
            told.append(lambda: self._histories.append(history))
        order = data.draw(st.permutations(range(len(changes))))
        # One fails early in its batch, the other when the batch's settlements are written already.
        known: list[Write] = [outbound(h.message) for h in self._histories[:1]]
        unencodable: list[Write] = [RecordReceipt(receipt("x", error="\ud800"))]
        failing = data.draw(st.sampled_from([[], known, unencodable]))
        # Receipts of one message keep their order among themselves: it decides which is the first.
        order = self._receipts_in_order(order, changes)
        results = self._write(*[changes[place] for place in order], *failing)
        assert all(isinstance(result, StorageError) for result in results[len(changes) :])
        assert not any(isinstance(result, Exception) for result in results[: len(changes)])
        for tell in told:
            tell()

    @rule(what=st.sampled_from(["restart", "time out", "expire", "call back", "call back in vain"]))
    def between_batches(self, what: str) -> None:
        """One rule for all of these, so that half of all steps are batches."""
        match what:
            case "restart":
                self._restart()
            case "time out":
                self._time_out_receipts()
            case "expire":
                self._expire()
            case _:
                self._call_back(answered=what == "call back")

    def _restart(self) -> None:
        self.run(self._store.close())
        self._store = self._engine()
        self.run(self._store.open())

    def _time_out_receipts(self) -> None:
        """Two hours without a final receipt."""
        self._write(TimeOutReceipts(LATER, 1000))
        for history in self._histories:
            if history.state in {State.SENT, State.IN_DOUBT}:
                history.state = State.UNDELIVERED if history.state is State.SENT else State.FAILED

    def _expire(self) -> None:
        """What is still queued when its validity ends."""
        self._write(ExpireWork(LATER, 1000))
        for history in self._histories:
            if history.work == "queued":
                history.work, history.state = "gone", State.FAILED

    def _call_back(self, *, answered: bool) -> None:
        """All that waits is tried once."""
        for due in self.run(self._store.due_callbacks(APPLICATION, LATER, (0, ""), 1000)):
            tried = attempt(due.event.id, T0 + self._tick(), 200 if answered else 500)
            self._write(SettleCallback(due.event.id, tried, None if answered else due.item))
            if answered:
                self._called_back.add(due.event.id)

    @invariant()
    def deliveries_are_in_the_state_of_their_history(self) -> None:
        found = self.run(self._store.search(MessageQuery(limit=1000))).rows
        states = {row.message.id: row.delivery.state for row in found}
        assert states == {h.message.id: h.state for h in self._histories}

    @invariant()
    def work_is_there_until_it_is_settled(self) -> None:
        due = self.run(self._store.due_work(LANE, LATER, (0, "", -2), 1000))
        claimed = self.run(self._store.claimed_work(LANE, 1000))
        assert {d.message.id for d in due} == {h.message.id for h in self._histories if h.work == "queued"}
        assert {d.message.id for d in claimed} == {
            h.message.id for h in self._histories if h.work == "claimed"
        }

    @invariant()
    def final_is_announced_once(self) -> None:
        final = [h.message.id for h in self._histories if h.state in FINAL]
        events = self.run(self._store.find_events(EventQuery()))
        assert sorted(e.message_id for e in events) == sorted(final)
        assert sorted(e.id for e in events) == sorted(self._announced)

    @invariant()
    def every_event_waits_until_it_was_called_back(self) -> None:
        waiting = self.run(self._store.due_callbacks(APPLICATION, LATER, (0, ""), 1000))
        assert {d.event.id for d in waiting} == set(self._announced) - self._called_back

    def teardown(self) -> None:
        self.run(self._store.close())
        self._runner.close()
        self._folder.cleanup()

    # ---- what may happen next ----

    def _possible(self, history: History) -> list[tuple[Write, Callable[[], None]] | None]:
        """Nothing, or one change with what it means for the history."""
        of = history.message
        if history.work == "queued":
            return [None, (Claim([key(of)], T0), lambda: self._claim(history))]
        if history.work == "gone":
            return [None]
        ids = history.ids
        possible: list[tuple[Write, Callable[[], None]] | None] = [
            None,
            (taken(of, *ids), lambda: history.settle(State.SENT, ids)),
            (refused(of), lambda: history.settle(State.FAILED, [])),
            (lost(of), lambda: history.settle(State.IN_DOUBT, [])),
            (lost(of, known={0: ids[0]}), lambda: history.settle(State.IN_DOUBT, ids[:1])),
        ]
        if not history.echoes:
            possible.append((retried(of, T0), lambda: self._requeue(history)))
        return possible

    def _accepted(self, data: st.DataObject) -> History:
        segments, habit = data.draw(st.integers(1, 2)), data.draw(st.sampled_from(Habit))
        taken_marks = {mark for history in self._histories for mark in history.marks}
        while True:  # marks are short: of messages at one time two could have the same
            new = History(message(self._tick(), segment_count=segments), habit)
            if len(new.marks) == 2 and not new.marks & taken_marks:
                return new

    def _receipt(self, history: History, data: st.DataObject) -> tuple[Write, Callable[[], None]]:
        part = data.draw(st.integers(0, history.message.segment_count - 1))
        state = data.draw(
            st.sampled_from([ReceiptState.DELIVERED, ReceiptState.UNDELIVERABLE, ReceiptState.ENROUTE])
        )
        id_ = history.ids[part]
        return history.report(part, state, T0 + self._tick()), lambda: history.receive(id_, state)

    @staticmethod
    def _receipts_in_order(order: Sequence[int], changes: Sequence[Write]) -> list[int]:
        places = iter([place for place, change in enumerate(changes) if isinstance(change, RecordReceipt)])
        return [next(places) if isinstance(changes[place], RecordReceipt) else place for place in order]

    @staticmethod
    def _claim(history: History) -> None:
        history.work = "claimed"
        history.submits += 1

    @staticmethod
    def _requeue(history: History) -> None:
        history.work = "queued"

    def _tick(self) -> int:
        self._clock += 1
        return self._clock

    def _write(self, *changes: Write) -> Sequence[Any]:
        results = self.run(write(self._store, *changes))
        for result in results:
            if isinstance(result, Settled | ReceiptRecorded | Expired):
                self._announced += [a.event.id for a in result.announcements]
            elif isinstance(result, list):
                self._announced += [a.event.id for a in result if not isinstance(a, tuple)]
        return results


def test_no_history_breaks_the_invariant(new_engine: Callable[[Path], Engine]) -> None:
    """The sentence at the head of this file, after every step."""

    class OfEngine(Histories):
        def __init__(self) -> None:
            super().__init__(new_engine)

    run_state_machine_as_test(
        OfEngine,
        # A history is not shortened when it fails: that opens thousands of databases and takes minutes.
        settings=settings(max_examples=40, stateful_step_count=30, phases=(Phase.reuse, Phase.generate)),
    )

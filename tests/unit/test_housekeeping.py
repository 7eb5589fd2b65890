"""The sweeps: what they ask of the store, when they run, and that none disturbs the others."""

from collections.abc import Callable
from typing import Any

import pytest
from outbox.doubles import HeldStore, as_store
from outbox.loops import settle_loop
from outbox.records import APPLICATION, DAY, T0, delivery

from trebuchet.clock import ManualClock
from trebuchet.errors import StorageUnavailable
from trebuchet.housekeeping import Housekeeping, Retention
from trebuchet.model import ledger
from trebuchet.model.events import Announcement, EventType
from trebuchet.model.message import Kind
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import Expired, ExpireWork, Prune, TimeOutReceipts, Write
from trebuchet.telemetry import Telemetry

pytestmark = pytest.mark.anyio

SECOND = 1000
HOUR = 3600 * SECOND
BATCH = 500  # of the sweeps that fail deliveries


def announcement(of: str) -> Announcement:
    return ledger.announcement(delivery(of), EventType.FAILED, APPLICATION, Kind.SMS, T0)


class Table(HeldStore):
    """Knows when the first row expires."""

    expiry_ms: int | None = None
    unreadable: Exception | None = None

    async def next_expiry_ms(self) -> int | None:
        if self.unreadable is not None:
            raise self.unreadable
        return self.expiry_ms


class House:
    """Housekeeping over a store whose rows are counted."""

    def __init__(self, retention: Retention | None = None) -> None:
        self.clock = ManualClock(T0)
        self.table = Table(answer=self._carry_out)
        self.expired = 0  # rows of each kind that there are
        self.timed_out = 0
        self.old: dict[str, int] = {}
        self.failing: Callable[[Write], Exception | None] = lambda change: None
        self.announced: list[Announcement] = []
        self.released: list[int] = []
        self.handed_over = 0
        self.swept = 0
        self.telemetry = Telemetry()
        store = as_store(self.table)
        self.housekeeping = Housekeeping(
            clock=self.clock,
            store=store,
            committer=Committer(store, batch_max=100, observe=lambda size, seconds: None),
            retention=retention or Retention(messages_d=14, attempts_d=7, audit_d=365, batch=100),
            announce=self.announced.extend,
            released=self.released.append,
            sweep_media=self._sweep_media,
            hand_over_late=self._hand_over_late,
            telemetry=self.telemetry,
        )

    async def _sweep_media(self) -> None:
        self.swept += 1

    def _carry_out(self, change: Write) -> Any:
        failure = self.failing(change)
        if failure is not None:
            return failure
        if isinstance(change, ExpireWork):
            count = min(self.expired, change.limit)
            self.expired -= count
            if not self.expired:
                self.table.expiry_ms = None
            keys = [(f"m-{place}", 0) for place in range(count)]
            return Expired(keys, [announcement(key) for key, _ in keys])
        if isinstance(change, TimeOutReceipts):
            count = min(self.timed_out, change.limit)
            self.timed_out -= count
            return [announcement(f"m-{place}") for place in range(count)]
        assert isinstance(change, Prune)
        count = min(self.old.get(change.what, 0), change.limit)
        self.old[change.what] = self.old.get(change.what, 0) - count
        return count

    async def _hand_over_late(self) -> None:
        self.handed_over += 1

    async def pass_ms(self, duration_ms: int) -> None:
        self.clock.advance(duration_ms)
        for _ in range(20):
            await settle_loop()

    @property
    def changes(self) -> list[Write]:
        return self.table.changes


# ---- each sweep ----


@pytest.mark.parametrize("expiry_ms", [None, T0 + 1])
async def test_nothing_is_written_while_nothing_expires(expiry_ms: int | None) -> None:
    """Looking for it is done beside the writer."""
    house = House()
    house.table.expiry_ms = expiry_ms
    await house.housekeeping.expire_work()
    assert house.changes == []


async def test_what_expired_is_failed_in_small_batches() -> None:
    """Each batch is announced and leaves the queue's count before the next."""
    house = House()
    house.table.expiry_ms, house.expired = T0, BATCH + 1
    await house.housekeeping.expire_work()
    assert house.changes == [ExpireWork(T0, BATCH)] * 2
    assert house.released == [BATCH, 1]
    assert len(house.announced) == BATCH + 1


@pytest.mark.parametrize(("due", "batches"), [(0, 1), (BATCH - 1, 1), (BATCH, 2), (2 * BATCH + 1, 3)])
async def test_receipts_that_never_came_time_out_in_small_batches(due: int, batches: int) -> None:
    """Until a batch is not full."""
    house = House()
    house.timed_out = due
    await house.housekeeping.time_out_receipts()
    assert house.changes == [TimeOutReceipts(T0, BATCH)] * batches
    assert len(house.announced) == due


async def test_retention_deletes_what_is_older() -> None:
    """Messages after 14 days, attempts, PDUs and unmatched receipts after 7; idempotency keys when they end."""
    house = House()
    await house.housekeeping.prune()
    assert house.changes == [
        Prune("messages", T0 - 14 * DAY, 100),
        Prune("attempts", T0 - 7 * DAY, 100),
        Prune("pdus", T0 - 7 * DAY, 100),
        Prune("handset_messages", T0 - 14 * DAY, 100),
        Prune("audit", T0 - 365 * DAY, 100),
        Prune("parked_receipts", T0 - 7 * DAY, 100),
        Prune("held_media", T0 - 2 * DAY, 100),
        Prune("owed_mails", T0 - 2 * DAY, 100),
        Prune("idempotency", T0, 100),
        Prune("media", T0, 100),
    ]


async def test_retention_may_be_off() -> None:
    """0 days keep messages and attempts for ever; what has no further use is deleted all the same."""
    house = House(Retention(messages_d=0, attempts_d=0, audit_d=0, batch=100))
    await house.housekeeping.prune()
    assert [change.what for change in house.changes if isinstance(change, Prune)] == [
        "parked_receipts",
        "held_media",
        "owed_mails",
        "idempotency",
        "media",
    ]


async def test_retention_works_in_small_batches_and_counts() -> None:
    """Until a batch is not full."""
    house = House()
    house.old = {"messages": 250}
    await house.housekeeping.prune()
    assert house.changes.count(Prune("messages", T0 - 14 * DAY, 100)) == 3
    assert house.telemetry.value("trebuchet_pruned_total", "messages") == 250


# ---- when they run ----


def ran(house: House) -> list[str]:
    return sorted({type(change).__name__ for change in house.changes})


async def test_sweeps_run_on_the_gateways_clock() -> None:
    """Expiry, time-outs and late parts every 15 seconds, retention every hour; nothing at the start."""
    house = House()
    house.table.expiry_ms, house.expired = T0, 1
    house.housekeeping.start()
    await house.pass_ms(15 * SECOND - 1)
    assert (ran(house), house.handed_over) == ([], 0)
    await house.pass_ms(1)
    assert (ran(house), house.handed_over) == (["ExpireWork", "TimeOutReceipts"], 1)
    for _ in range(3):
        await house.pass_ms(15 * SECOND)
    assert house.changes.count(TimeOutReceipts(T0 + 60 * SECOND, BATCH)) == 1
    await house.pass_ms(HOUR)
    assert "Prune" in ran(house)
    await house.housekeeping.close()


async def test_a_sweep_that_fails_is_announced_and_runs_again() -> None:
    """The others are not disturbed."""
    house = House()
    house.table.unreadable = StorageUnavailable("disk full")
    house.housekeeping.start()
    await house.pass_ms(15 * SECOND)
    assert house.telemetry.value("trebuchet_problems_total", "sweep_failed") == 1
    assert ran(house) == ["TimeOutReceipts"]
    house.table.unreadable, house.table.expiry_ms, house.expired = None, T0, 1
    await house.pass_ms(15 * SECOND)
    assert house.released == [1]
    await house.housekeeping.close()


async def test_a_sweep_that_is_still_running_is_not_started_again() -> None:
    """A slow store is not asked for the same thing twice."""
    house = House()
    house.table.answer = None
    house.housekeeping.start()
    await house.pass_ms(15 * SECOND)
    await house.pass_ms(15 * SECOND)
    assert house.changes == [TimeOutReceipts(T0 + 15 * SECOND, BATCH)]
    house.table.complete([[]])
    await settle_loop()
    house.table.answer = lambda change: []
    await house.pass_ms(15 * SECOND)
    assert house.changes[1:] == [TimeOutReceipts(T0 + 45 * SECOND, BATCH)]
    await house.housekeeping.close()


async def test_closing_ends_the_sweeps() -> None:
    """Those under way are given up, and none starts again. It may be closed twice."""
    house = House()
    house.table.answer = None
    house.housekeeping.start()
    await house.pass_ms(15 * SECOND)
    await house.housekeeping.close()
    await house.housekeeping.close()
    house.table.complete([[announcement("m-1")]])
    await house.pass_ms(2 * HOUR)
    assert (len(house.changes), house.announced) == (1, [])

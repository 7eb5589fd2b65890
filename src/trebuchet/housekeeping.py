"""Small named sweeps over the tables: expiry in the queue, receipts and parts that never came, retention.

Each runs on the gateway's clock and works in small batches, so that it never holds up the path of messages.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from trebuchet.clock import Clock, Timer
from trebuchet.model.events import Announcement
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import (
    Expired,
    ExpireWork,
    Prune,
    RecheckParked,
    Rematched,
    Store,
    TimeOutReceipts,
    Write,
)
from trebuchet.telemetry import Telemetry

_AT_ONCE_MS = 2_000
_RECHECKED_MS = 60_000
_SOON_MS = 15_000
_HOURLY_MS = 3_600_000
_DAY_MS = 86_400_000
_PARKED_KEEP_MS = 7 * _DAY_MS  # unmatched receipts stay listable for a week
_HELD_KEEP_MS = 2 * _DAY_MS  # the files of messages that have reached their end, for `trebuchet show`
_OWED_KEEP_MS = 2 * _DAY_MS  # whoever owes them gives up after a day
_BATCH = 500


class Retention(msgspec.Struct, frozen=True):
    """Days that things are kept; 0 keeps them for ever."""

    messages_d: int  # finished messages
    attempts_d: int  # callback attempts and PDUs
    audit_d: int  # the log of who changed what
    batch: int


class Housekeeping:
    """All calls in the event loop. A sweep that fails is announced and runs again at its next time.

    Where processes share a database one of them sweeps: `mine` says whether it is this one. Then there is also what two
    of them, writing at once, may leave behind: receipts beside their segments, and, for `finish_whole`, all parts of a
    message.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        store: Store,
        committer: Committer,
        retention: Retention,
        announce: Callable[[Sequence[Announcement]], None],
        released: Callable[[int], None],
        hand_over_late: Callable[[], Awaitable[None]],
        sweep_media: Callable[[], Awaitable[None]],
        telemetry: Telemetry,
        finish_whole: Callable[[], Awaitable[None]] | None = None,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._store = store
        self._committer = committer
        self._retention = retention
        self._announce = announce
        self._released = released
        self._hand_over_late = hand_over_late
        self._sweep_media = sweep_media
        self._finish_whole = finish_whole
        self._mine = mine
        self._telemetry = telemetry
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._timers: dict[str, Timer] = {}
        self._closed = False

    def start(self) -> None:
        self._every("expire_work", _SOON_MS, self.expire_work)
        self._every("time_out_receipts", _SOON_MS, self.time_out_receipts)
        self._every("hand_over_late", _SOON_MS, self._hand_over_late)
        self._every("prune", _HOURLY_MS, self.prune)
        self._every("sweep_media", _HOURLY_MS, self._sweep_media)
        if self._finish_whole is not None:
            self._every("recheck_parked", _AT_ONCE_MS, self.recheck_parked)
            self._every("finish_whole", _AT_ONCE_MS, self._finish_whole)

    async def close(self) -> None:
        """May be called twice."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def expire_work(self) -> None:
        """Fail what waited in a lane beyond its validity, also while its carrier is down.

        Looking for it reads the whole queue, so that is done beside the writer.
        """
        while True:
            first_ms = await self._store.next_expiry_ms()
            if first_ms is None or first_ms > self._clock.now_ms():
                return
            expired: Expired = await self._write(ExpireWork(self._clock.now_ms(), _BATCH))
            self._released(len(expired.keys))
            self._announce(expired.announcements)

    async def time_out_receipts(self) -> None:
        """Fail what a carrier took and never reported on."""
        while True:
            announced: Sequence[Announcement] = await self._write(
                TimeOutReceipts(self._clock.now_ms(), _BATCH)
            )
            self._announce(announced)
            if len(announced) < _BATCH:
                return

    async def recheck_parked(self) -> None:
        """Match receipts whose response was being stored by another process when they came."""
        since_ms = self._clock.now_ms() - _RECHECKED_MS
        rechecked: Rematched = await self._write(RecheckParked(since_ms, _BATCH))
        self._announce(rechecked.announcements)

    async def prune(self) -> None:
        """Delete what retention no longer keeps."""
        now_ms = self._clock.now_ms()
        ages = {
            "messages": self._retention.messages_d * _DAY_MS,
            "attempts": self._retention.attempts_d * _DAY_MS,
            "pdus": self._retention.attempts_d * _DAY_MS,
            "handset_messages": self._retention.messages_d * _DAY_MS,
            "audit": self._retention.audit_d * _DAY_MS,
            "parked_receipts": _PARKED_KEEP_MS,
            "held_media": _HELD_KEEP_MS,
            "owed_mails": _OWED_KEEP_MS,
        }
        for what, age_ms in ages.items():
            if age_ms:
                await self._prune(what, now_ms - age_ms)
        await self._prune("idempotency", now_ms)
        await self._prune("media", now_ms)

    async def _prune(self, what: str, before_ms: int) -> None:
        while True:
            count: int = await self._write(Prune(what, before_ms, self._retention.batch))
            self._telemetry.count("trebuchet_pruned_total", what, by=count)
            if count < self._retention.batch:
                return

    async def _write(self, change: Write) -> Any:
        return await self._committer.add(change)

    def _every(self, name: str, period_ms: int, sweep: Callable[[], Awaitable[None]]) -> None:
        def due() -> None:
            running = self._tasks.get(name)
            if self._mine() and (running is None or running.done()):
                self._tasks[name] = asyncio.get_running_loop().create_task(self._run(name, sweep))
            if not self._closed:
                self._timers[name] = self._clock.call_at(self._clock.now_ms() + period_ms, due)

        self._timers[name] = self._clock.call_at(self._clock.now_ms() + period_ms, due)

    async def _run(self, name: str, sweep: Callable[[], Awaitable[None]]) -> None:
        try:
            await sweep()
        except Exception as error:  # noqa: BLE001  # it runs again; meanwhile the path of messages must not stop
            self._telemetry.problem("sweep_failed", sweep=name, error=repr(error))

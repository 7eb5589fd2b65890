"""The storage side of the seam, as far as the committer needs it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from msgspec.structs import replace

from trebuchet.storage.base import Claim, DueWork, Settle, Settled, Store, WorkKey, Write

Done = Callable[[Sequence[Any]], None]


class HeldStore:
    """Keeps batches until it is told to complete them, or completes each in the next turn with `answer`."""

    def __init__(self, parallel_writes: int = 1, answer: Callable[[Write], Any] | None = None) -> None:
        self.parallel_writes = parallel_writes
        self.answer = answer
        self.batches: list[list[Write]] = []
        self.refusals: list[Exception] = []  # raised instead of taking the coming batches
        self._open: list[tuple[Sequence[Write], Done]] = []

    def write(self, changes: Sequence[Write], done: Done) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        assert len(self._open) < self.parallel_writes
        self.batches.append(list(changes))
        self._open.append((changes, done))
        if self.answer is not None:
            asyncio.get_running_loop().call_soon(self.complete)

    def complete(self, results: Sequence[Any] | None = None, which: int = 0) -> None:
        """Commit one of the batches under way, the oldest unless told otherwise."""
        changes, done = self._open.pop(which)
        if results is None:
            results = [self.answer(change) if self.answer is not None else None for change in changes]
        done(results)

    @property
    def changes(self) -> list[Write]:
        """All changes so far, in order."""
        return [change for batch in self.batches for change in batch]


def as_store(double: HeldStore) -> Store:
    """A double has only those methods of a store that are called in its test."""
    return cast("Store", double)


class OutboxTable(HeldStore):
    """Holds work rows as the outbox does: a claim hides them from reads, a settlement deletes or requeues them."""

    def __init__(self) -> None:
        super().__init__(answer=self._carry_out)
        self.rows: dict[WorkKey, DueWork] = {}
        self.claimed: set[WorkKey] = set()
        self.failing: dict[type, list[Exception]] = {}  # of coming changes of a type

    def commit(self, *due: DueWork) -> None:
        self.rows.update(((row.item.message_id, row.item.recipient), row) for row in due)
        self.claimed.update(
            (row.item.message_id, row.item.recipient) for row in due if row.item.claimed_ms is not None
        )

    def _carry_out(self, change: Write) -> Any:
        failures = self.failing.get(type(change))
        if failures:
            return failures.pop(0)
        if isinstance(change, Claim):
            mine = [key for key in change.keys if key in self.rows and key not in self.claimed]
            self.claimed.update(mine)
            return mine
        assert isinstance(change, Settle)
        self.claimed.discard(change.key)
        if change.requeue is None:
            self.rows.pop(change.key, None)
        else:
            self.rows[change.key] = replace(self.rows[change.key], item=change.requeue)
        return Settled(change.announcements)

    async def claimed_work(self, lane: str, limit: int) -> list[DueWork]:
        return [row for key, row in self.rows.items() if row.item.lane == lane and key in self.claimed][
            :limit
        ]

    async def due_work(
        self, lane: str, now_ms: int, after: tuple[int, str, int], limit: int
    ) -> list[DueWork]:
        return [row for row in self._unclaimed(lane) if row.item.due_ms <= now_ms][:limit]

    async def next_work_due_ms(self, lane: str, now_ms: int) -> int | None:
        return next((row.item.due_ms for row in self._unclaimed(lane) if row.item.due_ms > now_ms), None)

    def _unclaimed(self, lane: str) -> list[DueWork]:
        rows = [row for key, row in self.rows.items() if row.item.lane == lane and key not in self.claimed]
        return sorted(rows, key=lambda row: (row.item.due_ms, row.item.message_id, row.item.recipient))

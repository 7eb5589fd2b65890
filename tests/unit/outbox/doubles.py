"""The storage side of the seam, as far as the committer needs it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from trebuchet.storage.base import Store, Write

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

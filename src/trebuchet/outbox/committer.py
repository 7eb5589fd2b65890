"""Group commit: everything that waits goes into one transaction with one sync.

When the store is idle a batch starts at the end of the current loop turn; while it is busy, changes gather. So
an idle gateway answers after one sync, and under load the batch grows by itself. Batches can be held a little
apart: a sync costs a third of a millisecond of CPU, and each message of moderate traffic would pay for several
of its own otherwise.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.base import Store, Write

Done = Callable[[Any], None]

_STOPPING = StorageUnavailable("the gateway is stopping")


class Committer:
    """Hands changes to the store in batches of at most `batch_max`. All calls in one event loop.

    A batch starts at least `spacing_s` after the one before. `observe(changes, seconds)` is told the size and the
    duration of each.
    """

    def __init__(
        self, store: Store, *, batch_max: int, observe: Callable[[int, float], None], spacing_s: float = 0.0
    ) -> None:
        self._store = store
        self._batch_max = batch_max
        self._observe = observe
        self._waiting: deque[tuple[Write, Done]] = deque()
        self._writing = 0
        self._scheduled = False
        self._closed = False
        self._spacing_s = spacing_s
        self._started_s = -spacing_s  # of the latest batch, on the loop's clock
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop = asyncio.get_running_loop()

    def put(self, change: Write, done: Done) -> None:
        """Write a change. `done` is called later, never during this call, with its result or its exception.

        The message path comes this way: a future costs three times what calling back does.
        """
        if self._closed:
            self._loop.call_soon(done, _STOPPING)
            return
        self._waiting.append((change, done))
        if not self._scheduled and self._writing < self._store.parallel_writes:
            self._idle.clear()
            self._scheduled = True
            self._loop.call_soon(self._start)

    def add(self, change: Write) -> "asyncio.Future[Any]":
        """Resolves with the change's result once it is committed; fails with its error if it cannot be."""
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._closed:
            future.set_exception(_STOPPING)
        else:
            self.put(change, partial(_resolve, future))
        return future

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is being written."""
        await self._idle.wait()

    async def close(self) -> None:
        """Take nothing more and wait for what was taken. May be called twice."""
        self._closed = True
        if self._waiting and not self._writing:
            self._start()
        await self.drain()

    def _start(self) -> None:
        self._scheduled = False
        wait_s = self._started_s + self._spacing_s - self._loop.time()
        if self._waiting and wait_s > 0 and not self._closed:
            self._scheduled = True
            self._loop.call_later(wait_s, self._start)
            return
        while self._waiting and self._writing < self._store.parallel_writes:
            size = min(len(self._waiting), self._batch_max)
            batch = [self._waiting.popleft() for _ in range(size)]
            self._writing += 1
            self._started_s = self._loop.time()
            started_s = perf_counter()
            waiters = [done for _, done in batch]
            try:
                self._store.write([change for change, _ in batch], partial(self._written, waiters, started_s))
            except StorageUnavailable as error:
                self._written(waiters, started_s, [error] * size)
        if not self._waiting and not self._writing:
            self._idle.set()

    def _written(self, waiters: Sequence[Done], started_s: float, results: Sequence[Any]) -> None:
        self._writing -= 1
        self._observe(len(waiters), perf_counter() - started_s)
        for done, result in zip(waiters, results, strict=True):
            try:
                done(result)
            except Exception as error:  # noqa: BLE001  # one caller's fault must not keep the others waiting
                self._loop.call_exception_handler(
                    {"message": "a committed change was not taken", "exception": error}
                )
        # What these calls set off runs next and may add changes: they belong into the coming batch.
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._start)


def _resolve(future: "asyncio.Future[Any]", result: Any) -> None:
    if future.done():  # its caller has gone away; the change is committed all the same
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)

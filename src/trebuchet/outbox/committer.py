"""Group commit: everything that waits goes into one transaction with one sync.

When the store is idle a batch starts at the end of the current loop turn; while it is busy, changes gather. So
an idle gateway answers after one sync, and under load the batch grows by itself. Batches are held a little
apart: a batch of few changes costs more than a millisecond of CPU, and each message of moderate traffic would
pay for several of its own otherwise.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import msgspec

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.base import Accept, Store, Write

Done = Callable[[Any], None]

_LIFE = 5  # changes in the life of a message
_SHARE = 4  # batches may take this part of the time, as long as few changes wait

_STOPPING = StorageUnavailable("the gateway is stopping")


class Spacing(msgspec.Struct, frozen=True):
    """How far apart batches start: from `least_s` to `most_s`, the longer they take.

    A batch of `enough` changes is worth its cost and starts at once; a new message counts as five, for it is the
    first of as many. A batch to which nothing was added for `quiet_s` starts too: whoever would ask next may be
    waiting for its answers.
    """

    least_s: float = 0.0
    most_s: float = 0.0
    quiet_s: float = 0.0
    enough: int = 64

    def after(self, duration_s: float) -> float:
        """Seconds from the start of a batch that took this long to the start of the next."""
        return min(max(self.least_s, duration_s * _SHARE), self.most_s)


class Committer:
    """Hands changes to the store in batches of at most `batch_max`. All calls in one event loop.

    `observe(changes, seconds)` is told the size and the duration of each.
    """

    def __init__(
        self,
        store: Store,
        *,
        batch_max: int,
        observe: Callable[[int, float], None],
        spacing: Spacing | None = None,
    ) -> None:
        self._store = store
        self._batch_max = batch_max
        self._observe = observe
        self._waiting: deque[tuple[Write, Done]] = deque()
        self._writing = 0
        self._scheduled = False
        self._closed = False
        self._spacing = spacing or Spacing()
        # When the next batch may start, and when it starts at the latest; on the loop's clock.
        self._earliest_s = 0.0
        self._latest_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._weight = 0  # of the changes that wait
        self._seen = 0  # changes that waited when the timer was set
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
        self._weight += _LIFE if type(change) is Accept else 1
        if self._timer is not None:
            if self._weight >= self._spacing.enough:
                self._timer.cancel()
                self._timer = None
                self._loop.call_soon(self._start)
        elif not self._scheduled and self._writing < self._store.parallel_writes:
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
        if self._must_wait():
            return
        while self._waiting and self._writing < self._store.parallel_writes:
            size = min(len(self._waiting), self._batch_max)
            batch = [self._waiting.popleft() for _ in range(size)]
            self._weight = len(self._waiting)
            self._writing += 1
            self._earliest_s = self._latest_s = self._loop.time() + self._spacing.least_s
            started_s = perf_counter()
            waiters = [done for _, done in batch]
            try:
                self._store.write([change for change, _ in batch], partial(self._written, waiters, started_s))
            except StorageUnavailable as error:
                self._written(waiters, started_s, [error] * size)
        if not self._waiting and not self._writing:
            self._idle.set()

    def _must_wait(self) -> bool:
        """Whether more changes are to be waited for. The timer is set then."""
        waiting = len(self._waiting)
        quiet = self._timer is not None and waiting == self._seen
        self._timer = None
        now_s = self._loop.time()
        until_s = self._earliest_s if quiet else self._latest_s
        if not waiting or self._weight >= self._spacing.enough or now_s >= until_s or self._closed:
            return False
        self._seen = waiting
        look_s = max(self._earliest_s, now_s + self._spacing.quiet_s)
        self._timer = self._loop.call_at(min(look_s, self._latest_s), self._start)
        self._scheduled = True
        return True

    def _written(self, waiters: Sequence[Done], started_s: float, results: Sequence[Any]) -> None:
        self._writing -= 1
        duration_s = perf_counter() - started_s
        self._latest_s = self._loop.time() - duration_s + self._spacing.after(duration_s)
        self._observe(len(waiters), duration_s)
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

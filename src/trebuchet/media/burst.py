"""What many ask for at the same moment is made once, and kept while the burst lasts."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

from trebuchet.errors import TrebuchetError

Value = TypeVar("Value")


class Closed(TrebuchetError):
    """Whoever makes the values has stopped."""


class Burst(Generic[Value]):
    """Values by key, each made once at a time and kept for a few seconds, within a bound of octets.

    `weigh` says how many octets a value holds, `keep_s` for how long it is kept. `now_s` is any clock that does
    not run backwards. What raises is not kept; all who wait for it get the error. A caller that is cancelled
    leaves the making to the others. Must be used within one running event loop.
    """

    def __init__(
        self,
        *,
        weigh: Callable[[Value], int],
        keep_s: Callable[[Value], float],
        octets_max: int,
        now_s: Callable[[], float],
    ) -> None:
        self._weigh = weigh
        self._keep_s = keep_s
        self._octets_max = octets_max
        self._now_s = now_s
        self._making: dict[Hashable, asyncio.Task[Value]] = {}
        # The value, until when it is kept, and its octets; last used last.
        self._kept: OrderedDict[Hashable, tuple[Value, float, int]] = OrderedDict()
        self._octets = 0

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        """The kept value, or the one being made, or what `make` makes now. Raises Closed when closed meanwhile."""
        kept = self._kept.get(key)
        if kept is not None and kept[1] > self._now_s():
            self._kept.move_to_end(key)
            return kept[0]
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(self._make(key, make))
            task.add_done_callback(partial(self._done, key))
        # Not awaited directly: one caller's end must not end what others wait for.
        await asyncio.wait((task,))
        if task.cancelled():
            raise Closed("no longer made")
        return task.result()

    async def close(self) -> None:
        """Cancel what is being made and forget the rest. Callers that wait get Closed."""
        tasks = list(self._making.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._kept.clear()
        self._octets = 0

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Value]]) -> Value:
        value = await make()
        self._keep(key, value)
        return value

    def _done(self, key: Hashable, task: asyncio.Task[Value]) -> None:
        self._making.pop(key, None)
        if not task.cancelled():
            task.exception()  # Whoever waits gets it; when all have left, it is nobody's.

    def _keep(self, key: Hashable, value: Value) -> None:
        now_s = self._now_s()
        self._forget(key)
        self._kept[key] = (value, now_s + self._keep_s(value), self._weigh(value))
        self._octets += self._kept[key][2]
        for old in [k for k, (_, until_s, _) in self._kept.items() if until_s <= now_s]:
            self._forget(old)
        while self._octets > self._octets_max:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._octets -= kept[2]

"""What the simulated network has to do later, with one timer for all of it."""

import heapq
from collections.abc import Callable
from typing import Any

from trebuchet.clock import Clock, Timer


class Plan:
    """What is to be done when, with one timer for the earliest moment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moments: list[int] = []  # heap of the keys of `_due`
        self._due: dict[int, list[tuple[Callable[..., None], tuple[Any, ...]]]] = {}
        self._timer: Timer | None = None
        self._closed = False
        self.size = 0

    def add(self, due_ms: int, action: Callable[..., None], *arguments: Any) -> None:
        if self._closed:
            return
        self.size += 1
        actions = self._due.get(due_ms)
        if actions is not None:
            actions.append((action, arguments))
            return
        self._due[due_ms] = [(action, arguments)]
        heapq.heappush(self._moments, due_ms)
        if self._timer is None or due_ms < self._timer.due_ms:
            self._arm()

    def close(self) -> None:
        self._closed = True
        self._moments.clear()
        self._due.clear()
        self.size = 0
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._moments:
            self._timer = self._clock.call_at(self._moments[0], self._run)

    def _run(self) -> None:
        self._timer = None
        now_ms = self._clock.now_ms()
        while self._moments and self._moments[0] <= now_ms:
            actions = self._due.pop(heapq.heappop(self._moments))
            self.size -= len(actions)
            for action, arguments in actions:
                action(*arguments)
        if self._timer is None:
            self._arm()

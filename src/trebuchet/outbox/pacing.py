"""Rate limits, counted in segments: each message gets the moment at which its turn comes.

A limit is a generic cell rate without burst: the queue is ordered by these moments, so the rate holds without
anybody counting at submit time, and it survives a restart with the queue.
"""

from collections.abc import Callable, Hashable, Sequence

import msgspec

QUEUE_S = 900  # a paced queue holds 15 minutes of its rate


class Limit(msgspec.Struct, frozen=True):
    key: Hashable
    segments_per_s: float


class Full(msgspec.Struct, frozen=True):
    """The queue of this limit holds its 15 minutes."""

    limit: Limit


class Pacing:
    """The turns given so far. Bounded by the number of provisioned accounts and numbers.

    `sharers` says among how many nodes that take messages each limit is divided.
    """

    def __init__(self, sharers: Callable[[], int] = lambda: 1) -> None:
        self._sharers = sharers
        self._free_ms: dict[Hashable, float] = {}  # when the next turn of a key begins

    def turn(self, limits: Sequence[Limit], segments: int, now_ms: int, *, first: bool = False) -> int | Full:
        """When the message may be submitted, milliseconds since the epoch. Reserves the turn unless Full.

        `first` (priority "high") goes now, ahead of the account's own queue; its segments still use up rate.
        """
        start_ms = float(now_ms)
        for limit in limits:
            free_ms = self._free_ms.get(limit.key, 0.0)
            if free_ms - now_ms > QUEUE_S * 1000:
                return Full(limit)
            start_ms = max(start_ms, free_ms)
        ms_per_segment = 1000 * self._sharers()
        for limit in limits:
            begins_ms = max(self._free_ms.get(limit.key, 0.0), now_ms) if first else start_ms
            self._free_ms[limit.key] = begins_ms + segments * ms_per_segment / limit.segments_per_s
        return now_ms if first else int(start_ms)

    def resume(self, key: Hashable, free_ms: float) -> None:
        """After a restart: turns up to `free_ms` are given already."""
        self._free_ms[key] = max(self._free_ms.get(key, 0.0), free_ms)

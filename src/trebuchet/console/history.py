"""The counters of the last day, a sample a minute, kept in memory: what the charts of the console are drawn from."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from trebuchet.clock import Clock, Timer

SAMPLES_MAX = 24 * 60
STEP_MS = 60_000

Counter = tuple[str, tuple[str, ...]]  # the metric's name, and its labels
Counts = Mapping[Counter, float]
Belongs = Callable[[str, tuple[str, ...]], bool]


class History:
    """Samples of all counters. `take` adds one; from `start` to `stop` one is taken each minute."""

    def __init__(self, clock: Clock, counts: Callable[[], Counts]) -> None:
        self._clock = clock
        self._counts = counts
        self._samples: deque[tuple[int, Counts]] = deque(maxlen=SAMPLES_MAX)
        self._timer: Timer | None = None

    def start(self) -> None:
        self.take()
        self._timer = self._clock.call_at(self._clock.now_ms() + STEP_MS, self.start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def take(self) -> None:
        """Add a sample of now."""
        self._samples.append((self._clock.now_ms(), self._counts()))

    @property
    def since_ms(self) -> int:
        """When the first sample that is still kept was taken."""
        return self._samples[0][0] if self._samples else self._clock.now_ms()

    def series(self, wanted: Sequence[Belongs]) -> list[list[float]]:
        """Times in seconds since the epoch, then a row of rates per second for each of `wanted`.

        Each of these says which counters make up its sum. A rate is that of the step that ended at its time; the
        last step ends now.
        """
        rows: list[list[float]] = [[] for _ in range(len(wanted) + 1)]
        before: tuple[int, list[float]] | None = None
        for at_ms, counts in [*self._samples, (self._clock.now_ms(), self._counts())]:
            sums = [total(counts, belongs) for belongs in wanted]
            if before is not None and at_ms > before[0]:
                rows[0].append(at_ms / 1000)
                for row, now, then in zip(rows[1:], sums, before[1], strict=True):
                    row.append(round(max(0.0, now - then) * 1000 / (at_ms - before[0]), 3))
            before = at_ms, sums
        return rows

    def grown(self, span_ms: int) -> dict[Counter, float]:
        """By how much each counter that moved has grown in about the last `span_ms`, or since the first sample."""
        now = self._counts()
        from_ms = self._clock.now_ms() - span_ms
        then = next((counts for at_ms, counts in self._samples if at_ms >= from_ms), now)
        grown = {name: count - then.get(name, 0) for name, count in now.items()}
        return {name: count for name, count in grown.items() if count > 0}


def total(counts: Counts, belongs: Belongs) -> float:
    """The sum of the counters that belong."""
    return sum(count for (name, labels), count in counts.items() if belongs(name, labels))

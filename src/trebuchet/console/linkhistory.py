"""What passed the lanes of links in the last hour, a sample every ten seconds, kept in memory, for charts."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from trebuchet.clock import Clock, Timer

STEP_MS = 10_000
SAMPLES_MAX = 360


class Figures(NamedTuple):
    """Of one bind, or of a lane without binds. All but the last only grow."""

    submits: float = 0
    receipts: float = 0
    inbound: float = 0
    throttles: float = 0
    unanswered: float = 0
    response_ms: float | None = None  # None: nothing was answered yet


Key = tuple[str, str]  # carrier, lane or bind
Sample = Mapping[Key, Figures]
Series = list[list[float | None]]


class LinkHistory:
    """From `start` to `stop` a sample is taken every ten seconds."""

    def __init__(self, clock: Clock, measure: Callable[[], Sample]) -> None:
        self._clock = clock
        self._measure = measure
        self._samples: deque[tuple[int, Sample]] = deque(maxlen=SAMPLES_MAX)
        self._timer: Timer | None = None

    def start(self) -> None:
        self.take()
        self._timer = self._clock.call_at(self._clock.now_ms() + STEP_MS, self.start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def take(self) -> None:
        """Add a sample of now."""
        self._samples.append((self._clock.now_ms(), self._measure()))

    def rates(self, carrier_id: str) -> dict[str, float]:
        """Submits per second of each bind, since the last sample that is at least half a step old."""
        now_ms, now = self._clock.now_ms(), self._measure()
        before = next((s for s in reversed(self._samples) if now_ms - s[0] >= STEP_MS // 2), None)
        if before is None:
            return {}
        at_ms, then = before
        return {
            key[1]: _grown(figures.submits, then.get(key, Figures()).submits) * 1000 / (now_ms - at_ms)
            for key, figures in now.items()
            if key[0] == carrier_id
        }

    def series(self, carrier_id: str) -> Series:
        """Times in seconds since the epoch, then a row for each field of `Figures`: rates per second, and the mean
        time to an answer in ms. A point is that of the step that ended at its time.
        """
        rows: Series = [[] for _ in range(len(Figures._fields) + 1)]
        pairs = zip(self._samples, list(self._samples)[1:], strict=False)
        for (then_ms, then), (at_ms, now) in pairs:
            if at_ms > then_ms:
                rows[0].append(at_ms / 1000)
                for row, value in zip(rows[1:], _step(carrier_id, then, now, at_ms - then_ms), strict=True):
                    row.append(value)
        return rows


def _step(carrier_id: str, then: Sample, now: Sample, took_ms: int) -> list[float | None]:
    """All binds of a carrier together. A bind that is new, or was made anew, began at nought."""
    mine = {key: figures for key, figures in now.items() if key[0] == carrier_id}
    counts = [
        sum(_grown(figures[place], then.get(key, Figures())[place]) for key, figures in mine.items())
        for place in range(len(Figures._fields) - 1)
    ]
    times = [figures.response_ms for figures in mine.values() if figures.response_ms is not None]
    mean = round(sum(times) / len(times), 2) if times else None
    return [*(round(count * 1000 / took_ms, 3) for count in counts), mean]


def _grown(now: float | None, then: float | None) -> float:
    now, then = now or 0, then or 0
    return now - then if now >= then else now

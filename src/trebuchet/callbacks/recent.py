"""The newest tries of each application's callbacks and the newest deliveries, in memory, for the console."""

from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec

from trebuchet.model.events import Attempt

TRIES_MAX = 500  # of each application
APPLICATIONS_MAX = 200  # the one that was called longest ago is forgotten
DELAYS_MAX = 5_000


class Try(msgspec.Struct, frozen=True, gc=False):
    """One try. `again_ms` is when it is repeated; None: it was taken, or given up."""

    attempt: Attempt
    message_id: str
    to: str
    type: str
    again_ms: int | None

    @property
    def taken(self) -> bool:
        status = self.attempt.status
        return status is not None and 200 <= status < 300


class Figures(msgspec.Struct, frozen=True):
    """How an endpoint did in the tries that are remembered since a moment."""

    tries: int
    taken: int
    p50_ms: int | None
    p95_ms: int | None


class RecentTries:
    """All calls in the event loop; adding one costs about a microsecond."""

    def __init__(self) -> None:
        self._tries: OrderedDict[str, deque[Try]] = OrderedDict()
        self._delays: deque[tuple[int, int]] = deque(maxlen=DELAYS_MAX)

    def delivered(self, at_ms: int, delay_ms: int) -> None:
        """A message was delivered so long after it was accepted."""
        self._delays.append((at_ms, delay_ms))

    def delays(self, since_ms: int) -> tuple[int | None, int | None]:
        """Median and 95th percentile, in milliseconds, of the newest deliveries since then; None without any."""
        delays = sorted(delay_ms for at_ms, delay_ms in self._delays if at_ms >= since_ms)
        return _percentile(delays, 50), _percentile(delays, 95)

    def add(self, application_id: str, one: Try) -> None:
        tries = self._tries.get(application_id)
        if tries is None:
            tries = self._tries[application_id] = deque(maxlen=TRIES_MAX)
            if len(self._tries) > APPLICATIONS_MAX:
                self._tries.popitem(last=False)
        tries.append(one)
        self._tries.move_to_end(application_id)

    def of(self, application_id: str) -> Sequence[Try]:
        """The newest first."""
        return tuple(reversed(self._tries.get(application_id, ())))

    def figures(self, application_id: str, since_ms: int) -> Figures:
        """Of the tries that began since then."""
        tries = [one for one in self._tries.get(application_id, ()) if one.attempt.started_ms >= since_ms]
        took = sorted(one.attempt.duration_ms for one in tries)
        return Figures(
            tries=len(tries),
            taken=sum(one.taken for one in tries),
            p50_ms=_percentile(took, 50),
            p95_ms=_percentile(took, 95),
        )


def _percentile(ordered: Sequence[int], percent: int) -> int | None:
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else None

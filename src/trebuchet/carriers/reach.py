"""Whether a peer can be talked to, and when to try again: for links that connect for each request."""

from collections.abc import Callable, Sequence
from typing import Final

from trebuchet.clock import Clock, Timer

PAUSES_MS: Final = (1_000, 5_000, 15_000, 60_000)


class Reach:
    """Rests after a failure, longer each time. `again` is called when a rest ends, and when the peer answers again.

    `changed` is told True when the peer is there again, and False with why at each failure.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        again: Callable[[], None],
        changed: Callable[[bool, str], None],
        pauses_ms: Sequence[int] = PAUSES_MS,
    ) -> None:
        self.failures = 0  # in a row
        self.down_until_ms = 0
        self._clock = clock
        self._again = again
        self._changed = changed
        self._pauses_ms = pauses_ms
        self._timer: Timer | None = None

    @property
    def resting(self) -> bool:
        return self._clock.now_ms() < self.down_until_ms

    def reached(self) -> None:
        if self.failures:
            self.failures = 0
            self._changed(True, "")
            self._again()

    def failed(self, why: str) -> None:
        """Requests that fail at the same time are one failure."""
        if self.resting:
            return
        pause_ms = self._pauses_ms[min(self.failures, len(self._pauses_ms) - 1)]
        self.failures += 1
        self.down_until_ms = self._clock.now_ms() + pause_ms
        self._changed(False, why)
        self.cancel()
        self._timer = self._clock.call_at(self.down_until_ms, self._again)

    def cancel(self) -> None:
        """Call nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

"""How fast a link may submit: a limit that is given, and what throttling makes of it. The clock is an argument.

Additive increase, multiplicative decrease: an SMSC that throttles gets a pause and half the rate; each ten
seconds without it give a tenth back, up to the limit.
"""

from typing import Final

_ROUNDING = 1e-6  # of a segment: what adding up fractions of milliseconds loses
_BURST_S: Final = 0.1  # of the rate: what may go out at once after a rest
_PAUSE_FIRST_MS: Final = 1_000
_PAUSE_MAX_MS: Final = 5_000
_FORGIVEN_MS: Final = 10_000  # throttled again within this time: a longer pause
_RECOVERY_MS: Final = 10_000
_RECOVERY: Final = 1.1
_UNLIMITED: Final = 1_000_000  # what `allowance` says when there is no limit
_MEASURE_MS: Final = 2_000  # over which the rate of an unlimited link is measured
_LOWEST_PER_S: Final = 1.0


class Rate:
    """Segments per second of all binds of a link; `limit_per_s` 0 is none, until the SMSC throttles."""

    __slots__ = (
        "_burst_ms",
        "_changed_ms",
        "_counted",
        "_counted_since_ms",
        "_measured",
        "_paid_ms",
        "_pause_ms",
        "_paused_until_ms",
        "_throttled_ms",
        "current",
        "limit_per_s",
    )

    def __init__(self, limit_per_s: float) -> None:
        self.limit_per_s = limit_per_s
        self.current: float | None = None  # None: no limit now
        self._burst_ms = 0.0  # the time that may be saved up, at the current rate
        if limit_per_s:
            self._run_at(limit_per_s)
        self._paid_ms = 0.0  # when the rate has made up for all that was spent
        self._paused_until_ms = 0
        self._pause_ms = _PAUSE_FIRST_MS
        self._throttled_ms = -_FORGIVEN_MS
        self._changed_ms = 0
        self._counted = 0  # spent since `_counted_since_ms`
        self._counted_since_ms = 0
        self._measured = 0.0  # segments per second, of the measure before

    def allowance(self, now_ms: int) -> int:
        """How many segments may go out now."""
        if self.resting(now_ms):
            return 0
        if self.current is None:
            return _UNLIMITED
        free_ms = self._burst_ms
        if self._paid_ms > now_ms:
            free_ms += now_ms - self._paid_ms
            if free_ms <= 0:
                return 0
        return int(free_ms * self.current / 1000 + _ROUNDING)

    def spend(self, now_ms: int, segments: int) -> None:
        """So many went out."""
        if self.current is not None:
            self._paid_ms = max(self._paid_ms, now_ms) + segments * 1000 / self.current
            return
        if now_ms - self._counted_since_ms >= _MEASURE_MS:
            passed_ms = max(now_ms - self._counted_since_ms, 1)
            self._measured = self._counted * 1000 / passed_ms
            self._counted, self._counted_since_ms = 0, now_ms
        self._counted += segments

    def ready_ms(self, now_ms: int) -> int | None:
        """When one segment may go out; None if it may now."""
        if self.allowance(now_ms) > 0:
            return None
        due_ms = float(self._paused_until_ms)
        if self.current is not None:
            due_ms = max(due_ms, self._paid_ms + 1000 / self.current - self._burst_ms)
        return max(int(due_ms) + 1, now_ms + 1)

    def throttled(self, now_ms: int) -> None:
        """The SMSC said that it was too fast. Many answers of one moment count once."""
        if self.resting(now_ms):
            return
        again = now_ms - self._throttled_ms < _FORGIVEN_MS + self._pause_ms
        self._pause_ms = min(self._pause_ms * 2, _PAUSE_MAX_MS) if again else _PAUSE_FIRST_MS
        self._throttled_ms = now_ms
        self._paused_until_ms = now_ms + self._pause_ms
        self._slow_down(now_ms)

    def resting(self, now_ms: int) -> bool:
        """Whether it pauses, because the SMSC throttled."""
        return now_ms < self._paused_until_ms

    def answered(self, now_ms: int) -> None:
        """A submit was taken: the rate recovers with time."""
        if self.current is None or now_ms - self._changed_ms < _RECOVERY_MS:
            return
        if self.limit_per_s and self.current >= self.limit_per_s:
            return
        self._changed_ms = now_ms
        recovered = self.current * _RECOVERY
        if self.limit_per_s:
            self._run_at(min(recovered, self.limit_per_s))
        elif recovered > 2 * max(self._measured, _LOWEST_PER_S):
            self.current = None  # faster than it ever was: no limit any more
        else:
            self._run_at(recovered)

    def congested(self, now_ms: int, state: int) -> None:
        """What a 5.0 SMSC says of itself (congestion_state, SMPP 5.0 section 4.8.4.18): 0 idle to 100 congested."""
        if state >= 100:
            self.throttled(now_ms)
        elif state >= 90 and now_ms - self._changed_ms >= _PAUSE_FIRST_MS:
            self._slow_down(now_ms)

    def _slow_down(self, now_ms: int) -> None:
        before = self.current
        if before is None:
            passed_ms = max(now_ms - self._counted_since_ms, 1)
            before = max(self._measured, self._counted * 1000 / max(passed_ms, 1000))
            self._measured = before
        self._run_at(max(before / 2, _LOWEST_PER_S))
        self._changed_ms = now_ms
        self._paid_ms = float(now_ms)

    def _run_at(self, per_s: float) -> None:
        self.current = per_s
        self._burst_ms = max(_BURST_S * 1000, 1000 / per_s)

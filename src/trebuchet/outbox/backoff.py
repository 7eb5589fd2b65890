"""When to try again: pure decisions. Randomness is a parameter between 0 and 1."""

import msgspec


class Schedule(msgspec.Struct, frozen=True):
    """Waits grow from `first_s` by `factor` to `max_s`, each spread by `jitter`; given up after `give_up_s`."""

    first_s: float
    max_s: float
    give_up_s: float
    factor: float = 2.0
    jitter: float = 0.2

    def next_ms(self, attempts: int, first_ms: int, now_ms: int, chance: float) -> int | None:
        """When the try after `attempts` failed ones is due, or None to give up.

        `first_ms` is when the first try was made. A last try is made at the end of the schedule, so that the
        whole span is used.
        """
        end_ms = first_ms + int(self.give_up_s * 1000)
        if now_ms >= end_ms:
            return None
        # The exponent is bounded because a float overflows beyond it; by then max_s rules anyway.
        wait_s = min(self.max_s, self.first_s * self.factor ** min(attempts - 1, 64))
        spread = 1 + self.jitter * (2 * chance - 1)
        return min(now_ms + max(1, int(wait_s * spread * 1000)), end_ms)

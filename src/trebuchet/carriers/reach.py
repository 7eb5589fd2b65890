"""Whether a peer can be talked to: for links that connect when there is something to submit.

After a failure the link is down. When it has rested it is probed, without a message being at stake, and is up again if
that goes well; if not it rests longer. Only a peer that takes something makes the next rest short again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from trebuchet.clock import Clock, Timer
from trebuchet.errors import TrebuchetError

PAUSES_MS: Final = (1_000, 5_000, 15_000, 60_000)


class Reach:
    """All calls in one event loop. `probe` raises TrebuchetError or OSError if the peer cannot be talked to.

    `changed` is told whether the peer is there now, and why not; `again` is called when it is there again.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        probe: Callable[[], Awaitable[None]],
        again: Callable[[], None],
        changed: Callable[[bool, str], None],
        pauses_ms: Sequence[int] = PAUSES_MS,
    ) -> None:
        self.down = False
        self.down_until_ms = 0  # at least
        self._clock = clock
        self._probe = probe
        self._again = again
        self._changed = changed
        self._pauses_ms = pauses_ms
        self._failures = 0  # since the peer took something
        self._timer: Timer | None = None
        self._probing: asyncio.Task[None] | None = None

    def reached(self) -> None:
        """The peer took something, or refused it."""
        self._failures = 0
        if self.down:
            self.cancel()
            self._rise()

    def failed(self, why: str) -> None:
        """It could not be talked to. Requests that fail at the same time are one failure."""
        if not self.down:
            self.down = True
            self._rest(why)

    def cancel(self) -> None:
        """Probe no more, and call nobody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None

    def _rest(self, why: str) -> None:
        pause_ms = self._pauses_ms[min(self._failures, len(self._pauses_ms) - 1)]
        self._failures += 1
        self.down_until_ms = self._clock.now_ms() + pause_ms
        self._timer = self._clock.call_at(self.down_until_ms, self._begin)
        self._changed(False, why)

    def _begin(self) -> None:
        self._timer = None
        self._probing = asyncio.get_running_loop().create_task(self._try())

    async def _try(self) -> None:
        try:
            await self._probe()
        except (TrebuchetError, OSError) as error:  # TimeoutError is one
            self._probing = None
            self._rest(str(error) or "no connection in time")
        else:
            self._probing = None
            self._rise()

    def _rise(self) -> None:
        self.down = False
        self._changed(True, "")
        self._again()

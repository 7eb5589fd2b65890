"""The stage before a carrier's lane: the files that a message's URLs name are fetched and held.

It is a link like those of carriers, so fetching has what submitting has: an order, a bound, tries that are counted,
and a row that is claimed while it is under way. To fetch twice does no harm, so nothing here is ever in doubt.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from trebuchet.carriers.base import Held, LinkState, Outcome, Refused, RetryAt, Shipment, Snooze
from trebuchet.clock import Clock
from trebuchet.errors import TrebuchetError
from trebuchet.media.fetch import UNREADABLE, Fetched, Unavailable
from trebuchet.model.media import Content, HeldMedia
from trebuchet.model.message import MEDIA_LANE

_AGAIN_MS = (1_000, 5_000, 20_000, 60_000)  # from one try to the next
_STORE_AGAIN_MS = 5_000  # the object store is away: nobody's try


class MediaStage:
    """A CarrierLink with one lane. All calls in one event loop; only `stop` waits.

    `fetch` gives the files of URLs in their order, for an account, or raises Unavailable; `keep` stores octets
    and returns where.
    At most `under_way_max` messages are worked on at a time.
    """

    carrier_id = ""
    lanes: Sequence[str] = (MEDIA_LANE,)

    def __init__(
        self,
        *,
        clock: Clock,
        fetch: Callable[[Sequence[str], str], Awaitable[list[Fetched]]],
        keep: Callable[[bytes], Awaitable[Content]],
        outcome: Callable[[str, Shipment, Outcome], None],
        under_way_max: int = 16,
    ) -> None:
        self._clock = clock
        self._fetch = fetch
        self._keep = keep
        self._outcome = partial(outcome, MEDIA_LANE)
        self._under_way_max = under_way_max
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self._running = False

    @property
    def state(self) -> LinkState:
        return LinkState.UP if self._running else LinkState.DOWN

    def room(self, lane: str) -> int:
        running = self._running and lane in self.lanes
        return self._under_way_max - len(self._tasks) if running else 0

    def submit(self, lane: str, shipment: Shipment) -> None:  # noqa: ARG002  # there is only one
        task = asyncio.get_running_loop().create_task(self._hold(shipment))
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, shipment))

    async def start(self) -> None:
        self._running = True

    async def stop(self, grace_s: float) -> None:  # noqa: ARG002  # nothing here is worth waiting for
        """See CarrierLink. What is under way begins anew after the next start."""
        self._running = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hold(self, shipment: Shipment) -> Outcome:
        """Fetch and keep the files of one message."""
        message = shipment.message
        try:
            files = await self._fetch(message.media or (), message.account_id)
            contents = [await self._keep(file.octets) for file in files]
        except Unavailable as failure:
            if failure.temporary:
                return self._later(shipment, failure)
            return Refused(failure.code, failure.words)
        except TrebuchetError as error:
            return Snooze(self._clock.now_ms() + _STORE_AGAIN_MS, f"media are not stored: {error}")
        held = tuple(
            HeldMedia(message.id, place, content.sha256, file.content_type, file.name, content.size)
            for place, (file, content) in enumerate(zip(files, contents, strict=True))
        )
        return Held(held, tuple(contents))

    def _later(self, shipment: Shipment, failure: Unavailable) -> RetryAt:
        pause_ms = _AGAIN_MS[min(shipment.attempt, len(_AGAIN_MS)) - 1]
        return RetryAt(self._clock.now_ms() + pause_ms, failure.code, failure.words)

    def _done(self, shipment: Shipment, task: "asyncio.Task[Outcome]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._outcome(shipment, Snooze(self._clock.now_ms(), "the gateway is stopping"))
        elif task.exception() is not None:
            failure = Unavailable(UNREADABLE, "media could not be held", temporary=True)
            self._outcome(shipment, self._later(shipment, failure))
        else:
            self._outcome(shipment, task.result())

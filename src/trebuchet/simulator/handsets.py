"""The handsets of the simulated network: what they show, who waits for it, whether they are on.

Every number has a handset. Only those that hold something or are not in their first state take memory, and
all bounds drop the oldest first, so that a run of millions of messages can be watched like any other.
"""

import asyncio
import enum
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from trebuchet.storage.base import HandsetMessage

MESSAGES_MAX: Final = 10_000  # shown, on all handsets together
MESSAGES_PER_HANDSET: Final = 2_000
HELD_MAX: Final = 10_000  # kept for handsets that cannot be reached, all together
HANDSETS_MAX: Final = 20_000  # remembered: those that show something, and those that were changed
WAITERS_MAX: Final = 1_000  # readers that wait at the same time


class Power(enum.StrEnum):
    ON = "on"
    OFF = "off"  # messages wait in the network, and so do their receipts


class Memory(enum.StrEnum):
    FREE = "free"
    FULL = "full"  # messages fail


class Coverage(enum.StrEnum):
    GOOD = "good"
    LOST = "lost"  # cannot be reached: as if it were off, but it can be looked at


class TooMany(Exception):
    """A bound of this module is reached: try again later, or reset the handsets."""


class Handset:
    """One handset. `held` are the messages that the network keeps for it while it cannot be reached."""

    __slots__ = ("coverage", "held", "inbox", "kept", "memory", "number", "power", "waiters")

    def __init__(self, number: str) -> None:
        self.number = number
        self.power = Power.ON
        self.memory = Memory.FREE
        self.coverage = Coverage.GOOD
        self.kept = False  # somebody wants it listed, even with nothing to show
        self.inbox: deque[HandsetMessage] = deque()
        self.held: list[Callable[[], None]] = []
        self.waiters: set[asyncio.Future[None]] = set()

    @property
    def reachable(self) -> bool:
        return self.power is Power.ON and self.coverage is Coverage.GOOD

    @property
    def ordinary(self) -> bool:
        """Nothing about it needs remembering."""
        return (
            self.reachable
            and self.memory is Memory.FREE
            and not (self.kept or self.inbox or self.held or self.waiters)
        )


class Summary(msgspec.Struct, frozen=True):
    """A handset as it is listed."""

    number: str
    power: Power
    memory: Memory
    messages: int  # shown and still remembered
    held: int  # waiting in the network until it can be reached
    coverage: Coverage = Coverage.GOOD


class Handsets:
    """All handsets. All calls in one event loop; only `read` waits.

    `changed` is told the number of each handset that looks different now.
    """

    def __init__(self, changed: Callable[[str], None] = lambda _: None) -> None:
        self._changed = changed
        self._handsets: dict[str, Handset] = {}
        self._shown: OrderedDict[str, str] = OrderedDict()  # network id → number, oldest first
        self._held = 0
        self._waiting = 0

    def find(self, number: str) -> Handset | None:
        """The handset if anything is remembered of it."""
        return self._handsets.get(number)

    def list(self) -> Sequence[Summary]:
        return [_summary(handset) for handset in self._handsets.values()]

    def foremost(self, limit: int) -> Sequence[Summary]:
        """Those that are kept, then those with the newest messages, in the order in which they came to be known."""
        if len(self._handsets) <= limit:
            return self.list()
        chosen = heapq.nlargest(limit, self._handsets.values(), key=_prominence)
        return [_summary(handset) for handset in self._handsets.values() if handset in chosen]

    def __len__(self) -> int:
        return len(self._handsets)

    def summary(self, number: str) -> Summary:
        return _summary(self._handsets.get(number) or Handset(number))

    def newest(self, number: str, limit: int) -> Sequence[HandsetMessage]:
        """The last messages that a handset shows, oldest first."""
        handset = self._handsets.get(number)
        inbox = handset.inbox if handset is not None else ()
        return list(itertools.islice(reversed(inbox), limit))[::-1]

    def keep(self, number: str) -> None:
        """List a handset from now on, even with nothing to show. Raises TooMany."""
        self._known(number).kept = True
        self._changed(number)

    def drop(self, number: str) -> None:
        """The reverse of `keep`, and the handset is as at first. What was held for it arrives before that."""
        handset = self._handsets.get(number)
        if handset is not None:
            handset.kept = False
            self.change(number, Power.ON, Memory.FREE, Coverage.GOOD)
            self.clear(number)

    def show(self, message: HandsetMessage) -> None:
        """A message arrives; whoever waits for it is woken."""
        handset = self._handsets.get(message.handset)
        if handset is None:
            handset = self._handsets[message.handset] = Handset(message.handset)
        handset.inbox.append(message)
        self._shown[message.network_id] = message.handset
        if len(handset.inbox) > MESSAGES_PER_HANDSET:
            del self._shown[handset.inbox.popleft().network_id]
        elif len(self._shown) > MESSAGES_MAX:
            # Both are in order of arrival, so the oldest of all is the oldest of its handset.
            _, number = self._shown.popitem(last=False)
            oldest = self._handsets[number]
            oldest.inbox.popleft()
            self._forget_if_ordinary(oldest)
        for waiter in handset.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._changed(message.handset)

    def hold(self, handset: Handset, arrive: Callable[[], None]) -> bool:
        """Keep a message until the handset can be reached. False if it keeps too many already."""
        if len(handset.held) >= MESSAGES_PER_HANDSET or self._held >= HELD_MAX:
            return False
        handset.held.append(arrive)
        self._held += 1
        self._changed(handset.number)
        return True

    def let_go(self, number: str, arrive: Callable[[], None]) -> None:
        """Forget a message that is held, given the same `arrive`."""
        handset = self._handsets[number]
        handset.held.remove(arrive)
        self._held -= 1

    def change(
        self, number: str, power: Power | None, memory: Memory | None, coverage: Coverage | None = None
    ) -> Summary:
        """Switch a handset on or off, fill or empty its memory, take it out of coverage or back. Raises TooMany."""
        handset = self._known(number)
        handset.power = power or handset.power
        handset.memory = memory or handset.memory
        handset.coverage = coverage or handset.coverage
        if handset.reachable:
            self._release(handset)
        result = _summary(handset)
        self._forget_if_ordinary(handset)
        self._changed(number)
        return result

    def clear(self, number: str) -> None:
        """Forget what a handset shows."""
        handset = self._handsets.get(number)
        if handset is not None:
            for message in handset.inbox:
                del self._shown[message.network_id]
            handset.inbox.clear()
            self._forget_if_ordinary(handset)
            self._changed(number)

    def reset(self) -> None:
        """Every handset as at first: reachable, with free memory and nothing shown. What was held arrives first."""
        for number in list(self._handsets):
            self.drop(number)

    def messages(self, number: str, *, since: str = "", contains: str = "") -> Sequence[HandsetMessage]:
        """What a handset shows, oldest first; `since` is the id of a message, and only later ones match."""
        handset = self._handsets.get(number)
        if handset is None:
            return ()
        ids = [message.network_id for message in handset.inbox]
        # Ids of one millisecond are in no order, so a message that is still there is found by its place.
        after = ids.index(since) + 1 if since in ids else 0
        return [
            message
            for place, message in enumerate(handset.inbox)
            if place >= after and (after or message.network_id > since) and contains in message.text
        ]

    def last_group(self, number: str) -> HandsetMessage | None:
        """The newest group message that a handset shows."""
        handset = self._handsets.get(number)
        inbox = handset.inbox if handset is not None else ()
        return next((message for message in reversed(inbox) if message.participants), None)

    async def read(
        self, number: str, wait_s: float, *, since: str = "", contains: str = ""
    ) -> Sequence[HandsetMessage]:
        """Wait until the handset shows a matching message, at most `wait_s`; see `messages`. Raises TooMany."""
        found = self.messages(number, since=since, contains=contains)
        if found or wait_s <= 0:
            return found
        if self._waiting >= WAITERS_MAX:
            raise TooMany("too many readers wait at the same time")
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                while not found:
                    await self._arrival(number)
                    found = self.messages(number, since=since, contains=contains)
        except TimeoutError:
            return ()
        finally:
            self._waiting -= 1
        return found

    async def _arrival(self, number: str) -> None:
        handset = self._handsets.get(number)
        if handset is None:
            handset = self._handsets[number] = Handset(number)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        handset.waiters.add(waiter)
        try:
            await waiter
        finally:
            handset.waiters.discard(waiter)
            self._forget_if_ordinary(handset)

    def _known(self, number: str) -> Handset:
        handset = self._handsets.get(number)
        if handset is None:
            if len(self._handsets) >= HANDSETS_MAX:
                raise TooMany("too many handsets are remembered; reset them")
            handset = self._handsets[number] = Handset(number)
        return handset

    def _release(self, handset: Handset) -> None:
        held, handset.held = handset.held, []
        self._held -= len(held)
        for arrive in held:
            arrive()

    def _forget_if_ordinary(self, handset: Handset) -> None:
        if handset.ordinary:
            self._handsets.pop(handset.number, None)


def _prominence(handset: Handset) -> tuple[bool, int]:
    return handset.kept, handset.inbox[-1].at_ms if handset.inbox else 0


def _summary(handset: Handset) -> Summary:
    return Summary(
        handset.number,
        handset.power,
        handset.memory,
        len(handset.inbox),
        len(handset.held),
        handset.coverage,
    )

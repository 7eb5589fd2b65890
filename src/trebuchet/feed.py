"""What happens, as it happens, for people who watch: `trebuchet tail`, `trebuchet send`, the console.

It costs nothing while nobody watches, and a slow watcher loses the oldest entries, never the gateway's time.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import msgspec

_HELD_MAX = 1000  # entries that one watcher may be behind


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened to a message, or to the handset `to`. `at_ms` is the gateway's time."""

    at_ms: int
    what: str  # accepted, submitted, receipt, event, callback; handset
    message_id: str  # empty if it happened to no message
    recipient: int | None = None
    account_id: str | None = None
    application_id: str | None = None
    to: str | None = None
    detail: str = ""  # outcome, state, event type or callback answer
    error_code: int | None = None


class Watch:
    """One watcher. Iterate it; `missed` says how many entries were dropped because it was too slow."""

    def __init__(self) -> None:
        self.missed = 0
        self._held: deque[Entry] = deque()
        self._arrived = asyncio.Event()

    def put(self, entry: Entry) -> None:
        if len(self._held) >= _HELD_MAX:
            self._held.popleft()
            self.missed += 1
        self._held.append(entry)
        self._arrived.set()

    async def wait(self) -> None:
        """Until there is something to `take`."""
        while not self._held:
            self._arrived.clear()
            await self._arrived.wait()

    def take(self) -> list[Entry]:
        """All that came and was not taken yet, the oldest first."""
        taken = list(self._held)
        self._held.clear()
        return taken

    async def __aiter__(self) -> AsyncIterator[Entry]:
        while True:
            await self.wait()
            while self._held:
                yield self._held.popleft()


class Feed:
    """All watchers. `watched` lets callers skip the making of entries."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()

    @property
    def watched(self) -> bool:
        return bool(self._watches)

    def publish(self, entry: Entry) -> None:
        for watch in self._watches:
            watch.put(entry)

    def open(self, watch: Watch | None = None) -> Watch:
        """A new watcher, or one that watches another feed, too."""
        watch = watch or Watch()
        self._watches.add(watch)
        return watch

    def close(self, watch: Watch) -> None:
        """May be called twice."""
        self._watches.discard(watch)

"""The seam between the simulated network and what stands around it: links, and the ledger it writes to.

The network knows nothing of carriers' links; it speaks through a `Port`, in its own words.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from trebuchet.model.message import Delivery, Message
from trebuchet.model.receipt import Receipt
from trebuchet.simulator.scenario import Answer
from trebuchet.storage.base import HandsetMessage

Key = tuple[str, int]  # message id and recipient, -1 for a whole group


class Submission(Protocol):
    """What a link submits: one message for one recipient, or for all of a group at once."""

    @property
    def message(self) -> Message: ...
    @property
    def deliveries(self) -> tuple[Delivery, ...]: ...
    @property
    def attempt(self) -> int: ...
    @property
    def work_key(self) -> Key: ...


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The network's answer to a submit."""

    answer: Answer
    ids: tuple[tuple[str, ...], ...] = ()  # ACCEPTED: per delivery, per segment
    error_code: int = 0
    until_ms: int = 0  # BUSY, THROTTLED, DOWN
    words: str = ""


class File(msgspec.Struct, frozen=True):
    """One picture, sound, film or other file that a handset shows or sends."""

    name: str  # without folders
    content_type: str  # as its sender says; the octets may be something else
    octets: bytes


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """A message that somebody typed on a handset."""

    id: str
    handset: str
    number: str
    participants: tuple[str, ...]  # all recipients if it is for a group, else empty
    text: str
    media: tuple[str, ...]
    files: tuple[File, ...] = ()
    segment_count: int
    encoding: str


class Port(Protocol):
    """The link at the other end. Its calls return at once."""

    @property
    def carrier_id(self) -> str: ...

    def answered(self, replies: Sequence[tuple[Key, Reply]]) -> None:
        """One reply for each submit, some time after it."""
        ...

    def down(self, until_ms: int) -> None:
        """The link broke and can be up again at `until_ms`."""
        ...

    def receipt(self, receipt: Receipt) -> "asyncio.Future[None]":
        """Resolves when it is stored; the network repeats it otherwise."""
        ...

    def typed(self, typed: Typed) -> "asyncio.Future[None]":
        """Resolves when it is stored; fails with the reason if it is not."""
        ...


class Ledger(Protocol):
    """The network's own memory on disk."""

    def record(self, messages: Sequence[HandsetMessage]) -> "asyncio.Future[None]":
        """Resolves when they are committed; fails if they are not."""
        ...

    async def tail(self, since_ms: int, limit: int) -> list[HandsetMessage]:
        """The newest rows since a moment, oldest first."""
        ...


class MemoryLedger:
    """A Ledger that forgets with its process, and before that all but the newest."""

    _ROWS_MAX = 10_000

    def __init__(self) -> None:
        self._rows: deque[HandsetMessage] = deque(maxlen=self._ROWS_MAX)

    def record(self, messages: Sequence[HandsetMessage]) -> "asyncio.Future[None]":
        self._rows.extend(messages)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def tail(self, since_ms: int, limit: int) -> list[HandsetMessage]:
        return [row for row in self._rows if row.at_ms >= since_ms][-limit:]


class NoLink(Exception):
    """No link is up that could carry a message from a handset to the gateway."""


class CannotType(Exception):
    """What was typed cannot be sent from the handset. `type`: bad-request, handset-off or no-coverage."""

    def __init__(self, type_: str, words: str) -> None:
        super().__init__(words)
        self.type = type_

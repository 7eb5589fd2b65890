"""What parts that know no storage keep: the simulated network's memory and the debts of links in the database, and
files that only their owner may read."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from trebuchet.model.owed import OwedMail
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import DropOwed, HandsetMessage, RecordHandset, Store


class StoredLedger:
    """The simulated network's memory, kept in a database."""

    def __init__(self, committer: Committer, store: Store) -> None:
        self._committer = committer
        self._store = store

    def record(self, messages: Sequence[HandsetMessage]) -> "asyncio.Future[None]":
        return self._committer.add(RecordHandset(messages))

    async def tail(self, since_ms: int, limit: int) -> list[HandsetMessage]:
        return await self._store.handset_tail(since_ms, limit)


class StoredDebts:
    """What peers are owed, kept in a database."""

    def __init__(self, committer: Committer, store: Store) -> None:
        self._committer = committer
        self._store = store

    async def of(self, carrier_id: str, limit: int) -> list[OwedMail]:
        return await self._store.owed_mails(carrier_id, limit)

    def drop(self, ids: Sequence[str]) -> None:
        # What fails is told again after the next start, which changes nothing for the peer.
        self._committer.put(DropOwed(ids), lambda _: None)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file that only its owner may read."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)

"""The questions of the store, the same for every engine: each is the steps of `reads`, `media` or `leases`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

from trebuchet.model.account import Directory
from trebuchet.model.audit import AuditEntry
from trebuchet.model.events import Event
from trebuchet.model.media import Content, HeldMedia, MediaObject
from trebuchet.model.message import Message
from trebuchet.model.owed import OwedMail
from trebuchet.model.parts import HeldPart
from trebuchet.model.receipt import Receipt
from trebuchet.storage.base import (
    DueCallback,
    DueWork,
    EventQuery,
    FoundPage,
    HandsetMessage,
    Life,
    MessageQuery,
    QueueDepths,
)
from trebuchet.storage.sql import leases, media, reads
from trebuchet.storage.sql.steps import Steps

T = TypeVar("T")


class Reader(ABC):
    """An engine says how steps are carried out; what each question promises is said in `storage.base.Store`."""

    @abstractmethod
    async def _read(self, steps: Steps[T]) -> T:
        """The result of these steps."""

    async def _read_at_once(self, steps: Steps[T]) -> T:
        """The result of several statements that see the database as it is at one moment."""
        return await self._read(steps)

    async def directory(self) -> Directory:
        return await self._read_at_once(reads.directory())

    async def directory_version(self) -> int:
        return await self._read(leases.directory_version())

    async def claimed_work(self, lane: str, limit: int) -> list[DueWork]:
        return await self._read(reads.claimed_work(lane, limit))

    async def due_work(
        self, lane: str, now_ms: int, after: tuple[int, str, int], limit: int
    ) -> list[DueWork]:
        return await self._read(reads.due_work(lane, now_ms, after, limit))

    async def next_work_due_ms(self, lane: str, now_ms: int) -> int | None:
        return await self._read(reads.next_work_due_ms(lane, now_ms))

    async def next_expiry_ms(self) -> int | None:
        return await self._read(reads.next_expiry_ms())

    async def callback_applications(self) -> list[str]:
        return await self._read(reads.callback_applications())

    async def due_callbacks(
        self, application_id: str, now_ms: int, after: tuple[int, str], limit: int
    ) -> list[DueCallback]:
        return await self._read(reads.due_callbacks(application_id, now_ms, after, limit))

    async def next_callback_due_ms(self, application_id: str, now_ms: int) -> int | None:
        return await self._read(reads.next_callback_due_ms(application_id, now_ms))

    async def owed_mails(self, carrier_id: str, limit: int) -> list[OwedMail]:
        return await self._read(reads.owed_mails(carrier_id, limit))

    async def earlier_callback_due_ms(self, event_id: str) -> int | None:
        return await self._read(reads.earlier_callback_due_ms(event_id))

    async def events_by_id(self, event_ids: Sequence[str]) -> list[tuple[Event, Message]]:
        return await self._read(reads.events_by_id(event_ids))

    async def complete_parts(self, limit: int) -> list[list[HeldPart]]:
        return await self._read(reads.complete_parts(limit))

    async def stale_parts(self, before_ms: int, limit: int) -> list[list[HeldPart]]:
        return await self._read(reads.stale_parts(before_ms, limit))

    async def media_object(self, account_id: str, name: str) -> tuple[MediaObject, Content] | None:
        return await self._read(media.media_object(account_id, name))

    async def list_media(self, account_id: str, after: str, limit: int) -> list[MediaObject]:
        return await self._read(media.list_media(account_id, after, limit))

    async def held_media(self, message_id: str) -> list[tuple[HeldMedia, Content]]:
        return await self._read(media.held_media(message_id))

    async def known_object_keys(self, keys: Sequence[str]) -> set[str]:
        return await self._read(media.known_object_keys(keys))

    async def search(self, query: MessageQuery) -> FoundPage:
        return await self._read_at_once(reads.search(query))

    async def life(self, message_id: str) -> Life | None:
        return await self._read_at_once(reads.life(message_id))

    async def find_events(self, query: EventQuery) -> list[Event]:
        return await self._read(reads.find_events(query))

    async def depths(self) -> QueueDepths:
        return await self._read(reads.depths())

    async def queued(self) -> int:
        return await self._read(reads.queued())

    async def pacing(self) -> dict[tuple[str, str], int]:
        return await self._read(reads.pacing())

    async def unmatched_receipts(self, limit: int, carrier_id: str | None = None) -> list[Receipt]:
        return await self._read(reads.unmatched_receipts(limit, carrier_id))

    async def handset_tail(self, since_ms: int, limit: int) -> list[HandsetMessage]:
        return await self._read(reads.handset_tail(since_ms, limit))

    async def audit(self, limit: int, before_id: str = "") -> list[AuditEntry]:
        return await self._read(reads.audit(limit, before_id))

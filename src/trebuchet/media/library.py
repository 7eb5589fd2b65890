"""The media objects of accounts: kept, listed, read, deleted, swept; and which URLs are ours.

An object is a row that names a content by its digest; the octets are stored before the row is, so a crash leaves
octets without a row at worst, which the sweep finds.
"""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from trebuchet.carriers.base import File
from trebuchet.clock import Clock
from trebuchet.media.contents import ContentStore
from trebuchet.media.fetch import UNREADABLE, Fetched, Unavailable, name_for, too_large
from trebuchet.media.names import BadName, inbound_name, name_of, path_of
from trebuchet.model.account import Profile
from trebuchet.model.media import Content, MediaObject
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import DeleteMedia, PutMedia, Store, SweepContents

_PREFIX_OF: Final = {Profile.CATAPULT: "/v2", Profile.CURRENT: "/api/v2"}  # of the URLs that callbacks have
_PREFIXES: Final = ("/v2", "/api/v2", "/v1")
_PORTS: Final = {"http": 80, "https": 443}
_HOUR_MS: Final = 3_600_000
_SWEPT_AT_ONCE: Final = 500
_RECENT_MS: Final = 600_000
_RECENT_MAX: Final = 1_000


class MediaSettings(msgspec.Struct, frozen=True):
    octets_max: int  # of one object
    keep_ms: int  # how long an object stays; 0: for ever


class MediaLibrary:
    """All calls in the event loop. Raises StorageUnavailable whenever database or object store cannot be used."""

    def __init__(
        self,
        *,
        store: Store,
        contents: ContentStore,
        committer: Committer,
        clock: Clock,
        settings: MediaSettings,
        base_url: Callable[[], str],
        own_urls: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self._store = store
        self._contents = contents
        self._committer = committer
        self._clock = clock
        self._settings = settings
        self._base_url = base_url
        self._own_urls = own_urls  # others that clients may know the gateway by
        self._recent: OrderedDict[str, Content] = OrderedDict()

    # ---- what the API does ----

    async def put(
        self,
        account_id: str,
        name: str,
        content_type: str,
        cache_control: str | None,
        chunks: AsyncIterable[bytes],
    ) -> None:
        """Keep an object, in place of one of the same name. Raises TooLarge."""
        content = await self._contents.put(chunks, self._settings.octets_max)
        kept = self.object(account_id, name, content_type, content, cache_control)
        in_use: Content = await self._committer.add(PutMedia(kept, content))
        await self._drop_spare(content, in_use)

    async def find(self, account_id: str, name: str) -> tuple[MediaObject, Content] | None:
        """An object that has not expired."""
        found = await self._store.media_object(account_id, name)
        return found if found is not None and self._lives(found[0]) else None

    def stream(self, content: Content, start: int, end: int) -> AsyncIterator[bytes]:
        """Octets of a content from `start` to before `end`."""
        return self._contents.stream(content.object_key, start, end)

    async def listed(self, account_id: str, after: str, limit: int) -> list[MediaObject]:
        """Objects in the order of their names, those that sort after `after`."""
        found: list[MediaObject] = []
        while len(found) < limit:
            page = await self._store.list_media(account_id, after, limit)
            found += [each for each in page if self._lives(each)]
            if len(page) < limit:
                break
            after = page[-1].name
        return found[:limit]

    async def delete(self, account_id: str, name: str) -> bool:
        """Delete an object. False: it was not there. Its octets go with the next sweep."""
        existed: bool = await self._committer.add(DeleteMedia(account_id, name))
        return existed

    def url_of(self, account_id: str, name: str, prefix: str) -> str:
        """Where clients find an object."""
        return f"{self._base_url()}{prefix}/users/{account_id}/media/{path_of(name)}"

    def url_for(self, kept: MediaObject, profile: Profile) -> str:
        """Where the clients of an account that calls itself so find an object."""
        return self.url_of(kept.account_id, kept.name, _PREFIX_OF[profile])

    # ---- what messages do ----

    def is_own(self, url: str) -> bool:
        """Whether a URL is that of a media object here, be it there or not."""
        return self._place(url) is not None

    async def own(self, account_id: str, url: str, octets_max: int) -> Fetched | None:
        """What a URL of ours names; None if it is not ours. Raises Unavailable if nothing of the account is there, or
        more than `octets_max`: then it is not read."""
        place = self._place(url)
        if place is None:
            return None
        # To the sender of a message, what another account has does not exist.
        found = await self.find(*place) if place[0] == account_id else None
        if found is None:
            raise Unavailable(UNREADABLE, "the media object is not there, or has expired")
        kept, content = found
        if kept.size > octets_max:
            raise too_large(kept.size, octets_max)
        octets = await self._contents.read(content.object_key)
        return Fetched(kept.name.rpartition("/")[2], kept.content_type, octets)

    async def keep(self, octets: bytes) -> Content:
        """Store octets that a message is about to hold.

        The same octets for many messages are written once: what was stored within the last minutes is there still,
        for nothing younger than an hour is swept.
        """
        sha256 = hashlib.sha256(octets).hexdigest()
        kept = self._recent.get(sha256)
        now_ms = self._clock.now_ms()
        if kept is not None and now_ms - kept.stored_ms < _RECENT_MS:
            return kept
        kept = self._recent[sha256] = await self._contents.put_bytes(octets)
        self._recent.move_to_end(sha256)
        while len(self._recent) > _RECENT_MAX:
            self._recent.popitem(last=False)
        return kept

    async def held_files(self, message_id: str) -> list[File]:
        """The files that a message holds, in order."""
        return [
            File(held.name, held.content_type, await self._contents.read(content.object_key))
            for held, content in await self._store.held_media(message_id)
        ]

    def object(
        self,
        account_id: str,
        name: str,
        content_type: str,
        content: Content,
        cache_control: str | None = None,
    ) -> MediaObject:
        """The row of an object that is made now."""
        now_ms, keep_ms = self._clock.now_ms(), self._settings.keep_ms
        expires_ms = now_ms + keep_ms if keep_ms else None
        return MediaObject(
            account_id, name, content.sha256, content_type, cache_control, content.size, now_ms, expires_ms
        )

    def received(
        self, account_id: str, message_id: str, files: Sequence[tuple[File, Content]]
    ) -> list[MediaObject]:
        """The objects that the files of an inbound message become."""
        return [
            self.object(
                account_id,
                inbound_name(message_id, place, name_for(file.name, file.content_type)),
                file.content_type,
                content,
            )
            for place, (file, content) in enumerate(files)
        ]

    # ---- sweeps ----

    async def sweep(self) -> None:
        """Delete contents that nothing refers to any more, objects of the store that no content names, and uploads
        that never ended. What is younger than an hour may still be on its way to the database, and stays."""
        before_ms = self._clock.now_ms() - _HOUR_MS
        while True:
            keys: list[str] = await self._committer.add(SweepContents(before_ms, _SWEPT_AT_ONCE))
            await self._contents.delete(keys)
            if len(keys) < _SWEPT_AT_ONCE:
                break
        await self._contents.drop_unfinished(before_ms)
        async for old in self._contents.older(before_ms):
            known = await self._store.known_object_keys(old)
            await self._contents.delete([key for key in old if key not in known])

    def _place(self, url: str) -> tuple[str, str] | None:
        bases = (self._base_url(), *self._own_urls())
        return next(filter(None, (own_place(url, base) for base in bases)), None)

    def _lives(self, kept: MediaObject) -> bool:
        return kept.expires_ms is None or kept.expires_ms > self._clock.now_ms()

    async def _drop_spare(self, content: Content, in_use: Content) -> None:
        if in_use.object_key != content.object_key:
            await self._contents.delete([content.object_key])


def own_place(url: str, base_url: str) -> tuple[str, str] | None:
    """Account and name that a URL of our own media names; None for any other URL. Pure."""
    try:
        ours, given = urlsplit(base_url), urlsplit(url)
        same = _origin(given) == _origin(ours)
    except ValueError:
        return None
    if not same or given.query:
        return None
    path = given.path.removeprefix(ours.path)
    for prefix in _PREFIXES:
        account_id, found, name = path.removeprefix(f"{prefix}/users/").partition("/media/")
        if path.startswith(f"{prefix}/users/") and found and "/" not in account_id:
            try:
                return account_id, name_of(name.encode())
            except BadName:
                return None
    return None


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Raises ValueError if the port is none."""
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)

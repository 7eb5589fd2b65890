"""Octets in the object store, by their digest.

An upload goes to `incoming/` while it is counted and hashed, then to its place. The place is made of the digest, the
moment and something random: to delete one that nobody refers to can then never hurt an upload of the same octets
that comes at that moment, and its age is told by our own clock. Names that clients choose never get here.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trebuchet.errors import StorageUnavailable, TrebuchetError
from trebuchet.model.media import Content

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_PLACES: Final = "contents/"
_INCOMING: Final = "incoming/"
_CHUNK: Final = 256 * 1024
_BUFFER: Final = 5 << 20  # of an upload; S3 takes no smaller part
_LISTED_AT_ONCE: Final = 1_000
# The end of every key; the library adds `#` and a digit to the name of a local file that it still writes to.
_MOMENT: Final = re.compile(r"-(\d{13})-[0-9a-f]+(?:#\d+)?$")


class TooLarge(TrebuchetError):
    """An upload has more octets than it may have; nothing of it is kept."""


class ContentStore:
    """`url` is that of a bucket (s3://, gs://, az://); empty: the local `folder`, which is made at first need.

    What `put` has returned is on disk, or where the bucket's owner keeps it. Raises StorageUnavailable whenever the
    store cannot be used. `now_ms` and `random_bytes` are called for each upload.
    """

    def __init__(
        self, url: str, folder: Path, *, now_ms: Callable[[], int], random_bytes: Callable[[int], bytes]
    ) -> None:
        self._url = url
        self._folder = None if url else folder
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._opened: ObjectStore | None = None

    async def put(self, chunks: AsyncIterable[bytes], octets_max: int) -> Content:
        """Keep what the chunks hold. Raises TooLarge, and whatever `chunks` raises; nothing is kept then."""
        import obstore  # noqa: PLC0415  # start-up: only messages with media need it

        store = self._store()
        arriving = f"{_INCOMING}upload{self._ending(16)}"
        digest, size = hashlib.sha256(), 0
        try:
            async with obstore.open_writer_async(
                store, arriving, buffer_size=_BUFFER, max_concurrency=1
            ) as writer:
                async for chunk in _bounded(chunks, octets_max):
                    size += len(chunk)
                    digest.update(chunk)
                    await writer.write(chunk)
            return await self._settle(store, arriving, digest.hexdigest(), size)
        except (OSError, _errors()) as error:
            raise _unavailable(error) from error
        except BaseException:
            await self._forget(arriving)
            raise

    async def put_bytes(self, octets: bytes) -> Content:
        """Keep octets that are at hand."""

        async def whole() -> AsyncIterator[bytes]:
            yield octets

        return await self.put(whole(), len(octets))

    async def read(self, object_key: str) -> bytes:
        """All octets of an object. Raises StorageUnavailable also if it is not there."""
        import obstore  # noqa: PLC0415  # as above

        try:
            found = await obstore.get_async(self._store(), object_key)
            return bytes(await found.bytes_async())
        except (OSError, _errors()) as error:
            raise _unavailable(error) from error

    async def stream(self, object_key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Octets from `start` to before `end`, some at a time. Raises as `read`, before the first."""
        import obstore  # noqa: PLC0415  # as above

        if start >= end:
            return
        try:
            found = await obstore.get_async(self._store(), object_key, options={"range": (start, end)})
            async for chunk in found.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)
        except (OSError, _errors()) as error:
            raise _unavailable(error) from error

    async def delete(self, object_keys: list[str]) -> None:
        """Delete objects; those that are not there are no error."""
        import obstore  # noqa: PLC0415  # as above

        for object_key in object_keys:
            try:
                await obstore.delete_async(self._store(), object_key)
            except FileNotFoundError:
                continue
            except (OSError, _errors()) as error:
                raise _unavailable(error) from error

    async def older(self, before_ms: int) -> AsyncIterator[list[str]]:
        """Keys of contents that were stored before a moment, in pages."""
        async for page in self._listed(_PLACES):
            if old := [key for key in page if _is_older(key, before_ms)]:
                yield old

    async def drop_unfinished(self, before_ms: int) -> None:
        """Delete uploads that began before a moment and never ended."""
        if self._folder is not None:
            # The library does not list the files that it was writing to when the process died.
            await asyncio.to_thread(_unlink_older, self._folder / _INCOMING, before_ms)
            return
        async for page in self._listed(_INCOMING):
            await self.delete([key for key in page if _is_older(key, before_ms)])

    async def _listed(self, prefix: str) -> AsyncIterator[list[str]]:
        import obstore  # noqa: PLC0415  # as above

        if self._folder is not None and not self._folder.exists():
            return
        try:
            async for page in obstore.list(self._store(), prefix, chunk_size=_LISTED_AT_ONCE):
                yield [found["path"] for found in page]
        except (OSError, _errors()) as error:
            raise _unavailable(error) from error

    def _store(self) -> "ObjectStore":
        if self._opened is None:
            from obstore.store import LocalStore, from_url  # noqa: PLC0415  # as above

            try:
                if self._folder is None:
                    self._opened = from_url(self._url)
                else:
                    self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    _sync(self._folder.parent)
                    self._opened = LocalStore(self._folder)
            except (OSError, ValueError, _errors()) as error:
                raise _unavailable(error) from error
        return self._opened

    async def _settle(self, store: "ObjectStore", arriving: str, sha256: str, size: int) -> Content:
        import obstore  # noqa: PLC0415  # as above

        object_key = f"{_PLACES}{sha256[:2]}/{sha256}{self._ending(4)}"
        if self._folder is not None:
            # The library's local store does not sync: the file before its new name, then the folders on the way.
            await asyncio.to_thread(_sync, self._folder / arriving)
        await obstore.rename_async(store, arriving, object_key)
        if self._folder is not None:
            place = (self._folder / object_key).parent
            await asyncio.to_thread(_sync, place, place.parent, self._folder)
        return Content(sha256, object_key, size, self._now_ms())

    def _ending(self, octets: int) -> str:
        return f"-{self._now_ms():013d}-{self._random_bytes(octets).hex()}"

    async def _forget(self, arriving: str) -> None:
        """What is left here is found by the sweep."""
        try:
            await self.delete([arriving])
        except StorageUnavailable:
            return


async def _bounded(chunks: AsyncIterable[bytes], octets_max: int) -> AsyncIterator[bytes]:
    left = octets_max
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise TooLarge(f"more than {octets_max} octets")
        yield chunk


def _sync(*paths: Path) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_older(key: str, before_ms: int) -> bool:
    """False also for what we did not put there."""
    moment = _MOMENT.search(key)
    return moment is not None and int(moment[1]) < before_ms


def _unlink_older(folder: Path, before_ms: int) -> None:
    if not folder.exists():
        return
    for path in folder.iterdir():
        if _is_older(path.name, before_ms):
            path.unlink(missing_ok=True)


def _errors() -> Any:
    from obstore.exceptions import BaseError  # noqa: PLC0415  # as above

    return BaseError


def _unavailable(error: Exception) -> StorageUnavailable:
    # The first line; the others are the library's inner workings.
    return StorageUnavailable(f"the media store: {str(error).partition(chr(10))[0]}")

"""The media library over a real database and object store: what is kept once, what is swept, what a crash leaves."""

import asyncio
import hashlib
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from support.pictures import encoded, photo
from trebuchet.carriers.base import File
from trebuchet.clock import ManualClock
from trebuchet.errors import StorageUnavailable
from trebuchet.media.contents import ContentStore, TooLarge
from trebuchet.media.fetch import Unavailable
from trebuchet.media.library import MediaLibrary, MediaSettings
from trebuchet.model.account import Profile
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import PutMedia, Store, Write
from trebuchet.storage.sqlite.engine import SqliteStore

pytestmark = pytest.mark.anyio

HOUR = 3_600_000
DAY = 24 * HOUR
BASE = "https://gateway.example"
OCTETS = bytes(range(256)) * 4


async def chunks(*each: bytes) -> AsyncIterator[bytes]:
    for chunk in each:
        yield chunk


@dataclass
class Shelf:
    """A library, and what it stands on."""

    library: MediaLibrary
    contents: ContentStore
    store: Store
    clock: ManualClock
    folder: Path

    def files(self, of: str = "") -> list[Path]:
        """Files of the object store, in it all or in one of its folders."""
        return sorted(path for path in (self.folder / of).rglob("*") if path.is_file())

    async def put(self, name: str, octets: bytes = OCTETS, account_id: str = "u-1") -> None:
        await self.library.put(account_id, name, "image/png", None, chunks(octets))

    async def read(self, name: str, account_id: str = "u-1") -> bytes | None:
        found = await self.library.find(account_id, name)
        if found is None:
            return None
        return b"".join([chunk async for chunk in self.library.stream(found[1], 0, found[1].size)])


def contents_in(folder: Path, clock: ManualClock) -> ContentStore:
    chance = random.Random(1)
    return ContentStore("", folder, now_ms=clock.now_ms, random_bytes=chance.randbytes)


@asynccontextmanager
async def shelf_in(
    folder: Path, wrap: Callable[[Store], Store] = lambda store: store, url: str = ""
) -> AsyncIterator[Shelf]:
    clock = ManualClock()
    store = SqliteStore(str(folder / "trebuchet.sqlite3"))
    await store.open()
    contents = ContentStore(
        url, folder / "media", now_ms=clock.now_ms, random_bytes=random.Random(1).randbytes
    )
    library = MediaLibrary(
        store=store,
        contents=contents,
        committer=Committer(wrap(store), batch_max=100, observe=lambda changes, seconds: None),
        clock=clock,
        settings=MediaSettings(octets_max=100_000, keep_ms=2 * DAY),
        base_url=lambda: BASE,
        own_urls=lambda: ("http://127.0.0.1:8080",),
    )
    try:
        yield Shelf(library, contents, store, clock, folder / "media")
    finally:
        await store.close()


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with shelf_in(tmp_path) as one:
        yield one


# ---- contents ----


async def test_nothing_is_made_before_it_is_needed(shelf: Shelf) -> None:
    """A gateway without media has no folder for them; sweeping it is no error."""
    await shelf.library.sweep()
    assert not shelf.folder.exists()


async def test_octets_are_stored_under_their_digest(shelf: Shelf) -> None:
    """In one folder per first two digits; nothing is left where they arrived."""
    content = await shelf.contents.put(chunks(OCTETS[:100], b"", OCTETS[100:]), len(OCTETS))
    digest = hashlib.sha256(OCTETS).hexdigest()
    assert (content.sha256, content.size, content.stored_ms) == (digest, len(OCTETS), shelf.clock.now_ms())
    assert content.object_key.startswith(f"contents/{digest[:2]}/{digest}-")
    assert [path.read_bytes() for path in shelf.files()] == [OCTETS]
    assert shelf.files() == [shelf.folder / content.object_key]
    assert await shelf.contents.read(content.object_key) == OCTETS


async def test_the_folder_is_the_users_own(shelf: Shelf) -> None:
    """What people send each other is nobody else's on the machine."""
    await shelf.put("a")
    assert shelf.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("size", [0, 1, 6 << 20], ids=["none", "one", "several parts"])
async def test_any_number_of_octets_can_be_stored(shelf: Shelf, size: int) -> None:
    """Also more than the object store takes at once."""
    octets = random.Random(size).randbytes(size)
    pieces = [octets[start : start + 65_536] for start in range(0, size, 65_536)]
    content = await shelf.contents.put(chunks(*pieces), size)
    assert (content.sha256, content.size) == (hashlib.sha256(octets).hexdigest(), size)
    assert await shelf.contents.read(content.object_key) == octets


@pytest.mark.parametrize(("start", "end"), [(0, 1), (10, 20), (0, 1024), (1023, 1024), (5, 5)])
async def test_part_of_the_octets_can_be_read(shelf: Shelf, start: int, end: int) -> None:
    """From a first to before a last."""
    content = await shelf.contents.put_bytes(OCTETS)
    got = [chunk async for chunk in shelf.contents.stream(content.object_key, start, end)]
    assert b"".join(got) == OCTETS[start:end]


async def failing(error: BaseException) -> AsyncIterator[bytes]:
    yield bytes(6 << 20)
    raise error


@pytest.mark.parametrize("error", [ValueError("gone"), asyncio.CancelledError()], ids=["error", "cancelled"])
async def test_an_upload_that_breaks_off_leaves_nothing(shelf: Shelf, error: BaseException) -> None:
    """Its error is the caller's; also if some of it was written already."""
    with pytest.raises(type(error)):
        await shelf.contents.put(failing(error), 10 << 20)
    assert shelf.files() == []


async def test_an_upload_that_is_too_large_leaves_nothing(shelf: Shelf) -> None:
    """It ends with the first octet too many."""
    asked = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            asked.append(1)
            yield bytes(1000)

    with pytest.raises(TooLarge):
        await shelf.contents.put(endless(), 10_000)
    assert (len(asked), shelf.files()) == (11, [])


async def test_what_is_not_there_cannot_be_read(shelf: Shelf) -> None:
    """The message names no folder of the machine and no line of the library."""
    await shelf.contents.put_bytes(OCTETS)
    with pytest.raises(StorageUnavailable, match=r"^the media store: ") as failure:
        await shelf.contents.read("contents/aa/missing")
    assert "\n" not in str(failure.value)
    with pytest.raises(StorageUnavailable):
        await anext(shelf.contents.stream("contents/aa/missing", 0, 1))
    await shelf.contents.delete(["contents/aa/missing"])


async def test_a_store_that_cannot_be_written_to_is_unavailable(tmp_path: Path) -> None:
    """Where its folder should be there is a file."""
    (tmp_path / "media").write_bytes(b"")
    with pytest.raises(StorageUnavailable, match=r"^the media store: "):
        await contents_in(tmp_path / "media", ManualClock()).put_bytes(OCTETS)


@pytest.mark.parametrize("url", ["nonsense", "ftp://example.com/a", "s3://"])
async def test_a_bucket_that_cannot_be_is_unavailable(tmp_path: Path, url: str) -> None:
    """Nothing is kept in the folder instead."""
    contents = ContentStore(
        url, tmp_path / "media", now_ms=lambda: 0, random_bytes=random.Random(1).randbytes
    )
    with pytest.raises(StorageUnavailable, match=r"^the media store: "):
        await contents.put_bytes(OCTETS)
    assert not (tmp_path / "media").exists()


async def test_a_url_chooses_the_object_store(tmp_path: Path) -> None:
    """Here one in memory stands for a bucket: it does all that the folder does."""
    async with shelf_in(tmp_path, url="memory:///") as shelf:
        await shelf.put("a")
        await shelf.put("b", b"other")
        assert [await shelf.read(name) for name in "ab"] == [OCTETS, b"other"]
        await shelf.contents.put_bytes(b"nobody's")
        await shelf.library.delete("u-1", "b")
        shelf.clock.advance(HOUR + 1)
        await shelf.library.sweep()
        assert await shelf.read("a") == OCTETS
        left = [key async for page in shelf.contents.older(shelf.clock.now_ms()) for key in page]
        assert len(left) == 1
        assert not shelf.folder.exists()


# ---- objects ----


async def test_the_same_octets_are_kept_once(shelf: Shelf) -> None:
    """Under however many names, of however many accounts."""
    await asyncio.gather(shelf.put("a"), shelf.put("b"), shelf.put("a", account_id="u-2"))
    assert len(shelf.files()) == 1
    assert await shelf.read("b") == OCTETS
    assert await shelf.read("a", "u-2") == OCTETS


async def test_an_object_expires(shelf: Shelf) -> None:
    """It is neither found nor listed from then on, whether it was pruned or not."""
    await shelf.put("a")
    shelf.clock.advance(DAY)
    await shelf.put("b")
    shelf.clock.advance(DAY)
    assert await shelf.read("a") is None
    assert [each.name for each in await shelf.library.listed("u-1", "", 10)] == ["b"]


async def test_a_page_is_full_although_some_have_expired(shelf: Shelf) -> None:
    """A short page would be taken for the last one."""
    for number in range(4):
        await shelf.put(f"a{number}")
    shelf.clock.advance(2 * DAY)
    for number in range(3):
        await shelf.put(f"b{number}")
    assert [each.name for each in await shelf.library.listed("u-1", "", 2)] == ["b0", "b1"]
    assert [each.name for each in await shelf.library.listed("u-1", "b1", 2)] == ["b2"]


# ---- what messages do ----


async def test_our_own_urls_are_read_from_the_store(shelf: Shelf) -> None:
    """By the public URL or the one that the gateway listens at, for the account whose they are."""
    await shelf.put("id/0/cat.png")
    for base in (BASE, "http://127.0.0.1:8080"):
        found = await shelf.library.own("u-1", f"{base}/api/v2/users/u-1/media/id%2F0/cat.png", 10_000)
        assert found is not None
        assert (found.name, found.content_type, found.octets) == ("cat.png", "image/png", OCTETS)
    assert await shelf.library.own("u-1", "https://elsewhere.example/cat.png", 10_000) is None


REFUSED: dict[str, tuple[str, str, int, int]] = {
    "not there": ("u-1", "dog.png", 10_000, 4410),
    "another account's": ("u-2", "cat.png", 10_000, 4410),
    "nobody's": ("", "cat.png", 10_000, 4410),
    "too large": ("u-1", "cat.png", len(OCTETS) - 1, 4411),
}


@pytest.mark.parametrize(("account_id", "name", "octets_max", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_message_has_no_objects_but_those_of_its_account(
    shelf: Shelf, account_id: str, name: str, octets_max: int, code: int
) -> None:
    """What is another's is said to be missing; what is too large is not read."""
    await shelf.put("cat.png")
    with pytest.raises(Unavailable) as failure:
        await shelf.library.own(account_id, f"{BASE}/v2/users/u-1/media/{name}", octets_max)
    assert (failure.value.code, failure.value.temporary) == (code, False)


async def test_octets_of_many_messages_are_written_once(shelf: Shelf) -> None:
    """A thousand recipients of one picture are one upload; after some minutes it is written again."""
    first = await shelf.library.keep(OCTETS)
    assert await shelf.library.keep(OCTETS) == first
    assert len(shelf.files()) == 1
    shelf.clock.advance(601_000)
    again = await shelf.library.keep(OCTETS)
    assert again.object_key != first.object_key


async def test_files_of_an_inbound_message_become_objects(shelf: Shelf) -> None:
    """Named by message, place and file name with an extension, without folders; their URLs read them."""
    picture = encoded(photo(4, 4), "PNG")
    files = [File("../a b.png", "image/png", picture), File("", "image/png", picture)]
    content = await shelf.library.keep(picture)
    objects = shelf.library.received("u-1", "m-1", [(file, content) for file in files])
    assert [each.name for each in objects] == ["m-1/0/a b.png", "m-1/1/media.png"]
    assert {each.expires_ms for each in objects} == {shelf.clock.now_ms() + 2 * DAY}
    assert shelf.library.url_for(objects[0], Profile.CATAPULT) == f"{BASE}/v2/users/u-1/media/m-1/0/a%20b.png"
    current = shelf.library.url_for(objects[0], Profile.CURRENT)
    assert current == f"{BASE}/api/v2/users/u-1/media/m-1/0/a%20b.png"


# ---- sweeps ----


async def test_octets_go_an_hour_after_the_last_that_refers_to_them(shelf: Shelf) -> None:
    """An object that still has them keeps them."""
    await shelf.put("a")
    await shelf.put("b")
    await shelf.put("c", b"other")
    shelf.clock.advance(HOUR + 1)
    await shelf.library.delete("u-1", "a")
    await shelf.library.delete("u-1", "c")
    await shelf.library.sweep()
    assert [path.read_bytes() for path in shelf.files()] == [OCTETS]
    await shelf.library.delete("u-1", "b")
    await shelf.library.sweep()
    assert shelf.files() == []


async def test_young_octets_stay(shelf: Shelf) -> None:
    """What refers to them may be on its way to the database, by the gateway's clock, whatever that says."""
    shelf.clock.advance(100 * DAY)
    content = await shelf.contents.put_bytes(OCTETS)
    shelf.clock.advance(HOUR)
    await shelf.library.sweep()
    assert await shelf.contents.read(content.object_key) == OCTETS
    shelf.clock.advance(1)
    await shelf.library.sweep()
    assert shelf.files() == []


async def test_what_others_put_into_the_store_stays(shelf: Shelf) -> None:
    """A bucket may have been used before."""
    await shelf.put("a")
    foreign = [shelf.folder / "contents" / "README.txt", shelf.folder / "incoming" / "notes.txt"]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("ours")
    shelf.clock.advance(100 * DAY)
    await shelf.library.sweep()
    assert {*foreign} <= {*shelf.files()}


class Gone(Exception):
    """The process died here."""


class DyingStore:
    """A real store whose process dies before or after the commit of an upload."""

    def __init__(self, store: Store, moment: str) -> None:
        self._store = store
        self._moment = moment
        self.parallel_writes = store.parallel_writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, changes: Sequence[Write], done: Callable[[Sequence[Any]], None]) -> None:
        dies = any(isinstance(change, PutMedia) for change in changes)
        if dies and self._moment == "before":
            done([Gone()] * len(changes))
        elif dies:
            self._store.write(changes, lambda _: done([Gone()] * len(changes)))
        else:
            self._store.write(changes, done)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_crash_between_octets_and_row_is_swept_up(tmp_path: Path, moment: str) -> None:
    """No row is ever without its octets; octets without a row are deleted an hour later."""
    async with shelf_in(tmp_path, lambda store: cast("Store", DyingStore(store, moment))) as shelf:
        with pytest.raises(Gone):
            await shelf.put("a")
    async with shelf_in(tmp_path) as shelf:
        committed = moment == "after"
        assert await shelf.read("a") == (OCTETS if committed else None)
        assert len(shelf.files()) == 1
        shelf.clock.advance(HOUR + 1)
        await shelf.library.sweep()
        assert await shelf.read("a") == (OCTETS if committed else None)
        assert len(shelf.files()) == committed


# A process that is killed in the middle of an upload: it has written the first part, and says so.
UPLOADING = """
import asyncio, sys
from pathlib import Path
from trebuchet.media.contents import ContentStore

async def chunks():
    for _ in range(12):
        yield bytes(1 << 20)
    print("written", flush=True)
    await asyncio.sleep(60)

contents = ContentStore("", Path(sys.argv[1]), now_ms=lambda: int(sys.argv[2]), random_bytes=lambda n: bytes(n))
asyncio.run(contents.put(chunks(), 1 << 30))
"""


async def test_an_upload_that_a_kill_ended_is_swept_up(shelf: Shelf) -> None:
    """Half of it is on disk under no name that anybody knows; an hour later it is not."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        UPLOADING,
        str(shelf.folder),
        str(shelf.clock.now_ms()),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert await process.stdout.readline() == b"written\n"
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    (half,) = shelf.files("incoming")
    assert half.stat().st_size > 0
    shelf.clock.advance(HOUR)
    await shelf.library.sweep()
    assert shelf.files() == [half]
    shelf.clock.advance(1)
    await shelf.library.sweep()
    assert shelf.files() == []


@contextmanager
def syncs() -> Iterator[list[str]]:
    """What is synced to disk while the block runs, as the interpreter reports the opening of it."""
    yield []

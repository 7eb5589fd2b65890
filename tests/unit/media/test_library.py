"""The objects of accounts, as far as no octets are stored: names, URLs, age, and whose they are."""

from pathlib import Path
from typing import cast

import pytest

from trebuchet.carriers.base import File
from trebuchet.clock import ManualClock
from trebuchet.media.contents import ContentStore
from trebuchet.media.fetch import TOO_LARGE, UNREADABLE, Unavailable
from trebuchet.media.library import MediaLibrary, MediaSettings
from trebuchet.model.account import Profile
from trebuchet.model.media import Content, MediaObject
from trebuchet.outbox.committer import Committer
from trebuchet.storage.base import Store

pytestmark = pytest.mark.anyio

BASE, OTHER_BASE = "https://gateway.example", "http://10.0.0.1:8080"
CONTENT = Content("ab" * 32, "contents/ab/key", 5, 0)
KEEP_MS = 60_000


class Rows:
    """Those reads of a store that the library makes here."""

    parallel_writes = 1

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], MediaObject] = {}

    def add(self, *objects: MediaObject) -> None:
        self.objects.update(((each.account_id, each.name), each) for each in objects)

    async def media_object(self, account_id: str, name: str) -> tuple[MediaObject, Content] | None:
        found = self.objects.get((account_id, name))
        return None if found is None else (found, CONTENT)

    async def list_media(self, account_id: str, after: str, limit: int) -> list[MediaObject]:
        names = sorted(name for owner, name in self.objects if owner == account_id and name > after)
        return [self.objects[account_id, name] for name in names[:limit]]


class Desk:
    """A library over rows that no octets belong to."""

    def __init__(self, keep_ms: int = KEEP_MS) -> None:
        self.clock = ManualClock()
        self.rows = Rows()
        store = cast("Store", self.rows)
        self.library = MediaLibrary(
            store=store,
            # Empty, and made at first need only: nothing here reads or writes octets.
            contents=ContentStore("", Path("nowhere"), now_ms=self.clock.now_ms, random_bytes=bytes),
            committer=Committer(store, batch_max=1, observe=lambda size, seconds: None),
            clock=self.clock,
            settings=MediaSettings(octets_max=100, keep_ms=keep_ms),
            base_url=lambda: BASE,
            own_urls=lambda: (OTHER_BASE,),
        )

    def made(self, name: str, account_id: str = "u-1") -> MediaObject:
        """An object of this moment."""
        kept = self.library.object(account_id, name, "image/png", CONTENT)
        self.rows.add(kept)
        return kept


@pytest.mark.parametrize(("keep_ms", "lives_ms"), [(KEEP_MS, KEEP_MS), (0, None)])
async def test_an_object_knows_when_it_ends(keep_ms: int, lives_ms: int | None) -> None:
    """Counted from now; without a limit never."""
    desk = Desk(keep_ms)
    now_ms = desk.clock.now_ms()
    kept = desk.library.object("u-1", "cat.png", "image/png", CONTENT, "no-cache")
    assert (kept.created_ms, kept.size, kept.sha256) == (now_ms, CONTENT.size, CONTENT.sha256)
    assert kept.cache_control == "no-cache"
    assert kept.expires_ms == (None if lives_ms is None else now_ms + lives_ms)


async def test_an_object_that_has_expired_is_not_there() -> None:
    """To the millisecond, whether or not it was deleted."""
    desk = Desk()
    kept = desk.made("cat.png")
    desk.clock.advance(KEEP_MS - 1)
    assert await desk.library.find("u-1", "cat.png") == (kept, CONTENT)
    desk.clock.advance(1)
    assert await desk.library.find("u-1", "cat.png") is None


async def test_a_page_is_full_although_some_have_expired() -> None:
    """It is read on until there are enough, or no more."""
    desk = Desk()
    for name in ("a", "b", "c"):
        desk.made(name)
    desk.clock.advance(KEEP_MS)
    alive = [desk.made(name) for name in ("d", "e", "f")]
    assert await desk.library.listed("u-1", "", 2) == alive[:2]
    assert await desk.library.listed("u-1", "e", 2) == alive[2:]
    assert await desk.library.listed("u-2", "", 2) == []


@pytest.mark.parametrize(
    ("profile", "url"),
    [
        (Profile.CATAPULT, f"{BASE}/v2/users/u-1/media/id/0/a%20b.png"),
        (Profile.CURRENT, f"{BASE}/api/v2/users/u-1/media/id/0/a%20b.png"),
    ],
)
async def test_a_url_is_what_the_client_expects(profile: Profile, url: str) -> None:
    """By the API that its account uses."""
    desk = Desk()
    assert desk.library.url_for(desk.made("id/0/a b.png"), profile) == url


async def test_files_of_an_inbound_message_are_named_by_their_place() -> None:
    """So that two of the same name are two objects; what a handset puts into a name stays out of paths."""
    desk = Desk()
    files = [
        (File("cat.png", "image/png", b"one"), CONTENT),
        (File("cat.png", "image/png", b"two"), CONTENT),
        (File("../../x", "image/jpeg", b"three"), CONTENT),
        (File("", "video/mp4", b"four"), CONTENT),
    ]
    objects = desk.library.received("u-1", "m", files)
    assert [each.name for each in objects] == ["m/0/cat.png", "m/1/cat.png", "m/2/x.jpg", "m/3/media.mp4"]
    assert [each.content_type for each in objects] == [file.content_type for file, _ in files]
    assert {each.account_id for each in objects} == {"u-1"}


@pytest.mark.parametrize("url", ["https://elsewhere.example/v2/users/u-1/media/cat.png", f"{BASE}/other"])
async def test_a_url_that_is_not_ours_is_left_to_the_web(url: str) -> None:
    """Whoever asks."""
    assert await Desk().library.own("u-1", url, 100) is None


@pytest.mark.parametrize("base", [BASE, OTHER_BASE])
@pytest.mark.parametrize(
    ("account_id", "name", "octets_max", "code"),
    [
        ("u-2", "cat.png", 100, UNREADABLE),
        ("u-1", "dog.png", 100, UNREADABLE),
        ("u-1", "cat.png", CONTENT.size - 1, TOO_LARGE),
    ],
)
async def test_a_url_of_ours_that_a_message_may_not_have(
    base: str, account_id: str, name: str, octets_max: int, code: int
) -> None:
    """Another account's, none's, too large: refused for good, before any octet is read."""
    desk = Desk()
    desk.made("cat.png")
    with pytest.raises(Unavailable) as refused:
        await desk.library.own(account_id, f"{base}/v2/users/u-1/media/{name}", octets_max)
    assert (refused.value.code, refused.value.temporary) == (code, False)

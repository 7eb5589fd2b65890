"""What every storage engine promises about media: objects of accounts, what messages hold, and contents of either."""

from typing import Any

import pytest
from msgspec.structs import replace

from contract.stories import (
    DAY,
    HOUR,
    LANE,
    T0,
    TO,
    Engine,
    deliveries,
    do,
    inbound,
    key,
    message,
    opened,
    outbound,
    refused,
    taken,
    write,
)
from trebuchet.errors import StorageError
from trebuchet.model.media import Content, HeldMedia, MediaObject
from trebuchet.model.message import MEDIA_LANE, Message, WorkItem
from trebuchet.storage.base import (
    Accept,
    DeleteMedia,
    HandsetMessage,
    Prune,
    PutMedia,
    RecordHandset,
    Settle,
    Store,
    SweepContents,
)

pytestmark = pytest.mark.anyio

LATER = T0 + 10 * DAY
START = (0, "", -100)


def content(octets: str = "a", place: str = "1", stored_ms: int = T0) -> Content:
    """Octets that are told apart by one letter; `place` tells apart two uploads of the same."""
    return Content(octets * 64, f"contents/{octets}-{place}", 100, stored_ms)


def kept(name: str = "cat.png", of: Content | None = None, **fields: Any) -> MediaObject:
    """An object that expires two days after T0."""
    of = of or content()
    return replace(
        MediaObject("u-1", name, of.sha256, "image/png", "no-store", of.size, T0, T0 + 2 * DAY), **fields
    )


def held(of: Message, place: int = 0, what: Content | None = None) -> HeldMedia:
    what = what or content()
    return HeldMedia(of.id, place, what.sha256, "image/png", f"{place}.png", what.size)


async def swept(store: Store, before_ms: int = LATER, limit: int = 100) -> list[str]:
    found: list[str] = await do(store, SweepContents(before_ms, limit))
    return sorted(found)


async def names(store: Store, account_id: str = "u-1", after: str = "", limit: int = 100) -> list[str]:
    return [each.name for each in await store.list_media(account_id, after, limit)]


# ---- objects ----


async def test_an_object_is_read_as_it_was_put(store: Store, engine: Engine) -> None:
    """With its content, also by the next process."""
    assert await do(store, PutMedia(kept(), content())) == content()
    assert await store.media_object("u-1", "cat.png") == (kept(), content())
    await store.close()
    async with opened(engine) as again:
        assert await again.media_object("u-1", "cat.png") == (kept(), content())


async def test_an_object_is_its_accounts(store: Store) -> None:
    """The same name in two accounts is two objects."""
    other = kept(account_id="u-2", of=content("b"))
    await write(store, PutMedia(kept(), content()), PutMedia(other, content("b")))
    assert await store.media_object("u-1", "cat.png") == (kept(), content())
    assert await store.media_object("u-2", "cat.png") == (other, content("b"))
    assert await store.media_object("u-3", "cat.png") is None
    assert await names(store, "u-2") == ["cat.png"]


@pytest.mark.parametrize("together", [True, False], ids=["in a batch", "one by one"])
async def test_an_object_replaces_that_of_the_same_name(store: Store, together: bool) -> None:
    """The last one counts, with all that is said of it; the content of the first is nobody's then."""
    newer = kept(of=content("b"), content_type="text/plain", cache_control=None, expires_ms=None)
    puts = PutMedia(kept(), content()), PutMedia(newer, content("b"))
    if together:
        await write(store, *puts)
    else:
        for put in puts:
            await do(store, put)
    assert await store.media_object("u-1", "cat.png") == (newer, content("b"))
    assert await names(store) == ["cat.png"]
    assert await swept(store) == [content().object_key]


@pytest.mark.parametrize("together", [True, False], ids=["in a batch", "one by one"])
async def test_a_content_is_kept_once(store: Store, together: bool) -> None:
    """Whoever uploads it again is told where the first upload is, and may delete his own."""
    again = content(place="2", stored_ms=T0 + HOUR)
    puts = PutMedia(kept("one"), content()), PutMedia(kept("two"), again)
    results = await write(store, *puts) if together else [await do(store, put) for put in puts]
    assert list(results) == [content(), content()]
    for name in ("one", "two"):
        assert await store.media_object("u-1", name) == (kept(name), content())
    assert await store.known_object_keys([content().object_key, again.object_key]) == {content().object_key}


async def test_objects_are_listed_in_the_order_of_their_names(store: Store) -> None:
    """By code point, from after a name, at most as many as asked for: pages meet without gap or overlap."""
    given = [
        "b",
        "a/1",
        "a/10",
        "a/2",
        "ä",
        "B",
        "\N{PILE OF POO}",
        "\N{FULLWIDTH LATIN SMALL LETTER A}",
        "'",
    ]
    await write(store, *[PutMedia(kept(name), content()) for name in given])
    assert await names(store) == sorted(given)
    pages, after = [], ""
    while page := await names(store, after=after, limit=2):
        pages.append(page)
        after = page[-1]
    assert [name for page in pages for name in page] == sorted(given)
    assert max(map(len, pages)) == 2


async def test_a_deletion_says_whether_there_was_something(store: Store) -> None:
    """Only the named object of the named account goes."""
    await write(store, PutMedia(kept("one"), content()), PutMedia(kept("two"), content()))
    assert await do(store, DeleteMedia("u-2", "one")) is False
    assert list(await write(store, DeleteMedia("u-1", "one"), DeleteMedia("u-1", "one"))) == [True, False]
    assert await names(store) == ["two"]
    await do(store, PutMedia(kept("one"), content()))
    assert await names(store) == ["one", "two"], "the name may be used again"


async def test_expired_objects_are_pruned(store: Store) -> None:
    """In small batches; what never expires stays."""
    expiring = [kept(f"{number}", expires_ms=T0 + number) for number in range(3)]
    lasting = kept("lasting", expires_ms=None)
    await write(store, *[PutMedia(each, content()) for each in (*expiring, lasting)])
    assert [await do(store, Prune("media", T0 + 2, 1)) for _ in range(3)] == [1, 1, 0]
    assert await names(store) == ["2", "lasting"]
    assert await do(store, Prune("media", LATER, 100)) == 1
    assert await names(store) == ["lasting"]


# ---- inbound ----


async def test_an_inbound_message_brings_its_files(store: Store) -> None:
    """Message, objects and contents are written together; a content that is known stays where it is."""
    await do(store, PutMedia(kept(), content()))
    again, new = content(place="2"), content("b")
    files = [kept("m/0/cat.png", again), kept("m/1/dog.png", new)]
    received = inbound(5)
    assert await do(store, replace(received, media=files, contents=[again, new])) is None
    assert await store.media_object("u-1", "m/0/cat.png") == (files[0], content())
    assert await store.media_object("u-1", "m/1/dog.png") == (files[1], new)


async def test_a_message_that_is_not_stored_leaves_no_files(store: Store) -> None:
    """A change that cannot be done takes nothing of it into the database, and disturbs no other."""
    of = message(1)
    await do(store, outbound(of))
    repeated = replace(outbound(of), media=[kept()], contents=[content()])
    failed, other = await write(store, repeated, PutMedia(kept("other", content("b")), content("b")))
    assert isinstance(failed, StorageError)
    assert other == content("b")
    assert await names(store) == ["other"]
    assert await store.known_object_keys([content().object_key]) == set()


# ---- what messages hold ----


async def test_a_message_holds_its_files_while_it_goes_to_its_carriers_lane(store: Store) -> None:
    """The outcome of fetching: files, contents and the row in its new lane are written together."""
    of = message(media=("https://example.com/a", "https://example.com/b"))
    files = [held(of), held(of, 1, content("b"))]
    await do(store, outbound(of, lane=MEDIA_LANE))
    requeue = WorkItem(LANE, T0 + 7, of.id, 0, 0, of.valid_until_ms)
    await do(store, Settle(key(of), requeue=requeue, held=files, contents=[content(), content("b")]))
    assert await store.held_media(of.id) == [(files[0], content()), (files[1], content("b"))]
    assert await store.due_work(MEDIA_LANE, LATER, START, 10) == []
    (row,) = await store.due_work(LANE, LATER, START, 10)
    assert row.item == requeue
    found = await store.life(of.id)
    assert found is not None
    assert list(found.held) == files


async def test_a_message_without_files_holds_none(store: Store) -> None:
    """Neither does one that is not there."""
    of = message()
    await do(store, outbound(of))
    assert await store.held_media(of.id) == []
    assert await store.held_media("nobody") == []


async def test_files_that_are_fetched_again_take_the_place_of_the_first(store: Store) -> None:
    """After a crash fetching is repeated; the server may have another picture by then."""
    of = message()
    await do(store, outbound(of))
    await do(store, Settle(key(of), requeue=outbound(of).work[0], held=[held(of)], contents=[content()]))
    newer = held(of, 0, content("b"))
    await do(store, Settle(key(of), requeue=outbound(of).work[0], held=[newer], contents=[content("b")]))
    assert await store.held_media(of.id) == [(newer, content("b"))]
    assert await swept(store) == [content().object_key]


async def test_what_is_held_is_let_go_when_no_delivery_waits_any_more(store: Store) -> None:
    """Each recipient must be final: refused, delivered or given up; and the message be older than the bound."""
    done, half, young = message(1, destinations=(TO, "+19195550001")), message(2), message(3)
    await write(store, *[outbound(of) for of in (done, half, young)])
    holding = [Settle(key(of), requeue=outbound(of).work[0], held=[held(of)]) for of in (done, half, young)]
    await write(store, *[replace(each, contents=[content()]) for each in holding])
    await write(store, refused(done), refused(young), taken(half, "c-1"))
    bound = young.received_ms
    assert await do(store, Prune("held_media", bound, 10)) == 0
    await do(store, refused(done, 1))
    assert await do(store, Prune("held_media", bound, 10)) == 1
    assert [bool(await store.held_media(of.id)) for of in (done, half, young)] == [False, True, True]


async def test_a_message_that_is_pruned_lets_its_files_go(store: Store) -> None:
    """With everything else that is its own."""
    of, other = message(1), message(2)
    await write(store, outbound(of), outbound(other))
    for each in (of, other):
        await do(store, Settle(key(each), (), requeue=outbound(each).work[0], held=[held(each)]))
    await do(store, replace(refused(of), announcements=()))
    assert await do(store, Prune("messages", LATER, 10)) == 1
    assert await swept(store) == [], "no content was ever there"
    assert await store.life(of.id) is None
    await do(store, PutMedia(kept(), content()))
    assert await store.held_media(of.id) == []
    assert await store.held_media(other.id) == [(held(other), content())]


# ---- contents ----


async def test_contents_are_swept_when_nothing_refers_to_them(store: Store) -> None:
    """Neither an object nor a message; the keys are told once, for the object store."""
    of = message()
    await do(store, outbound(of))
    await do(store, PutMedia(kept(), content("a")))
    await do(store, PutMedia(kept("gone", content("b")), content("b")))
    await do(store, Settle(key(of), requeue=outbound(of).work[0], held=[held(of, 0, content("c"))]))
    await do(store, Settle(key(of), requeue=outbound(of).work[0], contents=[content("c"), content("d")]))
    assert await swept(store) == ["contents/d-1"]
    await do(store, DeleteMedia("u-1", "gone"))
    assert await swept(store) == ["contents/b-1"]
    assert await swept(store) == []
    assert await store.held_media(of.id) == [(held(of, 0, content("c")), content("c"))]


async def test_young_contents_are_not_swept(store: Store) -> None:
    """What refers to them may be on its way."""
    await do(store, Accept(message(), deliveries(message()), contents=[content(stored_ms=T0 + 10)]))
    assert await swept(store, T0 + 10) == []
    assert await swept(store, T0 + 11) == [content().object_key]


async def test_contents_are_swept_in_small_batches(store: Store) -> None:
    """At most `limit` at a time."""
    await do(store, Accept(message(), deliveries(message()), contents=[content(c) for c in "abc"]))
    sizes = [len(await swept(store, limit=2)) for _ in range(3)]
    assert sizes == [2, 1, 0]


@pytest.mark.parametrize("sweep_first", [True, False])
async def test_a_content_that_is_put_while_it_is_swept_stays(store: Store, sweep_first: bool) -> None:
    """What is told to be in use is not told to be nobody's, whichever came first."""
    await do(store, Accept(message(), deliveries(message()), contents=[content()]))
    sweep, put = SweepContents(LATER, 10), PutMedia(kept(), content(place="2"))
    results = await write(store, sweep, put) if sweep_first else reversed(await write(store, put, sweep))
    keys, in_use = results
    assert in_use.object_key not in keys
    assert await store.media_object("u-1", "cat.png") == (kept(), in_use)


async def test_a_content_that_was_swept_may_come_again(store: Store) -> None:
    """At its new place: the old one is being deleted."""
    await do(store, Accept(message(), deliveries(message()), contents=[content()]))
    assert await swept(store) == [content().object_key]
    again = content(place="2")
    assert await do(store, PutMedia(kept(), again)) == again


async def test_known_object_keys_are_those_of_contents(store: Store) -> None:
    """All others may be deleted from the object store."""
    await do(store, PutMedia(kept(), content()))
    keys = [content().object_key, content(place="2").object_key, "", "'; --"]
    assert await store.known_object_keys(keys) == {content().object_key}
    assert await store.known_object_keys([]) == set()


# ---- handsets ----


async def test_a_handset_shows_the_pictures_it_was_sent(store: Store) -> None:
    """As the URLs that the message had."""
    shown = HandsetMessage(
        f"{T0:013d}x", TO, "+12345678901", "out", "", ("https://a.example/a",), (), "", "", T0
    )
    await do(store, RecordHandset([shown]))
    assert await store.handset_tail(T0, 10) == [shown]

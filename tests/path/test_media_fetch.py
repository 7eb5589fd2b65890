"""Media fetched from real peers on loopback, each once, within bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.pictures import encoded, photo
from support.webpeers import LOOPBACK, Names, Peer, client, listening
from trebuchet.media.fetch import Fetched, Fetcher, Unavailable
from trebuchet.webclient import AddressRules

pytestmark = pytest.mark.anyio

PICTURE = encoded(photo(64, 48), "JPEG")
DRAWING = encoded(photo(32, 24), "PNG")


@pytest.fixture(scope="module", params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: production runs on uvloop where there is one."""
    return ("asyncio", {"use_uvloop": request.param})


class Site(Peer):
    """A web site: what it has by path, the answers it gives instead, and how many it gives at a time."""

    def __init__(self, **answers: bytes) -> None:
        super().__init__()
        self.answers = answers
        self.open = asyncio.Event()
        self.open.set()
        self.under_way = 0
        self.most = 0
        self.several = asyncio.Event()

    def at(self, path: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}/{path}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await self.read_request(reader)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            if self.under_way >= 2:
                self.several.set()
            await self.open.wait()
            self.under_way -= 1
            name = request.split(b" ")[1].decode().lstrip("/").partition(".")[0].partition("?")[0]
            writer.write(self.answers.get(name, status(404)))


def status(code: int, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {code} So\r\n{lines}Content-Length: 0\r\n\r\n".encode()


def file(octets: bytes, content_type: str = "application/octet-stream") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(octets)}\r\n\r\n"
    return head.encode() + octets


@asynccontextmanager
async def fetching(
    site: Site,
    *,
    own: dict[str, Fetched | Unavailable] | None = None,
    file_max: int = 100_000,
    timeout_s: float = 10.0,
    redirects_max: int = 3,
    under_way_max: int = 16,
    keep_s: float = 30.0,
    rules: AddressRules = LOOPBACK,
) -> AsyncIterator[Fetcher]:
    """A fetcher, and the site to fetch from; `own` is what our store says of a URL."""

    async def ours(account_id: str, url: str, octets_max: int) -> Fetched | None:
        assert (account_id, octets_max) == ("u-1", file_max)
        found = (own or {}).get(url)
        if isinstance(found, Unavailable):
            raise found
        return found

    async with listening(site, site.handle), client(rules, resolver=Names("127.0.0.1")) as made:
        fetcher = Fetcher(
            made,
            ours,
            file_max=file_max,
            timeout_s=timeout_s,
            redirects_max=redirects_max,
            under_way_max=under_way_max,
            keep_s=keep_s,
        )
        try:
            yield fetcher
        finally:
            await fetcher.close()


async def test_files_come_in_the_order_of_their_urls() -> None:
    """Under the names of their paths, of the types that their octets are."""
    site = Site(cat=file(PICTURE, "image/png"), dog=file(DRAWING), card=file(b"BEGIN:VCARD\nEND:VCARD\n"))
    async with fetching(site) as fetcher:
        files = await fetcher.fetch([site.at("dog.png"), site.at("cat.JPG?x=1"), site.at("card")], "u-1")
    assert [(file.name, file.content_type) for file in files] == [
        ("dog.png", "image/png"),
        ("cat.JPG", "image/jpeg"),
        ("card.vcf", "text/vcard"),
    ]
    assert [file.octets for file in files[:2]] == [DRAWING, PICTURE]
    assert b"\r\nUser-Agent: Trebuchet\r\n" in site.requests[0]
    assert b"\r\nAccept-Encoding: identity\r\n" in site.requests[0]


async def test_no_urls_are_no_files() -> None:
    """A group message of text alone has none."""
    async with fetching(Site()) as fetcher:
        assert await fetcher.fetch([], "u-1") == []


async def test_a_url_that_many_name_is_fetched_once() -> None:
    """At the same time and shortly after."""
    site = Site(cat=file(PICTURE))
    async with fetching(site) as fetcher:
        await asyncio.gather(*[fetcher.fetch([site.at("cat"), site.at("cat")], "u-1") for _ in range(20)])
        await fetcher.fetch([site.at("cat")], "u-1")
        assert len(site.requests) == 1
        await fetcher.fetch([site.at("cat?other")], "u-1")
        assert len(site.requests) == 2


async def test_a_failure_is_not_asked_for_again_within_the_burst() -> None:
    """A thousand messages with the same dead URL are one request."""
    site = Site()
    async with fetching(site) as fetcher:
        for _ in range(3):
            with pytest.raises(Unavailable, match="status 404"):
                await fetcher.fetch([site.at("gone")], "u-1")
    assert len(site.requests) == 1


async def test_what_is_over_is_asked_for_again() -> None:
    """With nothing kept, each message asks for itself."""
    site = Site(cat=file(PICTURE), gone=status(503))
    async with fetching(site, keep_s=0) as fetcher:
        for _ in range(2):
            await fetcher.fetch([site.at("cat")], "u-1")
            with pytest.raises(Unavailable, match="status 503"):
                await fetcher.fetch([site.at("gone")], "u-1")
    assert len(site.requests) == 4


async def test_our_own_urls_are_not_fetched() -> None:
    """The store is asked, and what it has is judged like any other file."""
    site = Site()
    picture = "https://gateway.example/media/cat"
    page = "https://gateway.example/media/page"
    gone = "https://gateway.example/media/gone"
    own: dict[str, Fetched | Unavailable] = {
        picture: Fetched("1/0/cat", "image/png", PICTURE),
        page: Fetched("page.jpg", "image/jpeg", b"<html></html>"),
        gone: Unavailable(4410, "there is no such media"),
    }
    async with fetching(site, own=own) as fetcher:
        assert await fetcher.fetch([picture], "u-1") == [Fetched("cat.jpg", "image/jpeg", PICTURE)]
        for url, code in ((page, 4412), (gone, 4410)):
            with pytest.raises(Unavailable) as failure:
                await fetcher.fetch([url], "u-1")
            assert failure.value.code == code
    assert site.requests == []


@pytest.mark.parametrize(
    ("answer", "code", "temporary"),
    [
        (status(404), 4410, False),
        (status(401), 4410, False),
        (status(500), 4410, True),
        (status(429, "Retry-After: 1"), 4410, True),
        (status(204), 4410, False),
        (status(302, "Location: /again"), 4410, False),
        (status(302, "Location: http://10.0.0.1/"), 4410, False),
        (status(302, "Location: http://x:y@127.0.0.1/"), 4410, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n", 4411, False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186A1\r\n" + b"x" * 100_001, 4411, False),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n", 4410, True),
        (b"SSH-2.0-x\r\n", 4410, True),
        (file(b"", "image/jpeg"), 4410, False),
        (file(b"<html>log in</html>", "image/jpeg"), 4412, False),
        (file(b"PK\3\4" + bytes(90), "image/jpeg"), 4412, False),
    ],
)
async def test_what_cannot_be_had_has_a_code(answer: bytes, code: int, temporary: bool) -> None:
    """Unreadable, too large, or not to be delivered; and whether a later try may do."""
    site = Site(it=answer, again=status(302, "Location: /again"))
    async with fetching(site) as fetcher:
        with pytest.raises(Unavailable) as failure:
            await fetcher.fetch([site.at("it")], "u-1")
    assert (failure.value.code, failure.value.temporary) == (code, temporary)


async def test_a_peer_that_is_not_there_may_come_back() -> None:
    """A refused connection is no verdict on the message."""
    site = Site()
    async with fetching(site):
        pass
    async with fetching(Site()) as fetcher:
        with pytest.raises(Unavailable, match="connection refused") as failure:
            await fetcher.fetch([site.at("cat")], "u-1")
    assert (failure.value.code, failure.value.temporary) == (4410, True)


async def test_a_peer_that_hangs_may_come_back() -> None:
    """After the time-out."""
    site = Site()
    site.open.clear()
    async with fetching(site, timeout_s=0.1) as fetcher:
        with pytest.raises(Unavailable, match=r"within 0\.1 s") as failure:
            await fetcher.fetch([site.at("cat")], "u-1")
    assert (failure.value.code, failure.value.temporary) == (4410, True)


async def test_a_forbidden_address_is_not_fetched_from() -> None:
    """The one HTTP client's rules hold for media, too."""
    site = Site(cat=file(PICTURE))
    async with fetching(site, rules=AddressRules()) as fetcher:
        with pytest.raises(Unavailable, match="loopback") as failure:
            await fetcher.fetch([site.at("cat")], "u-1")
    assert (failure.value.code, failure.value.temporary) == (4410, False)
    assert site.connections == 0


async def test_redirects_are_followed() -> None:
    """To the file, which keeps the name that was asked for."""
    site = Site(cat=status(302, "Location: /f81d4fae"), f81d4fae=file(PICTURE))
    async with fetching(site) as fetcher:
        (fetched,) = await fetcher.fetch([site.at("cat.jpg")], "u-1")
    assert (fetched.name, fetched.octets) == ("cat.jpg", PICTURE)


async def test_the_password_of_a_url_is_for_its_origin() -> None:
    """It is no part of the request line, and another origin does not hear it."""
    other = Site(file=file(PICTURE))
    async with listening(other, other.handle):
        site = Site(cat=status(302, f"Location: {other.at('file')}"))
        async with fetching(site) as fetcher:
            await fetcher.fetch([site.at("cat", "user:secret@")], "u-1")
    assert site.requests[0].startswith(b"GET /cat HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Basic dXNlcjpzZWNyZXQ=\r\n" in site.requests[0]
    assert b"Authorization" not in other.requests[0]


async def test_a_failure_that_stays_is_told_before_one_that_may_pass() -> None:
    """Trying again for the one would not mend the other."""
    site = Site(busy=status(503), page=file(b"<html></html>"))
    async with fetching(site) as fetcher:
        with pytest.raises(Unavailable) as failure:
            await fetcher.fetch([site.at("busy"), site.at("page"), site.at("gone")], "u-1")
        assert failure.value.code == 4412
        with pytest.raises(Unavailable) as failure:
            await fetcher.fetch([site.at("busy"), site.at("cat")], "u-1")
        assert (failure.value.code, failure.value.temporary) == (4410, False)


async def test_files_have_a_limit_together() -> None:
    """Each of them may be within its own."""
    site = Site(cat=file(PICTURE), dog=file(DRAWING))
    both = len(PICTURE) + len(DRAWING)
    async with fetching(site) as fetcher:
        urls = [site.at("cat"), site.at("dog")]
        assert len(await fetcher.fetch(urls, "u-1", total_max=both)) == 2
        with pytest.raises(Unavailable, match=f"{both} octets together") as failure:
            await fetcher.fetch(urls, "u-1", total_max=both - 1)
    assert (failure.value.code, failure.value.temporary) == (4411, False)


async def test_so_many_are_fetched_at_a_time() -> None:
    """The others wait for their turn, and all come."""
    site = Site(**{f"cat{number}": file(PICTURE) for number in range(6)})
    site.open.clear()
    async with fetching(site, under_way_max=2) as fetcher:
        fetched = asyncio.create_task(fetcher.fetch([site.at(f"cat{number}") for number in range(6)], "u-1"))
        await asyncio.wait_for(site.several.wait(), 10)
        site.open.set()
        assert len(await fetched) == 6
    assert site.most == 2


async def test_who_waits_too_long_for_a_turn_may_come_back() -> None:
    """Slow peers of one customer do not hold up another for ever."""
    site = Site()
    site.open.clear()
    async with fetching(site, under_way_max=1, timeout_s=0.1) as fetcher:
        # Enough of them that most cannot have had a turn when their time is over.
        outcomes = await asyncio.gather(
            *[fetcher.fetch([site.at(f"cat{number}")], "u-1") for number in range(12)], return_exceptions=True
        )
    assert all(isinstance(outcome, Unavailable) and outcome.temporary for outcome in outcomes)
    assert "no fetch came free within 0.1 s" in {str(outcome) for outcome in outcomes}


async def test_closing_ends_what_is_under_way() -> None:
    """It is unavailable for now."""
    site = Site()
    site.open.clear()
    async with fetching(site) as fetcher:
        waiting = [asyncio.create_task(fetcher.fetch([site.at(path)], "u-1")) for path in ("cat", "dog")]
        await asyncio.wait_for(site.several.wait(), 10)
        await fetcher.close()
        await fetcher.close()
        for task in waiting:
            with pytest.raises(Unavailable) as failure:
                await task
            assert failure.value.temporary

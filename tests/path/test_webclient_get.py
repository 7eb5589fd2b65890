"""The outbound client fetches: whole or not at all, over redirects that are checked like the first URL."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest

from support.webpeers import LOOPBACK, OK, Names, Peer, answering, client, listening, silent
from trebuchet.webclient import (
    AddressRefused,
    AddressRules,
    AnswerMalformed,
    ConnectionLost,
    Document,
    RedirectRefused,
    TimedOut,
    TooLarge,
    UrlRefused,
    WebClient,
    WebError,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: production runs on uvloop where there is one."""
    return ("asyncio", {"use_uvloop": request.param})


async def get(
    made: WebClient,
    url: str,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    timeout_s: float = 10,
    answer_max: int = 100,
    redirects_max: int = 0,
) -> Document:
    return await made.get(
        url, headers, timeout_s=timeout_s, answer_max=answer_max, redirects_max=redirects_max
    )


def moved(location: str, status: int = 302, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n{more}\r\n".encode()


@asynccontextmanager
async def site(*paths: tuple[str, bytes]) -> AsyncIterator[Peer]:
    """A peer with an answer for each path, and 404 for all others."""
    peer = Peer()
    answers = {path.encode(): answer for path, answer in paths}

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await peer.read_request(reader)).split(b" ")[1]
            writer.write(answers.get(path, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"))

    async with listening(peer, handler):
        yield peer


async def test_a_request_is_written_as_given_and_its_document_returned() -> None:
    """The peer reads one well-formed GET; the caller gets URL, status, content type and body."""
    async with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 3\r\n\r\nabc") as peer,
        client() as made,
    ):
        url = f"http://media.example:{peer.port}/a%20b.png?c=d#e"
        document = await get(made, url, headers=[(b"Accept", b"*/*")])
    assert peer.requests == [
        b"GET /a%%20b.png?c=d HTTP/1.1\r\nHost: media.example:%d\r\nAccept-Encoding: identity\r\n"
        b"Accept: */*\r\n\r\n" % peer.port
    ]
    assert (document.url, document.status, document.body) == (url, 200, b"abc")
    assert document.content_type == "image/png"
    assert 0 <= document.duration_ms < 10_000


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Encoding: Identity\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n0123456789",
        b"HTTP/1.0 200 OK\r\n\r\n0123456789",
        b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
    ],
)
async def test_a_body_of_any_framing_may_have_just_so_many_octets(octets: bytes) -> None:
    """With length, in chunks, to the end of the connection: the greatest allowed body is whole."""
    async with answering(octets, then_close=True) as peer, client() as made:
        assert (await get(made, peer.url, answer_max=10)).body == b"0123456789"


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n7\r\n4567890\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFF\r\n01234567890",
        b"HTTP/1.1 200 OK\r\n\r\n01234567890",
        b"HTTP/1.1 206 Part\r\nContent-Length: 11\r\n\r\n",
    ],
)
async def test_a_body_that_is_too_large_is_refused_at_once(octets: bytes) -> None:
    """By its length before any of it came, else at the first octet too many; the peer need not end it."""
    async with answering(octets) as peer, client() as made:
        with pytest.raises(TooLarge, match=r"^the answer of 127\.0\.0\.1:\d+ has over 10 octets$"):
            await get(made, peer.url, answer_max=10)
        await asyncio.wait_for(peer.client_left.wait(), 10)


async def test_an_error_page_may_have_any_length() -> None:
    """Its status is what matters; of its body as much is kept as allowed."""
    octets = b"HTTP/1.1 404 No\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + b"x" * 20
    async with answering(octets) as peer, client() as made:
        document = await get(made, peer.url, answer_max=10)
    assert (document.status, document.body) == (404, b"x" * 10)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "x"])
async def test_a_compressed_body_is_refused(encoding: str) -> None:
    """A few octets could unpack to any number; we said that we take none."""
    octets = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: 2\r\n\r\n".encode()
    async with answering(octets) as peer, client() as made:
        with pytest.raises(AnswerMalformed, match="compressed its answer"):
            await get(made, peer.url)


async def test_a_connection_serves_gets_and_posts_by_turns() -> None:
    """What bounds the one does not bound the other."""
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + b"x" * 20
    async with answering(OK, long, OK) as peer, client() as made:
        assert (await get(made, peer.url, answer_max=2)).body == b"ok"
        posted = await made.post(peer.url, b"{}", (), timeout_s=10, answer_max=2)
        assert (posted.body, posted.whole) == (b"xx", False)
        assert (await get(made, peer.url, answer_max=2)).body == b"ok"
    assert peer.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_the_answer_unless_asked_for(status: int) -> None:
    """Without redirects allowed, the caller sees it like any other answer."""
    async with site(("/hook", moved("/there", status)), ("/there", OK)) as peer, client() as made:
        document = await get(made, peer.url)
        assert (document.status, document.url) == (status, peer.url)
        document = await get(made, peer.url, redirects_max=1)
        assert (document.status, document.body) == (200, b"ok")
        assert document.url == f"http://127.0.0.1:{peer.port}/there"


async def test_redirects_lead_to_other_origins() -> None:
    """Each hop is a request to the host that it names."""
    async with (
        site(("/two?x", OK)) as other,
        site(("/hook", moved(f"http://other.example:{other.port}/two?x#y"))) as peer,
        client() as made,
    ):
        document = await get(made, peer.url, redirects_max=2)
    assert document.body == b"ok"
    assert other.requests[0].startswith(b"GET /two?x HTTP/1.1\r\nHost: other.example:%d\r\n" % other.port)


@pytest.mark.parametrize("most", [1, 3])
async def test_a_circle_of_redirects_ends(most: int) -> None:
    """After as many hops as allowed the redirect is refused."""
    async with site(("/hook", moved("/b")), ("/b", moved("/hook"))) as peer, client() as made:
        with pytest.raises(RedirectRefused, match="once too often"):
            await get(made, peer.url, redirects_max=most)
    assert len(peer.requests) == most + 1


@pytest.mark.parametrize(
    ("location", "error", "words"),
    [
        ("http://user:secret@127.0.0.1/", UrlRefused, "user name or password"),
        ("http://a b/", UrlRefused, "blank"),
        ("ftp://a.example/", UrlRefused, "http:// or https://"),
        ("file:///etc/passwd", UrlRefused, "http:// or https://"),
        ("http:\\\\a.example", UrlRefused, "backslash"),
        ("http://a.example:25/", AddressRefused, "port 25"),
        ("http://[fe80::1%25eth0]/", UrlRefused, "zone"),
    ],
)
async def test_a_redirect_is_judged_like_the_first_url(
    location: str, error: type[WebError], words: str
) -> None:
    """What could not be asked for cannot be redirected to."""
    async with site(("/hook", moved(location))) as peer, client() as made:
        with pytest.raises(error, match=words) as refusal:
            await get(made, peer.url, redirects_max=3)
    assert "secret" not in str(refusal.value)
    assert len(peer.requests) == 1


async def test_credentials_stay_with_their_origin() -> None:
    """They go along within it, not to another one, and not to the first one again after that."""
    headers = [(b"Authorization", b"Basic c2VjcmV0"), (b"X-Api-Key", b"secret"), (b"Accept", b"*/*")]
    first = Peer()
    second = Peer()

    async def at_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = [moved("/again"), moved(second.url), OK]
        while True:
            await first.read_request(reader)
            writer.write(answers[len(first.requests) - 1])

    async def at_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await second.read_request(reader)
        writer.write(moved(first.url))
        await second.read_request(reader)

    async with listening(first, at_first), listening(second, at_second), client() as made:
        assert (await get(made, first.url, headers=headers, redirects_max=3)).body == b"ok"
    asked = [*first.requests[:2], *second.requests, *first.requests[2:]]
    assert [b"Authorization" in request for request in asked] == [True, True, False, False]
    assert [b"secret" in request for request in asked] == [True, True, False, False]
    assert all(b"Accept: */*\r\n" in request for request in asked)


async def test_the_time_is_for_all_hops_together() -> None:
    """A second hop that hangs ends when the time of the whole is over."""
    async with silent() as dead, site(("/hook", moved(dead.url))) as peer, client() as made:
        with pytest.raises(TimedOut, match=r"within 0\.3 s"):
            await get(made, peer.url, timeout_s=0.3, redirects_max=3)


async def test_a_name_that_changes_between_hops_is_judged_again() -> None:
    """The second look-up gives a forbidden address; the first one's verdict is not good for it."""
    rules = AddressRules(allow_networks=(ip_network("127.0.0.1/32"),))
    names = Names("127.0.0.1", "127.0.0.2")
    answer = moved("/there", more="Connection: close\r\n")
    async with (
        site(("/hook", answer), ("/there", OK)) as peer,
        client(rules, resolver=names, dns_keep_s=0) as made,
    ):
        with pytest.raises(AddressRefused, match=r"rebinding\.example: 127\.0\.0\.2 is a loopback"):
            await get(made, f"http://rebinding.example:{peer.port}/hook", redirects_max=3)
    assert len(peer.requests) == 1
    assert len(names.asked) == 2


async def test_a_header_cannot_smuggle_another() -> None:
    """A line end within a header is a mistake of the caller and is never written."""
    async with answering(OK) as peer, client() as made:
        with pytest.raises(ValueError, match="line end"):
            await get(made, peer.url, headers=[(b"A", b"b\r\nC: d")])
    assert peer.connections == 0


async def test_a_closed_client_fetches_nothing() -> None:
    """The error is the one of a connection that ended."""
    made = WebClient(LOOPBACK)
    await made.close()
    with pytest.raises(ConnectionLost, match="is closed"):
        await get(made, "http://127.0.0.1:8080/")

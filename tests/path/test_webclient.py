"""The outbound HTTP client against real peers on loopback, on both event loops it may meet."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from support.webpeers import LOOPBACK, OK, Names, Peer, answering, client, listening, silent
from trebuchet.webclient import (
    AddressRefused,
    AddressRules,
    Answer,
    AnswerMalformed,
    ConnectFailed,
    ConnectionLost,
    ResolveFailed,
    TimedOut,
    UrlRefused,
    WebClient,
)
from trebuchet.webclient.connection import DROPPED_MAX, OVERHEAD_MAX

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: production runs on uvloop where there is one."""
    return ("asyncio", {"use_uvloop": request.param})


async def post(made: WebClient, url: str, *, timeout_s: float = 10, answer_max: int = 100) -> Answer:
    return await made.post(
        url, b"[{}]", [(b"Content-Type", b"a/b")], timeout_s=timeout_s, answer_max=answer_max
    )


async def test_a_request_is_written_as_given_and_its_answer_returned() -> None:
    """The peer reads one well-formed request; the caller gets status, headers, body and duration."""
    async with (
        answering(b"HTTP/1.1 201 Created\r\nX-One: 1\r\nX-ONE: 2\r\nContent-Length: 3\r\n\r\nabc") as peer,
        client() as made,
    ):
        answer = await made.post(
            f"http://hooks.example:{peer.port}/a?b=c#d",
            b'[{"type":"x"}]',
            ((b"Authorization", b"Basic eDp5"), (b"User-Agent", b"BandwidthAPI/v2")),
            timeout_s=10,
            answer_max=100,
        )
    assert peer.requests == [
        b"POST /a?b=c HTTP/1.1\r\nHost: hooks.example:%d\r\nContent-Length: 14\r\n"
        b"Authorization: Basic eDp5\r\nUser-Agent: BandwidthAPI/v2\r\n\r\n"
        b'[{"type":"x"}]' % peer.port
    ]
    assert (answer.status, answer.body, answer.whole) == (201, b"abc", True)
    assert answer.headers == [(b"x-one", b"1"), (b"x-one", b"2"), (b"content-length", b"3")]
    assert 0 <= answer.duration_ms < 10_000


ANSWERS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
    (b"HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n", 500, b""),
    (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, b""),
    (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", 401, b""),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: r\r\n\r\n",
        200,
        b"abcde",
    ),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    (
        b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 W\r\n\r\nHTTP/1.1 204 A\r\n\r\n",
        204,
        b"",
    ),
    (b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
]


@pytest.mark.parametrize(("octets", "status", "body"), ANSWERS)
async def test_answers_of_every_framing_keep_the_connection(octets: bytes, status: int, body: bytes) -> None:
    """With length, chunks, no body, interim answers: the final one is returned, the connection used again."""
    async with answering(octets) as peer, client() as made:
        for _ in range(2):
            answer = await post(made, peer.url)
            assert (answer.status, answer.body, answer.whole) == (status, body, True)
            assert not {b"link", b"t"}.intersection(dict(answer.headers)), "of an interim answer or a trailer"
    assert peer.connections == 1


@pytest.mark.parametrize(("octets", "status", "body"), ANSWERS)
async def test_an_answer_may_come_octet_by_octet(octets: bytes, status: int, body: bytes) -> None:
    """Where the network cuts an answer makes no difference."""
    peer = Peer()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await peer.read_request(reader)
        for place in range(len(octets)):
            writer.write(octets[place : place + 1])
            await asyncio.sleep(0)
        await reader.read()

    async with listening(peer, handler), client() as made:
        answer = await post(made, peer.url)
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.0 200 OK\r\n\r\nto the end",
        b"HTTP/1.1 200 OK\r\n\r\nto the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nto the end",
    ],
)
async def test_an_answer_without_length_ends_with_the_connection(octets: bytes) -> None:
    """An HTTP/1.0 peer says neither length nor chunks: the answer is whole when it closes."""
    async with answering(octets, then_close=True) as peer, client() as made:
        for _ in range(2):
            answer = await post(made, peer.url)
            assert (answer.status, answer.body, answer.whole) == (200, b"to the end", True)
    assert peer.connections == 2


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
    ],
)
async def test_a_connection_that_cannot_be_trusted_with_another_request_is_closed(octets: bytes) -> None:
    """The peer asks for closing, or wrote beyond its answer: the next request goes over a new connection."""
    async with answering(octets) as peer, client() as made:
        for _ in range(2):
            assert (await post(made, peer.url)).body == b"ok"
    assert peer.connections == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_the_answer(status: int) -> None:
    """No redirect is followed: its address was not checked, and its owner did not configure it."""
    async with answering(OK) as other:
        moved = b"HTTP/1.1 %d Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (
            status,
            other.url.encode(),
        )
        async with answering(moved) as peer, client() as made:
            answer = await post(made, peer.url)
    assert answer.status == status
    assert (b"location", other.url.encode()) in answer.headers
    assert other.connections == 0


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "is not HTTP"),
        (b"HTTP/1.1 042 Odd\r\nContent-Length: 0\r\n\r\n", "status 042"),
        (b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nabc", "another protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * (OVERHEAD_MAX + 1), "headers of"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * (OVERHEAD_MAX // 25 + 1), "headers of"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * (OVERHEAD_MAX + 1),
            "headers of",
        ),
    ],
)
async def test_what_is_not_an_answer_is_an_error(octets: bytes, words: str) -> None:
    """Another protocol, contradictory framing, endless headers: a clear error and a closed connection."""
    async with answering(octets) as peer, client() as made:
        with pytest.raises(AnswerMalformed, match=words):
            await post(made, peer.url)
        await asyncio.wait_for(peer.client_left.wait(), 10)


async def test_a_long_answer_is_cut_and_its_connection_kept() -> None:
    """Of a body somewhat too long the first octets are returned; the rest is read and dropped."""
    body = b"0123456789" * 100
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + body) as peer, client() as made:
        for answer_max, kept in ((0, b""), (15, body[:15]), (999, body[:999]), (1000, body)):
            answer = await post(made, peer.url, answer_max=answer_max)
            assert (answer.body, answer.whole) == (kept, answer_max == 1000)
    assert peer.connections == 1


async def test_an_endless_answer_is_not_read_to_its_end() -> None:
    """Beyond 64 KiB of dropped body the answer counts as given and the connection is closed."""
    peer = Peer()
    written = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await peer.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n")
        while True:
            writer.write(b"a" * 16384)
            written += 16384
            await writer.drain()

    async with listening(peer, handler), client() as made:
        answer = await post(made, peer.url, answer_max=10)
        await asyncio.wait_for(peer.client_left.wait(), 10)
    assert (answer.status, answer.body, answer.whole) == (200, b"a" * 10, False)
    assert written > DROPPED_MAX


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "in the middle of its answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "in the middle of its answer"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "in the middle of its answer",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "in the middle of its answer"),
    ],
)
async def test_a_connection_closed_too_early_is_an_error(octets: bytes, words: str) -> None:
    """An answer that stops before its end is no answer; on a fresh connection it is not tried again."""
    async with answering(octets, then_close=True) as peer, client() as made:
        with pytest.raises(ConnectionLost, match=words):
            await post(made, peer.url)
    assert peer.connections == 1


async def test_a_kept_connection_that_closes_unanswered_is_replaced_once() -> None:
    """The peer ended the idle connection while the request was on its way: a fresh one carries it."""
    async with answering(OK, b"", then_close=True) as peer, client() as made:
        assert (await post(made, peer.url)).body == b"ok"
        assert (await post(made, peer.url)).body == b"ok"
    assert peer.connections == 2
    assert len(peer.requests) == 3


async def test_a_kept_connection_that_breaks_within_an_answer_is_not_replaced() -> None:
    """Once an octet of the answer came, the peer has the request: the caller decides."""
    async with answering(OK, b"HTTP/1.1 5", then_close=True) as peer, client() as made:
        await post(made, peer.url)
        with pytest.raises(ConnectionLost, match="in the middle"):
            await post(made, peer.url)
    assert peer.connections == 1


async def test_what_must_not_be_repeated_goes_over_a_connection_of_its_own() -> None:
    """A kept one might close just as it is used: nobody could say whether the peer has the request."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    async with answering(answer) as peer, client() as made:
        for _ in range(2):
            await made.post(peer.url, b"", (), timeout_s=10, answer_max=10, repeatable=False)
    assert peer.connections == 2


async def test_a_replacement_that_closes_too_is_an_error() -> None:
    """There is one replacement, not a chain of them."""
    peer = Peer()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        if peer.connections == 1:
            writer.write(OK)
            await peer.read_request(reader)

    async with listening(peer, handler), client() as made:
        await post(made, peer.url)
        with pytest.raises(ConnectionLost, match="without an answer"):
            await post(made, peer.url)
    assert peer.connections == 2


async def test_an_answer_that_nobody_asked_for_closes_the_idle_connection() -> None:
    """Octets on an idle connection are never taken for the answer to the next request."""
    peer = Peer()
    unasked = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(OK)
        if peer.connections == 1:
            await unasked.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        await peer.read_request(reader)

    async with listening(peer, handler), client() as made:
        await post(made, peer.url)
        unasked.set()
        await asyncio.wait_for(peer.client_left.wait(), 10)
        assert (await post(made, peer.url)).body == b"ok"
    assert peer.connections == 2


async def test_an_idle_connection_is_closed_in_time() -> None:
    """After `keep_alive_s` without a request the connection is closed."""
    async with answering(OK) as peer, client(keep_alive_s=0.02) as made:
        await post(made, peer.url)
        await asyncio.wait_for(peer.client_left.wait(), 10)
        await post(made, peer.url)
    assert peer.connections == 2


async def test_no_more_idle_connections_are_kept_than_allowed() -> None:
    """The pool of idle connections is bounded over all hosts."""
    async with answering(OK) as first, answering(OK) as second, client(connections_max=1) as made:
        await post(made, first.url)
        await post(made, second.url)
        await asyncio.wait_for(second.client_left.wait(), 10)
        await post(made, first.url)
    assert (first.connections, second.connections) == (1, 1)


async def test_an_idle_connection_that_the_peer_closes_is_forgotten() -> None:
    """It takes no place in the pool any more, and nothing about its host is kept."""
    peer = Peer()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(OK)
        writer.write_eof()
        await reader.readexactly(1)

    async with listening(peer, handler), answering(OK) as other, client(connections_max=1) as made:
        await post(made, peer.url)
        await asyncio.wait_for(peer.client_left.wait(), 10)
        assert not made._origins
        for _ in range(2):
            await post(made, other.url)
    assert other.connections == 1


async def test_a_slow_answer_times_out() -> None:
    """The time-out ends the request and closes its connection."""
    async with silent() as peer, client() as made:
        with pytest.raises(TimedOut, match=rf"no complete answer from 127.0.0.1:{peer.port} within 0.05 s"):
            await post(made, peer.url, timeout_s=0.05)
        await asyncio.wait_for(peer.client_left.wait(), 10)


async def test_an_answer_that_trickles_times_out() -> None:
    """The time-out is for the whole answer, not for the pause between octets."""
    peer = Peer()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not reader.at_eof():
            writer.write(b"a")
            await asyncio.sleep(0)

    async with listening(peer, handler), client() as made:
        with pytest.raises(TimedOut):
            await post(made, peer.url, timeout_s=0.05)


async def test_a_short_time_out_is_kept_beside_a_long_one() -> None:
    """Each request has its own deadline, whatever the order in which they began."""
    async with silent() as peer, client() as made:
        long = asyncio.create_task(post(made, peer.url, timeout_s=60))
        with pytest.raises(TimedOut):
            await post(made, peer.url, timeout_s=0.05)
        assert not long.done()
        await made.close()
        with pytest.raises(ConnectionLost, match="client is closed"):
            await long


async def test_a_hanging_lookup_times_out() -> None:
    """The time-out covers the resolution, and the lookup serves the next request."""
    release = asyncio.Event()
    lookups = 0

    async def slow(host: str) -> Sequence[str]:
        nonlocal lookups
        lookups += 1
        await release.wait()
        return ["127.0.0.1"]

    async with answering(OK) as peer:
        made = WebClient(LOOPBACK, resolver=slow)
        url = f"http://slow.example:{peer.port}/"
        with pytest.raises(TimedOut, match=rf"no connection to slow.example:{peer.port} within 0.05 s"):
            await post(made, url, timeout_s=0.05)
        release.set()
        assert (await post(made, url)).status == 200
        await made.close()
    assert lookups == 1


async def test_closing_ends_a_lookup_under_way() -> None:
    """A request that waits for a name fails at once when the client closes."""
    asked = asyncio.Event()

    async def never(host: str) -> Sequence[str]:
        asked.set()
        await asyncio.Event().wait()
        return []

    made = WebClient(LOOPBACK, resolver=never)
    request = asyncio.create_task(post(made, "http://slow.example/"))
    await asked.wait()
    await made.close()
    with pytest.raises(ResolveFailed, match="client is closed"):
        await request


async def test_a_refused_connection_is_named() -> None:
    """The operator reads who refused."""
    async with answering(OK) as peer:
        pass
    async with client() as made:
        with pytest.raises(ConnectFailed, match=rf"^connection refused by 127\.0\.0\.1:{peer.port}$"):
            await post(made, peer.url)
        with pytest.raises(
            ConnectFailed, match=rf"^connection refused by hooks\.example:{peer.port} \(127\.0\.0\.1\)$"
        ):
            await post(made, f"http://hooks.example:{peer.port}/")


async def test_every_address_of_a_host_is_tried() -> None:
    """The first address does not take connections, the second does."""
    async with answering(OK) as peer, client(resolver=Names("::1,127.0.0.1")) as made:
        assert (await post(made, f"http://hooks.example:{peer.port}/")).status == 200


@pytest.mark.parametrize("answer", ["", "failure"])
async def test_a_name_without_address_is_an_error(answer: str) -> None:
    """A name that resolves to nothing, or not at all, is told from other failures."""

    async def resolver(host: str) -> Sequence[str]:
        if answer:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return []

    made = WebClient(LOOPBACK, resolver=resolver)
    with pytest.raises(ResolveFailed, match=r"^cannot resolve hooks\.example: "):
        await post(made, "http://hooks.example/")
    await made.close()


ODD_LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.0x1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.1.",
    "１２７.0.0.1",
    "127。0。0。1",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "[::ffff:169.254.169.254]",
    "[fd00:ec2::254]",
    "10.1",
    "192.168.257",
    "100.64.0.1",
]


@pytest.mark.parametrize("host", ODD_LOOPBACK)
async def test_no_notation_of_a_forbidden_address_is_dialled(host: str) -> None:
    """However it is written, what the system's resolver would dial is what is judged."""
    made = WebClient(AddressRules())
    with pytest.raises((AddressRefused, ResolveFailed)) as refusal:
        await post(made, f"http://{host}:8080/")
    await made.close()
    # A system whose resolver does not read the notation has nothing to dial; it must say so of a name only.
    if isinstance(refusal.value, ResolveFailed):
        assert not host.startswith("[")
        assert host != "127.0.0.1"


async def test_an_odd_notation_of_loopback_is_dialled_when_loopback_is_allowed() -> None:
    """The system's resolver is asked for names and odd notations alike."""
    async with answering(OK) as peer:
        made = WebClient(LOOPBACK)
        assert (await post(made, f"http://localhost:{peer.port}/")).status == 200
        await made.close()


async def test_the_checked_address_is_the_dialled_one() -> None:
    """A name that changes after the check gains nothing: it is resolved once, and that address is dialled."""
    rules = AddressRules(allow_networks=(ip_network("127.0.0.1/32"),))
    names = Names("127.0.0.1", "127.0.0.2")
    async with answering(OK, then_close=True) as peer, client(rules, resolver=names, dns_keep_s=0) as made:
        url = f"http://rebinding.example:{peer.port}/"
        assert (await post(made, url)).status == 200
        assert names.asked == ["rebinding.example"]
        with pytest.raises(AddressRefused, match=r"^rebinding\.example: 127\.0\.0\.2 is a loopback address"):
            await post(made, url)
    assert peer.connections == 1
    assert len(names.asked) == 2


async def test_a_name_is_not_resolved_again_for_dialling() -> None:
    """The checked address is dialled even where the system itself would resolve the name to another."""
    async with answering(OK) as peer, client(resolver=Names("::1")) as made:
        with pytest.raises(ConnectFailed, match=r"\(::1\)$"):
            await post(made, f"http://localhost:{peer.port}/")
    assert peer.connections == 0


async def test_of_several_addresses_only_the_admitted_are_dialled() -> None:
    """A host with a forbidden and an admitted address is called at the admitted one."""
    rules = AddressRules(allow_networks=(ip_network("127.0.0.1/32"),))
    names = Names("10.0.0.1,::1,127.0.0.1")
    async with answering(OK) as peer, client(rules, resolver=names) as made:
        answer = await post(made, f"http://mixed.example:{peer.port}/", timeout_s=1.5)
    assert answer.status == 200


async def test_a_name_is_looked_up_once_for_many_requests() -> None:
    """Lookups under way are shared, and their outcome is kept for a few seconds."""
    names = Names("127.0.0.1")
    async with answering(OK) as peer, client(resolver=names) as made:
        url = f"http://hooks.example:{peer.port}/"
        await asyncio.gather(*[post(made, url) for _ in range(5)])
        await post(made, f"http://hooks.example:{peer.port}/other")
    assert names.asked == ["hooks.example"]


async def test_a_low_port_is_refused() -> None:
    """Mail, SSH and their like are not called back."""
    async with client() as made:
        with pytest.raises(AddressRefused, match="port 25 is not allowed here"):
            await post(made, "http://hooks.example:25/")


async def test_an_unusable_url_is_refused() -> None:
    """The rules for URLs apply at the time of the call too."""
    async with client() as made:
        with pytest.raises(UrlRefused):
            await post(made, "http://user:secret@hooks.example/")


@pytest.mark.parametrize("header", [(b"A", b"b\r\nC: d"), (b"A", b"b\n"), (b"A\r", b"b"), (b"A", b"\0")])
async def test_a_header_cannot_smuggle_another(header: tuple[bytes, bytes]) -> None:
    """A line end within a header is a mistake of the caller and is never written."""
    async with answering(OK) as peer, client() as made:
        with pytest.raises(ValueError, match="line end"):
            await made.post(peer.url, b"", [header], timeout_s=1, answer_max=1)
    assert peer.connections == 0


@pytest.mark.parametrize("bound", ["connections_per_origin", "connections_max"])
async def test_requests_beyond_the_bound_wait_for_their_turn(bound: str) -> None:
    """With a bound of two, two of five requests are under way at any time, and all are answered."""
    peer = Peer()
    under_way = most = 0
    two = asyncio.Event()
    go_on = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        while True:
            await peer.read_request(reader)
            under_way += 1
            most = max(most, under_way)
            if under_way == 2:
                two.set()
            await go_on.wait()
            under_way -= 1
            writer.write(OK)

    per_origin, overall = (2, 512) if bound == "connections_per_origin" else (32, 2)
    async with (
        listening(peer, handler),
        client(connections_per_origin=per_origin, connections_max=overall) as made,
    ):
        requests = [asyncio.create_task(post(made, peer.url)) for _ in range(5)]
        await asyncio.wait_for(two.wait(), 10)
        with pytest.raises(TimedOut, match=r"no connection to 127.0.0.1:\d+ came free within 0.05 s"):
            await post(made, peer.url, timeout_s=0.05)
        assert most == 2
        go_on.set()
        answers = await asyncio.gather(*requests)
    assert [answer.status for answer in answers] == [200] * 5
    assert most == 2
    assert peer.connections == 2


async def test_a_full_origin_does_not_hold_up_another() -> None:
    """A dead peer takes its own turns only."""
    async with silent() as dead, answering(OK) as alive, client(connections_per_origin=1) as made:
        stuck = [asyncio.create_task(post(made, dead.url)) for _ in range(3)]
        assert (await post(made, alive.url)).status == 200
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_cancelling_closes_the_connection_and_frees_the_turn() -> None:
    """A cancelled request leaves nothing behind."""
    async with silent() as peer, answering(OK) as other, client(connections_max=1) as made:
        task = asyncio.create_task(post(made, peer.url))
        await asyncio.wait_for(peer.asked.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(peer.client_left.wait(), 10)
        assert (await post(made, other.url)).status == 200


async def test_closing_ends_what_is_under_way_and_takes_no_more() -> None:
    """Closing fails requests under way, closes idle connections, may be repeated, and is final."""
    async with silent() as peer, answering(OK) as other, client() as made:
        await post(made, other.url)
        task = asyncio.create_task(post(made, peer.url))
        await asyncio.wait_for(peer.asked.wait(), 10)
        await made.close()
        await made.close()
        with pytest.raises(ConnectionLost, match="client is closed"):
            await task
        await asyncio.wait_for(peer.client_left.wait(), 10)
        await asyncio.wait_for(other.client_left.wait(), 10)
        with pytest.raises(ConnectionLost, match="client is closed"):
            await post(made, other.url)

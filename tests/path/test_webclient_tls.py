"""The outbound HTTP client over TLS, with certificates made here and real handshakes on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.certificates import self_signed
from trebuchet.webclient import AddressRules, Answer, TimedOut, TlsFailed, WebClient

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NAME = "hooks.example"


@pytest.fixture(scope="module", params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: production runs on uvloop where there is one."""
    return ("asyncio", {"use_uvloop": request.param})


class TlsPeer:
    """A listening TLS peer: its port, the names clients asked for (SNI), its connections."""

    def __init__(self) -> None:
        self.port = 0
        self.server_names: list[str | None] = []
        self.connections = 0


@asynccontextmanager
async def tls_peer(folder: Path, certificate: str, key: str) -> AsyncIterator[TlsPeer]:
    """Answers 200 to every request, over TLS with this certificate."""
    (folder / "certificate.pem").write_text(certificate)
    (folder / "key.pem").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    peer = TlsPeer()

    def note_name(_socket: object, name: str | None, _context: object) -> None:
        peer.server_names.append(name)

    context.set_servername_callback(note_name)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # The client has left.
        finally:
            writer.close()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def loopback(host: str) -> Sequence[str]:
    """Every name is this machine."""
    return ["127.0.0.1"]


def trusting(certificate: str) -> ssl.SSLContext:
    """A context as strict as Python's newest default, with this one authority."""
    context = ssl.create_default_context(cadata=certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


async def post(url: str, tls: ssl.SSLContext | None, *, times: int = 1, timeout_s: float = 10) -> Answer:
    made = WebClient(AddressRules(allow_loopback=True), resolver=loopback, tls=tls)
    try:
        for _ in range(times):
            answer = await made.post(url, b"[{}]", (), timeout_s=timeout_s, answer_max=100)
        return answer
    finally:
        await made.close()


async def test_a_trusted_certificate_of_the_right_name_is_accepted(tmp_path: Path) -> None:
    """With its authority given, the peer is called over TLS, with its name (SNI), and the connection kept."""
    certificate, key = self_signed(b"a" * 32, NAME)
    async with tls_peer(tmp_path, certificate, key) as peer:
        answer = await post(f"https://{NAME}:{peer.port}/x", trusting(certificate), times=3)
    assert (answer.status, answer.body) == (200, b"ok")
    assert peer.server_names == [NAME]
    assert peer.connections == 1


async def test_an_address_can_stand_in_the_certificate(tmp_path: Path) -> None:
    """A URL with an IP address is checked against the addresses of the certificate."""
    certificate, key = self_signed(b"b" * 32, "127.0.0.1")
    async with tls_peer(tmp_path, certificate, key) as peer:
        answer = await post(f"https://127.0.0.1:{peer.port}/x", trusting(certificate))
    assert answer.status == 200


async def test_a_closing_dot_of_the_host_is_not_part_of_its_certificate_name(tmp_path: Path) -> None:
    """A fully qualified name is checked without its dot."""
    certificate, key = self_signed(b"c" * 32, NAME)
    async with tls_peer(tmp_path, certificate, key) as peer:
        assert (await post(f"https://{NAME}.:{peer.port}/x", trusting(certificate))).status == 200


async def test_a_self_signed_certificate_is_refused_by_default(tmp_path: Path) -> None:
    """By default only the system's authorities are trusted; the text says whose certificate it was."""
    certificate, key = self_signed(b"d" * 32, NAME)
    async with tls_peer(tmp_path, certificate, key) as peer:
        with pytest.raises(
            TlsFailed, match=rf"^the certificate of {NAME}:{peer.port} \(127.0.0.1\) is not trusted"
        ):
            await post(f"https://{NAME}:{peer.port}/x", None)
    assert peer.connections == 0


@pytest.mark.parametrize("host", ["other.example", "127.0.0.1"])
async def test_a_certificate_of_another_name_is_refused(tmp_path: Path, host: str) -> None:
    """A trusted certificate is good for its own names only."""
    certificate, key = self_signed(b"e" * 32, NAME)
    async with tls_peer(tmp_path, certificate, key) as peer:
        with pytest.raises(TlsFailed, match=r"is not trusted: .*mismatch"):
            await post(f"https://{host}:{peer.port}/x", trusting(certificate))
    assert peer.connections == 0


async def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    """Trust ends with the certificate's time."""
    certificate, key = self_signed(b"f" * 32, NAME, until="20250201000000Z")
    async with tls_peer(tmp_path, certificate, key) as peer:
        with pytest.raises(TlsFailed, match="is not trusted: certificate has expired"):
            await post(f"https://{NAME}:{peer.port}/x", trusting(certificate))


@pytest.mark.parametrize(
    ("first_octets", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "^TLS with hooks"),
        (b"", "closed the connection during the TLS handshake"),
    ],
)
async def test_a_peer_without_tls_is_named(first_octets: bytes, words: str) -> None:
    """A plain HTTP port called with https, or one that hangs up, is told from a bad certificate."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(first_octets)
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TlsFailed, match=words):
        await post(f"https://{NAME}:{port}/x", None)
    server.close()


async def test_a_handshake_that_hangs_times_out() -> None:
    """The time-out covers the handshake, and its connection is closed."""
    client_left = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        client_left.set()
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TimedOut, match=rf"^no connection to {NAME}:{port} within 0.1 s$"):
        await post(f"https://{NAME}:{port}/x", None, timeout_s=0.1)
    await asyncio.wait_for(client_left.wait(), 10)
    server.close()

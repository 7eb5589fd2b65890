"""The outbound HTTP client over TLS, with certificates made here and real handshakes on loopback."""

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from trebuchet.webclient import AddressRules, Answer, TimedOut, TlsFailed, WebClient

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NAME = "hooks.example"


@pytest.fixture(scope="module", params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: production runs on uvloop where there is one."""
    return ("asyncio", {"use_uvloop": request.param})


# A self-signed certificate with nothing but the standard library: Ed25519 (RFC 8032 section 5.1) and just
# enough DER (X.690) for an X.509 certificate (RFC 5280, RFC 8410). The keys are for these tests only.

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_Point = tuple[int, int]


def _add(left: _Point, right: _Point) -> _Point:
    (x1, y1), (x2, y2) = left, right
    product = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, _P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, _P)
    return x % _P, y % _P


def _multiply(scalar: int) -> bytes:
    """The base point times `scalar`, encoded."""
    total, double = (0, 1), (_BASE_X, _BASE_Y)
    while scalar:
        if scalar & 1:
            total = _add(total, double)
        double = _add(double, double)
        scalar >>= 1
    return (total[1] | (total[0] & 1) << 255).to_bytes(32, "little")


def _ed25519(seed: bytes) -> tuple[int, bytes, bytes]:
    """Secret scalar, prefix of the nonces, public key."""
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    return scalar, digest[32:], _multiply(scalar)


def _sign(seed: bytes, message: bytes) -> bytes:
    scalar, prefix, public = _ed25519(seed)
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % _ORDER
    point = _multiply(nonce)
    challenge = int.from_bytes(hashlib.sha512(point + public + message).digest(), "little")
    return point + ((nonce + challenge * scalar) % _ORDER).to_bytes(32, "little")


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _extension(number: int, value: bytes, *, critical: bool = False) -> bytes:
    flag = b"\x01\x01\xff" if critical else b""
    return _der(0x30, _der(0x06, bytes((0x55, 0x1D, number))), flag, _der(0x04, value))


def _pem(kind: str, der: bytes) -> str:
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n"


def self_signed(seed: bytes, *names: str, until: str = "21260101000000Z") -> tuple[str, str]:
    """Certificate and private key in PEM. A name of digits and dots is taken for an IPv4 address."""
    public = _ed25519(seed)[2]
    algorithm = _der(0x30, _der(0x06, b"\x2b\x65\x70"))
    subject = _der(0x30, _der(0x31, _der(0x30, _der(0x06, b"\x55\x04\x03"), _der(0x0C, b"A peer of a test"))))
    alternatives = [
        _der(0x87, bytes(map(int, name.split("."))))
        if name.replace(".", "").isdigit()
        else _der(0x82, name.encode())
        for name in names
    ]
    key_id = hashlib.sha256(public).digest()[:20]
    body = _der(
        0x30,
        _der(0xA0, _der(0x02, b"\x02")),  # version 3
        _der(0x02, b"\x01" + key_id[:8]),  # serial number
        algorithm,
        subject,
        _der(0x30, _der(0x18, b"20250101000000Z"), _der(0x18, until.encode())),
        subject,
        _der(0x30, algorithm, _der(0x03, b"\x00", public)),
        _der(
            0xA3,
            _der(
                0x30,
                _extension(19, _der(0x30, b"\x01\x01\xff"), critical=True),  # basicConstraints: CA
                _extension(15, _der(0x03, b"\x02\x84"), critical=True),  # keyUsage: signature, keyCertSign
                _extension(14, _der(0x04, key_id)),  # subjectKeyIdentifier
                _extension(35, _der(0x30, _der(0x80, key_id))),  # authorityKeyIdentifier
                _extension(17, _der(0x30, *alternatives)),  # subjectAltName
            ),
        ),
    )
    certificate = _der(0x30, body, algorithm, _der(0x03, b"\x00", _sign(seed, body)))
    key = _der(0x30, b"\x02\x01\x00", algorithm, _der(0x04, _der(0x04, seed)))
    return _pem("CERTIFICATE", certificate), _pem("PRIVATE KEY", key)


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

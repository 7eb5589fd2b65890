"""HTTP peers on loopback whose every octet a test decides, and the outbound client made to meet them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from trebuchet.webclient import AddressRules, WebClient

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LOOPBACK = AddressRules(allow_loopback=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """A listening peer: its port, the requests it read, and how many connections it took."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []
        self.asked = asyncio.Event()
        self.client_left = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        """One whole request. Raises IncompleteReadError when the client has left."""
        head = await reader.readuntil(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"content-length: ")
        request = head + await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
        self.requests.append(request)
        return request


@asynccontextmanager
async def listening(peer: Peer, handler: Handler) -> AsyncIterator[Peer]:
    """Serve connections with `handler`; what the client closes on it is an ordinary end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer.connections += 1
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            peer.client_left.set()
        finally:
            writer.close()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def answering(*answers: bytes, then_close: bool = False) -> AsyncIterator[Peer]:
    """A peer that gives these answers on each connection, then the last one for ever or closes."""
    peer = Peer()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await peer.read_request(reader)
            writer.write(answer)
        while not then_close:
            await peer.read_request(reader)
            writer.write(answers[-1])

    async with listening(peer, handler):
        yield peer


@asynccontextmanager
async def silent() -> AsyncIterator[Peer]:
    """A peer that takes connections and reads, and never answers."""
    peer = Peer()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            peer.asked.set()
        peer.client_left.set()

    async with listening(peer, handler):
        yield peer


@asynccontextmanager
async def client(
    rules: AddressRules = LOOPBACK,
    *,
    resolver: "Names | None" = None,
    connections_per_origin: int = 32,
    connections_max: int = 512,
    keep_alive_s: float = 15.0,
    dns_keep_s: float = 5.0,
) -> AsyncIterator[WebClient]:
    made = WebClient(
        rules,
        resolver=resolver or Names("127.0.0.1"),
        connections_per_origin=connections_per_origin,
        connections_max=connections_max,
        keep_alive_s=keep_alive_s,
        dns_keep_s=dns_keep_s,
    )
    try:
        yield made
    finally:
        await made.close()


class Names:
    """A resolver: one answer per lookup, comma separated, the last one from then on."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [text for text in answer.split(",") if text]

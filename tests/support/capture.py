"""What passed between two programs, as a capture that tshark reads; and tshark's word on it."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT_S = 30.0
SMSC_PORT = 2775
RAW_IP = 101  # link type: packets begin with their IP header
SEGMENT_MAX = 1400  # octets in one TCP segment
PSH_ACK = 0x18
SYN = 0x02

Chunk = tuple[bool, bytes]  # to the server, and what was written


@dataclass
class Tap:
    """A port that forwards to another and remembers, connection by connection, what passed."""

    port: int = 0
    connections: list[list[Chunk]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def streams(self) -> list[bytes]:
        """Everything that went one way, and everything that went the other, of each connection."""
        return [
            b"".join(octets for direction, octets in chunks if direction is to_server)
            for chunks in self.connections
            for to_server in (True, False)
        ]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what has passed fulfils the condition."""
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def forward(
        self,
        to: tuple[str, int],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        chunks: list[Chunk] = []
        self.connections.append(chunks)
        far_reader, far_writer = await asyncio.open_connection(*to)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, to_server: bool) -> None:
            try:
                while octets := await source.read(65_536):
                    chunks.append((to_server, octets))
                    self._changed.set()
                    target.write(octets)
                    await target.drain()
            except ConnectionError:
                pass
            finally:
                target.close()

        await asyncio.gather(copy(reader, far_writer, True), copy(far_reader, writer, False))


@asynccontextmanager
async def tapped(port: int) -> AsyncIterator[Tap]:
    """A tap before a server on loopback."""
    tap = Tap()
    server = await asyncio.start_server(
        lambda reader, writer: tap.forward(("127.0.0.1", port), reader, writer), "127.0.0.1", 0
    )
    tap.port = server.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        server.close()


def write_pcap(path: Path, connections: Iterable[Iterable[Chunk]], to_port: int = SMSC_PORT) -> None:
    """Each connection as TCP from a port of its own to that port. Checksums are 0: nobody checks them here."""
    with path.open("wb") as file:
        file.write(struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, RAW_IP))
        for number, chunks in enumerate(connections):
            for packet in _packets((50_000 + number, to_port), chunks):
                file.write(struct.pack(">IIII", 0, 0, len(packet), len(packet)) + packet)


def _packets(ports: tuple[int, int], chunks: Iterable[Chunk]) -> Iterable[bytes]:
    sequence = {True: 1, False: 1}
    yield _packet(ports, True, 0, 0, SYN, b"")
    yield _packet(ports, False, 0, 1, SYN | 0x10, b"")
    for to_server, octets in chunks:
        for start in range(0, len(octets), SEGMENT_MAX):
            piece = octets[start : start + SEGMENT_MAX]
            yield _packet(ports, to_server, sequence[to_server], sequence[not to_server], PSH_ACK, piece)
            sequence[to_server] += len(piece)


def _packet(
    ends: tuple[int, int], to_server: bool, sequence: int, seen: int, flags: int, octets: bytes
) -> bytes:
    addresses = (b"\x0a\0\0\1", b"\x0a\0\0\2") if to_server else (b"\x0a\0\0\2", b"\x0a\0\0\1")
    ports = ends if to_server else ends[::-1]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(octets), 0, 0, 64, 6, 0) + b"".join(addresses)
    tcp = struct.pack(">HHIIBBHHH", *ports, sequence, seen, 0x50, flags, 65_535, 0, 0)
    return ip + tcp + octets


async def tshark(path: Path, *arguments: str, port: int = SMSC_PORT, protocol: str = "smpp") -> str:
    """What tshark prints of a capture, with everything on a port taken for a protocol."""
    process = await asyncio.create_subprocess_exec(
        "tshark",
        *("-r", str(path), "-n", "-d", f"tcp.port=={port},{protocol}", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def malformed(path: Path, *, port: int = SMSC_PORT, protocol: str = "smpp") -> str:
    """The frames that tshark finds fault with: malformed, or not to be made out."""
    faults = "_ws.malformed || _ws.short || _ws.expert.severity >= error"
    return await tshark(path, "-Y", faults, port=port, protocol=protocol)


async def fields(path: Path, names: Iterable[str]) -> list[list[list[str]]]:
    """For each frame with SMPP in it and each field: the values that it has there, in order."""
    wanted = [argument for name in names for argument in ("-e", name)]
    output = await tshark(
        path, "-Y", "smpp", "-T", "fields", "-E", "separator=/t", "-E", "aggregator=\x1f", *wanted
    )
    return [
        [value.split("\x1f") if value else [] for value in line.split("\t")] for line in output.splitlines()
    ]

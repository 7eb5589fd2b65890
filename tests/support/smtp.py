"""Both ends of SMTP for tests: our listener and what it took, a bare client, a peer that says what a test wants."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from trebuchet.smtp import ClientSettings, Envelope, ListenerSettings, Reply, SmtpListener, SmtpPool
from trebuchet.telemetry import Telemetry

HOST = "127.0.0.1"
NAME = "mms.b.example"
TIMEOUT_S = 10
MAIL_MAX = 100_000_000
TAKEN = Reply(250, "2.0.0 taken")
MAIL = b"Subject: x\r\n\r\nhello\r\n"
SENDER, RECIPIENT = "system-user@mms.a.example", "+12025550123/TYPE=PLMN@mms.b.example"

Handler = Callable[[Envelope], Awaitable[Reply]]


class Taker:
    """A listener on loopback, what it has taken, and what it answers."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.mails: list[Envelope] = []
        self.answer: Handler = self._take
        self.telemetry = Telemetry()
        self.port = 0
        mine: dict[str, Any] = {"host": HOST, "port": 0, "hostname": NAME, "allowed": ("127.0.0.0/8",)}
        self.listener = SmtpListener(
            ListenerSettings(**mine | settings), self._handle, telemetry=self.telemetry
        )

    async def _handle(self, envelope: Envelope) -> Reply:
        return await self.answer(envelope)

    async def _take(self, envelope: Envelope) -> Reply:
        self.mails.append(envelope)
        return TAKEN

    def problems(self, action: str) -> int:
        return self.telemetry.value("trebuchet_problems_total", action)


@asynccontextmanager
async def taking(**settings: Any) -> AsyncIterator[Taker]:
    """Our listener, started; stopped afterwards, with nothing left open."""
    taker = Taker(settings)
    taker.port = await taker.listener.start()
    try:
        yield taker
    finally:
        await taker.listener.stop()
        assert taker.listener.connections == 0


class Caller:
    """A client that writes exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, octets: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(octets)

    async def answer(self) -> str:
        """The next whole reply, its lines joined by newlines; "" at the connection's end."""
        lines: list[str] = []
        with suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT_S):
                while line := (await self.reader.readline()).decode():
                    lines.append(line.rstrip("\r\n"))
                    if line[3:4] != "-":
                        break
        return "\n".join(lines)

    async def rest(self) -> bytes:
        """Everything up to the connection's end."""
        said = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT_S):
                while octets := await self.reader.read(65_536):
                    said += octets
        return said

    async def say(self, line: str) -> str:
        self.write(line.encode("latin-1") + b"\r\n")
        return await self.answer()

    async def begin(self, *, recipients: int = 1, mail: str = f"MAIL FROM:<{SENDER}>") -> None:
        """Everything up to the answer to DATA."""
        assert (await self.say("EHLO mms.a.example")).startswith("250-")
        assert (await self.say(mail)).startswith("250")
        for _ in range(recipients):
            assert (await self.say(f"RCPT TO:<{RECIPIENT}>")).startswith("250")
        assert (await self.say("DATA")).startswith("354")

    async def hand_over(self, octets: bytes = MAIL) -> str:
        """A whole mail; the answer to it."""
        await self.begin()
        self.write(octets + b".\r\n")
        return await self.answer()

    def reset(self) -> None:
        """Vanish: the other side's next write, or read, fails."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def ended(self) -> bool:
        """Wait for the connection's end; False if something is said before."""
        return await self.answer() == ""


@asynccontextmanager
async def calling(port: int, *, greeted: bool = True) -> AsyncIterator[Caller]:
    """A bare client, its greeting read if there is to be one."""
    caller = Caller(*await asyncio.open_connection(HOST, port))
    try:
        if greeted:
            assert (await caller.answer()).startswith("220 ")
        yield caller
    finally:
        caller.writer.close()


class Cut(Exception):
    """A script's wish to break its connection."""


class ScriptedPeer:
    """A server that answers each command by the first word of its table, and the mail by `.`.

    An answer is a text, or a list whose entries are used up in turn, the last one for ever. In an answer,
    `CUT` breaks the connection instead, `CLOSE` does so after the text before it, `SILENT` says nothing.
    """

    def __init__(self, answers: dict[str, str | list[str]]) -> None:
        self.port = 0
        self.connections = 0
        self.commands: list[str] = []
        self.mails: list[bytes] = []
        self.heard = asyncio.Event()
        self._answers = {
            "GREETING": "220 mms.b.example",
            "EHLO": "250-mms.b.example\r\n250-8BITMIME\r\n250 SIZE 1000000",
            "MAIL": "250 ok",
            "RCPT": "250 ok",
            "DATA": "354 go on",
            ".": "250 taken",
            "RSET": "250 ok",
            "QUIT": "221 bye",
            **answers,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._answer(writer, "GREETING")
        while line := (await reader.readline()).decode("latin-1").strip():
            self.commands.append(line)
            word = line.partition(" ")[0]
            answer = self._answer(writer, word)
            if word == "DATA" and answer.startswith("354"):
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                self._answer(writer, ".")

    def _answer(self, writer: asyncio.StreamWriter, word: str) -> str:
        answer = self._answers.get(word, "502 what?")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        self.heard.set()
        if answer == "CUT":
            raise Cut
        if answer == "SILENT":
            return answer
        closes = answer.endswith("CLOSE")
        writer.write(answer.removesuffix("CLOSE").strip().encode() + b"\r\n")
        if closes:
            raise Cut
        return answer


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, limit: int = MAIL_MAX) -> AsyncIterator[int]:
    """A server on loopback; its port. What its clients do to it is no error."""
    tasks: set[asyncio.Task[None]] = set()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (Cut, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(once(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(take, HOST, 0, limit=limit)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def up_to_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The peer's part up to its answer to DATA, for a mail to one recipient."""
    for said in (b"220 b", b"250 b", b"250 ok", b"250 ok"):
        writer.write(said + b"\r\n")
        await reader.readline()
    writer.write(b"354 go on\r\n")


@asynccontextmanager
async def answering(**answers: str | list[str]) -> AsyncIterator[ScriptedPeer]:
    """A scripted peer on loopback; `end` stands for the mail's final dot."""
    peer = ScriptedPeer({"." if word == "end" else word.upper(): said for word, said in answers.items()})
    async with serving(peer.serve) as port:
        peer.port = port
        yield peer


@asynccontextmanager
async def pool(port: int, **settings: Any) -> AsyncIterator[SmtpPool]:
    """Our client for a peer on loopback."""
    mine: dict[str, Any] = {"host": HOST, "port": port, "hostname": "mms.a.example"}
    made = SmtpPool(ClientSettings(**mine | settings))
    try:
        yield made
    finally:
        await made.close()
        assert made.connections == 0


def envelope(octets: bytes = MAIL, *recipients: str, mail_from: str = SENDER) -> Envelope:
    """A mail of ours, to one recipient unless others are named."""
    return Envelope(mail_from=mail_from, rcpt_tos=recipients or (RECIPIENT,), octets=octets)

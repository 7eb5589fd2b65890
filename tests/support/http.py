"""A small HTTP client and a catcher of callbacks, on plain sockets, so that the tests judge what is on the wire."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def request(
    method: str,
    url: str,
    *,
    json_body: Any = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """One request on a connection of its own."""
    parts = urlsplit(url)
    content = json.dumps(json_body).encode() if json_body is not None else body
    given = {"Host": parts.netloc, "Connection": "close", **(headers or {})}
    if json_body is not None:
        given.setdefault("Content-Type", "application/json")
    if content is not None:
        given.setdefault("Content-Length", str(len(content)))
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in given.items()
    )
    async with asyncio.timeout(timeout_s):
        return await raw(parts.hostname or "", parts.port or 80, head.encode() + b"\r\n" + (content or b""))


async def raw(host: str, port: int, octets: bytes) -> Answer:
    """Write octets as they are and read one answer."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(octets)
        return await read_answer(reader)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """One answer; interim ones that come before it are passed over."""
    status = 100
    while status < 200:
        status_line, headers = await _read_head(reader)
        status = int(status_line.split(" ", 2)[1])
    return Answer(status, headers, await _read_body(reader, headers, until_eof=True))


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str], *, until_eof: bool) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
        return body
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read() if until_eof else b""


@dataclass
class Caught:
    """One callback as it arrived."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        (event,) = json.loads(self.body)
        return event


@dataclass
class Catcher:
    """An application's endpoint. `answer` decides the status of each callback; 200 unless replaced."""

    url: str = ""
    caught: list[Caught] = field(default_factory=list)
    answer: Callable[[Caught], int | bytes] = lambda _: 200
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def events(self, message_id: str | None = None, type_: str | None = None) -> list[Any]:
        return [
            caught.event
            for caught in self.caught
            if (message_id is None or caught.event["message"]["id"] == message_id)
            and (type_ is None or caught.event["type"] == type_)
        ]

    async def wait_for(self, condition: Callable[["Catcher"], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Wait until what was caught fulfils the condition."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def wait_for_count(self, count: int) -> None:
        """Wait until so many callbacks have arrived."""
        await self.wait_for(lambda catcher: len(catcher.caught) >= count)

    async def wait_for_event(self, message_id: str, type_: str | None = None) -> Any:
        await self.wait_for(lambda catcher: bool(catcher.events(message_id, type_)))
        return self.events(message_id, type_)[0]

    async def wait_for_event_of(self, type_: str) -> Any:
        """The first event of a type, whichever message it is about."""
        await self.wait_for(lambda catcher: bool(catcher.events(type_=type_)))
        return self.events(type_=type_)[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                _, headers = await _read_head(reader)
                caught = Caught(headers, await _read_body(reader, headers, until_eof=False))
                async with self._changed:
                    self.caught.append(caught)
                    self._changed.notify_all()
                answer = self.answer(caught)
                if isinstance(answer, int):
                    answer = f"HTTP/1.1 {answer} X\r\nContent-Length: 0\r\n\r\n".encode()
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def catching(port: int = 0) -> AsyncIterator[Catcher]:
    """A catcher that listens on loopback."""
    catcher = Catcher()
    server = await asyncio.start_server(catcher.serve, "127.0.0.1", port)
    catcher.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callbacks"
    try:
        yield catcher
    finally:
        server.close()

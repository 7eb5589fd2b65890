"""Hints between processes over LISTEN and NOTIFY: something was committed that another process may care for.

A hint is sent after its commit and may be lost; whoever waits for one looks by itself now and then. Those of a moment
share one NOTIFY, for each takes a lock of the whole database.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from asyncpg import exceptions

from trebuchet.errors import StorageUnavailable
from trebuchet.storage.postgres import connecting
from trebuchet.storage.postgres.connecting import Connection

_CHANNEL: Final = "trebuchet"
_GATHER_S: Final = 0.005
_AGAIN_S: Final = 1.0
_PAYLOAD_MAX: Final = 7_000  # octets; the server takes less than 8,000
_WAITING_MAX: Final = 10_000  # topics; more are told by nobody, and found by looking

_decode = msgspec.json.Decoder(list[str]).decode


class Hints:
    """Tells and hears them on a connection of its own, made again whenever it is lost. `slot` is the sender."""

    def __init__(self, url: str, slot: str) -> None:
        self._url = url
        self._slot = slot
        self._heard: Callable[[str], None] | None = None
        self._topics: dict[str, None] = {}
        self._some = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._running is not None:
            running, self._running = self._running, None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def listen(self, heard: Callable[[str], None]) -> None:
        self._heard = heard

    def tell(self, topics: Iterable[str]) -> None:
        if len(self._topics) < _WAITING_MAX:
            self._topics.update(dict.fromkeys(topics))
            self._some.set()

    async def _run(self) -> None:
        while True:
            try:
                connection = await connecting.connect(self._url)
                try:
                    await self._talk(connection)
                finally:
                    connection.terminate()
            except (StorageUnavailable, exceptions.PostgresError, *connecting.LOST):
                await asyncio.sleep(_AGAIN_S)

    async def _talk(self, connection: Connection) -> None:
        await connection.add_listener(_CHANNEL, self._notified)
        while True:
            await self._some.wait()
            await asyncio.sleep(_GATHER_S)
            self._some.clear()
            for payload in _payloads(self._slot, self._take()):
                await connection.execute("SELECT pg_notify($1, $2)", _CHANNEL, payload)

    def _take(self) -> list[str]:
        topics, self._topics = list(self._topics), {}
        return topics

    def _notified(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        try:
            sender, *topics = _decode(str(payload))
        except (msgspec.DecodeError, ValueError):
            return  # of somebody else's program
        if sender != self._slot and self._heard is not None:
            for topic in topics:
                self._heard(topic)


def _payloads(slot: str, topics: list[str]) -> list[str]:
    """Topics in as few payloads as they fit into, each with its sender. One that is too long by itself is left out."""
    payloads: list[str] = []
    batch = [slot]
    size = len(slot)
    for topic in topics:
        octets = len(msgspec.json.encode(topic)) + 1
        if octets > _PAYLOAD_MAX:
            continue
        if size + octets > _PAYLOAD_MAX:
            payloads.append(msgspec.json.encode(batch).decode())
            batch, size = [slot], len(slot)
        batch.append(topic)
        size += octets
    return [*payloads, msgspec.json.encode(batch).decode()] if len(batch) > 1 else payloads

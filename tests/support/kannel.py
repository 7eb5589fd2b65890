"""Kannel, the C gateway that most of the field knows: its bearerbox as an ESME, its smsbox for HTTP in and out."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import which
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from support.http import Answer, request
from support.peers import TIMEOUT_S, Peer, peer
from support.ports import free_port

SYSTEM_ID, PASSWORD = "kannel", "secret"
DELIVERED, FAILED, TAKEN, REFUSED = 1, 2, 8, 16  # what %d of a dlr-url says

CONFIGURATION = """
group = core
admin-port = {admin}
admin-password = admin
smsbox-port = {boxes}
box-allow-ip = "127.0.0.1"
admin-allow-ip = "127.0.0.1"
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = trebuchet
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = {system_id}
smsc-password = {password}
system-type = ""
reconnect-delay = 1

group = smsbox
smsbox-id = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {http}

group = smsbox-route
smsbox-id = smsbox
smsc-id = trebuchet

group = sendsms-user
username = user
password = pass
max-messages = 10
concatenation = true

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "{typed}"
"""

Fields = dict[str, str]


class Endpoint:
    """What Kannel calls by GET: the fields of each call."""

    def __init__(self) -> None:
        self.calls: list[Fields] = []
        self.url = ""
        self._changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:  # a connection that it kept for another call
            writer.close()
            return
        _, target, _ = head.split(" ", 2)
        async with self._changed:
            query = urlsplit(target).query
            self.calls.append(dict(parse_qsl(query, keep_blank_values=True, encoding="latin-1")))
            self._changed.notify_all()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def until(self, count: int = 1, **fields: str) -> list[Fields]:
        """Wait for so many calls with these fields."""

        def found() -> list[Fields]:
            return [call for call in self.calls if fields.items() <= call.items()]

        try:
            async with asyncio.timeout(TIMEOUT_S), self._changed:
                await self._changed.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            raise AssertionError(f"no {count} × {fields} in {self.calls}") from None
        return found()


def text_of(call: Fields) -> str:
    """What a handset typed: UTF-16 where Kannel says Unicode."""
    octets = call["text"].encode("latin-1")
    return octets.decode("utf-16-be" if call["coding"] == "2" else "utf-8")


class Kannel:
    """Both boxes, and the endpoint that they call."""

    def __init__(self, bearerbox: Peer, endpoint: Endpoint, http_port: int) -> None:
        self.bearerbox = bearerbox
        self.endpoint = endpoint
        self._url = f"http://127.0.0.1:{http_port}/cgi-bin/sendsms"

    async def submit(self, name: str, source: str, destination: str, text: str) -> Answer:
        """Hand it a message; its reports come to the endpoint with `name`."""
        report = f"{self.endpoint.url}/report?name={quote(name)}&type=%d&id=%F"
        fields = {
            "username": "user",
            "password": "pass",
            "from": source,
            "to": destination,
            "text": text,
            "charset": "UTF-8",
            "coding": "0" if text.isascii() else "2",
            "dlr-mask": "31",
            "dlr-url": report,
        }
        return await request("GET", f"{self._url}?{urlencode(fields)}")


def _command(name: str, configuration: Path) -> list[str]:
    """The command of a box, which Debian installs where only root looks."""
    found = which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"]))
    assert found is not None, name
    return [found, "-v", "0", str(configuration)]


@asynccontextmanager
async def running(smsc_port: int, folder: Path, password: str = PASSWORD) -> AsyncIterator[Kannel]:
    """Kannel with one link to an SMSC on this port, started and not yet bound."""
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    ports = {"admin": free_port(), "boxes": free_port(), "http": free_port(), "smsc": smsc_port}
    typed = f"{endpoint.url}/typed?from=%p&to=%P&coding=%c&text=%b"
    configuration = folder / "kannel.conf"
    configuration.write_text(
        CONFIGURATION.format(system_id=SYSTEM_ID, password=password, typed=typed, **ports)
    )
    box, sms = (_command(name, configuration) for name in ("bearerbox", "smsbox"))
    try:
        async with peer(box, folder, logs=True) as bearerbox:
            await bearerbox.until_line("MAIN: Start-up done")
            async with peer(sms, folder, logs=True):
                # Not "Connected": a smsbox that is asked before it has said its name falls over.
                await bearerbox.until_line("got boxc_id <smsbox>")
                yield Kannel(bearerbox, endpoint, ports["http"])
    finally:
        server.close()

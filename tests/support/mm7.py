"""An MMSC written out by hand: it keeps what is posted to it, answers as it is told, and posts to the VASP.

Its SOAP is text, so that what the gateway writes and reads is not judged by the gateway's own codec.
"""

import asyncio
import email
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from support.gateway import Gateway
from support.http import Answer, request
from support.ports import free_port

NAMESPACE = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
OLD_NAMESPACE = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-5-MM7-1-0"


def envelope(transaction_id: str, body: str, namespace: str = NAMESPACE) -> bytes:
    """One SOAP document; `body` is what stands in its Body, in the namespace."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header>'
        f'<mm7:TransactionID xmlns:mm7="{namespace}" soap:mustUnderstand="1">{transaction_id}</mm7:TransactionID>'
        f'</soap:Header><soap:Body xmlns="{namespace}">{body}</soap:Body></soap:Envelope>'
    ).encode()


def submit_response(status: int, message_id: str = "") -> str:
    """The body of a SubmitRsp."""
    named = f"<MessageID>{message_id}</MessageID>" if message_id else ""
    return (
        "<SubmitRsp><MM7Version>6.8.0</MM7Version>"
        f"<Status><StatusCode>{status}</StatusCode><StatusText>so it is</StatusText></Status>{named}</SubmitRsp>"
    )


@dataclass(frozen=True)
class Submitted:
    """One request of the VASP: its HTTP headers, the text of its SOAP, and the content's leaves."""

    headers: Mapping[str, str]
    soap: str
    parts: tuple[Message, ...]

    def values(self, name: str) -> list[str]:
        """The text of each element of this name."""
        return re.findall(rf"<{name}(?: [^>]*)?>([^<]*)</{name}>", self.soap)

    @property
    def transaction_id(self) -> str:
        return self.values("TransactionID")[0]


Reply = tuple[int, bytes] | None  # HTTP status and document; None: hang up without an answer


@dataclass
class Mmsc:
    port: int
    vasp_port: int
    submitted: list[Submitted] = field(default_factory=list)
    answer: Callable[["Mmsc", Submitted], Reply] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mm7"

    def settings(self, **more: Any) -> dict[str, Any]:
        """Of a carrier record whose MMSC this is."""
        return {
            "url": self.url,
            "vasp_id": "tre",
            "vas_id": "buchet",
            "listen_host": "127.0.0.1",
            "listen_port": self.vasp_port,
            "listen_from": ["127.0.0.1"],
            **more,
        }

    async def until(self, count: int) -> list[Submitted]:
        """What was submitted, once there is so much."""
        async with asyncio.timeout(20):
            while len(self.submitted) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.submitted

    async def post(
        self, document: bytes, content_type: str = "text/xml", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """To the VASP's port."""
        url = f"http://127.0.0.1:{self.vasp_port}/mm7"
        return await request(
            "POST", url, body=document, headers={"Content-Type": content_type, **(headers or {})}
        )

    async def report(self, message_id: str, number: str, status: str, transaction_id: str = "r-1") -> Answer:
        body = (
            "<DeliveryReportReq><MM7Version>6.8.0</MM7Version><MMSRelayServerID>r</MMSRelayServerID>"
            f"<MessageID>{message_id}</MessageID><Recipient><Number>{number}</Number></Recipient>"
            "<Sender><Number>+12345678901</Number></Sender><Date>2026-11-23T12:00:00Z</Date>"
            f"<MMStatus>{status}</MMStatus></DeliveryReportReq>"
        )
        return await self.post(envelope(transaction_id, body))

    # ---- its side of HTTP ----

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                pairs = (line.partition(":") for line in lines[1:] if line)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                if lines[0].startswith("GET "):
                    writer.write(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
                    continue
                submitted = _submitted(headers, body)
                self.submitted.append(submitted)
                self.changed.set()
                replied = (self.answer or taken)(self, submitted)
                if replied is None:
                    return
                status, document = replied
                length = f"Content-Type: text/xml\r\nContent-Length: {len(document)}"
                writer.write(f"HTTP/1.1 {status} So\r\n{length}\r\n\r\n".encode() + document)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def taken(mmsc: Mmsc, submitted: Submitted) -> Reply:
    """Success, under an id that says which request it was."""
    return 200, envelope(submitted.transaction_id, submit_response(1000, f"m-{len(mmsc.submitted)}"))


def refusing(status: int, http_status: int = 200) -> Callable[[Mmsc, Submitted], Reply]:
    def answer(_: Mmsc, submitted: Submitted) -> Reply:
        return http_status, envelope(submitted.transaction_id, submit_response(status))

    return answer


def _submitted(headers: Mapping[str, str], body: bytes) -> Submitted:
    mail = email.message_from_bytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
    first, *leaves = [part for part in mail.walk() if not part.is_multipart()]
    soap = first.get_payload(decode=True)
    assert isinstance(soap, bytes)
    return Submitted(headers, soap.decode(), tuple(leaves))


@asynccontextmanager
async def mmsc() -> AsyncIterator[Mmsc]:
    """Listening on loopback; its VASP's port is one that was free."""
    made = Mmsc(0, free_port())
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def connect(gateway: Gateway, peer: Mmsc, **more: Any) -> None:
    """A carrier record, and a route for all pictures and groups."""
    record = {k: more.pop(k) for k in ("in_doubt",) if k in more}
    carrier = {"id": "mmsc", "kind": "mm7", "settings": peer.settings(**more), **record}
    created = await gateway.admin("POST", "/carriers", carrier)
    assert created.status == 201, created.body
    route = {"id": "mms-to-mmsc", "carrier_id": "mmsc", "kind": "mms", "priority": 1}
    assert (await gateway.admin("POST", "/routes", route)).status == 201

"""`trebuchet simulate mmsc` as its users run it, with a gateway as its peer, and in this process with a bare peer."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from support.gateway import Gateway, running
from support.http import Answer, Catcher, catching, request
from support.mm4_pair import connect
from support.ports import free_port
from support.smtp import Taker, taking
from trebuchet.protocols import mm4
from trebuchet.smtp import ClientSettings, Envelope, Reply, SmtpPool, Submitted
from trebuchet.testing import RunningMmsc, mmsc

T = TypeVar("T", mm4.ForwardRes, mm4.DeliveryReportReq)
OURS = "+12345678901"
WAIT_S = 20.0
QUICK = ("--delay-min-ms", "1", "--delay-max-ms", "5")


class MmscProcess:
    """A started command: what it said, and the handsets' API."""

    def __init__(
        self, process: asyncio.subprocess.Process, said: Mapping[str, Any], options: tuple[str, ...]
    ) -> None:
        self.options = options  # to start it once more
        self.port = int(said["port"])
        self.domain = str(said["domain"])
        self.url = str(said["handsets"])
        self.mm7_port = urlsplit(str(said.get("mm7", ""))).port or 0
        self._process = process

    async def sim(self, method: str, path: str, body: Any = None) -> Answer:
        return await request(method, f"{self.url}/sim/v1{path}", json_body=body)

    async def shown(self, handset: str, contains: str = "") -> list[dict[str, Any]]:
        """What a handset shows, once it shows something that contains this."""
        query = f"?wait=10s&contains={contains}"
        found = (await self.sim("GET", f"/handsets/%2B{handset[1:]}/messages{query}")).json
        assert isinstance(found, list), found
        return found

    async def type(self, handset: str, **message: Any) -> Answer:
        return await self.sim("POST", f"/handsets/%2B{handset[1:]}/messages", message)

    async def next_line(self) -> Any:
        """What it says next."""
        assert self._process.stdout is not None
        return json.loads(await asyncio.wait_for(self._process.stdout.readline(), WAIT_S))

    async def kill(self) -> None:
        """SIGKILL: nothing of its own runs any more."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM. Returns the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), WAIT_S)


@asynccontextmanager
async def mmsc_process(*options: str) -> AsyncIterator[MmscProcess]:
    """The command on free ports; killed at the end whatever happened."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trebuchet", "simulate", "mmsc", "--json", "--port", "0", "--http-port", "0"),
        *(*QUICK, *options),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = json.loads(await asyncio.wait_for(process.stdout.readline(), WAIT_S))
        assert said["event"] == "listening"
        yield MmscProcess(process, said, options)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def gateway_and_mmsc(
    tmp_path: Path, *options: str, **carrier: Any
) -> AsyncIterator[tuple[Gateway, Catcher, MmscProcess]]:
    """`trebuchet serve --demo` with the MMSC as its carrier of pictures and groups."""
    ours = free_port()
    async with (
        catching() as catcher,
        mmsc_process("--peer-port", str(ours), *options) as mmsc,
        running(tmp_path, {"callbacks.retry_first_s": 1}, catcher.url) as gateway,
    ):
        settings = {
            "host": "127.0.0.1",
            "port": mmsc.port,
            "domain": mmsc.domain,
            "our_domain": "mms.gateway.example",
            "listen_host": "127.0.0.1",
            "listen_port": ours,
            "listen_from": ["127.0.0.1"],
        }
        await connect(gateway, {**settings, **carrier})
        yield gateway, catcher, mmsc


class Relay:
    """A peer of the MMSC that only a test steers: it forwards what it is told, and keeps all that it is sent."""

    def __init__(self, taker: Taker) -> None:
        self.said: list[mm4.Pdu] = []
        self.refusals: list[Reply] = []  # of the next mails, before any is taken
        self.request_status = "Ok"  # of what handsets type; "": no answer
        self.pool: SmtpPool | None = None
        self._forwards = 0
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        taker.answer = self._take

    async def _take(self, envelope: Envelope) -> Reply:
        if self.refusals:
            return self.refusals.pop(0)
        message = mm4.decode(envelope.octets)
        self.said.append(message)
        self._changed.set()
        if isinstance(message, mm4.ForwardReq) and self.request_status:
            task = asyncio.create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return Reply(250, "2.0.0 taken")

    async def _answer(self, request: mm4.ForwardReq) -> None:
        answer = mm4.answer(
            request, self.request_status, system="relay@mms.gateway.example", mail_id="a@b.example", date_s=0
        )
        await self._hand_over(answer, answer.to)

    async def _hand_over(
        self, message: mm4.Pdu, *rcpt_tos: str, mail_from: str = "relay@mms.gateway.example"
    ) -> Submitted:
        assert self.pool is not None
        octets = mm4.encode(message, "boundary")
        return await self.pool.submit(Envelope(mail_from=mail_from, rcpt_tos=rcpt_tos, octets=octets))

    async def forward(
        self,
        text: str,
        *to: str,
        message_id: str = "",
        media: tuple[mm4.MimePart, ...] = (),
        mail_from: str = "relay@mms.gateway.example",
        **fields: Any,
    ) -> str:
        """Forward a message and return its id. Raises SmtpError."""
        self._forwards += 1
        message_id = message_id or f"message-{self._forwards}@mms.gateway.example"
        given: dict[str, Any] = {
            "transaction_id": f"transaction-{self._forwards}",
            "message_id": message_id,
            "source": mm4.Address(mm4.Kind.PHONE, OURS),
            "to": tuple(mm4.Address(mm4.Kind.PHONE, each) for each in to),
            "originator_system": "relay@mms.gateway.example",
            "ack_request": True,
            "delivery_report": True,
            "parts": mm4.presentation(media, text),
        }
        await self._hand_over(
            mm4.ForwardReq(**{**given, **fields}),
            *(f"{each}/TYPE=PLMN@mms.handsets.example" for each in to),
            mail_from=mail_from,
        )
        return message_id

    async def answers(self, message_id: str, count: int = 1) -> list[mm4.ForwardRes]:
        """What was answered to a forward, once there is so much."""
        return await self._about(mm4.ForwardRes, message_id, count)

    async def reports(self, message_id: str, count: int = 1) -> list[mm4.DeliveryReportReq]:
        """What was reported of it."""
        return await self._about(mm4.DeliveryReportReq, message_id, count)

    async def _about(self, kind: type[T], message_id: str, count: int) -> list[T]:
        async with asyncio.timeout(WAIT_S):
            while True:
                found = [s for s in self.said if isinstance(s, kind) and s.message_id == message_id]
                if len(found) >= count:
                    return found
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def relay_and_mmsc(**settings: Any) -> AsyncIterator[tuple[Relay, RunningMmsc]]:
    """The MMSC in this process, and its peer."""
    async with taking() as taker:
        relay = Relay(taker)
        async with mmsc(**{"peer_port": taker.port, **settings}) as running_mmsc:
            relay.pool = SmtpPool(
                ClientSettings(host="127.0.0.1", port=running_mmsc.port, hostname="mms.gateway.example")
            )
            try:
                yield relay, running_mmsc
            finally:
                await relay.pool.close()

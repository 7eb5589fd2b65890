"""The gateway as its users run it: a process, started by its command line, that can be killed."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.databases import database_of
from support.http import Answer, basic, request

READY_S = 20.0

# The documented values of `serve --demo`.
ACCOUNT = "u-demo"
TOKEN = "t-demo"
SECRET = "s-demo"
APPLICATION = "93de2206-9669-4e07-948d-329f4b722ee2"
NUMBER = "+12345678901"
OTHER_NUMBER = "+12025550100"
HANDSET = "+12025550123"
ADMIN_TOKEN = "admin-demo"


# -P: its own folder, which has a module `http`, stays out of the way.
CRASHING = ("-P", str(Path(__file__).parent / "crashing_gateway.py"))


class Gateway:
    """One `trebuchet serve --demo` over one data folder."""

    def __init__(
        self, data: Path, settings: Mapping[str, Any] | None = None, callback_url: str | None = None
    ) -> None:
        self.data = data
        self.settings = dict(settings or {})
        self.callback_url = callback_url
        self.url = ""
        self.port = 0  # any
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it answers; its output is in `DATA/output.txt`."""
        (self.data / "gateway.json").unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "trebuchet",
            "serve",
            "--demo",
            "--data",
            str(self.data),
            "--port",
            str(self.port),
        ]
        if self.callback_url is not None:
            command += ["--callback-url", self.callback_url]
        database = {"storage.database": url} if (url := await database_of(self.data)) else {}
        for name, value in {**database, **self.settings}.items():
            command += ["--set", f"{name}={value}"]
        with (self.data / "output.txt").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=output, stderr=output, env={**os.environ, "NO_COLOR": "1"}
            )
        await self._until_ready()

    async def attach(self, process: asyncio.subprocess.Process) -> None:
        """Speak to a gateway that somebody else started on this data folder; wait until it answers."""
        self._process = process
        await self._until_ready()

    async def _until_ready(self) -> None:
        assert self._process is not None
        async with asyncio.timeout(READY_S):
            while not (found := self._running()):
                if self._process.returncode is not None:
                    raise AssertionError(f"the gateway ended: {self.output()}")
                await asyncio.sleep(0.02)
        self.url = found

    def _running(self) -> str:
        """Its URL, once it has written that it is ready."""
        path = self.data / "gateway.json"
        if not path.exists():
            return ""
        found = json.loads(path.read_text())
        assert self._process is not None
        return str(found["url"]) if found["pid"] == self._process.pid else ""

    def output(self) -> str:
        path = self.data / "output.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def ended(self) -> int:
        """Wait until it has ended by itself. Returns the exit status."""
        assert self._process is not None
        return await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL: nothing of its own runs any more."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, as an operator stops it. Returns the exit status."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self._process.wait()

    # ---- what its users ask of it ----

    async def send(self, text: str = "hello", to: Any = HANDSET, **fields: Any) -> Answer:
        """POST a message as the demo account. A field given as None is left out."""
        body = {"from": NUMBER, "to": to, "text": text, "applicationId": APPLICATION, **fields}
        return await request(
            "POST",
            f"{self.url}/v2/users/{ACCOUNT}/messages",
            json_body={name: value for name, value in body.items() if value is not None},
            headers=basic(TOKEN, SECRET),
        )

    async def admin(self, method: str, path: str, body: Any = None) -> Answer:
        return await request(
            method,
            f"{self.url}/admin/v1{path}",
            json_body=body,
            headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
        )

    async def life(self, message_id: str) -> Any:
        return (await self.admin("GET", f"/messages/{message_id}?text=true")).json

    async def sim(self, method: str, path: str, body: Any = None) -> Answer:
        return await request(method, f"{self.url}/sim/v1{path}", json_body=body)


@asynccontextmanager
async def running(
    data: Path, settings: Mapping[str, Any] | None = None, callback_url: str | None = None
) -> AsyncIterator[Gateway]:
    """A started gateway, killed at the end whatever happened."""
    gateway = Gateway(data, settings, callback_url)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.kill()

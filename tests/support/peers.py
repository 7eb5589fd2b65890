"""Foreign peers as processes: events come out of them as lines, commands go in, and none outlives its test."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

TIMEOUT_S = 30.0
INTEROP = Path(__file__).parents[1] / "interop"

Event = dict[str, Any]


def node(script: str, **plan: Any) -> list[str]:
    """The command of a peer in `interop/node`."""
    return ["node", str(INTEROP / "node" / script), json.dumps(plan)]


def python(script: str, **plan: Any) -> list[str]:
    """The command of a peer in `interop/smpp`."""
    return [sys.executable, str(INTEROP / "smpp" / script), json.dumps(plan)]


class Peer:
    """One process and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self.events: list[Event] = []
        self._process = process
        self._errors = errors
        self._silent = False  # for ever
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._changed:
                self.events.append(_event(line.decode(errors="replace").rstrip("\n")))
                self._changed.notify_all()
        async with self._changed:
            self._silent = True
            self._changed.notify_all()

    def said(self, event: str, **fields: Any) -> list[Event]:
        """Every event so far of this name and with these fields."""
        wanted = {"event": event, **fields}
        return [each for each in self.events if wanted.items() <= each.items()]

    async def wait_for(self, condition: Callable[[], bool], words: str) -> None:
        """Wait until what it said fulfils the condition; fails with `words` if it ends before."""
        try:
            async with asyncio.timeout(TIMEOUT_S), self._changed:
                await self._changed.wait_for(lambda: condition() or self._silent)
        except TimeoutError:
            raise AssertionError(f"no {words}: {self.story()}") from None
        assert condition(), f"it ended before {words}: {self.story()}"

    async def until(self, event: str, count: int = 1, **fields: Any) -> list[Event]:
        """Wait until it has said this so often; every such event."""
        await self.wait_for(lambda: len(self.said(event, **fields)) >= count, f"{count} × {event} {fields}")
        return self.said(event, **fields)

    async def until_line(self, words: str) -> None:
        """Wait for a line of plain output with these words in it."""
        await self.wait_for(lambda: any(words in line["text"] for line in self.said("line")), words)

    def story(self) -> str:
        """What it said and what it complained of."""
        errors = self._errors.read_text(errors="replace")
        return "\n".join([*map(json.dumps, self.events), errors])

    def tell(self, do: str, **fields: Any) -> None:
        """Give it a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")

    async def ended(self) -> None:
        """Wait until it has ended by itself, without fault."""
        async with asyncio.timeout(TIMEOUT_S):
            assert await self._process.wait() == 0, self.story()

    async def kill(self) -> None:
        """SIGKILL: its connections end and its port is free."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader

    async def stop(self) -> None:
        """SIGTERM, as an operator stops it; fails if it does not end by that."""
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), TIMEOUT_S)
        except TimeoutError:
            raise AssertionError(f"it does not end: {self.story()}") from None


def _event(line: str) -> Event:
    """A line of JSON, or any other line as it is."""
    return dict(json.loads(line)) if line.startswith("{") else {"event": "line", "text": line}


@asynccontextmanager
async def peer(command: list[str], folder: Path, *, logs: bool = False) -> AsyncIterator[Peer]:
    """A started peer, ended at the end whatever happened.

    What it complains of goes to a file in `folder`; with `logs`, to its lines.
    """
    errors = folder / f"{Path(command[0] if logs else command[1]).stem}.err"
    with errors.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT if logs else output,
        )
    found = Peer(process, errors)
    try:
        yield found
    finally:
        await found.kill()

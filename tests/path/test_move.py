"""`trebuchet move`, as an operator uses it: the old gateway is stopped or killed, the new one has everything."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from support.gateway import Gateway
from support.http import catching
from support.kills import all_called_back, one_final_event_each, send_until_it_dies
from support.postgres import PostgresServer
from support.smsc import listening

pytestmark = [pytest.mark.anyio, pytest.mark.sqlite]

REFUSED_BIND = 13  # ESME_RBINDFAIL
MESSAGES = 60


async def move(*words: str) -> tuple[int, str]:
    """The command's exit code and all that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "trebuchet",
        "move",
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    return await process.wait(), printed.decode()


async def test_what_waited_in_the_file_is_delivered_from_the_database(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """A gateway is killed with a full queue, moved and started on PostgreSQL: every message goes out once."""
    url = await postgres.new_database()
    accepted: dict[str, str] = {}
    settings: dict[str, Any] = {"callbacks.retry_first_s": 1}
    async with listening() as smsc, catching() as catcher:
        smsc.reports = True
        smsc.bind_status = REFUSED_BIND
        gateway = Gateway(tmp_path, settings, catcher.url)
        await gateway.start()
        link = {"host": "127.0.0.1", "port": smsc.port, "system_id": "esme", "reconnect_min_s": 1}
        carrier = {"id": "acme", "kind": "smpp", "settings": link}
        assert (await gateway.admin("POST", "/carriers", carrier)).status == 201
        route = {"id": "all-to-acme", "carrier_id": "acme", "priority": 1}
        assert (await gateway.admin("POST", "/routes", route)).status == 201
        await send_until_it_dies(gateway, MESSAGES, accepted, "run")
        code, printed = await move("--data", str(tmp_path), "--to", url)
        assert (code, "another gateway has the folder" in printed) == (1, True)
        await gateway.kill()

        code, printed = await move("--data", str(tmp_path), "--to", url, "--dry-run")
        assert (code, "nothing was changed" in printed) == (0, True)
        code, printed = await move("--data", str(tmp_path), "--to", url)
        assert (code, "every count agrees" in printed) == (0, True)
        assert f"outbox: {MESSAGES} rows" in printed
        assert not (tmp_path / "trebuchet.sqlite3").exists()
        assert (tmp_path / "trebuchet.sqlite3.moved").exists()

        smsc.bind_status = 0
        again = Gateway(tmp_path, {**settings, "storage.database": url}, catcher.url)
        await again.start()
        await all_called_back(catcher, accepted)
        one_final_event_each(catcher)
        assert sorted(smsc.texts) == sorted(f"message {tag}".encode() for tag in accepted.values())
        assert await again.stop() == 0


async def test_the_command_says_what_is_wrong_with_its_urls(tmp_path: Path) -> None:
    """No target, a target of no engine, a source that is not there, a server that does not answer."""
    here = ("--data", str(tmp_path))
    code, printed = await move(*here)
    assert (code, "--to postgresql://" in printed) == (2, True)
    code, printed = await move(*here, "--to", "mysql://host/name")
    assert (code, "--to postgresql://" in printed) == (2, True)
    code, printed = await move(*here, "--to", "postgresql://127.0.0.1:1/name")
    assert (code, "there is no database" in printed) == (2, True)
    (tmp_path / "trebuchet.sqlite3").touch()
    code, printed = await move(*here, "--to", "postgresql://u:hush@127.0.0.1:1/name")
    assert (code, "trebuchet migrate" in printed, "hush" in printed) == (2, True, False)

"""node-bandwidth 2.6.5, the SDK of this API's own generation, unchanged but for its base URL."""

import asyncio
import json
from pathlib import Path

import pytest

from support.gateway import APPLICATION, HANDSET, NUMBER, running
from support.http import catching

pytestmark = [pytest.mark.anyio, pytest.mark.node]

NODE = Path(__file__).parent / "node"


async def test_a_message_is_sent_and_an_error_is_understood(tmp_path: Path) -> None:
    """It takes the 202 and its body, the callback arrives, and a 400 becomes its error with our message."""
    async with catching() as catcher, running(tmp_path, callback_url=catcher.url) as gateway:
        process = await asyncio.create_subprocess_exec(
            "node",
            "send.js",
            *(gateway.url, NUMBER, HANDSET, APPLICATION),
            cwd=NODE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        result = json.loads(output)
        assert len(result["message"]["id"]) == 29
        assert (result["message"]["to"], result["message"]["tag"]) == ([HANDSET], "node")
        assert result["error"]["statusCode"] == 400
        assert result["error"]["message"] == "Your request could not be accepted"
        event = await catcher.wait_for_event(result["message"]["id"])
        assert event["type"] == "message-delivered"
        assert event["message"]["text"] == "Hello from node"  # this path's profile echoes the text

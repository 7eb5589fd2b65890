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


async def test_media_are_uploaded_listed_downloaded_and_deleted(tmp_path: Path) -> None:
    """Over the path of the API's first version, whose answers are 200: this SDK takes nothing else."""
    async with running(tmp_path) as gateway:
        process = await asyncio.create_subprocess_exec(
            "node",
            "media.js",
            gateway.url,
            cwd=NODE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        result = json.loads(output)
        (listed,) = result["listed"]
        assert (listed["mediaName"], listed["contentLength"]) == ("folder/cat 1.txt", 18)
        assert (result["type"], result["content"]) == ("text/plain", "a picture of a cat")
        assert result["left"] == []

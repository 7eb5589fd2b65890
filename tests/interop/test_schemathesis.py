"""schemathesis, which makes requests of every kind out of an OpenAPI document, finds nothing that we do not do."""

import asyncio
import sys
from pathlib import Path

import pytest

from support.gateway import SECRET, TOKEN, running

pytestmark = pytest.mark.anyio

# A schema cannot say "at least one filter" or "in the future", so some requests that fit it are rightly refused.
LEFT_OUT = "positive_data_acceptance"


async def test_the_document_describes_what_the_server_does(tmp_path: Path) -> None:
    """Every check of schemathesis but one passes for every operation of the messages API."""
    async with running(tmp_path) as gateway:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"{gateway.url}/openapi.json",
            *("--auth", f"{TOKEN}:{SECRET}"),
            *("--include-path-regex", "^/(api/)?v2/"),
            *("--checks", "all", "--exclude-checks", LEFT_OUT),
            *("--max-examples", "20", "--seed", "1", "--no-color", "--suppress-health-check", "all"),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()

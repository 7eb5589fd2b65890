"""Links as operators see and steer them: the admin API and `trebuchet links`, over a real SMPP session."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from support.gateway import Gateway, running
from support.http import request
from trebuchet.testing import RunningSmsc, smsc

pytestmark = pytest.mark.anyio

WAIT_S = 20


async def cli(gateway: Gateway, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command against the gateway."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trebuchet", *arguments),
        *("--url", gateway.url, "--data", str(gateway.data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )
    output, errors = await asyncio.wait_for(process.communicate(), WAIT_S)
    return process.returncode or 0, output.decode(), errors.decode()


@asynccontextmanager
async def linked(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Gateway, RunningSmsc]]:
    """A gateway with a link, added by the command, that is bound to an SMSC."""
    async with smsc(**settings) as peer, running(tmp_path) as gateway:
        code, output, errors = await cli(
            gateway,
            *("links", "add", "acme", "--host", peer.host, "--port", str(peer.port)),
            *("--system-id", "esme", "--password", "hunter2", "--route", "", "--set", "window=7", "--json"),
        )
        assert (code, errors.count("Traceback")) == (0, 0), errors
        assert "hunter2" not in output + errors
        await gateway.admin("PATCH", "/routes/all-to-simulator", {"priority": 1000})
        await peer.bound()
        yield gateway, peer


async def test_a_link_is_added_shown_and_steered(tmp_path: Path) -> None:
    """Added with its route, listed, shown with its binds, unbound and bound again, paused and resumed."""
    async with linked(tmp_path) as (gateway, peer):
        code, output, _ = await cli(gateway, "links", "show", "acme", "--json")
        link = json.loads(output)
        assert (code, link["kind"], link["state"], link["receipt_ids"]) == (0, "smpp", "up", "auto")
        (bind,) = link["binds"]
        assert (bind["name"], bind["state"], bind["window"]) == ("acme/0", "bound", 7)
        assert bind["peer_system_id"] == "trebuchet"
        assert (await cli(gateway, "links", "unbind", "acme"))[0] == 0
        async with asyncio.timeout(WAIT_S):
            while peer.sessions:
                await asyncio.sleep(0.01)
        assert (await cli(gateway, "links", "rebind", "acme", "--bind", "acme/0"))[0] == 0
        await peer.bound()
        code, _, errors = await cli(gateway, "links", "rebind", "acme", "--bind", "acme/9")
        assert code == 2
        assert "acme/0" in errors
        for what, state in (("pause", "paused"), ("resume", "up")):
            assert (await cli(gateway, "links", what, "acme"))[0] == 0
            assert (await gateway.admin("GET", "/links/acme")).json["state"] == state


async def test_a_password_is_shown_nowhere_and_kept(tmp_path: Path) -> None:
    """Settings that are sent back with the password hidden keep it."""
    async with linked(tmp_path, accounts={"esme": "hunter2"}) as (gateway, peer):
        record = (await gateway.admin("GET", "/carriers/acme")).json
        assert record["settings"]["password"] == "•••"
        changed = await gateway.admin(
            "PATCH", "/carriers/acme", {"settings": record["settings"] | {"window": 3}}
        )
        assert changed.status == 200
        await peer.bound()
        async with asyncio.timeout(WAIT_S):
            while (await gateway.admin("GET", "/links/acme")).json["binds"][0]["state"] != "bound":
                await asyncio.sleep(0.01)
        assert "hunter2" not in gateway.output()


async def test_a_trace_shows_what_passes(tmp_path: Path) -> None:
    """Decoded, without texts unless asked for; a capture holds the octets; no bind, no password."""
    capture = tmp_path / "acme.pcap"
    async with linked(tmp_path) as (gateway, _):
        for options in ((), ("--text", "--pcap", str(capture))):
            tracing = asyncio.create_task(
                cli(gateway, "links", "trace", "acme", "--count", "2", "--json", *options)
            )
            while not tracing.done():
                await gateway.send("the text of it")
                await asyncio.sleep(0.2)
            code, output, errors = await tracing
            assert code == 0, errors
            entries = [json.loads(line) for line in output.splitlines()]
            assert {entry["bind"] for entry in entries} == {"acme/0"}
            assert entries[0]["pdu"]["command"] in (
                "submit_sm",
                "submit_sm_resp",
                "deliver_sm",
                "deliver_sm_resp",
            )
            if not options:
                assert "the text of it" not in output
                assert all("hex" not in entry for entry in entries)
        octets = capture.read_bytes()
        assert octets[:4] == b"\xd4\xc3\xb2\xa1"
        assert len(octets) > 100


async def test_addresses_can_be_tried(tmp_path: Path) -> None:
    """As they go on the wire, and back."""
    async with linked(tmp_path) as (gateway, _):
        code, output, _ = await cli(gateway, "links", "try-address", "acme", "72345", "--json")
        assert (code, json.loads(output)) == (
            0,
            {"number": "72345", "ton": 3, "npi": 0, "address": "72345", "read_back": "72345"},
        )


async def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """A link that is not there, one without binds, settings that do not fit."""
    async with running(tmp_path) as gateway:
        assert (await gateway.admin("GET", "/links/nobody")).status == 404
        assert (await gateway.admin("POST", "/links/simulator/unbind", {})).status == 409
        assert (await gateway.admin("GET", "/links/simulator/address?number=72345")).status == 409
        code, _, errors = await cli(
            gateway,
            "links",
            "add",
            "acme",
            "--host",
            "x",
            "--system-id",
            "y",
            "--password",
            "z",
            "--set",
            "window=0",
        )
        assert code == 2
        assert "window" in errors


async def test_the_life_of_a_message_has_its_pdus(tmp_path: Path) -> None:
    """With the text asked for: each PDU that was exchanged about it."""
    async with linked(tmp_path) as (gateway, _):
        answer = await gateway.send("hello")
        async with asyncio.timeout(WAIT_S):
            while len((life := await gateway.life(answer.json["id"]))["pdus"]) < 3:
                await asyncio.sleep(0.02)
        assert sorted(pdu["direction"] for pdu in life["pdus"]) == ["in", "in", "out"]
        code, output, _ = await cli(gateway, "show", answer.json["id"])
        assert code == 0
        assert "submit_sm" in output
        assert "deliver_sm" in output


async def test_the_metrics_of_a_bind(tmp_path: Path) -> None:
    """Up, its window, and what it has seen."""
    async with linked(tmp_path) as (gateway, _):
        metrics = (await request("GET", f"{gateway.url}/metrics")).body.decode()
        assert 'trebuchet_bind_up{bind="acme/0"} 1.0' in metrics
        assert 'trebuchet_bind_window{bind="acme/0"} 7.0' in metrics

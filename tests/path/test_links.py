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
from support.smsc import listening, receipt
from trebuchet.protocols.smpp import pdu
from trebuchet.testing import RunningSmsc, smsc

pytestmark = pytest.mark.anyio

WAIT_S = 20


async def cli(gateway: Gateway, *arguments: str, typed: bytes = b"") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command against the gateway. `typed` is its standard input."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trebuchet", *arguments),
        *("--url", gateway.url, "--data", str(gateway.data)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )
    output, errors = await asyncio.wait_for(process.communicate(typed), WAIT_S)
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
        assert b"the text of it" in octets


async def test_a_capture_shows_no_text_that_was_not_asked_for(tmp_path: Path) -> None:
    """The file needs the octets, the screen does not, in words or as JSON."""
    capture = tmp_path / "acme.pcap"
    async with linked(tmp_path) as (gateway, _):
        for options in ((), ("--json",)):
            tracing = asyncio.create_task(
                cli(gateway, "links", "trace", "acme", "--count", "4", "--pcap", str(capture), *options)
            )
            while not tracing.done():
                await gateway.send("the text of it")
                await asyncio.sleep(0.2)
            code, output, errors = await tracing
            assert (code, "acme.pcap" in errors) == (0, True), errors
            assert "submit_sm" in output
            assert "the text of it" not in output
            assert b"the text of it".hex() not in output
            assert b"the text of it" in capture.read_bytes()


async def test_a_trace_follows_a_link_that_is_made_anew(tmp_path: Path) -> None:
    """A change of the record restarts the link; who watches it goes on watching, and sees it bind."""
    async with linked(tmp_path) as (gateway, _):
        tracing = asyncio.create_task(cli(gateway, "links", "trace", "acme", "--count", "3", "--json"))
        window = 7
        while not tracing.done():
            window += 1
            changed = await gateway.admin(
                "PATCH",
                "/carriers/acme",
                {
                    "settings": (await gateway.admin("GET", "/carriers/acme")).json["settings"]
                    | {"window": window}
                },
            )
            assert changed.status == 200
            await asyncio.sleep(0.2)
        code, output, errors = await tracing
        assert code == 0, errors
        commands = [json.loads(line)["pdu"]["command"] for line in output.splitlines()]
        assert len(commands) == 3
        assert "unbind" in commands


async def test_a_trace_of_a_carrier_that_is_deleted_ends(tmp_path: Path) -> None:
    """And says what may have happened."""
    async with linked(tmp_path) as (gateway, _):
        tracing = asyncio.create_task(cli(gateway, "links", "trace", "acme", "--count", "1000"))
        for route in (await gateway.admin("GET", "/routes")).json["items"]:
            if route["carrier_id"] == "acme":
                await gateway.admin("DELETE", f"/routes/{route['id']}")
        while not tracing.done():
            await gateway.admin("DELETE", "/carriers/acme")
            await asyncio.sleep(0.2)
        code, _, errors = await tracing
        assert (code in (2, 3), "Traceback" in errors) == (True, False)
        assert "`trebuchet links list`" in errors


async def test_addresses_can_be_tried(tmp_path: Path) -> None:
    """As they go on the wire, and back."""
    async with linked(tmp_path) as (gateway, _):
        code, output, _ = await cli(gateway, "links", "try-address", "acme", "72345", "--json")
        assert (code, json.loads(output)) == (
            0,
            {"number": "72345", "ton": 3, "npi": 0, "address": "72345", "read_back": "72345"},
        )
        # As people write them; and what nobody could send from is refused.
        answer = (await gateway.admin("GET", "/links/acme/address?number=2025550123")).json
        assert (answer["number"], answer["address"]) == ("+12025550123", "12025550123")
        for wrong in ("?number=not+a+number+of+anybody", "?number=", ""):
            refused = await gateway.admin("GET", f"/links/acme/address{wrong}")
            assert (refused.status, refused.json["fieldErrors"][0]["fieldName"]) == (400, "number")


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
        assert b"hello".hex() not in output
        code, output, _ = await cli(gateway, "show", answer.json["id"], "--text", "--hex")
        assert (code, b"hello".hex() in output) == (0, True)
        code, _, errors = await cli(gateway, "show", answer.json["id"], "--hex")
        assert (code, "--text" in errors) == (2, True)


async def test_the_metrics_of_a_bind(tmp_path: Path) -> None:
    """Up, its window, and what it has seen."""
    async with linked(tmp_path) as (gateway, _):
        metrics = (await request("GET", f"{gateway.url}/metrics")).body.decode()
        assert 'trebuchet_bind_up{bind="acme/0"} 1.0' in metrics
        assert 'trebuchet_bind_window{bind="acme/0"} 7.0' in metrics


@pytest.mark.parametrize(
    ("content", "options", "typed", "said"),
    [
        (None, ("--password-file", "{file}"), b"", "No such file"),
        (b"", ("--password-file", "{file}"), b"", "is empty"),
        (b"\xff\xfe", ("--password-file", "{file}"), b"", "is not text"),
        (b"a", ("--password-file", "{file}", "--password", "b"), b"", "not both"),
        (None, (), b"", "--password-file"),
        (None, ("--password-file", "-"), b"", "is empty"),
        (None, ("--password", "a", "--priority", "5"), b"", "--route"),
    ],
)
async def test_an_unusable_password_makes_no_link(
    tmp_path: Path, content: bytes | None, options: tuple[str, ...], typed: bytes, said: str
) -> None:
    """What is wrong is said before anything is asked of the gateway, which need not be there."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    nowhere = Gateway(tmp_path)
    nowhere.url = "http://127.0.0.1:9"
    code, _, errors = await cli(
        nowhere,
        *("links", "add", "acme", "--host", "127.0.0.1", "--system-id", "esme"),
        *(option.format(file=file) for option in options),
        typed=typed,
    )
    assert (code in (1, 2), "Traceback" in errors, said in errors) == (True, False, True), errors


async def test_a_password_can_be_read(tmp_path: Path) -> None:
    """From a file or from standard input: their first line. The SMSC takes it."""
    (tmp_path / "password").write_text("hunter2\nanother line\n")
    async with smsc(accounts={"esme": "hunter2"}) as peer, running(tmp_path) as gateway:
        for link, source in (("one", str(tmp_path / "password")), ("two", "-")):
            code, output, errors = await cli(
                gateway,
                *("links", "add", link, "--host", peer.host, "--port", str(peer.port), "--system-id", "esme"),
                *("--password-file", source, "--route", "+49"),
                typed=b"hunter2\n",
            )
            assert code == 0, errors
            assert "hunter2" not in output + errors
        await peer.bound(2)
        # Both routes are for the same numbers, and which wins would be chance.
        assert "lower priority" in errors
        assert "goes to one" in errors


async def test_receipts_that_match_nothing_are_listed_by_carrier(tmp_path: Path) -> None:
    """With what they say; what they quote of a text only when asked for."""
    about = pdu.SubmitSm(source_addr="12345678901", destination_addr="12025550123")
    told = receipt(about, "nobody-knows")
    told.short_message += b"quoted"
    async with listening() as peer, running(tmp_path) as gateway:
        code, _, errors = await cli(
            gateway,
            *("links", "add", "acme", "--host", "127.0.0.1", "--port", str(peer.port)),
            *("--system-id", "esme", "--password", "x"),
        )
        assert code == 0, errors
        await peer.until(lambda: bool(peer.binds))
        await peer.deliver(told)
        code, output, _ = await cli(gateway, "links", "receipts", "acme", "--json")
        found = json.loads(output)
        assert (code, found["carrier_message_id"], found["handset"]) == (0, "nobody-knows", "+12025550123")
        assert found["pdu"]["command"] == "deliver_sm"
        assert "quoted" not in output
        assert (await cli(gateway, "links", "receipts", "acme", "--json", "--text"))[1].count("quoted") == 2
        assert "nobody-knows" in (await cli(gateway, "links", "receipts"))[1]
        assert "nobody-knows" not in (await cli(gateway, "links", "receipts", "simulator"))[1]

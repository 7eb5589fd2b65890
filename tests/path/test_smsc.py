"""The listening SMSC: over real sockets against a session of ours, and as the process that its users start."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from support.esme import HANDSET, OURS, WAIT_S, Esme, bound, connect, submit
from support.http import request
from trebuchet.protocols import sms
from trebuchet.protocols.smpp import pdu, tlv
from trebuchet.protocols.smpp import receipt as receipts
from trebuchet.protocols.smpp.constants import MessageState, Status
from trebuchet.protocols.smpp.tlv import Tag
from trebuchet.simulator.base import NoLink
from trebuchet.testing import smsc, smsc_in_thread

pytestmark = pytest.mark.anyio

# ---- binding ----


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"system_id": "esme", "password": "right"}, None),
        ({"system_id": "esme", "password": "wrong"}, Status.RINVPASWD),
        ({"system_id": "nobody", "password": "right"}, Status.RINVSYSID),
        ({"system_id": "", "password": ""}, Status.RINVSYSID),
    ],
)
async def test_who_may_bind(fields: dict[str, Any], status: int | None) -> None:
    """With accounts, those with their password; the others are told why, and the connection is closed."""
    async with smsc(accounts={"esme": "right"}) as peer:
        esme = await connect(peer, **fields)
        assert esme.refused == status
        if status is not None:
            await esme.until(lambda: esme.closed)


async def test_no_more_binds_than_allowed() -> None:
    """Of one system_id; another has its own."""
    async with smsc(binds_max=1) as peer:
        await connect(peer)
        assert (await connect(peer)).refused == Status.RBINDFAIL
        assert (await connect(peer, system_id="other")).refused is None
        assert sorted(session.system_id for session in peer.sessions) == ["esme", "other"]


@pytest.mark.parametrize(("version", "said"), [("3.3", None), ("3.4", 0x34), ("5.0", 0x50)])
async def test_the_version_is_said(version: str, said: int | None) -> None:
    """In the answer to the bind; a 3.3 SMSC says none."""
    async with bound(version=version) as (_, esme):
        assert esme.session.peer_version == (said or 0x34)


# ---- submits ----


@pytest.mark.parametrize("text", ["hello", "5 € @home", "жук 😀"])
async def test_a_submit_is_shown_on_the_handset_and_reported(text: str) -> None:
    """With the id of its answer in text and parameters, and the addresses swapped."""
    async with bound() as (peer, esme):
        answer = await esme.submit(text, tlvs=(tlv.pack(Tag.USER_MESSAGE_REFERENCE, 77),))
        (shown,) = await peer.wait(HANDSET)
        assert (shown.text, shown.peer) == (text, OURS)
        await esme.until(lambda: bool(esme.delivered))
        (delivered,) = esme.delivered
        assert receipts.is_receipt(delivered.esm_class)
        fields = receipts.parse(delivered.short_message.decode(), delivered.tlvs)
        assert fields is not None
        assert (fields.message_id, fields.state) == (answer.message_id, MessageState.DELIVERED)
        assert (fields.user_reference, delivered.source_addr) == (77, HANDSET[1:])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
async def test_a_long_message_is_shown_once_and_whole(bits: Any, order: list[int]) -> None:
    """Parts in any order, and characters cut between two of them."""
    text = "😀" * 90
    octets = text.encode("utf-16-be")
    parts = [octets[:130], octets[130:262], octets[262:]]  # the first two end within a character
    elements = [
        sms.udh.concatenation_element(sms.udh.Concatenation(7, 3, place, bits)) for place in (1, 2, 3)
    ]
    async with bound() as (peer, esme):
        for place in order:
            body = sms.udh.build([elements[place]]) + parts[place]
            await esme.submit(short_message=body, data_coding=8, esm_class=0x40)
        (shown,) = await peer.wait(HANDSET)
        assert shown.text == text
        await esme.until(lambda: len(esme.delivered) == 3)


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("#refuse:4720", Status.RINVDSTADR, 720),
        ("#refuse:4403", Status.RINVSRCADR, 403),
        ("#refuse:4770", Status.RX_R_APPN, 770),
        ("#busy", Status.RSYSERR, None),
        ("#throttle", Status.RTHROTTLED, None),
    ],
)
async def test_a_trigger_decides_the_answer(text: str, status: int, error: int | None) -> None:
    """With our code in network_error_code where there is one: for an ESME of 5.0, as 3.4 knows none there."""
    for version, expected in ((0x50, error), (0x34, None)):
        async with smsc() as peer:
            esme = await connect(peer, interface_version=version)
            answer = await esme.submit(text)
            assert answer.status == status
            value = tlv.first(answer.tlvs, Tag.NETWORK_ERROR_CODE)
            assert (int.from_bytes(value[1:]) if value else None) == expected


async def test_what_passes_by_itself_happens_once() -> None:
    """The same submit again is taken."""
    async with bound() as (_, esme):
        assert [(await esme.submit("#busy")).status for _ in range(2)] == [Status.RSYSERR, 0]


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"ids": "same"}, lambda response, receipt: response == receipt),
        ({"ids": "decimal"}, lambda response, receipt: response == receipt and response.isdecimal()),
        ({"ids": "hex-decimal"}, lambda response, receipt: int(response, 16) == int(receipt)),
        ({"ids": "decimal-hex"}, lambda response, receipt: int(response) == int(receipt, 16)),
        (
            {"ids": "padded"},
            lambda response, receipt: receipt.startswith("0") and int(response, 16) == int(receipt, 16),
        ),
    ],
)
async def test_ids_of_every_style(settings: dict[str, Any], same: Any) -> None:
    """As SMSCs of the field write them."""
    async with bound(**settings, receipt_tlvs=False) as (_, esme):
        answer = await esme.submit()
        await esme.until(lambda: bool(esme.delivered))
        fields = receipts.parse(esme.delivered[0].short_message.decode())
        assert fields is not None
        assert same(answer.message_id, fields.message_id)


@pytest.mark.parametrize(
    ("registered", "text", "count"),
    [
        (0, "hello", 0),
        (1, "hello", 1),
        (1, "#fail:4720", 1),
        (2, "hello", 0),
        (2, "#fail:4720", 1),
        (3, "#fail:4720", 0),
    ],
)
async def test_receipts_are_given_as_asked(registered: int, text: str, count: int) -> None:
    """None, both, on failure only, on success only."""
    async with bound() as (_, esme):
        await esme.submit(text, registered_delivery=registered)
        await esme.submit("the last one")
        await esme.until(lambda: len(esme.delivered) == count + 1)


async def test_a_receipt_waits_for_a_receiver_and_is_repeated() -> None:
    """A transmitter gets none; what is refused for the moment comes again."""
    async with smsc() as peer:
        transmitter = await connect(peer, pdu.BindTransmitter)
        await transmitter.submit()
        receiver = await connect(peer, pdu.BindReceiver)
        receiver.status = Status.RX_T_APPN
        await receiver.until(lambda: len(receiver.delivered) == 1)
        receiver.status = 0
        peer.clock.advance(2000)
        await receiver.until(lambda: len(receiver.delivered) == 2)
        assert transmitter.delivered == []


async def test_limits_are_told_as_throttling() -> None:
    """A window of one, and a rate."""
    async with bound(window=1) as (peer, esme):
        peer.hold_answers()
        first, second = esme.ask(submit("1")), esme.ask(submit("2"))
        assert (await second).status == Status.RTHROTTLED
        peer.answer()
        assert (await first).status == 0
    async with bound(segments_per_s=1) as (_, esme):
        answers = await asyncio.gather(*(esme.ask(submit(str(number))) for number in range(4)))
        assert Status.RTHROTTLED in [answer.status for answer in answers]


async def test_connections_break_as_told() -> None:
    """By a trigger, by number, or by hand."""
    async with smsc(disconnect_every=2) as peer:
        esme = await connect(peer)
        await esme.submit()
        lost = esme.ask(submit("second"))
        await esme.until(lambda: esme.closed)
        assert lost.cancelled()
        esme = await connect(peer)
        esme.ask(submit("#down:60000"))
        await esme.until(lambda: esme.closed)
        down = await connect(peer)
        assert (down.closed, down.session.bound) == (True, False)
        peer.clock.advance(60_000)
        esme = await connect(peer)
        peer.cut()
        await esme.until(lambda: esme.closed)


async def test_what_is_not_done_is_said() -> None:
    """As an operation that is not known here; the session goes on."""
    async with bound() as (_, esme):
        everybody = pdu.DestAddress(dest_flag=2, dl_name="everybody")
        assert (await esme.ask(pdu.SubmitMulti(dest_address=(everybody,)))).status == Status.RINVCMDID
        assert (await esme.submit()).status == 0


async def test_octets_that_are_no_smpp_disturb_nobody() -> None:
    """The one connection is closed, the other goes on."""
    async with bound() as (peer, esme):
        stranger = Esme()
        await asyncio.get_running_loop().create_connection(lambda: stranger, peer.host, peer.port)
        stranger.transport.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await stranger.until(lambda: stranger.closed)
        assert (await esme.submit()).status == 0


# ---- inbound ----


@pytest.mark.parametrize("style", ["udh8", "udh16", "sar", "payload"])
async def test_what_is_typed_is_delivered(style: str) -> None:
    """A long text in the way that the SMSC cuts; it returns when all of it is acknowledged."""
    async with bound(long_messages=style) as (peer, esme):
        assert await peer.type(HANDSET, OURS, "x" * 200)
        assert len(esme.delivered) == (1 if style == "payload" else 2)
        assert {message.esm_class for message in esme.delivered} == {0x40 if "udh" in style else 0}


async def test_what_the_esme_refuses_is_not_delivered() -> None:
    """Nor what nobody is there for."""
    async with bound() as (peer, esme):
        esme.status = Status.RX_P_APPN
        with pytest.raises(NoLink, match="0x65"):
            await peer.type(HANDSET, OURS, "hi")
        peer.cut()
        await esme.until(lambda: esme.closed)
        with pytest.raises(NoLink):
            await peer.type(HANDSET, OURS, "hi")


def test_it_runs_in_a_thread_for_tests_without_a_loop() -> None:
    """And answers what is asked of it from there."""
    with smsc_in_thread() as peer:
        assert peer.call(lambda running: running.wait(HANDSET, wait_s=0)) == ()
        assert peer.port > 0


# ---- the command ----


async def run_once(folder: Path) -> Any:
    """Start the command, use it, stop it. What the handset shows."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trebuchet", "simulate", "smsc", "--port", "0", "--http-port", "0"),
        *("--json", "--data", str(folder), "--delay-min-ms", "1", "--delay-max-ms", "1"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        shown = await use(process)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), WAIT_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return shown


async def use(process: asyncio.subprocess.Process) -> Any:
    """Bind, submit, see it reported and shown. What the handset shows."""
    assert process.stdout is not None
    said = json.loads(await asyncio.wait_for(process.stdout.readline(), WAIT_S))
    assert said["event"] == "listening"
    esme = Esme()
    await asyncio.get_running_loop().create_connection(lambda: esme, said["host"], said["port"])
    esme.session.bind(pdu.BindTransceiver(system_id="esme"))
    esme.flush()
    came = json.loads(await asyncio.wait_for(process.stdout.readline(), WAIT_S))
    assert (came["event"], came["system_id"]) == ("bound", "esme")
    await esme.until(lambda: esme.session.bound)
    await esme.submit()
    await esme.until(lambda: len(esme.delivered) >= 1)
    shown = await request("GET", f"{said['handsets']}/sim/v1/handsets/%2B12025550123/messages?wait=5s")
    return shown.json


async def test_the_command_serves_and_stops(tmp_path: Path) -> None:
    """It says where it is and who comes, shows handsets over HTTP, remembers with --data, and ends with 0."""
    assert [message["text"] for message in await run_once(tmp_path)] == ["hello"]
    assert [message["text"] for message in await run_once(tmp_path)] == ["hello", "hello"]


async def test_what_is_wrong_with_the_options_is_said() -> None:
    """With the option, and no stack trace."""
    for arguments, words in (
        (["--account", "nobody"], b"is not ID:PASSWORD"),
        (["--receipts", "poems"], b"receipts"),
        (["--tls-certificate", "/nowhere.pem"], b"/nowhere.pem"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trebuchet", "simulate", "smsc", "--port", "0", "--http-port", "-1"),
            *arguments,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 2
        assert words in errors
        assert b"Traceback" not in errors

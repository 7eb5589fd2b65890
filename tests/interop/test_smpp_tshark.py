"""tshark judges what we write: no PDU of ours is malformed, and it reads in each what we put in."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from support import capture
from support.gateway import NUMBER, Gateway, running
from support.http import Catcher, catching
from trebuchet.protocols import pcap
from trebuchet.protocols.smpp import Command, Framer, Tag, decode, encode, pdu, tlv
from trebuchet.protocols.smpp.constants import RESPONSE
from trebuchet.testing import RunningSmsc, smsc

pytestmark = [pytest.mark.anyio, pytest.mark.tshark]

LONGEST = 65_000  # of what tshark takes for a PDU; more than one TCP segment of ours

SAMPLES: dict[str, Any] = {
    "system_id": "esme",
    "password": "secret!!",
    "system_type": "VMA",
    "interface_version": 0x34,
    "addr_ton": 1,
    "addr_npi": 1,
    "address_range": "^1202555",
    "service_type": "CMT",
    "source_addr_ton": 1,
    "source_addr_npi": 1,
    "source_addr": "12025550100",
    "dest_addr_ton": 2,
    "dest_addr_npi": 8,
    "destination_addr": "2025550123",
    "esme_addr_ton": 1,
    "esme_addr_npi": 1,
    "esme_addr": "12025550100",
    "esm_class": 0x41,
    "protocol_id": 0x41,
    "priority_flag": 1,
    "schedule_delivery_time": "261123120000000+",
    "validity_period": "000001000000000R",
    "final_date": "261123120000004+",
    "registered_delivery": 0x11,
    "replace_if_present_flag": 1,
    "data_coding": 8,
    "sm_default_msg_id": 7,
    "short_message": bytes.fromhex("0500037f0201") + "½ a 😀".encode("utf-16-be"),
    "message_id": "0123456789abcdef",
    "message_state": 2,
    "error_code": 3,
    "dest_address": (
        pdu.DestAddress(dest_addr_ton=1, dest_addr_npi=1, destination_addr="12025550123"),
        pdu.DestAddress(dest_flag=2, dl_name="everybody"),
    ),
    "unsuccess_sme": (pdu.UnsuccessSme(destination_addr="12025550123", error_status_code=0x0B),),
}
NUMBERS = (
    "interface_version",
    *("addr_ton", "addr_npi", "source_addr_ton", "source_addr_npi", "dest_addr_ton", "dest_addr_npi"),
    *("esme_addr_ton", "esme_addr_npi", "protocol_id", "priority_flag", "replace_if_present_flag"),
    *("data_coding", "sm_default_msg_id", "message_state", "error_code"),
)
TEXTS = (
    *("system_id", "password", "system_type", "address_range", "service_type", "source_addr"),
    *("destination_addr", "esme_addr", "message_id"),
)
HEADER = ("command_length", "command_id", "command_status", "sequence_number")
PARTS: dict[str, tuple[str, Callable[[Any], int]]] = {  # of a field that tshark takes apart
    "smpp.sm_length": ("short_message", len),
    "smpp.esm.submit.msg_mode": ("esm_class", lambda value: value & 3),
    "smpp.esm.submit.msg_type": ("esm_class", lambda value: value >> 2 & 15),
    "smpp.esm.submit.features": ("esm_class", lambda value: value >> 6),
    "smpp.regdel.receipt": ("registered_delivery", lambda value: value & 3),
    "smpp.regdel.acks": ("registered_delivery", lambda value: value >> 2 & 3),
    "smpp.regdel.notif": ("registered_delivery", lambda value: value >> 4 & 1),
}
FIELDS = (
    *(f"smpp.{name}" for name in (*HEADER, *NUMBERS, *TEXTS)),
    *PARTS,
    "smpp.opt_param_tag",
    "smpp.opt_param_len",
    "smpp.message_payload",
)
# Lengths that are right and that tshark 4.0 does not look at: it reads one octet, of the time a string and its NUL.
MISREAD: dict[Tag, set[int]] = {
    Tag.SOURCE_TELEMATICS_ID: {2},
    Tag.BROADCAST_REP_NUM: {2},
    Tag.BROADCAST_END_TIME: {16},
    Tag.MS_VALIDITY: {4},
}


def sample(kind: type[pdu.Pdu], sequence: int) -> pdu.Pdu:
    """A PDU of this class with something in every field."""
    names = kind.__struct_fields__
    return kind(sequence=sequence, **{name: SAMPLES[name] for name in names if name in SAMPLES})


def in_parameter(tag: Tag, length: int) -> pdu.Pdu:
    """A PDU with this TLV, at this length, between two others."""
    value = b"\x01" * length
    if tlv.TAGS[tag].kind is tlv.Kind.CSTR:
        value = b"a" * (length - 1) + b"\0"
    elif tag is Tag.BROADCAST_END_TIME:
        value = b"261123120000000+\0"
    message = sample(pdu.DataSm, 1)
    message.tlvs = ((Tag.DEST_PORT, b"\x01\x02"), (tag, value), (Tag.SOURCE_PORT, b"\x03\x04"))
    return message


def lengths(tag: Tag) -> set[int]:
    parameter = tlv.TAGS[tag]
    return {parameter.shortest, min(parameter.longest, 300)} - MISREAD.get(tag, set())


def values_of(message: pdu.Pdu, name: str) -> list[Any]:
    """Of the PDU, of the addresses in it, or of the TLV with this name."""
    own = [getattr(message, name)] if hasattr(message, name) else []
    listed = (*getattr(message, "dest_address", ()), *getattr(message, "unsuccess_sme", ()))
    inner = [getattr(item, name) for item in listed if hasattr(item, name) and item.destination_addr]
    parameters = [
        tlv.integer(value) for tag, value in message.tlvs if name in NUMBERS and tlv.TAGS[tag].name == name
    ]
    # It shows no empty string but this one.
    seen = ["(Default)" if (name, value) == ("service_type", "") else value for value in own]
    return [*(value for value in seen if value != ""), *inner, *parameters]


def expected(octets: bytes) -> list[list[Any]]:
    """The fields as our own reading has them, in the order of FIELDS."""
    ours = decode(octets)
    status = [ours.status] if ours.COMMAND & RESPONSE else []
    header = [[len(octets)], [ours.COMMAND], status, [ours.sequence]]
    if ours.status:  # it does not look into refusals
        return [*header, *([] for _ in FIELDS[len(header) :])]
    named = [values_of(ours, name) for name in (*NUMBERS, *TEXTS)]
    parts = [[cut(getattr(ours, name))] if hasattr(ours, name) else [] for name, cut in PARTS.values()]
    tags = [int(tag) for tag, _ in ours.tlvs]
    sizes = [len(value) for _, value in ours.tlvs]
    payloads = [value.hex() for tag, value in ours.tlvs if tag == Tag.MESSAGE_PAYLOAD and value]
    return [*header, *named, *parts, tags, sizes, payloads]


async def read_by_tshark(path: Path, pdus: Iterable[bytes]) -> list[list[list[Any]]]:
    """The same fields as tshark has them, one PDU in one frame."""
    capture.write_pcap(path, [[(True, octets) for octets in pdus]])
    return await fields_in(path)


async def fields_in(path: Path) -> list[list[list[Any]]]:
    """FIELDS of each PDU of a capture."""
    texts = {f"smpp.{name}" for name in TEXTS} | {"smpp.message_payload"}
    return [
        [
            list(values) if name in texts else [int(value, 0) for value in values]
            for name, values in zip(FIELDS, frame, strict=True)
        ]
        for frame in await capture.fields(path, FIELDS)
    ]


async def test_every_pdu_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Each class with something in every field, each refusal: nothing malformed, and each field has our value."""
    classes = pdu.CLASSES.values()
    pdus = [encode(sample(kind, number)) for number, kind in enumerate(classes, start=1)]
    pdus += [encode(kind(sequence=99, status=0x58)) for kind in classes if kind.COMMAND & RESPONSE]
    path = tmp_path / "every.pcap"
    found = await read_by_tshark(path, pdus)
    assert await capture.malformed(path) == ""
    assert found == [expected(octets) for octets in pdus]


async def test_every_parameter_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Each TLV at its shortest and its longest, between two others: none malformed, none lost."""
    pdus = [encode(in_parameter(tag, length)) for tag in Tag for length in lengths(tag)]
    path = tmp_path / "parameters.pcap"
    found = await read_by_tshark(path, pdus)
    assert await capture.malformed(path) == ""
    assert found == [expected(octets) for octets in pdus]


async def test_a_capture_of_ours_is_one_that_tshark_opens(tmp_path: Path) -> None:
    """As `links trace` writes it: whole connections, right checksums, a PDU of any length in its place."""
    pdus = [encode(sample(kind, number)) for number, kind in enumerate(pdu.CLASSES.values(), start=1)]
    longest = pdu.DataSm(sequence=99, tlvs=((Tag.MESSAGE_PAYLOAD, bytes(LONGEST)),))
    longest.source_addr, longest.destination_addr, longest.service_type = "1", "2", "CMT"
    pdus.insert(3, encode(longest))
    path = tmp_path / "trace.pcap"
    streams = pcap.Stream(0), pcap.Stream(1)
    packets = (
        streams[number % 2].packets(number, number % 3 == 0, octets) for number, octets in enumerate(pdus)
    )
    path.write_bytes(pcap.header() + b"".join(packets))
    assert await capture.malformed(path) == ""
    checked = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
    wrong = "tcp.checksum.status == 0 || ip.checksum.status == 0 || tcp.analysis.flags"
    assert await capture.tshark(path, *checked, "-Y", wrong) == ""
    assert await capture.tshark(path, *checked, "-Y", "tcp.checksum.status == 1") != ""
    assert await fields_in(path) == [expected(octets) for octets in pdus]


LONG = "A long message: ½ and 😀. " * 12
# What a gateway and an SMSC say to each other in a day's work.
SAID = {
    *(Command.BIND_TRANSCEIVER, Command.BIND_TRANSMITTER, Command.BIND_RECEIVER, Command.UNBIND),
    *(Command.SUBMIT_SM, Command.DELIVER_SM, Command.ENQUIRE_LINK),
}
LINKS: dict[str, tuple[str, dict[str, Any]]] = {  # by their way with long messages: prefix, and settings
    "udh8": ("+12025550151", {}),
    "udh16": ("+12025550152", {"binds": ["transmitter", "receiver"]}),
    "sar": ("+12025550153", {"interface_version": "5.0"}),
    "payload": ("+12025550154", {"validity": False}),
}


async def link(gateway: Gateway, name: str, port: int, password: str, **settings: Any) -> None:
    """Add a carrier of this name."""
    fixed = {"host": "127.0.0.1", "port": port, "system_id": name, "password": password, "enquire_link_s": 1}
    carrier = {"id": name, "kind": "smpp", "settings": {**fixed, **settings}}
    made = await gateway.admin("POST", "/carriers", carrier)
    assert made.status == 201, made.body


async def day(gateway: Gateway, catcher: Catcher, ours: RunningSmsc) -> None:
    """Over each link: a long message that is delivered, one that is refused and one that fails; and one inbound."""
    sent = {}
    for handset, _ in LINKS.values():
        for text in (LONG, "#refuse:4720", "#fail:4720"):
            sent[(await gateway.send(text, handset)).json["id"]] = text
    for message_id, text in sent.items():
        event = await catcher.wait_for_event(message_id)
        assert event["type"] == ("message-delivered" if text is LONG else "message-failed")
    await ours.type("+12025550151", NUMBER, LONG)
    await catcher.wait_for(lambda c: any(event["type"] == "message-received" for event in c.events()))


def pdus_of(tap: capture.Tap) -> list[bytes]:
    """Everything that passed, PDU by PDU, one way of each connection after the other."""
    return [octets for stream in tap.streams() for octets in Framer().feed(stream)]


def commands(tap: capture.Tap) -> set[int]:
    return {decode(octets).COMMAND for octets in pdus_of(tap)}


async def test_what_the_gateway_and_our_smsc_say_is_well_formed(tmp_path: Path) -> None:
    """Every kind of bind and of long message, receipts, refusals, inbound, enquire_link and unbind."""
    accounts = dict.fromkeys([*LINKS, "locked"], "secret")
    async with smsc(accounts=accounts) as ours, capture.tapped(ours.port) as tap:
        async with catching() as catcher, running(tmp_path, callback_url=catcher.url) as gateway:
            for name, (prefix, settings) in LINKS.items():
                await link(gateway, name, tap.port, "secret", long_message=name, **settings)
                route = {"carrier_id": name, "prefix": prefix, "priority": 1}
                assert (await gateway.admin("POST", "/routes", route)).status == 201
            await link(gateway, "locked", tap.port, "wrong")
            await ours.bound(len(LINKS) + 1)
            await day(gateway, catcher, ours)
            await tap.until(lambda: Command.ENQUIRE_LINK_RESP in commands(tap))
            assert await gateway.stop() == 0
        assert commands(tap) >= {*SAID, *(command | RESPONSE for command in SAID)}
    as_it_went = tmp_path / "as-it-went.pcap"
    capture.write_pcap(as_it_went, tap.connections)
    assert await capture.malformed(as_it_went) == ""
    assert await capture.tshark(as_it_went, "-Y", "smpp") != ""
    pdus = pdus_of(tap)
    assert b"".join(pdus) == b"".join(tap.streams())
    assert await read_by_tshark(tmp_path / "pdus.pcap", pdus) == [expected(octets) for octets in pdus]

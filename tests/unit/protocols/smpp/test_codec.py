"""PDUs to octets and back."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pdus import any_pdu, frame, pdus
from trebuchet.protocols.smpp import Command, DecodeError, EncodeError, Status, Tag, codec, status_name, tlv
from trebuchet.protocols.smpp.codec import decode, encode
from trebuchet.protocols.smpp.constants import RESPONSE
from trebuchet.protocols.smpp.pdu import (
    CLASSES,
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BroadcastSm,
    CancelBroadcastSm,
    CancelSm,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    DestAddress,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    QueryBroadcastSm,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    UnsuccessSme,
    response_to,
)
from trebuchet.protocols.smpp.shortcuts import DECODERS, ENCODERS

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "smpp_pdus.json").read_text("utf-8")
)["pdus"]
HEADER_NAMES = {"sequence_number": "sequence", "command_status": "status"}
PAYLOAD = ((int(Tag.MESSAGE_PAYLOAD), b"text"),)

# The body of a submit_sm, from 1 to 2, in pieces
ADDRESSES = "00 0000 3100 0000 3200 000000"
TIMES = "00 00"
NUMBERS = "00000000"
HEAD = f"{ADDRESSES} {TIMES} {NUMBERS}"
SUBMIT = f"{HEAD} 00"


def value_of(said: object) -> object:
    """A value as the vectors write it: octets are {"hex": …}."""
    return bytes.fromhex(said["hex"]) if isinstance(said, dict) else said


def expected(vector: dict[str, Any]) -> Pdu:
    """The PDU that a vector says its octets are."""
    kind = CLASSES[Command[vector["command"].upper()]]
    fields: dict[str, Any] = {}
    tlvs = []
    for name, said in vector["fields"].items():
        if name == "dest_address":
            fields[name] = tuple(DestAddress(dest_flag=2 if "dl_name" in one else 1, **one) for one in said)
        elif name == "unsuccess_sme":
            fields[name] = tuple(UnsuccessSme(**one) for one in said)
        elif name.upper() in Tag.__members__ and name not in kind.__struct_fields__:
            value = value_of(said)
            assert isinstance(value, int | str | bytes)
            tlvs.append(tlv.pack(Tag[name.upper()], value))
        else:
            fields[HEADER_NAMES.get(name, name)] = value_of(said)
    return kind(tlvs=tuple(tlvs), **fields)


def outcome(octets: bytes) -> object:
    """The command that `octets` decode to, or the status of the error."""
    try:
        return decode(octets).COMMAND.to_bytes(4, "big")
    except DecodeError as error:
        return Status(error.status)


# ---- what is right ----


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['command']}-{v['fields']['sequence_number']}")
def test_golden_octets(vector: dict[str, Any]) -> None:
    """The octets that three other implementations agree on, both ways."""
    octets = bytes.fromhex(vector["hex"])
    assert decode(octets) == expected(vector)
    assert encode(expected(vector)) == octets


@pytest.mark.parametrize(
    ("pdu", "body"),
    [
        (
            BindReceiver(
                system_id="a", password="b", system_type="c", interface_version=80, address_range="d"
            ),
            "6100 6200 6300 50 0000 6400",
        ),
        (BindTransmitter(addr_ton=1, addr_npi=2), "00 00 00 00 0102 00"),
        (
            CancelSm(service_type="a", message_id="b", source_addr_ton=1, dest_addr_npi=2),
            "6100 6200 010000 000200",
        ),
        (
            ReplaceSm(message_id="a", registered_delivery=1, sm_default_msg_id=2, short_message=b"b"),
            "6100 000000 00 00 0102 0162",
        ),
        (
            BroadcastSm(
                service_type="a",
                source_addr_ton=1,
                source_addr_npi=2,
                source_addr="b",
                message_id="c",
                priority_flag=3,
                replace_if_present_flag=4,
                data_coding=5,
                sm_default_msg_id=6,
            ),
            "6100 0102 6200 6300 03 00 00 040506",
        ),
        (
            QueryBroadcastSm(message_id="a", source_addr_ton=1, source_addr_npi=2, source_addr="b"),
            "6100 0102 6200",
        ),
        (
            CancelBroadcastSm(service_type="a", message_id="b", source_addr_npi=2, source_addr="c"),
            "6100 6200 0002 6300",
        ),
        (
            SubmitSm(
                service_type="a",
                source_addr_ton=1,
                source_addr_npi=2,
                source_addr="b",
                dest_addr_ton=3,
                dest_addr_npi=4,
                destination_addr="c",
                esm_class=5,
                protocol_id=6,
                priority_flag=7,
                registered_delivery=8,
                replace_if_present_flag=9,
                data_coding=10,
                sm_default_msg_id=11,
                short_message=b"d",
            ),
            "6100 0102 6200 0304 6300 050607 00 00 08090a0b 0164",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_order_of_the_fields(pdu: Pdu, body: str) -> None:
    """Bodies that the golden octets leave open: each field at its place."""
    octets = frame(pdu.COMMAND, body, sequence=0)
    assert encode(pdu) == octets
    assert decode(octets) == pdu


def test_every_command_has_its_class() -> None:
    """The table of classes is the table of commands, and a class is named for its command."""
    assert set(CLASSES) == set(Command)
    names = {command: kind.__name__.lower() for command, kind in CLASSES.items()}
    assert names == {command: command.name.replace("_", "").lower() for command in Command}
    assert all(command == kind.COMMAND for command, kind in CLASSES.items())


@given(any_pdu)
def test_any_pdu_reads_back(pdu: Pdu) -> None:
    """Whatever its fields hold, decoding gives what was encoded, in a frame of the length that it says."""
    octets = encode(pdu)
    assert int.from_bytes(octets[:4], "big") == len(octets)
    assert decode(octets) == pdu


@given(st.sampled_from([CLASSES[command] for command in ENCODERS]).flatmap(pdus))
def test_short_cuts_write_what_the_table_writes(pdu: Pdu) -> None:
    """A short cut that does not decline gives the octets of the table."""
    assert ENCODERS[pdu.COMMAND](pdu) in (None, codec._encode_by_table(pdu, lenient=False))


@given(st.sampled_from([CLASSES[command] for command in DECODERS]).flatmap(pdus), st.data())
def test_short_cuts_read_what_the_table_reads(pdu: Pdu, data: st.DataObject) -> None:
    """With octets changed or cut off, a short cut declines, or reads or complains as the table does."""
    octets = bytearray(encode(pdu)[: data.draw(st.integers(16, 400))])
    for at, octet in data.draw(st.lists(st.tuples(st.integers(16, 400), st.integers(0, 255)), max_size=3)):
        octets[at : at + 1] = bytes([octet])
    changed = bytes(octets)

    def by_table() -> Pdu:
        return codec._decode_by_table(changed, pdu.COMMAND, pdu.status, pdu.sequence)

    try:
        short = DECODERS[pdu.COMMAND](changed, pdu.status, pdu.sequence)
    except DecodeError as error:
        with pytest.raises(DecodeError, match=re.escape(error.reason)):
            by_table()
    else:
        assert short is None or short == by_table()


@pytest.mark.parametrize("kind", [CLASSES[command] for command in ENCODERS])
def test_short_cuts_take_the_ordinary_case(kind: type[Pdu]) -> None:
    """With its defaults, no PDU needs the table."""
    octets = ENCODERS[kind.COMMAND](kind())
    assert octets is not None
    assert DECODERS[kind.COMMAND](octets, 0, 0) == kind()


@pytest.mark.parametrize(
    ("pdu", "body"),
    [
        (BindTransceiverResp(status=Status.RINVPASWD), ""),
        (SubmitSmResp(status=Status.RTHROTTLED), ""),
        (SubmitSmResp(status=Status.RTHROTTLED, message_id="a"), "6100"),
        (SubmitSmResp(status=Status.RTHROTTLED, tlvs=((0x0428, b"\x64"),)), "00 0428 0001 64"),
        (SubmitSmResp(), "00"),
        (DataSmResp(status=Status.RDELIVERYFAILURE), ""),
        (DeliverSmResp(status=Status.RX_T_APPN), "00"),
        (QuerySmResp(status=Status.RQUERYFAIL), "00 00 00 00"),
        (SubmitMultiResp(status=Status.RSUBMITFAIL), "00 00"),
    ],
)
def test_error_responses(pdu: Pdu, body: str) -> None:
    """With nothing to say they have no body, but deliver_sm_resp always has its NUL, and TLVs follow a body."""
    octets = frame(pdu.COMMAND, body, status=pdu.status, sequence=0)
    assert encode(pdu) == octets
    assert decode(octets) == pdu


# ---- what cannot be written ----


@pytest.mark.parametrize(
    ("pdu", "field", "complaint"),
    [
        (BindTransceiver(system_id="x" * 16), "system_id", "16 characters, the field holds 15"),
        (BindTransceiver(password="x" * 9), "password", "9 characters, the field holds 8"),
        (BindTransceiver(system_type="x" * 13), "system_type", "holds 12"),
        (BindTransceiver(address_range="x" * 41), "address_range", "holds 40"),
        (BindTransceiver(interface_version=256), "interface_version", "does not fit 1 octets"),
        (SubmitSm(service_type="x" * 6), "service_type", "holds 5"),
        (SubmitSm(source_addr="1" * 21), "source_addr", "holds 20"),
        (SubmitSm(destination_addr="1" * 21), "destination_addr", "holds 20"),
        (SubmitSm(source_addr="1\x002"), "source_addr", "NUL"),
        (SubmitSm(source_addr="12€"), "source_addr", "the character at 2 is not one octet"),
        (SubmitSm(destination_addr="\ud800"), "destination_addr", "the character at 0"),
        (SubmitSm(validity_period="0" * 15), "validity_period", "none or 16"),
        (SubmitSm(validity_period="0" * 17), "validity_period", "holds 16"),
        (SubmitSm(schedule_delivery_time="0"), "schedule_delivery_time", "none or 16"),
        (SubmitSm(esm_class=256), "esm_class", "does not fit"),
        (SubmitSm(esm_class=0x110000), "esm_class", "does not fit"),
        (SubmitSm(data_coding=-1), "data_coding", "does not fit"),
        (SubmitSm(short_message=bytes(256)), "short_message", "counts to 255"),
        (SubmitSm(short_message=b"x", tlvs=PAYLOAD), "short_message", "message_payload, too"),
        (DeliverSm(short_message=b"x", tlvs=PAYLOAD), "short_message", "message_payload, too"),
        (ReplaceSm(short_message=b"x", tlvs=PAYLOAD), "short_message", "message_payload, too"),
        (SubmitSm(tlvs=((0x10000, b""),)), "tlvs", "tag"),
        (SubmitSm(tlvs=((0x1400, bytes(65_536)),)), "tlvs", "65536 octets"),
        (SubmitSm(tlvs=((0x1400, bytes(40_000)),) * 2), "command_length", "a PDU takes 70000"),
        (DataSm(tlvs=((0x1400, bytes(40_000)),) * 2), "command_length", "a PDU takes 70000"),
        (SubmitSm(sequence=2**32), "sequence_number", "does not fit 4 octets"),
        (SubmitSm(status=-1), "command_status", "does not fit 4 octets"),
        (EnquireLink(sequence=-1), "sequence_number", "does not fit"),
        (EnquireLink(tlvs=((-1, b""),)), "tlvs", "tag"),
        (GenericNack(status=2**32), "command_status", "does not fit"),
        (SubmitSmResp(message_id="x" * 65), "message_id", "65 characters, the field holds 64"),
        (SubmitSmResp(message_id="a\0"), "message_id", "NUL"),
        (SubmitSmResp(message_id="€"), "message_id", "not one octet"),
        (SubmitSmResp(sequence=2**32), "sequence_number", "does not fit"),
        (QuerySmResp(final_date="x"), "final_date", "none or 16"),
        (AlertNotification(esme_addr="1" * 21), "esme_addr", "holds 20"),
        (SubmitMulti(), "dest_address", "one at least"),
        (SubmitMulti(dest_address=(DestAddress(),) * 256), "dest_address", "counts to 255"),
        (SubmitMulti(dest_address=(DestAddress(dest_flag=3),)), "dest_flag", "neither 1 nor 2"),
        (SubmitMulti(dest_address=(DestAddress(dl_name="x"),)), "dl_name", "not a field of dest_flag 1"),
        (
            SubmitMulti(dest_address=(DestAddress(dest_flag=2, dest_addr_ton=1),)),
            "dest_addr_ton",
            "dest_flag 2",
        ),
        (SubmitMulti(dest_address=(DestAddress(dest_flag=2, dl_name="x" * 21),)), "dl_name", "holds 20"),
        (SubmitMulti(dest_address=(DestAddress(dest_addr_npi=256),)), "dest_addr_npi", "does not fit"),
        (SubmitMultiResp(unsuccess_sme=(UnsuccessSme(),) * 256), "unsuccess_sme", "counts to 255"),
        (
            SubmitMultiResp(unsuccess_sme=(UnsuccessSme(error_status_code=2**32),)),
            "error_status_code",
            "does not fit 4 octets",
        ),
    ],
)
def test_what_does_not_fit_is_not_written(pdu: Pdu, field: str, complaint: str) -> None:
    """The error has the name of the field and what the field holds."""
    with pytest.raises(EncodeError, match=complaint) as caught:
        encode(pdu)
    assert caught.value.field == field


def test_lenient_writing_takes_long_passwords_and_nothing_else() -> None:
    """Some carriers give out passwords longer than the field: up to 64 characters are written when told to."""
    long = BindTransceiver(password="x" * 64)
    assert decode(encode(long, lenient=True)) == long
    with pytest.raises(EncodeError, match="65 characters, the field holds 64"):
        encode(BindTransceiver(password="x" * 65), lenient=True)
    with pytest.raises(EncodeError, match="holds 15"):
        encode(BindTransceiver(system_id="x" * 16), lenient=True)


# ---- what cannot be read ----


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"", Status.RINVCMDLEN),
        (bytes(15), Status.RINVCMDLEN),
        (frame(Command.ENQUIRE_LINK)[:-1] + b"xx", Status.RINVCMDLEN),
        (frame(Command.SUBMIT_SM, SUBMIT)[:-1], Status.RINVCMDLEN),
        (frame(0x0000000A), Status.RINVCMDID),
        (frame(0x01000001, "0102"), Status.RINVCMDID),
        (frame(0x800000FF), Status.RINVCMDID),
        (frame(0x8000000B), Status.RINVCMDID),
        (frame(Command.SUBMIT_SM), Status.RINVMSGLEN),
        (frame(Command.SUBMIT_SM, HEAD), Status.RINVMSGLEN),
        (frame(Command.SUBMIT_SM, HEAD + "01"), Status.RINVMSGLEN),
        (frame(Command.SUBMIT_SM, HEAD + "ff" + "78" * 254), Status.RINVMSGLEN),
        (frame(Command.SUBMIT_SM, "00 0101 3132"), Status.RINVMSGLEN),
        (frame(Command.SUBMIT_SM, "00 0101" + "31" * 65 + SUBMIT[10:]), Status.RINVSRCADR),
        (
            frame(Command.SUBMIT_SM, "00 0101 3100 0101" + "31" * 65 + "00 000000 00 00 00000000 00"),
            Status.RINVDSTADR,
        ),
        (frame(Command.SUBMIT_SM, "41" * 65 + SUBMIT), Status.RINVSERTYP),
        (frame(Command.SUBMIT_SM, ADDRESSES + "30" * 65 + f"00 00 {NUMBERS} 00"), Status.RINVSCHED),
        (frame(Command.SUBMIT_SM, ADDRESSES + "00" + "30" * 65 + f"00 {NUMBERS} 00"), Status.RINVEXPIRY),
        (frame(Command.SUBMIT_SM, SUBMIT + "01"), Status.RINVTLVSTREAM),
        (frame(Command.SUBMIT_SM, SUBMIT + "0424 00ff 00"), Status.RINVTLVSTREAM),
        (frame(Command.DELIVER_SM, SUBMIT + "0424 00ff 00"), Status.RINVTLVSTREAM),
        (frame(Command.ENQUIRE_LINK, "01"), Status.RINVTLVSTREAM),
        (frame(Command.BIND_TRANSCEIVER, "41" * 65 + "00"), Status.RINVSYSID),
        (frame(Command.BIND_TRANSCEIVER, "00" + "41" * 65 + "00"), Status.RINVPASWD),
        (frame(Command.BIND_TRANSCEIVER, "00 00" + "41" * 65 + "00"), Status.RINVSYSTYP),
        (frame(Command.BIND_TRANSCEIVER, "00 00 00 340000" + "41" * 65 + "00"), Status.RBINDFAIL),
        (frame(Command.BIND_TRANSCEIVER, "00 00 00 340000"), Status.RINVMSGLEN),
        (frame(Command.OUTBIND), Status.RINVMSGLEN),
        (frame(Command.SUBMIT_SM_RESP, "41" * 256 + "00"), Status.RINVMSGID),
        (frame(Command.SUBMIT_SM_RESP, "4100 31"), Status.RINVTLVSTREAM),
        (frame(Command.QUERY_SM_RESP), Status.RINVMSGLEN),
        (frame(Command.QUERY_SM_RESP, "4100 00 02"), Status.RINVMSGLEN),
        (frame(Command.SUBMIT_MULTI, "00 000000 00"), Status.RINVNUMDESTS),
        (frame(Command.SUBMIT_MULTI, "00 000000 01 03"), Status.RINVDESTFLAG),
        (frame(Command.SUBMIT_MULTI, "00 000000 01 02" + "41" * 65 + "00"), Status.RINVDLNAME),
        (frame(Command.SUBMIT_MULTI, "00 000000 02 024100"), Status.RINVMSGLEN),
        (frame(Command.SUBMIT_MULTI_RESP, "4100 01 0101 3100 000000"), Status.RINVMSGLEN),
    ],
)
def test_what_cannot_be_read_says_what_to_answer(octets: bytes, status: Status) -> None:
    """Each kind of malformed PDU has its command_status, under the command and the sequence that it came with."""
    with pytest.raises(DecodeError) as caught:
        decode(octets)
    error = caught.value
    assert status_name(error.status) == status.name
    header = octets if len(octets) >= 16 else bytes(16)
    assert error.command == int.from_bytes(header[4:8], "big")
    assert error.sequence == int.from_bytes(header[12:16], "big")
    assert str(error) == error.reason != ""


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['command']}-{v['fields']['sequence_number']}")
def test_every_truncation_is_a_pdu_or_an_error(vector: dict[str, Any]) -> None:
    """With the length as it was, a PDU that is cut off is an error; with the length corrected it may be one."""
    octets = bytes.fromhex(vector["hex"])
    for end in range(len(octets)):
        with pytest.raises(DecodeError):
            decode(octets[:end])
    outcomes = [outcome(end.to_bytes(4, "big") + octets[4:end]) for end in range(16, len(octets))]
    assert set(outcomes) <= {octets[4:8], Status.RINVMSGLEN, Status.RINVTLVSTREAM}


# ---- what is read although it is not right ----


@pytest.mark.parametrize(
    ("octets", "pdu"),
    [
        (frame(Command.SUBMIT_SM_RESP), SubmitSmResp(sequence=7)),
        (frame(Command.DELIVER_SM_RESP), DeliverSmResp(sequence=7)),
        (frame(Command.DELIVER_SM_RESP, status=0x64), DeliverSmResp(sequence=7, status=0x64)),
        (frame(Command.DATA_SM_RESP), DataSmResp(sequence=7)),
        (frame(Command.BIND_RECEIVER_RESP), BindReceiverResp(sequence=7)),
        (frame(Command.SUBMIT_SM_RESP, "00", status=0x58), SubmitSmResp(sequence=7, status=0x58)),
        (frame(Command.QUERY_SM_RESP, status=0x67), QuerySmResp(sequence=7, status=0x67)),
        (
            frame(Command.QUERY_SM_RESP, "4100", status=0x67),
            QuerySmResp(sequence=7, status=0x67, message_id="A"),
        ),
        (frame(Command.SUBMIT_MULTI_RESP, "00", status=0x45), SubmitMultiResp(sequence=7, status=0x45)),
        (frame(Command.SUBMIT_SM_RESP, "3132"), SubmitSmResp(sequence=7, message_id="12")),
        (frame(Command.SUBMIT_SM_RESP, "313200 00"), SubmitSmResp(sequence=7, message_id="12")),
        (frame(Command.SUBMIT_SM_RESP, "41" * 255 + "00"), SubmitSmResp(sequence=7, message_id="A" * 255)),
        (frame(Command.OUTBIND, "4100 42"), Outbind(sequence=7, system_id="A", password="B")),
        (
            frame(Command.QUERY_SM, "4100 0101 31"),
            QuerySm(sequence=7, message_id="A", source_addr_ton=1, source_addr_npi=1, source_addr="1"),
        ),
        (
            frame(Command.SUBMIT_SM, SUBMIT + "000000"),
            SubmitSm(sequence=7, source_addr="1", destination_addr="2"),
        ),
        (
            frame(Command.DELIVER_SM, f"{ADDRESSES} 3100 3200 {NUMBERS} 00"),
            DeliverSm(
                sequence=7,
                source_addr="1",
                destination_addr="2",
                schedule_delivery_time="1",
                validity_period="2",
            ),
        ),
        (
            frame(Command.DELIVER_SM, SUBMIT.replace("3100", "31" * 64 + "00")),
            DeliverSm(sequence=7, source_addr="1" * 64, destination_addr="2"),
        ),
        (
            frame(Command.DELIVER_SM, HEAD + "0178 0424 0001 79"),
            DeliverSm(
                sequence=7, source_addr="1", destination_addr="2", short_message=b"x", tlvs=((0x0424, b"y"),)
            ),
        ),
        (
            frame(Command.BIND_TRANSCEIVER, "00" + "42" * 64 + "00 00 340000 00"),
            BindTransceiver(sequence=7, password="B" * 64, interface_version=0x34),
        ),
        (frame(Command.ENQUIRE_LINK, "00", status=1), EnquireLink(sequence=7, status=1)),
        (frame(Command.ENQUIRE_LINK_RESP, sequence=0xFFFFFFFF), EnquireLinkResp(sequence=0xFFFFFFFF)),
        (frame(Command.GENERIC_NACK, "1400 0000", sequence=0), GenericNack(tlvs=((0x1400, b""),))),
    ],
)
def test_what_peers_do_is_read(octets: bytes, pdu: Pdu) -> None:
    """Missing bodies of responses, missing and superfluous NULs, long strings, times that are none."""
    assert decode(octets) == pdu


# ---- PDUs as values ----


@pytest.mark.parametrize("kind", [kind for command, kind in CLASSES.items() if not command & RESPONSE])
def test_a_request_has_its_response(kind: type[Pdu]) -> None:
    """It has the request's sequence. What has no response of its own is answered by a generic_nack."""
    response = kind(sequence=7).response(status=8)
    assert type(response) is CLASSES.get(kind.COMMAND | RESPONSE, GenericNack)
    assert (response.sequence, response.status) == (7, 8)


def test_a_response_takes_its_fields() -> None:
    """The fields of the response are given by name."""
    assert SubmitSm(sequence=7).response(message_id="a") == SubmitSmResp(sequence=7, message_id="a")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (Command.SUBMIT_SM, SubmitSmResp(sequence=7, status=1)),
        (Command.BIND_RECEIVER, BindReceiverResp(sequence=7, status=1)),
        (0x0A, GenericNack(sequence=7, status=1)),
        (0, GenericNack(sequence=7, status=1)),
        (Command.OUTBIND, None),
        (Command.ALERT_NOTIFICATION, None),
        (Command.SUBMIT_SM_RESP, None),
        (Command.GENERIC_NACK, None),
        (0x800000FF, None),
    ],
)
def test_the_answer_to_what_cannot_be_read(command: int, answer: Pdu | None) -> None:
    """The response of its command, a generic_nack for an unknown one, and nothing to what is not answered."""
    assert response_to(command, 7, 1) == answer


@pytest.mark.parametrize("pdu", [BindTransceiver(password="secret"), Outbind(password="secret")])
def test_a_password_is_not_printed(pdu: Pdu) -> None:
    """Neither by repr nor by what rich asks for."""
    assert "secret" not in repr(pdu)
    assert "secret" not in str(pdu.__rich_repr__())
    assert "password='•••'" in repr(pdu)


def test_errors_do_not_contain_values() -> None:
    """So that they may be logged."""
    with pytest.raises(EncodeError) as caught:
        encode(BindTransceiver(password="secret" * 2))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "name"), [(0, "ROK"), (0x58, "RTHROTTLED"), (0xC0, "RINVTLVSTREAM"), (0x421, "0x00000421")]
)
def test_names_of_statuses(status: int, name: str) -> None:
    """A status that the specification does not know is its hexadecimal number."""
    assert status_name(status) == name

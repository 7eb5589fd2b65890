"""PDUs in words, for people who look at traffic."""

import json
from typing import Any

import pytest
from hypothesis import given

from support.pdus import any_pdu
from trebuchet.protocols.smpp import Status, Tag
from trebuchet.protocols.smpp.describe import describe
from trebuchet.protocols.smpp.pdu import (
    BindTransceiver,
    BindTransceiverResp,
    DataSm,
    DeliverSm,
    DestAddress,
    EnquireLink,
    Outbind,
    Pdu,
    QuerySmResp,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    UnsuccessSme,
)

CONCATENATED = bytes.fromhex("0500032a0201")  # the header of part 1 of 2


def tlv_of(tag: int, value: bytes, **options: Any) -> object:
    """How one TLV is described."""
    tlvs = describe(EnquireLink(tlvs=((tag, value),)), **options)["tlvs"]
    assert isinstance(tlvs, list)
    assert tlvs[0]["tag"] == f"0x{tag:04X}"
    return tlvs[0]["name"], tlvs[0]["value"]


def test_a_whole_submit_sm() -> None:
    """Every field by its name, in the order of the specification; numbers with their words; no text."""
    pdu = SubmitSm(
        sequence=7,
        source_addr_ton=5,
        source_addr="ACME",
        dest_addr_ton=1,
        dest_addr_npi=1,
        destination_addr="12025550123",
        esm_class=0x40,
        validity_period="000001000000000R",
        registered_delivery=1,
        data_coding=8,
        short_message=CONCATENATED + "Hi".encode("utf-16-be"),
        tlvs=((Tag.USER_MESSAGE_REFERENCE, b"\0\5"),),
    )
    expected = {
        "command": "submit_sm",
        "command_status": "ROK",
        "sequence_number": 7,
        "service_type": "",
        "source_addr_ton": "5 alphanumeric",
        "source_addr_npi": "0 unknown",
        "source_addr": "ACME",
        "dest_addr_ton": "1 international",
        "dest_addr_npi": "1 E.164",
        "destination_addr": "12025550123",
        "esm_class": "0x40 user data header",
        "protocol_id": 0,
        "priority_flag": 0,
        "schedule_delivery_time": "",
        "validity_period": "000001000000000R after 86400 s",
        "registered_delivery": "0x01 receipt on success or failure",
        "replace_if_present_flag": 0,
        "data_coding": "0x08 UCS-2",
        "sm_default_msg_id": 0,
        "short_message": "10 octets",
        "user_data_header": ["part 1 of 2, reference 42"],
        "tlvs": [{"tag": "0x0204", "name": "user_message_reference", "value": 5}],
    }
    assert list(describe(pdu).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("pdu", "text"),
    [
        (SubmitSm(short_message=b"Hello \x00"), "Hello @"),
        (SubmitSm(short_message=b"Hello", data_coding=3), "Hello"),
        (SubmitSm(short_message=CONCATENATED + b"\0H", data_coding=8, esm_class=0x40), "H"),
        (SubmitSm(short_message=b"\x01\x02", data_coding=4), "0102"),
        (SubmitSm(short_message=b"\x09Hi", esm_class=0x40), "094869"),
        (SubmitSm(), ""),
    ],
)
def test_texts_are_shown_when_asked_for(pdu: Pdu, text: str) -> None:
    """Decoded and without the header; in hexadecimal where the octets are no text or the header is broken."""
    assert describe(pdu, show_text=True)["short_message"] == text
    assert str(describe(pdu)["short_message"]).endswith(" octets")


def test_a_message_payload_is_a_text() -> None:
    """It is hidden, shown and split from its header like a short_message."""
    pdu = DataSm(esm_class=0x40, tlvs=((Tag.MESSAGE_PAYLOAD, CONCATENATED + b"Hello"),))
    hidden, shown = describe(pdu), describe(pdu, show_text=True)
    row = {"tag": "0x0424", "name": "message_payload"}
    assert hidden["tlvs"] == [{**row, "value": "11 octets"}]
    assert shown["tlvs"] == [{**row, "value": "Hello"}]
    assert hidden["user_data_header"] == shown["user_data_header"] == ["part 1 of 2, reference 42"]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("0605040b8423f0", ["element 0x05 0b8423f0"]),
        ("0b05040b8423f000032a0302", ["element 0x05 0b8423f0", "part 2 of 3, reference 42"]),
        ("0608040102ff01", ["part 1 of 255, reference 258"]),
        ("020100", ["element 0x01"]),
        ("00", []),
        ("", ["malformed"]),
        ("0400", ["malformed"]),
    ],
)
def test_user_data_headers(header: str, words: list[str]) -> None:
    """Which part of which message, and other elements in hexadecimal."""
    assert (
        describe(DeliverSm(esm_class=0x40, short_message=bytes.fromhex(header)))["user_data_header"] == words
    )


@pytest.mark.parametrize("pdu", [BindTransceiver(password="secret"), Outbind(password="secret"), Outbind()])
def test_a_password_is_never_shown(pdu: Pdu) -> None:
    """Not even whether there is one, and not when texts are."""
    assert describe(pdu, show_text=True)["password"] == "•••"


@pytest.mark.parametrize(
    ("pdu", "field", "words"),
    [
        (SubmitSmResp(status=Status.RTHROTTLED), "command_status", "RTHROTTLED"),
        (SubmitSmResp(status=0x421), "command_status", "0x00000421"),
        (BindTransceiver(interface_version=0x34), "interface_version", "3.4"),
        (BindTransceiver(interface_version=0), "interface_version", "0.0"),
        (SubmitSm(source_addr_ton=7), "source_addr_ton", "7 reserved"),
        (SubmitSm(dest_addr_npi=18), "dest_addr_npi", "18 WAP"),
        (SubmitSm(), "esm_class", "0x00 default"),
        (SubmitSm(esm_class=0x43), "esm_class", "0x43 store and forward, user data header"),
        (SubmitSm(esm_class=0x81), "esm_class", "0x81 datagram, reply path"),
        (DeliverSm(esm_class=0x04), "esm_class", "0x04 delivery receipt"),
        (DeliverSm(esm_class=0x20), "esm_class", "0x20 intermediate notification"),
        (DeliverSm(esm_class=0x0C), "esm_class", "0x0C reserved message type"),
        (SubmitSm(), "registered_delivery", "0x00 no receipt"),
        (
            SubmitSm(registered_delivery=0x11),
            "registered_delivery",
            "0x11 receipt on success or failure, intermediate notifications",
        ),
        (
            SubmitSm(registered_delivery=0x0E),
            "registered_delivery",
            "0x0E receipt on failure, delivery acknowledgement, user acknowledgement",
        ),
        (SubmitSm(registered_delivery=0x80), "registered_delivery", "0x80 reserved bits"),
        (SubmitSm(), "data_coding", "0x00 SMSC default alphabet"),
        (SubmitSm(data_coding=1), "data_coding", "0x01 ASCII"),
        (SubmitSm(data_coding=3), "data_coding", "0x03 ISO-8859-1"),
        (SubmitSm(data_coding=4), "data_coding", "0x04 octets"),
        (SubmitSm(data_coding=0x18), "data_coding", "0x18 UCS-2, class 0"),
        (SubmitSm(data_coding=0xF1), "data_coding", "0xF1 GSM-7, class 1"),
        (SubmitSm(data_coding=0xC8), "data_coding", "0xC8 GSM-7, message waiting"),
        (
            SubmitSm(schedule_delivery_time="261123043100000+"),
            "schedule_delivery_time",
            "261123043100000+ at 2026-11-23T04:31:00Z",
        ),
        (SubmitSm(validity_period="tomorrow"), "validity_period", "tomorrow malformed"),
        (QuerySmResp(message_state=5), "message_state", "5 UNDELIVERABLE"),
        (QuerySmResp(final_date=""), "final_date", ""),
        (
            SubmitMulti(
                dest_address=(
                    DestAddress(dest_addr_ton=1, destination_addr="1"),
                    DestAddress(dest_flag=2, dl_name="a"),
                )
            ),
            "dest_address",
            [
                {"dest_addr_ton": "1 international", "dest_addr_npi": "0 unknown", "destination_addr": "1"},
                {"dl_name": "a"},
            ],
        ),
        (
            SubmitMultiResp(unsuccess_sme=(UnsuccessSme(destination_addr="1", error_status_code=11),)),
            "unsuccess_sme",
            [
                {
                    "dest_addr_ton": "0 unknown",
                    "dest_addr_npi": "0 unknown",
                    "destination_addr": "1",
                    "error_status_code": "RINVDSTADR",
                }
            ],
        ),
    ],
)
def test_words_for_a_field(pdu: Pdu, field: str, words: object) -> None:
    """What people call a value; what nobody has a word for is reserved."""
    assert describe(pdu)[field] == words


@pytest.mark.parametrize(
    ("tag", "value", "words"),
    [
        (Tag.MESSAGE_STATE, b"\2", ("message_state", "2 DELIVERED")),
        (Tag.MESSAGE_STATE, b"\x63", ("message_state", "99 reserved")),
        (Tag.RECEIPTED_MESSAGE_ID, b"1a2b\0", ("receipted_message_id", "1a2b")),
        (Tag.SC_INTERFACE_VERSION, b"\x50", ("sc_interface_version", "5.0")),
        (Tag.NETWORK_ERROR_CODE, b"\x03\x00\x22", ("network_error_code", "GSM 34")),
        (Tag.NETWORK_ERROR_CODE, b"\xa0\x00\x22", ("network_error_code", "network 160 34")),
        (Tag.NETWORK_ERROR_CODE, b"\x03", ("network_error_code", "03 of a wrong length")),
        (Tag.MESSAGE_STATE, b"", ("message_state", "of a wrong length")),
        (Tag.BROADCAST_ERROR_STATUS, b"\0\0\0\x58", ("broadcast_error_status", "RTHROTTLED")),
        (Tag.DELIVERY_FAILURE_REASON, b"\2", ("delivery_failure_reason", "2 permanent network error")),
        (Tag.CONGESTION_STATE, b"\x64", ("congestion_state", 100)),
        (Tag.MS_MSG_WAIT_FACILITIES, b"\x82", ("ms_msg_wait_facilities", "82")),
        (Tag.ALERT_ON_MESSAGE_DELIVERY, b"", ("alert_on_message_delivery", True)),
        (Tag.ALERT_ON_MESSAGE_DELIVERY, b"\2", ("alert_on_message_delivery", 2)),
        (0x1400, b"ab", ("vendor specific", "6162")),
        (0x1401, b"ab", ("campaign", "6162")),
        (0x0999, b"", ("unknown", "")),
    ],
)
def test_words_for_a_tlv(tag: int, value: bytes, words: tuple[str, object]) -> None:
    """By name; the link's own names for vendors' tags; in hexadecimal what is only octets or not as it should be."""
    assert tlv_of(tag, value, vendor_tags={0x1401: "campaign"}) == words


def test_tlvs_keep_their_order_and_duplicates() -> None:
    """As they are on the wire. A PDU without any has no "tlvs"."""
    tlvs = describe(EnquireLink(tlvs=((0x1400, b"b"), (0x1400, b"a"))))["tlvs"]
    assert isinstance(tlvs, list)
    assert [row["value"] for row in tlvs] == ["62", "61"]
    assert "tlvs" not in describe(BindTransceiverResp())


@given(any_pdu)
def test_any_pdu_has_a_description(pdu: Pdu) -> None:
    """Whatever its fields hold, the description is JSON, and the same after reading it back."""
    for show_text in (False, True):
        said = describe(pdu, show_text=show_text)
        assert json.loads(json.dumps(said)) == said

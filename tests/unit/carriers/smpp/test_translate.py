"""Shipments become submit_sm; deliver_sm become receipts, messages and parts of messages."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.stories import deliveries, message
from trebuchet.carriers.base import Shipment
from trebuchet.carriers.smpp import parse_settings, translate
from trebuchet.carriers.smpp.settings import SmppSettings
from trebuchet.model import ledger
from trebuchet.model.message import Kind
from trebuchet.model.receipt import ReceiptState
from trebuchet.protocols import sms
from trebuchet.protocols.smpp import tlv
from trebuchet.protocols.smpp.pdu import DataSm, DeliverSm, SubmitSm
from trebuchet.protocols.smpp.tlv import Tag

NOW_MS = 1_767_225_600_000
OURS = "+12345678901"
HANDSET = "+19195551234"
VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "segmentation.json").read_text("utf-8"))[
    "vectors"
]


def settings(**fields: Any) -> SmppSettings:
    return parse_settings({"host": "smsc.example.com", "system_id": "esme", **fields})


def shipment(text: str = "hello", **fields: Any) -> Shipment:
    encoding = sms.choose(text).encoding.value
    of = message(
        0, **({"text": text, "destinations": (HANDSET,), "source": OURS, "encoding": encoding} | fields)
    )
    return Shipment(of, deliveries(of), 1, (of.id, 0), of.received_ms)


def submits(text: str = "hello", *, reference: int = 0x2A, **fields: Any) -> list[SubmitSm]:
    return translate.submits(shipment(text), settings(**fields), reference, NOW_MS)


# ---- outbound ----


def test_a_text_is_one_submit_with_a_receipt_asked_for() -> None:
    """Addresses in international form, GSM-7 unpacked, a validity, our mark."""
    of = shipment()
    (pdu,) = translate.submits(of, settings(), 0, NOW_MS)
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == (1, 1, "12345678901")
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr) == (1, 1, "19195551234")
    assert (pdu.data_coding, pdu.esm_class, pdu.registered_delivery) == (0, 0, 1)
    assert pdu.short_message == b"hello"
    assert pdu.validity_period == "000001000000000R"  # a day
    mark = tlv.first(pdu.tlvs, Tag.USER_MESSAGE_REFERENCE)
    assert mark == ledger.user_reference(of.message.id, 0, 0).to_bytes(2)


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["text"]], ids=lambda vector: str(vector["name"]))
def test_every_text_is_cut_as_its_vector_says(vector: dict[str, Any]) -> None:
    """As many parts, the first with these octets, each with a receipt asked for."""
    parts = submits(vector["text"])
    assert len(parts) == vector["segmentCount"]
    first = vector["first_last_8bit_ref_0x2A"][0]
    if "zwj" not in vector["name"]:  # cut between graphemes, where the vector cuts within one
        assert parts[0].short_message.hex() == first["short_message_hex"]
    assert {part.data_coding for part in parts} == {vector["data_coding"]}
    assert {part.registered_delivery for part in parts} == {1}
    assert {part.esm_class for part in parts} == ({0x40} if len(parts) > 1 else {0})


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=700))
def test_the_octets_of_the_parts_say_the_text(text: str) -> None:
    """What a handset reads is what was sent."""
    parts = [
        sms.udh.parse(p.short_message)[1] if p.esm_class & 0x40 else p.short_message for p in submits(text)
    ]
    coding = submits(text)[0].data_coding
    assert sms.decode(b"".join(parts), coding) == text


@pytest.mark.parametrize(
    ("long_message", "header", "tags"),
    [
        ("udh8", bytes.fromhex("0500032a0201"), set()),
        ("udh16", bytes.fromhex("060804122a0201"), set()),
        ("sar", b"", {Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM}),
    ],
)
def test_how_parts_are_numbered(long_message: str, header: bytes, tags: set[Tag]) -> None:
    """In the text with 8 or 16 bits, or in optional parameters; the reference is cut to its width."""
    first, second = submits("a" * 200, reference=0x122A, long_message=long_message)
    assert first.short_message.startswith(header)
    assert first.esm_class == (0x40 if header else 0)
    assert {tag for tag, _ in first.tlvs} == tags | {Tag.USER_MESSAGE_REFERENCE}
    if tags:
        assert tlv.first(second.tlvs, Tag.SAR_SEGMENT_SEQNUM) == b"\x02"
        assert tlv.first(second.tlvs, Tag.SAR_MSG_REF_NUM) == b"\x12\x2a"
        assert len(first.short_message) == 152  # the SMSC writes a header of seven octets itself


def test_a_payload_carries_the_whole_text() -> None:
    """One submit, short_message empty: never both (SMPP 3.4 section 5.3.2.32)."""
    (pdu,) = submits("€" * 200, long_message="payload")
    assert pdu.short_message == b""
    payload = tlv.first(pdu.tlvs, Tag.MESSAGE_PAYLOAD)
    assert payload is not None
    assert sms.decode(payload, pdu.data_coding) == "€" * 200


@pytest.mark.parametrize(
    ("text", "coding", "octets"),
    [
        ("£5 @home", 0, "£5 @home".encode("latin-1")),
        ("5 €", 8, "5 €".encode("utf-16-be")),  # in GSM 03.38, not in Latin-1
        ("ж", 8, "ж".encode("utf-16-be")),
    ],
)
def test_a_default_alphabet_that_is_latin_1(text: str, coding: int, octets: bytes) -> None:
    """Data coding 0 then means that; what it lacks goes as UCS-2."""
    (pdu,) = submits(text, default_alphabet="latin1")
    assert (pdu.data_coding, pdu.short_message) == (coding, octets)


def test_a_long_text_outside_the_link_s_alphabet_fits_its_parts() -> None:
    """200 GSM-7 characters that go as UCS-2 are cut for UCS-2."""
    parts = submits("Ω" * 200, default_alphabet="latin1")
    assert [len(part.short_message) for part in parts] == [140, 140, 138]


def test_packed_septets() -> None:
    """Eight characters in seven octets; behind a header with its fill bit."""
    (short,) = submits("Hello world!", packed=True)
    assert short.short_message.hex() == "c8329bfd06dddf72363904"
    first, _ = submits("a" * 161, packed=True)
    assert len(first.short_message) == 140


def test_typographic_characters_of_a_text_that_was_accepted_as_gsm_7() -> None:
    """The count was promised with smart encoding, so the link encodes it so."""
    of = shipment("“hi” – now…", encoding="GSM-7")
    (pdu,) = translate.submits(of, settings(), 0, NOW_MS)
    assert (pdu.data_coding, pdu.short_message) == (0, b'"hi" - now...')


@pytest.mark.parametrize(
    ("left_ms", "validity"),
    [(3_600_000, "000000010000000R"), (10, "000000000100000R"), (400 * 86_400_000, "000030000000000R")],
)
def test_the_validity_is_what_is_left_within_bounds(left_ms: int, validity: str) -> None:
    """Relative, so that no clock of the SMSC's matters; a minute at least, thirty days at most."""
    of = shipment(valid_until_ms=NOW_MS + left_ms)
    (pdu,) = translate.submits(of, settings(), 0, NOW_MS)
    assert pdu.validity_period == validity


def test_a_peer_of_3_3_gets_no_optional_parameters() -> None:
    """Neither ours nor the carrier's own."""
    vendor = {"campaign": {"tag": 0x1400, "type": "cstring", "value": "C123"}}
    (pdu,) = translate.submits(shipment(), settings(vendor_tlvs=vendor), 0, NOW_MS, takes_tlvs=False)
    assert pdu.tlvs == ()
    (pdu,) = translate.submits(shipment(), settings(vendor_tlvs=vendor), 0, NOW_MS)
    assert (0x1400, b"C123\0") in pdu.tlvs


def test_a_picture_message_is_not_for_this_link() -> None:
    """It fails with 4701 and says why."""
    of = shipment(kind=Kind.MMS, media=("https://example.com/a.png",))
    with pytest.raises(translate.Untranslatable, match="text messages only") as caught:
        translate.submits(of, settings(), 0, NOW_MS)
    assert caught.value.error_code == 4701


# ---- inbound ----


def deliver(text: bytes = b"hello", **fields: Any) -> DeliverSm:
    ordinary: dict[str, Any] = {
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "source_addr": "19195551234",
        "dest_addr_ton": 1,
        "dest_addr_npi": 1,
        "destination_addr": "12345678901",
        "short_message": text,
    }
    return DeliverSm(**(ordinary | fields))


RECEIPT = (
    b"id:1a2b sub:001 dlvrd:001 submit date:2611230430 done date:2611230431 stat:DELIVRD err:000 text:Hello"
)


def test_a_receipt_says_whose_and_what() -> None:
    """Addresses are swapped: the handset is the source."""
    found = translate.receipt(deliver(RECEIPT, esm_class=4), b"octets", "acme", settings(), NOW_MS)
    assert found is not None
    assert (found.carrier_id, found.carrier_message_id, found.state) == (
        "acme",
        "1a2b",
        ReceiptState.DELIVERED,
    )
    assert (found.handset, found.sender, found.text) == (HANDSET, OURS, "Hello")
    assert (found.error_code, found.error, found.octets) == (None, "", b"octets")


@pytest.mark.parametrize(
    ("profile", "stat", "err", "code"),
    [
        ("generic", "UNDELIV", "027", 5650),
        ("gsm", "UNDELIV", "027", 4702),
        ("bandwidth", "UNDELIV", "720", 4720),
        ("generic", "REJECTD", "", 4750),
        ("generic", "EXPIRED", "000", 4702),
        ("generic", "WHATEVER", "000", 9999),
    ],
)
def test_a_failure_has_the_code_of_the_link_s_table(profile: str, stat: str, err: str, code: int) -> None:
    """By the error where the profile knows it, else by the state."""
    text = f"id:1 stat:{stat} err:{err} text:".encode()
    found = translate.receipt(
        deliver(text, esm_class=4), b"", "acme", settings(receipt_errors=profile), NOW_MS
    )
    assert found is not None
    assert found.error_code == code


@pytest.mark.parametrize(
    ("fields", "stat", "state"),
    [
        ({}, "ACCEPTD", ReceiptState.ACCEPTED),
        ({"accepted_is_final": True}, "ACCEPTD", ReceiptState.DELIVERED),
        ({}, "UNKNOWN", ReceiptState.UNKNOWN),
        ({"unknown_is_delivered": True}, "UNKNOWN", ReceiptState.DELIVERED),
        ({}, "ENROUTE", ReceiptState.ENROUTE),
    ],
)
def test_what_a_state_means_is_the_link_s_to_say(
    fields: dict[str, Any], stat: str, state: ReceiptState
) -> None:
    """Some carriers never report more than ACCEPTD."""
    text = f"id:1 stat:{stat}".encode()
    found = translate.receipt(deliver(text, esm_class=4), b"", "acme", settings(**fields), NOW_MS)
    assert found is not None
    assert found.state is state


def test_an_intermediate_notification_closes_nothing() -> None:
    """Whatever state it names (esm_class 0x20)."""
    found = translate.receipt(deliver(RECEIPT, esm_class=0x20), b"", "acme", settings(), NOW_MS)
    assert found is not None
    assert found.state is ReceiptState.ENROUTE


def test_a_receipt_in_ucs_2_behind_a_header() -> None:
    """Both are met."""
    text = bytes.fromhex("0500032a0101") + RECEIPT.decode().encode("utf-16-be")
    found = translate.receipt(deliver(text, esm_class=0x44, data_coding=8), b"", "acme", settings(), NOW_MS)
    assert found is not None
    assert found.carrier_message_id == "1a2b"


def test_a_receipt_may_come_in_a_data_sm() -> None:
    """With everything in optional parameters."""
    pdu = DataSm(
        source_addr="19195551234",
        esm_class=4,
        tlvs=(
            tlv.pack(Tag.RECEIPTED_MESSAGE_ID, "abc"),
            tlv.pack(Tag.MESSAGE_STATE, 5),
            tlv.pack(Tag.NETWORK_ERROR_CODE, b"\x03\x00\x1b"),
            tlv.pack(Tag.USER_MESSAGE_REFERENCE, 77),
        ),
    )
    assert translate.is_receipt(pdu, settings())
    found = translate.receipt(pdu, b"", "acme", settings(), NOW_MS)
    assert found is not None
    assert (found.carrier_message_id, found.state) == ("abc", ReceiptState.UNDELIVERABLE)
    assert (found.error_code, found.user_reference) == (4702, 77)


def test_nobody_can_type_a_receipt() -> None:
    """A text that looks like one is a text, unless the link says that its carrier does not mark receipts."""
    assert not translate.is_receipt(deliver(RECEIPT), settings())
    assert translate.is_receipt(deliver(RECEIPT), settings(spoofable_text_receipts=True))
    assert not translate.is_receipt(deliver(b"hello id: my name"), settings(spoofable_text_receipts=True))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"short_message": b"hello"}, "hello"),
        ({"short_message": b"\x00 \x1b\x65"}, "@ €"),
        ({"short_message": "жук".encode("utf-16-be"), "data_coding": 8}, "жук"),
        ({"short_message": b"caf\xe9", "data_coding": 3}, "café"),
        ({"short_message": b"", "tlvs": ((Tag.MESSAGE_PAYLOAD, b"long"),)}, "long"),
        ({"short_message": b"\x06\x05\x04\x0b\x84\x23\xf0hi", "esm_class": 0x40}, "hi"),  # ports, no parts
        ({"short_message": b"\x63broken", "esm_class": 0x40}, "cbroken"),
        ({"short_message": b"\x01\x02", "data_coding": 4}, "0102"),
    ],
)
def test_what_a_handset_wrote(fields: dict[str, Any], text: str) -> None:
    """In every data coding that is met; what is no text is shown as its octets."""
    part = translate.inbound(deliver(**fields), "acme", settings())
    assert (part.source, part.destination, part.text, part.part) == (HANDSET, OURS, text, None)


@pytest.mark.parametrize(
    ("fields", "reference", "width"),
    [
        ({"short_message": bytes.fromhex("0500032a0302") + b"two", "esm_class": 0x40}, 0x2A, 8),
        ({"short_message": bytes.fromhex("060804122a0302") + b"two", "esm_class": 0x40}, 0x122A, 16),
        (
            {
                "short_message": b"two",
                "tlvs": (
                    (Tag.SAR_MSG_REF_NUM, b"\x12\x2a"),
                    (Tag.SAR_TOTAL_SEGMENTS, b"\x03"),
                    (Tag.SAR_SEGMENT_SEQNUM, b"\x02"),
                ),
            },
            0x122A,
            16,
        ),
    ],
)
def test_a_part_says_where_it_belongs(fields: dict[str, Any], reference: int, width: int) -> None:
    """Its octets are kept as they are: characters may be cut between two parts."""
    found = translate.inbound(deliver(**fields), "acme", settings())
    assert found.text == ""
    assert found.part is not None
    assert (found.part.reference, found.part.width) == (reference, width)
    assert (found.part.total, found.part.number, found.part.octets) == (3, 2, b"two")


@pytest.mark.parametrize("header", ["0500032a0100", "0500032a0001", "0500032a0204", "0500032a0101"])
def test_a_part_that_cannot_be_one_is_a_message(header: str) -> None:
    """Number zero, a total of none, beyond the total, or the only one."""
    octets = bytes.fromhex(header) + b"text"
    found = translate.inbound(deliver(octets, esm_class=0x40), "acme", settings())
    assert (found.part, found.text) == (None, "text")


@given(
    st.builds(
        deliver, st.binary(max_size=255), esm_class=st.integers(0, 255), data_coding=st.integers(0, 255)
    )
)
def test_whatever_a_peer_delivers_is_understood_somehow(pdu: DeliverSm) -> None:
    """No octets of a handset or an SMSC make it fail."""
    if translate.is_receipt(pdu, settings()):
        translate.receipt(pdu, b"", "acme", settings(), NOW_MS)
    else:
        assert msgspec.json.encode(translate.inbound(pdu, "acme", settings()))

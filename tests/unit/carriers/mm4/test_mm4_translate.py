"""Shipments into MM4 and MM4 into reports."""

from typing import Any

import pytest
from msgspec.structs import replace

from contract.stories import deliveries, message
from trebuchet.carriers.base import File, Shipment
from trebuchet.carriers.mm4 import translate
from trebuchet.carriers.mm4.settings import Mm4Settings, parse_settings
from trebuchet.model.message import GROUP, Kind
from trebuchet.model.receipt import ReceiptState
from trebuchet.protocols import mm4
from trebuchet.protocols.mm4 import Address, DeliveryReportReq, ForwardReq, ForwardRes

HANDSETS = ("+12025550123", "+12025550124")
OURS = "+12345678901"
NEAR, FAR = "mms.near.example", "mms.far.example"
NOW_MS = 1_700_000_000_000


def settings(**fields: Any) -> Mm4Settings:
    least = {"host": "mta.far.example", "domain": FAR, "our_domain": NEAR, "answers": False, "reports": False}
    listening = {"listen_port": 2525, "listen_from": ["192.0.2.1"]} if fields.get("answers") else {}
    return parse_settings(least | listening | fields)


def shipment(*to: str, **fields: Any) -> Shipment:
    of = message(0, destinations=to or HANDSETS[:1], kind=Kind.MMS, **fields)
    return Shipment(of, deliveries(of), 1, (of.id, GROUP), of.received_ms)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+12025550123", mm4.Kind.PHONE),
        ("55555", mm4.Kind.SHORT_CODE),
        ("ACME", mm4.Kind.ALPHANUMERIC),
    ],
)
def test_a_number_has_the_kind_that_it_looks_like(number: str, kind: mm4.Kind) -> None:
    """The kind decides how it is written."""
    assert translate.address_of(number, NEAR) == Address(kind, number, NEAR)


def test_a_message_id_is_the_same_at_each_try() -> None:
    """It is made of the message and its first recipient only, so the peer takes one."""
    first = shipment()
    second = replace(first, attempt=2, due_ms=first.due_ms + 60_000)
    assert translate.message_id_of(first, settings()) == f"{first.message.id}.0@{NEAR}"
    assert translate.message_id_of(second, settings()) == translate.message_id_of(first, settings())


def test_each_recipient_of_a_message_has_an_id_of_its_own() -> None:
    """Whatever the brackets around the message's; so a message to two recipients apart has two message ids."""
    assert translate.part_id("<m@x>", HANDSETS[0]) == translate.part_id("m@x", HANDSETS[0])
    assert translate.part_id("m@x", HANDSETS[0]) != translate.part_id("m@x", HANDSETS[1])
    both = shipment(*HANDSETS)
    apart = {
        translate.message_id_of(replace(both, deliveries=(each,)), settings()) for each in both.deliveries
    }
    assert len(apart) == 2


def test_a_forward_names_all_and_carries_what_the_peer_is_asked_for() -> None:
    """Every recipient of the message, also of a shipment to one of them; whether to answer and to report."""
    group = shipment(*HANDSETS)
    request = translate.forward(group, settings(answers=True), "t-1", NOW_MS)
    assert request.to == tuple(Address(mm4.Kind.PHONE, number, FAR) for number in HANDSETS)
    assert request.source == Address(mm4.Kind.PHONE, OURS, NEAR)
    assert (request.transaction_id, request.mail_id) == ("t-1", f"t-1@{NEAR}")
    assert (request.ack_request, request.delivery_report) == (True, False)
    assert (request.date_s, request.expires_s) == (NOW_MS // 1000, group.message.valid_until_ms // 1000)
    assert request.system == request.originator_system == f"system-user@{NEAR}"
    alone = replace(group, deliveries=group.deliveries[1:])
    assert translate.forward(alone, settings(), "t-2", NOW_MS).to == request.to


@pytest.mark.parametrize(
    ("fields", "mailbox"),
    [
        ({}, f"+12025550124/TYPE=PLMN@{FAR}"),
        ({"plus": False}, f"12025550124/TYPE=PLMN@{FAR}"),
        ({"type_plmn": False}, f"+12025550124@{FAR}"),
        ({"header_domain": False}, f"+12025550124/TYPE=PLMN@{FAR}"),
    ],
)
def test_recipients_are_found_by_their_place(fields: dict[str, Any], mailbox: str) -> None:
    """As the peer writes addresses; the envelope has a domain always."""
    assert translate.recipients_of(shipment(*HANDSETS), settings(**fields))[mailbox] == 1


@pytest.mark.parametrize(
    ("word", "extension", "fields", "state", "code"),
    [
        ("Retrieved", "", {}, ReceiptState.DELIVERED, None),
        ("Expired", "", {}, ReceiptState.UNDELIVERABLE, 4702),
        ("Rejected", "", {}, ReceiptState.UNDELIVERABLE, 4750),
        ("Rejected", "Rejection-By-MMS-Recipient", {}, ReceiptState.UNDELIVERABLE, 4753),
        ("Forwarded", "", {}, ReceiptState.ENROUTE, None),
        ("Forwarded", "", {"forwarded_is_delivered": True}, ReceiptState.DELIVERED, None),
        ("Indeterminate", "", {}, ReceiptState.UNKNOWN, 9999),
        ("Indeterminate", "", {"indeterminate_is_delivered": True}, ReceiptState.DELIVERED, None),
        ("Deferred", "", {}, ReceiptState.ENROUTE, None),
    ],
)
def test_a_report_is_a_receipt(
    word: str, extension: str, fields: dict[str, bool], state: ReceiptState, code: int | None
) -> None:
    """Under the message id with the number behind it."""
    report = DeliveryReportReq(
        transaction_id="r",
        message_id="<m@x>",
        source=translate.address_of(HANDSETS[0], FAR),
        to=translate.address_of("55555", NEAR),
        status=word,
        status_extension=extension,
        status_text="so it is",
    )
    receipt = translate.receipt_of(report, "far", settings(**fields), NOW_MS)
    assert receipt is not None
    assert receipt.carrier_message_id == translate.part_id("m@x", HANDSETS[0])
    assert (receipt.carrier_id, receipt.at_ms) == ("far", NOW_MS)
    assert (receipt.state, receipt.error_code, receipt.handset, receipt.sender) == (
        state,
        code,
        HANDSETS[0],
        "55555",
    )
    assert receipt.error == " ".join(filter(None, (word, extension, "so it is")))


def test_a_report_about_nobody_is_none() -> None:
    """It is answered so, and nothing is stored."""
    report = DeliveryReportReq(transaction_id="r", message_id="m", status="Retrieved")
    assert translate.receipt_of(report, "far", settings(), NOW_MS) is None


def test_what_a_peer_says_at_length_is_cut() -> None:
    """In the words of a receipt, whichever way they came."""
    report = DeliveryReportReq(
        transaction_id="r",
        message_id="m",
        source=translate.address_of(HANDSETS[0]),
        status="Rejected",
        status_text="x" * 5_000,
    )
    receipt = translate.receipt_of(report, "far", settings(), NOW_MS)
    assert receipt is not None
    assert len(receipt.error) == 200
    assert len(translate.refused_part("far", "m", HANDSETS[0], 4720, "x" * 5_000, NOW_MS).error) == 200


def test_a_part_is_refused_or_counts_as_delivered() -> None:
    """A recipient that the peer named afterwards; one of a peer that reports nothing."""
    refused = translate.refused_part("far", "m", HANDSETS[0], 4720, "nobody", NOW_MS)
    assert (refused.state, refused.error_code, refused.error) == (ReceiptState.REJECTED, 4720, "nobody")
    delivered = translate.delivered_part("far", "m", HANDSETS[0], NOW_MS)
    assert (delivered.state, delivered.error_code) == (ReceiptState.DELIVERED, None)
    assert refused.carrier_message_id == delivered.carrier_message_id == translate.part_id("m", HANDSETS[0])


def test_what_a_peer_said_is_shown_without_what_it_left_out() -> None:
    """Line by line, with the recipients that it is about."""
    said = ForwardRes(
        transaction_id="t",
        message_id="m",
        status="Error-service-denied",
        recipients=tuple(map(translate.address_of, HANDSETS)),
        internal_code=0,
    )
    assert translate.shown(said) == [
        "X-Mms-Transaction-ID: t",
        "X-Mms-Message-ID: m",
        "status: Error-service-denied",
        "X-Internal-Status-Code: 0",
        "recipients: +12025550123, +12025550124",
    ]


def test_a_message_comes_in_whole() -> None:
    """Delivered by its envelope, shown with everybody in its headers, known again by its message id."""
    request = ForwardReq(
        transaction_id="t",
        message_id='"m@x"',
        source=translate.address_of(HANDSETS[0], FAR),
        to=(translate.address_of(OURS), translate.address_of(HANDSETS[1])),
        cc=(translate.address_of(OURS), translate.address_of("+12345678902")),
    )
    content = mm4.Content("hello", (mm4.MimePart(content_type="image/png", octets=b"x", name="a.png"),))
    part = translate.inbound_of(request, content, (OURS,), "far")
    assert (part.source, part.destination, part.owners, part.text) == (HANDSETS[0], OURS, (OURS,), "hello")
    assert part.destinations == (OURS, HANDSETS[1], "+12345678902")
    assert part.files == (File("a.png", "image/png", b"x"),)
    assert part.multimedia
    assert part.repeat_key == part.carrier_message_id == "m@x"
    unnamed = translate.inbound_of(replace(request, to=(), cc=()), content, (OURS,), "far")
    assert unnamed.destinations == (OURS,)


def test_numbers_of_an_envelope() -> None:
    """In any form, each once; a mailbox is nobody's number."""
    given = [
        f"+12025550123/TYPE=PLMN@{NEAR}",
        f"12025550123/TYPE=PLMN@{NEAR}",
        f"2025550124@{NEAR}",
        f"somebody@{NEAR}",
    ]
    assert translate.numbers(given, settings()) == list(HANDSETS)

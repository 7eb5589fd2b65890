"""Shipments into MM7 and MM7 into reports."""

from typing import Any

import pytest
from msgspec.structs import replace

from contract.stories import deliveries, message
from trebuchet.carriers.base import File, Shipment
from trebuchet.carriers.mm7 import parse_settings, translate
from trebuchet.carriers.mm7.settings import Mm7Settings
from trebuchet.model.message import GROUP, Kind
from trebuchet.model.receipt import ReceiptState
from trebuchet.protocols import mm4
from trebuchet.protocols.mm7 import DeliverReq, DeliveryReportReq, Party
from trebuchet.protocols.mm7 import Kind as Written

HANDSETS = ("+12025550123", "+12025550124")
NOW_MS = 1_700_000_000_000


def settings(**fields: Any) -> Mm7Settings:
    return parse_settings({"url": "http://mmsc.example/mm7", "reports": False} | fields)


def shipment(*to: str, **fields: Any) -> Shipment:
    of = message(0, destinations=to or HANDSETS[:1], kind=Kind.MMS, **fields)
    return Shipment(of, deliveries(of), 1, (of.id, GROUP), of.received_ms)


@pytest.mark.parametrize(
    ("number", "plus", "party"),
    [
        ("+12025550123", True, Party(Written.NUMBER, "+12025550123")),
        ("+12025550123", False, Party(Written.NUMBER, "12025550123")),
        ("55555", False, Party(Written.SHORT_CODE, "55555")),
        ("ACME", True, Party(Written.NUMBER, "ACME")),
    ],
)
def test_a_number_is_written_as_the_peer_wants_it(number: str, plus: bool, party: Party) -> None:
    """And read again."""
    of = settings(plus=plus)
    assert translate.party(number, of) == party
    assert translate.number_of(party, of) == number


@pytest.mark.parametrize(
    ("party", "number"),
    [
        (Party(Written.NUMBER, "2025550123"), "+12025550123"),
        (Party(Written.NUMBER, "+12025550123/TYPE=PLMN"), "+12025550123"),
        (Party(Written.MAILBOX, "+12025550123/TYPE=PLMN@mms.example"), "+12025550123"),
        (Party(Written.MAILBOX, "somebody@mail.example"), ""),
        (Party(Written.NUMBER, "no number @ all"), ""),
    ],
)
def test_a_number_is_read_in_many_forms(party: Party, number: str) -> None:
    """As numbers are stored; a mailbox is nobody's number."""
    assert translate.number_of(party, settings()) == number


def test_a_group_together() -> None:
    """One request for all."""
    of, group = settings(), shipment(*HANDSETS)
    assert translate.requests(group, of) == [group.deliveries]
    request = translate.submit(group.message, group.deliveries, of)
    assert request.to == tuple(Party(Written.NUMBER, number) for number in HANDSETS)
    assert request.expires == translate.iso(group.message.valid_until_ms)


def test_a_group_each() -> None:
    """One request for each, in which the others are to be seen."""
    of, group = settings(groups="each"), shipment(*HANDSETS)
    first, second = translate.requests(group, of)
    assert [first, second] == [(delivery,) for delivery in group.deliveries]
    request = translate.submit(group.message, second, of)
    assert [party.display_only for party in request.to] == [True, False]


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
    """Under the relay's id with the number behind it."""
    report = DeliveryReportReq(
        transaction_id="t",
        message_id="m",
        recipient=Party(Written.NUMBER, "12025550123"),
        sender=Party(Written.SHORT_CODE, "55555"),
        mm_status=word,
        mm_status_extension=extension,
    )
    receipt = translate.receipt_of(report, "mmsc", settings(**fields), NOW_MS)
    assert receipt is not None
    assert receipt.carrier_message_id == translate.part_id("m", HANDSETS[0])
    assert (receipt.state, receipt.error_code, receipt.handset, receipt.sender) == (
        state,
        code,
        HANDSETS[0],
        "55555",
    )


@pytest.mark.parametrize(
    "fields", [{"message_id": ""}, {"recipient": None}, {"recipient": Party(Written.MAILBOX, "a@b")}]
)
def test_a_report_about_nobody_is_none(fields: dict[str, Any]) -> None:
    """It is answered so, and nothing is stored."""
    report = DeliveryReportReq(
        transaction_id="t", message_id="m", recipient=Party(Written.NUMBER, "+12025550123")
    )
    assert translate.receipt_of(replace(report, **fields), "mmsc", settings(), NOW_MS) is None


def test_a_message_comes_in_whole() -> None:
    """Text, files, all recipients; known again by transaction, sender and time."""
    request = DeliverReq(
        transaction_id="t",
        sender=Party(Written.NUMBER, "12025550123"),
        to=(Party(Written.NUMBER, "+12345678901"), Party(Written.NUMBER, "+12025550124")),
        time_stamp="2026-11-23T12:00:00Z",
        subject="not read if there is a text",
    )
    content = mm4.Content("hello", (mm4.MimePart(content_type="image/png", octets=b"x", name="a.png"),))
    part = translate.inbound_of(request, content, ("+12345678901",), settings(), "mmsc")
    assert (part.source, part.destination, part.text) == (HANDSETS[0], "+12345678901", "hello")
    assert part.destinations == ("+12345678901", HANDSETS[1])
    assert part.files == (File("a.png", "image/png", b"x"),)
    assert part.repeat_key == "t/+12025550123/2026-11-23T12:00:00Z"
    without = translate.inbound_of(request, mm4.Content("", ()), ("+12345678901",), settings(), "mmsc")
    assert without.text == "not read if there is a text"

"""The octets of MM4, one file per message. What a relay of another make wrote is read; ours are written as they stand.

Each file of ours is both: read, it is the message below, and written, the message is the file.
"""

import email
from pathlib import Path

import pytest
from msgspec.structs import replace

from trebuchet.protocols.mm4 import (
    Address,
    DeliveryReportReq,
    ForwardReq,
    Kind,
    MessageClass,
    MimePart,
    MmStatus,
    Pdu,
    Priority,
    ReadReplyReq,
    ReadStatus,
    RequestStatus,
    answer,
    content_of,
    decode,
    encode,
    encode_part,
    presentation,
)

FOLDER = Path(__file__).parent / "mm4"
BOUNDARY = "=_f0e1d2c3"

OURS = Address(Kind.PHONE, "+12025550100", "mms.a.example")
FIRST = Address(Kind.PHONE, "+12025550123", "mms.b.example")
SECOND = Address(Kind.PHONE, "+12025550124", "mms.b.example")
US, PEER = "system-user@mms.a.example", "system-user@mms.b.example"
PICTURE = MimePart(content_type="image/png", octets=bytes(range(200)), name="crème brûlée.png")

FORWARD = ForwardReq(
    transaction_id="t-1",
    message_id="1585321273456iprz22vjeo4tvooc@mms.a.example",
    system=US,
    mail_id="1@mms.a.example",
    date_s=1_795_409_460,
    source=OURS,
    to=(FIRST, SECOND),
    subject="Grüße",
    originator_system=US,
    ack_request=True,
    delivery_report=True,
    message_class=MessageClass.PERSONAL,
    priority=Priority.NORMAL,
    sender_visible=True,
    expires_after_s=86_400,
    forward_counter=1,
    parts=presentation([PICTURE], "Grüße €"),
)
REPORT = DeliveryReportReq(
    transaction_id="r-1",
    message_id=FORWARD.message_id,
    system=PEER,
    mail_id="2@mms.b.example",
    date_s=1_795_409_470,
    source=FIRST,
    to=OURS,
    status=MmStatus.REJECTED,
    status_extension="Rejection-By-MMS-Recipient",
    status_text="destination-rejected-handset",
    ack_request=True,
    internal_code=753,
)
READ = ReadReplyReq(
    transaction_id="r-2",
    message_id=FORWARD.message_id,
    system=PEER,
    mail_id="3@mms.b.example",
    date_s=1_795_409_480,
    source=FIRST,
    to=OURS,
    status=ReadStatus.DELETED,
)
MESSAGES: dict[str, Pdu] = {
    "forward_req": FORWARD,
    "forward_res": answer(
        FORWARD,
        RequestStatus.SERVICE_DENIED,
        system=PEER,
        mail_id="4@mms.b.example",
        date_s=1_795_409_461,
        status_text="destination-rejected-message",
        recipients=(SECOND,),
        internal_code=750,
    ),
    "delivery_report_req": REPORT,
    "delivery_report_res": answer(
        REPORT, RequestStatus.OK, system=US, mail_id="5@mms.a.example", date_s=1_795_409_471
    ),
    "read_reply_report_req": READ,
    "read_reply_report_res": answer(
        READ, RequestStatus.MESSAGE_NOT_FOUND, system=US, mail_id="6@mms.a.example", date_s=1_795_409_481
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_written_as_agreed(name: str) -> None:
    """A change of an octet is a change for every peer."""
    assert encode(MESSAGES[name], BOUNDARY) == (FOLDER / f"{name}.eml").read_bytes()


@pytest.mark.parametrize("name", MESSAGES)
def test_what_was_agreed_is_read(name: str) -> None:
    """Nothing of a message is lost on the way."""
    assert decode((FOLDER / f"{name}.eml").read_bytes()) == MESSAGES[name]


def test_every_file_is_held_to_a_message() -> None:
    """None lies about unused."""
    assert {path.stem for path in FOLDER.iterdir()} == {*MESSAGES, "peer_forward_req"}


def test_a_message_of_another_make_is_read() -> None:
    """Quoted ids as they are, headers in another order, SMIL that refers by Content-ID, a line of 84 characters."""
    message = decode((FOLDER / "peer_forward_req.eml").read_bytes())
    assert isinstance(message, ForwardReq)
    assert message.transaction_id == '"tx-55c5d5a2"'
    assert message.message_id == '"msg-649fe84c@mms.a.example"'
    assert (message.source, message.to) == (OURS, (FIRST,))
    assert (message.subject, message.date_s) == ("Hi", 1_795_409_460)
    assert (message.ack_request, message.delivery_report) == (True, True)
    content = content_of(message.parts)
    assert content.text == "Hello MMS €"
    assert [(part.name, part.content_type, len(part.octets)) for part in content.media] == [
        ("img1.jpg", "image/jpeg", len(content.media[0].octets))
    ]
    assert content.media[0].octets[:4] + content.media[0].octets[-2:] == b"\xff\xd8\xff\xe0\xff\xd9"


def test_a_message_of_another_make_survives_being_passed_on() -> None:
    """Written by us it says the same, to us and to Python's own parser."""
    octets = (FOLDER / "peer_forward_req.eml").read_bytes()
    message = decode(octets)
    assert isinstance(message, ForwardReq)
    written = encode(message, BOUNDARY, parts=[encode_part(part) for part in message.parts])
    assert decode(written) == message
    theirs, ours = email.message_from_bytes(octets), email.message_from_bytes(written)
    for name in (
        "From",
        "To",
        "Subject",
        "X-Mms-Transaction-ID",
        "X-Mms-Message-ID",
        "X-Mms-Originator-System",
    ):
        assert ours[name] == theirs[name]
    assert [part.get_payload(decode=True) for part in ours.walk()] == [
        part.get_payload(decode=True) for part in theirs.walk()
    ]


def test_the_same_parts_serve_many_messages() -> None:
    """Encoded once, they are spliced in as they are."""
    parts = [encode_part(part) for part in FORWARD.parts]
    other = replace(FORWARD, transaction_id="t-2", to=(SECOND,))
    assert encode(other, BOUNDARY, parts=parts) == encode(other, BOUNDARY)

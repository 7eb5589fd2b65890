"""The octets of MM7, one file per message and namespace: its Content-Type, an empty line, the body of an HTTP message.

Each file of ours is both: read, it is the message below, and written, the message is the file. What an MMSC of another
make wrote is read.
"""

from pathlib import Path

import pytest
from msgspec.structs import replace

from trebuchet.protocols.mm4 import MimePart, content_of, presentation
from trebuchet.protocols.mm7 import (
    PROFILES,
    STANDARD,
    DeliverReq,
    DeliveryReportReq,
    Encoded,
    Kind,
    Party,
    Pdu,
    Profile,
    ReadReplyReq,
    RsError,
    SubmitReq,
    VaspError,
    answer,
    decode,
    encode,
)

FOLDER = Path(__file__).parent / "mm7"
BOUNDARY = "f0e1d2c3"
NAMES = (STANDARD, "rel5-1.0")
PEERS = {"peer_deliver_req", "peer_fault"}

OURS = Party(Kind.SHORT_CODE, "55555")
FIRST = Party(Kind.NUMBER, "+12025550123")
SECOND = Party(Kind.NUMBER, "+12025550124", display_only=True)
PICTURE = MimePart(content_type="image/png", octets=bytes(range(200)), name="picture.png")

SUBMIT = SubmitReq(
    transaction_id="t-1",
    vasp_id="tre",
    vas_id="buchet",
    sender=OURS,
    to=(FIRST, SECOND),
    cc=(Party(Kind.MAILBOX, "someone@mail.example"),),
    service_code="standard",
    linked_id="m-0",
    expires="2026-11-24T04:51:00Z",
    delivery_report=True,
    read_reply=True,
    priority="Normal",
    subject="Grüße <&> €",
    parts=presentation([PICTURE], "Grüße €"),
)
DELIVER = DeliverReq(
    transaction_id="t-2",
    relay_id="mms.b.example",
    vasp_id="tre",
    vas_id="buchet",
    linked_id="m-0",
    sender=FIRST,
    to=(OURS,),
    time_stamp="2026-11-23T04:51:00Z",
    priority="High",
    subject="Re: Grüße",
    parts=(MimePart(content_type="text/plain", octets=b"hello", charset="utf-8", name="a.txt"),),
)
REPORT = DeliveryReportReq(
    transaction_id="t-3",
    relay_id="mms.b.example",
    message_id="msg-649fe84c",
    recipient=FIRST,
    sender=OURS,
    date="2026-11-23T04:51:10Z",
    mm_status="Rejected",
    mm_status_extension="Rejection-By-MMS-Recipient",
    status_text="not wanted",
)
READ = ReadReplyReq(
    transaction_id="t-4",
    relay_id="mms.b.example",
    message_id="msg-649fe84c",
    recipient=FIRST,
    sender=OURS,
    time_stamp="2026-11-23T04:52:00Z",
    mm_status="Deleted",
)


def messages(profile: Profile) -> dict[str, Pdu]:
    """One of each, in the namespace and version of the profile."""
    ours = {"namespace": profile.namespace, "version": profile.version}
    submit, deliver, report, read = (replace(each, **ours) for each in (SUBMIT, DELIVER, REPORT, READ))
    return {
        "submit_req": submit,
        "submit_rsp": answer(submit, 1000, message_id="msg-649fe84c"),
        "deliver_req": deliver,
        "deliver_rsp": answer(deliver, 1000, service_code="standard"),
        "delivery_report_req": report,
        "delivery_report_rsp": answer(report, 2005),
        "read_reply_req": read,
        "read_reply_rsp": answer(read, 1000, "read"),
        "rs_error_rsp": RsError(
            transaction_id="t-5", status=4004, status_text="Validation error", details="no recipient", **ours
        ),
        "vasp_error_rsp": VaspError(
            transaction_id="t-6", status=2007, status_text="Message format corrupt", **ours
        ),
    }


CASES = {
    f"{message}.{name}": (profile, pdu)
    for name, profile in ((name, PROFILES[name]) for name in NAMES)
    for message, pdu in messages(profile).items()
}


def stored(name: str) -> Encoded:
    content_type, octets = (FOLDER / f"{name}.http").read_bytes().split(b"\r\n\r\n", 1)
    return Encoded(content_type.decode("ascii").removeprefix("Content-Type: "), octets)


@pytest.mark.parametrize("name", CASES)
def test_messages_are_written_as_agreed(name: str) -> None:
    """A change of an octet is a change for every peer."""
    profile, message = CASES[name]
    assert encode(message, profile, BOUNDARY) == stored(name)


@pytest.mark.parametrize("name", CASES)
def test_what_was_agreed_is_read(name: str) -> None:
    """Nothing of a message is lost on the way."""
    agreed = stored(name)
    assert decode(agreed.content_type, agreed.octets) == CASES[name][1]


def test_every_file_is_held_to_a_message() -> None:
    """None lies about unused."""
    assert {path.stem for path in FOLDER.iterdir()} == {*CASES, *PEERS}


def test_a_request_leaves_namespace_and_version_to_its_profile() -> None:
    """Written for another peer, nothing else of it changes."""
    for name in NAMES:
        assert encode(SUBMIT, PROFILES[name], BOUNDARY) == stored(f"submit_req.{name}")


def test_a_message_of_another_make_is_read() -> None:
    """Prefixes everywhere, neither `start` nor Content nor quotes, line feeds alone, unknown elements."""
    agreed = stored("peer_deliver_req")
    message = decode(agreed.content_type, agreed.octets)
    assert isinstance(message, DeliverReq)
    assert (message.transaction_id, message.version) == ("tx-55c5d5a2", "5.3.0")
    assert message.namespace == PROFILES["rel5-1.0"].namespace
    assert (message.sender, message.to) == (Party(Kind.NUMBER, "12025550123"), (OURS,))
    assert (message.subject, message.priority) == ("Weather & more", "Normal")
    content = content_of(message.parts)
    assert content.text == "Hello MMS €"
    assert [(part.name, part.content_type, part.octets) for part in content.media] == [
        ("dot.gif", "image/gif", b"GIF89a\x01\x00\x01\x00")
    ]


def test_a_fault_of_another_make_is_read() -> None:
    """Its status is in the detail, whatever the SOAP around it says."""
    agreed = stored("peer_fault")
    assert decode(agreed.content_type, agreed.octets) == RsError(
        transaction_id="tx-55c5d5a2",
        namespace=PROFILES["rel6-1.4"].namespace,
        version="6.8.0",
        status=4006,
        status_text="Service unavailable",
        details="try again later",
    )

"""MM4 messages from mails as relays write them, and to mails that none can misread."""

import pytest
from msgspec.structs import replace

from trebuchet.protocols.mm4 import (
    About,
    Address,
    DeliveryReportReq,
    DeliveryReportRes,
    Dialect,
    EncodeError,
    ForwardReq,
    ForwardRes,
    Kind,
    MessageClass,
    MessageType,
    MimePart,
    Mm4Error,
    MmStatus,
    Pdu,
    ReadReplyReq,
    ReadReplyRes,
    ReadStatus,
    Request,
    RequestStatus,
    Response,
    answer,
    decode,
    encode,
    normalised,
    refusal,
)

OURS = Address(Kind.PHONE, "+12025550100")
PHONE = Address(Kind.PHONE, "+12025550123")
FORWARD = ForwardReq(
    transaction_id="t",
    message_id="m",
    source=OURS,
    parts=(MimePart(content_type="text/plain", octets=b"hello"),),
)


def mail(message_type: str, *lines: str, ids: tuple[str, ...] = ("t", "m")) -> bytes:
    head = [f"X-Mms-Message-Type: {message_type}"]
    head += [
        f"X-Mms-{name}-ID: {value}" for name, value in zip(("Transaction", "Message"), ids, strict=False)
    ]
    return "\r\n".join([*head, *lines, "", "hello"]).encode()


def forward(*lines: str) -> ForwardReq:
    message = decode(mail("MM4_forward.REQ", "From: 2025550100", *lines))
    assert isinstance(message, ForwardReq)
    return message


@pytest.mark.parametrize(
    ("written", "lines", "made"),
    [
        ("mm4_FORWARD.req", ["From: +1"], ForwardReq),
        ("MM4_Forward.RES", ["X-Mms-Request-Status-Code: Ok"], ForwardRes),
        ("MM4_Delivery_report.REQ", ["X-Mms-MM-Status-Code: Retrieved"], DeliveryReportReq),
        ("MM4_delivery_report.RES", ["X-Mms-Request-Status-Code: Ok"], DeliveryReportRes),
        ("MM4_read_reply_report.req", ["X-Mms-Read-Status: Read"], ReadReplyReq),
        ("MM4_read_reply_report.RES", ["X-Mms-Request-Status-Code: Ok"], ReadReplyRes),
    ],
)
def test_types_are_read_in_any_case(written: str, lines: list[str], made: type[Pdu]) -> None:
    """With nothing but what a message cannot do without; no version is needed, and any is taken."""
    message = decode(mail(written, *lines))
    assert type(message) is made
    assert message.version == ""
    assert decode(mail(written, *lines, "X-Mms-3GPP-MMS-Version: 5.3.0")).version == "5.3.0"


@pytest.mark.parametrize(
    ("octets", "status", "what"),
    [
        (b"", "Error-message-format-corrupt", "no message type"),
        (mail("MM4_forward.REQ"), "Error-sending-address-unresolved", "no From"),
        (mail("MM4_other.REQ"), "Error-unsupported-message", "unknown message type"),
        (
            mail("MM4_forward.REQ", "From: +1", ids=("t",)),
            "Error-message-format-corrupt",
            "no X-Mms-Message-ID",
        ),
        (
            mail("MM4_forward.REQ", "From: +1", ids=('""', "m")),
            "Error-message-format-corrupt",
            "no X-Mms-Trans",
        ),
        (
            mail("MM4_forward.REQ", "From: +1", ids=("t", "ä")),
            "Error-message-format-corrupt",
            "printable ASCII",
        ),
        (
            mail("MM4_forward.REQ", "From: +1", ids=("t", "x" * 300)),
            "Error-message-format-corrupt",
            "too long",
        ),
        (mail("MM4_forward.RES"), "Error-message-format-corrupt", "no X-Mms-Request-Status-Code"),
        (mail("MM4_delivery_report.REQ"), "Error-message-format-corrupt", "no X-Mms-MM-Status-Code"),
        (mail("MM4_read_reply_report.REQ"), "Error-message-format-corrupt", "no X-Mms-Read-Status"),
    ],
)
def test_what_is_missing_has_a_status(octets: bytes, status: str, what: str) -> None:
    """The one that the peer is to be answered with."""
    with pytest.raises(Mm4Error, match=what) as caught:
        decode(octets)
    assert caught.value.status == status


def test_an_error_says_what_could_be_read() -> None:
    """Ids as they were written, where the answer goes, and whether one is wanted."""
    octets = mail(
        "mm4_forward.req",
        "X-Mms-3GPP-MMS-Version: 6.3.0",
        "Sender: s@b.example",
        "X-Mms-Originator-System: MMSC <o@b.example>",
        "X-Mms-Ack-Request: yes",
        ids=('"t"', "<m>"),
    )
    with pytest.raises(Mm4Error) as caught:
        decode(octets)
    assert caught.value.about == About(
        message_type=MessageType.FORWARD_REQ,
        transaction_id='"t"',
        message_id="<m>",
        version="6.3.0",
        reply_to="o@b.example",
        ack_request=True,
    )
    assert refusal(caught.value, system="s@a.example", mail_id="1@a.example", date_s=5) == ForwardRes(
        transaction_id='"t"',
        message_id="<m>",
        version="6.3.0",
        system="s@a.example",
        to="o@b.example",
        mail_id="1@a.example",
        date_s=5,
        status=RequestStatus.SENDING_ADDRESS_UNRESOLVED,
        status_text="no From",
    )


@pytest.mark.parametrize(
    "about",
    [
        About(),
        About(message_type=MessageType.FORWARD_REQ, transaction_id="t", message_id="m"),
        About(message_type=MessageType.FORWARD_REQ, transaction_id="t", ack_request=True),
        About(message_type=MessageType.FORWARD_RES, transaction_id="t", message_id="m", ack_request=True),
        About(message_type="MM4_other.REQ", transaction_id="t", message_id="m", ack_request=True),
    ],
)
def test_what_cannot_be_answered_is_not(about: About) -> None:
    """No request, no answer wanted, no ids to answer with."""
    assert refusal(Mm4Error("bad", about=about), system="s@a.example", mail_id="1", date_s=0) is None


@pytest.mark.parametrize("written", ["t", '"t"', "<t>", ' "<t>" ', "'t'"])
def test_ids_compare_without_quotes_and_brackets(written: str) -> None:
    """They are echoed with them."""
    message = replace(FORWARD, transaction_id=written.strip())
    assert normalised(message.transaction_id) == "t"
    response = answer(message, RequestStatus.OK, system="s@a.example", mail_id="1@a.example", date_s=0)
    assert f"X-Mms-Transaction-ID: {written.strip()}\r\n".encode() in encode(response)


@pytest.mark.parametrize(
    ("line", "attribute", "value"),
    [
        ("X-Mms-Ack-Request: YES", "ack_request", True),
        ("X-Mms-Ack-Request: maybe", "ack_request", False),
        ("X-Mms-Delivery-Report: yes", "delivery_report", True),
        ("X-Mms-Read-Report: Yes", "read_reply", True),
        ("X-Mms-Message-Class: ADVERTISEMENT", "message_class", MessageClass.ADVERTISEMENT),
        ("X-Mms-Sender-Visibility: hide", "sender_visible", False),
        ("X-Mms-Expiry: 3600", "expires_after_s", 3600),
        ("X-Mms-Expiry: Mon, 23 Nov 2026 04:51:00 -0000", "expires_s", 1_795_409_460),
        ("X-Mms-Expiry: 2026-11-23T04:51:00Z", "expires_s", 1_795_409_460),
        ("Date: Sun, 22 Nov 2026 23:51:00 -0500 (EST)", "date_s", 1_795_409_460),
        ("Date: tomorrow", "date_s", None),
        ("Date: Sun, 23 Nov 1969 04:51:00 +0000", "date_s", None),
        ("To: 2025550123, , +12025550100/TYPE=PLMN", "to", (PHONE, OURS)),
        ("To: 2025550123\r\nTo: +12025550100", "to", (PHONE, OURS)),
        ("Bcc: 2025550123", "bcc", (PHONE,)),
        ("Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", "subject", "Grüße"),
        ("Subject: caf\N{LATIN SMALL LETTER E WITH ACUTE}", "subject", "café"),
        ("Message-ID: <1@b.example>", "mail_id", "1@b.example"),
        ("X-Mms-Forward-Counter: 3", "forward_counter", 3),
        ("X-Mms-Forward-Counter: -3", "extra", (("X-Mms-Forward-Counter", "-3"),)),
        ("X-Mms-Priority: Urgent", "extra", (("X-Mms-Priority", "Urgent"),)),
        ("X-Mms-Expiry: soon", "extra", (("X-Mms-Expiry", "soon"),)),
        ("X-Mms-MMSIP-Address: a\r\nX-Other: b", "extra", (("X-Mms-MMSIP-Address", "a"),)),
        (
            "X-Mms-Previously-Sent-By: 1, a@b.example\r\nX-Mms-Previously-Sent-By: 2, c@d.example",
            "previously_sent_by",
            ("1, a@b.example", "2, c@d.example"),
        ),
    ],
)
def test_headers_are_read_as_relays_write_them(line: str, attribute: str, value: object) -> None:
    """In any case, in older names; what is not of its kind stays among the extra headers or counts as unset."""
    assert getattr(forward(line), attribute) == value


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (mail("MM4_forward.RES", "X-Mms-Request-Status-Code: OK"), RequestStatus.OK),
        (
            mail("MM4_forward.RES", "X-Mms-Request-Status-Code: error-NETWORK-problem"),
            RequestStatus.NETWORK_PROBLEM,
        ),
        (mail("MM4_forward.RES", "X-Mms-Request-Status-Code: 0"), "0"),
        (mail("MM4_forward.RES", "X-Mms-Request-Status-Code: Error-own"), "Error-own"),
        (mail("MM4_delivery_report.REQ", "X-Mms-MM-Status-Code: unrecognized"), MmStatus.UNRECOGNISED),
        (mail("MM4_delivery_report.REQ", "X-Mms-Status: forwarded"), MmStatus.FORWARDED),
        (mail("MM4_read_reply_report.REQ", "X-Mms-MM-Read-Status: read"), ReadStatus.READ),
        (
            mail("MM4_read_reply_report.REQ", "X-Mms-Read-Status: deleted WITHOUT being read"),
            ReadStatus.DELETED,
        ),
    ],
)
def test_statuses_are_the_specifications_words(octets: bytes, status: str) -> None:
    """Whatever their case and spelling; other words are kept as they are."""
    message = decode(octets)
    assert not isinstance(message, ForwardReq)
    assert message.status == status


def test_a_response_may_name_its_relay_in_from_only() -> None:
    """Sender goes before it; a request's From is a handset."""
    status = "X-Mms-Request-Status-Code: Ok"
    assert decode(mail("MM4_forward.RES", status, "From: s@b.example")).system == "s@b.example"
    both = mail("MM4_forward.RES", status, "From: s@b.example", "Sender: t@b.example")
    assert decode(both).system == "t@b.example"
    assert forward().system == ""


def test_some_recipients_may_be_refused() -> None:
    """The response names them; the peer's own code is beside the status."""
    message = decode(
        mail(
            "MM4_forward.RES",
            "X-Mms-Request-Status-Code: Error-service-denied",
            "X-Mms-Request-Recipients: +12025550123/TYPE=PLMN, 2025550100",
            "X-Internal-Status-Code: 750",
        )
    )
    assert isinstance(message, ForwardRes)
    assert message.recipients == (PHONE, OURS)
    assert message.internal_code == 750


@pytest.mark.parametrize(
    "message",
    [
        replace(FORWARD, transaction_id=""),
        replace(FORWARD, message_id="<>"),
        replace(FORWARD, transaction_id="t\r\nBcc: b"),
        replace(FORWARD, message_id="x" * 300),
        replace(FORWARD, version="6\r\nBcc: b"),
        replace(FORWARD, subject="a\r\nBcc: b"),
        replace(FORWARD, system="a b@c"),
        replace(FORWARD, system="a@b\r\n.\r\nQUIT"),
        replace(FORWARD, originator_system="nobody"),
        replace(FORWARD, mail_id="a\nb"),
        replace(FORWARD, mail_id="<a@b>"),
        replace(FORWARD, date_s=-1),
        replace(FORWARD, expires_s=1 << 60),
        replace(FORWARD, forward_counter=-1),
        replace(FORWARD, extra=(("X-A: b\r\nBcc", "c"),)),
        replace(FORWARD, extra=(("Bcc", "c"),)),
        replace(FORWARD, extra=(("X-Mms-A", "b\r\nBcc: c"),)),
        replace(FORWARD, to=(Address(Kind.ALPHANUMERIC, "a\r\nBcc: b"),)),
        replace(FORWARD, previously_sent_by=("1,a\nb",)),
    ],
)
def test_nothing_breaks_out_of_a_header(message: ForwardReq) -> None:
    """A value that would is the caller's error, whatever it is for; its text is not in the error."""
    with pytest.raises(EncodeError) as caught:
        encode(message, "b")
    assert "Bcc: " not in str(caught.value)


def test_a_dialect_is_used_for_writing() -> None:
    """Headers in the form of the peer."""
    octets = encode(
        replace(FORWARD, to=(replace(PHONE, domain="b.example"),)),
        "b",
        dialect=Dialect(plus=False, header_domain=False),
    )
    assert b"\r\nTo: 12025550123/TYPE=PLMN\r\n" in octets


def test_a_header_is_written_once() -> None:
    """An extra header gives way to the field of its name."""
    octets = encode(replace(FORWARD, extra=(("x-mms-ack-request", "No"), ("X-Mms-Priority", "Urgent"))), "b")
    assert octets.lower().count(b"x-mms-ack-request") == 1
    assert decode(octets).extra == (("X-Mms-Priority", "Urgent"),)


def test_answers_go_to_who_asked() -> None:
    """Of a forward to its originator system, else to its sender; of a report to its sender."""
    asked = replace(FORWARD, system="s@b.example", originator_system="o@b.example")

    def answered(request: Request) -> Response:
        return answer(request, RequestStatus.OK, system="s@a.example", mail_id="1@a.example", date_s=0)

    assert answered(asked).to == "o@b.example"
    assert answered(replace(asked, originator_system="")).to == "s@b.example"
    report = ReadReplyReq(transaction_id="t", message_id="m", status=ReadStatus.READ, system="s@b.example")
    response = answered(report)
    assert isinstance(response, ReadReplyRes)
    assert response.to == "s@b.example"


def test_errors_do_not_quote_the_message() -> None:
    """They may be logged."""
    with pytest.raises(Mm4Error) as caught:
        decode(mail("MM4_secret.REQ", "From: +12025550123", ids=("secret", "secret")))
    assert "secret" not in str(caught.value).lower()

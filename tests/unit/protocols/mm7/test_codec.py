"""MM7's documents: written and read again, and read in the forms that peers write."""

import base64

import pytest
from hypothesis import given
from lxml import etree

from support.mm7 import NAMESPACE, OLD_NAMESPACE, envelope
from support.mm7pdus import messages
from trebuchet.protocols.mm4 import MimePart, content_of
from trebuchet.protocols.mm7 import (
    PROFILES,
    DeliverReq,
    DeliverRsp,
    DeliveryReportReq,
    EncodeError,
    Kind,
    Mm7Error,
    Party,
    Pdu,
    RsError,
    SubmitReq,
    SubmitRsp,
    answer,
    decode,
    encode,
    refusal,
)

PICTURE = bytes(range(256))
REQUEST = SubmitReq(transaction_id="t", to=(Party(Kind.NUMBER, "+12025550123"),))


@given(messages)
def test_what_is_written_is_read(message: Pdu) -> None:
    """Every message, with every field."""
    written = encode(message, boundary="b")
    assert decode(written.content_type, written.octets) == message


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_a_namespace_and_a_version(name: str) -> None:
    """For what goes out of itself; an answer has those of its request."""
    profile = PROFILES[name]
    root = etree.fromstring(encode(REQUEST, profile).octets)
    found = root.find(f".//{{{profile.namespace}}}MM7Version")
    assert found is not None
    assert found.text == profile.version
    request = decode(
        "text/xml", envelope("t", "<DeliverReq><MM7Version>9.9</MM7Version></DeliverReq>", "urn:x")
    )
    assert isinstance(request, DeliverReq)
    read = decode("text/xml", encode(answer(request, 1000), profile).octets)
    assert read == DeliverRsp(
        transaction_id="t", namespace="urn:x", version="9.9", status=1000, status_text="Success"
    )


def test_elements_stand_in_the_order_of_the_schema() -> None:
    """Some peers check it."""
    message = SubmitReq(
        transaction_id="t",
        vasp_id="a",
        vas_id="b",
        sender=Party(Kind.SHORT_CODE, "12345"),
        to=(Party(Kind.NUMBER, "+1"),),
        cc=(Party(Kind.MAILBOX, "a@b.example"),),
        service_code="c",
        linked_id="d",
        expires="e",
        delivery_report=True,
        read_reply=True,
        priority="f",
        subject="g",
        parts=(MimePart(content_type="image/png", octets=b"x"),),
    )
    octets = encode(message, boundary="b").octets
    xml = octets[octets.index(b"<?xml") : octets.index(b"</env:Envelope>") + len(b"</env:Envelope>")]
    body = etree.fromstring(xml)[1][0]
    assert [etree.QName(each).localname for each in body] == [
        "MM7Version",
        "SenderIdentification",
        "Recipients",
        "ServiceCode",
        "LinkedID",
        "ExpiryDate",
        "DeliveryReport",
        "ReadReply",
        "Priority",
        "Subject",
        "Content",
    ]


DELIVER = (
    "<DeliverReq><MM7Version>5.3.0</MM7Version><Sender>12025550123</Sender><Recipients><To><Number>+1202</Number>"
    "<ShortCode displayOnly='1'> 55555 </ShortCode></To></Recipients>{content}</DeliverReq>"
)
IMAGE = (
    b"Content-Type: image/png; name=a.png\r\n%bContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(PICTURE)
)


def multipart(root: bytes, content: bytes, *, root_id: bytes = b"Content-ID: <s>\r\n") -> bytes:
    return b"--b\r\nContent-Type: text/xml\r\n%b\r\n%b\r\n--b\r\n%b\r\n--b--" % (root_id, root, content)


@pytest.mark.parametrize(
    ("content_type", "element", "headers"),
    [
        (
            'multipart/related; boundary="b"; type="text/xml"; start="<s>"',
            "<Content href='cid:x'/>",
            b"Content-ID: <x>\r\n",
        ),
        (
            "multipart/related; boundary=b; type=text/xml; start=s",
            "<Content href='x'/>",
            b"Content-ID: <x>\r\n",
        ),
        ("Multipart/Related;boundary=b", "<Content href='x'/>", b"Content-Location: x\r\n"),
        ("multipart/related; boundary=b", "", b""),
        ("multipart/related; boundary=b", "<Content href='cid:gone'/>", b"Content-ID: <x>\r\n"),
        ("multipart/mixed; boundary=b", "<Content/>", b""),
    ],
)
def test_content_is_found_in_every_form(content_type: str, element: str, headers: bytes) -> None:
    """With and without `start`, `cid:`, quotes, a Content element, or the part that it names."""
    root = envelope("t", DELIVER.format(content=element), OLD_NAMESPACE)
    read = decode(content_type, multipart(root, IMAGE % headers))
    assert isinstance(read, DeliverReq)
    assert (read.namespace, read.version, read.transaction_id) == (OLD_NAMESPACE, "5.3.0", "t")
    assert read.sender == Party(Kind.NUMBER, "12025550123")
    assert read.to == (Party(Kind.NUMBER, "+1202"), Party(Kind.SHORT_CODE, "55555", True))
    assert [part.octets for part in content_of(read.parts).media] == [PICTURE]


def test_the_root_need_not_be_first() -> None:
    """`start` says which part it is."""
    root = envelope("t", DELIVER.format(content=""))
    octets = (
        b"--b\r\n"
        + IMAGE % b""
        + b"\r\n--b\r\nContent-Type: text/xml\r\nContent-ID: <s>\r\n\r\n"
        + root
        + b"\r\n--b--"
    )
    read = decode("multipart/related; boundary=b; start=s", octets)
    assert isinstance(read, DeliverReq)
    assert [part.octets for part in read.parts] == [PICTURE]


def test_names_are_read_in_any_case_and_namespace() -> None:
    """What counts is the local name."""
    report = (
        "<x:deliveryReportReq xmlns:x='urn:x'><x:messageid>m</x:messageid>"
        "<x:Recipient><x:Number>+1</x:Number></x:Recipient><x:MMStatus>\n Retrieved \n</x:MMStatus>"
        "</x:deliveryReportReq>"
    )
    read = decode("", envelope("t", report))
    assert isinstance(read, DeliveryReportReq)
    assert (read.message_id, read.mm_status, read.namespace) == ("m", "Retrieved", "urn:x")


def test_a_fault_is_what_its_detail_says() -> None:
    """RSErrorRsp in a SOAP fault."""
    body = "<RSErrorRsp><Status><StatusCode>4001</StatusCode></Status></RSErrorRsp>"
    fault = f"<soap:Fault><faultcode>x</faultcode><detail>{body}</detail></soap:Fault>"
    assert decode("text/xml", envelope("t", fault)) == RsError(
        transaction_id="t", namespace=NAMESPACE, status=4001
    )


@pytest.mark.parametrize(
    ("content_type", "octets", "status"),
    [
        ("text/xml", b"", 2007),
        ("text/xml", b"\xff\xfe", 2007),
        ("text/xml", b"<a", 2007),
        ("text/xml", b"<?xml version='1.0' encoding='nonsense'?><a/>", 2007),
        ("text/xml", b"<Envelope/>", 2007),
        ("text/xml", envelope("t", ""), 2007),
        ("text/xml", envelope("t" * 300, "<DeliverReq/>"), 2007),
        ("text/xml", envelope("t", "<a>" * 60 + "</a>" * 60), 2007),
        ("text/xml", b"<a>" * 100_000, 2007),
        ("text/xml", envelope("t", "<!--" + "x" * 300_000 + "--><DeliverReq/>"), 2007),
        (
            "text/xml",
            b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>" + envelope("t", "<DeliverReq/>").split(b"\n", 1)[1],
            2007,
        ),
        (
            "text/xml",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + envelope("t", "<DeliverReq/>").split(b"\n", 1)[1],
            2007,
        ),
        ("text/xml", envelope("t", "<CancelReq/>"), 4003),
        ("text/xml", envelope("t", "<SubmitRsp/>"), 4004),
        (
            "text/xml",
            envelope("t", "<SubmitRsp><Status><StatusCode>-1</StatusCode></Status></SubmitRsp>"),
            4004,
        ),
        ("text/xml", envelope("t", f"<DeliverReq><Subject>{'x' * 5000}</Subject></DeliverReq>"), 4004),
        ("multipart/related", envelope("t", "<DeliverReq/>"), 2007),
        ("multipart/related; boundary=b", b"--b--", 2007),
        (
            "multipart/related; boundary=b",
            b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--",
            2007,
        ),
    ],
)
def test_what_is_no_message_says_so(content_type: str, octets: bytes, status: int) -> None:
    """With a status to answer; the answer can be written."""
    with pytest.raises(Mm7Error) as caught:
        decode(content_type, octets)
    assert caught.value.status == status
    answered = decode("text/xml", encode(refusal(caught.value)).octets)
    assert getattr(answered, "status", None) == status


def test_no_entity_is_resolved() -> None:
    """Neither a file nor a network is asked, and nothing grows."""
    bomb = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10 if n else 'ha'}'>" for n in range(10))
    document = envelope("t", "<DeliverReq><Subject>&e9;</Subject></DeliverReq>").split(b"\n", 1)[1]
    with pytest.raises(Mm7Error):
        decode("text/xml", f"<!DOCTYPE a [{bomb}]>".encode() + document)


@pytest.mark.parametrize("fields", [{"subject": "\x00"}, {"transaction_id": "\x1b"}, {"vasp_id": "\ud800"}])
def test_what_xml_does_not_hold_is_not_written(fields: dict[str, str]) -> None:
    """It is an error of the caller's, not a document that nobody can read."""
    with pytest.raises(EncodeError):
        encode(SubmitReq(**({"transaction_id": "t"} | fields)))  # type: ignore[arg-type]  # names of strings only


@pytest.mark.parametrize("written", ["a  b", "a\tb", "\u00a0a", "<&>"])
def test_a_transaction_id_is_given_back_as_it_was(written: str) -> None:
    """Blanks within it too; those of the document's layout are not its own."""
    escaped = written.replace("&", "&amp;").replace("<", "&lt;")
    request = decode("text/xml", envelope(f"\n  {escaped}\n", "<DeliverReq/>"))
    assert isinstance(request, DeliverReq)
    assert request.transaction_id == written
    assert decode("text/xml", encode(answer(request, 1000)).octets).transaction_id == written


def test_a_refusal_of_content_names_the_transaction() -> None:
    """The envelope could be read, so the peer learns which of its requests is meant."""
    octets = multipart(
        envelope("t", "<DeliverReq/>", OLD_NAMESPACE), b"Content-Type: multipart/mixed\r\n\r\nx"
    )
    with pytest.raises(Mm7Error, match="without a boundary") as caught:
        decode("multipart/related; boundary=b", octets)
    refused = refusal(caught.value)
    assert (refused.transaction_id, refused.namespace, refused.status) == ("t", OLD_NAMESPACE, 2007)


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "utf-16-le"])
def test_a_document_in_utf_16_is_read(codec: str) -> None:
    """With a byte order mark or without, and with a line end after it."""
    inner = envelope("t", "<DeliverReq><Subject>\u20ac</Subject></DeliverReq>").decode().split("\n", 1)[1]
    read = decode("text/xml", f'<?xml version="1.0" encoding="UTF-16"?>{inner}\n'.encode(codec))
    assert isinstance(read, DeliverReq)
    assert read.subject == "\u20ac"


def test_elements_are_counted() -> None:
    """Sixty thousand fit the octets that are allowed, and would take half a second to look through."""
    with pytest.raises(Mm7Error, match="too many elements"):
        decode("text/xml", envelope("t", f"<DeliverReq>{'<a/>' * 60_000}</DeliverReq>"))
    numbers = "<Number>+12025550123</Number>" * 1_000
    read = decode(
        "text/xml", envelope("t", f"<DeliverReq><Recipients><To>{numbers}</To></Recipients></DeliverReq>")
    )
    assert isinstance(read, DeliverReq)
    assert len(read.to) == 1_000


@pytest.mark.parametrize("boundary", ["", "a b", 'a"', "\u00e9", "b" * 71])
def test_parts_need_a_boundary(boundary: str) -> None:
    """One that MIME allows."""
    message = SubmitReq(transaction_id="t", parts=(MimePart(content_type="image/png", octets=b"x"),))
    with pytest.raises(EncodeError, match="boundary"):
        encode(message, boundary=boundary)


def test_success_has_the_peers_id() -> None:
    """A SubmitRsp as a peer writes it."""
    body = (
        "<SubmitRsp><MM7Version>6.8.0</MM7Version><Status><StatusCode>1000</StatusCode>"
        "<StatusText>ok</StatusText></Status><MessageID>041502073667</MessageID></SubmitRsp>"
    )
    assert decode("text/xml; charset=utf-8", envelope("t", body)) == SubmitRsp(
        transaction_id="t",
        namespace=NAMESPACE,
        version="6.8.0",
        status=1000,
        status_text="ok",
        message_id="041502073667",
    )

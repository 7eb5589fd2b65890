"""Whatever is posted, it is an MM7 message or an Mm7Error, in bounded time; what was written is read again."""

import email

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.mm7 import envelope
from support.mm7pdus import messages
from trebuchet.protocols.mm4 import content_of
from trebuchet.protocols.mm7 import (
    DeliverReq,
    EncodeError,
    Mm7Error,
    Pdu,
    SubmitReq,
    answer,
    decode,
    encode,
    refusal,
)
from trebuchet.protocols.mm7.pdu import Request

EXAMPLES = settings(max_examples=200)
RELATED = 'multipart/related; boundary="b"; type="text/xml"; start="<s>"'

# Pieces of which documents and multiparts are made, and what breaks them.
pieces = st.one_of(
    st.sampled_from(
        [
            b"\r\n",
            b"\r\n\r\n",
            b"\r\n--b\r\n",
            b"\r\n--b--\r\n",
            b"\r\n--c\r\n",
            b"Content-Type: text/xml; charset=utf-16\r\n",
            b"Content-Type: multipart/mixed; boundary=c\r\n\r\n",
            b"Content-ID: <s>\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"<DeliverReq>",
            b"</DeliverReq>",
            b"<SubmitRsp><Status><StatusCode>1000</StatusCode></Status></SubmitRsp>",
            b"<Status><StatusCode>99999999999</StatusCode></Status>",
            b"<Fault><detail><RSErrorRsp/></detail></Fault>",
            b"<Sender><Number displayOnly='true'>+1</Number></Sender>",
            b"<Recipients><To><ShortCode>5</ShortCode>5</To></Recipients>",
            b"<Content href='cid:s'/>",
            b"<Subject>\xe2\x82\xac&lt;&#0;</Subject>",
            b"<![CDATA[",
            b"]]>",
            b"<!--",
            b"<?p?>",
            b"&a;",
        ]
    ),
    st.binary(max_size=12),
)
heads = st.sampled_from(
    [
        b"",
        b"<?xml version='1.0' encoding='utf-16'?>",
        b"<!DOCTYPE a [<!ENTITY a SYSTEM 'file:///dev/zero'>]>",
        b"<Envelope><Header><TransactionID>t</TransactionID></Header><Body>",
        b"--b\r\n\r\n<Envelope><Body><DeliverReq/></Body></Envelope>\r\n--b\r\n",
    ]
)
bodies = st.tuples(heads, st.lists(pieces, max_size=20), st.sampled_from([b"", b"</Body></Envelope>"])).map(
    lambda made: made[0] + b"".join(made[1]) + made[2]
)
content_types = st.sampled_from(["text/xml", "", RELATED, "multipart/mixed; boundary=b"]) | st.text(
    max_size=30
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A message of ours with octets changed, or cut off."""
    written = encode(draw(messages), boundary="b")
    octets = bytearray(written.octets)
    for _ in range(draw(st.integers(0, 6))):
        octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
    return written.content_type, bytes(octets[: draw(st.integers(0, len(octets)))])


def read(content_type: str, octets: bytes) -> Pdu | Mm7Error:
    """What decoding gives or raises; another error fails the test."""
    try:
        return decode(content_type, octets)
    except Mm7Error as error:
        return error


def check(content_type: str, octets: bytes) -> None:
    """The promise: a message, its content and its answer can be had; or the error, and what it is answered with."""
    message = read(content_type, octets)
    if isinstance(message, Mm7Error):
        answered = decode("text/xml", encode(refusal(message)).octets)
        assert answered.transaction_id == message.transaction_id
        return
    if isinstance(message, DeliverReq | SubmitReq):
        content_of(message.parts)
    if isinstance(message, Request):
        said = answer(message, 1000)
        assert decode("text/xml", encode(said).octets).transaction_id == message.transaction_id
    try:
        written = encode(message, boundary="b")
    except EncodeError:
        return  # reading takes names of parts that writing does not
    again = encode(decode(written.content_type, written.octets), boundary="b")
    assert again == written


@EXAMPLES
@given(content_types, bodies)
def test_any_body_is_a_message_or_an_error(content_type: str, octets: bytes) -> None:
    """Put together of what documents are made of."""
    check(content_type, octets)


@EXAMPLES
@given(damaged())
def test_any_damaged_message_is_a_message_or_an_error(made: tuple[str, bytes]) -> None:
    """Changed and shortened ones."""
    check(*made)


@EXAMPLES
@given(messages)
def test_a_foreign_parser_finds_the_same_parts(message: Pdu) -> None:
    """The multipart is one to Python's own parser, its first part the envelope, and the media are what they were."""
    written = encode(message, boundary="b")
    foreign = email.message_from_bytes(
        f"Content-Type: {written.content_type}\r\n\r\n".encode() + written.octets
    )
    assert [defect for part in foreign.walk() for defect in part.defects] == []
    leaves = [part for part in foreign.walk() if not part.is_multipart()]
    assert leaves[0].get_content_type() == "text/xml"
    payloads = [part.get_payload(decode=True) for part in leaves[1:]]
    assert payloads == [part.octets for part in getattr(message, "parts", ())]


@pytest.mark.parametrize(
    "subset",
    [
        "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10 if n else 'ha'}'>" for n in range(12)),
        f"<!ENTITY e11 '{'x' * 100_000}'>",
        "<!ENTITY e11 SYSTEM 'file:///dev/zero'>",
        "<!ENTITY e11 SYSTEM 'http://127.0.0.1:9/'>",
        "<!ENTITY % p SYSTEM 'file:///dev/zero'> %p;",
        "<!ATTLIST DeliverReq a CDATA 'b'>",
    ],
    ids=["laughs", "quadratic", "file", "network", "parameter", "default"],
)
@pytest.mark.parametrize(
    "body",
    [
        "<DeliverReq/>",
        f"<DeliverReq><Subject>{'&e11;' * 1_000}</Subject></DeliverReq>",
        f"<DeliverReq a='{'&e11;' * 1_000}'/>",
    ],
    ids=["unused", "in text", "in an attribute"],
)
def test_a_document_type_is_refused_before_it_grows(subset: str, body: str) -> None:
    """Whatever it declares, and wherever that is used."""
    document = envelope("t", body).decode().split("\n", 1)[1]
    with pytest.raises(Mm7Error) as caught:
        decode("text/xml", f"<!DOCTYPE a [{subset}]>{document}".encode())
    assert caught.value.status == 2007
    assert "e11" not in str(caught.value)


@pytest.mark.parametrize("keep", range(0, 100, 7))
def test_a_message_that_is_cut_off_is_never_half_a_document(keep: int) -> None:
    """Either the envelope is whole, or it is an error; what is left of the content is bounded by what came."""
    root = envelope("t", "<DeliverReq><Subject>all of it</Subject></DeliverReq>")
    whole = (
        b"--b\r\nContent-ID: <s>\r\n\r\n"
        + root
        + b"\r\n--b\r\nContent-Type: image/gif\r\n\r\nGIF89a\r\n--b--"
    )
    octets = whole[: len(whole) * keep // 100]
    message = read(RELATED, octets)
    assert isinstance(message, Mm7Error) is (root not in octets)
    if isinstance(message, Mm7Error):
        return
    assert isinstance(message, DeliverReq)
    assert message.subject == "all of it"
    assert all(part.octets in whole for part in message.parts)

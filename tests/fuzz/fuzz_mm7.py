"""Whatever is posted: a message or an Mm7Error, and a message can be written and read again."""

import sys

import atheris

with atheris.instrument_imports(include=["trebuchet.protocols"]):
    from trebuchet.protocols.mm7 import EncodeError, Mm7Error, decode, encode, refusal

HEAD = (
    b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header><TransactionID>t</TransactionID></Header>'
    b"<Body>%b</Body></Envelope>"
)
RELATED = b"--b\r\nContent-Type: text/xml\r\n\r\n%b\r\n--b\r\n%b\r\n--b--"
DELIVER = HEAD % b"<DeliverReq><Content href='cid:x'/></DeliverReq>"


def check(content_type: str, octets: bytes) -> None:
    try:
        message = decode(content_type, octets)
    except Mm7Error as error:
        answer = refusal(error)
        decode("text/xml", encode(answer).octets)
        return
    try:
        written = encode(message, boundary="b")
    except EncodeError:
        return  # reading takes names that writing does not
    again = encode(decode(written.content_type, written.octets), boundary="b")
    assert again == written


def one(data: bytes) -> None:
    # Without an envelope or a boundary most inputs would end there.
    if data.startswith(b"<"):
        check("text/xml", data if data.startswith(b"<?xml") else HEAD % data)
    elif data.startswith(b"Content-"):
        check("multipart/related; boundary=b", RELATED % (DELIVER, data))
    else:
        check("multipart/related; boundary=b; start=s", data)


atheris.Setup(sys.argv, one)
atheris.Fuzz()

"""Whatever octets arrive: a PDU or a DecodeError, and a PDU can be described, and written and read again."""

import json
import sys

import atheris

with atheris.instrument_imports(include=["trebuchet.protocols"]):
    from trebuchet.protocols.smpp import DecodeError, EncodeError, Framer, decode, encode
    from trebuchet.protocols.smpp.describe import describe

MAX_PDU = 2000


def check(octets: bytes) -> None:
    try:
        pdu = decode(octets)
    except DecodeError as error:
        if not error.status:
            raise  # with what to answer it?
        return
    json.dumps(describe(pdu, show_text=True))
    try:
        written = encode(pdu, lenient=True)
    except EncodeError:
        return  # reading takes strings that writing does not
    assert decode(written) == pdu


def one(data: bytes) -> None:
    check(data)
    framer = Framer(MAX_PDU)
    found = framer.feed(data)
    octet_by_octet = Framer(MAX_PDU)
    assert [frame for octet in data for frame in octet_by_octet.feed(bytes([octet]))] == found
    assert (octet_by_octet.broken is None) == (framer.broken is None)
    for frame in found:
        check(frame)
    # With a length that fits and with the command of the first octet: else most inputs would end at the header.
    if len(data) > 8:
        header = (8 + len(data)).to_bytes(4) + (data[0] % 0x22).to_bytes(4) + bytes(4) + data[4:8]
        check(header + data[8:])


atheris.Setup(sys.argv, one)
atheris.Fuzz()

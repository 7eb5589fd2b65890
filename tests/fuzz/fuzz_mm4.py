"""Whatever mail arrives: a message or an Mm4Error, and a message can be written and read again."""

import sys

import atheris

with atheris.instrument_imports(include=["trebuchet.protocols"]):
    from trebuchet.protocols.mm4 import (
        EncodeError,
        ForwardReq,
        Mm4Error,
        content_of,
        decode,
        dsn,
        encode,
        refusal,
    )

FORWARD = (
    b"X-Mms-Message-Type: MM4_forward.REQ\r\nX-Mms-Transaction-ID: t\r\nX-Mms-Message-ID: m\r\n"
    b"X-Mms-Ack-Request: Yes\r\nFrom: +12025550100/TYPE=PLMN\r\n"
)


def check(octets: bytes) -> None:
    dsn.read(octets)
    try:
        message = decode(octets)
    except Mm4Error as error:
        answer = refusal(error, system="s@b.example", mail_id="1@b.example", date_s=0)
        if answer is not None:
            assert decode(encode(answer)) == answer
        return
    if isinstance(message, ForwardReq):
        content_of(message.parts)
    try:
        written = encode(message, "b")
    except EncodeError:
        return  # reading takes strings that writing does not
    assert encode(decode(written), "b") == written


def one(data: bytes) -> None:
    # Without a type most inputs would end there.
    check(data if data.startswith((b"MIME-Version:", b"Content-", b"X-Mms-")) else FORWARD + data)


atheris.Setup(sys.argv, one)
atheris.Fuzz()

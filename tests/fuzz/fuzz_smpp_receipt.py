"""Whatever a receipt says, reading it raises nothing and is bounded; what an SMSC of ours writes is read back."""

import string
import sys

import atheris

with atheris.instrument_imports(include=["trebuchet.protocols"]):
    from trebuchet.protocols.smpp import MessageState, Tag, receipt

ID_CHARACTERS = string.ascii_letters + string.digits + "-_."
TAGS = (
    Tag.RECEIPTED_MESSAGE_ID,
    Tag.MESSAGE_STATE,
    Tag.NETWORK_ERROR_CODE,
    Tag.USER_MESSAGE_REFERENCE,
    0x1400,
)
STYLES = tuple(style for style in receipt.Style if style is not receipt.Style.TLV_ONLY)
STATES = tuple(MessageState)
LONGEST = 1024


def tlvs(chosen: atheris.FuzzedDataProvider) -> tuple[tuple[int, bytes], ...]:
    return tuple(
        (
            int(TAGS[chosen.ConsumeIntInRange(0, len(TAGS) - 1)]),
            bytes(chosen.ConsumeBytes(chosen.ConsumeIntInRange(0, 70))),
        )
        for _ in range(chosen.ConsumeIntInRange(0, 4))
    )


def read(text: str, given: tuple[tuple[int, bytes], ...], esm_class: int) -> None:
    receipt.is_receipt(esm_class, given)
    fields = receipt.parse(text, given)
    if fields is None:
        return
    assert fields.message_id
    assert fields.state is not None
    said = (fields.message_id, fields.stat, fields.err, fields.sub, fields.dlvrd, fields.text)
    assert all(len(value) <= LONGEST for value in said)
    assert fields == receipt.parse(text, given)
    assert fields == receipt.parse(text[:LONGEST] + "tail", given) or len(text) < LONGEST


def write(chosen: atheris.FuzzedDataProvider, quoted: str) -> None:
    message_id = "".join(
        ID_CHARACTERS[chosen.ConsumeIntInRange(0, len(ID_CHARACTERS) - 1)]
        for _ in range(chosen.ConsumeIntInRange(1, 64))
    )
    style = STYLES[chosen.ConsumeIntInRange(0, len(STYLES) - 1)]
    state = STATES[chosen.ConsumeIntInRange(0, len(STATES) - 1)]
    dates = {"submit_date": "20261123120000", "done_date": "20261123120001"}
    written = receipt.format(message_id, state, err="027", text=quoted, style=style, **dates)
    fields = receipt.parse(written)
    assert fields is not None
    assert (fields.message_id, fields.state, fields.err) == (message_id, state, "027"), written


def one(data: bytes) -> None:
    read(data.decode("latin-1"), (), 4)  # first, so that the texts of the corpus are read as they are
    chosen = atheris.FuzzedDataProvider(data)
    esm_class, given = chosen.ConsumeIntInRange(0, 255), tlvs(chosen)
    text = chosen.ConsumeUnicode(chosen.ConsumeIntInRange(0, 1100))
    read(text, given, esm_class)
    write(chosen, text)


atheris.Setup(sys.argv, one)
atheris.Fuzz()

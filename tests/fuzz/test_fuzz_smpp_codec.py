"""Whatever octets arrive, framing and decoding give PDUs or a DecodeError, and what was read can be written."""

import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from support.pdus import any_pdu, frame
from trebuchet.protocols.smpp import Command, DecodeError, EncodeError, Framer, FramingError, decode, encode
from trebuchet.protocols.smpp.describe import describe
from trebuchet.protocols.smpp.pdu import Pdu

EXAMPLES = settings(max_examples=500)

commands = st.sampled_from(list(Command)).map(int) | st.integers(0, 0xFFFF_FFFF)
statuses = st.sampled_from([0, 0, 0, 8, 0x58, 0xFFFF_FFFF])
# Bodies made of what bodies are made of: short strings, NULs, octets, TLVs.
pieces = st.one_of(
    st.binary(max_size=6),
    st.text("0123456789aR+", max_size=18).map(lambda text: text.encode() + b"\0"),
    st.integers(1, 6).map(bytes),
    st.builds(
        lambda tag, value, lie: tag.to_bytes(2, "big") + max(len(value) + lie, 0).to_bytes(2, "big") + value,
        st.sampled_from([0x0424, 0x0427, 0x001E, 0x1400]),
        st.binary(max_size=10),
        st.sampled_from([0, 0, 0, -1, 1, 300]),
    ),
    st.integers(0, 300).map(lambda length: b"1" * length),
)
bodies = st.lists(pieces, max_size=16).map(b"".join)
frames = st.builds(
    lambda command, body, status: frame(command, body.hex(), status), commands, bodies, statuses
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A PDU with octets changed, and now and then cut off or made longer, under its new length."""
    octets = bytearray(encode(draw(any_pdu)))
    for _ in range(draw(st.integers(0, 4))):
        octets[draw(st.integers(4, len(octets) - 1))] = draw(st.integers(0, 255))
    body = bytes(octets[16 : draw(st.integers(16, len(octets)))]) + draw(st.binary(max_size=4))
    return (16 + len(body)).to_bytes(4, "big") + bytes(octets[4:16]) + body


def read(octets: bytes) -> Pdu | DecodeError:
    """What decoding gives or raises; another error fails the test."""
    try:
        return decode(octets)
    except DecodeError as error:
        return error


def check(octets: bytes) -> None:
    """The promise: a PDU that can be described and, if our fields hold it, written and read again; or the error."""
    pdu = read(octets)
    if isinstance(pdu, DecodeError):
        assert pdu.status
        assert octets[4:8] == pdu.command.to_bytes(4, "big")
        assert octets[12:16] == pdu.sequence.to_bytes(4, "big")
        return
    json.dumps(describe(pdu, show_text=True))
    try:
        written = encode(pdu, lenient=True)
    except EncodeError:
        return  # reading takes strings that writing does not
    assert decode(written) == pdu


@EXAMPLES
@given(frames)
def test_any_body_is_a_pdu_or_a_decode_error(octets: bytes) -> None:
    """Of known and unknown commands, with and without an error status."""
    check(octets)


@EXAMPLES
@given(damaged())
def test_any_damaged_pdu_is_a_pdu_or_a_decode_error(octets: bytes) -> None:
    """Changed, shortened and lengthened PDUs."""
    check(octets)


@EXAMPLES
@given(st.binary(max_size=80))
def test_any_octets_decode_or_do_not(octets: bytes) -> None:
    """Octets without even a header, or with a length of their own, are a DecodeError."""
    pdu = read(octets)
    if isinstance(pdu, DecodeError):
        assert pdu.status
    else:
        assert octets[:8] == len(octets).to_bytes(4, "big") + pdu.COMMAND.to_bytes(4, "big")


@EXAMPLES
@given(st.lists(frames | st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 600), max_size=8))
def test_any_stream_is_cut_into_frames_or_broken(octets: list[bytes], cuts: list[int]) -> None:
    """However it arrives: the frames are what the stream begins with; then comes its rest, or a FramingError."""
    stream = b"".join(octets)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    framer = Framer(max_pdu=2000)
    found = []
    for start, end in itertools.pairwise(edges):
        found += framer.feed(stream[start:end])
    assert stream.startswith(b"".join(found))
    rest = stream[sum(map(len, found)) :]
    length = int.from_bytes(rest[:4], "big")
    if framer.broken is not None:
        assert isinstance(framer.broken, FramingError)
        assert not 16 <= length <= 2000
    else:
        assert len(rest) < 4 or len(rest) < length <= 2000
    for one in found:
        check(one)

"""Framing: where one PDU ends and the next begins."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.smpp import FramingError, pdu
from trebuchet.protocols.smpp.codec import encode
from trebuchet.protocols.smpp.framing import Framer

ENQUIRE = encode(pdu.EnquireLink(sequence=1))
SUBMIT = encode(pdu.SubmitSm(sequence=2, destination_addr="12025550123", short_message=b"Hello"))
RESPONSE = encode(pdu.SubmitSmResp(sequence=2, message_id="1a2b3c4d"))
FRAMES = [ENQUIRE, SUBMIT, RESPONSE, SUBMIT, ENQUIRE]
STREAM = b"".join(FRAMES)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` cut at the places `cuts`, in order."""
    edges = [0, *sorted(cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def test_all_at_once() -> None:
    """One piece with several PDUs gives all of them, in order."""
    framer = Framer()
    assert framer.feed(STREAM) == FRAMES
    assert framer.feed(b"") == []
    assert framer.broken is None


def test_octet_by_octet() -> None:
    """A PDU comes out with its last octet and not sooner."""
    framer = Framer()
    found = []
    for at in range(len(STREAM)):
        frames = framer.feed(STREAM[at : at + 1])
        found += frames
        assert b"".join(found) == STREAM[: at + 1] or not frames
    assert found == FRAMES


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_any_split_gives_the_same_pdus(cuts: list[int]) -> None:
    """It does not matter how the octets arrive."""
    framer = Framer()
    assert [frame for piece in pieces(STREAM, cuts) for frame in framer.feed(piece)] == FRAMES
    assert framer.broken is None


def test_leftovers_wait_for_the_rest() -> None:
    """The beginning of a PDU behind a whole one is kept until its end comes."""
    framer = Framer()
    assert framer.feed(ENQUIRE + SUBMIT[:5]) == [ENQUIRE]
    assert framer.feed(SUBMIT[5:-1]) == []
    assert framer.feed(SUBMIT[-1:] + RESPONSE) == [SUBMIT, RESPONSE]


@pytest.mark.parametrize("length", [0, 1, 15, 70_001, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_that_cannot_be_breaks_the_framing(length: int) -> None:
    """The PDUs in front of it are returned, it is reported with its length, and nothing follows."""
    framer = Framer()
    bad = length.to_bytes(4, "big")
    assert framer.feed(SUBMIT + bad + ENQUIRE) == [SUBMIT]
    assert isinstance(framer.broken, FramingError)
    assert framer.broken.length == length
    assert f"{length}, not 16 to 70000" in str(framer.broken)
    assert framer.feed(ENQUIRE) == []


@given(st.lists(st.integers(0, len(SUBMIT) + 20), max_size=6))
def test_framing_breaks_the_same_whatever_the_split(cuts: list[int]) -> None:
    """A length that cannot be is found as soon as its four octets are there."""
    framer = Framer()
    found = [frame for piece in pieces(SUBMIT + bytes(20), cuts) for frame in framer.feed(piece)]
    assert found == [SUBMIT]
    assert framer.broken is not None


@pytest.mark.parametrize(("length", "taken"), [(16, True), (100, True), (101, False)])
def test_the_longest_pdu_is_a_setting(length: int, taken: bool) -> None:
    """A PDU of just `max_pdu` octets is taken, a longer one is not waited for."""
    framer = Framer(max_pdu=100)
    frame = length.to_bytes(4, "big") + bytes(length - 4)
    assert framer.feed(frame) == ([frame] if taken else [])
    assert (framer.broken is None) is taken

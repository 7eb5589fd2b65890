"""Where the fields of a PDU lie: all of its octets, once each, whatever came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.pdus import any_pdu
from trebuchet.protocols.smpp import encode
from trebuchet.protocols.smpp.layout import Field, layout
from trebuchet.protocols.smpp.pdu import BindTransceiver, DeliverSm, Pdu, SubmitSm
from trebuchet.protocols.sms import segment


def covered(fields: list[Field]) -> list[tuple[int, int]]:
    return [(field.start, field.end) for field in fields]


def assert_whole(octets: bytes) -> None:
    at = 0
    for start, end in covered(layout(octets)):
        assert start == at < end
        at = end
    assert at == len(octets)


@given(any_pdu)
def test_every_octet_is_in_one_field(pdu: Pdu) -> None:
    """Of any PDU that can be written."""
    octets = encode(pdu)
    assert_whole(octets)
    assert "unreadable" not in [field.name for field in layout(octets)]


@given(st.binary(max_size=200))
def test_garbage_is_laid_out_as_far_as_it_goes(octets: bytes) -> None:
    assert_whole(octets)


@given(any_pdu, st.integers(0, 400))
def test_what_was_cut_is_laid_out_as_far_as_it_goes(pdu: Pdu, length: int) -> None:
    octets = encode(pdu)
    assert_whole(octets[:length])


def test_a_part_of_a_long_text() -> None:
    """The header in front of the text has its own fields, down to which part it is."""
    part = segment("x" * 200, 7)[1]
    octets = encode(SubmitSm(sequence=9, esm_class=0x40, short_message=part.user_data))
    named = {field.name: field.meaning for field in layout(octets, show_text=True)}
    assert named["command_id"] == "submit_sm"
    assert named["udh_element"] == "part 2 of 2, reference 7"
    assert named["short_message"] == "x" * 47


def test_a_text_is_shown_only_when_asked_for() -> None:
    octets = encode(DeliverSm(sequence=1, short_message=b"secret"))
    (field,) = [field for field in layout(octets) if field.name == "short_message"]
    assert (field.meaning, field.text) == ("6 octets", True)


def test_a_password_is_never_shown() -> None:
    octets = encode(BindTransceiver(sequence=1, system_id="me", password="hunter2"))
    assert "hunter2" not in "".join(field.meaning for field in layout(octets, show_text=True))


@pytest.mark.parametrize("octets", [b"", b"\0", b"\0" * 15])
def test_less_than_a_header(octets: bytes) -> None:
    assert covered(layout(octets)) == ([(0, len(octets))] if octets else [])

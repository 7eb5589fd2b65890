"""User data header: elements and concatenation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.sms import MalformedHeader, udh
from trebuchet.protocols.sms.udh import Concatenation, Element, ReferenceBits

element_lists = st.lists(st.builds(Element, st.integers(0, 255), st.binary(max_size=40)), max_size=6)


@pytest.mark.parametrize(
    ("octets", "concatenation"),
    [
        ("0500032a0201", Concatenation(0x2A, 2, 1, 8)),
        ("050003000101", Concatenation(0, 1, 1, 8)),
        ("050003ffffff", Concatenation(0xFF, 255, 255, 8)),
        ("06080412340302", Concatenation(0x1234, 3, 2, 16)),
        ("06080400000201", Concatenation(0, 2, 1, 16)),
    ],
)
def test_concatenation_both_ways(octets: str, concatenation: Concatenation) -> None:
    """A concatenation element is the octets of the specification and reads back; reference 0 is like any."""
    header = bytes.fromhex(octets)
    assert udh.build([udh.concatenation_element(concatenation)]) == header
    elements, body = udh.parse(header + b"text")
    assert udh.concatenation_of(elements) == concatenation
    assert body == b"text"


@pytest.mark.parametrize(
    ("octets", "concatenation"),
    [
        ("00", None),
        ("0605040b8423f0", None),
        ("0b05040b8423f000032a0201", Concatenation(0x2A, 2, 1, 8)),
        ("0b00032a020105040b8423f0", Concatenation(0x2A, 2, 1, 8)),
        ("0a00032a020100032b0302", Concatenation(0x2B, 3, 2, 8)),
        ("0b00032a0201080412340302", Concatenation(0x1234, 3, 2, 16)),
        ("0a00032a020100032b0304", Concatenation(0x2A, 2, 1, 8)),
        ("0500032a0200", None),
        ("0500032a0001", None),
        ("0500032a0000", None),
        ("0500032a0203", None),
        ("0400022a02", None),
        ("0600042a020100", None),
        ("0508032a0201", None),
    ],
)
def test_which_concatenation_counts(octets: str, concatenation: Concatenation | None) -> None:
    """Other elements are passed over, impossible ones ignored, and the last possible one counts."""
    elements, _ = udh.parse(bytes.fromhex(octets))
    assert udh.concatenation_of(elements) == concatenation


@pytest.mark.parametrize(
    ("octets", "complaint"),
    [
        ("", "no user data"),
        ("05", "should have 6 octets, the user data has 1"),
        ("0500032a02", "should have 6 octets, the user data has 5"),
        ("0100", "octet 1 has no length"),
        ("0500042a0201", "octet 1 is longer"),
        ("0600032a020105", "octet 6 has no length"),
        ("0700032a02010501", "octet 6 is longer"),
    ],
)
def test_malformed_header(octets: str, complaint: str) -> None:
    """Lengths that do not add up are refused with the place."""
    with pytest.raises(MalformedHeader, match=complaint):
        udh.parse(bytes.fromhex(octets))


@given(element_lists, st.binary(max_size=20))
def test_elements_survive(elements: list[Element], body: bytes) -> None:
    """Elements of every identifier, known or not, are kept in order, and so is what follows the header."""
    assert udh.parse(udh.build(elements) + body) == (tuple(elements), body)


@given(st.binary(max_size=60))
def test_parsing_any_octets(octets: bytes) -> None:
    """Any octets are a header, which builds the same octets again, or MalformedHeader."""
    try:
        elements, body = udh.parse(octets)
    except MalformedHeader:
        return
    assert udh.build(elements) + body == octets
    udh.concatenation_of(elements)


@pytest.mark.parametrize(
    "elements", [[Element(1, bytes(254))], [Element(1, bytes(300))], [Element(1, bytes(100))] * 3]
)
def test_header_is_bounded(elements: list[Element]) -> None:
    """A header of more than 255 octets behind its length is refused."""
    with pytest.raises(MalformedHeader, match="a header holds 255"):
        udh.build(elements)


@pytest.mark.parametrize(
    ("reference", "total", "sequence", "bits"),
    [
        (256, 2, 1, 8),
        (-1, 2, 1, 8),
        (65536, 2, 1, 16),
        (1, 2, 0, 8),
        (1, 2, 3, 8),
        (1, 0, 0, 8),
        (1, 256, 1, 8),
    ],
)
def test_impossible_concatenation(reference: int, total: int, sequence: int, bits: ReferenceBits) -> None:
    """Numbers that do not fit their octets, and parts outside the total, cannot be written."""
    with pytest.raises(ValueError, match=r"does not fit|there is no part"):
        udh.concatenation_element(Concatenation(reference, total, sequence, bits))


@pytest.mark.parametrize(
    ("octets", "language"),
    [("03240102", 2), ("06240101240102", 2), ("00", 0), ("0424020203", 0), ("03250102", 0)],
)
def test_single_shift_language(octets: str, language: int) -> None:
    """The last well-formed single shift element names the language; a locking shift is something else."""
    elements, _ = udh.parse(bytes.fromhex(octets))
    assert udh.single_shift_of(elements) == language

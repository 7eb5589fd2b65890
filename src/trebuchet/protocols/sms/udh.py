"""User data header: the elements in front of the text of a part. Source: 3GPP TS 23.040 section 9.2.3.24.

One length octet, then elements of identifier, length and data. Elements that we do not know are kept.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from trebuchet.protocols.sms.errors import MalformedHeader

CONCATENATION_8: Final = 0x00
CONCATENATION_16: Final = 0x08
SINGLE_SHIFT: Final = 0x24

ReferenceBits = Literal[8, 16]


class Element(msgspec.Struct, frozen=True):
    """One information element, known or not. `identifier` is 0 to 255, `data` at most 253 octets."""

    identifier: int
    data: bytes


class Concatenation(msgspec.Struct, frozen=True):
    """This part is number `sequence` (from 1) of `total` (at most 255) under `reference`."""

    reference: int
    total: int
    sequence: int
    reference_bits: ReferenceBits


def parse(user_data: bytes) -> tuple[tuple[Element, ...], bytes]:
    """The elements of the header that `user_data` starts with, and the octets behind the header.

    Only for user data with the UDHI bit in its esm_class. Raises MalformedHeader; the specification then
    wants the header ignored, not the message.
    """
    if not user_data:
        raise MalformedHeader("a user data header was announced, but there is no user data")
    end = 1 + user_data[0]
    if end > len(user_data):
        raise MalformedHeader(f"the header should have {end} octets, the user data has {len(user_data)}")
    elements: list[Element] = []
    at = 1
    while at < end:
        if at + 1 == end:
            raise MalformedHeader(f"the element at octet {at} has no length")
        data_end = at + 2 + user_data[at + 1]
        if data_end > end:
            raise MalformedHeader(f"the element at octet {at} is longer than the header")
        elements.append(Element(user_data[at], user_data[at + 2 : data_end]))
        at = data_end
    return tuple(elements), user_data[end:]


def build(elements: Sequence[Element]) -> bytes:
    """The header of `elements` with its length octet. Raises MalformedHeader if that is over 255 octets."""
    octets = b"".join(bytes([e.identifier, min(len(e.data), 255)]) + e.data for e in elements)
    if len(octets) > 255:
        raise MalformedHeader(f"the elements take {len(octets)} octets, a header holds 255")
    return bytes([len(octets)]) + octets


def concatenation_element(concatenation: Concatenation) -> Element:
    """The element of `concatenation`. Raises ValueError for a number that does not fit."""
    reference, bits = concatenation.reference, concatenation.reference_bits
    check_reference(reference, bits)
    if not 1 <= concatenation.sequence <= concatenation.total <= 255:
        raise ValueError(f"there is no part {concatenation.sequence} of {concatenation.total}")
    identifier = CONCATENATION_8 if bits == 8 else CONCATENATION_16
    numbers = bytes([concatenation.total, concatenation.sequence])
    return Element(identifier, reference.to_bytes(bits // 8, "big") + numbers)


def check_reference(reference: int, bits: ReferenceBits) -> None:
    """Raises ValueError if `reference` does not fit."""
    if not 0 <= reference < 1 << bits:
        raise ValueError(f"reference {reference} does not fit {bits} bits")


def concatenation_of(elements: Sequence[Element]) -> Concatenation | None:
    """Which part of which message this is, or None for a message of its own.

    An element of the wrong length or with an impossible sequence or total is ignored, and of several the last
    one counts, as the specification has it.
    """
    for element in reversed(elements):
        if element.identifier == CONCATENATION_8 and len(element.data) == 3:
            bits: ReferenceBits = 8
        elif element.identifier == CONCATENATION_16 and len(element.data) == 4:
            bits = 16
        else:
            continue
        *reference, total, sequence = element.data
        if 1 <= sequence <= total:
            return Concatenation(int.from_bytes(reference, "big"), total, sequence, bits)
    return None


def single_shift_of(elements: Sequence[Element]) -> int:
    """The national language of escape pairs, 0 for none; the value for `gsm7.decode` and `dcs.decode`."""
    for element in reversed(elements):
        if element.identifier == SINGLE_SHIFT and len(element.data) == 1:
            return element.data[0]
    return 0

"""Cutting a text into the parts that go on air. Source: 3GPP TS 23.040 section 9.2.3.24.1.

A part has 140 octets: 160 septets or 70 UTF-16 code units alone, 153 or 67 behind a concatenation header
with an 8-bit reference, 152 or 66 with a 16-bit one. A pair (an escape and its code, or two surrogates) is
never cut, so a part may end one unit early and the number of parts cannot be had by division.

The number of parts is the smallest that this allows, found by filling each part in turn; other counters
agree on it. Graphemes come second: a cut moves back to the start of the grapheme that it would tear only if
the rest of the text still fits the remaining parts. So keeping a family emoji or a CR LF whole never costs a
part, `count` needs no knowledge of graphemes, and it always equals `len(segment(...))`.

All of it works on *tails*: one octet per unit, 1 where the unit is the second half of a pair, else 0.
"""

from typing import Final

import msgspec

from trebuchet.protocols.sms import gsm7, udh
from trebuchet.protocols.sms.dcs import Encoding
from trebuchet.protocols.sms.errors import LoneSurrogate, TooManySegments
from trebuchet.protocols.sms.graphemes import is_boundary
from trebuchet.protocols.sms.udh import ReferenceBits

MAX_SEGMENTS: Final = 255

_SINGLE_GSM7: Final = 160
_SINGLE_UCS2: Final = 70
_PART_GSM7: Final[dict[ReferenceBits, int]] = {8: 153, 16: 152}
_PART_UCS2: Final[dict[ReferenceBits, int]] = {8: 67, 16: 66}

_ESCAPES: Final = bytes(octet == gsm7.ESCAPE for octet in range(256))
_LOW_SURROGATES: Final = bytes(octet & 0xFC == 0xDC for octet in range(256))  # by the first octet of a unit


class SegmentCount(msgspec.Struct, frozen=True, gc=False):
    """What a text takes on air. `units` are septets in GSM-7, UTF-16 code units in UCS-2, without headers."""

    encoding: Encoding
    units: int
    segments: int


class Segment(msgspec.Struct, frozen=True):
    """One part. `header` is its user data header, empty if the text fits one part; `body` its encoded text.

    A GSM-7 body is unpacked. Links that number parts in TLVs (SAR) submit the body alone: the SMSC adds the
    header, so the cuts are the same.
    """

    encoding: Encoding
    header: bytes
    body: bytes
    text: str

    @property
    def user_data(self) -> bytes:
        """Header and body, as short_message carries them; set UDHI in esm_class if there is a header."""
        return self.header + self.body


def count(text: str, reference_bits: ReferenceBits = 8) -> SegmentCount:
    """How many parts `segment` makes of `text`. Raises LoneSurrogate and TooManySegments."""
    units = gsm7.septets(text)
    if units is None:
        return _count_ucs2(text, reference_bits)
    if units <= _SINGLE_GSM7:
        return SegmentCount(Encoding.GSM7, units, 1)
    capacity = _PART_GSM7[reference_bits]
    if units == len(text):
        return SegmentCount(Encoding.GSM7, units, _bounded(-(-units // capacity)))
    parts = _fill(_gsm7_tails(gsm7.encode(text)), capacity)
    return SegmentCount(Encoding.GSM7, units, _bounded(parts))


def segment(
    text: str, reference: int, reference_bits: ReferenceBits = 8, *, ucs2: bool = False
) -> list[Segment]:
    """The parts of `text`, in order, as many as `count` says. An empty text is one empty part.

    `reference` (0 to 255, or 0 to 65535 with 16 bits) should differ between long messages of one sender to
    one recipient. `ucs2` writes UCS-2 also where GSM-7 would do, for a peer that has another alphabet in its
    place; that can take more parts than `count` says. Raises LoneSurrogate, TooManySegments, and ValueError
    for a reference that does not fit.
    """
    udh.check_reference(reference, reference_bits)
    octets = None if ucs2 else gsm7.try_encode(text)
    if octets is not None:
        if len(octets) <= _SINGLE_GSM7:
            return [Segment(Encoding.GSM7, b"", octets, text)]
        tails, capacity = _gsm7_tails(octets), _PART_GSM7[reference_bits]
        encoding, unit_octets = Encoding.GSM7, 1
    else:
        octets = _encode_ucs2(text)
        if len(octets) <= 2 * _SINGLE_UCS2:
            return [Segment(Encoding.UCS2, b"", octets, text)]
        tails, capacity = _ucs2_tails(octets), _PART_UCS2[reference_bits]
        encoding, unit_octets = Encoding.UCS2, 2

    total = _bounded(_fill(tails, capacity))
    segments = []
    start = start_character = 0
    for sequence, end in enumerate(_ends(text, tails, capacity, total), start=1):
        end_character = start_character + _characters(tails, start, end)
        number = udh.Concatenation(reference, total, sequence, reference_bits)
        segments.append(
            Segment(
                encoding,
                udh.build([udh.concatenation_element(number)]),
                octets[start * unit_octets : end * unit_octets],
                text[start_character:end_character],
            )
        )
        start, start_character = end, end_character
    return segments


def _count_ucs2(text: str, reference_bits: ReferenceBits) -> SegmentCount:
    octets = _encode_ucs2(text)
    units = len(octets) // 2
    if units <= _SINGLE_UCS2:
        return SegmentCount(Encoding.UCS2, units, 1)
    capacity = _PART_UCS2[reference_bits]
    parts = -(-units // capacity) if units == len(text) else _fill(_ucs2_tails(octets), capacity)
    return SegmentCount(Encoding.UCS2, units, _bounded(parts))


def _encode_ucs2(text: str) -> bytes:
    try:
        return text.encode("utf_16_be")
    except UnicodeEncodeError as error:
        index = error.start
    raise LoneSurrogate(index)


def _bounded(parts: int) -> int:
    if parts > MAX_SEGMENTS:
        raise TooManySegments(parts)
    return parts


def _gsm7_tails(septets: bytes) -> bytes:
    return b"\0" + septets[:-1].translate(_ESCAPES)


def _ucs2_tails(octets: bytes) -> bytes:
    return octets[::2].translate(_LOW_SURROGATES)


def _characters(tails: bytes, start: int, end: int) -> int:
    """How many characters the units from `start` to `end` are."""
    return end - start - tails.count(1, start, end)


def _fill(tails: bytes, capacity: int) -> int:
    """How many parts of `capacity` units it takes if each is filled as far as its last pair allows."""
    parts, at, units = 1, 0, len(tails)
    while units - at > capacity:
        at += capacity
        at -= tails[at]
        parts += 1
    return parts


def _ends(text: str, tails: bytes, capacity: int, total: int) -> list[int]:
    """Where each of `total` parts ends, in units. `total` is what `_fill` says, so every part can end."""
    earliest = _earliest_ends(tails, capacity, total)
    ends: list[int] = []
    start = character = 0
    for lowest in earliest:
        end = start + capacity
        end -= tails[end]
        end_character = character + _characters(tails, start, end)
        start, character = _whole_grapheme(text, tails, end, end_character, lowest)
        ends.append(start)
    return [*ends, len(tails)]


def _earliest_ends(tails: bytes, capacity: int, total: int) -> list[int]:
    """For each part but the last, the first place to end that leaves no more than the other parts hold."""
    earliest = []
    at = len(tails)
    for _ in range(total - 1):
        at -= capacity  # stays above 0: the text does not fit one part less
        at += tails[at]
        earliest.append(at)
    return earliest[::-1]


def _whole_grapheme(text: str, tails: bytes, end: int, character: int, lowest: int) -> tuple[int, int]:
    """The last place from `lowest` to `end` that tears no grapheme, in units and in characters.

    If there is none, `end`: either the grapheme is longer than a part, or keeping it whole would cost one.
    """
    at, at_character = end, character
    while at >= lowest:
        if is_boundary(text, at_character):
            return at, at_character
        at -= 1 + tails[at - 1]
        at_character -= 1
    return end, character

"""The GSM 7-bit default alphabet with its extension table. Source: 3GPP TS 23.038 (GSM 03.38) section 6.2.1.

Unpacked is one septet per octet, as SMPP carries it; packed is eight septets in seven octets, as the air
interface does. An extension character is two septets, 0x1B and its code.

Encoding goes through `codecs.charmap_encode` with the map of `codecs.charmap_build`, which is fast for every
alphabet; with a dictionary or `str.translate` a text beyond ASCII takes several times longer. Such a map must
start with U+0000, and one octet stands for one character. So text first becomes *marked* octets: `@` is 0x80
instead of 0x00, an extension character is 0x80 | code, everything else is its septet, and 0x00 means that the
text had U+0000, which is no GSM character. Marked octets all below 0x80 are already the septets.
"""

import codecs
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from trebuchet.protocols.sms.errors import NotInAlphabet

ESCAPE: Final = 0x1B

BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The character of each septet 0x00 to 0x7F; the escape stands for itself."""

EXTENSION: Final[Mapping[int, str]] = MappingProxyType(
    {
        0x0A: "\f",
        0x14: "^",
        0x28: "{",
        0x29: "}",
        0x2F: "\\",
        0x3C: "[",
        0x3D: "~",
        0x3E: "]",
        0x40: "|",
        0x65: "€",
    }
)
"""The character of each septet that may follow an escape."""

SPANISH: Final = 2
"""The national language identifier of Spanish (3GPP TS 23.038 annex A), the only shift table read here."""

_SPANISH_SHIFT = {
    0x09: "ç",
    0x41: "Á",
    0x49: "Í",
    0x4F: "Ó",
    0x55: "Ú",
    0x61: "á",
    0x69: "í",
    0x6F: "ó",
    0x75: "ú",
}

_UNDEFINED = "\ufffe"  # what charmap_build and charmap_decode take for "no character here"


def _marked_table() -> str:
    table = ["\0", *BASIC[1:], *(_UNDEFINED * 128)]
    table[ESCAPE] = _UNDEFINED
    table[0x80] = "@"
    for code, character in EXTENSION.items():
        table[0x80 | code] = character
    return "".join(table)


_TO_MARKED = codecs.charmap_build(_marked_table())
_EXTENDED = bytes(0x80 | code for code in EXTENSION)
_EXPANSIONS = (
    *((bytes([0x80 | code]), bytes([ESCAPE, code])) for code in EXTENSION),
    (b"\x80", b"\x00"),
)
_FROM_SEPTET = BASIC + _UNDEFINED * 128
_ESCAPED = re.compile("\x1b(.?)", re.DOTALL)


def _after_escape(shift: Mapping[int, str]) -> dict[str, str]:
    """What an escape and the basic character behind it mean together."""
    # A second escape is reserved for one more table, and an escape at the end has nothing to escape:
    # both show as a space (3GPP TS 23.038 section 6.2.1.1).
    return {"\x1b": " ", "": " "} | {BASIC[code]: character for code, character in shift.items()}


_AFTER_ESCAPE = {
    0: _after_escape(EXTENSION),
    SPANISH: _after_escape({**EXTENSION, **_SPANISH_SHIFT}),
}


def _marked(text: str) -> bytes | None:
    try:
        octets = codecs.charmap_encode(text, "strict", _TO_MARKED)[0]
    except UnicodeEncodeError:
        return None
    return None if 0 in octets else octets


def septets(text: str) -> int | None:
    """How many septets `text` takes, or None if a character of it is not in the alphabet."""
    marked = _marked(text)
    if marked is None or marked.isascii():
        return None if marked is None else len(marked)
    return 2 * len(marked) - len(marked.translate(None, _EXTENDED))


def first_foreign(text: str) -> int | None:
    """The index of the first character that is not in the alphabet, in code points, or None."""
    try:
        octets = codecs.charmap_encode(text, "strict", _TO_MARKED)[0]
    except UnicodeEncodeError as error:
        null = text.find("\0", 0, error.start)
        return error.start if null < 0 else null
    null = octets.find(0)
    return None if null < 0 else null


def try_encode(text: str) -> bytes | None:
    """Unpacked septets of `text`, one per octet, or None if a character of it is not in the alphabet."""
    marked = _marked(text)
    if marked is None or marked.isascii():
        return marked
    for mark, expansion in _EXPANSIONS:
        marked = marked.replace(mark, expansion)
    return marked


def encode(text: str) -> bytes:
    """Unpacked septets of `text`, one per octet. Raises NotInAlphabet."""
    octets = try_encode(text)
    if octets is None:
        raise NotInAlphabet(first_foreign(text) or 0)
    return octets


def decode(unpacked: bytes, single_shift: int = 0) -> str:
    """The text of unpacked septets. Never fails: this is what peers sent.

    An unknown escape pair is the basic character, a doubled or final escape a space, and an octet above 0x7F
    U+FFFD. `single_shift` is the language of user data header element 0x24; one that is not read here counts
    as none.
    """
    text = codecs.charmap_decode(unpacked, "replace", _FROM_SEPTET)[0]
    if ESCAPE not in unpacked:
        return text
    meaning = _AFTER_ESCAPE.get(single_shift, _AFTER_ESCAPE[0])
    return _ESCAPED.sub(lambda match: meaning.get(match[1], match[1]), text)


def fill_bits(header_octets: int) -> int:
    """How many bits to leave free between a user data header and packed septets, so that these start on a
    septet boundary. Source: 3GPP TS 23.040 section 9.2.3.24.
    """
    return -8 * header_octets % 7


def pack(unpacked: bytes, fill: int = 0) -> bytes:
    """Eight septets in seven octets, lowest bits first, behind `fill` zero bits (0 to 6).

    Spare bits at the end are zero, also when a whole septet would fit: the carriage return that fills such a
    hole is a rule of USSD, not of SMS. Raises ValueError for an octet above 0x7F or a wrong `fill`.
    """
    _check_fill(fill)
    if not unpacked.isascii():
        raise ValueError("an unpacked septet is at most 0x7F")
    packed = bytearray()
    pending, bits = 0, fill
    for septet in unpacked:
        pending |= septet << bits
        bits += 7
        if bits >= 8:
            packed.append(pending & 0xFF)
            pending >>= 8
            bits -= 8
    if bits:
        packed.append(pending)
    return bytes(packed)


def unpack(packed: bytes, count: int, fill: int = 0) -> bytes:
    """`count` septets of `packed`, one per octet, after skipping `fill` bits (0 to 6).

    The count cannot be read from the octets: seven of them hold seven septets and seven spare bits, or eight.
    Raises ValueError if there are not so many septets.
    """
    _check_fill(fill)
    if count < 0 or fill + 7 * count > 8 * len(packed):
        raise ValueError(f"{len(packed)} octets do not hold {count} septets")
    unpacked = bytearray()
    pending, bits = 0, -fill
    for octet in packed:
        pending |= octet << bits if bits >= 0 else octet >> -bits
        bits += 8
        while bits >= 7:
            unpacked.append(pending & 0x7F)
            pending >>= 7
            bits -= 7
    return bytes(unpacked[:count])


def _check_fill(fill: int) -> None:
    if not 0 <= fill <= 6:
        raise ValueError("fill bits are 0 to 6")

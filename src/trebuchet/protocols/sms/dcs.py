"""Data coding: which encoding a text needs, and what the octets of a peer say.

Sources: SMPP 3.4 section 5.2.19 for values below 0x10; 3GPP TS 23.038 section 4 for the GSM groups above,
which SMSCs pass through.
"""

from enum import Enum, IntEnum
from typing import Final

import msgspec

from trebuchet.protocols.sms import gsm7


class Encoding(Enum):
    """How characters become octets."""

    GSM7 = "GSM-7"  # GSM 03.38, one septet per octet
    UCS2 = "UCS-2"  # in truth UTF-16, big-endian: every handset takes surrogate pairs
    ASCII = "ASCII"
    LATIN1 = "ISO-8859-1"
    CYRILLIC = "ISO-8859-5"
    HEBREW = "ISO-8859-8"
    JAPANESE = "ISO-2022-JP"
    KOREAN = "KS C 5601"
    OCTETS = "octets"  # no text, or a character set that is not read here


class DataCoding(IntEnum):
    """The data_coding values that we write. A peer may write any octet."""

    DEFAULT = 0x00  # the SMSC's default alphabet; usually GSM 03.38
    ASCII = 0x01
    LATIN1 = 0x03
    OCTETS = 0x04
    UCS2 = 0x08
    UCS2_FLASH = 0x18  # GSM coding group, class 0; only where the SMSC passes it through
    GSM7_FLASH = 0xF0  # GSM message class group, class 0


_WRITTEN: Final = {
    Encoding.GSM7: DataCoding.DEFAULT,
    Encoding.ASCII: DataCoding.ASCII,
    Encoding.LATIN1: DataCoding.LATIN1,
    Encoding.OCTETS: DataCoding.OCTETS,
    Encoding.UCS2: DataCoding.UCS2,
}
_WRITTEN_FLASH: Final = {Encoding.GSM7: DataCoding.GSM7_FLASH, Encoding.UCS2: DataCoding.UCS2_FLASH}

# 0x05 and 0x0D name character sets without saying how they become octets, 0x09 is a pictogram: octets here.
_READ: Final = {
    0x02: Encoding.OCTETS,
    0x03: Encoding.LATIN1,
    0x04: Encoding.OCTETS,
    0x06: Encoding.CYRILLIC,
    0x07: Encoding.HEBREW,
    0x08: Encoding.UCS2,
    0x0A: Encoding.JAPANESE,
    0x0E: Encoding.KOREAN,
}
_GSM_GROUP: Final = (Encoding.GSM7, Encoding.OCTETS, Encoding.UCS2, Encoding.OCTETS)  # bits 3 and 2
_CODECS: Final = {
    Encoding.ASCII: "ascii",
    Encoding.LATIN1: "iso8859_1",
    Encoding.CYRILLIC: "iso8859_5",
    Encoding.HEBREW: "iso8859_8",
    Encoding.JAPANESE: "iso2022_jp",
    Encoding.KOREAN: "euc_kr",
}


class Reason(msgspec.Struct, frozen=True):
    """The first character that GSM 03.38 does not have. `index` counts code points from 0."""

    character: str
    index: int

    def __str__(self) -> str:
        return f"UCS-2 because of {self.character!r} at {self.index}"


class Choice(msgspec.Struct, frozen=True):
    """The encoding of a text. `reason` is None for GSM-7."""

    encoding: Encoding
    reason: Reason | None


def choose(text: str) -> Choice:
    """GSM-7 if every character is in the alphabet, else UCS-2 and why. Does not look for lone surrogates."""
    index = gsm7.first_foreign(text)
    if index is None:
        return Choice(Encoding.GSM7, None)
    return Choice(Encoding.UCS2, Reason(text[index], index))


def data_coding(encoding: Encoding, *, flash: bool = False) -> DataCoding:
    """The data_coding to write for `encoding`; `flash` shows the text at once and stores nothing.

    Raises ValueError for an encoding that we only read, and for flash of anything but GSM-7 and UCS-2.
    """
    coding = (_WRITTEN_FLASH if flash else _WRITTEN).get(encoding)
    if coding is None:
        raise ValueError(f"there is no {'flash ' if flash else ''}data coding for {encoding.value}")
    return coding


def encoding_of(coding: int, default: Encoding = Encoding.GSM7, ia5: Encoding = Encoding.ASCII) -> Encoding:
    """What a peer means by data_coding `coding` (0 to 255). Reserved values are octets.

    `default` is the link's default alphabet, the meaning of 0x00; it is not GSM 03.38 everywhere. `ia5` is
    the meaning of 0x01: by specification ASCII, but some peers write GSM 03.38 there.
    """
    match coding:
        case 0x00:
            return default
        case 0x01:
            return ia5
    match coding >> 4:
        case 0x1:  # GSM general group with a message class
            return _GSM_GROUP[coding >> 2 & 3]
        case 0xC | 0xD:  # message waiting, discard or store
            return Encoding.GSM7
        case 0xE:  # message waiting, store, UCS-2
            return Encoding.UCS2
        case 0xF:  # message class
            return Encoding.OCTETS if coding & 0x04 else Encoding.GSM7
    return _READ.get(coding, Encoding.OCTETS)


def decode(
    octets: bytes,
    coding: int,
    default: Encoding = Encoding.GSM7,
    ia5: Encoding = Encoding.ASCII,
    single_shift: int = 0,
) -> str | None:
    """The text of `octets`, or None where the coding says that they are no text. Never fails.

    What cannot be read becomes U+FFFD. Join the parts of a long message before decoding: some peers cut
    surrogate pairs and escape pairs. `default` and `ia5` as in `encoding_of`, `single_shift` as in
    `gsm7.decode`.
    """
    encoding = encoding_of(coding, default, ia5)
    match encoding:
        case Encoding.OCTETS:
            return None
        case Encoding.GSM7:
            return gsm7.decode(octets, single_shift)
        case Encoding.UCS2:
            return _decode_ucs2(octets)
    return octets.decode(_CODECS[encoding], "replace")


def _decode_ucs2(octets: bytes) -> str:
    """Big-endian, unless a byte order mark says otherwise: some peers put one, the specification has none."""
    codec = "utf_16" if octets[:2] in (b"\xfe\xff", b"\xff\xfe") else "utf_16_be"
    return octets.decode(codec, "replace")

"""Carriers' message ids: the one in the response to a submit, and the one in the receipt, which may look different.

Ids are text. Many SMSCs answer a submit with hexadecimal and report in decimal, or the other way, pad with zeros
or change the case. Nothing here passes through a machine integer: ids of forty digits are met.
"""

import enum
import re
from typing import Final

_DIGITS_MAX: Final = 64
_LEAST: Final = 6  # characters: below, hexadecimal and decimal of different ids are too often alike
_DECIMAL: Final = re.compile(r"[0-9]+", re.ASCII)
_HEXADECIMAL: Final = re.compile(r"(?:0x)?([0-9a-f]+)", re.ASCII | re.IGNORECASE)


class IdConversion(enum.StrEnum):
    """How the id of a receipt becomes the id of the response."""

    SAME = "same"
    PADDED = "padded"  # leading zeros or capitals differ
    RESPONSE_HEX_RECEIPT_DECIMAL = "hex-decimal"
    RESPONSE_DECIMAL_RECEIPT_HEX = "decimal-hex"


def canonical(raw: str) -> str:
    """Lower case without leading zeros, at least one character of it. The key under which a response's id is found."""
    lowered = raw.strip().lower()
    return lowered.lstrip("0") or lowered[-1:]


def response_key(raw: str, conversion: IdConversion) -> str | None:
    """The canonical id of the response for a receipt's id; None if the conversion does not apply to it."""
    key = canonical(raw)
    if len(key) > _DIGITS_MAX:
        return None
    if conversion in (IdConversion.SAME, IdConversion.PADDED):
        return key
    if conversion is IdConversion.RESPONSE_HEX_RECEIPT_DECIMAL:
        return f"{int(key):x}" if _DECIMAL.fullmatch(key) else None
    digits = _HEXADECIMAL.fullmatch(raw.strip())  # as it came: a key has lost the 0 of 0x
    return str(int(digits[1], 16)) if digits else None


_PROPOSED: Final = (
    IdConversion.PADDED,
    IdConversion.RESPONSE_HEX_RECEIPT_DECIMAL,
    IdConversion.RESPONSE_DECIMAL_RECEIPT_HEX,
)


def proposals(raw: str) -> tuple[tuple[IdConversion, str], ...]:
    """Every conversion that could apply to a receipt's id, the strictest first, with the key it gives."""
    found: list[tuple[IdConversion, str]] = []
    for conversion in _PROPOSED:
        if conversion is not IdConversion.PADDED and len(raw.strip()) < _LEAST:
            continue
        key = response_key(raw, conversion)
        if key is not None:
            found.append((conversion, key))
    return tuple(found)

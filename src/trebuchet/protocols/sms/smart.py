"""Replacing typographic characters by GSM ones, so that a curly quote does not triple the parts of a text.

Optional: it changes what the reader sees, though not what it says. Accents are never stripped. The choice of
characters is our own.
"""

import re
import unicodedata
from typing import Final

from trebuchet.protocols.sms import gsm7

_REPLACED_BY: Final = {
    "'": "‘’‚‛′`´ʼ",
    '"': "“”„‟″«»",
    "-": "–—‒―−‐‑",
    "...": "…",
    "*": "•·∙",
    " ": "\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000\t",
    "": "\u200b\u200c\ufeff\u00ad",
    "/": "⁄÷∕",
    "x": "×",
    "TM": "™",
    "(c)": "©",
    "(r)": "®",
    "1/2": "½",
    "1/4": "¼",
    "3/4": "¾",
}
_FULL_WIDTH: Final = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_REPLACEMENTS: Final = _FULL_WIDTH | {
    ord(character): replacement
    for replacement, characters in _REPLACED_BY.items()
    for character in characters
}
_BARE_CARRIAGE_RETURN: Final = re.compile(r"\r(?!\n)")


def normalise(text: str) -> str:
    """`text` in Unicode form NFC, where a letter and its accent are one character, with LF for a bare CR."""
    return _BARE_CARRIAGE_RETURN.sub("\n", unicodedata.normalize("NFC", text))


def smart_encode(text: str) -> str:
    """`text` normalised and with GSM characters for typographic ones if that makes it GSM-7, else unchanged.

    A text that is GSM-7 already is unchanged. A character becomes three at most.
    """
    if gsm7.septets(text) is not None:
        return text
    replaced = normalise(text).translate(_REPLACEMENTS)
    return text if gsm7.septets(replaced) is None else replaced

"""Where a text may be cut without tearing what a reader sees as one character.

The rules are those of Unicode Standard Annex 29 for extended grapheme clusters, read from the general
category and a few ranges, because the standard library does not have the property itself. Differences: a
pictogram behind a joiner stays with it whatever stands before the joiner; prepended marks and Indic conjuncts
may be cut.
"""

import unicodedata
from typing import Final

_JOINER: Final = "\u200d"
_REGIONALS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_EXTEND_CATEGORIES: Final = frozenset(("Mn", "Me", "Mc"))
# Extending characters of other categories: non-joiner and joiner, halfwidth voice marks, skin tones, tags.
_EXTEND_RANGES: Final = (
    range(0x200C, 0x200E),
    range(0xFF9E, 0xFFA0),
    range(0x1F3FB, 0x1F400),
    range(0xE0020, 0xE0080),
)
_HANGUL_LEADING: Final = (range(0x1100, 0x1160), range(0xA960, 0xA980))
_HANGUL_VOWEL: Final = (range(0x1160, 0x11A8), range(0xD7B0, 0xD7C8))
_HANGUL_TRAILING: Final = (range(0x11A8, 0x1200), range(0xD7CB, 0xD7FC))
_HANGUL_SYLLABLES: Final = range(0xAC00, 0xD7A4)


def is_boundary(text: str, index: int) -> bool:
    """Whether `text` may be cut before the character at `index` (1 to len(text) - 1)."""
    before, after = text[index - 1], text[index]
    if after < "\u0300":
        return not (before == "\r" and after == "\n")
    if _extends(after):
        return unicodedata.category(before) == "Cc"
    if before == _JOINER:
        return unicodedata.category(after) != "So"
    if before in _REGIONALS and after in _REGIONALS:
        return _regionals_before(text, index) % 2 == 0
    return not _same_syllable(ord(before), ord(after))


def _extends(character: str) -> bool:
    if unicodedata.category(character) in _EXTEND_CATEGORIES:
        return True
    return _within(ord(character), _EXTEND_RANGES)


def _regionals_before(text: str, index: int) -> int:
    """How many regional indicators stand right before `index`; two of them are a flag."""
    return index - len(text[:index].rstrip(_REGIONALS))


def _same_syllable(before: int, after: int) -> bool:
    """Hangul letters that form one syllable block (rules GB6 to GB8)."""
    if _within(before, _HANGUL_LEADING):
        return after in _HANGUL_SYLLABLES or _within(after, _HANGUL_LEADING) or _within(after, _HANGUL_VOWEL)
    open_syllable = before in _HANGUL_SYLLABLES and (before - _HANGUL_SYLLABLES.start) % 28 == 0
    if open_syllable or _within(before, _HANGUL_VOWEL):
        return _within(after, _HANGUL_VOWEL) or _within(after, _HANGUL_TRAILING)
    if before in _HANGUL_SYLLABLES or _within(before, _HANGUL_TRAILING):
        return _within(after, _HANGUL_TRAILING)
    return False


def _within(code_point: int, ranges: tuple[range, ...]) -> bool:
    return any(code_point in each for each in ranges)

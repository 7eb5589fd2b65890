"""A form of receipts that is a carrier's own, as an operator writes it down.

    {stat},{done_date},{submit_date},{err},{},{},{id}

Names in braces are fields, empty braces something that nobody needs, and the rest stands for itself, in capitals
or not. A field goes from where the text before it ends to where the text behind it begins.

It is no regular expression on purpose: those can take for ever over a text that was made for it, and any handset
may find a way to have a text put into a receipt. Here each piece is looked for once, from left to right.
"""

import re
from string import Formatter
from typing import Final

import msgspec

FIELDS: Final = ("id", "stat", "err", "sub", "dlvrd", "submit_date", "done_date", "text")
_WORDS: Final = frozenset({"id", "stat", "err", "sub", "dlvrd"})  # the first word of what is there


class Pattern(msgspec.Struct, frozen=True):
    """Text, which may be empty at first, and the field behind it, in turns; a last text has no field."""

    pieces: tuple[tuple[re.Pattern[str], str | None], ...]

    def read(self, text: str) -> dict[str, str]:
        """The fields of a receipt; none if the text is not of this form. Takes time in proportion to the text."""
        found: dict[str, str] = {}
        field: str | None = None
        at = 0
        for literal, next_field in self.pieces:
            match = literal.search(text, at)
            if match is None:
                return {}
            if field:
                found[field] = text[at : match.start()]
            at, field = match.end(), next_field
        if field:
            found[field] = text[at:]
        return {name: _cut(name, value) for name, value in found.items() if value.strip()}


def compile_pattern(written: str) -> Pattern:
    """Raises ValueError with what is wrong with it."""
    pieces: list[tuple[re.Pattern[str], str | None]] = []
    seen: set[str] = set()
    text = ""
    for literal, field, form, conversion in Formatter().parse(written):
        text += literal
        if field is None:  # a doubled brace, or the end
            continue
        if pieces and not text:
            raise ValueError("there must be text between two fields, to tell where one ends")
        if form or conversion:
            raise ValueError(f"{{{field}}} must be a name alone")
        if field and field not in FIELDS:
            raise ValueError(f"there is no field {{{field}}}; the fields are {', '.join(FIELDS)}")
        if field and field in seen:
            raise ValueError(f"{{{field}}} is there twice")
        seen.add(field)
        pieces.append((_literal(text), field))
        text = ""
    if text:
        pieces.append((_literal(text), None))
    if "id" not in seen:
        raise ValueError("it has no {id}: nothing else says which message a receipt is about")
    return Pattern(tuple(pieces))


def _literal(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text), re.IGNORECASE | re.ASCII)


def _cut(name: str, value: str) -> str:
    return value.split(None, 1)[0] if name in _WORDS else value.strip()

"""Where in a PDU each field lies, for people who read its octets. Works on whatever came, as far as that can be read.

Sources: SMPP 3.4 sections 3.2 and 4; for what is in front of a text, 3GPP TS 23.040 section 9.2.3.24.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from trebuchet.protocols.smpp.codec import LAYOUTS, read_field
from trebuchet.protocols.smpp.constants import HEADER_OCTETS, UDHI, Command, status_name
from trebuchet.protocols.smpp.describe import element_in_words, in_words, message_in_words, tlv_in_words
from trebuchet.protocols.smpp.errors import DecodeError
from trebuchet.protocols.sms import MalformedHeader, udh


class Field(msgspec.Struct, frozen=True):
    """The octets from `start` to before `end`, and what they say. `text`: they may hold a message's text."""

    name: str
    start: int
    end: int
    meaning: str
    text: bool = False


_HEADER: Final = (("command_length", 0), ("command_id", 4), ("command_status", 8), ("sequence_number", 12))


def layout(octets: bytes, *, show_text: bool = False) -> list[Field]:
    """The fields of a PDU in their order; together they are all its octets, once each. Never fails.

    What cannot be read is one last field, "unreadable". Instead of a text there is its number of octets unless
    `show_text`; passwords are never shown.
    """
    if len(octets) < HEADER_OCTETS:
        return [Field("unreadable", 0, len(octets), "no whole header")] if octets else []
    fields = [Field(name, at, at + 4, _header_meaning(name, octets[at : at + 4])) for name, at in _HEADER]
    fields += _body(octets, show_text=show_text)
    return fields


def _header_meaning(name: str, octets: bytes) -> str:
    number = int.from_bytes(octets)
    if name == "command_id":
        known = number in Command.__members__.values()
        return Command(number).name.lower() if known else f"0x{number:08X}, unknown"
    if name == "command_status":
        return status_name(number)
    return f"{number} octets" if name == "command_length" else str(number)


def _body(octets: bytes, *, show_text: bool) -> Iterator[Field]:
    at = HEADER_OCTETS
    values: dict[str, Any] = {}
    for name, kind in LAYOUTS.get(int.from_bytes(octets[4:8]), ()):
        if at == len(octets):
            return
        try:
            value, end = read_field(octets, at, name, kind)
        except DecodeError as error:
            yield Field("unreadable", at, len(octets), str(error), text=True)
            return
        values[name] = value
        if name == "short_message":
            yield Field("sm_length", at, at + 1, f"{len(value)} octets")
            yield from _message(value, at + 1, values, show_text=show_text)
        else:
            yield Field(name, at, end, _said(in_words(name, value)))
        at = end
    yield from _parameters(octets, at, values, show_text=show_text)


def _message(value: bytes, at: int, values: dict[str, Any], *, show_text: bool) -> Iterator[Field]:
    """short_message: the elements of its header, if it has one, and then the text."""
    coding, esm_class = values.get("data_coding", 0), values.get("esm_class", 0)
    start = at
    if esm_class & UDHI:
        try:
            elements, _ = udh.parse(value)
        except MalformedHeader:
            elements = ()
        if elements:
            yield Field("udh_length", at, at + 1, f"{value[0]} octets")
            at += 1
        for element in elements:
            end = at + 2 + len(element.data)
            yield Field("udh_element", at, end, element_in_words(element))
            at = end
    if at < start + len(value):
        meaning = message_in_words(value, coding, esm_class, show_text=show_text)
        yield Field("short_message", at, start + len(value), meaning, text=True)


def _parameters(octets: bytes, at: int, values: dict[str, Any], *, show_text: bool) -> Iterator[Field]:
    coding, esm_class = values.get("data_coding", 0), values.get("esm_class", 0)

    def message(value: bytes) -> str:
        return message_in_words(value, coding, esm_class, show_text=show_text)

    while at + 4 <= len(octets):
        tag, length = int.from_bytes(octets[at : at + 2]), int.from_bytes(octets[at + 2 : at + 4])
        end = at + 4 + length
        if end > len(octets):
            break
        said = tlv_in_words(tag, octets[at + 4 : end], {}, message)
        payload = said["name"] == "message_payload"
        yield Field(f"{said['name']} {said['tag']}", at, end, _said(said["value"]), text=payload)
        at = end
    if at < len(octets):
        nothing = not any(octets[at:])
        yield Field("padding" if nothing else "unreadable", at, len(octets), "", text=not nothing)


def _said(words: object) -> str:
    """A field in one line."""
    if isinstance(words, list):
        return "; ".join(map(_said, words))
    if isinstance(words, dict):
        return ", ".join(f"{name} {value}" for name, value in words.items())
    return str(words)

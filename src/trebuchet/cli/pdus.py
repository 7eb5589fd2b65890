"""PDUs that the gateway decoded, as lines for people. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from trebuchet.cli.output import BAD, GOOD, QUIET, Line

_NAME_WIDTH = 24
_HEX_WIDTH = 64  # characters of a line: 32 octets


def pdu_lines(exchanged: Mapping[str, Any], place: str, *, with_hex: bool) -> Iterator[Line]:
    """A line that says when, where and what, then one for each field that says something; octets if asked for."""
    pdu = exchanged["pdu"]
    arrow = "→" if exchanged["direction"] == "out" else "←"
    status = pdu.get("command_status", "ROK")
    good = status == "ROK" and pdu["command"] != "unreadable"
    text = f"{exchanged['time'][11:23]}  {place}  {arrow} {pdu['command']}"
    style = BAD if not good else GOOD if exchanged["direction"] == "in" else ""
    yield Line(text if status == "ROK" else f"{text}  {status}", style)
    for name, value in _fields(pdu):
        yield Line(f"    {name:<{_NAME_WIDTH}}{value}", QUIET)
    if with_hex:
        octets = exchanged.get("hex", "")
        for start in range(0, len(octets), _HEX_WIDTH):
            yield Line(f"    {octets[start : start + _HEX_WIDTH]}", QUIET)


def _fields(pdu: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in pdu.items():
        if name in ("command", "command_status") or value in ("", 0, None, [], {}):
            continue
        if name == "tlvs":
            yield from ((tlv["name"], f"{_written(tlv['value'])}  (TLV {tlv['tag']})") for tlv in value)
        elif isinstance(value, list):
            yield from ((name, _written(item)) for item in value)
        else:
            yield name, str(value)


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)

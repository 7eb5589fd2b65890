"""Decoded PDUs as lines."""

from typing import Any

import pytest

from trebuchet.cli.output import BAD, GOOD
from trebuchet.cli.pdus import pdu_lines

SUBMIT: dict[str, Any] = {
    "time": "2026-01-31T12:00:00.250Z",
    "direction": "out",
    "pdu": {
        "command": "submit_sm",
        "command_status": "ROK",
        "sequence_number": 7,
        "service_type": "",
        "source_addr": "12345678901",
        "short_message": "5 octets",
        "user_data_header": ["part 1 of 2, reference 9", "element 0x05 0102"],
        "tlvs": [
            {"tag": "0x0204", "name": "user_message_reference", "value": 513},
            {"tag": "0x1400", "name": "vendor specific", "value": "00"},
        ],
    },
    "hex": "ab" * 40,
}


def texts(exchanged: dict[str, Any], *, with_hex: bool = False) -> list[str]:
    return [line.text for line in pdu_lines(exchanged, "acme/0", with_hex=with_hex)]


def test_a_pdu_is_told_field_by_field() -> None:
    """Those that say something: each TLV and each element of a header has a line of its own."""
    assert texts(SUBMIT) == [
        "12:00:00.250  acme/0  → submit_sm",
        "    sequence_number         7",
        "    source_addr             12345678901",
        "    short_message           5 octets",
        "    user_data_header        part 1 of 2, reference 9",
        "    user_data_header        element 0x05 0102",
        "    user_message_reference  513  (TLV 0x0204)",
        "    vendor specific         00  (TLV 0x1400)",
    ]


def test_octets_are_shown_when_asked_for() -> None:
    """In lines of 32."""
    assert texts(SUBMIT, with_hex=True)[-2:] == ["    " + "ab" * 32, "    " + "ab" * 8]


def test_octets_that_are_not_there_are_not_shown() -> None:
    """A bind's are kept back for its password."""
    bind = {**SUBMIT, "pdu": {"command": "bind_transceiver"}}
    del bind["hex"]
    assert texts(bind, with_hex=True) == ["12:00:00.250  acme/0  → bind_transceiver"]


def test_a_list_of_structures() -> None:
    """As the destinations of a submit_multi are: one line each."""
    pdu = {
        "command": "submit_multi",
        "dest_address": [{"dest_flag": 1, "destination_addr": "1"}, {"dl_name": "all"}],
    }
    assert texts({**SUBMIT, "pdu": pdu})[1:] == [
        "    dest_address            dest_flag 1, destination_addr 1",
        "    dest_address            dl_name all",
    ]


@pytest.mark.parametrize(
    ("direction", "pdu", "text", "style"),
    [
        ("out", {"command": "submit_sm", "command_status": "ROK"}, "→ submit_sm", ""),
        ("in", {"command": "deliver_sm", "command_status": "ROK"}, "← deliver_sm", GOOD),
        (
            "in",
            {"command": "submit_sm_resp", "command_status": "RTHROTTLED"},
            "← submit_sm_resp  RTHROTTLED",
            BAD,
        ),
        ("in", {"command": "unreadable", "reason": "too short"}, "← unreadable", BAD),
    ],
)
def test_what_went_wrong_stands_out(direction: str, pdu: dict[str, Any], text: str, style: str) -> None:
    """A status other than ROK is named."""
    line = next(pdu_lines({**SUBMIT, "direction": direction, "pdu": pdu}, "acme/0", with_hex=False))
    assert (line.text, line.style) == (f"12:00:00.250  acme/0  {text}", style)

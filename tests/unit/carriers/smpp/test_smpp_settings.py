"""What an SMPP carrier's record may say, and its quirks."""

from typing import Any

import pytest

from trebuchet.carriers.secrets import HIDDEN
from trebuchet.carriers.smpp import parse_settings
from trebuchet.carriers.smpp.quirks import QUIRKS
from trebuchet.carriers.smpp.settings import keep_secrets, public

LEAST: dict[str, Any] = {"host": "smsc.example.com", "system_id": "esme"}


def test_host_and_system_id_are_enough() -> None:
    """Everything else has a default of the field."""
    settings = parse_settings(LEAST)
    assert (settings.port, settings.binds, settings.window) == (2775, ("transceiver",), 10)
    assert (settings.receipt_ids, settings.long_message, settings.tls_verify) == ("auto", "udh8", True)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"host": ""}, "host"),
        ({"system_id": "x" * 16}, "system_id"),
        ({"port": 0}, "port"),
        ({"windows": 10}, "windows"),
        ({"window": 0}, "window"),
        ({"binds": []}, "binds"),
        ({"binds": ["duplex"]}, "binds"),
        ({"interface_version": "4.0"}, "interface_version"),
        ({"receipt_ids": "guess"}, "receipt_ids"),
        ({"receipt_pattern": "{id"}, "receipt_pattern"),
        ({"receipt_pattern": "{stat}"}, "receipt_pattern: it has no {id}"),
        ({"status_map": {"throttled": "retry"}}, "status_map"),
        ({"status_map": {"0x421": "ignore"}}, "status_map"),
        ({"status_map": {"058": "throttle"}}, "status_map"),  # hexadecimal or decimal?
        ({"receipt_pattern": "(?P<id>[0-9]+)"}, "receipt_pattern"),
        ({"system_id": "a\0b"}, "system_id"),
        ({"password": "p\u20ac"}, "password"),
        ({"home_country": "49\n"}, "home_country"),
        ({"quirks": ["nobody"]}, "there is none called 'nobody'"),
        ({"quirks": [7]}, "quirks"),
        ({"addresses": {"fax": {"ton": 1, "npi": 1}}}, "addresses"),
        ({"addresses": {"e164": {"ton": 300, "npi": 1}}}, "addresses"),
        ({"outbind_listen_port": 2776}, "outbind_from"),
        ({"outbind_listen_port": 2776, "outbind_from": ["nowhere"]}, "outbind_from"),
        ({"reconnect_min_s": 61}, "reconnect_min_s"),
        ({"tls_key_file": "key.pem"}, "tls_certificate_file"),
        (
            {"vendor_tlvs": {"campaign": {"tag": 0x1400, "type": "int1", "value": 300}}},
            "vendor_tlvs.campaign",
        ),
        (
            {"vendor_tlvs": {"campaign": {"tag": 0x1400, "type": "hex", "value": "xy"}}},
            "vendor_tlvs.campaign",
        ),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, Any], words: str) -> None:
    """The field, and what it allows."""
    with pytest.raises(ValueError, match=words):
        parse_settings(LEAST | wrong)


@pytest.mark.parametrize("name", QUIRKS)
def test_every_quirk_is_settings_that_exist(name: str) -> None:
    """Its row is valid and changes something."""
    assert QUIRKS[name].about
    settings, plain = parse_settings(LEAST | {"quirks": name}), parse_settings(LEAST)
    assert any(getattr(settings, field) != getattr(plain, field) for field in QUIRKS[name].settings)


def test_what_a_link_says_itself_goes_before_its_quirks() -> None:
    """And a later quirk before an earlier one; tables are merged."""
    settings = parse_settings(
        LEAST | {"quirks": ["sar", "udh16", "short-codes-abbreviated", "plus"], "interface_version": "5.0"}
    )
    assert (settings.long_message, settings.interface_version) == ("udh16", "5.0")
    assert len(settings.addresses) == 2
    assert parse_settings(LEAST | {"quirks": "sar", "long_message": "udh8"}).long_message == "udh8"


def test_a_status_is_named_in_hexadecimal_or_decimal() -> None:
    """As the carrier's document has it."""
    settings = parse_settings(LEAST | {"status_map": {"0x421": "throttle", "1058": "refuse"}})
    assert settings.statuses == {0x421: "throttle", 1058: "refuse"}


def test_a_password_is_shown_to_nobody() -> None:
    """Neither in a repr nor in an answer; what comes back hidden stays what it was."""
    record = LEAST | {"password": "hunter2"}
    assert "hunter2" not in repr(parse_settings(record))
    assert public(record)["password"] == HIDDEN
    assert keep_secrets(public(record) | {"window": 5}, record) == record | {"window": 5}
    assert keep_secrets(record | {"password": "new"}, record)["password"] == "new"


@pytest.mark.parametrize(
    ("vendor", "octets"),
    [
        ({"type": "int2", "value": 258}, b"\x01\x02"),
        ({"type": "text", "value": "C1"}, b"C1"),
        ({"type": "cstring", "value": "C1"}, b"C1\0"),
        ({"type": "hex", "value": "0aff"}, b"\x0a\xff"),
    ],
)
def test_vendor_parameters_are_written_by_their_type(vendor: dict[str, Any], octets: bytes) -> None:
    """As the carrier's document says."""
    settings = parse_settings(LEAST | {"vendor_tlvs": {"campaign": {"tag": 0x1400, **vendor}}})
    assert settings.vendor_tlvs["campaign"].octets == octets

"""Settings of a link, as `links add --set` reads them."""

from typing import Any

import pytest

from trebuchet.carriers.smpp.settings import parse_settings
from trebuchet.cli.links import assignments
from trebuchet.cli.outcome import Code, CommandError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("window=20", {"window": 20}),
        ("validity=false", {"validity": False}),
        ("system_type=VMA", {"system_type": "VMA"}),
        ("system_type=", {"system_type": ""}),
        ("address_range=^1=2", {"address_range": "^1=2"}),
        ('binds=["transmitter","receiver"]', {"binds": ["transmitter", "receiver"]}),
        ('addresses={"short_code":{"ton":6,"npi":0}}', {"addresses": {"short_code": {"ton": 6, "npi": 0}}}),
        # What looks like a number, where the setting is a text.
        ("home_country=44", {"home_country": "44"}),
        ("interface_version=5.0", {"interface_version": "5.0"}),
        ("password=1234", {"password": "1234"}),
        ("quirks=packed", {"quirks": "packed"}),
    ],
)
def test_settings_are_read_as_what_they_are(written: str, meant: dict[str, Any]) -> None:
    """A text needs no quotes, also if it is all digits; and the gateway takes what was read."""
    assert assignments([written]) == meant
    parse_settings({"host": "smsc", "system_id": "esme"} | meant)


@pytest.mark.parametrize(
    ("written", "passed_on"),
    [("window=0", {"window": 0}), ("window=many", {"window": "many"}), ("no_such=7", {"no_such": 7})],
)
def test_what_is_wrong_is_left_to_the_gateway_to_say(written: str, passed_on: dict[str, Any]) -> None:
    """It knows its version's settings; nothing is dropped on the way."""
    assert assignments([written]) == passed_on


@pytest.mark.parametrize("written", ["window", "=20", ""])
def test_an_assignment_needs_a_name_and_a_sign(written: str) -> None:
    """The answer shows how to write it."""
    with pytest.raises(CommandError, match="window=20") as caught:
        assignments([written])
    assert caught.value.code == Code.REFUSED

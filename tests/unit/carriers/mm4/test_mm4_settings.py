"""What an MM4 carrier's record may say."""

from typing import Any

import pytest

from trebuchet.carriers.mm4.settings import keep_secrets, parse_settings, public

LEAST = {
    "host": "mta.far.example",
    "domain": "mms.far.example",
    "our_domain": "mms.near.example",
    "answers": False,
    "reports": False,
}
LISTENING = {"listen_port": 2525, "listen_from": ["192.0.2.0/24"]}


def test_a_host_and_two_domains_are_enough() -> None:
    """If nothing comes in."""
    settings = parse_settings(LEAST)
    assert (settings.port, settings.tls, settings.system) == (25, "none", "system-user@mms.near.example")
    assert settings.listener() is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": ""}, "host"),
        ({"domain": "mms far"}, "domain"),
        ({"our_domain": "a\r\nX: y"}, "our_domain"),
        ({"system_user": "a@b"}, "system_user"),
        ({"port": 70_000}, "port"),
        ({"tls": "some"}, "tls"),
        ({"country_code": "01"}, "country_code"),
        ({"max_octets": 100}, "max_octets"),
        ({"window": 0}, "window"),
        ({"nonsense": 1}, "nonsense"),
        ({"answers": True}, "listen_port: answers and reports come in by it"),
        ({"reports": True}, "listen_port: answers and reports come in by it"),
        ({"listen_port": 2525}, "listen_from: name the addresses"),
        ({"listen_port": 2525, "listen_from": ["nowhere"]}, "listen_from: 'nowhere'"),
        ({"listen_username": "a"}, "listen_password"),
        ({"listen_tls": "starttls"}, "listen_certificate_file, listen_key_file"),
        ({"tls_key_file": "a"}, "tls_certificate_file"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], words: str) -> None:
    """The field, and what it allows."""
    with pytest.raises(ValueError, match=words):
        parse_settings(LEAST | fields)


@pytest.mark.parametrize("field", ["host", "domain", "our_domain"])
def test_what_has_no_default_is_asked_for(field: str) -> None:
    """Nobody's relay is a good guess."""
    with pytest.raises(ValueError, match=field):
        parse_settings({name: value for name, value in LEAST.items() if name != field})


def test_the_listener_asks_for_a_password_if_there_is_one() -> None:
    """Else the address is all that it looks at."""
    listener = parse_settings(LEAST | LISTENING).listener()
    assert listener is not None
    assert (listener.allowed, listener.auth_required, listener.users) == (("192.0.2.0/24",), False, {})
    listener = parse_settings(
        LEAST | LISTENING | {"listen_username": "them", "listen_password": "two"}
    ).listener()
    assert listener is not None
    assert (listener.auth_required, listener.users) == (True, {"them": "two"})


def test_secrets_are_not_shown_and_not_lost() -> None:
    """Neither in an answer, nor by sending that answer back, nor in a log."""
    stored = LEAST | {"password": "one", "listen_username": "u", "listen_password": "two"}
    shown = public(stored)
    assert "one" not in str(shown)
    assert "two" not in str(shown)
    assert keep_secrets(shown | {"port": 26}, stored) == stored | {"port": 26}
    written = repr(parse_settings(stored))
    assert "one" not in written
    assert "two" not in written

"""What an MM7 carrier's record may say."""

from typing import Any

import pytest

from trebuchet.carriers.mm7 import keep_secrets, parse_settings, public

LEAST = {"url": "https://mmsc.example/mm7", "reports": False}


def test_a_url_is_enough() -> None:
    """If nothing comes in."""
    settings = parse_settings(LEAST)
    assert (settings.profile, settings.plus, settings.groups) == ("rel6-1.4", True, "together")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "ftp://mmsc.example"}, "url"),
        ({"url": "https://mmsc.example/a b"}, "url"),
        ({"nonsense": 1}, "nonsense"),
        ({"profile": "rel4"}, "profile: one of rel5-1.0"),
        ({"vasp_id": "a\nb"}, "vasp_id"),
        ({"username": "a\r\nX: y"}, "username"),
        ({"reports": True}, "listen_port: reports come in by it"),
        ({"listen_port": 8081}, "listen_from: name the addresses"),
        ({"listen_port": 8081, "listen_from": ["nowhere"]}, "listen_from: 'nowhere'"),
        ({"listen_username": "a"}, "listen_password"),
        ({"listen_certificate_file": "a"}, "listen_key_file"),
        ({"tls_key_file": "a"}, "tls_certificate_file"),
        ({"groups": "some"}, "groups"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], words: str) -> None:
    """The field, and what it allows."""
    with pytest.raises(ValueError, match=words):
        parse_settings(LEAST | fields)


def test_secrets_are_not_shown_and_not_lost() -> None:
    """Neither in an answer, nor by sending that answer back, nor in a log."""
    stored = LEAST | {"password": "one", "listen_password": "two"}
    shown = public(stored)
    assert "one" not in str(shown)
    assert "two" not in str(shown)
    assert keep_secrets(shown | {"url": "https://other.example"}, stored) == stored | {
        "url": "https://other.example"
    }
    assert "one" not in repr(parse_settings(stored | {"listen_username": "u"}))

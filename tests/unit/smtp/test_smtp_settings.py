"""What both sides of the transport may be told."""

from typing import Any

import msgspec
import pytest

from trebuchet.smtp import ClientSettings, ListenerSettings

LISTENER: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 2525,
    "hostname": "mms.example",
    "allowed": ["192.0.2.0/24"],
}
CLIENT: dict[str, Any] = {"host": "192.0.2.1", "hostname": "mms.example"}


def test_networks_are_addresses_or_networks_of_both_kinds() -> None:
    """An address alone is a network of one."""
    settings = msgspec.convert(LISTENER | {"allowed": ["192.0.2.7", "2001:db8::/32"]}, ListenerSettings)
    assert [str(network) for network in settings.networks] == ["192.0.2.7/32", "2001:db8::/32"]


@pytest.mark.parametrize("wrong", ["192.0.2.1/24", "mms.example", ""])
def test_what_is_no_network_is_named(wrong: str) -> None:
    """A name is not looked up, a network with bits beyond its length is a slip of the pen."""
    settings = msgspec.convert(LISTENER | {"allowed": [wrong]}, ListenerSettings)
    with pytest.raises(ValueError, match=rf"^allowed: .*{wrong}"):
        _ = settings.networks


@pytest.mark.parametrize(
    ("made", "fields", "wrong"),
    [
        (ListenerSettings, LISTENER, {"hostname": ""}),
        (ListenerSettings, LISTENER, {"hostname": "mms example"}),
        (ListenerSettings, LISTENER, {"hostname": "mms.example\r\n250 x"}),
        (ListenerSettings, LISTENER, {"port": 65_536}),
        (ListenerSettings, LISTENER, {"tls": "ssl"}),
        (ListenerSettings, LISTENER, {"mail_octets_max": 0}),
        (ListenerSettings, LISTENER, {"idle_timeout_s": 0}),
        (ListenerSettings, LISTENER, {"another": 1}),
        (ClientSettings, CLIENT, {"host": ""}),
        (ClientSettings, CLIENT, {"hostname": "a b"}),
        (ClientSettings, CLIENT, {"connections_max": 0}),
        (ClientSettings, CLIENT, {"tls": "starttls-required"}),
    ],
)
def test_what_makes_no_sense_is_refused(made: Any, fields: dict[str, Any], wrong: dict[str, Any]) -> None:
    """Names that a greeting cannot hold, bounds that bound nothing, settings that do not exist."""
    msgspec.convert(fields, made)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields | wrong, made)


def test_passwords_are_not_shown() -> None:
    """Settings that get into a log or an error name where and as whom, and no secret."""
    listener = msgspec.convert(LISTENER | {"users": {"peer": "hidden"}}, ListenerSettings)
    client = msgspec.convert(CLIENT | {"username": "us", "password": "hidden"}, ClientSettings)
    assert "hidden" not in repr(listener) + repr(client)

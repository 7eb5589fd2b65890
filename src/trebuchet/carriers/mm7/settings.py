"""What an MM7 carrier's record may say: the MMSC, ourselves as its VASP, and its habits. Units are in the names."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from trebuchet.carriers.secrets import hidden, kept
from trebuchet.media.images import ImageLimit
from trebuchet.protocols.mm7 import PROFILES

_SECRETS: Final = ("password", "listen_password")

Port = Annotated[int, Meta(ge=0, le=65_535)]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Text = Annotated[str, Meta(max_length=255)]
# No control characters or line ends: they stand in XML and in HTTP headers.
Token = Annotated[str, Meta(pattern=r"\A[^\x00-\x1f\x7f]{0,255}\Z")]


class Mm7Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One MMSC."""

    # the MMSC
    url: Annotated[str, Meta(pattern=r"\Ahttps?://[^\s]{1,1000}\Z")]
    username: Token = ""  # "": no Authorization is sent
    password: Token = ""
    tls_ca_file: str = ""  # "": the system's authorities
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    connections: Annotated[int, Meta(ge=1, le=100)] = 8

    # ourselves
    vasp_id: Token = ""
    vas_id: Token = ""
    service_code: Token = ""
    listen_port: Port = 0  # 0: nothing comes in, neither messages nor reports
    listen_host: Text = "0.0.0.0"  # noqa: S104  # `listen_from` says who is answered
    listen_path: Annotated[str, Meta(pattern=r"\A/[!-~]{0,255}\Z")] = "/mm7"
    listen_from: Annotated[tuple[Text, ...], Meta(max_length=64)] = ()  # addresses and networks that may call
    listen_username: Token = ""  # "": no password is asked for
    listen_password: Token = ""
    listen_certificate_file: str = ""  # "": no TLS
    listen_key_file: str = ""
    listen_max_octets: Annotated[int, Meta(ge=10_000, le=100_000_000)] = 10_000_000  # of one request

    # how much, how long
    window: Annotated[int, Meta(ge=1, le=1_000)] = 16  # messages whose answer is awaited
    response_timeout_s: Seconds = 60
    max_octets: Annotated[int, Meta(ge=10_000, le=100_000_000)] = 600_000  # of all parts, without encoding
    image_types: tuple[Text, ...] = ("image/jpeg", "image/png", "image/gif")

    # its habits
    profile: str = "rel6-1.4"  # namespace and version, see `protocols.mm7.PROFILES`
    plus: bool = True  # +12025550123, or 12025550123
    groups: Literal["together", "each"] = "together"  # one request for all recipients, or one for each
    reports: bool = True  # whether it reports deliveries; else what it took counts as delivered
    forwarded_is_delivered: bool = False  # for hubs that report nothing after Forwarded
    indeterminate_is_delivered: bool = False
    country_code: Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,2}\Z")] = "1"

    def __repr__(self) -> str:
        return f"Mm7Settings(vasp_id={self.vasp_id!r}, profile={self.profile!r})"

    def image_limit(self, octets: int) -> ImageLimit:
        return ImageLimit(octets, frozenset(self.image_types))


def parse_settings(settings: dict[str, Any]) -> Mm7Settings:
    """Check the `settings` of a carrier record. Raises ValueError with the field's name and what it allows."""
    try:
        parsed = msgspec.convert(settings, Mm7Settings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if parsed.profile not in PROFILES:
        raise ValueError(f"profile: one of {', '.join(sorted(PROFILES))}")
    for network in parsed.listen_from:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f"listen_from: {error}") from None
    if parsed.listen_port and not parsed.listen_from:
        raise ValueError("listen_from: name the addresses that may call on listen_port")
    if not parsed.listen_port and parsed.reports:
        raise ValueError("listen_port: reports come in by it; without it set `reports` to false")
    if parsed.listen_username and not parsed.listen_password:
        raise ValueError("listen_password: needed beside listen_username")
    if bool(parsed.listen_certificate_file) is not bool(parsed.listen_key_file):
        raise ValueError("listen_certificate_file, listen_key_file: one needs the other")
    if parsed.tls_key_file and not parsed.tls_certificate_file:
        raise ValueError("tls_key_file: needs tls_certificate_file beside it")
    return parsed


def public(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A record's settings as an answer may show them."""
    return hidden(settings, _SECRETS)


def keep_secrets(settings: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that somebody sent back: what is hidden in them stays what it was."""
    return kept(settings, stored, _SECRETS)

"""What an MM4 carrier's record may say. Units are in the names; hosts and domains have no defaults."""

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from trebuchet.carriers.secrets import hidden, kept
from trebuchet.media.images import ImageLimit
from trebuchet.protocols.mm4 import Dialect
from trebuchet.smtp.settings import ClientSettings, ListenerSettings

_SECRETS: Final = ("password", "listen_password")

Port = Annotated[int, Meta(ge=0, le=65_535)]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Text = Annotated[str, Meta(max_length=255)]
Domain = Annotated[str, Meta(pattern=r"\A[-A-Za-z0-9._]{1,253}\Z")]


class Mm4Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One peer: how we reach it, how it reaches us, and its habits."""

    # the peer's relay
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    domain: Domain  # of its recipients' addresses
    port: Port = 25
    username: Text = ""
    password: Text = ""
    tls: Literal["none", "starttls", "implicit"] = "none"
    tls_verify: bool = True
    tls_server_name: Text = ""  # "": the host
    tls_ca_file: str = ""  # "": the system's authorities
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    auth_without_tls: bool = False  # give the password in the clear
    connections: Annotated[int, Meta(ge=1, le=100)] = 4

    # ours
    our_domain: Domain
    system_user: Annotated[str, Meta(pattern=r"\A[-A-Za-z0-9._]{1,64}\Z")] = "system-user"
    listen_port: Port = 0  # 0: nothing comes in, neither answers nor reports
    listen_host: Text = "0.0.0.0"  # noqa: S104  # `listen_from` says who is answered
    listen_from: Annotated[tuple[Text, ...], Meta(max_length=64)] = ()  # addresses and networks that may call
    listen_username: Text = ""  # "": no AUTH is asked for
    listen_password: Text = ""
    listen_tls: Literal["none", "starttls", "starttls-required", "implicit"] = "none"
    listen_certificate_file: str = ""
    listen_key_file: str = ""

    # how much, how long
    window: Annotated[int, Meta(ge=1, le=10_000)] = 100  # messages whose answer is awaited
    response_timeout_s: Seconds = 600
    max_octets: Annotated[int, Meta(ge=10_000, le=100_000_000)] = 1_000_000  # of all parts, without encoding
    image_types: tuple[Text, ...] = ("image/jpeg", "image/png", "image/gif")

    # its habits
    answers: bool = True  # whether it sends MM4_forward.RES; else the SMTP reply is all there is
    reports: bool = True  # whether it reports deliveries; else what it took counts as delivered
    forwarded_is_delivered: bool = False  # for hubs that report nothing after Forwarded
    indeterminate_is_delivered: bool = False
    plus: bool = True  # +12025550123, or 12025550123
    type_plmn: bool = True  # /TYPE=PLMN behind numbers
    header_domain: bool = True  # domains in headers too; the envelope has them always
    country_code: Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,2}\Z")] = "1"
    internal_status: bool = False  # write X-Internal-Status-Code in answers and reports

    def __repr__(self) -> str:
        return f"Mm4Settings(host={self.host!r}, port={self.port}, domain={self.domain!r})"

    @property
    def dialect(self) -> Dialect:
        return Dialect(
            plus=self.plus,
            typed=self.type_plmn,
            header_domain=self.header_domain,
            country_code=self.country_code,
        )

    @property
    def system(self) -> str:
        """Our relay's mailbox."""
        return f"{self.system_user}@{self.our_domain}"

    def image_limit(self, octets: int) -> ImageLimit:
        return ImageLimit(octets, frozenset(self.image_types))

    def client(self) -> ClientSettings:
        return ClientSettings(
            host=self.host,
            port=self.port,
            hostname=self.our_domain,
            username=self.username,
            password=self.password,
            auth_without_tls=self.auth_without_tls,
            tls=self.tls,
            tls_verify=self.tls_verify,
            tls_server_name=self.tls_server_name,
            tls_ca_file=self.tls_ca_file,
            tls_certificate_file=self.tls_certificate_file,
            tls_key_file=self.tls_key_file,
            connections_max=self.connections,
        )

    def listener(self) -> ListenerSettings | None:
        """None if nothing comes in."""
        if not self.listen_port:
            return None
        return ListenerSettings(
            host=self.listen_host,
            port=self.listen_port,
            hostname=self.our_domain,
            allowed=self.listen_from,
            users={self.listen_username: self.listen_password} if self.listen_username else {},
            auth_required=bool(self.listen_username),
            tls=self.listen_tls,
            tls_certificate_file=self.listen_certificate_file,
            tls_key_file=self.listen_key_file,
        )


def parse_settings(settings: dict[str, Any]) -> Mm4Settings:
    """Check the `settings` of a carrier record. Raises ValueError with the field's name and what it allows."""
    try:
        parsed = msgspec.convert(settings, Mm4Settings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    for network in parsed.listen_from:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f"listen_from: {error}") from None
    if parsed.listen_port and not parsed.listen_from:
        raise ValueError("listen_from: name the addresses that may call on listen_port")
    if not parsed.listen_port and (parsed.answers or parsed.reports):
        raise ValueError(
            "listen_port: answers and reports come in by it; without it set `answers` and `reports` to false"
        )
    if parsed.listen_username and not parsed.listen_password:
        raise ValueError("listen_password: needed beside listen_username")
    if parsed.listen_tls != "none" and not (parsed.listen_certificate_file and parsed.listen_key_file):
        raise ValueError("listen_certificate_file, listen_key_file: needed for listen_tls")
    if parsed.tls_key_file and not parsed.tls_certificate_file:
        raise ValueError("tls_key_file: needs tls_certificate_file beside it")
    return parsed


def public(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A record's settings as an answer may show them."""
    return hidden(settings, _SECRETS)


def keep_secrets(settings: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that somebody sent back: what is hidden in them stays what it was."""
    return kept(settings, stored, _SECRETS)

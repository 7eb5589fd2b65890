"""What both sides of the transport may be told. Units are in the names."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=0, le=65_535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
HostName = Annotated[str, Meta(pattern=r"\A[-A-Za-z0-9._:\[\]]{1,255}\Z")]
Network = IPv4Network | IPv6Network


class ListenerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One listening port."""

    host: str  # "": every address of the machine
    port: Port  # 0: any that is free
    hostname: HostName  # what the greeting says

    # who
    allowed: tuple[str, ...]  # addresses and networks that may call; nobody else is answered
    users: dict[str, str] = {}  # name to password; AUTH is offered if there is one
    auth_required: bool = False
    auth_without_tls: bool = False  # take passwords in the clear
    tls: Literal["none", "starttls", "starttls-required", "implicit"] = "none"
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    tls_client_ca_file: str = ""  # peers must have a certificate of these authorities; "": need none

    # how much
    mail_octets_max: Annotated[int, Meta(ge=1_000, le=1_000_000_000)] = 10_000_000  # as they are on the wire
    held_octets_max: Annotated[int, Meta(ge=1_000, le=10_000_000_000)] = 100_000_000  # of all mails under way
    recipients_max: Count = 100  # of a mail; RFC 5321 section 4.5.3.1.8: at least 100
    connections_max: Count = 200
    connections_per_address_max: Count = 50
    errors_max: Count = 10  # commands of a connection that were refused for good since its last mail
    commands_max: Count = 1_000  # of a connection since its last mail

    # how long
    idle_timeout_s: Seconds = 300  # RFC 5321 section 4.5.3.2.7
    mail_timeout_s: Seconds = 600  # from MAIL to the final dot
    handler_timeout_s: Seconds = 300
    tls_timeout_s: Seconds = 10
    stop_grace_s: Annotated[float, Meta(ge=0, le=3_600)] = 10

    def __repr__(self) -> str:
        return f"ListenerSettings(host={self.host!r}, port={self.port}, hostname={self.hostname!r})"

    @property
    def networks(self) -> tuple[Network, ...]:
        """`allowed`, parsed. Raises ValueError that names what is no address or network."""
        try:
            return tuple(ip_network(network) for network in self.allowed)
        except ValueError as error:
            raise ValueError(f"allowed: {error}") from None


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One peer. Everything is for all connections to it."""

    host: Annotated[str, Meta(min_length=1, max_length=255)]
    hostname: HostName  # what we say in EHLO
    port: Port = 25
    username: Annotated[str, Meta(max_length=255)] = ""  # "": no AUTH
    password: Annotated[str, Meta(max_length=255)] = ""
    auth_without_tls: bool = False  # give the password in the clear
    tls: Literal["none", "starttls", "implicit"] = "none"
    tls_verify: bool = True
    tls_server_name: Annotated[str, Meta(max_length=255)] = ""  # "": the host
    tls_ca_file: str = ""  # "": the system's authorities
    tls_certificate_file: str = ""  # ours, if the peer asks for one
    tls_key_file: str = ""

    connections_max: Annotated[int, Meta(ge=1, le=1_000)] = 4
    keep_s: Seconds = 60  # how long a connection without a mail is kept
    check_after_s: Annotated[float, Meta(ge=0, le=86_400)] = (
        10  # one kept for longer is asked if it still lives
    )

    connect_timeout_s: Seconds = 10  # to the connection, and once more to the end of TLS
    command_timeout_s: Seconds = 60
    data_timeout_s: Seconds = 300  # for the mail's way out, and once more for its answer

    def __repr__(self) -> str:
        return f"ClientSettings(host={self.host!r}, port={self.port}, username={self.username!r})"

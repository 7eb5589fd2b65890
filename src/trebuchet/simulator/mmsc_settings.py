"""What the MMSC can be told: how its peer reaches it, where its peer is, and what habits it has."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from trebuchet.protocols.mm4 import Dialect
from trebuchet.protocols.mm7 import PROFILES
from trebuchet.smtp.settings import ClientSettings, ListenerSettings

Chance = Annotated[float, Meta(ge=0, le=1)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Domain = Annotated[str, Meta(pattern=r"\A[-A-Za-z0-9._]{1,253}\Z")]
Seconds = Annotated[float, Meta(gt=0, le=3_600)]


class MmscSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All have defaults: open to anybody, on loopback, well-behaved."""

    # its own relay
    host: str = "127.0.0.1"
    port: Port = 2526  # 0: any
    domain: Domain = "mms.handsets.example"
    system_user: Annotated[str, Meta(pattern=r"\A[-A-Za-z0-9._]{1,64}\Z")] = "system-user"
    accounts: Mapping[str, str] = {}  # name → password; empty: nobody need authenticate
    tls: Literal["none", "starttls", "starttls-required", "implicit"] = "none"
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    mail_octets_max: Annotated[int, Meta(ge=10_000, le=100_000_000)] = 10_000_000  # larger: 552
    files_octets_max: Annotated[int, Meta(ge=0)] = 256 << 20  # of all pictures that it remembers

    # the peer's relay
    peer_host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    peer_port: Port = 2525  # 0: nothing goes there: neither answers, nor reports, nor what handsets type
    peer_domain: Domain = "mms.gateway.example"  # of its numbers' addresses
    peer_tls: Literal["none", "starttls", "implicit"] = "none"
    peer_tls_verify: bool = True
    peer_username: str = ""
    peer_password: str = ""
    peer_timeout_s: Seconds = 10  # for the peer's answer to what a handset typed

    # its port for VASPs, which post MM7, and the VASP
    mm7_port: Annotated[int, Meta(ge=-1, le=65_535)] = -1  # 0: any; -1: no MM7
    mm7_profile: str = "rel6-1.4"  # of `protocols.mm7.PROFILES`
    vasp_url: Annotated[str, Meta(pattern=r"\A(https?://[^\s]{1,1000})?\Z")] = ""  # "": nothing goes there
    vasp_username: str = ""
    vasp_password: str = ""

    # its habits
    refuses: Literal["answer", "smtp"] = "answer"  # whether a refusal is an MM4_forward.RES or a 5xx
    reports: Literal["retrieved", "forwarded", "indeterminate", "none"] = "retrieved"  # of what was delivered
    internal_status: bool = True  # X-Internal-Status-Code in answers and reports
    answer_delay_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 0
    drop_answers: Chance = 0  # forwards that are taken and never answered
    busy: Chance = 0  # mails that are answered 451
    disconnect_every: Annotated[int, Meta(ge=0)] = 0  # cut all connections at every so many mails; 0: never
    plus: bool = True  # +12025550123, or 12025550123
    type_plmn: bool = True  # /TYPE=PLMN behind numbers
    header_domain: bool = True  # domains in headers, too; the envelope has them always

    def __repr__(self) -> str:
        return f"MmscSettings(host={self.host!r}, port={self.port})"

    @property
    def dialect(self) -> Dialect:
        return Dialect(plus=self.plus, typed=self.type_plmn, header_domain=self.header_domain)

    @property
    def system(self) -> str:
        """The mailbox of its relay."""
        return f"{self.system_user}@{self.domain}"

    def listener(self, port: int) -> ListenerSettings:
        return ListenerSettings(
            host=self.host,
            port=port,
            hostname=self.domain,
            allowed=("0.0.0.0/0", "::/0"),
            users=dict(self.accounts),
            auth_required=bool(self.accounts),
            auth_without_tls=True,
            tls=self.tls,
            tls_certificate_file=self.tls_certificate_file,
            tls_key_file=self.tls_key_file,
            mail_octets_max=self.mail_octets_max,
            connections_per_address_max=200,
            stop_grace_s=0,
        )

    def client(self) -> ClientSettings:
        return ClientSettings(
            host=self.peer_host,
            port=self.peer_port,
            hostname=self.domain,
            username=self.peer_username,
            password=self.peer_password,
            auth_without_tls=True,
            tls=self.peer_tls,
            tls_verify=self.peer_tls_verify,
        )


def parse_settings(given: Mapping[str, Any]) -> MmscSettings:
    """Check what somebody asks for. Raises msgspec.ValidationError, or ValueError for what does not go together."""
    settings = msgspec.convert(dict(given), MmscSettings)
    if settings.tls != "none" and not (settings.tls_certificate_file and settings.tls_key_file):
        raise ValueError("tls needs tls_certificate_file and tls_key_file")
    if settings.mm7_profile not in PROFILES:
        raise ValueError(f"mm7_profile: one of {', '.join(sorted(PROFILES))}")
    return settings

"""What an SMPP carrier's record may say. Units are in the names; everything but host and system_id has a default."""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from trebuchet.carriers.secrets import hidden, kept
from trebuchet.carriers.smpp import quirks, receipterrors
from trebuchet.carriers.smpp.addresses import NumberClass, Rule
from trebuchet.protocols.smpp.pattern import Pattern, compile_pattern

_SECRETS: Final = ("password",)
_BINDS_MAX: Final = 16
_PATTERN_MAX: Final = 500

Port = Annotated[int, Meta(ge=1, le=65_535)]
Octet = Annotated[int, Meta(ge=0, le=255)]
Seconds = Annotated[int, Meta(ge=1, le=86_400)]
Text = Annotated[str, Meta(max_length=255)]
_ON_AIR: Final = r"\A[\x01-\xff]*\Z"  # what a C-octet string can hold
BindType = Literal["transceiver", "transmitter", "receiver"]
Meaning = Literal["throttle", "retry", "refuse", "link"]
StatusName = Annotated[str, Meta(pattern=r"\A(0[xX][0-9a-fA-F]{1,8}|[1-9][0-9]{0,9})\Z")]


class VendorTlv(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An optional parameter of the carrier's own. With a `value` it goes out with every submit."""

    tag: Annotated[int, Meta(ge=0, le=0xFFFF)]
    type: Literal["int1", "int2", "int4", "text", "cstring", "hex"] = "text"
    value: Annotated[str, Meta(max_length=255)] | int | None = None

    @property
    def octets(self) -> bytes:
        """The value as it goes out. Raises ValueError if it does not fit its type."""
        value = self.value
        if self.type.startswith("int"):
            return int(value or 0).to_bytes(int(self.type[3:]))
        if self.type == "hex":
            return bytes.fromhex(str(value))
        return str(value).encode("ascii") + (b"\0" if self.type == "cstring" else b"")


class SmppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One link. Everything is for all of its binds."""

    # where and as whom
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    system_id: Annotated[str, Meta(min_length=1, max_length=15, pattern=_ON_AIR)]
    port: Port = 2775
    password: Annotated[str, Meta(max_length=64, pattern=_ON_AIR)] = (
        ""  # the specification allows 8, carriers give out longer ones
    )
    system_type: Annotated[str, Meta(max_length=12, pattern=_ON_AIR)] = ""
    address_range: Annotated[str, Meta(max_length=40, pattern=_ON_AIR)] = ""
    interface_version: Literal["3.3", "3.4", "5.0"] = "3.4"
    binds: Annotated[tuple[BindType, ...], Meta(min_length=1, max_length=_BINDS_MAX)] = ("transceiver",)
    tls: bool = False
    tls_verify: bool = True
    tls_server_name: Text = ""  # "": the host
    tls_ca_file: str = ""  # "": the system's authorities
    tls_certificate_file: str = ""  # ours, if the carrier asks for one
    tls_key_file: str = ""
    outbind_listen_port: Annotated[int, Meta(ge=0, le=65_535)] = 0  # 0: no outbind is taken
    outbind_from: Annotated[
        tuple[Text, ...], Meta(max_length=64)
    ] = ()  # addresses and networks that may call

    # how much at once, how fast
    window: Annotated[int, Meta(ge=1, le=5_000)] = 10  # submits without an answer, of each bind
    segments_per_s: Annotated[float, Meta(ge=0, le=100_000)] = 0  # of the whole link; 0: no limit

    # how long
    connect_timeout_s: Seconds = 10
    bind_timeout_s: Seconds = 30
    response_timeout_s: Seconds = 60
    enquire_link_s: Annotated[int, Meta(ge=0, le=86_400)] = 30  # 0: never asks
    progress_timeout_s: Seconds = 120
    reconnect_min_s: Seconds = 1
    reconnect_max_s: Seconds = 60
    refused_bind_pause_s: Seconds = 60

    # what goes out
    long_message: Literal["udh8", "udh16", "sar", "payload"] = "udh8"
    default_alphabet: Literal["gsm7", "latin1", "ascii"] = "gsm7"  # what data_coding 0 means
    ia5_is_gsm7: bool = False  # what data_coding 1 means
    packed: bool = False  # GSM-7 as septets in octets without gaps
    service_type: Annotated[str, Meta(max_length=5, pattern=_ON_AIR)] = ""
    esm_class_mode: Annotated[int, Meta(ge=0, le=3)] = 0
    registered_delivery: Octet = 1
    validity: bool = True
    user_message_reference: bool = True
    addresses: dict[NumberClass, Rule] = {}
    home_country: Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,2}\Z")] = (
        "1"  # of numbers without a country code
    )
    vendor_tlvs: Annotated[dict[Text, VendorTlv], Meta(max_length=32)] = {}

    # what comes in
    receipt_errors: Literal["generic", "gsm", "generic3", "bandwidth"] = "generic"
    receipt_ids: Literal["auto", "same", "padded", "hex-decimal", "decimal-hex"] = "auto"
    receipt_pattern: Annotated[str, Meta(max_length=_PATTERN_MAX)] = ""  # see protocols.smpp.pattern
    accepted_is_final: bool = False  # for carriers that never report more than ACCEPTD
    unknown_is_delivered: bool = False
    spoofable_text_receipts: bool = False  # receipts without esm_class: a handset could type one
    status_map: Annotated[dict[StatusName, Meaning], Meta(max_length=64)] = {}

    # the rest
    quirks: tuple[Text, ...] | Text = ()
    keep_pdus: bool = True  # octets of each exchange, for `trebuchet show`

    def __repr__(self) -> str:
        return f"SmppSettings(host={self.host!r}, port={self.port}, system_id={self.system_id!r})"

    @property
    def statuses(self) -> dict[int, str]:
        """`status_map` by number."""
        return {int(status, 0): meaning for status, meaning in self.status_map.items()}

    @property
    def pattern(self) -> Pattern | None:
        """`receipt_pattern`, ready for use."""
        return _compiled(self.receipt_pattern) if self.receipt_pattern else None


def parse_settings(settings: dict[str, Any]) -> SmppSettings:
    """Check the `settings` of a carrier record. Raises ValueError with the field's name and what it allows."""
    try:
        parsed = msgspec.convert(quirks.applied(settings), SmppSettings)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    receipterrors.load(parsed.receipt_errors)
    if parsed.receipt_pattern:
        try:
            _compiled(parsed.receipt_pattern)
        except ValueError as error:
            raise ValueError(f"receipt_pattern: {error}") from None
    for network in parsed.outbind_from:
        try:
            ip_network(network)
        except ValueError as error:
            raise ValueError(f"outbind_from: {error}") from None
    if parsed.outbind_listen_port and not parsed.outbind_from:
        raise ValueError("outbind_from: name the addresses that may call on outbind_listen_port")
    if parsed.reconnect_min_s > parsed.reconnect_max_s:
        raise ValueError("reconnect_min_s: is above reconnect_max_s")
    if parsed.tls_key_file and not parsed.tls_certificate_file:
        raise ValueError("tls_key_file: needs tls_certificate_file beside it")
    for name, vendor in parsed.vendor_tlvs.items():
        _check_vendor_tlv(name, vendor)
    return parsed


def _check_vendor_tlv(name: str, vendor: VendorTlv) -> None:
    if vendor.value is None:
        return
    try:
        _ = vendor.octets
    except (ValueError, OverflowError) as error:
        raise ValueError(f"vendor_tlvs.{name}: {vendor.value!r} is no {vendor.type}: {error}") from None


def public(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A record's settings as an answer may show them."""
    return hidden(settings, _SECRETS)


def keep_secrets(settings: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that somebody sent back: what is hidden in them stays what it was."""
    return kept(settings, stored, _SECRETS)


# Asked for with each receipt.
_compiled = lru_cache(maxsize=64)(compile_pattern)

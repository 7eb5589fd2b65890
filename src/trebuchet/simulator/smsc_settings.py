"""What the listening SMSC can be told: who may bind, how it answers, how it writes its receipts."""

import enum
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from trebuchet.protocols.smpp.receipt import Style

Chance = Annotated[float, Meta(ge=0, le=1)]


class IdStyle(enum.StrEnum):
    """How the id of a message is written in the response and in the receipt."""

    SAME = "same"
    DECIMAL = "decimal"
    HEX_DECIMAL = "hex-decimal"  # response in hexadecimal, receipt in decimal
    DECIMAL_HEX = "decimal-hex"
    PADDED = "padded"  # receipt in capitals with leading zeros


class LongStyle(enum.StrEnum):
    """How a long message of a handset is cut."""

    UDH8 = "udh8"
    UDH16 = "udh16"
    SAR = "sar"
    PAYLOAD = "payload"


class SmscSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All have defaults: open to anybody, on loopback, well-behaved."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 2775  # 0: any
    system_id: str = "trebuchet"  # its own name
    accounts: Mapping[str, str] = {}  # system_id → password; empty: anybody may bind
    version: str = "3.4"  # 3.3: says no version; 5.0: with congestion_state
    tls_certificate_file: str = ""
    tls_key_file: str = ""

    binds_max: Annotated[int, Meta(ge=1, le=1_000)] = 100  # of one system_id
    window: Annotated[int, Meta(ge=1, le=10_000)] = 1_000  # submits without an answer; beyond: throttled
    segments_per_s: Annotated[float, Meta(ge=0)] = 0  # of one system_id; beyond: throttled; 0: no limit
    response_delay_ms: Annotated[int, Meta(ge=0, le=600_000)] = 0
    drop_responses: Chance = 0  # submits that are taken and never answered
    disconnect_every: Annotated[int, Meta(ge=0)] = 0  # submits of a connection until it is cut; 0: never
    congestion: Annotated[int, Meta(ge=0, le=100)] | None = None  # congestion_state of 5.0 responses

    ids: IdStyle = IdStyle.SAME
    receipts: Style = Style.STANDARD
    receipt_tlvs: bool = True
    deliver_window: Annotated[int, Meta(ge=1, le=1_000)] = 100  # of each bind
    long_messages: LongStyle = LongStyle.UDH8

    def __repr__(self) -> str:
        return f"SmscSettings(host={self.host!r}, port={self.port})"

"""What a carrier reports about one segment, in the gateway's own words."""

import enum

import msgspec


class ReceiptState(enum.StrEnum):
    """SMPP 3.4 section 5.2.28, message_state; other protocols are translated to it."""

    ENROUTE = "ENROUTE"
    ACCEPTED = "ACCEPTD"
    DELIVERED = "DELIVRD"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNDELIVERABLE = "UNDELIV"
    UNKNOWN = "UNKNOWN"
    REJECTED = "REJECTD"


INTERMEDIATE = frozenset({ReceiptState.ENROUTE, ReceiptState.ACCEPTED})


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery receipt. `error_code` is ours, already translated by the link from the carrier's `error`."""

    carrier_id: str
    carrier_message_id: str
    state: ReceiptState
    error_code: int | None = None  # None for a positive or intermediate state
    error: str = ""  # the carrier's own code or words
    reference: str | None = None  # our `message_id/recipient/segment`, if the carrier echoes it
    handset: str = ""  # who the receipt is about; empty: not said
    sender: str = ""  # our number
    user_reference: int | None = None  # `ledger.user_reference`, if the carrier echoes it
    text: str = ""  # the start of the message, as the carrier quotes it
    octets: bytes = b""  # of the PDU that said all this
    at_ms: int  # when we got it

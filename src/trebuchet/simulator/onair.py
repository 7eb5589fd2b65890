"""Between PDUs and the simulated network's words, as an SMSC sees them. Pure."""

from collections.abc import Mapping
from typing import Final

import msgspec

from trebuchet.clock import iso_ms
from trebuchet.model.account import Profile
from trebuchet.model.errorcodes import wire_name
from trebuchet.model.message import Delivery, Direction, Kind, Message
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.model.status import State
from trebuchet.protocols import sms
from trebuchet.protocols.smpp import receipt as receipts
from trebuchet.protocols.smpp import tlv
from trebuchet.protocols.smpp.constants import (
    RECEIPT,
    RECEIPT_MASK,
    RECEIPT_ON_FAILURE,
    RECEIPT_ON_SUCCESS,
    UDHI,
    MessageState,
    Status,
    Ton,
)
from trebuchet.protocols.smpp.pdu import DataSm, DeliverSm, ReplaceSm, SubmitSm
from trebuchet.protocols.smpp.tlv import Tag
from trebuchet.simulator.base import Typed
from trebuchet.simulator.smsc_settings import IdStyle, LongStyle, SmscSettings
from trebuchet.storage.base import HandsetMessage

Submit = SubmitSm | DataSm

STATES: Final = {
    ReceiptState.ENROUTE: MessageState.ENROUTE,
    ReceiptState.ACCEPTED: MessageState.ACCEPTED,
    ReceiptState.DELIVERED: MessageState.DELIVERED,
    ReceiptState.EXPIRED: MessageState.EXPIRED,
    ReceiptState.DELETED: MessageState.DELETED,
    ReceiptState.UNDELIVERABLE: MessageState.UNDELIVERABLE,
    ReceiptState.UNKNOWN: MessageState.UNKNOWN,
    ReceiptState.REJECTED: MessageState.REJECTED,
}
# What a refusal says in the protocol's own numbers; the exact code is in network_error_code.
_STATUSES: Final = {
    4301: Status.RINVDCS,
    4302: Status.RINVSRCADR,
    4303: Status.RINVDSTADR,
    4403: Status.RINVSRCADR,
    4404: Status.RINVDSTADR,
    4405: Status.RINVSRCADR,
    4406: Status.RINVDSTADR,
    4700: Status.RINVSERTYP,
    4720: Status.RINVDSTADR,
    4740: Status.RINVSRCADR,
    4751: Status.RINVMSGLEN,
    4752: Status.RINVESMCLASS,
}
_MC_SPECIFIC: Final = 8  # network type of network_error_code (SMPP 5.0 section 4.8.4.42)
_SAR: Final = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)


class Heard(msgspec.Struct, frozen=True):
    """What one submit says."""

    source: str
    destination: str
    text: str
    coding: int
    octets: bytes  # user data without its header
    part: tuple[int, int, int, int] | None  # reference, its width, total, number from 1
    registered_delivery: int
    user_reference: int | None


def hear(pdu: Submit) -> Heard:
    """Read a submit_sm or data_sm. Never fails: what is no text is shown as its octets."""
    body = getattr(pdu, "short_message", b"") or tlv.first(pdu.tlvs, Tag.MESSAGE_PAYLOAD) or b""
    elements: tuple[sms.udh.Element, ...] = ()
    if pdu.esm_class & UDHI:
        try:
            elements, body = sms.udh.parse(body)
        except sms.MalformedHeader:
            elements = ()
    reference = tlv.first(pdu.tlvs, Tag.USER_MESSAGE_REFERENCE)
    text = sms.decode(body, pdu.data_coding, single_shift=sms.udh.single_shift_of(elements))
    return Heard(
        source=number(pdu.source_addr_ton, pdu.source_addr),
        destination=number(pdu.dest_addr_ton, pdu.destination_addr),
        text=body.hex() if text is None else text,
        coding=pdu.data_coding,
        octets=body,
        part=_part(elements, pdu.tlvs),
        registered_delivery=pdu.registered_delivery,
        user_reference=int.from_bytes(reference) if reference else None,
    )


def text_of(pdu: ReplaceSm, coding: int) -> str:
    """The text of a replace_sm, which is in the data_coding of the message that it replaces."""
    body = pdu.short_message or tlv.first(pdu.tlvs, Tag.MESSAGE_PAYLOAD) or b""
    text = sms.decode(body, coding)
    return body.hex() if text is None else text


def _part(
    elements: tuple[sms.udh.Element, ...], tlvs: tuple[tuple[int, bytes], ...]
) -> tuple[int, int, int, int] | None:
    said = sms.udh.concatenation_of(elements)
    if said is not None:
        reference, width, total, place = said.reference, said.reference_bits, said.total, said.sequence
    else:
        sar = [tlv.first(tlvs, tag) for tag in _SAR]
        if not all(sar):
            return None
        reference, total, place = (int.from_bytes(value or b"") for value in sar)
        width = 16
    return (reference, width, total, place) if total > 1 and 1 <= place <= total else None


def joined(parts: Mapping[int, Heard]) -> str:
    """The text of a long message whose parts are all there: octets first, because some peers cut characters."""
    first = parts[min(parts)]
    octets = b"".join(parts[place].octets for place in sorted(parts))
    text = sms.decode(octets, first.coding)
    return octets.hex() if text is None else text


def number(ton: int, address: str) -> str:
    """An address as the handsets know it: E.164 with its plus; short codes and names as they are."""
    digits = address.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()) or len(digits) <= 6:
        return address
    if len(digits) == 10 and ton != Ton.INTERNATIONAL:
        return "+1" + digits
    return "+" + digits.removeprefix("00")


def address(number: str) -> tuple[int, int, str]:
    """Type of number, numbering plan and digits of a number."""
    if number.startswith("+"):
        return (1, 1, number[1:])
    return (3, 0, number) if number.isdigit() else (5, 0, number)


# ---- what the network is given ----


def message(heard: Heard, text: str, message_id: str, now_ms: int) -> Message:
    """A submit in the network's words. Its id carries what its receipts need, so that they survive a restart."""
    return Message(
        id=f"{message_id}~{heard.registered_delivery}~{heard.user_reference or ''}",
        account_id="",
        application_id="",
        direction=Direction.OUT,
        kind=Kind.SMS,
        owner=heard.source,
        source=heard.source,
        destinations=(heard.destination,),
        text=text,
        media=None,
        tag=None,
        priority=None,
        expiration=None,
        valid_until_ms=now_ms,
        segment_count=1,
        encoding="",
        profile=Profile.CURRENT,
        received_ms=now_ms,
    )


def delivery(of: Message) -> Delivery:
    return Delivery(
        of.id, 0, of.destinations[0], State.QUEUED, None, None, None, "", 0, 0, 0, None, None, None
    )


# ---- what the ESME is told ----


def ids(network_id: str, style: IdStyle) -> tuple[str, str]:
    """The id of a message in the response and in its receipt."""
    if style is IdStyle.SAME:
        return network_id, network_id
    # 13 digits of milliseconds and some of the rest: different, and short enough to look like an SMSC's.
    value = int(network_id[:13]) << 20 | hash_of(network_id[13:])
    hexadecimal, decimal = f"{value:x}", str(value)
    return {
        IdStyle.DECIMAL: (decimal, decimal),
        IdStyle.HEX_DECIMAL: (hexadecimal, f"{value:020d}"),
        IdStyle.DECIMAL_HEX: (decimal, hexadecimal),
        IdStyle.PADDED: (hexadecimal, f"{value:020X}"),
    }[style]


def hash_of(text: str) -> int:
    """Twenty bits that are the same in every process."""
    value = 0
    for character in text:
        value = (value * 31 + ord(character)) & 0xFFFFF
    return value


def refusal(code: int) -> tuple[int, tuple[tuple[int, bytes], ...]]:
    """command_status and parameters of a refusal with one of our error codes."""
    return _STATUSES.get(code, Status.RX_R_APPN), (
        tlv.pack(Tag.NETWORK_ERROR_CODE, bytes([_MC_SPECIFIC]) + (code % 1000).to_bytes(2)),
        tlv.pack(Tag.ADDITIONAL_STATUS_INFO_TEXT, f"{code} {wire_name(code)}"),
    )


def wants_receipt(receipt: Receipt) -> bool:
    """Whether the ESME asked for this one (registered_delivery, SMPP 5.0 section 4.7.21)."""
    asked = _asked(receipt)[0] & RECEIPT_MASK
    delivered = receipt.state is ReceiptState.DELIVERED
    if asked == RECEIPT_ON_FAILURE:
        return not delivered
    return asked != 0 and (asked != RECEIPT_ON_SUCCESS or delivered)


def rewritten(row: HandsetMessage, text: str, registered_delivery: int) -> HandsetMessage:
    """A message of the network with another text, and the receipts that are asked for now."""
    of, _, recipient = row.reference.rpartition("/")
    message_id, _, reference = of.split("~")
    return msgspec.structs.replace(
        row, text=text, reference=f"{message_id}~{registered_delivery}~{reference}/{recipient}"
    )


def _asked(receipt: Receipt) -> tuple[int, int | None]:
    """registered_delivery and user_message_reference of the submit, from the id that `message` gave it.

    A message that was submitted within the process, before a restart, has another id; its receipts were wanted.
    """
    written = (receipt.reference or "").split("/", 1)[0].split("~")
    if len(written) != 3:
        return 1, None
    return int(written[1]), int(written[2]) if written[2] else None


def deliver_receipt(receipt: Receipt, settings: SmscSettings) -> DeliverSm:
    """A receipt as this SMSC writes them. The handset is the source, as if it had answered."""
    state = STATES[receipt.state]
    _, message_id = ids(receipt.carrier_message_id, settings.ids)
    moment = iso_ms(receipt.at_ms)
    date = "".join(character for character in moment[:19] if character.isdigit())
    code = receipt.error_code or 0
    text = receipts.format(
        message_id, state, submit_date=date, done_date=date, err=f"{code % 1000:03d}", text=receipt.text,
        style=settings.receipts,
    )  # fmt: skip
    reference = _asked(receipt)[1]
    tlvs: list[tuple[int, bytes]] = []
    if settings.receipt_tlvs or not text:
        tlvs += [tlv.pack(Tag.RECEIPTED_MESSAGE_ID, message_id), tlv.pack(Tag.MESSAGE_STATE, int(state))]
        if code:
            octets = bytes([_MC_SPECIFIC]) + (code % 1000).to_bytes(2)
            tlvs.append(tlv.pack(Tag.NETWORK_ERROR_CODE, octets))
        if reference is not None:
            tlvs.append(tlv.pack(Tag.USER_MESSAGE_REFERENCE, reference))
    source, destination = address(receipt.handset), address(receipt.sender)
    return DeliverSm(
        source_addr_ton=source[0],
        source_addr_npi=source[1],
        source_addr=source[2],
        dest_addr_ton=destination[0],
        dest_addr_npi=destination[1],
        destination_addr=destination[2],
        esm_class=RECEIPT,
        short_message=text.encode("ascii", "replace"),
        tlvs=tuple(tlvs),
    )


def deliver_typed(typed: Typed, reference: int, style: LongStyle) -> list[DeliverSm]:
    """What somebody typed on a handset, cut as this SMSC does it."""
    bits: sms.udh.ReferenceBits = 16 if style in (LongStyle.UDH16, LongStyle.SAR) else 8
    segments = sms.segment(typed.text, reference if bits == 16 else reference & 0xFF, bits)
    coding = sms.data_coding(segments[0].encoding)
    source, destination = address(typed.handset), address(typed.number)

    def pdu(octets: bytes, udhi: bool, tlvs: tuple[tuple[int, bytes], ...]) -> DeliverSm:
        return DeliverSm(
            source_addr_ton=source[0],
            source_addr_npi=source[1],
            source_addr=source[2],
            dest_addr_ton=destination[0],
            dest_addr_npi=destination[1],
            destination_addr=destination[2],
            esm_class=UDHI if udhi else 0,
            data_coding=coding,
            short_message=octets,
            tlvs=tlvs,
        )

    if len(segments) == 1:
        return [pdu(segments[0].body, False, ())]
    if style is LongStyle.PAYLOAD:
        whole = b"".join(segment.body for segment in segments)
        return [pdu(b"", False, ((Tag.MESSAGE_PAYLOAD, whole),))]
    if style is LongStyle.SAR:
        total = bytes([len(segments)])
        return [
            pdu(
                segment.body,
                False,
                (
                    (Tag.SAR_MSG_REF_NUM, reference.to_bytes(2)),
                    (Tag.SAR_TOTAL_SEGMENTS, total),
                    (Tag.SAR_SEGMENT_SEQNUM, bytes([place])),
                ),
            )
            for place, segment in enumerate(segments, start=1)
        ]
    return [pdu(segment.user_data, True, ()) for segment in segments]

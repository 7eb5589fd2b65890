"""Between the gateway's words and the PDUs of one link. Pure.

Outbound: a shipment becomes one submit_sm per part. Inbound: a deliver_sm (or a data_sm) becomes a receipt, a
message, or a part of one.
"""

from contextlib import suppress

import msgspec

from trebuchet.carriers.base import InboundPart, Part, Shipment
from trebuchet.carriers.smpp import addresses, receipterrors
from trebuchet.carriers.smpp.settings import SmppSettings
from trebuchet.model import errorcodes, ledger
from trebuchet.model.message import Kind
from trebuchet.model.receipt import Receipt, ReceiptState
from trebuchet.protocols import sms
from trebuchet.protocols.smpp import receipt as receipts
from trebuchet.protocols.smpp import times, tlv
from trebuchet.protocols.smpp.constants import UDHI, MessageState
from trebuchet.protocols.smpp.pdu import DataSm, DeliverSm, SubmitSm
from trebuchet.protocols.smpp.tlv import Tag
from trebuchet.protocols.sms.dcs import Encoding, encoding_of

_ALPHABETS = {"gsm7": Encoding.GSM7, "latin1": Encoding.LATIN1, "ascii": Encoding.ASCII}
_CODECS = {"latin1": "iso8859_1", "ascii": "ascii"}
_VALIDITY_MIN_S = 60
_VALIDITY_MAX_S = 30 * 86_400

_STATES = {
    MessageState.SCHEDULED: ReceiptState.ENROUTE,
    MessageState.ENROUTE: ReceiptState.ENROUTE,
    MessageState.DELIVERED: ReceiptState.DELIVERED,
    MessageState.EXPIRED: ReceiptState.EXPIRED,
    MessageState.DELETED: ReceiptState.DELETED,
    MessageState.UNDELIVERABLE: ReceiptState.UNDELIVERABLE,
    MessageState.ACCEPTED: ReceiptState.ACCEPTED,
    MessageState.UNKNOWN: ReceiptState.UNKNOWN,
    MessageState.REJECTED: ReceiptState.REJECTED,
    MessageState.SKIPPED: ReceiptState.REJECTED,
}
_FAILED = frozenset(
    {
        ReceiptState.EXPIRED,
        ReceiptState.DELETED,
        ReceiptState.UNDELIVERABLE,
        ReceiptState.UNKNOWN,
        ReceiptState.REJECTED,
    }
)


class Untranslatable(ValueError):
    """This link cannot carry the message, ever."""

    def __init__(self, error_code: int, words: str) -> None:
        super().__init__(words)
        self.error_code = error_code
        self.words = words


class Outgoing(msgspec.Struct, frozen=True):
    """What is the same for every part of one shipment."""

    service_type: str
    source: addresses.Address
    destination: addresses.Address
    esm_class: int
    priority: int
    validity_period: str
    registered_delivery: int
    tlvs: tuple[tuple[int, bytes], ...]


# ---- outbound ----


def submits(
    shipment: Shipment, settings: SmppSettings, reference: int, now_ms: int, *, takes_tlvs: bool = True
) -> list[SubmitSm]:
    """The parts of a shipment, in order. `reference` ties them together: 16 bits, cut to 8 where the link says so.

    Raises Untranslatable with what the delivery fails with.
    """
    message, (delivery, *_) = shipment.message, shipment.deliveries
    if message.kind is not Kind.SMS:
        raise Untranslatable(errorcodes.SERVICE_UNAVAILABLE, "this link carries text messages only")
    try:
        outgoing = Outgoing(
            settings.service_type,
            addresses.outbound(message.source, settings.addresses, home_country=settings.home_country),
            addresses.outbound(delivery.to, settings.addresses, home_country=settings.home_country),
            settings.esm_class_mode,
            1 if message.priority == "high" else 0,
            _validity(message.valid_until_ms, now_ms) if settings.validity else "",
            settings.registered_delivery,
            vendor_tlvs(settings) if takes_tlvs else (),
        )
        parts = _parts(message.text, message.encoding, settings, reference)
    except sms.SmsError as error:
        raise Untranslatable(errorcodes.MALFORMED_ENCODING, str(error)) from None
    numbered = settings.user_message_reference and takes_tlvs
    found = []
    for number, (coding, udhi, octets, tlvs) in enumerate(parts):
        mark = ledger.user_reference(message.id, delivery.recipient, number) if numbered else None
        found.append(_submit(outgoing, coding, udhi, octets, tlvs, mark))
    return found


def _submit(
    outgoing: Outgoing,
    coding: int,
    udhi: bool,
    octets: bytes,
    tlvs: tuple[tuple[int, bytes], ...],
    mark: int | None,
) -> SubmitSm:
    if mark is not None:
        tlvs = ((Tag.USER_MESSAGE_REFERENCE, mark.to_bytes(2)), *tlvs)
    source, destination = outgoing.source, outgoing.destination
    return SubmitSm(
        service_type=outgoing.service_type,
        source_addr_ton=source.ton,
        source_addr_npi=source.npi,
        source_addr=source.text,
        dest_addr_ton=destination.ton,
        dest_addr_npi=destination.npi,
        destination_addr=destination.text,
        esm_class=outgoing.esm_class | UDHI if udhi else outgoing.esm_class,
        priority_flag=outgoing.priority,
        validity_period=outgoing.validity_period,
        registered_delivery=outgoing.registered_delivery,
        data_coding=coding,
        short_message=octets,
        tlvs=(*tlvs, *outgoing.tlvs),
    )


_PartOnAir = tuple[int, bool, bytes, tuple[tuple[int, bytes], ...]]  # data_coding, UDHI, octets, TLVs


def _parts(text: str, encoding: str, settings: SmppSettings, reference: int) -> list[_PartOnAir]:
    """A text as this link's SMSC wants it. A text that was accepted as GSM-7 and is not needs smart encoding."""
    if encoding == Encoding.GSM7.value:
        text = sms.smart_encode(text)
    codec = _CODECS.get(settings.default_alphabet)
    foreign = codec is not None and not _has(codec, text)
    bits: sms.udh.ReferenceBits = 16 if settings.long_message in ("udh16", "sar") else 8
    segments = sms.segment(text, reference if bits == 16 else reference & 0xFF, bits, ucs2=foreign)
    if len(segments) > 1 and settings.long_message == "payload":
        whole = b"".join(segment.body for segment in segments)
        coding, octets = _encoded(text, segments[0].encoding, whole, codec, settings.packed, 0)
        return [(coding, False, b"", ((Tag.MESSAGE_PAYLOAD, octets),))]
    found: list[_PartOnAir] = []
    for number, segment in enumerate(segments, start=1):
        header = segment.header if settings.long_message != "sar" else b""
        fill = sms.gsm7.fill_bits(len(header)) if header else 0
        coding, octets = _encoded(segment.text, segment.encoding, segment.body, codec, settings.packed, fill)
        tlvs: tuple[tuple[int, bytes], ...] = ()
        if segment.header and not header:
            tlvs = (
                (Tag.SAR_MSG_REF_NUM, reference.to_bytes(2)),
                (Tag.SAR_TOTAL_SEGMENTS, bytes([len(segments)])),
                (Tag.SAR_SEGMENT_SEQNUM, bytes([number])),
            )
        found.append((coding, bool(header), header + octets, tlvs))
    return found


def _encoded(
    text: str, encoding: Encoding, body: bytes, codec: str | None, packed: bool, fill: int
) -> tuple[int, bytes]:
    """Data coding and octets of one part, whose unpacked GSM-7 or UCS-2 octets are `body`."""
    if encoding is not Encoding.GSM7:
        return sms.DataCoding.UCS2, body
    if codec is not None:
        return sms.DataCoding.DEFAULT, text.encode(codec)
    return sms.DataCoding.DEFAULT, sms.gsm7.pack(body, fill) if packed else body


def _has(codec: str, text: str) -> bool:
    """Whether an SMSC whose data_coding 0 is not GSM 03.38 can be told this text in it."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def _validity(valid_until_ms: int, now_ms: int) -> str:
    left_s = (valid_until_ms - now_ms) // 1000
    return times.relative(min(max(left_s, _VALIDITY_MIN_S), _VALIDITY_MAX_S))


def vendor_tlvs(settings: SmppSettings) -> tuple[tuple[int, bytes], ...]:
    """The TLVs that the carrier wants on every submit."""
    return tuple(
        (vendor.tag, vendor.octets) for vendor in settings.vendor_tlvs.values() if vendor.value is not None
    )


# ---- inbound ----


def is_receipt(pdu: DeliverSm | DataSm, settings: SmppSettings) -> bool:
    """Whether a PDU reports on a message of ours, rather than carrying one of a handset."""
    if receipts.is_receipt(pdu.esm_class, pdu.tlvs):
        return True
    if not settings.spoofable_text_receipts:
        return False
    return receipts.parse(_receipt_text(pdu), pdu.tlvs, pattern=settings.pattern) is not None


def receipt(
    pdu: DeliverSm | DataSm, octets: bytes, carrier_id: str, settings: SmppSettings, now_ms: int
) -> Receipt | None:
    """What a receipt says; None if it names no message or no state."""
    intermediate = pdu.esm_class & 0x3C == 0x20
    fields = receipts.parse(_receipt_text(pdu), pdu.tlvs, intermediate=intermediate, pattern=settings.pattern)
    if fields is None or fields.message_id is None or fields.state is None:
        return None
    state = _state(fields.state, intermediate, settings)
    code = None
    if state in _FAILED:
        code = receipterrors.error_code(
            settings.receipt_errors, fields.state, fields.err, fields.network_error
        )
    return Receipt(
        carrier_id=carrier_id,
        carrier_message_id=fields.message_id,
        state=state,
        error_code=code,
        error=_words(fields) if state in _FAILED else "",
        handset=_source(pdu, settings),
        sender=_destination(pdu, settings),
        user_reference=fields.user_reference,
        text=fields.text[:20],
        octets=octets if settings.keep_pdus else b"",
        at_ms=now_ms,
    )


def _source(pdu: DeliverSm | DataSm, settings: SmppSettings) -> str:
    return addresses.inbound(
        pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr, home_country=settings.home_country
    )


def _destination(pdu: DeliverSm | DataSm, settings: SmppSettings) -> str:
    return addresses.inbound(
        pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr, home_country=settings.home_country
    )


def _state(state: MessageState, intermediate: bool, settings: SmppSettings) -> ReceiptState:
    if intermediate:
        return ReceiptState.ENROUTE
    if state is MessageState.ACCEPTED and settings.accepted_is_final:
        return ReceiptState.DELIVERED
    if state is MessageState.UNKNOWN and settings.unknown_is_delivered:
        return ReceiptState.DELIVERED
    return _STATES[state]


def _words(fields: receipts.Fields) -> str:
    """What the carrier said, for a support desk: its own word and its own code."""
    words = [fields.stat] if fields.stat else []
    if fields.err and fields.err.strip("0"):
        words.append(f"err:{fields.err}")
    if fields.network_error is not None:
        words.append(f"network error {fields.network_error[0]}/{fields.network_error[1]}")
    return " ".join(words)


def _receipt_text(pdu: DeliverSm | DataSm) -> str:
    """The text of a receipt. Peers that leave data_coding at 0 write ASCII, which GSM 03.38 nearly is."""
    body = user_data(pdu)
    if pdu.esm_class & UDHI:
        with suppress(sms.MalformedHeader):  # not a header then: read it as it is
            _, body = sms.udh.parse(body)
    if encoding_of(pdu.data_coding) is Encoding.UCS2:
        return body.decode("utf_16_be", "replace")
    return body.decode("latin-1").rstrip("\0")


def user_data(pdu: DeliverSm | DataSm) -> bytes:
    """The octets of the message: short_message, or the payload if that is empty (SMPP 3.4 section 5.3.2.32)."""
    short = getattr(pdu, "short_message", b"")
    return short or tlv.first(pdu.tlvs, Tag.MESSAGE_PAYLOAD) or b""


def inbound(pdu: DeliverSm | DataSm, carrier_id: str, settings: SmppSettings) -> InboundPart:
    """A message that a handset sent, or a part of one."""
    body = user_data(pdu)
    elements: tuple[sms.udh.Element, ...] = ()
    if pdu.esm_class & UDHI:
        with suppress(
            sms.MalformedHeader
        ):  # kept whole then: better a few odd characters than a lost message
            elements, body = sms.udh.parse(body)
    default = _ALPHABETS[settings.default_alphabet]
    ia5 = Encoding.GSM7 if settings.ia5_is_gsm7 else Encoding.ASCII
    encoding = encoding_of(pdu.data_coding, default, ia5)
    if settings.packed and encoding is Encoding.GSM7:
        body = sms.gsm7.unpack(body, len(body) * 8 // 7)
    shift = sms.udh.single_shift_of(elements)
    part = _concatenated(elements, pdu.tlvs, body, encoding, shift)
    text = "" if part else sms.decode(body, pdu.data_coding, default, ia5, shift)
    return InboundPart(
        carrier_id=carrier_id,
        source=_source(pdu, settings),
        destination=_destination(pdu, settings),
        text=body.hex() if text is None else text,
        encoding=encoding.value,
        carrier_message_id=_receipted_id(pdu.tlvs),
        part=part,
    )


def _concatenated(
    elements: tuple[sms.udh.Element, ...],
    tlvs: tuple[tuple[int, bytes], ...],
    body: bytes,
    encoding: Encoding,
    shift: int,
) -> Part | None:
    """Which part of which message this is, by its header or its SAR parameters; None for a whole message."""
    said = sms.udh.concatenation_of(elements)
    if said is not None:
        reference, total, number, width = said.reference, said.total, said.sequence, said.reference_bits
    else:
        sar = [tlv.first(tlvs, tag) for tag in _SAR]
        if not all(sar):
            return None
        reference, total, number = (int.from_bytes(value or b"") for value in sar)
        width = 16
    if total < 2 or not 1 <= number <= total:
        return None
    return Part(
        reference=reference,
        width=width,
        total=total,
        number=number,
        octets=body,
        encoding=encoding.value,
        single_shift=shift,
    )


_SAR = (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)


def _receipted_id(tlvs: tuple[tuple[int, bytes], ...]) -> str:
    value = tlv.first(tlvs, Tag.RECEIPTED_MESSAGE_ID)
    return tlv.text(value) if value else ""


def network_error(tlvs: tuple[tuple[int, bytes], ...]) -> tuple[int, int] | None:
    """Network type and code of network_error_code (SMPP 3.4 section 5.3.2.31)."""
    value = tlv.first(tlvs, Tag.NETWORK_ERROR_CODE)
    return (value[0], int.from_bytes(value[1:3])) if value and len(value) == 3 else None


def status_words(tlvs: tuple[tuple[int, bytes], ...], words: str) -> str:
    """The words of a refusal: the peer's own beside those of the table."""
    value = tlv.first(tlvs, Tag.ADDITIONAL_STATUS_INFO_TEXT)
    return f"{words}: {tlv.text(value)}" if value else words

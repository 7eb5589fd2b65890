"""Short cuts of the codec, for the PDUs of which there are two or more for each message.

Each takes the ordinary case, several times as fast as the table of `codec`, and returns None for everything
else, so that the table reads, writes or complains. In between they must agree octet by octet.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

from trebuchet.protocols.smpp import tlv
from trebuchet.protocols.smpp.constants import (
    HEADER_OCTETS,
    MAX_PDU_OCTETS,
    READ_CHARACTERS,
    READ_MESSAGE_ID_CHARACTERS,
    Command,
)
from trebuchet.protocols.smpp.pdu import (
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    MessageIdResp,
    Pdu,
    Sm,
    SubmitSm,
    SubmitSmResp,
)

_pack_header: Final = struct.Struct(">IIII").pack

# One text with a character for each octet: a single conversion at the end is faster than one for each field.
_SM_HEAD: Final = "%s\0%c%c%s\0%c%c%s\0%c%c%c%s\0%s\0%c%c%c%c%c"


def _encode_sm(pdu: Sm) -> bytes | None:
    message, tlvs = pdu.short_message, pdu.tlvs
    service_type, source, destination = pdu.service_type, pdu.source_addr, pdu.destination_addr
    schedule, validity = pdu.schedule_delivery_time, pdu.validity_period
    if (
        len(source) > 20
        or len(destination) > 20
        or len(service_type) > 5
        or (schedule and len(schedule) != 16)
        or (validity and len(validity) != 16)
        or "\0" in f"{source}{destination}{service_type}{schedule}{validity}"
        or (tlvs and message and tlv.first(tlvs, tlv.Tag.MESSAGE_PAYLOAD) is not None)
    ):
        return None
    try:
        # A number above 255 becomes a character that is not in Latin-1, and so an error like the others.
        head = (
            _SM_HEAD
            % (
                service_type,
                pdu.source_addr_ton,
                pdu.source_addr_npi,
                source,
                pdu.dest_addr_ton,
                pdu.dest_addr_npi,
                destination,
                pdu.esm_class,
                pdu.protocol_id,
                pdu.priority_flag,
                schedule,
                validity,
                pdu.registered_delivery,
                pdu.replace_if_present_flag,
                pdu.data_coding,
                pdu.sm_default_msg_id,
                len(message),
            )
        ).encode("latin-1")
        tail = tlv.encode(tlvs) if tlvs else b""
        length = HEADER_OCTETS + len(head) + len(message) + len(tail)
        header = _pack_header(length, pdu.COMMAND, pdu.status, pdu.sequence)
    except (UnicodeEncodeError, OverflowError, struct.error):
        return None
    return b"".join((header, head, message, tail)) if length <= MAX_PDU_OCTETS else None


def _encode_message_id(pdu: MessageIdResp) -> bytes | None:
    message_id = pdu.message_id
    if pdu.status or pdu.tlvs or len(message_id) > 64 or "\0" in message_id:
        return None
    try:
        header = _pack_header(HEADER_OCTETS + 1 + len(message_id), pdu.COMMAND, 0, pdu.sequence)
        return header + f"{message_id}\0".encode("latin-1")
    except (UnicodeEncodeError, struct.error):
        return None


def _encode_header(pdu: Pdu) -> bytes | None:
    if pdu.tlvs:
        return None
    try:
        return _pack_header(HEADER_OCTETS, pdu.COMMAND, pdu.status, pdu.sequence)
    except struct.error:
        return None


def _sm_decoder(kind: type[Sm]) -> Callable[[bytes, int, int], Sm | None]:
    def decode_sm(frame: bytes, status: int, sequence: int) -> Sm | None:
        try:
            text = str(frame, "latin-1")  # one conversion for all strings
            find = text.index
            type_end = find("\0", HEADER_OCTETS, HEADER_OCTETS + READ_CHARACTERS + 1)
            source_end = find("\0", type_end + 3, type_end + 4 + READ_CHARACTERS)
            destination_end = find("\0", source_end + 3, source_end + 4 + READ_CHARACTERS)
            schedule_end = find("\0", destination_end + 4, destination_end + 5 + READ_CHARACTERS)
            validity_end = find("\0", schedule_end + 1, schedule_end + 2 + READ_CHARACTERS)
            start = validity_end + 6
            end = start + frame[validity_end + 5]
        except (ValueError, IndexError):
            return None
        if end > len(frame):
            return None
        return kind(
            sequence=sequence,
            status=status,
            tlvs=tlv.decode(frame, end) if end != len(frame) else (),
            service_type=text[HEADER_OCTETS:type_end],
            source_addr_ton=frame[type_end + 1],
            source_addr_npi=frame[type_end + 2],
            source_addr=text[type_end + 3 : source_end],
            dest_addr_ton=frame[source_end + 1],
            dest_addr_npi=frame[source_end + 2],
            destination_addr=text[source_end + 3 : destination_end],
            esm_class=frame[destination_end + 1],
            protocol_id=frame[destination_end + 2],
            priority_flag=frame[destination_end + 3],
            schedule_delivery_time=text[destination_end + 4 : schedule_end],
            validity_period=text[schedule_end + 1 : validity_end],
            registered_delivery=frame[validity_end + 1],
            replace_if_present_flag=frame[validity_end + 2],
            data_coding=frame[validity_end + 3],
            sm_default_msg_id=frame[validity_end + 4],
            short_message=frame[start:end],
        )

    return decode_sm


def _message_id_decoder(kind: type[MessageIdResp]) -> Callable[[bytes, int, int], MessageIdResp | None]:
    def decode_message_id(frame: bytes, status: int, sequence: int) -> MessageIdResp | None:
        last = len(frame) - 1
        if frame.find(0, HEADER_OCTETS) != last or last - HEADER_OCTETS > READ_MESSAGE_ID_CHARACTERS:
            return None
        return kind(sequence=sequence, status=status, message_id=str(frame[HEADER_OCTETS:last], "latin-1"))

    return decode_message_id


def _header_decoder(kind: type[Pdu]) -> Callable[[bytes, int, int], Pdu | None]:
    def decode_header(frame: bytes, status: int, sequence: int) -> Pdu | None:
        return kind(sequence=sequence, status=status) if len(frame) == HEADER_OCTETS else None

    return decode_header


ENCODERS: Final[dict[int, Callable[[Any], bytes | None]]] = {
    Command.SUBMIT_SM: _encode_sm,
    Command.SUBMIT_SM_RESP: _encode_message_id,
    Command.DELIVER_SM: _encode_sm,
    Command.DELIVER_SM_RESP: _encode_message_id,
    Command.ENQUIRE_LINK: _encode_header,
    Command.ENQUIRE_LINK_RESP: _encode_header,
}
DECODERS: Final[dict[int, Callable[[bytes, int, int], Pdu | None]]] = {
    Command.SUBMIT_SM: _sm_decoder(SubmitSm),
    Command.SUBMIT_SM_RESP: _message_id_decoder(SubmitSmResp),
    Command.DELIVER_SM: _sm_decoder(DeliverSm),
    Command.DELIVER_SM_RESP: _message_id_decoder(DeliverSmResp),
    Command.ENQUIRE_LINK: _header_decoder(EnquireLink),
    Command.ENQUIRE_LINK_RESP: _header_decoder(EnquireLinkResp),
}

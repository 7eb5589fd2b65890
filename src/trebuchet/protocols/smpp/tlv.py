"""Optional parameters: their tags, what their values are, and how they follow each other in a PDU.

Sources: SMPP 3.4 sections 3.2.4 and 5.3.2, SMPP 5.0 section 4.8.
"""

import struct
from enum import Enum, IntEnum
from typing import Final

import msgspec

from trebuchet.protocols.smpp.constants import Status
from trebuchet.protocols.smpp.errors import EncodeError, malformed
from trebuchet.protocols.smpp.pdu import Tlvs

_pack_head: Final = struct.Struct(">HH").pack
_head_at: Final = struct.Struct(">HH").unpack_from


class Tag(IntEnum):
    """The tags of 3.4 and 5.0. 0x1400 to 0x3FFF are for vendors."""

    DEST_ADDR_SUBUNIT = 0x0005
    DEST_NETWORK_TYPE = 0x0006
    DEST_BEARER_TYPE = 0x0007
    DEST_TELEMATICS_ID = 0x0008
    SOURCE_ADDR_SUBUNIT = 0x000D
    SOURCE_NETWORK_TYPE = 0x000E
    SOURCE_BEARER_TYPE = 0x000F
    SOURCE_TELEMATICS_ID = 0x0010
    QOS_TIME_TO_LIVE = 0x0017
    PAYLOAD_TYPE = 0x0019
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    MS_MSG_WAIT_FACILITIES = 0x0030
    PRIVACY_INDICATOR = 0x0201
    SOURCE_SUBADDRESS = 0x0202
    DEST_SUBADDRESS = 0x0203
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SOURCE_PORT = 0x020A
    DEST_PORT = 0x020B
    SAR_MSG_REF_NUM = 0x020C
    LANGUAGE_INDICATOR = 0x020D
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    CALLBACK_NUM_PRES_IND = 0x0302
    CALLBACK_NUM_ATAG = 0x0303
    NUMBER_OF_MESSAGES = 0x0304
    CALLBACK_NUM = 0x0381
    DPF_RESULT = 0x0420
    SET_DPF = 0x0421
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428
    USSD_SERVICE_OP = 0x0501
    BROADCAST_CHANNEL_INDICATOR = 0x0600
    BROADCAST_CONTENT_TYPE = 0x0601
    BROADCAST_CONTENT_TYPE_INFO = 0x0602
    BROADCAST_MESSAGE_CLASS = 0x0603
    BROADCAST_REP_NUM = 0x0604
    BROADCAST_FREQUENCY_INTERVAL = 0x0605
    BROADCAST_AREA_IDENTIFIER = 0x0606
    BROADCAST_ERROR_STATUS = 0x0607
    BROADCAST_AREA_SUCCESS = 0x0608
    BROADCAST_END_TIME = 0x0609
    BROADCAST_SERVICE_GROUP = 0x060A
    BILLING_IDENTIFICATION = 0x060B
    SOURCE_NETWORK_ID = 0x060D
    DEST_NETWORK_ID = 0x060E
    SOURCE_NODE_ID = 0x060F
    DEST_NODE_ID = 0x0610
    DEST_ADDR_NP_RESOLUTION = 0x0611
    DEST_ADDR_NP_INFORMATION = 0x0612
    DEST_ADDR_NP_COUNTRY = 0x0613
    DISPLAY_TIME = 0x1201
    SMS_SIGNAL = 0x1203
    MS_VALIDITY = 0x1204
    ALERT_ON_MESSAGE_DELIVERY = 0x130C
    ITS_REPLY_TYPE = 0x1380
    ITS_SESSION_INFO = 0x1383


class Kind(Enum):
    """What the value of a TLV is."""

    INT = "int"  # unsigned, big-endian
    CSTR = "cstr"  # with a NUL at the end, which counts
    OCTETS = "octets"
    BITS = "bits"
    NONE = "none"  # its presence is the value


class Parameter(msgspec.Struct, frozen=True):
    """What the specification says of one tag. Lengths are of the value, in octets."""

    name: str
    kind: Kind
    shortest: int
    longest: int


def _parameter(tag: Tag, kind: Kind, shortest: int, longest: int | None = None) -> tuple[int, Parameter]:
    return int(tag), Parameter(tag.name.lower(), kind, shortest, longest or shortest)


# source_telematics_id and alert_on_message_delivery changed their length between 3.4 and 5.0: both are taken.
TAGS: Final[dict[int, Parameter]] = dict(
    [
        _parameter(Tag.DEST_ADDR_SUBUNIT, Kind.INT, 1),
        _parameter(Tag.DEST_NETWORK_TYPE, Kind.INT, 1),
        _parameter(Tag.DEST_BEARER_TYPE, Kind.INT, 1),
        _parameter(Tag.DEST_TELEMATICS_ID, Kind.INT, 2),
        _parameter(Tag.SOURCE_ADDR_SUBUNIT, Kind.INT, 1),
        _parameter(Tag.SOURCE_NETWORK_TYPE, Kind.INT, 1),
        _parameter(Tag.SOURCE_BEARER_TYPE, Kind.INT, 1),
        _parameter(Tag.SOURCE_TELEMATICS_ID, Kind.INT, 1, 2),
        _parameter(Tag.QOS_TIME_TO_LIVE, Kind.INT, 4),
        _parameter(Tag.PAYLOAD_TYPE, Kind.INT, 1),
        _parameter(Tag.ADDITIONAL_STATUS_INFO_TEXT, Kind.CSTR, 1, 256),
        _parameter(Tag.RECEIPTED_MESSAGE_ID, Kind.CSTR, 1, 65),
        _parameter(Tag.MS_MSG_WAIT_FACILITIES, Kind.BITS, 1),
        _parameter(Tag.PRIVACY_INDICATOR, Kind.INT, 1),
        _parameter(Tag.SOURCE_SUBADDRESS, Kind.OCTETS, 2, 23),
        _parameter(Tag.DEST_SUBADDRESS, Kind.OCTETS, 2, 23),
        _parameter(Tag.USER_MESSAGE_REFERENCE, Kind.INT, 2),
        _parameter(Tag.USER_RESPONSE_CODE, Kind.INT, 1),
        _parameter(Tag.SOURCE_PORT, Kind.INT, 2),
        _parameter(Tag.DEST_PORT, Kind.INT, 2),
        _parameter(Tag.SAR_MSG_REF_NUM, Kind.INT, 2),
        _parameter(Tag.LANGUAGE_INDICATOR, Kind.INT, 1),
        _parameter(Tag.SAR_TOTAL_SEGMENTS, Kind.INT, 1),
        _parameter(Tag.SAR_SEGMENT_SEQNUM, Kind.INT, 1),
        _parameter(Tag.SC_INTERFACE_VERSION, Kind.INT, 1),
        _parameter(Tag.CALLBACK_NUM_PRES_IND, Kind.BITS, 1),
        _parameter(Tag.CALLBACK_NUM_ATAG, Kind.OCTETS, 0, 65),
        _parameter(Tag.NUMBER_OF_MESSAGES, Kind.INT, 1),
        _parameter(Tag.CALLBACK_NUM, Kind.OCTETS, 4, 19),
        _parameter(Tag.DPF_RESULT, Kind.INT, 1),
        _parameter(Tag.SET_DPF, Kind.INT, 1),
        _parameter(Tag.MS_AVAILABILITY_STATUS, Kind.INT, 1),
        _parameter(Tag.NETWORK_ERROR_CODE, Kind.OCTETS, 3),
        _parameter(Tag.MESSAGE_PAYLOAD, Kind.OCTETS, 0, 65_535),
        _parameter(Tag.DELIVERY_FAILURE_REASON, Kind.INT, 1),
        _parameter(Tag.MORE_MESSAGES_TO_SEND, Kind.INT, 1),
        _parameter(Tag.MESSAGE_STATE, Kind.INT, 1),
        _parameter(Tag.CONGESTION_STATE, Kind.INT, 1),
        _parameter(Tag.USSD_SERVICE_OP, Kind.INT, 1),
        _parameter(Tag.BROADCAST_CHANNEL_INDICATOR, Kind.INT, 1),
        _parameter(Tag.BROADCAST_CONTENT_TYPE, Kind.OCTETS, 3),
        _parameter(Tag.BROADCAST_CONTENT_TYPE_INFO, Kind.OCTETS, 0, 255),
        _parameter(Tag.BROADCAST_MESSAGE_CLASS, Kind.INT, 1),
        _parameter(Tag.BROADCAST_REP_NUM, Kind.INT, 2),
        _parameter(Tag.BROADCAST_FREQUENCY_INTERVAL, Kind.OCTETS, 3),
        _parameter(Tag.BROADCAST_AREA_IDENTIFIER, Kind.OCTETS, 1, 100),
        _parameter(Tag.BROADCAST_ERROR_STATUS, Kind.INT, 4),
        _parameter(Tag.BROADCAST_AREA_SUCCESS, Kind.INT, 1),
        _parameter(Tag.BROADCAST_END_TIME, Kind.OCTETS, 16, 17),
        _parameter(Tag.BROADCAST_SERVICE_GROUP, Kind.OCTETS, 1, 255),
        _parameter(Tag.BILLING_IDENTIFICATION, Kind.OCTETS, 1, 1024),
        _parameter(Tag.SOURCE_NETWORK_ID, Kind.CSTR, 7, 65),
        _parameter(Tag.DEST_NETWORK_ID, Kind.CSTR, 7, 65),
        _parameter(Tag.SOURCE_NODE_ID, Kind.OCTETS, 6),
        _parameter(Tag.DEST_NODE_ID, Kind.OCTETS, 6),
        _parameter(Tag.DEST_ADDR_NP_RESOLUTION, Kind.INT, 1),
        _parameter(Tag.DEST_ADDR_NP_INFORMATION, Kind.OCTETS, 10),
        _parameter(Tag.DEST_ADDR_NP_COUNTRY, Kind.OCTETS, 1, 5),
        _parameter(Tag.DISPLAY_TIME, Kind.INT, 1),
        _parameter(Tag.SMS_SIGNAL, Kind.INT, 2),
        _parameter(Tag.MS_VALIDITY, Kind.OCTETS, 1, 4),
        _parameter(Tag.ALERT_ON_MESSAGE_DELIVERY, Kind.NONE, 0, 1),
        _parameter(Tag.ITS_REPLY_TYPE, Kind.INT, 1),
        _parameter(Tag.ITS_SESSION_INFO, Kind.OCTETS, 2),
    ]
)


def first(tlvs: Tlvs, tag: int) -> bytes | None:
    """The value of the first TLV with `tag`, or None."""
    for found, value in tlvs:
        if found == tag:
            return value
    return None


def integer(value: bytes) -> int:
    """The number that a value is, whatever its length; 0 for none."""
    return int.from_bytes(value, "big")


def text(value: bytes) -> str:
    """The string that a value is, without the NUL at its end; some peers leave that out."""
    return str(value.removesuffix(b"\0"), "latin-1")


def pack(tag: int, value: int | str | bytes) -> tuple[int, bytes]:
    """The TLV of `tag`, for the `tlvs` of a PDU.

    Octets go into any TLV, a number only into one that is a number (or bits, or optional), a text only into
    a string. A tag that is not in TAGS takes octets only. Raises EncodeError where the value does not fit.
    """
    parameter = TAGS.get(tag) or Parameter(f"0x{tag:04X}", Kind.OCTETS, 0, 65_535)
    match value:
        case bytes():
            octets = value
        case str():
            octets = _cstr(parameter, value)
        case int():
            octets = _number(parameter, value)
    if not parameter.shortest <= len(octets) <= parameter.longest:
        bounds = f"{parameter.shortest} to {parameter.longest}"
        raise EncodeError(parameter.name, f"{len(octets)} octets, the TLV holds {bounds}")
    return tag, octets


def _cstr(parameter: Parameter, value: str) -> bytes:
    if parameter.kind is not Kind.CSTR:
        raise EncodeError(parameter.name, "the TLV is no string")
    if "\0" in value:
        raise EncodeError(parameter.name, "a NUL would end it")
    try:
        return value.encode("latin-1") + b"\0"
    except UnicodeEncodeError as error:
        raise EncodeError(parameter.name, f"the character at {error.start} is not one octet") from None


def _number(parameter: Parameter, value: int) -> bytes:
    if parameter.kind not in (Kind.INT, Kind.BITS, Kind.NONE):
        raise EncodeError(parameter.name, "the TLV is no number")
    for octets in range(max(parameter.shortest, 1), parameter.longest + 1):
        if 0 <= value < 1 << 8 * octets:
            return value.to_bytes(octets, "big")
    raise EncodeError(parameter.name, f"the number does not fit {parameter.longest} octets")


# ---- all of a PDU ----


def encode(tlvs: Tlvs) -> bytes:
    """The octets of `tlvs`, one behind the other. Raises EncodeError for a tag or a length above 65535."""
    parts: list[bytes] = []
    for tag, value in tlvs:
        if not 0 <= tag <= 0xFFFF:
            raise EncodeError("tlvs", "a tag does not fit 2 octets")
        if len(value) > 0xFFFF:
            raise EncodeError("tlvs", f"{len(value)} octets in tag 0x{tag:04X}, a TLV holds 65535")
        parts += (_pack_head(tag, len(value)), value)
    return b"".join(parts)


def decode(frame: bytes, at: int) -> Tlvs:
    """The TLVs of the PDU `frame` from `at` to its end, of any tag and length.

    Up to three NULs behind the last are ignored. Raises DecodeError for a TLV that is longer than the PDU.
    """
    found = []
    end = len(frame)
    while end - at >= 4:
        tag, length = _head_at(frame, at)
        start, at = at + 4, at + 4 + length
        if at > end:
            raise malformed(frame, Status.RINVTLVSTREAM, f"the TLV 0x{tag:04X} is longer than the PDU")
        found.append((tag, frame[start:at]))
    if any(frame[at:]):
        raise malformed(frame, Status.RINVTLVSTREAM, f"{end - at} octets behind the last TLV")
    return tuple(found)

"""A PDU field by field, in words, for people who look at traffic. Plain JSON types only.

Numbers keep their value in front of the words. Passwords are never shown, message texts only when asked for.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from trebuchet.protocols.smpp import times, tlv
from trebuchet.protocols.smpp.constants import (
    ACK_BY_USER,
    ACK_ON_DELIVERY,
    CONVERSATION_ABORT,
    DATAGRAM,
    DELIVERY_ACK,
    FORWARD,
    INTERMEDIATE,
    MODE_MASK,
    NOTIFY_INTERMEDIATE,
    RECEIPT,
    RECEIPT_MASK,
    RECEIPT_ON_ANY,
    RECEIPT_ON_FAILURE,
    RECEIPT_ON_SUCCESS,
    REPLY_PATH,
    STORE_AND_FORWARD,
    TYPE_MASK,
    UDHI,
    USER_ACK,
    Command,
    MessageState,
    Npi,
    Ton,
    status_name,
)
from trebuchet.protocols.smpp.errors import MalformedTime
from trebuchet.protocols.smpp.pdu import HIDDEN, DestAddress, Pdu
from trebuchet.protocols.smpp.tlv import Kind, Tag
from trebuchet.protocols.sms import MalformedHeader, dcs, udh

_TONS: Final = {ton.value: ton.name.lower().replace("_", " ") for ton in Ton}
_NPIS: Final[dict[int, str]] = {
    Npi.UNKNOWN: "unknown",
    Npi.E164: "E.164",
    Npi.DATA: "X.121",
    Npi.TELEX: "telex",
    Npi.LAND_MOBILE: "E.212",
    Npi.NATIONAL: "national",
    Npi.PRIVATE: "private",
    Npi.ERMES: "ERMES",
    Npi.INTERNET: "internet",
    Npi.WAP: "WAP",
}
_VENDOR_TAGS: Final = range(0x1400, 0x4000)
_MODES: Final = {DATAGRAM: "datagram", FORWARD: "forward", STORE_AND_FORWARD: "store and forward"}
_TYPES: Final = {
    RECEIPT: "delivery receipt",
    DELIVERY_ACK: "delivery acknowledgement",
    USER_ACK: "user acknowledgement",
    CONVERSATION_ABORT: "conversation abort",
    INTERMEDIATE: "intermediate notification",
}
_RECEIPTS: Final = {
    RECEIPT_ON_ANY: "receipt on success or failure",
    RECEIPT_ON_FAILURE: "receipt on failure",
    RECEIPT_ON_SUCCESS: "receipt on success",
}
_CODINGS: Final = {
    0x00: "SMSC default alphabet",
    0x05: "JIS",
    0x09: "pictogram",
    0x0D: "extended Kanji JIS",
}
_NETWORKS: Final = {
    1: "ANSI-136 access denied",
    2: "IS-95 access denied",
    3: "GSM",
    4: "ANSI-136 cause",
    5: "IS-95 cause",
    6: "ANSI-41",
    7: "SMPP",
    8: "message centre",
}
_TLV_WORDS: Final[dict[int, dict[int, str]]] = {
    Tag.DEST_ADDR_SUBUNIT: {
        0: "unknown",
        1: "display",
        2: "mobile equipment",
        3: "smart card",
        4: "external unit",
    },
    Tag.MESSAGE_STATE: {state.value: state.name for state in MessageState},
    Tag.DELIVERY_FAILURE_REASON: {
        0: "destination unavailable",
        1: "destination address invalid",
        2: "permanent network error",
        3: "temporary network error",
    },
    Tag.MS_AVAILABILITY_STATUS: {0: "available", 1: "denied", 2: "unavailable"},
}


def describe(
    pdu: Pdu, *, show_text: bool = False, vendor_tags: Mapping[int, str] | None = None
) -> dict[str, object]:
    """What `pdu` says, under the specification's names, TLVs by name under "tlvs". Never fails for a decoded PDU.

    Instead of a message text there is its number of octets unless `show_text`; a user data header is shown
    under "user_data_header" in any case. `vendor_tags` gives names to tags that the specification leaves open.
    """
    coding, esm_class = getattr(pdu, "data_coding", 0), getattr(pdu, "esm_class", 0)

    def message(octets: bytes) -> str:
        return message_in_words(octets, coding, esm_class, show_text=show_text)

    said: dict[str, object] = {
        "command": Command(pdu.COMMAND).name.lower(),
        "command_status": status_name(pdu.status),
        "sequence_number": pdu.sequence,
    }
    for name in pdu.__struct_fields__[len(Pdu.__struct_fields__) :]:
        value = getattr(pdu, name)
        said[name] = message(value) if name == "short_message" else in_words(name, value)
    octets = getattr(pdu, "short_message", b"") or tlv.first(pdu.tlvs, Tag.MESSAGE_PAYLOAD) or b""
    if esm_class & UDHI:
        said["user_data_header"] = _header(octets)
    if pdu.tlvs:
        said["tlvs"] = [tlv_in_words(tag, value, vendor_tags or {}, message) for tag, value in pdu.tlvs]
    return said


# ---- fields ----


def in_words(name: str, value: Any) -> object:
    """The value of a field of a body, except short_message."""
    if isinstance(value, tuple):
        return [_structure(item) for item in value]
    words = _WORDS.get(name)
    return words(value) if words else value


def _structure(item: Any) -> dict[str, object]:
    """One destination, with the fields that its flag says it has; or one failure."""
    names = list(item.__struct_fields__)
    if isinstance(item, DestAddress):
        names = ["dl_name"] if item.dest_flag == 2 else names[1:-1]
    return {name: in_words(name, getattr(item, name)) for name in names}


def _number(value: int, words: Mapping[int, str]) -> str:
    return f"{value} {words.get(value, 'reserved')}"


def _octet(value: int, words: list[str], nothing: str) -> str:
    return f"0x{value:02X} {', '.join(words) or nothing}"


def _ton(value: int) -> str:
    return _number(value, _TONS)


def _npi(value: int) -> str:
    return _number(value, _NPIS)


def _esm_class(value: int) -> str:
    words = []
    if value & MODE_MASK:
        words.append(_MODES[value & MODE_MASK])
    if value & TYPE_MASK:
        words.append(_TYPES.get(value & TYPE_MASK, "reserved message type"))
    if value & UDHI:
        words.append("user data header")
    if value & REPLY_PATH:
        words.append("reply path")
    return _octet(value, words, "default")


def _registered_delivery(value: int) -> str:
    words = []
    if value & RECEIPT_MASK:
        words.append(_RECEIPTS[value & RECEIPT_MASK])
    if value & ACK_ON_DELIVERY:
        words.append("delivery acknowledgement")
    if value & ACK_BY_USER:
        words.append("user acknowledgement")
    if value & NOTIFY_INTERMEDIATE:
        words.append("intermediate notifications")
    if value & 0xE0:
        words.append("reserved bits")
    return _octet(value, words, "no receipt")


def _data_coding(value: int) -> str:
    words = [_CODINGS.get(value) or dcs.encoding_of(value).value]
    match value >> 4:
        case 0x1 | 0xF:
            words.append(f"class {value & 0x03}")
        case 0xC | 0xD | 0xE:
            words.append("message waiting")
    return _octet(value, words, "")


def _version(value: int) -> str:
    return f"{value >> 4}.{value & 0x0F}"


def _time(text: str) -> str:
    if not text:
        return ""
    try:
        match times.parse(text):
            case times.Relative(seconds):
                return f"{text} after {seconds} s"
            case times.Absolute(epoch_s):
                return f"{text} at {datetime.fromtimestamp(epoch_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except MalformedTime:
        return f"{text} malformed"


def _message_state(value: int) -> str:
    return _number(value, _TLV_WORDS[Tag.MESSAGE_STATE])


def _password(_: str) -> str:
    return HIDDEN


_WORDS: Final[dict[str, Callable[[Any], str]]] = {
    "password": _password,
    "interface_version": _version,
    "addr_ton": _ton,
    "addr_npi": _npi,
    "source_addr_ton": _ton,
    "source_addr_npi": _npi,
    "dest_addr_ton": _ton,
    "dest_addr_npi": _npi,
    "esme_addr_ton": _ton,
    "esme_addr_npi": _npi,
    "esm_class": _esm_class,
    "registered_delivery": _registered_delivery,
    "data_coding": _data_coding,
    "schedule_delivery_time": _time,
    "validity_period": _time,
    "final_date": _time,
    "message_state": _message_state,
    "error_status_code": status_name,
}


# ---- the message itself ----


def message_in_words(octets: bytes, coding: int, esm_class: int, *, show_text: bool) -> str:
    """The text behind the user data header, or the number of octets with it. Hexadecimal where it is no text."""
    if not show_text:
        return f"{len(octets)} octets"
    body, shift = octets, 0
    if esm_class & UDHI:
        try:
            elements, body = udh.parse(octets)
            shift = udh.single_shift_of(elements)
        except MalformedHeader:
            return octets.hex()
    text = dcs.decode(body, coding, single_shift=shift)
    return body.hex() if text is None else text


def _header(octets: bytes) -> list[str]:
    try:
        elements, _ = udh.parse(octets)
    except MalformedHeader:
        return ["malformed"]
    return [element_in_words(element) for element in elements]


def element_in_words(element: udh.Element) -> str:
    """An element of a user data header."""
    part = udh.concatenation_of([element])
    if part:
        return f"part {part.sequence} of {part.total}, reference {part.reference}"
    return f"element 0x{element.identifier:02X} {element.data.hex()}".rstrip()


# ---- optional parameters ----


def tlv_in_words(
    tag: int, value: bytes, vendor_tags: Mapping[int, str], message: Callable[[bytes], str]
) -> dict[str, object]:
    """An optional parameter; `message` says what a message_payload is."""
    parameter = tlv.TAGS.get(tag)
    if parameter is None:
        name = vendor_tags.get(tag) or ("vendor specific" if tag in _VENDOR_TAGS else "unknown")
        return {"tag": f"0x{tag:04X}", "name": name, "value": value.hex()}
    said: object
    if tag == Tag.MESSAGE_PAYLOAD:
        said = message(value)
    elif not parameter.shortest <= len(value) <= parameter.longest:
        said = f"{value.hex()} of a wrong length".lstrip()
    else:
        said = _value(tag, parameter.kind, value)
    return {"tag": f"0x{tag:04X}", "name": parameter.name, "value": said}


def _value(tag: int, kind: Kind, value: bytes) -> object:
    match tag:
        case Tag.NETWORK_ERROR_CODE:
            return f"{_NETWORKS.get(value[0], f'network {value[0]}')} {tlv.integer(value[1:])}"
        case Tag.SC_INTERFACE_VERSION:
            return _version(value[0])
        case Tag.BROADCAST_ERROR_STATUS:
            return status_name(tlv.integer(value))
    if tag in _TLV_WORDS:
        return _number(tlv.integer(value), _TLV_WORDS[tag])
    match kind:
        case Kind.INT:
            return tlv.integer(value)
        case Kind.CSTR:
            return tlv.text(value)
        case Kind.NONE:
            return tlv.integer(value) if value else True
    return value.hex()

"""PDUs to octets and back: strict in writing, liberal within bounds in reading.

Source: SMPP 3.4 sections 3.1, 3.2 and 4; SMPP 5.0 sections 3 and 4.

The layout of a body is the order of the fields in its class; what a field is like on the wire is one row of a
table here. Both directions of every PDU follow from that. The PDUs of which there are two or more for each
message also have one of the `shortcuts`: it takes the ordinary case and leaves everything else, and every
complaint, to the table.

What reading tolerates, because peers do it:
- strings longer than their field, up to 64 characters, message ids up to 255;
- a last string without its NUL;
- an error response that ends before its body does, and a response without its only string;
- up to three NULs behind the last TLV.
"""

import struct
from typing import Any, Final

import msgspec

from trebuchet.protocols.smpp import shortcuts, tlv
from trebuchet.protocols.smpp.constants import (
    HEADER_OCTETS,
    MAX_PDU_OCTETS,
    READ_CHARACTERS,
    READ_MESSAGE_ID_CHARACTERS,
    RESPONSE,
    Status,
)
from trebuchet.protocols.smpp.errors import DecodeError, EncodeError, malformed
from trebuchet.protocols.smpp.pdu import (
    CLASSES,
    BindResp,
    DeliverSmResp,
    DestAddress,
    MessageIdResp,
    Pdu,
    UnsuccessSme,
)

_pack_header: Final = struct.Struct(">IIII").pack
_header_at: Final = struct.Struct(">IIII").unpack_from

_LENIENT_PASSWORD: Final = 64


class _Text(msgspec.Struct, frozen=True):
    """A string and its NUL: at most `longest` characters; with `whole`, none or just so many."""

    longest: int
    status: Status  # the answer to one that is longer than reading takes
    whole: bool = False
    read_longest: int = READ_CHARACTERS


class _Number(msgspec.Struct, frozen=True):
    octets: int


class _Octets(msgspec.Struct, frozen=True):
    """A length octet and so many octets."""


class _List(msgspec.Struct, frozen=True):
    """A count octet and so many structures."""

    least: int


_Field = _Text | _Number | _Octets | _List

# Every field that is not one octet. The same name is the same on the wire in every PDU.
# data_sm and alert_notification have addresses of 64 characters by 3.4; nobody has one of more than 20.
_FIELDS: Final[dict[str, _Field]] = {
    "system_id": _Text(15, Status.RINVSYSID),
    "password": _Text(8, Status.RINVPASWD),
    "system_type": _Text(12, Status.RINVSYSTYP),
    "address_range": _Text(40, Status.RBINDFAIL),
    "service_type": _Text(5, Status.RINVSERTYP),
    "source_addr": _Text(20, Status.RINVSRCADR),
    "destination_addr": _Text(20, Status.RINVDSTADR),
    "esme_addr": _Text(20, Status.RINVDSTADR),
    "dl_name": _Text(20, Status.RINVDLNAME),
    "message_id": _Text(64, Status.RINVMSGID, read_longest=READ_MESSAGE_ID_CHARACTERS),
    "schedule_delivery_time": _Text(16, Status.RINVSCHED, whole=True),
    "validity_period": _Text(16, Status.RINVEXPIRY, whole=True),
    "final_date": _Text(16, Status.RINVMSGLEN, whole=True),
    "short_message": _Octets(),
    "dest_address": _List(least=1),
    "unsuccess_sme": _List(least=0),
    "error_status_code": _Number(4),
}
_OCTET: Final = _Number(1)

_HEADER_FIELDS: Final = len(Pdu.__struct_fields__)
LAYOUTS: Final = {
    command: tuple((name, _FIELDS.get(name, _OCTET)) for name in kind.__struct_fields__[_HEADER_FIELDS:])
    for command, kind in CLASSES.items()
}
_SME_LAYOUT: Final = ("dest_addr_ton", "dest_addr_npi", "destination_addr")
_DEST_LAYOUTS: Final = {1: _SME_LAYOUT, 2: ("dl_name",)}  # by dest_flag
_UNSUCCESS_LAYOUT: Final = (*_SME_LAYOUT, "error_status_code")


def encode(pdu: Pdu, *, lenient: bool = False) -> bytes:
    """The octets of `pdu`, with its header. Does not change `pdu`.

    Raises EncodeError for whatever the wire cannot hold, and for a short_message beside a message_payload.
    `lenient` lets passwords have up to 64 characters, against the specification: some carriers give such out.
    """
    short_cut = shortcuts.ENCODERS.get(pdu.COMMAND)
    if short_cut is not None:
        octets = short_cut(pdu)
        if octets is not None:
            return octets
    return _encode_by_table(pdu, lenient)


def decode(frame: bytes) -> Pdu:
    """The PDU that is `frame`, from its command_length to its last octet.

    Raises DecodeError, and nothing else, for whatever is not a PDU; its `status` is what to answer.
    """
    if len(frame) < HEADER_OCTETS:
        raise DecodeError(Status.RINVCMDLEN, 0, 0, f"a PDU of {len(frame)} octets has no header")
    length, command, status, sequence = _header_at(frame)
    if length != len(frame):
        raise malformed(
            frame, Status.RINVCMDLEN, f"command_length is {length}, there are {len(frame)} octets"
        )
    short_cut = shortcuts.DECODERS.get(command)
    if short_cut is not None:
        pdu = short_cut(frame, status, sequence)
        if pdu is not None:
            return pdu
    if command not in CLASSES:
        raise malformed(frame, Status.RINVCMDID, f"there is no command_id 0x{command:08X}")
    return _decode_by_table(frame, command, status, sequence)


# ---- writing, by the table ----


def _encode_by_table(pdu: Pdu, lenient: bool) -> bytes:
    _check_number("command_status", pdu.status, 4)
    _check_number("sequence_number", pdu.sequence, 4)
    parts = [b""]
    if not _says_nothing(pdu):
        if getattr(pdu, "short_message", b"") and tlv.first(pdu.tlvs, tlv.Tag.MESSAGE_PAYLOAD) is not None:
            raise EncodeError("short_message", "there is a message_payload, too")
        parts += [_write(n, field, getattr(pdu, n), lenient) for n, field in LAYOUTS[pdu.COMMAND]]
        parts.append(tlv.encode(pdu.tlvs))
    length = HEADER_OCTETS + sum(map(len, parts))
    if length > MAX_PDU_OCTETS:
        raise EncodeError("command_length", f"{length} octets, a PDU takes {MAX_PDU_OCTETS}")
    parts[0] = _pack_header(length, pdu.COMMAND, pdu.status, pdu.sequence)
    return b"".join(parts)


def _says_nothing(pdu: Pdu) -> bool:
    """Whether this is an error response without a body (SMPP 3.4 sections 4.1.2 and 4.4.2).

    A deliver_sm_resp always has its NUL (section 4.6.2).
    """
    if not pdu.status or pdu.tlvs or isinstance(pdu, DeliverSmResp):
        return False
    match pdu:
        case BindResp():
            return not pdu.system_id
        case MessageIdResp():
            return not pdu.message_id
    return False


def _write(name: str, field: _Field, value: Any, lenient: bool = False) -> bytes:
    match field:
        case _Text():
            return _write_text(name, field, value, lenient)
        case _Number():
            _check_number(name, value, field.octets)
            return bytes(value.to_bytes(field.octets, "big"))
        case _Octets():
            return _write_count(name, value) + bytes(value)
        case _List():
            if len(value) < field.least:
                raise EncodeError(name, "there must be one at least")
            return _write_count(name, value) + b"".join(map(_write_structure, value))


def _write_text(name: str, field: _Text, value: str, lenient: bool) -> bytes:
    longest = _LENIENT_PASSWORD if lenient and name == "password" else field.longest
    if len(value) > longest:
        raise EncodeError(name, f"{len(value)} characters, the field holds {longest}")
    if field.whole and len(value) not in (0, longest):
        raise EncodeError(name, f"{len(value)} characters, the field holds none or {longest}")
    if "\0" in value:
        raise EncodeError(name, "a NUL would end it")
    try:
        return value.encode("latin-1") + b"\0"
    except UnicodeEncodeError as error:
        raise EncodeError(name, f"the character at {error.start} is not one octet") from None


def _check_number(name: str, value: int, octets: int) -> None:
    if not 0 <= value < 1 << 8 * octets:
        raise EncodeError(name, f"the number does not fit {octets} octets")


def _write_count(name: str, value: bytes | tuple[object, ...]) -> bytes:
    if len(value) > 255:
        raise EncodeError(name, f"{len(value)} of them, the field counts to 255")
    return bytes([len(value)])


def _write_structure(item: DestAddress | UnsuccessSme) -> bytes:
    if isinstance(item, UnsuccessSme):
        return b"".join(_write_named(name, item) for name in _UNSUCCESS_LAYOUT)
    layout = _DEST_LAYOUTS.get(item.dest_flag)
    if layout is None:
        raise EncodeError("dest_flag", "neither 1 nor 2")
    for name in item.__struct_fields__[1:]:
        if name not in layout and getattr(item, name):
            raise EncodeError(name, f"not a field of dest_flag {item.dest_flag}")
    return bytes([item.dest_flag]) + b"".join(_write_named(name, item) for name in layout)


def _write_named(name: str, item: DestAddress | UnsuccessSme) -> bytes:
    return _write(name, _FIELDS.get(name, _OCTET), getattr(item, name))


# ---- reading, by the table ----


def _decode_by_table(frame: bytes, command: int, status: int, sequence: int) -> Pdu:
    layout = LAYOUTS[command]
    kind = CLASSES[command]
    # An error response needs no body; others have been seen without the id that is all their body.
    may_end = bool(command & RESPONSE and (status or issubclass(kind, BindResp | MessageIdResp)))
    values: dict[str, Any] = {}
    at = HEADER_OCTETS
    for name, field in layout:
        if may_end and at == len(frame):
            break
        values[name], at = read_field(frame, at, name, field)
    return kind(sequence=sequence, status=status, tlvs=tlv.decode(frame, at), **values)


def read_field(frame: bytes, at: int, name: str, field: _Field) -> tuple[Any, int]:
    """The value of the field that starts at `at`, and where the next one starts. Raises DecodeError."""
    if at == len(frame):
        raise malformed(frame, Status.RINVMSGLEN, f"the PDU ends before {name}")
    match field:
        case _Text():
            return _read_text(frame, at, name, field)
        case _Number():
            end = at + field.octets
            if end > len(frame):
                raise malformed(frame, Status.RINVMSGLEN, f"the PDU ends in {name}")
            return int.from_bytes(frame[at:end], "big"), end
        case _Octets():
            end = at + 1 + frame[at]
            if end > len(frame):
                raise malformed(frame, Status.RINVMSGLEN, f"the PDU ends in {name}")
            return frame[at + 1 : end], end
        case _List():
            return _read_list(frame, at, name, field)


def _read_text(frame: bytes, at: int, name: str, field: _Text) -> tuple[str, int]:
    end = frame.find(0, at, at + field.read_longest + 1)
    if end < 0:
        end = len(frame)
        if end - at > field.read_longest:
            raise malformed(frame, field.status, f"{name} has more than {field.read_longest} characters")
        return str(frame[at:], "latin-1"), end
    return str(frame[at:end], "latin-1"), end + 1


def _read_list(frame: bytes, at: int, name: str, field: _List) -> tuple[tuple[Any, ...], int]:
    count = frame[at]
    if count < field.least:
        raise malformed(frame, Status.RINVNUMDESTS, f"{name} is empty")
    items = []
    at += 1
    for _ in range(count):
        item, at = _read_dest(frame, at) if name == "dest_address" else _read_unsuccess(frame, at)
        items.append(item)
    return tuple(items), at


def _read_dest(frame: bytes, at: int) -> tuple[DestAddress, int]:
    flag, at = read_field(frame, at, "dest_flag", _OCTET)
    layout = _DEST_LAYOUTS.get(flag)
    if layout is None:
        raise malformed(frame, Status.RINVDESTFLAG, f"dest_flag {flag} is neither 1 nor 2")
    values, at = _read_named(frame, at, layout)
    return DestAddress(dest_flag=flag, **values), at


def _read_unsuccess(frame: bytes, at: int) -> tuple[UnsuccessSme, int]:
    values, at = _read_named(frame, at, _UNSUCCESS_LAYOUT)
    return UnsuccessSme(**values), at


def _read_named(frame: bytes, at: int, layout: tuple[str, ...]) -> tuple[dict[str, Any], int]:
    values = {}
    for name in layout:
        values[name], at = read_field(frame, at, name, _FIELDS.get(name, _OCTET))
    return values, at

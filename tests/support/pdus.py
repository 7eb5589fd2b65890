"""Any PDU that can be written, for property tests; and frames with one thing wrong."""

from typing import Any

from hypothesis import strategies as st

from trebuchet.protocols.smpp.pdu import CLASSES, DestAddress, Pdu, UnsuccessSme
from trebuchet.protocols.smpp.tlv import Tag

# Source: SMPP 3.4 section 4; the characters that a field holds without its NUL.
LONGEST = {
    "system_id": 15,
    "password": 8,
    "system_type": 12,
    "address_range": 40,
    "service_type": 5,
    "source_addr": 20,
    "destination_addr": 20,
    "esme_addr": 20,
    "dl_name": 20,
    "message_id": 64,
}
TIMES = ("schedule_delivery_time", "validity_period", "final_date")

octet = st.integers(0, 255)
uint32 = st.integers(0, 0xFFFF_FFFF)


def texts(longest: int, shortest: int = 0) -> st.SearchStrategy[str]:
    """Strings of octets other than NUL."""
    return st.text(st.characters(min_codepoint=1, max_codepoint=255), min_size=shortest, max_size=longest)


addresses = st.builds(
    DestAddress, dest_addr_ton=octet, dest_addr_npi=octet, destination_addr=texts(LONGEST["destination_addr"])
) | st.builds(DestAddress, dest_flag=st.just(2), dl_name=texts(LONGEST["dl_name"]))
failures = st.builds(
    UnsuccessSme,
    dest_addr_ton=octet,
    dest_addr_npi=octet,
    destination_addr=texts(LONGEST["destination_addr"]),
    error_status_code=uint32,
)
tlvs = st.lists(
    st.tuples(st.sampled_from(list(Tag)).map(int) | st.integers(0, 0xFFFF), st.binary(max_size=40)),
    max_size=4,
).map(tuple)


def _values(name: str) -> st.SearchStrategy[Any]:
    if name in LONGEST:
        return texts(LONGEST[name])
    if name in TIMES:
        return st.just("") | texts(16, 16)
    match name:
        case "sequence" | "status":
            return uint32
        case "tlvs":
            return tlvs
        case "short_message":
            return st.binary(max_size=255)
        case "dest_address":
            return st.lists(addresses, min_size=1, max_size=5).map(tuple)
        case "unsuccess_sme":
            return st.lists(failures, max_size=5).map(tuple)
    return octet


def _one_text(pdu: Pdu) -> Pdu:
    """Without a message_payload where there is a short_message."""
    if getattr(pdu, "short_message", b""):
        pdu.tlvs = tuple(found for found in pdu.tlvs if found[0] != Tag.MESSAGE_PAYLOAD)
    return pdu


def pdus(kind: type[Pdu]) -> st.SearchStrategy[Pdu]:
    """PDUs of one class, with any values that its fields hold."""
    return st.builds(kind, **{name: _values(name) for name in kind.__struct_fields__}).map(_one_text)


any_pdu = st.sampled_from(list(CLASSES.values())).flatmap(pdus)


def frame(command: int, body: str = "", status: int = 0, sequence: int = 7) -> bytes:
    """A PDU with the right length, whatever its hexadecimal body."""
    octets = bytes.fromhex(body)
    return b"".join(n.to_bytes(4, "big") for n in (16 + len(octets), command, status, sequence)) + octets

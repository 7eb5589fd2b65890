"""A capture file that Wireshark opens: PDUs dressed as TCP segments between two fixed addresses.

Classic pcap with microseconds and Ethernet frames (draft-ietf-opsawg-pcap). What is captured is what passed, in
order; the addresses, the ports and the acknowledgements are for the reader's comfort, and there is no handshake.
"""

import struct
from typing import Final

from trebuchet.protocols.smpp.constants import MAX_PDU_OCTETS

PORT: Final = 2775  # of the SMSC
_OUR_FIRST_PORT: Final = 40_000
_US: Final = bytes([10, 0, 0, 1])
_PEER: Final = bytes([10, 0, 0, 2])
_MAC_US: Final = bytes.fromhex("020000000001")
_MAC_PEER: Final = bytes.fromhex("020000000002")
_IPV4: Final = b"\x08\x00"
_TCP: Final = 6
_PUSH_AND_ACK: Final = 0x18
_SEGMENT_MAX: Final = 60_000  # octets of one segment: an IP packet has 65,535


def header() -> bytes:
    """The start of the file."""
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, MAX_PDU_OCTETS + 100, 1)


class Stream:
    """One TCP connection in the file: it keeps the sequence numbers.

    `number`, from 0, tells the connections of a file apart: readers take those with the same ports for one.
    """

    def __init__(self, number: int = 0) -> None:
        self._our_port = _OUR_FIRST_PORT + number
        self._sent = {True: 1, False: 1}  # octets of each direction, from 1

    def packets(self, at_ms: int, outbound: bool, octets: bytes) -> bytes:
        """The records of one PDU; more than one for a very long one."""
        found = []
        for start in range(0, len(octets), _SEGMENT_MAX):
            piece = octets[start : start + _SEGMENT_MAX]
            frame = self._frame(outbound, piece)
            seconds, ms = divmod(at_ms, 1000)
            found.append(struct.pack("<IIII", seconds, ms * 1000, len(frame), len(frame)) + frame)
        return b"".join(found)

    def _frame(self, outbound: bool, piece: bytes) -> bytes:
        us, peer = (_US, self._our_port), (_PEER, PORT)
        (source, source_port), (target, target_port) = (us, peer) if outbound else (peer, us)
        sequence, acknowledged = self._sent[outbound], self._sent[not outbound]
        self._sent[outbound] = (sequence + len(piece)) & 0xFFFFFFFF
        tcp = struct.pack(
            ">HHIIBBHHH",
            source_port,
            target_port,
            sequence,
            acknowledged,
            5 << 4,
            _PUSH_AND_ACK,
            65_535,
            0,
            0,
        )
        pseudo = source + target + struct.pack(">BBH", 0, _TCP, len(tcp) + len(piece))
        tcp = tcp[:16] + checksum(pseudo + tcp + piece).to_bytes(2) + tcp[18:]
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp) + len(piece), 0, 0x4000, 64, _TCP, 0, source, target
        )
        ip = ip[:10] + checksum(ip).to_bytes(2) + ip[12:]
        macs = _MAC_PEER + _MAC_US if outbound else _MAC_US + _MAC_PEER
        return macs + _IPV4 + ip + tcp + piece


def checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(octets) % 2:
        octets += b"\0"
    total: int = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF

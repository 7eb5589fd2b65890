"""Captures: PDUs as TCP segments that other programs read."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols import pcap


def records(octets: bytes) -> list[tuple[int, int, bytes]]:
    """Seconds, microseconds and frame of each record behind the header."""
    at, found = 24, []
    while at < len(octets):
        seconds, us, length, whole = struct.unpack_from("<IIII", octets, at)
        assert length == whole
        found.append((seconds, us, octets[at + 16 : at + 16 + length]))
        at += 16 + length
    return found


def parts(frame: bytes) -> tuple[bytes, bytes, bytes]:
    """IP header, TCP header and payload of a frame."""
    assert frame[12:14] == b"\x08\x00"
    ip, tcp = frame[14:34], frame[34:54]
    assert int.from_bytes(ip[2:4]) == len(frame) - 14
    return ip, tcp, frame[54:]


def test_a_file_begins_as_every_capture_does() -> None:
    """Little-endian, version 2.4, Ethernet."""
    assert struct.unpack("<IHHiIII", pcap.header())[:3] == (0xA1B2C3D4, 2, 4)
    assert struct.unpack("<IHHiIII", pcap.header())[-1] == 1


def test_a_conversation_keeps_its_sequence_numbers() -> None:
    """Each side's next number is the one that the other acknowledges; ports tell the sides apart."""
    stream = pcap.Stream()
    file = (
        pcap.header() + stream.packets(1_000_500, True, b"ask") + stream.packets(1_000_750, False, b"answer!")
    )
    (first_s, first_us, first), (_, second_us, second) = records(file)
    assert (first_s, first_us, second_us) == (1000, 500_000, 750_000)
    (_, out, asked), (_, back, answered) = parts(first), parts(second)
    assert (asked, answered) == (b"ask", b"answer!")
    assert struct.unpack(">HHII", out[:12]) == (40_000, pcap.PORT, 1, 1)
    assert struct.unpack(">HHII", back[:12]) == (pcap.PORT, 40_000, 1, 4)


def test_connections_of_a_file_are_told_apart() -> None:
    """By our port: each has its own sequence numbers, which would else be taken for repetitions."""
    first, second = pcap.Stream(0), pcap.Stream(1)
    file = pcap.header() + first.packets(0, True, b"one") + second.packets(0, True, b"two")
    heads = [struct.unpack(">HHII", parts(frame)[1][:12]) for _, _, frame in records(file)]
    assert heads == [(40_000, pcap.PORT, 1, 1), (40_001, pcap.PORT, 1, 1)]


@given(st.binary(min_size=1, max_size=400), st.booleans())
def test_checksums_are_right(octets: bytes, outbound: bool) -> None:
    """The sum over a header with its checksum is zero (RFC 1071)."""
    ((_, _, frame),) = records(pcap.header() + pcap.Stream().packets(0, outbound, octets))
    ip, tcp, payload = parts(frame)
    pseudo = ip[12:20] + struct.pack(">BBH", 0, 6, len(tcp) + len(payload))
    assert pcap.checksum(ip) == 0
    assert pcap.checksum(pseudo + tcp + payload) == 0


def test_a_very_long_pdu_is_several_segments() -> None:
    """An IP packet has 65,535 octets at most."""
    octets = bytes(70_000)
    found = records(pcap.header() + pcap.Stream().packets(0, True, octets))
    assert b"".join(parts(frame)[2] for _, _, frame in found) == octets

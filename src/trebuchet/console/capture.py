"""A capture file of the PDUs that a page shows. Pure."""

import struct

from trebuchet.api.problems import invalid_field
from trebuchet.protocols import pcap


def written(lines: str) -> bytes:
    """`lines` are PDUs: milliseconds since the epoch, `in` or `out`, bind and octets in hex, by blanks.

    Each bind becomes a connection. Raises Problem for a line that is none of these.
    """
    streams: dict[str, pcap.Stream] = {}
    packets = [pcap.header()]
    for line in lines.splitlines():
        try:
            at_ms, direction, bind, octets = line.split(" ")
            stream = streams.setdefault(bind, pcap.Stream(len(streams)))
            packets.append(stream.packets(int(at_ms), direction == "out", bytes.fromhex(octets)))
        except (ValueError, struct.error) as error:
            raise invalid_field("pdus", "'pdus' must be lines of time, direction, bind and octets") from error
    return b"".join(packets)

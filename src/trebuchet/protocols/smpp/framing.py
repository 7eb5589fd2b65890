"""Where one PDU ends and the next begins. Source: SMPP 3.4 section 3.2 (command_length)."""

import struct

from trebuchet.protocols.smpp.constants import HEADER_OCTETS, MAX_PDU_OCTETS
from trebuchet.protocols.smpp.errors import FramingError

_length_at = struct.Struct(">I").unpack_from


class Framer:
    """Cuts the octets of one connection into PDUs, however they arrive.

    Holds less than `max_pdu` octets between calls, and moves each octet a bounded number of times.

    `broken` is set once a command_length is below 16 or above `max_pdu`: where the next PDU begins cannot be
    known then, and nothing is returned any more.
    """

    def __init__(self, max_pdu: int = MAX_PDU_OCTETS) -> None:
        self.broken: FramingError | None = None
        self._max_pdu = max_pdu
        self._held = bytearray()  # the beginning of a PDU, without its end
        self._wanted = 4  # octets of that PDU that must be there before looking again

    def feed(self, data: bytes) -> list[bytes]:
        """The PDUs that `data` completes, whole and in order. After `broken`: none."""
        if self.broken is not None:
            return []
        if self._held:
            self._held += data
            if len(self._held) < self._wanted:
                return []
            data = bytes(self._held)
            self._held.clear()
        frames: list[bytes] = []
        at, end = 0, len(data)
        self._wanted = 4
        while end - at >= 4:
            (length,) = _length_at(data, at)
            if not HEADER_OCTETS <= length <= self._max_pdu:
                bounds = f"{HEADER_OCTETS} to {self._max_pdu}"
                self.broken = FramingError(length, f"the command_length is {length}, not {bounds}")
                return frames
            if end - at < length:
                self._wanted = length
                break
            frames.append(data[at : at + length])
            at += length
        self._held += data[at:]
        return frames

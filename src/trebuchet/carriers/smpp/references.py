"""Concatenation references: which number ties the parts of a long message together."""

import zlib
from collections import OrderedDict

_PAIRS_MAX = 10_000


class References:
    """The references of one link. Remembers the last one of each pair of numbers, the newest 10,000 pairs."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()

    def next(self, source: str, to: str, message_id: str) -> int:
        """16 bits: the next one of this pair of numbers; the same again when a message repeats."""
        pair = (source, to)
        known = self._last.pop(pair, None)
        if known is None:
            reference = zlib.crc32(message_id.encode()) & 0xFFFF
        else:
            reference = known[1] if known[0] == message_id else (known[1] + 1) & 0xFFFF
        self._last[pair] = (message_id, reference)
        if len(self._last) > _PAIRS_MAX:
            self._last.popitem(last=False)
        return reference

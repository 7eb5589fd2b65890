"""Parts of a long inbound message, held until all of them are there.

Which parts belong together is told by the carrier, the two numbers, the reference with its width, and the total:
each of them has been seen to differ between messages that have all the others in common.
"""

import enum
from collections.abc import Mapping

import msgspec


class PartsKey(msgspec.Struct, array_like=True, frozen=True):
    """What the parts of one message have in common."""

    carrier_id: str
    source: str
    destination: str
    reference: int
    width: int  # of the reference in bits
    total: int


class HeldPart(msgspec.Struct, array_like=True, frozen=True):
    """One part that waits for the others; the columns of `parts`."""

    carrier_id: str
    source: str
    destination: str
    reference: int
    width: int
    total: int
    number: int  # from 1
    encoding: str  # `protocols.sms.Encoding`
    octets: bytes  # user data without its header
    single_shift: int  # national language of escape pairs, 0 for none
    received_ms: int
    carrier_message_id: str

    @property
    def key(self) -> PartsKey:
        return PartsKey(
            self.carrier_id, self.source, self.destination, self.reference, self.width, self.total
        )


class PartsTaken(msgspec.Struct, frozen=True):
    """The parts that a message was made of: so many of one set, and the set has no others."""

    key: PartsKey
    count: int


class Holding(enum.Enum):
    """What became of a part."""

    HELD = "held"  # others of its set are missing
    COMPLETE = "complete"  # its set is whole, with it or without
    IN_THE_WAY = "in the way"  # not held: an earlier set under the same key has to go first
    ALONE = "alone"  # not held: a part of a young set has the same number and says something else


def hold(there: Mapping[int, HeldPart], part: HeldPart, stale_before_ms: int) -> Holding:
    """What to do with a part, given the parts of its set that are there, by number.

    A part that came before changes nothing. One that differs from it belongs to another message under the same
    reference: the reference is used again if the set is whole, or began before `stale_before_ms`; else two
    messages cross each other, and the part is better shown alone than mixed into the wrong one.
    """
    known = there.get(part.number)
    if known is None:
        return Holding.COMPLETE if len(there) + 1 == part.total else Holding.HELD
    whole = len(there) == part.total
    if (known.octets, known.encoding) == (part.octets, part.encoding):
        return Holding.COMPLETE if whole else Holding.HELD
    if whole or min(held.received_ms for held in there.values()) < stale_before_ms:
        return Holding.IN_THE_WAY
    return Holding.ALONE

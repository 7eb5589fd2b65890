"""Joining the parts of a long message. Source: 3GPP TS 23.040 section 9.2.3.24.1.

Octets are joined first and decoded after, because some peers cut surrogate pairs and escape pairs. Which
parts belong together (addresses, reference, total, width of the reference) and how long to wait is the
caller's matter.
"""

from collections.abc import Iterable

import msgspec

from trebuchet.protocols.sms import dcs
from trebuchet.protocols.sms.dcs import Encoding


class Part(msgspec.Struct, frozen=True):
    """One received part: its number from 1, and its user data without the header."""

    sequence: int
    body: bytes


class Reassembled(msgspec.Struct, frozen=True):
    """What the parts say. `text` is None if they are no text; `missing` are the numbers of absent parts."""

    text: str | None
    octets: bytes
    missing: tuple[int, ...]


def join(
    total: int,
    parts: Iterable[Part],
    coding: int,
    default: Encoding = Encoding.GSM7,
    ia5: Encoding = Encoding.ASCII,
    single_shift: int = 0,
) -> Reassembled:
    """Join `parts` of a message of `total`, in whatever order they came. Of a repeated number the first
    counts.

    Octets on both sides of a missing part are decoded apart, so a pair cut there spoils nothing but itself.
    The coding and its options are as in `dcs.decode`. Raises ValueError for a number that is not 1 to
    `total`.
    """
    bodies: dict[int, bytes] = {}
    for part in parts:
        if not 1 <= part.sequence <= total:
            raise ValueError(f"there is no part {part.sequence} of {total}")
        bodies.setdefault(part.sequence, part.body)

    runs = [b""]
    missing = []
    for sequence in range(1, total + 1):
        if sequence in bodies:
            runs[-1] += bodies[sequence]
        else:
            missing.append(sequence)
            runs.append(b"")
    texts = [dcs.decode(run, coding, default, ia5, single_shift) for run in runs]
    readable = [text for text in texts if text is not None]
    return Reassembled("".join(readable) if readable else None, b"".join(runs), tuple(missing))

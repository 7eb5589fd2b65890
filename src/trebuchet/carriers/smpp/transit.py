"""One shipment under way: its parts, what the SMSC said to each, and what that makes of the whole. Pure.

A shipment is one submit_sm per part. Its parts may be under way at once; what becomes of it is decided when the
last of them is answered. A part that the SMSC refuses for the moment, while others of its message are taken
already, stays here and is submitted again, because the message as a whole cannot go back to its lane.
"""

import msgspec

from trebuchet.carriers.base import Accepted, Lost, Outcome, Refused, RetryAt, Shipment, Snooze
from trebuchet.carriers.smpp.outcomes import Kind, Verdict
from trebuchet.protocols.smpp.pdu import SubmitSm

RETRY_FIRST_MS = 1_000
_RETRY_MAX_MS = 60_000
_PART_TRIES_MAX = 5  # of a part that stays here, for reasons that count as a try
_GRAVITY = {Kind.LINK_FAULT: 0, Kind.THROTTLED: 1, Kind.RETRY: 2, Kind.LOST: 3, Kind.REFUSED: 4}


class Transit:
    """One shipment under way. Of each part: its id once it is taken, and the verdict once it is answered."""

    __slots__ = ("answers", "ids", "out", "parts", "pdus", "shipment", "tries")

    def __init__(self, shipment: Shipment, parts: list[SubmitSm]) -> None:
        self.shipment = shipment
        self.parts = parts
        self.ids: list[str | None] = [None] * len(parts)
        self.answers: list[Verdict | None] = [None] * len(parts)
        self.out = 0  # parts that wait for their answer
        self.tries = 0  # rounds that parts of it stayed here for
        self.pdus: list[tuple[int, str, bytes]] = []

    @property
    def begun(self) -> bool:
        """A part of it is out, or with the SMSC."""
        return self.out > 0 or any(id_ is not None for id_ in self.ids)

    @property
    def spoiled(self) -> bool:
        """A part was refused, or lost: the others that are still here need not go out."""
        return any(answer is not None and answer.kind in (Kind.REFUSED, Kind.LOST) for answer in self.answers)

    @property
    def taken(self) -> tuple[tuple[int, str], ...]:
        """The parts that the SMSC took, with its ids."""
        return tuple((number, id_) for number, id_ in enumerate(self.ids) if id_ is not None)

    def lost(self, why: str) -> Lost:
        return Lost(why, self.taken, len(self.parts), tuple(self.pdus))

    def begin_again(self, *, counts: bool) -> list[int]:
        """Forget the answers to the parts that were not taken; their numbers. `counts` as a round or not."""
        self.tries += counts
        missing = [number for number, id_ in enumerate(self.ids) if id_ is None]
        for number in missing:
            self.answers[number] = None
        return missing


class Again(msgspec.Struct, frozen=True):
    """Some parts are taken, the others are to be submitted again, before all else."""

    counts: bool  # as a try; not so if the SMSC throttled or the bind was at fault


def conclusion(transit: Transit, now_ms: int, ready_ms: int | None) -> Outcome | Again | None:
    """What became of a shipment, once nothing of it is out any more; None before. Pure.

    `ready_ms` is when the rate allows the next part, None if it does now.
    """
    if transit.out or (None in transit.answers and not transit.spoiled):
        return None
    contrary = [a for a in transit.answers if a is not None and a.kind is not Kind.TAKEN]
    pdus = tuple(transit.pdus)
    if not contrary:
        return Accepted((tuple(i or "" for i in transit.ids),), pdus=pdus)
    worst = max(contrary, key=lambda verdict: _GRAVITY[verdict.kind])
    taken = transit.taken
    if worst.kind is Kind.REFUSED:
        return Refused(worst.error_code, worst.words, taken=taken, pdus=pdus)
    if worst.kind is Kind.LOST:
        return transit.lost("the carrier did not answer")
    attempt = transit.shipment.attempt + transit.tries
    if worst.kind is Kind.RETRY and (attempt >= worst.tries or transit.tries >= _PART_TRIES_MAX):
        return Refused(worst.error_code, worst.words, taken=taken, pdus=pdus)
    if taken:
        return Again(counts=worst.kind is Kind.RETRY)
    if worst.kind is Kind.RETRY:
        due_ms = now_ms + min(RETRY_FIRST_MS << (attempt - 1), _RETRY_MAX_MS)
        return RetryAt(due_ms, worst.error_code, worst.words, pdus=pdus)
    return Snooze(max(ready_ms or now_ms, now_ms + 1), worst.words, pdus=pdus)

"""Parts of long inbound messages, inside the caller's transaction."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from trebuchet.model.parts import HeldPart, Holding, PartsKey, PartsTaken, hold
from trebuchet.storage.base import HoldPart, PartHeld
from trebuchet.storage.sql import reads
from trebuchet.storage.sql import statements as sql
from trebuchet.storage.sql.steps import Steps, over, value


def hold_parts(changes: Sequence[HoldPart]) -> Steps[list[PartHeld]]:
    """Each change after the other, as if each were alone in its batch."""
    sets: defaultdict[PartsKey, dict[int, HeldPart]] = defaultdict(dict)
    for row in (yield from over(sql.PARTS_OF, list({change.part.key for change in changes}))):
        part = reads.part_from_row(row)
        sets[part.key][part.number] = part
    held: list[HeldPart] = []
    found: list[tuple[Holding, list[HeldPart]]] = []
    for change in changes:
        part = change.part
        there = sets[part.key]
        holding = hold(there, part, change.stale_before_ms)
        if part.number not in there:
            there[part.number] = part
            held.append(part)
        shown = holding in (Holding.COMPLETE, Holding.IN_THE_WAY)
        found.append((holding, [there[number] for number in sorted(there)] if shown else []))
    yield from over(sql.INSERT_PARTS, held)
    total = yield from value(sql.COUNT_PARTS)
    return [PartHeld(holding, parts, total) for holding, parts in found]


def take_parts(taken: Sequence[PartsTaken]) -> Steps[set[PartsTaken]]:
    """Delete those sets that are just as large as expected, and say which."""
    keys = list({t.key for t in taken})
    there = Counter(PartsKey(*row) for row in (yield from over(sql.PARTS_LOCKED, keys)))
    whole = {t for t in taken if there[t.key] == t.count}
    yield from over(sql.DELETE_PARTS, list({t.key for t in whole}))
    return whole

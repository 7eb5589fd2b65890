"""Parts of long inbound messages, on the writing connection and inside the caller's transaction."""

from collections import defaultdict
from collections.abc import Sequence

from trebuchet.model.parts import HeldPart, Holding, PartsKey, PartsTaken, hold
from trebuchet.storage.base import HoldPart, PartHeld
from trebuchet.storage.sqlite import reads
from trebuchet.storage.sqlite import statements as sql
from trebuchet.storage.sqlite.dbapi import Connection
from trebuchet.storage.sqlite.rows import run, select


def hold_parts(connection: Connection, changes: Sequence[HoldPart]) -> list[PartHeld]:
    """Each change after the other, as if each were alone in its batch."""
    sets: defaultdict[PartsKey, dict[int, HeldPart]] = defaultdict(dict)
    for row in select(connection, sql.PARTS_OF, list({change.part.key for change in changes})):
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
    run(connection, sql.INSERT_PARTS, held)
    total = connection.execute(sql.COUNT_PARTS).fetchone()[0]
    return [PartHeld(holding, parts, total) for holding, parts in found]


def take_parts(connection: Connection, taken: Sequence[PartsTaken]) -> set[PartsTaken]:
    """Delete those sets that are just as large as expected, and say which."""
    rows = [(*_values(t.key), t.count) for t in taken]
    whole = {taken[row[0]] for row in select(connection, sql.PARTS_AS_COUNTED, rows)}
    run(connection, sql.DELETE_PARTS, [t.key for t in whole])
    return whole


def _values(key: PartsKey) -> tuple[str | int, ...]:
    return (key.carrier_id, key.source, key.destination, key.reference, key.width, key.total)

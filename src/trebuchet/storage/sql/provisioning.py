"""Creating, changing and removing the provisioned records, inside the caller's transaction.

What refers to what is one table, `_KINDS`; the foreign keys of the schema say the same and are the second line
of defence.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from trebuchet.errors import AlreadyExists, InUse, NotFound
from trebuchet.model.account import Account, Application, Carrier, Credential, Number, OptOut, Route, User
from trebuchet.model.message import MEDIA_LANE
from trebuchet.storage.base import Record
from trebuchet.storage.sql.queries import IN_ROW
from trebuchet.storage.sql.steps import Steps, ask, value


class _Reference(msgspec.Struct, frozen=True):
    """Columns of a record that must be the key, or part of it and more, of a row of another table."""

    table: str
    columns: dict[str, str]  # column of that table → field of the record
    missing: Callable[[Any], str]


class _Use(msgspec.Struct, frozen=True):
    """Rows that stand in the way of a removal. `count` takes the key of the record."""

    noun: str
    count: str


class _Kind(msgspec.Struct, frozen=True):
    table: str
    noun: str
    key: tuple[str, ...]
    references: tuple[_Reference, ...] = ()
    uses: tuple[_Use, ...] = ()
    takes_along: str | None = None  # what goes with a removed record


_ACCOUNT = _Reference("accounts", {"id": "account_id"}, lambda r: f"account {r.account_id} does not exist")

# All work of a lane is for one carrier, so the first row of each lane tells, however many there are. In the lane of
# media each row has its own; few wait there.
_WORK_OF_CARRIER = f"""
WITH RECURSIVE lanes(lane) AS (
    SELECT min(lane) FROM outbox
    UNION ALL
    SELECT (SELECT min(lane) FROM outbox WHERE lane > lanes.lane) FROM lanes WHERE lanes.lane IS NOT NULL
)
SELECT coalesce(sum(CASE WHEN lanes.lane = '{MEDIA_LANE}' THEN (
        SELECT count(*) FROM outbox AS o WHERE o.lane = lanes.lane AND EXISTS (
            SELECT 1 FROM deliveries AS d
            WHERE d.message_id = o.message_id AND d.carrier_id = ? AND {IN_ROW}))
    ELSE (SELECT count(*) FROM outbox AS o WHERE o.lane = lanes.lane)
    END), 0) FROM lanes
WHERE lanes.lane = '{MEDIA_LANE}' OR EXISTS (
    SELECT 1 FROM (SELECT message_id, recipient FROM outbox WHERE lane = lanes.lane ORDER BY due_ms LIMIT 1) AS o
    CROSS JOIN deliveries AS d ON d.message_id = o.message_id AND {IN_ROW}
    WHERE d.carrier_id = ?)"""

_KINDS: dict[type, _Kind] = {
    Account: _Kind(
        "accounts",
        "account",
        ("id",),
        uses=(
            _Use("number", "SELECT count(*) FROM numbers WHERE account_id = ?"),
            _Use("application", "SELECT count(*) FROM applications WHERE account_id = ?"),
            _Use(
                "credential", "SELECT count(*) FROM credentials WHERE account_id = ? AND revoked_ms IS NULL"
            ),
        ),
        # Revoked credentials cannot be removed by themselves: they are kept to be looked up.
        takes_along="DELETE FROM credentials WHERE account_id = ?",
    ),
    Credential: _Kind("credentials", "credential", ("token",), (_ACCOUNT,)),
    Application: _Kind(
        "applications",
        "application",
        ("id",),
        (_ACCOUNT,),
        (_Use("number", "SELECT count(*) FROM numbers WHERE application_id = ?"),),
    ),
    Number: _Kind(
        "numbers",
        "number",
        ("number",),
        (
            _ACCOUNT,
            _Reference(
                "applications",
                {"id": "application_id", "account_id": "account_id"},
                lambda r: f"account {r.account_id} has no application {r.application_id}",
            ),
        ),
    ),
    Carrier: _Kind(
        "carriers",
        "carrier",
        ("id",),
        uses=(
            _Use("route", "SELECT count(*) FROM routes WHERE carrier_id = ?"),
            _Use("queued submit", _WORK_OF_CARRIER),
        ),
    ),
    Route: _Kind(
        "routes",
        "route",
        ("id",),
        (_Reference("carriers", {"id": "carrier_id"}, lambda r: f"carrier {r.carrier_id} does not exist"),),
    ),
    OptOut: _Kind("opt_outs", "opt-out", ("number", "handset")),
    User: _Kind("users", "user", ("name",)),
}


def create(record: Record) -> Steps[None]:
    """Raises AlreadyExists, or NotFound if what the record refers to is missing."""
    kind = _KINDS[type(record)]
    if (yield from _exists(kind, record)):
        raise AlreadyExists(f"{_called(kind, record)} already exists")
    yield from _check_references(kind, record)
    values = _values(record)
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    yield from ask(f"INSERT INTO {kind.table} ({names}) VALUES ({marks})", *values.values())


def change(record: Record) -> Steps[None]:
    """Replace the record with this key. Raises NotFound if it, or what it refers to, is missing."""
    kind = _KINDS[type(record)]
    yield from _check_exists(kind, record)
    yield from _check_references(kind, record)
    values = _values(record)
    fields = [name for name in values if name not in kind.key]
    assignments = ", ".join(f'"{name}" = ?' for name in fields)
    parameters = [values[name] for name in fields] + _key(kind, record)
    yield from ask(f"UPDATE {kind.table} SET {assignments} WHERE {_by_key(kind)}", *parameters)


def remove(record: Record) -> Steps[None]:
    """Delete the record with this key; its other fields do not matter. Raises NotFound or InUse."""
    kind = _KINDS[type(record)]
    yield from _check_exists(kind, record)
    key = _key(kind, record)
    held = []
    for use in kind.uses:
        # As often as the statement asks for it.
        rows = int((yield from value(use.count, *key * use.count.count("?"))))
        if rows:
            held.append(f"{rows} {use.noun}{'s' if rows > 1 else ''}")
    if held:
        reasons = " and ".join(filter(None, [", ".join(held[:-1]), held[-1]]))
        raise InUse(f"{_called(kind, record)} still has {reasons}")
    if kind.takes_along is not None:
        yield from ask(kind.takes_along, *key)
    yield from ask(f"DELETE FROM {kind.table} WHERE {_by_key(kind)}", *key)


def _check_exists(kind: _Kind, record: Record) -> Steps[None]:
    if not (yield from _exists(kind, record)):
        raise NotFound(f"{_called(kind, record)} does not exist")


def _exists(kind: _Kind, record: Record) -> Steps[bool]:
    found = yield from ask(f"SELECT 1 FROM {kind.table} WHERE {_by_key(kind)}", *_key(kind, record))
    return bool(found)


def _check_references(kind: _Kind, record: Record) -> Steps[None]:
    for reference in kind.references:
        condition = " AND ".join(f"{column} = ?" for column in reference.columns)
        values = [getattr(record, field) for field in reference.columns.values()]
        if not (yield from ask(f"SELECT 1 FROM {reference.table} WHERE {condition}", *values)):
            raise NotFound(reference.missing(record))


def _called(kind: _Kind, record: Record) -> str:
    return f"{kind.noun} {' / '.join(_key(kind, record))}"


def _key(kind: _Kind, record: Record) -> list[str]:
    return [str(getattr(record, field)) for field in kind.key]


def _by_key(kind: _Kind) -> str:
    return " AND ".join(f'"{field}" = ?' for field in kind.key)


def _values(record: Record) -> dict[str, Any]:
    """Columns and values of the record's row; lists and objects as JSON text."""
    return {
        name: msgspec.json.encode(value).decode() if isinstance(value, list | tuple | dict) else value
        for name, value in msgspec.to_builtins(record, builtin_types=()).items()
    }

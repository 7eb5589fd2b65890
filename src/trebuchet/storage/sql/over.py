"""Statements over rows, and the words in which the engines differ.

The texts are SQL that SQLite, PostgreSQL and the databases that speak as PostgreSQL does share, but for this:

- `?` is a parameter; `IN (EACH ?)` takes a list of texts.
- `CROSS JOIN … ON` is a join whose order SQLite keeps, as written; elsewhere the planner has its way.
- A unary plus before a column keeps SQLite off an index, and so does `INDEXED BY`, which names the other one.
- `FOR UPDATE OF …` and `FOR SHARE OF …` lock rows where several write at once. SQLite has one writer.
- `NOW_MS()` is the database's clock, in milliseconds since the epoch.

Each engine makes of them what it takes (`render` in its `texts`).
"""

import enum
import typing
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Final

import msgspec

_encode = msgspec.json.Encoder().encode

NUL_MARK: Final = "\ufdd0"
"""A noncharacter, which no text should have: stands for NUL in texts of an engine that cannot store that."""

Values = Callable[[Any], Iterable[Any]]


class Conflict(enum.Enum):
    """What an insert does about a row whose key is there."""

    FAIL = "fail"
    REPLACE = "replace"
    KEEP = "keep"  # the one that is there


class Over:
    """A statement that finds its rows as the table `k`. `values` makes them of what it is given; compared by identity.

    `columns` names them with their types, as in `message_id text, recipient int`; the types are text, int and float.
    """

    def __init__(self, columns: str, text: str, values: Values | None = None) -> None:
        self.columns, self.types = zip(
            *(column.strip().rsplit(" ", 1) for column in columns.split(",")), strict=True
        )
        self.text = text
        self.values = values

    def rows(self, given: typing.Sequence[Any]) -> typing.Sequence[Any]:
        """What is given as rows of values."""
        return given if self.values is None else [self.values(one) for one in given]


class Insert(Over):
    """Rows into all columns of a table; `key` names those of its primary key if the conflict matters."""

    def __init__(
        self,
        table: str,
        columns: str,
        *,
        key: tuple[str, ...] = (),
        conflict: Conflict = Conflict.FAIL,
        values: Values | None = None,
    ) -> None:
        super().__init__(columns, "", values)
        self.table = table
        self.key = key
        self.conflict = conflict

    @property
    def names(self) -> str:
        return ", ".join(self.columns)


def columns_of(struct: Any, names: tuple[str, ...] = ()) -> str:
    """The columns that a struct fills, or those of them that are named, quoted and with their types."""
    types = typing.get_type_hints(struct)
    fields: tuple[str, ...] = names or struct.__struct_fields__
    return ", ".join(f'"{name}" {_column_type(types[name])}' for name in fields)


def _column_type(kind: Any) -> str:
    kinds = [each for each in (typing.get_args(kind) or (kind,)) if each is not type(None)]
    if kinds == [int]:
        return "int"
    return "float" if kinds == [float] else "text"


def values_of(struct: Any) -> Values:
    """What makes a row of a struct: tuples become JSON, octets base64."""
    types = typing.get_type_hints(struct)
    names: tuple[str, ...] = struct.__struct_fields__
    # A driver takes longer over an enum, which is a string, than over its value.
    get = attrgetter(*(f"{name}._value_" if _is_enum(types[name]) else name for name in names))
    written = [(place, make) for place, name in enumerate(names) if (make := _written(types[name]))]
    if not written:
        return get

    def values(row: Any) -> list[Any]:
        given = list(get(row))
        for place, make in written:
            given[place] = make(given[place])
        return given

    return values


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.StrEnum)


def _written(kind: Any) -> Callable[[Any], Any] | None:
    """For a type that has no column type of its own."""
    kinds = {typing.get_origin(each) or each for each in (typing.get_args(kind) or (kind,))} | {
        typing.get_origin(kind)
    }
    if bytes in kinds:
        return lambda octets: None if octets is None else _encode(octets)[1:-1].decode()
    if tuple in kinds:
        return lambda items: None if items is None else _encode(items).decode()
    return None

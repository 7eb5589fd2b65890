"""Statements over rows, each value of a row a parameter of its own.

Three to four times as fast as rows in one JSON parameter, at some length of text. So that SQLite compiles each text
once, a statement has few of them: for 1, 2, 4 … rows.
"""

import enum
import typing
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, Final

import msgspec

ROWS: Final = "{rows}"
_ROWS_MAX: Final = 64  # of one step; the widest table has 18 columns, and SQLite takes 32,766 parameters
_encode = msgspec.json.Encoder().encode


class Over:
    """A statement with `{rows}` where the rows stand, `width` values each; `values` makes them of what it is given."""

    def __init__(
        self, statement: str, width: int, values: Callable[[Any], Iterable[Any]] | None = None
    ) -> None:
        self.values = values
        self._before, self._after = statement.split(ROWS)
        self._row = f"({', '.join('?' * width)})"
        self._texts: dict[int, str] = {}

    def text(self, count: int) -> str:
        """The statement for so many rows, always the same object."""
        known = self._texts.get(count)
        if known is None:
            known = self._texts[count] = self._before + ", ".join([self._row] * count) + self._after
        return known

    @staticmethod
    def counts(total: int) -> Iterator[int]:
        """How many rows each step takes."""
        while total:
            count = min(_ROWS_MAX, 1 << total.bit_length() - 1)
            yield count
            total -= count


def values_of(struct: Any) -> Callable[[Any], Iterable[Any]]:
    """What makes a row of a struct, as `rows_parameter` would: tuples become JSON, octets base64."""
    types = typing.get_type_hints(struct)
    names: tuple[str, ...] = struct.__struct_fields__
    # The driver takes longer over an enum, which is a string, than over its value.
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

"""Statements as SQLite takes them: what the engines write differently (`storage.sql.over`), and rows as parameters.

Each value of a row is a parameter of its own: three to four times as fast as rows in one JSON parameter, at some
length of text. So that SQLite compiles each text once, a statement has few of them: for 1, 2, 4 … rows.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import msgspec

from trebuchet.storage.sql.over import Conflict, Insert, Over

_ROWS_MAX: Final = 64  # of one step; the widest table has 18 columns, and SQLite takes 32,766 parameters
_LOCK: Final = re.compile(r"\s+FOR (UPDATE|SHARE) OF [\w, ]+$")
_NOW_MS: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
_VERBS: Final = {
    Conflict.FAIL: "INSERT",
    Conflict.REPLACE: "INSERT OR REPLACE",
    Conflict.KEEP: "INSERT OR IGNORE",
}
_encode = msgspec.json.Encoder().encode

Step = tuple[str, Sequence[Any]]


@lru_cache(maxsize=1024)
def render(text: str) -> str:
    """A statement of `storage.sql` as SQLite takes it."""
    text = _LOCK.sub("", text).replace("NOW_MS()", _NOW_MS)
    return text.replace("(EACH ?)", "(SELECT value FROM json_each(?))")


def parameters(given: Sequence[Any]) -> Sequence[Any]:
    """Values as the driver takes them: a list is one JSON text."""
    if any(type(value) is list for value in given):
        return [_encode(value).decode() if type(value) is list else value for value in given]
    return given


def steps(statement: Over, rows: Sequence[Any]) -> Iterator[Step]:
    """Each step's text and parameters, always the same text for the same number of rows."""
    values = statement.rows(rows)
    start = 0
    while start < len(values):
        count = min(_ROWS_MAX, 1 << (len(values) - start).bit_length() - 1)
        yield _text(statement, count), list(chain.from_iterable(values[start : start + count]))
        start += count


@lru_cache(maxsize=1024)
def _text(statement: Over, count: int) -> str:
    row = f"({', '.join('?' * len(statement.columns))})"
    rows = ", ".join([row] * count)
    if isinstance(statement, Insert):
        return f"{_VERBS[statement.conflict]} INTO {statement.table} ({statement.names}) VALUES {rows}"
    return f"WITH k({', '.join(statement.columns)}) AS (VALUES {rows}) {render(statement.text)}"

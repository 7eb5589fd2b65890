"""Statements as PostgreSQL takes them: what the engines write differently (`storage.sql.over`), and rows as arrays.

Rows travel as one array per column, so a statement has one text whatever the number of its rows.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any, Final

from trebuchet.storage.sql.over import NUL_MARK, Conflict, Insert, Over

_TYPES: Final = {"text": "text[]", "int": "int8[]", "float": "float8[]"}

# What SQLite is told of its planner is left out; the rest has another name.
_WORDS: Final = (
    (re.compile(r"\bCROSS JOIN\b"), "JOIN"),
    (re.compile(r" INDEXED BY \w+"), ""),
    (re.compile(r"(?<=[ (])\+(?=[a-z]+\.)"), ""),
    (re.compile(r"\binstr\("), "strpos("),
    (re.compile(r"\blength\(CAST\(([\w.]+) AS BLOB\)\)"), r"octet_length(\1)"),
    (re.compile(r"\bIN \(EACH \?\)"), "= ANY(?::text[])"),
    (re.compile(r"\bNOW_MS\(\)"), "(extract(epoch FROM clock_timestamp()) * 1000)::int8"),
)


@lru_cache(maxsize=4096)
def render(text: str) -> str:
    """A statement of `storage.sql` as PostgreSQL takes it, its parameters numbered."""
    for pattern, word in _WORDS:
        text = pattern.sub(word, text)
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", text)


@lru_cache(maxsize=256)
def over(statement: Over) -> str:
    """A statement over rows; its parameters are what `columns` makes of them."""
    types = [f"${number}::{_TYPES[kind]}" for number, kind in enumerate(statement.types, 1)]
    rows = f"SELECT * FROM unnest({', '.join(types)})"
    if isinstance(statement, Insert):
        return f"INSERT INTO {statement.table} ({statement.names}) {rows}{_on_conflict(statement)}"
    return f"WITH k({', '.join(statement.columns)}) AS ({rows}) {render(statement.text)}"


def _on_conflict(insert: Insert) -> str:
    if insert.conflict is Conflict.FAIL:
        return ""
    key = ", ".join(f'"{name}"' for name in insert.key)
    if insert.conflict is Conflict.KEEP:
        return f" ON CONFLICT ({key}) DO NOTHING"
    others = [name for name in insert.columns if name.strip('"') not in insert.key]
    changed = ", ".join(f"{name} = excluded.{name}" for name in others)
    return f" ON CONFLICT ({key}) DO UPDATE SET {changed}"


def columns(statement: Over, rows: Sequence[Any]) -> list[list[Any]]:
    """Rows as one list per column. Of rows with the same key the last counts, as if they came one after the other."""
    values = statement.rows(rows)
    if isinstance(statement, Insert) and statement.conflict is Conflict.REPLACE and len(values) > 1:
        places = [statement.columns.index(f'"{name}"') for name in statement.key]
        values = list({tuple(row[place] for place in places): row for row in values}.values())
    return [list(column) for column in zip(*values, strict=True)]


def without_nul(given: Sequence[Any]) -> list[Any]:
    """Values in which `NUL_MARK` stands for each NUL, which PostgreSQL does not store."""
    return [_clean(value) for value in given]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", NUL_MARK)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    return value

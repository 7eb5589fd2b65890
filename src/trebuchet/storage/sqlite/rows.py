"""Rows on their way into the database, into a statement of `statements.py`: many in one step of SQLite."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec

from trebuchet.model.events import Announcement
from trebuchet.storage.sqlite import statements as sql
from trebuchet.storage.sqlite.dbapi import Connection
from trebuchet.storage.sqlite.over import Over

_encode = msgspec.json.Encoder().encode


def rows_parameter(rows: Sequence[Any]) -> str:
    """Rows, or array-like structs, as JSON; octets become base64."""
    return _encode(rows).decode()


def run(connection: Connection, statement: str | Over, rows: Sequence[Any]) -> None:
    """Carry out a statement over rows, if there are any."""
    for text, parameters in _steps(statement, rows):
        connection.execute(text, parameters)


def select(connection: Connection, statement: str | Over, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What a statement finds for keys; nothing without any. An order that it gives holds for each key."""
    found: list[tuple[Any, ...]] = []
    for text, parameters in _steps(statement, keys):
        found += connection.execute(text, parameters).fetchall()
    return found


def _steps(statement: str | Over, rows: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each step's text and parameters. A text that takes JSON takes all rows at once."""
    if not rows:
        return
    if isinstance(statement, str):
        yield statement, (rows_parameter(rows),)
        return
    values = [statement.values(row) for row in rows] if statement.values is not None else rows
    start = 0
    for count in statement.counts(len(rows)):
        yield statement.text(count), list(chain.from_iterable(values[start : start + count]))
        start += count


def announce(connection: Connection, announcements: Sequence[Announcement]) -> None:
    """Write events and queue their callbacks."""
    run(connection, sql.INSERT_EVENTS, [a.event for a in announcements])
    run(connection, sql.INSERT_CALLBACKS, [a.item for a in announcements])

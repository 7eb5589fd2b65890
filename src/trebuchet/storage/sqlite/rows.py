"""Rows on their way into the database: as the one parameter of a statement of `statements.py`."""

from collections.abc import Sequence
from typing import Any

import msgspec

from trebuchet.model.events import Announcement
from trebuchet.storage.sqlite import statements as sql
from trebuchet.storage.sqlite.dbapi import Connection

_encode = msgspec.json.Encoder().encode


def rows_parameter(rows: Sequence[Any]) -> str:
    """Rows, or array-like structs, as JSON; octets become base64."""
    return _encode(rows).decode()


def run(connection: Connection, statement: str, rows: Sequence[Any]) -> None:
    """Carry out a statement over rows, if there are any."""
    if rows:
        connection.execute(statement, (rows_parameter(rows),))


def select(connection: Connection, statement: str, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What a statement finds for keys; nothing without any."""
    return connection.execute(statement, (rows_parameter(keys),)).fetchall() if keys else []


def announce(connection: Connection, announcements: Sequence[Announcement]) -> None:
    """Write events and queue their callbacks."""
    run(connection, sql.INSERT_EVENTS, [a.event for a in announcements])
    run(connection, sql.INSERT_CALLBACKS, [a.item for a in announcements])

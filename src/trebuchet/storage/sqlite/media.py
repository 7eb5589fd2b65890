"""Media objects, the contents that they and messages refer to, and which contents nobody refers to any more."""

from collections.abc import Sequence

from trebuchet.model.media import Content, HeldMedia, MediaObject
from trebuchet.storage.base import DeleteMedia, PutMedia, SweepContents
from trebuchet.storage.sqlite import statements as sql
from trebuchet.storage.sqlite.dbapi import Connection
from trebuchet.storage.sqlite.queries import columns
from trebuchet.storage.sqlite.rows import run, select

_OBJECT = columns(MediaObject, "o")
_HELD = columns(HeldMedia, "h")
_CONTENT = columns(Content, "c")
_OBJECT_WIDTH = len(MediaObject.__struct_fields__)
_HELD_WIDTH = len(HeldMedia.__struct_fields__)

_FIND_CONTENTS = f"SELECT {_CONTENT} FROM contents AS c WHERE c.sha256 IN (SELECT value FROM json_each(?))"
_DELETE_OBJECT = "DELETE FROM media WHERE account_id = ? AND name = ?"

# stored before, limit. Contents are put before they are referred to, hence the age.
_SWEEP = """
DELETE FROM contents WHERE sha256 IN (
    SELECT c.sha256 FROM contents AS c
    WHERE c.stored_ms < ?
    AND NOT EXISTS (SELECT 1 FROM media AS o WHERE o.sha256 = c.sha256)
    AND NOT EXISTS (SELECT 1 FROM message_media AS h WHERE h.sha256 = c.sha256)
    LIMIT ?)
RETURNING object_key"""

_OBJECT_BY_NAME = f"""
SELECT {_OBJECT}, {_CONTENT} FROM media AS o CROSS JOIN contents AS c ON c.sha256 = o.sha256
WHERE o.account_id = ? AND o.name = ?"""
_OBJECTS_AFTER = f"""
SELECT {_OBJECT} FROM media AS o WHERE o.account_id = ? AND o.name > ? ORDER BY o.name LIMIT ?"""
_HELD_BY = f"""
SELECT {_HELD}, {_CONTENT} FROM message_media AS h CROSS JOIN contents AS c ON c.sha256 = h.sha256
WHERE h.message_id = ? ORDER BY h.place"""
_KNOWN_KEYS = "SELECT object_key FROM contents WHERE object_key IN (SELECT value FROM json_each(?))"


def refer(
    connection: Connection,
    contents: Sequence[Content],
    objects: Sequence[MediaObject],
    held: Sequence[HeldMedia],
) -> None:
    """Write rows of all three tables, where there are any. A content that is known stays as it is."""
    run(connection, sql.INSERT_CONTENTS, contents)
    run(connection, sql.INSERT_MEDIA, objects)
    run(connection, sql.INSERT_HELD_MEDIA, held)


def put(connection: Connection, changes: Sequence[PutMedia]) -> list[Content]:
    """The contents that are in use now."""
    refer(connection, [c.content for c in changes], [c.object for c in changes], ())
    found = select(connection, _FIND_CONTENTS, [c.content.sha256 for c in changes])
    by_digest = {row[0]: Content(*row) for row in found}
    return [by_digest[change.content.sha256] for change in changes]


def delete(connection: Connection, changes: Sequence[DeleteMedia]) -> list[bool]:
    """Whether each was there."""
    return [connection.execute(_DELETE_OBJECT, (c.account_id, c.name)).rowcount > 0 for c in changes]


def sweep(connection: Connection, changes: Sequence[SweepContents]) -> list[list[str]]:
    """The keys of the objects that are nobody's any more."""
    return [
        [row[0] for row in connection.execute(_SWEEP, (c.before_ms, c.limit)).fetchall()] for c in changes
    ]


# ---- reads ----


def media_object(connection: Connection, account_id: str, name: str) -> tuple[MediaObject, Content] | None:
    row = connection.execute(_OBJECT_BY_NAME, (account_id, name)).fetchone()
    return None if row is None else (MediaObject(*row[:_OBJECT_WIDTH]), Content(*row[_OBJECT_WIDTH:]))


def list_media(connection: Connection, account_id: str, after: str, limit: int) -> list[MediaObject]:
    return [MediaObject(*row) for row in connection.execute(_OBJECTS_AFTER, (account_id, after, limit))]


def held_media(connection: Connection, message_id: str) -> list[tuple[HeldMedia, Content]]:
    rows = connection.execute(_HELD_BY, (message_id,)).fetchall()
    return [(HeldMedia(*row[:_HELD_WIDTH]), Content(*row[_HELD_WIDTH:])) for row in rows]


def known_object_keys(connection: Connection, keys: Sequence[str]) -> set[str]:
    return {row[0] for row in select(connection, _KNOWN_KEYS, keys)}

"""Media objects, the contents that they and messages refer to, and which contents nobody refers to any more."""

from collections.abc import Sequence

from trebuchet.model.media import Content, HeldMedia, MediaObject
from trebuchet.storage.base import DeleteMedia, PutMedia, SweepContents
from trebuchet.storage.sql import statements as sql
from trebuchet.storage.sql.over import Over
from trebuchet.storage.sql.queries import columns
from trebuchet.storage.sql.steps import Steps, ask, ask_one, over

_OBJECT = columns(MediaObject, "o")
_HELD = columns(HeldMedia, "h")
_CONTENT = columns(Content, "c")
_OBJECT_WIDTH = len(MediaObject.__struct_fields__)
_HELD_WIDTH = len(HeldMedia.__struct_fields__)

_FIND_CONTENTS = Over(
    "sha256 text", f"SELECT {_CONTENT} FROM contents AS c WHERE c.sha256 IN (SELECT k.sha256 FROM k)"
)
_DELETE_OBJECT = "DELETE FROM media WHERE account_id = ? AND name = ? RETURNING 1"

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
_KNOWN_KEYS = Over(
    "object_key text",
    "SELECT object_key FROM contents WHERE object_key IN (SELECT k.object_key FROM k)",
)


def refer(
    contents: Sequence[Content], objects: Sequence[MediaObject], held: Sequence[HeldMedia]
) -> Steps[None]:
    """Write rows of all three tables, where there are any. A content that is known stays as it is."""
    yield from over(sql.INSERT_CONTENTS, contents)
    yield from over(sql.INSERT_MEDIA, objects)
    yield from over(sql.INSERT_HELD_MEDIA, held)


def put(changes: Sequence[PutMedia]) -> Steps[list[Content]]:
    """The contents that are in use now."""
    yield from refer([c.content for c in changes], [c.object for c in changes], ())
    found = yield from over(_FIND_CONTENTS, [(c.content.sha256,) for c in changes])
    by_digest = {row[0]: Content(*row) for row in found}
    return [by_digest[change.content.sha256] for change in changes]


def delete(change: DeleteMedia) -> Steps[bool]:
    """Whether it was there."""
    return bool((yield from ask(_DELETE_OBJECT, change.account_id, change.name)))


def sweep(change: SweepContents) -> Steps[list[str]]:
    """The keys of the objects that are nobody's any more."""
    return [row[0] for row in (yield from ask(_SWEEP, change.before_ms, change.limit))]


# ---- reads ----


def media_object(account_id: str, name: str) -> Steps[tuple[MediaObject, Content] | None]:
    row = yield from ask_one(_OBJECT_BY_NAME, account_id, name)
    return None if row is None else (MediaObject(*row[:_OBJECT_WIDTH]), Content(*row[_OBJECT_WIDTH:]))


def list_media(account_id: str, after: str, limit: int) -> Steps[list[MediaObject]]:
    return [MediaObject(*row) for row in (yield from ask(_OBJECTS_AFTER, account_id, after, limit))]


def held_media(message_id: str) -> Steps[list[tuple[HeldMedia, Content]]]:
    rows = yield from ask(_HELD_BY, message_id)
    return [(HeldMedia(*row[:_HELD_WIDTH]), Content(*row[_HELD_WIDTH:])) for row in rows]


def known_object_keys(keys: Sequence[str]) -> Steps[set[str]]:
    return {row[0] for row in (yield from over(_KNOWN_KEYS, [(key,) for key in keys]))}

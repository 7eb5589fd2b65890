"""The statements of the path, each over many rows, compiled once at import.

One step per statement and batch, or nearly: SQLite releases the interpreter lock during each, and gets it back late
when other threads work. The most frequent ones have their values as parameters (`over`), the others in one JSON
parameter, which may stand twice and be of any length.
"""

from collections.abc import Callable, Iterable
from typing import Any

from trebuchet.model.audit import AuditEntry
from trebuchet.model.events import Attempt, CallbackItem, Event
from trebuchet.model.media import Content, HeldMedia, MediaObject
from trebuchet.model.message import Delivery, Message, Pdu, Segment, WorkItem
from trebuchet.model.owed import OwedMail
from trebuchet.model.parts import HeldPart, PartsKey
from trebuchet.model.receipt import Receipt
from trebuchet.storage.base import Exchange, HandsetMessage
from trebuchet.storage.sqlite.over import ROWS, Over, values_of
from trebuchet.storage.sqlite.queries import IN_ROW, PARKED


def _columns(struct: type) -> tuple[str, ...]:
    return tuple(struct.__struct_fields__)  # type: ignore[attr-defined]  # msgspec has no protocol for it


def _names(columns: tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in columns)


def _insert(table: str, struct: type, verb: str = "INSERT") -> Over:
    columns = _columns(struct)
    return Over(f"{verb} INTO {table} ({_names(columns)}) VALUES {ROWS}", len(columns), values_of(struct))


def _over(columns: str, statement: str, values: Callable[[Any], Iterable[Any]] | None = None) -> Over:
    """A statement that finds its rows as the table k with these columns."""
    return Over(f"WITH k({columns}) AS (VALUES {ROWS}) {statement}", columns.count(",") + 1, values)


MESSAGE = _columns(Message)
DELIVERY = _columns(Delivery)
SEGMENT = _columns(Segment)

INSERT_MESSAGES = _insert("messages", Message)
INSERT_DELIVERIES = _insert("deliveries", Delivery)
INSERT_WORK = _insert("outbox", WorkItem)
INSERT_EVENTS = _insert("events", Event)
# An event that exists keeps its callback row: the same row again is not a second announcement.
INSERT_CALLBACKS = _insert("callbacks", CallbackItem, "INSERT OR REPLACE")
INSERT_ATTEMPTS = _insert("attempts", Attempt, "INSERT OR REPLACE")
INSERT_SEGMENTS = _insert("segments", Segment, "INSERT OR REPLACE")
INSERT_EXCHANGES = _insert("exchanges", Exchange, "INSERT OR REPLACE")
INSERT_HANDSET = _insert("handset_messages", HandsetMessage, "INSERT OR REPLACE")
INSERT_AUDIT = _insert("audit", AuditEntry, "INSERT OR REPLACE")
INSERT_PDUS = _insert("pdus", Pdu, "INSERT OR REPLACE")
INSERT_OWED = _insert("owed_mails", OwedMail, "INSERT OR REPLACE")
INSERT_PARTS = _insert("parts", HeldPart)
# The first content of a digest is kept: the object that its row names is the one that readers are told of.
INSERT_CONTENTS = _insert("contents", Content, "INSERT OR IGNORE")
INSERT_MEDIA = _insert("media", MediaObject, "INSERT OR REPLACE")
INSERT_HELD_MEDIA = _insert("message_media", HeldMedia, "INSERT OR REPLACE")
# rows: Receipt, conversion, match_key
_PARKED_COLUMNS = (*_columns(Receipt), "conversion", "match_key")
INSERT_PARKED = (
    f"INSERT OR REPLACE INTO parked_receipts ({_names(_PARKED_COLUMNS)})"
    f" SELECT {', '.join(f'value->>{place}' for place in range(len(_PARKED_COLUMNS)))} FROM json_each(?)"
)

# rows: [message_id, recipient, claimed_ms]
CLAIM_WORK = """
UPDATE outbox SET claimed_ms = k.value->>2 FROM json_each(?) AS k
WHERE message_id = k.value->>0 AND recipient = k.value->>1 AND claimed_ms IS NULL
RETURNING message_id, recipient"""

# rows: [message_id, recipient]
DELETE_WORK = Over(f"DELETE FROM outbox WHERE (message_id, recipient) IN (VALUES {ROWS})", 2)

# rows: WorkItem; back in the queue and no longer with a carrier
REQUEUE_WORK = """
UPDATE outbox SET lane = k.value->>0, due_ms = k.value->>1, attempts = k.value->>4, claimed_ms = NULL
FROM json_each(?) AS k WHERE message_id = k.value->>2 AND recipient = k.value->>3"""

# rows: Delivery; a delivery that became final in the meantime is left alone. "to" never changes.
UPDATE_DELIVERIES = _over(
    _names(DELIVERY),
    "UPDATE deliveries SET "
    + ", ".join(f'"{name}" = k."{name}"' for name in DELIVERY[3:])
    + """ FROM k WHERE deliveries.message_id = k.message_id AND deliveries.recipient = k.recipient
AND deliveries.state NOT IN ('DELIVERED', 'FAILED', 'UNDELIVERED')""",
    values_of(Delivery),
)

UPDATE_DELIVERIES_BY_RECEIPT = _over(
    "message_id, recipient, state, error_code, description, segments_delivered, receipt_due_ms, final_ms",
    """UPDATE deliveries SET state = k.state, error_code = k.error_code, description = k.description,
    segments_delivered = k.segments_delivered, receipt_due_ms = k.receipt_due_ms, final_ms = k.final_ms
FROM k WHERE deliveries.message_id = k.message_id AND deliveries.recipient = k.recipient""",
)

UPDATE_SEGMENTS = _over(
    "message_id, recipient, number, carrier_message_id, state, receipt_error, receipt_ms",
    """UPDATE segments SET state = k.state, receipt_error = k.receipt_error, receipt_ms = k.receipt_ms
FROM k WHERE segments.message_id = k.message_id AND segments.recipient = k.recipient
AND segments.number = k.number AND segments.carrier_message_id = k.carrier_message_id""",
)

# Newest message first, because carriers use their ids again.
SEGMENTS_BY_KEY = _over(
    "carrier_id, match_key",
    f"""SELECT m.application_id, m.kind, m.segment_count, {_names(SEGMENT, "s.")}, {_names(DELIVERY, "d.")}
FROM k CROSS JOIN segments AS s ON s.match_key = k.match_key AND s.carrier_id = k.carrier_id
CROSS JOIN deliveries AS d ON d.message_id = s.message_id AND d.recipient = s.recipient
CROSS JOIN messages AS m ON m.id = s.message_id
ORDER BY s.message_id DESC""",
)

# keys: [message_id, recipient]
SEGMENTS_BY_DELIVERY = f"""
SELECT m.application_id, m.kind, m.segment_count, {_names(SEGMENT, "s.")}, {_names(DELIVERY, "d.")}
FROM json_each(?) AS k
CROSS JOIN segments AS s ON s.message_id = k.value->>0 AND s.recipient = k.value->>1
CROSS JOIN deliveries AS d ON d.message_id = s.message_id AND d.recipient = s.recipient
CROSS JOIN messages AS m ON m.id = s.message_id"""

# keys: [message_id, recipient]
DELIVERIES_BY_KEY = f"""
SELECT m.application_id, m.kind, m.segment_count, {_names(DELIVERY, "d.")}
FROM json_each(?) AS k
CROSS JOIN deliveries AS d ON d.message_id = k.value->>0 AND d.recipient = k.value->>1
CROSS JOIN messages AS m ON m.id = d.message_id"""

_DOUBT = (
    f"m.application_id, m.kind, m.segment_count, m.source, m.text, m.received_ms, {_names(DELIVERY, 'd.')}"
)

# keys: [message_id, recipient]
DOUBTS_BY_KEY = f"""
SELECT {_DOUBT} FROM json_each(?) AS k
CROSS JOIN deliveries AS d ON d.message_id = k.value->>0 AND d.recipient = k.value->>1 AND d.state = 'IN_DOUBT'
CROSS JOIN messages AS m ON m.id = d.message_id"""

# keys: [carrier_id, handset, our number]
DOUBTS_BY_HANDSET = f"""
SELECT {_DOUBT} FROM json_each(?) AS k
CROSS JOIN deliveries AS d ON d.carrier_id = k.value->>0 AND d."to" = k.value->>1 AND d.state = 'IN_DOUBT'
CROSS JOIN messages AS m ON m.id = d.message_id AND m.source = k.value->>2"""

# A unary plus keeps SQLite off the primary key, of which it would walk all rows of the carrier.

# keys: [carrier_id, carrier_message_id, match_key] of segments
PARKED_FOR_SEGMENTS = f"""
SELECT {PARKED} FROM json_each(?1) AS k
CROSS JOIN parked_receipts AS p ON p.carrier_id = k.value->>0 AND p.carrier_message_id = k.value->>1
UNION SELECT {PARKED} FROM json_each(?1) AS k
CROSS JOIN parked_receipts AS p ON p.match_key = k.value->>2 AND +p.carrier_id = k.value->>0"""

# keys: [message_id, recipient] of deliveries in doubt; what names them, or is about their two numbers
_REFERENCE = "(k.value->>0) || '/' || (k.value->>1)"
PARKED_FOR_DOUBTS = f"""
SELECT {PARKED} FROM json_each(?1) AS k
CROSS JOIN parked_receipts AS p ON p.reference >= {_REFERENCE} || '/' AND p.reference < {_REFERENCE} || '0'
UNION SELECT {PARKED} FROM json_each(?1) AS k
CROSS JOIN deliveries AS d ON d.message_id = k.value->>0 AND d.recipient = k.value->>1
CROSS JOIN messages AS m ON m.id = d.message_id
CROSS JOIN parked_receipts AS p ON p.handset = d."to" AND +p.carrier_id = d.carrier_id
    AND p.sender = m.source AND p.at_ms >= m.received_ms"""

# carrier_id, conversion, limit
PARKED_OF_CARRIER = f"""
SELECT {PARKED} FROM parked_receipts AS p WHERE p.carrier_id = ? AND p.conversion <> ? LIMIT ?"""

# keys: [carrier_id, carrier_message_id, at_ms, state]
DELETE_PARKED = """
DELETE FROM parked_receipts WHERE (carrier_id, carrier_message_id, at_ms, state) IN
    (SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?))"""

ANY_PARKED = "SELECT EXISTS (SELECT 1 FROM parked_receipts)"

# ---- parts of inbound messages ----

_SET = PartsKey.__struct_fields__
_OF_SET = " AND ".join(f'p."{name}" = k.value->>{place}' for place, name in enumerate(_SET))

# keys: PartsKey
PARTS_OF = f"""
SELECT {_names(_columns(HeldPart), "p.")} FROM json_each(?) AS k CROSS JOIN parts AS p ON {_OF_SET}"""

# rows: PartsKey and how many parts the set should have; the places in the array of those that have
PARTS_AS_COUNTED = f"""
SELECT k.key FROM json_each(?) AS k WHERE (SELECT count(*) FROM parts AS p WHERE {_OF_SET}) = k.value->>{len(_SET)}"""

# keys: PartsKey
DELETE_PARTS = f"""
DELETE FROM parts WHERE ({_names(_SET)}) IN
    (SELECT {", ".join(f"value->>{place}" for place in range(len(_SET)))} FROM json_each(?))"""

COUNT_PARTS = "SELECT count(*) FROM parts"

# keys: event id
DELETE_CALLBACKS = "DELETE FROM callbacks WHERE event_id IN (SELECT value FROM json_each(?))"

# keys: id
DELETE_OWED = "DELETE FROM owed_mails WHERE id IN (SELECT value FROM json_each(?))"

# keys: message id
ACCEPT_INBOUND = """
UPDATE deliveries SET state = 'ACCEPTED'
WHERE message_id IN (SELECT value FROM json_each(?)) AND recipient = 0 AND state = 'RECEIVED'"""

# keys: event id; those without a waiting callback
REPLAYABLE = """
SELECT m.application_id, e.id FROM json_each(?) AS k
CROSS JOIN events AS e ON e.id = k.value
CROSS JOIN messages AS m ON m.id = e.message_id"""

RECEIPTS_DUE = f"""
SELECT m.application_id, m.kind, m.segment_count, {_names(DELIVERY, "d.")}
FROM deliveries AS d CROSS JOIN messages AS m ON m.id = d.message_id
WHERE d.receipt_due_ms <= ? ORDER BY d.receipt_due_ms LIMIT ?"""

WORK_EXPIRED = """
SELECT message_id, recipient FROM outbox WHERE valid_until_ms <= ? AND claimed_ms IS NULL LIMIT ?"""

# keys: [message_id, recipient] of work rows of groups; the deliveries that still wait
QUEUED_DELIVERIES = f"""
WITH o(message_id, recipient) AS (SELECT value->>0, value->>1 FROM json_each(?))
SELECT d.message_id, d.recipient FROM o CROSS JOIN deliveries AS d ON d.message_id = o.message_id
WHERE d.state = 'QUEUED' AND {IN_ROW}"""

FIND_IDEMPOTENT = (
    'SELECT request_sha256, message_id FROM idempotency WHERE account_id = ? AND "key" = ? AND expires_ms > ?'
)

PUT_IDEMPOTENT = """
INSERT OR REPLACE INTO idempotency (account_id, "key", request_sha256, message_id, expires_ms) VALUES (?, ?, ?, ?, ?)"""

MESSAGE_BY_ID = f"SELECT {_names(MESSAGE)} FROM messages WHERE id = ?"

PRUNABLE_MESSAGES = """
SELECT id FROM messages AS m WHERE id < ?
AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.message_id = m.id AND d.state IN ('QUEUED', 'SENT', 'IN_DOUBT'))
AND NOT EXISTS (SELECT 1 FROM callbacks AS c WHERE c.event_id >= m.id || '-' AND c.event_id < m.id || '.')
ORDER BY id LIMIT ?"""

# The ids of events and attempts begin with the message id and a dash.
_EVENTS_OF = """SELECT e.id FROM json_each(?) AS k
CROSS JOIN events AS e ON e.id >= k.value || '-' AND e.id < k.value || '.'"""

# keys: message id
PRUNE_MESSAGES = (
    "DELETE FROM messages WHERE id IN (SELECT value FROM json_each(?))",
    "DELETE FROM deliveries WHERE message_id IN (SELECT value FROM json_each(?))",
    "DELETE FROM segments WHERE message_id IN (SELECT value FROM json_each(?))",
    "DELETE FROM exchanges WHERE message_id IN (SELECT value FROM json_each(?))",
    "DELETE FROM pdus WHERE message_id IN (SELECT value FROM json_each(?))",
    "DELETE FROM message_media WHERE message_id IN (SELECT value FROM json_each(?))",
    f"DELETE FROM attempts WHERE event_id IN ({_EVENTS_OF})",
    f"DELETE FROM events WHERE id IN ({_EVENTS_OF})",
)

PRUNE_ROWS = {
    "attempts": "DELETE FROM attempts WHERE (event_id, started_ms) IN"
    " (SELECT event_id, started_ms FROM attempts WHERE event_id < ? LIMIT ?)",
    "pdus": "DELETE FROM pdus WHERE (message_id, recipient, at_ms, place) IN"
    " (SELECT message_id, recipient, at_ms, place FROM pdus WHERE message_id < ? LIMIT ?)",
    "idempotency": 'DELETE FROM idempotency WHERE (account_id, "key") IN'
    ' (SELECT account_id, "key" FROM idempotency WHERE expires_ms < ? LIMIT ?)',
    "parked_receipts": "DELETE FROM parked_receipts WHERE (carrier_id, carrier_message_id, at_ms, state) IN"
    " (SELECT carrier_id, carrier_message_id, at_ms, state FROM parked_receipts WHERE at_ms < ? LIMIT ?)",
    "media": "DELETE FROM media WHERE (account_id, name) IN"
    " (SELECT account_id, name FROM media WHERE expires_ms < ? LIMIT ?)",
    "held_media": "DELETE FROM message_media WHERE (message_id, place) IN (SELECT message_id, place"
    " FROM message_media AS h WHERE message_id < ? AND NOT EXISTS (SELECT 1 FROM deliveries AS d"
    " WHERE d.message_id = h.message_id AND d.state IN ('QUEUED', 'SENT', 'IN_DOUBT')) LIMIT ?)",
    "owed_mails": "DELETE FROM owed_mails WHERE id IN"
    " (SELECT id FROM owed_mails WHERE created_ms < ? LIMIT ?)",
    "audit": "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < ? LIMIT ?)",
    "handset_messages": "DELETE FROM handset_messages WHERE network_id IN"
    " (SELECT network_id FROM handset_messages WHERE network_id < ? LIMIT ?)",
}

"""The statements of the path, each over many rows: one step per statement and batch, whatever its size."""

from typing import Any

from trebuchet.model.audit import AuditEntry
from trebuchet.model.events import Attempt, CallbackItem, Event
from trebuchet.model.media import Content, HeldMedia, MediaObject
from trebuchet.model.message import Delivery, Message, Pdu, Segment, WorkItem
from trebuchet.model.owed import OwedMail
from trebuchet.model.parts import HeldPart, PartsKey
from trebuchet.model.receipt import Receipt
from trebuchet.storage.base import Exchange, HandsetMessage
from trebuchet.storage.sql.over import Conflict, Insert, Over, columns_of, values_of
from trebuchet.storage.sql.queries import IN_ROW, PARKED


def _columns(struct: type) -> tuple[str, ...]:
    return tuple(struct.__struct_fields__)  # type: ignore[attr-defined]  # msgspec has no protocol for it


def _names(columns: tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(f'{prefix}"{name}"' for name in columns)


def _insert(table: str, struct: type, *key: str, conflict: Conflict = Conflict.REPLACE) -> Insert:
    """Into all columns. With a key, a row that is there already is replaced, unless said otherwise."""
    return Insert(
        table,
        columns_of(struct),
        key=key,
        conflict=conflict if key else Conflict.FAIL,
        values=values_of(struct),
    )


MESSAGE = _columns(Message)
DELIVERY = _columns(Delivery)
SEGMENT = _columns(Segment)

INSERT_MESSAGES = _insert("messages", Message)
INSERT_DELIVERIES = _insert("deliveries", Delivery)
INSERT_WORK = _insert("outbox", WorkItem)
INSERT_EVENTS = _insert("events", Event)
# An event that exists keeps its callback row: the same row again is not a second announcement.
INSERT_CALLBACKS = _insert("callbacks", CallbackItem, "event_id")
INSERT_ATTEMPTS = _insert("attempts", Attempt, "event_id", "started_ms")
INSERT_SEGMENTS = _insert("segments", Segment, "message_id", "recipient", "number", "carrier_message_id")
INSERT_EXCHANGES = _insert("exchanges", Exchange, "message_id", "recipient", "at_ms", "what")
INSERT_HANDSET = _insert("handset_messages", HandsetMessage, "network_id")
INSERT_AUDIT = _insert("audit", AuditEntry, "id")
INSERT_PDUS = _insert("pdus", Pdu, "message_id", "recipient", "at_ms", "place")
INSERT_OWED = _insert("owed_mails", OwedMail, "id")
INSERT_PARTS = _insert("parts", HeldPart)
# The first content of a digest is kept: the object that its row names is the one that readers are told of.
INSERT_CONTENTS = _insert("contents", Content, "sha256", conflict=Conflict.KEEP)
INSERT_MEDIA = _insert("media", MediaObject, "account_id", "name")
INSERT_HELD_MEDIA = _insert("message_media", HeldMedia, "message_id", "place")

_receipt_values = values_of(Receipt)


def _parked_values(row: tuple[Receipt, str, str | None]) -> tuple[Any, ...]:
    return (*_receipt_values(row[0]), row[1], row[2])


# rows: Receipt, conversion, match_key
INSERT_PARKED = Insert(
    "parked_receipts",
    f'{columns_of(Receipt)}, "conversion" text, "match_key" text',
    key=("carrier_id", "carrier_message_id", "at_ms", "state"),
    conflict=Conflict.REPLACE,
    values=_parked_values,
)

_WORK_KEY = "message_id text, recipient int"

CLAIM_WORK = Over(
    f"{_WORK_KEY}, claimed_ms int",
    """UPDATE outbox SET claimed_ms = k.claimed_ms FROM k
WHERE outbox.message_id = k.message_id AND outbox.recipient = k.recipient AND outbox.claimed_ms IS NULL
RETURNING outbox.message_id, outbox.recipient""",
)

DELETE_WORK = Over(
    _WORK_KEY,
    "DELETE FROM outbox WHERE (message_id, recipient) IN (SELECT k.message_id, k.recipient FROM k)",
)

# rows: WorkItem; back in the queue and no longer with a carrier
REQUEUE_WORK = Over(
    columns_of(WorkItem),
    """UPDATE outbox SET lane = k.lane, due_ms = k.due_ms, attempts = k.attempts, claimed_ms = NULL
FROM k WHERE outbox.message_id = k.message_id AND outbox.recipient = k.recipient""",
    values_of(WorkItem),
)

# rows: Delivery; a delivery that became final in the meantime is left alone. "to" never changes.
UPDATE_DELIVERIES = Over(
    columns_of(Delivery),
    "UPDATE deliveries SET "
    + ", ".join(f'"{name}" = k."{name}"' for name in DELIVERY[3:])
    + """ FROM k WHERE deliveries.message_id = k.message_id AND deliveries.recipient = k.recipient
AND deliveries.state NOT IN ('DELIVERED', 'FAILED', 'UNDELIVERED')""",
    values_of(Delivery),
)

UPDATE_DELIVERIES_BY_RECEIPT = Over(
    columns_of(
        Delivery,
        (
            "message_id",
            "recipient",
            "state",
            "error_code",
            "description",
            "segments_delivered",
            "receipt_due_ms",
            "final_ms",
        ),
    ),
    """UPDATE deliveries SET state = k.state, error_code = k.error_code, description = k.description,
    segments_delivered = k.segments_delivered, receipt_due_ms = k.receipt_due_ms, final_ms = k.final_ms
FROM k WHERE deliveries.message_id = k.message_id AND deliveries.recipient = k.recipient""",
)

UPDATE_SEGMENTS = Over(
    columns_of(
        Segment,
        (
            "message_id",
            "recipient",
            "number",
            "carrier_message_id",
            "state",
            "receipt_error",
            "receipt_ms",
        ),
    ),
    """UPDATE segments SET state = k.state, receipt_error = k.receipt_error, receipt_ms = k.receipt_ms
FROM k WHERE segments.message_id = k.message_id AND segments.recipient = k.recipient
AND segments.number = k.number AND segments.carrier_message_id = k.carrier_message_id""",
)

_WITH_SEGMENT = (
    f"""SELECT m.application_id, m.kind, m.segment_count, {_names(SEGMENT, "s.")}, {_names(DELIVERY, "d.")}"""
)

# What a receipt changes is locked: of two that come to two nodes at once, one counts after the other.
# Newest message first, because carriers use their ids again.
SEGMENTS_BY_KEY = Over(
    "carrier_id text, match_key text",
    f"""{_WITH_SEGMENT}
FROM k CROSS JOIN segments AS s ON s.match_key = k.match_key AND s.carrier_id = k.carrier_id
CROSS JOIN deliveries AS d ON d.message_id = s.message_id AND d.recipient = s.recipient
CROSS JOIN messages AS m ON m.id = s.message_id
ORDER BY s.message_id DESC, s.recipient, s.number FOR UPDATE OF d, s""",
)

SEGMENTS_BY_DELIVERY = Over(
    _WORK_KEY,
    f"""{_WITH_SEGMENT}
FROM k CROSS JOIN segments AS s ON s.message_id = k.message_id AND s.recipient = k.recipient
CROSS JOIN deliveries AS d ON d.message_id = s.message_id AND d.recipient = s.recipient
CROSS JOIN messages AS m ON m.id = s.message_id FOR UPDATE OF d, s""",
)

DELIVERIES_BY_KEY = Over(
    _WORK_KEY,
    f"""SELECT m.application_id, m.kind, m.segment_count, {_names(DELIVERY, "d.")}
FROM k CROSS JOIN deliveries AS d ON d.message_id = k.message_id AND d.recipient = k.recipient
CROSS JOIN messages AS m ON m.id = d.message_id
ORDER BY d.message_id, d.recipient FOR UPDATE OF d""",
)

_DOUBT = (
    f"m.application_id, m.kind, m.segment_count, m.source, m.text, m.received_ms, {_names(DELIVERY, 'd.')}"
)

DOUBTS_BY_KEY = Over(
    _WORK_KEY,
    f"""SELECT {_DOUBT} FROM k
CROSS JOIN deliveries AS d ON d.message_id = k.message_id AND d.recipient = k.recipient AND d.state = 'IN_DOUBT'
CROSS JOIN messages AS m ON m.id = d.message_id FOR UPDATE OF d""",
)

# "sender" is our number
DOUBTS_BY_HANDSET = Over(
    "carrier_id text, handset text, sender text",
    f"""SELECT {_DOUBT} FROM k
CROSS JOIN deliveries AS d ON d.carrier_id = k.carrier_id AND d."to" = k.handset AND d.state = 'IN_DOUBT'
CROSS JOIN messages AS m ON m.id = d.message_id AND m.source = k.sender FOR UPDATE OF d""",
)

# A unary plus keeps SQLite off the primary key, of which it would walk all rows of the carrier.

# of segments
PARKED_FOR_SEGMENTS = Over(
    "carrier_id text, carrier_message_id text, match_key text",
    f"""SELECT {PARKED} FROM k
CROSS JOIN parked_receipts AS p ON p.carrier_id = k.carrier_id AND p.carrier_message_id = k.carrier_message_id
UNION SELECT {PARKED} FROM k
CROSS JOIN parked_receipts AS p ON p.match_key = k.match_key AND +p.carrier_id = k.carrier_id""",
)

# of deliveries in doubt; what names them, or is about their two numbers
_REFERENCE = "k.message_id || '/' || k.recipient"
PARKED_FOR_DOUBTS = Over(
    _WORK_KEY,
    f"""SELECT {PARKED} FROM k
CROSS JOIN parked_receipts AS p ON p.reference >= {_REFERENCE} || '/' AND p.reference < {_REFERENCE} || '0'
UNION SELECT {PARKED} FROM k
CROSS JOIN deliveries AS d ON d.message_id = k.message_id AND d.recipient = k.recipient
CROSS JOIN messages AS m ON m.id = d.message_id
CROSS JOIN parked_receipts AS p ON p.handset = d."to" AND +p.carrier_id = d.carrier_id
    AND p.sender = m.source AND p.at_ms >= m.received_ms""",
)

# carrier_id, conversion, limit
PARKED_OF_CARRIER = f"""
SELECT {PARKED} FROM parked_receipts AS p WHERE p.carrier_id = ? AND p.conversion <> ? LIMIT ?"""

# since, limit
PARKED_SINCE = f"""
SELECT {PARKED} FROM parked_receipts AS p WHERE p.at_ms >= ? ORDER BY p.at_ms DESC LIMIT ?"""

DELETE_PARKED = Over(
    "carrier_id text, carrier_message_id text, at_ms int, state text",
    """DELETE FROM parked_receipts WHERE (carrier_id, carrier_message_id, at_ms, state) IN
    (SELECT k.carrier_id, k.carrier_message_id, k.at_ms, k.state FROM k)""",
)

ANY_PARKED = "SELECT EXISTS (SELECT 1 FROM parked_receipts)"

# ---- parts of inbound messages ----

_SET = PartsKey.__struct_fields__
_OF_SET = " AND ".join(f'p."{name}" = k."{name}"' for name in _SET)

# keys: PartsKey
PARTS_OF = Over(
    columns_of(PartsKey),
    f"""SELECT {_names(_columns(HeldPart), "p.")} FROM k CROSS JOIN parts AS p ON {_OF_SET} FOR UPDATE OF p""",
    values_of(PartsKey),
)

# keys: PartsKey; the key of each part
PARTS_LOCKED = Over(
    columns_of(PartsKey),
    f"""SELECT {_names(_SET, "p.")} FROM k CROSS JOIN parts AS p ON {_OF_SET} FOR UPDATE OF p""",
    values_of(PartsKey),
)

# keys: PartsKey
DELETE_PARTS = Over(
    columns_of(PartsKey),
    f"""DELETE FROM parts WHERE ({_names(_SET)}) IN (SELECT {_names(_SET, "k.")} FROM k)""",
    values_of(PartsKey),
)

COUNT_PARTS = "SELECT count(*) FROM parts"

DELETE_CALLBACKS = Over("event_id text", "DELETE FROM callbacks WHERE event_id IN (SELECT k.event_id FROM k)")

DELETE_OWED = Over("id text", "DELETE FROM owed_mails WHERE id IN (SELECT k.id FROM k)")

ACCEPT_INBOUND = Over(
    "message_id text",
    """UPDATE deliveries SET state = 'ACCEPTED'
WHERE message_id IN (SELECT k.message_id FROM k) AND recipient = 0 AND state = 'RECEIVED'""",
)

# those without a waiting callback
REPLAYABLE = Over(
    "event_id text",
    """SELECT m.application_id, e.id FROM k
CROSS JOIN events AS e ON e.id = k.event_id
CROSS JOIN messages AS m ON m.id = e.message_id""",
)

RECEIPTS_DUE = f"""
SELECT m.application_id, m.kind, m.segment_count, {_names(DELIVERY, "d.")}
FROM deliveries AS d CROSS JOIN messages AS m ON m.id = d.message_id
WHERE d.receipt_due_ms <= ? ORDER BY d.receipt_due_ms LIMIT ? FOR UPDATE OF d"""

WORK_EXPIRED = """
SELECT o.message_id, o.recipient FROM outbox AS o WHERE o.valid_until_ms <= ? AND o.claimed_ms IS NULL
LIMIT ? FOR UPDATE OF o"""

# of work rows of groups; the deliveries that still wait
QUEUED_DELIVERIES = Over(
    _WORK_KEY,
    f"""SELECT d.message_id, d.recipient FROM k AS o CROSS JOIN deliveries AS d ON d.message_id = o.message_id
WHERE d.state = 'QUEUED' AND {IN_ROW}""",
)

# account_id, key, request_sha256, message_id, expires_ms, now_ms; finds a row if the key is taken by this
TAKE_IDEMPOTENT = """
INSERT INTO idempotency (account_id, "key", request_sha256, message_id, expires_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account_id, "key") DO UPDATE SET
    request_sha256 = excluded.request_sha256, message_id = excluded.message_id, expires_ms = excluded.expires_ms
    WHERE idempotency.expires_ms <= ?
RETURNING message_id"""

# account_id, key
FIND_IDEMPOTENT = 'SELECT request_sha256, message_id FROM idempotency WHERE account_id = ? AND "key" = ?'

# request_sha256, message_id, expires_ms, account_id, key
REPLACE_IDEMPOTENT = """
UPDATE idempotency SET request_sha256 = ?, message_id = ?, expires_ms = ? WHERE account_id = ? AND "key" = ?"""

MESSAGE_BY_ID = f"SELECT {_names(MESSAGE)} FROM messages WHERE id = ?"

PRUNABLE_MESSAGES = """
SELECT id FROM messages AS m WHERE id < ?
AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.message_id = m.id AND d.state IN ('QUEUED', 'SENT', 'IN_DOUBT'))
AND NOT EXISTS (SELECT 1 FROM callbacks AS c WHERE c.event_id >= m.id || '-' AND c.event_id < m.id || '.')
ORDER BY id LIMIT ?"""


def _delete_of(table: str, column: str = "message_id") -> Over:
    return Over("message_id text", f"DELETE FROM {table} WHERE {column} IN (SELECT k.message_id FROM k)")


# The ids of events and attempts begin with the message id and a dash.
_EVENTS_OF = """SELECT e.id FROM k
CROSS JOIN events AS e ON e.id >= k.message_id || '-' AND e.id < k.message_id || '.'"""

# keys: message id
PRUNE_MESSAGES = (
    _delete_of("messages", "id"),
    _delete_of("deliveries"),
    _delete_of("segments"),
    _delete_of("exchanges"),
    _delete_of("pdus"),
    _delete_of("message_media"),
    Over("message_id text", f"DELETE FROM attempts WHERE event_id IN ({_EVENTS_OF})"),
    Over("message_id text", f"DELETE FROM events WHERE id IN ({_EVENTS_OF})"),
)

# bound, limit; finds a row for each that it deleted
PRUNE_ROWS = {
    "attempts": "DELETE FROM attempts WHERE (event_id, started_ms) IN"
    " (SELECT event_id, started_ms FROM attempts WHERE event_id < ? LIMIT ?) RETURNING 1",
    "pdus": "DELETE FROM pdus WHERE (message_id, recipient, at_ms, place) IN"
    " (SELECT message_id, recipient, at_ms, place FROM pdus WHERE message_id < ? LIMIT ?) RETURNING 1",
    "idempotency": 'DELETE FROM idempotency WHERE (account_id, "key") IN'
    ' (SELECT account_id, "key" FROM idempotency WHERE expires_ms < ? LIMIT ?) RETURNING 1',
    "parked_receipts": "DELETE FROM parked_receipts WHERE (carrier_id, carrier_message_id, at_ms, state) IN"
    " (SELECT carrier_id, carrier_message_id, at_ms, state FROM parked_receipts WHERE at_ms < ? LIMIT ?)"
    " RETURNING 1",
    "media": "DELETE FROM media WHERE (account_id, name) IN"
    " (SELECT account_id, name FROM media WHERE expires_ms < ? LIMIT ?) RETURNING 1",
    "held_media": "DELETE FROM message_media WHERE (message_id, place) IN (SELECT message_id, place"
    " FROM message_media AS h WHERE message_id < ? AND NOT EXISTS (SELECT 1 FROM deliveries AS d"
    " WHERE d.message_id = h.message_id AND d.state IN ('QUEUED', 'SENT', 'IN_DOUBT')) LIMIT ?) RETURNING 1",
    "owed_mails": "DELETE FROM owed_mails WHERE id IN"
    " (SELECT id FROM owed_mails WHERE created_ms < ? LIMIT ?) RETURNING 1",
    "audit": "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id < ? LIMIT ?) RETURNING 1",
    "handset_messages": "DELETE FROM handset_messages WHERE network_id IN"
    " (SELECT network_id FROM handset_messages WHERE network_id < ? LIMIT ?) RETURNING 1",
}

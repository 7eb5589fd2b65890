"""The statements of the reads, as text: so a start with a current schema imports no SQL library (half a second).

Columns come in the order of the structs that they fill.
"""

import msgspec

from trebuchet.model.account import Account, Application, Carrier, Credential, Number, OptOut, Route, User
from trebuchet.model.address import TOLL_FREE_PREFIXES, NumberClass
from trebuchet.model.audit import AuditEntry
from trebuchet.model.events import Attempt, CallbackItem, Event
from trebuchet.model.media import HeldMedia
from trebuchet.model.message import Delivery, Message, Pdu, Segment, WorkItem
from trebuchet.model.owed import OwedMail
from trebuchet.model.parts import HeldPart, PartsKey
from trebuchet.model.receipt import Receipt
from trebuchet.storage.base import Exchange, HandsetMessage
from trebuchet.storage.sql.over import Over


def columns(struct: type[msgspec.Struct], alias: str) -> str:
    """The columns of a struct, each with the alias of its table."""
    return ", ".join(f'{alias}."{field.encode_name}"' for field in msgspec.structs.fields(struct))


MESSAGE = columns(Message, "m")
DELIVERY = columns(Delivery, "d")
_WORK = columns(WorkItem, "o")
_ITEM = columns(CallbackItem, "c")
_EVENT = columns(Event, "e")

MESSAGE_WIDTH = len(Message.__struct_fields__)
WORK_WIDTH = len(WorkItem.__struct_fields__)
ITEM_WIDTH = len(CallbackItem.__struct_fields__)
EVENT_WIDTH = len(Event.__struct_fields__)

# ---- provisioning ----

ACCOUNTS = f"SELECT {columns(Account, 'r')} FROM accounts AS r"
CREDENTIALS = f"SELECT {columns(Credential, 'r')} FROM credentials AS r"
APPLICATIONS = f"SELECT {columns(Application, 'r')} FROM applications AS r"
NUMBERS = f"SELECT {columns(Number, 'r')} FROM numbers AS r"
CARRIERS = f"SELECT {columns(Carrier, 'r')} FROM carriers AS r"
ROUTES = f"SELECT {columns(Route, 'r')} FROM routes AS r"
OPT_OUTS = f"SELECT {columns(OptOut, 'r')} FROM opt_outs AS r"
USERS = f"SELECT {columns(User, 'r')} FROM users AS r"

# ---- queues ----

# Whether a delivery `d` is among those that a work row `o` of its message stands for: see `model.message.group`.
IN_ROW = """(d.recipient = o.recipient OR (o.recipient < 0 AND d.carrier_id = (
        SELECT f.carrier_id FROM deliveries AS f
        WHERE f.message_id = o.message_id AND f.recipient = -1 - o.recipient)))"""

# A group's row stands for those of its deliveries that are still queued.
_WITH_MESSAGE_AND_DELIVERIES = f"""
SELECT {_WORK}, {MESSAGE}, {DELIVERY} FROM work AS o
CROSS JOIN messages AS m ON m.id = o.message_id
LEFT JOIN deliveries AS d ON d.message_id = o.message_id
    AND (o.recipient >= 0 OR d.state = 'QUEUED') AND {IN_ROW}
ORDER BY o.due_ms, o.message_id, o.recipient, d.recipient"""

# lane, now_ms, after (due_ms, message_id, recipient), limit
DUE_WORK = f"""
WITH work AS (
    SELECT {_WORK} FROM outbox AS o
    WHERE o.lane = ? AND o.due_ms <= ? AND (o.due_ms, o.message_id, o.recipient) > (?, ?, ?)
    AND o.claimed_ms IS NULL
    ORDER BY o.due_ms, o.message_id, o.recipient LIMIT ?
) {_WITH_MESSAGE_AND_DELIVERIES}"""

# lane, limit. The unary plus keeps SQLite off the index by lane: it has no claimed_ms, and a walk through a
# million of its rows, each looked up in the table, takes many times as long as a walk through the table.
CLAIMED_WORK = f"""
WITH work AS (
    SELECT {_WORK} FROM outbox AS o WHERE +o.lane = ? AND o.claimed_ms IS NOT NULL LIMIT ?
) {_WITH_MESSAGE_AND_DELIVERIES}"""

# lane, now_ms
NEXT_WORK_DUE = """
SELECT due_ms FROM outbox WHERE lane = ? AND due_ms > ? AND claimed_ms IS NULL ORDER BY due_ms LIMIT 1"""

# One step of the index per application, however many rows each has.
CALLBACK_APPLICATIONS = """
WITH RECURSIVE waiting(application_id) AS (
    SELECT min(application_id) FROM callbacks
    UNION ALL
    SELECT (SELECT min(application_id) FROM callbacks WHERE application_id > waiting.application_id)
    FROM waiting WHERE waiting.application_id IS NOT NULL
)
SELECT application_id FROM waiting WHERE application_id IS NOT NULL"""

# application_id, now_ms, after (due_ms, event_id), limit
DUE_CALLBACKS = f"""
SELECT {_ITEM}, {_EVENT}, {MESSAGE} FROM callbacks AS c
CROSS JOIN events AS e ON e.id = c.event_id
CROSS JOIN messages AS m ON m.id = e.message_id
WHERE c.application_id = ? AND c.due_ms <= ? AND (c.due_ms, c.event_id) > (?, ?)
ORDER BY c.due_ms, c.event_id LIMIT ?"""

# application_id, now_ms
NEXT_CALLBACK_DUE = "SELECT min(due_ms) FROM callbacks WHERE application_id = ? AND due_ms > ?"

# first possible event id, event id
EARLIER_CALLBACK_DUE = "SELECT min(due_ms) FROM callbacks WHERE event_id >= ? AND event_id < ?"

EVENTS_BY_ID = Over(
    "event_id text",
    f"""SELECT {_EVENT}, {MESSAGE} FROM k
CROSS JOIN events AS e ON e.id = k.event_id
CROSS JOIN messages AS m ON m.id = e.message_id""",
)

# carrier_id, limit
OWED_MAILS = f"""
SELECT {columns(OwedMail, "w")} FROM owed_mails AS w WHERE w.carrier_id = ? ORDER BY w.created_ms, w.id LIMIT ?"""

# ---- one message: each by message id ----

MESSAGE_BY_ID = f"SELECT {MESSAGE} FROM messages AS m WHERE m.id = ?"
DELIVERIES_OF = f"SELECT {DELIVERY} FROM deliveries AS d WHERE d.message_id = ? ORDER BY d.recipient"
CLAIMED_OF = f"""
SELECT d.recipient FROM deliveries AS d WHERE d.message_id = ? AND d.state = 'QUEUED' AND EXISTS (
    SELECT 1 FROM outbox AS o
    WHERE o.message_id = d.message_id AND o.claimed_ms IS NOT NULL AND {IN_ROW})
ORDER BY d.recipient"""
HELD_MEDIA_OF = (
    f"SELECT {columns(HeldMedia, 'h')} FROM message_media AS h WHERE h.message_id = ? ORDER BY h.place"
)
SEGMENTS_OF = f"""
SELECT {columns(Segment, "s")} FROM segments AS s WHERE s.message_id = ?
ORDER BY s.recipient, s.responded_ms, s.number"""
EXCHANGES_OF = f"""
SELECT {columns(Exchange, "x")} FROM exchanges AS x WHERE x.message_id = ? ORDER BY x.at_ms, x.recipient"""
# Ids of events begin with the message id and a dash; the dot is the character after the dash.
EVENTS_OF = f"""
SELECT {_EVENT} FROM events AS e WHERE e.id >= ? || '-' AND e.id < ? || '.' ORDER BY e.time_ms, e.id"""
CALLBACKS_OF = f"""
SELECT {_ITEM} FROM callbacks AS c WHERE c.event_id >= ? || '-' AND c.event_id < ? || '.' ORDER BY c.due_ms"""
ATTEMPTS_OF = f"""
SELECT {columns(Attempt, "a")} FROM attempts AS a
WHERE a.event_id >= ? || '-' AND a.event_id < ? || '.' ORDER BY a.started_ms, a.event_id"""
PDUS_OF = f"""
SELECT {columns(Pdu, "p")} FROM pdus AS p WHERE p.message_id = ? ORDER BY p.at_ms, p.place, p.recipient"""

# ---- parts of inbound messages ----

_SET = columns(PartsKey, "p")
_PARTS_OF_SETS = f"""
SELECT {columns(HeldPart, "p")} FROM sets AS k CROSS JOIN parts AS p
ON {" AND ".join(f'p."{name}" = k."{name}"' for name in PartsKey.__struct_fields__)}
ORDER BY k.began_ms, {_SET}, p.number"""

# limit
COMPLETE_PARTS = f"""
WITH sets AS (
    SELECT {_SET}, min(p.received_ms) AS began_ms FROM parts AS p
    GROUP BY {_SET} HAVING count(*) = p.total LIMIT ?
) {_PARTS_OF_SETS}"""

# before_ms, limit. By age, although the key would spare the sorting: most parts are young.
STALE_PARTS = f"""
WITH sets AS (
    SELECT {_SET}, min(p.received_ms) AS began_ms FROM parts AS p INDEXED BY parts_by_age
    WHERE p.received_ms < ? GROUP BY {_SET} ORDER BY began_ms LIMIT ?
) {_PARTS_OF_SETS}"""

# ---- figures ----

OUTBOX_DEPTHS = "SELECT lane, count(*), min(due_ms) FROM outbox GROUP BY lane"
CALLBACK_DEPTHS = "SELECT application_id, count(*), min(due_ms) FROM callbacks GROUP BY application_id"
QUEUED = "SELECT count(*) FROM outbox"

ANY_RATE_LIMIT = """
SELECT EXISTS (SELECT 1 FROM accounts WHERE segments_per_s IS NOT NULL)
    OR EXISTS (SELECT 1 FROM numbers WHERE segments_per_s IS NOT NULL)"""
PACING = """
SELECT m.account_id, m.source, max(o.due_ms) FROM outbox AS o CROSS JOIN messages AS m ON m.id = o.message_id
WHERE o.claimed_ms IS NULL AND (
    m.account_id IN (SELECT id FROM accounts WHERE segments_per_s IS NOT NULL)
    OR m.source IN (SELECT "number" FROM numbers WHERE segments_per_s IS NOT NULL))
GROUP BY m.account_id, m.source"""

# A parked receipt, and the conversion that it was recorded with.
PARKED = columns(Receipt, "p") + ', p."conversion"'

# carrier ('' for all), limit; the newest
UNMATCHED_RECEIPTS = f"""
SELECT {PARKED} FROM parked_receipts AS p
WHERE ? IN ('', p.carrier_id) ORDER BY p.at_ms DESC LIMIT ?"""

# first network id, limit; the newest
HANDSET_TAIL = f"""
SELECT {columns(HandsetMessage, "h")} FROM handset_messages AS h
WHERE h.network_id >= ? ORDER BY h.network_id DESC LIMIT ?"""

# before id ('' for all), limit; the newest
AUDIT = f"""
SELECT {columns(AuditEntry, "a")} FROM audit AS a
WHERE a.id < coalesce(nullif(?, ''), '~') ORDER BY a.id DESC LIMIT ?"""

# ---- searches ----

# While its row is claimed a queued delivery is with the carrier, and shown so.
_CLAIMED = f"""(d.state = 'QUEUED' AND EXISTS (
    SELECT 1 FROM outbox AS o
    WHERE o.message_id = d.message_id AND o.claimed_ms IS NOT NULL AND {IN_ROW}))"""
_SHOWN_STATE = f"CASE WHEN {_CLAIMED} THEN 'SENDING' ELSE d.state END"
_CALLED_BACK = """EXISTS (
    SELECT 1 FROM attempts AS a
    WHERE a.event_id >= d.message_id || '-' || d.recipient || '-'
    AND a.event_id < d.message_id || '-' || d.recipient || '.' AND a.status BETWEEN 200 AND 299)"""

FOUND = f"{MESSAGE}, {DELIVERY}, {_CLAIMED}, {_CALLED_BACK}"
FOUND_WIDTH = MESSAGE_WIDTH + len(Delivery.__struct_fields__)

# Messages first, so that the walk follows their key, which sorts by time.
SEARCHED = "messages AS m CROSS JOIN deliveries AS d ON d.message_id = m.id"

# As `model.address.class_of` has it.
_OWNER_CLASS = f"""CASE
    WHEN lower(m.owner) <> upper(m.owner) THEN '{NumberClass.ALPHANUMERIC}'
    WHEN substr(m.owner, 1, 1) <> '+' THEN '{NumberClass.SHORT_CODE}'
    WHEN substr(m.owner, 1, 5) IN ({", ".join(f"'{prefix}'" for prefix in TOLL_FREE_PREFIXES)})
        THEN '{NumberClass.TOLL_FREE}'
    ELSE '{NumberClass.LOCAL}' END"""
_OCTETS = "length(CAST(m.text AS BLOB))"

# Field of MessageQuery → its condition. The first ones are bounds of the walk by key. All others are tests on
# the rows of that walk: without a range of time they read as far back as it takes to find enough.
CONDITIONS = {
    "message_id": "m.id = ?",
    "from_ms": "m.id >= ?",
    "to_ms": "m.id < ?",
    "before_id": "m.id < ?",
    "reached": "m.id >= ?",
    "account_id": "m.account_id = ?",
    "application_id": "m.application_id = ?",
    "sources": "m.source IN (EACH ?)",
    "source_prefix": "instr(m.source, ?) = 1",
    "destinations": 'd."to" IN (EACH ?)',
    "destination_prefix": 'instr(d."to", ?) = 1',
    "states": f"{_SHOWN_STATE} IN (EACH ?)",
    "direction": "m.direction = ?",
    "kind": "m.kind = ?",
    "error_code": "coalesce(d.error_code, 0) = ?",
    "carrier_id": "d.carrier_id = ?",
    "tag": "m.tag = ?",
    "number": '? IN (m.source, d."to")',
    "text": "instr(lower(m.text), lower(?)) > 0",
    "owner_class": f"{_OWNER_CLASS} = ?",
    "min_segments": "m.segment_count >= ?",
    "max_segments": "m.segment_count <= ?",
    "min_octets": f"{_OCTETS} >= ?",
    "max_octets": f"{_OCTETS} <= ?",
}

# Column that a search may be sorted by → its expression. Ids sort by the moment of receipt.
SORTS = {
    "received_ms": "m.id",
    "id": "m.id",
    "account_id": "m.account_id",
    "application_id": "m.application_id",
    "direction": "m.direction",
    "kind": "m.kind",
    "source": "m.source",
    "to": 'd."to"',
    "tag": "m.tag",
    "segment_count": "m.segment_count",
    "state": _SHOWN_STATE,
    "carrier_id": "d.carrier_id",
    "error_code": "d.error_code",
    "submitted_ms": "d.submitted_ms",
    "final_ms": "d.final_ms",
}

# before this id, down to this one, how many newer ones are read beside it
EXAMINED_DOWN_TO = """
SELECT m.id FROM messages AS m WHERE m.id < ? AND m.id >= ? ORDER BY m.id DESC LIMIT 1 OFFSET ?"""

EVENTS_FOUND = f"SELECT {_EVENT} FROM events AS e CROSS JOIN messages AS m ON m.id = e.message_id"

# Field of EventQuery → its condition. The id of an event begins with the moment at which its message was
# received, which is never later than the event itself.
EVENT_CONDITIONS = {
    "first_id": "e.id >= ?",
    "last_id": "e.id < ?",
    "after_id": "e.id > ?",
    "application_id": "m.application_id = ?",
    "from_ms": "e.time_ms >= ?",
    "to_ms": "e.time_ms <= ?",
}
NOT_CALLED_BACK = (
    "NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.event_id = e.id AND a.status BETWEEN 200 AND 299)"
)

NEXT_EXPIRY = "SELECT min(valid_until_ms) FROM outbox WHERE claimed_ms IS NULL"

"""The tables, once for all engines (SQLAlchemy Core). The column order of a table that a struct fills is the
order of the struct's fields; `tests/unit/storage/test_schema.py` keeps them equal.

Keys sort by time. Queue tables (`outbox`, `callbacks`) are narrow and their rows are deleted. Lists are kept
as JSON text. Moments are milliseconds since the epoch.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.schema import SchemaItem

from trebuchet.model.status import State

metadata = MetaData()


def _table(name: str, *items: SchemaItem) -> Table:
    """A table whose rows are clustered by the primary key."""
    return Table(name, metadata, *items, sqlite_with_rowid=False)


accounts = _table(
    "accounts",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("profile", Text),
    Column("segments_per_s", Float),
    Column("created_ms", BigInteger, nullable=False),
)

credentials = _table(
    "credentials",
    Column("token", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("secret_sha256", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
)

applications = _table(
    "applications",
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("callback_url", Text),
    Column("callback_username", Text),
    Column("callback_password", Text),
    Column("callback_auth", Text, nullable=False),
    Column("events", Text),  # JSON list; null: all
    Column("signing_secret", Text),
    Column("opt_out", Integer, nullable=False),
    Column("help_text", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("smart_encoding", Integer, nullable=False),
)

numbers = _table(
    "numbers",
    Column("number", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("application_id", Text, ForeignKey("applications.id"), nullable=False),
    Column("segments_per_s", Float),
    Column("created_ms", BigInteger, nullable=False),
)

carriers = _table(
    "carriers",
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("in_doubt", Text, nullable=False),
    Column("receipt_timeout_s", Integer),
    Column("paused", Integer, nullable=False),
    Column("settings", Text, nullable=False),  # JSON object
    Column("created_ms", BigInteger, nullable=False),
)

routes = _table(
    "routes",
    Column("id", Text, primary_key=True),
    Column("carrier_id", Text, ForeignKey("carriers.id"), nullable=False),
    Column("prefix", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

opt_outs = _table(
    "opt_outs",
    Column("number", Text, primary_key=True),
    Column("handset", Text, primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
)

users = _table(
    "users",
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

audit = _table(
    "audit",
    Column("id", Text, primary_key=True),  # sorts by time
    Column("at_ms", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

messages = _table(
    "messages",
    Column("id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("application_id", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("destinations", Text, nullable=False),  # JSON list
    Column("text", Text, nullable=False),
    Column("media", Text),  # JSON list
    Column("tag", Text),
    Column("priority", Text),
    Column("expiration", Text),
    Column("valid_until_ms", BigInteger, nullable=False),
    Column("segment_count", Integer, nullable=False),
    Column("encoding", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    CheckConstraint("direction in ('out', 'in')", name="messages_direction"),
    CheckConstraint("kind in ('sms', 'mms')", name="messages_kind"),
)

deliveries = _table(
    "deliveries",
    Column("message_id", Text, primary_key=True),
    Column("recipient", Integer, primary_key=True),
    Column("to", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("carrier_id", Text),
    Column("lane", Text),
    Column("error_code", Integer),
    Column("description", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("segments_total", Integer, nullable=False),
    Column("segments_delivered", Integer, nullable=False),
    Column("submitted_ms", BigInteger),
    Column("receipt_due_ms", BigInteger),
    Column("final_ms", BigInteger),
    CheckConstraint(
        "state in (" + ", ".join(f"'{state}'" for state in State) + ")",
        name="deliveries_state",
    ),
)
Index(
    "deliveries_awaiting_receipt",
    deliveries.c.receipt_due_ms,
    sqlite_where=text("receipt_due_ms IS NOT NULL"),
    postgresql_where=text("receipt_due_ms IS NOT NULL"),
)
# Receipts without a known id look here.
Index(
    "deliveries_in_doubt",
    deliveries.c.carrier_id,
    deliveries.c.to,
    sqlite_where=text("state = 'IN_DOUBT'"),
    postgresql_where=text("state = 'IN_DOUBT'"),
)

segments = _table(
    "segments",
    Column("message_id", Text, primary_key=True),
    Column("recipient", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("carrier_id", Text, nullable=False),
    Column("carrier_message_id", Text, primary_key=True),  # a resubmit gets a second id
    Column("state", Text, nullable=False),
    Column("receipt_error", Text),
    Column("responded_ms", BigInteger, nullable=False),
    Column("receipt_ms", BigInteger),
    Column("match_key", Text, nullable=False),  # what receipts are looked up by: canonical carrier_message_id
)
Index("segments_by_match_key", segments.c.match_key, segments.c.carrier_id)

outbox = _table(
    "outbox",
    Column("lane", Text, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("message_id", Text, primary_key=True),
    Column("recipient", Integer, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("valid_until_ms", BigInteger, nullable=False),
    Column("claimed_ms", BigInteger),  # not null: handed to the carrier, no outcome stored yet
)
Index("outbox_due", outbox.c.lane, outbox.c.due_ms, outbox.c.message_id, outbox.c.recipient)

# What the carrier exchanges said beyond the plain success that `segments` holds: refusals, retries, losses.
exchanges = _table(
    "exchanges",
    Column("message_id", Text, primary_key=True),
    Column("recipient", Integer, primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("what", Text, primary_key=True),  # refused, retry, snooze, lost, resubmit, receipt
    Column("carrier_id", Text),
    Column("error_code", Integer),
    Column("description", Text, nullable=False),
)

# Receipts whose segment is not known (yet): they overtook the response, or belong to nobody.
parked_receipts = _table(
    "parked_receipts",
    Column("carrier_id", Text, primary_key=True),
    Column("carrier_message_id", Text, primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("error_code", Integer),
    Column("error", Text, nullable=False),
    Column("reference", Text),
    Column("handset", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("user_reference", Integer),
    Column("text", Text, nullable=False),
    Column("octets", Text, nullable=False),  # base64
    Column("conversion", Text, nullable=False),  # that its id was looked up with
    Column("match_key", Text),  # of the segment that it may belong to by that conversion; null: by none
)
Index(
    "parked_receipts_by_match_key",
    parked_receipts.c.match_key,
    parked_receipts.c.carrier_id,
    sqlite_where=text("match_key IS NOT NULL"),
    postgresql_where=text("match_key IS NOT NULL"),
)
Index(
    "parked_receipts_by_reference",
    parked_receipts.c.reference,
    sqlite_where=text("reference IS NOT NULL"),
    postgresql_where=text("reference IS NOT NULL"),
)
Index("parked_receipts_by_age", parked_receipts.c.at_ms)
Index("parked_receipts_by_handset", parked_receipts.c.handset, parked_receipts.c.carrier_id)

# What was exchanged about a message, octet by octet.
pdus = _table(
    "pdus",
    Column("message_id", Text, primary_key=True),
    Column("recipient", Integer, primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("lane", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("octets", Text, nullable=False),  # base64
    CheckConstraint("direction in ('out', 'in')", name="pdus_direction"),
)

# Parts of long inbound messages, until all of them are there.
parts = _table(
    "parts",
    Column("carrier_id", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("destination", Text, primary_key=True),
    Column("reference", Integer, primary_key=True),
    Column("width", Integer, primary_key=True),
    Column("total", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("encoding", Text, nullable=False),
    Column("octets", Text, nullable=False),  # base64
    Column("single_shift", Integer, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("carrier_message_id", Text, nullable=False),
)
Index("parts_by_age", parts.c.received_ms)

# Octets in the object store, each once.
contents = _table(
    "contents",
    Column("sha256", Text, primary_key=True),
    Column("object_key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stored_ms", BigInteger, nullable=False),
)
Index("contents_by_age", contents.c.stored_ms)
Index("contents_by_object", contents.c.object_key)

# The objects of an account's media store.
media = _table(
    "media",
    Column("account_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("cache_control", Text),
    Column("size", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
)
Index("media_by_content", media.c.sha256)
Index(
    "media_by_expiry",
    media.c.expires_ms,
    sqlite_where=text("expires_ms IS NOT NULL"),
    postgresql_where=text("expires_ms IS NOT NULL"),
)

# What messages hold while they are on their way.
message_media = _table(
    "message_media",
    Column("message_id", Text, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
)
Index("message_media_by_content", message_media.c.sha256)

# Delivery reports and other mails that peers have not taken yet.
owed_mails = _table(
    "owed_mails",
    Column("id", Text, primary_key=True),
    Column("carrier_id", Text, nullable=False),
    Column("mailbox", Text, nullable=False),
    Column("mail", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
Index("owed_mails_by_carrier", owed_mails.c.carrier_id, owed_mails.c.created_ms)

events = _table(
    "events",
    Column("id", Text, primary_key=True),
    Column("message_id", Text, nullable=False),
    Column("recipient", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("to", Text, nullable=False),
    Column("error_code", Integer),
    Column("description", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)

callbacks = _table(
    "callbacks",
    Column("application_id", Text, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("event_id", Text, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
)
Index("callbacks_due", callbacks.c.application_id, callbacks.c.due_ms, callbacks.c.event_id)

attempts = _table(
    "attempts",
    Column("event_id", Text, primary_key=True),
    Column("started_ms", BigInteger, primary_key=True),
    Column("duration_ms", Integer, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("answer", Text, nullable=False),
)

idempotency = _table(
    "idempotency",
    Column("account_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_sha256", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

# What the simulated network took and what was typed on its handsets. It is that network's own memory: the
# gateway's path never reads it.
handset_messages = _table(
    "handset_messages",
    Column("network_id", Text, primary_key=True),  # the simulated SMSC's message id; sorts by time
    Column("handset", Text, nullable=False),
    Column("peer", Text, nullable=False),  # our number
    Column("direction", Text, nullable=False),  # "mt": shown on the handset, "mo": typed on it
    Column("text", Text, nullable=False),
    Column("media", Text, nullable=False),  # JSON list
    Column("participants", Text, nullable=False),  # JSON list: all recipients
    Column("reference", Text, nullable=False),  # the gateway's reference of the delivery
    Column("fate", Text, nullable=False),  # what the scenario decided
    Column("at_ms", BigInteger, nullable=False),
)

# ---- nodes that share a database ----

nodes = _table(
    "nodes",
    Column("id", Text, primary_key=True),  # of one run of a node
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("roles", Text, nullable=False),  # JSON list
    Column("version", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
)

leases = _table(
    "leases",
    Column("lane", Text, primary_key=True),
    Column("node", Text),  # null: nobody's
    Column("epoch", BigInteger, nullable=False),  # counts its owners
    Column("until_ms", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

# Counters of changes, by which a process learns that something it keeps in memory is old.
versions = _table(
    "versions",
    Column("what", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

# How many batches each writing connection has committed.
writers = _table(
    "writers",
    Column("slot", Text, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

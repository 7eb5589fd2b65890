"""The first schema."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Text,
    text,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    _provisioning()
    _messages()
    _queues_and_callbacks()
    _simulated_network()


def _provisioning() -> None:
    op.create_table(
        "accounts",
        Column("id", Text(), nullable=False),
        Column("name", Text(), nullable=False),
        Column("profile", Text()),
        Column("segments_per_s", Float()),
        Column("created_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "credentials",
        Column("token", Text(), nullable=False),
        Column("account_id", Text(), nullable=False),
        Column("secret_sha256", Text(), nullable=False),
        Column("label", Text(), nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        Column("revoked_ms", BigInteger()),
        ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        PrimaryKeyConstraint("token"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "applications",
        Column("id", Text(), nullable=False),
        Column("account_id", Text(), nullable=False),
        Column("name", Text(), nullable=False),
        Column("callback_url", Text()),
        Column("callback_username", Text()),
        Column("callback_password", Text()),
        Column("callback_auth", Text(), nullable=False),
        Column("events", Text()),
        Column("signing_secret", Text()),
        Column("opt_out", Integer(), nullable=False),
        Column("help_text", Text(), nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "numbers",
        Column("number", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("account_id", Text(), nullable=False),
        Column("application_id", Text(), nullable=False),
        Column("segments_per_s", Float()),
        Column("created_ms", BigInteger(), nullable=False),
        ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        ForeignKeyConstraint(["application_id"], ["applications.id"]),
        PrimaryKeyConstraint("number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "carriers",
        Column("id", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("in_doubt", Text(), nullable=False),
        Column("receipt_timeout_s", Integer()),
        Column("paused", Integer(), nullable=False),
        Column("settings", Text(), nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "routes",
        Column("id", Text(), nullable=False),
        Column("carrier_id", Text(), nullable=False),
        Column("prefix", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("priority", Integer(), nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        ForeignKeyConstraint(["carrier_id"], ["carriers.id"]),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "opt_outs",
        Column("number", Text(), nullable=False),
        Column("handset", Text(), nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("number", "handset"),
        sqlite_with_rowid=False,
    )


def _messages() -> None:
    op.create_table(
        "messages",
        Column("id", Text(), nullable=False),
        Column("account_id", Text(), nullable=False),
        Column("application_id", Text(), nullable=False),
        Column("direction", Text(), nullable=False),
        Column("kind", Text(), nullable=False),
        Column("owner", Text(), nullable=False),
        Column("source", Text(), nullable=False),
        Column("destinations", Text(), nullable=False),
        Column("text", Text(), nullable=False),
        Column("media", Text()),
        Column("tag", Text()),
        Column("priority", Text()),
        Column("expiration", Text()),
        Column("valid_until_ms", BigInteger(), nullable=False),
        Column("segment_count", Integer(), nullable=False),
        Column("encoding", Text(), nullable=False),
        Column("profile", Text(), nullable=False),
        Column("received_ms", BigInteger(), nullable=False),
        CheckConstraint("direction in ('out', 'in')", name="messages_direction"),
        CheckConstraint("kind in ('sms', 'mms')", name="messages_kind"),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deliveries",
        Column("message_id", Text(), nullable=False),
        Column("recipient", Integer(), nullable=False),
        Column("to", Text(), nullable=False),
        Column("state", Text(), nullable=False),
        Column("carrier_id", Text()),
        Column("lane", Text()),
        Column("error_code", Integer()),
        Column("description", Text(), nullable=False),
        Column("attempts", Integer(), nullable=False),
        Column("segments_total", Integer(), nullable=False),
        Column("segments_delivered", Integer(), nullable=False),
        Column("submitted_ms", BigInteger()),
        Column("receipt_due_ms", BigInteger()),
        Column("final_ms", BigInteger()),
        CheckConstraint(
            "state in ('QUEUED', 'SENT', 'IN_DOUBT', 'DELIVERED', 'FAILED', 'UNDELIVERED', 'RECEIVED', 'ACCEPTED')",
            name="deliveries_state",
        ),
        PrimaryKeyConstraint("message_id", "recipient"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "deliveries_awaiting_receipt",
        "deliveries",
        ["receipt_due_ms"],
        sqlite_where=text("receipt_due_ms IS NOT NULL"),
        postgresql_where=text("receipt_due_ms IS NOT NULL"),
    )
    op.create_table(
        "segments",
        Column("message_id", Text(), nullable=False),
        Column("recipient", Integer(), nullable=False),
        Column("number", Integer(), nullable=False),
        Column("carrier_id", Text(), nullable=False),
        Column("carrier_message_id", Text(), nullable=False),
        Column("state", Text(), nullable=False),
        Column("receipt_error", Text()),
        Column("responded_ms", BigInteger(), nullable=False),
        Column("receipt_ms", BigInteger()),
        PrimaryKeyConstraint("message_id", "recipient", "number", "carrier_message_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("segments_by_carrier_id", "segments", ["carrier_message_id", "carrier_id"])
    op.create_table(
        "exchanges",
        Column("message_id", Text(), nullable=False),
        Column("recipient", Integer(), nullable=False),
        Column("at_ms", BigInteger(), nullable=False),
        Column("what", Text(), nullable=False),
        Column("carrier_id", Text()),
        Column("error_code", Integer()),
        Column("description", Text(), nullable=False),
        PrimaryKeyConstraint("message_id", "recipient", "at_ms", "what"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "parked_receipts",
        Column("carrier_id", Text(), nullable=False),
        Column("carrier_message_id", Text(), nullable=False),
        Column("at_ms", BigInteger(), nullable=False),
        Column("state", Text(), nullable=False),
        Column("error_code", Integer()),
        Column("error", Text(), nullable=False),
        Column("reference", Text()),
        PrimaryKeyConstraint("carrier_id", "carrier_message_id", "at_ms", "state"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency",
        Column("account_id", Text(), nullable=False),
        Column("key", Text(), nullable=False),
        Column("request_sha256", Text(), nullable=False),
        Column("message_id", Text(), nullable=False),
        Column("expires_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("account_id", "key"),
        sqlite_with_rowid=False,
    )


def _queues_and_callbacks() -> None:
    op.create_table(
        "outbox",
        Column("lane", Text(), nullable=False),
        Column("due_ms", BigInteger(), nullable=False),
        Column("message_id", Text(), nullable=False),
        Column("recipient", Integer(), nullable=False),
        Column("attempts", Integer(), nullable=False),
        Column("valid_until_ms", BigInteger(), nullable=False),
        Column("claimed_ms", BigInteger()),
        PrimaryKeyConstraint("message_id", "recipient"),
        sqlite_with_rowid=False,
    )
    op.create_index("outbox_due", "outbox", ["lane", "due_ms", "message_id", "recipient"])
    op.create_table(
        "events",
        Column("id", Text(), nullable=False),
        Column("message_id", Text(), nullable=False),
        Column("recipient", Integer(), nullable=False),
        Column("type", Text(), nullable=False),
        Column("to", Text(), nullable=False),
        Column("error_code", Integer()),
        Column("description", Text(), nullable=False),
        Column("time_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "callbacks",
        Column("application_id", Text(), nullable=False),
        Column("due_ms", BigInteger(), nullable=False),
        Column("event_id", Text(), nullable=False),
        Column("attempts", Integer(), nullable=False),
        Column("first_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("callbacks_due", "callbacks", ["application_id", "due_ms", "event_id"])
    op.create_table(
        "attempts",
        Column("event_id", Text(), nullable=False),
        Column("started_ms", BigInteger(), nullable=False),
        Column("duration_ms", Integer(), nullable=False),
        Column("status", Integer()),
        Column("error", Text()),
        Column("answer", Text(), nullable=False),
        PrimaryKeyConstraint("event_id", "started_ms"),
        sqlite_with_rowid=False,
    )


def _simulated_network() -> None:
    op.create_table(
        "handset_messages",
        Column("network_id", Text(), nullable=False),
        Column("handset", Text(), nullable=False),
        Column("peer", Text(), nullable=False),
        Column("direction", Text(), nullable=False),
        Column("text", Text(), nullable=False),
        Column("media", Text(), nullable=False),
        Column("participants", Text(), nullable=False),
        Column("reference", Text(), nullable=False),
        Column("fate", Text(), nullable=False),
        Column("at_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("network_id"),
        sqlite_with_rowid=False,
    )

"""What SMPP needs: receipts found by converted ids and by what they quote, the PDUs, and parts of inbound messages.

Tables whose columns change are written anew: the order of the columns is that of the structs that fill them.
"""

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    Text,
    text,
)

revision = "0002"
down_revision = "0001"

# The last column as `model.carrierids.canonical` was when this was written.
_COPY_SEGMENTS = """
INSERT INTO segments SELECT *, coalesce(
    nullif(ltrim(lower(trim(carrier_message_id)), '0'), ''), substr(trim(carrier_message_id), -1)
) FROM segments_0001"""


def upgrade() -> None:
    _applications()
    op.create_index(
        "deliveries_in_doubt",
        "deliveries",
        ["carrier_id", "to"],
        sqlite_where=text("state = 'IN_DOUBT'"),
        postgresql_where=text("state = 'IN_DOUBT'"),
    )
    _segments()
    _parked_receipts()
    _pdus()
    _parts()


def _applications() -> None:
    """With `smart_encoding`, at the end of the columns and before the constraints, as in a new file."""
    if op.get_context().dialect.name != "sqlite":
        # No database of another engine is older than this revision: the table is empty.
        op.add_column("applications", Column("smart_encoding", Integer(), nullable=False))
        return
    # Else SQLite would point the foreign key of `numbers` at the old table.
    op.execute("PRAGMA legacy_alter_table = ON")
    op.rename_table("applications", "applications_0001")
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
        Column("smart_encoding", Integer(), nullable=False),
        PrimaryKeyConstraint("id"),
        ForeignKeyConstraint(["account_id"], ["accounts.id"]),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO applications SELECT *, 0 FROM applications_0001")
    op.drop_table("applications_0001")
    op.execute("PRAGMA legacy_alter_table = OFF")


def _segments() -> None:
    op.drop_index("segments_by_carrier_id", "segments")
    op.rename_table("segments", "segments_0001")
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
        Column("match_key", Text(), nullable=False),
        PrimaryKeyConstraint("message_id", "recipient", "number", "carrier_message_id"),
        sqlite_with_rowid=False,
    )
    op.execute(_COPY_SEGMENTS)
    op.drop_table("segments_0001")
    op.create_index("segments_by_match_key", "segments", ["match_key", "carrier_id"])


def _parked_receipts() -> None:
    op.rename_table("parked_receipts", "parked_receipts_0001")
    op.create_table(
        "parked_receipts",
        Column("carrier_id", Text(), nullable=False),
        Column("carrier_message_id", Text(), nullable=False),
        Column("at_ms", BigInteger(), nullable=False),
        Column("state", Text(), nullable=False),
        Column("error_code", Integer()),
        Column("error", Text(), nullable=False),
        Column("reference", Text()),
        Column("handset", Text(), nullable=False),
        Column("sender", Text(), nullable=False),
        Column("user_reference", Integer()),
        Column("text", Text(), nullable=False),
        Column("octets", Text(), nullable=False),
        Column("conversion", Text(), nullable=False),
        Column("match_key", Text()),
        PrimaryKeyConstraint("carrier_id", "carrier_message_id", "at_ms", "state"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO parked_receipts SELECT *, '', '', NULL, '', '', 'same', NULL FROM parked_receipts_0001"
    )
    op.drop_table("parked_receipts_0001")
    for column, more in (("match_key", ["carrier_id"]), ("reference", [])):
        op.create_index(
            f"parked_receipts_by_{column}",
            "parked_receipts",
            [column, *more],
            sqlite_where=text(f"{column} IS NOT NULL"),
            postgresql_where=text(f"{column} IS NOT NULL"),
        )
    op.create_index("parked_receipts_by_age", "parked_receipts", ["at_ms"])
    op.create_index("parked_receipts_by_handset", "parked_receipts", ["handset", "carrier_id"])


def _pdus() -> None:
    op.create_table(
        "pdus",
        Column("message_id", Text(), nullable=False),
        Column("recipient", Integer(), nullable=False),
        Column("at_ms", BigInteger(), nullable=False),
        Column("place", Integer(), nullable=False),
        Column("lane", Text(), nullable=False),
        Column("direction", Text(), nullable=False),
        Column("octets", Text(), nullable=False),
        CheckConstraint("direction in ('out', 'in')", name="pdus_direction"),
        PrimaryKeyConstraint("message_id", "recipient", "at_ms", "place"),
        sqlite_with_rowid=False,
    )


def _parts() -> None:
    op.create_table(
        "parts",
        Column("carrier_id", Text(), nullable=False),
        Column("source", Text(), nullable=False),
        Column("destination", Text(), nullable=False),
        Column("reference", Integer(), nullable=False),
        Column("width", Integer(), nullable=False),
        Column("total", Integer(), nullable=False),
        Column("number", Integer(), nullable=False),
        Column("encoding", Text(), nullable=False),
        Column("octets", Text(), nullable=False),
        Column("single_shift", Integer(), nullable=False),
        Column("received_ms", BigInteger(), nullable=False),
        Column("carrier_message_id", Text(), nullable=False),
        PrimaryKeyConstraint("carrier_id", "source", "destination", "reference", "width", "total", "number"),
        sqlite_with_rowid=False,
    )
    op.create_index("parts_by_age", "parts", ["received_ms"])

"""Nodes that share a database: who they are, which lanes each owns, and what each has written."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Text

revision = "0006"
down_revision = "0005"

# Rows of these come and go with every message, and a plan for a queue must not be made from what it was when it was
# empty: cleared away and counted again after some thousands of changes, however large the table is.
_QUEUES = ("outbox", "callbacks")
_OFTEN = ", ".join(
    (
        "fillfactor = 70",
        "autovacuum_vacuum_scale_factor = 0.02",
        "autovacuum_vacuum_threshold = 2000",
        "autovacuum_analyze_scale_factor = 0.05",
        "autovacuum_analyze_threshold = 2000",
        "autovacuum_vacuum_cost_delay = 0",
    )
)


def upgrade() -> None:
    op.create_table(
        "nodes",
        Column("id", Text(), nullable=False),
        Column("name", Text(), nullable=False),
        Column("url", Text(), nullable=False),
        Column("roles", Text(), nullable=False),
        Column("version", Text(), nullable=False),
        Column("started_ms", BigInteger(), nullable=False),
        Column("seen_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        Column("lane", Text(), nullable=False),
        Column("node", Text()),
        Column("epoch", BigInteger(), nullable=False),
        Column("until_ms", BigInteger(), nullable=False),
        Column("since_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("lane"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "versions",
        Column("what", Text(), nullable=False),
        Column("number", BigInteger(), nullable=False),
        PrimaryKeyConstraint("what"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "writers",
        Column("slot", Text(), nullable=False),
        Column("batch", BigInteger(), nullable=False),
        Column("at_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("slot"),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "postgresql":
        for table in _QUEUES:
            op.execute(f"ALTER TABLE {table} SET ({_OFTEN})")

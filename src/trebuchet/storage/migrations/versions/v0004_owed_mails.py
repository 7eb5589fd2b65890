"""Mails that peers are owed."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "owed_mails",
        Column("id", Text(), nullable=False),
        Column("carrier_id", Text(), nullable=False),
        Column("mailbox", Text(), nullable=False),
        Column("mail", Text(), nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("owed_mails_by_carrier", "owed_mails", ["carrier_id", "created_ms"])

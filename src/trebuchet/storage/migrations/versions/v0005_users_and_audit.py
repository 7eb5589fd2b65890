"""The people of the console, and the log of what was changed by whom."""

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "users",
        Column("name", Text(), nullable=False),
        Column("role", Text(), nullable=False),
        Column("password_hash", Text(), nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        Column("id", Text(), nullable=False),
        Column("at_ms", BigInteger(), nullable=False),
        Column("who", Text(), nullable=False),
        Column("action", Text(), nullable=False),
        Column("target", Text(), nullable=False),
        Column("detail", Text(), nullable=False),
        PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )

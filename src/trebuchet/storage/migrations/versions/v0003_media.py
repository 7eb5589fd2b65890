"""Media: contents, the objects of accounts, and what messages hold while they are on their way."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Text, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "contents",
        Column("sha256", Text(), nullable=False),
        Column("object_key", Text(), nullable=False),
        Column("size", BigInteger(), nullable=False),
        Column("stored_ms", BigInteger(), nullable=False),
        PrimaryKeyConstraint("sha256"),
        sqlite_with_rowid=False,
    )
    op.create_index("contents_by_age", "contents", ["stored_ms"])
    op.create_index("contents_by_object", "contents", ["object_key"])
    op.create_table(
        "media",
        Column("account_id", Text(), nullable=False),
        Column("name", Text(), nullable=False),
        Column("sha256", Text(), nullable=False),
        Column("content_type", Text(), nullable=False),
        Column("cache_control", Text()),
        Column("size", BigInteger(), nullable=False),
        Column("created_ms", BigInteger(), nullable=False),
        Column("expires_ms", BigInteger()),
        PrimaryKeyConstraint("account_id", "name"),
        sqlite_with_rowid=False,
    )
    op.create_index("media_by_content", "media", ["sha256"])
    op.create_index(
        "media_by_expiry",
        "media",
        ["expires_ms"],
        sqlite_where=text("expires_ms IS NOT NULL"),
        postgresql_where=text("expires_ms IS NOT NULL"),
    )
    op.create_table(
        "message_media",
        Column("message_id", Text(), nullable=False),
        Column("place", Integer(), nullable=False),
        Column("sha256", Text(), nullable=False),
        Column("content_type", Text(), nullable=False),
        Column("name", Text(), nullable=False),
        Column("size", BigInteger(), nullable=False),
        PrimaryKeyConstraint("message_id", "place"),
        sqlite_with_rowid=False,
    )
    op.create_index("message_media_by_content", "message_media", ["sha256"])

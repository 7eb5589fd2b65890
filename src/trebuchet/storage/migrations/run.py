"""The part of migrating that needs Alembic: which scripts there are, and carrying them out."""

import io
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import StaticPool, Text, create_engine
from sqlalchemy.ext.compiler import compiles

from trebuchet.storage.sqlite import dbapi

_SCRIPTS = ScriptDirectory(str(Path(__file__).parent))


def revisions() -> list[str]:
    """All known revisions, the newest first."""
    return [script.revision for script in _SCRIPTS.walk_revisions()]


@compiles(Text, "postgresql")
def _text_of_postgres(_type: Text, _compiler: Any, **_: Any) -> str:
    """Ids are compared octet by octet: in the order of a language, a dash or a dot may count for nothing."""
    return 'TEXT COLLATE "C"'


def script(dialect: str, after: str | None) -> str:
    """What brings a database of a dialect from a revision, None for an empty one, to the newest: statements as text."""
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": written}
    )
    with Operations.context(context):
        for each in reversed(list(_SCRIPTS.iterate_revisions("head", after or "base"))):
            each.module.upgrade()
    return written.getvalue()


def upgrade(connection: dbapi.Connection, to: str = "head") -> None:
    """Carry out every script that is newer than the database, up to a revision, all in one transaction."""
    engine = create_engine(
        "sqlite+pysqlite://", module=dbapi.driver, creator=lambda: connection, poolclass=StaticPool
    )
    with engine.begin() as bound:
        # SQLite can change a schema within a transaction; SQLAlchemy and Alembic do not ask it to.
        bound.exec_driver_sql("BEGIN IMMEDIATE")
        context = MigrationContext.configure(bound)
        done = context.get_current_revision()
        with Operations.context(context):
            for script in reversed(list(_SCRIPTS.iterate_revisions(to, done))):
                script.module.upgrade()
        context.stamp(_SCRIPTS, to)

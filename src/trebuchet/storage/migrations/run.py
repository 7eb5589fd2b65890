"""The part of migrating that needs Alembic: which scripts there are, and carrying them out."""

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import StaticPool, create_engine

from trebuchet.storage.sqlite import dbapi

_SCRIPTS = ScriptDirectory(str(Path(__file__).parent))


def revisions() -> list[str]:
    """All known revisions, the newest first."""
    return [script.revision for script in _SCRIPTS.walk_revisions()]


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

"""The schema, the structs that fill it and the migrations say the same."""

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, StaticPool, Table, create_engine

from trebuchet.model import account, audit, events, media, message, parts, receipt
from trebuchet.model.status import State
from trebuchet.storage import base, migrations, schema
from trebuchet.storage.migrations import run
from trebuchet.storage.sqlite import dbapi

FILLED = {
    "accounts": account.Account,
    "credentials": account.Credential,
    "applications": account.Application,
    "numbers": account.Number,
    "carriers": account.Carrier,
    "routes": account.Route,
    "opt_outs": account.OptOut,
    "users": account.User,
    "audit": audit.AuditEntry,
    "messages": message.Message,
    "deliveries": message.Delivery,
    "outbox": message.WorkItem,
    "segments": message.Segment,
    "exchanges": base.Exchange,
    "pdus": message.Pdu,
    "parts": parts.HeldPart,
    "events": events.Event,
    "callbacks": events.CallbackItem,
    "attempts": events.Attempt,
    "handset_messages": base.HandsetMessage,
    "contents": media.Content,
    "media": media.MediaObject,
    "message_media": media.HeldMedia,
}


@pytest.mark.parametrize(("table", "struct"), FILLED.items(), ids=FILLED)
def test_a_table_has_the_fields_of_its_struct_in_their_order(
    table: str, struct: type[msgspec.Struct]
) -> None:
    """Rows are written and read by place."""
    columns = [column.name for column in schema.metadata.tables[table].columns]
    assert columns == list(struct.__struct_fields__)


def test_a_parked_receipt_is_a_receipt_and_how_its_id_was_read() -> None:
    """The conversion, and the key of the segment that it may belong to by that, are the store's own."""
    columns = {column.name for column in schema.parked_receipts.columns}
    assert columns == {*receipt.Receipt.__struct_fields__, "conversion", "match_key"}


@pytest.mark.parametrize(("table", "struct"), FILLED.items(), ids=FILLED)
def test_a_column_is_nullable_where_its_field_may_be_none(table: str, struct: type[msgspec.Struct]) -> None:
    """The schema guards what the types promise."""
    columns = schema.metadata.tables[table].columns
    nullable = {column.name for column in columns if column.nullable}
    optional = {
        f.name for f in msgspec.structs.fields(struct) if type(None) in getattr(f.type, "__args__", ())
    }
    assert nullable == optional


@pytest.mark.parametrize("table", schema.metadata.sorted_tables, ids=str)
def test_every_table_is_clustered_by_its_key(table: Table) -> None:
    """Rows lie in the order of their keys, which sort by time."""
    assert table.dialect_options["sqlite"]["with_rowid"] is False


@pytest.fixture(name="database")
def new_database() -> dbapi.Connection:
    """An empty database in memory."""
    return dbapi.connect(":memory:")


def tables(connection: dbapi.Connection) -> dict[str, str]:
    """The definitions of all tables and indexes but Alembic's own."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: sql for name, sql in rows if name != "alembic_version"}


def bound(database: dbapi.Connection) -> Connection:
    engine = create_engine(
        "sqlite+pysqlite://", module=dbapi.driver, creator=lambda: database, poolclass=StaticPool
    )
    return engine.connect()


def test_the_migrations_lead_to_the_schema(database: dbapi.Connection) -> None:
    """Table by table and index by index, checks and clustering included."""
    run.upgrade(database)
    fresh = dbapi.connect(":memory:")
    with bound(fresh) as connection:
        schema.metadata.create_all(connection)
        assert tables(database) == tables(fresh)
    database.close()
    fresh.close()


def test_alembic_sees_no_difference(database: dbapi.Connection) -> None:
    """A change of the schema without its migration fails here."""
    run.upgrade(database)
    with bound(database) as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    database.close()


def test_head_is_the_newest_script() -> None:
    """The constant that spares most starts the import of Alembic."""
    assert run.revisions()[0] == migrations.HEAD


def test_the_revision_of_a_database_is_known(database: dbapi.Connection) -> None:
    """None before the first migration, HEAD after the last; migrating again changes nothing."""
    assert migrations.current_revision(database) is None
    run.upgrade(database)
    assert migrations.current_revision(database) == migrations.HEAD
    before = tables(database)
    run.upgrade(database)
    assert tables(database) == before
    database.close()


def test_a_migration_that_fails_leaves_nothing(database: dbapi.Connection) -> None:
    """All scripts are one transaction: what stands in the way is still alone there afterwards."""
    database.execute("CREATE TABLE outbox (unrelated TEXT)")
    with pytest.raises(Exception, match="outbox already exists"):
        run.upgrade(database)
    assert list(tables(database)) == ["outbox"]
    assert migrations.current_revision(database) is None
    database.close()


_MESSAGE = (
    "INSERT INTO messages VALUES ('m', 'u', 'a', {}, '', '', '[]', '', {}, 0, 1, 'GSM-7', 'catapult', 0)"
)
_NULLS = "NULL, NULL, NULL, NULL"


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (
            "INSERT INTO deliveries VALUES ('m', 0, '', ?, NULL, NULL, NULL, '', 0, 0, 0, NULL, NULL, NULL)",
            State,
        ),
        (_MESSAGE.format("?, 'sms'", _NULLS), message.Direction),
        (_MESSAGE.format("'out', ?", _NULLS), message.Kind),
        ("INSERT INTO pdus VALUES ('m', 0, 0, 0, '', ?, '')", message.Direction),
    ],
    ids=["state", "direction", "kind", "direction of a PDU"],
)
def test_the_database_refuses_values_that_no_enum_has(
    database: dbapi.Connection, statement: str, values: type[State]
) -> None:
    """Every member of the enum is taken, nothing else."""
    run.upgrade(database)
    for value in values:
        database.execute("BEGIN")
        database.execute(statement, (str(value),))
        database.execute("ROLLBACK")
    with pytest.raises(dbapi.IntegrityError, match="CHECK"):
        database.execute(statement, ("nonsense",))
    database.close()

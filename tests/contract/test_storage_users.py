"""What every store promises about people and the log of what they did."""

import pytest

from contract.stories import T0, do, write
from trebuchet.errors import AlreadyExists, NotFound
from trebuchet.model.account import Role, User
from trebuchet.model.audit import AuditEntry
from trebuchet.storage.base import Change, Create, RecordAudit, Remove, Store

pytestmark = pytest.mark.anyio

ANN = User(name="ann", role=Role.VIEWER, password_hash="$argon2id$1", created_ms=T0)


def entry(n: int) -> AuditEntry:
    return AuditEntry(f"{T0 + n:013d}x", T0 + n, "ann", "change", f"route {n}", "priority: 1 → 2")


async def test_a_person_is_kept_changed_and_removed(store: Store) -> None:
    await do(store, Create(ANN))
    assert (await store.directory()).users == {"ann": ANN}
    with pytest.raises(AlreadyExists, match="user ann"):
        await do(store, Create(ANN))
    renewed = User(name="ann", role=Role.ADMIN, password_hash="$argon2id$2", created_ms=T0)
    await do(store, Change(renewed))
    assert (await store.directory()).users == {"ann": renewed}
    await do(store, Remove(renewed))
    assert (await store.directory()).users == {}
    with pytest.raises(NotFound, match="user ann"):
        await do(store, Change(ANN))


async def test_the_log_is_read_from_its_end(store: Store) -> None:
    """Newest first, page by page."""
    assert await store.audit(10) == []
    entries = [entry(n) for n in range(5)]
    await write(store, RecordAudit(entries[:3]), RecordAudit(entries[3:]))
    newest = entries[::-1]
    assert await store.audit(10) == newest
    assert await store.audit(2) == newest[:2]
    assert await store.audit(2, newest[1].id) == newest[2:4]
    assert await store.audit(10, newest[-1].id) == []


async def test_a_change_and_its_entry_stand_and_fall_together(store: Store) -> None:
    """What was refused is not in the log as done, also when the same batch holds what was done."""
    made, again, missing, changed, removed = map(entry, range(5))
    results = await write(
        store,
        Create(ANN, made),
        Create(ANN, again),
        Remove(User(name="bob", role=Role.VIEWER, password_hash=""), missing),
    )
    assert [type(result) for result in results] == [type(None), AlreadyExists, NotFound]
    assert await store.audit(10) == [made]
    await do(store, Change(ANN, changed))
    await do(store, Remove(ANN, removed))
    assert await store.audit(10) == [removed, changed, made]

"""Mails that peers are owed: stored with the message that owes them, kept until they are dropped."""

import pytest
from msgspec.structs import replace

from contract.stories import CARRIER, T0, Engine, do, inbound, opened, write
from trebuchet.model.owed import OwedMail
from trebuchet.storage.base import Accept, DropOwed, IdempotencyKey, Prune, Store

pytestmark = pytest.mark.anyio


def owed(id_: str, carrier_id: str = CARRIER, at_ms: int = T0) -> OwedMail:
    return OwedMail(id_, carrier_id, "mms@far.example", "From: é\r\n\r\n", at_ms)


def owing(number: int, *mails: OwedMail) -> Accept:
    return replace(inbound(number), owed=mails)


async def test_what_a_message_owes_outlives_a_restart(engine: Engine) -> None:
    """Of each carrier apart, the oldest first, a page at a time."""
    older, newer, other = owed("b", at_ms=T0), owed("a", at_ms=T0 + 1), owed("c", "other")
    async with opened(engine) as store:
        await write(store, owing(0, newer, other), owing(1, older))
    async with opened(engine) as store:
        assert await store.owed_mails(CARRIER, 10) == [older, newer]
        assert await store.owed_mails(CARRIER, 1) == [older]
        assert await store.owed_mails("other", 10) == [other]


async def test_what_was_taken_is_dropped(store: Store) -> None:
    """One that is not there is nothing."""
    await do(store, owing(0, owed("a"), owed("b")))
    await do(store, DropOwed(["a", "nothing"]))
    assert [mail.id for mail in await store.owed_mails(CARRIER, 10)] == ["b"]


async def test_a_message_that_had_come_before_owes_nothing_new(store: Store) -> None:
    """What was dropped in the meantime does not come back with it."""
    key = IdempotencyKey("u-1", "m", "", T0 + 86_400_000)
    await do(store, replace(owing(0, owed("a")), idempotency=key))
    await do(store, DropOwed(["a"]))
    await do(store, replace(owing(1, owed("a")), idempotency=key))
    assert await store.owed_mails(CARRIER, 10) == []


async def test_old_debts_are_pruned(store: Store) -> None:
    await do(store, owing(0, owed("a", at_ms=T0), owed("b", at_ms=T0 + 1)))
    assert await do(store, Prune("owed_mails", T0 + 1, 10)) == 1
    assert [mail.id for mail in await store.owed_mails(CARRIER, 10)] == ["b"]

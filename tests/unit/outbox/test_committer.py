"""Group commit: what waits goes together, each caller gets its own result, and nothing is left hanging."""

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import pytest

from outbox.doubles import HeldStore, as_store
from outbox.loops import settle_loop
from trebuchet.errors import NotFound, StorageUnavailable
from trebuchet.outbox.committer import Committer, Spacing
from trebuchet.storage.base import Prune

pytestmark = pytest.mark.anyio


def change(number: int) -> Prune:
    """A change that can be told from others."""
    return Prune("attempts", number, 1)


def numbers(batch: Sequence[Any]) -> list[int]:
    return [each.before_ms for each in batch]


def take_a_while(_: object) -> None:
    """A store that is busy for so long that the next batch is far away."""
    end_s = perf_counter() + 0.1
    while perf_counter() < end_s:
        pass


class Desk:
    """A committer before a store that writes when told to."""

    def __init__(
        self, batch_max: int = 100, parallel_writes: int = 1, spacing: Spacing | None = None
    ) -> None:
        self.store = HeldStore(parallel_writes)
        self.observed: list[int] = []
        self.committer = Committer(
            as_store(self.store), batch_max=batch_max, observe=self._observe, spacing=spacing
        )

    def _observe(self, changes: int, seconds: float) -> None:
        assert seconds >= 0
        self.observed.append(changes)

    def add(self, *which: int) -> list["asyncio.Future[Any]"]:
        return [self.committer.add(change(number)) for number in which]

    @property
    def batches(self) -> list[list[int]]:
        return [numbers(batch) for batch in self.store.batches]


async def test_changes_of_one_turn_are_one_batch() -> None:
    """An idle store is given at once everything that came in the same turn of the loop, in order."""
    desk = Desk()
    desk.add(1, 2, 3)
    assert desk.batches == []
    await settle_loop()
    assert desk.batches == [[1, 2, 3]]


async def test_changes_gather_while_the_store_writes() -> None:
    """One batch is under way; all that comes meanwhile is the next, however much it is."""
    desk = Desk()
    desk.add(1)
    await settle_loop()
    desk.add(2, 3)
    await settle_loop()
    desk.add(4)
    await settle_loop()
    assert (desk.batches, desk.committer.waiting) == ([[1]], 3)
    desk.store.complete()
    await settle_loop()
    assert (desk.batches, desk.committer.waiting) == ([[1], [2, 3, 4]], 0)


async def test_a_batch_is_bounded() -> None:
    """More than `batch_max` changes are several batches, in order, one after the other."""
    desk = Desk(batch_max=2)
    desk.add(1, 2, 3, 4, 5)
    for _ in range(3):
        await settle_loop()
        desk.store.complete()
    assert desk.batches == [[1, 2], [3, 4], [5]]
    assert desk.observed == [2, 2, 1]


async def test_a_store_that_writes_in_parallel_is_given_several_batches() -> None:
    """Never more at once than the store says."""
    desk = Desk(batch_max=1, parallel_writes=2)
    futures = desk.add(1, 2, 3)
    await settle_loop()
    assert desk.batches == [[1], [2]]
    desk.store.complete(["two"], which=1)
    await settle_loop()
    assert desk.batches == [[1], [2], [3]]
    assert [future.done() for future in futures] == [False, True, False]


async def test_each_caller_gets_its_own_result() -> None:
    """Results come back in the order of the changes; nobody is answered before the commit."""
    desk = Desk()
    futures = desk.add(1, 2, 3)
    await settle_loop()
    assert not any(future.done() for future in futures)
    desk.store.complete(["one", "two", "three"])
    assert await asyncio.gather(*futures) == ["one", "two", "three"]


async def test_one_failing_change_fails_alone() -> None:
    """The store answers it with an exception, and so does the committer; its neighbours are committed."""
    desk = Desk()
    futures = desk.add(1, 2, 3)
    await settle_loop()
    missing = NotFound("2")
    desk.store.complete(["one", missing, "three"])
    assert await asyncio.gather(*futures, return_exceptions=True) == ["one", missing, "three"]


async def test_changes_that_follow_from_results_are_in_the_next_batch() -> None:
    """Callbacks of the futures run before the next batch is put together."""
    desk = Desk()
    (first,) = desk.add(1)
    first.add_done_callback(lambda _: desk.add(2))
    await settle_loop()
    desk.add(3)
    desk.store.complete()
    await settle_loop()
    assert desk.batches == [[1], [3, 2]]


async def test_an_unavailable_store_fails_what_it_was_given() -> None:
    """Callers learn that nothing was stored; the store is asked again by the next change."""
    desk = Desk(batch_max=1)
    full = StorageUnavailable("the disk is full")
    desk.store.refusals = [full, full]
    futures = desk.add(1, 2)
    assert await asyncio.gather(*futures, return_exceptions=True) == [full, full]
    (later,) = desk.add(3)
    await settle_loop()
    desk.store.complete(["three"])
    assert await later == "three"


async def test_a_caller_that_goes_away_disturbs_nobody() -> None:
    """A change whose future was cancelled is written all the same, and its neighbours get their results."""
    desk = Desk()
    gone, stays = desk.add(1, 2)
    gone.cancel()
    await settle_loop()
    assert desk.batches == [[1, 2]]
    desk.store.complete(["one", "two"])
    assert await stays == "two"


async def test_batches_start_apart() -> None:
    """The first starts at once; what follows within the spacing waits for its end and shares one batch."""
    desk = Desk(spacing=Spacing(least_s=0.05, most_s=0.05))
    desk.store.answer = lambda change: None
    desk.add(1)
    await settle_loop()
    later = [*desk.add(2), *desk.add(3)]
    await settle_loop()
    assert desk.batches == [[1]]
    await asyncio.gather(*later)
    assert desk.batches == [[1], [2, 3]]


async def test_enough_changes_do_not_wait() -> None:
    """A batch that is worth its cost starts at once, however long the spacing."""
    desk = Desk(spacing=Spacing(least_s=3600, most_s=3600, quiet_s=3600, enough=3))
    desk.store.answer = lambda change: None
    desk.add(1)
    await settle_loop()
    desk.add(2, 3)
    await settle_loop()
    assert desk.batches == [[1]]
    desk.add(4)
    await settle_loop()
    assert desk.batches == [[1], [2, 3, 4]]


async def test_a_batch_starts_when_nothing_is_added_any_more() -> None:
    """Long before the spacing ends, and with all that came until then."""
    desk = Desk(spacing=Spacing(most_s=3600, quiet_s=0.01))
    desk.store.answer = take_a_while
    desk.add(1)
    await settle_loop()
    later = desk.add(2)
    await settle_loop()
    later += desk.add(3)
    await settle_loop()
    assert desk.batches == [[1]]
    await asyncio.gather(*later)
    assert desk.batches == [[1], [2, 3]]


@pytest.mark.parametrize(
    ("took_s", "apart_s"), [(0.0, 0.003), (0.0005, 0.003), (0.002, 0.008), (0.005, 0.015), (1.0, 0.015)]
)
def test_batches_that_take_longer_are_further_apart(took_s: float, apart_s: float) -> None:
    """A quarter of the time is theirs, within the bounds."""
    assert Spacing(least_s=0.003, most_s=0.015).after(took_s) == apart_s


async def test_closing_does_not_wait_for_the_spacing() -> None:
    """What waits for its time is written at once when the committer is closed."""
    desk = Desk(spacing=Spacing(least_s=3600, most_s=3600))
    desk.store.answer = lambda change: None
    desk.add(1)
    await settle_loop()
    desk.add(2)
    await desk.committer.close()
    assert desk.batches == [[1], [2]]


async def test_drain_waits_for_what_waits_and_what_is_written() -> None:
    """It returns at once on an idle committer, else when the last result is out."""
    desk = Desk(batch_max=1)
    await desk.committer.drain()
    desk.add(1, 2)
    drained = asyncio.ensure_future(desk.committer.drain())
    desk.add(3)
    for _ in range(3):
        await settle_loop()
        assert not drained.done()
        desk.store.complete()
    await drained
    assert desk.batches == [[1], [2], [3]]


async def test_a_closed_committer_finishes_and_takes_no_more() -> None:
    """What was taken is written; a later change fails as the gateway is stopping. It may be closed twice."""
    desk = Desk()
    (taken,) = desk.add(1)
    closing = asyncio.ensure_future(desk.committer.close())
    await settle_loop()
    (late,) = desk.add(2)
    assert isinstance(late.exception(), StorageUnavailable)
    assert not closing.done()
    desk.store.complete(["one"])
    await closing
    assert await taken == "one"
    await desk.committer.close()
    assert desk.batches == [[1]]


@pytest.mark.parametrize("batch_max", [1, 3, 7, 100])
async def test_every_change_is_written_once_and_in_order(batch_max: int) -> None:
    """Whatever the bound, batches laid end to end are the changes as they came."""
    desk = Desk(batch_max=batch_max)
    desk.store.answer = lambda change: None
    futures = []
    for number in range(20):
        futures += desk.add(number)
        if number % 4 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*futures)
    assert [number for batch in desk.batches for number in batch] == list(range(20))
    assert max(map(len, desk.batches)) <= batch_max

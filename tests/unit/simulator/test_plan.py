"""The queue of what the simulated network does later."""

import pytest

from support.network import T0, quiet
from trebuchet.clock import ManualClock
from trebuchet.simulator.plan import Plan

pytestmark = pytest.mark.anyio


async def test_things_are_done_when_due_and_in_order() -> None:
    """Earlier first; of one moment, in the order in which they were planned; none before its moment."""
    clock, done = ManualClock(T0), list[str]()
    plan = Plan(clock)
    for due_ms, name in [(20, "c"), (10, "a"), (10, "b"), (30, "d")]:
        plan.add(T0 + due_ms, done.append, name)
    assert plan.size == 4
    clock.advance(19)
    await quiet()
    assert done == ["a", "b"]
    clock.advance(11)
    await quiet()
    assert done == ["a", "b", "c", "d"]
    assert plan.size == 0


async def test_what_is_overdue_is_done_at_once() -> None:
    """A moment that has passed already is now."""
    clock, done = ManualClock(T0), list[str]()
    Plan(clock).add(T0 - 1, done.append, "late")
    assert done == []
    await quiet()
    assert done == ["late"]


async def test_an_action_may_plan_another() -> None:
    """What is planned while the plan runs is done in its turn."""
    clock, done = ManualClock(T0), list[str]()
    plan = Plan(clock)
    plan.add(T0 + 10, lambda: plan.add(T0 + 15, done.append, "next"))
    clock.advance(10)
    await quiet()
    clock.advance(4)
    await quiet()
    assert done == []
    clock.advance(1)
    await quiet()
    assert done == ["next"]


async def test_a_closed_plan_does_nothing() -> None:
    """What was planned is forgotten, and so is what comes later. It may be closed twice."""
    clock, done = ManualClock(T0), list[str]()
    plan = Plan(clock)
    plan.add(T0 + 10, done.append, "before")
    plan.close()
    plan.close()
    plan.add(T0 + 10, done.append, "after")
    clock.advance(20)
    await quiet()
    assert (done, plan.size) == ([], 0)

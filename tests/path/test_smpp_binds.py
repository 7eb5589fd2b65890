"""Several binds of one SMPP link: one rate between them, an order of its own for each."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from support.smpplink import Rig, linked, refuse
from support.smsc import listening
from trebuchet.carriers.base import Accepted, LinkState, Snooze
from trebuchet.carriers.status import BindState
from trebuchet.protocols.smpp.constants import Status

pytestmark = pytest.mark.anyio

PER_S = 20
STEP_MS = 10


def submits(rig: Rig) -> list[int]:
    """How many parts went out over each bind."""
    return [bind.submits for bind in rig.link.report()]


def has_room(rig: Rig, lane: str) -> bool:
    return rig.link.room(lane) > 0


async def all_bound(rig: Rig) -> None:
    await rig.reports.until(lambda: all(bind.state is BindState.BOUND for bind in rig.link.report()))


async def busy(rig: Rig, lanes: Sequence[str], for_ms: int, text: str = "hello") -> None:
    """Submit whatever there is room for, as the gateway does. At no moment more has gone out than the rate allows."""
    before, began_ms = sum(submits(rig)), rig.clock.now_ms()
    for _ in range(0, for_ms, STEP_MS):
        for lane in lanes:
            rig.submit(*[text] * rig.link.room(lane), lane=lane)
        passed_ms = rig.clock.now_ms() - began_ms
        assert sum(submits(rig)) - before <= PER_S * (passed_ms + 100) / 1000
        rig.clock.advance(STEP_MS)
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("working", "text", "expected"),
    [
        (("acme/0", "acme/1"), "hello", [100, 100]),
        (("acme/1", "acme/0"), "a" * 400, [100, 100]),
        (("acme/0",), "hello", [200, 0]),
        (("acme/1",), "hello", [0, 200]),
        (("acme/1",), "a" * 400, [0, 200]),
    ],
)
async def test_the_rate_is_the_links_whoever_has_work(
    working: tuple[str, ...], text: str, expected: list[int]
) -> None:
    """Ten seconds: what one bind does not need the other uses, and two that need it have half each."""
    async with linked(binds=["transceiver"] * 2, segments_per_s=PER_S, window=1000) as rig:
        await all_bound(rig)
        await busy(rig, working, 10_000, text)
        assert submits(rig) == pytest.approx(expected, abs=4)


async def test_a_bind_that_is_down_leaves_its_share() -> None:
    """To the bind that is up; and has it again when it is back."""
    async with linked(binds=["transceiver"] * 2, segments_per_s=PER_S, window=1000) as rig:
        await all_bound(rig)
        rig.link.unbind("acme/0")
        await rig.smsc.until(lambda: len(rig.smsc.connections) == 1)
        await rig.passing(lambda: rig.bind.state is BindState.UNBOUND)
        await busy(rig, ("acme/0", "acme/1"), 5_000)
        assert submits(rig) == pytest.approx([0, 100], abs=4)
        rig.link.rebind("acme/0")
        await rig.passing(lambda: rig.bind.state is BindState.BOUND)
        before = submits(rig)
        await busy(rig, ("acme/0", "acme/1"), 5_000)
        gone = [now - then for now, then in zip(submits(rig), before, strict=True)]
        assert gone == pytest.approx([50, 50], abs=4)


async def test_the_order_of_each_bind_is_kept() -> None:
    """What waits for the rate goes out as it was submitted."""
    async with linked(binds=["transceiver"] * 2, segments_per_s=PER_S, window=1000) as rig:
        await all_bound(rig)
        for number in range(40):
            for lane in rig.link.lanes:
                await rig.passing(partial(has_room, rig, lane), step_ms=STEP_MS)
                rig.submit(f"{lane} {number:03}", lane=lane)
        await rig.passing(lambda: len(rig.smsc.submits) == 80)
        for lane in rig.link.lanes:
            texts = [text for text in rig.smsc.texts if text.startswith(lane.encode())]
            assert texts == sorted(texts)
        assert all(isinstance(outcome, Accepted) for outcome in await rig.reports.outcomes_of(80))


async def test_throttling_one_bind_pauses_all() -> None:
    """An SMSC counts what an account submits, over whichever bind."""
    async with linked(binds=["transceiver"] * 2, segments_per_s=PER_S) as rig:
        await all_bound(rig)
        rig.smsc.answer = refuse(Status.RTHROTTLED, times=1)(rig.smsc)
        rig.submit("hello", lane="acme/0")
        (snooze,) = await rig.reports.outcomes_of(1)
        assert isinstance(snooze, Snooze)
        assert [rig.link.room(lane) for lane in rig.link.lanes] == [0, 0]
        assert {bind.rate_per_s for bind in rig.link.report()} == {PER_S / 2}
        assert [bind.throttles for bind in rig.link.report()] == [1, 0]


async def test_what_waits_behind_a_throttled_message_goes_back_after_it() -> None:
    """Else it would go out before it."""
    async with linked(window=1) as rig:
        rig.smsc.answer = refuse(Status.RTHROTTLED, times=1)(rig.smsc)
        first, second = *rig.submit("a"), *rig.submit("b" * 200)
        await rig.reports.outcomes_of(2)
        assert {shipment.message.id for shipment, _ in rig.reports.outcomes} == {
            first.message.id,
            second.message.id,
        }
        assert all(isinstance(outcome, Snooze) for _, outcome in rig.reports.outcomes)
        assert rig.smsc.texts == [b"a"]


async def test_a_part_that_is_tried_again_holds_up_its_own_bind_only() -> None:
    """For a second; the others go on."""
    async with linked(binds=["transceiver"] * 2) as rig:
        await all_bound(rig)
        rig.smsc.answer = refuse(Status.RSYSERR, {b"b"}, times=1)(rig.smsc)
        rig.submit("a" * 153 + "b" * 10)
        await rig.reports.until(lambda: rig.bind.in_flight == 0 and rig.bind.queued == 1)
        assert [rig.link.room(lane) > 0 for lane in rig.link.lanes] == [False, True]
        rig.clock.advance(1_000)
        (accepted,) = await rig.reports.outcomes_of(1)
        assert isinstance(accepted, Accepted)
        assert rig.link.room("acme/0") > 0


async def test_an_operator_may_unbind_while_it_connects() -> None:
    """It does not bind then, though the connection is made."""
    async with listening() as smsc:
        rig = Rig(smsc)
        await rig.link.start()
        await asyncio.sleep(0)
        assert rig.bind.state is BindState.CONNECTING
        assert rig.link.unbind(None)
        await smsc.until(lambda: smsc.accepted == 1 and not smsc.connections)
        await rig.passing(lambda: rig.bind.state is BindState.UNBOUND)
        assert (smsc.binds, rig.link.state) == ([], LinkState.DOWN)
        await rig.link.stop(0)
        rig.clock.close()

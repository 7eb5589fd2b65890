"""When a peer that could not be talked to is tried again."""

import asyncio

import pytest

from trebuchet.carriers.reach import PAUSES_MS, Reach
from trebuchet.clock import ManualClock

pytestmark = pytest.mark.anyio


class Peer:
    """It is there or not; what the link is told of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.there = False
        self.probes: list[int] = []
        self.said: list[tuple[bool, str]] = []
        self.woken = 0
        self.reach = Reach(
            self.clock, probe=self._probe, again=self._again, changed=lambda *s: self.said.append(s)
        )

    async def _probe(self) -> None:
        self.probes.append(self.clock.now_ms())
        if not self.there:
            raise OSError("connection refused")

    def _again(self) -> None:
        self.woken += 1

    async def passing(self, by_ms: int) -> None:
        """Timers and probes take a few turns of the loop."""
        self.clock.advance(by_ms)
        for _ in range(5):
            await asyncio.sleep(0)


async def test_each_failed_probe_rests_longer() -> None:
    """Until the longest pause; no message is at stake."""
    peer = Peer()
    peer.reach.failed("gone")
    for pause_ms in (*PAUSES_MS, PAUSES_MS[-1]):
        before = len(peer.probes)
        await peer.passing(pause_ms - 1)
        assert len(peer.probes) == before
        await peer.passing(1)
        assert len(peer.probes) == before + 1
    assert (peer.reach.down, peer.woken) == (True, 0)
    assert peer.said == [(False, "gone")] + [(False, "connection refused")] * len(peer.probes)


async def test_a_probe_that_goes_well_ends_it() -> None:
    """The lanes look again."""
    peer = Peer()
    peer.reach.failed("gone")
    peer.there = True
    await peer.passing(PAUSES_MS[0])
    assert (peer.reach.down, peer.woken, peer.said[-1]) == (False, 1, (True, ""))


async def test_a_peer_that_takes_nothing_rests_longer_each_time() -> None:
    """It can be connected to, and then refuses to work: only what it takes makes the next rest short again."""
    peer = Peer()
    peer.there = True
    for pause_ms in PAUSES_MS:
        peer.reach.failed("busy")
        assert peer.reach.down_until_ms == peer.clock.now_ms() + pause_ms
        await peer.passing(pause_ms)
        assert not peer.reach.down
    peer.reach.reached()
    peer.reach.failed("busy")
    assert peer.reach.down_until_ms == peer.clock.now_ms() + PAUSES_MS[0]


async def test_failures_at_the_same_time_are_one() -> None:
    """Many requests fail together when a peer goes away."""
    peer = Peer()
    for _ in range(5):
        peer.reach.failed("gone")
    assert peer.said == [(False, "gone")]
    assert peer.reach.down_until_ms == peer.clock.now_ms() + PAUSES_MS[0]


async def test_an_answer_that_comes_late_ends_it_too() -> None:
    """One request failed, another was answered."""
    peer = Peer()
    peer.reach.failed("gone")
    peer.reach.reached()
    assert (peer.reach.down, peer.woken) == (False, 1)
    await peer.passing(PAUSES_MS[-1])
    assert peer.probes == []


async def test_cancelled_it_calls_nobody() -> None:
    """A link that stops is not woken."""
    peer = Peer()
    peer.there = True
    peer.reach.failed("gone")
    peer.reach.cancel()
    await peer.passing(PAUSES_MS[-1])
    assert (peer.probes, peer.woken) == ([], 0)

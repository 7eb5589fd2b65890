"""The reference page of the simulator says what the simulator does."""

import asyncio
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from trebuchet.clock import ManualClock
from trebuchet.simulator.api import routes
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.scenario import reference_table
from trebuchet.storage.base import HandsetMessage

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "simulator.md"
BEGIN, END = "<!-- scenario: begin -->\n", "<!-- scenario: end -->\n"


def test_the_table_is_the_one_that_decides() -> None:
    """Every magic recipient and trigger is documented, with what it does."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    documented, end, _ = rest.partition(END)
    assert before
    assert end
    wanted = f"\n{reference_table()}\n"
    assert documented == wanted, f"put this between the two `scenario` comments of {PAGE.name}:\n{wanted}"


class _NoLedger:
    """The table of routes needs no memory."""

    def record(self, messages: Sequence[HandsetMessage]) -> "asyncio.Future[None]":
        raise AssertionError(messages)

    async def tail(self, since_ms: int, limit: int) -> list[HandsetMessage]:
        raise AssertionError((since_ms, limit))


@pytest.mark.anyio
async def test_every_request_is_documented() -> None:
    """Each method and path of the API has its line, and there are no others."""
    clock = ManualClock()
    network = SimulatedNetwork(clock, random.Random(1), delay_min_ms=0, delay_max_ms=0, ledger=_NoLedger())
    served = {
        f"{method} {route.path}"
        for route in routes(network, clock)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert set(re.findall(r"^\| `([A-Z]+ /sim/v1\S*)` \|", PAGE.read_text("utf-8"), re.MULTILINE)) == served

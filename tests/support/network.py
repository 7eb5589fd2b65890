"""What the tests of the simulated network have in common: a ledger in memory, the other end of a link, messages."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from trebuchet.clock import ManualClock
from trebuchet.model.account import Profile
from trebuchet.model.message import GROUP, Delivery, Direction, Kind, Message
from trebuchet.model.receipt import Receipt
from trebuchet.model.status import State
from trebuchet.simulator.base import Key, Reply, Typed
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.storage.base import HandsetMessage

T0 = 1_767_225_600_000
HOUR = 3_600_000
CARRIER = "sim"
HANDSET = "+19195551234"
OURS = "+12345678901"
DELAY_MS = 50  # of every ordinary receipt: tests are in no need of chance


class MemoryLedger:
    """Commits when told to, or at once; fails as often as told. Keeps its rows over a restart of the network."""

    def __init__(self) -> None:
        self.rows: list[HandsetMessage] = []
        self.batches: list[int] = []
        self.failures: list[Exception] = []
        self.waits = False
        self._waiting: list[tuple[asyncio.Future[None], Sequence[HandsetMessage]]] = []

    def record(self, messages: Sequence[HandsetMessage]) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.batches.append(len(messages))
        self._waiting.append((future, messages))
        if not self.waits:
            self.commit()
        return future

    def commit(self) -> None:
        for future, messages in self._waiting:
            if self.failures:
                future.set_exception(self.failures.pop())
            else:
                self.rows += messages
                future.set_result(None)
        self._waiting.clear()

    async def tail(self, since_ms: int, limit: int) -> list[HandsetMessage]:
        return [row for row in self.rows if row.network_id >= f"{since_ms:013d}"][-limit:]


class Line:
    """The link's end of a port: remembers what it is told; receipts are stored at once unless `holds`."""

    def __init__(self, carrier_id: str = CARRIER) -> None:
        self.carrier_id = carrier_id
        self.replies: list[tuple[Key, Reply]] = []
        self.receipts: list[Receipt] = []
        self.typed_messages: list[Typed] = []
        self.down_until_ms: list[int] = []
        self.failures: list[Exception] = []
        self.holds = False
        self.held: list[asyncio.Future[None]] = []

    def answered(self, replies: Sequence[tuple[Key, Reply]]) -> None:
        self.replies += replies

    def down(self, until_ms: int) -> None:
        self.down_until_ms.append(until_ms)

    def receipt(self, receipt: Receipt) -> "asyncio.Future[None]":
        self.receipts.append(receipt)
        return self._stored()

    def typed(self, typed: Typed) -> "asyncio.Future[None]":
        self.typed_messages.append(typed)
        return self._stored()

    def _stored(self) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.failures:
            future.set_exception(self.failures.pop())
        elif self.holds:
            self.held.append(future)
        else:
            future.set_result(None)
        return future

    @property
    def answers(self) -> list[str]:
        return [reply.answer for _, reply in self.replies]


class World:
    """A network, its ledger and one attached line, at a time that stands still."""

    def __init__(
        self,
        ledger: MemoryLedger | None = None,
        *,
        delay_min_ms: int = DELAY_MS,
        delay_max_ms: int = DELAY_MS,
        planned_max: int = 400_000,
    ) -> None:
        self.clock = ManualClock(T0)
        self.ledger = ledger or MemoryLedger()
        self.line = Line()
        self.network = SimulatedNetwork(
            self.clock,
            random.Random(1),
            delay_min_ms=delay_min_ms,
            delay_max_ms=delay_max_ms,
            ledger=self.ledger,
            planned_max=planned_max,
        )
        self.network.attach(self.line)

    async def submit(self, *submissions: "Submitted") -> None:
        """Submit all in one turn of the loop, and let everything that follows at once happen."""
        for submission in submissions:
            self.network.submit(self.line, submission)
        await quiet()

    async def pass_ms(self, duration_ms: int) -> None:
        self.clock.advance(duration_ms)
        await quiet()

    def texts(self, number: str = HANDSET) -> list[str]:
        """What a handset shows."""
        return [message.text for message in self.network.handsets.messages(number)]


async def quiet() -> None:
    """Let everything that is ready run. Eight turns are more than any chain of callbacks here has."""
    for _ in range(8):
        await asyncio.sleep(0)


class Submitted(msgspec.Struct, frozen=True):
    """What a link submits."""

    message: Message
    deliveries: tuple[Delivery, ...]
    work_key: Key
    attempt: int = 1


def submitted(text: str = "hello", number: int = 0, *, attempt: int = 1, **fields: Any) -> Submitted:
    """An SMS to HANDSET unless `fields` of the message say otherwise; a group message if it has several recipients."""
    message = replace(
        Message(
            id=f"{T0 + number:013d}aaaaaaaaaaaaaaaa",
            account_id="u-1",
            application_id="app-1",
            direction=Direction.OUT,
            kind=Kind.SMS,
            owner=OURS,
            source=OURS,
            destinations=(HANDSET,),
            text=text,
            media=None,
            tag=None,
            priority=None,
            expiration=None,
            valid_until_ms=T0 + HOUR,
            segment_count=1,
            encoding="GSM-7",
            profile=Profile.CURRENT,
            received_ms=T0,
        ),
        **fields,
    )
    deliveries = tuple(
        Delivery(message.id, place, to, State.QUEUED, None, None, None, "", 0, 0, 0, None, None, None)
        for place, to in enumerate(message.destinations)
    )
    return Submitted(message, deliveries, (message.id, GROUP if len(deliveries) > 1 else 0), attempt)


def row(number: int = 0, handset: str = HANDSET, text: str = "hello") -> HandsetMessage:
    """A message that the network took; `number` makes its id."""
    fate = f"1 shown DELIVRD+{DELAY_MS} @{CARRIER}"
    return HandsetMessage(
        f"{T0 + number:013d}aaaaaaaaaaaaaaaa",
        handset,
        OURS,
        "mt",
        text,
        (),
        (),
        f"m{number}/0",
        fate,
        T0 + number,
    )

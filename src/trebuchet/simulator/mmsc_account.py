"""The MMSC's way into the simulated network, and what its peer is to be told: a `Port`, whatever the peer speaks.

Each recipient of a message is one submission. What the peer submits again under the same message id has the answer
that it had, and the network decides again only on recipients that it has not taken yet.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from trebuchet.clock import Clock, Ids
from trebuchet.errors import NotFound
from trebuchet.model.message import Delivery, Message
from trebuchet.model.receipt import Receipt
from trebuchet.simulator import mmsc_onair as onair
from trebuchet.simulator.base import File, Key, NoLink, Reply, Typed
from trebuchet.simulator.mmsc_base import Counts, Heard, Relay, Written
from trebuchet.simulator.mmsc_files import Files
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.scenario import Answer

_REMEMBERED_MAX: Final = 20_000  # messages whose repetition is recognised


class Submission(msgspec.Struct, frozen=True):
    """One message for one recipient, as the network takes it."""

    message: Message
    deliveries: tuple[Delivery, ...]
    attempt: int
    work_key: Key


class _Known:
    """One message of the peer's. `under_way` are recipients that the network has not decided on."""

    __slots__ = ("attempts", "taken", "under_way")

    def __init__(self) -> None:
        self.attempts = 0
        self.taken: set[str] = set()
        self.under_way: dict[str, asyncio.Future[Reply]] = {}


class Account:
    """One peer of the MMSC. All calls in one event loop."""

    def __init__(
        self,
        carrier_id: str,
        *,
        network: SimulatedNetwork,
        clock: Clock,
        ids: Ids,
        files: Files,
        counts: Counts,
    ) -> None:
        self.carrier_id = carrier_id
        self.relay: Relay | None = None  # None: nothing can be said to the peer
        self._network = network
        self._clock = clock
        self._ids = ids
        self._files = files
        self._counts = counts
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._waiting: dict[Key, asyncio.Future[Reply]] = {}

    # ---- what its peer asks ----

    def attempt(self, heard: Heard) -> int:
        """How often the peer has submitted this message, this time included. To be called once for each."""
        key = (heard.source, heard.message_id)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known()
            if len(self._known) > _REMEMBERED_MAX:
                self._known.popitem(last=False)
        known.attempts += 1
        return known.attempts

    async def take(self, heard: Heard, attempt: int, *, shown: bool = True) -> Mapping[str, Reply]:
        """The network's reply for each recipient, once it has decided on all. Not `shown`: on no handset."""
        known = self._known.setdefault((heard.source, heard.message_id), _Known())
        new = [n for n in heard.recipients if n not in known.taken and n not in known.under_way]
        if new:
            self._submit(heard, new, attempt, known, shown=shown)
        awaited = {n: known.under_way[n] for n in heard.recipients if n in known.under_way}
        if awaited:
            # Not `gather`: a connection that is cut must not cancel what another one waits for.
            await asyncio.wait(awaited.values())
        return {
            number: awaited[number].result() if number in awaited else Reply(Answer.ACCEPTED)
            for number in heard.recipients
        }

    def _submit(
        self, heard: Heard, numbers: Sequence[str], attempt: int, known: _Known, *, shown: bool
    ) -> None:
        now_ms = self._clock.now_ms()
        media = [self._files.keep(file) for file in heard.files]
        message = onair.message(heard, self._ids.message_id(now_ms), media, now_ms)
        for place, number in enumerate(numbers):
            key = (message.id, place)
            future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            known.under_way[number] = self._waiting[key] = future
            submission = Submission(message, (onair.delivery(message, place, number),), attempt, key)
            self._network.submit(self, submission, shown=shown)
            future.add_done_callback(partial(self._decided, known, number))

    @staticmethod
    def _decided(known: _Known, number: str, done: "asyncio.Future[Reply]") -> None:
        del known.under_way[number]
        if done.result().answer is Answer.ACCEPTED:
            known.taken.add(number)

    # ---- Port: what the network says ----

    def answered(self, replies: Sequence[tuple[Key, Reply]]) -> None:
        for key, reply in replies:
            future = self._waiting.pop(key, None)
            if future is not None:
                future.set_result(reply)

    def down(self, until_ms: int) -> None:
        if self.relay is not None:
            self.relay.down(until_ms)

    def receipt(self, receipt: Receipt) -> "asyncio.Future[None]":
        reference = onair.reference_of(receipt)
        known = self._known.get((receipt.sender, reference.message_id))
        if known is not None:
            # Its submit may never be answered, and yet the network has it.
            known.taken.add(receipt.handset)
        report = onair.report(receipt)
        if report is None or self.relay is None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.set_result(None)
            return future
        return asyncio.get_running_loop().create_task(self.relay.report(report))

    def typed(self, typed: Typed) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_task(self._type(typed))

    async def _type(self, typed: Typed) -> None:
        if self.relay is None:
            raise NoLink("the MMSC has no peer")
        written = Written(
            id=typed.id,
            handset=typed.handset,
            recipients=typed.participants or (typed.number,),
            text=typed.text,
            files=(*typed.files, *map(self._shown, typed.media)),
        )
        await self.relay.write(written)
        self._counts.inbound += 1

    def _shown(self, url: str) -> File:
        """What a handset shows can be handed on; a peer is given files, not URLs."""
        file = self._files.find(url)
        if file is None:
            raise NotFound(f"{url} is on no handset of this MMSC: give it as a file")
        return file

"""One system_id of the listening SMSC: its way into the simulated network, and what waits for its ESME.

Each submit is judged and answered by itself; a long message is shown once, when the last of its parts has come.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from trebuchet.clock import Clock, Ids
from trebuchet.model.message import Delivery, Message
from trebuchet.model.receipt import Receipt
from trebuchet.protocols.smpp import pdu, tlv
from trebuchet.protocols.smpp.constants import RECEIPT, Status
from trebuchet.protocols.smpp.session import Session
from trebuchet.protocols.smpp.tlv import Tag
from trebuchet.simulator import onair
from trebuchet.simulator.base import Key, NoLink, Reply, Typed
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.scenario import Answer
from trebuchet.simulator.smsc_messages import Messages
from trebuchet.simulator.smsc_settings import SmscSettings

_REMEMBERED_MAX: Final = 20_000  # submits whose repetition is recognised, and parts that wait for others
_BUSY_STATUS: Final = Status.RSYSERR


class Counts(msgspec.Struct):
    """What the SMSC has seen since it started."""

    binds: int = 0
    submits: int = 0
    refused: int = 0
    throttled: int = 0
    receipts: int = 0  # acknowledged
    inbound: int = 0  # acknowledged


class Shared(msgspec.Struct):
    """What all accounts of one SMSC have in common."""

    settings: SmscSettings
    network: SimulatedNetwork
    clock: Clock
    chance: random.Random
    ids: Ids
    counts: Counts
    answering: bool = True  # False: submits are taken and their answers held back


class Submission(msgspec.Struct, frozen=True):
    """One submit as the network takes it."""

    message: Message
    deliveries: tuple[Delivery, ...]
    attempt: int
    work_key: Key


class Peer(Protocol):
    """One connection of the account's ESME."""

    @property
    def session(self) -> Session: ...

    @property
    def receives(self) -> bool:
        """Whether it may be handed something now, its window aside."""
        ...

    def respond(self, response: pdu.Pdu) -> None: ...

    def ignore(self) -> None:
        """A submit is never answered."""
        ...

    def ask(self, message: pdu.DeliverSm, future: "asyncio.Future[None]") -> None:
        """Deliver it. What comes of it is told to `Account.delivered` or `Account.again`."""
        ...

    def abort(self) -> None: ...


class Account:
    """A Port of the network."""

    def __init__(self, system_id: str, shared: Shared) -> None:
        self.carrier_id = system_id
        self.connections: list[Peer] = []
        self.down_until_ms = 0
        self._shared = shared
        self._messages = Messages(shared.network, shared.settings.ids)
        self._waiting: dict[Key, tuple[Peer, onair.Submit, onair.Heard]] = {}
        self._held: list[tuple[Key, Reply]] = []
        self._due: deque[tuple[pdu.DeliverSm, asyncio.Future[None]]] = deque()
        self._seen: OrderedDict[tuple[str, str, bytes], int] = OrderedDict()
        self._parts: OrderedDict[tuple[str, str, int, int, int], dict[int, onair.Heard]] = OrderedDict()
        self._paid_ms = 0.0
        self._turn = 0

    # ---- what its ESME asks ----

    def submit(self, connection: Peer, submit: onair.Submit) -> None:
        """Hand a submit to the network; it is answered when the network has decided."""
        shared = self._shared
        now_ms = shared.clock.now_ms()
        shared.counts.submits += 1
        if self._too_fast(now_ms):
            shared.counts.throttled += 1
            connection.respond(submit.response(status=Status.RTHROTTLED))
            return
        heard = onair.hear(submit)
        if not heard.destination:
            shared.counts.refused += 1
            connection.respond(submit.response(status=Status.RINVDSTADR))
            return
        text, shown = self._join(heard)
        message = onair.message(heard, text, shared.ids.message_id(now_ms), now_ms)
        key = (message.id, 0)
        self._waiting[key] = (connection, submit, heard)
        submission = Submission(message, (onair.delivery(message),), self._attempt(heard), key)
        shared.network.submit(self, submission, shown=shown)

    def change(self, request: pdu.QuerySm | pdu.CancelSm | pdu.ReplaceSm) -> pdu.Pdu:
        """Tell of a message, cancel or replace it. Returns the answer."""
        return self._messages.answer(request)

    def _too_fast(self, now_ms: int) -> bool:
        per_s = self._shared.settings.segments_per_s
        if not per_s:
            return False
        if self._paid_ms > now_ms + 100:
            return True
        self._paid_ms = max(self._paid_ms, now_ms) + 1000 / per_s
        return False

    def _attempt(self, heard: onair.Heard) -> int:
        """1 for the first submit of these octets between these numbers: what passes by itself does so once."""
        key = (heard.source, heard.destination, heard.octets)
        attempt = self._seen.pop(key, 0) + 1
        self._seen[key] = attempt
        if len(self._seen) > _REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return attempt

    def _join(self, heard: onair.Heard) -> tuple[str, bool]:
        """What the handset shows of a submit: of the last part of a long message all of it, of the others nothing."""
        if heard.part is None:
            return heard.text, True
        reference, width, total, place = heard.part
        key = (heard.source, heard.destination, reference, width, total)
        parts = self._parts.setdefault(key, {})
        parts[place] = heard
        if len(parts) == total:
            del self._parts[key]
            return onair.joined(parts), True
        if len(self._parts) > _REMEMBERED_MAX:
            self._parts.popitem(last=False)
        return heard.text, False

    # ---- Port: what the network says ----

    def answered(self, replies: Sequence[tuple[Key, Reply]]) -> None:
        for key, reply in replies:
            if not self._shared.answering:
                self._held.append((key, reply))
            elif self._shared.settings.response_delay_ms:
                due_ms = self._shared.clock.now_ms() + self._shared.settings.response_delay_ms
                self._shared.clock.call_at(due_ms, partial(self._answer, key, reply))
            else:
                self._answer(key, reply)

    def answer_held(self) -> None:
        held, self._held = self._held, []
        for key, reply in held:
            self._answer(key, reply)

    def down(self, until_ms: int) -> None:
        self.down_until_ms = until_ms
        for connection in list(self.connections):
            connection.abort()

    def receipt(self, receipt: Receipt) -> "asyncio.Future[None]":
        self._messages.reported(receipt)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if onair.wants_receipt(receipt):
            self._due.append((onair.deliver_receipt(receipt, self._shared.settings), future))
            self.deliver()
        else:
            future.set_result(None)
        return future

    def typed(self, typed: Typed) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_task(self._type(typed))

    async def _type(self, typed: Typed) -> None:
        if not any(connection.receives for connection in self.connections):
            raise NoLink(f"no receiver of {self.carrier_id} is bound")
        self._turn += 1
        parts = onair.deliver_typed(typed, self._turn & 0xFFFF, self._shared.settings.long_messages)
        futures: list[asyncio.Future[None]] = []
        for part in parts:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            futures.append(future)
            self._due.append((part, future))
        self.deliver()
        await asyncio.gather(*futures)
        self._shared.counts.inbound += 1

    def _answer(self, key: Key, reply: Reply) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        connection, submit, heard = waiting
        settings, counts = self._shared.settings, self._shared.counts
        if reply.answer is Answer.LOST or self._shared.chance.random() < settings.drop_responses:
            connection.ignore()
            return
        tlvs = self._congestion(connection)
        if reply.answer is Answer.ACCEPTED:
            message_id = self._messages.accepted(reply.ids[0][0], submit, heard)
            connection.respond(submit.response(message_id=message_id, tlvs=tlvs))
        elif reply.answer is Answer.REFUSED:
            counts.refused += 1
            status, why = onair.refusal(reply.error_code)
            if isinstance(submit, pdu.SubmitSm) and connection.session.peer_version < 0x50:
                why = ()  # 3.4 section 4.4.2: a submit_sm_resp has none, and some ESMEs end over one
            connection.respond(submit.response(status=status, tlvs=(*why, *tlvs)))
        elif reply.answer is Answer.BUSY:
            connection.respond(submit.response(status=_BUSY_STATUS, tlvs=tlvs))
        else:
            counts.throttled += 1
            connection.respond(submit.response(status=Status.RTHROTTLED, tlvs=tlvs))

    def _congestion(self, connection: Peer) -> tuple[tuple[int, bytes], ...]:
        said = self._shared.settings.congestion
        if said is None or connection.session.peer_version < 0x50:
            return ()
        return (tlv.pack(Tag.CONGESTION_STATE, said),)

    # ---- what goes out ----

    def deliver(self) -> None:
        """Hand out what is due, one after the other over all sessions that receive and have room."""
        while self._due:
            open_ = [c for c in self.connections if c.receives and c.session.room > 0]
            if not open_:
                return
            self._turn += 1
            message, future = self._due.popleft()
            open_[self._turn % len(open_)].ask(message, future)

    def delivered(self, message: pdu.DeliverSm, future: "asyncio.Future[None]", status: int) -> None:
        """The ESME's answer to one of them. A receipt that it never wants is done with; others are repeated."""
        if future.done():
            return
        is_receipt = bool(message.esm_class & RECEIPT)
        if status == Status.ROK or (is_receipt and status == Status.RX_P_APPN):
            self._shared.counts.receipts += is_receipt
            future.set_result(None)
        else:
            future.set_exception(NoLink(f"the ESME answered 0x{status:02X}"))

    def again(self, message: pdu.DeliverSm, future: "asyncio.Future[None]") -> None:
        """It was not answered: it goes out again over whoever is bound then, before the others."""
        self._due.appendleft((message, future))
        self.deliver()

"""A listening SMSC in front of the simulated network, for anybody's ESME.

Each system_id is one more way into the network, a `Port` like an in-process link: the same scenarios, triggers,
handsets and clock. Each submit is judged and answered by itself; a long message is shown once, when the last of
its parts has come.
"""

import asyncio
import random
import ssl
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

import msgspec

from trebuchet.clock import Clock, Ids, Timer
from trebuchet.model.message import Delivery, Message
from trebuchet.model.receipt import Receipt
from trebuchet.protocols.smpp import pdu, tlv
from trebuchet.protocols.smpp.constants import RECEIPT, Command, Status
from trebuchet.protocols.smpp.session import (
    BindRequested,
    Closing,
    Event,
    Request,
    Response,
    Role,
    Session,
    State,
    Unanswered,
)
from trebuchet.protocols.smpp.tlv import Tag
from trebuchet.simulator import onair
from trebuchet.simulator.base import Key, NoLink, Reply, Typed
from trebuchet.simulator.network import SimulatedNetwork
from trebuchet.simulator.scenario import Answer
from trebuchet.simulator.smsc_settings import SmscSettings

_CONNECTIONS_MAX: Final = 1_000
_REMEMBERED_MAX: Final = 20_000  # submits whose repetition is recognised, and parts that wait for others
_VERSIONS: Final = {"3.3": None, "3.4": 0x34, "5.0": 0x50}
_RECEIVING: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})
# What is not done here has an answer of its own.
_NOT_DONE: Final[dict[int, int]] = {
    Command.QUERY_SM: Status.RQUERYFAIL,
    Command.CANCEL_SM: Status.RCANCELFAIL,
    Command.REPLACE_SM: Status.RREPLACEFAIL,
}
_BUSY_STATUS: Final = Status.RSYSERR


class Submission(msgspec.Struct, frozen=True):
    """One submit as the network takes it."""

    message: Message
    deliveries: tuple[Delivery, ...]
    attempt: int
    work_key: Key


class Counts(msgspec.Struct):
    """What the SMSC has seen since it started."""

    binds: int = 0
    submits: int = 0
    refused: int = 0
    throttled: int = 0
    receipts: int = 0  # acknowledged
    inbound: int = 0  # acknowledged


class Bound(msgspec.Struct, frozen=True):
    """One session, for people."""

    system_id: str
    kind: str
    peer: str


class Smsc:
    """Listens from `start` to `stop`; each once. All calls in one event loop.

    `changed` is called when somebody binds or leaves.
    """

    def __init__(
        self,
        settings: SmscSettings,
        *,
        network: SimulatedNetwork,
        clock: Clock,
        chance: random.Random,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.network = network
        self.clock = clock
        self.chance = chance
        self.counts = Counts()
        self.ids = Ids(chance.randbytes)
        self.answering = True  # False: submits are taken and their answers held back
        self._changed = changed
        self._accounts: dict[str, _Account] = {}
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen. Returns the port. Raises OSError if it is taken, ValueError for a wrong certificate."""
        settings = self.settings
        self._server = await asyncio.get_running_loop().create_server(
            self._connect, settings.host, settings.port, ssl=_tls(settings)
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close everything. May be called twice."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()
        for account in self._accounts.values():
            self.network.detach(account)

    @property
    def sessions(self) -> list[Bound]:
        """Who is bound now."""
        return [
            Bound(c.account.carrier_id, c.session.state.value, c.peer)
            for c in self._connections
            if c.account is not None and c.session.bound
        ]

    def cut(self) -> None:
        """Break every connection, as a power cut would."""
        for connection in list(self._connections):
            connection.abort()

    def answer_again(self) -> None:
        """Answer what was held back while `answering` was False."""
        self.answering = True
        for account in self._accounts.values():
            account.answer_held()

    def account(self, system_id: str) -> "_Account":
        account = self._accounts.get(system_id)
        if account is None:
            account = self._accounts[system_id] = _Account(system_id, self)
            self.network.attach(account)
        return account

    def left(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        self._changed()

    def entered(self) -> None:
        self.counts.binds += 1
        self._changed()

    def _connect(self) -> "_Connection":
        connection = _Connection(self, full=len(self._connections) >= _CONNECTIONS_MAX)
        self._connections.add(connection)
        return connection


class _Account:
    """One system_id: a Port of the network, with its sessions."""

    def __init__(self, system_id: str, smsc: Smsc) -> None:
        self.carrier_id = system_id
        self.connections: list[_Connection] = []
        self.down_until_ms = 0
        self._smsc = smsc
        self._waiting: dict[Key, tuple[_Connection, pdu.Pdu]] = {}
        self._held: list[tuple[Key, Reply]] = []
        self._due: deque[tuple[pdu.DeliverSm, asyncio.Future[None]]] = deque()
        self._seen: OrderedDict[tuple[str, str, bytes], int] = OrderedDict()
        self._parts: OrderedDict[tuple[str, str, int, int, int], dict[int, onair.Heard]] = OrderedDict()
        self._paid_ms = 0.0
        self._turn = 0

    # ---- what its ESME asks ----

    def submit(self, connection: "_Connection", submit: onair.Submit) -> None:
        """Hand a submit to the network; it is answered when the network has decided."""
        smsc = self._smsc
        now_ms = smsc.clock.now_ms()
        smsc.counts.submits += 1
        if self._too_fast(now_ms):
            smsc.counts.throttled += 1
            connection.respond(submit.response(status=Status.RTHROTTLED))
            return
        heard = onair.hear(submit)
        if not heard.destination:
            smsc.counts.refused += 1
            connection.respond(submit.response(status=Status.RINVDSTADR))
            return
        text, shown = self._join(heard)
        message = onair.message(heard, text, smsc.ids.message_id(now_ms), now_ms)
        key = (message.id, 0)
        self._waiting[key] = (connection, submit)
        submission = Submission(message, (onair.delivery(message),), self._attempt(heard), key)
        smsc.network.submit(self, submission, shown=shown)

    def _too_fast(self, now_ms: int) -> bool:
        per_s = self._smsc.settings.segments_per_s
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
            if not self._smsc.answering:
                self._held.append((key, reply))
            elif self._smsc.settings.response_delay_ms:
                due_ms = self._smsc.clock.now_ms() + self._smsc.settings.response_delay_ms
                self._smsc.clock.call_at(due_ms, partial(self._answer, key, reply))
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
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if onair.wants_receipt(receipt):
            self._due.append((onair.deliver_receipt(receipt, self._smsc.settings), future))
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
        parts = onair.deliver_typed(typed, self._turn & 0xFFFF, self._smsc.settings.long_messages)
        futures: list[asyncio.Future[None]] = []
        for part in parts:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            futures.append(future)
            self._due.append((part, future))
        self.deliver()
        await asyncio.gather(*futures)
        self._smsc.counts.inbound += 1

    def _answer(self, key: Key, reply: Reply) -> None:
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        connection, submit = waiting
        settings, counts = self._smsc.settings, self._smsc.counts
        if reply.answer is Answer.LOST or self._smsc.chance.random() < settings.drop_responses:
            connection.ignore()
            return
        tlvs = self._congestion(connection)
        if reply.answer is Answer.ACCEPTED:
            message_id, _ = onair.ids(reply.ids[0][0], settings.ids)
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

    def _congestion(self, connection: "_Connection") -> tuple[tuple[int, bytes], ...]:
        said = self._smsc.settings.congestion
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
            self._smsc.counts.receipts += is_receipt
            future.set_result(None)
        else:
            future.set_exception(NoLink(f"the ESME answered 0x{status:02X}"))

    def again(self, message: pdu.DeliverSm, future: "asyncio.Future[None]") -> None:
        """It was not answered: it goes out again over whoever is bound then, before the others."""
        self._due.appendleft((message, future))
        self.deliver()


class _Connection(asyncio.Protocol):
    """One connection of an ESME."""

    def __init__(self, smsc: Smsc, *, full: bool) -> None:
        self.account: _Account | None = None
        self.peer = ""
        self._smsc = smsc
        self._full = full
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._touched = False
        self._timer: Timer | None = None
        self._submits = 0
        self._blocked = False
        self.session = Session(
            Role.SMSC,
            smsc.clock.now_ms(),
            window=smsc.settings.deliver_window,
            peer_window=smsc.settings.window,
        )

    # ---- what the account asks ----

    @property
    def receives(self) -> bool:
        return self.session.state in _RECEIVING and not self._blocked

    def respond(self, response: pdu.Pdu) -> None:
        self.session.respond(response)
        self._touch()

    def ignore(self) -> None:
        """A submit that is never answered."""
        self.session.ignore()

    def ask(self, message: pdu.DeliverSm, future: "asyncio.Future[None]") -> None:
        self.session.request(message, self._smsc.clock.now_ms(), (message, future))
        self._touch()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Unbind and close, without waiting for the answer."""
        self.session.unbind(self._smsc.clock.now_ms())
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # ---- asyncio.Protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else ""
        if self._full:
            self._transport.abort()
        self._touch()

    def data_received(self, data: bytes) -> None:
        self._handle(self.session.receive(data, self._smsc.clock.now_ms()))
        self._touch()

    def pause_writing(self) -> None:
        # A peer that does not read is given nothing more, and asks for nothing more.
        self._blocked = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._blocked = False
        if self._transport is not None:
            self._transport.resume_reading()
        if self.account is not None:
            self.account.deliver()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self.account is not None:
            self.account.connections.remove(self)
        self._handle(self.session.lost(str(exc) if exc else "the ESME closed the connection"))
        self._smsc.left(self)

    # ---- events ----

    def _handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Request):
                self._asked(event.pdu)
            elif isinstance(event, Response):
                message, future = event.context
                if self.account is not None:
                    self.account.delivered(message, future, event.pdu.status)
                    self.account.deliver()
            elif isinstance(event, Unanswered):
                if self.account is not None:
                    self.account.again(*event.context)
            elif isinstance(event, BindRequested):
                self._bind(event.request)
            elif isinstance(event, Closing):
                self._end()

    def _asked(self, message: pdu.Pdu) -> None:
        assert self.account is not None  # only what is bound is handed on
        if isinstance(message, pdu.SubmitSm | pdu.DataSm):
            self._submits += 1
            every = self._smsc.settings.disconnect_every
            if every and self._submits % every == 0:
                self.abort()
                return
            self.account.submit(self, message)
        else:
            status = _NOT_DONE.get(message.COMMAND, Status.RINVCMDID)
            self.respond(message.response(status=status))

    def _bind(self, request: pdu.Bind) -> None:
        smsc, settings = self._smsc, self._smsc.settings
        status = self._judge(request)
        if status is None:
            self.abort()
        elif status:
            self.session.refuse_bind(request, status)
            self._end()
        else:
            self.account = smsc.account(request.system_id)
            self.account.connections.append(self)
            self.session.accept_bind(request, settings.system_id, _VERSIONS[settings.version])
            smsc.entered()
            self._loop.call_soon(self.account.deliver)

    def _judge(self, request: pdu.Bind) -> int | None:
        """Status of the answer to a bind; None: none at all, because the carrier is down."""
        settings = self._smsc.settings
        if settings.accounts:
            if request.system_id not in settings.accounts:
                return Status.RINVSYSID
            if request.password != settings.accounts[request.system_id]:
                return Status.RINVPASWD
        elif not request.system_id:
            return Status.RINVSYSID
        account = self._smsc.account(request.system_id)
        if account.down_until_ms > self._smsc.clock.now_ms():
            return None
        return Status.RBINDFAIL if len(account.connections) >= settings.binds_max else Status.ROK

    def _end(self) -> None:
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # ---- output and time ----

    def _touch(self) -> None:
        if not self._touched:
            self._touched = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._touched = False
        if self._transport is None or self._transport.is_closing():
            return
        output = self.session.take_output()
        if output:
            self._transport.write(output)
        due_ms = self.session.deadline_ms
        timer = self._timer
        if due_ms is not None and (timer is None or timer.callback is None or due_ms < timer.due_ms):
            if timer is not None:
                timer.cancel()
            self._timer = self._smsc.clock.call_at(due_ms, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._handle(self.session.tick(self._smsc.clock.now_ms()))
        self._touch()


def _tls(settings: SmscSettings) -> ssl.SSLContext | None:
    if not settings.tls_certificate_file:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        made.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"tls_certificate_file {settings.tls_certificate_file}: {error}") from None
    return made

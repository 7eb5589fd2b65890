"""Messages that handsets send: what is stored, what is announced, and what STOP, START and HELP do."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from outbox.doubles import HeldStore, as_store
from outbox.loops import settle_loop
from outbox.records import ACCOUNT, APPLICATION, CARRIER, DAY, HANDSET, LANE, OURS, T0

from trebuchet.accept import Acceptor, AcceptSettings
from trebuchet.carriers.base import InboundPart
from trebuchet.clock import Ids, ManualClock
from trebuchet.errors import AlreadyExists, NotFound, StorageUnavailable
from trebuchet.inbound import Inbound, KeywordAction, keyword_action
from trebuchet.model.account import (
    Account,
    Application,
    Directory,
    Number,
    NumberKind,
    OptOut,
    Profile,
    Route,
)
from trebuchet.model.events import Announcement, CallbackItem, Event, EventType
from trebuchet.model.message import Delivery, Direction, Kind, Message
from trebuchet.model.status import State
from trebuchet.outbox.committer import Committer
from trebuchet.outbox.pacing import Pacing
from trebuchet.storage.base import Accept, Create, DueWork, Remove, Write
from trebuchet.telemetry import Telemetry

OURS_TOO = "+12025550100"
OUT = "You are unsubscribed and will receive no more messages. Reply START to resubscribe."
IN = "You are subscribed again. Reply STOP to unsubscribe."
RECORD = OptOut(number=OURS, handset=HANDSET, created_ms=T0)
APP = Application(id=APPLICATION, account_id=ACCOUNT, opt_out=True)


def number(which: str = OURS) -> Number:
    return Number(number=which, kind=NumberKind.E164, account_id=ACCOUNT, application_id=APPLICATION)


def directory(*opt_outs: OptOut, application: Application = APP) -> Directory:
    return Directory(
        accounts=[Account(id=ACCOUNT, profile=Profile.CATAPULT)],
        applications=[application],
        numbers=[number(), number(OURS_TOO)],
        routes=[Route(id="r-1", carrier_id=CARRIER)],
        opt_outs=opt_outs,
    )


def part(text: str = "hello", **fields: Any) -> InboundPart:
    plain = InboundPart(carrier_id=CARRIER, source=HANDSET, destination=OURS, text=text)
    return replace(plain, **fields)


# ---- keywords: the decision ----


@pytest.mark.parametrize(
    ("text", "out", "expected"),
    [
        ("STOP", False, KeywordAction(Create(RECORD), OUT)),
        ("stop all.", False, KeywordAction(Create(RECORD), OUT)),
        ("STOP", True, KeywordAction(None, None)),
        ("START", True, KeywordAction(Remove(RECORD), IN)),
        ("START", False, KeywordAction(None, None)),
        ("yes", False, KeywordAction(None, None)),
        ("HELP", False, KeywordAction(None, "Reply STOP to unsubscribe.")),
        ("HELP", True, KeywordAction(None, None)),
        ("stop by at 5", False, KeywordAction(None, None)),
        ("hello", True, KeywordAction(None, None)),
    ],
)
def test_what_a_keyword_asks_for(text: str, out: bool, expected: KeywordAction) -> None:
    """It changes the list, and is answered only where it changes something or asks for help: never twice."""
    listed = directory(RECORD) if out else directory()
    assert keyword_action(text, number(), HANDSET, APP, listed, T0) == expected


def test_an_opt_out_is_of_one_number_and_one_handset() -> None:
    """Another number's list is another list."""
    other = replace(RECORD, number=OURS_TOO)
    assert keyword_action("STOP", number(), HANDSET, APP, directory(other), T0).change == Create(RECORD)


@pytest.mark.parametrize("text", ["STOP", "START", "HELP"])
def test_keywords_are_ordinary_texts_where_they_are_not_handled(text: str) -> None:
    """An application may do it itself."""
    plain = replace(APP, opt_out=False)
    assert keyword_action(text, number(), HANDSET, plain, directory(RECORD), T0) == KeywordAction(None, None)


def test_the_help_text_is_the_applications() -> None:
    """If it has one."""
    helpful = replace(APP, help_text="Call us.")
    assert keyword_action("help?", number(), HANDSET, helpful, directory(), T0).reply == "Call us."


# ---- what is stored ----


class Desk:
    """Inbound messages over a store that commits in the next turn and keeps the opt-outs in its directory."""

    def __init__(self, *opt_outs: OptOut, application: Application = APP) -> None:
        self.listed = list(opt_outs)
        self.application = application
        self.directory = directory(*opt_outs, application=application)
        self.clock = ManualClock(T0)
        self.store = HeldStore(answer=self._carry_out)
        self.failing: Callable[[Write], Exception | None] = lambda change: None
        self.committer = Committer(as_store(self.store), batch_max=100, observe=lambda size, seconds: None)
        self.announced: list[tuple[Message, Announcement]] = []
        self.offered: list[DueWork] = []
        self.telemetry = Telemetry()
        self.reloads = 0
        ids = Ids(random.Random(1).randbytes)
        acceptor = Acceptor(
            clock=self.clock,
            ids=ids,
            committer=self.committer,
            directory=lambda: self.directory,
            lanes=lambda: {CARRIER: (LANE,)},
            pacing=Pacing(),
            settings=AcceptSettings(DAY, queue_max=1, recipients_max=10, strict_numbers=False),
            offer=self.offered.extend,
            announce=self._announce,
        )
        self.inbound = Inbound(
            clock=self.clock,
            ids=ids,
            committer=self.committer,
            directory=lambda: self.directory,
            reload_directory=self._reload,
            acceptor=acceptor,
            announce=self._announce,
            telemetry=self.telemetry,
        )

    def _carry_out(self, change: Write) -> Any:
        failure = self.failing(change)
        if failure is not None:
            return failure
        if isinstance(change, Create):
            assert isinstance(change.record, OptOut)
            self.listed.append(change.record)
        elif isinstance(change, Remove):
            self.listed = [o for o in self.listed if (o.number, o.handset) != (OURS, HANDSET)]
        return None

    async def _reload(self) -> None:
        self.reloads += 1
        self.directory = directory(*self.listed, application=self.application)

    def _announce(self, of: Message, announcements: Sequence[Announcement]) -> None:
        self.announced += [(of, announcement) for announcement in announcements]

    @property
    def accepted(self) -> list[Accept]:
        return [
            change
            for change in self.store.changes
            if isinstance(change, Accept) and change.message.direction is Direction.IN
        ]

    @property
    def replies(self) -> list[tuple[str, str, str]]:
        """Answers to handsets that were handed to a lane: from, to, text."""
        messages = [due.message for due in self.offered]
        return [(of.source, to, of.text) for of in messages for to in of.destinations]


pytest_async = pytest.mark.anyio


@pytest_async
async def test_a_message_is_stored_with_its_event_and_callback() -> None:
    """In one change, for the application of the number that it came to."""
    desk = Desk()
    await desk.inbound.receive(part(segment_count=2, encoding="UCS-2"))
    (change,) = desk.accepted
    id_ = change.message.id
    assert change.message == Message(
        id_, ACCOUNT, APPLICATION, Direction.IN, Kind.SMS, OURS, HANDSET, (OURS,), "hello", None, None, None, None,
        T0, 2, "UCS-2", Profile.CATAPULT, T0,
    )  # fmt: skip
    assert change.deliveries == (
        Delivery(id_, 0, OURS, State.RECEIVED, CARRIER, None, None, "", 0, 0, 0, None, None, None),
    )
    event = Event(
        f"{id_}-0-0", id_, 0, EventType.RECEIVED, OURS, None, "Incoming message received", T0
    )  # fmt: skip
    announcement = Announcement(event, CallbackItem(APPLICATION, T0, event.id))
    assert list(change.announcements) == [announcement]
    assert desk.announced == [(change.message, announcement)]
    assert desk.telemetry.value("trebuchet_messages_accepted_total", "in") == 1


@pytest_async
async def test_a_message_is_acknowledged_after_the_commit() -> None:
    """Neither the carrier nor the application hears of it before."""
    desk = Desk()
    desk.store.answer = None
    acknowledged = desk.inbound.receive(part())
    await settle_loop()
    assert (len(desk.accepted), acknowledged.done(), desk.announced) == (1, False, [])
    desk.store.complete()
    await acknowledged
    assert len(desk.announced) == 1


@pytest_async
async def test_a_message_that_cannot_be_stored_is_not_acknowledged() -> None:
    """So that the carrier repeats it; nothing is announced."""
    desk = Desk()
    desk.failing = lambda change: StorageUnavailable("disk full")
    with pytest.raises(StorageUnavailable):
        await desk.inbound.receive(part())
    assert desk.announced == []


@pytest_async
async def test_a_message_to_an_unknown_number_is_refused() -> None:
    """It is counted, and nothing is stored."""
    desk = Desk()
    with pytest.raises(NotFound):
        await desk.inbound.receive(part(destination="+19995550000"))
    assert desk.store.batches == []
    assert desk.telemetry.value("trebuchet_problems_total", "inbound_for_unknown_number") == 1


@pytest_async
async def test_a_picture_is_a_multimedia_message_of_one_segment() -> None:
    """With its addresses."""
    desk = Desk()
    await desk.inbound.receive(part(media=("https://example.com/cat.png",), segment_count=3))
    of = desk.accepted[0].message
    assert (of.kind, of.media, of.segment_count) == (Kind.MMS, ("https://example.com/cat.png",), 1)


@pytest_async
async def test_a_group_message_is_one_message_per_number_of_ours() -> None:
    """Each has its own id and callback, and names all recipients; a number named twice is one."""
    desk = Desk()
    everybody = (OURS, "+19995550000", OURS_TOO, OURS)
    await desk.inbound.receive(part(destinations=everybody))
    messages = [change.message for change in desk.accepted]
    assert [(m.owner, m.destinations, m.kind) for m in messages] == [
        (OURS, everybody, Kind.MMS),
        (OURS_TOO, everybody, Kind.MMS),
    ]
    assert len({m.id for m in messages}) == 2
    assert [a.event.to for _, a in desk.announced] == [OURS, OURS_TOO]


# ---- keywords, carried out ----


@pytest_async
async def test_stop_is_stored_announced_and_confirmed() -> None:
    """The opt-out is committed with the message; the confirmation goes out although it holds."""
    desk = Desk()
    await desk.inbound.receive(part("Stop"))
    assert [type(change) for change in desk.store.batches[0]] == [Accept, Create]
    assert (desk.listed, desk.reloads) == ([RECORD], 1)
    assert desk.replies == [(OURS, HANDSET, OUT)]
    assert [a.event.type for _, a in desk.announced] == [EventType.RECEIVED]


@pytest_async
async def test_a_second_stop_is_delivered_and_not_answered() -> None:
    """Two machines must not talk to each other for ever."""
    desk = Desk(RECORD)
    await desk.inbound.receive(part("STOP"))
    assert (desk.replies, desk.reloads, len(desk.announced)) == ([], 0, 1)


@pytest_async
async def test_start_takes_the_handset_off_the_list() -> None:
    """And says so."""
    desk = Desk(RECORD)
    await desk.inbound.receive(part("start"))
    assert (desk.listed, desk.replies) == ([], [(OURS, HANDSET, IN)])


@pytest_async
async def test_a_keyword_in_a_group_is_an_ordinary_text() -> None:
    """It is not meant for us alone."""
    desk = Desk()
    await desk.inbound.receive(part("STOP", destinations=(OURS, OURS_TOO)))
    assert (desk.listed, desk.replies) == ([], [])


@pytest_async
@pytest.mark.parametrize(
    ("listed", "text", "failure"),
    [((), "STOP", AlreadyExists("twice")), ((RECORD,), "START", NotFound("gone"))],
)
async def test_a_keyword_that_another_message_was_faster_with_is_as_good(
    listed: tuple[OptOut, ...], text: str, failure: Exception
) -> None:
    """The list is as the handset wants it, and the message is acknowledged."""
    desk = Desk(*listed)
    desk.failing = lambda change: failure if isinstance(change, Create | Remove) else None
    await desk.inbound.receive(part(text))
    assert len(desk.announced) == 1


@pytest_async
@pytest.mark.parametrize("failure", [AlreadyExists("its id"), NotFound("its account")])
async def test_only_a_keyword_may_be_there_already(failure: Exception) -> None:
    """A message that is refused by the store is not acknowledged, whatever the reason."""
    desk = Desk()
    desk.failing = lambda change: failure if isinstance(change, Accept) else None
    with pytest.raises(type(failure)):
        await desk.inbound.receive(part("STOP"))
    assert desk.announced == []


@pytest_async
async def test_a_keyword_that_cannot_be_stored_is_not_acknowledged() -> None:
    """An opt-out must not be lost: the carrier repeats the message."""
    desk = Desk()
    desk.failing = lambda change: StorageUnavailable("disk full") if isinstance(change, Create) else None
    with pytest.raises(StorageUnavailable):
        await desk.inbound.receive(part("STOP"))
    assert desk.replies == []


@pytest_async
async def test_an_answer_that_fails_does_not_fail_the_message() -> None:
    """The opt-out holds; that its confirmation was not taken is announced."""
    desk = Desk()
    for text in ("STOP", "START"):  # the gateway's queue has room for one
        await desk.inbound.receive(part(text))
    assert desk.listed == []
    assert desk.replies == [(OURS, HANDSET, OUT)]
    assert desk.telemetry.value("trebuchet_problems_total", "keyword_reply_failed") == 1


@pytest_async
async def test_messages_that_come_together_are_all_stored() -> None:
    """They share a commit."""
    desk = Desk()
    await asyncio.gather(*(desk.inbound.receive(part(f"text {place}")) for place in range(10)))
    assert [change.message.text for change in desk.accepted] == [f"text {place}" for place in range(10)]
    assert len(desk.store.batches) == 1

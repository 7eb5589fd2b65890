"""Messages that handsets send: what is stored, what is announced, and what STOP, START and HELP do."""

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from outbox.doubles import HeldStore, as_store
from outbox.loops import settle_loop
from outbox.records import ACCOUNT, APPLICATION, CARRIER, DAY, HANDSET, LANE, OURS, T0

from trebuchet.accept import Acceptor, AcceptSettings
from trebuchet.carriers.base import InboundPart, Part
from trebuchet.clock import Ids, ManualClock
from trebuchet.errors import AlreadyExists, NotFound, StorageError, StorageUnavailable
from trebuchet.inbound import HELD_MAX, Inbound, KeywordAction, assembled, keyword_action
from trebuchet.media.contents import ContentStore
from trebuchet.media.library import MediaLibrary, MediaSettings
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
from trebuchet.model.parts import HeldPart, Holding, PartsKey, PartsTaken, hold
from trebuchet.model.status import State
from trebuchet.outbox.committer import Committer
from trebuchet.outbox.pacing import Pacing
from trebuchet.protocols import sms
from trebuchet.storage.base import (
    Accept,
    Create,
    DropParts,
    DueWork,
    HoldPart,
    PartHeld,
    PartsGone,
    Remove,
    Write,
)
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


class Table(HeldStore):
    """Holds parts as the table does."""

    def __init__(self, answer: Callable[[Write], Any]) -> None:
        super().__init__(answer=answer)
        self.parts: dict[PartsKey, dict[int, HeldPart]] = {}
        self.more = 0  # parts of other messages

    def hold(self, change: HoldPart) -> PartHeld:
        there = self.parts.setdefault(change.part.key, {})
        holding = hold(there, change.part, change.stale_before_ms)
        there.setdefault(change.part.number, change.part)
        shown = holding in (Holding.COMPLETE, Holding.IN_THE_WAY)
        whole = [there[number] for number in sorted(there)]
        return PartHeld(holding, whole if shown else [], self.more + sum(map(len, self.parts.values())))

    def take(self, taken: PartsTaken) -> PartsGone | None:
        if len(self.parts.get(taken.key, ())) != taken.count:
            return PartsGone()
        del self.parts[taken.key]
        return None

    def drop(self, taken: PartsTaken) -> None:
        self.take(taken)

    async def complete_parts(self, limit: int) -> list[list[HeldPart]]:
        return [parts for parts in self._sets() if len(parts) == parts[0].total][:limit]

    async def stale_parts(self, before_ms: int, limit: int) -> list[list[HeldPart]]:
        return [parts for parts in self._sets() if parts[0].received_ms < before_ms][:limit]

    def _sets(self) -> list[list[HeldPart]]:
        """The oldest first; so within each."""
        sets = [sorted(there.values(), key=lambda part: part.received_ms) for there in self.parts.values()]
        return sorted((parts for parts in sets if parts), key=lambda parts: parts[0].received_ms)


class Desk:
    """Inbound messages over a store that commits in the next turn and keeps the opt-outs in its directory."""

    def __init__(self, *opt_outs: OptOut, application: Application = APP) -> None:
        self.listed = list(opt_outs)
        self.application = application
        self.directory = directory(*opt_outs, application=application)
        self.clock = ManualClock(T0)
        self.store = Table(answer=self._carry_out)
        self.failing: Callable[[Write], Any] = lambda change: None  # instead of carrying it out, if not None
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
            lanes=lambda kind: {CARRIER: (LANE,)},
            stage=lambda delivery: delivery.lane or "",
            pacing=Pacing(),
            settings=AcceptSettings(DAY, queue_max=1, recipients_max=10, strict_numbers=False),
            reserve=lambda lane, due_ms: False,
            fence=lambda _: None,
            withdraw=lambda work: None,
            offer=self.offered.extend,
            announce=self._announce,
        )
        self.inbound = Inbound(
            clock=self.clock,
            ids=ids,
            store=as_store(self.store),
            committer=self.committer,
            directory=lambda: self.directory,
            reload_directory=self._reload,
            acceptor=acceptor,
            library=MediaLibrary(
                store=as_store(self.store),
                contents=ContentStore(
                    "memory:///", Path(), now_ms=self.clock.now_ms, random_bytes=random.randbytes
                ),
                committer=self.committer,
                clock=self.clock,
                settings=MediaSettings(1_000_000, DAY),
                base_url=lambda: "https://gateway.example",
            ),
            reassembly_timeout_s=600,
            announce=self._announce,
            telemetry=self.telemetry,
        )

    def _carry_out(self, change: Write) -> Any:
        failure = self.failing(change)
        if failure is not None:
            return failure
        if isinstance(change, HoldPart):
            return self.store.hold(change)
        if isinstance(change, DropParts):
            return self.store.drop(change.parts)
        if isinstance(change, Accept) and change.parts is not None:
            return self.store.take(change.parts)
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


# ---- long messages: what parts make ----


def held(number: int, octets: bytes, total: int = 2, encoding: str = "GSM-7", **fields: Any) -> HeldPart:
    plain = HeldPart(CARRIER, HANDSET, OURS, 42, 8, total, number, encoding, octets, 0, T0, f"c-{number}")
    return replace(plain, **fields)


def cut(text: str, encoding: str, size: int) -> list[HeldPart]:
    """Parts of so many octets, whatever stands at the cuts."""
    octets = text.encode("utf_16_be") if encoding == "UCS-2" else sms.gsm7.encode(text)
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
    return [held(number, piece, len(pieces), encoding) for number, piece in enumerate(pieces, 1)]


@given(
    st.sampled_from(["[€] costs {5} ~ ^", "naïve 🙂🙃 café"]),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_parts_in_any_order_make_the_text(text: str, size: int, chance: random.Random) -> None:
    """Octets are joined before they are decoded: escape and surrogate pairs may be cut."""
    encoding = "GSM-7" if sms.gsm7.first_foreign(text) is None else "UCS-2"
    parts = cut(text, encoding, size)
    chance.shuffle(parts)
    assert assembled(parts) == (text, encoding)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([held(3, b"three", 3), held(1, b"one ", 3)], ("one three", "GSM-7")),
        ([held(1, b"one "), held(2, "два".encode("utf_16_be"), encoding="UCS-2")], ("one два", "GSM-7")),
        ([held(1, b"\xff\x00", encoding="octets"), held(2, b"\x01", encoding="octets")], ("ff0001", "octets")),
        ([held(1, b"\x1b\x41", single_shift=2), held(2, b"s", single_shift=2)], ("Ás", "GSM-7")),
        ([held(1, b"gr\xfc\xdf", encoding="ISO-8859-1"), held(2, b"e", encoding="ISO-8859-1")],
         ("grüße", "ISO-8859-1")),
    ],
    ids=["one is missing", "written differently", "no text", "a national language", "Latin-1"],
)  # fmt: skip
def test_what_parts_make(parts: list[HeldPart], expected: tuple[str, str]) -> None:
    """As much as there is, with the encoding that the first part has."""
    assert assembled(parts) == expected


# ---- long messages: what is stored ----


def piece(number: int, octets: bytes, total: int = 2, **fields: Any) -> InboundPart:
    """A part that arrives."""
    of = Part(reference=42, width=8, total=total, number=number, octets=octets, encoding="GSM-7")
    return part("", part=of, carrier_message_id=f"c-{number}", **fields)


def texts(desk: Desk) -> list[str]:
    """Of the messages that were announced, in order."""
    return [message.text for message, _ in desk.announced]


@pytest_async
async def test_parts_become_one_message_when_the_last_one_comes() -> None:
    """In any order; the parts leave with the message, and the first are acknowledged before it."""
    desk = Desk()
    await desk.inbound.receive(piece(3, b"three", 3))
    await desk.inbound.receive(piece(1, b"one, ", 3))
    assert (desk.accepted, desk.announced) == ([], [])
    await desk.inbound.receive(piece(2, b"two, ", 3))
    (change,) = desk.accepted
    assert (change.message.text, change.message.segment_count) == ("one, two, three", 3)
    assert (change.message.source, change.message.owner) == (HANDSET, OURS)
    assert change.parts == PartsTaken(PartsKey(CARRIER, HANDSET, OURS, 42, 8, 3), 3)
    assert (texts(desk), desk.store.parts) == (["one, two, three"], {})
    assert desk.telemetry.value("trebuchet_inbound_incomplete_total", CARRIER) == 0


@pytest_async
async def test_a_part_is_acknowledged_after_the_commit() -> None:
    """The first when it is held, the last when the message is stored."""
    desk = Desk()
    carry_out, desk.store.answer = desk.store.answer, None
    assert carry_out is not None
    first = desk.inbound.receive(piece(1, b"one, "))
    await settle_loop()
    assert not first.done()
    desk.store.complete([carry_out(desk.store.changes[-1])])
    await first
    last = desk.inbound.receive(piece(2, b"two"))
    await settle_loop()
    desk.store.complete([carry_out(desk.store.changes[-1])])
    await settle_loop()
    assert (len(desk.accepted), last.done()) == (1, False)
    desk.store.complete([None])
    await last
    assert texts(desk) == ["one, two"]


@pytest_async
@pytest.mark.parametrize("kind", [HoldPart, Accept])
async def test_a_part_that_cannot_be_stored_is_not_acknowledged(kind: type) -> None:
    """So that the carrier repeats it; when it comes again, the message is stored."""
    desk = Desk()
    await desk.inbound.receive(piece(1, b"one, "))
    desk.failing = lambda change: StorageUnavailable("disk full") if isinstance(change, kind) else None
    with pytest.raises(StorageUnavailable):
        await desk.inbound.receive(piece(2, b"two"))
    desk.failing = lambda change: None
    await desk.inbound.receive(piece(2, b"two"))
    assert texts(desk) == ["one, two"]


@pytest_async
async def test_two_parts_that_both_complete_make_one_message() -> None:
    """A last part that comes twice at the same time, by two binds say."""
    desk = Desk()
    await desk.inbound.receive(piece(1, b"one, "))
    await asyncio.gather(*(desk.inbound.receive(piece(2, b"two")) for _ in range(3)))
    assert texts(desk) == ["one, two"]


@pytest_async
async def test_a_part_for_an_unknown_number_is_refused() -> None:
    """Nothing of it is held."""
    desk = Desk()
    with pytest.raises(NotFound):
        await desk.inbound.receive(piece(1, b"one", destination="+19995550000"))
    assert desk.store.batches == []


@pytest_async
async def test_a_reference_that_is_used_again_hands_over_the_older_message_first() -> None:
    """After half an hour the parts of it that came are all that will come."""
    desk = Desk()
    await desk.inbound.receive(piece(1, b"old"))
    desk.clock.advance(1_800_001)
    await desk.inbound.receive(piece(1, b"new, "))
    assert texts(desk) == ["old"]
    await desk.inbound.receive(piece(2, b"newer"))
    assert texts(desk) == ["old", "new, newer"]
    assert desk.telemetry.value("trebuchet_inbound_incomplete_total", CARRIER) == 1


@pytest_async
async def test_a_part_that_crosses_another_message_is_shown_alone() -> None:
    """Two messages under one reference at the same time: the first stays what it is, and nothing is lost."""
    desk = Desk()
    await desk.inbound.receive(piece(1, b"one, "))
    await desk.inbound.receive(piece(1, b"another"))
    await desk.inbound.receive(piece(2, b"two"))
    assert texts(desk) == ["another", "one, two"]
    assert desk.telemetry.value("trebuchet_inbound_incomplete_total", CARRIER) == 1


@pytest_async
async def test_parts_that_never_give_way_are_not_acknowledged() -> None:
    """However it comes about, the carrier is asked to repeat the part instead of being kept waiting."""
    desk = Desk()
    stuck = PartHeld(Holding.IN_THE_WAY, [held(1, b"old")], 1)
    desk.failing = lambda change: stuck if isinstance(change, HoldPart) else None
    with pytest.raises(StorageError, match="42"):
        await desk.inbound.receive(piece(1, b"new"))


@pytest_async
async def test_late_messages_are_handed_over_with_what_is_there() -> None:
    """Ten minutes after their first part, as the setting says; younger ones still wait."""
    desk = Desk()
    await desk.inbound.receive(piece(2, b"late", 3))
    desk.clock.advance(600_000)
    await desk.inbound.receive(piece(1, b"young", source="+19195550001"))
    await desk.inbound.hand_over_late()
    assert texts(desk) == []
    desk.clock.advance(1)
    await desk.inbound.hand_over_late()
    assert [(m.text, m.segment_count) for m, _ in desk.announced] == [("late", 3)]
    assert desk.telemetry.value("trebuchet_inbound_incomplete_total", CARRIER) == 1
    assert len(desk.store.parts) == 1


@pytest_async
async def test_a_late_message_that_a_part_completes_meanwhile_is_not_unfinished() -> None:
    """Somebody else is faster: nothing is announced twice, nothing counted."""
    desk = Desk()
    await desk.inbound.receive(piece(1, b"one, "))
    desk.clock.advance(600_001)
    await asyncio.gather(desk.inbound.hand_over_late(), desk.inbound.receive(piece(2, b"two")))
    assert texts(desk) == ["one, two"]
    assert desk.telemetry.value("trebuchet_inbound_incomplete_total", CARRIER) == 0


@pytest_async
async def test_many_late_messages_are_all_handed_over() -> None:
    """However many are read at a time."""
    desk = Desk()
    for number in range(250):
        await desk.inbound.receive(piece(1, b"late", source=f"+1919555{number:04d}"))
    desk.clock.advance(600_001)
    await desk.inbound.hand_over_late()
    assert (len(desk.announced), desk.store.parts) == (250, {})


@pytest_async
async def test_whole_messages_that_a_crash_left_are_finished_at_the_start() -> None:
    """Its last part was committed, the message was not; those that still lack parts go on waiting."""
    desk = Desk()
    whole = [held(1, b"one, "), held(2, b"two")]
    desk.store.parts = {
        whole[0].key: {1: whole[0], 2: whole[1]},
        PartsKey(CARRIER, HANDSET, OURS, 43, 8, 2): {1: held(1, b"lonely", reference=43)},
    }
    await desk.inbound.resume()
    assert (texts(desk), len(desk.store.parts)) == (["one, two"], 1)


@pytest_async
async def test_parts_for_a_number_that_is_gone_are_dropped() -> None:
    """Nobody is left to have them; it is announced like any other message for an unknown number."""
    desk = Desk()
    await desk.inbound.receive(piece(1, b"one"))
    desk.directory = Directory()
    desk.clock.advance(600_001)
    await desk.inbound.hand_over_late()
    assert (texts(desk), desk.store.parts) == ([], {})
    assert desk.telemetry.value("trebuchet_problems_total", "inbound_for_unknown_number") == 1


@pytest_async
async def test_the_oldest_parts_make_room() -> None:
    """Beyond the bound they are handed over unfinished, as many as there are too many."""
    desk = Desk()
    for number in range(3):
        desk.clock.advance(1)
        await desk.inbound.receive(piece(1, f"{number}".encode(), source=f"+1919555000{number}"))
    desk.store.more = HELD_MAX - 3
    await desk.inbound.receive(piece(1, b"3", source="+19195550003"))
    await settle_loop()
    assert (texts(desk), len(desk.store.parts)) == (["0"], 3)
    assert desk.telemetry.value("trebuchet_inbound_incomplete_total", CARRIER) == 1


@pytest_async
async def test_room_is_made_for_a_whole_flood() -> None:
    """However many parts there are too many."""
    desk = Desk()
    for number in range(250):
        desk.clock.advance(1)
        await desk.inbound.receive(piece(1, f"{number}".encode(), source=f"+1919555{number:04d}"))
    desk.store.more = HELD_MAX - 50
    await desk.inbound.receive(piece(2, b"last", source="+19195559999"))
    await desk.inbound.receive(piece(2, b"last", source="+19195559999"))  # meanwhile nothing else is begun
    for _ in range(10):
        await settle_loop()
    assert sorted(map(int, texts(desk))) == list(range(201))


@pytest_async
async def test_room_that_cannot_be_made_is_announced() -> None:
    """The part that came is held all the same, and the next one tries again."""
    desk = Desk()
    desk.store.more = HELD_MAX
    desk.failing = lambda change: StorageUnavailable("disk full") if isinstance(change, Accept) else None
    for number in range(2):
        await desk.inbound.receive(piece(1, b"one", source=f"+1919555000{number}"))
        await settle_loop()
    assert desk.telemetry.value("trebuchet_problems_total", "parts_not_handed_over") == 2
    assert len(desk.store.parts) == 2

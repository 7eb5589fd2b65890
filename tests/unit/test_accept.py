"""What a request becomes: who may send to whom, what is stored, and what is said afterwards."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from outbox.doubles import HeldStore, as_store
from outbox.loops import settle_loop
from outbox.records import ACCOUNT, APPLICATION, CARRIER, DAY, HANDSET, LANE, OURS, T0, delivery, message

from trebuchet.accept import (
    Acceptor,
    AcceptSettings,
    AccountQueueFull,
    ForeignNumber,
    GatewayQueueFull,
    SendRequest,
    WrongApplication,
    judge_recipient,
    judge_sender,
)
from trebuchet.clock import Ids, ManualClock
from trebuchet.errors import IdempotencyMismatch, StorageUnavailable
from trebuchet.model.account import (
    Account,
    Application,
    Carrier,
    Directory,
    Number,
    NumberKind,
    OptOut,
    Profile,
    Route,
)
from trebuchet.model.events import Announcement, EventType
from trebuchet.model.message import GROUP, MEDIA_LANE, Direction, Kind, Message, WorkItem
from trebuchet.model.status import State
from trebuchet.outbox.committer import Committer
from trebuchet.outbox.pacing import Pacing
from trebuchet.storage.base import Accept, DueWork, IdempotencyKey

OTHER_HANDSET = "+19195551235"
BRAND = "ACME"
DIRECTORY = Directory(
    accounts=[Account(id=ACCOUNT), Account(id="u-2")],
    applications=[
        Application(id=APPLICATION, account_id=ACCOUNT),
        Application(id="app-1b", account_id=ACCOUNT),
        Application(id="app-2", account_id="u-2"),
    ],
    numbers=[
        Number(number=OURS, kind=NumberKind.E164, account_id=ACCOUNT, application_id=APPLICATION),
        Number(number=BRAND, kind=NumberKind.ALPHANUMERIC, account_id=ACCOUNT, application_id=APPLICATION),
        Number(number="20000", kind=NumberKind.SHORT_CODE, account_id=ACCOUNT, application_id="app-1b"),
        Number(number="+12025550199", kind=NumberKind.E164, account_id="u-2", application_id="app-2"),
    ],
    carriers=[Carrier(id=CARRIER, kind="simulator")],
    routes=[Route(id="r-1", carrier_id=CARRIER), Route(id="r-2", carrier_id="down", prefix="+81")],
    opt_outs=[OptOut(number=OURS, handset="+19195550000")],
)
SETTINGS = AcceptSettings(default_validity_ms=DAY, queue_max=5, recipients_max=3, strict_numbers=False)
STRICT = AcceptSettings(default_validity_ms=DAY, queue_max=5, recipients_max=3, strict_numbers=True)


def asked(*to: str, source: str = OURS, application_id: str = APPLICATION, **fields: Any) -> SendRequest:
    return SendRequest(source, to or (HANDSET,), fields.pop("text", "hello"), application_id, **fields)


# ---- who may send to whom ----


@pytest.mark.parametrize(
    ("source", "application_id", "code"),
    [
        (OURS, APPLICATION, None),
        (BRAND, APPLICATION, None),
        ("20000", "app-1b", None),
        (OURS, "nothing", 4452),
        (OURS, "app-2", 4452),
        ("+12025550199", "app-2", 4452),
        ("+12025550142", APPLICATION, 4403),
        ("+12025550199", APPLICATION, 4403),
        (OURS, "app-1b", 4403),
    ],
    ids=[
        "its own number",
        "its own brand",
        "its own short code",
        "an application that does not exist",
        "another account's application",
        "all of another account",
        "a number that nobody has",
        "another account's number",
        "a number of another of its applications",
    ],
)
def test_senders(source: str, application_id: str, code: int | None) -> None:
    """Application and number must be the account's, and the number the application's."""
    assert judge_sender(asked(source=source, application_id=application_id), ACCOUNT, DIRECTORY) == code


@pytest.mark.parametrize(
    ("source", "to", "code"),
    [
        (OURS, HANDSET, None),
        (OURS, "+442071838750", None),
        (OURS, OURS, 4401),
        (OURS, "911", 4492),
        (OURS, "+1911", 4492),
        (OURS, "+19005551234", 4404),
        (OURS, "+12129761234", 4404),
        (OURS, "20000", 4303),
        (OURS, "friend", 4303),
        (BRAND, HANDSET, 4432),
        (BRAND, "+442071838750", None),
        (OURS, "+19195550000", 4775),
        ("20000", "+19195550000", None),
    ],
    ids=[
        "a handset",
        "a handset abroad",
        "itself",
        "an emergency number",
        "an emergency number with a country code",
        "a premium area",
        "a premium exchange",
        "a short code",
        "a name",
        "a brand to North America",
        "a brand abroad",
        "a handset that opted out",
        "a handset that opted out of another number",
    ],
)
def test_recipients(source: str, to: str, code: int | None) -> None:
    """The first fault in this order: itself, emergency, premium, not a number, country, opted out."""
    assert judge_recipient(asked(to, source=source), to, DIRECTORY) == code


# ---- what is stored ----


class Desk:
    """An acceptor over a store that commits in the next turn, at a time that stands still."""

    def __init__(
        self,
        settings: AcceptSettings = SETTINGS,
        directory: Directory = DIRECTORY,
        lanes: dict[str, Sequence[str]] | None = None,
    ) -> None:
        self.clock = ManualClock(T0)
        self.store = HeldStore(answer=lambda change: None)
        self.committer = Committer(as_store(self.store), batch_max=100, observe=lambda size, seconds: None)
        self.offered: list[DueWork] = []
        self.withdrawn: list[WorkItem] = []
        self.room = 0  # of the lanes
        self.announced: list[tuple[Message, Announcement]] = []
        self.acceptor = Acceptor(
            clock=self.clock,
            ids=Ids(random.Random(1).randbytes),
            committer=self.committer,
            directory=lambda: directory,
            lanes=lambda kind: {CARRIER: (LANE,)} if lanes is None else lanes,
            stage=lambda delivery: (
                MEDIA_LANE if delivery.carrier_id == "needs-media" else delivery.lane or ""
            ),
            pacing=Pacing(),
            settings=settings,
            reserve=self._reserve,
            fence=lambda _: None,
            withdraw=self.withdrawn.extend,
            offer=self.offered.extend,
            announce=self._announce,
        )

    def _reserve(self, lane: str, due_ms: int) -> bool:
        self.room -= 1
        return self.room >= 0

    def _announce(self, of: Message, announcements: Sequence[Announcement]) -> None:
        self.announced += [(of, announcement) for announcement in announcements]

    def ask(
        self, request: SendRequest, account: Account | None = None, **more: Any
    ) -> "asyncio.Future[Message]":
        return self.acceptor.accept(
            request, account or Account(id=ACCOUNT), more.pop("profile", Profile.CURRENT), **more
        )

    async def accept(self, request: SendRequest, account: Account | None = None, **more: Any) -> Accept:
        """The change that a request became, once it is stored."""
        before = len(self.store.changes)
        await self.ask(request, account, **more)
        (change,) = self.store.changes[before:]
        assert isinstance(change, Accept)
        return change

    @property
    def codes(self) -> list[int | None]:
        return [announcement.event.error_code for _, announcement in self.announced]


pytest_async = pytest.mark.anyio


@pytest_async
async def test_a_text_message_is_stored_with_its_work_and_handed_to_its_lane() -> None:
    """One message, one delivery, one row in the lane of its route; nothing is announced."""
    desk = Desk()
    request = asked(tag="t", priority="default", expiration="2026-01-01T12:00:00Z")
    change = await desk.accept(request, profile=Profile.CATAPULT)
    id_ = change.message.id
    assert change.message == message(
        id_,
        tag="t",
        priority="default",
        expiration="2026-01-01T12:00:00Z",
        profile=Profile.CATAPULT,
    )
    assert id_.startswith(str(T0))
    assert change.deliveries == [delivery(id_)]
    assert change.work == [WorkItem(LANE, T0, id_, 0, 0, T0 + DAY)]
    assert (change.announcements, change.idempotency, desk.announced) == ([], None, [])
    assert desk.offered == [DueWork(change.work[0], change.message, (delivery(id_),))]
    assert desk.acceptor.queued == 1


@pytest_async
async def test_nothing_is_offered_or_answered_before_the_commit() -> None:
    """Commit, then everything else."""
    desk = Desk()
    desk.store.answer = None
    answer = desk.ask(asked())
    await settle_loop()
    assert (answer.done(), desk.offered, desk.acceptor.queued) == (False, [], 1)
    desk.store.complete()
    await settle_loop()
    assert answer.result().direction is Direction.OUT
    assert len(desk.offered) == 1


@pytest_async
@pytest.mark.parametrize(
    ("text", "segments", "encoding"),
    [("a" * 160, 1, "GSM-7"), ("a" * 161, 2, "GSM-7"), ("я" * 71, 2, "UCS-2"), ("", 1, "GSM-7")],
)
async def test_texts_are_counted(text: str, segments: int, encoding: str) -> None:
    """In the segments that go on air."""
    of = (await Desk().accept(asked(text=text))).message
    assert (of.kind, of.segment_count, of.encoding) == (Kind.SMS, segments, encoding)


@pytest_async
@pytest.mark.parametrize(
    "request_",
    [
        asked(text="a" * 200, media=("https://example.com/cat.png",)),
        asked(HANDSET, OTHER_HANDSET, text="a" * 200),
    ],
    ids=["picture", "group"],
)
async def test_pictures_and_groups_are_one_segment(request_: SendRequest) -> None:
    """They are multimedia messages, whose text is not cut."""
    of = (await Desk().accept(request_)).message
    assert (of.kind, of.segment_count, of.encoding) == (Kind.MMS, 1, "")


@pytest_async
async def test_a_group_message_is_one_row_of_work() -> None:
    """With one delivery per recipient: all are submitted together."""
    desk = Desk()
    change = await desk.accept(asked(HANDSET, OTHER_HANDSET))
    assert [(d.recipient, d.to) for d in change.deliveries] == [(0, HANDSET), (1, OTHER_HANDSET)]
    assert change.work == [WorkItem(LANE, T0, change.message.id, GROUP, 0, T0 + DAY)]
    assert desk.offered[0].deliveries == tuple(change.deliveries)
    assert desk.acceptor.queued == 1


@pytest_async
async def test_a_group_over_several_lanes_is_a_row_per_recipient() -> None:
    """Each lane gets what is its own."""
    desk = Desk(lanes={CARRIER: (LANE,), "down": ("down/0",)})
    change = await desk.accept(asked(HANDSET, "+81312345678"))
    assert [(item.lane, item.recipient) for item in change.work] == [(LANE, 0), ("down/0", 1)]
    assert [due.deliveries for due in desk.offered] == [(each,) for each in change.deliveries]
    assert desk.acceptor.queued == 2


@pytest_async
@pytest.mark.parametrize(
    ("expires_ms", "valid_until_ms"),
    [(None, T0 + DAY), (T0 + 60_000, T0 + 60_000), (T0 + 2 * DAY, T0 + DAY), (T0 - 1, T0 - 1)],
    ids=["no expiration", "an earlier one", "a later one", "one that has passed"],
)
async def test_validity_is_the_earlier_of_expiration_and_default(
    expires_ms: int | None, valid_until_ms: int
) -> None:
    """What has expired already is accepted, and fails in the queue."""
    change = await Desk().accept(asked(expires_ms=expires_ms))
    assert change.message.valid_until_ms == valid_until_ms
    assert change.work[0].valid_until_ms == valid_until_ms


# ---- what is refused after it was accepted ----


@pytest_async
@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (asked(application_id="app-2"), 4452),
        (asked(source="+12025550199"), 4403),
        (asked(OURS), 4401),
    ],
    ids=["application", "sender", "recipient"],
)
async def test_a_request_that_may_not_be_sent_is_accepted_and_fails(request_: SendRequest, code: int) -> None:
    """The message is stored as failed with its event; no work, no lane."""
    desk = Desk()
    change = await desk.accept(request_)
    (only,) = change.deliveries
    assert (only.state, only.error_code, only.final_ms, only.lane) == (State.FAILED, code, T0, None)
    assert change.work == []
    assert [a.event.type for a in change.announcements] == [EventType.FAILED]
    assert desk.announced == [(change.message, change.announcements[0])]
    assert (desk.codes, desk.offered, desk.acceptor.queued) == ([code], [], 0)


@pytest_async
async def test_a_message_that_no_carrier_takes_fails() -> None:
    """No route to a carrier that has a link; it says so."""
    desk = Desk(lanes={})
    change = await desk.accept(asked())
    assert desk.codes == [4420]
    assert change.deliveries[0].description == f"no route for sms to {HANDSET}"


@pytest_async
async def test_one_recipients_fault_is_its_own() -> None:
    """The others of a group are submitted, without it."""
    desk = Desk()
    change = await desk.accept(asked(HANDSET, "+19195550000", OTHER_HANDSET))
    assert [d.state for d in change.deliveries] == [State.QUEUED, State.FAILED, State.QUEUED]
    assert [item.recipient for item in change.work] == [GROUP]
    assert [d.recipient for d in desk.offered[0].deliveries] == [0, 2]
    assert [(a.event.recipient, a.event.error_code) for _, a in desk.announced] == [(1, 4775)]


@pytest_async
async def test_too_many_recipients_fail_all() -> None:
    """As the carrier would: nobody gets it."""
    desk = Desk()
    await desk.accept(asked(*(f"+1919555123{digit}" for digit in range(4))))
    assert (desk.codes, desk.offered) == ([4435] * 4, [])


@pytest_async
async def test_a_keywords_answer_reaches_a_handset_that_opted_out() -> None:
    """The one confirmation; every other message to it is refused, and every other fault still counts."""
    desk = Desk()
    await desk.accept(asked("+19195550000"), keyword_reply=True)
    assert (len(desk.offered), desk.codes) == (1, [])
    await desk.accept(asked(OURS), keyword_reply=True)
    assert desk.codes == [4401]


# ---- what is refused at once ----


@pytest_async
@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (asked(application_id="app-2"), WrongApplication),
        (asked(source="+12025550199"), ForeignNumber),
        (asked(application_id="app-1b"), ForeignNumber),
    ],
)
async def test_strict_mode_refuses_foreign_senders_at_once(
    request_: SendRequest, error: type[Exception]
) -> None:
    """Nothing is stored."""
    desk = Desk(STRICT)
    with pytest.raises(error):
        desk.ask(request_)
    await settle_loop()
    assert (desk.store.batches, desk.acceptor.queued) == ([], 0)


@pytest_async
async def test_strict_mode_accepts_what_is_wrong_with_a_recipient() -> None:
    """That is called back in either mode."""
    desk = Desk(STRICT)
    await desk.accept(asked(OURS))
    assert desk.codes == [4401]


@pytest_async
async def test_the_gateways_queue_is_bounded() -> None:
    """By deliveries that wait; what leaves the queue makes room."""
    desk = Desk()
    for _ in range(5):
        await desk.accept(asked())
    with pytest.raises(GatewayQueueFull):
        desk.ask(asked())
    desk.acceptor.queued -= 1
    with pytest.raises(GatewayQueueFull):
        desk.ask(asked(HANDSET, OTHER_HANDSET))
    await desk.accept(asked())
    assert len(desk.store.changes) == 6


@pytest_async
async def test_what_cannot_be_stored_is_not_queued() -> None:
    """The caller is told, nothing is offered, and its place in the queue is free again."""
    desk = Desk()
    desk.store.answer = lambda change: StorageUnavailable("disk full")
    with pytest.raises(StorageUnavailable):
        await desk.ask(asked())
    assert (desk.offered, desk.announced, desk.acceptor.queued) == ([], [], 0)


@pytest_async
async def test_work_is_stored_as_claimed_while_its_lane_has_room() -> None:
    """The lane is told of every row: that it is stored, or that it is not."""
    desk = Desk()
    desk.room = 1
    first, second = await desk.accept(asked()), await desk.accept(asked())
    assert [item.claimed_ms for change in (first, second) for item in change.work] == [T0, None]
    assert ([due.item for due in desk.offered], desk.withdrawn) == ([*first.work, *second.work], [])
    desk.store.answer = lambda change: StorageUnavailable("disk full")
    desk.room = 1
    with pytest.raises(StorageUnavailable):
        await desk.ask(asked())
    assert [item.claimed_ms for item in desk.withdrawn] == [T0]


@pytest_async
async def test_a_client_that_goes_away_has_sent_its_message_all_the_same() -> None:
    """It was taken: it is submitted."""
    desk = Desk()
    desk.ask(asked()).cancel()
    await settle_loop()
    assert (len(desk.offered), desk.acceptor.queued) == (1, 1)


# ---- the same request again ----


def key(now_ms: int) -> IdempotencyKey:
    return IdempotencyKey(ACCOUNT, "k", "sha", now_ms + DAY)


@pytest_async
async def test_the_key_of_a_request_is_stored_with_it() -> None:
    """It is made of the moment of acceptance, so that its 24 hours begin there."""
    desk = Desk()
    desk.clock.advance(7)
    change = await desk.accept(asked(), idempotency=key)
    assert change.idempotency == IdempotencyKey(ACCOUNT, "k", "sha", T0 + 7 + DAY)


@pytest_async
@pytest.mark.parametrize("request_", [asked(), asked(OURS)], ids=["sent", "failed"])
async def test_a_repeated_request_gets_the_first_message(request_: SendRequest) -> None:
    """Nothing is submitted, announced or queued a second time."""
    desk = Desk()
    first = message("the-first")
    desk.store.answer = lambda change: first
    assert await desk.ask(request_, idempotency=key) is first
    assert (desk.offered, desk.announced, desk.acceptor.queued) == ([], [], 0)


@pytest_async
async def test_another_request_under_the_same_key_fails() -> None:
    """And uses up no place in the queue."""
    desk = Desk()
    desk.store.answer = lambda change: IdempotencyMismatch("k")
    with pytest.raises(IdempotencyMismatch):
        await desk.ask(asked(), idempotency=key)
    assert desk.acceptor.queued == 0


# ---- rates ----


@pytest_async
async def test_an_accounts_rate_gives_each_message_its_turn() -> None:
    """Counted in segments, over all its numbers; high priority goes first."""
    desk, account = Desk(), Account(id=ACCOUNT, segments_per_s=10)
    dues = []
    for request in (asked(text="a" * 161), asked(source=BRAND, application_id=APPLICATION), asked()):
        change = await desk.accept(
            SendRequest(request.source, ("+442071838750",), request.text, APPLICATION), account
        )
        dues.append(change.work[0].due_ms - T0)
    urgent = await desk.accept(asked(priority="high"), account)
    assert dues == [0, 200, 300]
    assert urgent.work[0].due_ms == T0


@pytest_async
async def test_a_group_message_counts_for_each_recipient_that_it_goes_to() -> None:
    """Not for those that fail at once."""
    desk, account = Desk(), Account(id=ACCOUNT, segments_per_s=10)
    await desk.accept(asked(HANDSET, OTHER_HANDSET, "+19195550000"), account)
    change = await desk.accept(asked(), account)
    assert change.work[0].due_ms == T0 + 200


@pytest_async
async def test_a_message_that_fails_at_once_uses_up_no_rate() -> None:
    """It is never submitted."""
    desk, account = Desk(), Account(id=ACCOUNT, segments_per_s=1)
    await desk.accept(asked(OURS), account)
    assert (await desk.accept(asked(), account)).work[0].due_ms == T0


@pytest_async
async def test_a_numbers_rate_is_its_own() -> None:
    """A number with a rate is paced, whatever its account's."""
    numbers = [
        Number(
            number=OURS,
            kind=NumberKind.E164,
            account_id=ACCOUNT,
            application_id=APPLICATION,
            segments_per_s=1,
        )
    ]
    directory = Directory(
        applications=DIRECTORY.applications.values(), numbers=numbers, routes=DIRECTORY.routes
    )
    desk = Desk(directory=directory)
    changes = [await desk.accept(asked()) for _ in range(3)]
    assert [change.work[0].due_ms - T0 for change in changes] == [0, 1000, 2000]


@pytest_async
async def test_a_queue_of_fifteen_minutes_is_full() -> None:
    """The error says how much is allowed, for the answer."""
    desk, account = Desk(), Account(id=ACCOUNT, segments_per_s=0.001)
    await desk.accept(asked(), account)
    with pytest.raises(AccountQueueFull) as full:
        desk.ask(asked(), account)
    assert full.value.per_minute == pytest.approx(0.06)
    assert full.value.capacity == pytest.approx(0.9)
    assert desk.acceptor.queued == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("smart", "text", "encoding", "segments"),
    [
        (False, "“hi” – now…", "UCS-2", 1),
        (True, "“hi” – now…", "GSM-7", 1),
        (True, "“" * 100, "GSM-7", 1),
        (False, "“" * 100, "UCS-2", 2),
        (True, "“жук”", "UCS-2", 1),
    ],
)
async def test_smart_encoding_is_the_application_s_choice(
    smart: bool, text: str, encoding: str, segments: int
) -> None:
    """A text that becomes GSM-7 by it is counted so; it is stored as it was sent."""
    (application,) = (a for a in DIRECTORY.applications.values() if a.id == asked().application_id)
    directory = Directory(
        accounts=DIRECTORY.accounts.values(),
        applications=[msgspec.structs.replace(application, smart_encoding=smart)],
        numbers=DIRECTORY.numbers.values(),
        carriers=DIRECTORY.carriers.values(),
        routes=DIRECTORY.routes,
    )
    of = (await Desk(directory=directory).accept(asked(text=text))).message
    assert (of.text, of.encoding, of.segment_count) == (text, encoding, segments)

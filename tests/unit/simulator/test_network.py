"""The simulated network: what it answers, shows and reports, and what it knows after a restart."""

from typing import Any

import pytest
from msgspec.structs import replace

from support.network import (
    CARRIER,
    DELAY_MS,
    HANDSET,
    HOUR,
    OURS,
    T0,
    Line,
    MemoryLedger,
    World,
    quiet,
    row,
    submitted,
)
from trebuchet.errors import NotFound, StorageUnavailable
from trebuchet.model.message import Kind
from trebuchet.model.receipt import ReceiptState
from trebuchet.protocols.sms import TooManySegments
from trebuchet.simulator.base import CannotType, File, NoLink
from trebuchet.simulator.handsets import MESSAGES_PER_HANDSET, Coverage, Memory, Power
from trebuchet.simulator.scenario import Answer

pytestmark = pytest.mark.anyio

MINUTE = 60_000


def states(line: Line) -> list[ReceiptState]:
    return [receipt.state for receipt in line.receipts]


# ---- taking ----


async def test_a_message_is_answered_shown_and_reported() -> None:
    """The ordinary fate: accepted and on the handset at once, a receipt after the delay."""
    world = World()
    await world.submit(submitted())
    assert world.line.answers == [Answer.ACCEPTED]
    assert world.texts() == ["hello"]
    await world.pass_ms(DELAY_MS - 1)
    assert world.line.receipts == []
    await world.pass_ms(1)
    (receipt,) = world.line.receipts
    assert (receipt.state, receipt.error_code, receipt.at_ms) == (ReceiptState.DELIVERED, None, T0 + DELAY_MS)
    assert receipt.reference == f"{submitted().message.id}/0/0"


async def test_the_random_delay_lies_between_its_bounds() -> None:
    """Both bounds occur, nothing beyond them does, and a seeded network repeats itself."""

    async def moments() -> list[int]:
        world = World(delay_min_ms=10, delay_max_ms=12)
        await world.submit(*(submitted(number=number) for number in range(50)))
        for _ in range(20):
            await world.pass_ms(1)
        return [receipt.at_ms - T0 for receipt in world.line.receipts]

    first = await moments()
    assert len(first) == 50
    assert set(first) == {10, 11, 12}
    assert await moments() == first


async def test_nothing_is_answered_before_it_is_recorded() -> None:
    """Accepted means that the ledger has it: until then there is no answer, no text and no receipt."""
    world = World()
    world.ledger.waits = True
    await world.submit(submitted())
    await world.pass_ms(MINUTE)
    assert (world.line.replies, world.texts(), world.line.receipts) == ([], [], [])
    world.ledger.commit()
    await quiet()
    assert (world.line.answers, world.texts()) == ([Answer.ACCEPTED], ["hello"])


async def test_submits_of_one_turn_share_a_record() -> None:
    """Group commit begins here: one record, whatever the number of submits."""
    world = World()
    await world.submit(*(submitted(number=number) for number in range(5)))
    await world.submit(submitted(number=5))
    assert world.ledger.batches == [5, 1]


async def test_what_cannot_be_recorded_is_not_taken() -> None:
    """A ledger that fails makes the network throttle: nothing is shown, and the submit comes again."""
    world = World()
    world.ledger.failures = [StorageUnavailable("the disk is full")]
    await world.submit(submitted())
    ((_, reply),) = world.line.replies
    assert (reply.answer, reply.until_ms) == (Answer.THROTTLED, T0 + 1000)
    assert world.texts() == []
    await world.submit(submitted())
    assert world.line.answers == [Answer.THROTTLED, Answer.ACCEPTED]


async def test_too_much_to_come_is_throttled() -> None:
    """The number of receipts that wait is bounded; when they are out there is room again."""
    world = World(planned_max=2)
    await world.submit(submitted(number=0), submitted(number=1))
    await world.submit(submitted(number=2))
    assert world.line.answers == [Answer.ACCEPTED, Answer.ACCEPTED, Answer.THROTTLED]
    await world.pass_ms(1000)
    await world.submit(submitted(number=2))
    assert world.line.answers[3:] == [Answer.ACCEPTED]


@pytest.mark.parametrize(
    ("fields", "ids", "references"),
    [
        ({"segment_count": 2}, 2, ["0/0", "0/1"]),
        ({"kind": Kind.MMS, "media": ("https://example.com/a.png",)}, 1, ["0/0"]),
        ({"kind": Kind.MMS, "destinations": (HANDSET, "+19195551235")}, 1, ["0/0", "1/0"]),
    ],
    ids=["long sms", "mms", "group"],
)
async def test_each_segment_has_an_id_and_a_receipt(
    fields: dict[str, Any], ids: int, references: list[str]
) -> None:
    """A text has as many ids as segments, anything else one per recipient; receipts carry them in order."""
    world = World()
    of = submitted(**fields)
    await world.submit(of)
    await world.pass_ms(DELAY_MS)
    ((_, reply),) = world.line.replies
    assert [len(each) for each in reply.ids] == [ids] * len(of.deliveries)
    assert [r.carrier_message_id for r in world.line.receipts] == [id_ for each in reply.ids for id_ in each]
    assert [r.reference for r in world.line.receipts] == [f"{of.message.id}/{place}" for place in references]


async def test_a_group_message_is_shown_to_everybody() -> None:
    """Each handset has it, and sees who else does."""
    world = World()
    both = (HANDSET, "+19195551235")
    await world.submit(submitted("hi all", kind=Kind.MMS, destinations=both))
    for number in both:
        (message,) = world.network.handsets.messages(number)
        assert (message.text, message.participants, message.peer) == ("hi all", both, OURS)


async def test_a_group_message_may_be_submitted_for_one_of_its_recipients() -> None:
    """Another carrier has the rest; the handset sees all of them nevertheless."""
    world = World()
    both = (HANDSET, "+19195551235")
    whole = submitted("hi all", kind=Kind.MMS, destinations=both)
    await world.submit(replace(whole, deliveries=whole.deliveries[:1], work_key=(whole.message.id, 0)))
    (message,) = world.network.handsets.messages(HANDSET)
    assert message.participants == both
    assert world.network.handsets.messages("+19195551235") == ()


async def test_one_recipient_that_is_refused_refuses_the_group() -> None:
    """A group message has one answer; nobody is shown what was refused."""
    world = World()
    await world.submit(submitted(kind=Kind.MMS, destinations=(HANDSET, "+19995554470")))
    assert [(reply.answer, reply.error_code) for _, reply in world.line.replies] == [(Answer.REFUSED, 4470)]
    assert world.texts() == []


async def test_one_recipient_may_fail_alone() -> None:
    """Receipts of a group are each recipient's own."""
    world = World()
    await world.submit(submitted(kind=Kind.MMS, destinations=(HANDSET, "+19995554720")))
    await world.pass_ms(DELAY_MS)
    assert [r.error_code for r in world.line.receipts] == [None, 4720]


# ---- fates ----


@pytest.mark.parametrize(
    ("text", "receipts"),
    [
        ("#noreceipt", []),
        ("#twice", [ReceiptState.DELIVERED, ReceiptState.DELIVERED]),
        ("#enroute", [ReceiptState.ENROUTE, ReceiptState.DELIVERED]),
        ("#fail:4720", [ReceiptState.UNDELIVERABLE]),
        ("#expired", [ReceiptState.EXPIRED]),
        ("#unanswered", [ReceiptState.DELIVERED]),
        ("#lost", []),
        ("#refuse:4470", []),
    ],
)
async def test_receipts_are_those_of_the_fate(text: str, receipts: list[ReceiptState]) -> None:
    """As many as were planned, in their order, and the handset shows what was delivered."""
    world = World()
    await world.submit(submitted(text))
    await world.pass_ms(DELAY_MS // 2)
    await world.pass_ms(HOUR)
    assert states(world.line) == receipts
    assert bool(world.texts()) is (ReceiptState.DELIVERED in receipts or text == "#noreceipt")


async def test_an_early_receipt_comes_before_the_answer() -> None:
    """The receipt goes out at once, the answer later."""
    world = World()
    await world.submit(submitted("#early"))
    assert (states(world.line), world.line.answers) == ([ReceiptState.DELIVERED], [])
    await world.pass_ms(100)
    assert world.line.answers == [Answer.ACCEPTED]


@pytest.mark.parametrize("text", ["#lost", "#unanswered"])
async def test_a_submit_without_an_answer_is_given_up(text: str) -> None:
    """After ten seconds it counts as lost."""
    world = World()
    await world.submit(submitted(text))
    await world.pass_ms(9_999)
    assert world.line.answers == []
    await world.pass_ms(1)
    assert world.line.answers == [Answer.LOST]
    assert bool(world.ledger.rows) is (text == "#unanswered")


@pytest.mark.parametrize(
    ("text", "answer"), [("#throttle:2000", Answer.THROTTLED), ("#down:2000", Answer.DOWN)]
)
async def test_a_pause_is_for_all_of_the_link_and_ends(text: str, answer: Answer) -> None:
    """Until its moment everything is answered alike, in the same turn and later; then the first is taken."""
    world = World()
    await world.submit(submitted(number=0), submitted(text, 1), submitted(number=2))
    await world.pass_ms(1999)
    await world.submit(submitted(number=3))
    # What is refused needs no disk, so its answer is there first.
    assert sorted(world.line.answers) == sorted([Answer.ACCEPTED, answer, answer, answer])
    assert {r.until_ms for _, r in world.line.replies if r.answer is answer} == {T0 + 2000}
    await world.pass_ms(1)
    await world.submit(submitted(text, 1))
    assert world.line.answers[4:] == [Answer.ACCEPTED]


async def test_a_pause_is_only_for_its_link() -> None:
    """Another carrier on the same network goes on."""
    world, other = World(), Line("other")
    world.network.attach(other)
    await world.submit(submitted("#down:2000"))
    world.network.submit(other, submitted(number=1))
    await quiet()
    assert (world.line.answers, other.answers) == ([Answer.DOWN], [Answer.ACCEPTED])
    assert (world.line.down_until_ms, other.down_until_ms) == ([T0 + 2000], [])


# ---- handsets that are off or full ----


async def test_a_handset_that_is_off_gets_its_message_when_it_is_on() -> None:
    """The message is accepted and waits; text and receipt come when the handset is switched on."""
    world = World()
    world.network.handsets.change(HANDSET, Power.OFF, None)
    await world.submit(submitted())
    await world.pass_ms(HOUR)
    assert (world.line.answers, world.texts(), states(world.line)) == ([Answer.ACCEPTED], [], [])
    world.network.handsets.change(HANDSET, Power.ON, None)
    await world.pass_ms(DELAY_MS)
    assert (world.texts(), states(world.line)) == (["hello"], [ReceiptState.DELIVERED])


async def test_a_handset_that_is_off_is_not_asked_about_a_bad_number() -> None:
    """What fails in the network fails at once."""
    world = World()
    world.network.handsets.change(HANDSET, Power.OFF, None)
    await world.submit(submitted("#fail:4720"))
    await world.pass_ms(DELAY_MS)
    assert states(world.line) == [ReceiptState.UNDELIVERABLE]


async def test_the_network_holds_only_so_much() -> None:
    """Beyond the bound, messages to a handset that is off fail with 4702."""
    world = World()
    world.network.handsets.change(HANDSET, Power.OFF, None)
    await world.submit(*(submitted(number=number) for number in range(MESSAGES_PER_HANDSET + 1)))
    await world.pass_ms(DELAY_MS)
    assert [receipt.error_code for receipt in world.line.receipts] == [4702]


async def test_a_full_handset_takes_nothing() -> None:
    """Messages fail with 4702; with free memory they arrive again."""
    world = World()
    world.network.handsets.change(HANDSET, None, Memory.FULL)
    await world.submit(submitted("no"))
    world.network.handsets.change(HANDSET, None, Memory.FREE)
    await world.submit(submitted("yes", 1))
    await world.pass_ms(DELAY_MS)
    assert [receipt.error_code for receipt in world.line.receipts] == [4702, None]
    assert world.texts() == ["yes"]


async def test_a_full_handset_does_not_hide_what_fails_before_it() -> None:
    """A message that would never have reached the handset fails for its own reason."""
    world = World()
    world.network.handsets.change(HANDSET, None, Memory.FULL)
    await world.submit(submitted("#fail:4720"))
    await world.pass_ms(DELAY_MS)
    assert [receipt.error_code for receipt in world.line.receipts] == [4720]


# ---- receipts ----


async def test_a_receipt_is_repeated_until_it_is_stored() -> None:
    """A second after each failure it comes again, the same but for nothing."""
    world = World()
    world.line.failures = [StorageUnavailable("the disk is full")] * 2
    await world.submit(submitted())
    for _ in range(5):
        await world.pass_ms(1000)
    assert len(world.line.receipts) == 3
    assert world.line.receipts[1:] == world.line.receipts[:2]


async def test_receipts_that_are_not_stored_yet_are_bounded() -> None:
    """The link has at most 2000 at a time; each that is stored makes room for the next."""
    world = World()
    world.line.holds = True
    await world.submit(*(submitted(number=number) for number in range(2003)))
    await world.pass_ms(DELAY_MS)
    assert len(world.line.receipts) == 2000
    for future in world.line.held[:2]:
        future.set_result(None)
    await quiet()
    assert len(world.line.receipts) == 2002


async def test_receipts_wait_for_a_link() -> None:
    """What falls due while the link is gone is given to the next one of the same carrier, and to no other."""
    world, other, next_ = World(), Line("other"), Line()
    await world.submit(submitted())
    world.network.detach(world.line)
    world.network.attach(other)
    await world.pass_ms(HOUR)
    world.network.attach(next_)
    await quiet()
    assert (states(world.line), states(other), states(next_)) == ([], [], [ReceiptState.DELIVERED])


async def test_a_link_that_was_replaced_does_not_detach_the_next() -> None:
    """The old link's farewell may come late."""
    world, next_ = World(), Line()
    world.network.attach(next_)
    world.network.detach(world.line)
    world.network.submit(next_, submitted())
    await quiet()
    assert next_.answers == [Answer.ACCEPTED]


async def test_a_new_link_is_not_paused_by_what_the_old_one_met() -> None:
    """A link that is attached anew begins afresh."""
    world, next_ = World(), Line()
    await world.submit(submitted("#down:2000"))
    world.network.attach(next_)
    world.network.submit(next_, submitted(number=1))
    await quiet()
    assert next_.answers == [Answer.ACCEPTED]


# ---- restart ----


async def restarted(ledger: MemoryLedger, after_ms: int) -> World:
    """Another network on the same ledger, so much later than T0."""
    world = World(ledger)
    world.clock.advance(after_ms)
    await world.network.start()
    await quiet()
    return world


async def test_receipts_of_the_last_hour_are_repeated_after_a_restart() -> None:
    """Given or not, a receipt that was due within the hour is given again, under the same id and reference."""
    world = World()
    await world.submit(submitted(segment_count=2))
    await world.pass_ms(DELAY_MS)
    again = await restarted(world.ledger, HOUR + DELAY_MS)
    assert [replace(r, at_ms=0) for r in again.line.receipts] == [
        replace(r, at_ms=0) for r in world.line.receipts
    ]
    assert again.texts() == ["hello"]
    assert again.line.replies == []


async def test_older_receipts_are_not_repeated() -> None:
    """What was due more than an hour ago is history; the handset shows it still."""
    world = World()
    await world.submit(submitted())
    again = await restarted(world.ledger, HOUR + DELAY_MS + 1)
    assert (again.line.receipts, again.texts()) == ([], ["hello"])


async def test_a_receipt_still_to_come_keeps_its_moment() -> None:
    """A long delay goes on after the restart where it was."""
    world = World()
    await world.submit(submitted(f"#delay:{20 * HOUR}"))
    again = await restarted(world.ledger, 19 * HOUR)
    assert again.line.receipts == []
    await again.pass_ms(HOUR)
    assert states(again.line) == [ReceiptState.DELIVERED]


async def test_failed_messages_are_not_shown_after_a_restart() -> None:
    """A handset shows the same messages as before, and the failure is reported again."""
    world = World()
    await world.submit(submitted("#fail:4720"))
    again = await restarted(world.ledger, MINUTE)
    assert again.texts() == []
    assert [r.error_code for r in again.line.receipts] == [4720]


async def test_rows_of_an_advanced_clock_are_now() -> None:
    """An advance is forgotten by a restart; a row from the future has its receipt after its own delay."""
    ledger = MemoryLedger()
    ledger.rows = [row(25 * HOUR)]
    again = await restarted(ledger, 0)
    await again.pass_ms(DELAY_MS)
    assert states(again.line) == [ReceiptState.DELIVERED]


async def test_a_stopped_network_says_nothing_more() -> None:
    """What was to come is left to the ledger. It may be stopped twice."""
    world = World()
    await world.submit(submitted())
    await world.network.stop()
    await world.network.stop()
    await world.pass_ms(HOUR)
    assert world.line.receipts == []


# ---- typing ----


async def test_a_typed_message_goes_through_a_link_and_is_recorded() -> None:
    """The gateway has it when its id is returned; a text is counted in segments."""
    world = World()
    typed_id = await world.network.type(HANDSET, OURS, "я" * 71)
    (typed,) = world.line.typed_messages
    assert (typed.id, typed.handset, typed.number) == (typed_id, HANDSET, OURS)
    assert (typed.segment_count, typed.encoding, typed.participants) == (2, "UCS-2", ())
    (recorded,) = world.ledger.rows
    assert (recorded.network_id, recorded.direction, recorded.text) == (typed_id, "mo", "я" * 71)
    assert world.texts() == []


async def test_a_typed_picture_message_has_no_segments_to_count() -> None:
    """With media, or to a group, it is one message however long its text."""
    world = World()
    both = (OURS, "+19195551235")
    await world.network.type(HANDSET, OURS, "x" * 500, media=("https://example.com/a.png",))
    await world.network.type(HANDSET, OURS, "x" * 500, participants=both)
    picture, group = world.line.typed_messages
    assert (picture.segment_count, picture.media) == (1, ("https://example.com/a.png",))
    assert (group.segment_count, group.participants) == (1, both)


async def test_typed_files_are_handed_on() -> None:
    """With them it is a picture message, whatever its text; they are not kept in the network's memory."""
    world = World()
    file = File("cat.jpg", "image/jpeg", b"\xff\xd8")
    await world.network.type(HANDSET, OURS, "x" * 500, files=[file])
    (typed,) = world.line.typed_messages
    assert (typed.files, typed.segment_count, typed.encoding) == ((file,), 1, "")
    (recorded,) = world.ledger.rows
    assert recorded.media == ()


async def test_typed_messages_take_a_link_of_their_kind() -> None:
    """One for texts and one for the rest; what none takes is refused."""
    world = World()
    world.network.attach(world.line, frozenset({Kind.SMS}))
    with pytest.raises(NoLink, match="MMS"):
        await world.network.type(HANDSET, OURS, "hi", media=("https://example.com/a.png",))
    pictures = Line("pictures")
    world.network.attach(pictures, frozenset({Kind.MMS}))
    await world.network.type(HANDSET, OURS, "a text")
    await world.network.type(HANDSET, OURS, "a group", participants=(OURS, "+19195551235"))
    assert [typed.text for typed in world.line.typed_messages] == ["a text"]
    assert [typed.text for typed in pictures.typed_messages] == ["a group"]


async def test_a_typed_message_that_is_not_taken_is_not_recorded() -> None:
    """Whoever typed it is told why."""
    world = World()
    world.line.failures = [NotFound("not a number of this gateway")]
    with pytest.raises(NotFound):
        await world.network.type(HANDSET, OURS, "hi")
    assert world.ledger.rows == []


async def test_a_typed_text_of_too_many_segments_is_refused() -> None:
    """No handset can send more than 255 parts."""
    with pytest.raises(TooManySegments):
        await World().network.type(HANDSET, OURS, "x" * 40_000)


async def test_typing_needs_a_link_that_is_up() -> None:
    """With the link gone or broken there is no way in; another carrier's link will do."""
    world = World()
    await world.submit(submitted("#down:2000"))
    with pytest.raises(NoLink):
        await world.network.type(HANDSET, OURS, "hi")
    other = Line("other")
    world.network.attach(other)
    await world.network.type(HANDSET, OURS, "hi")
    assert len(other.typed_messages) == 1
    await world.pass_ms(2000)
    await world.network.type(HANDSET, OURS, "hi")
    assert len(world.line.typed_messages) == 1
    world.network.detach(world.line)
    world.network.detach(other)
    with pytest.raises(NoLink):
        await world.network.type(HANDSET, OURS, "hi")


async def test_typed_messages_are_not_repeated_after_a_restart() -> None:
    """They were stored by the gateway before they were recorded."""
    world = World()
    await world.network.type(HANDSET, OURS, "hi")
    again = await restarted(world.ledger, MINUTE)
    assert (again.line.typed_messages, again.line.receipts, again.texts()) == ([], [], [])


async def test_receipts_name_their_carrier() -> None:
    """Several carriers share the network; each has the receipts of what it submitted."""
    world = World()
    await world.submit(submitted())
    await world.pass_ms(DELAY_MS)
    assert [receipt.carrier_id for receipt in world.line.receipts] == [CARRIER]


async def test_a_handset_out_of_coverage_gets_its_message_when_it_is_back() -> None:
    """And its receipt only then; nothing can be typed on it meanwhile."""
    world = World()
    world.network.handsets.change(HANDSET, None, None, Coverage.LOST)
    await world.submit(submitted())
    await world.pass_ms(MINUTE)
    assert (world.line.answers, world.texts(), world.line.receipts) == ([Answer.ACCEPTED], [], [])
    with pytest.raises(CannotType, match="has no coverage") as refused:
        await world.network.type(HANDSET, OURS, "hi")
    assert refused.value.type == "no-coverage"
    world.network.handsets.change(HANDSET, None, None, Coverage.GOOD)
    assert world.texts() == ["hello"]
    await world.pass_ms(DELAY_MS)
    assert states(world.line) == [ReceiptState.DELIVERED]


async def test_watchers_hear_of_handsets() -> None:
    """Of what comes and of what is typed, by the number; nothing is made for nobody."""
    world = World()
    watch = world.network.feed.open()
    await world.submit(submitted())
    await world.network.type(HANDSET, OURS, "hi")
    assert [(each.what, each.message_id, each.to) for each in watch.take()] == [("handset", "", HANDSET)] * 2
    world.network.feed.close(watch)
    await world.submit(submitted(number=1))
    assert watch.take() == []

"""The SMPP link on real sockets, against an SMSC that does what each test says."""

import asyncio

import pytest

from support.ports import free_port
from support.smpplink import LANE, Rig, linked, receipt, refuse
from support.smsc import Connection, listening
from trebuchet.carriers.base import Accepted, LinkState, Lost, Refused, RetryAt, Snooze
from trebuchet.carriers.status import BindState, Passed
from trebuchet.errors import NotFound, StorageUnavailable
from trebuchet.protocols.smpp import pdu
from trebuchet.protocols.smpp.constants import Status

pytestmark = pytest.mark.anyio

# ---- submitting ----


async def test_a_long_message_is_one_outcome_with_an_id_per_part() -> None:
    """In the order of the parts."""
    async with linked() as rig:
        rig.submit("a" * 400)
        (accepted,) = await rig.reports.outcomes_of(1)
        assert isinstance(accepted, Accepted)
        assert accepted.carrier_message_ids == (("id-1", "id-2", "id-3"),)
        assert [direction for _, direction, _ in accepted.pdus] == ["out"] * 3 + ["in"] * 3


async def test_no_more_is_out_than_the_window_allows() -> None:
    """Parts wait in the link until answers make room, and go out in order."""
    async with linked(window=2) as rig:
        held: list[pdu.SubmitSm] = []

        def hold(submit: pdu.SubmitSm) -> None:
            held.append(submit)

        rig.smsc.answer = hold
        rig.submit("a" * 400)
        await rig.smsc.until(lambda: len(held) == 2)
        assert (rig.bind.in_flight, rig.bind.queued, rig.link.room(LANE)) == (2, 1, 0)
        connection = rig.smsc.connections[0]
        connection.session.respond(rig.smsc.take(held[0]))
        connection.flush()
        await rig.smsc.until(lambda: len(held) == 3)
        numbers = [submit.short_message[5] for submit in held]
        assert numbers == [1, 2, 3]


async def test_two_long_messages_to_one_handset_have_different_references() -> None:
    """Else their parts would be mixed; a repeated submit of one message has the same."""
    async with linked(window=50) as rig:
        first, _ = rig.submit("a" * 200, "b" * 200)
        await rig.reports.outcomes_of(2)
        rig.link.submit(LANE, first)
        await rig.reports.outcomes_of(3)
        references = [submit.short_message[3] for submit in rig.smsc.submits]
        assert references[0] == references[1]
        assert references[2] == references[3] != references[0]


async def test_a_part_that_is_refused_fails_the_message_and_names_what_was_taken() -> None:
    """Its receipts may still come."""
    async with linked() as rig:
        rig.smsc.answer = refuse(Status.RINVDSTADR, {b"b"})(rig.smsc)
        rig.submit("a" * 153 + "b" * 10)
        (refused,) = await rig.reports.outcomes_of(1)
        assert isinstance(refused, Refused)
        assert (refused.error_code, refused.taken) == (4720, ((0, "id-1"),))
        assert "RINVDSTADR (0x0B)" in refused.description


async def test_parts_that_have_not_gone_out_are_dropped_after_a_refusal() -> None:
    """They would reach the handset for nothing."""
    async with linked(window=1) as rig:
        rig.smsc.answer = refuse(Status.RINVDSTADR)(rig.smsc)
        rig.submit("a" * 1000)
        (refused,) = await rig.reports.outcomes_of(1)
        assert isinstance(refused, Refused)
        assert len(rig.smsc.submits) == 1


async def test_only_the_part_that_was_throttled_goes_out_again() -> None:
    """The message cannot go back to its lane: the other part is taken."""
    async with linked() as rig:
        rig.smsc.answer = refuse(Status.RTHROTTLED, {b"b"}, times=1)(rig.smsc)
        rig.submit("a" * 153 + "b" * 10)
        await rig.smsc.until(lambda: len(rig.smsc.submits) == 2)
        await rig.passing(lambda: bool(rig.reports.outcomes))
        (accepted,) = await rig.reports.outcomes_of(1)
        assert isinstance(accepted, Accepted)
        assert accepted.carrier_message_ids == (("id-1", "id-2"),)
        assert [text[6:7] for text in rig.smsc.texts] == [b"a", b"b", b"b"]


@pytest.mark.parametrize("status", [Status.RTHROTTLED, Status.RMSGQFUL])
async def test_throttling_gives_the_message_back_and_slows_the_bind(status: Status) -> None:
    """Not an attempt; the bind pauses a second and goes on at half the rate."""
    async with linked(segments_per_s=100) as rig:
        rig.smsc.answer = refuse(status, times=1)(rig.smsc)
        rig.submit("hello")
        (snooze,) = await rig.reports.outcomes_of(1)
        assert isinstance(snooze, Snooze)
        assert snooze.until_ms >= rig.clock.now_ms() + 1000
        assert (rig.link.room(LANE), rig.bind.rate_per_s, rig.bind.throttles) == (0, 50, 1)
        rooms = rig.reports.rooms
        rig.clock.advance(1100)
        await rig.reports.until(lambda: rig.reports.rooms > rooms)
        assert rig.link.room(LANE) > 0


async def test_what_may_pass_is_tried_again_a_bounded_number_of_times() -> None:
    """RSUBMITFAIL: three times, then it fails."""
    async with linked() as rig:
        rig.smsc.answer = refuse(Status.RSUBMITFAIL)(rig.smsc)
        rig.submit("hello", attempt=2)
        rig.submit("hello", attempt=3)
        again, refused = await rig.reports.outcomes_of(2)
        assert isinstance(again, RetryAt)
        assert again.due_ms == rig.clock.now_ms() + 2000
        assert isinstance(refused, Refused)
        assert refused.error_code == 5610


async def test_the_rate_is_counted_in_segments() -> None:
    """Ten a second: one at once, then one each tenth of a second."""
    async with linked(segments_per_s=10, window=50) as rig:
        rig.submit("a" * 400)
        await rig.smsc.until(lambda: len(rig.smsc.submits) == 1)
        assert rig.link.room(LANE) == 0
        rig.clock.advance(101)
        await rig.smsc.until(lambda: len(rig.smsc.submits) == 2)
        rig.clock.advance(101)
        await rig.reports.outcomes_of(1)


# ---- in doubt ----


async def test_a_connection_that_breaks_leaves_what_was_out_in_doubt() -> None:
    """What had not gone out comes back instead; each shipment has one outcome."""
    async with linked(window=2) as rig:
        rig.smsc.answer = lambda _: None
        rig.submit("first", "second")
        await rig.smsc.until(lambda: len(rig.smsc.submits) == 2)
        rig.smsc.cut()
        assert [type(outcome) for outcome in await rig.reports.outcomes_of(2)] == [Lost, Lost]
        assert rig.link.state is LinkState.DOWN


async def test_a_message_in_doubt_names_the_parts_that_were_taken() -> None:
    """Their ids are known, so their receipts will be."""
    async with linked() as rig:
        rig.smsc.answer = lambda s: rig.smsc.take(s) if b"aaa" in s.short_message else None
        rig.submit("a" * 153 + "b" * 10)
        await rig.smsc.until(lambda: len(rig.smsc.submits) == 2)
        await rig.reports.until(lambda: rig.bind.in_flight == 1)
        rig.smsc.cut()
        (lost,) = await rig.reports.outcomes_of(1)
        assert isinstance(lost, Lost)
        assert lost.taken == ((0, "id-1"),)


async def test_a_submit_that_is_never_answered_is_in_doubt_in_time() -> None:
    """After `response_timeout_s`; the session goes on."""
    async with linked(response_timeout_s=5) as rig:
        rig.smsc.answer = lambda _: None
        rig.submit("hello")
        await rig.smsc.until(lambda: bool(rig.smsc.submits))
        await rig.passing(lambda: bool(rig.reports.outcomes), step_ms=1000)
        assert isinstance(rig.reports.outcomes[0][1], Lost)
        assert rig.link.state is LinkState.UP
        assert rig.telemetry.value("trebuchet_bind_unanswered_total", LANE) == 1


# ---- staying up ----


async def test_it_binds_again_after_a_break() -> None:
    """After a second, and tells the lanes."""
    async with linked() as rig:
        rig.smsc.cut()
        await rig.passing(lambda: len(rig.smsc.binds) == 2 and rig.link.state is LinkState.UP)
        assert rig.bind.reconnects == 1


async def test_a_refused_bind_is_not_hammered() -> None:
    """A wrong password is tried once a minute."""
    async with linked(up=False) as rig:
        rig.smsc.bind_status = Status.RINVPASWD
        await rig.link.start()
        await rig.smsc.until(lambda: len(rig.smsc.binds) == 1 and not rig.smsc.connections)
        await asyncio.sleep(0)
        rig.clock.advance(59_000)
        await asyncio.sleep(0)
        assert rig.bind.state is BindState.WAITING
        assert "RINVPASWD" in rig.bind.last_error
        rig.smsc.bind_status = 0
        await rig.passing(lambda: rig.link.state is LinkState.UP, step_ms=1000)
        assert len(rig.smsc.binds) == 2


async def test_a_peer_that_is_silent_is_given_up() -> None:
    """Two enquire_links without an answer end the session."""
    async with linked(enquire_link_s=30) as rig:
        for connection in rig.smsc.connections:
            connection.transport.pause_reading()
        await rig.passing(lambda: rig.link.state is LinkState.DOWN, step_ms=5000)
        assert rig.bind.last_error == "the peer does not answer enquire_link"


async def test_an_smsc_that_is_down_is_tried_until_it_is_there() -> None:
    """The reason is shown meanwhile."""
    async with listening() as smsc:
        port = smsc.port
    rig = Rig(smsc, port=port)
    await rig.link.start()
    await rig.passing(lambda: bool(rig.bind.last_error))
    assert f"cannot connect to 127.0.0.1:{port}" in rig.bind.last_error
    await rig.link.stop(0)
    rig.clock.close()


async def test_an_smsc_that_unbinds_is_left_alone_for_a_moment() -> None:
    """Five seconds at least: it wants its rest."""
    async with linked() as rig:
        connection = rig.smsc.connections[0]
        connection.session.unbind(0)
        connection.flush()
        await rig.smsc.until(lambda: not rig.smsc.connections)
        await asyncio.sleep(0)
        assert rig.bind.next_try_ms == rig.clock.now_ms() + 5000


async def test_an_operator_unbinds_and_binds_again() -> None:
    """Unbound stays unbound, whatever time passes."""
    async with linked() as rig:
        assert rig.link.unbind(LANE)
        await rig.smsc.until(lambda: not rig.smsc.connections)
        await rig.passing(lambda: rig.bind.state is BindState.UNBOUND)
        rig.clock.advance(3_600_000)
        assert len(rig.smsc.binds) == 1
        assert rig.link.rebind(None)
        await rig.reports.until(lambda: rig.link.state is LinkState.UP)
        assert not rig.link.unbind("acme/9")


async def test_stop_unbinds() -> None:
    """The SMSC sees an unbind, not a broken connection."""
    async with linked() as rig:
        seen: list[str] = []
        rig.smsc.connections[0].session.watch = lambda direction, octets: seen.append(
            f"{direction} {octets[7]}"
        )
        await rig.link.stop(5)
        assert seen == ["in 6", "out 6"]
        assert rig.bind.state is BindState.STOPPED


# ---- several binds ----


async def test_each_bind_that_submits_is_a_lane() -> None:
    """A receiver is none; receipts come by it all the same."""
    async with linked(up=False, binds=["transmitter", "receiver", "transmitter"]) as rig:
        assert rig.link.lanes == ("acme/0", "acme/2")
        await rig.up()
        await rig.smsc.until(lambda: len(rig.smsc.binds) == 3)
        kinds = sorted(type(bind).__name__ for bind in rig.smsc.binds)
        assert kinds == ["BindReceiver", "BindTransmitter", "BindTransmitter"]
        answer = await rig.smsc.deliver(receipt())
        assert answer.status == 0
        assert rig.reports.receipts[0].carrier_message_id == "id-1"


async def call(rig: Rig, port: int) -> Connection:
    """The SMSC opens a connection to the link and sends its outbind."""
    loop = asyncio.get_running_loop()
    _, called = await loop.create_connection(lambda: Connection(rig.smsc), "127.0.0.1", port)
    called.session.request(pdu.Outbind(system_id="smsc"), 0)
    called.flush()
    return called


async def test_an_outbind_is_answered_with_a_bind() -> None:
    """As a receiver, on the connection that the SMSC opened; what it delivers there is taken."""
    port = free_port()
    async with linked(outbind_listen_port=port, outbind_from=["127.0.0.0/8"]) as rig:
        called = await call(rig, port)
        await rig.smsc.until(lambda: len(rig.smsc.binds) == 2)
        assert isinstance(rig.smsc.binds[1], pdu.BindReceiver)
        assert (await called.ask(receipt())).status == 0


async def test_nobody_else_may_call() -> None:
    """A connection from an address that is not named is closed."""
    port = free_port()
    async with linked(outbind_listen_port=port, outbind_from=["192.0.2.0/24"]) as rig:
        called = await call(rig, port)
        await rig.smsc.until(lambda: called not in rig.smsc.connections)
        assert len(rig.smsc.binds) == 1


# ---- what comes in ----


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (None, Status.ROK),
        (StorageUnavailable("the disk is full"), Status.RX_T_APPN),
        (NotFound("no such number"), Status.RX_P_APPN),
    ],
)
@pytest.mark.parametrize("what", [receipt(), pdu.DeliverSm(source_addr="19195551234", short_message=b"hi")])
async def test_the_answer_to_a_delivery_is_what_became_of_it(
    failure: Exception | None, status: Status, what: pdu.DeliverSm
) -> None:
    """Stored: 0. Not stored: to be repeated. For nobody here: not to be repeated."""
    async with linked() as rig:
        if failure is not None:
            rig.reports.failures = [failure]
        assert (await rig.smsc.deliver(what)).status == status


async def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    """The answer waits for the commit, and other deliveries do not wait for it."""
    async with linked() as rig:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        rig.reports.receipt = lambda *_, **__: stored  # type: ignore[method-assign]
        waiting = asyncio.ensure_future(rig.smsc.deliver(receipt()))
        assert (await rig.smsc.deliver(pdu.DeliverSm(short_message=b"hi"))).status == 0
        assert not waiting.done()
        stored.set_result(None)
        assert (await waiting).status == 0


async def test_an_answer_that_is_late_for_its_session_is_not_written_into_the_next() -> None:
    """Sequence numbers begin anew; the SMSC repeats what it got no answer for."""
    async with linked() as rig:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        rig.reports.receipt = lambda *_, **__: stored  # type: ignore[method-assign]
        connection = rig.smsc.connections[0]
        connection.ask(receipt())
        await rig.passing(lambda: rig.bind.receipts == 1)
        rig.smsc.cut()
        await rig.passing(lambda: len(rig.smsc.binds) == 2 and rig.link.state is LinkState.UP)
        rejected: list[bytes] = []
        rig.smsc.connections[0].session.watch = lambda direction, octets: rejected.append(octets)
        stored.set_result(None)
        assert (await rig.smsc.deliver(pdu.DeliverSm(short_message=b"hi"))).status == 0
        assert [octets[4:8].hex() for octets in rejected] == ["00000005", "80000005"]


async def test_a_receipt_that_says_nothing_is_answered_and_counted() -> None:
    """Refused, it would be repeated for ever."""
    async with linked() as rig:
        answer = await rig.smsc.deliver(pdu.DeliverSm(esm_class=4, short_message=b"nothing of use"))
        assert answer.status == 0
        assert rig.reports.receipts == []
        assert rig.telemetry.value("trebuchet_bind_rejected_total", LANE) == 1


async def test_a_watcher_sees_what_passes() -> None:
    """Until it has seen enough."""
    async with linked() as rig:
        seen: list[Passed] = []
        end = rig.link.watch(seen.append)
        rig.submit("hello")
        await rig.reports.outcomes_of(1)
        end()
        rig.submit("more")
        await rig.reports.outcomes_of(2)
        assert [(passed.bind, passed.direction) for passed in seen] == [(LANE, "out"), (LANE, "in")]

"""One session table for both roles: an ESME and an SMSC that talk in memory, and peers that misbehave."""

from collections.abc import Sequence
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trebuchet.protocols.smpp import codec, pdu
from trebuchet.protocols.smpp.constants import Command, Status
from trebuchet.protocols.smpp.session import (
    LEGAL,
    SEQUENCE_MAX,
    BindRefused,
    BindRequested,
    Bound,
    Closing,
    Event,
    OutbindReceived,
    Refusal,
    Rejected,
    Request,
    Response,
    Role,
    Session,
    State,
    Timers,
    Unanswered,
)

E = TypeVar("E")

BINDS = {
    "transceiver": (pdu.BindTransceiver, State.BOUND_TRX),
    "transmitter": (pdu.BindTransmitter, State.BOUND_TX),
    "receiver": (pdu.BindReceiver, State.BOUND_RX),
}
NO_TIMERS = Timers(bind_ms=0, enquire_link_ms=0, response_ms=0, progress_ms=0, unbind_ms=0)


def submit(text: bytes = b"hello") -> pdu.SubmitSm:
    return pdu.SubmitSm(source_addr="12025550100", destination_addr="12025550123", short_message=text)


def example(command: Command) -> pdu.Pdu:
    """A well-formed PDU of a kind, with the sequence number 5."""
    if command is Command.SUBMIT_MULTI:
        return pdu.SubmitMulti(sequence=5, dest_address=(pdu.DestAddress(destination_addr="12025550123"),))
    return pdu.CLASSES[command](sequence=5)


def message_id_of(message: pdu.Pdu) -> str:
    assert isinstance(message, pdu.SubmitSmResp)
    return message.message_id


def short_message_of(message: pdu.Pdu) -> bytes:
    assert isinstance(message, pdu.SubmitSm)
    return message.short_message


def only(events: Sequence[Event], kind: type[E]) -> E:
    """The one event there is."""
    (event,) = events
    assert isinstance(event, kind)
    return event


class Pair:
    """Two sessions and the wire between them; the SMSC accepts every bind."""

    def __init__(self, *, window: int = 10, peer_window: int = 1000, timers: Timers | None = None) -> None:
        self.now_ms = 0
        self.esme = Session(Role.ESME, 0, window=window, peer_window=peer_window, timers=timers)
        self.smsc = Session(Role.SMSC, 0, window=window, peer_window=peer_window, timers=timers)

    def to_smsc(self) -> list[Event]:
        return self.smsc.receive(self.esme.take_output(), self.now_ms)

    def to_esme(self) -> list[Event]:
        return self.esme.receive(self.smsc.take_output(), self.now_ms)

    def bind(self, role: str = "transceiver", version: int = 0x34) -> None:
        self.esme.bind(BINDS[role][0](system_id="esme", password="secret", interface_version=version))
        asked = only(self.to_smsc(), BindRequested)
        self.smsc.accept_bind(asked.request, "smsc")
        only(self.to_esme(), Bound)


def bound(role: str = "transceiver", **kwargs: int) -> Pair:
    pair = Pair(window=kwargs.get("window", 10), peer_window=kwargs.get("peer_window", 1000))
    pair.bind(role)
    return pair


# ---- binding ----


@pytest.mark.parametrize("role", BINDS)
def test_a_bind_puts_both_sides_into_its_state(role: str) -> None:
    """Each kind of bind has its state, on both sides at once."""
    pair = bound(role)
    assert (pair.esme.state, pair.smsc.state) == (BINDS[role][1], BINDS[role][1])


def test_a_refused_bind_ends_the_session_of_the_esme() -> None:
    """The status reaches the driver, which closes."""
    pair = Pair()
    pair.esme.bind(pdu.BindTransceiver(system_id="esme", password="wrong"))
    pair.smsc.refuse_bind(only(pair.to_smsc(), BindRequested).request, Status.RINVPASWD)
    refused, closing = pair.to_esme()
    assert isinstance(refused, BindRefused)
    assert refused.status == Status.RINVPASWD
    assert isinstance(closing, Closing)
    assert "RINVPASWD" in closing.reason
    assert pair.esme.state is State.CLOSED


@pytest.mark.parametrize("accepted", [True, False])
def test_a_bind_that_comes_with_the_end_of_its_session_changes_nothing(accepted: bool) -> None:
    """Both are in one piece of octets; the driver decides on the bind when the session is over already."""
    smsc = Session(Role.SMSC, 0, timers=NO_TIMERS)
    broken = b"\x00\x00\x00\x01" * 4  # a length that no PDU has
    events = smsc.receive(codec.encode(pdu.BindTransceiver(sequence=1, system_id="esme")) + broken, 0)
    asked, closing = events
    assert isinstance(asked, BindRequested)
    assert isinstance(closing, Closing)
    smsc.take_output()
    if accepted:
        smsc.accept_bind(asked.request, "smsc")
    else:
        smsc.refuse_bind(asked.request, Status.RBINDFAIL)
    assert (smsc.state, smsc.take_output()) == (State.CLOSED, b"")


def test_a_second_bind_on_a_connection_is_refused() -> None:
    """RALYBND, and the first bind stands (SMPP 3.4 section 4.1)."""
    pair = bound()
    again = codec.encode(pdu.BindReceiver(sequence=77, system_id="esme"))
    rejected = only(pair.smsc.receive(again, 0), Rejected)
    assert "not legal" in rejected.reason
    answer = codec.decode(pair.smsc.take_output())
    assert (type(answer), answer.sequence, answer.status) == (pdu.BindReceiverResp, 77, Status.RALYBND)
    assert pair.smsc.bound


def test_a_second_bind_before_the_first_is_answered_is_refused() -> None:
    """Both may come in the same octets; only the first is put to the user."""
    smsc = Session(Role.SMSC, 0)
    first, second = pdu.BindTransceiver(sequence=1), pdu.BindTransmitter(sequence=2)
    requested, rejected = smsc.receive(codec.encode(first) + codec.encode(second), 0)
    assert isinstance(requested, BindRequested)
    assert isinstance(rejected, Rejected)
    answer = codec.decode(smsc.take_output())
    assert (type(answer), answer.sequence, answer.status) == (pdu.BindTransmitterResp, 2, Status.RALYBND)
    smsc.refuse_bind(requested.request, Status.RINVPASWD)
    only(smsc.receive(codec.encode(second), 0), BindRequested)  # the first is answered: it may try again


@pytest.mark.parametrize(("said", "takes"), [(0x33, False), (0x00, False), (0x34, True), (0x50, True)])
def test_a_peer_below_3_4_gets_no_optional_parameters(said: int, takes: bool) -> None:
    """The SMSC goes by the interface_version of the bind."""
    pair = Pair()
    pair.bind(version=said)
    assert pair.smsc.takes_tlvs is takes


def test_an_smsc_that_does_not_say_its_version_is_taken_at_3_4() -> None:
    """sc_interface_version is optional, and many leave it out."""
    esme = Session(Role.ESME, 0)
    esme.bind(pdu.BindTransceiver(system_id="esme"))
    asked = codec.decode(esme.take_output())
    esme.receive(codec.encode(asked.response(system_id="smsc")), 0)
    assert (esme.peer_version, esme.takes_tlvs) == (0x34, True)


def test_an_outbind_is_followed_by_the_bind_of_the_esme() -> None:
    """The SMSC calls, the ESME binds as a receiver on the same connection (SMPP 3.4 section 4.1.7)."""
    pair = Pair()
    pair.smsc.request(pdu.Outbind(system_id="smsc", password="pw"), 0)
    assert only(pair.to_esme(), OutbindReceived).outbind.system_id == "smsc"
    pair.bind("receiver")
    assert pair.smsc.state is State.BOUND_RX


# ---- requests ----


def test_an_answer_comes_with_the_context_of_its_request() -> None:
    """In whatever order the peer answers."""
    pair = bound()
    for number in range(3):
        pair.esme.request(submit(b"%d" % number), 0, context=number)
    asked = [event.pdu for event in pair.to_smsc() if isinstance(event, Request)]
    for request in reversed(asked):
        pair.smsc.respond(request.response(message_id=f"id-{request.sequence}"))
    answers = [event for event in pair.to_esme() if isinstance(event, Response)]
    assert [(answer.context, message_id_of(answer.pdu)) for answer in answers] == [
        (2, "id-4"), (1, "id-3"), (0, "id-2"),
    ]  # fmt: skip
    assert pair.esme.in_flight == 0


def test_the_window_bounds_what_is_unanswered() -> None:
    """One more than the window is refused; an answer makes room."""
    pair = bound(window=2)
    pair.esme.request(submit(), 0)
    pair.esme.request(submit(), 0)
    assert pair.esme.room == 0
    with pytest.raises(Refusal, match="window of 2 is full"):
        pair.esme.request(submit(), 0)
    request = next(event for event in pair.to_smsc() if isinstance(event, Request))
    pair.smsc.respond(request.pdu.response(message_id="1"))
    pair.to_esme()
    assert pair.esme.room == 1


def test_enquire_link_takes_no_place_in_the_window() -> None:
    """A link with a full window is still asked whether it lives."""
    pair = Pair(window=1, timers=Timers(response_ms=0, progress_ms=0))
    pair.bind()
    pair.esme.request(submit(), 0)
    assert pair.esme.tick(30_000) == []
    assert isinstance(codec.decode(pair.esme.take_output()[-16:]), pdu.EnquireLink)


def test_a_peer_that_asks_too_much_at_once_is_told_so() -> None:
    """What waits for a commit of ours is bounded: an SMSC's deliver_sm is answered RX_T_APPN, which it repeats."""
    pair = bound(window=10, peer_window=2)
    for _ in range(3):
        pair.smsc.request(pdu.DeliverSm(short_message=b"x"), 0)
    kinds = [type(event) for event in pair.to_esme()]
    assert kinds == [Request, Request, Rejected]
    answer = codec.decode(pair.esme.take_output())
    assert (type(answer), answer.status) == (pdu.DeliverSmResp, Status.RX_T_APPN)


def test_sequence_numbers_wrap_and_skip_what_is_still_out() -> None:
    """From 0x7FFFFFFF to 1 (SMPP 3.4 section 3.2), over a request that waits under that number."""
    pair = bound()
    pair.esme._sequence = SEQUENCE_MAX - 1
    pair.esme.request(submit(), 0, context="last")
    pair.esme._sequence = 0
    pair.esme.request(submit(), 0, context="first")
    pair.esme._sequence = SEQUENCE_MAX - 1
    pair.esme.request(submit(), 0, context="wrapped")
    sequences = [event.pdu.sequence for event in pair.to_smsc() if isinstance(event, Request)]
    assert sequences == [SEQUENCE_MAX, 1, 2]


def test_a_generic_nack_answers_the_request_it_names() -> None:
    """By its sequence number (SMPP 3.4 section 4.3)."""
    pair = bound()
    pair.esme.request(submit(), 0, context="mine")
    sequence = codec.decode(pair.esme.take_output()).sequence
    nack = codec.encode(pdu.GenericNack(sequence=sequence, status=Status.RINVCMDID))
    answer = only(pair.esme.receive(nack, 5), Response)
    assert (answer.context, answer.pdu.status, answer.waited_ms) == ("mine", Status.RINVCMDID, 5)


@pytest.mark.parametrize(
    "stray",
    [
        pdu.SubmitSmResp(sequence=900, message_id="late"),
        pdu.GenericNack(sequence=0, status=Status.RSYSERR),
        pdu.DeliverSmResp(sequence=2),  # the number of a submit_sm that waits
    ],
)
def test_an_answer_to_nothing_is_noted_and_ignored(stray: pdu.Pdu) -> None:
    """Late, unknown or of the wrong kind: what waits goes on waiting."""
    pair = bound()
    pair.esme.request(submit(), 0)
    only(pair.esme.receive(codec.encode(stray), 0), Rejected)
    assert pair.esme.in_flight == 1


# ---- what is not legal ----


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("command", [c for c in Command if not c & 0x80000000])
def test_only_what_the_state_allows_goes_through(role: Role, state: State, command: Command) -> None:
    """For both roles: what is legal to receive is not answered with RINVBNDSTS, and everything else is."""
    if state is State.CLOSED:
        return
    session = Session(role, 0, timers=NO_TIMERS)
    session.state = state
    events = session.receive(codec.encode(example(command)), 0)
    peer = Role.SMSC if role is Role.ESME else Role.ESME
    rejected = [event for event in events if isinstance(event, Rejected)]
    assert bool(rejected) is (command not in LEGAL[peer, state])
    if rejected and command not in (Command.OUTBIND, Command.ALERT_NOTIFICATION):
        answer = codec.decode(session.take_output())
        assert answer.sequence == 5
        assert answer.status in (Status.RINVBNDSTS, Status.RALYBND)


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
def test_a_request_of_ours_is_held_to_the_same_table(state: State) -> None:
    """An ESME that is not bound as a transmitter cannot submit."""
    session = Session(Role.ESME, 0)
    session.state = state
    if state in (State.BOUND_TX, State.BOUND_TRX):
        session.request(submit(), 0)
    else:
        with pytest.raises(Refusal, match="submit_sm is not legal"):
            session.request(submit(), 0)


def test_an_unknown_command_is_answered_and_the_session_goes_on() -> None:
    """generic_nack with RINVCMDID and the same sequence (SMPP 3.4 section 4.3)."""
    pair = bound()
    unknown = (16).to_bytes(4) + (0x00000999).to_bytes(4) + bytes(4) + (42).to_bytes(4)
    only(pair.smsc.receive(unknown, 0), Rejected)
    nack = codec.decode(pair.smsc.take_output())
    assert (type(nack), nack.status, nack.sequence) == (pdu.GenericNack, Status.RINVCMDID, 42)
    assert pair.smsc.bound


def test_a_body_that_cannot_be_read_is_answered_by_its_own_response() -> None:
    """So that the peer's window is freed, and the session goes on."""
    pair = bound()
    whole = codec.encode(submit())
    cut = (20).to_bytes(4) + whole[4:12] + (9).to_bytes(4) + b"\x41\x41\x41\x41"
    only(pair.smsc.receive(cut, 0), Rejected)
    answer = codec.decode(pair.smsc.take_output())
    assert (type(answer), answer.sequence) == (pdu.SubmitSmResp, 9)
    assert answer.status != 0
    assert pair.smsc.bound


def test_an_answer_that_cannot_be_read_leaves_its_request_unanswered() -> None:
    """What became of it is unknown: that is what the driver must hear."""
    pair = bound()
    pair.esme.request(submit(), 0, context="mine")
    sequence = codec.decode(pair.esme.take_output()).sequence
    tlv_cut_short = b"id\0" + b"\x04\x27\x00\x09\x01"
    head = (16 + len(tlv_cut_short)).to_bytes(4) + (0x80000004).to_bytes(4) + bytes(4) + sequence.to_bytes(4)
    unanswered, rejected = pair.esme.receive(head + tlv_cut_short, 0)
    assert isinstance(unanswered, Unanswered)
    assert unanswered.context == "mine"
    assert isinstance(rejected, Rejected)
    assert pair.esme.tick(Timers().progress_ms) == []  # it did answer, so it is not stuck


@pytest.mark.parametrize("length", [0, 15, 70_001, 0xFFFFFFFF])
def test_a_length_that_cannot_be_ends_the_session(length: int) -> None:
    """Nothing after it can be found: generic_nack with RINVCMDLEN, then close; what was out is unanswered."""
    pair = bound()
    pair.esme.request(submit(), 0, context="mine")
    pair.esme.take_output()
    unanswered, closing = pair.esme.receive(length.to_bytes(4) + bytes(12), 0)
    assert isinstance(unanswered, Unanswered)
    assert isinstance(closing, Closing)
    nack = codec.decode(pair.esme.take_output())
    assert (type(nack), nack.status, nack.sequence) == (pdu.GenericNack, Status.RINVCMDLEN, 0)


# ---- time ----


def test_nothing_comes_in_so_the_peer_is_asked_and_given_up_after_two_misses() -> None:
    """Idle for 30 s, then two enquire_links of 15 s each."""
    pair = Pair()
    pair.bind()
    assert pair.esme.deadline_ms == 30_000
    assert pair.esme.tick(29_999) == []
    assert pair.esme.take_output() == b""
    assert pair.esme.tick(30_000) == []
    assert isinstance(codec.decode(pair.esme.take_output()), pdu.EnquireLink)
    assert pair.esme.tick(45_000) == []
    assert isinstance(codec.decode(pair.esme.take_output()), pdu.EnquireLink)
    assert only(pair.esme.tick(60_000), Closing).reason == "the peer does not answer enquire_link"


def test_whatever_comes_in_says_that_the_peer_is_there() -> None:
    """Not only the answer to enquire_link."""
    pair = Pair()
    pair.bind()
    pair.esme.tick(30_000)
    pair.now_ms = 40_000
    pair.smsc.request(pdu.DeliverSm(), 40_000)
    pair.to_esme()
    assert pair.esme.deadline_ms == 70_000


def test_enquire_link_is_answered_with_its_own_sequence() -> None:
    """Also before the bind."""
    session = Session(Role.SMSC, 0)
    assert session.receive(codec.encode(pdu.EnquireLink(sequence=31)), 0) == []
    answer = codec.decode(session.take_output())
    assert (type(answer), answer.sequence) == (pdu.EnquireLinkResp, 31)


def test_a_request_without_an_answer_is_unanswered_in_time() -> None:
    """The oldest first, each at its own moment; the session goes on."""
    pair = Pair(timers=Timers(response_ms=1000, enquire_link_ms=0))
    pair.bind()
    pair.esme.request(submit(), 0, context="first")
    pair.esme.request(submit(), 600, context="second")
    assert pair.esme.deadline_ms == 1000
    assert only(pair.esme.tick(1000), Unanswered).context == "first"
    assert only(pair.esme.tick(1600), Unanswered).context == "second"
    assert pair.esme.bound


def test_a_session_that_answers_nothing_any_more_is_ended() -> None:
    """Although its peer answers every enquire_link."""
    pair = Pair(timers=Timers(response_ms=60_000, progress_ms=120_000))
    pair.bind()
    closing: list[Event] = []
    for now_ms in range(0, 130_000, 10_000):
        pair.now_ms = now_ms
        if pair.esme.room:
            pair.esme.request(submit(), now_ms)
        closing += [event for event in pair.esme.tick(now_ms) if isinstance(event, Closing)]
        if closing:
            break
        pair.to_smsc()
        pair.smsc.tick(now_ms)
        pair.to_esme()
    assert only(closing, Closing).reason == "requests are out and none is answered"
    assert pair.now_ms == 120_000


@pytest.mark.parametrize("role", list(Role))
def test_a_connection_without_a_bind_is_ended(role: Role) -> None:
    """The ESME waits for the answer, the SMSC for the request."""
    session = Session(role, 0, timers=Timers(bind_ms=5000))
    assert session.deadline_ms == 5000
    assert only(session.tick(5000), Closing).reason == "no bind in time"


# ---- the end ----


def test_an_unbind_is_answered_and_ends_both_sides() -> None:
    """No request goes out after it; it is no fault."""
    pair = bound()
    pair.esme.unbind(0)
    assert pair.esme.room == 0
    with pytest.raises(Refusal, match="being unbound"):
        pair.esme.request(submit(), 0)
    assert only(pair.to_smsc(), Closing) == Closing("the peer unbound", fault=False)
    assert only(pair.to_esme(), Closing) == Closing("unbound", fault=False)


def test_an_unbind_that_is_not_answered_ends_after_its_time() -> None:
    """Five seconds."""
    pair = bound()
    pair.esme.unbind(100)
    assert pair.esme.deadline_ms == 5100
    assert only(pair.esme.tick(5100), Closing).reason == "no answer to unbind"


def test_a_lost_connection_leaves_every_request_unanswered_once() -> None:
    """Each is named; a second word about the end changes nothing."""
    pair = bound()
    for number in range(3):
        pair.esme.request(submit(), 0, context=number)
    events = pair.esme.lost()
    assert [event.context for event in events if isinstance(event, Unanswered)] == [0, 1, 2]
    assert pair.esme.lost() == []
    assert pair.esme.deadline_ms is None


def test_an_answer_of_ours_after_the_end_goes_nowhere() -> None:
    """A commit may finish after the connection has."""
    pair = bound()
    pair.smsc.request(pdu.DeliverSm(), 0)
    request = only(pair.to_esme(), Request)
    pair.esme.lost()
    assert pair.esme.respond(request.pdu.response()) == b""
    assert pair.esme.take_output() == b""


# ---- the wire ----


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), max_size=30), st.data())
def test_octets_may_come_in_any_pieces(pieces: list[int], data: st.DataObject) -> None:
    """Byte by byte, whole or with leftovers: the same events in the same order."""
    pair = bound()
    texts = [data.draw(st.binary(max_size=160)) for _ in range(3)]
    for text in texts:
        pair.esme.request(submit(text), 0)
    octets = pair.esme.take_output()
    events: list[Event] = []
    at = 0
    for piece in [*pieces, len(octets)]:
        events += pair.smsc.receive(octets[at : at + piece], 0)
        at += piece
    found = [event.pdu for event in events if isinstance(event, Request)]
    assert [short_message_of(request) for request in found] == texts


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_every_request_has_exactly_one_outcome(data: st.DataObject) -> None:
    """Whatever is lost, answered late, refused or repeated, each submit is answered or unanswered, once."""
    pair = Pair(window=4, timers=Timers(response_ms=1000, enquire_link_ms=0, progress_ms=0))
    pair.bind()
    sent: list[int] = []
    outcomes: list[int] = []
    asked: list[pdu.Pdu] = []

    def note(events: Sequence[Event]) -> None:
        outcomes.extend(e.context for e in events if isinstance(e, Response | Unanswered))

    for step in range(data.draw(st.integers(1, 40))):
        pair.now_ms += data.draw(st.integers(0, 700))
        action = data.draw(
            st.sampled_from(["submit", "answer", "answer twice", "lose", "nack", "tick", "junk"])
        )
        if action == "submit" and pair.esme.room:
            pair.esme.request(submit(), pair.now_ms, context=step)
            sent.append(step)
            asked += [e.pdu for e in pair.to_smsc() if isinstance(e, Request)]
        elif action.startswith("answer") and asked:
            request = asked.pop(data.draw(st.integers(0, len(asked) - 1)))
            answer = codec.encode(request.response(message_id="1"))
            note(pair.esme.receive(answer * (2 if "twice" in action else 1), pair.now_ms))
        elif action == "nack" and asked:
            nack = pdu.GenericNack(sequence=asked.pop().sequence, status=Status.RSYSERR)
            note(pair.esme.receive(codec.encode(nack), pair.now_ms))
        elif action == "lose" and asked:
            asked.pop()
        elif action == "junk":
            note(
                pair.esme.receive(
                    codec.encode(pdu.SubmitSmResp(sequence=data.draw(st.integers(0, 99)))), pair.now_ms
                )
            )
        note(pair.esme.tick(pair.now_ms))
    note(pair.esme.lost())
    assert sorted(outcomes) == sorted(sent)


def test_a_watcher_sees_every_pdu_in_order() -> None:
    """Both directions, as octets, with what the session answers by itself."""
    pair = bound()
    seen: list[tuple[str, str]] = []
    pair.smsc.watch = lambda direction, octets: seen.append((direction, type(codec.decode(octets)).__name__))
    pair.esme.request(submit(), 0)
    pair.esme.unbind(0)
    request = next(event for event in pair.to_smsc() if isinstance(event, Request))
    assert pair.smsc.respond(request.pdu.response()) == b""  # the unbind behind it has ended the session
    assert seen == [("in", "SubmitSm"), ("in", "Unbind"), ("out", "UnbindResp")]

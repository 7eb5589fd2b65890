"""What becomes of a message for one recipient, in whatever order the peer's mails arrive."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trebuchet.protocols.mm4 import session
from trebuchet.protocols.mm4.session import (
    FINAL,
    INBOUND,
    Answered,
    Bounced,
    Deadline,
    Do,
    Happening,
    Inbound,
    InboundDo,
    InboundHappening,
    Reported,
    SmtpAccepted,
    SmtpRefused,
    State,
    Terms,
    Transaction,
    about,
    begun,
    inbound_step,
    step,
)
from trebuchet.protocols.mm4.status import OK, Fate, Outcome, Verdict

TERMS = Terms()
AGAIN = Outcome(Verdict.TEMPORARY, 5650)
NEVER = Outcome(Verdict.PERMANENT, 4712)
TAKEN_IT = SmtpAccepted()
YES, LATER, NO = Answered(OK), Answered(AGAIN), Answered(NEVER)
ARRIVED, LOST = Reported(Fate.DELIVERED), Reported(Fate.FAILED, 4750)
TICK = Deadline()
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def run(happenings: list[Happening], terms: Terms = TERMS) -> tuple[Transaction, list[Do]]:
    """Where it ends and what was to be done, one millisecond between happenings; a deadline happens when it is due."""
    now_ms = 0
    transaction = begun(now_ms, terms)
    done = []
    for happened in happenings:
        now_ms += 1
        if happened == TICK and transaction.deadline_ms is not None:
            now_ms = max(now_ms, transaction.deadline_ms)
        transaction, do = _unpacked(step(transaction, happened, now_ms, terms))
        done.append(do)
    return transaction, done


def _unpacked(result: session.Step) -> tuple[Transaction, Do]:
    return result.transaction, result.do


N, T, D, F, R = Do.NOTHING, Do.TAKEN, Do.DELIVERED, Do.FAILED, Do.RESEND


@pytest.mark.parametrize(
    ("happenings", "done", "state", "code"),
    [
        ([TAKEN_IT], [N], State.HELD, None),
        ([TAKEN_IT, YES], [N, T], State.TAKEN, None),
        ([TAKEN_IT, YES, ARRIVED], [N, T, D], State.DELIVERED, None),
        ([TAKEN_IT, YES, LOST], [N, T, F], State.FAILED, 4750),
        # The answer before the SMTP reply, the report before the answer.
        ([YES, TAKEN_IT, ARRIVED], [T, N, D], State.DELIVERED, None),
        ([TAKEN_IT, ARRIVED, YES], [N, D, N], State.DELIVERED, None),
        ([ARRIVED, YES, TAKEN_IT], [D, N, N], State.DELIVERED, None),
        ([LOST, YES, TAKEN_IT], [F, N, N], State.FAILED, 4750),
        # Repeated.
        ([TAKEN_IT, YES, YES, ARRIVED, ARRIVED], [N, T, N, D, N], State.DELIVERED, None),
        ([TAKEN_IT, NO, NO, YES], [N, F, N, N], State.FAILED, 4712),
        # Contradicted: the first counts.
        ([TAKEN_IT, YES, NO, ARRIVED], [N, T, N, D], State.DELIVERED, None),
        ([TAKEN_IT, YES, LATER], [N, T, N], State.TAKEN, None),
        ([TAKEN_IT, YES, ARRIVED, LOST], [N, T, D, N], State.DELIVERED, None),
        # Refused.
        ([SmtpRefused(NEVER)], [F], State.FAILED, 4712),
        ([SmtpRefused(AGAIN)], [N], State.SUBMITTED, None),
        ([SmtpRefused(Outcome(Verdict.LINK))], [N], State.SUBMITTED, None),
        ([TAKEN_IT, Bounced(4720)], [N, F], State.FAILED, 4720),
        ([TAKEN_IT, YES, Bounced(4720)], [N, T, F], State.FAILED, 4720),
        # Refused for now: once more after a while, then no more.
        ([TAKEN_IT, LATER], [N, N], State.DEFERRED, 5650),
        ([TAKEN_IT, LATER, LATER, TICK], [N, N, N, R], State.SUBMITTED, 5650),
        ([TAKEN_IT, LATER, TICK, TAKEN_IT, YES], [N, N, R, N, T], State.TAKEN, None),
        ([TAKEN_IT, LATER, TICK, TAKEN_IT, LATER], [N, N, R, N, F], State.FAILED, 5650),
        ([TAKEN_IT, LATER, TICK, TAKEN_IT, TICK], [N, N, R, N, F], State.FAILED, 5650),
        ([LATER, TAKEN_IT, YES], [N, N, T], State.TAKEN, None),
        # Silence.
        ([TAKEN_IT, TICK], [N, R], State.SUBMITTED, None),
        ([TAKEN_IT, TICK, TAKEN_IT, TICK], [N, R, N, F], State.FAILED, 5630),
        ([TICK, TICK], [R, F], State.FAILED, 5630),
        ([TAKEN_IT, TICK, YES, TAKEN_IT], [N, R, T, N], State.TAKEN, None),
        ([TAKEN_IT, YES, TICK], [N, T, F], State.FAILED, 9902),
        ([TAKEN_IT, YES, ARRIVED, TICK], [N, T, D, N], State.DELIVERED, None),
        # Reports that say little.
        ([TAKEN_IT, YES, Reported(Fate.WAITING)], [N, T, N], State.TAKEN, None),
        ([TAKEN_IT, YES, Reported(Fate.UNKNOWN, 9999)], [N, T, F], State.FAILED, 9999),
    ],
)
def test_stories(happenings: list[Happening], done: list[Do], state: State, code: int | None) -> None:
    """What is to be done at each step, and where it ends."""
    transaction, did = run(happenings)
    assert did == done
    assert (transaction.state, transaction.code) == (state, code)


@pytest.mark.parametrize("order", list(itertools.permutations([TAKEN_IT, YES, ARRIVED])))
def test_order_says_nothing(order: tuple[Happening, ...]) -> None:
    """SMTP reply, answer and report in any order: it is delivered once, and never resent."""
    transaction, done = run(list(order))
    assert transaction.state is State.DELIVERED
    assert done.count(D) == 1
    assert set(done) <= {N, T, D}


def test_without_an_answer_the_smtp_reply_takes_it() -> None:
    """Nothing more will come but a report."""
    assert run([TAKEN_IT], Terms(ack=False)) == (
        Transaction(state=State.TAKEN, deadline_ms=1 + 2 * HOUR_MS),
        [T],
    )


def test_without_reports_taken_is_delivered() -> None:
    """For hubs that never report; without an answer, too, the SMTP reply delivers."""
    assert run([TAKEN_IT, YES], Terms(report=False))[1] == [N, D]
    assert run([TAKEN_IT], Terms(ack=False, report=False))[1] == [D]


def test_deadlines() -> None:
    """Ten minutes for the answer from the submit and again from the SMTP reply, a minute until the next try,
    two hours for the report, none at the end.
    """
    transaction = begun(0, TERMS)
    assert transaction.deadline_ms == 10 * MINUTE_MS
    held = step(transaction, TAKEN_IT, 500, TERMS).transaction
    assert held.deadline_ms == 500 + 10 * MINUTE_MS
    assert step(held, LATER, 1000, TERMS).transaction.deadline_ms == 1000 + MINUTE_MS
    again = step(held, TICK, 10 * MINUTE_MS + 500, TERMS).transaction
    assert (again.deadline_ms, again.resends) == (20 * MINUTE_MS + 500, 1)
    taken = step(held, YES, 1000, TERMS).transaction
    assert taken.deadline_ms == 1000 + 2 * HOUR_MS
    assert step(taken, ARRIVED, 2000, TERMS).transaction.deadline_ms is None


def test_resends_are_as_many_as_the_terms_say() -> None:
    """None, or several."""
    assert run([TAKEN_IT, TICK], Terms(resends=0))[1] == [N, F]
    assert run([TAKEN_IT, LATER], Terms(resends=0))[1] == [N, F]
    assert run([TAKEN_IT, TICK, TICK, TICK], Terms(resends=2))[1] == [N, R, R, F]


happenings = st.lists(
    st.sampled_from(
        [
            TAKEN_IT,
            SmtpRefused(NEVER),
            SmtpRefused(AGAIN),
            YES,
            LATER,
            NO,
            Answered(NEVER, named=True),
            Answered(AGAIN, named=True),
            ARRIVED,
            LOST,
            Reported(Fate.WAITING),
            Reported(Fate.UNKNOWN, 9999),
            Bounced(4720),
            TICK,
        ]
    ),
    max_size=12,
)
terms = st.builds(Terms, ack=st.booleans(), report=st.booleans(), resends=st.integers(0, 3))


@given(happenings, terms)
def test_whatever_happens_it_ends_once(happened: list[Happening], asked: Terms) -> None:
    """One end at most, nothing after it; taken at most once; resends bounded; a failure has its code."""
    transaction, done = run(happened, asked)
    assert done.count(D) + done.count(F) == (transaction.state in FINAL)
    ends = [place for place, do in enumerate(done) if do in {D, F}]
    assert all(do is N for end in ends for do in done[end + 1 :])
    assert done.count(T) <= 1
    assert done.count(R) == transaction.resends <= asked.resends
    assert (transaction.state is not State.FAILED) or transaction.code is not None
    assert (transaction.deadline_ms is None) == (transaction.state in FINAL)


@given(happenings, terms)
def test_silence_ends_it(happened: list[Happening], asked: Terms) -> None:
    """Deadlines alone lead to the end from wherever it is: at most one for each resend, one for the answer, one for
    the wait before a resend, and one for the report.
    """
    transaction, _ = run([*happened, *([TICK] * (2 * asked.resends + 2))], asked)
    assert transaction.state in FINAL


@pytest.mark.parametrize(
    ("outcome", "named", "any_named", "answered"),
    [
        (OK, False, False, Answered(OK)),
        (NEVER, False, False, Answered(NEVER)),
        (NEVER, True, True, Answered(NEVER, named=True)),
        (NEVER, False, True, Answered(OK)),
        (AGAIN, False, True, Answered(OK)),
        (OK, True, True, Answered(OK, named=True)),
        (OK, False, True, None),
    ],
)
def test_an_answer_may_name_recipients(
    outcome: Outcome, named: bool, any_named: bool, answered: Answered | None
) -> None:
    """A refusal that names some takes the others; an Ok that names some leaves the others open."""
    assert about(outcome, named=named, any_named=any_named) == answered


def test_a_later_answer_may_refuse_a_recipient_that_the_first_left_out() -> None:
    """A relay with two reasons writes two answers."""
    implied = about(NEVER, named=False, any_named=True)
    by_name = about(replace(NEVER, code=4720), named=True, any_named=True)
    assert implied is not None
    assert by_name is not None
    transaction, done = run([TAKEN_IT, implied, by_name])
    assert (done, transaction.code) == ([N, T, F], 4720)


HAPPENED = InboundHappening


@pytest.mark.parametrize(
    ("happened", "did", "state"),
    [
        ([HAPPENED.FORWARD, HAPPENED.COMMITTED], [InboundDo.STORE, InboundDo.ANSWER_OK], Inbound.HELD),
        (
            [HAPPENED.FORWARD, HAPPENED.FORWARD, HAPPENED.COMMITTED, HAPPENED.FORWARD],
            [InboundDo.STORE, InboundDo.ANSWER_AGAIN_LATER, InboundDo.ANSWER_OK, InboundDo.ANSWER_OK],
            Inbound.HELD,
        ),
        (
            [HAPPENED.FORWARD, HAPPENED.STORE_FAILED, HAPPENED.FORWARD],
            [InboundDo.STORE, InboundDo.ANSWER_AGAIN_LATER, InboundDo.STORE],
            Inbound.STORING,
        ),
        (
            [HAPPENED.REFUSED, HAPPENED.FORWARD],
            [InboundDo.ANSWER_REFUSED, InboundDo.ANSWER_REFUSED],
            Inbound.REFUSED,
        ),
        (
            [HAPPENED.FORWARD, HAPPENED.COMMITTED, HAPPENED.FATE, HAPPENED.ANSWER, HAPPENED.FORWARD],
            [InboundDo.STORE, InboundDo.ANSWER_OK, InboundDo.REPORT, InboundDo.NOTHING, InboundDo.ANSWER_OK],
            Inbound.DONE,
        ),
        (
            [HAPPENED.FORWARD, HAPPENED.COMMITTED, HAPPENED.FATE, HAPPENED.DEADLINE, HAPPENED.DEADLINE],
            [InboundDo.STORE, InboundDo.ANSWER_OK, InboundDo.REPORT, InboundDo.REPORT, InboundDo.NOTHING],
            Inbound.DONE,
        ),
        ([HAPPENED.COMMITTED, HAPPENED.ANSWER], [InboundDo.NOTHING, InboundDo.NOTHING], Inbound.NEW),
    ],
)
def test_stories_of_the_recipients_relay(
    happened: list[InboundHappening], did: list[InboundDo], state: Inbound
) -> None:
    """Stored once, answered as often as it is forwarded, reported once and, unanswered, once more."""
    now = Inbound.NEW
    done = []
    for each in happened:
        now, do = inbound_step(now, each)
        done.append(do)
    assert (done, now) == (did, state)


@given(st.lists(st.sampled_from(InboundHappening), max_size=20))
def test_nothing_is_answered_ok_before_the_commit(happened: list[InboundHappening]) -> None:
    """And nothing is stored twice once it is committed."""
    now = Inbound.NEW
    committed = False
    for each in happened:
        before = now
        now, do = inbound_step(now, each)
        committed = committed or (before is Inbound.STORING and each is HAPPENED.COMMITTED)
        assert committed or do not in {InboundDo.ANSWER_OK, InboundDo.REPORT}
        assert not (committed and do is InboundDo.STORE)


def test_every_state_of_the_recipients_relay_answers_a_repeated_forward() -> None:
    """A lost answer is asked for again by forwarding again."""
    assert {state for state, each in INBOUND if each is HAPPENED.FORWARD} == set(Inbound)

"""What becomes of one message for one recipient, at the relay that forwards it and at the one that takes it.

Two tables without sockets and without a clock: a transaction, what happened and the moment give the transaction that
follows and what to do now. Nothing depends on the order in which the peer's mails arrive: an answer may overtake the
SMTP reply, a report the answer, and whatever is repeated changes nothing. Moments are milliseconds of any steady
clock. Source: 3GPP TS 23.140 section 8.4; the time-outs are ours.
"""

import enum
from typing import Final

import msgspec

from trebuchet.protocols.mm4.status import Fate, Outcome, Verdict

NOT_ACKNOWLEDGED: Final = 5630
REPORT_EXPIRED: Final = 9902


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of the peer, and how long it has."""

    ack: bool = True  # an MM4_forward.RES was asked for; without, the SMTP reply is all there is
    report: bool = True  # a delivery report is awaited; without, taken is delivered
    response_ms: int = 600_000
    report_ms: int = 7_200_000
    resends: int = 1  # how often it is submitted again, always under the same message id
    resend_after_ms: int = 60_000  # after a temporary refusal


# ---- the originating relay ----


class State(enum.Enum):
    SUBMITTED = (
        "submitted"  # its ids are stored, and it may be at the peer: neither SMTP reply nor answer yet
    )
    HELD = "held"  # the peer's mail system has it; its relay's answer is awaited
    DEFERRED = "deferred"  # refused for now; to be submitted again
    TAKEN = "taken"  # the peer's relay took it; the report is awaited
    DELIVERED = "delivered"
    FAILED = "failed"


FINAL: Final = frozenset({State.DELIVERED, State.FAILED})


class Do(enum.Enum):
    NOTHING = "nothing"
    TAKEN = "taken"
    DELIVERED = "delivered"  # also says that it was taken
    FAILED = "failed"
    RESEND = "resend"  # submit again, with the same message id


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """`deadline_ms` says when `Deadline` is due; None once it is final."""

    state: State = State.SUBMITTED
    resends: int = 0
    deadline_ms: int | None = None
    code: int | None = None  # why it failed, or why it is submitted again


class SmtpAccepted(msgspec.Struct, frozen=True):
    """The peer's mail system took the mail for this recipient."""


class SmtpRefused(msgspec.Struct, frozen=True):
    """It did not. Only a permanent refusal counts: otherwise the lane submits again, and begins anew with that."""

    outcome: Outcome


class Answered(msgspec.Struct, frozen=True):
    """An MM4_forward.RES. `named`: its X-Mms-Request-Recipients says that it is about this recipient."""

    outcome: Outcome
    named: bool = False


class Reported(msgspec.Struct, frozen=True):
    """A delivery report."""

    fate: Fate
    code: int | None = None


class Bounced(msgspec.Struct, frozen=True):
    """The mail came back."""

    code: int


class Deadline(msgspec.Struct, frozen=True):
    """The transaction's deadline has passed."""


Happening = SmtpAccepted | SmtpRefused | Answered | Reported | Bounced | Deadline


class Step(msgspec.Struct, frozen=True):
    transaction: Transaction
    do: Do


class _Case(enum.Enum):
    """A happening, with all that the next state depends on decided."""

    ACCEPTED = "accepted, an answer will follow"
    ACCEPTED_LAST = "accepted, no answer will follow"
    OK = "answered ok"
    REFUSED = "refused for good"
    REFUSED_BY_NAME = "refused for good, this recipient by name"
    AGAIN = "refused for now, or silent, and it may be submitted again"
    GIVE_UP = "refused for now, or silent, too often"
    DUE = "time to submit again"
    SILENT = "no report in time"
    ARRIVED = "reported delivered"
    LOST = "reported failed, or bounced"
    OTHER = "nothing that counts"


# Where a case is not in a state's row, it changes nothing. TAKEN becomes DELIVERED if no report is awaited.
_TABLE: Final[dict[State, dict[_Case, tuple[State, Do]]]] = {
    State.SUBMITTED: {
        _Case.ACCEPTED: (State.HELD, Do.NOTHING),
        _Case.ACCEPTED_LAST: (State.TAKEN, Do.TAKEN),
        _Case.OK: (State.TAKEN, Do.TAKEN),
        _Case.REFUSED: (State.FAILED, Do.FAILED),
        _Case.REFUSED_BY_NAME: (State.FAILED, Do.FAILED),
        _Case.AGAIN: (State.DEFERRED, Do.NOTHING),
        _Case.GIVE_UP: (State.FAILED, Do.FAILED),
        _Case.DUE: (State.SUBMITTED, Do.RESEND),
        _Case.ARRIVED: (State.DELIVERED, Do.DELIVERED),
        _Case.LOST: (State.FAILED, Do.FAILED),
    },
    State.TAKEN: {
        _Case.REFUSED_BY_NAME: (State.FAILED, Do.FAILED),
        _Case.SILENT: (State.FAILED, Do.FAILED),
        _Case.ARRIVED: (State.DELIVERED, Do.DELIVERED),
        _Case.LOST: (State.FAILED, Do.FAILED),
    },
    State.DELIVERED: {},
    State.FAILED: {},
}
_WAITING: Final = _TABLE[State.SUBMITTED]
_TABLE[State.HELD] = {case: then for case, then in _WAITING.items() if case is not _Case.ACCEPTED}
_TABLE[State.DEFERRED] = {
    # An earlier copy's SMTP reply says nothing new.
    case: then
    for case, then in _WAITING.items()
    if case not in {_Case.ACCEPTED, _Case.ACCEPTED_LAST, _Case.AGAIN, _Case.GIVE_UP}
}


def begun(now_ms: int, terms: Terms) -> Transaction:
    """A message that is about to be submitted: store this before the first octet goes out."""
    return Transaction(deadline_ms=now_ms + terms.response_ms)


def step(transaction: Transaction, happened: Happening, now_ms: int, terms: Terms) -> Step:
    """What follows. The code of a failure is in the transaction."""
    case, code = _case(transaction, happened, terms)
    found = _TABLE[transaction.state].get(case)
    if found is None:
        return Step(transaction, Do.NOTHING)
    state, do = found
    if state is State.TAKEN and not terms.report:
        state, do = State.DELIVERED, Do.DELIVERED
    resends = transaction.resends + (do is Do.RESEND)
    return Step(
        Transaction(
            state=state,
            resends=resends,
            deadline_ms=_deadline(transaction, state, do, now_ms, terms),
            code=None if state in {State.TAKEN, State.DELIVERED} else code or transaction.code,
        ),
        do,
    )


def _case(transaction: Transaction, happened: Happening, terms: Terms) -> tuple[_Case, int | None]:
    again = _Case.AGAIN if transaction.resends < terms.resends else _Case.GIVE_UP
    match happened:
        case SmtpAccepted():
            return (_Case.ACCEPTED if terms.ack else _Case.ACCEPTED_LAST), None
        case SmtpRefused(outcome):
            return _refused(outcome, _Case.OTHER, named=False)
        case Answered(outcome, named):
            return _refused(outcome, again, named=named)
        case Reported(fate, code):
            return _reported(fate), code
        case Bounced(code):
            return _Case.LOST, code
        case Deadline():
            if transaction.state is State.TAKEN:
                return _Case.SILENT, REPORT_EXPIRED
            if transaction.state is State.DEFERRED or again is _Case.AGAIN:
                return _Case.DUE, None
            return _Case.GIVE_UP, transaction.code or NOT_ACKNOWLEDGED


def _refused(outcome: Outcome, again: _Case, *, named: bool) -> tuple[_Case, int | None]:
    if outcome.verdict is Verdict.OK:
        return _Case.OK, None
    if outcome.verdict is Verdict.TEMPORARY:
        return again, outcome.code
    if outcome.verdict is Verdict.PERMANENT:
        return (_Case.REFUSED_BY_NAME if named else _Case.REFUSED), outcome.code
    return _Case.OTHER, None


def _reported(fate: Fate) -> _Case:
    """A report that nobody knows is the last of its kind, and delivers nothing."""
    return {Fate.DELIVERED: _Case.ARRIVED, Fate.FAILED: _Case.LOST, Fate.UNKNOWN: _Case.LOST}.get(
        fate, _Case.OTHER
    )


def _deadline(before: Transaction, state: State, do: Do, now_ms: int, terms: Terms) -> int | None:
    if state in FINAL:
        return None
    if state is State.TAKEN:
        return now_ms + terms.report_ms
    if state is State.DEFERRED:
        return now_ms + terms.resend_after_ms
    return now_ms + terms.response_ms if do is Do.RESEND or state is State.HELD else before.deadline_ms


def about(outcome: Outcome, *, named: bool, any_named: bool) -> Answered | None:
    """What an MM4_forward.RES says of one recipient, whom it names or not; None: nothing.

    A refusal that names some refuses those: the others were taken, unless a later one names them. An Ok that names
    some says nothing of the others.
    """
    if named or not any_named:
        return Answered(outcome, named)
    return None if outcome.verdict is Verdict.OK else Answered(Outcome(Verdict.OK))


# ---- the recipients' relay ----


class Inbound(enum.Enum):
    """A message for one recipient of ours; kept as long as the peer may repeat it."""

    NEW = "new"  # never seen
    STORING = "storing"  # before the commit
    HELD = "held"  # committed
    REFUSED = "refused"
    REPORTED = "reported"  # its fate was reported; an answer to that is awaited
    DONE = "done"


class InboundHappening(enum.Enum):
    FORWARD = "the peer forwards it, perhaps again"
    COMMITTED = "it is stored"
    STORE_FAILED = "it could not be stored"
    REFUSED = "it will never be taken"
    FATE = "it is delivered or never will be, and a report is wanted"
    ANSWER = "the peer answers the report, or wants no report answered"
    DEADLINE = "the peer has not answered the report in time"


class InboundDo(enum.Enum):
    NOTHING = "nothing"
    STORE = "store it"
    ANSWER_OK = "answer Ok if an answer is wanted"
    ANSWER_REFUSED = "answer with the refusal"
    ANSWER_AGAIN_LATER = "refuse the mail for now (SMTP 451)"
    REPORT = "write the delivery report"


INBOUND: Final[dict[tuple[Inbound, InboundHappening], tuple[Inbound, InboundDo]]] = {
    (Inbound.NEW, InboundHappening.FORWARD): (Inbound.STORING, InboundDo.STORE),
    (Inbound.NEW, InboundHappening.REFUSED): (Inbound.REFUSED, InboundDo.ANSWER_REFUSED),
    (Inbound.STORING, InboundHappening.FORWARD): (Inbound.STORING, InboundDo.ANSWER_AGAIN_LATER),
    (Inbound.STORING, InboundHappening.COMMITTED): (Inbound.HELD, InboundDo.ANSWER_OK),
    (Inbound.STORING, InboundHappening.STORE_FAILED): (Inbound.NEW, InboundDo.ANSWER_AGAIN_LATER),
    (Inbound.STORING, InboundHappening.REFUSED): (Inbound.REFUSED, InboundDo.ANSWER_REFUSED),
    (Inbound.HELD, InboundHappening.FORWARD): (Inbound.HELD, InboundDo.ANSWER_OK),
    (Inbound.HELD, InboundHappening.FATE): (Inbound.REPORTED, InboundDo.REPORT),
    (Inbound.REFUSED, InboundHappening.FORWARD): (Inbound.REFUSED, InboundDo.ANSWER_REFUSED),
    (Inbound.REPORTED, InboundHappening.FORWARD): (Inbound.REPORTED, InboundDo.ANSWER_OK),
    (Inbound.REPORTED, InboundHappening.ANSWER): (Inbound.DONE, InboundDo.NOTHING),
    # The report is written once more; silence after that ends it.
    (Inbound.REPORTED, InboundHappening.DEADLINE): (Inbound.DONE, InboundDo.REPORT),
    (Inbound.DONE, InboundHappening.FORWARD): (Inbound.DONE, InboundDo.ANSWER_OK),
}


def inbound_step(state: Inbound, happened: InboundHappening) -> tuple[Inbound, InboundDo]:
    """What follows at the recipients' relay; what is not in the table changes nothing."""
    return INBOUND.get((state, happened), (state, InboundDo.NOTHING))

"""What becomes of a shipment, by what the SMSC said to its parts."""

import pytest

from contract.stories import deliveries, message
from trebuchet.carriers.base import Accepted, Lost, Outcome, Refused, RetryAt, Shipment, Snooze
from trebuchet.carriers.smpp.outcomes import Kind, Verdict
from trebuchet.carriers.smpp.transit import Again, Transit, conclusion
from trebuchet.protocols.smpp.pdu import SubmitSm

NOW = 1_000_000
READY = NOW + 1_500

TAKEN = Verdict(Kind.TAKEN)
REFUSED = Verdict(Kind.REFUSED, 4720, "refused")
RETRY = Verdict(Kind.RETRY, 5620, "busy", 3)
THROTTLED = Verdict(Kind.THROTTLED, 5600, "throttled")
FAULT = Verdict(Kind.LINK_FAULT, 5106, "not bound")
LOST = Verdict(Kind.LOST)


def transit(*answers: Verdict | None, attempt: int = 1, tries: int = 0) -> Transit:
    """Parts with these answers; those that are taken have an id."""
    of = message()
    found = Transit(Shipment(of, deliveries(of), attempt, (of.id, 0)), [SubmitSm() for _ in answers])
    found.answers = list(answers)
    found.ids = [f"id-{n}" if answer is TAKEN else None for n, answer in enumerate(answers)]
    found.tries = tries
    return found


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([TAKEN], Accepted((("id-0",),))),
        ([TAKEN, TAKEN], Accepted((("id-0", "id-1"),))),
        ([REFUSED], Refused(4720, "refused")),
        ([TAKEN, REFUSED], Refused(4720, "refused", taken=((0, "id-0"),))),
        ([LOST, REFUSED], Refused(4720, "refused")),
        ([None, REFUSED], Refused(4720, "refused")),
        ([TAKEN, LOST, THROTTLED], Lost("the carrier did not answer", ((0, "id-0"),), 3)),
        ([RETRY], RetryAt(NOW + 1_000, 5620, "busy")),
        ([RETRY, THROTTLED], RetryAt(NOW + 1_000, 5620, "busy")),
        ([THROTTLED, FAULT], Snooze(READY, "throttled")),
        ([FAULT], Snooze(READY, "not bound")),
        ([TAKEN, RETRY], Again(counts=True)),
        ([TAKEN, THROTTLED], Again(counts=False)),
        ([TAKEN, FAULT], Again(counts=False)),
        ([TAKEN, None], None),
        ([None, THROTTLED], None),
    ],
)
def test_the_worst_answer_decides(answers: list[Verdict | None], outcome: Outcome | Again | None) -> None:
    """Nothing is decided while parts wait here, unless they need not go out any more."""
    assert conclusion(transit(*answers), NOW, READY) == outcome


def test_nothing_is_decided_while_a_part_is_out() -> None:
    """Its answer may be worse, and its id must be known."""
    waiting = transit(REFUSED, None)
    waiting.out = 1
    assert conclusion(waiting, NOW, None) is None


@pytest.mark.parametrize(("attempt", "due_ms"), [(1, 1_000), (2, 2_000)])
def test_what_may_pass_is_tried_later_each_time(attempt: int, due_ms: int) -> None:
    """Twice as long after each attempt."""
    assert conclusion(transit(RETRY, attempt=attempt), NOW, None) == RetryAt(NOW + due_ms, 5620, "busy")


@pytest.mark.parametrize(
    ("answers", "attempt", "tries"), [([RETRY], 3, 0), ([TAKEN, RETRY], 1, 2), ([TAKEN, RETRY], 2, 1)]
)
def test_tries_are_bounded(answers: list[Verdict], attempt: int, tries: int) -> None:
    """Those of the lane and those that were made here count together."""
    found = conclusion(transit(*answers, attempt=attempt, tries=tries), NOW, None)
    assert isinstance(found, Refused)
    assert found.error_code == 5620


def test_a_part_stays_here_five_times_at_most() -> None:
    """Whatever its status allows."""
    patient = Verdict(Kind.RETRY, 5620, "busy", 100)
    assert isinstance(conclusion(transit(TAKEN, patient, tries=4), NOW, None), Again)
    assert isinstance(conclusion(transit(TAKEN, patient, tries=5), NOW, None), Refused)


def test_a_lane_that_need_not_wait_comes_back_at_once() -> None:
    """The rate allows the next part already."""
    assert conclusion(transit(FAULT), NOW, None) == Snooze(NOW + 1, "not bound")


def test_parts_that_were_not_taken_begin_again() -> None:
    """The others are not submitted twice."""
    begun = transit(TAKEN, RETRY, THROTTLED)
    assert begun.begin_again(counts=True) == [1, 2]
    assert (begun.answers, begun.tries) == ([TAKEN, None, None], 1)
    assert begun.begin_again(counts=False) == [1, 2]
    assert begun.tries == 1

"""The table of states. The expected table here is the specification; the code's must be equal to it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.model.events import EventType
from trebuchet.model.status import FINAL, TRANSITIONS, Happening, IllegalTransition, State, change

# One line per state; what is not named is illegal. "!" announces message-failed, "+" message-delivered.
EXPECTED = """
QUEUED       taken → SENT · refused → FAILED! · expired → FAILED! · lost → IN_DOUBT · resubmit → QUEUED
QUEUED       receipt_delivered → DELIVERED+ · receipt_failed → UNDELIVERED!
SENT         taken → SENT
SENT         receipt_delivered → DELIVERED+ · receipt_failed → UNDELIVERED! · receipt_timeout → UNDELIVERED!
IN_DOUBT     taken → SENT
IN_DOUBT     receipt_delivered → DELIVERED+ · receipt_failed → UNDELIVERED! · receipt_timeout → FAILED!
DELIVERED    taken → DELIVERED · lost → DELIVERED · resubmit → DELIVERED
DELIVERED    receipt_delivered → DELIVERED · receipt_failed → DELIVERED · receipt_timeout → DELIVERED
FAILED       taken → FAILED · lost → FAILED · resubmit → FAILED
FAILED       receipt_delivered → FAILED · receipt_failed → FAILED · receipt_timeout → FAILED
UNDELIVERED  taken → UNDELIVERED · lost → UNDELIVERED · resubmit → UNDELIVERED
UNDELIVERED  receipt_delivered → UNDELIVERED · receipt_failed → UNDELIVERED · receipt_timeout → UNDELIVERED
RECEIVED     called_back → ACCEPTED
ACCEPTED     called_back → ACCEPTED
"""
EVENTS = {"!": EventType.FAILED, "+": EventType.DELIVERED}


def expected() -> dict[tuple[State, Happening], tuple[State, EventType | None]]:
    table = {}
    for line in EXPECTED.strip().splitlines():
        state, edges = line.split(maxsplit=1)
        for edge in edges.split(" · "):
            happening, after = edge.split(" → ")
            table[State(state), Happening(happening)] = (
                State(after.rstrip("!+")),
                EVENTS.get(after[-1]),
            )
    return table


@pytest.mark.parametrize(("state", "happening"), [*product(State, Happening)])
def test_every_change_is_in_the_table_or_an_error(state: State, happening: Happening) -> None:
    """Each pair has the result that the specification gives it; every other one is refused."""
    result = expected().get((state, happening))
    if result is None:
        with pytest.raises(
            IllegalTransition, match=f"{happening} cannot happen to a delivery that is {state}"
        ):
            change(state, happening)
    else:
        assert change(state, happening) == result


def test_every_state_can_be_reached() -> None:
    """Every state but the two that a delivery begins in follows from another."""
    reached = {after for (before, _), (after, _) in TRANSITIONS.items() if after is not before}
    assert reached == set(State) - {State.QUEUED, State.RECEIVED}


def test_final_states_are_those_that_are_announced() -> None:
    """An event is announced exactly by the change into a final state."""
    for (before, _), (after, event) in TRANSITIONS.items():
        assert (event is not None) == (after in FINAL and before not in FINAL)


@given(st.lists(st.sampled_from(Happening)))
def test_a_life_has_at_most_one_final_event(happenings: list[Happening]) -> None:
    """Whatever happens to a queued delivery in whatever order; a final state is never left."""
    state, announced, was_final = State.QUEUED, [], None
    for happening in happenings:
        try:
            state, event = change(state, happening)
        except IllegalTransition:
            continue
        announced += [event] if event is not None else []
        assert was_final in (None, state)
        was_final = state if state in FINAL else None
    assert len(announced) == (1 if state in FINAL else 0)
    if state in FINAL:
        delivered = announced == [EventType.DELIVERED]
        assert delivered == (state is State.DELIVERED)

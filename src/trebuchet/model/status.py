"""Every legal change of a delivery's state, in one table. What is not in the table is an error.

All state logic of deliveries lives here and nothing else does. `docs/reference/states.md` is generated from
these tables.
"""

import enum

from trebuchet.model.events import EventType


class State(enum.StrEnum):
    QUEUED = "QUEUED"  # stored, waiting for its lane; while its work row is claimed it is shown as SENDING
    SENT = "SENT"  # the carrier took every segment; a receipt is awaited
    IN_DOUBT = "IN_DOUBT"  # submitted, never answered: the carrier may have it or not
    DELIVERED = "DELIVERED"  # final: positive receipt
    FAILED = "FAILED"  # final: never taken by a carrier
    UNDELIVERED = "UNDELIVERED"  # final: taken, then a negative receipt or none in time
    RECEIVED = "RECEIVED"  # inbound: stored, callback outstanding
    ACCEPTED = "ACCEPTED"  # inbound: the application answered the callback with 2xx


class Happening(enum.StrEnum):
    TAKEN = "taken"  # the carrier answered: accepted
    REFUSED = "refused"  # the carrier or we refused it for good
    EXPIRED = "expired"  # its validity ended before it was taken
    LOST = "lost"  # no answer, and the link's setting is to wait
    RESUBMIT = "resubmit"  # no answer, and the link's setting is to submit again
    RECEIPT_DELIVERED = "receipt_delivered"  # every segment has a positive receipt
    RECEIPT_FAILED = "receipt_failed"  # one segment has a final negative receipt
    RECEIPT_TIMEOUT = "receipt_timeout"  # no final receipt in time
    CALLED_BACK = "called_back"  # inbound: callback answered 2xx


FINAL = frozenset({State.DELIVERED, State.FAILED, State.UNDELIVERED})

TRANSITIONS: dict[tuple[State, Happening], tuple[State, EventType | None]] = {
    (State.QUEUED, Happening.TAKEN): (State.SENT, None),
    (State.QUEUED, Happening.REFUSED): (State.FAILED, EventType.FAILED),
    (State.QUEUED, Happening.EXPIRED): (State.FAILED, EventType.FAILED),
    (State.QUEUED, Happening.LOST): (State.IN_DOUBT, None),
    (State.QUEUED, Happening.RESUBMIT): (State.QUEUED, None),
    # A receipt can overtake the answer to the submit, or belong to a submit that a resubmit repeats.
    (State.QUEUED, Happening.RECEIPT_DELIVERED): (State.DELIVERED, EventType.DELIVERED),
    (State.QUEUED, Happening.RECEIPT_FAILED): (State.UNDELIVERED, EventType.FAILED),
    (State.IN_DOUBT, Happening.TAKEN): (State.SENT, None),
    (State.IN_DOUBT, Happening.RECEIPT_DELIVERED): (State.DELIVERED, EventType.DELIVERED),
    (State.IN_DOUBT, Happening.RECEIPT_FAILED): (State.UNDELIVERED, EventType.FAILED),
    (State.IN_DOUBT, Happening.RECEIPT_TIMEOUT): (State.FAILED, EventType.FAILED),
    (State.SENT, Happening.RECEIPT_DELIVERED): (State.DELIVERED, EventType.DELIVERED),
    (State.SENT, Happening.RECEIPT_FAILED): (State.UNDELIVERED, EventType.FAILED),
    (State.SENT, Happening.RECEIPT_TIMEOUT): (State.UNDELIVERED, EventType.FAILED),
    (State.RECEIVED, Happening.CALLED_BACK): (State.ACCEPTED, None),
}
# First final state wins: whatever a carrier says afterwards changes nothing and announces nothing.
for _final in FINAL:
    for _late in (
        Happening.TAKEN,
        Happening.RECEIPT_DELIVERED,
        Happening.RECEIPT_FAILED,
        Happening.RECEIPT_TIMEOUT,
        Happening.LOST,
        Happening.RESUBMIT,
    ):
        TRANSITIONS[_final, _late] = (_final, None)
TRANSITIONS[State.SENT, Happening.TAKEN] = (State.SENT, None)
TRANSITIONS[State.ACCEPTED, Happening.CALLED_BACK] = (State.ACCEPTED, None)


class IllegalTransition(ValueError):
    """The table has no such change."""


def change(state: State, happening: Happening) -> tuple[State, EventType | None]:
    """The next state and the event to announce, if any. Raises IllegalTransition."""
    try:
        return TRANSITIONS[state, happening]
    except KeyError:
        raise IllegalTransition(f"{happening} cannot happen to a delivery that is {state}") from None

"""What becomes due when in a session: one function over its timers and what last happened. Pure.

Source: SMPP 3.4 section 7.2 for bind, enquire_link, inactivity and response; the others are ours.
"""

import msgspec

from trebuchet.protocols.smpp.states import BOUND, State


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds; 0 switches one off."""

    bind_ms: int = 30_000  # from the connection to the bind (SMSC) or its answer (ESME)
    enquire_link_ms: int = 30_000  # nothing came in for this long: ask whether the peer is there
    enquire_answer_ms: int = 15_000
    response_ms: int = 60_000  # a request without an answer: its outcome is unknown
    progress_ms: int = 120_000  # requests are out and none has been answered: the session is stuck
    inactivity_ms: int = 0  # nothing but enquire_link came in
    unbind_ms: int = 5_000


class Moments(msgspec.Struct):
    """When what a session's timers count from has happened."""

    began_ms: int
    heard_ms: int  # anything came in
    active_ms: int  # anything but enquire_link came in
    progress_ms: int | None = None  # since when requests are out and none has been answered
    enquired_ms: int = 0  # the last enquire_link went out
    enquiries: int = 0  # without an answer
    unbinding_ms: int | None = None  # our unbind went out


def ends(timers: Timers, state: State, moments: Moments) -> list[tuple[int, str]]:
    """When the session is to be ended if nothing happens until then, each with the reason."""
    found: list[tuple[int, str]] = []
    if state in (State.OPEN, State.OUTBOUND) and timers.bind_ms:
        found.append((moments.began_ms + timers.bind_ms, "no bind in time"))
    if moments.unbinding_ms is not None and timers.unbind_ms:
        found.append((moments.unbinding_ms + timers.unbind_ms, "no answer to unbind"))
    if moments.progress_ms is not None and timers.progress_ms:
        found.append((moments.progress_ms + timers.progress_ms, "requests are out and none is answered"))
    if state in BOUND and timers.inactivity_ms:
        found.append((moments.active_ms + timers.inactivity_ms, "nothing happened for too long"))
    return found


def enquiry_due_ms(timers: Timers, state: State, moments: Moments) -> int | None:
    """When the peer is to be asked whether it is there, or counts as not having answered that."""
    if state not in BOUND or not timers.enquire_link_ms:
        return None
    if moments.enquiries:
        return moments.enquired_ms + timers.enquire_answer_ms
    return moments.heard_ms + timers.enquire_link_ms

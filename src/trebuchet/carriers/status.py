"""What a link shows of itself to people: its binds, their figures, and the PDUs that pass, live.

A link that has more to show than up or down implements `Observable`; everything here is for the command line,
the admin API and metrics, and nothing of it is on a message's path.
"""

import enum
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec


class BindState(enum.StrEnum):
    CONNECTING = "connecting"
    BINDING = "binding"
    BOUND = "bound"
    WAITING = "waiting"  # until `next_try_ms`
    UNBOUND = "unbound"  # by an operator; stays so until told otherwise
    STOPPED = "stopped"


class BindReport(msgspec.Struct, frozen=True, kw_only=True):
    """One bind as it is now. Counts are since the link started."""

    name: str  # the lane's name; of a receiver its place, such as `acme/1`
    role: str  # transceiver, transmitter or receiver
    state: BindState
    since_ms: int
    window: int
    in_flight: int  # submitted, not answered
    queued: int  # segments that wait in the link for the window or the rate
    limit_per_s: float | None = None  # segments; None: no limit
    rate_per_s: float | None = None  # what throttling has made of the limit; None: no limit
    response_ms: float | None = None  # moving average of the last submits
    submits: int = 0
    receipts: int = 0
    inbound: int = 0
    throttles: int = 0
    unanswered: int = 0
    rejected: int = 0  # PDUs of the peer that were malformed or not legal
    reconnects: int = 0
    last_error: str = ""
    peer_system_id: str = ""
    peer_version: str = ""
    next_try_ms: int | None = None


class Passed(msgspec.Struct, frozen=True):
    """One PDU that passed a bind. `direction` is "out" or "in"."""

    at_ms: int
    bind: str
    direction: str
    octets: bytes


@runtime_checkable
class Observable(Protocol):
    """The part of a link that people look at."""

    def report(self) -> list[BindReport]: ...

    def watch(self, watcher: Callable[[Passed], None]) -> Callable[[], None]:
        """Call `watcher` for each PDU from now on. Returns what ends it. Must not block or raise."""
        ...

    def unbind(self, bind: str | None) -> bool:
        """Unbind one bind, or all, and stay so until `rebind`. False: there is no such bind."""
        ...

    def rebind(self, bind: str | None) -> bool:
        """End the session of one bind, or all, if there is one, and bind again now. False: no such bind."""
        ...

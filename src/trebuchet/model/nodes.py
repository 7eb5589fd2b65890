"""The processes that share one database, and which of them owns which lane."""

import msgspec

API, CARRIERS, CALLBACKS, CONSOLE = ROLES = ("api", "carriers", "callbacks", "console")
"""What a node may do: take requests, submit and receive, call back, show pages."""


SET_UP = "set-up"
"""The lease under which one node makes the first records; nobody's afterwards."""


class Node(msgspec.Struct, array_like=True, frozen=True):
    """One run of the gateway."""

    id: str
    name: str
    url: str  # where it answers
    roles: tuple[str, ...]
    version: str
    started_ms: int  # by its own clock
    seen_ms: int = 0  # by the database's clock


class Lease(msgspec.Struct, array_like=True, frozen=True):
    """A lane, or another thing that one node does at a time, and whose it is. Moments are the database's."""

    lane: str
    node: str | None  # id; None: nobody's
    epoch: int  # one more with each owner
    until_ms: int
    since_ms: int

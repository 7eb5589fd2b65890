"""The audit log: what people and tools changed in this gateway."""

import msgspec


class AuditEntry(msgspec.Struct, array_like=True, frozen=True):
    """One thing that somebody did. No field holds a secret or what a message says."""

    id: str  # sorts by time, as message ids do
    at_ms: int
    who: str  # name of a user, or what else may change things: "admin token"
    action: str  # "create", "change", "remove", …
    target: str  # kind and key: "carrier simulator"
    detail: str = ""

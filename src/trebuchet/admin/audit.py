"""What the audit log says of a change. Pure; time and randomness are parameters."""

import base64

import msgspec

from trebuchet.admin.secrets import RandomBytes
from trebuchet.model.audit import AuditEntry
from trebuchet.storage.base import Change, Create, Record, Remove

ADMIN_TOKEN = "admin token"  # noqa: S105  # who it was, in the log
_ACTIONS = {Create: "create", Change: "change", Remove: "remove"}
# Type → how it is called, and the fields that name one.
_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "Credential": ("credential", ("account_id", "token")),
    "Number": ("number", ("number",)),
    "OptOut": ("opt-out", ("number", "handset")),
    "User": ("user", ("name",)),
}


def entry(
    who: str, action: str, target: str, detail: str, *, now_ms: int, random_bytes: RandomBytes
) -> AuditEntry:
    """An entry with an id of its own, which sorts by time."""
    tail = base64.b32encode(random_bytes(10)).decode().lower()
    return AuditEntry(f"{now_ms:013d}{tail}", now_ms, who, action, target, detail)


def audited(
    change: Create | Change | Remove,
    before: Record | None,
    *,
    who: str,
    now_ms: int,
    random_bytes: RandomBytes,
) -> Create | Change | Remove:
    """The change with its entry: for a changed record, the names of the fields that differ from `before`."""
    made = entry(
        who,
        _ACTIONS[type(change)],
        target(change.record),
        differences(before, change.record) if before is not None else "",
        now_ms=now_ms,
        random_bytes=random_bytes,
    )
    return msgspec.structs.replace(change, audit=made)


def target(record: Record) -> str:
    """Kind and key of a record: `number +12025550100`."""
    name = type(record).__name__
    noun, key = _NAMES.get(name, (name.lower(), ("id",)))
    return f"{noun} {' / '.join(str(getattr(record, field)) for field in key)}"


def differences(before: Record, after: Record) -> str:
    """Names of the fields that differ; never their values, some of which are secrets."""
    names = [name for name in after.__struct_fields__ if getattr(before, name, None) != getattr(after, name)]
    return ", ".join("password" if name == "password_hash" else name for name in names)

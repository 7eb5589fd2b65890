"""What the audit log says of a change."""

import pytest

from trebuchet.admin.audit import audited, differences, target
from trebuchet.model.account import Account, Carrier, Credential, Number, NumberKind, OptOut, Role, User
from trebuchet.storage.base import Change, Create, Record, Remove

ANN = User(name="ann", role=Role.VIEWER, password_hash="old")


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (Account(id="u-1"), "account u-1"),
        (Carrier(id="sim", kind="simulator"), "carrier sim"),
        (Credential(token="t-1", account_id="u-1", secret_sha256="x"), "credential u-1 / t-1"),
        (Number(number="+1", kind=NumberKind.E164, account_id="u", application_id="a"), "number +1"),
        (OptOut(number="+1", handset="+2"), "opt-out +1 / +2"),
        (ANN, "user ann"),
    ],
)
def test_targets(record: Record, named: str) -> None:
    assert target(record) == named


def test_no_value_is_told() -> None:
    """Only which fields differ: a value may be a secret."""
    renewed = User(name="ann", role=Role.ADMIN, password_hash="new")
    assert differences(ANN, renewed) == "role, password"
    assert differences(ANN, ANN) == ""


@pytest.mark.parametrize(("kind", "action"), [(Create, "create"), (Change, "change"), (Remove, "remove")])
def test_a_change_brings_its_entry(kind: type[Create | Change | Remove], action: str) -> None:
    made = audited(kind(ANN), None, who="bob", now_ms=1234, random_bytes=bytes)
    assert made.record == ANN
    assert made.audit is not None
    assert made.audit.id == "0000000001234" + "a" * 16
    assert (made.audit.at_ms, made.audit.who, made.audit.action, made.audit.target) == (
        1234,
        "bob",
        action,
        "user ann",
    )

"""Provisioned records and their index."""

import pytest

from trebuchet.model.account import (
    Account,
    Application,
    Credential,
    Directory,
    Number,
    NumberKind,
    OptOut,
    Route,
)


def test_secrets_are_not_shown() -> None:
    """Neither the hash of a secret nor an application's passwords and keys are in what a log would print."""
    credential = Credential(token="t", account_id="u", secret_sha256="5ec4e7")
    application = Application(
        id="app",
        account_id="u",
        callback_password="5ec4e7",
        signing_secret="whsec_5ec4e7",
        callback_username="user",
    )
    assert "5ec4e7" not in f"{credential!r} {credential} {application!r} {application}"


def test_a_directory_finds_records_by_their_keys() -> None:
    """Accounts and applications by id, numbers by number, opt-outs by the pair."""
    account, application = Account(id="u"), Application(id="app", account_id="u")
    number = Number(number="+12345678901", kind=NumberKind.E164, account_id="u", application_id="app")
    directory = Directory(
        accounts=[account],
        applications=[application],
        numbers=[number],
        opt_outs=[OptOut(number="n", handset="h")],
    )
    assert directory.accounts == {"u": account}
    assert directory.applications == {"app": application}
    assert directory.numbers == {"+12345678901": number}
    assert directory.opt_outs == {("n", "h")}


def test_a_revoked_credential_is_not_in_the_directory() -> None:
    """So nobody can use it."""
    kept = Credential(token="a", account_id="u", secret_sha256="0")
    revoked = Credential(token="b", account_id="u", secret_sha256="0", revoked_ms=1)
    assert Directory(credentials=[kept, revoked]).credentials == {"a": kept}


@pytest.mark.parametrize("turn", range(3))
def test_routes_are_in_the_order_of_choice(turn: int) -> None:
    """The longest prefix first, then the lowest priority, then the id, however they are given."""
    rows = [("c", "+1919", 100), ("d", "+1", 10), ("b", "+1", 20), ("e", "+1", 20), ("a", "", 1)]
    routes = [
        Route(id=id_, carrier_id="x", prefix=prefix, priority=priority) for id_, prefix, priority in rows
    ]
    directory = Directory(routes=[*routes[turn:], *routes[:turn]])
    assert [route.id for route in directory.routes] == ["c", "d", "b", "e", "a"]

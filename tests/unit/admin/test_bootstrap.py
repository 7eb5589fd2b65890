"""A new gateway begins with everything that a first message needs."""

import os

from trebuchet.admin.bootstrap import FirstRecords, first_records
from trebuchet.admin.secrets import verify
from trebuchet.model.account import (
    Account,
    Application,
    Carrier,
    Credential,
    Directory,
    InDoubt,
    Number,
    Route,
)
from trebuchet.storage.base import Record

NOW_MS = 1_767_225_600_000


def first(*, demo: bool = False, simulator: bool = True, callback_url: str | None = None) -> FirstRecords:
    return first_records(os.urandom, NOW_MS, demo=demo, callback_url=callback_url, simulator=simulator)


def index(records: tuple[Record, ...]) -> Directory:
    return Directory(
        [r for r in records if isinstance(r, Account)],
        [r for r in records if isinstance(r, Credential)],
        [r for r in records if isinstance(r, Application)],
        [r for r in records if isinstance(r, Number)],
        [r for r in records if isinstance(r, Carrier)],
        [r for r in records if isinstance(r, Route)],
    )


def test_the_account_can_send_at_once() -> None:
    """Its token and secret fit, and its application owns two numbers that a route to the simulator serves."""
    made = first()
    found = index(made.records)
    credential = found.credentials[made.token]
    assert credential.account_id == made.account_id
    assert verify(made.secret, credential.secret_sha256)
    assert found.applications[made.application_id].account_id == made.account_id
    assert len(made.numbers) == 2
    for number in made.numbers:
        assert found.numbers[number].account_id == made.account_id
        assert found.numbers[number].application_id == made.application_id
    assert (found.routes[0].prefix, found.routes[0].kind) == ("", "any")
    carrier = found.carriers[found.routes[0].carrier_id]
    assert (carrier.id, carrier.kind, carrier.in_doubt) == ("simulator", "simulator", InDoubt.RESEND)


def test_the_records_can_be_created_in_their_order() -> None:
    """What a record refers to comes before it, and all are dated."""
    known: set[str] = set()
    for record in first().records:
        for name in ("account_id", "application_id", "carrier_id"):
            assert getattr(record, name, None) in {None, *known}
        assert record.created_ms == NOW_MS
        known.add(getattr(record, "id", ""))


def test_the_values_of_demo_mode_are_those_documented() -> None:
    """Tests of customers are written with them."""
    made = first(demo=True)
    assert (made.account_id, made.token, made.secret) == ("u-demo", "t-demo", "s-demo")
    assert made.application_id == "93de2206-9669-4e07-948d-329f4b722ee2"
    assert made.numbers == ("+12345678901", "+12025550100")


def test_credentials_of_two_gateways_differ() -> None:
    """They are random unless demo mode asks for the documented ones."""
    one, two = first(), first()
    assert one.account_id != two.account_id
    assert one.token != two.token
    assert one.secret != two.secret
    assert one.application_id != two.application_id


def test_the_callback_url_is_the_applications() -> None:
    """It is what --callback-url of serve is for."""
    made = first(callback_url="http://127.0.0.1:9000/events")
    assert (
        index(made.records).applications[made.application_id].callback_url == "http://127.0.0.1:9000/events"
    )


def test_without_the_simulator_there_is_no_carrier_yet() -> None:
    """Nothing pretends to be one."""
    found = index(first(simulator=False).records)
    assert not found.carriers
    assert not found.routes


def test_secrets_are_not_in_a_repr() -> None:
    """Neither of the whole nor of any record."""
    made = first()
    for text in (repr(made), *map(repr, made.records)):
        assert made.secret not in text
    assert made.token not in repr(made)

"""What becomes of simulated carriers when their texts go over SMPP."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from trebuchet.carriers import kind_of
from trebuchet.carriers.simulator import parse_settings
from trebuchet.carriers.simulator.oversmpp import BESIDE, beside_smpp, over_smpp
from trebuchet.model.account import Carrier, Directory, InDoubt, Route
from trebuchet.model.message import Kind

NOW_MS = 1_767_225_600_000
SIM = Carrier(id="simulator", kind="simulator", in_doubt=InDoubt.RESEND)
FOREIGN = Carrier(id="acme", kind="smpp")
ALL = Route(id="all", carrier_id="simulator")


def directory(carriers: Sequence[Carrier], routes: Sequence[Route] = ()) -> Directory:
    return Directory(carriers=carriers, routes=routes)


def test_a_simulated_carrier_becomes_a_link_to_the_smsc() -> None:
    """Its id, and with it its lanes and routes, stays; it carries texts only."""
    seen = over_smpp(SIM, 2775)
    assert (seen.id, seen.kind, seen.settings["port"], seen.in_doubt) == (
        "simulator",
        "smpp",
        2775,
        InDoubt.RESEND,
    )
    assert kind_of(seen).carries == {Kind.SMS}


@pytest.mark.parametrize("carrier", [FOREIGN, replace(SIM, settings={"carries": ["mms"]})])
def test_other_carriers_stay_what_they_are(carrier: Carrier) -> None:
    """Those of other kinds, and a simulated one without texts."""
    assert over_smpp(carrier, 2775) is carrier


def test_pictures_and_groups_have_a_carrier_beside() -> None:
    """It carries nothing else, and each route that took them has one beside it."""
    routes = [
        ALL,
        Route(id="texts", carrier_id="simulator", prefix="+44", kind="sms"),
        Route(id="near", carrier_id="simulator", prefix="+1", kind="mms", priority=7),
        Route(id="theirs", carrier_id="acme", prefix="+49"),
    ]
    carrier, *made = beside_smpp(directory([SIM, FOREIGN], routes), NOW_MS)
    assert isinstance(carrier, Carrier)
    assert (carrier.id, carrier.kind, carrier.in_doubt) == (BESIDE, "simulator", InDoubt.RESEND)
    assert parse_settings(carrier.settings).carries == (Kind.MMS,)
    assert kind_of(carrier).carries == {Kind.MMS}
    assert made == [
        Route(id="near-mms", carrier_id=BESIDE, prefix="+1", kind="mms", priority=7, created_ms=NOW_MS),
        Route(id="all-mms", carrier_id=BESIDE, kind="mms", created_ms=NOW_MS),
    ]


def test_a_route_that_is_there_is_not_made_again() -> None:
    """Somebody had use for its id."""
    made = beside_smpp(
        directory([SIM], [ALL, Route(id="all-mms", carrier_id="simulator", prefix="+9")]), NOW_MS
    )
    assert [record.id for record in made] == [BESIDE, "all-mms-mms"]


@pytest.mark.parametrize(
    "carriers",
    [
        (),
        (FOREIGN,),
        (SIM, Carrier(id="pictures", kind="simulator", settings={"carries": ["mms"]})),
        (SIM, Carrier(id=BESIDE, kind="smpp")),
    ],
)
def test_nothing_is_made_where_nothing_is_missing(carriers: Sequence[Carrier]) -> None:
    """Without a simulated carrier, with one for pictures already, or with another carrier of that id."""
    assert beside_smpp(directory(carriers, [ALL]), NOW_MS) == []


@pytest.mark.parametrize(
    ("kind", "settings", "carries"),
    [
        ("simulator", {}, {Kind.SMS, Kind.MMS}),
        ("simulator", {"carries": ["sms"]}, {Kind.SMS}),
        ("smpp", {}, {Kind.SMS}),
        ("pigeon", {}, set()),
    ],
)
def test_a_record_carries_what_its_kind_can_and_it_says(
    kind: str, settings: dict[str, Any], carries: set[Kind]
) -> None:
    """A kind that is not known carries nothing."""
    assert kind_of(Carrier(id="c", kind=kind, settings=settings)).carries == carries

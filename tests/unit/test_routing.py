"""Which carrier and lane a delivery goes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.model.account import Directory, Route
from trebuchet.model.message import Kind
from trebuchet.routing import NoRoute, Routed, route

LANES = {"a": ("a/0",), "b": ("b/0",), "c": ("c/0",)}
SENDER = "+12345678901"


def directory(*rows: tuple[str, str, str, int]) -> Directory:
    """Routes as (carrier, prefix, kind, priority); their ids are their places."""
    return Directory(
        routes=[
            Route(id=f"r-{place}", carrier_id=carrier, prefix=prefix, kind=kind, priority=priority)
            for place, (carrier, prefix, kind, priority) in enumerate(rows)
        ]
    )


ROUTES = directory(
    ("a", "", "any", 100),
    ("b", "+1", "sms", 100),
    ("c", "+1919", "any", 100),
    ("a", "+44", "any", 100),
    ("b", "+44", "any", 10),
    ("b", "+49", "any", 100),
    ("c", "+49", "any", 100),
    ("gone", "+33", "any", 100),
)


@pytest.mark.parametrize(
    ("kind", "to", "carrier"),
    [
        (Kind.SMS, "+81312345678", "a"),
        (Kind.SMS, "+12025550100", "b"),
        (Kind.MMS, "+12025550100", "a"),
        (Kind.SMS, "+19195551234", "c"),
        (Kind.MMS, "+19195551234", "c"),
        (Kind.SMS, "+442071838750", "b"),
        (Kind.SMS, "+4915112345678", "b"),
        (Kind.SMS, "+33123456789", "a"),
    ],
    ids=[
        "the route for all",
        "a longer prefix",
        "a prefix for texts only",
        "the longest prefix",
        "the longest prefix for both kinds",
        "the lower priority among equals",
        "the first id among equals",
        "a carrier without a link is passed over",
    ],
)
def test_the_choice_of_a_carrier(kind: Kind, to: str, carrier: str) -> None:
    """Longest prefix, then lowest priority, then id; among those that fit the kind and have a link."""
    assert route(ROUTES, LANES, kind, SENDER, to) == Routed(carrier, f"{carrier}/0")


@pytest.mark.parametrize(
    ("routes", "lanes"),
    [
        (directory(), LANES),
        (directory(("a", "+44", "any", 1)), LANES),
        (directory(("a", "", "mms", 1)), LANES),
        (directory(("a", "", "any", 1)), {}),
    ],
    ids=["no route at all", "another prefix", "another kind", "no link"],
)
def test_no_route(routes: Directory, lanes: dict[str, tuple[str, ...]]) -> None:
    """It says for what."""
    assert route(routes, lanes, Kind.SMS, SENDER, "+12025550100") == NoRoute(
        "no route for sms to +12025550100"
    )


@given(st.from_regex(r"\+1[2-9][0-9]{9}", fullmatch=True), st.integers(1, 8))
def test_a_sender_keeps_its_lane(sender: str, count: int) -> None:
    """Whoever the recipient is: order within a conversation and the rate per number are local to one lane."""
    lanes = {"a": tuple(f"a/{place}" for place in range(count))}
    routes = directory(("a", "", "any", 1))
    chosen = {route(routes, lanes, Kind.SMS, sender, to) for to in ("+12025550100", "+442071838750")}
    (only,) = chosen
    assert isinstance(only, Routed)
    assert only.lane in lanes["a"]


def test_senders_are_spread_over_the_lanes() -> None:
    """A thousand senders over four lanes leave none with less than a fifth."""
    lanes = {"a": ("a/0", "a/1", "a/2", "a/3")}
    routes = directory(("a", "", "any", 1))
    chosen = [
        route(routes, lanes, Kind.SMS, f"+1202555{number:04d}", "+12025550100") for number in range(1000)
    ]
    counts = [chosen.count(Routed("a", lane)) for lane in lanes["a"]]
    assert min(counts) >= 200

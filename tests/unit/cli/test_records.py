"""Provisioned records: from options and files to JSON."""

import msgspec
import pytest

from trebuchet.cli.outcome import CommandError
from trebuchet.cli.records import RESOURCES, Resource, clearable, given, json_object, number_records
from trebuchet.model.account import Account, Application, Carrier, Number, Route

MODELS: dict[str, type[msgspec.Struct]] = {
    "accounts": Account,
    "applications": Application,
    "numbers": Number,
    "carriers": Carrier,
    "routes": Route,
}
BY_NAME = {resource.name: resource for resource in RESOURCES}

# Fields of the records that no option sets → why.
NOT_OPTIONS = {
    "created_ms": "the gateway's time",
    "paused": "carriers pause and resume",
    "signing_secret": "made by the gateway: --rotate-signing-secret",
}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_every_field_of_a_record_can_be_given(resource: Resource) -> None:
    """Options and the model's fields are the same, but for those with a reason."""
    fields = set(MODELS[resource.name].__struct_fields__) - set(NOT_OPTIONS) - {resource.key}
    if resource.name == "numbers":
        fields.remove("kind")  # read off the number
    assert {field.name for field in resource.fields} - {"rotate_signing_secret"} == fields
    assert set(resource.columns) <= set(MODELS[resource.name].__struct_fields__)


def test_only_what_was_given_is_in_the_request() -> None:
    """An option that was left out is absent, and false is not absent."""
    values = {"name": None, "opt_out": False, "events": ["message-failed"]}
    assert given(BY_NAME["applications"], values) == {"opt_out": False, "events": ["message-failed"]}


def test_settings_of_a_carrier_are_json() -> None:
    """An object, or what is wrong with it."""
    assert given(BY_NAME["carriers"], {"settings": '{"window": 10}'}) == {"settings": {"window": 10}}
    for wrong in ("{", "[]", "1", "[" * 100_000):
        with pytest.raises(CommandError, match="--settings is not"):
            json_object("settings", wrong)


@pytest.mark.parametrize("written", ["segments_per_s", "segments-per-s", "--segments-per-s"])
def test_a_field_is_cleared_by_its_name_or_its_option(written: str) -> None:
    """People write either."""
    assert clearable(BY_NAME["accounts"].fields, written) == "segments_per_s"
    assert clearable(BY_NAME["applications"].fields, "event") == "events"


def test_an_unknown_field_cannot_be_cleared() -> None:
    """The answer names those that can."""
    with pytest.raises(CommandError, match="there are name, profile, segments_per_s"):
        clearable(BY_NAME["accounts"].fields, "nmae")


@pytest.mark.parametrize(
    ("lines", "records"),
    [
        (["+1\n", "\n", "# a comment\n", " +2 \n"], [{"number": "+1"}, {"number": "+2"}]),
        (
            ["number,application_id,segments_per_s\n", "+1,app-2,1.5\n", "+2,,\n"],
            [
                {"number": "+1", "application_id": "app-2", "segments_per_s": 1.5},
                {"number": "+2", "application_id": "app-1"},
            ],
        ),
        (["application_id,number\n", "app-2,+1\n"], [{"number": "+1", "application_id": "app-2"}]),
        ([], []),
    ],
)
def test_numbers_from_a_file(lines: list[str], records: list[dict[str, object]]) -> None:
    """One number a line, or CSV with a header; options fill what the file leaves out."""
    common = {"account_id": "u-1", "application_id": "app-1"}
    assert list(number_records(iter(lines), "u-1", "app-1")) == [common | record for record in records]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["+1,app-1\n"], "line 1: more cells"),
        (["number,segments_per_s\n", "+1,fast\n"], "line 2: 'fast' is not"),
    ],
)
def test_a_bad_line_is_named(lines: list[str], problem: str) -> None:
    """Where it stands and what is wrong."""
    with pytest.raises(CommandError, match=problem):
        list(number_records(iter(lines), None, None))

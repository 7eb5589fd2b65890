"""What a request must say to make or change a record, and what answers show of one."""

from typing import Any

import pytest
from msgspec.structs import replace

from admin.contexts import APPLICATION, CARRIER, NOW_MS, NUMBER, context
from trebuchet.admin.records import RESOURCES, Resource, changed, new, shown
from trebuchet.api.problems import Problem
from trebuchet.model.account import (
    Account,
    Application,
    CallbackAuth,
    Carrier,
    Credential,
    InDoubt,
    Number,
    NumberKind,
    OptOut,
    Profile,
    Route,
)
from trebuchet.storage.base import Record

BY_PATH: dict[str, Resource] = {resource.path: resource for resource in RESOURCES}

UUID = "00010203-0405-4607-8809-0a0b0c0d0e0f"  # of the context's random octets


def make(path: str, body: Any) -> Record:
    return new(BY_PATH[path], body, context())[0]


def wrong(path: str, body: Any, record: Record | None = None) -> dict[str, str]:
    """Field → what is wrong with it, of a refused creation or change."""
    resource = BY_PATH[path]
    with pytest.raises(Problem) as refused:
        _ = changed(resource, record, body, context()) if record else new(resource, body, context())
    assert refused.value.status == 400
    return {error.field_name: error.description for error in refused.value.field_errors}


@pytest.mark.parametrize(
    ("path", "body", "record"),
    [
        ("accounts", {}, Account(id="u-aaaqeayeaudaocajbifqydio")),
        (
            "accounts",
            {"id": "shop", "name": "A shop", "profile": "current", "segments_per_s": 5},
            Account(id="shop", name="A shop", profile=Profile.CURRENT, segments_per_s=5.0),
        ),
        ("applications", {"account_id": "u-1"}, Application(id=UUID, account_id="u-1")),
        (
            "applications",
            {
                "id": "a",
                "account_id": "u-1",
                "callback_url": "https://example.com/events",
                "callback_username": "me",
                "callback_password": "p:w",
                "callback_auth": "challenge",
                "events": ["message-failed"],
                "opt_out": True,
                "help_text": "Write to us",
            },
            Application(
                id="a",
                account_id="u-1",
                callback_url="https://example.com/events",
                callback_username="me",
                callback_password="p:w",
                callback_auth=CallbackAuth.CHALLENGE,
                events=("message-failed",),
                opt_out=True,
                help_text="Write to us",
            ),
        ),
        (
            "numbers",
            {"number": "2025550123", "application_id": "app-1"},
            Number(number="+12025550123", kind=NumberKind.E164, account_id="u-1", application_id="app-1"),
        ),
        (
            "numbers",
            {"number": "77777", "application_id": "app-2", "account_id": "u-2", "segments_per_s": 0.5},
            Number(
                number="77777",
                kind=NumberKind.SHORT_CODE,
                account_id="u-2",
                application_id="app-2",
                segments_per_s=0.5,
            ),
        ),
        (
            "numbers",
            {"number": "My Shop", "application_id": "app-1"},
            Number(number="My Shop", kind=NumberKind.ALPHANUMERIC, account_id="u-1", application_id="app-1"),
        ),
        ("carriers", {"id": "c", "kind": "simulator"}, Carrier(id="c", kind="simulator")),
        # It is safe to repeat, so that is what is done unless told otherwise.
        ("carriers", {"id": "c", "kind": "other"}, Carrier(id="c", kind="other", in_doubt=InDoubt.RESEND)),
        (
            "carriers",
            {"id": "c", "kind": "other", "in_doubt": "fail"},
            Carrier(id="c", kind="other", in_doubt=InDoubt.FAIL),
        ),
        (
            "carriers",
            {
                "id": "c",
                "kind": "simulator",
                "in_doubt": "resend",
                "receipt_timeout_s": 60,
                "paused": True,
                "settings": {"window": 5},
            },
            Carrier(
                id="c",
                kind="simulator",
                in_doubt=InDoubt.RESEND,
                receipt_timeout_s=60,
                paused=True,
                settings={"window": 5},
            ),
        ),
        ("routes", {"carrier_id": "sim"}, Route(id=UUID, carrier_id="sim")),
        (
            "routes",
            {"id": "r", "carrier_id": "sim", "prefix": "+44", "kind": "sms", "priority": 1},
            Route(id="r", carrier_id="sim", prefix="+44", kind="sms", priority=1),
        ),
        (
            "opt-outs",
            {"number": "12025550100", "handset": "2025550177"},
            OptOut(number="+12025550100", handset="+12025550177"),
        ),
    ],
)
def test_a_record_is_what_was_given_and_defaults(path: str, body: Any, record: Any) -> None:
    """Ids are made where they may be left out, numbers are normalised, and every record is dated."""
    assert make(path, body) == replace(record, created_ms=NOW_MS)


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("accounts", {"nam": "x"}, {"nam"}),
        ("accounts", {"id": "a b"}, {"id"}),
        ("accounts", {"id": ""}, {"id"}),
        ("accounts", {"id": ".."}, {"id"}),
        ("accounts", {"id": "a/b"}, {"id"}),
        ("accounts", {"id": "a\n"}, {"id"}),
        ("accounts", {"id": "a" * 65}, {"id"}),
        ("accounts", {"id": None}, {"id"}),
        ("accounts", {"name": "two\nlines"}, {"name"}),
        ("accounts", {"name": "a line\n"}, {"name"}),
        ("accounts", {"name": "a" * 257}, {"name"}),
        ("accounts", {"profile": "old"}, {"profile"}),
        ("accounts", {"segments_per_s": 0}, {"segments_per_s"}),
        ("accounts", {"segments_per_s": -1}, {"segments_per_s"}),
        ("accounts", {"segments_per_s": 1e-9}, {"segments_per_s"}),
        ("accounts", {"segments_per_s": "5"}, {"segments_per_s"}),
        ("accounts", {"created_ms": 5, "profile": 5, "name": 5}, {"created_ms", "profile", "name"}),
        ("applications", {}, {"account_id"}),
        ("applications", {"account_id": "nobody"}, {"account_id"}),
        ("applications", {"account_id": "u-1", "callback_url": "ftp://h/"}, {"callback_url"}),
        ("applications", {"account_id": "u-1", "callback_url": "https://a:b@h/"}, {"callback_url"}),
        ("applications", {"account_id": "u-1", "callback_url": "https://h/" + "a" * 2048}, {"callback_url"}),
        ("applications", {"account_id": "u-1", "callback_username": "a:b"}, {"callback_username"}),
        ("applications", {"account_id": "u-1", "events": ["message-lost"]}, {"events"}),
        ("applications", {"account_id": "u-1", "events": "message-failed"}, {"events"}),
        ("applications", {"account_id": "u-1", "signing_secret": "whsec_x"}, {"signing_secret"}),
        (
            "applications",
            {"account_id": "x", "callback_url": "h", "opt_out": 1},
            {"account_id", "callback_url", "opt_out"},
        ),
        ("numbers", {}, {"number", "application_id"}),
        ("numbers", {"number": "", "application_id": "app-1"}, {"number"}),
        ("numbers", {"number": "+1202", "application_id": "app-1"}, {"number"}),
        ("numbers", {"number": "a/b", "application_id": "app-1"}, {"number"}),
        ("numbers", {"number": "+12025550123", "application_id": "nothing"}, {"application_id"}),
        (
            "numbers",
            {"number": "+12025550123", "application_id": "app-1", "account_id": "u-2"},
            {"application_id"},
        ),
        ("numbers", {"number": "nonsense number", "application_id": "x"}, {"number", "application_id"}),
        ("carriers", {}, {"id", "kind"}),
        ("carriers", {"id": "c", "kind": "pigeon"}, {"kind"}),
        ("carriers", {"id": "c", "kind": "simulator", "settings": {"widow": 5}}, {"settings"}),
        ("carriers", {"id": "c", "kind": "simulator", "settings": []}, {"settings"}),
        ("carriers", {"id": "c", "kind": "simulator", "in_doubt": "perhaps"}, {"in_doubt"}),
        ("carriers", {"id": "c", "kind": "simulator", "receipt_timeout_s": 0}, {"receipt_timeout_s"}),
        ("routes", {}, {"carrier_id"}),
        ("routes", {"carrier_id": "nothing"}, {"carrier_id"}),
        ("routes", {"carrier_id": "sim", "prefix": "44x"}, {"prefix"}),
        ("routes", {"carrier_id": "sim", "kind": "fax"}, {"kind"}),
        ("routes", {"carrier_id": "sim", "priority": -1}, {"priority"}),
        ("opt-outs", {}, {"number", "handset"}),
        ("opt-outs", {"number": "+12025550100", "handset": "shop"}, {"handset"}),
        ("opt-outs", {"number": "+12025550199", "handset": "+12025550177"}, {"number"}),
    ],
)
def test_everything_wrong_is_named_and_nothing_else(path: str, body: Any, fields: set[str]) -> None:
    """A person can mend the request in one go."""
    problems = wrong(path, body)
    assert set(problems) == fields
    assert all(name in text for name, text in problems.items())


@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_a_body_must_be_an_object(body: Any) -> None:
    """Anything else has no fields to name."""
    assert wrong("accounts", body) == {}


@pytest.mark.parametrize(
    ("path", "written", "meant"),
    [
        ("accounts", "segment_per_s", "segments_per_s"),
        ("applications", "calback_url", "callback_url"),
        ("numbers", "applicationId", "application_id"),
    ],
)
def test_a_name_that_is_nearly_right_is_set_right(path: str, written: str, meant: str) -> None:
    """The closest known name is suggested."""
    assert wrong(path, {written: "x"})[written] == f"there is no field '{written}'; did you mean '{meant}'?"


def test_a_name_like_no_other_is_quoted_only_in_part() -> None:
    """An answer does not grow with nonsense."""
    ((name, text),) = wrong("accounts", {"q" * 5000: 1}).items()
    assert name == "q" * 64
    assert text == f"there is no field '{'q' * 64}'"


def test_a_change_replaces_what_it_names() -> None:
    """All else stays, secrets and dates too; null empties a field that may be empty."""
    before = replace(
        APPLICATION,
        name="A",
        callback_password="p",
        signing_secret="whsec_x",
        callback_url="http://h/",
        created_ms=5,
    )
    after, once = changed(
        BY_PATH["applications"],
        before,
        {"name": "B", "callback_url": None, "rotate_signing_secret": False},
        context(),
    )
    assert after == replace(before, name="B", callback_url=None)
    assert once == {}


@pytest.mark.parametrize(
    ("path", "record", "body", "fields"),
    [
        ("applications", APPLICATION, {"id": "other"}, {"id"}),
        ("applications", APPLICATION, {"account_id": "u-2"}, {"account_id"}),
        ("numbers", NUMBER, {"number": "+12025550199"}, {"number"}),
        ("numbers", NUMBER, {"application_id": "app-2"}, {"application_id"}),
        ("carriers", CARRIER, {"kind": "other"}, {"kind"}),
        ("carriers", CARRIER, {"settings": {"widow": 1}, "id": "x"}, {"settings", "id"}),
    ],
)
def test_what_makes_a_record_itself_cannot_be_changed(
    path: str, record: Record, body: Any, fields: set[str]
) -> None:
    """Nor may a change leave a record that could not have been made so."""
    assert set(wrong(path, body, record)) == fields


@pytest.mark.parametrize(
    ("path", "record", "body"),
    [
        ("applications", APPLICATION, {"id": "app-1", "account_id": "u-1"}),
        ("numbers", NUMBER, {"number": "+12025550100"}),
        ("carriers", CARRIER, {"kind": "simulator"}),
    ],
)
def test_saying_what_is_already_so_changes_nothing(path: str, record: Record, body: Any) -> None:
    """A record can be sent back as it was got."""
    assert changed(BY_PATH[path], record, body, context()) == (record, {})


def test_a_number_moves_to_an_application_of_another_account() -> None:
    """If both are named."""
    after, _ = changed(
        BY_PATH["numbers"], NUMBER, {"application_id": "app-2", "account_id": "u-2"}, context()
    )
    assert after == replace(NUMBER, application_id="app-2", account_id="u-2")


def test_a_signing_secret_is_shown_once() -> None:
    """In the answer to the request that asked for it, and afterwards only that there is one."""
    record, once = new(
        BY_PATH["applications"], {"account_id": "u-1", "rotate_signing_secret": True}, context()
    )
    assert isinstance(record, Application)
    assert once == {"signing_secret": record.signing_secret}
    assert once["signing_secret"] not in str(shown(record))
    assert shown(record)["signing_secret_set"] is True


def test_no_secret_is_shown() -> None:
    """Each is only said to be set or not."""
    application = shown(replace(APPLICATION, callback_password="hush"))
    assert application["callback_password_set"] is True
    assert application["signing_secret_set"] is False
    assert "callback_password" not in application
    credential = shown(Credential(token="t", account_id="u-1", secret_sha256="abc"))
    assert set(credential) == {"token", "account_id", "label", "created_ms", "revoked_ms"}

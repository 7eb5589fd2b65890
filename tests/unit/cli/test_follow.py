"""What `send`, `tail` and `wait` decide."""

import msgspec
import pytest

from trebuchet.cli.connection import Login
from trebuchet.cli.follow import AWAITED, ENDS, end_code, entry_line, entry_of_event, is_awaited, send_request
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.output import BAD, GOOD, QUIET
from trebuchet.feed import Entry
from trebuchet.model.events import Event, EventType

T = 1_769_860_800_000  # 2026-01-31T12:00:00Z
FIRST = Login("u-1", "t-1", "s-1", "app-1", "+12345678901")


def entry(**changes: object) -> dict[str, object]:
    """An entry as the feed sends it."""
    base = Entry(T, "event", "m-1", 0, "u-1", "app-1", "+12345678902", EventType.DELIVERED)
    made: dict[str, object] = msgspec.to_builtins(base)
    return made | changes


def test_the_first_account_needs_no_options() -> None:
    """Sender and application come from the first account; what is not given is absent."""
    assert send_request(FIRST, "+12345678902", ["Hello", "there"], None, None, None, None) == {
        "from": "+12345678901",
        "to": ["+12345678902"],
        "text": "Hello there",
        "applicationId": "app-1",
    }


def test_every_option_reaches_the_request() -> None:
    """Options win over the first account, and several recipients are separated by commas."""
    media = ["https://example.com/1.png"]
    assert send_request(FIRST, "+1, +2", [], "+3", "app-2", "", media) == {
        "from": "+3",
        "to": ["+1", "+2"],
        "applicationId": "app-2",
        "tag": "",
        "media": media,
    }


@pytest.mark.parametrize(
    ("source", "application", "asked"), [(None, "app", "--from NUMBER"), ("+1", None, "--application ID")]
)
def test_other_accounts_have_no_defaults(source: str | None, application: str | None, asked: str) -> None:
    """What is missing is asked for before anything goes out."""
    with pytest.raises(CommandError, match=asked):
        send_request(Login("u", "t", "s"), "+2", ["Hi"], source, application, None, None)


@pytest.mark.parametrize(
    ("changes", "text", "style"),
    [
        ({}, "12:00:00.000  event      m-1  +12345678902  message-delivered", GOOD),
        (
            {"what": "accepted", "detail": ""},
            "12:00:00.000  accepted   m-1  +12345678902",
            "",
        ),
        (
            {"detail": "message-failed", "error_code": 4720},
            (
                "12:00:00.000  event      m-1  +12345678902  message-failed  "
                "4720 invalid-destination-address: carrier: bad number / landline"
            ),
            BAD,
        ),
        ({"what": "callback", "detail": "200"}, "12:00:00.000  callback   m-1  +12345678902  200", QUIET),
    ],
)
def test_entries_as_lines(changes: dict[str, object], text: str, style: str) -> None:
    """Time, what, message, recipient, detail, and the meaning of an error code."""
    line = entry_line(entry(**changes))
    assert (line.text, line.style) == (text, style)


def test_a_stored_event_is_like_the_feed_s_entry() -> None:
    """Whoever waits sees no difference between an event told of and one looked up."""
    event = Event("m-1-0-9", "m-1", 0, EventType.DELIVERED, "+12345678902", None, "ok", T)
    stored = {name: getattr(event, name) for name in Event.__struct_fields__}
    assert entry_of_event(stored).items() <= entry(error_code=None).items()


@pytest.mark.parametrize(
    ("changes", "message", "to", "awaited"),
    [
        ({}, None, None, True),
        ({}, "m-1", "+12345678902", True),
        ({}, "m-2", None, False),
        ({}, None, "+12345678903", False),
        ({"what": "submitted"}, None, None, False),
        ({"detail": "message-sending"}, None, None, False),
        ({"detail": "message-received"}, None, None, True),
    ],
)
def test_what_is_awaited(
    changes: dict[str, object], message: str | None, to: str | None, awaited: bool
) -> None:
    """An event of the kinds asked for, of the message and to the number given."""
    assert is_awaited(entry(**changes), AWAITED, message, to) is awaited


def test_an_inbound_message_does_not_end_an_outbound_one() -> None:
    """`send` follows to delivered or failed."""
    assert not is_awaited(entry(detail="message-received"), ENDS, "m-1", None)


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ({0: "message-delivered"}, Code.OK),
        ({0: "message-failed"}, Code.NO),
        ({0: "message-delivered", 1: "message-failed"}, Code.NO),
    ],
)
def test_one_failed_recipient_is_a_failure(ends: dict[int, str], code: Code) -> None:
    """The exit code is 0 only if every recipient has the message."""
    assert end_code(ends) is code

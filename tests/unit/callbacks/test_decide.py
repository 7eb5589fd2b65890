"""What one try of a callback means, whether an application is called back at all, and how it is signed."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.callbacks.deliver import Verdict, decide, signature_headers, wanted
from trebuchet.model.account import Application
from trebuchet.model.events import CallbackItem, EventType
from trebuchet.outbox.backoff import Schedule

T0 = 1_767_225_600_000
SECOND = 1000
DAY = 86_400 * SECOND
SCHEDULE = Schedule(first_s=10, max_s=3600, give_up_s=86_400, jitter=0)
KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def item(attempts: int = 0, first_ms: int = 0) -> CallbackItem:
    return CallbackItem("app-1", T0, "m-1-0-9", attempts, first_ms)


# ---- one try ----


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
@pytest.mark.parametrize("tried", [item(), item(5, T0 - DAY)])
def test_any_2xx_ends_a_callback(status: int, tried: CallbackItem) -> None:
    """Whichever try it is, also the last one."""
    assert decide(status, tried, SCHEDULE, T0, 0.5) == Verdict(delivered=True, retry_ms=None)


@pytest.mark.parametrize(
    "status", [None, 100, 199, 300, 301, 302, 307, 400, 401, 403, 404, 410, 429, 500, 503, 599]
)
def test_everything_else_is_tried_again(status: int | None) -> None:
    """No answer, a redirect, and also what other systems take for final: the application may be mended."""
    assert decide(status, item(), SCHEDULE, T0, 0.5) == Verdict(delivered=False, retry_ms=T0 + 10 * SECOND)


@pytest.mark.parametrize(
    ("tried", "retry_ms"),
    [
        (item(0, 0), T0 + 10 * SECOND),
        (item(1, T0 - 10 * SECOND), T0 + 20 * SECOND),
        (item(2, T0 - 30 * SECOND), T0 + 40 * SECOND),
        (item(30, T0 - DAY // 2), T0 + 3600 * SECOND),
        (item(30, T0 - DAY + SECOND), T0 + SECOND),
        (item(30, T0 - DAY), None),
        (item(30, T0 - 2 * DAY), None),
    ],
    ids=["first", "second", "third", "later", "before the last", "last", "after a long absence"],
)
def test_waits_grow_until_a_day_has_passed_since_the_first_try(
    tried: CallbackItem, retry_ms: int | None
) -> None:
    """Then it is given up."""
    assert decide(500, tried, SCHEDULE, T0, 0.5) == Verdict(delivered=False, retry_ms=retry_ms)


@given(chance=st.floats(0, 1), takes_ms=st.integers(0, 10_000))
def test_a_dead_endpoint_gets_a_bounded_number_of_tries(chance: float, takes_ms: int) -> None:
    """Spread by jitter or not, they end at the end of the day."""
    schedule = Schedule(first_s=10, max_s=3600, give_up_s=86_400)
    started, now_ms = [T0], T0
    while True:
        now_ms += takes_ms
        tried = item(len(started) - 1, started[0] if len(started) > 1 else 0)
        due_ms = decide(None, tried, schedule, now_ms, chance).retry_ms
        if due_ms is None:
            break
        started.append(due_ms)
        now_ms = due_ms
    assert 24 <= len(started) <= 42
    assert started[-1] <= T0 + takes_ms + DAY


# ---- whether at all ----


@pytest.mark.parametrize(
    ("events", "called_back"),
    [
        (None, set(EventType)),
        ((), {EventType.RECEIVED}),
        (("message-failed",), {EventType.RECEIVED, EventType.FAILED}),
        (
            ("message-delivered", "message-sending"),
            {EventType.RECEIVED, EventType.DELIVERED, EventType.SENDING},
        ),
    ],
)
def test_an_application_chooses_its_events(
    events: tuple[str, ...] | None, called_back: set[EventType]
) -> None:
    """All, if it does not choose; what handsets send is always called back."""
    application = Application(id="app-1", account_id="u-1", callback_url="https://example.com", events=events)
    assert {type_ for type_ in EventType if wanted(application, type_)} == called_back


@pytest.mark.parametrize("type_", EventType)
def test_without_an_address_nothing_is_called_back(type_: EventType) -> None:
    """There is nobody to call."""
    assert not wanted(Application(id="app-1", account_id="u-1"), type_)


# ---- signatures ----


def signed(body: bytes, event_id: str = "m-1-0-9", at_ms: int = T0) -> dict[str, str]:
    application = Application(id="app-1", account_id="u-1", signing_secret=SECRET)
    return {
        name.decode(): value.decode() for name, value in signature_headers(application, event_id, at_ms, body)
    }


def test_an_application_without_a_secret_gets_no_signature() -> None:
    """The headers are not there at all."""
    assert signature_headers(Application(id="app-1", account_id="u-1"), "m", T0, b"[]") == ()


def test_the_id_of_a_signed_callback_is_the_events() -> None:
    """It is the same in every try, so that an application can tell a repetition; the time is that of the try."""
    first, second = signed(b"[]"), signed(b"[]", at_ms=T0 + 10 * SECOND)
    assert first["webhook-id"] == second["webhook-id"] == "m-1-0-9"
    assert (first["webhook-timestamp"], second["webhook-timestamp"]) == ("1767225600", "1767225610")
    assert first["webhook-signature"] != second["webhook-signature"]
    assert first["webhook-signature"].startswith("v1,")


@given(st.text(max_size=50))
def test_a_signature_is_of_id_moment_and_body(text: str) -> None:
    """Standard Webhooks: HMAC-SHA256 of the three, with dots between, under the decoded secret."""
    body = text.encode()
    expected = hmac.digest(KEY, b"m-1-0-9.1767225600." + body, "sha256")
    assert signed(body)["webhook-signature"] == "v1," + base64.b64encode(expected).decode()

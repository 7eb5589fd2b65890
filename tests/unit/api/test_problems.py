"""The bodies and headers of answers that are not a success."""

import json
from typing import Any

import pytest

from trebuchet.api import problems
from trebuchet.api.problems import FieldError, Problem
from trebuchet.model.account import Profile

CATAPULT, CURRENT = Profile.CATAPULT, Profile.CURRENT

_QUEUE_FULL = (
    "The SMS queue for your account is full and cannot accept more messages right now. Your allowed rate is 60 "
    "messages per minute. The capacity of this queue is 900 messages (15 minutes). Reduce your message sending "
    "rate, or contact support to increase your allowed rate."
)

EVERY_PROBLEM = [
    problems.invalid([FieldError("from", "'from' must contain exactly one telephone number")]),
    problems.malformed("The body must be a JSON object"),
    problems.unauthorized(CATAPULT),
    problems.unauthorized(CURRENT),
    problems.forbidden(CATAPULT),
    problems.forbidden(CURRENT),
    problems.not_found("/v2/users/u-1/messages/x", 0),
    problems.method_not_allowed("GET, POST"),
    problems.conflict("in use"),
    problems.idempotency_mismatch(),
    problems.too_large(65_536),
    problems.unsupported_content_type("text/plain"),
    problems.queue_full(60, 900),
    problems.queue_full(None, 5_000_000),
    problems.list_rate_limit(),
    problems.internal(),
    problems.unavailable(),
    problems.other(431, "too long"),
]


def body(problem: Problem) -> dict[str, Any]:
    decoded = json.loads(problem.encode())
    assert isinstance(decoded, dict)
    return decoded


@pytest.mark.parametrize("problem", EVERY_PROBLEM, ids=lambda p: f"{p.status}-{p.type}")
def test_every_body_has_what_some_generation_of_client_reads(problem: Problem) -> None:
    """`type` and `description` for clients since 2019, `message` for those before; never a null."""
    decoded = body(problem)
    assert decoded["type"]
    assert decoded["description"]
    assert decoded["message"] == decoded["description"]
    assert None not in decoded.values()


@pytest.mark.parametrize(
    ("problem", "status", "type_", "description"),
    [
        (problems.unauthorized(CATAPULT), 401, "authentication-error", "Invalid or missing credentials."),
        (problems.unauthorized(CURRENT), 401, "unauthorized", "Authentication Failed"),
        (problems.forbidden(CATAPULT), 403, "unauthorized", "Access is denied."),
        (problems.forbidden(CURRENT), 403, "forbidden", "Access Denied"),
        (
            problems.unsupported_content_type("text/plain;charset=UTF-8"),
            415,
            "unsupported-content-type",
            "Content type 'text/plain;charset=UTF-8' not supported. Please use 'application/json'",
        ),
        (
            problems.queue_full(60.0, 900.0),
            429,
            "max-message-queue-size-exceeded",
            _QUEUE_FULL,
        ),
        (
            problems.list_rate_limit(),
            429,
            "rate_limit_exceeded",
            "Rate limit exceeded. Wait for Retry-After time before sending another request.",
        ),
        (problems.other(431, "too long"), 431, "request-header-fields-too-large", "too long"),
        (problems.other(499, "gone"), 499, "error", "gone"),
    ],
)
def test_captured_words_are_kept(problem: Problem, status: int, type_: str, description: str) -> None:
    """Where the original's words are public, they are ours, per profile."""
    decoded = body(problem)
    assert (problem.status, decoded["type"], decoded["description"]) == (status, type_, description)


def test_wrong_fields_are_listed() -> None:
    """`fieldErrors` names each field; without wrong fields the key is absent."""
    found = body(problems.invalid([FieldError("to", "bad"), FieldError("text", "long")]))
    assert found["fieldErrors"] == [
        {"fieldName": "to", "description": "bad"},
        {"fieldName": "text", "description": "long"},
    ]
    assert found["type"] == "request-validation"
    assert body(problems.invalid_field("to", "bad"))["fieldErrors"] == found["fieldErrors"][:1]
    assert "fieldErrors" not in body(problems.malformed("no JSON"))


def test_not_found_has_both_shapes() -> None:
    """The framework's keys, as the original answers to this day, beside our own two."""
    assert body(problems.not_found("/api/v2/users/u-1/messages/happy", 1_568_055_739_253)) == {
        "timestamp": "2019-09-09T19:02:19.253+0000",
        "status": 404,
        "error": "Not Found",
        "message": "Not Found",
        "path": "/api/v2/users/u-1/messages/happy",
        "type": "not-found",
        "description": "Not Found",
    }


@pytest.mark.parametrize(
    ("problem", "headers"),
    [
        (problems.unauthorized(CURRENT), {b"WWW-Authenticate": b'Basic realm="messages", charset="UTF-8"'}),
        (problems.method_not_allowed("GET, POST"), {b"Allow": b"GET, POST"}),
        (problems.list_rate_limit(), {b"Retry-After": b"300"}),
        (problems.unavailable(), {b"Retry-After": b"5"}),
        (problems.queue_full(60, 900), {}),
        (problems.internal(), {}),
    ],
)
def test_headers_that_go_with_a_status(problem: Problem, headers: dict[bytes, bytes]) -> None:
    """401 challenges, 405 says what is allowed, 503 and the search limit say when to return; 429 on POST does not."""
    assert dict(problem.headers) == headers


@pytest.mark.parametrize(
    ("per_minute", "capacity", "said"),
    [
        (
            1_000_000.0,
            15_000_000.0,
            "1000000 messages per minute. The capacity of this queue is 15000000 messages",
        ),
        (0.5, 7.5, "0.5 messages per minute. The capacity of this queue is 7.5 messages"),
        (None, 5_000_000, "The capacity of this queue is 5000000 messages."),
    ],
)
def test_rates_are_written_plainly(per_minute: float | None, capacity: float, said: str) -> None:
    """No exponents, and no fraction that says nothing."""
    assert said in problems.queue_full(per_minute, capacity).description


def test_nothing_of_the_inside_is_told() -> None:
    """The text of an exception in a log names status and type only, not what a client wrote."""
    assert str(problems.invalid_field("text", "secret words")) == "400 request-validation"

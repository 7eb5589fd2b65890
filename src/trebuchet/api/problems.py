"""Answers that are not a success, in the shapes that clients of every generation of the API understand.

Every body has `type` and `description`, and `message` beside them: the SDKs of 2018 read that, and one of
them fails on an answer without it.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec

from trebuchet.clock import iso_ms
from trebuchet.errors import TrebuchetError
from trebuchet.model.account import Profile

Headers = tuple[tuple[bytes, bytes], ...]

LIST_RETRY_AFTER_S = 300
_UNAVAILABLE_RETRY_AFTER_S = 5
_CHALLENGE: Headers = ((b"WWW-Authenticate", b'Basic realm="messages", charset="UTF-8"'),)


class FieldError(msgspec.Struct, frozen=True, rename="camel"):
    """What is wrong with one field of a request."""

    field_name: str
    description: str


class Problem(TrebuchetError):
    """An answer in place of what was asked for: raise it, and the edge encodes it.

    `headers` come on top of those that every answer has. `more` are keys of the body beside the usual ones;
    a `message` among them stands in place of the description's copy.
    """

    def __init__(
        self,
        status: int,
        type_: str,
        description: str,
        *,
        field_errors: Sequence[FieldError] = (),
        headers: Headers = (),
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{status} {type_}")
        self.status = status
        self.type = type_
        self.description = description
        self.field_errors = tuple(field_errors)
        self.headers = headers
        self.more = more or {}

    def encode(self) -> bytes:
        """The JSON body."""
        body: dict[str, object] = {"type": self.type, "description": self.description}
        if self.field_errors:
            body["fieldErrors"] = self.field_errors
        body["message"] = self.description
        return msgspec.json.encode(body | dict(self.more))


def invalid(field_errors: Sequence[FieldError]) -> Problem:
    """400 that names every wrong field."""
    return Problem(400, "request-validation", "Your request could not be accepted", field_errors=field_errors)


def invalid_field(name: str, description: str) -> Problem:
    return invalid([FieldError(name, description)])


def malformed(description: str) -> Problem:
    """400 for a request that cannot be read at all."""
    return Problem(400, "request-validation", description)


def unauthorized(profile: Profile) -> Problem:
    """401: no or wrong credentials. The wording changed in 2019."""
    if profile is Profile.CATAPULT:
        return Problem(401, "authentication-error", "Invalid or missing credentials.", headers=_CHALLENGE)
    return Problem(401, "unauthorized", "Authentication Failed", headers=_CHALLENGE)


def forbidden(profile: Profile) -> Problem:
    """403: credentials of another account. The type was "unauthorized" until 2019."""
    if profile is Profile.CATAPULT:
        return Problem(403, "unauthorized", "Access is denied.")
    return Problem(403, "forbidden", "Access Denied")


def not_found(path: str, now_ms: int) -> Problem:
    """404 in both shapes at once.

    The original API answered in its web framework's shape (`timestamp`, `status`, `error`, `message`,
    `path`) for as long as its documentation can be followed, while its specification promises `type` and
    `description`. Clients of the one take no notice of the keys of the other.
    """
    return Problem(
        404,
        "not-found",
        "Not Found",
        more={
            "timestamp": iso_ms(now_ms).replace("Z", "+0000"),
            "status": 404,
            "error": "Not Found",
            "path": path,
        },
    )


def method_not_allowed(allow: str) -> Problem:
    """405; `allow` lists the methods that are, parted by commas."""
    return Problem(
        405,
        "method-not-allowed",
        f"This method is not allowed here. Allowed: {allow}",
        headers=((b"Allow", allow.encode("latin-1", "replace")),),
    )


def conflict(description: str) -> Problem:
    """409: what exists stands in the way."""
    return Problem(409, "conflict", description)


def idempotency_mismatch() -> Problem:
    return Problem(
        409,
        "idempotency-mismatch",
        "This Idempotency-Key was used before with a different request. Use a new key for a new request.",
    )


def too_large(limit: int) -> Problem:
    return Problem(413, "request-too-large", f"The body must be {limit} octets or less")


def too_slow() -> Problem:
    """408: the octets of a request come too slowly, or not at all."""
    return Problem(408, "request-timeout", "The request did not arrive in time")


def head_too_large() -> Problem:
    return Problem(431, "request-validation", "The request head is too large")


def unsupported_content_type(sent: str) -> Problem:
    """415; quotes the type that was sent."""
    return Problem(
        415,
        "unsupported-content-type",
        f"Content type '{sent}' not supported. Please use 'application/json'",
    )


def queue_full(per_minute: float | None, capacity: float) -> Problem:
    """429 as documented since 2017-08. `per_minute` is None if it is the gateway's own queue that is full.

    Has no Retry-After, as the original has none on this answer.
    """
    if per_minute is None:
        description = (
            "The message queue is full and cannot accept more messages right now. "
            f"The capacity of this queue is {_plain(capacity)} messages. Reduce your message sending rate."
        )
    else:
        description = (
            "The SMS queue for your account is full and cannot accept more messages right now. "
            f"Your allowed rate is {_plain(per_minute)} messages per minute. "
            f"The capacity of this queue is {_plain(capacity)} messages (15 minutes). "
            "Reduce your message sending rate, or contact support to increase your allowed rate."
        )
    return Problem(429, "max-message-queue-size-exceeded", description)


def _plain(number: float) -> str:
    """Without exponent, and without a fraction that says nothing."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def list_rate_limit() -> Problem:
    """429 on a search. Spelt with underscores, unlike all other types."""
    return Problem(
        429,
        "rate_limit_exceeded",
        "Rate limit exceeded. Wait for Retry-After time before sending another request.",
        headers=((b"Retry-After", str(LIST_RETRY_AFTER_S).encode()),),
    )


def internal() -> Problem:
    """500. What went wrong is for our log, not for the client."""
    return Problem(500, "internal-server-error", "The request could not be processed")


def unavailable() -> Problem:
    """503: the database cannot take it now."""
    return Problem(
        503,
        "service-unavailable",
        "The request could not be stored. Try again.",
        headers=((b"Retry-After", str(_UNAVAILABLE_RETRY_AFTER_S).encode()),),
    )


def not_taking() -> Problem:
    """503: this node has other roles."""
    return Problem(
        503,
        "service-unavailable",
        "This node takes no messages: it does not have the role api. Ask a node that has it.",
    )


def stopping() -> Problem:
    """503: the gateway ends before the answer is there."""
    return Problem(
        503,
        "service-unavailable",
        "The gateway stopped before the answer was there. The request may have been accepted.",
    )


def other(status: int, description: str) -> Problem:
    """Any other status that the web framework answers; the type is the status in words."""
    try:
        type_ = HTTPStatus(status).phrase.lower().replace(" ", "-")
    except ValueError:
        type_ = "error"
    return Problem(status, type_, description)

"""Answers that are not a success, in the shapes that clients of every generation of the API understand.

Every body has `type` and `description`, and `message` beside them, which the catapult-era SDKs read.
"""

from collections.abc import Sequence

import msgspec

from trebuchet.clock import iso_ms
from trebuchet.model.account import Profile

Headers = tuple[tuple[bytes, bytes], ...]


class FieldError(msgspec.Struct, frozen=True, rename="camel"):
    field_name: str
    description: str


class Problem(Exception):
    """An answer in place of what was asked for. Raise it; the edge encodes it."""

    def __init__(
        self,
        status: int,
        type_: str,
        description: str,
        *,
        field_errors: Sequence[FieldError] = (),
        headers: Headers = (),
        more: dict[str, object] | None = None,
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
        body: dict[str, object] = {**self.more, "type": self.type, "description": self.description}
        if self.field_errors:
            body["fieldErrors"] = self.field_errors
        body["message"] = self.more.get("message", self.description)
        return msgspec.json.encode(body)


def invalid(field_errors: Sequence[FieldError]) -> Problem:
    return Problem(400, "request-validation", "Your request could not be accepted", field_errors=field_errors)


def invalid_field(name: str, description: str) -> Problem:
    return invalid([FieldError(name, description)])


def malformed(description: str) -> Problem:
    """A body that is not the JSON that we ask for."""
    return Problem(400, "request-validation", description)


def unauthorized(profile: Profile) -> Problem:
    """No or wrong credentials. The wording changed in 2019."""
    challenge: Headers = ((b"WWW-Authenticate", b'Basic realm="messaging"'),)
    if profile is Profile.CATAPULT:
        return Problem(401, "authentication-error", "Invalid or missing credentials.", headers=challenge)
    return Problem(401, "unauthorized", "Authentication Failed", headers=challenge)


def forbidden(profile: Profile) -> Problem:
    """Credentials of another account. The type was "unauthorized" until 2019."""
    if profile is Profile.CATAPULT:
        return Problem(403, "unauthorized", "Access is denied.")
    return Problem(403, "forbidden", "Access Denied")


def not_found(path: str, now_ms: int) -> Problem:
    """The shape of the framework behind the original API, with our own two keys so that every client copes."""
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
    return Problem(
        405,
        "method-not-allowed",
        f"Method not allowed here. Allowed: {allow}",
        headers=((b"Allow", allow.encode("latin-1")),),
    )


def conflict(description: str) -> Problem:
    return Problem(409, "conflict", description)


def idempotency_mismatch() -> Problem:
    return Problem(
        409,
        "idempotency-mismatch",
        "This Idempotency-Key was used before with a different request. Use a new key for a new request.",
    )


def too_large(limit: int) -> Problem:
    return Problem(413, "request-too-large", f"The body must be {limit} octets or less")


def unsupported_content_type(sent: str) -> Problem:
    return Problem(
        415,
        "unsupported-content-type",
        f"Content type '{sent}' not supported. Please use 'application/json'",
    )


def queue_full(per_minute: float | None, capacity: float) -> Problem:
    """429 as documented since 2017-08; `per_minute` None when it is the gateway's own queue that is full."""
    if per_minute is None:
        description = (
            "The message queue is full and cannot accept more messages right now. "
            f"The capacity of this queue is {capacity:g} messages. Reduce your message sending rate."
        )
    else:
        description = (
            "The SMS queue for your account is full and cannot accept more messages right now. "
            f"Your allowed rate is {per_minute:g} messages per minute. "
            f"The capacity of this queue is {capacity:g} messages (15 minutes). "
            "Reduce your message sending rate, or contact support to increase your allowed rate."
        )
    return Problem(429, "max-message-queue-size-exceeded", description)


def list_rate_limit() -> Problem:
    return Problem(
        429,
        "rate_limit_exceeded",
        "Rate limit exceeded. Wait for Retry-After time before sending another request.",
        headers=((b"Retry-After", b"300"),),
    )


def internal() -> Problem:
    return Problem(500, "internal-server-error", "The request could not be processed")


def unavailable() -> Problem:
    return Problem(
        503,
        "service-unavailable",
        "The message could not be stored. Try again.",
        headers=((b"Retry-After", b"5"),),
    )


def other(status: int, description: str) -> Problem:
    return Problem(status, "error", description)

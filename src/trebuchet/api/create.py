"""POST …/messages, apart from how its octets arrive: authenticate, read, accept, answer.

Called by the fast protocol (`hot`) and by the ordinary route (`app`), so both answer alike.
"""

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial

import msgspec

from trebuchet.accept import (
    Acceptor,
    AccountQueueFull,
    ForeignNumber,
    WrongApplication,
)
from trebuchet.api import problems, wire
from trebuchet.api.auth import authenticate
from trebuchet.clock import Clock
from trebuchet.errors import IdempotencyMismatch, QueueFull, StorageUnavailable
from trebuchet.feed import Entry, Feed
from trebuchet.model.account import Account, Directory, Profile
from trebuchet.model.message import Message
from trebuchet.storage.base import IdempotencyKey
from trebuchet.telemetry import Telemetry

_KEY_MAX = 255

Headers = tuple[tuple[bytes, bytes], ...]
Respond = Callable[[int, Headers, bytes], None]


class CreateRequest(msgspec.Struct, frozen=True):
    """What of an HTTP request matters here. `path` is as it was written, for `Location`."""

    path: str
    account_id: str
    by_path: Profile  # the profile of the path's prefix
    authorization: bytes | None
    content_type: bytes | None
    idempotency_key: bytes | None
    body: bytes
    traceparent: bytes | None = None


class CreateMessage:
    """All calls in the event loop; none blocks. `respond` is called exactly once per request.

    A node whose requests others take is not `taking`.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        directory: Callable[[], Directory],
        acceptor: Acceptor,
        recipients_max: int,
        idempotency_keep_s: int,
        queue_max: int,
        feed: Feed,
        telemetry: Telemetry,
        taking: bool = True,
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._acceptor = acceptor
        self._recipients_max = recipients_max
        self._idempotency_keep_ms = idempotency_keep_s * 1000
        self._queue_max = queue_max
        self._taking = taking
        self._feed = feed
        self._telemetry = telemetry

    def handle(self, request: CreateRequest, respond: Respond) -> None:
        """Answer `request`, after the commit if it is accepted."""
        try:
            self._accept(request, partial(self._stored, request.path, respond))
        except problems.Problem as problem:
            self._refuse(problem, respond)
        except Exception as error:  # noqa: BLE001  # the last line of defence: no trace leaves the house
            self._telemetry.problem("create_failed", error=repr(error))
            self._refuse(problems.internal(), respond)

    def send(self, body: bytes, account: Account, profile: Profile) -> "asyncio.Future[Message]":
        """As `handle`, for somebody who is known to be allowed to send as `account`: the same checks and limits.

        Raises Problem; the future fails with StorageUnavailable.
        """
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def stored(result: Message | Exception) -> None:
            if isinstance(result, Message):
                self._accepted(result)
            if future.done():  # whoever waited has gone away; the message is accepted all the same
                return
            if isinstance(result, Message):
                future.set_result(result)
            else:
                future.set_exception(result)

        self._take(body, account, profile, stored)
        return future

    def _accept(self, request: CreateRequest, stored: Callable[[Message | Exception], None]) -> None:
        if not self._taking:
            raise problems.not_taking()
        directory = self._directory()
        named = directory.accounts.get(request.account_id)
        profile = named.profile if named is not None and named.profile is not None else request.by_path
        account = authenticate(directory, request.authorization, request.account_id, profile)
        _check_content_type(request.content_type)
        self._take(
            request.body,
            account,
            profile,
            stored,
            lambda: self._idempotency(request, account),
            request.traceparent,
        )

    def _take(
        self,
        body: bytes,
        account: Account,
        profile: Profile,
        stored: Callable[[Message | Exception], None],
        idempotency: Callable[[], Callable[[int], IdempotencyKey] | None] = lambda: None,
        caller: bytes | None = None,
    ) -> None:
        """Raises Problem."""
        now_ms = self._clock.now_ms()
        refuse_many = profile is not Profile.CATAPULT
        sent = wire.parse_send(body, now_ms, self._recipients_max, refuse_many)
        try:
            self._acceptor.take(sent, account, profile, stored, idempotency(), caller=caller)
        except AccountQueueFull as full:
            raise problems.queue_full(full.per_minute, full.capacity) from None
        except QueueFull:
            raise problems.queue_full(None, self._queue_max) from None
        except WrongApplication:
            raise problems.invalid_field(
                "applicationId", "'applicationId' is not an application of this account"
            ) from None
        except ForeignNumber:
            raise problems.forbidden(profile) from None

    def _idempotency(
        self, request: CreateRequest, account: Account
    ) -> Callable[[int], IdempotencyKey] | None:
        if request.idempotency_key is None:
            return None
        if not 0 < len(request.idempotency_key) <= _KEY_MAX or not request.idempotency_key.isascii():
            raise problems.invalid_field(
                "Idempotency-Key", f"'Idempotency-Key' must be 1 to {_KEY_MAX} ASCII characters"
            )
        key = request.idempotency_key.decode()
        digest = hashlib.sha256(request.body).hexdigest()
        return lambda now_ms: IdempotencyKey(account.id, key, digest, now_ms + self._idempotency_keep_ms)

    def _stored(self, path: str, respond: Respond, result: Message | Exception) -> None:
        if isinstance(result, Message):
            self._telemetry.count("trebuchet_http_requests_total", "202")
            self._accepted(result)
            location = (b"Location", f"{path}/{result.id}".encode())
            respond(202, (_JSON, location), wire.send_answer(result))
        elif isinstance(result, IdempotencyMismatch):
            self._refuse(problems.idempotency_mismatch(), respond)
        elif isinstance(result, StorageUnavailable):
            self._telemetry.problem("accept_not_stored", error=str(result))
            self._refuse(problems.unavailable(), respond)
        else:
            self._telemetry.problem("accept_failed", error=repr(result))
            self._refuse(problems.internal(), respond)

    def _accepted(self, message: Message) -> None:
        self._telemetry.count("trebuchet_messages_accepted_total", "out")
        self._telemetry.count("trebuchet_segments_accepted_total", by=message.segment_count)
        if self._feed.watched:
            self._feed.publish(
                Entry(
                    message.received_ms, "accepted", message.id, None, message.account_id,
                    message.application_id, ", ".join(message.destinations),
                )
            )  # fmt: skip

    def _refuse(self, problem: problems.Problem, respond: Respond) -> None:
        self._telemetry.count("trebuchet_http_requests_total", str(problem.status))
        respond(problem.status, (_JSON, *problem.headers), problem.encode())


_JSON = (b"Content-Type", b"application/json;charset=utf-8")


def _check_content_type(content_type: bytes | None) -> None:
    """Raises Problem 415 unless it is JSON in UTF-8, or not given."""
    if content_type is None or content_type == b"application/json":
        return
    kind, _, parameters = content_type.lower().partition(b";")
    charset = parameters.strip().partition(b"charset=")[2].strip(b'" ')
    if kind.strip() != b"application/json" or charset not in (b"", b"utf-8", b"utf8", b"us-ascii"):
        raise problems.unsupported_content_type(content_type.decode("latin-1"))

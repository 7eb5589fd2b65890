"""Passwords of people: hashed and verified with argon2 on threads of their own, a few at a time.

One hash takes 64 MiB and a good part of a second of CPU, so that many wrong passwords at once could starve the
messages; whoever comes when the queue is full is told to come again.
"""

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from argon2 import PasswordHasher

PASSWORD_MAX = 1024  # characters
PASSWORD_MIN = 8

_T = TypeVar("_T")


class Busy(Exception):
    """Too many passwords wait to be checked already."""


class Verdict(NamedTuple):
    right: bool
    rehashed: str | None = None  # to be stored in place of the old hash, whose parameters are no longer ours


class Passwords:
    """Hashes and verifies; at most `at_once` at a time while `waiting_max` wait. Must be closed."""

    def __init__(
        self, hasher: "PasswordHasher | None" = None, *, at_once: int = 2, waiting_max: int = 8
    ) -> None:
        self._given = hasher
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="passwords")
        self._room = at_once + waiting_max

    @cached_property
    def _hasher(self) -> "PasswordHasher":
        # Start-up: the first login waits for it, and no message.
        from argon2 import PasswordHasher  # noqa: PLC0415

        return self._given or PasswordHasher()

    @cached_property
    def _nobody(self) -> str:
        return _hash_of_nobody(self._hasher)

    def close(self) -> None:
        """Stop after those under way. May be called twice."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The form in which a password is stored. Raises Busy, and ValueError for one too short or too long."""
        if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
            raise ValueError(f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters")
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Whether this password was stored; takes as long for nobody's (None). Raises Busy."""
        return await self._run(lambda: self._verify(password, stored))

    def _verify(self, password: str, stored: str | None) -> Verdict:
        from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415

        try:
            self._hasher.verify(stored or self._nobody, password[:PASSWORD_MAX])
        except (VerificationError, InvalidHashError):
            return Verdict(right=False)
        if stored is None or len(password) > PASSWORD_MAX:
            return Verdict(right=False)
        if self._hasher.check_needs_rehash(stored):
            return Verdict(right=True, rehashed=self._hasher.hash(password))
        return Verdict(right=True)

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._room <= 0:
            raise Busy("too many passwords are being checked")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._room += 1


def _hash_of_nobody(hasher: "PasswordHasher") -> str:
    """A hash with the hasher's parameters that no password is known to have."""
    salt, digest = (
        base64.b64encode(bytes(octets)).decode().rstrip("=") for octets in (hasher.salt_len, hasher.hash_len)
    )
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2{hasher.type.name.lower()}$v=19${costs}${salt}${digest}"

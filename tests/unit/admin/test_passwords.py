"""Passwords of people."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from trebuchet.admin.passwords import PASSWORD_MAX, Busy, Passwords

pytestmark = pytest.mark.anyio

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(CHEAP)
    yield made
    made.close()


async def test_right_and_wrong(passwords: Passwords) -> None:
    """The password that was hashed is right, any other is wrong, and the hash does not hold it."""
    stored = await passwords.hash("correct horse")
    assert "correct" not in stored
    assert await passwords.verify("correct horse", stored) == (True, None)
    assert await passwords.verify("correct horsf", stored) == (False, None)
    assert await passwords.verify("", stored) == (False, None)


async def test_one_password_has_many_hashes(passwords: Passwords) -> None:
    assert await passwords.hash("correct horse") != await passwords.hash("correct horse")


async def test_nobody_has_no_password(passwords: Passwords) -> None:
    assert await passwords.verify("correct horse", None) == (False, None)
    assert await passwords.verify("correct horse", "") == (False, None)


async def test_a_damaged_hash_lets_nobody_in(passwords: Passwords) -> None:
    assert await passwords.verify("correct horse", "plain text") == (False, None)


@pytest.mark.parametrize("password", ["", "short77", "x" * (PASSWORD_MAX + 1)])
async def test_length(passwords: Passwords, password: str) -> None:
    with pytest.raises(ValueError, match="8 to 1024"):
        await passwords.hash(password)


async def test_the_end_of_a_long_password_counts(passwords: Passwords) -> None:
    """What is longer than any password is not cut to one."""
    stored = await passwords.hash("x" * PASSWORD_MAX)
    assert (await passwords.verify("x" * (PASSWORD_MAX + 1), stored)).right is False


async def test_other_parameters_give_a_new_hash(passwords: Passwords) -> None:
    """A hash of weaker parameters is replaced when its password is known."""
    old = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash("correct horse")
    right, rehashed = await passwords.verify("correct horse", old)
    assert right
    assert rehashed is not None
    assert await passwords.verify("correct horse", rehashed) == (True, None)
    assert await passwords.verify("wrong horse", old) == (False, None)


class Counting(PasswordHasher):
    """Says what was verified, and waits until it may go on."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.go = threading.Event()
        self.seen: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # noqa: A002
        self.seen.append(str(hash))
        assert self.go.wait(10)
        return super().verify(hash, password)


async def test_nobody_costs_a_full_hash() -> None:
    """An unknown name is verified against a hash with the same costs as anybody's."""
    hasher = Counting()
    hasher.go.set()
    passwords = Passwords(hasher)
    await passwords.verify("correct horse", None)
    stored = await passwords.hash("correct horse")
    passwords.close()
    assert hasher.seen[0].split("$")[:4] == stored.split("$")[:4]
    assert [len(part) for part in hasher.seen[0].split("$")] == [len(part) for part in stored.split("$")]


async def test_few_at_once_and_few_waiting() -> None:
    """Beyond those under way and those that wait, one is told to come again; later there is room again."""
    hasher = Counting()
    passwords = Passwords(hasher, at_once=2, waiting_max=1)
    under_way = [asyncio.ensure_future(passwords.verify("correct horse", None)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await passwords.verify("correct horse", None)
    hasher.go.set()
    assert [verdict.right for verdict in await asyncio.gather(*under_way)] == [False] * 3
    assert (await passwords.verify("correct horse", None)).right is False
    passwords.close()

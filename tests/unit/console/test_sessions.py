"""Sessions that a cookie holds."""

import msgspec
import pytest

from trebuchet.console import sessions
from trebuchet.model.account import Role, User

NOW = 1_767_225_600_000
HOUR = 3_600_000
ANN = User(name="ann", role=Role.OPERATOR, password_hash="hash of ann")
BOB = User(name="bob", role=Role.ADMIN, password_hash="hash of bob")
USERS = {"ann": ANN, "bob": BOB}


def user_of(cookie: str, now_ms: int = NOW) -> User | None:
    return sessions.user_of(cookie, USERS, now_ms, HOUR)


def test_a_session_is_its_persons() -> None:
    assert user_of(sessions.sign(ANN, NOW)) == ANN
    assert user_of(sessions.sign(BOB, NOW), NOW + HOUR - 1) == BOB


@pytest.mark.parametrize("age_ms", [HOUR, 10 * HOUR, -60_001])
def test_too_old_or_of_the_future(age_ms: int) -> None:
    assert user_of(sessions.sign(ANN, NOW), NOW + age_ms) is None


def test_a_clock_that_was_set_back_a_little_ends_nothing() -> None:
    assert user_of(sessions.sign(ANN, NOW), NOW - 60_000) == ANN


def test_a_changed_password_ends_all_sessions() -> None:
    cookie = sessions.sign(ANN, NOW)
    renewed = {"ann": msgspec.structs.replace(ANN, password_hash="another")}
    assert sessions.user_of(cookie, renewed, NOW, HOUR) is None
    assert sessions.user_of(cookie, {}, NOW, HOUR) is None


def test_a_changed_role_holds_at_once() -> None:
    changed = {"ann": msgspec.structs.replace(ANN, role=Role.VIEWER)}
    found = sessions.user_of(sessions.sign(ANN, NOW), changed, NOW, HOUR)
    assert found is not None
    assert found.role is Role.VIEWER


MAC = sessions.sign(ANN, NOW).rpartition("|")[2]


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "|",
        "||",
        "ann",
        f"ann|{NOW}",
        f"ann|{NOW}|",
        f"ann|{NOW}|{MAC[:-1]}",
        f"ann|{NOW}|{MAC}0",
        f"ann|{NOW}|{MAC.upper()}",
        f"bob|{NOW}|{MAC}",
        f"ANN|{NOW}|{MAC}",
        f"ann|{NOW + 1}|{MAC}",
        f"ann|0{NOW}|{MAC}",
        f"ann| {NOW}|{MAC}",
        f"ann|-{NOW}|{MAC}",
        f"ann|١{NOW}|{MAC}",
        f"ann|{'9' * 5000}|{MAC}",
        f"ann|{NOW}|{MAC}|",
        f"ann|{NOW}|\udcff",
        f"ann|{NOW}|é",
    ],
)
def test_forged_cookies(cookie: str) -> None:
    assert user_of(cookie) is None


def test_a_token_of_a_form_is_no_session() -> None:
    """What one key signs for one purpose is worth nothing for another."""
    assert sessions.csrf_token(ANN.password_hash, f"ann|{NOW}") != MAC
    assert user_of(f"ann|{NOW}|{sessions.csrf_token(ANN.password_hash, f'ann|{NOW}')}") is None


def test_each_session_has_its_own_token() -> None:
    tokens = {sessions.csrf_token(ANN.password_hash, sessions.sign(ANN, NOW + n)) for n in range(3)}
    assert len(tokens) == 3


def test_the_header() -> None:
    assert sessions.set_cookie("a|1|b", 60, secure=False) == (
        "trebuchet_session=a|1|b; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
    )
    assert sessions.set_cookie("", 0, secure=True).endswith("Max-Age=0; HttpOnly; SameSite=Lax; Secure")

"""Credentials given on the command line or in the environment."""

import pytest

from trebuchet.cli.connection import Login, account_login, admin_client
from trebuchet.cli.outcome import Code, CommandError


def test_three_parts_make_a_login() -> None:
    """They come without defaults for sender and application, and the secret is not in the repr."""
    login = account_login("u-1", "t-1", "hidden", None)
    assert (login.account, login.token, login.secret, login.application) == ("u-1", "t-1", "hidden", None)
    assert "hidden" not in repr(login)


@pytest.mark.parametrize(
    ("parts", "missing"),
    [
        (("u-1", None, None), "TREBUCHET_TOKEN and TREBUCHET_SECRET"),
        ((None, "t-1", "s-1"), "TREBUCHET_ACCOUNT"),
        (("u-1", "t-1", ""), "TREBUCHET_SECRET"),
    ],
)
def test_incomplete_credentials_are_refused(
    parts: tuple[str | None, str | None, str | None], missing: str
) -> None:
    """They are not mixed with those of the first account; what is missing is named."""
    with pytest.raises(CommandError, match=f"set {missing} too") as refused:
        account_login(*parts, None)
    assert refused.value.code is Code.REFUSED


@pytest.mark.parametrize("token", ["a\nb", "tökén"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    """And it is not repeated."""
    with pytest.raises(CommandError, match=r"^the admin token holds characters that no token has$"):
        admin_client("http://127.0.0.1:1", token, None)


def test_logins_of_one_account_are_equal() -> None:
    """A login is a plain value."""
    assert Login("u", "t", "s") == Login("u", "t", "s", None, None)

"""Who is asking: which requests act for an account, and which are refused in what way."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.api.auth import authenticate, basic_credentials
from trebuchet.api.problems import Problem, forbidden, unauthorized
from trebuchet.model.account import Account, Credential, Directory, Profile

SECRET = "s:päß"  # a colon and letters beyond ASCII are allowed in a secret
ACCOUNT = Account(id="u-1")


def credential(
    token: str, secret: str = SECRET, account_id: str = "u-1", revoked_ms: int | None = None
) -> Credential:
    return Credential(
        token=token,
        account_id=account_id,
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        revoked_ms=revoked_ms,
    )


DIRECTORY = Directory(
    accounts=[ACCOUNT, Account(id="u-2")],
    credentials=[
        credential("t-1"),
        credential("t-1b", "another"),
        credential("t-2", account_id="u-2"),
        credential("t-old", revoked_ms=1),
        credential("", "the secret of an empty token"),
    ],
)


def basic(token: str, secret: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{token}:{secret}".encode())


def refusal(
    authorization: bytes | None, account_id: str = "u-1", profile: Profile = Profile.CURRENT
) -> Problem:
    with pytest.raises(Problem) as refused:
        authenticate(DIRECTORY, authorization, account_id, profile)
    return refused.value


@pytest.mark.parametrize(
    "authorization",
    [
        basic("t-1", SECRET),
        basic("t-1b", "another"),
        basic("t-1", SECRET).replace(b"Basic", b"basic"),
        basic("t-1", SECRET).replace(b"Basic", b"BASIC"),
        basic("t-1", SECRET).replace(b" ", b"   "),
        basic("t-1", SECRET) + b" ",
    ],
    ids=["its own", "a second credential", "lower case", "upper case", "several blanks", "a blank behind"],
)
def test_an_account_is_recognised_by_any_of_its_credentials(authorization: bytes) -> None:
    """The scheme is written in any case, as HTTP has it."""
    assert authenticate(DIRECTORY, authorization, "u-1", Profile.CURRENT) is ACCOUNT


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Basic",
        b"Basic ",
        b"Bearer " + base64.b64encode(f"t-1:{SECRET}".encode()),
        b"Basic t-1:secret",
        b"Basic !!!!",
        b"Basic " + base64.b64encode(b"t-1"),
        b"Basic " + base64.b64encode(b"t-1:\xff"),
        b"Basic " + base64.b64encode(f"t-1:{SECRET}".encode())[:-1],
        basic("t-1", "wrong"),
        basic("t-1", ""),
        basic("t-1", SECRET + " "),
        basic("T-1", SECRET),
        basic("nobody", SECRET),
        basic("t-old", SECRET),
        basic("t-1", "another"),
        basic("", ""),
    ],
    ids=[
        "none",
        "empty",
        "a scheme alone",
        "a scheme and a blank",
        "another scheme",
        "not encoded",
        "not base64",
        "no colon",
        "not UTF-8",
        "cut short",
        "a wrong secret",
        "no secret",
        "a blank too many",
        "a token in another case",
        "an unknown token",
        "a revoked credential",
        "another credential's secret",
        "nothing at all",
    ],
)
@pytest.mark.parametrize("profile", Profile)
def test_who_cannot_be_told_is_unauthorized(authorization: bytes | None, profile: Profile) -> None:
    """401 with the challenge, in the account's profile, whatever was wrong."""
    problem, expected = refusal(authorization, profile=profile), unauthorized(profile)
    assert (problem.status, problem.encode(), problem.headers) == (401, expected.encode(), expected.headers)


@pytest.mark.parametrize("account_id", ["u-1", "u-9", "", "U-2"])
@pytest.mark.parametrize("profile", Profile)
def test_another_account_is_forbidden(account_id: str, profile: Profile) -> None:
    """403, whether that account exists or not: credentials do not tell who else is here."""
    problem, expected = refusal(basic("t-2", SECRET), account_id, profile), forbidden(profile)
    assert (problem.status, problem.encode()) == (403, expected.encode())


def test_who_is_nobody_learns_nothing_of_accounts() -> None:
    """Without valid credentials an account that exists and one that does not look the same."""
    wrong = basic("t-1", "wrong")
    assert refusal(wrong, "u-1").encode() == refusal(wrong, "u-9").encode()


def test_a_credential_whose_account_is_gone_is_forbidden() -> None:
    """It is known, and acts for nobody."""
    directory = Directory(credentials=[credential("t-1")])
    with pytest.raises(Problem) as refused:
        authenticate(directory, basic("t-1", SECRET), "u-1", Profile.CURRENT)
    assert refused.value.status == 403


@pytest.mark.parametrize("secret", ["0" * 64, hashlib.sha256(SECRET.encode()).hexdigest()])
def test_a_hash_is_not_a_secret(secret: str) -> None:
    """Neither for a known token nor for an unknown one."""
    assert refusal(basic("t-1", secret)).status == 401
    assert refusal(basic("nobody", secret)).status == 401


# ---- the header ----


@given(token=st.text().filter(lambda token: ":" not in token), secret=st.text())
def test_a_header_reads_back(token: str, secret: str) -> None:
    """The token ends at the first colon; a secret may have more of them."""
    assert basic_credentials(basic(token, secret)) == (token, secret)


@given(st.one_of(st.binary(), st.binary().map(lambda octets: b"Basic " + octets)))
def test_any_octets_are_read_without_an_error(authorization: bytes) -> None:
    """What is no Basic header gives nothing."""
    token, secret = basic_credentials(authorization)
    assert isinstance(token, str)
    assert isinstance(secret, str)

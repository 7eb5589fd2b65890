"""Who is asking: HTTP Basic with an API token and its secret."""

import base64
import binascii
import hashlib
import hmac

from trebuchet.api.problems import Problem, forbidden, unauthorized
from trebuchet.model.account import Account, Credential, Directory, Profile

# Compared against when the token is unknown, so that an unknown token takes as long as a wrong secret.
_NOBODY = Credential(token="", account_id="", secret_sha256="0" * 64)


def authenticate(
    directory: Directory, authorization: bytes | None, account_id: str, profile: Profile
) -> Account:
    """The account that a request acts for. Raises Problem: 401 for no or wrong credentials, 403 for credentials
    of another account (an account that does not exist is told apart from nobody's)."""
    token, secret = basic_credentials(authorization)
    credential = directory.credentials.get(token, _NOBODY)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    if not hmac.compare_digest(digest, credential.secret_sha256):
        raise unauthorized(profile)
    account = directory.accounts.get(account_id)
    if account is None or credential.account_id != account_id:
        raise forbidden(profile)
    return account


def basic_credentials(authorization: bytes | None) -> tuple[str, str]:
    """Token and secret of a Basic header; two empty strings if there is none that can be read."""
    if authorization is None or authorization[:6].lower() != b"basic ":
        return "", ""
    try:
        token, colon, secret = (
            base64.b64decode(authorization[6:].strip(), validate=True).decode().partition(":")
        )
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (token, secret) if colon else ("", "")


__all__ = ["Problem", "authenticate", "basic_credentials"]

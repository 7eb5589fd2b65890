"""Tokens and secrets: how they are made, kept and compared. Pure; randomness is a parameter."""

import base64
import hashlib
import hmac
from collections.abc import Callable

RandomBytes = Callable[[int], bytes]


def new_token(random_bytes: RandomBytes) -> str:
    """An API token: `t-` and 120 random bits."""
    return "t-" + _text(random_bytes, 15)


def new_secret(random_bytes: RandomBytes) -> str:
    """A secret of 160 random bits, which needs no slow hash."""
    return _text(random_bytes, 20)


def new_account_id(random_bytes: RandomBytes) -> str:
    return "u-" + _text(random_bytes, 15)


def new_signing_secret(random_bytes: RandomBytes) -> str:
    """A Standard Webhooks secret: `whsec_` and 24 random octets in base64."""
    return "whsec_" + base64.b64encode(random_bytes(24)).decode()


def secret_sha256(secret: str) -> str:
    """The form in which a secret is stored, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def verify(secret: str, sha256_hex: str) -> bool:
    """Whether `secret` is the one that was stored, in constant time."""
    return hmac.compare_digest(secret_sha256(secret), sha256_hex)


def _text(random_bytes: RandomBytes, octets: int) -> str:
    return base64.b32encode(random_bytes(octets)).decode().lower().rstrip("=")

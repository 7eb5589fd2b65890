"""Tokens and secrets are long, different, and only compared as hashes."""

import base64
import os
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.contexts import context
from trebuchet.admin.secrets import (
    RandomBytes,
    new_account_id,
    new_secret,
    new_signing_secret,
    new_token,
    secret_sha256,
    verify,
)


@pytest.mark.parametrize(
    ("make", "form", "bits"),
    [
        (new_token, r"t-[a-z2-7]{24}", 120),
        (new_secret, r"[a-z2-7]{32}", 160),
        (new_account_id, r"u-[a-z2-7]{24}", 120),
        (new_signing_secret, r"whsec_[A-Za-z0-9+/]{32}", 192),
    ],
)
def test_each_has_its_form_and_its_bits(make: Callable[[RandomBytes], str], form: str, bits: int) -> None:
    """Nothing but the given random octets goes into it, and as many as it promises."""
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return os.urandom(count)

    first, second = make(random_bytes), make(random_bytes)
    assert re.fullmatch(form, first)
    assert first != second
    assert sum(asked) == 2 * bits // 8


def test_a_signing_secret_holds_its_octets() -> None:
    """As Standard Webhooks has it: base64 of the key after the prefix."""
    key = bytes(range(24))
    assert base64.b64decode(new_signing_secret(lambda _: key).removeprefix("whsec_")) == key


def test_a_secret_is_stored_as_sha256_in_hex() -> None:
    """The known hash of a known text (FIPS 180-4, example of one block)."""
    assert secret_sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(secret=st.text(st.characters(codec="utf-8")), other=st.text(st.characters(codec="utf-8")))
def test_only_the_secret_itself_verifies(secret: str, other: str) -> None:
    """Any text can be a secret, and no other text passes for it."""
    assert verify(secret, secret_sha256(secret))
    assert verify(other, secret_sha256(secret)) == (other == secret)


def test_the_admin_token_is_not_in_the_repr_of_the_context() -> None:
    """What is printed by accident gives nothing away."""
    assert "the-token" not in repr(context())

"""Sessions without state in the gateway: a cookie that the hash of the person's password signs.

A changed password, and a removed person, end all sessions of that person. Pure: time is handed in.
"""

import hashlib
import hmac
from collections.abc import Mapping

from trebuchet.model.account import User

COOKIE = "trebuchet_session"
_AHEAD_MAX_MS = 60_000  # a clock that was set back by no more ends no session


def sign(user: User, now_ms: int) -> str:
    """The value of the cookie of a session that begins now."""
    return f"{user.name}|{now_ms}|{_mac(user.password_hash, f'session|{user.name}|{now_ms}')}"


def user_of(cookie: str, users: Mapping[str, User], now_ms: int, max_age_ms: int) -> User | None:
    """Whose session a cookie is; None if it is nobody's or too old."""
    name, _, rest = cookie.partition("|")
    issued, _, mac = rest.partition("|")
    user = users.get(name)
    if user is None or not (issued.isascii() and issued.isdigit() and len(issued) <= 15):
        return None
    if not same(mac, _mac(user.password_hash, f"session|{name}|{issued}")):
        return None
    age_ms = now_ms - int(issued)
    return user if -_AHEAD_MAX_MS <= age_ms < max_age_ms else None


def csrf_token(key: str, session: str) -> str:
    """What a form of this session must bring along. `key`: the hash of the person's password, or a secret of the
    gateway where nobody logs in."""
    return _mac(key, f"csrf|{session}")


def same(given: str, wanted: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def set_cookie(value: str, max_age_s: int, *, secure: bool) -> str:
    """The `Set-Cookie` header that begins a session, or ends it with an empty value and 0. `secure`: over TLS."""
    return f"{COOKIE}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax" + (
        "; Secure" if secure else ""
    )


def _mac(key: str, what: str) -> str:
    return hmac.new(key.encode(), what.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()

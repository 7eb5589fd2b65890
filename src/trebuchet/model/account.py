"""Who may send what as whom: the records that are provisioned, and one immutable-by-convention index of them."""

import enum
from collections.abc import Iterable
from typing import Any

import msgspec


class Profile(enum.StrEnum):
    """Which generation of the API an account is spoken to in (`docs/reference/profiles.md`)."""

    CATAPULT = "catapult"  # 2018: path /v2, text echoed in callbacks
    CURRENT = "current"  # since 2019: path /api/v2, text empty in delivery callbacks


class NumberKind(enum.StrEnum):
    E164 = "e164"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"


class CallbackAuth(enum.StrEnum):
    PREEMPTIVE = "preemptive"  # credentials with every POST
    CHALLENGE = "challenge"  # credentials only after a 401 with WWW-Authenticate


class InDoubt(enum.StrEnum):
    """What becomes of a delivery whose submit was never answered."""

    RESEND = "resend"  # submit again: may reach the handset twice
    FAIL = "fail"  # wait for a late receipt, then fail with 5630: may be reported lost though it arrived


class Role(enum.StrEnum):
    """What a person may do in the console; each role may also do what the one before it may."""

    VIEWER = "viewer"  # look
    OPERATOR = "operator"  # send, replay, pause, use handsets
    ADMIN = "admin"  # set up


class Account(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str = ""
    profile: Profile | None = None  # None: by the path prefix of the request
    segments_per_s: float | None = None  # None: no rate limit
    created_ms: int = 0


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A token with the SHA-256 of its secret; the secret itself is never stored."""

    token: str
    account_id: str
    secret_sha256: str
    label: str = ""
    created_ms: int = 0
    revoked_ms: int | None = None

    def __repr__(self) -> str:
        return f"Credential(token={self.token!r}, account_id={self.account_id!r})"


class Application(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    account_id: str
    name: str = ""
    callback_url: str | None = None
    callback_username: str | None = None
    callback_password: str | None = None
    callback_auth: CallbackAuth = CallbackAuth.PREEMPTIVE
    events: tuple[str, ...] | None = None  # None: every event
    signing_secret: str | None = None  # Standard Webhooks `whsec_…`; None: unsigned
    opt_out: bool = False  # STOP, START and HELP are handled for this application
    help_text: str = ""
    created_ms: int = 0
    smart_encoding: bool = False  # typographic characters become GSM ones if that makes a text GSM-7

    def __repr__(self) -> str:
        return f"Application(id={self.id!r}, account_id={self.account_id!r}, name={self.name!r})"


class Number(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    kind: NumberKind
    account_id: str
    application_id: str
    segments_per_s: float | None = None
    created_ms: int = 0


class Carrier(msgspec.Struct, frozen=True, kw_only=True):
    """A configured link. `settings` is checked by the carrier kind's own settings type."""

    id: str
    kind: str
    in_doubt: InDoubt = InDoubt.FAIL
    receipt_timeout_s: int | None = None  # None: the gateway's default
    paused: bool = False
    settings: dict[str, Any] = {}
    created_ms: int = 0


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Recipients that start with `prefix` ("" = all) go to `carrier_id`. Longest prefix, then lowest priority."""

    id: str
    carrier_id: str
    prefix: str = ""
    kind: str = "any"  # "sms", "mms" or "any"
    priority: int = 100
    created_ms: int = 0


class OptOut(msgspec.Struct, frozen=True, kw_only=True):
    """A handset that answered STOP to one of our numbers."""

    number: str
    handset: str
    created_ms: int = 0


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person who may log in to the console, with the argon2 hash of the password."""

    name: str
    role: Role
    password_hash: str
    created_ms: int = 0

    def __repr__(self) -> str:
        return f"User(name={self.name!r}, role={self.role.value!r})"


class Directory:
    """An index over all provisioned records, rebuilt whenever one of them changes. Read only."""

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        credentials: Iterable[Credential] = (),
        applications: Iterable[Application] = (),
        numbers: Iterable[Number] = (),
        carriers: Iterable[Carrier] = (),
        routes: Iterable[Route] = (),
        opt_outs: Iterable[OptOut] = (),
        users: Iterable[User] = (),
    ) -> None:
        self.accounts = {a.id: a for a in accounts}
        self.credentials: dict[str, Credential] = {}
        self.revoked: dict[str, Credential] = {}
        for credential in credentials:
            valid = credential.revoked_ms is None
            (self.credentials if valid else self.revoked)[credential.token] = credential
        self.applications = {a.id: a for a in applications}
        self.numbers = {n.number: n for n in numbers}
        self.carriers = {c.id: c for c in carriers}
        self.routes = tuple(sorted(routes, key=lambda r: (-len(r.prefix), r.priority, r.id)))
        self.opt_out_records = {(o.number, o.handset): o for o in opt_outs}
        self.opt_outs = self.opt_out_records.keys()
        self.users = {u.name: u for u in users}

"""The kinds of provisioned records: each is a row that says how it is read, checked, completed and shown.

All of it is decision: a request's fields and the directory become a record, or the list of all that is wrong
with them. The store checks references once more, because another request may have come first.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from trebuchet.admin.context import AdminContext
from trebuchet.admin.requests import read_fields
from trebuchet.admin.secrets import RandomBytes, new_account_id, new_signing_secret
from trebuchet.api.problems import FieldError, invalid
from trebuchet.carriers import kept_settings, shown_settings
from trebuchet.model.account import (
    Account,
    Application,
    CallbackAuth,
    Carrier,
    Directory,
    InDoubt,
    Number,
    OptOut,
    Profile,
    Route,
)
from trebuchet.model.address import kind_of, normalise_e164, normalise_sender
from trebuchet.model.events import EventType
from trebuchet.storage.base import Record
from trebuchet.webclient import UrlRefused, parse_url

# \Z, because $ would let a line feed through at the end.
_Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}\Z")]
_Text = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
# HTTP Basic parts name and password at the first colon (RFC 7617, section 2).
_UserName = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f:]*\Z")]
# One segment in a quarter of an hour fills a paced queue; slower than that is a mistake.
_Rate = Annotated[float, Meta(ge=0.001, le=1_000_000)]
_Prefix = Annotated[str, Meta(pattern=r"^(\+[0-9]{0,15}|[0-9]{1,6})?\Z")]
_Telephone = Annotated[str, Meta(max_length=32)]


class AccountFields(msgspec.Struct, kw_only=True):
    id: _Id | UnsetType = UNSET
    name: _Text | UnsetType = UNSET
    profile: Profile | UnsetType | None = UNSET
    segments_per_s: _Rate | UnsetType | None = UNSET


class CredentialFields(msgspec.Struct, kw_only=True):
    label: _Text = ""


class ApplicationFields(msgspec.Struct, kw_only=True):
    id: _Id | UnsetType = UNSET
    account_id: _Id | UnsetType = UNSET
    name: _Text | UnsetType = UNSET
    callback_url: Annotated[str, Meta(max_length=2048)] | UnsetType | None = UNSET
    callback_username: _UserName | UnsetType | None = UNSET
    callback_password: _Text | UnsetType | None = UNSET
    callback_auth: CallbackAuth | UnsetType = UNSET
    events: tuple[EventType, ...] | UnsetType | None = UNSET
    rotate_signing_secret: bool | UnsetType = UNSET
    opt_out: bool | UnsetType = UNSET
    help_text: _Text | UnsetType = UNSET
    smart_encoding: bool | UnsetType = UNSET


class NumberFields(msgspec.Struct, kw_only=True):
    number: _Telephone | UnsetType = UNSET
    account_id: _Id | UnsetType = UNSET
    application_id: _Id | UnsetType = UNSET
    segments_per_s: _Rate | UnsetType | None = UNSET


class CarrierFields(msgspec.Struct, kw_only=True):
    id: _Id | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    in_doubt: InDoubt | UnsetType = UNSET
    receipt_timeout_s: Annotated[int, Meta(ge=1, le=2_592_000)] | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET


class RouteFields(msgspec.Struct, kw_only=True):
    id: _Id | UnsetType = UNSET
    carrier_id: _Id | UnsetType = UNSET
    prefix: _Prefix | UnsetType = UNSET
    kind: Literal["sms", "mms", "any"] | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET


class OptOutFields(msgspec.Struct, kw_only=True):
    number: _Telephone | UnsetType = UNSET
    handset: _Telephone | UnsetType = UNSET


class Draft(msgspec.Struct):
    """A record in the making. `once` are the secrets that the answer shows, and no later one."""

    given: dict[str, Any]
    errors: list[FieldError]
    once: dict[str, str]

    def wrong(self, name: str, what: str) -> None:
        self.errors.append(FieldError(name, f"'{name}' {what}"))

    def check(self) -> None:
        """Raises Problem if anything is wrong."""
        if self.errors:
            raise invalid(self.errors)

    def known(self, name: str, records: Mapping[str, Any], what: str) -> Any:
        """The record that a field refers to; None if it is noted as wrong."""
        found = records.get(self.given[name]) if name in self.given else None
        if name in self.given and found is None:
            self.wrong(name, f"names no {what} that there is: {self.given[name]}")
        return found


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of record, under `path`. `key` fields name one of them.

    `needed` fields must be given at creation, `fixed` ones cannot be changed after it.
    """

    path: str
    noun: str
    key: tuple[str, ...]
    fields: type[msgspec.Struct]
    record: type[Record]
    all: Callable[[Directory], Mapping[Any, Any]]
    needed: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    make_id: Callable[[RandomBytes], str] | None = None
    complete: Callable[[Draft, AdminContext], None] | None = None
    changeable: bool = True
    bulk: bool = False

    def named(self, context: AdminContext, given: Mapping[str, str]) -> Any:
        """The record that the parameters of a path name, or None."""
        key = tuple(_NORMAL.get(name, str)(given[name]) or given[name] for name in self.key)
        return self.all(context.directory()).get(key[0] if len(key) == 1 else key)

    def key_of(self, record: Any) -> str:
        """Its key in one piece, by which lists are sorted and paged."""
        return "/".join(getattr(record, name) for name in self.key)


# How a key that a person wrote becomes the key as stored.
_NORMAL: dict[str, Callable[[str], str | None]] = {"number": normalise_sender, "handset": normalise_e164}


def new(resource: Resource, body: Any, context: AdminContext) -> tuple[Record, dict[str, str]]:
    """A record from a request's fields, with the secrets to show. Raises Problem that lists all that is wrong."""
    given, errors = read_fields(body, resource.fields, resource.needed)
    if resource.make_id is not None:
        given.setdefault("id", resource.make_id(context.random_bytes))
    draft = Draft(given, errors, {})
    if resource.complete is not None:
        resource.complete(draft, context)
    draft.check()
    made: Record = resource.record(**draft.given, created_ms=context.clock.now_ms())
    return made, draft.once


def changed(
    resource: Resource, record: Record, body: Any, context: AdminContext
) -> tuple[Record, dict[str, str]]:
    """A record with the fields of a request in place of its own. Raises Problem that lists all that is wrong."""
    given, errors = read_fields(body, resource.fields)
    before = {name: getattr(record, name) for name in record.__struct_fields__}
    if isinstance(record, Carrier) and "settings" in given:
        given["settings"] = kept_settings(record.kind, given["settings"], record.settings)
    draft = Draft({**before, **given}, errors, {})
    for name in (*resource.key, *resource.fixed):
        if name in given and given[name] != before[name]:
            draft.wrong(name, "cannot be changed")
            draft.given[name] = before[name]
    if resource.complete is not None:
        resource.complete(draft, context)
    draft.check()
    return type(record)(**draft.given), draft.once


SECRETS = ("callback_password", "signing_secret")


def shown(record: Any) -> dict[str, Any]:
    """A record without its secrets, which are only said to be set or not."""
    values: dict[str, Any] = msgspec.to_builtins({n: getattr(record, n) for n in record.__struct_fields__})
    values.pop("secret_sha256", None)
    values.pop("password_hash", None)
    if isinstance(record, Carrier):
        values["settings"] = shown_settings(record.kind, values["settings"])
    for secret in SECRETS:
        if secret in values:
            values[f"{secret}_set"] = values.pop(secret) is not None
    return values


# ---- what each kind checks and completes ----


def _complete_application(draft: Draft, context: AdminContext) -> None:
    draft.known("account_id", context.directory().accounts, "account")
    if draft.given.get("callback_url") is not None:
        try:
            parse_url(draft.given["callback_url"])
        except UrlRefused as error:
            draft.wrong("callback_url", f"cannot be called: {error}")
    if draft.given.pop("rotate_signing_secret", False):
        secret = new_signing_secret(context.random_bytes)
        draft.given["signing_secret"] = draft.once["signing_secret"] = secret


def _complete_number(draft: Draft, context: AdminContext) -> None:
    given = draft.given
    if "number" in given:
        kind, number = kind_of(given["number"]), normalise_sender(given["number"])
        if kind is None or number is None:
            draft.wrong(
                "number",
                "must be an E.164 number, a short code of 5 or 6 digits, or up to 11 letters and digits",
            )
        given["number"], given["kind"] = number, kind
    application = draft.known("application_id", context.directory().applications, "application")
    if application is not None and given.setdefault("account_id", application.account_id) != (
        application.account_id
    ):
        draft.wrong("application_id", f"belongs to account {application.account_id}")


def _complete_carrier(draft: Draft, context: AdminContext) -> None:
    if "kind" not in draft.given:
        return
    check = context.carrier_kinds.get(draft.given["kind"])
    if check is None:
        draft.wrong("kind", f"must be one of {', '.join(sorted(context.carrier_kinds))}")
        return
    try:
        check(draft.given.get("settings", {}))
    except ValueError as error:
        draft.wrong("settings", f"do not fit: {error}")
    if draft.given["kind"] in context.safe_to_repeat:
        draft.given.setdefault("in_doubt", InDoubt.RESEND)


def _complete_route(draft: Draft, context: AdminContext) -> None:
    draft.known("carrier_id", context.directory().carriers, "carrier")


def _complete_opt_out(draft: Draft, context: AdminContext) -> None:
    given = draft.given
    if "number" in given:
        given["number"] = normalise_sender(given["number"]) or given["number"]
        draft.known("number", context.directory().numbers, "number")
    if "handset" in given:
        handset = normalise_e164(given["handset"])
        if handset is None:
            draft.wrong("handset", "must be an E.164 number")
        given["handset"] = handset


def _uuid(random_bytes: RandomBytes) -> str:
    return str(uuid.UUID(bytes=random_bytes(16), version=4))


ACCOUNTS = Resource(
    path="accounts",
    noun="account",
    key=("id",),
    fields=AccountFields,
    record=Account,
    all=lambda directory: directory.accounts,
    make_id=new_account_id,
)
CARRIERS = Resource(
    path="carriers",
    noun="carrier",
    key=("id",),
    fields=CarrierFields,
    record=Carrier,
    all=lambda directory: directory.carriers,
    needed=("id", "kind"),
    fixed=("kind",),
    complete=_complete_carrier,
)
RESOURCES = (
    ACCOUNTS,
    Resource(
        path="applications",
        noun="application",
        key=("id",),
        fields=ApplicationFields,
        record=Application,
        all=lambda directory: directory.applications,
        needed=("account_id",),
        fixed=("account_id",),
        make_id=_uuid,
        complete=_complete_application,
    ),
    Resource(
        path="numbers",
        noun="number",
        key=("number",),
        fields=NumberFields,
        record=Number,
        all=lambda directory: directory.numbers,
        needed=("number", "application_id"),
        complete=_complete_number,
        bulk=True,
    ),
    CARRIERS,
    Resource(
        path="routes",
        noun="route",
        key=("id",),
        fields=RouteFields,
        record=Route,
        all=lambda directory: {route.id: route for route in directory.routes},
        needed=("carrier_id",),
        make_id=_uuid,
        complete=_complete_route,
    ),
    Resource(
        path="opt-outs",
        noun="opt-out",
        key=("number", "handset"),
        fields=OptOutFields,
        record=OptOut,
        all=lambda directory: directory.opt_out_records,
        needed=("number", "handset"),
        complete=_complete_opt_out,
        changeable=False,
    ),
)

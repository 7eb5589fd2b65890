"""The provisioned records: each kind is a row that says how it is read, made, changed and shown.

A record is checked against the directory before it is written, so that an answer can name the field; the store
checks again, because another request may have come first.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from trebuchet.admin import requests as ask
from trebuchet.admin.answers import answer, no_content
from trebuchet.admin.context import AdminContext
from trebuchet.admin.secrets import (
    RandomBytes,
    new_account_id,
    new_secret,
    new_signing_secret,
    new_token,
    secret_sha256,
)
from trebuchet.api.problems import invalid_field, not_found
from trebuchet.api.routing import Handler, route
from trebuchet.model.account import (
    Account,
    Application,
    CallbackAuth,
    Carrier,
    Credential,
    Directory,
    InDoubt,
    Number,
    NumberKind,
    OptOut,
    Profile,
    Route,
)
from trebuchet.model.address import kind_of, normalise_e164, normalise_sender
from trebuchet.model.events import EventType
from trebuchet.storage.base import Change, Create, Record, Remove
from trebuchet.webclient import UrlRefused, parse_url

_Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]{1,64}$")]
_Text = Annotated[str, Meta(max_length=256, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Rate = Annotated[float, Meta(gt=0, le=1_000_000)]
_Prefix = Annotated[str, Meta(pattern=r"^(\+[0-9]{0,15}|[0-9]{1,6})?$")]


class _Account(msgspec.Struct, kw_only=True):
    id: _Id | UnsetType = UNSET
    name: _Text | UnsetType = UNSET
    profile: Profile | UnsetType | None = UNSET
    segments_per_s: _Rate | UnsetType | None = UNSET


class _Application(msgspec.Struct, kw_only=True):
    id: _Id | UnsetType = UNSET
    account_id: _Id | UnsetType = UNSET
    name: _Text | UnsetType = UNSET
    callback_url: Annotated[str, Meta(max_length=2048)] | UnsetType | None = UNSET
    callback_username: _Text | UnsetType | None = UNSET
    callback_password: _Text | UnsetType | None = UNSET
    callback_auth: CallbackAuth | UnsetType = UNSET
    events: tuple[EventType, ...] | UnsetType | None = UNSET
    rotate_signing_secret: bool | UnsetType = UNSET
    opt_out: bool | UnsetType = UNSET
    help_text: _Text | UnsetType = UNSET


class _Number(msgspec.Struct, kw_only=True):
    number: Annotated[str, Meta(max_length=32)] | UnsetType = UNSET
    account_id: _Id | UnsetType = UNSET
    application_id: _Id | UnsetType = UNSET
    segments_per_s: _Rate | UnsetType | None = UNSET


class _Carrier(msgspec.Struct, kw_only=True):
    id: _Id | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    in_doubt: InDoubt | UnsetType = UNSET
    receipt_timeout_s: Annotated[int, Meta(ge=1, le=2_592_000)] | UnsetType | None = UNSET
    paused: bool | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET


class _Route(msgspec.Struct, kw_only=True):
    id: _Id | UnsetType = UNSET
    carrier_id: _Id | UnsetType = UNSET
    prefix: _Prefix | UnsetType = UNSET
    kind: Annotated[str, Meta(pattern="^(sms|mms|any)$")] | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET


class _OptOut(msgspec.Struct, kw_only=True):
    number: str | UnsetType = UNSET
    handset: str | UnsetType = UNSET


class _Credential(msgspec.Struct, kw_only=True):
    label: _Text | UnsetType = UNSET


class Resource(msgspec.Struct, frozen=True):
    """One kind of record. `fixed` fields can be given at creation only; `needed` ones must be."""

    path: str
    key: tuple[str, ...]
    body: type[msgspec.Struct]
    record: Callable[..., Any]
    all: Callable[[Directory], Iterable[Any]]
    needed: tuple[str, ...]
    fixed: tuple[str, ...]
    make_id: Callable[[RandomBytes], str] | None = None
    complete: Callable[["Admin", dict[str, Any], dict[str, str]], None] | None = None


class Admin:
    """The handlers of all resources over one context."""

    def __init__(self, context: AdminContext) -> None:
        self.context = context

    async def save(self, change: Create | Change | Remove) -> None:
        await self.context.write(change)
        await self.context.reload()

    def list(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            given = ask.query(request, "limit", "after")
            most = ask.limit(given)
            rows = sorted(resource.all(self.context.directory()), key=lambda row: _key(resource, row))
            after = given.get("after", "")
            page = [row for row in rows if "/".join(_key(resource, row)) > after][: most + 1]
            items = [shown(row) for row in page[:most]]
            more = {"next": "/".join(_key(resource, page[most - 1]))} if len(page) > most else {}
            return answer({"items": items, **more})

        return handler

    def create(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            bulk = resource.path == "numbers"
            body = await ask.read_json(request, ask.BULK_MAX if bulk else ask.BODY_MAX)
            if bulk and isinstance(body, list):
                changes = [Create(self._new(resource, one)[0]) for one in body]
                for future in [self.context.write(change) for change in changes]:
                    await future
                await self.context.reload()
                return answer({"items": [shown(change.record) for change in changes]}, 201)
            record, secrets = self._new(resource, body)
            await self.save(Create(record))
            return answer({**shown(record), **secrets}, 201)

        return handler

    def _new(self, resource: Resource, body: Any) -> tuple[Record, dict[str, str]]:
        given = _given(ask.convert(body, resource.body))
        for name in resource.needed:
            if given.get(name) in (None, ""):
                raise invalid_field(name, f"'{name}' is required")
        if resource.make_id is not None:
            given.setdefault("id", resource.make_id(self.context.random_bytes))
        secrets: dict[str, str] = {}
        if resource.complete is not None:
            resource.complete(self, given, secrets)
        return resource.record(**given, created_ms=self.context.clock.now_ms()), secrets

    def get(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            return answer(shown(self._find(resource, request)))

        return handler

    def change(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            record = self._find(resource, request)
            given = _given(ask.convert(await ask.read_json(request), resource.body))
            for name in (*resource.key, *resource.fixed):
                if name in given and given[name] != getattr(record, name):
                    raise invalid_field(name, f"'{name}' cannot be changed")
            secrets: dict[str, str] = {}
            whole = {**{n: getattr(record, n) for n in record.__struct_fields__}, **given}
            if resource.complete is not None:
                resource.complete(self, whole, secrets)
            changed = type(record)(**whole)
            await self.save(Change(changed))
            return answer({**shown(changed), **secrets})

        return handler

    def delete(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            await self.save(Remove(self._find(resource, request)))
            return no_content()

        return handler

    def pause(self, *, paused: bool) -> Handler:
        async def handler(request: Request) -> Response:
            record = self._find(CARRIERS, request)
            changed = msgspec.structs.replace(record, paused=paused)
            await self.save(Change(changed))
            return answer(shown(changed))

        return handler

    def _find(self, resource: Resource, request: Request) -> Any:
        wanted = tuple(request.path_params[name] for name in resource.key)
        if resource.key[0] == "number":
            wanted = (normalise_sender(wanted[0]) or wanted[0], *wanted[1:])
        for record in resource.all(self.context.directory()):
            if _key(resource, record) == wanted:
                return record
        raise not_found(request.url.path, self.context.clock.now_ms())

    # ---- credentials belong to an account ----

    async def list_credentials(self, request: Request) -> Response:
        account = self._find(ACCOUNTS, request)
        credentials = self.context.directory().credentials.values()
        return answer({"items": [shown(c) for c in credentials if c.account_id == account.id]})

    async def create_credential(self, request: Request) -> Response:
        account = self._find(ACCOUNTS, request)
        given = _given(ask.convert(await ask.read_json(request), _Credential))
        secret = new_secret(self.context.random_bytes)
        credential = Credential(
            token=new_token(self.context.random_bytes),
            account_id=account.id,
            secret_sha256=secret_sha256(secret),
            created_ms=self.context.clock.now_ms(),
            **given,
        )
        await self.save(Create(credential))
        return answer({**shown(credential), "secret": secret}, 201)

    async def revoke_credential(self, request: Request) -> Response:
        account = self._find(ACCOUNTS, request)
        credential = self.context.directory().credentials.get(request.path_params["token"])
        if credential is None or credential.account_id != account.id:
            raise not_found(request.url.path, self.context.clock.now_ms())
        revoked = msgspec.structs.replace(credential, revoked_ms=self.context.clock.now_ms())
        await self.save(Change(revoked))
        return no_content()


def _given(body: msgspec.Struct) -> dict[str, Any]:
    """The fields that a body has."""
    values = {name: getattr(body, name) for name in body.__struct_fields__}
    return {name: value for name, value in values.items() if value is not UNSET}


def _key(resource: Resource, record: Any) -> tuple[str, ...]:
    return tuple(getattr(record, name) for name in resource.key)


def shown(record: Any) -> dict[str, Any]:
    """A record without its secrets, which are said to be set or not."""
    values: dict[str, Any] = msgspec.to_builtins({n: getattr(record, n) for n in record.__struct_fields__})
    values.pop("secret_sha256", None)
    for secret in ("callback_password", "signing_secret"):
        if secret in values:
            values[f"{secret}_set"] = values.pop(secret) is not None
    return values


# ---- what each kind checks and completes ----


def _known(records: Mapping[str, Any], name: str, given: dict[str, Any]) -> Any:
    found = records.get(given[name])
    if found is None:
        raise invalid_field(name, f"'{name}': there is no '{given[name]}'")
    return found


def _complete_application(admin: Admin, given: dict[str, Any], secrets: dict[str, str]) -> None:
    _known(admin.context.directory().accounts, "account_id", given)
    if given.get("callback_url") is not None:
        try:
            parse_url(given["callback_url"])
        except UrlRefused as error:
            raise invalid_field("callback_url", f"'callback_url': {error}") from None
    if given.pop("rotate_signing_secret", False):
        given["signing_secret"] = secrets["signing_secret"] = new_signing_secret(admin.context.random_bytes)


def _complete_number(admin: Admin, given: dict[str, Any], _: dict[str, str]) -> None:
    kind = kind_of(given["number"])
    number = normalise_sender(given["number"])
    if kind is None or number is None:
        raise invalid_field(
            "number",
            "'number' must be an E.164 number, a short code of 5 or 6 digits, or up to 11 letters and digits",
        )
    application = _known(admin.context.directory().applications, "application_id", given)
    given.setdefault("account_id", application.account_id)
    if given["account_id"] != application.account_id:
        raise invalid_field("application_id", "'application_id' belongs to another account")
    given["number"], given["kind"] = number, NumberKind(kind)


def _complete_carrier(admin: Admin, given: dict[str, Any], _: dict[str, str]) -> None:
    check = admin.context.carrier_kinds.get(given["kind"])
    if check is None:
        kinds = ", ".join(sorted(admin.context.carrier_kinds))
        raise invalid_field("kind", f"there is no carrier kind '{given['kind']}'; known: {kinds}")
    try:
        check(given.get("settings", {}))
    except ValueError as error:
        raise invalid_field("settings", f"'settings': {error}") from None


def _complete_route(admin: Admin, given: dict[str, Any], _: dict[str, str]) -> None:
    _known(admin.context.directory().carriers, "carrier_id", given)


def _complete_opt_out(admin: Admin, given: dict[str, Any], _: dict[str, str]) -> None:
    given["number"] = normalise_sender(given["number"]) or given["number"]
    _known(admin.context.directory().numbers, "number", given)
    handset = normalise_e164(given["handset"])
    if handset is None:
        raise invalid_field("handset", "'handset' must be an E.164 number")
    given["handset"] = handset


def _uuid(random_bytes: RandomBytes) -> str:
    return str(uuid.UUID(bytes=random_bytes(16), version=4))


def _all_opt_outs(directory: Directory) -> Iterable[OptOut]:
    return (OptOut(number=number, handset=handset) for number, handset in directory.opt_outs)


ACCOUNTS = Resource(
    "accounts", ("id",), _Account, Account, lambda d: d.accounts.values(), (), (), new_account_id
)
CARRIERS = Resource(
    "carriers",
    ("id",),
    _Carrier,
    Carrier,
    lambda d: d.carriers.values(),
    ("id", "kind"),
    ("kind",),
    None,
    _complete_carrier,
)
RESOURCES = (
    ACCOUNTS,
    Resource(
        "applications", ("id",), _Application, Application, lambda d: d.applications.values(),
        ("account_id",), ("account_id",), _uuid, _complete_application,
    ),
    Resource(
        "numbers", ("number",), _Number, Number, lambda d: d.numbers.values(),
        ("number", "application_id"), (), None, _complete_number,
    ),
    CARRIERS,
    Resource(
        "routes", ("id",), _Route, Route, lambda d: d.routes, ("carrier_id",), (), _uuid, _complete_route
    ),
    Resource(
        "opt-outs", ("number", "handset"), _OptOut, OptOut, _all_opt_outs,
        ("number", "handset"), (), None, _complete_opt_out,
    ),
)  # fmt: skip


def routes(context: AdminContext) -> list[HttpRoute]:
    """The routes of all resources."""
    admin = Admin(context)
    found: list[HttpRoute] = []
    for resource in RESOURCES:
        base = f"/{resource.path}"
        one = base + "".join(f"/{{{name}}}" for name in resource.key)
        handlers = {"GET": admin.get(resource), "DELETE": admin.delete(resource)}
        if resource.path != "opt-outs":  # there is nothing to change in one
            handlers["PATCH"] = admin.change(resource)
        found += [
            route(base, GET=admin.list(resource), POST=admin.create(resource)),
            route(one, **handlers),
        ]
    return [
        *found,
        route("/carriers/{id}/pause", POST=admin.pause(paused=True)),
        route("/carriers/{id}/resume", POST=admin.pause(paused=False)),
        route("/accounts/{id}/credentials", GET=admin.list_credentials, POST=admin.create_credential),
        route("/accounts/{id}/credentials/{token}", DELETE=admin.revoke_credential),
    ]

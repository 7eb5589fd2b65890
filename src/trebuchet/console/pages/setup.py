"""Set-up: the provisioned records, who may log in, what was changed by whom, and the settings in force."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trebuchet.admin.records import RESOURCES, Resource, changed, new, shown
from trebuchet.admin.resources import Admin
from trebuchet.api.body import read_body
from trebuchet.api.problems import Problem
from trebuchet.carriers import kind_of
from trebuchet.carriers.described import KINDS
from trebuchet.clock import iso_ms
from trebuchet.console.context import ConsoleContext
from trebuchet.console.forms import fields_of, lists_of
from trebuchet.console.recordforms import FormField, body_of_form, fields_of_record, with_errors
from trebuchet.console.render import Page, Pages, person_of, see_other
from trebuchet.errors import TrebuchetError
from trebuchet.model.account import Role
from trebuchet.model.address import normalise_sender
from trebuchet.model.message import Kind
from trebuchet.routing import rule_for
from trebuchet.storage.base import Change, Create, Remove

_FORM_MAX = 65_536
_SHOWN_MAX = 500
_AUDIT_MAX = 200
# Kind of record → the columns of its list.
_COLUMNS = {
    "accounts": ("id", "name", "profile", "segments_per_s"),
    "applications": ("id", "name", "account_id", "callback_url", "opt_out"),
    "numbers": ("number", "kind", "account_id", "application_id", "segments_per_s"),
    "carriers": ("id", "kind", "in_doubt", "paused"),
    "routes": ("id", "prefix", "kind", "carrier_id", "priority"),
    "opt-outs": ("number", "handset"),
}
_BY_PATH = {resource.path: resource for resource in RESOURCES}


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    setup = SetUp(context, pages)
    return [
        Route("/set-up", lambda _: see_other("/set-up/accounts"), methods=["GET"]),
        *pages.routes("/set-up/settings", GET=setup.settings),
        *pages.routes("/set-up/audit", GET=setup.audit),
        *pages.routes("/set-up/users", GET=setup.users, POST=setup.add_user),
        Route("/set-up/users/change", setup.change_user, methods=["POST"]),
        Route("/set-up/accounts/credentials", setup.credential, methods=["POST"]),
        *pages.routes("/set-up/{kind}", GET=setup.list, POST=setup.create),
        *pages.routes("/set-up/{kind}/new", GET=setup.fresh),
        *pages.routes("/set-up/{kind}/edit", GET=setup.edit, POST=setup.change),
        Route("/set-up/{kind}/remove", setup.remove, methods=["POST"]),
    ]


class SetUp:
    def __init__(self, context: ConsoleContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages
        self._records: Admin = context.records

    # ---- records ----

    async def list(self, request: Request) -> Page:
        return self._list(_resource(request), request)

    def _list(self, resource: Resource, request: Request, **more: Any) -> Page:
        directory = self._context.admin.directory()
        records = sorted(resource.all(directory).values(), key=resource.key_of)
        values = {
            "kind": resource.path,
            "noun": resource.noun,
            "columns": _COLUMNS[resource.path],
            "items": [{**shown(each), "_key": resource.key_of(each)} for each in records[:_SHOWN_MAX]],
            "total": len(records),
            "tried": self._tried(request.query_params.get("try", "")) if resource.path == "routes" else None,
            "wrong": "",
            **more,
        }
        hidden = {
            "changeable": resource.changeable,
            "carrier_kinds": sorted(KINDS) if resource.path == "carriers" else [],
        }
        return Page("setup", values, f"Set-up: {resource.path}", hidden=hidden)

    def _tried(self, written: str) -> dict[str, Any]:
        """Where a message to this recipient would go."""
        number = normalise_sender(written) if written.strip() else None
        directory = self._context.admin.directory()
        rules = {}
        for kind in Kind:
            able = {each.id for each in directory.carriers.values() if kind in kind_of(each).carries}
            rule = rule_for(directory, kind, number, able) if number is not None else None
            rules[kind.value] = None if rule is None else {"id": rule.id, "carrier_id": rule.carrier_id}
        return {"written": written, "number": number, "rules": rules}

    async def fresh(self, request: Request) -> Page:
        resource = _resource(request)
        carrier_kind = _carrier_kind(resource, request.query_params.get("kind"))
        values = {"kind": carrier_kind} if carrier_kind else {}
        fields = self._fields(
            resource, {**values, **request.query_params}, new=True, carrier_kind=carrier_kind
        )
        return self._form(resource, fields, None)

    async def edit(self, request: Request) -> Page:
        resource = _resource(request)
        record = self._named(resource, request.query_params.get("key", ""))
        carrier_kind = _carrier_kind(resource, getattr(record, "kind", None))
        fields = self._fields(resource, shown(record), new=False, carrier_kind=carrier_kind)
        return self._form(resource, fields, record)

    async def create(self, request: Request) -> Page | Response:
        resource = _resource(request)
        form = lists_of(await read_body(request, _FORM_MAX))
        carrier_kind = _carrier_kind(resource, form.get("kind", [""])[-1])
        try:
            body = body_of_form(resource, form, new=True, carrier_kind=carrier_kind)
            record, once = new(resource, body, self._context.admin)
            async with self._records.turn:
                await self._records.save(Create(record), who=_who(request))
        except TrebuchetError as error:
            fields = self._fields(resource, {}, new=True, carrier_kind=carrier_kind)
            return self._refused(resource, fields, None, form, error)
        return self._done(resource, request, once)

    async def change(self, request: Request) -> Page | Response:
        resource = _resource(request)
        form = lists_of(await read_body(request, _FORM_MAX))
        record = self._named(resource, request.query_params.get("key", ""))
        carrier_kind = _carrier_kind(resource, getattr(record, "kind", None))
        values = shown(record)
        try:
            body = body_of_form(
                resource, form, new=False, carrier_kind=carrier_kind, stored=values.get("settings")
            )
            async with self._records.turn:
                before = self._named(resource, request.query_params.get("key", ""))
                after, once = changed(resource, before, body, self._context.admin)
                await self._records.save(Change(after), before=before, who=_who(request))
        except TrebuchetError as error:
            fields = self._fields(resource, values, new=False, carrier_kind=carrier_kind)
            return self._refused(resource, fields, record, form, error)
        return self._done(resource, request, once)

    async def remove(self, request: Request) -> Page | Response:
        resource = _resource(request)
        form = fields_of(await read_body(request, _FORM_MAX))
        record = self._named(resource, form.get("key", ""))
        try:
            async with self._records.turn:
                await self._records.save(Remove(record), who=_who(request))
        except TrebuchetError as error:
            page = self._list(resource, request, wrong=_words(error))
            return self._pages.render_whole(request, page)
        return see_other(f"/set-up/{resource.path}")

    async def credential(self, request: Request) -> Response:
        """A new token with its secret, which is shown this once; or an end of one."""
        form = fields_of(await read_body(request, _FORM_MAX))
        account = self._context.admin.directory().accounts.get(form.get("account", ""))
        if account is None:
            raise HTTPException(404)
        if "revoke" in form:
            await self._records.revoke(account, form["revoke"], who=_who(request))
            return see_other(f"/set-up/accounts/edit?key={quote(account.id)}")
        credential, secret = await self._records.make_credential(
            account, form.get("label", "")[:256], who=_who(request)
        )
        once = {"token": credential.token, "secret": secret}
        resource = _BY_PATH["accounts"]
        return self._pages.render_whole(request, self._list(resource, request, once=once))

    def _done(self, resource: Resource, request: Request, once: Mapping[str, str]) -> Response:
        """Back to the list; with secrets that are shown this once, if there are any."""
        if not once:
            return see_other(f"/set-up/{resource.path}")
        return self._pages.render_whole(request, self._list(resource, request, once=dict(once)))

    def _refused(
        self,
        resource: Resource,
        fields: Sequence[FormField],
        record: Any,
        form: Mapping[str, Sequence[str]],
        error: TrebuchetError,
    ) -> Page:
        errors = error.field_errors if isinstance(error, Problem) else ()
        filled, others = with_errors(fields, errors, form)
        if not errors:
            others = [_words(error)]
        return self._form(resource, filled, record, others, 400)

    def _form(
        self,
        resource: Resource,
        fields: Sequence[FormField],
        record: Any,
        wrong: Sequence[str] = (),
        status: int = 200,
    ) -> Page:
        credentials = []
        if resource.path == "accounts" and record is not None:
            credentials = [shown(each) for each in self._records.credentials(record).values()]
        values = {
            "kind": resource.path,
            "noun": resource.noun,
            "key": None if record is None else resource.key_of(record),
            "fields": [{name: getattr(field, name) for name in field.__struct_fields__} for field in fields],
            "wrong": list(wrong),
            "credentials": credentials,
        }
        title = f"New {resource.noun}" if record is None else f"{resource.noun} {resource.key_of(record)}"
        return Page("setup_form", values, title, status)

    def _fields(
        self, resource: Resource, values: Mapping[str, Any], *, new: bool, carrier_kind: str | None
    ) -> Sequence[FormField]:
        directory = self._context.admin.directory()
        references: dict[str, Sequence[str]] = {
            "account_id": list(directory.accounts),
            "application_id": list(directory.applications),
            "carrier_id": list(directory.carriers),
        }
        return fields_of_record(resource, values, references, new=new, carrier_kind=carrier_kind)

    def _named(self, resource: Resource, key: str) -> Any:
        records = resource.all(self._context.admin.directory()).values()
        found = next((record for record in records if resource.key_of(record) == key), None)
        if found is None:
            raise HTTPException(404)
        return found

    # ---- people ----

    async def users(self, _: Request) -> Page:
        return self._users()

    def _users(self, wrong: str = "", status: int = 200) -> Page:
        users = self._context.admin.directory().users.values()
        values = {
            "kind": "users",
            "items": [
                {"name": user.name, "role": user.role.value, "created": iso_ms(user.created_ms)}
                for user in users
            ],
            "wrong": wrong,
        }
        return Page("setup_users", values, "Set-up: people", status, {"roles": [role.value for role in Role]})

    async def add_user(self, request: Request) -> Page | Response:
        form = fields_of(await read_body(request, _FORM_MAX))
        try:
            given = self._context.users.checked(form)
            await self._context.users.make(given.name, given.role, given.password, who=_who(request))
        except TrebuchetError as error:
            return self._users(_words(error), 400)
        return see_other("/set-up/users")

    async def change_user(self, request: Request) -> Response:
        form = fields_of(await read_body(request, _FORM_MAX))
        users, name = self._context.users, form.get("name", "")
        try:
            if "remove" in form:
                await users.remove(name, who=_who(request))
            elif "role" in form:
                await users.alter(name, users.role_of(form["role"]), None, who=_who(request))
        except TrebuchetError as error:
            return self._pages.render_whole(request, self._users(_words(error), 400))
        return see_other("/set-up/users")

    # ---- what was done, and what is in force ----

    async def audit(self, request: Request) -> Page:
        before = request.query_params.get("before", "")
        entries = await self._context.admin.store.audit(_AUDIT_MAX, before)
        values = {
            "kind": "audit",
            "items": [
                {
                    "at": iso_ms(each.at_ms),
                    "who": each.who,
                    "action": each.action,
                    "target": each.target,
                    "detail": each.detail,
                }
                for each in entries
            ],
            "next": entries[-1].id if len(entries) == _AUDIT_MAX else None,
        }
        return Page("setup_audit", values, "Set-up: audit log")

    async def settings(self, _: Request) -> Page:
        values = {"kind": "settings", "items": list(self._context.settings())}
        return Page("setup_settings", values, "Set-up: settings")


def _resource(request: Request) -> Resource:
    found = _BY_PATH.get(request.path_params["kind"])
    if found is None:
        raise HTTPException(404)
    return found


def _carrier_kind(resource: Resource, kind: str | None) -> str | None:
    """The kind of a carrier's form; None for other records. Raises HTTPException 404 for none that there is."""
    if resource.path != "carriers":
        return None
    if kind not in KINDS:
        raise HTTPException(404)
    return kind


def _who(request: Request) -> str:
    return person_of(request).name or "console"


def _words(error: TrebuchetError) -> str:
    if isinstance(error, Problem):
        return "; ".join(each.description for each in error.field_errors) or error.description
    return str(error)

"""The five handlers that every kind of record has, and the credentials, which belong to their account."""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trebuchet.admin import requests as ask
from trebuchet.admin.answers import answer, no_content
from trebuchet.admin.audit import ADMIN_TOKEN, audited
from trebuchet.admin.context import AdminContext
from trebuchet.admin.records import (
    ACCOUNTS,
    CARRIERS,
    RESOURCES,
    CredentialFields,
    Resource,
    changed,
    new,
    shown,
)
from trebuchet.admin.secrets import new_secret, new_token, secret_sha256
from trebuchet.api.problems import FieldError, Problem, conflict, invalid, malformed, not_found
from trebuchet.api.routing import Handler, route
from trebuchet.model.account import Account, Carrier, Credential
from trebuchet.storage.base import Change, Create, Record, Remove

BULK_COUNT_MAX = 10_000
_BULK_SLICE = 200  # read in between other work of the event loop
_NAMED_MAX = 20  # wrong or taken records that one answer names


class Admin:
    """The handlers over one context."""

    def __init__(self, context: AdminContext) -> None:
        self.context = context
        self.turn = context.turn

    async def save(
        self, *changes: Create | Change | Remove, before: Record | None = None, who: str | None = None
    ) -> None:
        """Write the changes with their entries in the audit log, and show them everywhere.

        Raises the error of the first that the store refused.
        """
        now_ms, random_bytes = self.context.clock.now_ms(), self.context.random_bytes
        futures = [
            self.context.write(
                audited(change, before, who=who or ADMIN_TOKEN, now_ms=now_ms, random_bytes=random_bytes)
            )
            for change in changes
        ]
        results = await asyncio.gather(*futures, return_exceptions=True)
        await self.context.reload()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def put(
        self, resource: Resource, before: Record, body: Any, who: str | None = None
    ) -> tuple[Record, dict[str, str]]:
        """Put the fields of `body` in place of a record's own; to be called in a turn.

        Returns the record, and the secrets to show once. Raises Problem that lists all that is wrong.
        """
        record, once = changed(resource, before, body, self.context)
        await self.save(Change(record), before=before, who=who)
        return record, once

    # ---- what every kind has ----

    def page(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            records = resource.all(self.context.directory()).values()
            return answer(page_of(request, records, resource.key_of))

        return handler

    def create(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            body = await ask.read_json(request, ask.BULK_MAX if resource.bulk else ask.BODY_MAX)
            async with self.turn:
                if resource.bulk and isinstance(body, list):
                    records = await self._new_ones(resource, body)
                    await self.save(*map(Create, records))
                    return answer({"items": list(map(shown, records))}, 201)
                record, once = new(resource, body, self.context)
                await self.save(Create(record))
            return answer({**shown(record), **once}, 201)

        return handler

    async def _new_ones(self, resource: Resource, bodies: Sequence[Any]) -> list[Record]:
        """All of a list, or Problem that says which are wrong: nothing is written then."""
        if len(bodies) > BULK_COUNT_MAX:
            raise malformed(f"At most {BULK_COUNT_MAX} can be made at once")
        records: list[Record] = []
        errors: list[FieldError] = []
        for place, body in enumerate(bodies):
            if place % _BULK_SLICE == 0:
                await asyncio.sleep(0)
            try:
                records.append(new(resource, body, self.context)[0])
            except Problem as problem:
                errors += _placed(problem, place)
            if len(errors) >= _NAMED_MAX:
                break
        if errors:
            raise invalid(errors[:_NAMED_MAX])
        known = resource.all(self.context.directory())
        times = Counter(resource.key_of(record) for record in records)
        if taken := [key for key, count in times.items() if count > 1 or key in known]:
            more = f" and {len(taken) - _NAMED_MAX} more" if len(taken) > _NAMED_MAX else ""
            raise conflict(f"there already, or named twice: {', '.join(taken[:_NAMED_MAX])}{more}")
        return records

    def get(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            return answer(shown(self._find(resource, request)))

        return handler

    def change(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            body = await ask.read_json(request)
            async with self.turn:
                record, once = await self.put(resource, self._find(resource, request), body)
            return answer({**shown(record), **once})

        return handler

    def delete(self, resource: Resource) -> Handler:
        async def handler(request: Request) -> Response:
            async with self.turn:
                await self.save(Remove(self._find(resource, request)))
            return no_content()

        return handler

    def _find(self, resource: Resource, request: Request) -> Any:
        record = resource.named(self.context, request.path_params)
        if record is None:
            raise not_found(request.url.path, self.context.clock.now_ms())
        return record

    # ---- what only some have ----

    def pause(self, *, paused: bool) -> Handler:
        async def handler(request: Request) -> Response:
            async with self.turn:
                before: Carrier = self._find(CARRIERS, request)
                carrier = msgspec.structs.replace(before, paused=paused)
                await self.save(Change(carrier), before=before)
            return answer(shown(carrier))

        return handler

    async def list_credentials(self, request: Request) -> Response:
        account: Account = self._find(ACCOUNTS, request)
        return answer(
            page_of(request, self.credentials(account).values(), lambda credential: credential.token)
        )

    async def create_credential(self, request: Request) -> Response:
        fields = ask.read_body_as(await ask.read_json(request), CredentialFields)
        account: Account = self._find(ACCOUNTS, request)
        credential, secret = await self.make_credential(account, fields.label)
        return answer({**shown(credential), "secret": secret}, 201)

    async def make_credential(
        self, account: Account, label: str, *, who: str | None = None
    ) -> tuple[Credential, str]:
        """A new token of an account, and its secret."""
        secret = new_secret(self.context.random_bytes)
        credential = Credential(
            token=new_token(self.context.random_bytes),
            account_id=account.id,
            secret_sha256=secret_sha256(secret),
            label=label,
            created_ms=self.context.clock.now_ms(),
        )
        async with self.turn:
            await self.save(Create(credential), who=who)
        return credential, secret

    async def revoke_credential(self, request: Request) -> Response:
        await self.revoke(self._find(ACCOUNTS, request), request.path_params["token"])
        return no_content()

    async def revoke(self, account: Account, token: str, *, who: str | None = None) -> None:
        """Refuse a token from now on. Raises Problem if the account has none like it."""
        async with self.turn:
            credential = self.credentials(account).get(token)
            now_ms = self.context.clock.now_ms()
            if credential is None:
                raise not_found(f"/admin/v1/accounts/{account.id}/credentials/{token}", now_ms)
            if credential.revoked_ms is None:
                revoked = msgspec.structs.replace(credential, revoked_ms=now_ms)
                await self.save(Change(revoked), before=credential, who=who)

    def credentials(self, account: Account) -> dict[str, Credential]:
        """Those of an account, revoked ones too."""
        directory = self.context.directory()
        every = (*directory.credentials.values(), *directory.revoked.values())
        return {credential.token: credential for credential in every if credential.account_id == account.id}


def page_of(request: Request, records: Iterable[Any], key_of: Callable[[Any], str]) -> dict[str, Any]:
    """The records after the one that the request names, in order of their keys, and where the next page begins."""
    given = ask.query(request, "limit", "after")
    most, after = ask.limit(given), given.get("after", "")
    following = ((key_of(record), record) for record in records)
    page = heapq.nsmallest(
        most + 1, (pair for pair in following if pair[0] > after), key=lambda pair: pair[0]
    )
    more = {"next": page[most - 1][0]} if len(page) > most else {}
    return {"items": [shown(record) for _, record in page[:most]], **more}


def _placed(problem: Problem, place: int) -> list[FieldError]:
    """What is wrong with one body of a list, with its place in the list."""
    if not problem.field_errors:
        return [FieldError(f"[{place}]", f"[{place}]: {problem.description}")]
    return [
        FieldError(f"[{place}].{error.field_name}", f"[{place}]: {error.description}")
        for error in problem.field_errors
    ]


def routes(admin: Admin) -> list[Route]:
    """The routes of all records."""
    found: list[Route] = []
    for resource in RESOURCES:
        base = f"/{resource.path}"
        one = base + "".join(f"/{{{name}}}" for name in resource.key)
        handlers = {"DELETE": admin.delete(resource)}
        if resource.changeable:
            handlers |= {"GET": admin.get(resource), "PATCH": admin.change(resource)}
        found += [
            route(base, GET=admin.page(resource), POST=admin.create(resource)),
            route(one, **handlers),
        ]
    return [
        *found,
        route("/carriers/{id}/pause", POST=admin.pause(paused=True)),
        route("/carriers/{id}/resume", POST=admin.pause(paused=False)),
        route("/accounts/{id}/credentials", GET=admin.list_credentials, POST=admin.create_credential),
        route("/accounts/{id}/credentials/{token}", DELETE=admin.revoke_credential),
    ]

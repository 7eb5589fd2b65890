"""People of the console in the admin API: listed, made, given another password or role, removed.

A password is hashed here and shown nowhere; a hash takes a good part of a second, on a thread of its own.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trebuchet.admin import requests as ask
from trebuchet.admin.answers import answer, no_content
from trebuchet.admin.passwords import PASSWORD_MAX, PASSWORD_MIN, Busy
from trebuchet.admin.resources import Admin, page_of
from trebuchet.api.problems import Problem, conflict, not_found
from trebuchet.api.routing import route
from trebuchet.model.account import Role, User
from trebuchet.storage.base import Change, Create, Remove

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")]
Password = Annotated[str, Meta(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX)]


class NewUser(msgspec.Struct, kw_only=True):
    name: Name
    role: Role = Role.VIEWER
    password: Password


class UserFields(msgspec.Struct, kw_only=True):
    role: Role | None = None
    password: Password | None = None


class Users:
    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._context = admin.context

    async def list(self, request: Request) -> Response:
        users = self._context.directory().users.values()
        return answer(page_of(request, users, lambda user: user.name))

    async def create(self, request: Request) -> Response:
        fields = ask.read_body_as(await ask.read_json(request), NewUser)
        user = await self.make(fields.name, fields.role, fields.password)
        return answer(shown_user(user), 201)

    @staticmethod
    def checked(given: dict[str, str]) -> NewUser:
        """A person as a form says it. Raises Problem."""
        return ask.read_body_as(
            {name: given[name] for name in NewUser.__struct_fields__ if name in given}, NewUser
        )

    @staticmethod
    def role_of(written: str) -> Role:
        """Raises Problem."""
        role: Role | None = ask.read_body_as({"role": written}, UserFields).role
        return role or Role.VIEWER

    async def make(self, name: str, role: Role, password: str, *, who: str | None = None) -> User:
        """A new person. Raises Problem."""
        if name in self._context.directory().users:
            raise conflict(f"user {name} is there already")
        user = User(
            name=name,
            role=role,
            password_hash=await self._hash(password),
            created_ms=self._context.clock.now_ms(),
        )
        async with self._admin.turn:
            await self._admin.save(Create(user), who=who)
        return user

    async def change(self, request: Request) -> Response:
        fields = ask.read_body_as(await ask.read_json(request), UserFields)
        user = await self.alter(request.path_params["name"], fields.role, fields.password)
        return answer(shown_user(user))

    async def alter(
        self, name: str, role: Role | None, password: str | None, *, who: str | None = None
    ) -> User:
        """Another role or password, which ends the sessions of the person. Raises Problem."""
        self._found(name)
        password_hash = None if password is None else await self._hash(password)
        async with self._admin.turn:
            before = self._found(name)
            if role is not None and role is not Role.ADMIN:
                self._keep_an_admin(before)
            user = msgspec.structs.replace(
                before, role=role or before.role, password_hash=password_hash or before.password_hash
            )
            await self._admin.save(Change(user), before=before, who=who)
        return user

    async def delete(self, request: Request) -> Response:
        await self.remove(request.path_params["name"])
        return no_content()

    async def remove(self, name: str, *, who: str | None = None) -> None:
        """Raises Problem, also for the last admin: nobody could let others in any more."""
        async with self._admin.turn:
            user = self._found(name)
            self._keep_an_admin(user)
            await self._admin.save(Remove(user), who=who)

    def _keep_an_admin(self, leaving: User) -> None:
        others = (user for user in self._context.directory().users.values() if user.name != leaving.name)
        if leaving.role is Role.ADMIN and not any(user.role is Role.ADMIN for user in others):
            raise conflict(f"{leaving.name} is the last admin: make another one first")

    def _found(self, name: str) -> User:
        user = self._context.directory().users.get(name)
        if user is None:
            raise not_found(f"/admin/v1/users/{name}", self._context.clock.now_ms())
        return user

    async def _hash(self, password: str) -> str:
        try:
            return await self._context.passwords.hash(password)
        except Busy:
            raise Problem(
                503, "busy", "Too many passwords are being checked; try again in a moment"
            ) from None


def shown_user(user: User) -> dict[str, Any]:
    """A person without the hash of the password."""
    return {"name": user.name, "role": user.role, "created_ms": user.created_ms}


def routes(admin: Admin) -> list[Route]:
    users = Users(admin)
    return [
        route("/users", GET=users.list, POST=users.create),
        route("/users/{name}", PATCH=users.change, DELETE=users.delete),
    ]

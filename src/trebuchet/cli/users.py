"""`trebuchet users`: who may log in to the console. Passwords are asked for, or read from standard input."""

import sys
from typing import Annotated
from urllib.parse import quote

import typer

from trebuchet.cli.options import Session, connected, pages
from trebuchet.cli.outcome import Code, CommandError

COLUMNS = ("name", "role", "created_ms")

Name = Annotated[str, typer.Argument(metavar="NAME")]
Role = Annotated[str, typer.Option(help="viewer, operator or admin.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="People who may log in to the console.", no_args_is_help=True, rich_markup_mode=None
    )
    app.add_typer(group, name="users")
    for name, command in (
        ("list", list_users),
        ("add", add),
        ("passwd", passwd),
        ("role", role),
        ("remove", remove),
    ):
        group.command(name=name)(connected(command))


def list_users(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most records to print.")] = 1000,
) -> None:
    """List the people."""
    answers = list(pages(session.admin, "/admin/v1/users", {}, limit=limit))
    session.printer.items(COLUMNS, [item for answer in answers for item in answer["items"]])


def add(session: Session, name: Name, *, as_role: Role = "viewer", password_stdin: FromStdin = False) -> None:
    """Let somebody in."""
    body = {"name": name, "role": as_role, "password": password(from_stdin=password_stdin)}
    session.printer.item(session.admin.call("POST", "/admin/v1/users", body=body).content)


def passwd(session: Session, name: Name, *, password_stdin: FromStdin = False) -> None:
    """Give a person another password; who is logged in as them must log in again."""
    body = {"password": password(from_stdin=password_stdin)}
    session.printer.item(session.admin.call("PATCH", _path(name), body=body).content)


def role(
    session: Session,
    name: Name,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
) -> None:
    """Give a person another role."""
    session.printer.item(session.admin.call("PATCH", _path(name), body={"role": role}).content)


def remove(session: Session, name: Name) -> None:
    """Let somebody in no longer."""
    session.admin.call("DELETE", _path(name))
    session.printer.note(f"removed {name}")


def password(*, from_stdin: bool) -> str:
    """What the person types twice, or the first line of standard input. Raises CommandError."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise CommandError(Code.REFUSED, "no terminal to ask for the password: give it with --password-stdin")
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _path(name: str) -> str:
    return f"/admin/v1/users/{quote(name, safe='')}"

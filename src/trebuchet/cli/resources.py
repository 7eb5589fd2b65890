"""The commands for provisioned records: accounts, credentials, applications, numbers, carriers, routes, opt-outs.

Most of them are made from the rows of RESOURCES.
"""

import inspect
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trebuchet.cli.options import Session, connected, described, pages
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.records import RESOURCES, Field, Resource, clearable, given, number_records

IMPORT_CHUNK = 1000  # numbers in one request: far below the largest body that is taken


OPT_OUT_COLUMNS = ("number", "handset", "created_ms")
CREDENTIAL_COLUMNS = ("token", "label", "created_ms", "revoked_ms")

Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="Most records to print.")]


def register(app: typer.Typer) -> None:
    groups = {resource.name: _group(app, resource.name, resource.help) for resource in RESOURCES}
    for resource in RESOURCES:
        for make in (_list, _show, _create, _update, _delete):
            groups[resource.name].command()(connected(make(resource)))
    groups["numbers"].command(name="import")(connected(import_numbers))
    groups["carriers"].command()(connected(pause))
    groups["carriers"].command()(connected(resume))
    credentials = _group(app, "credentials", "Credentials: tokens and secrets of an account.")
    credentials.command(name="list")(connected(list_credentials))
    credentials.command(name="create")(connected(create_credential))
    credentials.command(name="revoke")(connected(revoke_credential))
    opt_outs = _group(app, "opt-outs", "Opt-outs: handsets that answered STOP.")
    opt_outs.command(name="list")(connected(list_opt_outs))
    opt_outs.command(name="create")(connected(create_opt_out))
    opt_outs.command(name="delete")(connected(delete_opt_out))


def _group(app: typer.Typer, name: str, text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group


# ---- the five commands that every resource has ----


def _list(resource: Resource) -> Callable[..., None]:
    def command(session: Session, limit: int) -> None:
        _print_list(session, resource.path, resource.columns, limit)

    limit = _parameter("limit", Limit, 1000)
    return described(command, "list", f"List the {resource.name}.", [SESSION, limit])


def _show(resource: Resource) -> Callable[..., None]:
    def command(session: Session, key: str) -> None:
        session.printer.item(session.admin.call("GET", _path(resource, key)).content)

    return described(command, "show", f"Print one {resource.one}.", [SESSION, _key(resource)])


def _create(resource: Resource) -> Callable[..., None]:
    def command(session: Session, key: str | None, **values: Any) -> None:
        record = given(resource, values)
        if key is not None:
            record[resource.key] = key
        session.printer.item(session.admin.call("POST", resource.path, body=record).content)

    key = _key(resource, optional=resource.made)
    options = [_option(field, needed=field.required) for field in resource.fields]
    return described(command, "create", f"Create one {resource.one}.", [SESSION, key, *options])


def _update(resource: Resource) -> Callable[..., None]:
    changeable = [field for field in resource.fields if not field.fixed]

    def command(session: Session, key: str, clear: list[str] | None, **values: Any) -> None:
        change = given(resource, values)
        for written in clear or ():
            change[clearable(changeable, written)] = None
        if not change:
            raise CommandError(Code.REFUSED, "nothing to change: give an option, or --clear FIELD")
        session.printer.item(session.admin.call("PATCH", _path(resource, key), body=change).content)

    clear = _parameter(
        "clear",
        Annotated[list[str] | None, typer.Option(help="Empty this field; repeatable.", metavar="FIELD")],
        None,
    )
    options = [_option(field, needed=False) for field in changeable]
    return described(
        command, "update", f"Change fields of one {resource.one}.", [SESSION, _key(resource), *options, clear]
    )


def _delete(resource: Resource) -> Callable[..., None]:
    def command(session: Session, key: str) -> None:
        session.admin.call("DELETE", _path(resource, key))
        session.printer.note(f"deleted {key}")

    doc = f"Delete one {resource.one}; refused while it is in use."
    return described(command, "delete", doc, [SESSION, _key(resource)])


def _parameter(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


SESSION = _parameter("session", Session, inspect.Parameter.empty)


def _key(resource: Resource, *, optional: bool = False) -> inspect.Parameter:
    what = "Made by the gateway if left out." if optional else f"Its {resource.key}."
    argument = typer.Argument(help=what, metavar=resource.key.upper(), show_default=False)
    if optional:
        return _parameter("key", Annotated[str | None, argument], None)
    return _parameter("key", Annotated[str, argument], inspect.Parameter.empty)


def _option(field: Field, *, needed: bool) -> inspect.Parameter:
    name = field.option or f"--{field.name.replace('_', '-')}"
    if field.kind is bool:
        kind: Any = bool
        name = f"{name}/--no-{name[2:]}"
    else:
        kind = str if field.kind is dict else field.kind
    option = typer.Option(name, help=field.help, show_default=False)
    if needed:
        return _parameter(field.name, Annotated[kind, option], inspect.Parameter.empty)
    return _parameter(field.name, Annotated[kind | None, option], None)


def _path(resource: Resource, key: str) -> str:
    return f"{resource.path}/{quote(key, safe='')}"


def _print_list(session: Session, path: str, columns: tuple[str, ...], limit: int) -> None:
    answers = list(pages(session.admin, path, {}, limit=limit))
    session.printer.items(columns, [item for answer in answers for item in answer["items"]])
    if answers[-1].get("next"):
        session.printer.note("there are more; see them with --limit")


# ---- what only some resources have ----


def import_numbers(
    session: Session,
    file: Annotated[
        Path, typer.Argument(help="One number a line, or CSV with a header; `-` is standard input.")
    ],
    account: Annotated[str | None, typer.Option(metavar="ID", help="Where the file names none.")] = None,
    application: Annotated[str | None, typer.Option(metavar="ID", help="Where the file names none.")] = None,
) -> None:
    """Create many numbers from a file.

    Columns of a CSV file: number, account_id, application_id, segments_per_s.
    """
    count = 0
    with sys.stdin if str(file) == "-" else file.open(encoding="utf-8-sig", newline="") as lines:
        records = number_records(iter(lines), account, application)
        while chunk := list(islice(records, IMPORT_CHUNK)):
            try:
                session.admin.call("POST", "/admin/v1/numbers", body=chunk)
            except CommandError as error:
                what = f"after {count} numbers were created, those from {chunk[0]['number']} on were not"
                raise CommandError(error.code, f"{what}:\n{error}") from error
            count += len(chunk)
    session.printer.item({"created": count})


def pause(session: Session, carrier: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Stop submitting to a carrier; its messages wait."""
    session.printer.item(
        session.admin.call("POST", f"/admin/v1/carriers/{quote(carrier, safe='')}/pause").content
    )


def resume(session: Session, carrier: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Submit to a paused carrier again."""
    session.printer.item(
        session.admin.call("POST", f"/admin/v1/carriers/{quote(carrier, safe='')}/resume").content
    )


Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]


def list_credentials(session: Session, account: Account, limit: Limit = 1000) -> None:
    """List the tokens of an account; never the secrets."""
    _print_list(session, _credentials_path(account), CREDENTIAL_COLUMNS, limit)


def create_credential(
    session: Session,
    account: Account,
    label: Annotated[str | None, typer.Option(help="What it is for.")] = None,
) -> None:
    """Create a token with its secret, which is shown this once."""
    body = {"label": label} if label is not None else {}
    session.printer.item(session.admin.call("POST", _credentials_path(account), body=body).content)
    session.printer.note("the secret is not shown again")


def revoke_credential(
    session: Session, account: Account, token: Annotated[str, typer.Argument(metavar="TOKEN")]
) -> None:
    """Refuse a token from now on."""
    session.admin.call("DELETE", f"{_credentials_path(account)}/{quote(token, safe='')}")
    session.printer.note(f"revoked {token}")


def _credentials_path(account: str) -> str:
    return f"/admin/v1/accounts/{quote(account, safe='')}/credentials"


Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The number that STOP was sent to.")]
Handset = Annotated[str, typer.Argument(metavar="HANDSET", help="Who sent it.")]


def list_opt_outs(session: Session, limit: Limit = 1000) -> None:
    """List the opt-outs."""
    _print_list(session, "/admin/v1/opt-outs", OPT_OUT_COLUMNS, limit)


def create_opt_out(session: Session, number: Number, handset: Handset) -> None:
    """Record that a handset wants nothing more from a number."""
    body = {"number": number, "handset": handset}
    session.printer.item(session.admin.call("POST", "/admin/v1/opt-outs", body=body).content)


def delete_opt_out(session: Session, number: Number, handset: Handset) -> None:
    """Let a number reach a handset again."""
    session.admin.call("DELETE", f"/admin/v1/opt-outs/{quote(number, safe='')}/{quote(handset, safe='')}")
    session.printer.note(f"deleted {number} {handset}")

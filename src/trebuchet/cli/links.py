"""`trebuchet links`: the connections to carriers, their binds, and the PDUs that pass, live."""

import getpass
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from trebuchet.cli import linkview
from trebuchet.cli.options import Session, connected, pages
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.output import TITLE, Line
from trebuchet.cli.records import SECRET_MAX
from trebuchet.cli.trace import Id, link_path, trace

_REFRESH_S = 1.0

Bind = Annotated[str | None, typer.Option(help="Only this bind, such as acme/0.", metavar="NAME")]


def register(tree: typer.Typer) -> None:
    """Add `links` to the command tree."""
    group = typer.Typer(no_args_is_help=True)
    group.callback()(_group)
    commands: dict[str, Callable[..., None]] = {
        "list": list_,
        "show": show,
        "add": add,
        "pause": pause,
        "resume": resume,
        "unbind": unbind,
        "rebind": rebind,
        "trace": trace,
        "try-address": try_address,
        "receipts": receipts,
    }
    for name, command in commands.items():
        group.command(name)(connected(command))
    tree.add_typer(group, name="links")


def _group() -> None:
    """See and steer the links to carriers."""


# ---- how they do ----


def list_(session: Session) -> None:
    """List the links: their state, binds, and what waits."""
    items = session.admin.call("GET", "/admin/v1/links").content["items"]
    for item in items:
        session.printer.json(item)
    session.printer.table(linkview.LIST_COLUMNS, [linkview.list_row(item) for item in items])


def show(
    session: Session,
    link: Id,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew each second, until Ctrl-C.")] = False,
) -> None:
    """Show one link with each of its binds."""
    while True:
        answer = session.admin.call("GET", link_path(link)).content
        if watch:
            session.printer.clear()
        session.printer.json(answer)
        _print_link(session, answer)
        if not watch:
            return
        session.pause(_REFRESH_S)


def _print_link(session: Session, link: Mapping[str, Any]) -> None:
    printer = session.printer
    printer.line(Line(f"{link['carrier_id']}  {link['kind']}  {link['state']}", TITLE))
    for lane in link["lanes"]:
        printer.line(Line(f"lane {lane['name']}: {lane['rows']} waiting, room for {lane['room']}"))
    if link["receipt_ids"]:
        printer.line(Line(f"ids of receipts: {link['receipt_ids']}"))
    if link["binds"]:
        now_ms = session.now_ms()
        printer.table(linkview.NOW_COLUMNS, [linkview.now_row(bind, now_ms) for bind in link["binds"]])
        printer.table(linkview.COUNT_COLUMNS, [linkview.count_row(bind) for bind in link["binds"]])
    for line in linkview.bind_lines(link["binds"]):
        printer.line(line)


def try_address(
    session: Session,
    link: Id,
    number: Annotated[str, typer.Argument(help="E.164 number, short code or alphanumeric sender.")],
) -> None:
    """Show how a number goes on the wire over a link, and how it is read when it comes back."""
    answer = session.admin.call("GET", f"{link_path(link)}/address", query={"number": number}).content
    session.printer.item(answer)


def receipts(
    session: Session,
    link: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Id of the carrier; all if left out.")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Show what they quote of texts, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most to list.")] = 100,
) -> None:
    """List receipts that match no message, and are kept in case one turns up."""
    query = {"carrier": link, "text": text or None, "limit": limit}
    items = session.admin.call("GET", "/admin/v1/receipts/unmatched", query=query).content["items"]
    for item in items:
        session.printer.json(item)
    session.printer.table(linkview.RECEIPT_COLUMNS, [linkview.receipt_row(item) for item in items])


# ---- making one ----


def add(
    session: Session,
    link: Id,
    host: Annotated[str, typer.Option(help="Host of the SMSC.")],
    system_id: Annotated[str, typer.Option(help="Who we are to it.")],
    password: Annotated[
        str | None,
        typer.Option(help="Asked for if left out. As an option, others on this machine can see it."),
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its first line is the password; `-`: standard input.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the SMSC.")] = 2775,
    bind: Annotated[
        list[str] | None,
        typer.Option(help="transceiver, transmitter or receiver; repeatable. One transceiver if left out."),
    ] = None,
    window: Annotated[int | None, typer.Option(help="Submits without an answer, of each bind.")] = None,
    rate: Annotated[float | None, typer.Option(help="Segments per second of the link.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Speak TLS.")] = False,
    quirk: Annotated[list[str] | None, typer.Option(help="Peculiarity of the SMSC; repeatable.")] = None,
    more: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, a text or JSON; repeatable."),
    ] = None,
    in_doubt: Annotated[
        str, typer.Option(help="fail or resend: what becomes of a submit that was never answered.")
    ] = "fail",
    route: Annotated[
        str | None,
        typer.Option(metavar="PREFIX", help="Route texts to numbers that begin so here; '' for all."),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(help="Of that route: among routes of one prefix, the lowest wins.")
    ] = None,
) -> None:
    """Add an SMPP link, and a route to it if asked for."""
    if priority is not None and route is None:
        raise CommandError(Code.REFUSED, "--priority is of a route: give --route PREFIX with it")
    settings: dict[str, Any] = {"host": host, "port": port, "system_id": system_id}
    given = {"binds": bind, "window": window, "segments_per_s": rate, "tls": tls or None, "quirks": quirk}
    settings |= {name: value for name, value in given.items() if value is not None}
    settings |= assignments(more or [])
    if "password" not in settings:
        settings["password"] = _password(password, password_file)
    body = {"id": link, "kind": "smpp", "in_doubt": in_doubt, "settings": settings}
    session.printer.item(session.admin.call("POST", "/admin/v1/carriers", body=body).content)
    if route is not None:
        _add_route(session, link, route, priority)
    session.printer.note(f"`trebuchet links show {link}` says whether it is bound")


def _password(given: str | None, file: Path | None) -> str:
    """Blocks if it is to be read. Raises CommandError if there is none, OSError if the file cannot be read."""
    if given is not None and file is not None:
        raise CommandError(Code.REFUSED, "give --password or --password-file, not both")
    if given is not None:
        return given
    if file is None:
        if not sys.stdin.isatty():
            raise CommandError(
                Code.REFUSED, "there is no password: give --password-file FILE, or `-` for standard input"
            )
        return getpass.getpass("Password: ")
    try:
        if str(file) == "-":
            line = sys.stdin.readline(SECRET_MAX)
        else:
            with file.open(encoding="utf-8") as lines:
                line = lines.readline(SECRET_MAX)
    except UnicodeDecodeError:
        raise CommandError(
            Code.REFUSED, f"{file} is not text: write the password on its first line"
        ) from None
    if not line.rstrip("\r\n"):
        raise CommandError(Code.REFUSED, f"{file}: the first line is empty: write the password there")
    return line.rstrip("\r\n")


def assignments(written: list[str]) -> dict[str, Any]:
    """Settings by name from `NAME=VALUE`. Raises CommandError for one without `=`.

    A value is JSON where the setting takes what it is then, else the text as it stands: 44 is a number as a
    window and a text as a country.
    """
    from trebuchet.carriers.smpp.settings import SmppSettings

    types = {field.name: field.type for field in msgspec.structs.fields(SmppSettings)}
    found: dict[str, Any] = {}
    for text in written:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise CommandError(Code.REFUSED, f"--set {text!r} is not NAME=VALUE: write it like window=20")
        found[name] = _setting(value, types.get(name, Any))
    return found


def _setting(written: str, kind: Any) -> Any:
    try:
        value = json.loads(written)
    except (ValueError, RecursionError):
        return written
    return written if _takes(kind, written) and not _takes(kind, value) else value


def _takes(kind: Any, value: object) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _add_route(session: Session, carrier: str, prefix: str, priority: int | None) -> None:
    wanted: dict[str, Any] = {"carrier_id": carrier, "prefix": prefix, "kind": "sms"}
    wanted |= {} if priority is None else {"priority": priority}
    try:
        made = session.admin.call("POST", "/admin/v1/routes", body=wanted).content
    except CommandError as error:
        told = f"the link was added, its route was not:\n{error}"
        raise CommandError(error.code, f"{told}\n`trebuchet routes create` makes the route") from error
    session.printer.item(made)
    answers = pages(session.admin, "/admin/v1/routes", {}, limit=10_000)
    for rival in (route for answer in answers for route in answer["items"]):
        same = rival["prefix"] == prefix and rival["kind"] in ("sms", "any") and rival["id"] != made["id"]
        if same and rival["priority"] <= made["priority"]:
            session.printer.note(
                f"route {rival['id']} is for the same numbers and goes to {rival['carrier_id']}; the lower priority"
                f" wins: `trebuchet routes update {rival['id']} --priority {made['priority'] + 1}`"
            )


# ---- steering ----


def pause(session: Session, link: Id) -> None:
    """Hand it nothing more; its messages wait. It stays bound."""
    session.printer.item(session.admin.call("POST", f"{_carrier(link)}/pause").content)


def resume(session: Session, link: Id) -> None:
    """Hand it messages again."""
    session.printer.item(session.admin.call("POST", f"{_carrier(link)}/resume").content)


def unbind(session: Session, link: Id, bind: Bind = None) -> None:
    """Unbind, and stay so until `rebind` or a restart."""
    _steer(session, link, "unbind", bind)


def rebind(session: Session, link: Id, bind: Bind = None) -> None:
    """End the session if there is one, and bind again now."""
    _steer(session, link, "rebind", bind)


def _steer(session: Session, link: str, what: str, bind: str | None) -> None:
    answer = session.admin.call("POST", f"{link_path(link)}/{what}", body={"bind": bind}).content
    session.printer.items(("name", "role", "state", "last_error"), answer["binds"])


def _carrier(link: str) -> str:
    return f"/admin/v1/carriers/{quote(link, safe='')}"

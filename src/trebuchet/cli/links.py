"""`trebuchet links`: the connections to carriers, their binds, and the PDUs that pass, live."""

import getpass
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trebuchet.cli.options import Session, connected
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.output import BAD, GOOD, QUIET, TITLE, Line
from trebuchet.cli.when import clock_time

_BIND_COLUMNS = (
    "name", "role", "state", "in_flight", "window", "queued", "rate_per_s", "response_ms", "submits", "receipts",
    "inbound", "throttles", "unanswered", "reconnects", "last_error",
)  # fmt: skip
_REFRESH_S = 1.0

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the carrier.")]
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


def list_(session: Session) -> None:
    """List the links and their lanes."""
    answer = session.admin.call("GET", "/admin/v1/links").content
    session.printer.items(("carrier_id", "kind", "state", "lanes", "receipt_ids"), answer["items"])


def show(
    session: Session,
    id: Id,  # noqa: A002  # the name that it has in the help
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew each second, until Ctrl-C.")] = False,
) -> None:
    """Show one link with each of its binds."""
    while True:
        link = session.admin.call("GET", _path(id)).content
        session.printer.json(link)
        session.printer.line(Line(f"{link['carrier_id']}  {link['kind']}  {link['state']}", TITLE))
        for lane in link["lanes"]:
            session.printer.line(
                Line(f"lane {lane['name']}: {lane['rows']} waiting, room for {lane['room']}")
            )
        if link["receipt_ids"]:
            session.printer.line(Line(f"receipt ids {link['receipt_ids']}"))
        if link["binds"]:
            session.printer.table(
                _BIND_COLUMNS, [[bind.get(column) for column in _BIND_COLUMNS] for bind in link["binds"]]
            )
        if not watch:
            return
        session.pause(_REFRESH_S)


def add(
    session: Session,
    id: Id,  # noqa: A002
    host: Annotated[str, typer.Option(help="Host of the SMSC.")],
    system_id: Annotated[str, typer.Option(help="Who we are to it.")],
    password: Annotated[
        str | None, typer.Option(help="Asked for if left out; an option is seen by others of this machine.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File whose first line is the password.")
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
        typer.Option("--set", metavar="NAME=JSON", help="Any other setting of the link; repeatable."),
    ] = None,
    in_doubt: Annotated[
        str, typer.Option(help="fail or resend: what becomes of a submit that was never answered.")
    ] = "fail",
    route: Annotated[
        str | None,
        typer.Option(metavar="PREFIX", help="Route texts to numbers that begin so here; '' for all."),
    ] = None,
) -> None:
    """Add an SMPP link, and a route to it if asked for."""
    if password is None:
        password = (
            password_file.read_text().splitlines()[0] if password_file else getpass.getpass("Password: ")
        )
    settings: dict[str, Any] = {"host": host, "port": port, "system_id": system_id, "password": password}
    given = {"binds": bind, "window": window, "segments_per_s": rate, "tls": tls or None, "quirks": quirk}
    settings |= {name: value for name, value in given.items() if value}
    settings |= assignments(more or [])
    body = {"id": id, "kind": "smpp", "in_doubt": in_doubt, "settings": settings}
    session.printer.item(session.admin.call("POST", "/admin/v1/carriers", body=body).content)
    if route is not None:
        wanted = {"carrier_id": id, "prefix": route, "kind": "sms"}
        session.printer.item(session.admin.call("POST", "/admin/v1/routes", body=wanted).content)
    session.printer.note(f"`trebuchet links show {id}` says whether it is bound")


def assignments(written: list[str]) -> dict[str, Any]:
    """`NAME=JSON` by name; what is no JSON is a text. Raises CommandError naming one without `=`."""
    found: dict[str, Any] = {}
    for text in written:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise CommandError(Code.REFUSED, f"--set {text!r} is not NAME=JSON: write it like window=20")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def pause(session: Session, id: Id) -> None:  # noqa: A002
    """Hand it nothing more; its messages wait. It stays bound."""
    session.printer.item(session.admin.call("POST", f"/admin/v1/carriers/{quote(id, safe='')}/pause").content)


def resume(session: Session, id: Id) -> None:  # noqa: A002
    """Hand it messages again."""
    session.printer.item(
        session.admin.call("POST", f"/admin/v1/carriers/{quote(id, safe='')}/resume").content
    )


def unbind(session: Session, id: Id, bind: Bind = None) -> None:  # noqa: A002
    """Unbind, and stay so until `rebind` or a restart."""
    _steer(session, id, "unbind", bind)


def rebind(session: Session, id: Id, bind: Bind = None) -> None:  # noqa: A002
    """End the session if there is one, and bind again now."""
    _steer(session, id, "rebind", bind)


def _steer(session: Session, id_: str, what: str, bind: str | None) -> None:
    answer = session.admin.call("POST", f"{_path(id_)}/{what}", body={"bind": bind}).content
    session.printer.items(("name", "role", "state", "last_error"), answer["binds"])


def try_address(
    session: Session,
    id: Id,  # noqa: A002
    number: Annotated[str, typer.Argument(help="E.164 number, short code or alphanumeric sender.")],
) -> None:
    """Show how a number goes on the wire over a link, and how it is read when it comes back."""
    answer = session.admin.call("GET", f"{_path(id)}/address", query={"number": number}).content
    session.printer.item(answer)


def receipts(
    session: Session,
    limit: Annotated[int, typer.Option(help="The most to list.")] = 100,
) -> None:
    """List receipts that match no message, and are kept in case one turns up."""
    answer = session.admin.call("GET", "/admin/v1/receipts/unmatched", query={"limit": limit}).content
    columns = ("at", "carrier_id", "carrier_message_id", "state", "error", "handset")
    session.printer.items(columns, answer["items"])


def trace(
    session: Session,
    id: Id,  # noqa: A002
    text: Annotated[bool, typer.Option("--text", help="Show texts, too.")] = False,
    hex_: Annotated[bool, typer.Option("--hex", help="Show the octets; needs --text.")] = False,
    pcap: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a capture that Wireshark opens; it holds texts."),
    ] = None,
    count: Annotated[int | None, typer.Option(help="Stop after so many PDUs.")] = None,
) -> None:
    """Show the PDUs of a link as they pass, until Ctrl-C.

    Passwords are never shown, and binds are not in a capture.
    """
    from contextlib import ExitStack

    from trebuchet.protocols import pcap as capture

    if hex_ and not text:
        raise CommandError(Code.REFUSED, "--hex needs --text: the octets hold the texts")
    with ExitStack() as stack:
        file = stack.enter_context(pcap.open("wb")) if pcap else None
        streams: dict[str, capture.Stream] = {}
        if file is not None:
            file.write(capture.header())
        wants_octets = text or file is not None
        feed = stack.enter_context(session.admin.feed(f"{_path(id)}/trace", {"text": wants_octets}))
        left = count
        for event in feed.events(lambda: math.inf):
            if event.kind == "missed":
                session.printer.note(f"{event.entry['missed']} PDUs were not shown: they came too fast")
            if event.kind != "message":
                continue
            entry = event.entry
            _print(session, entry, with_text=text, with_hex=hex_)
            if file is not None and "hex" in entry:
                stream = streams.setdefault(entry["bind"], capture.Stream())
                at_ms = _milliseconds(entry["time"])
                file.write(stream.packets(at_ms, entry["direction"] == "out", bytes.fromhex(entry["hex"])))
                file.flush()
            if left is not None:
                left -= 1
                if left <= 0:
                    return


def _print(session: Session, entry: Mapping[str, Any], *, with_text: bool, with_hex: bool) -> None:
    session.printer.json(entry)
    pdu = dict(entry["pdu"])
    command, status = pdu.pop("command", "?"), pdu.pop("command_status", "")
    arrow = "→" if entry["direction"] == "out" else "←"
    bad = isinstance(status, str) and status not in ("", "ROK")
    style = BAD if bad else GOOD if entry["direction"] == "in" else ""
    moment = clock_time(_milliseconds(entry["time"]))
    session.printer.line(Line(f"{moment}  {entry['bind']}  {arrow} {command}  {status}", style))
    for name, value in pdu.items():
        if value in ("", 0, None, [], {}):
            continue
        shown = "hidden" if name == "short_message" and not with_text else value
        session.printer.line(Line(f"    {name:<24}{shown}", QUIET))
    if with_hex and "hex" in entry:
        session.printer.line(Line(f"    {entry['hex']}", QUIET))


def _milliseconds(written: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(written).timestamp() * 1000)


def _path(id_: str) -> str:
    return f"/admin/v1/links/{quote(id_, safe='')}"

"""`trebuchet type`: a message from a simulated handset, with pictures and to a group."""

import base64
import mimetypes
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trebuchet.cli.options import Session, connected
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.output import GOOD, Line

PICTURES_OCTETS_MAX = (
    7_000_000  # of all together: in base64 they are a third longer, and a request has its bound
)


def register(app: typer.Typer) -> None:
    app.command("type")(connected(type_))


def type_(
    session: Session,
    handset: Annotated[str, typer.Argument(help="The number of the handset.")],
    text: Annotated[
        list[str] | None, typer.Argument(help="The text; its words are joined by blanks.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="The number of an application.", metavar="NUMBER")] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(help="Another recipient of a group message; repeatable.", metavar="NUMBER"),
    ] = None,
    reply_all: Annotated[
        bool, typer.Option("--reply-all", help="To all of the newest group message that the handset shows.")
    ] = False,
    picture: Annotated[
        list[Path] | None, typer.Option(help="A picture or another file; repeatable.", metavar="FILE")
    ] = None,
) -> None:
    """Type a message on a simulated handset.

    At another address than loopback the gateway wants its admin token.
    """
    if (to is None) is not reply_all:
        raise CommandError(Code.REFUSED, "say to whom: either --to NUMBER or --reply-all")
    body: dict[str, Any] = {"text": " ".join(text or []), "files": files(picture or [])}
    body |= {"reply_all": True} if reply_all else {"to": to}
    body |= {"group": group} if group else {}
    path = f"/sim/v1/handsets/{quote(handset, safe='')}/messages"
    typed = session.simulator.call("POST", path, body=body).content
    session.printer.json(typed)
    session.printer.line(Line(f"typed      {typed['id']}", GOOD))


def files(paths: list[Path]) -> list[dict[str, str]]:
    """Files as a request has them. Blocks on them. Raises OSError, and CommandError if they are too large."""
    found, left = [], PICTURES_OCTETS_MAX
    for path in paths:
        with path.open("rb") as file:
            octets = file.read(left + 1)
        left -= len(octets)
        if left < 0:
            raise CommandError(
                Code.REFUSED, f"{path}: all files together have at most {PICTURES_OCTETS_MAX} octets"
            )
        content_type, _ = mimetypes.guess_type(path.name)
        described = {"name": path.name, "data": base64.b64encode(octets).decode()}
        found.append(described | ({"content_type": content_type} if content_type else {}))
    return found

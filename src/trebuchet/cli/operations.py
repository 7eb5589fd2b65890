"""`trebuchet status` and `trebuchet audit`: how the running gateway does, and who changed what in it."""

from typing import Annotated

import typer

from trebuchet.cli.options import Session, connected, pages
from trebuchet.cli.output import Line
from trebuchet.cli.when import span


def register(app: typer.Typer) -> None:
    app.command()(connected(status))
    app.command()(connected(audit))


def status(session: Session) -> None:
    """Print version, uptime and queues of the gateway."""
    state = session.admin.call("GET", "/admin/v1/status").content
    queues = session.admin.call("GET", "/admin/v1/queues").content
    session.printer.json({**state, "queues": queues})
    if session.printer.as_json:
        return
    session.printer.item(state)
    for name in ("lanes", "callbacks"):
        for key, depth in (queues.get(name) or {}).items():
            oldest = span(round(depth["oldest_age_s"] * 1000))
            session.printer.line(Line(f"{name}  {key}: {depth['rows']} waiting, the oldest for {oldest}"))


def audit(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most entries to print.")] = 100,
) -> None:
    """List what was changed by whom, newest first."""
    answers = list(pages(session.admin, "/admin/v1/audit", {}, limit=limit, next_as="before"))
    columns = ("at_ms", "who", "action", "target", "detail")
    session.printer.items(columns, [item for answer in answers for item in answer["items"]])
    if answers[-1].get("next"):
        session.printer.note("there are more; see them with --limit")

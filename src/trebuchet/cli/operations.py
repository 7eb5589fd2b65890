"""`trebuchet status`: how the running gateway does."""

import typer

from trebuchet.cli.options import Session, connected
from trebuchet.cli.output import Line
from trebuchet.cli.when import span


def register(app: typer.Typer) -> None:
    app.command()(connected(status))


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

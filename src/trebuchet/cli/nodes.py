"""`trebuchet nodes`: who shares the database, and whose each lane is."""

from typing import Annotated

import typer

from trebuchet.cli.options import Session, connected

COLUMNS = ("name", "id", "state", "roles", "lanes", "seen", "url")
LANE_COLUMNS = ("lane", "node_name", "since", "epoch")


def register(app: typer.Typer) -> None:
    app.command()(connected(nodes))


def nodes(
    session: Session,
    *,
    lanes: Annotated[
        bool, typer.Option("--lanes", help="List the lanes and whose each is, instead.")
    ] = False,
) -> None:
    """List the nodes that share the database, and how many lanes each owns."""
    found = session.admin.call("GET", "/admin/v1/nodes").content
    if lanes:
        session.printer.items(LANE_COLUMNS, found["lanes"])
        return
    if session.printer.as_json:
        session.printer.items(COLUMNS, found["items"])
        return
    session.printer.items(COLUMNS, [{**node, "lanes": len(node["lanes"])} for node in found["items"]])
    nobodys = [lane["lane"] for lane in found["lanes"] if lane["node"] is None]
    if nobodys:
        session.printer.note(f"nobody's at the moment: {', '.join(nobodys)}")

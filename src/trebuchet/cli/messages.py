"""`trebuchet messages`, `show` and `replay`: what became of messages, and their callbacks once more."""

from typing import Annotated
from urllib.parse import quote

import typer

from trebuchet.cli.life import life_lines
from trebuchet.cli.options import Session, connected, pages
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.when import moment

COLUMNS = ("received", "id", "direction", "kind", "from", "to", "state", "error_code", "segment_count", "tag")

FromTime = Annotated[
    str | None,
    typer.Option("--from", help="Not before: 2026-01-31T12:00:00Z, or 2h for two hours ago.", metavar="TIME"),
]
ToTime = Annotated[str | None, typer.Option("--to", help="Not after: as --from.", metavar="TIME")]


def register(app: typer.Typer) -> None:
    for command in (messages, show, replay):
        app.command()(connected(command))


def messages(
    session: Session,
    account: Annotated[str | None, typer.Option(metavar="ID")] = None,
    application: Annotated[str | None, typer.Option(metavar="ID")] = None,
    source: Annotated[str | None, typer.Option(help="The sender.", metavar="NUMBER")] = None,
    destination: Annotated[str | None, typer.Option(help="A recipient.", metavar="NUMBER")] = None,
    state: Annotated[
        str | None, typer.Option(help="QUEUED, SENDING, SENT, IN_DOUBT, DELIVERED, FAILED, UNDELIVERED, …")
    ] = None,
    direction: Annotated[str | None, typer.Option(help="out or in.")] = None,
    kind: Annotated[str | None, typer.Option(help="sms or mms.")] = None,
    error_code: Annotated[int | None, typer.Option(help="Such as 4720.")] = None,
    carrier: Annotated[str | None, typer.Option(metavar="ID")] = None,
    tag: Annotated[str | None, typer.Option()] = None,
    from_time: FromTime = None,
    to_time: ToTime = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most messages to print.")] = 100,
) -> None:
    """List messages, newest first, without their texts.

    All filters given must match.
    """
    now_ms = session.now_ms()
    query: dict[str, object] = {
        "account": account,
        "application": application,
        "source": source,
        "destination": destination,
        "state": state and state.upper(),
        "direction": direction,
        "kind": kind,
        "error_code": error_code,
        "carrier": carrier,
        "tag": tag,
        "from": from_time and moment(from_time, now_ms),
        "to": to_time and moment(to_time, now_ms),
    }
    answers = list(pages(session.admin, "/admin/v1/messages", query, limit=limit, next_as="page"))
    items = [item for answer in answers for item in answer["items"]]
    session.printer.items(COLUMNS, items)
    if answers[-1].get("next"):
        session.printer.note(f"{len(items)} of {answers[-1]['total']}; more with --limit")


def show(
    session: Session,
    message_id: Annotated[str, typer.Argument(metavar="ID", help="The id in the answer to the request.")],
    text: Annotated[bool, typer.Option("--text", help="Show the text too.")] = False,
    hex_: Annotated[bool, typer.Option("--hex", help="Show the octets of each PDU; needs --text.")] = False,
) -> None:
    """Print the whole life of a message.

    Request, route, encoding, segments, exchanges with carriers, receipts, events, every callback tried, and the
    PDUs field by field.
    """
    if hex_ and not text:
        raise CommandError(Code.REFUSED, "--hex needs --text: the octets hold the text")
    life = session.admin.call(
        "GET", f"/admin/v1/messages/{quote(message_id, safe='')}", query={"text": text or None}
    ).content
    session.printer.json(life)
    for line in life_lines(life, with_hex=hex_):
        session.printer.line(line)


def replay(
    session: Session,
    event_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[EVENT]...", help="Ids of events, as `show` prints them.")
    ] = None,
    message: Annotated[str | None, typer.Option(help="All events of this message.", metavar="ID")] = None,
    application: Annotated[str | None, typer.Option(help="Events of this application.", metavar="ID")] = None,
    from_time: FromTime = None,
    to_time: ToTime = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only events that no try delivered.")] = False,
) -> None:
    """Call back once more.

    Single events, those of a message, or a range of an application.
    """
    body = replay_request(event_ids, message, application)
    now_ms = session.now_ms()
    range_given = {
        "from": from_time and moment(from_time, now_ms),
        "to": to_time and moment(to_time, now_ms),
        "failed_only": failed or None,
    }
    body |= {name: value for name, value in range_given.items() if value is not None}
    if application is None and len(body) > 1:
        raise CommandError(Code.REFUSED, "--from, --to and --failed need --application")
    answer = session.admin.call("POST", "/admin/v1/callbacks/replay", body=body).content
    session.printer.item(answer)
    if answer.get("queued") == 0:
        session.printer.note("there is no such event; `trebuchet show ID` prints those of a message")
    if answer.get("more"):
        session.printer.note("there are more than one call takes: narrow it with --from and --to")


def replay_request(
    event_ids: list[str] | None, message: str | None, application: str | None
) -> dict[str, object]:
    """What is to be replayed. Raises CommandError unless exactly one way of saying it is used."""
    ways: dict[str, object] = {"event_ids": event_ids, "message_id": message, "application_id": application}
    given = {name: value for name, value in ways.items() if value}
    if len(given) != 1:
        raise CommandError(Code.REFUSED, "give ids of events, or --message ID, or --application ID")
    return given

"""`trebuchet send`, `tail` and `wait`: messages as they go, from the gateway's feed.

A feed may lose entries: to a broken connection, or because we read too slowly. So whoever waits for an end
also looks at what is stored, whenever the feed was silent for a while, said that it dropped something, or
was opened again.
"""

import math
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trebuchet.cli.client import Client, ConnectionLost, FeedEvent, FeedReader
from trebuchet.cli.connection import ACCOUNT, SECRET, TOKEN, Login, account_client, account_login
from trebuchet.cli.life import error_text
from trebuchet.cli.options import Session, connected, pages
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.output import BAD, GOOD, QUIET, Line
from trebuchet.cli.when import clock_time, duration_ms
from trebuchet.clock import iso_ms
from trebuchet.model.events import EventType

FEED = "/admin/v1/feed"
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 10.0
CATCH_UP_MAX = 100  # messages that `wait --since` looks at

Entry = Mapping[str, Any]

ENDS = (EventType.DELIVERED, EventType.FAILED)
AWAITED = (*ENDS, EventType.RECEIVED)

Timeout = Annotated[str, typer.Option(help="Longest wait, such as 30s or 5m.", metavar="DURATION")]


def register(app: typer.Typer) -> None:
    for command in (send, tail, wait):
        app.command()(connected(command))


def send(
    session: Session,
    to: Annotated[str, typer.Argument(help="The recipient; several with commas between.")],
    text: Annotated[
        list[str] | None, typer.Argument(help="The text; its words are joined by blanks.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="The sender; else the account's first number.", metavar="NUMBER"),
    ] = None,
    application: Annotated[
        str | None, typer.Option(help="Whose callbacks are called; else the first one.", metavar="ID")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Echoed in the callbacks.")] = None,
    media: Annotated[
        list[str] | None, typer.Option(help="URL of a picture; repeatable.", metavar="URL")
    ] = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="Stop as soon as it is accepted.")] = False,
    timeout: Timeout = "60s",
    account: Annotated[str | None, typer.Option(envvar=ACCOUNT, metavar="ID")] = None,
    token: Annotated[str | None, typer.Option(envvar=TOKEN, help="API token of the account.")] = None,
    secret: Annotated[
        str | None, typer.Option(envvar=SECRET, help="Its secret; the variable is safer than the option.")
    ] = None,
) -> None:
    """Send a message and follow it to its end.

    It goes through the public API. Without credentials, those of the first account are read from the
    gateway's data folder.
    """
    left_s = _time_left(session, timeout)
    login = account_login(account, token, secret, session.data)
    request = send_request(login, to, text or [], source, application, tag, media)
    with ExitStack() as stack:
        # Opened before the message exists, so that nothing of its life is missed.
        open_feed = _feed_opener(session, {"account": login.account})
        feed = None if no_follow else stack.enter_context(open_feed())
        client = account_client(session.url, login)
        path = f"/v2/users/{quote(login.account, safe='')}/messages"
        message = client.call("POST", path, body=request).content
        session.printer.json(message)
        accepted = f"accepted   {message['id']}  {message['segmentCount']} segment(s)"
        session.printer.line(Line(accepted))
        if feed is not None:
            events = _events(session, feed, open_feed, left_s)
            code = _follow(session, events, message["id"], len(message["to"]))
            raise typer.Exit(code)


def send_request(
    login: Login,
    to: str,
    text: list[str],
    source: str | None,
    application: str | None,
    tag: str | None,
    media: list[str] | None,
) -> dict[str, object]:
    """The body of the request. Raises CommandError if sender or application are not known."""
    request = {
        "from": source or login.number,
        "to": [number.strip() for number in to.split(",")],
        "text": " ".join(text) or None,
        "applicationId": application or login.application,
        "tag": tag,
        "media": media,
    }
    for name, option in (("from", "--from NUMBER"), ("applicationId", "--application ID")):
        if request[name] is None:
            raise CommandError(Code.REFUSED, f"give {option}: only the first account has a default")
    return {name: value for name, value in request.items() if value is not None}


def tail(
    session: Session,
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only of this account.")] = None,
    application: Annotated[str | None, typer.Option(metavar="ID", help="Only of this application.")] = None,
) -> None:
    """Follow everything that happens, until Ctrl-C."""
    open_feed = _feed_opener(session, {"account": account})
    with open_feed() as feed:
        for event in _events(session, feed, open_feed, lambda: math.inf):
            if event.kind == "missed":
                session.printer.note("some entries were missed: the reader is too slow")
            elif event.kind == "message" and application in (None, event.entry.get("application_id")):
                _print(session, event.entry)


def wait(
    session: Session,
    message: Annotated[str | None, typer.Option(help="Of this message.", metavar="ID")] = None,
    to: Annotated[str | None, typer.Option(help="To this number.", metavar="NUMBER")] = None,
    contains: Annotated[str | None, typer.Option(help="With this in its text.", metavar="TEXT")] = None,
    event: Annotated[
        EventType | None, typer.Option(help="Only this event [default: any but message-sending].")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Also look back so far, as in 30s; else only ahead.", metavar="DURATION"),
    ] = None,
    timeout: Timeout = "30s",
) -> None:
    """Wait for an event; for tests in shell scripts.

    It must match all that is given. Exit code 0 when it came, 1 when time is up.
    With --message, events that have already happened count.
    """
    if message is None and to is None and contains is None:
        raise CommandError(Code.REFUSED, "say what to wait for: --message ID, --to NUMBER or --contains TEXT")
    left_s = _time_left(session, timeout)
    since_ms = session.now_ms() - duration_ms(since) if since is not None else None
    awaited = (event,) if event is not None else AWAITED
    open_feed = _feed_opener(session, {"message": message})
    with open_feed() as feed:
        for entry in _with_past(session, _events(session, feed, open_feed, left_s), message, to, since_ms):
            if is_awaited(entry, awaited, message, to) and _has_text(session.admin, entry, contains):
                _print(session, entry)
                return
    session.printer.note("nothing matched in time")
    raise typer.Exit(Code.NO)


# ---- decisions ----


def entry_line(entry: Entry) -> Line:
    """One entry of the feed as a line."""
    detail, code = entry.get("detail", ""), entry.get("error_code")
    text = f"{clock_time(entry['at_ms'])}  {entry['what']:<10} {entry['message_id']}"
    for part in (entry.get("to"), detail, error_text(code)):
        text += f"  {part}" if part else ""
    if detail == EventType.FAILED or code is not None:
        return Line(text, BAD)
    return Line(text, GOOD if detail in AWAITED else QUIET if entry["what"] == "callback" else "")


def entry_of_event(event: Entry) -> Entry:
    """A stored event as the feed would have told of it."""
    return {
        "at_ms": event["time_ms"],
        "what": "event",
        "message_id": event["message_id"],
        "recipient": event["recipient"],
        "to": event["to"],
        "detail": event["type"],
        "error_code": event.get("error_code"),
    }


def is_awaited(entry: Entry, events: tuple[EventType, ...], message: str | None, to: str | None) -> bool:
    """Whether an entry is an event of the kinds named, of this message and to this number, if given."""
    return (
        entry.get("what") == "event"
        and entry.get("detail") in events
        and message in (None, entry.get("message_id"))
        and to in (None, entry.get("to"))
    )


def end_code(ends: Mapping[int, str]) -> Code:
    """The exit code of a message whose recipients ended with these events."""
    return Code.OK if all(type_ == EventType.DELIVERED for type_ in ends.values()) else Code.NO


# ---- reading ----


def _time_left(session: Session, timeout: str) -> Callable[[], float]:
    until_ms = session.now_ms() + duration_ms(timeout)
    return lambda: (until_ms - session.now_ms()) / 1000


def _feed_opener(session: Session, query: Mapping[str, object]) -> Callable[[], FeedReader]:
    return lambda: session.admin.feed(FEED, query)


def _events(
    session: Session, feed: FeedReader, open_again: Callable[[], FeedReader], left_s: Callable[[], float]
) -> Generator[FeedEvent, None, None]:
    """The events of a feed, opened again whenever it breaks off, until no time is left.

    After a break there is an event "reopened".
    """
    wait_s = RETRY_FIRST_S
    while True:
        try:
            with feed:
                for event in feed.events(left_s):
                    wait_s = RETRY_FIRST_S
                    yield event
        except ConnectionLost as lost:
            session.printer.note(f"{lost}; trying again")
        while True:
            if left_s() <= 0:
                return
            session.pause(min(wait_s, left_s()))
            wait_s = min(2 * wait_s, RETRY_MAX_S)
            try:
                feed = open_again()
            except CommandError as error:
                if error.code is not Code.UNREACHABLE:
                    raise
            else:
                session.printer.note("connected again")
                yield FeedEvent("reopened", {})
                break


def _follow(session: Session, events: Iterator[FeedEvent], message_id: str, recipients: int) -> Code:
    """Print the life of a message until every recipient has its end, or time is up."""
    ends: dict[int, str] = {}
    for event in events:
        entries = [event.entry] if event.kind == "message" else _stored(session.admin, message_id)
        for entry in entries:
            if entry.get("message_id") != message_id:
                continue
            if event.kind == "message" or entry["recipient"] not in ends:
                _print(session, entry)
            if is_awaited(entry, ENDS, message_id, None):
                ends[entry["recipient"]] = entry["detail"]
        if len(ends) >= recipients:
            return end_code(ends)
    session.printer.note(f"no end yet; see `trebuchet show {message_id}`")
    return Code.NO


def _with_past(
    session: Session, events: Iterator[FeedEvent], message: str | None, to: str | None, since_ms: int | None
) -> Iterator[Entry]:
    """What is stored already, as far as it is asked for, then what happens."""

    def past() -> Iterator[Entry]:
        if message is not None:
            yield from _stored(session.admin, message)
        elif since_ms is not None:
            query: dict[str, object] = {"destination": to, "from": iso_ms(since_ms)}
            for page in pages(session.admin, "/admin/v1/messages", query, limit=CATCH_UP_MAX, next_as="page"):
                for item in page["items"]:
                    yield from _stored(session.admin, item["id"])

    yield from past()
    for event in events:
        if event.kind == "message":
            yield event.entry
        else:
            yield from past()


def _stored(client: Client, message_id: str) -> Iterator[Entry]:
    life = client.call("GET", f"/admin/v1/messages/{quote(message_id, safe='')}").content
    return map(entry_of_event, life["events"])


def _has_text(client: Client, entry: Entry, contains: str | None) -> bool:
    if contains is None:
        return True
    path = f"/admin/v1/messages/{quote(entry['message_id'], safe='')}"
    text = client.call("GET", path, query={"text": True}).content["message"].get("text")
    return contains in (text or "")


def _print(session: Session, entry: Entry) -> None:
    session.printer.json(entry)
    session.printer.line(entry_line(entry))

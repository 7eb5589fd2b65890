"""`trebuchet links trace`: the PDUs that pass a link, live, and as a capture."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from trebuchet.cli.client import ConnectionLost, FeedReader
from trebuchet.cli.options import Session
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.pdus import pdu_lines

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the carrier.")]


def link_path(link: str) -> str:
    """Of a link in the admin API."""
    return f"/admin/v1/links/{quote(link, safe='')}"


def trace(
    session: Session,
    link: Id,
    text: Annotated[bool, typer.Option("--text", help="Show texts, too.")] = False,
    hex_: Annotated[bool, typer.Option("--hex", help="Show the octets; needs --text.")] = False,
    pcap: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a capture that Wireshark opens; it holds texts."),
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many PDUs.")] = None,
) -> None:
    """Show the PDUs of a link as they pass, until Ctrl-C.

    Passwords are never shown, and binds are not in a capture.
    """
    if hex_ and not text:
        raise CommandError(Code.REFUSED, "--hex needs --text: the octets hold the texts")
    with ExitStack() as stack:
        wanted = {"text": text or pcap is not None}
        feed = stack.enter_context(session.admin.feed(f"{link_path(link)}/trace", wanted))
        keep = _capture(session, pcap, stack) if pcap is not None else _nowhere
        for entry in _traced(session, feed, count):
            keep(entry)
            seen = entry if text else _without_text(entry)
            session.printer.json(seen)
            for line in pdu_lines(seen, entry["bind"], with_hex=hex_):
                session.printer.line(line)


def _traced(session: Session, feed: FeedReader, count: int | None) -> Iterator[Mapping[str, Any]]:
    """The PDUs of a feed, until there were `count`."""
    left = math.inf if count is None else count
    try:
        for event in feed.events(lambda: math.inf):
            if event.kind == "missed":
                session.printer.note(f"{event.entry['missed']} PDUs were not shown: they came too fast")
            if event.kind == "message":
                yield event.entry
                left -= 1
            if left <= 0:
                return
    except ConnectionLost as lost:
        told = f"{lost}: the gateway was stopped, or the carrier deleted"
        raise CommandError(lost.code, f"{told}; `trebuchet links list` says which") from lost


def _without_text(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the gateway would have told without its text, which was asked for because a capture needs the octets."""
    from trebuchet.admin.pdus import decoded

    if "hex" not in entry:
        return entry
    kept = {name: entry[name] for name in ("time", "bind", "direction")}
    return kept | decoded(bytes.fromhex(entry["hex"]), with_text=False)


def _nowhere(_entry: Mapping[str, Any]) -> None:
    return None


def _capture(session: Session, path: Path, stack: ExitStack) -> Callable[[Mapping[str, Any]], None]:
    """Writes entries to a capture: one TCP connection for each bind. Closed with `stack`."""
    from trebuchet.protocols import pcap

    file = stack.enter_context(path.open("wb"))
    file.write(pcap.header())
    session.printer.note(f"writing {path}; if Wireshark shows only TCP, decode port {pcap.PORT} as SMPP")
    streams: dict[str, pcap.Stream] = {}

    def keep(entry: Mapping[str, Any]) -> None:
        if "hex" not in entry:
            return
        bind = entry["bind"]
        if bind not in streams:
            streams[bind] = pcap.Stream(len(streams))
        at_ms = round(datetime.fromisoformat(entry["time"]).timestamp() * 1000)
        file.write(streams[bind].packets(at_ms, entry["direction"] == "out", bytes.fromhex(entry["hex"])))
        file.flush()  # it can be opened while it grows

    return keep

"""`trebuchet move`: from a SQLite file to a PostgreSQL database, while no gateway runs."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from trebuchet.cli.configuration import ConfigFile, DataFolder
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.output import GOOD, QUIET, Line, Printer
from trebuchet.cli.serve import data_folder, read_settings
from trebuchet.storage import is_postgres, sqlite_file

if TYPE_CHECKING:
    from trebuchet.storage.moving import Progress

_MOVED: Final = ".moved"


def register(app: typer.Typer) -> None:
    app.command()(move)


def move(
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="sqlite:///FILE; by default the file in the data folder.", show_default=False
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="postgresql://USER@HOST/NAME; by default the setting storage.database.",
            show_default=False,
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Delete what an interrupted move has copied, and begin anew.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be moved, and whether it can be.")
    ] = False,
    config: ConfigFile = None,
    data: DataFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move a SQLite database into PostgreSQL: every record, message, receipt and everything that waits.

    Stop the gateway first. The target must be empty. Interrupted, the same command goes on where it was.
    At the end all rows are counted on both sides, and the file is renamed so that no gateway starts on it again.
    """
    loaded = read_settings(config, {"server.data_dir": data}, ())
    folder = data_folder(loaded)
    configured = loaded.settings.storage.database.reveal()
    file = sqlite_file(source or ("" if is_postgres(configured) else configured), folder)
    url = target or configured
    if not is_postgres(url):
        raise CommandError(
            Code.REFUSED,
            "say where to, with --to postgresql://USER@HOST/NAME or the setting storage.database",
        )
    from trebuchet.process import sole_owner
    from trebuchet.storage import moving

    printer = Printer(as_json=as_json)
    with ExitStack() as held:
        for place in {folder, file.parent}:
            if place.is_dir():
                held.enter_context(sole_owner(place))
        progress = held.enter_context(_shown(printer))
        try:
            moved = asyncio.run(
                moving.move(file, url, progress=progress, restart=restart, only_count=dry_run)
            )
        except KeyboardInterrupt:
            raise CommandError(
                Code.INTERRUPTED, "interrupted; the same command goes on where this one was"
            ) from None
        except moving.MoveRefused as error:
            raise CommandError(Code.REFUSED, str(error)) from error
        kept = file.with_name(file.name + _MOVED)
        if moved.finished:
            file.rename(kept)
    printer.json({"rows": moved.rows, "finished": moved.finished})
    printer.table(("table", "rows"), [(name, count) for name, count in moved.rows.items() if count])
    if not moved.finished:
        printer.line(Line(f"{moved.total:,} rows would be moved; nothing was changed", GOOD))
        return
    printer.line(Line(f"moved {moved.total:,} rows; every count agrees", GOOD))
    for text in _what_next(kept, url, file.parent / "media"):
        printer.line(Line(text, QUIET))


def _what_next(kept: Path, url: str, media: Path) -> Iterator[str]:
    yield f"the file is kept as {kept}: delete it when the nodes have proved themselves"
    if media.is_dir():
        yield f"pictures are still in {media}: copy the folder into the bucket that media.store names"
    yield f"start each node with: trebuchet serve --database {without_password(url)}"


def without_password(url: str) -> str:
    """The URL with dots in place of a password, and without its query, which may hold one as well."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{parts.scheme}://{name}{colon}{'…' if colon else ''}{at}{host}{parts.path}"


@contextmanager
def _shown(printer: Printer) -> "Iterator[Progress]":
    """A bar per table on a terminal, else a line for each that is whole."""
    if printer.as_json or not sys.stderr.isatty():
        yield _lines(printer)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def show(table: str, copied: int, total: int) -> None:
            if not total:
                return
            if table not in tasks:
                tasks[table] = bars.add_task(table, total=total)
            bars.update(tasks[table], completed=copied)

        yield show


def _lines(printer: Printer) -> Callable[[str, int, int], None]:
    def show(table: str, copied: int, total: int) -> None:
        if total and copied == total:
            printer.note(f"{table}: {total} rows")

    return show

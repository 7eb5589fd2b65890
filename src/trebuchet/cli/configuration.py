"""`trebuchet check`, `settings`, `migrate` and `version`: this machine's configuration, without a gateway."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.output import BAD, GOOD, Line, Printer
from trebuchet.cli.serve import data_folder, read_settings
from trebuchet.errors import StorageError
from trebuchet.settings import Loaded, describe, reference_markdown, value_text

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", metavar="FILE")]
DataFolder = Annotated[
    str | None, typer.Option("--data", help="Folder of everything that is kept.", metavar="DIR")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="As for `serve`; repeatable.", metavar="NAME=VALUE"),
]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database", help="As for `serve`.", metavar="URL", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    for command in (check, settings, migrate, version):
        app.command()(command)


def check(
    config: ConfigFile = None,
    data: DataFolder = None,
    database_url: DatabaseUrl = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with the configuration.

    Where, and what would be right; of the database, whether it can be read. Changes nothing.
    Exit code 1 if anything is wrong.
    """
    try:
        loaded = _loaded(config, data, database_url, assignments)
    except CommandError as error:
        problems, fine = str(error).splitlines(), list[str]()
    else:
        problems, fine = inspect_data(loaded)
    printer = Printer(as_json=as_json)
    printer.json({"ok": not problems, "problems": problems, "fine": fine})
    for text in fine:
        printer.line(Line(f"ok     {text}", GOOD))
    for text in problems:
        printer.line(Line(f"wrong  {text}", BAD))
    raise typer.Exit(Code.NO if problems else Code.OK)


def _loaded(
    config: Path | None, data: str | None, database_url: str | None, assignments: list[str] | None
) -> Loaded:
    return read_settings(
        config, {"server.data_dir": data, "storage.database": database_url}, assignments or ()
    )


def inspect_data(loaded: Loaded) -> tuple[list[str], list[str]]:
    """What is wrong with the data folder and the database, and what is fine. Changes nothing. Blocks."""
    fine = ["the settings are valid"]
    folder = data_folder(loaded)
    if folder.exists() and not (folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)):
        return [f"server.data_dir: {folder} is not a folder that this user may write: give another"], fine
    fine.append(f"data folder {folder}" + ("" if folder.exists() else ", which the first start makes"))
    if loaded.settings.tracing.endpoint:
        from trebuchet.tracing import TracingUnavailable, otlp

        try:
            otlp(loaded.settings.tracing.endpoint, instance="", version="")
        except TracingUnavailable as error:
            return [f"tracing.endpoint: {error}"], fine
    from trebuchet.storage import is_postgres

    url = loaded.settings.storage.database.reveal()
    if is_postgres(url):
        problems, good = inspect_server(url)
        return problems, fine + good
    try:
        database = database_file(loaded)
    except StorageError as error:
        return [f"storage.database: {error}"], fine
    if not database.exists():
        return [], [*fine, f"database {database}, which the first start makes"]
    from trebuchet.storage.migrations import HEAD, current_revision
    from trebuchet.storage.sqlite import dbapi

    try:
        connection = dbapi.connect(str(database))
        try:
            revision = current_revision(connection)
        finally:
            connection.close()
    except (StorageError, dbapi.Error) as error:
        return [f"database {database} cannot be read: {error}; restore it, or give another --data"], fine
    if revision == HEAD:
        return [], [*fine, f"database {database} has the current schema, {HEAD}"]
    return [], [*fine, f"database {database} has schema {revision}; the next start brings it to {HEAD}"]


def inspect_server(url: str) -> tuple[list[str], list[str]]:
    """What is wrong with a PostgreSQL database, and what is fine. Changes nothing. Blocks."""
    import asyncio

    from trebuchet.storage.postgres import checking

    try:
        found = asyncio.run(checking.inspect(url))
    except StorageError as error:
        return [f"storage.database: {error}"], []
    return found.problems, found.fine


def database_file(loaded: Loaded) -> Path:
    """The file of the database in force. Raises StorageUnavailable for a URL of no engine."""
    from trebuchet.storage import sqlite_file

    return sqlite_file(loaded.settings.storage.database.reveal(), data_folder(loaded))


def settings(
    config: ConfigFile = None,
    data: DataFolder = None,
    assignments: Assignments = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference page instead, as Markdown.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print every setting and where its value came from."""
    if markdown:
        sys.stdout.write(reference_markdown())
        return
    loaded = read_settings(config, {"server.data_dir": data}, assignments or ())
    items = [
        {
            "setting": row.name,
            "value": value,
            "source": source,
            "default": value_text(row.default),
            "what": row.description,
        }
        for row, value, source in describe(loaded)
    ]
    Printer(as_json=as_json).items(("setting", "value", "source", "default"), items)


def migrate(
    config: ConfigFile = None,
    data: DataFolder = None,
    database_url: DatabaseUrl = None,
    assignments: Assignments = None,
) -> None:
    """Bring the database to this version's schema.

    Every start does so, too.
    """
    loaded = _loaded(config, data, database_url, assignments)
    from trebuchet.storage import is_postgres, migrations

    url = loaded.settings.storage.database.reveal()
    if is_postgres(url):
        import asyncio

        from trebuchet.storage.postgres import migrating

        print(f"the database has schema {asyncio.run(migrating.migrate(url))}")
        return
    database = database_file(loaded)
    from trebuchet.storage.sqlite import dbapi

    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        revision = migrations.migrate(str(database))
    except dbapi.Error as error:
        raise CommandError(Code.NO, f"{database} cannot be changed now: {error}") from error
    print(f"{database} has schema {revision}")


def version() -> None:
    """Print the version."""
    from trebuchet import __version__

    print(f"trebuchet {__version__}")

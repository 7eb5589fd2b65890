"""`trebuchet serve`: reads the settings, then gives them to the composition root."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from trebuchet.cli.outcome import Code, CommandError
from trebuchet.settings import Loaded, SettingsError, data_directory, load

ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML file with settings.", metavar="FILE")]
DataFolder = Annotated[
    str | None,
    typer.Option("--data", help="Folder of everything that is kept.", metavar="DIR", show_default=False),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Any other setting, as in callbacks.timeout_s=5; repeatable. `trebuchet settings` lists them.",
        metavar="NAME=VALUE",
    ),
]


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    data: DataFolder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on; 0 takes any [default: 8080].")] = None,
    callback_url: Annotated[
        str | None,
        typer.Option(help="Where the first application is called back.", metavar="URL"),
    ] = None,
    config: ConfigFile = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Fixed, public credentials, for trials and tests only.")
    ] = False,
    assignments: Assignments = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error [default: info].")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="auto, console or json [default: auto].")] = None,
) -> None:
    """Start the gateway.

    Without any option it works: data in the user's data folder, a simulated carrier, loopback only, and a
    first account that is printed once.
    """
    flags = {
        "server.data_dir": data,
        "server.host": host,
        "server.port": port,
        "logging.level": log_level,
        "logging.format": log_format,
    }
    loaded = read_settings(config, flags, assignments or ())
    check_callback_url(callback_url)

    from trebuchet import app
    from trebuchet.cli.welcome import welcome

    def announce(ready: app.Ready) -> None:
        sys.stdout.write(welcome(ready, demo=demo))
        sys.stdout.flush()

    try:
        code = app.serve(
            loaded.settings,
            data_dir=data_folder(loaded),
            demo=demo,
            callback_url=callback_url,
            announce=announce,
        )
    except OSError as error:
        raise CommandError(Code.NO, start_problem(error)) from error
    raise typer.Exit(code)


def read_settings(config: Path | None, flags: Mapping[str, object], assignments: Sequence[str]) -> Loaded:
    """The settings of this process. Blocks on the file. Raises CommandError with everything that is wrong.

    `flags` are options of their own, by the name of their setting; they win over `--set`.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return load(config or "", os.environ, {**parse_assignments(assignments), **given})
    except SettingsError as error:
        raise CommandError(Code.REFUSED, "\n".join(map(str, error.problems))) from error


def parse_assignments(assignments: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE` texts by name; the last of a name wins. Raises CommandError naming those without `=`."""
    wrong = [text for text in assignments if "=" not in text or text.startswith("=")]
    if wrong:
        what = "\n".join(f"flag --set: {text!r} is not NAME=VALUE" for text in wrong)
        raise CommandError(Code.REFUSED, f"{what}\nWrite it like --set callbacks.timeout_s=5")
    return dict(text.split("=", 1) for text in assignments)


def data_folder(loaded: Loaded) -> Path:
    """The data folder in force. Makes nothing."""
    from platformdirs import user_data_path

    return data_directory(loaded.settings.server, user_data_path)


def check_callback_url(url: str | None) -> None:
    """Raises CommandError if it cannot be a callback URL."""
    if url is None:
        return
    from trebuchet.webclient import UrlRefused, parse_url

    try:
        parse_url(url)
    except UrlRefused as error:
        raise CommandError(Code.REFUSED, f"flag --callback-url: {error}") from error


def start_problem(error: OSError) -> str:
    """What kept the gateway from starting, and what to do."""
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}; name a folder that this user may write with --data"
    return f"the gateway could not start: {error.strerror or error}"

"""`trebuchet serve`: reads the settings, then gives them to the composition root.

Its options are rows, because they are read twice: by typer for help and completion, and by argparse for a
start. Typer reads values with pydantic, which alone takes a third of the second that a start may take.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from trebuchet.cli.outcome import Code, CommandError
from trebuchet.settings import Loaded, SettingsError, data_directory, load

if TYPE_CHECKING:
    import typer

    from trebuchet.app import Ready


class Option(NamedTuple):
    """One option. `kind` is what it holds: str for a text, bool for a switch, list for texts of each use."""

    name: str
    flag: str
    metavar: str
    help: str
    kind: type = str


OPTIONS = (
    Option("data", "--data", "DIR", "Folder of everything that is kept."),
    Option(
        "database",
        "--database",
        "URL",
        "postgresql://USER@HOST/NAME to share with other nodes; or sqlite:///FILE [default: a file in DIR].",
    ),
    Option(
        "roles", "--roles", "ROLES", "What this node does: api,carriers,callbacks,console [default: all]."
    ),
    Option("workers", "--workers", "N", "Processes that share the port [default: 1]; more need PostgreSQL."),
    Option("host", "--host", "ADDRESS", "Address to listen on [default: 127.0.0.1]."),
    Option("port", "--port", "PORT", "Port to listen on; 0 takes any [default: 8080]."),
    Option("callback_url", "--callback-url", "URL", "Where the first application is called back."),
    Option("config", "--config", "FILE", "TOML file with settings."),
    Option("open_browser", "--open", "", "Open the console in the browser, if there is a display.", bool),
    Option("demo", "--demo", "", "Fixed, public credentials, for trials and tests only.", bool),
    Option(
        "simulate_over_smpp",
        "--simulate-over-smpp",
        "",
        "Texts go to the simulated carrier over a real SMPP socket of loopback.",
        bool,
    ),
    Option(
        "assignments",
        "--set",
        "NAME=VALUE",
        "Any other setting, as in callbacks.timeout_s=5; repeatable. `trebuchet settings` lists them.",
        list,
    ),
    Option("log_level", "--log-level", "LEVEL", "debug, info, warning or error [default: info]."),
    Option("log_format", "--log-format", "FORMAT", "auto, console or json [default: auto]."),
)

NO_DISPLAY = "There is no display here: open the console's address in a browser yourself.\n"

# Option → the setting that it gives a value.
SETTINGS = {
    "data": "server.data_dir",
    "database": "storage.database",
    "roles": "nodes.roles",
    "workers": "nodes.workers",
    "host": "server.host",
    "port": "server.port",
    "log_level": "logging.level",
    "log_format": "logging.format",
}


def serve(
    *,
    config: str | None,
    assignments: Sequence[str] | None,
    demo: bool,
    callback_url: str | None,
    simulate_over_smpp: bool,
    open_browser: bool,
    **flags: str | None,
) -> int:
    """Start the gateway.

    Without any option it works: data in the user's data folder, a simulated carrier, loopback only, and a
    first account that is printed once.
    """
    given = {SETTINGS[name]: value for name, value in flags.items()}
    if simulate_over_smpp:
        given["simulator.over_smpp"] = "true"
    loaded = read_settings(Path(config) if config else None, given, assignments or ())
    check_callback_url(callback_url)
    check_workers(loaded)

    from trebuchet import process
    from trebuchet.cli.welcome import welcome

    def announce(ready: "Ready") -> None:
        sys.stdout.write(welcome(ready, demo=demo))
        if open_browser and ready.console:
            if has_display(os.environ, sys.platform):
                show(f"{ready.base_url}/")
            else:
                sys.stdout.write(NO_DISPLAY)
        sys.stdout.flush()

    try:
        return process.serve(
            loaded.settings,
            data_dir=data_folder(loaded),
            demo=demo,
            callback_url=callback_url,
            announce=announce,
            sources=loaded.sources,
        )
    except OSError as error:
        raise CommandError(Code.NO, start_problem(error)) from error


def run_quickly(arguments: Sequence[str]) -> int:
    """`serve` with these arguments, without typer. Blocks until the gateway stops. Returns the exit code."""
    return serve(**vars(parse(arguments)))


def register(tree: "typer.Typer") -> None:
    """Add `serve` to the command tree."""
    import inspect
    from typing import Annotated

    import typer

    from trebuchet.cli.options import described

    def command(**values: object) -> None:
        raise typer.Exit(run_quickly(words(values)))

    parameters = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[
                {str: str | None, bool: bool, list: list[str] | None}[option.kind],
                typer.Option(option.flag, metavar=option.metavar or None, help=option.help),
            ],
            default=False if option.kind is bool else None,
        )
        for option in OPTIONS
    ]
    tree.command()(described(command, "serve", serve.__doc__, parameters))


def show(url: str) -> None:
    """Open a page in the user's browser, which may take its time."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()


# ---- decisions ----


def has_display(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser with windows could be opened: elsewhere one of the terminal would take it over."""
    return platform in ("darwin", "win32") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


class _Parser(argparse.ArgumentParser):
    """Raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(Code.REFUSED, f"{message}\nsee `trebuchet serve --help`")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The values of OPTIONS by name, None where they are not given. Raises CommandError."""
    parser = _Parser(prog="trebuchet serve", add_help=False, allow_abbrev=False)
    for option in OPTIONS:
        action = {str: "store", bool: "store_true", list: "append"}[option.kind]
        parser.add_argument(option.flag, dest=option.name, action=action)
    return parser.parse_args(arguments)


def words(values: Mapping[str, object]) -> list[str]:
    """The arguments that `parse` reads as these values."""
    written = []
    for option in OPTIONS:
        value = values[option.name]
        if option.kind is bool:
            written += [option.flag] if value else []
        else:
            each = value if isinstance(value, list) else [value] if value is not None else []
            written += [f"{option.flag}={text}" for text in each]
    return written


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


def check_workers(loaded: Loaded) -> None:
    """Raises CommandError if several processes cannot share what these settings name."""
    settings = loaded.settings
    if settings.nodes.workers == 1:
        return
    from trebuchet.storage import is_postgres

    if not is_postgres(settings.storage.database.reveal()):
        raise CommandError(
            Code.REFUSED,
            "nodes.workers: several processes need a database to share; give one with --database",
        )
    if settings.server.port == 0:
        raise CommandError(Code.REFUSED, "nodes.workers: several processes share a port; name it with --port")


def start_problem(error: OSError) -> str:
    """What kept the gateway from starting, and what to do."""
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}; name a folder that this user may write with --data"
    return f"the gateway could not start: {error.strerror or error}"

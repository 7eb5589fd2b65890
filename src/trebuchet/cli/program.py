"""The command tree, and the one place where a command's failure becomes text and an exit code."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from trebuchet.cli.outcome import Code, CommandError
from trebuchet.errors import TrebuchetError

# Command → module whose `register` adds it. In the order of the help.
MODULES = {
    "serve": "serve",
    "send": "follow",
    "tail": "follow",
    "wait": "follow",
    "messages": "messages",
    "show": "messages",
    "replay": "messages",
    "accounts": "resources",
    "credentials": "resources",
    "applications": "resources",
    "numbers": "resources",
    "carriers": "resources",
    "routes": "resources",
    "opt-outs": "resources",
    "links": "operations",
    "status": "operations",
    "check": "configuration",
    "settings": "configuration",
    "migrate": "configuration",
    "version": "configuration",
}

HELP = "Trebuchet: a self-hosted messaging gateway that speaks Bandwidth's V2 Messaging API."


def run(arguments: Sequence[str]) -> int:
    """Run one command. Blocks until it ends. Returns its exit code; what failed is on stderr."""
    command = typer.main.get_command(program(arguments))
    try:
        command.main(args=list(arguments), prog_name="trebuchet")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Code.OK
    except CommandError as stop:
        return complain(str(stop), stop.code)
    except (TrebuchetError, OSError) as error:
        return complain(str(error), Code.NO)
    return Code.OK


def complain(text: str, code: Code) -> int:
    """Print a failure to stderr, one `error:` a line."""
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return code


def program(arguments: Sequence[str]) -> typer.Typer:
    """The command tree: only the module that `arguments` asks for, or all when they ask for help."""
    app = typer.Typer(
        name="trebuchet",
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # help and usage errors are as plain as a pipe needs them, and Rich stays out
    )
    app.callback()(root)
    asked = MODULES.get(arguments[0]) if arguments else None
    for module in dict.fromkeys([asked] if asked else MODULES.values()):
        import_module(f"trebuchet.cli.{module}").register(app)
    return app


def print_version(wanted: bool) -> None:
    if wanted:
        import_module("trebuchet.cli.configuration").version()
        raise typer.Exit


def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Nothing is common to all commands but the version."""

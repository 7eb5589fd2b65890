"""The command tree, as typer knows it."""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from trebuchet.cli.outcome import Code

# Command → module whose `register` adds it. In the order of the help.
MODULES = {
    "serve": "serve",
    "send": "follow",
    "tail": "follow",
    "wait": "follow",
    "type": "handset",
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
    "links": "links",
    "nodes": "nodes",
    "status": "operations",
    "audit": "operations",
    "users": "users",
    "simulate": "simulate",
    "check": "configuration",
    "settings": "configuration",
    "migrate": "configuration",
    "move": "move",
    "version": "configuration",
}

HELP = "Trebuchet: a self-hosted messaging gateway that speaks Bandwidth's V2 Messaging API."


def run_tree(arguments: Sequence[str]) -> int:
    """Run the command that typer finds. Returns its exit code; prints usage and help by itself."""
    try:
        typer.main.get_command(build(arguments)).main(args=list(arguments), prog_name="trebuchet")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Code.OK
    return Code.OK


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command tree: only the module that `arguments` asks for, or all of it when they ask for none."""
    tree = typer.Typer(
        name="trebuchet",
        help=HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # help and usage errors are as plain as a pipe needs them, and Rich stays out
    )
    tree.callback()(_root)
    asked = MODULES.get(arguments[0]) if arguments else None
    for module in dict.fromkeys([asked] if asked else MODULES.values()):
        import_module(f"trebuchet.cli.{module}").register(tree)
    return tree


def _print_version(wanted: bool) -> None:
    if wanted:
        import_module("trebuchet.cli.configuration").version()
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Nothing is common to all commands but the version."""

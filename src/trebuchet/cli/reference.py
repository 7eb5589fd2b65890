"""The reference page of the command line, made from the commands themselves. Run as a program, it prints the page."""

import sys
from collections.abc import Iterator
from typing import Any

import typer

from trebuchet.cli.outcome import MEANINGS
from trebuchet.cli.tree import build

WIDTH = 100

INTRODUCTION = """\
# Command line

`trebuchet COMMAND --help` prints what stands here. `serve`, `check`, `settings`, `migrate` and `version` work
on this machine; every other command talks HTTP to a running gateway.

## Which gateway, which credentials

`--url` or `TREBUCHET_URL` says where the gateway is. `send` uses the public API with `TREBUCHET_ACCOUNT`,
`TREBUCHET_TOKEN` and `TREBUCHET_SECRET`; without them, the first account that `serve` left in
`first-account.json` in its data folder. To follow a message, and for every other command, the admin token is
needed: `TREBUCHET_ADMIN_TOKEN`, or the file `admin-token` in the same folder. `--data` names that folder.
Options can be seen by other users of the machine in its list of processes; variables cannot.

## Output

On a terminal, results are coloured and aligned. In a pipe they are plain, tables with tabs between the columns.
With `--json` each result is one JSON value on one line. Notes and errors go to stderr. `NO_COLOR` is respected.
`trebuchet --install-completion` sets up completion for the shell in use.

## Exit codes

| code | meaning |
|---|---|
"""


def reference_markdown() -> str:
    """The page, in Markdown."""
    tree = typer.main.get_command(build([]))
    lines = INTRODUCTION.splitlines()
    lines += [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    lines += ["", "## Commands"]
    for words, command in commands(tree, ()):
        context = typer.Context(command, info_name=" ".join(("trebuchet", *words)), terminal_width=WIDTH)
        lines += ["", f"### {' '.join(words)}", "", "```text", command.get_help(context), "```"]
    return "\n".join(lines) + "\n"


def commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command under `command` that does something, with the words that call it."""
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name, child in children.items():
        yield from commands(child, (*words, name))


if __name__ == "__main__":
    sys.stdout.write(reference_markdown())

"""What reaches the terminal: coloured on one, plain in a pipe, JSON on request. Rich is imported only when used.

Whatever came over the network is made harmless first: a control character could rewrite the screen.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console


class Line(NamedTuple):
    """One line of text, and the style (in Rich's words) that it has on a terminal."""

    text: str
    style: str = ""


GOOD = "green"
BAD = "red"
QUIET = "dim"
TITLE = "bold"


class Printer:
    """Prints results to stdout and notes to stderr. With `as_json`, results are JSON and lines are left out."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        on_terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._console = _console() if on_terminal and not as_json else None

    def line(self, line: Line) -> None:
        """Print a line at once, for those who watch."""
        if self.as_json:
            return
        text = printable(line.text)
        if self._console is None:
            print(text, flush=True)
        else:
            self._console.print(text, style=line.style or None, markup=False, emoji=False)

    def clear(self) -> None:
        """Clear the screen, if it is one."""
        if self._console is not None:
            self._console.clear()

    def json(self, value: object) -> None:
        """Print one JSON value on one line, if JSON was asked for."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False), flush=True)

    def note(self, text: str) -> None:
        """Print what is no result to stderr."""
        print(printable(text), file=sys.stderr, flush=True)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows under a header: aligned on a terminal, separated by tabs in a pipe."""
        if self.as_json:
            return
        cells = [[cell_text(value) for value in row] for row in rows]
        if self._console is None:
            for row in (columns, *cells):
                print("\t".join(row))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style=TITLE)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*map(Text, row))
        self._console.print(table)

    def items(self, columns: Sequence[str], items: Sequence[Mapping[str, Any]]) -> None:
        """Print objects: as a table of the columns named, or as JSON lines with everything they hold."""
        for item in items:
            self.json(item)
        self.table(columns, [[item.get(column) for column in columns] for item in items])

    def item(self, item: Mapping[str, Any]) -> None:
        """Print one object: a line per field, or JSON."""
        self.json(item)
        width = max(map(len, item), default=0)
        for name, value in item.items():
            self.line(Line(f"{name:<{width}}  {cell_text(value)}"))


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def cell_text(value: object) -> str:
    """A JSON value as it stands in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return printable(", ".join(value))
    return printable(json.dumps(value, ensure_ascii=False)) if isinstance(value, list | dict) else str(value)


def printable(text: str) -> str:
    """The text with every control and format character but the blank written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

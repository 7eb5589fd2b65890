"""A step is one statement with its values; whoever runs the steps sends the rows that each found.

Statements are written in SQL that the engines share, and each engine writes a few words its own way: see `over`.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from trebuchet.storage.sql.over import Over

T = TypeVar("T")
C = TypeVar("C")

Row = Sequence[Any]
Rows = Sequence[Row]
Step = tuple[str | Over, Sequence[Any]]
"""A text with its parameters, or a statement over rows with those rows."""

Steps = Generator[Step, Rows, T]


def over(statement: Over, rows: Sequence[Any]) -> Steps[Rows]:
    """Carry out a statement over rows, if there are any: what it found, in no order but that within each key."""
    if not rows:
        return ()
    return (yield statement, rows)


def ask(text: str, *parameters: Any) -> Steps[Rows]:
    """Carry out one statement: the rows that it found."""
    return (yield text, parameters)


def ask_one(text: str, *parameters: Any) -> Steps[Row | None]:
    """The first row that a statement found, or None."""
    found = yield text, parameters
    return found[0] if found else None


def value(text: str, *parameters: Any) -> Steps[Any]:
    """The first value of the only row of a statement that always finds one."""
    found = yield text, parameters
    return found[0][0]


def each(carry_out: Callable[[C], Steps[T]], changes: Sequence[C]) -> Steps[list[T]]:
    """One after the other: the results of all."""
    results = []
    for change in changes:
        results.append((yield from carry_out(change)))  # noqa: PERF401  # no comprehension may yield
    return results

"""What is printed when nobody looks at a terminal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.cli.output import Line, Printer, cell_text, printable


@given(st.text())
def test_nothing_printed_can_steer_a_terminal(text: str) -> None:
    """What came over the network holds no control character when it is printed."""
    assert printable(text).isprintable()


def test_ordinary_text_is_printed_as_it_is() -> None:
    """Letters of every alphabet and blanks stay; line ends and escapes become visible."""
    assert printable("Grüße 你好 👋") == "Grüße 你好 👋"
    assert printable("a\nb\x1b[31m") == "a\\nb\\x1b[31m"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1.5, "1.5"),
        ("+1\t2", "+1\\t2"),
        (["a", "b"], "a, b"),
        ([["sim/0", 5]], '[["sim/0", 5]]'),
        ({"window": 10}, '{"window": 10}'),
    ],
)
def test_cells(value: object, text: str) -> None:
    """Every JSON value has a form for a table, on one line."""
    assert cell_text(value) == text


def test_tables_in_a_pipe_are_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    """A header, then a line per item, of the columns asked for."""
    Printer().items(("id", "name"), [{"id": "u-1", "name": "One", "more": 1}, {"id": "u-2"}])
    assert capsys.readouterr().out == "id\tname\nu-1\tOne\nu-2\t-\n"


def test_objects_in_a_pipe_are_a_line_per_field(capsys: pytest.CaptureFixture[str]) -> None:
    """Names, then values, aligned."""
    Printer().item({"id": "u-1", "name": None})
    assert capsys.readouterr().out == "id    u-1\nname  -\n"


def test_json_is_one_value_a_line_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json, items are printed whole, lines are left out, and notes go to stderr."""
    printer = Printer(as_json=True)
    printer.items(("id",), [{"id": "ü", "more": [1]}, {"id": "2"}])
    printer.item({"a": 1})
    printer.line(Line("for people"))
    printer.note("a note")
    captured = capsys.readouterr()
    assert [json.loads(line) for line in captured.out.splitlines()] == [
        {"id": "ü", "more": [1]},
        {"id": "2"},
        {"a": 1},
    ]
    assert captured.err == "a note\n"

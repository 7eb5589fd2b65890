"""The command tree: lazy parts, exit codes, errors."""

import pytest
import typer

from trebuchet.cli.outcome import MEANINGS, Code
from trebuchet.cli.program import complain, run
from trebuchet.cli.reference import commands
from trebuchet.cli.tree import MODULES, build


def tree(*arguments: str) -> set[str]:
    """The first words of every command that is built for these arguments."""
    return {words[0] for words, _ in commands(typer.main.get_command(build(arguments)), ())}


def test_the_table_of_commands_is_the_tree() -> None:
    """Every command is found by its first word, and every word is a command."""
    assert tree() == set(MODULES)
    assert tree("--help") == tree("no-such-command") == set(MODULES)


@pytest.mark.parametrize("word", MODULES)
def test_a_command_is_built_by_its_own_module(word: str) -> None:
    """So that a start pays for nothing else."""
    assert word in tree(word)
    assert {MODULES[other] for other in tree(word)} == {MODULES[word]}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["no-such-command"], Code.REFUSED, "No such command 'no-such-command'"),
        (["serve", "--no-such-option"], Code.REFUSED, "error: unrecognized arguments: --no-such-option"),
        (["serve", "--data"], Code.REFUSED, "error: argument --data"),
        (["send"], Code.REFUSED, "Missing argument"),
        (["messages", "--limit", "0"], Code.REFUSED, "--limit"),
        (["serve", "--set", "x"], Code.REFUSED, "error: flag --set: 'x' is not NAME=VALUE"),
        (["serve", "--port", "99999", "--log-level", "loud"], Code.REFUSED, "error: flag --port: '99999'"),
        (["replay"], Code.REFUSED, "error: give ids of events"),
        (["replay", "e-1", "--message", "m"], Code.REFUSED, "error: give ids of events"),
        (["replay", "e-1", "--failed"], Code.REFUSED, "error: --from, --to and --failed need --application"),
        (["wait"], Code.REFUSED, "error: say what to wait for"),
        (["wait", "--to", "+1", "--timeout", "soon"], Code.REFUSED, "error: 'soon' is not a duration"),
        (["messages", "--admin-token", "t", "--from", "soon"], Code.REFUSED, "error: 'soon' is not a time"),
        (["status", "--admin-token", "t", "--url", "ftp://x"], Code.REFUSED, "is not the URL of a gateway"),
        (["accounts", "update", "u-1"], Code.REFUSED, "error: nothing to change"),
    ],
)
def test_wrong_usage(arguments: list[str], code: Code, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, the reason on stderr, and nothing on stdout."""
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, with exit code 0."""
    assert run(arguments) == Code.OK
    assert capsys.readouterr().out.startswith("trebuchet ")


def test_errors_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them are printed, and the code is passed on."""
    assert complain("one\ntwo", Code.NO) == Code.NO
    assert capsys.readouterr().err == "error: one\nerror: two\n"


def test_every_exit_code_has_a_meaning() -> None:
    """The manual leaves none out."""
    assert set(MEANINGS) == set(Code)

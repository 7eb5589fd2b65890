"""From flags to settings, and what keeps a gateway from starting."""

import pytest

from trebuchet.cli import connection
from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.serve import (
    OPTIONS,
    check_callback_url,
    has_display,
    parse,
    parse_assignments,
    start_problem,
    words,
)
from trebuchet.settings import load

GIVEN = ["--demo", "--port=0", "--host", "::1", "--set", "a.b=1", "--set=c.d=-x", "--data", "a folder"]


def test_options_as_values() -> None:
    """With or without `=`, in any order; what is not given is None, and a switch false."""
    values = vars(parse(GIVEN))
    assert set(values) == {option.name for option in OPTIONS}
    given = {name: value for name, value in values.items() if value is not None}
    assert given == {
        "demo": True,
        "port": "0",
        "host": "::1",
        "assignments": ["a.b=1", "c.d=-x"],
        "data": "a folder",
        "simulate_over_smpp": False,
        "open_browser": False,
    }
    assert parse([]).demo is False


@pytest.mark.parametrize("arguments", [[], GIVEN, ["--set=-x", "--config=--demo"]])
def test_values_as_options(arguments: list[str]) -> None:
    """What typer has read is handed on unchanged."""
    assert parse(words(vars(parse(arguments)))) == parse(arguments)


def test_abbreviated_options_are_refused() -> None:
    """They would change their meaning when an option is added."""
    with pytest.raises(CommandError, match="unrecognized arguments"):
        parse(["--cal", "http://h"])


def test_assignments_by_name() -> None:
    """The value may hold `=` or be empty, and the last of a name wins."""
    assert parse_assignments(["a.b=1", "c.d=x=y", "e.f=", "a.b=2"]) == {"a.b": "2", "c.d": "x=y", "e.f": ""}


def test_what_is_no_assignment_is_named() -> None:
    """Each one, with how to write it."""
    with pytest.raises(CommandError) as refused:
        parse_assignments(["a.b=1", "c.d", "=x"])
    assert refused.value.code is Code.REFUSED
    assert str(refused.value).splitlines() == [
        "flag --set: 'c.d' is not NAME=VALUE",
        "flag --set: '=x' is not NAME=VALUE",
        "Write it like --set callbacks.timeout_s=5",
    ]


@pytest.mark.parametrize("url", ["ftp://x", "localhost:1", "http://u:p@h/"])
def test_a_callback_url_that_cannot_be_called_is_refused(url: str) -> None:
    """Before anything is started or stored."""
    with pytest.raises(CommandError, match="flag --callback-url: "):
        check_callback_url(url)


def test_a_callback_url_is_optional() -> None:
    """None, http and https are taken."""
    for url in (None, "http://127.0.0.1:9000/hook", "https://example.com/hook"):
        check_callback_url(url)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            OSError(98, "cannot listen on 127.0.0.1:8080: in use; choose another with --port"),
            "the gateway could not start: cannot listen on 127.0.0.1:8080: in use; choose another with --port",
        ),
        (
            PermissionError(13, "Permission denied", "/var/lib/x"),
            "/var/lib/x: Permission denied; name a folder that this user may write with --data",
        ),
        (OSError("no reason"), "the gateway could not start: no reason"),
    ],
)
def test_what_kept_it_from_starting(error: OSError, text: str) -> None:
    """What is wrong and what to do, without an error number."""
    assert start_problem(error) == text


@pytest.mark.parametrize(
    ("environ", "platform", "there"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
    ],
)
def test_a_browser_needs_a_display(environ: dict[str, str], platform: str, there: bool) -> None:
    """Without one, a browser of the terminal would take the gateway's output over."""
    assert has_display(environ, platform) is there


def test_the_variables_of_the_command_line_are_no_settings() -> None:
    """A shell that is set up for `trebuchet send` can start a gateway, too."""
    names = (connection.ADMIN_TOKEN, connection.ACCOUNT, connection.TOKEN, connection.SECRET, "TREBUCHET_URL")
    assert load("", dict.fromkeys(names, "x"), {}).sources == load("", {}, {}).sources

"""What `serve` prints when it is ready."""

import ast
import json
import shlex
from pathlib import Path

import msgspec
import pytest

from trebuchet.app import Ready
from trebuchet.cli.welcome import welcome

READY = Ready(
    base_url="http://127.0.0.1:8080",
    data_dir=Path("/data"),
    admin_token_path=Path("/data/admin-token"),
    first_run=True,
    account_id="u-1",
    token="t-1",
    secret="s-1",
    application_id="app-1",
    numbers=("+12345678901", "+12025550100"),
    simulator=True,
    loopback_callbacks=True,
)


def command(text: str, word: str) -> list[str]:
    """The words of the first shell command in the text that starts with `word`."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(word))
    end = next(i for i in range(start, len(lines)) if not lines[i].endswith("\\"))
    return shlex.split("\n".join(lines[start : end + 1]))


def test_the_curl_command_can_be_pasted() -> None:
    """A shell reads it as one command with valid JSON."""
    words = command(welcome(READY, demo=False), "curl -u")
    assert words[:4] == ["curl", "-u", "t-1:s-1", "http://127.0.0.1:8080/v2/users/u-1/messages"]
    body = json.loads(words[-1])
    assert body == {"from": "+12345678901", "to": "+12345678902", "text": "Hello", "applicationId": "app-1"}


def test_the_python_lines_can_be_pasted() -> None:
    """They are Python, and repoint the SDK by host and ignore_operation_servers."""
    text = welcome(READY, demo=False)
    source = text[text.index("import bandwidth") : text.index("Read it on")]
    ast.parse(source)
    assert 'host="http://127.0.0.1:8080/api/v2", ignore_operation_servers=True' in source
    assert 'username="t-1", password="s-1"' in source


def test_the_handset_is_shown_only_with_the_simulator() -> None:
    """Where the message can be read back."""
    assert command(welcome(READY, demo=False), "curl 'http")[1].endswith(
        "/handsets/+12345678902/messages?wait=10s"
    )
    assert "/sim/v1" not in welcome(msgspec.structs.replace(READY, simulator=False), demo=False)


@pytest.mark.parametrize(
    "part",
    [
        "/data",
        "/data/admin-token",
        "http://127.0.0.1:8080/docs",
        "loopback",
        "credentials create u-1",
        "+12025550100",
    ],
)
def test_the_first_run_says_where_everything_is(part: str) -> None:
    """Data, admin token, documentation, and that the secret is shown once."""
    assert part in welcome(READY, demo=False)


def test_later_starts_are_two_lines_without_secrets() -> None:
    """Just the URLs, also when the secret is at hand."""
    later = msgspec.structs.replace(READY, first_run=False)
    assert welcome(later, demo=False) == (
        "Trebuchet is ready at http://127.0.0.1:8080\nConsole       http://127.0.0.1:8080/\n"
    )
    assert welcome(msgspec.structs.replace(READY, secret=None), demo=True).count("\n") == 2
    without = msgspec.structs.replace(later, console=False)
    assert welcome(without, demo=False) == "Trebuchet is ready at http://127.0.0.1:8080\n"


def test_the_password_of_the_console_is_told_when_it_was_made() -> None:
    """On a gateway that others can reach."""
    text = welcome(msgspec.structs.replace(READY, console_password="s3cret"), demo=False)
    assert "Log in as     admin, password s3cret (not shown again)" in text


def test_the_demo_is_always_explained() -> None:
    """Its credentials are public, so nothing is said of showing them once."""
    text = welcome(msgspec.structs.replace(READY, first_run=False), demo=True)
    assert "t-1:s-1" in text
    assert "not shown again" not in text

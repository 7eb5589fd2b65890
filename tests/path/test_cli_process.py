"""The command line as a process: what it loads, how it is interrupted, what a terminal shows."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from socket import create_server

import pytest

TREBUCHET = [sys.executable, "-m", "trebuchet"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Variables of a shell in which nothing of ours is set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TREBUCHET_")}
    return kept | {"TREBUCHET_SERVER_DATA_DIR": str(folder), "TERM": "xterm-256color", **more}


@contextmanager
def terminal(words: list[str], env: dict[str, str]) -> Iterator[str]:
    """What a command shows on a terminal of its own."""
    ours, its = pty.openpty()
    process = subprocess.Popen([*TREBUCHET, *words], stdin=its, stdout=its, stderr=its, env=env)
    os.close(its)
    shown = b""
    try:
        # Linux ends the terminal of a process that is gone with an error, other systems with nothing.
        while piece := os.read(ours, 65_536):
            shown += piece
    except OSError:
        pass
    finally:
        os.close(ours)
        process.wait(30)
    yield shown.decode()


def test_serve_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    """Neither typer, pydantic and Rich nor an HTTP client: each costs a tenth of a second or more."""
    source = (
        "import sys; from trebuchet.cli.program import run; run(['serve', '--port', 'x']); "
        "print(*sorted({'rich', 'typer', 'pydantic', 'http.client'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=60,
        check=True,
    )
    assert done.stdout == "\n"
    assert "flag --port" in done.stderr


def test_ctrl_c_ends_a_command_without_a_trace(tmp_path: Path) -> None:
    """Exit code 130, and nothing is said."""
    with create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [*TREBUCHET, "tail", "--url", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(tmp_path, TREBUCHET_ADMIN_TOKEN="t"),
            # A shell that runs the tests in the background has the signal ignored, and so would we.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # one thread only
        )
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(4096).startswith(b"GET /admin/v1/feed HTTP/1.1\r\n")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_shows_colours_unless_they_are_unwanted(
    variables: dict[str, str], coloured: bool, tmp_path: Path
) -> None:
    """And in a pipe there are none (the unit tests)."""
    with terminal(["check"], environment(tmp_path, **variables)) as shown:
        assert "ok     the settings are valid" in shown
        assert ("\x1b[32m" in shown) is coloured


def test_tables_are_aligned_on_a_terminal(tmp_path: Path) -> None:
    """Columns are padded, not separated by tabs."""
    with terminal(["settings"], environment(tmp_path, NO_COLOR="1", COLUMNS="120")) as shown:
        lines = re.sub(r"\x1b\[\d*m", "", shown).splitlines()
    assert "\t" not in shown
    [host] = [line for line in lines if line.startswith("server.host ")]
    assert lines[0].index("value") == host.index('"127.0.0.1"')


def test_check_and_migrate_say_what_the_database_needs(tmp_path: Path) -> None:
    """No file, then the current schema, then a damaged file: exit codes 0, 0 and 1."""

    def command(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [*TREBUCHET, *words],
            capture_output=True,
            text=True,
            env=environment(tmp_path),
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    code, out = command("check")
    assert (code, "which the first start makes" in out) == (0, True)
    code, out = command("migrate")
    [database] = tmp_path.glob("*.sqlite3")
    assert (code, out.startswith(f"{database} has schema ")) == (0, True)
    code, out = command("check")
    assert (code, "has the current schema" in out) == (0, True)
    for file in tmp_path.iterdir():
        file.write_bytes(b"not a database" * 1000)
    code, out = command("check")
    assert (code, "cannot be read" in out) == (1, True)


def test_check_names_every_problem_of_the_settings(tmp_path: Path) -> None:
    """With exit code 1, each with what would be right."""
    file = tmp_path / "settings.toml"
    file.write_text("[server]\nport = 'x'\n[callbacks]\ntimeout = 1\n")
    done = subprocess.run(
        [*TREBUCHET, "check", "--config", str(file)],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    wrong = done.stdout.splitlines()
    assert len(wrong) == 2
    assert all(line.startswith("wrong  ") for line in wrong)
    assert "Did you mean callbacks.timeout_s?" in done.stdout

"""The coverage-guided fuzzers, each for a bounded number of inputs; `make fuzz` runs them for longer."""

import subprocess
from pathlib import Path

import pytest
from fuzzers import SEEDS, command

pytestmark = pytest.mark.atheris

RUNS = 20_000
TIMEOUT_S = 400


@pytest.mark.parametrize("name", SEEDS)
def test_no_input_breaks_its_promise(name: str, tmp_path: Path) -> None:
    """The promise is the first sentence of the fuzzer; an input that breaks it is printed."""
    started = [*command(name, tmp_path, f"-runs={RUNS}"), "-seed=1"]
    done = subprocess.run(started, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    inputs = [path.read_bytes().hex() for path in (tmp_path / "found").iterdir()]
    assert (done.returncode, inputs) == (0, []), done.stderr[-4000:]
    assert f"Done {RUNS} runs" in done.stderr

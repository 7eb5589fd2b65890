"""`trebuchet type`: what it refuses before it asks a gateway."""

import pytest

from trebuchet.cli import program
from trebuchet.cli.outcome import Code


@pytest.mark.parametrize("words", [["hi"], ["hi", "--to", "+12345678901", "--reply-all"]])
def test_a_message_is_for_a_number_or_for_all(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One of them, and not both."""
    assert program.run(["type", "+12025550123", *words]) == Code.REFUSED
    assert capsys.readouterr().err == "error: say to whom: either --to NUMBER or --reply-all\n"

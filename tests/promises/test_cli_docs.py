"""The manual of the command line is what the commands say of themselves."""

from pathlib import Path

from trebuchet.cli.reference import reference_markdown

REFRESH = "python -m trebuchet.cli.reference > docs/reference/cli.md"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_reference_page_is_fresh() -> None:
    """Commands, options and exit codes in the page are those of the program."""
    assert PAGE.read_text("utf-8") == reference_markdown(), f"run: {REFRESH}"

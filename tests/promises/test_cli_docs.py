"""The manual of the command line is what the commands say of themselves."""

from pathlib import Path

from trebuchet.cli.reference import reference_markdown

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_reference_page_is_fresh() -> None:
    """If this fails: python -c 'from trebuchet.cli.reference import *; print(reference_markdown(), end="")' > the page."""
    assert PAGE.read_text("utf-8") == reference_markdown()

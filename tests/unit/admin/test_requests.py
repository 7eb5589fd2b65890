"""Query parameters are what they say, or refused by name."""

import pytest

from trebuchet.admin.requests import flag, limit, moment_ms, whole
from trebuchet.api.problems import Problem

NOON_MS = 1_769_860_800_000


@pytest.mark.parametrize(("given", "number"), [("0", 0), ("7", 7), ("0000007", 7), ("9999", 9999)])
def test_a_number_in_its_range_is_taken(given: str, number: int) -> None:
    """However it is written in digits."""
    assert whole({"n": given}, "n", 0, 9999) == number


@pytest.mark.parametrize(
    "given", ["", "-1", "10000", "1.0", "1e3", " 1", "x", "٣", "00000000000001", "9" * 5000]
)
def test_a_number_out_of_its_range_is_refused(given: str) -> None:
    """So is what is no number, and what is too long to be one."""
    with pytest.raises(Problem) as refused:
        whole({"n": given}, "n", 0, 9999)
    assert refused.value.field_errors[0].field_name == "n"
    assert "from 0 to 9999" in refused.value.field_errors[0].description


def test_what_is_not_given_is_none_or_the_default() -> None:
    """A page has 100 items unless asked otherwise."""
    assert whole({}, "n", 0, 9) is None
    assert moment_ms({}, "from") is None
    assert flag({}, "text") is False
    assert limit({}) == 100


@pytest.mark.parametrize(("given", "taken"), [("1", 1), ("1000", 1000)])
def test_a_page_has_up_to_a_thousand_items(given: str, taken: int) -> None:
    """And one at least."""
    assert limit({"limit": given}) == taken
    with pytest.raises(Problem):
        limit({"limit": str(taken + 1 if taken > 1 else 0)})


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31T12:00:00.000+00:00",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T13:00:00 01:00",
    ],
)
def test_a_moment_is_iso_8601(written: str) -> None:
    """UTC unless it has an offset, whose plus may arrive as a blank."""
    assert moment_ms({"from": written}, "from") == NOON_MS


@pytest.mark.parametrize("written", ["", "yesterday", "2026-13-01", "12:00", "1767225600000"])
def test_other_moments_are_refused(written: str) -> None:
    """By the name of their parameter."""
    with pytest.raises(Problem) as refused:
        moment_ms({"to": written}, "to")
    assert refused.value.field_errors[0].field_name == "to"


def test_a_moment_before_the_epoch_is_the_epoch() -> None:
    """Nothing is older."""
    assert moment_ms({"from": "0001-01-01"}, "from") == 0


@pytest.mark.parametrize(("written", "meant"), [("true", True), ("false", False)])
def test_a_flag_is_true_or_false(written: str, meant: bool) -> None:
    """And nothing else."""
    assert flag({"text": written}, "text") is meant
    with pytest.raises(Problem):
        flag({"text": written.upper()}, "text")

"""Times and durations as people write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.cli.outcome import Code, CommandError
from trebuchet.cli.when import DURATION_MAX_MS, clock_time, duration_ms, moment, span

NOON_MS = 1_769_860_800_000  # 2026-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("0s", 0),
        ("500ms", 500),
        ("30s", 30_000),
        (" 30s ", 30_000),
        ("1.5h", 5_400_000),
        ("0.001s", 1),
        ("5m", 300_000),
        ("366d", DURATION_MAX_MS),
    ],
)
def test_durations_have_a_unit(written: str, ms: int) -> None:
    """A number and a unit, from milliseconds to days."""
    assert duration_ms(written) == ms


@pytest.mark.parametrize(
    "written", ["", "30", "s", "-1s", "1e3s", "1 s", "367d", "9999999999s", "1.2345s", "٣s", "1H"]
)
def test_other_durations_are_refused(written: str) -> None:
    """Whatever else is refused with how to write it."""
    with pytest.raises(CommandError, match="write it like 500ms") as refused:
        duration_ms(written)
    assert refused.value.code is Code.REFUSED


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T13:30:00+01:30", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01-31T12:00:00.1234Z", "2026-01-31T12:00:00.123Z"),
        ("2h", "2026-01-31T10:00:00.000Z"),
        ("500ms", "2026-01-31T11:59:59.500Z"),
    ],
)
def test_moments_are_times_or_durations_ago(written: str, iso: str) -> None:
    """A time without an offset is UTC; a duration means as long ago."""
    assert moment(written, NOON_MS) == iso


@pytest.mark.parametrize("written", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+10:00", "12:00"])
def test_other_moments_are_refused(written: str) -> None:
    """Whatever else is refused with both ways to write one."""
    with pytest.raises(CommandError, match="2h for two hours ago"):
        moment(written, NOON_MS)


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_refused(written: str) -> None:
    """No text makes it fail in another way."""
    with contextlib.suppress(CommandError):
        assert moment(written, NOON_MS).endswith("Z")


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (59_949, "59.9 s"),
        (60_000, "1 min"),
        (303_000, "5 min 3 s"),
        (7_500_000, "2 h 5 min"),
        (86_400_000, "1 d"),
        (273_600_000, "3 d 4 h"),
    ],
)
def test_spans_have_two_units_at_most(ms: int, text: str) -> None:
    """The larger the span, the coarser what is said."""
    assert span(ms) == text


def test_clock_times_have_milliseconds() -> None:
    """The time of day in UTC."""
    assert clock_time(NOON_MS + 7) == "12:00:00.007"

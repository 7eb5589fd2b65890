"""Times: moments and durations in sixteen characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.smpp import EncodeError, MalformedTime, times
from trebuchet.protocols.smpp.times import Absolute, Relative

DAY_S = 86_400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "000000000000000R"),
        (1, "000000000001000R"),
        (3600, "000000010000000R"),
        (5 * 60 + 7, "000000000507000R"),
        (DAY_S, "000001000000000R"),
        (31 * DAY_S + 86_399, "000031235959000R"),
        (32 * DAY_S, "000102000000000R"),
        (365 * DAY_S, "010000000000000R"),
        (364 * DAY_S, "001204000000000R"),
        (times.RELATIVE_MAX_S, "991204235959000R"),
    ],
)
def test_durations(seconds: int, text: str) -> None:
    """Up to 31 days are days; beyond, a month has 30 days and a year 365."""
    assert times.relative(seconds) == text
    assert times.parse(text) == Relative(seconds)


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [
        (1_795_408_260, "261123043100000+"),
        (946_684_800, "000101000000000+"),
        (951_782_400, "000229000000000+"),
        (4_102_444_799, "991231235959000+"),
    ],
)
def test_moments(epoch_s: int, text: str) -> None:
    """Moments are written in UTC."""
    assert times.absolute(epoch_s) == text
    assert times.parse(text) == Absolute(epoch_s)


@pytest.mark.parametrize(
    ("text", "epoch_s"),
    [
        ("261122233100020-", 1_795_408_260),
        ("261123103100024+", 1_795_408_260),
        ("261123163100048+", 1_795_408_260),
        ("261123043100900+", 1_795_408_260),
        ("000101000000004+", 946_684_800 - 3600),
    ],
)
def test_local_times(text: str, epoch_s: int) -> None:
    """Ahead of UTC is plus, behind is minus, in quarters of an hour; tenths of a second are dropped."""
    assert times.parse(text) == Absolute(epoch_s)


@pytest.mark.parametrize("text", ["000001000000900R", "000001000000048R"])
def test_a_duration_has_no_tenths_and_no_offset(text: str) -> None:
    """Some peers put something there; it means nothing."""
    assert times.parse(text) == Relative(DAY_S)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "R",
        "261123043100000",
        "2611230431000000+",
        "261123043100000Z",
        "261123043100049+",
        "261323043100000+",
        "260229000000000+",
        "261100000000000+",
        "261123243100000+",
        "261123046000000+",
        "261123043160000+",
        "2611230431 0000+",
        "26112304310000²+",
        "26112304310000٣+",
        "-00001000000000R",
    ],
)
def test_what_is_no_time(text: str) -> None:
    """Anything but fifteen digits and a sign or R, and any day or time of day that there is not."""
    with pytest.raises(MalformedTime):
        times.parse(text)


@pytest.mark.parametrize("seconds", [-1, times.RELATIVE_MAX_S + 1])
def test_durations_that_cannot_be_written(seconds: int) -> None:
    """Negative ones, and those of a century."""
    with pytest.raises(EncodeError):
        times.relative(seconds)


@pytest.mark.parametrize("epoch_s", [-1, 946_684_799, 4_102_444_800, 10**18])
def test_moments_that_cannot_be_written(epoch_s: int) -> None:
    """Those outside of the twenty-first century."""
    with pytest.raises(EncodeError):
        times.absolute(epoch_s)


@given(st.integers(0, times.RELATIVE_MAX_S))
def test_any_duration_reads_back(seconds: int) -> None:
    """What is written is read as the same duration."""
    assert times.parse(times.relative(seconds)) == Relative(seconds)


@given(st.integers(946_684_800, 4_102_444_799))
def test_any_moment_reads_back(epoch_s: int) -> None:
    """What is written is read as the same moment."""
    assert times.parse(times.absolute(epoch_s)) == Absolute(epoch_s)


@given(st.text(max_size=20) | st.from_regex(r"\A[0-9]{15}[R+-]\Z"))
def test_any_text_is_a_time_or_malformed(text: str) -> None:
    """No text causes another error."""
    try:
        assert isinstance(times.parse(text), Absolute | Relative)
    except MalformedTime:
        return

"""How values look on pages."""

import pytest

from trebuchet.console import shown
from trebuchet.model.status import State


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, "–"),
        (0, "0 ms"),
        (999, "999 ms"),
        (1240, "1.24 s"),
        (59_999, "60 s"),
        (60_000, "1 min"),
        (125_000, "2 min 5 s"),
        (3_600_000, "1 h"),
        (11_040_000, "3 h 4 min"),
        (183_600_000, "2 d 3 h"),
    ],
)
def test_durations(ms: float | None, words: str) -> None:
    assert shown.duration(ms) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "–"),
        (0, "0"),
        (1234567, "1\u202f234\u202f567"),
        (0.125, "0.125"),
        (12.3456, "12.3"),
        (1234.5, "1\u202f234"),
    ],
)
def test_numbers(value: float | None, words: str) -> None:
    assert shown.number(value) == words


@pytest.mark.parametrize(
    ("count", "words"), [(512, "512 B"), (41_000, "41 kB"), (1_200_000, "1.2 MB"), (None, "–")]
)
def test_sizes(count: float | None, words: str) -> None:
    assert shown.octets(count) == words


def test_every_state_has_a_colour_and_a_meaning() -> None:
    """Those of the model, and the one that is shown while a delivery is with its carrier."""
    assert set(shown.STATES) == {state.value for state in State} | {"SENDING"}

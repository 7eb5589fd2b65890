"""Graphemes: where a reader would not notice a cut."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.sms.graphemes import is_boundary


@pytest.mark.parametrize(
    "graphemes",
    [
        ["a", "b"],
        ["a", "\r\n", "b"],
        ["\n", "\r"],
        ["e\u0301", "e\u0301\u0323", "x"],
        ["\n", "\u0301"],
        ["❤\ufe0f", "❤\ufe0f"],
        ["👍🏽", "👍", "👍🏿"],
        ["👨\u200d👩\u200d👧\u200d👦", "👨\u200d👩\u200d👧\u200d👦"],
        ["🏳\ufe0f\u200d🌈", "🤷🏽\u200d♀\ufe0f", "👩\u200d⚕\ufe0f"],
        ["a\u200d", "b\u200c", "я\u200d", "я"],
        ["🇺🇸", "🇨🇦", "🇲"],
        ["a", "🇺🇸", "b"],
        ["1\ufe0f\u20e3", "#\ufe0f\u20e3"],
        ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴"],
        ["한", "국", "\u1112\u1161\u11ab", "\u1100\u1100\u1161", "\uac00\u11a8", "\uac01\u11a8"],
        ["\u1100\uac00", "\u1100\u1161\u1161", "\uac00\u1161\u11a8\u11a8", "-", "\u11a8\u11a8", "\u1100"],
        ["\uac01", "\u1161", "-", "\u11a8", "\u1161", "-", "\ua960\ud7b0\ud7cb"],
        ["की", "नि"],
        ["ｶ\uff9e", "ﾊ\uff9f"],
        ["ж", "日", "本"],
    ],
    ids=ascii,
)
def test_clusters(graphemes: list[str]) -> None:
    """A text may be cut between its graphemes and nowhere else."""
    text = "".join(graphemes)
    boundaries = [index for index in range(1, len(text)) if is_boundary(text, index)]
    assert boundaries == list(accumulate(map(len, graphemes)))[:-1]


@given(st.text(min_size=2), st.data())
def test_any_text_has_an_answer(text: str, data: st.DataObject) -> None:
    """Every place in every text is or is not a boundary, whatever stands further away than a run of flags."""
    index = data.draw(st.integers(1, len(text) - 1))
    assert is_boundary(text, index) == is_boundary("x" + text + "x", index + 1)

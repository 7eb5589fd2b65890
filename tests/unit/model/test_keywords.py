"""Which texts are opt-out, opt-in or help keywords."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.model.keywords import Keyword, keyword

WORDS = {
    Keyword.OUT: [
        "stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out", "arret",
    ],
    Keyword.IN: ["start", "unstop", "yes"],
    Keyword.HELP: ["help", "info", "aide"],
}  # fmt: skip
EVERY_WORD = [(word, meaning) for meaning, words in WORDS.items() for word in words]


@pytest.mark.parametrize(("word", "meaning"), EVERY_WORD)
@pytest.mark.parametrize(
    "written",
    [
        "{}",
        " {} ",
        "\t{}\r\n",
        "{}.",
        "{}!!!",
        '"{}"',
        "'{}'",
        "“{}”",
        "‘{}’",
        "«{}»",
        "({})",
        "[{}]",
        " {} ?",
    ],
)
def test_a_keyword_is_one_whatever_stands_around_it(word: str, meaning: Keyword, written: str) -> None:
    """Blanks, punctuation and the quotation marks that phones type do not hide it, nor does case."""
    for text in (word, word.upper(), word.capitalize(), word.swapcase()):
        assert keyword(written.format(text)) is meaning


@pytest.mark.parametrize("text", ["stop  all", "STOP\tALL", "opt \n out"])
def test_blanks_between_two_words_may_be_of_any_kind(text: str) -> None:
    assert keyword(text) is Keyword.OUT


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "...", "stop by at 5", "please stop", "stop it", "don't stop", "stopped", "nonstop", "bus stop",
        "start now", "help me", "yes please", "yes and no", "st op", "s.t.o.p", "stop-all", "the end", "no", "1",
        "stop stop", "stop\nsent from my phone",
    ],
)  # fmt: skip
def test_other_texts_are_none(text: str) -> None:
    """Only the whole message counts: "stop by at 5" is an ordinary text."""
    assert keyword(text) is None


@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    """And one that does not depend on blanks around it."""
    assert keyword(text) == keyword(f"  {text}\n")


@given(st.sampled_from(EVERY_WORD), st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True))
def test_a_keyword_among_other_words_is_none(known: tuple[str, Keyword], other: str) -> None:
    """Wherever it stands; "all" alone makes another keyword of one."""
    assert keyword(f"{other} {known[0]}") is None
    assert keyword(f"{known[0]} {other}") in (None, keyword(f"stop {other}"))

"""Smart encoding: typographic characters as GSM ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.sms import gsm7, normalise, smart_encode


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("“hi”", '"hi"'),
        ("It’s ‘fine’ ‚ok‛ 5′ `x´ ʼ", "It's 'fine' 'ok' 5' 'x' '"),
        ("„a‟ 5″ «b»", '"a" 5" "b"'),
        ("a–b—c‒d―e−f‐g‑h", "a-b-c-d-e-f-g-h"),
        ("wait…", "wait..."),
        ("• one · two ∙", "* one * two *"),
        ("a\u00a0b\u2002c\u2003d\u2007e\u2009f\u200ag\u202fh\u3000i\tj", "a b c d e f g h i j"),
        ("\ufeffa\u200bb\u200cc\u00add", "abcd"),
        ("1⁄2 ÷ 3 ∕ 4 × 5", "1/2 / 3 / 4 x 5"),
        ("A™ ©B C®", "ATM (c)B C(r)"),
        ("½ ¼ ¾", "1/2 1/4 3/4"),
        ("ＡＢＣ！～", "ABC!~"),
        ("cafe\u0301", "café"),
        ("a\rb’", "a\nb'"),
    ],
)
def test_replacements(text: str, encoded: str) -> None:
    """Typographic characters become what a typewriter has, if all of the text is GSM-7 then."""
    assert smart_encode(text) == encoded
    assert gsm7.septets(encoded) is not None


@pytest.mark.parametrize("text", ["“hi” 😀", "ça va’", "“привет”", "a\u0301 cafe\u0301"])
def test_no_half_measures(text: str) -> None:
    """If one character stays outside the alphabet nothing is replaced; accents are never stripped."""
    assert smart_encode(text) == text


@pytest.mark.parametrize("text", ["", "plain", "a\rb", "€{}~|"])
def test_gsm_text_is_left_alone(text: str) -> None:
    """A text inside the alphabet is not touched."""
    assert smart_encode(text) == text


@given(st.text())
def test_result_is_gsm_or_the_text(text: str) -> None:
    """The result is GSM-7 and at most three characters for one, or it is the text itself."""
    encoded = smart_encode(text)
    assert encoded == text or (gsm7.septets(encoded) is not None and len(encoded) <= 3 * len(text))
    assert smart_encode(encoded) == encoded


@pytest.mark.parametrize(
    ("text", "normalised"),
    [("e\u0301", "é"), ("é", "é"), ("a\r\nb\rc\n", "a\r\nb\nc\n"), ("\r\r\n", "\n\r\n"), ("’", "’")],
)
def test_normalising(text: str, normalised: str) -> None:
    """Letter and accent become one character, a bare CR becomes LF, CR LF and typography stay."""
    assert normalise(text) == normalised

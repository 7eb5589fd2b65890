"""What a message that is being typed comes to, and the request that it stands for."""

import pytest

from trebuchet.console.pages.compose import FIELDS, body_of, counted, recipients, with_defaults
from trebuchet.model.account import Application, Directory, Number, NumberKind

HANDSET, OTHER = "+12025550123", "+12025550124"


def fields(**given: str) -> dict[str, str]:
    return {**dict.fromkeys(FIELDS, ""), "to": HANDSET, **given}


@pytest.mark.parametrize(
    ("text", "encoding", "segments", "left"),
    [
        ("", "GSM-7", 1, 160),
        ("x" * 160, "GSM-7", 1, 0),
        ("x" * 161, "GSM-7", 2, 2 * 153 - 161),
        ("€" * 80, "GSM-7", 1, 0),
        ("ł" * 70, "UCS-2", 1, 0),
        ("ł" * 71, "UCS-2", 2, 2 * 67 - 71),
        ("😀" * 35, "UCS-2", 1, 0),
    ],
)
def test_a_text_is_counted(text: str, encoding: str, segments: int, left: int) -> None:
    """In units of its encoding: what is left is left in the last segment."""
    found = counted(fields(text=text), smart=False)
    assert (found["encoding"], found["segments"], found["left"]) == (encoding, segments, left)
    assert "".join(found["parts"]) == text


def test_the_character_that_costs_is_named_with_what_smart_encoding_would_save() -> None:
    found = counted(fields(text="“" + "x" * 100), smart=False)
    assert (found["reason"]["character"], found["segments"], found["smart"]["segments"]) == ("“", 2, 1)
    smart = counted(fields(text="“" + "x" * 100), smart=True)
    assert (smart["segments"], smart["encoding"], smart["reason"]) == (1, "GSM-7", None)
    assert smart["parts"][0].startswith('"')


@pytest.mark.parametrize(
    ("given", "kind", "cost"),
    [
        ({"text": "x" * 161}, "sms", 2),
        ({"text": "x" * 161, "to": f"{HANDSET} {OTHER}"}, "mms", 2),
        ({"text": "x", "to": f"{HANDSET} {HANDSET}"}, "sms", 1),
        ({"media": "https://example.com/a.png"}, "mms", 1),
        ({"text": "x", "to": ""}, "sms", 1),
    ],
)
def test_what_it_costs(given: dict[str, str], kind: str, cost: int) -> None:
    """Segments of a text; one of each recipient of a picture or a group message."""
    found = counted(fields(**given), smart=False)
    assert (found["kind"], found["cost"]) == (kind, cost)


def test_a_text_that_is_too_long_for_the_air_says_so() -> None:
    found = counted(fields(text="x" * 50_000), smart=False)
    assert "255" in found["wrong"]


@pytest.mark.parametrize("written", [f"{HANDSET},{OTHER}", f" {HANDSET}\n{OTHER} ", f"{HANDSET} ; {OTHER}"])
def test_recipients_may_be_written_in_many_ways(written: str) -> None:
    assert recipients(written) == [HANDSET, OTHER]


def test_what_was_left_empty_is_left_out() -> None:
    assert body_of(fields(text="hi")) == {"to": HANDSET, "text": "hi"}
    whole = fields(text="hi", media="https://a\nhttps://b", tag="t", priority="high", expiration=" 2030 ")
    assert body_of({**whole, "from": "+1", "applicationId": "app"}) == {
        "from": "+1",
        "to": HANDSET,
        "text": "hi",
        "applicationId": "app",
        "media": ["https://a", "https://b"],
        "tag": "t",
        "priority": "high",
        "expiration": "2030",
    }


def test_what_a_person_would_fill_in() -> None:
    """An application that has a number, and its number; what the query gives stays."""
    directory = Directory(
        applications=[Application(id=each, account_id="a") for each in ("none", "one", "two")],
        numbers=[
            Number(number=f"+1{each}", kind=NumberKind.E164, account_id="a", application_id=each)
            for each in ("one", "two")
        ],
    )
    empty = dict.fromkeys(FIELDS, "")
    for given, expected in [
        ({}, ("one", "+1one")),
        ({"applicationId": "two"}, ("two", "+1two")),
        ({"from": "+1two"}, ("two", "+1two")),
        ({"applicationId": "none"}, ("none", "")),
        ({"applicationId": "gone", "from": "+9"}, ("gone", "+9")),
    ]:
        filled = with_defaults({**empty, **given}, directory)
        assert (filled["applicationId"], filled["from"]) == expected

"""Forms of receipts that are a carrier's own, as operators write them down."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.protocols.smpp.pattern import FIELDS, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "fields"),
    [
        (
            "{stat},{done_date},{},{err},{},{},{id}",
            "DELIVRD,2611230431,x,0,12025550123,1,x7",
            {"stat": "DELIVRD", "done_date": "2611230431", "err": "0", "id": "x7"},
        ),
        ("msgid={id};status={stat}", "Report MsgID=7f-1;STATUS= failed ", {"id": "7f-1", "stat": "failed"}),
        ("{id} is {stat}.", "77 is DELIVRD. Goodbye", {"id": "77", "stat": "DELIVRD"}),
        ("{id} is {stat}", "77 is DELIVRD at last", {"id": "77", "stat": "DELIVRD"}),
        ("{{{id}}} {text}", "{77} hello you ", {"id": "77", "text": "hello you"}),
        ("{done_date};{id}", "26-11-23 04:31;77", {"done_date": "26-11-23 04:31", "id": "77"}),
        (".*{id}+", "a.*77+b", {"id": "77"}),
        ("{id};{stat};", "77;;", {"id": "77"}),
        ("{id};{stat}", "77", {}),
        ("id={id}", "stat=DELIVRD", {}),
        ("{id}", "", {}),
    ],
)
def test_what_a_pattern_reads(pattern: str, text: str, fields: dict[str, str]) -> None:
    """Text stands for itself in any case of letters; ids, words and numbers are one word; nothing if it differs."""
    assert compile_pattern(pattern).read(text) == fields


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "no {id}"),
        ("{stat}", "no {id}"),
        ("(?P<id>[0-9a-f]+)", "no {id}"),
        ("{id}{stat}", "text between"),
        ("{}{id}", "text between"),
        ("{id} {id}", "{id} is there twice"),
        ("{id} {state}", "no field {state}; the fields are id, stat"),
        ("{id:4}", "name alone"),
        ("{id!r}", "name alone"),
        ("{id", "'}'"),
        ("id}", "'}'"),
    ],
)
def test_what_is_no_pattern(pattern: str, words: str) -> None:
    """And what is wrong with it."""
    with pytest.raises(ValueError, match=re.escape(words)):
        compile_pattern(pattern)


@given(st.permutations(FIELDS), st.data())
def test_what_was_put_into_the_form_is_read_out_of_it(order: list[str], data: st.DataObject) -> None:
    """Whatever the fields say, as long as it is not the text between them."""
    values = {name: data.draw(st.text("abc123 ", max_size=5)) for name in order}
    pattern = compile_pattern("<" + ">;<".join(f"{{{name}}}" for name in order) + ">")
    found = pattern.read("<" + ">;<".join(values[name] for name in order) + ">")
    for name in order:
        words = values[name].split()
        whole = values[name].strip() if name in ("text", "submit_date", "done_date") else "".join(words[:1])
        assert found.get(name, "") == whole


@given(st.text(), st.text())
def test_nothing_fails(written: str, text: str) -> None:
    """What can be compiled reads everything."""
    try:
        pattern = compile_pattern(written + "{id}")
    except ValueError:
        return
    pattern.read(text)


def test_a_text_made_for_it_takes_no_longer() -> None:
    """Each piece is looked for once, however often it is there: a pattern that does not fit is given up at once."""
    pattern = compile_pattern("a".join(f"{{{name}}}" for name in FIELDS) + "b")
    assert pattern.read("a" * 100_000) == {}

"""What a request to accept a message may look like, and what is answered."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trebuchet.accept import SendRequest
from trebuchet.api import wire
from trebuchet.api.problems import Problem
from trebuchet.model.account import Profile
from trebuchet.model.message import Direction, Kind, Message

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
FROM = "+12345678901"
TO = "+12345678902"
APPLICATION = "93de2206-9669-4e07-948d-329f4b722ee2"
WHOLE: dict[str, Any] = {
    "from": FROM,
    "to": [TO],
    "text": "Hey, check this out!",
    "applicationId": APPLICATION,
}
EMOJI = "\N{GRINNING FACE}"  # two UTF-16 units
NO_NUMBER = "must be replaced with a valid E164 formatted telephone number"
NOT_A_TIME = "'expiration' must be an RFC 3339 date and time with an offset, such as 2030-01-31T12:00:00Z"


def parsed(body: bytes, limit: int = 10, refuse_many: bool = True) -> SendRequest:
    return wire.parse_send(body, NOW_MS, limit, refuse_many)


def sent(**changes: Any) -> SendRequest:
    """What becomes of a good request with these fields changed; `...` takes one out."""
    return parsed(request(**changes))


def request(**changes: Any) -> bytes:
    names = {"from_": "from", "application_id": "applicationId"}
    fields = WHOLE | {names.get(name, name): value for name, value in changes.items()}
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def refusal(body: bytes, **how: Any) -> Problem:
    with pytest.raises(Problem) as refused:
        parsed(body, **how)
    assert refused.value.status == 400
    assert refused.value.type == "request-validation"
    return refused.value


def wrong(body: bytes, **how: Any) -> list[tuple[str, str]]:
    """The field errors of a request that is refused."""
    problem = refusal(body, **how)
    assert problem.description == "Your request could not be accepted"
    return [(error.field_name, error.description) for error in problem.field_errors]


def test_the_documented_sample_is_taken() -> None:
    """The request of the documentation's first page."""
    assert sent(tag="test message") == SendRequest(
        source=FROM,
        destinations=(TO,),
        text="Hey, check this out!",
        application_id=APPLICATION,
        tag="test message",
    )


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        ({"to": TO}, "destinations", (TO,)),
        ({"to": [TO]}, "destinations", (TO,)),
        ({"to": [TO, "+442071838750"]}, "destinations", (TO, "+442071838750")),
        ({"to": [TO, "12345678902", "2345678902", TO]}, "destinations", (TO,)),
        ({"to": ["+12345678903", TO, "2345678903"]}, "destinations", ("+12345678903", TO)),
        ({"to": "2345678902"}, "destinations", (TO,)),
        ({"to": "345757070"}, "destinations", ("345757070",)),
        ({"to": "12345"}, "destinations", ("12345",)),
        ({"to": "911"}, "destinations", ("911",)),
        ({"from_": "2345678901"}, "source", FROM),
        ({"from_": "12345678901"}, "source", FROM),
        ({"from_": "77777"}, "source", "77777"),
        ({"from_": "My Shop-1_&+"[:11]}, "source", "My Shop-1_&"),
        ({"text": None, "media": ["https://example.com/a.jpg"]}, "text", ""),
        ({"text": ..., "media": ["https://example.com/a.jpg"]}, "text", ""),
        ({"text": "", "media": ["https://example.com/a.jpg"]}, "text", ""),
        ({"text": " "}, "text", " "),
        ({"text": "a" * 2048}, "text", "a" * 2048),
        ({"text": EMOJI * 1024}, "text", EMOJI * 1024),
        ({"media": []}, "media", None),
        ({"media": None}, "media", None),
        ({"media": ["https://example.com/a.jpg"]}, "media", ("https://example.com/a.jpg",)),
        ({"media": ["http://a:b@[::1]:8080/x?y#z"]}, "media", ("http://a:b@[::1]:8080/x?y#z",)),
        ({"media": ["HTTP://localhost"]}, "media", ("HTTP://localhost",)),
        ({"media": ["http://h/" + "a" * 4087]}, "media", ("http://h/" + "a" * 4087,)),
        ({"media": [f"http://h/{n}" for n in range(10)]}, "media", tuple(f"http://h/{n}" for n in range(10))),
        ({"tag": None}, "tag", None),
        ({"tag": ""}, "tag", ""),
        ({"tag": "a" * 1024}, "tag", "a" * 1024),
        ({"application_id": "a-123"}, "application_id", "a-123"),
        ({"application_id": "a" * 64}, "application_id", "a" * 64),
        ({"priority": "default"}, "priority", "default"),
        ({"priority": "high"}, "priority", "high"),
        ({"priority": None}, "priority", None),
        ({"expiration": None}, "expires_ms", None),
        ({"expiration": "2026-01-01T00:00:00.001Z"}, "expires_ms", NOW_MS + 1),
        ({"expiration": "2026-01-01T02:00:00+01:00"}, "expires_ms", NOW_MS + 3_600_000),
        ({"expiration": "2026-01-01T00:00:01-00:00"}, "expires_ms", NOW_MS + 1000),
        ({"expiration": "2026-01-01t02:00:00+01:00"}, "expiration", "2026-01-01t02:00:00+01:00"),
    ],
)  # fmt: skip
def test_what_is_taken(changes: dict[str, Any], attribute: str, value: object) -> None:
    """Each field's forms: numbers are normalised, the rest is kept as written."""
    assert getattr(sent(**changes), attribute) == value


@pytest.mark.parametrize(
    ("changes", "field", "description"),
    [
        ({"from_": ...}, "from", "'from' must contain exactly one telephone number"),
        ({"from_": None}, "from", "'from' must contain exactly one telephone number"),
        ({"from_": ""}, "from", "'from' must contain exactly one telephone number"),
        ({"from_": [FROM]}, "from", "'from' must contain exactly one telephone number"),
        ({"from_": 12345678901}, "from", "'from' must contain exactly one telephone number"),
        ({"from_": "+1invalid_number"}, "from", f"'+1invalid_number' {NO_NUMBER}"),
        ({"from_": "+1" + "x" * 500}, "from", f"'+1{'x' * 62}' {NO_NUMBER}"),
        ({"to": ...}, "to", "'to' must contain at least one telephone number"),
        ({"to": None}, "to", "'to' must contain at least one telephone number"),
        ({"to": []}, "to", "'to' must contain at least one telephone number"),
        ({"to": ""}, "to", "'to' must contain at least one telephone number"),
        ({"to": [""]}, "to", f"'' {NO_NUMBER}"),
        ({"to": "+1invalidnumber"}, "to", f"'+1invalidnumber' {NO_NUMBER}"),
        ({"to": [TO, "+1invalid"]}, "to", f"'+1invalid' {NO_NUMBER}"),
        ({"to": f"{TO},+12345678903"}, "to", f"'{TO},+12345678903' {NO_NUMBER}"),
        ({"to": "+12345"}, "to", f"'+12345' {NO_NUMBER}"),
        ({"to": "+02345678902"}, "to", f"'+02345678902' {NO_NUMBER}"),
        ({"to": "1234"}, "to", f"'1234' {NO_NUMBER}"),
        ({"to": "1" * 16}, "to", f"'{'1' * 16}' {NO_NUMBER}"),
        ({"to": "\N{ARABIC-INDIC DIGIT ONE}" * 8}, "to", f"'{chr(0x661) * 8}' {NO_NUMBER}"),
        ({"to": TO + "\n"}, "to", f"'{TO}\n' {NO_NUMBER}"),
        ({"to": 5}, "to", "'to' must be a telephone number or an array of telephone numbers"),
        ({"to": {"number": TO}}, "to", "'to' must be a telephone number or an array of telephone numbers"),
        ({"to": [None]}, "to", "'to' must be a telephone number or an array of telephone numbers"),
        ({"to": [TO, 5]}, "to", "'to' must be a telephone number or an array of telephone numbers"),
        ({"text": ...}, "text", "'text' is required unless media is included"),
        ({"text": None}, "text", "'text' is required unless media is included"),
        ({"text": ""}, "text", "'text' is required unless media is included"),
        ({"text": "", "media": []}, "text", "'text' is required unless media is included"),
        ({"text": "a" * 2049}, "text", "'text' must be 2048 characters or less"),
        ({"text": EMOJI * 1024 + "a"}, "text", "'text' must be 2048 characters or less"),
        ({"text": "a\0b"}, "text", "'text' must not contain the character U+0000"),
        ({"text": 5}, "text", "'text' must be a string"),
        ({"text": 10**400}, "text", "'text' must be a string"),
        ({"applicationId": ...}, "applicationId", "'applicationId' is required"),
        ({"applicationId": None}, "applicationId", "'applicationId' is required"),
        ({"applicationId": ""}, "applicationId", "'applicationId' is required"),
        ({"applicationId": "a" * 65}, "applicationId", "'applicationId' must be 64 characters or less"),
        ({"applicationId": "\0"}, "applicationId", "'applicationId' must not contain the character U+0000"),
        ({"applicationId": 5}, "applicationId", "'applicationId' must be a string"),
        ({"media": ["not-a-url"]}, "media", "'not-a-url' must be replaced with a valid http or https URL"),
        ({"media": ["ftp://a/b"]}, "media", "'ftp://a/b' must be replaced with a valid http or https URL"),
        ({"media": ["/a.jpg"]}, "media", "'/a.jpg' must be replaced with a valid http or https URL"),
        ({"media": ["http:///a"]}, "media", "'http:///a' must be replaced with a valid http or https URL"),
        ({"media": ["http://a b"]}, "media", "'http://a b' must be replaced with a valid http or https URL"),
        ({"media": ["http://a/\0"]}, "media", "'http://a/\0' must be replaced with a valid http or https URL"),
        ({"media": [""]}, "media", "'' must be replaced with a valid http or https URL"),
        ({"media": ["http://h/" + "a" * 4088]}, "media", "each URL in 'media' must be 4096 characters or less"),
        ({"media": ["http://h/"] * 11}, "media", "'media' must contain 10 URLs or less"),
        ({"media": "http://h/"}, "media", "'media' must be an array of URLs"),
        ({"media": [5]}, "media", "'media' must be an array of URLs"),
        ({"media": [5], "text": None}, "media", "'media' must be an array of URLs"),
        ({"tag": "a" * 1025}, "tag", "'tag' must be 1024 characters or less"),
        ({"tag": EMOJI * 513}, "tag", "'tag' must be 1024 characters or less"),
        ({"tag": "\0"}, "tag", "'tag' must not contain the character U+0000"),
        ({"tag": {}}, "tag", "'tag' must be a string"),
        ({"priority": "low"}, "priority", "'priority' must be 'default' or 'high'"),
        ({"priority": ""}, "priority", "'priority' must be 'default' or 'high'"),
        ({"priority": 1}, "priority", "'priority' must be 'default' or 'high'"),
        ({"expiration": "2026-01-01T00:00:00Z"}, "expiration", "'expiration' must be in the future"),
        ({"expiration": "0001-01-01T00:00:00+23:59"}, "expiration", "'expiration' must be in the future"),
        ({"expiration": "2030-01-01T00:00:00"}, "expiration", NOT_A_TIME),
        ({"expiration": "2030-01-01"}, "expiration", NOT_A_TIME),
        ({"expiration": "2030-02-30T00:00:00Z"}, "expiration", NOT_A_TIME),
        ({"expiration": "tomorrow"}, "expiration", NOT_A_TIME),
        ({"expiration": ""}, "expiration", NOT_A_TIME),
        ({"expiration": 1893456000}, "expiration", NOT_A_TIME),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_once(changes: dict[str, Any], field: str, description: str) -> None:
    """One field error with the documented words, or words in their style. What is quoted back is bounded."""
    assert wrong(request(**changes)) == [(field, description)]


def test_every_wrong_field_is_named_in_one_answer() -> None:
    """The captured answer to an empty request, and what we add to it."""
    assert wrong(b"{}") == [
        ("from", "'from' must contain exactly one telephone number"),
        ("to", "'to' must contain at least one telephone number"),
        ("text", "'text' is required unless media is included"),
        ("applicationId", "'applicationId' is required"),
    ]


def test_wrong_types_do_not_hide_other_mistakes() -> None:
    """A field of the wrong type and one with a wrong value are both named."""
    found = wrong(request(tag=5, media=7, to=["+1invalid", "1"], priority="low"))
    assert [name for name, _ in found] == ["media", "tag", "to", "to", "priority"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"media":null,"receiptRequested":null,"callbackUrl":null,"callbackTimeout":null,"tag":null,',
        b'{"unknown":{"deep":[1,2.5,true,null,"x"]},',
        b' \r\n\t{"from":"+1nonsense",',
    ],
    ids=["nulls-of-the-python-sdk-of-2018", "unknown-field", "repeated-field-the-last-counts"],
)
def test_what_clients_add_is_tolerated(body: bytes) -> None:
    """Unknown fields, nulls and white space change nothing."""
    assert parsed(body + request()[1:]) == sent()


@pytest.mark.parametrize(
    ("count", "limit", "refuse_many", "said"),
    [
        (10, 10, True, None),
        (11, 10, True, "'to' must contain 10 telephone numbers or less"),
        (2, 1, True, "'to' must contain 1 telephone numbers or less"),
        (11, 10, False, None),
        (100, 10, False, None),
        (101, 10, False, "'to' must contain 100 telephone numbers or less"),
        (5000, 10, True, "'to' must contain 10 telephone numbers or less"),
    ],
)
def test_too_many_recipients(count: int, limit: int, refuse_many: bool, said: str | None) -> None:
    """Refused here in the profile that refuses them here, and beyond any reason in both."""
    body = request(to=[f"+1234567{n:04d}" for n in range(count)])
    if said is None:
        assert len(parsed(body, limit, refuse_many).destinations) == count
    else:
        assert wrong(body, limit=limit, refuse_many=refuse_many) == [("to", said)]


def test_repeated_recipients_count_towards_the_limit() -> None:
    """The limit is one of the array, so that a schema can state it; within it repeated ones are dropped."""
    assert wrong(request(to=[TO] * 11)) == [("to", "'to' must contain 10 telephone numbers or less")]
    assert sent(to=[TO] * 10).destinations == (TO,)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "unexpected end at line 1, column 1 (byte 0)"),
        (b"  ", "unexpected end at line 1, column 3 (byte 2)"),
        (b'{"to":', "unexpected end at line 1, column 7 (byte 6)"),
        (b'{"to":"+1', "unexpected end at line 1, column 10 (byte 9)"),
        (b'{\n  "to": ,\n}', "invalid character at line 2, column 9 (byte 10)"),
        (b'{"to":"x",}', "trailing comma in object at line 1, column 11 (byte 10)"),
        (b"{'to':1}", "object keys must be strings at line 1, column 2 (byte 1)"),
        (b'{"to":"x"} {', "trailing characters at line 1, column 13 (byte 12)"),
        (b'{"to":NaN}', "invalid character at line 1, column 7 (byte 6)"),
        (b'\xef\xbb\xbf{"to":"x"}', "invalid character at line 1, column 1 (byte 0)"),
        ('{"text":"é\n"}'.encode(), "invalid character at line 1, column 11 (byte 11)"),
        (b'{"text":"a\xffb"}', "invalid UTF-8 at line 1, column 11 (byte 10)"),
        (b'{"text":"\xed\xa0\x80"}', "invalid UTF-8 at line 1, column 10 (byte 9)"),
        (b'{"text":"\\ud800"}', "unpaired surrogate at line 1, column 10 (byte 9)"),
        (b'{"text":"\\udc00x"}', "invalid utf-16 surrogate pair at line 1, column 16 (byte 15)"),
        (b'{"to":5,"text":"\\ud800"}', "unpaired surrogate at line 1, column 17 (byte 16)"),
        (b'{"to":5,"text":"\\udc00x"}', "invalid utf-16 surrogate pair at line 1, column 23 (byte 22)"),
        ("{}".encode("utf-16"), "invalid UTF-8 at line 1, column 1 (byte 0)"),
    ],
)
def test_what_is_no_json_is_refused_with_the_place(body: bytes, said: str) -> None:
    """Line and column as an editor counts them, characters not octets, and the octet."""
    problem = refusal(body)
    assert problem.description == f"The body is not valid JSON: {said}"
    assert problem.field_errors == ()


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"text"', b"true", b"[" + request() + b"]"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    """There are no batches."""
    assert refusal(body).description == "The body must be a JSON object"


@pytest.mark.parametrize("field", ["text", "unknown"])
def test_bottomless_json_is_refused(field: str) -> None:
    """Depth is bounded, in fields that we read and in those that we skip."""
    body = b'{"%s":' % field.encode() + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert refusal(body).description == "The body is nested too deeply"


@given(st.binary())
def test_any_octets_are_a_request_or_a_problem(body: bytes) -> None:
    """Nothing but Problem comes out, and its body is JSON."""
    with contextlib.suppress(Problem):
        parsed(body)
        return
    assert json.loads(refusal(body).encode())["message"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=10,
)
_strings = st.text() | st.from_regex(r"\+?[0-9]{3,16}|[0-9]{4}-[0-9]{2}-[0-9]{2}T00:00:00Z|https?://\S+")


@given(
    st.dictionaries(
        st.sampled_from([*WHOLE, "media", "tag", "priority", "expiration", "other"]),
        _strings | st.lists(_strings) | _json,
    )
)
def test_any_json_object_is_a_request_or_names_its_wrong_fields(fields: dict[str, object]) -> None:
    """What is taken obeys the limits and can be stored; what is not names known fields, or is no JSON."""
    body = json.dumps(fields, ensure_ascii=True).encode()
    try:
        request = parsed(body)
    except Problem as problem:
        names = {error.field_name for error in problem.field_errors}
        assert names <= {*WHOLE, "media", "tag", "priority", "expiration"}
        json.loads(problem.encode())
    else:
        assert request.text or request.media
        assert 0 < len(request.destinations) <= 10
        for text in (
            request.source,
            *request.destinations,
            request.text,
            request.tag or "",
            *(request.media or ()),
        ):
            assert "\0" not in text
            text.encode()


# ---- the answer ----

MESSAGE = Message(
    "14762070468292kw2fuqty55yp2b2", "u-1", APPLICATION, Direction.OUT, Kind.SMS, FROM, FROM, (TO,), "Hey",
    None, None, None, None, NOW_MS, 1, "GSM-7", Profile.CURRENT, 1_476_207_046_829,
)  # fmt: skip
MANDATORY = {
    "id": "14762070468292kw2fuqty55yp2b2",
    "owner": FROM,
    "applicationId": APPLICATION,
    "time": "2016-10-11T17:30:46.829Z",
    "segmentCount": 1,
    "direction": "out",
    "to": [TO],
    "from": FROM,
    "text": "Hey",
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tag": ""},
        {"tag": "test message"},
        {"media": ("https://example.com/a.jpg",)},
        {"priority": "high", "expiration": "2030-01-31T12:00:00Z"},
        {"media": ("https://h/a",), "tag": "t", "priority": "default", "expiration": "2030-01-31T12:00:00Z"},
    ],
)
def test_the_answer_has_what_was_given_in_the_captured_order(given: dict[str, Any]) -> None:
    """Mandatory fields first; optional ones absent unless given, an empty tag included; never null."""
    answer = json.loads(wire.send_answer(replace(MESSAGE, **given)))
    expected = MANDATORY | {name: list(v) if name == "media" else v for name, v in given.items()}
    assert answer == expected
    assert list(answer) == list(expected)


def test_the_answer_to_media_without_text_has_an_empty_text() -> None:
    """Official models require the key."""
    answer = json.loads(wire.send_answer(replace(MESSAGE, text="", media=("https://h/a",), kind=Kind.MMS)))
    assert answer["text"] == ""


@given(text=st.text(), tag=st.none() | st.text(), to=st.lists(st.text(), min_size=1))
def test_any_answer_is_json(text: str, tag: str | None, to: list[str]) -> None:
    """Whatever strings a message has, the answer decodes to them."""
    answer = json.loads(wire.send_answer(replace(MESSAGE, text=text, tag=tag, destinations=tuple(to))))
    assert (answer["text"], answer.get("tag"), answer["to"]) == (text, tag, to)
    assert None not in answer.values()

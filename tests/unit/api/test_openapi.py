"""The description of the API agrees with what the gateway does, and its page needs no network."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from trebuchet.api import filters, openapi, problems, schemas, search, wire
from trebuchet.api.problems import Problem
from trebuchet.model.account import Profile
from trebuchet.model.events import EventType
from trebuchet.model.message import Delivery, Direction, Kind, Message
from trebuchet.model.status import State
from trebuchet.storage.base import Found, FoundPage, Life

NOW_MS = 1_767_225_600_000
EXTRA = {"/admin/v1/status": {"get": {"operationId": "status", "responses": {"200": {"description": "ok"}}}}}
DOCUMENT = openapi.document("http://127.0.0.1:8080", EXTRA)
OPERATIONS = [
    (path, method, operation)
    for path, item in DOCUMENT["paths"].items()
    if path not in EXTRA
    for method, operation in item.items()
    if method in ("get", "post", "put", "delete")
]


def conforms(name: str, value: object) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return bool(jsonschema_rs.Draft202012Validator(schema, validate_formats=True).is_valid(value))


def request(**changes: Any) -> dict[str, Any]:
    fields = {
        "from": "+12345678901",
        "to": ["+12345678902"],
        "text": "Hey",
        "applicationId": "app-1",
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def taken(fields: dict[str, Any], profile: Profile) -> bool:
    try:
        wire.parse_send(json.dumps(fields).encode(), NOW_MS, 10, profile is Profile.CURRENT)
    except Problem:
        return False
    return True


def test_it_is_valid_openapi() -> None:
    """The document passes the validation of OpenAPI 3.1."""
    assert DOCUMENT["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_it_describes_each_call_under_both_prefixes() -> None:
    """POST, search and look-up, for both generations, beside what other parts add."""
    assert {(path, method) for path, method, _ in OPERATIONS} == {
        ("/v2/users/{userId}/messages", "post"),
        ("/v2/users/{userId}/messages", "get"),
        ("/v2/users/{userId}/messages/{messageId}", "get"),
        ("/api/v2/users/{accountId}/messages", "post"),
        ("/api/v2/users/{accountId}/messages", "get"),
        ("/api/v2/users/{accountId}/messages/{messageId}", "get"),
    } | {
        (f"{path}/media{rest}", method)
        for path in ("/v2/users/{userId}", "/api/v2/users/{accountId}", "/v1/users/{userId}")
        for rest, methods in {"": ["get"], "/{mediaName}": ["get", "put", "delete"]}.items()
        for method in methods
    }
    assert DOCUMENT["paths"]["/admin/v1/status"] == EXTRA["/admin/v1/status"]
    assert DOCUMENT["servers"] == [{"url": "http://127.0.0.1:8080"}]


def test_operation_ids_are_different() -> None:
    """Generators of clients need them so."""
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere() -> None:
    """Each $ref names a schema that is there."""
    referred = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert referred == set(DOCUMENT["components"]["schemas"])


BOTH = (True, True)
NEITHER = (False, False)


@pytest.mark.parametrize(
    ("changes", "catapult_and_current"),
    [
        ({}, BOTH),
        ({"to": "+12345678902"}, BOTH),
        ({"to": "345757070"}, BOTH),
        ({"to": "911"}, BOTH),
        ({"to": "+12345"}, NEITHER),
        ({"to": "+1invalid"}, NEITHER),
        ({"to": []}, NEITHER),
        ({"to": None}, NEITHER),
        ({"to": ...}, NEITHER),
        ({"to": [None]}, NEITHER),
        ({"to": ["+12345678902"] * 10}, BOTH),
        ({"to": ["+12345678902"] * 11}, (True, False)),
        ({"to": ["+12345678902"] * 101}, NEITHER),
        ({"from": "77777"}, BOTH),
        ({"from": "My Shop"}, BOTH),
        ({"from": "2345678901"}, BOTH),
        ({"from": "12345678901234"}, NEITHER),
        ({"from": "Twelve Chars"}, NEITHER),
        ({"from": ""}, NEITHER),
        ({"from": None}, NEITHER),
        ({"from": ["+12345678901"]}, NEITHER),
        ({"text": "a" * 2048}, BOTH),
        ({"text": "a" * 2049}, NEITHER),
        ({"text": "a\0"}, NEITHER),
        ({"text": ""}, NEITHER),
        ({"text": None}, NEITHER),
        ({"text": ...}, NEITHER),
        ({"text": 5}, NEITHER),
        ({"text": None, "media": ["https://h/a"]}, BOTH),
        ({"text": ..., "media": ["HTTPS://h"]}, BOTH),
        ({"text": "", "media": ["https://h/a"]}, BOTH),
        ({"text": ..., "media": []}, NEITHER),
        ({"media": None}, BOTH),
        ({"media": []}, BOTH),
        ({"media": "https://h/a"}, NEITHER),
        ({"media": ["not-a-url"]}, NEITHER),
        ({"media": ["https://h/" + "a" * 4086]}, BOTH),
        ({"media": ["https://h/" + "a" * 4087]}, NEITHER),
        ({"media": ["https://h"] * 10}, BOTH),
        ({"media": ["https://h"] * 11}, NEITHER),
        ({"applicationId": ...}, NEITHER),
        ({"applicationId": ""}, NEITHER),
        ({"applicationId": "a" * 64}, BOTH),
        ({"applicationId": "a" * 65}, NEITHER),
        ({"tag": None}, BOTH),
        ({"tag": ""}, BOTH),
        ({"tag": "a" * 1024}, BOTH),
        ({"tag": "a" * 1025}, NEITHER),
        ({"tag": 5}, NEITHER),
        ({"priority": None}, BOTH),
        ({"priority": "high"}, BOTH),
        ({"priority": "low"}, NEITHER),
        ({"expiration": None}, BOTH),
        ({"expiration": "2030-01-31T12:00:00+01:00"}, BOTH),
        ({"expiration": "tomorrow"}, NEITHER),
        ({"unknown": {}}, BOTH),
    ],
)  # fmt: skip
def test_the_request_schema_and_the_parser_agree(
    changes: dict[str, Any], catapult_and_current: tuple[bool, bool]
) -> None:
    """What the one allows the other takes, and the rest is refused by both, for each profile."""
    fields = request(**changes)
    described = (conforms("MessageRequestOfCatapult", fields), conforms("MessageRequest", fields))
    assert described == catapult_and_current
    assert (taken(fields, Profile.CATAPULT), taken(fields, Profile.CURRENT)) == catapult_and_current


MESSAGE = Message(
    schemas.MESSAGE_ID, "u-demo", "app-1", Direction.OUT, Kind.MMS, "+12345678901", "+12345678901",
    ("+12345678902",), "", ("https://h/a",), "t", "high", "2030-01-31T12:00:00Z", 0, 1, "", Profile.CURRENT, NOW_MS,
)  # fmt: skip
DELIVERY = Delivery(
    MESSAGE.id, 0, "+12345678902", State.SENT, "simulator", None, None, "", 1, 1, 0, None, None, None
)


def test_answers_conform() -> None:
    """The 202, a page of a search, and one message."""
    asked = b"messageId=x&limit=1"
    page = FoundPage(2, [Found(MESSAGE, DELIVERY, claimed=False, callback_delivered=False)])
    found = search.render_page(page, search.parse_query(asked, "u-demo"), "http://h/x", asked)
    assert conforms("Message", json.loads(wire.send_answer(MESSAGE)))
    assert conforms("MessagesPage", json.loads(found))
    one = search.render_one(Life(MESSAGE, [DELIVERY], (), (), (), (), (), ()))
    assert conforms("MessageWithRecipients", json.loads(one))


def test_a_page_without_its_columns_does_not_conform() -> None:
    """The schema is no mere wish: every column but the carrier's is required."""
    (example,) = schemas.PAGE_EXAMPLES.values()
    for column in example["value"]["messages"][0]:
        row = {name: value for name, value in example["value"]["messages"][0].items() if name != column}
        assert conforms("MessagesPage", example["value"] | {"messages": [row]}) == (column == "carrierName")


@pytest.mark.parametrize(
    "problem", [problems.invalid_field("to", "bad"), problems.malformed("bad"), problems.internal()]
)
def test_problems_conform(problem: Problem) -> None:
    """With and without field errors."""
    assert conforms("Problem", json.loads(problem.encode()))
    assert not conforms("NotFound", json.loads(problem.encode()))


def test_not_found_conforms() -> None:
    """It is a problem with the keys of the framework beside."""
    body = json.loads(problems.not_found("/v2/users/u/messages/x", 0).encode())
    assert conforms("Problem", body)
    assert conforms("NotFound", body)


@pytest.mark.parametrize("example", schemas.PROBLEM_EXAMPLES.values(), ids=schemas.PROBLEM_EXAMPLES)
def test_examples_of_problems_are_real(example: dict[str, Any]) -> None:
    """Each is word for word what some constructor makes, field errors aside."""
    real = [
        problems.invalid([]),
        problems.unauthorized(Profile.CATAPULT),
        problems.unauthorized(Profile.CURRENT),
        problems.forbidden(Profile.CATAPULT),
        problems.forbidden(Profile.CURRENT),
        problems.unsupported_content_type("text/plain"),
        problems.queue_full(60, 900),
        problems.list_rate_limit(),
    ]
    shown = {name: value for name, value in example.items() if name != "fieldErrors"}
    assert shown in [json.loads(problem.encode()) for problem in real]
    assert conforms("Problem", example)


@pytest.mark.parametrize(
    ("schema", "examples"),
    [
        ("MessageRequest", schemas.REQUEST_EXAMPLES),
        ("MessageRequestOfCatapult", schemas.REQUEST_EXAMPLES),
        ("Message", schemas.MESSAGE_EXAMPLES),
        ("MessagesPage", schemas.PAGE_EXAMPLES),
        ("Callback", schemas.EVENT_EXAMPLES),
    ],
)
def test_examples_conform(schema: str, examples: dict[str, Any]) -> None:
    """Every example is an instance of the schema that it illustrates."""
    for example in examples.values():
        assert conforms(schema, example["value"])


@pytest.mark.parametrize("type_", list(EventType))
def test_only_a_failure_may_have_an_error_code(type_: EventType) -> None:
    """The schema of callbacks ties the code to the type."""
    body = schemas.EVENT_EXAMPLES["delivered"]["value"][0] | {"type": type_.value}
    assert conforms("Callback", [body]) == (type_ is not EventType.FAILED)
    assert conforms("Callback", [body | {"errorCode": 4720}]) == (type_ is EventType.FAILED)
    assert not conforms("Callback", [body, body])


def test_the_parameters_described_are_those_taken() -> None:
    """None is missing, and none is made up."""
    described = [parameter["name"] for parameter in schemas.SEARCH_PARAMETERS]
    assert sorted(described) == sorted([*filters.FILTERS, *filters.OPTIONS, "pageToken"])


def test_every_value_of_an_enumeration_is_taken() -> None:
    """What the description lists, the parser knows."""
    for parameter in schemas.SEARCH_PARAMETERS:
        for value in parameter["schema"].get("enum", ()):
            asked = f"messageId=x&{parameter['name']}={value}".removeprefix("messageId=x&messageId")
            search.parse_query(asked.encode(), "u-demo")


class Links(HTMLParser):
    """Everything that a page refers to, and its policy."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [(tag, value) for name, value in attrs if name in ("src", "href", "action") and value]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"] or ""


def test_the_page_fetches_nothing_from_elsewhere() -> None:
    """Scripts and styles are in it, it refers to no other address, and its policy forbids what scripts might try."""
    page = openapi.docs_page("/openapi.json")
    parser = Links()
    parser.feed(page)
    assert parser.links == [("link", "data:,")]
    assert "default-src 'none'" in parser.policy
    assert "connect-src 'self'" in parser.policy
    assert "http" not in parser.policy
    assert 'url: "/openapi.json"' in page
    assert len(page) > 1_000_000


def test_the_address_cannot_break_out_of_the_script() -> None:
    """Whatever the address holds, it stays a string."""
    assert "</script><script>alert" not in openapi.docs_page("</script><script>alert(1)</script>")

"""The contract of the messages API, row by row, on real sockets. Searches are in `test_http_search`."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.gateway import (
    ACCOUNT,
    APPLICATION,
    HANDSET,
    NUMBER,
    OTHER_NUMBER,
    SECRET,
    TOKEN,
    Gateway,
    running,
)
from support.http import Answer, basic, request
from trebuchet.telemetry import METRICS

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}
PREFIXES = ["/v2", "/api/v2"]
GOOD = {"from": NUMBER, "to": HANDSET, "text": "hello", "applicationId": APPLICATION}
MEDIA = "https://example.com/a.png"
JSON = "application/json;charset=utf-8"


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One gateway for all: no request disturbs another. Beside the demo account it has one of each profile."""
    async with running(tmp_path_factory.mktemp("gateway"), QUICK) as gateway:
        for profile in ("catapult", "current"):
            made = await gateway.admin("POST", "/accounts", {"id": profile, "profile": profile})
            assert made.status == 201
        yield gateway
        assert "Traceback" not in gateway.output()


async def post(gateway: Gateway, body: Any = GOOD, prefix: str = "/v2", **headers: str | None) -> Answer:
    """POST octets, or a value as JSON. A header given as None is left out."""
    given = {"Content-Type": "application/json", **basic(TOKEN, SECRET)}
    for name, value in headers.items():
        given.pop(name.replace("_", "-"), None)
        if value is not None:
            given[name.replace("_", "-")] = value
    return await request(
        "POST",
        f"{gateway.url}{prefix}/users/{ACCOUNT}/messages",
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers=given,
    )


async def get(gateway: Gateway, path: str) -> Answer:
    return await request("GET", gateway.url + path, headers=basic(TOKEN, SECRET))


def has_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_null, value.values()))
    if isinstance(value, list):
        return any(map(has_null, value))
    return value is None


# ---- 202 ----


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_an_accepted_message_is_answered_as_captured(gateway: Gateway, prefix: str) -> None:
    """The eight mandatory fields, an id of 29 characters that begins with the time, and where to find it."""
    answer = await post(gateway, GOOD, prefix)
    assert (answer.status, answer.headers["content-type"]) == (202, JSON)
    message = answer.json
    assert message.keys() == {
        *("id", "owner", "applicationId", "time", "segmentCount", "direction", "to", "from", "text")
    }
    assert re.fullmatch(r"\d{13}[0-9a-z]{16}", message["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["time"])
    moment = datetime.fromtimestamp(int(message["id"][:13]) / 1000, UTC)
    assert abs((moment - datetime.fromisoformat(message["time"])).total_seconds()) < 0.01
    assert (message["owner"], message["direction"], message["to"]) == (NUMBER, "out", [HANDSET])
    assert answer.headers["location"] == f"{prefix}/users/{ACCOUNT}/messages/{message['id']}"
    assert (await get(gateway, answer.headers["location"])).json["id"] == message["id"]


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"to": [HANDSET]}, "to", [HANDSET]),
        ({"to": "2025550123"}, "to", [HANDSET]),
        ({"to": [HANDSET, OTHER_NUMBER, HANDSET]}, "to", [HANDSET, OTHER_NUMBER]),
        ({"to": "345757070"}, "to", ["345757070"]),
        ({"from": "2345678901"}, "owner", NUMBER),
        ({"text": "x" * 161}, "segmentCount", 2),
        ({"text": "[" * 81}, "segmentCount", 2),
        ({"text": "é" * 161}, "segmentCount", 2),
        ({"text": "я" * 70}, "segmentCount", 1),
        ({"text": "я" * 71}, "segmentCount", 2),
        ({"text": "x" * 2048}, "segmentCount", 14),
        ({"text": "x" * 400, "media": [MEDIA]}, "segmentCount", 1),
        ({"text": None, "media": [MEDIA]}, "text", ""),
        ({"media": [MEDIA]}, "media", [MEDIA]),
        ({"tag": ""}, "tag", ""),
        ({"tag": "x" * 1024}, "tag", "x" * 1024),
        ({"priority": "high"}, "priority", "high"),
        ({"expiration": "2090-01-01T00:00:00+02:00"}, "expiration", "2090-01-01T00:00:00+02:00"),
        ({"applicationId": "not-mine"}, "applicationId", "not-mine"),
        ({"from": "+12025550199"}, "from", "+12025550199"),
    ],
)
async def test_what_was_given_comes_back(gateway: Gateway, given: Any, field: str, value: Any) -> None:
    """Normalised where it is a number. What is not the account's is accepted, and fails by callback."""
    answer = await post(gateway, GOOD | given)
    assert (answer.status, answer.json[field]) == (202, value)


async def test_what_was_not_given_is_absent(gateway: Gateway) -> None:
    """Nulls and unknown fields are tolerated and do not come back: one of the SDKs refuses nulls."""
    nulls = dict.fromkeys(("media", "tag", "priority", "expiration", "receiptRequested", "callbackUrl"))
    answer = await post(gateway, {**GOOD, **nulls, "x": {"y": [1]}})
    assert answer.status == 202
    assert answer.json.keys().isdisjoint({*nulls, "x"})
    assert not has_null(answer.json)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'Application/JSON; charset="utf-8"',
        "application/json; charset=us-ascii",
        "application/json ; odata=verbose",
    ],
)
async def test_json_is_taken_however_it_is_announced(gateway: Gateway, content_type: str | None) -> None:
    """With a charset that is UTF-8, with other parameters, and unannounced."""
    assert (await post(gateway, Content_Type=content_type)).status == 202


# ---- 400 ----


@pytest.mark.parametrize(
    ("given", "field", "description"),
    [
        ({"from": None}, "from", "'from' must contain exactly one telephone number"),
        ({"from": ""}, "from", "'from' must contain exactly one telephone number"),
        ({"from": [NUMBER]}, "from", "'from' must contain exactly one telephone number"),
        (
            {"from": "+1invalidnumber"},
            "from",
            "'+1invalidnumber' must be replaced with a valid E164 formatted telephone number",
        ),
        ({"to": None}, "to", "'to' must contain at least one telephone number"),
        ({"to": []}, "to", "'to' must contain at least one telephone number"),
        ({"to": ""}, "to", "'to' must contain at least one telephone number"),
        ({"to": 5}, "to", "'to' must be a telephone number or an array of telephone numbers"),
        (
            {"to": ["+1invalidnumber"]},
            "to",
            "'+1invalidnumber' must be replaced with a valid E164 formatted telephone number",
        ),
        (
            {"to": f"{HANDSET},{NUMBER}"},
            "to",
            f"'{HANDSET},{NUMBER}' must be replaced with a valid E164 formatted telephone number",
        ),
        ({"text": None}, "text", "'text' is required unless media is included"),
        ({"text": "", "media": []}, "text", "'text' is required unless media is included"),
        ({"text": "x" * 2049}, "text", "'text' must be 2048 characters or less"),
        ({"text": "😀" * 1025}, "text", "'text' must be 2048 characters or less"),
        ({"text": 7}, "text", "'text' must be a string"),
        ({"applicationId": None}, "applicationId", "'applicationId' is required"),
        ({"tag": "x" * 1025}, "tag", "'tag' must be 1024 characters or less"),
        ({"media": ["no url"]}, "media", "'no url' must be replaced with a valid http or https URL"),
        ({"media": [MEDIA] * 11}, "media", "'media' must contain 10 URLs or less"),
        ({"priority": "low"}, "priority", "'priority' must be 'default' or 'high'"),
        ({"expiration": "2020-01-01T00:00:00Z"}, "expiration", "'expiration' must be in the future"),
        (
            {"expiration": "tomorrow"},
            "expiration",
            "'expiration' must be an RFC 3339 date and time with an offset, such as 2030-01-31T12:00:00Z",
        ),
    ],
)
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_wrong_field_is_named(
    gateway: Gateway, prefix: str, given: Any, field: str, description: str
) -> None:
    """In `fieldErrors`, once, with the documented words or words like them; the rest as documented."""
    answer = await post(gateway, GOOD | given, prefix)
    assert (answer.status, answer.headers["content-type"]) == (400, JSON)
    assert answer.json == {
        "type": "request-validation",
        "description": "Your request could not be accepted",
        "fieldErrors": [{"fieldName": field, "description": description}],
        "message": "Your request could not be accepted",
    }


async def test_all_that_is_wrong_is_told_at_once(gateway: Gateway) -> None:
    """The documented answer to a request with nothing in it, and the application that it misses too."""
    assert {one["fieldName"] for one in (await post(gateway, {})).json["fieldErrors"]} == {
        *("from", "to", "text", "applicationId")
    }


@pytest.mark.parametrize(("prefix", "status"), [("/v2", 202), ("/api/v2", 400)])
async def test_eleven_recipients_are_too_many(gateway: Gateway, prefix: str, status: int) -> None:
    """The older profile takes them, and they fail with 4435 by callback; the newer one refuses them."""
    answer = await post(gateway, GOOD | {"to": [f"+120255501{n}" for n in range(10, 21)]}, prefix)
    assert answer.status == status
    if status == 202:
        deliveries = (await gateway.life(answer.json["id"]))["deliveries"]
        assert [one["error_code"] for one in deliveries] == [4435] * 11


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "unexpected end at line 1, column 1 (byte 0)"),
        (b'{"to":', "line 1, column 7 (byte 6)"),
        (b'{\n "to": "+1",,\n}', "line 2, column 13 (byte 14)"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"text":"\xff"}', "byte 9"),
        (b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested too deeply"),
    ],
    ids=["nothing", "cut", "second line", "array", "null", "octet", "deep"],
)
async def test_what_is_no_json_is_refused_with_the_place(gateway: Gateway, body: bytes, said: str) -> None:
    """Without field errors, since no field could be read."""
    answer = await post(gateway, body)
    assert (answer.status, answer.json["type"]) == (400, "request-validation")
    assert said in answer.json["description"]
    assert "fieldErrors" not in answer.json


# ---- 401, 403, 404, 405, 409, 415 ----

UNAUTHORIZED = {
    "/v2": ("authentication-error", "Invalid or missing credentials."),
    "/api/v2": ("unauthorized", "Authentication Failed"),
}
FORBIDDEN = {"/v2": ("unauthorized", "Access is denied."), "/api/v2": ("forbidden", "Access Denied")}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic dC1kZW1v",
        "Basic dC1kZW1vOnMtZGVtbw",
        "Bearer dC1kZW1vOnMtZGVtbw==",
        basic("", "")["Authorization"],
        basic(TOKEN, "")["Authorization"],
        basic(TOKEN, SECRET + "x")["Authorization"],
        basic(TOKEN.upper(), SECRET)["Authorization"],
        basic("nobody", SECRET)["Authorization"],
        basic(TOKEN, "\0")["Authorization"],
        "Basic " + "A" * 20_000,
    ],
)
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_without_good_credentials_there_is_401(
    gateway: Gateway, prefix: str, authorization: str | None
) -> None:
    """In the words of the profile, with a challenge; whatever the header holds, and before the body is judged."""
    answer = await post(gateway, b"{", prefix, Authorization=authorization)
    assert (answer.status, answer.json["type"], answer.json["description"]) == (401, *UNAUTHORIZED[prefix])
    assert answer.json["message"] == answer.json["description"]
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("account", ["catapult", "not-an-account-id"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_another_account_is_forbidden(gateway: Gateway, method: str, account: str) -> None:
    """403, in the words of the account's profile or else of the prefix, whether the account exists or not."""
    for prefix in PREFIXES:
        url = f"{gateway.url}{prefix}/users/{account}/messages"
        answer = await request(method, url, json_body=GOOD, headers=basic(TOKEN, SECRET))
        words = FORBIDDEN["/v2" if account == "catapult" else prefix]
        assert (answer.status, answer.json["type"], answer.json["description"]) == (403, *words)


@pytest.mark.parametrize(("account", "words"), [("catapult", "/v2"), ("current", "/api/v2")])
async def test_the_profile_of_an_account_holds_on_both_prefixes(
    gateway: Gateway, account: str, words: str
) -> None:
    """It decides the words, and what is shown of a text, whichever prefix a client uses."""
    credential = (await gateway.admin("POST", f"/accounts/{account}/credentials", {"label": "x"})).json
    mine = basic(credential["token"], credential["secret"])
    for prefix in PREFIXES:
        url = f"{gateway.url}{prefix}/users/{account}/messages"
        refused = await request("POST", url, json_body=GOOD, headers=basic("x", "y"))
        assert (refused.json["type"], refused.json["description"]) == UNAUTHORIZED[words]
        accepted = await request("POST", url, json_body=GOOD, headers=mine)
        shown = await request("GET", gateway.url + accepted.headers["location"], headers=mine)
        assert shown.json["text"] == ("hello" if account == "catapult" else "")


@pytest.mark.parametrize(
    "path",
    [
        f"/api/v2/users/{ACCOUNT}/messages/happy",
        "/nothing",
        "/v2/users",
        f"/v2/users/{ACCOUNT}/messages/",
    ],
)
async def test_what_is_not_there_is_404(gateway: Gateway, path: str) -> None:
    """In the shape of the captured answers, and of the specification, at once."""
    answer = await get(gateway, path)
    assert answer.status == 404
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", answer.json.pop("timestamp"))
    assert answer.json | {"timestamp": ""} == {
        "type": "not-found",
        "description": "Not Found",
        "message": "Not Found",
        "timestamp": "",
        "status": 404,
        "error": "Not Found",
        "path": path,
    }


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/messages", {"GET", "HEAD", "POST"}), ("/messages/14762070468292kw2fuqty55yp2b2", {"GET", "HEAD"})],
)
async def test_other_methods_get_405(gateway: Gateway, method: str, path: str, allowed: set[str]) -> None:
    """With those that are allowed."""
    url = f"{gateway.url}/v2/users/{ACCOUNT}{path}"
    answer = await request(method, url, headers=basic(TOKEN, SECRET))
    assert (answer.status, answer.json["type"]) == (405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain;charset=UTF-8",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "",
    ],
)
async def test_what_is_no_json_type_gets_415(gateway: Gateway, content_type: str) -> None:
    """The type that was sent is quoted."""
    answer = await post(gateway, Content_Type=content_type)
    description = f"Content type '{content_type}' not supported. Please use 'application/json'"
    assert answer.status == 415
    assert answer.json == {
        "type": "unsupported-content-type",
        "description": description,
        "message": description,
    }


async def test_an_idempotency_key_is_for_one_request(gateway: Gateway) -> None:
    """The same request gets the same answer, on either prefix; another one 409; other accounts do not meet."""
    first = await post(gateway, Idempotency_Key="k" * 255)
    again = await post(gateway, prefix="/api/v2", Idempotency_Key="k" * 255)
    assert first.status == again.status == 202
    assert again.body == first.body
    other = await post(gateway, GOOD | {"text": "other"}, Idempotency_Key="k" * 255)
    assert (other.status, other.json["type"]) == (409, "idempotency-mismatch")


@pytest.mark.parametrize("key", ["", "k" * 256, "sch\u00fcssel"])
async def test_an_idempotency_key_has_its_bounds(gateway: Gateway, key: str) -> None:
    """1 to 255 ASCII characters, else 400."""
    answer = await post(gateway, Idempotency_Key=key)
    assert (answer.status, answer.json["fieldErrors"][0]["fieldName"]) == (400, "Idempotency-Key")


async def test_strict_numbers_are_judged_at_once(tmp_path: Path) -> None:
    """With `api.strict_numbers` what is not the account's is refused in the answer."""
    async with running(tmp_path, {**QUICK, "api.strict_numbers": True}) as gateway:
        assert (await gateway.send()).status == 202
        application = await gateway.send(applicationId="not-mine")
        assert (application.status, application.json["fieldErrors"][0]["fieldName"]) == (400, "applicationId")
        number = await request(
            "POST",
            f"{gateway.url}/api/v2/users/{ACCOUNT}/messages",
            json_body=GOOD | {"from": "+12025550199"},
            headers=basic(TOKEN, SECRET),
        )
        assert (number.status, number.json["type"]) == (403, "forbidden")


# ---- beside the messages ----


async def test_the_document_is_served(gateway: Gateway) -> None:
    """OpenAPI 3.1, whose server is this gateway."""
    document = (await request("GET", f"{gateway.url}/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    assert document["servers"][0]["url"] == gateway.url
    assert f"{PREFIXES[0]}/users/{{userId}}/messages" in document["paths"]


async def test_the_docs_need_no_other_host(gateway: Gateway) -> None:
    """No tag of the page names another host, and its policy keeps its scripts from asking one."""
    page = await request("GET", f"{gateway.url}/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert re.search(rb"<(?:script|link|img|iframe|form)\b[^>]*=[\"']?(?:https?:)?//", page.body) is None
    assert b"connect-src 'self'" in page.body


async def test_the_probes_answer(gateway: Gateway) -> None:
    """Without credentials, in words."""
    for path in ("/livez", "/readyz"):
        answer = await request("GET", gateway.url + path)
        assert (answer.status, answer.body) == (200, b"ok\n")


async def test_every_metric_is_there(gateway: Gateway) -> None:
    """Each documented name has its type and help from the first scrape on."""
    page = (await request("GET", f"{gateway.url}/metrics")).body.decode()
    # The text format names a counter's family as it names its samples.
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    assert {row.name: row.kind for row in METRICS} == {row.name: typed.get(row.name) for row in METRICS}

"""The console without a browser: pages, their JSON twins, and what of a message is shown on them."""

import base64
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

import trebuchet
from support.gateway import APPLICATION, HANDSET, NUMBER, Gateway, running
from support.http import Answer, catching, request

pytestmark = pytest.mark.anyio

EVIL = """<script>alert(1)</script><img src=x onerror=alert(2)>"'`{{7*7}}"""


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    data: Path = tmp_path_factory.mktemp("data")
    async with running(data, {"simulator.over_smpp": "true"}) as gateway:
        yield gateway


async def get(gateway: Gateway, path: str, **headers: str) -> Answer:
    return await request("GET", gateway.url + path, headers=headers)


async def post(gateway: Gateway, path: str, **fields: str) -> Answer:
    """As a page of the console does."""
    headers = {
        "Origin": gateway.url,
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "text/html",
    }
    return await request("POST", gateway.url + path, body=urlencode(fields).encode(), headers=headers)


async def page(gateway: Gateway, path: str) -> Any:
    answer = await get(gateway, path, Accept="text/html")
    assert answer.status == 200
    return html.fromstring(answer.body)


async def twin(gateway: Gateway, path: str) -> Any:
    answer = await get(gateway, path)
    assert answer.headers["content-type"] == "application/json"
    return answer.json


async def final(gateway: Gateway, message_id: str) -> Any:
    """The twin of a message's page, when its life is over."""
    while not (values := await twin(gateway, f"/messages/{message_id}.json"))["final"]:
        pass
    return values


PAGES = [
    "/",
    "/messages",
    "/handsets",
    "/compose",
    "/callbacks",
    "/catch",
    "/set-up/accounts",
    "/set-up/users",
    "/set-up/audit",
    "/set-up/settings",
]


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_tells_the_browser_to_run_only_what_is_ours(gateway: Gateway, path: str) -> None:
    """And pages hold no script, no style and no handler of their own, so that it can."""
    answer = await get(gateway, path, Accept="text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    tree = html.fromstring(answer.body)
    assert tree.xpath("//script[not(@src)] | //style | //@style | //@*[starts-with(name(), 'on')]") == []
    assert tree.xpath("//script[not(starts-with(@src, '/assets/'))]") == []


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_a_twin(gateway: Gateway, path: str) -> None:
    """At its path with `.json`, and for clients that ask for JSON."""
    by_path = await twin(gateway, "/overview.json" if path == "/" else f"{path}.json")
    by_accept = await get(gateway, path, Accept="application/json")
    assert by_path.keys() == by_accept.json.keys()


async def test_static_files_may_be_kept_for_ever(gateway: Gateway) -> None:
    tree = await page(gateway, "/")
    (href,) = tree.xpath("//link[@rel='stylesheet' and contains(@href, 'console.css')]/@href")
    answer = await get(gateway, href)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in answer.headers["cache-control"]
    stale = await get(gateway, href.replace(href.split("/")[2], "0123456789ab"))
    assert (stale.status, stale.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "nothing.css", "%2e%2e%2fapp.py"])
async def test_only_static_files_are_served(gateway: Gateway, name: str) -> None:
    assert (await get(gateway, f"/assets/0123456789ab/{name}")).status == 404


async def test_what_somebody_wrote_is_shown_as_text(gateway: Gateway) -> None:
    """In the list, in the life, in the filters, in the octets: no element and no attribute comes of it."""
    accepted = await gateway.send(EVIL, tag=EVIL, priority=None)
    message_id = accepted.json["id"]
    await final(gateway, message_id)
    for path in (
        f"/messages/{message_id}",
        "/messages",
        "/messages?text=%3Cscript%3Ealert(1)",
        "/messages?tag=%22%3E%3Cscript%3E",
    ):
        tree = await page(gateway, path)
        assert tree.xpath("//script[not(@src)] | //img | //@onerror") == []
    shown = str((await page(gateway, f"/messages/{message_id}")).text_content())
    assert EVIL in shown


async def test_the_life_of_a_text_over_smpp(gateway: Gateway) -> None:
    """Every PDU field by field, what the text costs and why, in the order of time."""
    text = "“Good morning” " + "x" * 70
    values = await final(gateway, (await gateway.send(text)).json["id"])
    assert values["summary"]["text"].startswith("Delivered after ")
    assert values["encoding"]["reason"] == {
        "character": "“",
        "index": 0,
        "name": "left double quotation mark",
    }
    assert values["encoding"]["smart"]["segments"] == 1
    assert "".join(part["text"] for part in values["encoding"]["parts"]) == text
    kinds = [step["kind"] for step in values["steps"]]
    assert kinds[0] == "request"
    assert kinds.count("segment") == kinds.count("receipt") == 2
    assert kinds[-1] in ("event", "receipt", "pdu")
    assert [step["at_ms"] for step in values["steps"]] == sorted(step["at_ms"] for step in values["steps"])
    submits = [step for step in values["steps"] if step["pdu"] and step["pdu"]["name"] == "submit_sm"]
    meanings = {field["name"]: field["meaning"] for field in submits[0]["pdu"]["fields"]}
    assert meanings["destination_addr"] == HANDSET[1:]
    assert meanings["udh_element"].startswith("part 1 of 2")


async def test_a_failure_says_what_it_means(gateway: Gateway) -> None:
    values = await final(gateway, (await gateway.send("#expired")).json["id"])
    (recipient,) = values["recipients"]
    assert str(recipient["error_code"]) in values["summary"]["text"]
    assert recipient["error"] in values["summary"]["text"]
    assert values["summary"]["tone"] == "bad"


async def test_one_file_for_the_support_desk(gateway: Gateway) -> None:
    """With a capture of the PDUs in it that other programs read."""
    message_id = (await gateway.send("for support")).json["id"]
    await final(gateway, message_id)
    answer = await get(gateway, f"/messages/{message_id}/support.json")
    assert "attachment" in answer.headers["content-disposition"]
    capture = base64.b64decode(answer.json["pcap_base64"])
    assert capture[:4] == bytes.fromhex("d4c3b2a1")
    assert answer.json["records"]["message"]["id"] == message_id


@pytest.mark.parametrize(
    "path", ["/messages/nothing", "/messages/nothing/support.json", "/messages/export.xml"]
)
async def test_what_is_not_there(gateway: Gateway, path: str) -> None:
    """A page for a person, a problem for a program."""
    seen = await get(gateway, path, Accept="text/html")
    assert seen.status == 404
    if not path.endswith(".json"):
        assert html.fromstring(seen.body).xpath("//h1")
    assert (await get(gateway, path, Accept="application/json")).json["type"] == "not-found"


@pytest.mark.parametrize("query", ["state=LOST", "from=yesterday", "nonsense=1", "error_code=x"])
async def test_filters_that_are_none(gateway: Gateway, query: str) -> None:
    answer = await get(gateway, f"/messages?{query}", Accept="text/html")
    assert answer.status == 400
    assert query.partition("=")[0] in str(html.fromstring(answer.body).xpath("string()"))


async def test_the_one_field_takes_a_number_a_tag_or_an_id(gateway: Gateway) -> None:
    message_id = (await gateway.send("find me", tag="needle", to="+12025550177")).json["id"]
    for sought in ("%2B12025550177", "12025550177", "needle"):
        found = await twin(gateway, f"/messages.json?number={sought}")
        assert [item["id"] for item in found["items"]] == [message_id]
    there = await get(gateway, f"/messages?number={message_id}")
    assert (there.status, there.headers["location"]) == (303, f"/messages/{message_id}")


async def test_a_part_of_a_text_is_found_in_either_case(gateway: Gateway) -> None:
    message_id = (await gateway.send("The Quick brown fox 100%_")).json["id"]
    for sought in ("quick%20BROWN", "100%25_"):
        found = await twin(gateway, f"/messages.json?text={sought}")
        assert [item["id"] for item in found["items"]] == [message_id]
    assert (await twin(gateway, "/messages.json?text=quick_brown"))["items"] == []


async def test_export_has_everything_that_the_filters_find(gateway: Gateway) -> None:
    """Once each, in both forms; a spreadsheet gets nothing that it would run."""
    for _ in range(3):
        await gateway.send("export", tag="=1+1")
    answer = await get(gateway, "/messages/export.csv?tag=%3D1%2B1")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [(row["from"], row["tag"]) for row in rows] == [(NUMBER, "'=1+1")] * 3
    lines = (await get(gateway, "/messages/export.jsonl?tag=%3D1%2B1")).body.splitlines()
    assert {json.loads(line)["id"] for line in lines} == {row["id"] for row in rows}
    assert [json.loads(line)["tag"] for line in lines] == ["=1+1"] * 3


async def test_older_messages_follow_page_by_page(gateway: Gateway) -> None:
    """No message twice, none left out, recipients of a group together."""
    sent = [(await gateway.send("many", tag="pages")).json["id"] for _ in range(55)]
    first = await twin(gateway, "/messages.json?tag=pages")
    second = await twin(gateway, f"/messages.json?tag=pages&before={first['older']}")
    assert [item["id"] for item in [*first["items"], *second["items"]]] == sent[::-1]
    assert second["older"] is None


async def test_replayed_callbacks_go_back_into_the_queue(gateway: Gateway) -> None:
    message_id = (await gateway.send("again")).json["id"]
    await final(gateway, message_id)
    form = (await page(gateway, f"/messages/{message_id}")).xpath("//form[contains(@action, '/replay')]")[0]
    answer = await post(gateway, form.get("action"), _csrf=form.fields["_csrf"])
    assert (answer.status, answer.headers["location"]) == (303, f"/messages/{message_id}#callbacks")
    refused = await post(gateway, form.get("action"), _csrf="0" * 64)
    assert refused.status == 403
    assert "too old" in str(html.fromstring(refused.body).xpath("string(//h1)"))


async def test_what_no_page_does_is_refused(gateway: Gateway) -> None:
    """Also from a page of ours."""
    answer = await request("DELETE", f"{gateway.url}/", body=b"", headers={"Origin": gateway.url})
    assert answer.status == 403


async def test_what_an_endpoint_answers_is_shown_as_text(gateway: Gateway) -> None:
    """In the life of the message, and among the newest tries."""
    refusal = f"HTTP/1.1 500 No\r\nContent-Length: {len(EVIL)}\r\n\r\n{EVIL}".encode()
    async with catching() as catcher:
        catcher.answer = lambda _: refusal
        await gateway.admin("PATCH", f"/applications/{APPLICATION}", {"callback_url": catcher.url})
        message_id = (await gateway.send("hello")).json["id"]
        while "answered 500" not in str(await twin(gateway, f"/messages/{message_id}.json")):
            pass
        for path in (f"/messages/{message_id}", f"/callbacks/{APPLICATION}", "/callbacks"):
            tree = await page(gateway, path)
            assert tree.xpath("//script[not(@src)] | //main//img | //@onerror") == []
        assert EVIL in str((await page(gateway, f"/messages/{message_id}")).text_content())
        await gateway.admin("PATCH", f"/applications/{APPLICATION}", {"callback_url": None})


def test_no_template_trusts_what_it_is_given() -> None:
    """Everything is escaped; only the icons, which are our own, are written as they are."""
    folder = Path(trebuchet.__file__).parent / "console/templates"
    trusting = [
        (str(path.relative_to(folder)), line.strip())
        for path in folder.rglob("*.html")
        for line in path.read_text("utf-8").splitlines()
        if "|safe" in line.replace(" ", "") or "autoescape" in line
    ]
    assert [name for name, _ in trusting] == ["parts/macros.html"]
    assert "paths[name]" in trusting[0][1]

"""Compose without a browser: what it sends, what it refuses and how, what it counts."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

from support.gateway import ACCOUNT, APPLICATION, HANDSET, NUMBER, Gateway, running
from support.http import Answer
from support.pages import EVIL, harmless, look, post, token, twin, upload
from support.pictures import encoded, photo

pytestmark = pytest.mark.anyio

PNG = encoded(photo(64, 48), "PNG")


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    data: Path = tmp_path_factory.mktemp("data")
    async with running(data) as gateway:
        yield gateway


async def send(gateway: Gateway, **fields: str) -> Answer:
    csrf = await token(gateway, "/compose")
    given = {"applicationId": APPLICATION, "from": NUMBER, "to": HANDSET, "text": "hello", **fields}
    return await post(gateway, "/compose", csrf, given, Accept="text/html")


async def sent(gateway: Gateway, **fields: str) -> Any:
    """The message that came of it."""
    answer = await send(gateway, **fields)
    assert answer.status == 303
    return (await gateway.life(answer.headers["location"].removeprefix("/messages/")))["message"]


async def test_every_field_is_sent(gateway: Gateway) -> None:
    """As the API would have stored it."""
    expiration = "2099-01-31T12:00:00Z"
    message = await sent(gateway, text="two\r\nlines", tag="t", priority="high", expiration=expiration)
    assert message["text"] == "two\nlines"
    assert (message["source"], message["destinations"]) == (NUMBER, [HANDSET])
    assert (message["tag"], message["priority"], message["expiration"]) == ("t", "high", expiration)
    assert (message["account_id"], message["application_id"]) == (ACCOUNT, APPLICATION)


async def test_several_recipients_make_a_group_message(gateway: Gateway) -> None:
    message = await sent(gateway, to=f"{HANDSET}, +12025550124")
    assert (message["kind"], message["destinations"]) == ("mms", [HANDSET, "+12025550124"])


async def test_a_file_becomes_a_media_object(gateway: Gateway) -> None:
    """Of the account that sends; its URL joins those that are there."""
    csrf = await token(gateway, "/compose")
    fields = {"_csrf": csrf, "applicationId": APPLICATION, "media": "https://example.com/a.png"}
    answer = await upload(
        gateway, "/compose/media?part=media", csrf, fields, [("my cat.png", "image/png", PNG)]
    )
    assert answer.status == 200
    area: Any = html.fromstring(answer.body)
    first, url = area.text.split()
    assert first == "https://example.com/a.png"
    assert url.startswith(f"{gateway.url}/api/v2/users/{ACCOUNT}/media/console/")
    message = await sent(gateway, text="", media=url)
    assert (message["kind"], message["media"]) == ("mms", [url])


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"to": "nobody"}, ["to"]),
        ({"to": "", "text": ""}, ["to", "text"]),
        ({"from": "x" * 40, "applicationId": ""}, ["from", "applicationId"]),
        ({"text": "x" * 2049}, ["text"]),
        ({"media": "ftp://example.com/a.png"}, ["media"]),
        (
            {"tag": "x" * 1025, "priority": "soon", "expiration": "tomorrow"},
            ["tag", "priority", "expiration"],
        ),
        ({"expiration": "2020-01-31T12:00:00Z"}, ["expiration"]),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(
    gateway: Gateway, fields: dict[str, str], names: list[str]
) -> None:
    """In the API's words, all at once; what was filled in stays."""
    answer = await send(gateway, **fields)
    assert answer.status == 400
    tree: Any = html.fromstring(answer.body)
    by_api = await gateway.send(**_as_api({"to": HANDSET, "text": "hello", **fields}))
    for error in by_api.json["fieldErrors"]:
        shown = tree.xpath(f"//*[starts-with(@id, 'wrong-{error['fieldName']}')]")
        assert error["description"] in [each.text for each in shown]
    invalid = set(tree.xpath("//*[@aria-invalid='true']/@name"))
    assert invalid == set(names)
    assert tree.xpath("string(//input[@name='to']/@value)") == fields.get("to", HANDSET)


def _as_api(fields: dict[str, str]) -> dict[str, Any]:
    """The request that stands for the form; a field that is empty is left out."""
    given: dict[str, Any] = {name: value or None for name, value in fields.items()}
    if given.get("media"):
        given["media"] = [given["media"]]
    return given


async def test_a_number_of_nobody_is_accepted_and_fails_as_by_the_api(gateway: Gateway) -> None:
    """Content is judged after the 202, there as here."""
    answer = await send(gateway, **{"from": "+12025559999"})
    assert answer.status == 303
    life = await gateway.life(answer.headers["location"].removeprefix("/messages/"))
    assert life["deliveries"][0]["state"] == "FAILED"


async def test_a_message_is_counted_as_it_is_typed(gateway: Gateway) -> None:
    csrf = await token(gateway, "/compose")
    fields = {"applicationId": APPLICATION, "from": NUMBER, "to": HANDSET, "text": "“" + "x" * 100}
    answer = await post(gateway, "/compose/count?part=look", csrf, fields)
    tree: Any = html.fromstring(answer.body)
    assert tree.xpath("string(//*[@data-cost])") == "2"
    assert len(tree.xpath("//*[@data-part]")) == 2
    assert "left double quotation mark" in tree.text_content()
    codes = [each.text for each in tree.xpath("//pre")]
    assert len(codes) == 3
    assert all(HANDSET in code and APPLICATION in code for code in codes)


async def test_the_address_fills_in_the_form(gateway: Gateway) -> None:
    """For “Send again”: a person sends, never the address."""
    query = {
        "from": NUMBER,
        "to": f"{HANDSET}, +12025550124",
        "text": "\nagain",
        "tag": "t",
        "media": "https://a/b",
    }
    form = (await look(gateway, f"/compose?{urlencode(query)}")).xpath("//form[@id='compose']")[0]
    filled = {name: form.fields[name].strip() for name in query}
    assert filled == {name: value.strip() for name, value in query.items()}
    assert form.fields["applicationId"] == APPLICATION
    assert (await twin(gateway, f"/compose.json?{urlencode(query)}"))["fields"]["text"] == "\nagain"


async def test_what_somebody_wrote_is_text(gateway: Gateway) -> None:
    """In every field, when it is filled in and when it is refused."""
    everywhere = dict.fromkeys(
        ("applicationId", "from", "to", "text", "media", "tag", "priority", "expiration"), EVIL
    )
    tree = await look(gateway, f"/compose?{urlencode(everywhere)}")
    assert harmless(tree)
    refused = await send(gateway, **everywhere)
    assert refused.status == 400
    assert harmless(html.fromstring(refused.body))


async def test_forms_are_bounded(gateway: Gateway) -> None:
    """One that is too long is not taken, with files or without."""
    csrf = await token(gateway, "/compose")
    assert (await post(gateway, "/compose", csrf, {"text": "x" * 300_000})).status in (403, 413)
    files = [("big.png", "image/png", PNG + bytes(300_000))]
    assert (await upload(gateway, "/compose", csrf, {"_csrf": csrf}, files)).status == 413
    too_many = [(f"{n}.png", "image/png", PNG) for n in range(11)]
    assert (await upload(gateway, "/compose/media", csrf, {"_csrf": csrf}, too_many)).status == 400

"""The first-run guide on the overview: its steps are done by what happens, and it leaves when it is not needed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

from support.gateway import NUMBER, SECRET, TOKEN, Gateway, running
from support.http import Answer, request

pytestmark = pytest.mark.anyio

EVIL = "<script>alert(1)</script>\"'>"
PASSWORD = "correct horse battery"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path) as gateway:
        yield gateway


async def page(gateway: Gateway, path: str = "/", cookie: str = "") -> Any:
    answer = await request("GET", gateway.url + path, headers={"Accept": "text/html", "Cookie": cookie})
    assert answer.status == 200, answer.body
    return html.fromstring(answer.body)


async def twin(gateway: Gateway) -> Any:
    return (await request("GET", f"{gateway.url}/overview.json")).json


async def until(gateway: Gateway, *steps: bool) -> Any:
    """The guide, when its steps are these."""
    while (guide := (await twin(gateway))["guide"])["steps"] != list(steps):
        pass
    return guide


async def post(gateway: Gateway, path: str, cookie: str = "", **fields: str) -> Answer:
    headers = {
        "Origin": gateway.url,
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": cookie,
    }
    return await request("POST", gateway.url + path, body=urlencode(fields).encode(), headers=headers)


async def press(gateway: Gateway, tree: Any, action: str) -> Answer:
    """Send a form of a page as it stands there."""
    (form,) = (each for each in tree.forms if each.get("action") == action)
    return await post(gateway, action, **dict(form.form_values()))


def guide_of(tree: Any) -> Any:
    return tree.xpath("//section[@aria-labelledby='guide-title']")


async def test_from_nothing_to_a_callback(gateway: Gateway) -> None:
    """Three presses of a button, without typing anything; each step is done by what has happened."""
    tree = await page(gateway)
    assert guide_of(tree)
    assert not tree.xpath("//figure[@data-chart]")
    assert (await press(gateway, tree, "/compose")).status == 303
    while (guide := await until(gateway, True, True, False))["sent"]["state"] != "DELIVERED":
        pass
    assert guide["sent"]["text"] == "Hello from Trebuchet"

    # The demo's application has no callback URL: the guide offers the catcher, then waits for it.
    tree = await page(gateway)
    assert tree.xpath("//figure[@data-chart]")
    handset = f"/handsets/{guide['sent']['to'].replace('+', '%2B')}/messages"
    assert (await press(gateway, tree, handset)).status == 303
    guide = await until(gateway, True, True, True)
    assert guide["done"]
    tree = await page(gateway)
    assert (await press(gateway, tree, "/catch/first/use")).status == 303
    assert (await twin(gateway))["guide"]["done"] is False
    to = guide["sent"]["to"]
    assert (
        await gateway.sim("POST", f"/handsets/{to}/messages", {"to": NUMBER, "text": "more"})
    ).status < 300
    guide = await until(gateway, True, True, True)
    assert guide["catcher"] == "first"
    assert 0 <= guide["took_ms"] < 60_000
    shown = str(guide_of(await page(gateway))[0].text_content())
    assert "Done in" in shown
    assert "the catcher" in shown


async def test_what_programs_need_is_ready_to_paste(gateway: Gateway) -> None:
    """The secret is on the page of who may see it, in no twin."""
    shown = str(guide_of(await page(gateway))[0].text_content())
    assert f"export TREBUCHET_TOKEN={TOKEN} TREBUCHET_SECRET={SECRET}" in shown
    for needed in (gateway.url, "curl ", "import bandwidth", "require("):
        assert needed in shown
    assert SECRET not in str(await twin(gateway))


async def test_who_is_no_admin_does_not_see_the_secret(tmp_path: Path) -> None:
    async with running(tmp_path, {"server.host": "0.0.0.0"}) as gateway:
        for role in ("viewer", "admin"):
            made = await gateway.admin(
                "POST", "/users", {"name": role + "1", "role": role, "password": PASSWORD}
            )
            assert made.status == 201
            answer = await post(gateway, "/login", name=role + "1", password=PASSWORD, next="/")
            tree = await page(gateway, "/", answer.headers["set-cookie"].partition(";")[0])
            assert guide_of(tree)
            assert (SECRET in str(guide_of(tree)[0].text_content())) is (role == "admin")
            (button,) = tree.xpath("//form[@action='/compose']//button")
            assert ("disabled" in button.attrib) is (role == "viewer")


async def test_who_dismissed_it_does_not_see_it_again(gateway: Gateway) -> None:
    """In this browser, unless they ask for it."""
    answer = await press(gateway, await page(gateway), "/guide/dismiss")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert not guide_of(await page(gateway, "/", cookie))
    assert guide_of(await page(gateway, "/?guide", cookie))
    assert guide_of(await page(gateway))


async def test_who_has_sent_much_needs_no_guide(gateway: Gateway) -> None:
    for _ in range(20):
        await gateway.send()
    assert guide_of(await page(gateway))
    await gateway.send()
    assert not guide_of(await page(gateway))
    assert (await twin(gateway))["guide"] is None


async def test_what_somebody_wrote_is_shown_as_text(gateway: Gateway) -> None:
    """A message, an answer, a callback URL."""
    accepted = await gateway.send(EVIL)
    while (await until(gateway, True, True, False))["sent"]["state"] != "DELIVERED":
        pass
    to = (await twin(gateway))["guide"]["sent"]["to"]
    await gateway.sim("POST", f"/handsets/{to}/messages", {"to": NUMBER, "text": EVIL})
    await until(gateway, True, True, True)
    application = accepted.json["applicationId"]
    url = "http://127.0.0.1:9/%22%3E<script>"
    changed = await gateway.admin("PATCH", f"/applications/{application}", {"callback_url": url})
    tree = await page(gateway)
    assert tree.xpath("//script[not(@src)] | //img | //@onerror") == []
    assert str(guide_of(tree)[0].text_content()).count(EVIL) == 2
    assert changed.status == 400 or url in str(guide_of(tree)[0].text_content())


async def test_without_a_simulator_a_carrier_comes_first(tmp_path: Path) -> None:
    """Each record that is made is a step; the numbers of the first run are for fiction."""
    async with running(tmp_path, {"simulator.enabled": "false"}) as gateway:
        tree = await page(gateway)
        headings = [str(each.text_content()) for each in guide_of(tree)[0].xpath(".//h3")]
        assert headings == ["Add a carrier", "Add a route", "Add your number", "Send a test"]
        assert tree.xpath("//form[@action='/compose']") == []
        for records in ("routes", "carriers"):
            for each in (await gateway.admin("GET", f"/{records}")).json["items"]:
                await gateway.admin("DELETE", f"/{records}/{each['id']}")
        await until(gateway, False, False, False, False)
        settings = {"host": "127.0.0.1", "port": 9, "system_id": "x"}
        await gateway.admin("POST", "/carriers", {"id": "acme", "kind": "smpp", "settings": settings})
        await until(gateway, True, False, False, False)
        await gateway.admin("POST", "/routes", {"carrier_id": "acme"})
        application = (await gateway.admin("GET", "/applications")).json["items"][0]["id"]
        await gateway.admin("POST", "/numbers", {"number": "+14155550100", "application_id": application})
        guide = await until(gateway, True, True, True, False)
        assert guide["sent"] is None

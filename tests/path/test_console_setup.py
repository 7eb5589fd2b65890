"""Set-up in the console: every kind of record is made, changed and removed, with the admin API's own checks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from lxml import html

from support.gateway import ACCOUNT, APPLICATION, NUMBER, Gateway, running
from support.http import Answer, request

pytestmark = pytest.mark.anyio

EVIL = "<script>alert(1)</script>\"'>"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path) as gateway:
        yield gateway


def parsed(page: bytes) -> Any:
    return html.fromstring(page)


async def get(gateway: Gateway, path: str) -> Any:
    answer = await request("GET", gateway.url + path, headers={"Accept": "text/html"})
    assert answer.status == 200, answer.body
    return parsed(answer.body)


async def twin(gateway: Gateway, path: str) -> Any:
    return (await request("GET", gateway.url + path)).json


async def submit(gateway: Gateway, form: Any, fields: Mapping[str, str | Sequence[str]]) -> Answer:
    """Post a form of a page as a browser does, with some of its fields filled in."""
    pairs = [(name, value) for name, value in form.form_values() if name not in fields]
    for name, value in fields.items():
        pairs += [(name, each) for each in ([value] if isinstance(value, str) else value)]
    headers = {"Origin": gateway.url, "Content-Type": "application/x-www-form-urlencoded"}
    return await request(
        "POST", gateway.url + form.get("action"), body=urlencode(pairs).encode(), headers=headers
    )


async def fill(gateway: Gateway, path: str, **fields: str | Sequence[str]) -> Answer:
    """Fill in the form of a page and send it."""
    form = (await get(gateway, path)).xpath("//main//form[contains(@class, 'panel')]")[0]
    return await submit(gateway, form, {name.replace("__", "."): value for name, value in fields.items()})


async def remove(gateway: Gateway, kind: str, key: str) -> Answer:
    forms = (await get(gateway, f"/set-up/{kind}")).xpath(f"//form[@action='/set-up/{kind}/remove']")
    (form,) = [form for form in forms if form.fields["key"] == key]
    return await submit(gateway, form, {})


async def test_each_kind_of_record_is_made_changed_and_removed(gateway: Gateway) -> None:
    """In the order in which they refer to each other, and back."""
    made = {
        "accounts": {"id": "u-2", "name": "Second", "profile": "current"},
        "applications": {
            "id": "app-2",
            "account_id": "u-2",
            "callback_url": "https://example.com/x",
            "opt_out": "on",
        },
        "numbers": {"number": "12025550177", "application_id": "app-2", "account_id": "u-2"},
    }
    for kind, fields in made.items():
        answer = await fill(gateway, f"/set-up/{kind}/new", **fields)
        assert (answer.status, answer.headers.get("location")) == (303, f"/set-up/{kind}"), answer.body
    answer = await fill(
        gateway, "/set-up/carriers/new?kind=smpp", id="acme", settings__host="127.0.0.1",
        settings__system_id="me", settings__password="pw", settings__window="50", settings__binds='["receiver"]',
    )  # fmt: skip
    assert answer.status == 303, answer.body
    carrier = (await gateway.admin("GET", "/carriers/acme")).json
    assert carrier["settings"] == {
        "host": "127.0.0.1", "system_id": "me", "password": "•••", "window": 50, "binds": ["receiver"],
    }  # fmt: skip
    assert (
        await fill(gateway, "/set-up/routes/new", id="to-acme", carrier_id="acme", prefix="+44")
    ).status == 303

    changed = await fill(
        gateway, "/set-up/applications/edit?key=app-2", name="Renamed", events=["message-failed"]
    )
    assert changed.status == 303
    application = (await gateway.admin("GET", "/applications/app-2")).json
    assert (application["name"], application["events"], application["opt_out"]) == (
        "Renamed", ["message-failed"], True,
    )  # fmt: skip
    await fill(gateway, "/set-up/carriers/edit?key=acme", settings__window="60")
    carrier = (await gateway.admin("GET", "/carriers/acme")).json
    assert (carrier["settings"]["window"], carrier["settings"]["password"]) == (60, "•••")

    for kind, key in (
        ("routes", "to-acme"),
        ("carriers", "acme"),
        ("numbers", "+12025550177"),
        ("applications", "app-2"),
        ("accounts", "u-2"),
    ):
        assert (await remove(gateway, kind, key)).status == 303
        items = (await twin(gateway, f"/set-up/{kind}.json"))["items"]
        assert key not in [item["_key"] for item in items]


async def test_what_is_wrong_stands_beside_its_field(gateway: Gateway) -> None:
    """In the words of the admin API, and what was filled in stays."""
    answer = await fill(
        gateway, "/set-up/applications/new", account_id=ACCOUNT, name=EVIL, callback_url="ftp://x"
    )
    assert answer.status == 400
    tree = parsed(answer.body)
    (field,) = tree.xpath("//input[@name='callback_url']")
    assert field.get("aria-invalid") == "true"
    assert "cannot be called" in tree.get_element_by_id(field.get("aria-describedby")).text_content()
    assert tree.xpath("//input[@name='name']/@value") == [EVIL]
    assert tree.xpath("//script[not(@src)]") == []


async def test_what_is_in_use_stays(gateway: Gateway) -> None:
    """And the page says by what."""
    answer = await remove(gateway, "accounts", ACCOUNT)
    assert answer.status == 200
    assert "application" in parsed(answer.body).xpath("//*[@role='alert']")[0].text_content()


async def test_a_secret_is_shown_once(gateway: Gateway) -> None:
    """That of a new token works at once; the page that is loaded again does not have it."""
    tree = await get(gateway, f"/set-up/accounts/edit?key={ACCOUNT}")
    (form,) = [
        form
        for form in tree.forms
        if form.get("action") == "/set-up/accounts/credentials" and "label" in form.fields
    ]
    answer = await submit(gateway, form, {"label": "ci"})
    shown = parsed(answer.body).xpath("//dd[contains(@class, 'break-all')]/text()")
    token, secret = shown
    assert secret not in (await twin(gateway, f"/set-up/accounts/edit.json?key={ACCOUNT}"))["credentials"]
    accepted = await gateway.admin("GET", f"/accounts/{ACCOUNT}/credentials")
    assert token in [each["token"] for each in accepted.json["items"]]


async def test_where_a_message_would_go(gateway: Gateway) -> None:
    tried = (await twin(gateway, f"/set-up/routes.json?try={quote('+12025550123')}"))["tried"]
    assert tried["rules"]["sms"] == {"id": "all-to-simulator", "carrier_id": "simulator"}
    assert (await twin(gateway, "/set-up/routes.json?try=nowhere%20at%20all"))["tried"]["number"] is None


async def test_settings_say_where_they_come_from(gateway: Gateway) -> None:
    items = {item["name"]: item for item in (await twin(gateway, "/set-up/settings.json"))["items"]}
    assert items["server.port"]["source"] == "flag --port"
    assert items["callbacks.timeout_s"]["source"] == "default"
    assert "admin-demo" not in str(items)


async def test_changes_are_in_the_log(gateway: Gateway) -> None:
    """By whom: nobody logs in here, so it was the console."""
    await fill(gateway, f"/set-up/numbers/edit?key={quote(NUMBER)}", segments_per_s="2.5")
    (entry, *_) = (await twin(gateway, "/set-up/audit.json"))["items"]
    assert (entry["who"], entry["action"], entry["target"], entry["detail"]) == (
        "console", "change", f"number {NUMBER}", "segments_per_s",
    )  # fmt: skip


async def test_people(gateway: Gateway) -> None:
    """Let in, given a role, sent away; the last admin stays."""
    assert (
        await fill(gateway, "/set-up/users", name="chief", password="long enough", role="admin")
    ).status == 303
    assert (await fill(gateway, "/set-up/users", name="chief", password="long enough")).status == 400
    assert (await fill(gateway, "/set-up/users", name="short", password="short")).status == 400
    forms = (await get(gateway, "/set-up/users")).xpath("//form[@action='/set-up/users/change']")
    refused = await submit(gateway, forms[1], {"remove": "1"})
    assert "last admin" in refused.body.decode()
    assert [item["role"] for item in (await twin(gateway, "/set-up/users.json"))["items"]] == ["admin"]


@pytest.mark.parametrize(
    "path", ["/set-up/nothing", "/set-up/accounts/edit?key=nobody", "/set-up/carriers/new?kind=x"]
)
async def test_what_is_not_there(gateway: Gateway, path: str) -> None:
    answer = await request("GET", gateway.url + path, headers={"Accept": "text/html"})
    assert answer.status == 404


async def test_every_field_of_every_record_can_be_asked_for(gateway: Gateway) -> None:
    """No kind of field is forgotten when records get new ones."""
    for path in ("accounts/new", "applications/new", "numbers/new", "routes/new", "opt-outs/new"):
        for field in (await twin(gateway, f"/set-up/{path}.json"))["fields"]:
            assert field["kind"] in ("text", "secret", "number", "switch", "choice", "choices")
    assert APPLICATION in str((await twin(gateway, "/set-up/numbers/new.json"))["fields"])

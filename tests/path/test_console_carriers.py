"""The console's pages of carriers without a browser: what they show of links, and what their forms do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

from support.gateway import Gateway, running
from support.http import Answer, request
from support.smsc import Smsc, listening, receipt
from trebuchet.protocols.smpp import pdu

pytestmark = pytest.mark.anyio

EVIL = """<script>alert(1)</script>"'>"""


async def get(gateway: Gateway, path: str, **headers: str) -> Answer:
    return await request("GET", gateway.url + path, headers=headers)


async def page(gateway: Gateway, path: str) -> Any:
    answer = await get(gateway, path, Accept="text/html")
    assert answer.status == 200
    tree = html.fromstring(answer.body)
    assert tree.xpath("//script[not(@src)] | //style | //@style | //@*[starts-with(name(), 'on')]") == []
    return tree


async def post(gateway: Gateway, path: str, **fields: str) -> Answer:
    """As a page of the console does."""
    (token,) = {
        field.value for field in (await page(gateway, "/carriers/acme")).xpath("//input[@name='_csrf']")
    }
    headers = {"Origin": gateway.url, "Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode({**fields, "_csrf": token}).encode()
    return await request("POST", gateway.url + path, body=body, headers=headers)


@asynccontextmanager
async def linked(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Gateway, Smsc]]:
    """A gateway whose carrier `acme` is bound, and takes all that is sent."""
    async with listening() as peer, running(tmp_path) as gateway:
        told = {
            "host": "127.0.0.1",
            "port": peer.port,
            "system_id": "esme",
            "password": "hunter2",
            **settings,
        }
        made = await gateway.admin("POST", "/carriers", {"id": "acme", "kind": "smpp", "settings": told})
        assert made.status == 201, made.body
        await gateway.admin("POST", "/routes", {"carrier_id": "acme", "prefix": "", "kind": "sms"})
        await gateway.admin("PATCH", "/routes/all-to-simulator", {"priority": 1000})
        await until(gateway, "bound")
        yield gateway, peer


async def until(gateway: Gateway, state: str) -> dict[str, Any]:
    """The twin of the page, when its one bind is in this state."""
    async with asyncio.timeout(20):
        while True:
            values: dict[str, Any] = (await get(gateway, "/carriers/acme.json")).json
            if values["link"]["binds"][0]["state"] == state:
                return values


async def test_a_link_its_bind_and_its_settings(tmp_path: Path) -> None:
    """In the list and on its page; the password nowhere, in neither form."""
    async with linked(tmp_path, window=7) as (gateway, _):
        twin = (await get(gateway, "/carriers.json")).json
        assert {item["carrier_id"]: item["state"] for item in twin["items"]}["acme"] == "up"
        assert "acme" in (await page(gateway, "/carriers")).text_content()
        values = (await get(gateway, "/carriers/acme.json")).json
        (bind,) = values["link"]["binds"]
        assert (bind["name"], bind["window"], values["link"]["sums"]["bound"]) == ("acme/0", 7, 1)
        assert values["carrier"]["settings"]["password"] == "•••"
        shown = await get(gateway, "/carriers/acme", Accept="text/html")
        assert b"hunter2" not in shown.body
        assert b"0 / 7" in shown.body
        assert (await get(gateway, "/carriers/nobody", Accept="text/html")).status == 404


async def test_pause_resume_unbind_and_reconnect(tmp_path: Path) -> None:
    """Each answers with the page, does what it says, and is in the audit log."""
    async with linked(tmp_path) as (gateway, _):
        for what, state in (("pause", "paused"), ("resume", "up")):
            answer = await post(gateway, f"/carriers/acme/{what}")
            assert (answer.status, answer.headers["location"]) == (303, "/carriers/acme")
            assert (await get(gateway, "/carriers/acme.json")).json["link"]["state"] == state
        await until(gateway, "bound")
        assert (await post(gateway, "/carriers/acme/unbind")).status == 303
        await until(gateway, "unbound")
        assert (await post(gateway, "/carriers/acme/rebind", bind="acme/0")).status == 303
        await until(gateway, "bound")
        wrong = await post(gateway, "/carriers/acme/unbind", bind=EVIL)
        assert wrong.status == 400
        assert b"<script>alert" not in wrong.body
        entries = (await gateway.admin("GET", "/audit?limit=4")).json["items"]
        told = {
            (entry["action"], entry["target"], entry["detail"])
            for entry in entries
            if entry["who"] == "console"
        }
        assert {("change", "carrier acme", "paused"), ("unbind", "link acme", "all")} <= told


async def test_what_has_no_binds_is_not_steered(tmp_path: Path) -> None:
    async with linked(tmp_path) as (gateway, _):
        assert (await post(gateway, "/carriers/simulator/unbind")).status == 409
        assert (await post(gateway, "/carriers/nobody/pause")).status == 404
        tree = await page(gateway, "/carriers/simulator")
        assert tree.xpath("//form[contains(@action, 'unbind')] | //*[@data-trace]") == []
        assert len((await get(gateway, "/carriers/simulator.json")).json["charts"]) == 1


async def test_a_number_is_tried(tmp_path: Path) -> None:
    """As it goes on the wire, or why not; what was typed is shown as text."""
    async with linked(tmp_path) as (gateway, _):
        tree = await page(gateway, "/carriers/acme?" + urlencode({"number": "+12025550123"}))
        assert "12025550123" in tree.get_element_by_id("address").text_content()
        tree = await page(gateway, "/carriers/acme?" + urlencode({"number": EVIL}))
        assert "must be an E.164 number" in tree.get_element_by_id("address").text_content()
        part = await get(gateway, "/carriers/acme?part=address&number=24680")
        assert b"24680" in part.body
        assert b"<html" not in part.body


async def test_receipts_that_match_nothing_propose_how_to_read_ids(tmp_path: Path) -> None:
    """Ids that were answered in hexadecimal and reported in decimal: one click sets it, another asks in vain."""
    async with linked(tmp_path) as (gateway, peer):
        peer.answer = lambda submit: submit.response(message_id="1a2b3c4d")
        await gateway.send("hello")
        await peer.until(lambda: bool(peer.submits))
        await peer.deliver(receipt(peer.submits[0], str(0x1A2B3C4D)))
        await peer.deliver(receipt(pdu.SubmitSm(destination_addr="12025550123"), EVIL.replace(" ", "")))
        values = (await get(gateway, "/carriers/acme.json")).json
        assert values["link"]["proposal"] == "hex-decimal"
        assert str(0x1A2B3C4D) in {item["carrier_message_id"] for item in values["unmatched"]}
        text = (await page(gateway, "/carriers/acme")).text_content()
        assert str(0x1A2B3C4D) in text
        assert (await post(gateway, "/carriers/acme/receipt-ids", conversion="padded")).status == 409
        assert (await post(gateway, "/carriers/acme/receipt-ids", conversion="hex-decimal")).status == 303
        record = (await gateway.admin("GET", "/carriers/acme")).json
        assert record["settings"]["receipt_ids"] == "hex-decimal"
        values = await until(gateway, "bound")
        assert values["link"]["proposal"] is None


async def test_a_last_error_of_the_peer_is_text(tmp_path: Path) -> None:
    """What a carrier names itself, and what went wrong, may hold anything."""
    async with linked(tmp_path) as (gateway, peer):
        peer.bind_status = 0x0E
        peer.cut()
        values = await until(gateway, "waiting")
        assert values["link"]["binds"][0]["last_error"]
        await page(gateway, "/carriers")
        tree = await page(gateway, "/carriers/acme")
        assert "Last error" in tree.text_content()


async def test_a_capture_of_what_a_page_shows(tmp_path: Path) -> None:
    async with linked(tmp_path) as (gateway, _):
        answer = await post(gateway, "/carriers/acme/capture", pdus="1000 out acme/0 00000010")
        assert (answer.status, answer.body[:4]) == (200, b"\xd4\xc3\xb2\xa1")
        assert 'filename="acme.pcap"' in answer.headers["content-disposition"]
        assert (await post(gateway, "/carriers/acme/capture", pdus=EVIL)).status == 400


async def test_nothing_that_a_carrier_says_becomes_markup(tmp_path: Path) -> None:
    """Its name, its ids, its receipts, the senders and texts of what it hands over: on every page that shows them."""
    async with linked(tmp_path) as (gateway, peer):
        peer.name = "<u>smsc</u>'\""
        peer.cut()
        await peer.until(lambda: len(peer.binds) == 2)
        await until(gateway, "bound")
        peer.answer = lambda submit: submit.response(message_id="<u>1</u>'\"")
        sent = (await gateway.send("out")).json["id"]
        await peer.until(lambda: bool(peer.submits))
        report = receipt(peer.submits[0], "<u>1</u>'\"")
        report.short_message = report.short_message.replace(b"err:000", b"err:<u>") + EVIL.encode()
        await peer.deliver(report)
        inbound = pdu.DeliverSm(
            source_addr_ton=5, source_addr="<u>x</u>", dest_addr_ton=1, destination_addr="12345678901",
            short_message=EVIL.encode(),
        )  # fmt: skip
        await peer.deliver(inbound)
        while len(items := (await get(gateway, "/messages.json")).json["items"]) < 2:
            pass
        for path in (
            "/carriers",
            "/carriers/acme",
            "/messages",
            *(f"/messages/{item['id']}" for item in items),
        ):
            assert (await page(gateway, path)).xpath("//u | //main//script | //main//img") == []
        shown = (await page(gateway, f"/messages/{sent}")).text_content()
        assert "<u>1</u>" in shown
        assert "<u>smsc</u>" in (await page(gateway, "/carriers/acme")).text_content()

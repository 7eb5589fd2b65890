"""Carriers as a person watches and steers them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Dialog, Page, expect

from support.gateway import Gateway, running

pytestmark = pytest.mark.anyio


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway whose carrier `simulator` is an SMPP link."""
    async with running(tmp_path, {"simulator.over_smpp": "true"}) as gateway:
        yield gateway


async def test_a_link_is_unbound_and_reconnected(linked: Gateway, page: Page) -> None:
    """A question is asked where traffic stops; the state moves by itself."""
    questions: list[str] = []

    async def agree(dialog: Dialog) -> None:
        questions.append(dialog.message)
        await dialog.accept()

    page.on("dialog", agree)
    await page.goto(f"{linked.url}/carriers")
    await page.get_by_role("link", name="simulator", exact=True).click()
    bind = page.locator("[id='bind-simulator/0']")
    await expect(bind.get_by_text("bound", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Unbind all").click()
    await expect(bind.get_by_text("unbound", exact=True)).to_be_visible()
    assert len(questions) == 1
    await bind.get_by_role("button", name="Reconnect").click()
    await expect(bind.get_by_text("bound", exact=True)).to_be_visible()
    await page.get_by_role("button", name="Pause", exact=True).first.click()
    await expect(page.get_by_text("wait in their lanes until it is resumed")).to_be_visible()
    assert len(questions) == 2
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_role("heading", level=1).get_by_text("up", exact=True)).to_be_visible()


async def test_pdus_are_seen_as_they_pass(linked: Gateway, page: Page) -> None:
    """Texts only when asked for; then the octets too, as a capture file."""
    await page.goto(f"{linked.url}/carriers/simulator")
    trace = page.locator("#trace")
    await trace.get_by_role("button", name="Watch").click()
    await expect(trace.get_by_text("nothing has passed yet")).to_be_visible()
    await linked.send("a secret")
    row = trace.locator("li").filter(has_text="submit_sm").last
    await row.locator("summary").click()
    await expect(row.get_by_text("8 octets")).to_be_visible()
    await expect(trace.get_by_role("button", name="pcap")).to_be_disabled()
    await trace.get_by_role("button", name="Pause").click()
    await trace.get_by_role("button", name="Clear").click()
    await trace.get_by_label("Show texts and octets").check()
    await trace.get_by_role("button", name="Watch").click()
    await expect(trace.get_by_text("nothing has passed yet")).to_be_visible()
    await linked.send("<b>another</b>")
    row = trace.locator("li").filter(has_text="submit_sm").last
    await row.locator("summary").click()
    await expect(row.get_by_text("<b>another</b>")).to_be_visible()
    async with page.expect_download() as download:
        await trace.get_by_role("button", name="pcap").click()
    assert (await download.value).suggested_filename == "simulator.pcap"


async def test_a_number_is_tried_without_leaving_the_page(linked: Gateway, page: Page) -> None:
    await page.goto(f"{linked.url}/carriers/simulator")
    await page.get_by_label("Number, short code or name").fill("+12025550123")
    await page.get_by_role("button", name="Try", exact=True).click()
    await expect(page.locator("#address").get_by_text("12025550123", exact=True)).to_be_visible()

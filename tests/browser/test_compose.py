"""Compose, as a person who writes a message sees it."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from support.gateway import HANDSET, NUMBER, Gateway
from support.pictures import encoded, photo

pytestmark = pytest.mark.anyio


async def test_a_message_is_counted_while_it_is_typed_and_sent(gateway: Gateway, page: Page) -> None:
    """From the first letter to its page; the tab of the program text stays."""
    await page.goto(f"{gateway.url}/compose")
    await page.get_by_label(re.compile("^To")).fill(HANDSET)
    text = page.get_by_label("Text", exact=True)
    await text.fill("x" * 161)
    await expect(page.locator("[data-cost]")).to_have_text("2")
    await page.get_by_role("radio", name="Python").check()
    await text.fill("“quoted”")
    await expect(page.locator("#look")).to_contain_text("left double quotation mark")
    await expect(page.get_by_role("radio", name="Python")).to_be_checked()
    await expect(page.locator("#look pre:visible")).to_contain_text("“quoted”")
    await text.press("Control+Enter")
    await page.wait_for_url(re.compile(r"/messages/\w{29}$"))
    await expect(page.locator("main")).to_contain_text("“quoted”")


async def test_a_picture_is_uploaded_and_sent(gateway: Gateway, page: Page, tmp_path: Path) -> None:
    picture = tmp_path / "cat.png"
    picture.write_bytes(encoded(photo(64, 48), "PNG"))
    await page.goto(f"{gateway.url}/compose?to=%2B{HANDSET[1:]}")
    await page.get_by_label("Upload").set_input_files(picture)
    await expect(page.get_by_label("URLs of files")).to_have_value(
        re.compile(r"/media/console/\w+/cat\.png$")
    )
    await expect(page.locator("#look")).to_contain_text("MMS")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.wait_for_url(re.compile(r"/messages/\w{29}$"))


async def test_another_application_brings_its_number(gateway: Gateway, page: Page) -> None:
    """So that what is sent is allowed to be."""
    created = await gateway.admin("POST", "/applications", {"account_id": "u-demo", "name": "Second"})
    application_id = created.json["id"]
    number = {"number": "+12025550199", "account_id": "u-demo", "application_id": application_id}
    assert (await gateway.admin("POST", "/numbers", number)).status == 201
    await page.goto(f"{gateway.url}/compose?from=%2B{NUMBER[1:]}")
    await page.get_by_label("Application").select_option("Second")
    await expect(page.get_by_role("combobox", name="From")).to_have_value("+12025550199")
    await expect(page.locator("#look")).to_contain_text("Segments")

"""From nothing to a message that is understood, and what people change, in a browser."""

import re
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect

from support.gateway import Gateway, running

pytestmark = pytest.mark.anyio


async def test_a_message_is_composed_read_answered_and_called_back(gateway: Gateway, page: Page) -> None:
    """The catcher is chosen, a text sent, read on the phone, answered there, and both callbacks are seen."""
    await page.goto(f"{gateway.url}/catch/first")
    await page.get_by_role("button", name="Use").click()
    await expect(page.get_by_text("Nothing was caught yet")).to_be_visible()

    await page.goto(f"{gateway.url}/compose")
    await page.get_by_label("To", exact=False).first.fill("+12025550123")
    await page.get_by_label("Text", exact=True).fill("Hello “you”")
    await expect(page.get_by_text("left double quotation mark")).to_be_visible()
    await page.get_by_role("button", name="Send").first.click()
    await page.wait_for_url(re.compile(r"/messages/\d{13}"))
    await expect(page.get_by_text("Delivered after")).to_be_visible()

    await page.goto(f"{gateway.url}/handsets/+12025550123")
    await expect(page.get_by_text("Hello “you”").first).to_be_visible()
    await page.get_by_placeholder("Text message").fill("Hello yourself")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Hello yourself").first).to_be_visible()

    await page.goto(f"{gateway.url}/catch/first")
    received = page.locator("li", has_text="message-received")
    await expect(received).to_contain_text("Hello yourself")
    await expect(page.locator("li", has_text="message-delivered")).to_be_visible()
    await received.locator("summary").click()
    await received.get_by_role("link", name="Open the message").click()
    await expect(page.get_by_text("The callback was taken at the first try.")).to_be_visible()


async def test_every_octet_of_a_message_is_explained(tmp_path: Path, page: Page) -> None:
    """Over SMPP: a PDU is opened, and stays open while the page is brought up to date."""
    async with running(tmp_path, {"simulator.over_smpp": "true"}) as gateway:
        message_id = (await gateway.send("x" * 200 + "#delay:2000")).json["id"]
        await page.goto(f"{gateway.url}/messages/{message_id}")
        step = page.locator("details", has_text="submit_sm to").first
        await step.locator("summary").click()
        await expect(step.get_by_text("part 1 of 2")).to_be_visible()
        await expect(page.get_by_text("Delivered after")).to_be_visible()
        await expect(step.get_by_text("part 1 of 2")).to_be_visible()
        await page.get_by_role("button", name="Copy as…").click()
        await expect(page.get_by_text("curl http://").first).to_be_visible()
        await page.goto("about:blank")


async def test_records_are_changed_by_forms(gateway: Gateway, page: Page) -> None:
    """An application is made; what is wrong is said beside its field; it is removed after a question."""
    await page.goto(f"{gateway.url}/set-up/applications/new")
    await page.get_by_label("Id", exact=False).first.fill("made-here")
    await page.get_by_label("Account").select_option("u-demo")
    await page.get_by_label("Callback URL").fill("ftp://nowhere")
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_text("cannot be called")).to_be_visible()
    await page.get_by_label("Callback URL").fill("https://example.com/callbacks")
    await page.get_by_role("button", name="Create").click()
    row = page.get_by_role("row", name="made-here")
    await expect(row).to_contain_text("https://example.com/callbacks")
    page.on("dialog", lambda dialog: dialog.accept())
    await row.get_by_role("button", name="Remove made-here").click()
    await expect(row).to_have_count(0)
    await page.goto(f"{gateway.url}/set-up/audit")
    await expect(page.get_by_role("row", name="application made-here").first).to_be_visible()


async def test_a_login_leads_to_the_page_that_was_asked_for(tmp_path: Path, page: Page) -> None:
    """And the end of the session back to the login."""
    async with running(tmp_path, {"server.host": "0.0.0.0"}) as gateway:
        password = re.search(r"password (\S+) \(not shown again\)", gateway.output())
        assert password is not None
        await page.goto(f"{gateway.url}/messages?direction=in")
        await page.get_by_label("Name").fill("admin")
        await page.get_by_label("Password").fill(password[1])
        await page.get_by_role("button", name="Log in").click()
        await page.wait_for_url(f"{gateway.url}/messages?direction=in")
        await page.get_by_role("button", name="Log out").click()
        await page.wait_for_url(f"{gateway.url}/login")


async def test_light_and_dark_are_remembered(gateway: Gateway, page: Page, context: BrowserContext) -> None:
    """What was chosen holds for the next page, from its first paint on."""
    await page.goto(gateway.url)
    await page.get_by_role("button", name="Light or dark").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "night")
    answer = await context.request.get(f"{gateway.url}/messages")
    assert 'data-theme="night"' in await answer.text()

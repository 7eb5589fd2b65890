"""A fresh gateway, as a person sees it who has read nothing."""

import pytest
from playwright.async_api import Page, expect

from browser.axe import violations
from support.gateway import Gateway

pytestmark = pytest.mark.anyio


async def test_a_first_message_in_three_clicks(gateway: Gateway, page: Page) -> None:
    """Nothing is typed and no page is left: the message and its answer appear by themselves."""
    await page.goto(gateway.url)
    await page.get_by_text("The same from a program").click()
    await page.get_by_role("tab", name="Python").or_(page.get_by_label("Python", exact=True)).check()
    await page.get_by_role("button", name="Send to a simulated handset").click()
    guide = page.get_by_role("region", name="Your first message, in a minute")
    await expect(guide.get_by_text("delivered")).to_be_visible()
    await expect(guide.get_by_text("Hello from Trebuchet", exact=True)).to_be_visible()
    await guide.get_by_role("button", name="Answer").click()
    await expect(guide.get_by_text("Hello back", exact=True)).to_be_visible()
    await expect(guide.get_by_text("What next?")).to_be_visible()
    # What the reader had opened is still open.
    await expect(guide.get_by_text("import bandwidth")).to_be_visible()
    assert page.url == f"{gateway.url}/"


async def test_it_can_be_put_away(gateway: Gateway, page: Page) -> None:
    await page.goto(gateway.url)
    await page.get_by_role("button", name="Do not show this again").click()
    await expect(page.get_by_role("heading", name="Messages per second")).to_be_visible()
    await expect(page.get_by_text("Your first message")).to_have_count(0)


@pytest.mark.node
async def test_everybody_can_use_it(gateway: Gateway, page: Page) -> None:
    """Before anything was sent, with all that it can open; the pages' own test sees it after that."""
    await page.goto(gateway.url)
    await page.get_by_text("The same from a program").click()
    assert await violations(page) == []

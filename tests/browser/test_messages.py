"""The list of messages, as a person who watches it sees it."""

import re

import pytest
from playwright.async_api import Page, expect

from support.gateway import HANDSET, Gateway

pytestmark = pytest.mark.anyio


async def test_a_message_appears_and_becomes_delivered_by_itself(gateway: Gateway, page: Page) -> None:
    """Nothing is clicked: the row comes, and its state moves."""
    await page.goto(f"{gateway.url}/messages")
    await expect(page.get_by_text("No messages yet")).to_be_visible()
    accepted = await gateway.send("hello", tag="order-7")
    row = page.locator(f"#row-{accepted.json['id']}-0")
    await expect(row).to_contain_text(HANDSET)
    await expect(row).to_contain_text("order-7")
    await expect(row.get_by_text("delivered")).to_be_visible()


async def test_what_somebody_else_wrote_is_text(gateway: Gateway, page: Page) -> None:
    """No script of a tag runs, and no element of it appears."""
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    await gateway.send("hello", tag=evil)
    await page.goto(f"{gateway.url}/messages")
    await expect(page.get_by_text(evil)).to_be_visible()
    assert await page.locator("main img").count() == 0


async def test_keys_move_and_open(gateway: Gateway, page: Page) -> None:
    """`j` and `k` go down and up, Enter opens, `?` shows all keys, `/` searches, `g m` goes to the messages."""
    ids = [(await gateway.send(f"text {n}")).json["id"] for n in range(3)]
    await page.goto(f"{gateway.url}/messages")
    rows = page.locator("[data-row]")
    await expect(rows).to_have_count(3)
    current = page.locator('[data-row][aria-current="true"]')
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(current).to_have_attribute("data-href", f"/messages/{ids[1]}")
    await page.keyboard.press("k")
    await expect(current).to_have_attribute("data-href", f"/messages/{ids[2]}")
    await page.keyboard.press("?")
    await expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await expect(page.get_by_label("Number, id or tag")).to_be_focused()
    await page.keyboard.press("Escape")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(f"/messages/{ids[2]}"))
    await page.keyboard.press("g")
    await page.keyboard.press("m")
    await page.wait_for_url(f"{gateway.url}/messages")


async def test_the_selected_row_survives_an_update(gateway: Gateway, page: Page) -> None:
    """What the reader is at stays, while rows come in above it."""
    first = (await gateway.send("first")).json["id"]
    await page.goto(f"{gateway.url}/messages")
    await page.keyboard.press("j")
    current = page.locator('[data-row][aria-current="true"]')
    await expect(current).to_have_attribute("data-href", f"/messages/{first}")
    second = (await gateway.send("second")).json["id"]
    await expect(page.locator(f"#row-{second}-0").get_by_text("delivered")).to_be_visible()
    await expect(current).to_have_attribute("data-href", f"/messages/{first}")


async def test_filters(gateway: Gateway, page: Page) -> None:
    """A filter that is chosen takes effect, is in the address, and can be cleared."""
    await gateway.send("fine")
    failed = (await gateway.send("#expired", to="+12025550101")).json["id"]
    await page.goto(f"{gateway.url}/messages")
    await expect(page.locator(f"#row-{failed}-0")).to_be_visible()
    await page.get_by_label("Number, id or tag").fill("+12025550101")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile(r"number=%2B12025550101$"))
    await expect(page.locator("[data-row]")).to_have_count(1)
    await page.get_by_role("link", name="Clear").click()
    await expect(page.locator("[data-row]")).to_have_count(2)
    await page.get_by_label("Direction").select_option("in")
    await expect(page.get_by_text("No message is like this")).to_be_visible()

"""Phones, as a person who sits in front of them sees and uses them."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from support.gateway import HANDSET, NUMBER, Gateway
from support.pictures import encoded, photo

pytestmark = pytest.mark.anyio

OTHER = "+12025550124"


def phone(page: Page, number: str = HANDSET) -> Locator:
    return page.locator(f'[data-phone="{number}"]')


async def test_a_phone_appears_with_its_first_message(gateway: Gateway, page: Page) -> None:
    """Nothing is clicked: the phone comes, and the tick of its message moves."""
    await page.goto(f"{gateway.url}/handsets")
    await expect(page.get_by_text("No phone is here yet")).to_be_visible()
    await gateway.send("hello you")
    bubble = phone(page).locator("[data-bubble]")
    await expect(bubble).to_contain_text("hello you")
    await expect(bubble.locator('[data-tick="done"]')).to_be_visible()
    await expect(page.get_by_text("No phone is here yet")).to_have_count(0)


async def test_the_first_message_is_typed_on_a_new_phone(gateway: Gateway, page: Page) -> None:
    """One click adds it, Enter sends; what was typed stays in the conversation, and the field is free again."""
    await page.goto(f"{gateway.url}/handsets")
    await page.get_by_role("button", name="Add phone").click()
    await expect(phone(page)).to_be_visible()
    await phone(page).get_by_label("To").select_option(NUMBER)
    field = phone(page).get_by_label(f"Text from {HANDSET}")
    await field.fill("is anybody there?")
    await field.press("Enter")
    await expect(phone(page).locator('[data-bubble="typed"]')).to_contain_text("is anybody there?")
    await expect(field).to_have_value("")
    await gateway.send("yes")
    await expect(phone(page).locator('[data-bubble="came"]')).to_contain_text("yes")
    # The form has followed: no number is to be chosen any more.
    await expect(phone(page).get_by_label("To", exact=True)).to_have_count(0)
    await field.fill("good")
    await phone(page).get_by_role("button", name=f"Send from {HANDSET}").click()
    await expect(phone(page).locator('[data-bubble="typed"]')).to_have_count(2)


async def test_what_is_being_typed_survives_what_comes(gateway: Gateway, page: Page) -> None:
    await gateway.send("first")
    await page.goto(f"{gateway.url}/handsets")
    field = phone(page).get_by_label(f"Text from {HANDSET}")
    await field.fill("half a sen")
    await gateway.send("second")
    await expect(phone(page).locator("[data-bubble]")).to_have_count(2)
    await expect(field).to_have_value("half a sen")
    await expect(field).to_be_focused()


async def test_a_picture_is_sent_and_shown(gateway: Gateway, page: Page, tmp_path: Path) -> None:
    """It is named before it is sent, and seen after."""
    picture = tmp_path / "cat.png"
    picture.write_bytes(encoded(photo(64, 48), "PNG"))
    await gateway.send("send me a picture")
    await page.goto(f"{gateway.url}/handsets/{HANDSET}")
    await phone(page).get_by_label("Attach pictures").set_input_files(picture)
    await expect(phone(page).get_by_text("cat.png")).to_be_visible()
    await phone(page).get_by_role("button", name=f"Send from {HANDSET}").click()
    image = phone(page).locator("img[data-picture]")
    await expect(image).to_be_visible()
    await expect(image).to_have_js_property("naturalWidth", 64)


async def test_a_group_is_answered_by_all(gateway: Gateway, page: Page) -> None:
    """Both phones show it; a reply goes to everybody."""
    await gateway.send("dinner?", to=[HANDSET, OTHER])
    await page.goto(f"{gateway.url}/handsets")
    await expect(phone(page, OTHER).get_by_text("Group of 3")).to_be_visible()
    field = phone(page, OTHER).get_by_placeholder("Reply to all")
    await field.fill("yes!")
    await field.press("Enter")
    await expect(phone(page, OTHER).locator('[data-bubble="typed"]')).to_contain_text("yes!")


async def test_a_phone_that_is_off_gets_its_messages_when_it_is_on(gateway: Gateway, page: Page) -> None:
    await gateway.send("first")
    await page.goto(f"{gateway.url}/handsets/{HANDSET}")
    await phone(page).get_by_role("button", name="Switch off").click()
    await expect(phone(page).get_by_text("Switched off")).to_be_visible()
    await gateway.send("while it is off")
    await expect(phone(page).get_by_text("1 message waits in the network")).to_be_visible()
    await phone(page).get_by_role("button", name="Switch on").click()
    last = phone(page).locator("[data-bubble]").last
    await expect(last).to_contain_text("while it is off")
    await expect(last.locator('[data-tick="done"]')).to_be_visible()


async def test_coverage_and_memory(gateway: Gateway, page: Page) -> None:
    """Out of coverage a message waits; with a full memory it fails, and says with which code."""
    await gateway.send("first")
    await page.goto(f"{gateway.url}/handsets/{HANDSET}")
    await phone(page).get_by_role("button", name="Lose coverage").click()
    await expect(phone(page).get_by_text("No coverage")).to_be_visible()
    await gateway.send("waits")
    await expect(phone(page).locator('[data-bubble="missing"]')).to_contain_text("waits in the network")
    await phone(page).get_by_role("button", name="Return to coverage").click()
    await expect(phone(page).locator('[data-bubble="missing"]')).to_have_count(0)
    await phone(page).get_by_role("button", name="Fill the memory").click()
    await expect(phone(page).get_by_text("Memory is full")).to_be_visible()
    await gateway.send("no room")
    await expect(phone(page).locator('[data-bubble="missing"]')).to_contain_text("4702")


async def test_conversations(gateway: Gateway, page: Page) -> None:
    """The open one stays; another that gets something is announced, and reached by a click or from the list."""
    await gateway.send("from the first")
    await page.goto(f"{gateway.url}/handsets")
    await expect(phone(page).locator("[data-bubble]")).to_have_count(1)
    await gateway.send("from the second", **{"from": "+12025550100"})
    await phone(page).get_by_text("New message from +12025550100").click()
    await expect(phone(page).locator("[data-bubble]")).to_contain_text("from the second")
    await phone(page).get_by_label(f"All conversations of {HANDSET}").click()
    await phone(page).get_by_text("from the first").click()
    await expect(phone(page).locator("[data-bubble]")).to_contain_text("from the first")
    await phone(page).get_by_role("button", name="Clear").click()
    await expect(phone(page).get_by_text("Nothing has come yet")).to_be_visible()


async def test_on_a_small_screen_one_phone_is_seen_at_a_time(gateway: Gateway, page: Page) -> None:
    """The switcher brings the others."""
    await page.set_viewport_size({"width": 390, "height": 844})
    await gateway.send("one")
    await gateway.send("two", to=OTHER)
    await page.goto(f"{gateway.url}/handsets")
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    tabs = page.get_by_role("navigation", name="Phones")
    await tabs.get_by_role("link", name=OTHER).click()
    await expect(phone(page, OTHER)).to_be_in_viewport(ratio=0.5)
    await expect(phone(page)).not_to_be_in_viewport(ratio=0.2)
    await tabs.get_by_role("link", name=HANDSET).click()
    await expect(phone(page)).to_be_in_viewport(ratio=0.5)


async def test_what_somebody_else_wrote_is_text(gateway: Gateway, page: Page) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    await gateway.send(evil)
    await page.goto(f"{gateway.url}/handsets")
    await expect(phone(page).locator("[data-bubble]")).to_contain_text(evil)
    assert await page.locator("main img").count() == 0


async def test_the_list_of_numbers_is_searched(gateway: Gateway, page: Page) -> None:
    """And leads to a message to one of them."""
    await page.goto(f"{gateway.url}/handsets")
    await page.get_by_role("button", name="What numbers do").click()
    await page.get_by_placeholder("4720, expired").fill("expired")
    rows = page.locator("#magic-rows tr:visible")
    await expect(rows.first).to_contain_text("5650")
    assert await rows.count() < 6
    await rows.first.get_by_role("link").click()
    await page.wait_for_url(re.compile(r"/compose\?to=%2B1999555"))

"""Every page, light and dark, wide and on a phone: axe-core finds nothing serious, nothing sticks out of the screen."""

import pytest
from playwright.async_api import Browser, expect

from browser.axe import violations
from support.gateway import Gateway

pytestmark = [pytest.mark.anyio, pytest.mark.node]

PAGES = [
    "/",
    "/messages",
    "/messages/{id}",
    "/messages?state=FAILED",
    "/compose",
    "/compose?to=%2B12025550123&text=%E2%80%9Cquoted%E2%80%9D",
    "/handsets",
    "/handsets/+12025550123?with=list",
    "/handsets/+12025550123?with=new",
    "/callbacks",
    "/carriers",
    "/carriers/simulator",
    "/callbacks/93de2206-9669-4e07-948d-329f4b722ee2",
    "/catch/first",
    "/carriers",
    "/carriers/simulator",
    "/set-up/accounts",
    "/set-up/accounts/edit?key=u-demo",
    "/set-up/carriers/new?kind=smpp",
    "/set-up/routes?try=%2B12025550123",
    "/set-up/users",
    "/set-up/audit",
    "/set-up/settings",
]
SCREENS = {
    "wide light": (1400, 900, "light"),
    "wide dark": (1400, 900, "dark"),
    "phone light": (390, 844, "light"),
    "phone dark": (390, 844, "dark"),
}


@pytest.mark.parametrize("screen", SCREENS)
async def test_pages_on_a_screen(gateway: Gateway, browser: Browser, screen: str) -> None:
    """All pages, with what is on them after a few messages."""
    ids = [(await gateway.send(text)).json["id"] for text in ("hello", "“quoted” 😀", "x" * 400, "#expired")]
    width, height, scheme = SCREENS[screen]
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = await context.new_page()
    wrong = {}
    for path in PAGES:
        await page.goto(gateway.url + path.format(id=ids[1]))
        await expect(page.locator("main h1")).to_be_visible()
        if found := await violations(page):
            wrong[path] = found
        overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if overflow > 0:
            wrong.setdefault(path, []).append(f"{overflow} pixels wider than the screen")
    await context.close()
    assert wrong == {}

"""A real browser on a real gateway: `page` fails its test if the browser found anything to complain of."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from support.gateway import Gateway, running

CHROMIUM = "/usr/bin/chromium"
# It asks nobody but the gateway, and runs as root in CI.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
expect.set_options(timeout=15_000)  # a busy machine must not fail a test


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    """`trebuchet serve --demo`, on an empty data folder."""
    async with running(tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A fresh profile: wide, light."""
    context = await browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme="light")
    yield context
    await context.close()


@pytest.fixture
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A tab. Errors of scripts, refusals of the content security policy and files that are not there fail the test."""
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        # A form that was refused is answered 400 with the form: what a test about it looks at. As a session ends, a
        # page that is about to be left may still ask for its parts.
        refused = "responded with a status of 40" in message.text and "404" not in message.text
        if message.type in ("error", "warning") and not refused:
            complaints.append(f"{message.type}: {message.text}")

    page = await context.new_page()
    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    yield page
    await page.close()
    assert complaints == []

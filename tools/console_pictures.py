"""Takes the pictures of the console that the documentation shows: `make console-pictures`. Needs Debian's Chromium.

    python -m tools.console_pictures [FOLDER]

A demo gateway with its carrier behind SMPP gets a few messages; each page is photographed as it is then.
"""

import asyncio
import json
import sys
import tempfile
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

FOLDER = Path(__file__).parent.parent / "docs/images/console"
CHROMIUM = "/usr/bin/chromium"
APPLICATION = "93de2206-9669-4e07-948d-329f4b722ee2"
# Name → path, and whether it is taken in the dark.
PAGES = {
    "overview": ("/", False),
    "handsets": ("/handsets", False),
    "messages": ("/messages", True),
    "message": ("/messages/{id}", False),
    "compose": ("/compose?to=%2B12025550123&text=Your+table+%E2%80%9Cby+the+window%E2%80%9D+is+ready", True),
    "callbacks": ("/callbacks", False),
    "catcher": ("/catch/first", False),
    "carrier": ("/carriers/simulator", True),
    "set-up": ("/set-up/applications", False),
}
TEXTS = (
    ("+12025550123", "Your code is 482913, it is good for ten minutes."),
    ("+12025550124", "Your table is ready. Reply YES to keep it for another quarter of an hour."),
    ("+12025550125", "Gate B12 has changed to “B27”. Boarding begins at 18:40, please go there now ✈"),
    ("+12025550126", "#expired Your parcel waits at the counter."),
)


def ask(url: str, method: str, path: str, body: Any) -> Any:
    credentials = b64encode(b"t-demo:s-demo").decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    if path.startswith("/admin"):
        headers["Authorization"] = "Bearer admin-demo"
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


def tell_a_story(url: str) -> str:
    """Send messages and answer one. Returns the id of the one to look at."""
    ask(url, "PATCH", f"/admin/v1/applications/{APPLICATION}", {"callback_url": f"{url}/catch/first"})
    found = ""
    for to, text in TEXTS:
        body = {"from": "+12345678901", "to": to, "text": text, "applicationId": APPLICATION, "tag": "demo"}
        sent = ask(url, "POST", "/v2/users/u-demo/messages", body)
        found = sent["id"] if "✈" in text else found
    ask(url, "POST", "/sim/v1/handsets/+12025550124/messages", {"to": "+12345678901", "text": "YES"})
    return found


async def photograph(page: Page, url: str, message_id: str, folder: Path) -> None:
    for name, (path, dark) in PAGES.items():
        await page.emulate_media(color_scheme="dark" if dark else "light")
        await page.goto(url + path.format(id=message_id))
        await page.wait_for_timeout(1500)  # for phones to appear and charts to be drawn
        if name == "message":
            await page.locator("details", has_text="submit_sm to").first.locator("summary").click()
        await page.screenshot(path=folder / f"{name}.png")
        print(folder / f"{name}.png")


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  # nothing else runs yet
    with tempfile.TemporaryDirectory() as data:
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trebuchet", "serve", "--demo", "--simulate-over-smpp", "--data", data,
            "--port", "0", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        started = Path(data) / "gateway.json"
        while not started.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        url = json.loads(started.read_text())["url"]
        message_id = await asyncio.to_thread(tell_a_story, url)
        async with async_playwright() as playwright:
            flags = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
            page = await browser.new_page(viewport={"width": 1280, "height": 800})
            await photograph(page, url, message_id, folder)
            await browser.close()
        gateway.terminate()
        await gateway.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))

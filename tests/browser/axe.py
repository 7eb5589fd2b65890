"""What axe-core finds wrong with a page, for people who do not see it, or see it badly."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

_SCRIPT = Path(__file__).parent.parent / "interop/node/node_modules/axe-core/axe.min.js"
_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")


@cache
def _script() -> str:
    return _SCRIPT.read_text("utf-8")


async def violations(page: Page) -> list[str]:
    """Each a line: how bad, which rule, where."""
    await page.evaluate(_script())
    found: dict[str, Any] = await page.evaluate(
        "rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", list(_RULES)
    )
    return [
        f"{each['impact']} {each['id']}: {node['target']} {node['html'][:200]}"
        for each in found["violations"]
        for node in each["nodes"]
        if each["impact"] in ("serious", "critical")
    ]

"""Nodes: who shares the database, and whose each lane is."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import BaseRoute

from trebuchet.admin.nodes import shown
from trebuchet.console.context import ConsoleContext
from trebuchet.console.render import Page, Pages


def routes(context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]:
    async def nodes(_: Request) -> Page:
        return Page("nodes", shown(context.admin.nodes()), "Nodes")

    return pages.routes("/nodes", GET=nodes)

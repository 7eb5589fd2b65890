"""The pages, a module each: `routes(context, pages)` gives its routes."""

from collections.abc import Sequence
from typing import Protocol

from starlette.routing import BaseRoute

from trebuchet.console.context import ConsoleContext
from trebuchet.console.pages import (
    callbacks,
    carriers,
    compose,
    handsets,
    login,
    message,
    messages,
    nodes,
    overview,
    setup,
    welcome,
)
from trebuchet.console.render import Pages


class PageModule(Protocol):
    def routes(self, context: ConsoleContext, pages: Pages) -> Sequence[BaseRoute]: ...


PAGES: tuple[PageModule, ...] = (
    login,
    overview,
    handsets,
    messages,
    message,
    compose,
    callbacks,
    carriers,
    nodes,
    setup,
    welcome,
)

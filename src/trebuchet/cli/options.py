"""What the commands that talk to a running gateway share: their options, and what these stand for."""

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from trebuchet.cli.client import Client
from trebuchet.cli.connection import ADMIN_TOKEN, admin_client, simulator_client
from trebuchet.cli.output import Printer
from trebuchet.clock import SystemClock


class Session:
    """One command's gateway, its printer, and the time."""

    def __init__(self, url: str, admin_token: str | None, data: Path | None, printer: Printer) -> None:
        self.url = url
        self.data = data
        self.printer = printer
        self.now_ms: Callable[[], int] = SystemClock().now_ms
        self.pause: Callable[[float], None] = time.sleep
        self._admin_token = admin_token

    @functools.cached_property
    def admin(self) -> Client:
        """The admin API. Raises CommandError if there is no token for it."""
        return admin_client(self.url, self._admin_token, self.data)

    @functools.cached_property
    def simulator(self) -> Client:
        """The API of the simulated handsets. With the admin token if there is one: on loopback none is asked for."""
        return simulator_client(self.url, self._admin_token, self.data)


def _shared(
    *,
    url: Annotated[
        str, typer.Option(envvar="TREBUCHET_URL", help="Where the gateway is.", metavar="URL")
    ] = "http://127.0.0.1:8080",
    admin_token: Annotated[
        str | None,
        typer.Option(
            envvar=ADMIN_TOKEN, help="Its admin token; else the one in its folder.", metavar="TOKEN"
        ),
    ] = None,
    data: Annotated[
        Path | None,
        # The variable of the setting itself, so that `serve` and the other commands find the same folder.
        typer.Option(
            envvar="TREBUCHET_SERVER_DATA_DIR", help="Its data folder, for credentials.", metavar="DIR"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object, or one a line.")] = False,
) -> Session:
    return Session(url, admin_token, data, Printer(as_json=as_json))


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer from a function whose first parameter is a Session: the shared options are added."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = inspect.signature(_shared, eval_str=True).parameters

    def run(**values: Any) -> None:
        session = _shared(**{name: values.pop(name) for name in shared})
        command(session, **values)

    return described(run, command.__name__, command.__doc__, [*own, *shared.values()])


def described(
    function: Callable[..., None], name: str, doc: str | None, parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """Give a function the name, docstring and parameters by which typer and `connected` know it."""
    keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    function.__name__ = name
    function.__doc__ = doc
    function.__annotations__ = {p.name: p.annotation for p in keyword_only}
    function.__dict__["__signature__"] = inspect.Signature(keyword_only)
    return function


def pages(
    client: Client, path: str, query: dict[str, object], *, limit: int, next_as: str = "after"
) -> Iterator[Any]:
    """Answers of a list, page by page, until `limit` items came or there are no more.

    `next_as` is the name of the parameter that asks for the next page.
    """
    page_max = 1000
    while limit > 0:
        answer = client.call("GET", path, query={**query, "limit": min(limit, page_max)}).content
        yield answer
        limit -= len(answer["items"])
        if not answer.get("next"):
            return
        query = {**query, next_as: answer["next"]}

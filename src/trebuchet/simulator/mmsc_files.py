"""The pictures that handsets of the MMSC show: kept in memory, the newest ones, and read over HTTP."""

import hashlib
from collections import OrderedDict
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trebuchet.simulator.base import File

_PATH: Final = "/sim/v1/files"
# What a handset shows is somebody else's: no browser may take it for a page of this origin.
_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}


class Files:
    """At most `octets_max` octets; the oldest files go first. The same octets are kept once."""

    def __init__(self, octets_max: int) -> None:
        self.base_url = ""  # where `routes` can be reached, without a slash at its end
        self._octets_max = octets_max
        self._kept: OrderedDict[str, File] = OrderedDict()
        self._octets = 0

    def keep(self, file: File) -> str:
        """Its URL."""
        key = hashlib.sha256(file.octets).hexdigest()[:32]
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = file
            self._octets += len(file.octets)
        while self._octets > self._octets_max:
            _, oldest = self._kept.popitem(last=False)
            self._octets -= len(oldest.octets)
        return f"{self.base_url}{_PATH}/{key}/{quote(file.name or 'file', safe='')}"

    def find(self, url: str) -> File | None:
        """What `keep` gave this URL for, unless it is forgotten."""
        _, found, rest = url.partition(f"{_PATH}/")
        return self._kept.get(rest.partition("/")[0]) if found else None

    def routes(self) -> list[Route]:
        """For the application that serves the handsets."""
        return [Route(f"{_PATH}/{{key}}/{{name}}", self._get, methods=["GET"])]

    async def _get(self, request: Request) -> Response:
        file = self._kept.get(request.path_params["key"])
        if file is None:
            return Response(status_code=404)
        return Response(file.octets, media_type=file.content_type, headers=_HEADERS)

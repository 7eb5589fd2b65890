"""The console's static files, under names that change with their content, so that browsers may keep them forever."""

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent / "static"


@cache
def url(name: str) -> str:
    """The path of a static file. Raises KeyError."""
    return f"/assets/{hashlib.sha256(_contents()[name]).hexdigest()[:12]}/{name}"


@cache
def _contents() -> dict[str, bytes]:
    """All static files by name: nothing of a request reaches the file system, nor stays in a cache."""
    return {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.is_file()}


async def serve(request: Request) -> Response:
    """A static file. An old digest gets the new content: the page that asks for it is about to be reloaded."""
    name = request.path_params["name"]
    content = _contents().get(name)
    if content is None:
        raise HTTPException(404)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    fresh = url(name) == request.url.path
    keep = "public, max-age=31536000, immutable" if fresh else "no-store"
    return Response(content, media_type=kind, headers={"Cache-Control": keep})

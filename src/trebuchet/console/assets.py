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
    """The path of a static file. Raises FileNotFoundError."""
    return f"/assets/{hashlib.sha256((_FOLDER / name).read_bytes()).hexdigest()[:12]}/{name}"


@cache
def _content(name: str) -> bytes | None:
    # Only names that lie in the folder: nothing of a request reaches the file system.
    known = {path.name: path for path in _FOLDER.iterdir() if path.is_file()}
    return known[name].read_bytes() if name in known else None


async def serve(request: Request) -> Response:
    """A static file. An old digest gets the new content: the page that asks for it is about to be reloaded."""
    name = request.path_params["name"]
    content = _content(name)
    if content is None:
        raise HTTPException(404)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    fresh = url(name) == request.url.path
    keep = "public, max-age=31536000, immutable" if fresh else "no-store"
    return Response(content, media_type=kind, headers={"Cache-Control": keep})

"""Reading a request body within its bounds: of octets, and of the time that nothing comes."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from trebuchet.api.problems import too_large, too_slow

_CHUNK_TIMEOUT_S = 30.0  # from one chunk of an upload to the next


async def read_body(request: Request, body_max: int) -> bytes:
    """The whole body. Raises Problem 413 as soon as it is longer than `body_max`."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > body_max:
        raise too_large(body_max)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > body_max:
            raise too_large(body_max)
    return bytes(body)


async def chunks_of(request: Request, body_max: int) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Problem 413 before the first chunk if the request says that it is longer than
    `body_max`, and 408 if nothing comes for half a minute. What comes is not counted."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > body_max:
        raise too_large(body_max)
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(_CHUNK_TIMEOUT_S):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise too_slow() from None
        if chunk is None:
            return
        if chunk:
            yield chunk

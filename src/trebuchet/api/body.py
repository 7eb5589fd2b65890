"""Reading a request body within its bound."""

from starlette.requests import Request

from trebuchet.api.problems import too_large


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

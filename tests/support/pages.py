"""The console's pages as a browser without scripts sees and posts them."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from lxml import html

from support.gateway import Gateway
from support.http import Answer, request

EVIL = """<script>alert(1)</script><img src=x onerror=alert(2)>"'`{{7*7}}"""


async def look(gateway: Gateway, path: str) -> Any:
    """A page as a tree."""
    answer = await request("GET", gateway.url + path, headers={"Accept": "text/html"})
    assert answer.status == 200
    return html.fromstring(answer.body)


async def twin(gateway: Gateway, path: str) -> Any:
    """The JSON of a page."""
    answer = await request("GET", gateway.url + path)
    assert answer.headers["content-type"] == "application/json"
    return answer.json


async def token(gateway: Gateway, path: str) -> str:
    """That of the forms of a page."""
    found: str = (await look(gateway, path)).xpath("//input[@name='_csrf']/@value")[0]
    return found


async def post(gateway: Gateway, path: str, csrf: str, fields: dict[str, str], **headers: str) -> Answer:
    """As a form of a page does."""
    given = {"Origin": gateway.url, "Content-Type": "application/x-www-form-urlencoded", "X-CSRF-Token": csrf}
    body = urlencode({"_csrf": csrf, **fields}).encode()
    return await request("POST", gateway.url + path, body=body, headers={**given, **headers})


async def upload(
    gateway: Gateway,
    path: str,
    csrf: str,
    fields: dict[str, str],
    files: Sequence[tuple[str, str, bytes]],
    **headers: str,
) -> Answer:
    """As a form with files does: each is its name, its content type and its octets."""
    edge = "edge-of-a-part"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    parts += [
        f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        f"Content-Type: {kind}\r\n\r\n".encode()
        + octets
        + b"\r\n"
        for name, kind, octets in files
    ]
    given = {
        "Origin": gateway.url,
        "Content-Type": f"multipart/form-data; boundary={edge}",
        "X-CSRF-Token": csrf,
    }
    body = b"".join(parts) + f"--{edge}--\r\n".encode()
    return await request("POST", gateway.url + path, body=body, headers={**given, **headers})


def harmless(tree: Any) -> bool:
    """Nothing that somebody wrote has become an element or a handler."""
    ours = "not(starts-with(@src, '/assets/') or starts-with(@src, '/handsets/pictures/'))"
    return not tree.xpath(
        f"//script[not(@src)] | //script[{ours}] | //img[{ours}] | //@*[starts-with(name(), 'on')]"
    )

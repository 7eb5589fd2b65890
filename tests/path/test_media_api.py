"""The media API over real sockets: what is uploaded comes back as it was, to its owner and to nobody else."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway import ACCOUNT, SECRET, TOKEN, Gateway, running
from support.http import Answer, basic, raw, request

pytestmark = pytest.mark.anyio

PICTURE = bytes(range(256)) * 40
BASES = {"catapult": "/v2", "current": "/api/v2", "first": "/v1"}
OURS = basic(TOKEN, SECRET)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with running(tmp_path, {"media.max_bytes": 65_536}) as running_one:
        yield running_one


async def call(
    gateway: Gateway, method: str, name: str, base: str = "/v2", body: bytes | None = None, **headers: str
) -> Answer:
    given = {**OURS, **{key.replace("_", "-"): value for key, value in headers.items()}}
    return await request(method, f"{gateway.url}{base}/users/{ACCOUNT}/media{name}", body=body, headers=given)


@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
async def test_what_is_uploaded_comes_back(gateway: Gateway, base: str) -> None:
    """With its type and Cache-Control, under every path; the first version's path answers 200 where others say 204."""
    done = 200 if base == "/v1" else 204
    put = await call(
        gateway, "PUT", "/cat.png", base, PICTURE, Content_Type="image/png", Cache_Control="no-store"
    )
    assert (put.status, put.body) == (done, b"")
    for other in BASES.values():
        got = await call(gateway, "GET", "/cat.png", other, Accept="application/json")
        assert (got.status, got.body) == (200, PICTURE)
        assert got.headers["content-type"] == "image/png"
        assert got.headers["cache-control"] == "no-store"
        assert got.headers["content-length"] == str(len(PICTURE))
        assert got.headers["x-content-type-options"] == "nosniff"
    assert (await call(gateway, "DELETE", "/cat.png", base)).status == done
    assert (await call(gateway, "GET", "/cat.png", base)).status == 404
    assert (await call(gateway, "DELETE", "/cat.png", base)).status == done, "deleting nothing is no error"


async def test_a_name_is_one_whichever_way_it_is_written(gateway: Gateway) -> None:
    """Slashes encoded or not, and blanks, and other alphabets."""
    await call(gateway, "PUT", "/id%2F0%2Fa%20b%C3%A4.txt", body=b"one", Content_Type="text/plain")
    for spelling in ("/id/0/a%20b%C3%A4.txt", "/id%2F0/a%20b%C3%A4.txt"):
        assert (await call(gateway, "GET", spelling)).body == b"one"
    (listed,) = (await call(gateway, "GET", "")).json
    assert listed == {
        "contentLength": 3,
        "mediaName": "id/0/a bä.txt",
        "content": f"{gateway.url}/v2/users/{ACCOUNT}/media/id/0/a%20b%C3%A4.txt",
    }


async def test_names_never_reach_the_file_system(gateway: Gateway, tmp_path: Path) -> None:
    """Whatever they look like: the store's files are named by digests."""
    await call(gateway, "PUT", "/..%2F..%2Fetc%2Fpasswd", body=b"x")
    await call(gateway, "PUT", "/%2Fetc%2Fpasswd", body=b"x")
    files = [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
    digest = hashlib.sha256(b"x").hexdigest()
    assert [path.name.partition("-")[0] for path in files] == [digest], "the same octets are kept once"
    assert {each["mediaName"] for each in (await call(gateway, "GET", "")).json} == {
        "../../etc/passwd",
        "/etc/passwd",
    }


async def test_an_upload_replaces_the_one_before(gateway: Gateway) -> None:
    """One name is one object, with the newest content and type."""
    await call(gateway, "PUT", "/a", body=b"old", Content_Type="text/plain")
    await call(gateway, "PUT", "/a", body=b"newer", Content_Type="text/csv")
    got = await call(gateway, "GET", "/a")
    assert (got.body, got.headers["content-type"]) == (b"newer", "text/csv")
    assert len((await call(gateway, "GET", "")).json) == 1


async def test_an_upload_without_length_is_taken_chunk_by_chunk(gateway: Gateway) -> None:
    """One official client sends no Content-Length."""
    host, port = gateway.url.removeprefix("http://").split(":")
    head = f"PUT /v2/users/{ACCOUNT}/media/c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += f"Authorization: {OURS['Authorization']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await raw(host, int(port), head.encode() + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert answer.status == 204
    got = await call(gateway, "GET", "/c")
    assert (got.body, got.headers["content-type"]) == (b"abcde", "application/octet-stream")


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
async def test_an_upload_is_bounded(gateway: Gateway, tmp_path: Path, chunked: bool) -> None:
    """413 in the API's own shape, and nothing is left behind."""
    body = bytes(65_537)
    if chunked:
        host, port = gateway.url.removeprefix("http://").split(":")
        head = f"PUT /v2/users/{ACCOUNT}/media/c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += f"Authorization: {OURS['Authorization']}\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await raw(host, int(port), head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    else:
        answer = await call(gateway, "PUT", "/c", body=body)
    assert (answer.status, answer.json["type"]) == (413, "request-too-large")
    assert (await call(gateway, "GET", "")).json == []
    assert [path for path in (tmp_path / "media").rglob("*") if path.is_file()] == []


RANGES: dict[str, tuple[str, int, str | None]] = {
    "first": ("bytes=0-9", 206, "bytes 0-9/10240"),
    "from": ("bytes=10230-", 206, "bytes 10230-10239/10240"),
    "last": ("bytes=-5", 206, "bytes 10235-10239/10240"),
    "beyond": ("bytes=10000-99999", 206, "bytes 10000-10239/10240"),
    "whole": ("bytes=0-", 206, "bytes 0-10239/10240"),
    "nothing there": ("bytes=10240-", 416, "bytes */10240"),
    "no unit of ours": ("lines=1-2", 200, None),
    "several": ("bytes=0-1,5-6", 200, None),
    "backwards": ("bytes=9-1", 200, None),
    "nonsense": ("bytes=-", 200, None),
}


@pytest.mark.parametrize(("asked", "status", "said"), RANGES.values(), ids=RANGES)
async def test_part_of_an_object_can_be_had(
    gateway: Gateway, asked: str, status: int, said: str | None
) -> None:
    """RFC 9110 section 14: one range of octets; what is not understood is answered with the whole."""
    await call(gateway, "PUT", "/p", body=PICTURE)
    got = await call(gateway, "GET", "/p", Range=asked)
    assert (got.status, got.headers.get("content-range")) == (status, said)
    if status == 206:
        assert said is not None
        first, last = said.removeprefix("bytes ").partition("/")[0].split("-")
        assert got.body == PICTURE[int(first) : int(last) + 1]
    elif status == 200:
        assert got.body == PICTURE


async def test_what_a_client_has_is_not_sent_again(gateway: Gateway) -> None:
    """ETag and If-None-Match; a range only of the version that the client has."""
    await call(gateway, "PUT", "/p", body=PICTURE)
    etag = (await call(gateway, "GET", "/p")).headers["etag"]
    unchanged = await call(gateway, "GET", "/p", If_None_Match=etag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert (await call(gateway, "GET", "/p", If_Range=etag, Range="bytes=0-0")).status == 206
    assert (await call(gateway, "GET", "/p", If_Range='"other"', Range="bytes=0-0")).status == 200


async def test_a_long_list_comes_in_pages(gateway: Gateway) -> None:
    """The token is there while more pages are; what is no token of ours is refused."""
    for number in range(3):
        await call(gateway, "PUT", f"/{number}", body=b"x")
    answer = await call(gateway, "GET", "")
    assert [each["mediaName"] for each in answer.json] == ["0", "1", "2"]
    assert "continuation-token" not in answer.headers
    rest = await call(gateway, "GET", "", Continuation_Token="MA==")
    assert [each["mediaName"] for each in rest.json] == ["1", "2"]
    wrong = await call(gateway, "GET", "", Continuation_Token="not base64!")
    assert (wrong.status, wrong.json["type"]) == (400, "request-validation")


DENIED: dict[str, tuple[str, dict[str, str], int]] = {
    "nobody": (ACCOUNT, {}, 401),
    "wrong secret": (ACCOUNT, basic(TOKEN, "wrong"), 401),
    "another account": ("u-other", OURS, 403),
}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(("account", "headers", "status"), DENIED.values(), ids=DENIED)
async def test_media_are_their_owners(
    gateway: Gateway, method: str, account: str, headers: dict[str, str], status: int
) -> None:
    """Every call needs the account's credentials."""
    url = f"{gateway.url}/v2/users/{account}/media/cat.png"
    answer = await request(method, url, body=b"x" if method == "PUT" else None, headers=headers)
    assert answer.status == status


BAD: dict[str, tuple[str, str, int]] = {
    "no name": ("PUT", "/", 400),
    "control characters": ("PUT", "/a%0Ab", 400),
    "not UTF-8": ("GET", "/%ff", 400),
    "too long": ("PUT", "/" + "n" * 1025, 400),
    "another method": ("POST", "/a", 405),
}


@pytest.mark.parametrize(("method", "name", "status"), BAD.values(), ids=BAD)
async def test_bad_requests_are_named(gateway: Gateway, method: str, name: str, status: int) -> None:
    """In the API's own error shape."""
    answer = await call(gateway, method, name, body=None if method == "GET" else b"x")
    assert answer.status == status
    assert {"type", "description"} <= answer.json.keys()


async def test_objects_outlive_a_kill_and_expire(gateway: Gateway, tmp_path: Path) -> None:
    """What was answered is there after a SIGKILL; after 48 hours it is gone, and with the next sweeps its octets."""
    await call(gateway, "PUT", "/p", body=PICTURE)
    await gateway.kill()
    await gateway.start()
    assert (await call(gateway, "GET", "/p")).body == PICTURE
    await gateway.sim("POST", "/clock/advance", {"by": "47h"})
    assert (await call(gateway, "GET", "/p")).status == 200
    await gateway.sim("POST", "/clock/advance", {"by": "1h"})
    assert (await call(gateway, "GET", "/p")).status == 404
    assert (await call(gateway, "GET", "")).json == []


async def test_pictures_of_a_message_are_ours_or_fetched(gateway: Gateway) -> None:
    """The simulated carrier shows the URLs, as they were given."""
    url = f"{gateway.url}/v2/users/{ACCOUNT}/media/cat.png"
    sent = await gateway.send("look", media=[url])
    assert sent.status == 202
    answer: Any = await gateway.sim("GET", "/handsets/%2B12025550123/messages?wait=10s")
    assert answer.json[0]["media"] == [url]

"""Connections as clients really use them: kept, cut, slow, half closed; and octets that are no HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from support.gateway import ACCOUNT, APPLICATION, HANDSET, NUMBER, SECRET, TOKEN, Gateway, running
from support.http import Answer, basic, raw, read_answer, request

pytestmark = pytest.mark.anyio

QUICK = {"simulator.delay_min_ms": 5, "simulator.delay_max_ms": 20}
PATH = f"/v2/users/{ACCOUNT}/messages"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
TIMEOUT_S = 20


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One gateway for all: no connection disturbs another."""
    async with running(tmp_path_factory.mktemp("gateway"), QUICK) as gateway:
        yield gateway
        assert "Traceback" not in gateway.output()


@pytest.fixture(scope="module")
async def hasty(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A gateway that waits for octets for half a second only."""
    settings = {**QUICK, "server.head_timeout_s": 0.5}
    async with running(tmp_path_factory.mktemp("hasty"), settings) as gateway:
        yield gateway
        assert "Traceback" not in gateway.output()


@dataclass
class Line:
    """An open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def answer(self) -> Answer:
        async with asyncio.timeout(TIMEOUT_S):
            return await read_answer(self.reader)

    async def end(self) -> bytes:
        """What comes before the gateway closes."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self.reader.read()


@asynccontextmanager
async def connected(gateway: Gateway) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(gateway))
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def port_of(gateway: Gateway) -> int:
    return int(gateway.url.rsplit(":", 1)[1])


def body_of(tag: str = "", **fields: Any) -> bytes:
    good = {"from": NUMBER, "to": HANDSET, "text": "hi", "applicationId": APPLICATION, "tag": tag}
    return json.dumps(good | fields).encode()


def post(tag: str = "", *headers: str, version: str = "1.1", body: bytes | None = None) -> bytes:
    """The octets of a good request, which may have more headers."""
    content = body_of(tag) if body is None else body
    lines = [
        f"POST {PATH} HTTP/{version}",
        "Host: x",
        f"Authorization: {basic(TOKEN, SECRET)['Authorization']}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def found(gateway: Gateway, tag: str) -> list[Any]:
    """The accepted messages that have the tag."""
    listed = (await gateway.admin("GET", "/messages?limit=1000")).json["items"]
    return [one for one in listed if one.get("tag") == tag]


# ---- connections that are kept, and those that are not ----


async def test_a_connection_serves_many_requests(gateway: Gateway) -> None:
    """Two hundred on one, each answered before the next, and none of the answers closes it."""
    async with connected(gateway) as line:
        for number in range(200):
            line.say(post(str(number)))
            answer = await line.answer()
            assert (answer.status, answer.json["tag"]) == (202, str(number))
            assert "connection" not in answer.headers


async def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    """Written at once, good and bad and of both ways of reading mixed, each gets its own answer in its turn."""
    async with connected(gateway) as line:
        octets = b""
        for number in range(20):
            octets += post(str(number)) + post(body=b"{") + LIVEZ
        line.say(octets)
        for number in range(20):
            assert (await line.answer()).json["tag"] == str(number)
            assert (await line.answer()).status == 400
            assert (await line.answer()).body == b"ok\n"


async def test_a_request_may_be_cut_anywhere(gateway: Gateway) -> None:
    """In two reads, whichever octet the second begins with, it is one message with its tag."""
    whole = post("cut")
    async with connected(gateway) as line:
        for place in range(1, len(whole)):
            line.say(whole[:place])
            await asyncio.sleep(0)
            line.say(whole[place:])
            answer = await line.answer()
            assert (answer.status, answer.json["tag"]) == (202, "cut"), place


async def test_a_request_may_come_octet_by_octet(gateway: Gateway) -> None:
    """Three in a row, none of whose octets waits for another."""
    async with connected(gateway) as line:
        for octet in post("drops") * 3:
            line.say(bytes([octet]))
            await line.writer.drain()
            await asyncio.sleep(0)
        for _ in range(3):
            assert (await line.answer()).json["tag"] == "drops"


@pytest.mark.parametrize(
    "octets", [post("last", "Connection: close"), post("last", version="1.0")], ids=["close", "HTTP/1.0"]
)
async def test_a_client_that_wants_no_more_is_let_go(gateway: Gateway, octets: bytes) -> None:
    """After `Connection: close`, and in HTTP/1.0, the answer says close and the connection ends."""
    async with connected(gateway) as line:
        line.say(octets)
        answer = await line.answer()
        assert (answer.status, answer.json["tag"]) == (202, "last")
        assert answer.headers["connection"] == "close"
        assert await line.end() == b""


@pytest.mark.parametrize("split", [False, True], ids=["whole", "in pieces"])
async def test_a_client_that_has_said_all_still_gets_its_answer(gateway: Gateway, split: bool) -> None:
    """One direction shut down, the other is read: as `nc -N` and simple scripts do it."""
    async with connected(gateway) as line:
        octets = post("half closed")
        if split:
            line.say(octets[:100])
            await asyncio.sleep(0)
            octets = octets[100:]
        line.say(octets)
        line.writer.write_eof()
        answer = await line.answer()
        assert (answer.status, answer.json["tag"]) == (202, "half closed")
        assert await line.end() == b""


@pytest.mark.parametrize("split", [False, True], ids=["whole", "in pieces"])
async def test_a_client_that_does_not_wait_has_its_message_accepted(gateway: Gateway, split: bool) -> None:
    """Gone before the answer: the message exists, once, and nobody is disturbed."""
    tag = f"gone, {split}"
    async with connected(gateway) as line:
        octets = post(tag)
        if split:
            line.say(octets[:100])
            await asyncio.sleep(0)
            octets = octets[100:]
        line.say(octets)
    async with asyncio.timeout(TIMEOUT_S):
        while not (messages := await found(gateway, tag)):
            await asyncio.sleep(0.01)
    assert len(messages) == 1


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(gateway: Gateway) -> None:
    """A request without its end is no message, whether its connection ends or is reset."""
    whole = post("left")
    for place in (1, 60, len(whole) - 30, len(whole) - 1):
        for reset in (False, True):
            async with connected(gateway) as line:
                line.say(whole[:place])
                await line.writer.drain()
                if reset:
                    line.writer.transport.abort()
    assert (await gateway.send()).status == 202
    assert await found(gateway, "left") == []


# ---- bodies ----


async def test_a_body_may_come_in_chunks(gateway: Gateway) -> None:
    """Chunked, with or without waiting for 100 Continue, it is the same message."""
    body = body_of("chunks")
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    head = post().split(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n"
    async with connected(gateway) as line:
        line.say(head + b"\r\n" + chunks)
        assert (await line.answer()).json["tag"] == "chunks"
        line.say(head + b"Expect: 100-continue\r\n\r\n")
        async with asyncio.timeout(TIMEOUT_S):
            assert await line.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.say(chunks)
        assert (await line.answer()).json["tag"] == "chunks"


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
async def test_a_body_is_read_as_far_as_its_bound(gateway: Gateway, declared: bool) -> None:
    """413 before the body is there, if its length is told, and else as soon as it is too long."""
    head = post().split(b"Content-Length")[0]
    async with connected(gateway) as line:
        if declared:
            line.say(head + b"Content-Length: 2000000\r\n\r\n")
        else:
            line.say(head + b"Transfer-Encoding: chunked\r\n\r\n124f80\r\n" + b"x" * 1_200_000 + b"\r\n")
        answer = await line.answer()
        assert (answer.status, answer.json["type"]) == (413, "request-too-large")
        assert "1048576" in answer.json["description"]


async def test_of_a_repeated_header_the_first_counts(gateway: Gateway) -> None:
    """However the request is read."""
    wrong = f"Authorization: {basic(TOKEN, 'wrong')['Authorization']}"
    octets = post("twice", wrong)
    async with connected(gateway) as line:
        line.say(octets)
        whole = await line.answer()
        line.say(octets[:100])
        await asyncio.sleep(0)
        line.say(octets[100:])
        pieces = await line.answer()
    assert (whole.status, pieces.status) == (202, 202)


@pytest.mark.parametrize("place", [0, 30, 200, -20], ids=["whole", "path", "head", "body"])
async def test_an_offer_of_another_protocol_is_not_taken(gateway: Gateway, place: int) -> None:
    """Java's client offers HTTP/2 with every request; it is answered in HTTP/1.1, and so is the next."""
    octets = post(
        "upgrade", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"
    )
    async with connected(gateway) as line:
        for _ in range(2):
            line.say(octets[:place])
            await line.writer.drain()
            await asyncio.sleep(0)
            line.say(octets[place:])
            answer = await line.answer()
            assert (answer.status, answer.json["tag"]) == (202, "upgrade")


# ---- what is no request ----


@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        post().replace(b"Content-Length: ", b"Content-Length: x"),
        post("", "Transfer-Encoding: chunked"),
        post("", "Content-Length: 3"),
        post("", "Content-Length : 3"),
    ],
    ids=[
        "TLS",
        "words",
        "CONNECT",
        "HTTP/2",
        "version",
        "path",
        "header",
        "length",
        "both",
        "lengths",
        "blank",
    ],
)
async def test_what_is_no_http_gets_400_and_a_closed_connection(gateway: Gateway, octets: bytes) -> None:
    """In the API's own shape; no guess at what was meant, where requests could be smuggled."""
    async with connected(gateway) as line:
        line.say(octets)
        answer = await line.answer()
        assert (answer.status, answer.json["type"]) == (400, "request-validation")
        assert answer.headers["connection"] == "close"
        assert await line.end() == b""


async def test_what_follows_good_requests_does_not_take_their_answers(gateway: Gateway) -> None:
    """Noise behind a request: that one gets its own answer, whichever way it is read; then the connection ends."""
    for start in (post("before noise"), post("before noise") + LIVEZ, post("before noise", "Expect: x")):
        async with connected(gateway) as line:
            line.say(start + b"\x00noise\r\n\r\n")
            answer = await line.answer()
            assert (answer.status, answer.json["tag"]) == (202, "before noise")
            assert b" 202 " not in await line.end()


@pytest.mark.parametrize("line_octets", [200, 60_000], ids=["many lines", "long lines"])
async def test_a_head_is_read_as_far_as_its_bound(gateway: Gateway, line_octets: int) -> None:
    """431 for a head of more than 64 KiB that does not end."""
    header = b"X-More: " + b"x" * line_octets + b"\r\n"
    async with connected(gateway) as line:
        line.say(b"GET /livez HTTP/1.1\r\n")
        sent = 0
        while sent < 300_000:
            line.say(header)
            sent += len(header)
        answer = await line.answer()
        assert (answer.status, answer.json["type"]) == (431, "request-validation")


async def test_what_could_not_be_read_is_counted(gateway: Gateway) -> None:
    """By its status, beside the answers of the API."""

    async def counted(status: int) -> float:
        name = f'trebuchet_http_requests_total{{status="{status}"}}'
        lines = (await request("GET", f"{gateway.url}/metrics")).body.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)

    head = post().split(b"Content-Length")[0]
    for status, octets in ((400, b"noise\r\n\r\n"), (413, head + b"Content-Length: 2000000\r\n\r\n")):
        before = await counted(status)
        assert (await raw("127.0.0.1", port_of(gateway), octets)).status == status
        assert await counted(status) == before + 1


# ---- clients that are slow ----


async def test_a_head_that_trickles_gets_408(hasty: Gateway) -> None:
    """However regularly its octets come, the whole head has its time and no more."""
    async with connected(hasty) as line:
        answering = asyncio.create_task(line.answer())
        for octet in post():
            if answering.done():
                break
            line.say(bytes([octet]))
            await asyncio.wait([answering], timeout=0.05)
        answer = await answering
        assert (answer.status, answer.json["type"]) == (408, "request-timeout")
        assert answer.headers["connection"] == "close"
        assert await line.end() == b""


@pytest.mark.parametrize("start", [post()[:-1], post("", "Expect: 100-continue").split(b"{")[0]])
async def test_a_body_that_does_not_come_gets_408(hasty: Gateway, start: bytes) -> None:
    """Its head alone is not enough to keep a connection."""
    async with connected(hasty) as line:
        line.say(start)
        assert (await line.answer()).status == 408
        assert await line.end() == b""


async def test_a_long_body_has_more_time(hasty: Gateway) -> None:
    """Each 64 KiB may take as long as a head, so that it is the rate that counts."""
    body = body_of("long", text="x") + b" " * 600_000
    octets = post(body=body)
    async with connected(hasty) as line:
        for place in range(0, len(octets), 100_000):
            line.say(octets[place : place + 100_000])
            await line.writer.drain()
            await asyncio.sleep(0.2)
        assert (await line.answer()).status == 202


async def test_a_connection_without_a_request_is_closed(hasty: Gateway) -> None:
    """Silent from the start, or with blank lines only: without an answer, since there was no question."""
    async with connected(hasty) as line:
        assert await line.end() == b""
    async with connected(hasty) as line:
        line.say(b"\r\n\r\n")
        assert await line.end() == b""


async def test_slow_is_only_who_is_waited_for(hasty: Gateway) -> None:
    """A kept connection may be idle for longer, and an answer may take longer, without a 408."""
    async with connected(hasty) as line:
        line.say(post("first"))
        assert (await line.answer()).status == 202
        line.say(
            b"GET /sim/v1/handsets/%2B19995550100/messages?wait=1s HTTP/1.1\r\nHost: x\r\n\r\n" + post("last")
        )
        assert (await line.answer()).status == 200
        assert (await line.answer()).json["tag"] == "last"
        await asyncio.sleep(0.7)
        line.say(post("after a while"))
        assert (await line.answer()).json["tag"] == "after a while"

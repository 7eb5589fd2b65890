"""Whatever arrives on the HTTP port, the gateway answers or closes, lives on, and takes the next good request."""

import asyncio
import base64
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.gateway import ACCOUNT, SECRET, TOKEN, Gateway, running
from support.http import basic, catching
from trebuchet.api.auth import basic_credentials

ROUNDS = 150
GOOD = (
    f"POST /v2/users/{ACCOUNT}/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    f"Authorization: {basic(TOKEN, SECRET)['Authorization']}\r\nContent-Length: 2\r\n\r\n{{}}"
).encode()


def mutated(chance: random.Random) -> bytes:
    """A good request with some octets changed, cut out, repeated or followed by noise; sometimes noise alone."""
    octets = bytearray(GOOD)
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(octets))
        match chance.randrange(4):
            case 0:
                octets[place] = chance.randrange(256)
            case 1:
                del octets[place : place + chance.randint(1, 20)]
                octets += b"\r"
            case 2:
                octets[place:place] = octets[place : place + chance.randint(1, 40)]
            case _:
                octets += chance.randbytes(chance.randint(1, 200))
    return bytes(octets) if chance.random() < 0.9 else chance.randbytes(chance.randint(1, 500))


async def say(gateway: Gateway, octets: bytes) -> bytes:
    """Write octets, end the sending side, and read all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))
    try:
        writer.write(octets)
        writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.anyio
async def test_nothing_on_the_port_stops_the_gateway(tmp_path: Path) -> None:
    """Mutated requests get an HTTP answer or a closed connection, never a trace; others are served throughout."""
    chance = random.Random(11)
    async with running(tmp_path) as gateway:
        for number in range(ROUNDS):
            answer = await say(gateway, mutated(chance))
            assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
            assert b"Traceback" not in answer
            if number % 25 == 0:
                assert (await gateway.send()).status == 202
        assert (await gateway.send()).status == 202
        assert "Traceback" not in gateway.output()


@pytest.mark.anyio
async def test_no_answer_of_an_endpoint_stops_the_callbacks(tmp_path: Path) -> None:
    """Endpoints that answer noise get their callback again; the gateway goes on."""
    chance = random.Random(12)
    async with catching() as catcher, running(tmp_path, callback_url=catcher.url) as gateway:
        catcher.answer = lambda _: chance.randbytes(chance.randint(1, 300)) + b"\r\n\r\n"
        messages = [(await gateway.send()).json["id"] for _ in range(20)]
        await catcher.wait_for(lambda c: {e["message"]["id"] for e in c.events()} == set(messages))
        catcher.answer = lambda _: 200
        await gateway.sim("POST", "/clock/advance", {"by": "2h"})
        last = (await gateway.send()).json["id"]
        await catcher.wait_for_event(last)
        assert "Traceback" not in gateway.output()


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=100).map(lambda b: b"Basic " + b)))
def test_any_authorization_header_is_read_without_an_error(header: bytes) -> None:
    """Two strings come out, whatever went in."""
    token, secret = basic_credentials(header)
    assert isinstance(token, str)
    assert isinstance(secret, str)


@given(st.text(max_size=50).filter(lambda token: ":" not in token), st.text(max_size=50))
def test_credentials_are_read_as_they_were_written(token: str, secret: str) -> None:
    """Also those with colons in the secret, and of any alphabet."""
    header = b"Basic " + base64.b64encode(f"{token}:{secret}".encode())
    assert basic_credentials(header) == (token, secret)

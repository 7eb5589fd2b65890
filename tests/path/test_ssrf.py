"""No notation of a forbidden address is dialled: not by the first URL, not by a redirect.

The rules themselves are tables in tests/unit/test_webclient_addresses.py. Here the system's own functions say
what a notation means, as they would when it is dialled.
"""

import asyncio
import itertools
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from support.webpeers import Peer, listening
from trebuchet.webclient import AddressRefused, AddressRules, ResolveFailed, UrlRefused, WebClient

pytestmark = pytest.mark.anyio

# One of each kind that is reached from inside and not from outside.
FORBIDDEN_IPV4 = [
    "127.0.0.2",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.1.1",
    "172.16.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
]
FORBIDDEN_IPV6 = [
    "::",
    "::1",
    "64:ff9b:1::a00:1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]


def part_notations(number: int) -> Iterator[str]:
    """One number as inet_aton reads it: decimal, octal and hexadecimal, with zeros before."""
    return iter((str(number), f"0{number:o}", f"000{number:o}", f"0x{number:x}", f"0X00{number:X}"))


def ipv4_notations(address: str) -> Iterator[str]:
    """Every way to write an IPv4 address as the host of a URL."""
    a, b, c, d = IPv4Address(address).packed
    for parts in ([a, b, c, d], [a, b, c << 8 | d], [a, b << 16 | c << 8 | d], [int(IPv4Address(address))]):
        for written in zip(*[part_notations(part) for part in parts], strict=True):
            yield ".".join(written)
    yield f"{a}.0x{b:x}.{c}.0{d:o}"
    yield f"{address}."
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    yield address.translate(wide)
    yield address.translate(str.maketrans("0123456789", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"))
    yield address.translate(str.maketrans("123456789", "①②③④⑤⑥⑦⑧⑨"))
    for dot in "。．｡":
        yield address.replace(".", dot)
        yield address.translate(wide).replace(".", dot)


def ipv6_notations(address: str) -> Iterator[str]:
    """Every way to write an IPv6 address as the host of a URL."""
    ip = IPv6Address(address)
    for text in {address, ip.compressed, ip.exploded, ip.exploded.upper()}:
        yield f"[{text}]"
        for zone in ("%1", "%lo", "%25lo", "%eth0"):
            yield f"[{text}{zone}]"


def clothes(address: str) -> Iterator[str]:
    """The IPv6 addresses that carry an IPv4 address."""
    high, low = divmod(int(IPv4Address(address)), 1 << 16)
    for prefix in ("::ffff:", "::ffff:0:", "::", "64:ff9b::", "64:ff9b:1::"):
        yield f"{prefix}{high:x}:{low:x}"
        yield f"{prefix}{address}"
    yield f"2002:{high:x}:{low:x}::1"
    yield f"2001:0:{high:x}:{low:x}::f7f7:f7f7"  # Teredo: as the server
    yield f"2001:0:808:808::{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}"  # and as the client


HOSTS = [(address, list(ipv4_notations(address))) for address in FORBIDDEN_IPV4]
HOSTS += [
    (f"{address} in IPv6", list(itertools.chain.from_iterable(map(ipv6_notations, clothes(address)))))
    for address in FORBIDDEN_IPV4
]
HOSTS += [(address, list(ipv6_notations(address))) for address in FORBIDDEN_IPV6]

# Loopback is the one network that a test can have a peer in, so of it one address is allowed: the peer's.
RULES = AddressRules(allow_networks=(ip_network("127.0.0.1/32"),))


async def numeric(host: str) -> Sequence[str]:
    """The system's reading of a numeric host; OSError for one that it would look up as a name."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(address[0]) for *_, address in found]


def test_the_notations_are_ones_that_the_system_reads() -> None:
    """Otherwise the tests below would prove nothing: most of each address are understood as that address."""
    for address in FORBIDDEN_IPV4:
        understood = 0
        for host in ipv4_notations(address):
            if host.isascii():
                found = socket.getaddrinfo(host.rstrip("."), None, flags=socket.AI_NUMERICHOST)
                understood += found[0][4][0] == address
        assert understood >= 20


@pytest.mark.parametrize("hosts", [row[1] for row in HOSTS], ids=[row[0] for row in HOSTS])
async def test_no_url_leads_to_a_forbidden_address(hosts: list[str]) -> None:
    """Refused by its text, by its address, or not an address to the system either."""
    made = WebClient(RULES, resolver=numeric)
    for host in hosts:
        url = f"http://{host}:8080/"
        with pytest.raises((AddressRefused, UrlRefused, ResolveFailed)) as fetched:
            await made.get(url, timeout_s=5, answer_max=10, redirects_max=3)
        with pytest.raises(fetched.type):
            await made.post(url, b"", (), timeout_s=5, answer_max=10)
        # Only a name is looked up, and what no look-up was needed for cannot fail by it.
        assert not (host.startswith("[") and fetched.type is ResolveFailed), host
    await made.close()


@pytest.mark.parametrize("hosts", [row[1] for row in HOSTS], ids=[row[0] for row in HOSTS])
async def test_no_redirect_leads_to_a_forbidden_address(hosts: list[str]) -> None:
    """An allowed peer cannot send the gateway where its URL could not, with any of the ways to write a location."""
    peer = Peer()
    location = b""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await peer.read_request(reader)
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location)

    made = WebClient(RULES, resolver=numeric)
    async with listening(peer, handler):
        for host in hosts:
            for form in (f"http://{host}:{peer.port}/", f"//{host}:{peer.port}/", f"https://{host}/"):
                location = form.encode()
                with pytest.raises((AddressRefused, UrlRefused, ResolveFailed)):
                    await made.get(peer.url, timeout_s=5, answer_max=10, redirects_max=3)
        await made.close()
    assert peer.connections == 1
    assert all(request.startswith(b"GET /hook ") for request in peer.requests)


@pytest.mark.parametrize(
    "answer",
    ["127.0.0.2", "::1", "::ffff:127.0.0.2", "10.0.0.1,192.168.0.1", "fe80::1", "169.254.169.254,::"],
)
async def test_no_name_leads_to_a_forbidden_address(answer: str) -> None:
    """Whatever DNS says of a name, its addresses are judged, and all of these are refused."""
    asked = []

    async def dns(host: str) -> Sequence[str]:
        asked.append(host)
        return answer.split(",")

    made = WebClient(RULES, resolver=dns)
    with pytest.raises(AddressRefused, match=r"^inside\.example: "):
        await made.get("http://inside.example:8080/", timeout_s=5, answer_max=10)
    await made.close()
    assert asked == ["inside.example"]


async def test_a_name_that_turns_around_is_dialled_at_the_checked_address_or_not_at_all() -> None:
    """DNS alternates between an allowed and a forbidden address at every look-up: only the peer is ever reached."""
    peer = Peer()
    turns = itertools.cycle(["127.0.0.1", "127.0.0.2"])

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await peer.read_request(reader)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    async def dns(host: str) -> Sequence[str]:
        return [next(turns)]

    made = WebClient(RULES, resolver=dns, dns_keep_s=0)
    async with listening(peer, handler):
        for _ in range(4):
            with pytest.raises(AddressRefused, match=r"127\.0\.0\.2 is a loopback address"):
                await made.get(
                    f"http://turn.example:{peer.port}/", timeout_s=5, answer_max=10, redirects_max=3
                )
        await made.close()
    assert peer.connections == 4

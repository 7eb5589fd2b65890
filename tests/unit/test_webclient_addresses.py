"""The rules for URLs and addresses, as tables."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.webclient.addresses import URL_MAX, AddressRules, Target, carried_addresses, parse_url
from trebuchet.webclient.errors import UrlRefused
from trebuchet.webclient.resolver import interleave

PUBLIC_ONLY = AddressRules()

# (address, words of the reason): one row for each kind of network, and for both ends of the wide ones.
REFUSED = [
    ("0.0.0.0", "unspecified"),
    ("0.255.255.255", "unspecified"),
    ("10.0.0.0", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("100.127.255.255", "carrier-grade NAT"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.255", "loopback"),
    ("169.254.0.1", "link-local"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "reserved"),
    ("192.0.2.1", "documentation"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.1.1", "private"),
    ("198.18.0.1", "benchmark"),
    ("198.19.255.255", "benchmark"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("169.254.169.254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("100.100.100.200", "metadata"),
    ("168.63.129.16", "metadata"),
    ("192.0.0.192", "metadata"),
    ("fd00:ec2::254", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("64:ff9b:1::7f00:1", "local NAT64"),
    ("100::1", "reserved"),
    ("2001:2::1", "benchmark"),
    ("2001:10::1", "reserved"),
    ("2001:db8::1", "documentation"),
    ("3fff::1", "documentation"),
    ("5f00::1", "reserved"),
    ("fc00::1", "unique local"),
    ("fdff::1", "unique local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("4000::1", "reserved"),
    # The same IPv4 addresses in the clothes of IPv6.
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::ffff:0:10.0.0.1", "private"),
    ("::127.0.0.1", "loopback"),
    ("::192.168.0.1", "private"),
    ("64:ff9b::10.0.0.1", "private"),
    ("64:ff9b::a9fe:a9fe", "metadata"),
    ("2002:7f00:1::1", "loopback"),
    ("2002:a00:1:2::3", "private"),
    ("2001:0:a00:1::f7f7:f7f7", "private"),  # Teredo, its server 10.0.0.1, its client 8.8.8.8
    ("2001:0:808:808::80ff:fffe", "loopback"),  # Teredo, its server 8.8.8.8, its client 127.0.0.1
]

ADMITTED = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]


@pytest.mark.parametrize(("address", "words"), REFUSED)
def test_an_address_that_is_not_public_is_refused_with_its_kind(address: str, words: str) -> None:
    """Every special network, and every IPv6 form of an IPv4 one, is refused, and the text says why."""
    reason = PUBLIC_ONLY.check(ip_address(address))
    assert reason is not None
    assert words in reason
    assert str(ip_address(address)) in reason


@pytest.mark.parametrize("address", ADMITTED)
def test_a_public_address_is_admitted(address: str) -> None:
    """Public addresses pass, also those next to a refused network."""
    assert PUBLIC_ONLY.check(ip_address(address)) is None


@pytest.mark.parametrize(("address", "words"), [row for row in REFUSED if row[1] != "loopback"])
def test_allowing_loopback_allows_nothing_else(address: str, words: str) -> None:
    """With loopback allowed, every other kind stays refused, the metadata services above all."""
    reason = AddressRules(allow_loopback=True).check(ip_address(address))
    assert reason is not None
    assert words in reason


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_admitted_when_allowed(address: str) -> None:
    """A developer's own machine can be called back when the setting says so."""
    assert AddressRules(allow_loopback=True).check(ip_address(address)) is None


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "169.254.1.1"])
def test_a_named_network_is_admitted_whatever_it_is(address: str) -> None:
    """An allowed network admits its addresses in every form, metadata services included."""
    rules = AddressRules(allow_networks=(ip_network("169.254.0.0/16"),))
    assert rules.check(ip_address(address)) is None
    assert rules.check(ip_address("10.0.0.1")) is not None


def test_an_ipv6_network_can_be_named() -> None:
    """An allowed IPv6 network admits its addresses and no others."""
    rules = AddressRules(allow_networks=(ip_network("fd12:3456::/32"),))
    assert rules.check(ip_address("fd12:3456::9")) is None
    assert rules.check(ip_address("fd12:3457::9")) is not None


@pytest.mark.parametrize(
    ("port", "admitted"),
    [(1, False), (22, False), (25, False), (79, False), (80, True), (443, True), (1023, False), (1024, True)],
)
def test_only_the_documented_ports_are_dialled(port: int, admitted: bool) -> None:
    """Ports 80, 443 and 1024 upwards are admitted; the refusal names them."""
    reason = AddressRules(allow_loopback=True).check_port(ip_address("127.0.0.1"), port)
    assert (reason is None) == admitted
    if reason is not None:
        assert reason == f"port {port} is not allowed here: use 80, 443, or 1024 and above"


def test_a_named_network_admits_every_port() -> None:
    """The operator who names a network admits its low ports too."""
    rules = AddressRules(allow_networks=(ip_network("10.0.0.0/8"),))
    assert rules.check_port(ip_address("10.0.0.1"), 25) is None
    assert rules.check_port(ip_address("8.8.8.8"), 25) is not None


@given(st.integers(0, 2**32 - 1), st.sampled_from(["mapped", "compatible", "nat64", "6to4"]))
def test_an_ipv4_address_is_judged_alike_in_ipv6_clothes(number: int, form: str) -> None:
    """Wrapping an IPv4 address never turns a refusal into an admission."""
    wrapped = {
        "mapped": 0xFFFF << 32 | number,
        "compatible": number,
        "nat64": 0x64FF9B << 96 | number,
        "6to4": 0x2002 << 112 | number << 80,
    }[form]
    if PUBLIC_ONLY.check(IPv4Address(number)) is not None:
        assert PUBLIC_ONLY.check(IPv6Address(wrapped)) is not None


@given(st.ip_addresses())
def test_every_address_gets_a_verdict(address: IPv4Address | IPv6Address) -> None:
    """No address makes the rules fail, and an admitted IPv6 address carries no refused IPv4 address."""
    if PUBLIC_ONLY.check(address) is None:
        assert all(PUBLIC_ONLY.check(inner) is None for inner in carried_addresses(address))


URLS = [
    ("http://example.com", Target(False, "example.com", 80, "example.com", "/")),
    ("HTTPS://Example.COM/A", Target(True, "example.com", 443, "example.com", "/A")),
    ("http://example.com:8080/a?b=c#d", Target(False, "example.com", 8080, "example.com:8080", "/a?b=c")),
    ("https://example.com:443/", Target(True, "example.com", 443, "example.com", "/")),
    ("https://example.com:80/", Target(True, "example.com", 80, "example.com:80", "/")),
    ("http://example.com:/x", Target(False, "example.com", 80, "example.com", "/x")),
    ("http://example.com?q", Target(False, "example.com", 80, "example.com", "/?q")),
    ("http://example.com.:81/", Target(False, "example.com.", 81, "example.com.:81", "/")),
    ("http://call_back/", Target(False, "call_back", 80, "call_back", "/")),
    ("http://[::1]:9000/", Target(False, "::1", 9000, "[::1]:9000", "/")),
    ("https://[2001:DB8:0::1]/", Target(True, "2001:db8::1", 443, "[2001:db8::1]", "/")),
    ("http://127.1/", Target(False, "127.1", 80, "127.1", "/")),
    (
        "http://bücher.example/ä?ö=ü",
        Target(False, "xn--bcher-kva.example", 80, "xn--bcher-kva.example", "/%C3%A4?%C3%B6=%C3%BC"),
    ),
    ("http://１２７.0.0.1/", Target(False, "127.0.0.1", 80, "127.0.0.1", "/")),
    ("http://127。0。0。1/", Target(False, "127.0.0.1", 80, "127.0.0.1", "/")),
    (
        'http://example.com/%41%zz"<>{}|^`',
        Target(False, "example.com", 80, "example.com", "/%41%zz%22%3C%3E%7B%7D%7C%5E%60"),
    ),
    ("http://example.com/me@home", Target(False, "example.com", 80, "example.com", "/me@home")),
]


@pytest.mark.parametrize(("url", "target"), URLS)
def test_a_url_is_taken_apart(url: str, target: Target) -> None:
    """The host is lower-case ASCII, Host lacks the usual port, the path fits a request line."""
    assert parse_url(url) == target


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "http:// or https://"),
        ("example.com", "http:// or https://"),
        ("ftp://example.com/", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("http:/example.com", "http:// or https://"),
        ("gopher://example.com:70/1", "http:// or https://"),
        ("http://", "no host"),
        ("http:///path", "no host"),
        ("http://:80/", "no host"),
        ("http://user@example.com/", "user name or password"),
        ("http://user:secret@example.com/", "user name or password"),
        ("http://example.com@127.0.0.1/", "user name or password"),
        ("http://exa mple.com/", "blank or a control"),
        ("http://example.com/\r\nX: y", "blank or a control"),
        ("http://example.com/\t", "blank or a control"),
        ("http://example.com/\x00", "blank or a control"),
        ("http://example.com/\x85", "blank or a control"),
        ("http://example.com/\u3000", "blank or a control"),
        ("http://example.com\\@127.0.0.1/", "backslash"),
        ("http://example.com:99999/", "not a port"),
        ("http://example.com:0/", "not a port"),
        ("http://example.com:123456/", "cannot be read"),
        ("http://example.com:-1/", "cannot be read"),
        ("http://example.com:８０/", "cannot be read"),
        ("http://a:b:c/", "cannot be read"),
        ("http://::1/", "cannot be read"),
        ("http://[::1/", "cannot be read"),
        ("http://[::1]x/", "cannot be read"),
        ("http://[127.0.0.1]/", "not an IPv6 address"),
        ("http://[fe80::1%25eth0]/", "not an IPv6 address"),
        ("http://[v1.x]/", "not an IPv6 address"),
        ("http://%3127.0.0.1/", "not a valid name"),
        ("http://a..b/", "not a valid name"),
        ("http://.example.com/", "not a valid name"),
        ("http://exa$mple.com/", "not a valid name"),
        (f"http://{'a' * 64}.example/", "not a valid name"),
        (f"http://{'a.' * 126}aa/", "not a valid name"),
        (f"http://{'ä' * 254}/", "too long"),
        ("http://ä..b/", "not a valid international name"),
        ("http://straße.example/", "xn-- form"),
        ("http://a\u200db.example/", "xn-- form"),
        ("http://example.com/\ud800", "surrogate"),
        (f"http://example.com/{'a' * URL_MAX}", "2067 characters"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_reason(url: str, words: str) -> None:
    """Each kind of unusable URL gets its own text, and a password in it is not repeated."""
    with pytest.raises(UrlRefused, match=words) as refusal:
        parse_url(url)
    assert "secret" not in str(refusal.value)


def test_a_url_of_the_greatest_length_is_taken() -> None:
    """2,048 characters are the documented limit, and are allowed."""
    start = "http://example.com/"
    assert parse_url(start + "a" * (URL_MAX - len(start))).path == "/" + "a" * (URL_MAX - len(start))


_PIECES = st.lists(
    st.one_of(
        st.text(max_size=6),
        st.sampled_from(
            ["http://", "https://", "@", ":", "[", "]", "::1", "/", "?", "#", "%", ".", "a", "80"]
        ),
    ),
    max_size=8,
)


@given(_PIECES)
def test_any_text_is_a_target_or_a_refusal(pieces: list[str]) -> None:
    """Whatever the text: UrlRefused, or a target whose parts fit a request line and a Host header."""
    for url in ("".join(pieces), "http://" + "".join(pieces)):
        try:
            target = parse_url(url)
        except UrlRefused:
            continue
        assert target.path.startswith("/")
        assert 1 <= target.port <= 65535
        for part in (target.path, target.authority):
            assert part.isascii()
            assert all("!" <= character <= "~" for character in part)


@pytest.mark.parametrize(
    ("given_order", "tried"),
    [
        ([], []),
        (["1.1.1.1"], ["1.1.1.1"]),
        (["1.1.1.1", "1.1.1.1"], ["1.1.1.1"]),
        (["2a00::1", "2a00::2", "2a00::3", "1.1.1.1"], ["2a00::1", "1.1.1.1", "2a00::2", "2a00::3"]),
        (["1.1.1.1", "2a00::1", "2a00::2"], ["1.1.1.1", "2a00::1", "2a00::2"]),
    ],
)
def test_address_families_are_tried_by_turns(given_order: list[str], tried: list[str]) -> None:
    """A broken family costs one wait before the other family has its turn."""
    assert [str(ip) for ip in interleave([ip_address(text) for text in given_order])] == tried

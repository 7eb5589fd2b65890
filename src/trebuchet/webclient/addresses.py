"""Where the gateway may connect to: rules for URLs and for addresses, as pure functions.

The owner of an application chooses its callback URL, so the gateway must not become a way into the
operator's own network (server-side request forgery). Two decisions, at two times:

- `parse_url` judges the text. Nothing is said about the host, because `127.1`, `0x7f000001` and a name
  in DNS mean whatever the resolver makes of them.
- `AddressRules` judges an address after resolution. The client dials only an address that passed, so a
  name that changes between check and connect gains nothing.

The networks are written out rather than taken from `ipaddress.is_global`, whose answer differs between
Python versions. Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote

from trebuchet.webclient.errors import UrlRefused

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

# The documented limit of a callback URL; browsers and proxies start to cut at about the same length.
URL_MAX = 2048

_LOOPBACK = "a loopback address"
_METADATA = "an address of a cloud platform's metadata service"

# First match wins, so narrow networks stand before the wide ones around them.
_REFUSED: tuple[tuple[IPNetwork, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("169.254.169.254/32", _METADATA),
        ("169.254.170.2/32", _METADATA),
        ("100.100.100.200/32", _METADATA),
        ("168.63.129.16/32", _METADATA),
        ("192.0.0.192/32", _METADATA),
        ("fd00:ec2::254/128", _METADATA),
        ("fd20:ce::254/128", _METADATA),
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a carrier-grade NAT address"),
        ("127.0.0.0/8", _LOOPBACK),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a benchmark address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("::1/128", _LOOPBACK),
        # For local use by RFC 8215: it is not known where the IPv4 address sits, so there is none to judge.
        ("64:ff9b:1::/48", "a local NAT64 address"),
        ("2001:2::/48", "a benchmark address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("3fff::/20", "a documentation address"),
        ("fc00::/7", "a unique local address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
_GLOBAL_IPV6 = IPv6Network("2000::/3")

# Networks whose addresses carry an IPv4 address, and how far right of its end that one stands, in bits.
_CARRIES_IPV4: tuple[tuple[IPv6Network, int], ...] = tuple(
    (IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # mapped, RFC 4291: the operating system dials the IPv4 address
        ("::ffff:0:0:0/96", 0),  # translated, RFC 2765
        ("::/96", 0),  # compatible, RFC 4291, withdrawn
        ("64:ff9b::/96", 0),  # NAT64, RFC 6052
        ("2002::/16", 80),  # 6to4, RFC 3056
    )
)
_TEREDO = IPv6Network("2001::/32")


def carried_addresses(ip: IPAddress) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses inside an IPv6 address: one, two for Teredo (RFC 4380: server, client), or none."""
    if isinstance(ip, IPv4Address) or int(ip) <= 1:
        return ()
    bits = int(ip)
    if ip in _TEREDO:
        return IPv4Address(bits >> 64 & 0xFFFFFFFF), IPv4Address(~bits & 0xFFFFFFFF)
    for network, shift in _CARRIES_IPV4:
        if ip in network:
            return (IPv4Address(bits >> shift & 0xFFFFFFFF),)
    return ()


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Which addresses may be dialled: public ones, and what is allowed here.

    `allow_loopback` is for a developer's own machine and admits nothing but loopback. `allow_networks`
    admits whatever lies in them, on any port, metadata services included: the operator named them.
    """

    allow_loopback: bool = False
    allow_networks: tuple[IPNetwork, ...] = ()

    def check(self, ip: IPAddress) -> str | None:
        """Why `ip` must not be dialled, as a short sentence; None when it may be."""
        if self._listed(ip):
            return None
        carried = carried_addresses(ip)
        for inner in carried:
            reason = self.check(inner)
            if reason is not None:
                return f"{ip} stands for {inner}, and {reason}"
        if carried:
            return None
        for network, what in _REFUSED:
            if ip in network:
                if what is _LOOPBACK and self.allow_loopback:
                    return None
                return f"{ip} is {what}, which is not allowed here"
        if isinstance(ip, IPv6Address) and ip not in _GLOBAL_IPV6:
            return f"{ip} is a reserved address, which is not allowed here"
        return None

    def check_port(self, ip: IPAddress, port: int) -> str | None:
        """Why `port` of `ip` must not be dialled; None when it may be.

        The documented ports of callbacks are 80, 443 and 1024 upwards. Below lie mail, SSH and the like.
        """
        if port in (80, 443) or port >= 1024 or self._listed(ip):
            return None
        return f"port {port} is not allowed here: use 80, 443, or 1024 and above"

    def _listed(self, ip: IPAddress) -> bool:
        return any(ip in network for network in self.allow_networks)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `host` is in ASCII and lower case, an IPv6 address without its brackets."""

    tls: bool
    host: str
    port: int
    authority: str
    """The value of the Host header (RFC 9110 section 7.2): the port only when it is not the scheme's own."""
    path: str
    """The request target in origin form (RFC 9112 section 3.2.1): path and query, percent-encoded."""

    @property
    def peer(self) -> str:
        """Host and port, for texts."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?")
_HOST = re.compile(r"(?!.{254})[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_BLANK_OR_CONTROL = re.compile(r"[\s\x00-\x20\x7f-\x9f]")
# IDNA 2003, which the standard library has, and IDNA 2008 send these to different hosts.
_IDNA_DISAGREES = re.compile("[ßς\u200c\u200d]")
# What RFC 3986 allows in a path or query, and the percent sign, which is taken to be an escape already.
_KEPT_IN_PATH = "/?:@!$&'()*+,;=-._~%[]"


def parse_url(url: str) -> Target:
    """Take an http or https URL apart.

    A fragment is dropped. Characters that have no place in a request line are percent-encoded (RFC 3986),
    a host of other alphabets becomes its IDNA form. Raises UrlRefused with a text for the URL's owner.
    """
    if len(url) > URL_MAX:
        raise UrlRefused(f"the URL has {len(url)} characters; at most {URL_MAX} are allowed")
    if _BLANK_OR_CONTROL.search(url):
        raise UrlRefused("the URL holds a blank or a control character")
    if "\\" in url:
        raise UrlRefused("the URL holds a backslash")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise UrlRefused("the URL must start with http:// or https://")
    scheme, authority, path = parts.groups()
    if "@" in authority:
        raise UrlRefused("the URL holds a user name or password; these are given apart from the URL")
    place = _AUTHORITY.fullmatch(authority)
    if place is None:
        raise UrlRefused("the URL's host or port cannot be read")
    tls = scheme.lower() == "https"
    usual_port = 443 if tls else 80
    port = int(place[2]) if place[2] else usual_port
    if not 1 <= port <= 65535:
        raise UrlRefused(f"{port} is not a port: ports are 1 to 65535")
    host = _host(place[1])
    shown = f"[{host}]" if ":" in host else host
    try:
        encoded = quote(path, safe=_KEPT_IN_PATH)
    except UnicodeEncodeError:
        raise UrlRefused("the URL holds half a surrogate pair, which is not text") from None
    return Target(
        tls=tls,
        host=host,
        port=port,
        authority=shown if port == usual_port else f"{shown}:{port}",
        path=encoded if encoded.startswith("/") else f"/{encoded}",
    )


def literal(host: str) -> IPAddress | None:
    """The address when `host` is one in its usual notation; None for names and for odd notations."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            # A zone (fe80::1%eth0) names an interface of this machine: nothing an owner should choose.
            return str(IPv6Address("zone" if "%" in text else text[1:-1]))
        except ValueError:
            raise UrlRefused("the URL's host is not an IPv6 address without a zone") from None
    if not text:
        raise UrlRefused("the URL has no host")
    host = text
    if not text.isascii():
        if _IDNA_DISAGREES.search(text):
            raise UrlRefused("the URL's host has different readings; write it in its xn-- form")
        if len(text) > 253:
            raise UrlRefused("the URL's host is too long")
        try:
            host = text.encode("idna").decode("ascii")
        except UnicodeError:
            raise UrlRefused("the URL's host is not a valid international name") from None
    host = host.lower()
    if not _HOST.fullmatch(host):
        raise UrlRefused("the URL's host is not a valid name")
    return host

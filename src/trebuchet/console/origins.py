"""Where a request to the console comes from: its own host, its own pages, or somewhere else. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence

from trebuchet.webserver import is_loopback

_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://([^/?#@\\\s]+)", re.IGNORECASE)
_PORTS = {"http": "80", "https": "443"}

Headers = Mapping[str, Sequence[str]]  # name in small letters → its values


def host_allowed(headers: Headers, allowed: Collection[str], *, loopback: bool) -> bool:
    """Whether `Host` names this gateway.

    A page of a stranger may have its own name resolve to our address (DNS rebinding); its name gives it away. On
    loopback only names of loopback and the `allowed` ones pass; elsewhere the allowed ones, or any if there are none.
    """
    parts = _parts(_only(headers, "host"))
    if parts is None:
        return False
    name = parts[0]
    if name in {each.lower() for each in allowed}:
        return True
    if loopback:
        return name == "localhost" or name.endswith(".localhost") or is_loopback(name)
    return not allowed


def own_origin(headers: Headers) -> bool:
    """Whether `Origin` names the host that the request was sent to."""
    found = _ORIGIN.fullmatch(_only(headers, "origin") or "")
    if found is None:
        return False
    port = _PORTS[found[1].lower()]
    origin, host = _parts(found[2]), _parts(_only(headers, "host"))
    if origin is None or host is None:
        return False
    # Behind a proxy that speaks TLS the scheme is another than ours, so the port that it stands for is the origin's.
    return (origin[0], origin[1] or port) == (host[0], host[1] or port)


def from_own_page(headers: Headers) -> bool:
    """Whether a request that changes something was sent by a page of ours, as far as the browser tells."""
    site = _only(headers, "sec-fetch-site")
    if "sec-fetch-site" in headers and site not in ("same-origin", "none"):
        return False
    return own_origin(headers) if "origin" in headers else site == "same-origin"


def may_read(headers: Headers, *, stream: bool) -> bool:
    """Whether a request that only reads may be answered: a link from elsewhere may lead to a page, not to a stream."""
    if "origin" in headers and not own_origin(headers):
        return False
    if stream and "sec-fetch-site" in headers:
        return _only(headers, "sec-fetch-site") in ("same-origin", "none")
    return True


def local_path(target: str) -> str:
    """Where to go after the login: `target` if it is a path of ours, else the first page."""
    if re.fullmatch(r"/(?![/\\])[!-\[\]-~]*|/", target, re.ASCII) and not target.startswith("/login"):
        return target
    return "/"


def _parts(host: str | None) -> tuple[str, str] | None:
    """Name and port of a host, or None if it is none."""
    found = _HOST.fullmatch(host or "")
    return None if found is None else (found[1].lower().rstrip("."), found[2] or "")


def _only(headers: Headers, name: str) -> str | None:
    """The value of a header that was given once."""
    values = headers.get(name, ())
    return values[0] if len(values) == 1 else None

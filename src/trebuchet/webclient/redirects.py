"""Where a redirect leads, and what the next peer is told: pure.

A redirect is chosen by the peer, so the gateway follows it only where asked to, and trusts the new URL no
more than the first: it is parsed and its address judged alike. Source: RFC 9110 section 15.4.
"""

from collections.abc import Sequence
from urllib.parse import urljoin

import msgspec

from trebuchet.webclient.addresses import Target
from trebuchet.webclient.connection import Answer, Headers
from trebuchet.webclient.errors import RedirectRefused

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# All that another origin is told. A list of what is secret would miss the secret header of tomorrow.
_FOR_ANYONE = frozenset({b"accept", b"user-agent"})


class Document(msgspec.Struct, frozen=True, gc=False):
    """The final answer to a GET. The body is whole when `status` is 2xx, else as much as the caller allowed."""

    url: str
    """Where it was found: the last hop."""
    status: int
    headers: Headers
    """As they came, names in lower case."""
    body: bytes
    duration_ms: int

    @property
    def content_type(self) -> str:
        """The value of Content-Type as the peer wrote it; empty if it did not, or not in ASCII."""
        return dict(self.headers).get(b"content-type", b"").decode("ascii", "ignore")


def next_url(url: str, target: Target, answer: Answer, hops_left: int) -> str | None:
    """The URL that the answer redirects to; None when the answer is no redirect. Not yet checked.

    `url` and `target` are those of the request. Raises RedirectRefused.
    """
    if answer.status not in _REDIRECTS:
        return None
    locations = {value for name, value in answer.headers if name == b"location"}
    if not locations:
        return None
    if len(locations) > 1:
        raise RedirectRefused(f"{target.peer} redirects to more than one place")
    if not hops_left:
        raise RedirectRefused(f"{target.peer} redirects once too often")
    try:
        following = urljoin(url, locations.pop().decode("utf-8"))
    except ValueError:
        raise RedirectRefused(f"{target.peer} redirects to what is not a URL") from None
    if target.tls and not following.lower().startswith("https:"):
        raise RedirectRefused(f"{target.peer} redirects from https to another scheme")
    return following


def headers_for(
    following: Target, before: Target, headers: Sequence[tuple[bytes, bytes]]
) -> Sequence[tuple[bytes, bytes]]:
    """The headers that may go on to `following`: all of them only within one origin (RFC 6454)."""
    if (following.tls, following.host, following.port) == (before.tls, before.host, before.port):
        return headers
    return [header for header in headers if header[0].lower() in _FOR_ANYONE]

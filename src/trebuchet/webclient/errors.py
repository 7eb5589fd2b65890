"""What can go wrong between a URL and its answer.

WebError                 the text is one line for an operator's eyes; it holds no secret and no body
├── UrlRefused           the URL cannot be used at all         owner's fault, retrying does not help
├── AddressRefused       the host leads where we do not dial   owner's or operator's fault; DNS may change
├── ResolveFailed        the name has no address               peer's fault, retrying may help
├── ConnectFailed        no address took the connection        peer's fault, retrying may help
├── TlsFailed            handshake or certificate              peer's fault, retrying may help
├── TimedOut             not answered in the time given        peer's fault, retrying may help
├── AnswerMalformed      the answer is not HTTP                peer's fault, retrying may help
├── RedirectRefused      the answer leads where we do not go   peer's fault, retrying does not help
├── TooLarge             more octets than the caller takes     peer's fault, retrying does not help
└── ConnectionLost       closed before the answer was whole    peer's fault, retrying may help
"""

from trebuchet.errors import TrebuchetError


class WebError(TrebuchetError):
    """A request over HTTP brought no answer. `asked` says whether the peer may have it all the same."""

    asked = False


class UrlRefused(WebError):
    """The URL cannot be used."""


class AddressRefused(WebError):
    """The host stands for an address that is not to be dialled. `reason` says which and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ResolveFailed(WebError):
    """The host name has no address."""


class ConnectFailed(WebError):
    """No address of the host took the connection."""


class TlsFailed(WebError):
    """The TLS handshake failed or the certificate is not trusted."""


class TimedOut(WebError):
    """The answer was not complete in the time given. `asked`: the request had been written by then."""

    def __init__(self, reason: str, *, asked: bool = False) -> None:
        super().__init__(reason)
        self.asked = asked


class AnswerMalformed(WebError):
    """What came back is not an HTTP answer, or is out of bounds."""

    asked = True


class RedirectRefused(WebError):
    """The answer redirects too often, or from https to http."""

    asked = True


class TooLarge(WebError):
    """The answer's body has more octets than the caller takes."""

    asked = True


class ConnectionLost(WebError):
    """The connection closed before the answer was complete."""

    asked = True

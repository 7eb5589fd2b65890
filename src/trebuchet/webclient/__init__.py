"""The one outbound HTTP client: POSTs callbacks and GETs media at addresses that may be dialled, within bounds.

Of our own because it is on the path of every message: a small POST costs a general client 150 to 210 us
of CPU, which is more than a message's whole way to the carrier. It does HTTP/1.1 with kept connections
and no more: redirects of a GET where asked for, no cookies, no proxies, no compression.

errors (what can go wrong) · addresses (the rules, pure) · resolver (names) · connection (one peer)
redirects (where they may lead, pure) · client
"""

from trebuchet.webclient.addresses import AddressRules, Target, parse_url
from trebuchet.webclient.client import WebClient
from trebuchet.webclient.connection import Answer
from trebuchet.webclient.errors import (
    AddressRefused,
    AnswerMalformed,
    ConnectFailed,
    ConnectionLost,
    RedirectRefused,
    ResolveFailed,
    TimedOut,
    TlsFailed,
    TooLarge,
    UrlRefused,
    WebError,
)
from trebuchet.webclient.redirects import Document
from trebuchet.webclient.resolver import Resolver, system_resolver

__all__ = [
    "AddressRefused",
    "AddressRules",
    "Answer",
    "AnswerMalformed",
    "ConnectFailed",
    "ConnectionLost",
    "Document",
    "RedirectRefused",
    "ResolveFailed",
    "Resolver",
    "Target",
    "TimedOut",
    "TlsFailed",
    "TooLarge",
    "UrlRefused",
    "WebClient",
    "WebError",
    "parse_url",
    "system_resolver",
]

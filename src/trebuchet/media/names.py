"""Names of media objects. Pure.

A name is everything after `media/` of the URL, slashes included. Clients write it in two ways, each part encoded or
the whole (`id%2F0%2Fa.jpg`); both are one name.
"""

import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes

NAME_MAX: Final = 1_024  # octets in UTF-8
_REFUSED: Final = re.compile(r"[\x00-\x1f\x7f]")
_DOTS: Final = (".", "..")  # clients and proxies resolve these parts of a path (RFC 3986 section 5.2.4)


class BadName(ValueError):
    """A path names no media object; says why."""


def name_of(raw_path: bytes) -> str:
    """The name in the encoded path after `media/`. Raises BadName."""
    try:
        name = unquote_to_bytes(raw_path).decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("the media name is not UTF-8") from None
    if not name:
        raise BadName("the media name is empty")
    if len(name.encode()) > NAME_MAX:
        raise BadName(f"the media name has more than {NAME_MAX} octets")
    if _REFUSED.search(name):
        raise BadName("the media name holds control characters")
    if name in _DOTS:
        raise BadName("the media name is a dot segment")
    return name


def path_of(name: str) -> str:
    """The name as it stands in URLs that we give out: its parts encoded, its slashes not.

    They are, too, if a client or a proxy would take one of the parts away before we see it.
    """
    fragile = not {"", *_DOTS}.isdisjoint(name.split("/"))
    return quote(name, safe="" if fragile else "/")


def inbound_name(message_id: str, place: int, file_name: str) -> str:
    """The name of a file that an inbound message brought; `file_name` is without folders."""
    return f"{message_id}/{place}/{file_name}"

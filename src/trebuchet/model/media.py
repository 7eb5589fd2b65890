"""Pictures, sounds and other files: their octets by digest, the objects of an account, what messages hold.

As in `model.message`, the order of the fields is the order of the columns.
"""

import msgspec


class Content(msgspec.Struct, array_like=True, frozen=True):
    """Octets that are kept once, whoever refers to them."""

    sha256: str  # 64 hexadecimal digits
    object_key: str  # where the object store has them
    size: int  # octets
    stored_ms: int


class MediaObject(msgspec.Struct, array_like=True, frozen=True):
    """One object of an account's media store."""

    account_id: str
    name: str  # with slashes, decoded
    sha256: str
    content_type: str  # as its owner said
    cache_control: str | None
    size: int
    created_ms: int
    expires_ms: int | None  # None: never


class HeldMedia(msgspec.Struct, array_like=True, frozen=True):
    """One file of a message, held for as long as the message is on its way."""

    message_id: str
    place: int  # from 0, in the order of the message's media
    sha256: str
    content_type: str  # what the octets are
    name: str
    size: int

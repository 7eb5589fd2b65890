"""The parts of a message's mail: its files made to fit the peer, its text, and the SMIL that shows them.

What many messages have in common is made once: a picture is fitted once per limit, and its base64 is kept for the next
message with the same file.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from trebuchet.carriers.base import File
from trebuchet.media.budget import plan
from trebuchet.media.images import SHRINKABLE, ImageLimit
from trebuchet.media.sniff import sniff
from trebuchet.media.workers import ImageWorkers
from trebuchet.protocols.mm4 import Content, EncodedPart, MimePart, encode_part, presentation

_KEPT_MAX: Final = 32 << 20  # octets of encoded parts
_Key = tuple[str, str, str]


class Takes(Protocol):
    """The part of a link's settings that says what its peer takes."""

    @property
    def max_octets(self) -> int:
        """Of all parts of a message, without encoding."""
        ...

    def image_limit(self, octets: int) -> ImageLimit: ...


class Encoder:
    """Makes the parts of messages to one peer. All calls in one event loop."""

    def __init__(self, settings: Takes, images: ImageWorkers) -> None:
        self._settings = settings
        self._images = images
        self._kept: OrderedDict[_Key, EncodedPart] = OrderedDict()
        self._octets = 0

    async def parts(self, files: Sequence[File], text: str) -> list[EncodedPart]:
        """All parts, SMIL first. Raises CannotFit if the files are too large for the peer, BadImage for one that is
        no picture, and Busy if it may be tried again."""
        room = self._settings.max_octets - len(text.encode())
        budgets = plan([len(file.octets) for file in files], [file.content_type for file in files], room)
        media = [await self._fitted(file, budget) for file, budget in zip(files, budgets, strict=True)]
        return [self._encoded(part) for part in presentation(media, text)]

    async def _fitted(self, file: File, budget: int) -> MimePart:
        limit = self._settings.image_limit(budget)
        octets, content_type = file.octets, file.content_type
        if content_type in SHRINKABLE:
            key = hashlib.sha256(octets).hexdigest()
            fitted = await self._images.fit(octets, content_type, limit, key=key)
            octets, content_type = fitted.octets, fitted.content_type
        return MimePart(content_type=content_type, octets=octets, name=file.name)

    def _encoded(self, part: MimePart) -> EncodedPart:
        key = (hashlib.sha256(part.octets).hexdigest(), part.content_type, part.name + part.content_id)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        encoded = encode_part(part)
        self._kept[key] = encoded
        self._octets += len(encoded.octets)
        while self._octets > _KEPT_MAX:
            _, oldest = self._kept.popitem(last=False)
            self._octets -= len(oldest.octets)
        return encoded


def judged(content: Content) -> Content:
    """Files by what they are, not by what they are said to be."""
    return Content(
        content.text,
        tuple(replace(part, content_type=sniff(part.octets, part.content_type)) for part in content.media),
    )

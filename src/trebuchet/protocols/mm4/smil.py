"""The parts of a message of ours: a presentation in SMIL, then its media and its text. Source: 3GPP TS 26.234.

One slide per picture, sound, film or text; everything is referred to by its Content-Location.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Final

from trebuchet.protocols.mm4.mime import SMIL
from trebuchet.protocols.mm4.pdu import MimePart

_SLIDE_MS: Final = 5000
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._\-]{0,62}[A-Za-z0-9])?", re.ASCII)
# How a medium is shown: element, region, and the stem of the name and Content-ID that it gets.
_ELEMENTS: Final = {
    "image": ("img", ' region="Image"', "img"),
    "video": ("video", ' region="Image"', "vid"),
    "audio": ("audio", "", "aud"),
    "text": ("text", ' region="Text"', "txt"),
}
_OTHER: Final = ("ref", "", "file")
_NOT_SHOWN: Final = re.compile(r"text/(x-)?v(card|calendar)|text/calendar|text/directory", re.IGNORECASE)
# Of types that the system's own table does not have, or has several names for.
_SUFFIXES: Final = {
    "application/pdf": "pdf",
    "audio/3gpp": "3gp",
    "audio/amr": "amr",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/tiff": "tif",
    "image/webp": "webp",
    "text/calendar": "ics",
    "text/plain": "txt",
    "text/vcard": "vcf",
    "text/x-vcard": "vcf",
    "video/3gpp": "3gp",
    "video/mp4": "mp4",
    "video/mpeg": "mpg",
}


def presentation(media: Iterable[MimePart], text: str = "") -> tuple[MimePart, ...]:
    """All parts of a message, SMIL first, then the media, then the text if there is any.

    A medium keeps its name if handsets can be trusted with it and no other has it; else it gets one by its kind.
    """
    parts: list[MimePart] = []
    names: set[str] = {"smil.xml"}
    for number, medium in enumerate(media, start=1):
        stem = _element(medium.content_type)[2] + str(number)
        parts.append(_named(medium, stem, names))
    if text:
        written = MimePart(content_type="text/plain", charset="utf-8", octets=text.encode("utf-8", "replace"))
        parts.append(_named(written, f"txt{len(parts) + 1}", names))
    smil = MimePart(
        content_type=SMIL,
        charset="utf-8",
        octets=document(parts).encode(),
        name="smil.xml",
        content_id="smil",
        content_location="smil.xml",
    )
    return (smil, *parts)


def document(parts: Iterable[MimePart]) -> str:
    """The SMIL of parts that have a Content-Location, a slide each, in order."""
    slides = "".join(_slide(part) for part in parts)
    return (
        '<smil><head><layout><root-layout width="100%" height="100%"/>'
        '<region id="Image" left="0" top="0" width="100%" height="70%" fit="meet"/>'
        '<region id="Text" left="0" top="70%" width="100%" height="30%" fit="scroll"/>'
        f"</layout></head><body>{slides}</body></smil>"
    )


def _slide(part: MimePart) -> str:
    element, region, _ = _element(part.content_type)
    return f'<par dur="{_SLIDE_MS}ms"><{element} src="{escape(part.content_location)}"{region}/></par>'


def _element(content_type: str) -> tuple[str, str, str]:
    if _NOT_SHOWN.match(content_type):
        return _OTHER
    return _ELEMENTS.get(content_type.partition("/")[0].lower(), _OTHER)


def _named(part: MimePart, stem: str, names: set[str]) -> MimePart:
    name = part.name
    if not _SAFE_NAME.fullmatch(name) or name.lower() in names:
        name = f"{stem}.{_SUFFIXES.get(part.content_type.lower(), 'bin')}"
    while name.lower() in names:
        name = "x" + name
    names.add(name.lower())
    return MimePart(
        content_type=part.content_type,
        octets=part.octets,
        charset=part.charset,
        name=name,
        content_id=stem,
        content_location=name,
    )

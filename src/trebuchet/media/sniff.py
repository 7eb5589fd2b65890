"""What octets are. A header or a file name may lie, and the handset gets the octets."""

import re

import filetype
import msgspec

UNKNOWN = "application/octet-stream"


class MediaType(msgspec.Struct, frozen=True):
    """A content type that a picture message may carry, and the extension its file names end in."""

    name: str
    extension: str


# What carriers' MMSCs take, the ones that only some take among them: a link may know better. WebP is never
# handed on where a link does not name it; it becomes JPEG or PNG.
_MEDIA_TYPES = (
    MediaType("image/jpeg", "jpg"),
    MediaType("image/png", "png"),
    MediaType("image/gif", "gif"),
    MediaType("image/webp", "webp"),
    MediaType("image/bmp", "bmp"),
    MediaType("image/tiff", "tiff"),
    MediaType("image/heic", "heic"),
    MediaType("image/heif", "heif"),
    MediaType("audio/amr", "amr"),
    MediaType("audio/amr-wb", "awb"),
    MediaType("audio/mpeg", "mp3"),
    MediaType("audio/mp4", "m4a"),
    MediaType("audio/3gpp", "3gp"),
    MediaType("audio/wav", "wav"),
    MediaType("video/mp4", "mp4"),
    MediaType("video/3gpp", "3gp"),
    MediaType("video/3gpp2", "3g2"),
    MediaType("video/mpeg", "mpg"),
    MediaType("video/h263", "h263"),
    MediaType("video/h264", "h264"),
    MediaType("text/plain", "txt"),
    MediaType("text/vcard", "vcf"),
    MediaType("text/calendar", "ics"),
    MediaType("application/pdf", "pdf"),
    MediaType("application/smil", "smil"),
)
ALLOWED = frozenset(media_type.name for media_type in _MEDIA_TYPES)
"""The content types that may be delivered; anything else is error 4412 of the API."""

# Other types that uploads have, so that their names end well, too.
_EXTENSIONS = {media_type.name: media_type.extension for media_type in _MEDIA_TYPES} | {
    "application/json": "json",
    "application/xml": "xml",
    "application/zip": "zip",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "image/svg+xml": "svg",
    "text/csv": "csv",
    "text/html": "html",
    "text/xml": "xml",
    "video/quicktime": "mov",
    "video/webm": "webm",
}

# Beginnings that cannot be anything else. Those of PDF and AMR are text, so they come before the test for it.
_BEGINNINGS = (
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"#!AMR\n", "audio/amr"),
    (b"#!AMR-WB\n", "audio/amr-wb"),
    (b"#!AMR_MC1.0\n", "audio/amr"),
    (b"#!AMR-WB_MC1.0\n", "audio/amr-wb"),
)

# ISO base media files by the brand of their first box (ISO/IEC 14496-12 section 4.3; 3GPP TS 26.244 section 5.3).
_BRANDS = (
    (re.compile(rb"hei[cxms]|hev[cxms]"), "image/heic"),
    (re.compile(rb"avi[fs]"), "image/avif"),
    (re.compile(rb"mif1|msf1"), "image/heif"),
    (re.compile(rb"3g2."), "video/3gpp2"),
    (re.compile(rb"3g[a-z]."), "video/3gpp"),
    (re.compile(rb"M4[AB] "), "audio/mp4"),
    (re.compile(rb"qt  "), "video/quicktime"),
    (re.compile(rb"iso.|mp4.|avc1|M4V.|MSNV|dash|mmp4|f4v "), "video/mp4"),
)
_SOUND_ALONE = {"video/mp4": "audio/mp4", "video/3gpp": "audio/3gpp"}
_HANDLERS_MAX = 64

# How the library's names differ from those carriers know.
_RENAMED = {"audio/x-wav": "audio/wav", "image/apng": "image/png"}

_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")  # escape stays: terminals' text has it
_BOM = b"\xef\xbb\xbf"
_TEXT_BEGINNINGS = (
    (re.compile(rb"\s*BEGIN:VCARD\s", re.IGNORECASE), "text/vcard"),
    (re.compile(rb"\s*BEGIN:VCALENDAR\s", re.IGNORECASE), "text/calendar"),
)
_ROOT = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)*(?:<!doctype\s[^>]*>\s*)?"
    rb"(?:<!--(?:(?!-->).)*-->\s*)*<(smil|html|head|body|svg)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_ROOTS = {b"smil": "application/smil", b"svg": "image/svg+xml"}
_ROOT_WITHIN = 2048
# What is text and looks like any other: only the claim tells these from each other.
_CLAIMS = re.compile(r"text/[a-z0-9.+-]{1,60}|application/(?:json|xml|javascript)")
# Claims that are believed only with their own beginning.
_SEEN_IN_OCTETS = frozenset({"text/vcard", "text/x-vcard", "text/calendar", "text/x-vcalendar", "text/html"})


def sniff(octets: bytes, claimed: str = "") -> str:
    """The content type of `octets`, in lower case and without parameters; `UNKNOWN` if nothing fits.

    `claimed` (the value of a Content-Type header, or empty) decides only between kinds of text, and only
    when the octets are text in UTF-8.
    """
    for beginning, name in _BEGINNINGS:
        if octets.startswith(beginning):
            return name
    if _is_text(octets):
        return _kind_of_text(octets, claimed.partition(";")[0].strip().lower())
    if octets[4:8] == b"ftyp":
        return _base_media(octets)
    if octets[:4] == b"\0\0\0\1" and len(octets) > 4 and octets[4] & 0x1F in {7, 9}:
        return "video/h264"  # a byte stream that opens with its parameters or a delimiter (H.264 annex B)
    if octets[:2] == b"\0\0" and len(octets) > 4 and octets[2] & 0xFC == 0x80:
        return "video/h263"  # the picture start code (H.263 section 5.1.1)
    found = filetype.guess_mime(octets)
    return _RENAMED.get(found, found) if isinstance(found, str) else UNKNOWN


def extension_for(content_type: str) -> str:
    """The usual file name extension, without a dot; `bin` for a type that is not in the table."""
    return _EXTENSIONS.get(content_type, "bin")


def _is_text(octets: bytes) -> bool:
    if not octets or _NOT_TEXT.search(octets):
        return False
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        # Address cards of older handsets are in whatever alphabet the handset had.
        return any(pattern.match(octets) for pattern, _ in _TEXT_BEGINNINGS)
    return True


def _kind_of_text(octets: bytes, claimed: str) -> str:
    start = octets.removeprefix(_BOM)[:_ROOT_WITHIN]
    for pattern, name in _TEXT_BEGINNINGS:
        if pattern.match(start):
            return name
    root = _ROOT.match(start)
    if root is not None and root[1].lower() in _ROOTS:
        return _ROOTS[root[1].lower()]
    if root is not None and claimed != "text/plain":
        return "text/html"
    if claimed not in _SEEN_IN_OCTETS and _CLAIMS.fullmatch(claimed):
        return claimed
    return "text/plain"


def _base_media(octets: bytes) -> str:
    """MP4, 3GPP, HEIC and their relatives."""
    end = min(int.from_bytes(octets[:4], "big"), len(octets), 256)
    brands = [octets[8:12], *(octets[place : place + 4] for place in range(16, end, 4))]
    name = next((_brand(brand) for brand in brands if _brand(brand)), UNKNOWN)
    if name == "image/heif":
        # A picture in a general brand says in the further ones how it is coded.
        return next((_brand(b) for b in brands if _brand(b) in {"image/heic", "image/avif"}), name)
    return _SOUND_ALONE[name] if name in _SOUND_ALONE and _has_only_sound(octets) else name


def _brand(brand: bytes) -> str:
    return next((name for pattern, name in _BRANDS if pattern.fullmatch(brand)), "")


def _has_only_sound(octets: bytes) -> bool:
    """Whether the tracks are of sound and none of pictures (the handler boxes, ISO/IEC 14496-12 section 8.4.3)."""
    handlers: set[bytes] = set()
    place = 0
    for _ in range(_HANDLERS_MAX):
        place = octets.find(b"hdlr", place) + 4
        if place < 4:
            break
        handlers.add(octets[place + 8 : place + 12])
    return b"soun" in handlers and b"vide" not in handlers

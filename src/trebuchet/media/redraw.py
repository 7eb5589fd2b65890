"""Pictures decoded and encoded: does what `images` decides, with Pillow.

Imported only where pictures are worked on, which is not the gateway's own process: Pillow is the largest body
of native code that strangers' octets reach. Source of the orientations: EXIF 2.32, tag 0x0112.
"""

import io
import math
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator

import msgspec
from PIL import GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from trebuchet.media.images import (
    GIF,
    JPEG,
    PNG,
    SHRINKABLE,
    WEBP,
    Attempt,
    BadImage,
    CannotFit,
    Fitted,
    ImageLimit,
    Source,
    as_attempt,
    fits,
    is_hopeless,
    ladder,
    largest,
    refuse_bomb,
)

# Named here, because Pillow would try whatever it has, and take a reader that it cannot load for one that it lacks.
_READERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    JPEG: JpegImagePlugin.JpegImageFile,
    PNG: PngImagePlugin.PngImageFile,
    GIF: GifImagePlugin.GifImageFile,
    WEBP: WebPImagePlugin.WebPImageFile,
}

# What Pillow raises for broken octets, whatever its documentation says: its readers are many, and of many years.
_BROKEN = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    EOFError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# A colour profile of a camera has about 500 octets, a printer's a million.
_PROFILE_MAX = 4096


def fit(octets: bytes, content_type: str, limit: ImageLimit) -> Fitted:
    """The picture within `limit`: itself when it fits, else smaller or of another type, without its metadata.

    `content_type` is what `sniff` found. Raises CannotFit, or BadImage for what is broken or too big to decode.
    CPU-bound for up to seconds; takes a few hundred MB at most.
    """
    if fits(octets, content_type, limit):
        return Fitted(octets, content_type)
    if content_type not in SHRINKABLE:
        raise CannotFit(f"{content_type} of {len(octets)} octets cannot be made to fit")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is not kept
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _fit(octets, content_type, limit)
    except _BROKEN as error:
        raise BadImage(f"the picture cannot be decoded: {type(error).__name__}") from None


def _fit(octets: bytes, content_type: str, limit: ImageLimit) -> Fitted:
    if content_type == WEBP:
        refuse_bomb(Source(WEBP, len(octets), *_webp_size(octets)))
    with _READERS[content_type](io.BytesIO(octets)) as picture:
        source = _source(picture, content_type, len(octets))
        refuse_bomb(source)
        still: _Still | None = None
        failed, failed_octets = as_attempt(source), len(octets)
        for attempt in ladder(source, limit):
            if is_hopeless(attempt, failed, failed_octets, limit):
                continue
            if attempt.content_type == GIF:
                made = _animation(picture, source, attempt)
            else:
                still = still or _still(picture, source, limit)
                made = _encoded(still, attempt)
            if len(made) <= limit.max_octets:
                return Fitted(made, attempt.content_type)
            failed, failed_octets = attempt, len(made)
    raise CannotFit(f"the picture cannot be made to fit {limit.max_octets} octets")


def _source(picture: Image.Image, content_type: str, octets: int) -> Source:
    return Source(
        content_type,
        octets,
        picture.width,
        picture.height,
        alpha=picture.has_transparency_data,
        # Only of GIF are the frames kept.
        frames=int(getattr(picture, "n_frames", 1)) if content_type == GIF else 1,
        progressive=bool(picture.info.get("progressive")),
    )


def _webp_size(octets: bytes) -> tuple[int, int]:
    """Width and height by the header (RFC 9649 section 2), because opening the file already takes its memory."""
    kind, body = octets[12:16], octets[20:30]
    if octets[:4] != b"RIFF" or octets[8:12] != b"WEBP" or len(body) < 10:
        raise BadImage("the picture is not WebP")
    if kind == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


class _Still(msgspec.Struct, frozen=True):
    """One frame as L, RGB or RGBA, as the camera wrote it, and what makes it upright."""

    picture: Image.Image
    turn: Image.Transpose | None
    profile: bytes | None


def _still(picture: Image.Image, source: Source, limit: ImageLimit) -> _Still:
    if source.frames > 1:
        picture.seek(0)
    if source.content_type == JPEG:
        picture.draft(None, largest(source, limit))
    picture.load()
    profile = picture.info.get("icc_profile")
    if picture.mode not in {"RGB", "RGBA"} or not isinstance(profile, bytes) or len(profile) > _PROFILE_MAX:
        profile = None
    plain = _plain(picture, alpha=source.alpha)
    if source.content_type == JPEG and math.prod(plain.size) > math.prod(largest(source, limit)):
        plain = _resized(plain, largest(source, limit))  # once, rather than at every attempt
    turn = _TURNS.get(_orientation(picture))
    plain.info = {}  # Comments and the like would be written again.
    return _Still(plain, turn, profile)


def _plain(picture: Image.Image, *, alpha: bool) -> Image.Image:
    if picture.mode.startswith("I"):
        # Sixteen bits of grey, which a plain conversion would cut off rather than scale.
        return picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if picture.mode == "RGBA" or (picture.mode in {"L", "RGB"} and not alpha):
        return picture
    if alpha:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _orientation(picture: Image.Image) -> int:
    """How the camera was held; 1, upright, where that cannot be read."""
    try:
        value = picture.getexif().get(_ORIENTATION)
    except _BROKEN:
        return 1
    return value if isinstance(value, int) else 1


def _encoded(still: _Still, attempt: Attempt) -> bytes:
    made = still.picture
    if made.size != (attempt.width, attempt.height):
        made = _resized(made, (attempt.width, attempt.height))
    if still.turn is not None:
        made = made.transpose(still.turn)
    written = io.BytesIO()
    if attempt.content_type == JPEG:
        if made.mode == "RGBA":
            made = _on_white(made)
        made.save(written, "JPEG", quality=attempt.grade, optimize=True, icc_profile=still.profile)
    elif attempt.grade:
        made.quantize(attempt.grade, Image.Quantize.FASTOCTREE).save(written, "PNG", optimize=True)
    else:
        made.save(written, "PNG", optimize=True, icc_profile=still.profile)
    return written.getvalue()


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _on_white(made: Image.Image) -> Image.Image:
    white = Image.new("RGB", made.size, "white")
    white.paste(made, mask=made.getchannel("A"))
    return white


def _animation(picture: Image.Image, source: Source, attempt: Attempt) -> bytes:
    """The animation smaller, or with fewer frames that last as long together."""
    kept = range(0, source.frames, attempt.grade)
    durations = [0] * len(kept)
    for number in range(source.frames):
        picture.seek(number)
        durations[number // attempt.grade] += int(picture.info.get("duration", 0))
    frames = _frames(picture, kept, alpha=source.alpha, size=(attempt.width, attempt.height))
    first = next(frames)
    options: dict[str, object] = {"loop": picture.info["loop"]} if "loop" in picture.info else {}
    written = io.BytesIO()
    # A frame that shines through must not show the one before it; others need only say what is new.
    disposal = 2 if source.alpha else 1
    first.save(
        written, "GIF", save_all=True, append_images=frames, duration=durations, disposal=disposal, **options
    )
    return written.getvalue()


def _frames(
    picture: Image.Image, kept: Iterable[int], *, alpha: bool, size: tuple[int, int]
) -> Iterator[Image.Image]:
    for number in kept:
        picture.seek(number)
        small = picture.convert("RGBA" if alpha else "RGB").resize(size, Image.Resampling.BILINEAR)
        if not alpha:
            # Left to itself, Pillow takes the median cut, which is ten times slower.
            small = small.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        small.info = {}
        yield small

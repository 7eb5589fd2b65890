"""Pictures made to fit a carrier: what is tried, in what order, and when to give up. Pure, and without Pillow.

`redraw` does what is decided here; `workers` runs it in other processes. A picture that fits stays as it is,
to the last octet. One that does not is tried smaller and plainer, down a ladder that ends.
"""

import math
from collections.abc import Iterator

import msgspec

from trebuchet.errors import TrebuchetError

JPEG, PNG, GIF, WEBP = "image/jpeg", "image/png", "image/gif", "image/webp"
SHRINKABLE = frozenset({JPEG, PNG, GIF, WEBP})
"""The content types that can be made smaller. All others fit or do not."""

PIXELS_MAX = 24_000_000
"""What is decoded at most: four octets each, and a copy or two. A bomb says more in its header and is refused."""
JPEG_PIXELS_MAX = 80_000_000
"""The same for a JPEG that is decoded at half its size or less. Not for a progressive one, whose decoder keeps
all of it."""
FRAMES_MAX = 1000
FRAME_PIXELS_MAX = 200_000_000
"""Of all frames of an animation together: it bounds the time, as one frame is held at a time."""

# More pixels than this do not make a picture better on a handset; those of photographs take about an eighth of
# an octet each at the lowest quality.
_TARGET_PIXELS = 12_000_000
_PIXELS_PER_OCTET = 8
_SIDE_MAX = 8192
# Below, a picture is not worth its message.
_PIXELS_MIN = 64 * 64
_STEP = 0.75
# An encoder that is slow and gains little, so only where the gain may be enough.
_LOSSLESS_PIXELS_MAX = 4_000_000

# All frames of an animation are held while it is written, an octet for each pixel.
_ANIMATION_PIXELS_MAX = 50_000_000

# How many octets a pixel takes, beside the same content type at its best: what experience gives, not a promise.
_WEIGHTS = {
    (JPEG, 0): 1.5,
    (JPEG, 85): 1.0,
    (JPEG, 70): 0.65,
    (JPEG, 50): 0.45,
    (PNG, 0): 1.0,
    (PNG, 256): 0.35,
}
# How far an estimate may be over the limit for the attempt to be made all the same.
_SLACK = 1.25


class CannotFit(TrebuchetError):
    """The content cannot be made to fit the carrier's limit."""


class BadImage(TrebuchetError):
    """The octets are not a picture that can be decoded within bounds."""


class ImageLimit(msgspec.Struct, frozen=True):
    """What a carrier takes: octets of one picture, and the content types it knows."""

    max_octets: int
    types: frozenset[str] = frozenset({JPEG, PNG, GIF})


class Fitted(msgspec.Struct, frozen=True):
    """A picture within the limit, and what it now is."""

    octets: bytes
    content_type: str


class Source(msgspec.Struct, frozen=True):
    """What the header of a picture says."""

    content_type: str
    octets: int
    width: int
    height: int
    alpha: bool = False
    frames: int = 1
    progressive: bool = False


class Attempt(msgspec.Struct, frozen=True):
    """One way to encode a picture."""

    content_type: str
    width: int
    height: int
    grade: int = 0
    """JPEG: the quality. PNG: how many colours, 0 for all of them. GIF: every how many frames one is kept."""


def fits(octets: bytes, content_type: str, limit: ImageLimit) -> bool:
    """Whether the picture may stay as it is: nothing has to be decoded."""
    return content_type in limit.types and len(octets) <= limit.max_octets


def refuse_bomb(source: Source) -> None:
    """Raises BadImage when decoding the picture would take too much memory or time."""
    pixels = source.width * source.height
    most = JPEG_PIXELS_MAX if source.content_type == JPEG and not source.progressive else PIXELS_MAX
    if pixels > most:
        raise BadImage(f"the picture has {pixels} pixels; at most {most} are decoded")
    if source.frames > FRAMES_MAX or pixels * source.frames > FRAME_PIXELS_MAX:
        raise BadImage(
            f"the picture has {source.frames} frames of {pixels} pixels, which is too much to decode"
        )


def largest(source: Source, limit: ImageLimit) -> tuple[int, int]:
    """The greatest width and height that any attempt but a lossless one has: it need not be decoded larger."""
    pixels = min(_TARGET_PIXELS, _PIXELS_PER_OCTET * limit.max_octets)
    scale = min(
        1.0,
        math.sqrt(pixels / (source.width * source.height)),
        _SIDE_MAX / max(source.width, source.height),
    )
    return _scaled(source.width, source.height, scale)


def ladder(source: Source, limit: ImageLimit) -> Iterator[Attempt]:
    """What to try, best first, at most about a hundred. Empty when the carrier knows none of our types.

    An animation stays one as long as it can, then its first frame stands for it. Transparency is kept as PNG
    down to half the size, then put on white as JPEG.
    """
    start = largest(source, limit)
    if source.frames > 1 and GIF in limit.types:
        yield from _animations(source.frames, start)
    if PNG in limit.types:
        drawn = source.content_type in {PNG, GIF} or source.alpha or JPEG not in limit.types
        if drawn and source.width * source.height <= _LOSSLESS_PIXELS_MAX:
            yield Attempt(PNG, source.width, source.height)
        if source.alpha and JPEG in limit.types:
            yield Attempt(PNG, *start, 256)
            yield Attempt(PNG, *_scaled(*start, 0.5), 256)
    if JPEG in limit.types:
        for size in _sizes(*start):
            yield Attempt(JPEG, *size, 85)
            yield Attempt(JPEG, *size, 70)
    elif PNG in limit.types:
        for size in _sizes(*start):
            yield Attempt(PNG, *size, 256)


def _animations(frames: int, start: tuple[int, int]) -> Iterator[Attempt]:
    for size in _sizes(*start):
        for step in (1, 2, 4):
            if step < frames and math.prod(size) * frames <= step * _ANIMATION_PIXELS_MAX:
                yield Attempt(GIF, *size, step)


def as_attempt(source: Source) -> Attempt:
    """The source as if it were an attempt of ours that came out too large."""
    return Attempt(source.content_type, source.width, source.height, 1 if source.content_type == GIF else 0)


def is_hopeless(attempt: Attempt, failed: Attempt, octets: int, limit: ImageLimit) -> bool:
    """Whether `attempt` will be far too large, judged by one that came out as `octets`.

    Nothing is said between content types, nor of the smallest size, which is always tried.
    """
    if attempt.content_type != failed.content_type or attempt.width * attempt.height <= 2 * _PIXELS_MIN:
        return False
    return octets * _weight(attempt) / _weight(failed) > _SLACK * limit.max_octets


def _weight(attempt: Attempt) -> float:
    pixels = attempt.width * attempt.height
    if attempt.content_type == GIF:
        return pixels / attempt.grade
    return pixels * _WEIGHTS.get((attempt.content_type, attempt.grade), 1.0)


def _sizes(width: int, height: int) -> Iterator[tuple[int, int]]:
    """Ever smaller sizes, at least one."""
    scale = 1.0
    while True:
        size = _scaled(width, height, scale)
        yield size
        scale *= _STEP
        if math.prod(_scaled(width, height, scale)) < _PIXELS_MIN:
            return


def _scaled(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))

"""Pictures for tests: they look like something, so that they take octets, and are the same at every run."""

import io
import random
import struct
import zlib
from functools import cache

from PIL import Image


@cache
def photo(width: int = 640, height: int = 480) -> Image.Image:
    """Soft colours with grain."""
    coarse = random.Random(1).randbytes(20 * 15 * 3)
    soft = Image.frombytes("RGB", (20, 15), coarse).resize((width, height), Image.Resampling.BICUBIC)
    grain = Image.frombytes("L", (width, height), random.Random(2).randbytes(width * height)).convert("RGB")
    return Image.blend(soft, grain, 0.2)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The octets of a picture as JPEG, PNG, GIF or WEBP."""
    written = io.BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()


def transparent(width: int = 640, height: int = 480) -> Image.Image:
    """A photograph that fades from left to right."""
    picture = photo(width, height).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").rotate(90).resize(picture.size))
    return picture


def animation(frames: int = 12, width: int = 200, height: int = 150, duration_ms: int = 50) -> bytes:
    """A turning photograph that repeats for ever."""
    pictures = [photo(width, height).rotate(number * 10) for number in range(frames)]
    return encoded(
        pictures[0], "GIF", save_all=True, append_images=pictures[1:], duration=duration_ms, loop=0
    )


def decoded(octets: bytes) -> Image.Image:
    """The picture in the octets, read to its end."""
    picture = Image.open(io.BytesIO(octets))
    picture.load()
    return picture


def png_header(width: int, height: int) -> bytes:
    """A PNG that says to have so many pixels and has next to none: a bomb's outside."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )

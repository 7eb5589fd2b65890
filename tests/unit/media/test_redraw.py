"""Pictures made to fit: what comes out shows the same, fits, and says nothing about where it was taken."""

import tracemalloc

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from support.pictures import animation, decoded, encoded, photo, png_header, transparent
from trebuchet.media.images import GIF, JPEG, PNG, WEBP, BadImage, CannotFit, Fitted, ImageLimit
from trebuchet.media.redraw import fit
from trebuchet.media.sniff import sniff

ALL = frozenset({JPEG, PNG, GIF})


def shrunk(octets: bytes, max_octets: int, types: frozenset[str] = ALL) -> tuple[Fitted, Image.Image]:
    """What fits, checked to fit and to be what it says; and the picture in it."""
    fitted = fit(octets, sniff(octets), ImageLimit(max_octets, types))
    assert len(fitted.octets) <= max_octets
    assert fitted.content_type in types
    assert sniff(fitted.octets) == fitted.content_type
    return fitted, decoded(fitted.octets)


def likeness(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of colours, 0 to 255, of both on white and in small."""

    def small(picture: Image.Image) -> bytes:
        rgba = picture.convert("RGBA")
        on_white = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return on_white.convert("RGB").resize((32, 32), Image.Resampling.BOX).tobytes()

    pairs = list(zip(small(one), small(other), strict=True))
    return sum(abs(a - b) for a, b in pairs) / len(pairs)


PICTURES = {
    "jpeg": encoded(photo(800, 600), "JPEG", quality=95),
    "progressive": encoded(photo(800, 600), "JPEG", quality=95, progressive=True),
    "grey": encoded(photo(800, 600).convert("L"), "JPEG", quality=95),
    "cmyk": encoded(photo(800, 600).convert("CMYK"), "JPEG", quality=95),
    "png": encoded(photo(480, 360), "PNG"),
    "png palette": encoded(photo().quantize(200), "PNG"),
    "png 16 bits": encoded(photo().convert("L").convert("I").point(lambda v: v * 257).convert("I;16"), "PNG"),
    "png grey alpha": encoded(transparent().convert("LA"), "PNG"),
    "png alpha": encoded(transparent(), "PNG"),
    "gif": encoded(photo(), "GIF"),
    "webp": encoded(photo(800, 600), "WEBP", quality=95),
    "webp lossless": encoded(photo(), "WEBP", lossless=True),
    "webp alpha": encoded(transparent(800, 600), "WEBP", quality=95),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("max_octets", [100_000, 30_000, 8_000])
def test_a_picture_that_does_not_fit_is_made_to(name: str, max_octets: int) -> None:
    """Of every kind, to less than half and to a tenth: it still shows the same."""
    octets = PICTURES[name]
    assert len(octets) > max_octets
    _, picture = shrunk(octets, max_octets)
    before = decoded(octets)
    if before.mode == "I;16":
        before = photo().convert("L")
    assert likeness(picture, before) < 8
    assert abs(picture.width / picture.height - before.width / before.height) < 0.03


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_fits_is_left_alone(name: str) -> None:
    """To the last octet, metadata included: nothing is decoded."""
    octets = PICTURES[name]
    limit = ImageLimit(len(octets), ALL | {WEBP})
    assert fit(octets, sniff(octets), limit) == Fitted(octets, sniff(octets))


@pytest.mark.parametrize(
    ("name", "types", "content_type"),
    [
        ("webp", ALL, JPEG),
        ("webp", frozenset({PNG}), PNG),
        ("webp lossless", frozenset({PNG, GIF}), PNG),
        ("webp alpha", ALL, PNG),
        ("gif", frozenset({JPEG}), JPEG),
        ("png alpha", frozenset({JPEG}), JPEG),
        ("jpeg", frozenset({PNG}), PNG),
    ],
)
def test_a_type_that_the_carrier_does_not_know_becomes_one_that_it_knows(
    name: str, types: frozenset[str], content_type: str
) -> None:
    """Although it would fit by its octets."""
    fitted, picture = shrunk(PICTURES[name], 3_000_000, types)
    assert fitted.content_type == content_type
    assert likeness(picture, decoded(PICTURES[name])) < 6


def test_transparency_is_kept_while_it_fits() -> None:
    """As PNG; at last the picture stands on white."""
    octets = PICTURES["png alpha"]
    fitted, picture = shrunk(octets, 250_000)
    assert fitted.content_type == PNG
    alphas = picture.convert("RGBA").getchannel("A").tobytes()
    assert min(alphas) < 5
    assert max(alphas) > 250
    fitted, picture = shrunk(octets, 20_000)
    assert fitted.content_type == JPEG
    assert max(picture.convert("L").tobytes()) > 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_may_have_been_held_in_any_way(orientation: int) -> None:
    """The picture is turned upright, because what says how to turn it goes with the metadata."""
    upright = Image.new("RGB", (900, 600), "blue")
    upright.paste("red", (0, 0, 450, 300))
    upright.paste("lime", (450, 0, 900, 300))
    upright = Image.blend(upright, photo(900, 600), 0.3)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that a camera so held makes
    written = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    _, picture = shrunk(encoded(written, "JPEG", quality=95, exif=exif), 40_000)
    assert picture.width > picture.height
    assert likeness(picture, upright) < 6
    assert picture.getexif().get(0x0112, 1) == 1


def test_metadata_are_gone_and_a_small_colour_profile_stays() -> None:
    """Place, camera, thumbnail and comments are nobody's business; the profile is part of the colours."""
    exif = Image.Exif()
    exif[0x010F] = "SECRET MAKER"
    exif.get_ifd(0x8825)[1] = "SECRET PLACE"
    small, large = b"profile" * 50, b"profile" * 5000
    for profile in (small, large):
        octets = encoded(
            photo(800, 600), "JPEG", quality=95, exif=exif, icc_profile=profile, comment=b"SECRET WORDS"
        )
        assert octets.count(b"SECRET") >= 2
        fitted, picture = shrunk(octets, 100_000)
        assert b"SECRET" not in fitted.octets
        assert picture.info.get("icc_profile") == (profile if profile is small else None)


def test_comments_of_other_types_are_gone_too() -> None:
    """Of GIF, as an animation and as a still, and of PNG."""
    frames = [photo(200, 150).rotate(number * 10) for number in range(6)]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, comment=b"SECRET")
    words = PngInfo()
    words.add_text("Comment", "SECRET")
    png = encoded(photo(), "PNG", pnginfo=words)
    for octets in (gif, png):
        assert b"SECRET" in octets
        for part in (2, 20):
            fitted, _ = shrunk(octets, len(octets) // part)
            assert b"SECRET" not in fitted.octets


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0" + bytes(40)])
def test_broken_metadata_do_not_spoil_the_picture(exif: bytes) -> None:
    """Then it is not turned."""
    shrunk(encoded(photo(800, 600), "JPEG", quality=95, exif=exif), 50_000)


def test_an_animation_stays_one_in_less_room() -> None:
    """Smaller or with fewer frames, as long together as before, repeated as before."""
    octets = animation()
    for part in (2, 4, 10):
        fitted, picture = shrunk(octets, len(octets) // part)
        assert fitted.content_type == GIF
        frames = getattr(picture, "n_frames", 1)
        assert 2 <= frames <= 12
        total_ms = 0
        for number in range(frames):
            picture.seek(number)
            total_ms += picture.info["duration"]
        assert total_ms == 12 * 50
        assert picture.info["loop"] == 0


def test_a_transparent_animation_stays_transparent() -> None:
    """What shines through does so in every frame."""
    frames = [Image.new("RGBA", (300, 300)) for _ in range(6)]
    for number, frame in enumerate(frames):
        frame.paste(photo(100, 100), (number * 40, number * 30))
    octets = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, disposal=2)
    _, picture = shrunk(octets, len(octets) // 2)
    assert getattr(picture, "n_frames", 1) > 1
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        assert picture.convert("RGBA").getpixel((0, picture.height - 1)) == (0, 0, 0, 0) or number == 0


def test_an_animation_that_cannot_stay_one_becomes_its_first_frame() -> None:
    """Where the carrier knows no GIF, or takes too few octets."""
    first = decoded(animation())
    for max_octets, types in ((2_500, ALL), (100_000, frozenset({JPEG}))):
        fitted, picture = shrunk(animation(), max_octets, types)
        assert fitted.content_type == JPEG
        assert likeness(picture, first) < 12


@pytest.mark.parametrize("name", PICTURES)
def test_a_limit_too_small_for_any_picture_is_an_error(name: str) -> None:
    """The ladder ends."""
    with pytest.raises(CannotFit, match="cannot be made to fit 200 octets"):
        fit(PICTURES[name], sniff(PICTURES[name]), ImageLimit(200))


@pytest.mark.parametrize(
    ("content_type", "types"),
    [("video/mp4", ALL), ("image/bmp", ALL), ("image/heic", ALL), (JPEG, frozenset({"video/mp4"}))],
)
def test_what_cannot_be_made_smaller_is_an_error(content_type: str, types: frozenset[str]) -> None:
    """Other media, and pictures for a carrier that takes none of ours."""
    with pytest.raises(CannotFit):
        fit(PICTURES["jpeg"], content_type, ImageLimit(1000, types))


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("part", [0.001, 0.01, 0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(name: str, part: float) -> None:
    """Wherever it ends before its end."""
    octets = PICTURES[name][: int(len(PICTURES[name]) * part)]
    with pytest.raises(BadImage):
        fit(octets, sniff(PICTURES[name]), ImageLimit(100))


@pytest.mark.parametrize("content_type", [JPEG, PNG, GIF, WEBP])
@pytest.mark.parametrize("octets", [b"", b"\0" * 1000, b"hello" * 100, PICTURES["jpeg"][:2] + bytes(1000)])
def test_what_is_no_picture_is_refused(content_type: str, octets: bytes) -> None:
    """Whatever its type was taken for."""
    with pytest.raises((BadImage, CannotFit)):
        fit(octets, content_type, ImageLimit(-1))


def webp_header(width: int, height: int, kind: bytes) -> bytes:
    """A WebP that says to have so many pixels, in each of its three ways."""
    wide, high = (width - 1).to_bytes(3, "little"), (height - 1).to_bytes(3, "little")
    if kind == b"VP8X":
        body = b"\x02\0\0\0" + wide + high
    elif kind == b"VP8L":
        body = b"\x2f" + (width - 1 | height - 1 << 14).to_bytes(4, "little") + bytes(20)
    else:
        body = (
            b"\x10\x02\0\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + bytes(20)
        )
    chunk = kind + len(body).to_bytes(4, "little") + body
    return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk + bytes(2000)


BOMBS = [
    (PNG, png_header(50_000, 50_000) + bytes(2000)),
    (PNG, png_header(2**31 - 1, 2**31 - 1) + bytes(2000)),
    (PNG, png_header(24_001, 1000) + bytes(2000)),
    (GIF, b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\0\0\0\0\xff\xff\xff\xff\x00\x02\x02D\x01\x00;" + bytes(2000)),
    (WEBP, webp_header(16_384, 16_384, b"VP8X")),
    (WEBP, webp_header(16_384, 16_384, b"VP8L")),
    (WEBP, webp_header(16_383, 16_383, b"VP8 ")),
    (JPEG, b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\1\x11\0\2\x11\1\3\x11\1\xff\xda" + bytes(2000)),
]


@pytest.mark.parametrize(("content_type", "octets"), BOMBS)
def test_a_bomb_is_refused_before_it_is_decoded(content_type: str, octets: bytes) -> None:
    """By what its header says; no memory is taken for it."""
    tracemalloc.start()
    try:
        with pytest.raises(BadImage):
            fit(octets, content_type, ImageLimit(1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000

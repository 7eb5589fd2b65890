"""Whatever octets come as a picture, there is one that fits, or BadImage, or CannotFit."""

from hypothesis import given, settings
from hypothesis import strategies as st

from support.pictures import animation, decoded, encoded, photo, png_header, transparent
from trebuchet.media.images import GIF, JPEG, PNG, WEBP, BadImage, CannotFit, ImageLimit
from trebuchet.media.redraw import fit
from trebuchet.media.sniff import sniff

EXAMPLES = settings(max_examples=300, deadline=None)

# Small, so that a change is likely to meet a header.
SEEDS = [
    encoded(photo(40, 30), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    encoded(photo(40, 30), "JPEG", progressive=True),
    encoded(photo(40, 30).convert("CMYK"), "JPEG"),
    encoded(photo(20, 15), "PNG"),
    encoded(transparent(20, 15), "PNG"),
    encoded(photo(20, 15).quantize(16), "PNG"),
    encoded(photo(20, 15), "GIF"),
    animation(3, 20, 15),
    encoded(photo(40, 30), "WEBP"),
    encoded(transparent(40, 30), "WEBP"),
    encoded(photo(20, 15), "WEBP", lossless=True),
    png_header(20, 15),
]
limits = st.builds(
    ImageLimit, st.sampled_from([0, 300, 900]), st.frozensets(st.sampled_from([JPEG, PNG, GIF]), min_size=1)
)
types = st.sampled_from([JPEG, PNG, GIF, WEBP])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A picture with octets changed, most of them in its header, and now and then some cut out or put in."""
    octets = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, min(len(octets) - 1, draw(st.sampled_from([40, 120, 5000])))))
        octets[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    start = draw(st.integers(0, len(octets)))
    end = draw(st.sampled_from([start, start, start + 1, start + 9]))
    return bytes(octets[:start]) + draw(st.binary(max_size=4)) + bytes(octets[end:])


def check(octets: bytes, content_type: str, limit: ImageLimit) -> None:
    """The promise: what comes out fits, is of a type that was asked for, and can be decoded."""
    try:
        fitted = fit(octets, content_type, limit)
    except (BadImage, CannotFit):
        return
    assert len(fitted.octets) <= limit.max_octets
    assert fitted.content_type in limit.types
    if fitted.octets != octets:
        assert sniff(fitted.octets) == fitted.content_type
        decoded(fitted.octets)


@EXAMPLES
@given(damaged(), limits)
def test_any_damaged_picture_fits_or_is_refused(octets: bytes, limit: ImageLimit) -> None:
    """Of the type that it still looks like."""
    check(octets, sniff(octets), limit)


@EXAMPLES
@given(damaged(), types, limits)
def test_any_picture_under_any_type_fits_or_is_refused(
    octets: bytes, content_type: str, limit: ImageLimit
) -> None:
    """Also under a type that it is not."""
    check(octets, content_type, limit)


@EXAMPLES
@given(st.binary(max_size=200), types, limits)
def test_any_octets_fit_or_are_refused(octets: bytes, content_type: str, limit: ImageLimit) -> None:
    """Octets that are no picture at all."""
    check(octets, content_type, limit)

"""What is tried to make a picture fit, and what is not even decoded."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.media.images import (
    FRAMES_MAX,
    GIF,
    JPEG,
    JPEG_PIXELS_MAX,
    PIXELS_MAX,
    PNG,
    WEBP,
    Attempt,
    BadImage,
    ImageLimit,
    Source,
    as_attempt,
    fits,
    is_hopeless,
    ladder,
    largest,
    refuse_bomb,
)

LIMIT = ImageLimit(600_000)


@pytest.mark.parametrize(
    ("size", "content_type", "limit", "fit"),
    [
        (600_000, JPEG, LIMIT, True),
        (600_001, JPEG, LIMIT, False),
        (10, WEBP, LIMIT, False),
        (10, WEBP, ImageLimit(10, frozenset({WEBP})), True),
        (10, "image/bmp", LIMIT, False),
        (10, "image/bmp", ImageLimit(10, frozenset({"image/bmp"})), True),
    ],
)
def test_a_picture_fits_by_octets_and_type(
    size: int, content_type: str, limit: ImageLimit, fit: bool
) -> None:
    """Then it stays as it is, whatever it shows."""
    assert fits(bytes(size), content_type, limit) is fit


@pytest.mark.parametrize(
    "source",
    [
        Source(PNG, 100, 6000, 4000),
        Source(JPEG, 100, 10_000, 8000),
        Source(JPEG, 100, 6000, 4000, progressive=True),
        Source(GIF, 100, 400, 500, frames=FRAMES_MAX),
    ],
)
def test_what_bounded_memory_holds_is_decoded(source: Source) -> None:
    """At the limits of pixels, of JPEG's pixels, and of frames."""
    refuse_bomb(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Source(PNG, 100, PIXELS_MAX + 1, 1), "24000001 pixels; at most 24000000"),
        (Source(WEBP, 100, 16384, 16384), "pixels"),
        (Source(GIF, 100, 65535, 65535), "pixels"),
        (Source(JPEG, 100, JPEG_PIXELS_MAX + 1, 1), "80000001 pixels; at most 80000000"),
        (Source(JPEG, 100, 10_000, 8000, progressive=True), "80000000 pixels; at most 24000000"),
        (Source(GIF, 100, 1, 1, frames=FRAMES_MAX + 1), "1001 frames"),
        (Source(GIF, 100, 2000, 1000, frames=101), "101 frames of 2000000 pixels"),
    ],
)
def test_a_bomb_is_refused_by_its_header(source: Source, words: str) -> None:
    """A few octets that unpack to gigabytes, in one frame or in many."""
    with pytest.raises(BadImage, match=words):
        refuse_bomb(source)


def kinds(source: Source, *types: str) -> list[str]:
    """The content types that are tried, in order, each run once."""
    tried = [attempt.content_type for attempt in ladder(source, ImageLimit(100_000, frozenset(types)))]
    return [*(a for a, b in pairwise(tried) if a != b), *tried[-1:]]


@pytest.mark.parametrize(
    ("source", "types", "tried"),
    [
        (Source(JPEG, 1, 640, 480), (JPEG, PNG, GIF), [JPEG]),
        (Source(JPEG, 1, 640, 480), (PNG,), [PNG]),
        (Source(PNG, 1, 640, 480), (JPEG, PNG, GIF), [PNG, JPEG]),
        (Source(PNG, 1, 640, 480, alpha=True), (JPEG, PNG, GIF), [PNG, JPEG]),
        (Source(PNG, 1, 640, 480), (JPEG,), [JPEG]),
        (Source(PNG, 1, 640, 480), (PNG,), [PNG]),
        (Source(PNG, 1, 4000, 3000), (JPEG, PNG), [JPEG]),
        (Source(WEBP, 1, 640, 480), (JPEG, PNG, GIF), [JPEG]),
        (Source(WEBP, 1, 640, 480, alpha=True), (JPEG, PNG, GIF), [PNG, JPEG]),
        (Source(GIF, 1, 640, 480), (JPEG, PNG, GIF), [PNG, JPEG]),
        (Source(GIF, 1, 640, 480, frames=9), (JPEG, PNG, GIF), [GIF, PNG, JPEG]),
        (Source(GIF, 1, 640, 480, frames=9), (JPEG,), [JPEG]),
        (Source(GIF, 1, 640, 480), (GIF,), []),
        (Source(JPEG, 1, 640, 480), ("video/mp4",), []),
    ],
)
def test_the_ladder_goes_from_the_better_type_to_the_smaller(
    source: Source, types: tuple[str, ...], tried: list[str]
) -> None:
    """Animation, then all colours, then JPEG; only what the carrier knows."""
    assert kinds(source, *types) == tried


def test_transparency_is_kept_down_to_half_the_size() -> None:
    """With all colours, with 256, with 256 at half the size; then it is put on white."""
    attempts = list(ladder(Source(PNG, 1, 640, 480, alpha=True), LIMIT))
    assert attempts[:4] == [
        Attempt(PNG, 640, 480),
        Attempt(PNG, 640, 480, 256),
        Attempt(PNG, 320, 240, 256),
        Attempt(JPEG, 640, 480, 85),
    ]


sides = st.integers(1, 70_000)
octets = st.integers(1, 10_000_000)
sources = st.builds(
    Source, st.sampled_from([JPEG, PNG, WEBP]), octets, sides, sides, st.booleans()
) | st.builds(Source, st.just(GIF), octets, sides, sides, st.booleans(), st.integers(1, FRAMES_MAX))
limits = st.builds(
    ImageLimit,
    st.integers(1, 10_000_000),
    st.frozensets(st.sampled_from([JPEG, PNG, GIF, WEBP, "image/bmp"])),
)


@given(sources, limits)
def test_every_ladder_ends_and_never_enlarges(source: Source, limit: ImageLimit) -> None:
    """At most about a hundred attempts, of types that the carrier knows, no side longer than it was."""
    attempts = list(ladder(source, limit))
    assert len(attempts) <= 120
    for attempt in attempts:
        assert attempt.content_type in limit.types
        assert 1 <= attempt.width <= source.width
        assert 1 <= attempt.height <= source.height
    if {JPEG, PNG} & limit.types:
        assert attempts


@given(sources, limits)
def test_what_is_decoded_is_bounded_by_the_limit(source: Source, limit: ImageLimit) -> None:
    """A small limit needs few pixels; no side is beyond what JPEG and handsets take."""
    width, height = largest(source, limit)
    assert max(width, height) <= 8192
    # A side that would round to nothing is one.
    assert width * height <= 1.01 * min(12_000_000, 8 * limit.max_octets) + width + height


def test_an_attempt_far_over_the_limit_is_not_made() -> None:
    """Judged by one of the same type that came out too large; the smallest is always tried."""
    failed = Attempt(JPEG, 1000, 1000, 85)
    limit = ImageLimit(100_000)
    assert is_hopeless(Attempt(JPEG, 750, 750, 85), failed, 300_000, limit)
    assert not is_hopeless(Attempt(JPEG, 500, 500, 85), failed, 300_000, limit)
    assert not is_hopeless(Attempt(JPEG, 750, 750, 70), failed, 300_000, limit)
    assert not is_hopeless(Attempt(PNG, 1000, 1000, 256), failed, 300_000, limit)
    assert not is_hopeless(Attempt(JPEG, 80, 80, 85), failed, 900_000_000, limit)


def test_fewer_frames_make_an_animation_smaller() -> None:
    """Every second frame counts half."""
    source = Source(GIF, 300_000, 100, 100, frames=20)
    limit = ImageLimit(100_000)
    assert is_hopeless(Attempt(GIF, 100, 100, 2), as_attempt(source), source.octets, limit)
    assert not is_hopeless(Attempt(GIF, 100, 100, 4), as_attempt(source), source.octets, limit)

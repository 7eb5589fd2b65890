"""How the parts of a message share what the carrier takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.media.budget import PICTURE_MIN, plan
from trebuchet.media.images import GIF, JPEG, PNG, WEBP, CannotFit

TEXT, VIDEO = "text/plain", "video/mp4"


@pytest.mark.parametrize(
    ("parts", "limit", "budgets"),
    [
        ([], 0, []),
        ([(100, JPEG)], 100, [100]),
        ([(500_000, JPEG)], 300_000, [300_000]),
        ([(100, TEXT), (500_000, JPEG)], 300_000, [100, 299_900]),
        ([(200_000, VIDEO), (500_000, JPEG)], 300_000, [200_000, 100_000]),
        ([(500_000, JPEG), (400_000, PNG)], 300_000, [150_000, 150_000]),
        ([(50_000, JPEG), (400_000, PNG), (400_000, GIF)], 300_000, [50_000, 125_000, 125_000]),
        ([(400_000, GIF), (50_000, JPEG), (60_000, PNG)], 300_000, [190_000, 50_000, 60_000]),
        ([(300_000, VIDEO)], 300_000, [300_000]),
        # What WebP becomes may be larger than it was.
        ([(50_000, WEBP)], 300_000, [100_000]),
        ([(50_000, WEBP), (10_000, JPEG)], 70_000, [60_000, 10_000]),
    ],
)
def test_pictures_share_what_the_others_leave(
    parts: list[tuple[int, str]], limit: int, budgets: list[int]
) -> None:
    """What cannot be made smaller keeps its size, small pictures keep theirs, great ones share the rest."""
    assert plan([size for size, _ in parts], [name for _, name in parts], limit) == budgets


@pytest.mark.parametrize(
    ("parts", "limit"),
    [
        ([(300_001, VIDEO)], 300_000),
        ([(200_000, VIDEO), (200_000, VIDEO)], 300_000),
        ([(299_000, VIDEO), (500_000, JPEG)], 300_000),
        ([(300_001, VIDEO), (5, JPEG)], 300_000),
        ([(100_000, JPEG)] * 200, 300_000),
        ([(1, JPEG)], 0),
    ],
)
def test_a_message_without_room_for_a_picture_cannot_fit(parts: list[tuple[int, str]], limit: int) -> None:
    """It fails before anything is decoded."""
    with pytest.raises(CannotFit, match=f"cannot be made to fit {limit}"):
        plan([size for size, _ in parts], [name for _, name in parts], limit)


@given(
    st.lists(
        st.tuples(st.integers(1, 5_000_000), st.sampled_from([JPEG, PNG, GIF, WEBP, TEXT, VIDEO])),
        max_size=12,
    ),
    st.integers(0, 6_000_000),
)
def test_budgets_keep_to_the_whole(parts: list[tuple[int, str]], limit: int) -> None:
    """Together within the limit; nothing that is rigid is cut; no picture gets less than is worth showing."""
    sizes = [size for size, _ in parts]
    try:
        budgets = plan(sizes, [name for _, name in parts], limit)
    except CannotFit:
        return
    assert sum(budgets) <= limit
    for budget, (size, name) in zip(budgets, parts, strict=True):
        if name in {TEXT, VIDEO}:
            assert budget == size
        else:
            assert budget >= min(size, PICTURE_MIN)
    if sum(sizes) > limit:
        # Nothing is given away: but for what does not divide, the pictures have all of it.
        assert sum(budgets) > limit - len(parts)

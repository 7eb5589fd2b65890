"""How many octets each part of a message may have, so that the whole fits the carrier. Pure."""

from collections.abc import Sequence

from trebuchet.media.images import SHRINKABLE, WEBP, CannotFit

# Less is not worth a handset's screen.
PICTURE_MIN = 2048


def plan(sizes: Sequence[int], types: Sequence[str], limit_total: int) -> list[int]:
    """The octets that each part may have, together at most `limit_total`.

    What cannot be made smaller keeps its size. Pictures share the rest equally, and what a small one does not
    need goes to the others. A part's budget may be more than it has: a WebP that becomes JPEG may grow.
    `limit_total` is without headers and transfer encoding. Raises CannotFit when no room is left for a picture.
    """
    wishes = [
        size * 2 if content_type == WEBP else size for size, content_type in zip(sizes, types, strict=True)
    ]
    budgets = list(wishes)
    pictures = [place for place, content_type in enumerate(types) if content_type in SHRINKABLE]
    room = limit_total - sum(size for place, size in enumerate(sizes) if place not in pictures)
    # Smallest wish first: each takes at most an equal share, and what it leaves is shared by the greater ones.
    for left, place in zip(
        range(len(pictures), 0, -1), sorted(pictures, key=wishes.__getitem__), strict=True
    ):
        budgets[place] = min(wishes[place], room // left)
        if budgets[place] < min(sizes[place], PICTURE_MIN):
            break
        room -= budgets[place]
    else:
        if room >= 0:
            return budgets
    raise CannotFit(f"{len(sizes)} parts of {sum(sizes)} octets cannot be made to fit {limit_total}")

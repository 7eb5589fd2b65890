"""What becomes of a part, given those of its set that are there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trebuchet.model.parts import HeldPart, Holding, PartsKey, hold

T0 = 1_767_225_600_000


def part(number: int, octets: bytes = b"text", at_ms: int = T0, total: int = 3) -> HeldPart:
    return HeldPart("sim", "+1", "+2", 42, 8, total, number, "GSM-7", octets, 0, at_ms, "")


def there(*parts: HeldPart) -> dict[int, HeldPart]:
    return {p.number: p for p in parts}


OTHER = part(1, b"other")


@pytest.mark.parametrize(
    ("those", "new", "expected"),
    [
        (there(), part(1, total=1), Holding.COMPLETE),
        (there(), part(1), Holding.HELD),
        (there(part(1)), part(2), Holding.HELD),
        (there(part(3), part(1)), part(2), Holding.COMPLETE),
        (there(part(1)), part(1, at_ms=T0 + 9), Holding.HELD),
        (there(part(1), part(2), part(3)), part(1, at_ms=T0 + 9), Holding.COMPLETE),
        (there(part(1, at_ms=T0)), OTHER, Holding.ALONE),
        (there(part(1, at_ms=T0 - 1)), OTHER, Holding.IN_THE_WAY),
        (there(part(1), part(2, at_ms=T0 - 1)), OTHER, Holding.IN_THE_WAY),
        (there(part(1), part(2), part(3)), OTHER, Holding.IN_THE_WAY),
        (there(part(1)), replace(part(1), encoding="UCS-2"), Holding.ALONE),
    ],
    ids=[
        "a message of one part", "the first part", "one of more", "the last part", "a repeated part",
        "a repeated part of a whole set", "another in a young set", "another in an old set",
        "another in a set of which one part is old", "another in a whole set", "the same octets, read otherwise",
    ],
)  # fmt: skip
def test_what_becomes_of_a_part(those: dict[int, HeldPart], new: HeldPart, expected: Holding) -> None:
    """Sets that began before T0 are old."""
    assert hold(those, new, T0) is expected


@given(st.permutations(range(1, 6)), st.data())
def test_a_set_is_whole_exactly_when_all_its_numbers_came(order: list[int], data: st.DataObject) -> None:
    """Whatever the order and however often a part comes."""
    held: dict[int, HeldPart] = {}
    came = [*order, *data.draw(st.lists(st.sampled_from(order)))]
    for number in data.draw(st.permutations(came)):
        holding = hold(held, part(number, total=5), T0)
        held.setdefault(number, part(number, total=5))
        assert holding is (Holding.COMPLETE if len(held) == 5 else Holding.HELD)


def test_the_key_is_all_that_parts_have_in_common() -> None:
    """In the order of the columns."""
    assert part(2).key == PartsKey("sim", "+1", "+2", 42, 8, 3)
    assert list(PartsKey.__struct_fields__) == list(HeldPart.__struct_fields__[:6])

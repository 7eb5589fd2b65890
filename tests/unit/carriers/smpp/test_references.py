"""Which number ties the parts of a long message together."""

from trebuchet.carriers.smpp.references import References

PAIR = ("+12345678901", "+12025550123")


def test_messages_of_one_pair_count_up() -> None:
    """So the parts of two that are under way are not mixed; other pairs count for themselves."""
    references = References()
    first = references.next(*PAIR, "a")
    assert 0 <= first <= 0xFFFF
    references.next(PAIR[0], "+12025550124", "x")
    assert [references.next(*PAIR, message) for message in "bc"] == [
        (first + 1) & 0xFFFF,
        (first + 2) & 0xFFFF,
    ]


def test_a_repeated_message_has_the_same() -> None:
    """A handset that has some of the parts can join them with the others; also after a restart."""
    references = References()
    assert references.next(*PAIR, "a") == references.next(*PAIR, "a") == References().next(*PAIR, "a")


def test_it_goes_round() -> None:
    """The reference has 16 bits."""
    references = References()
    first = references.next(*PAIR, "start")
    for number in range(0x10000):
        last = references.next(*PAIR, str(number))
    assert last == first


def test_no_more_pairs_are_remembered_than_ten_thousand() -> None:
    """The oldest begins anew."""
    references = References()
    first = references.next(*PAIR, "a")
    for number in range(10_000):
        references.next(PAIR[0], str(number), "a")
    assert references.next(*PAIR, "a") == first
    assert references.next(*PAIR, "b") == (first + 1) & 0xFFFF

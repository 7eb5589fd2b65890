"""Numbers as the HTTP edge takes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.model import address
from trebuchet.model.account import NumberKind
from trebuchet.model.address import NumberClass

E164, SHORT, ALPHA = NumberKind.E164, NumberKind.SHORT_CODE, NumberKind.ALPHANUMERIC


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+12345678901", "+12345678901"),
        ("+1234567", "+1234567"),  # the shortest
        ("+123456789012345", "+123456789012345"),  # the longest
        ("+4915112345678", "+4915112345678"),
        ("2345678901", "+12345678901"),  # North American without its country code
        ("12345678901", "+12345678901"),
        ("9195551234", "+19195551234"),
    ],
)
def test_telephone_numbers(written: str, number: str) -> None:
    """`+` and 7 to 15 digits, or ten digits of the North American plan with or without the 1 before them."""
    assert address.normalise_e164(written) == number
    assert address.normalise_sender(written) == number
    assert address.kind_of(written) is E164


@pytest.mark.parametrize(
    "written",
    [
        "", "+", "+123456", "+1234567890123456", "+0123456789", "0012345678901", "1345678901", "02345678901",
        "22345678901", "234567890", "+1 234 567 8901", "+1-234-567-8901", "(234) 567-8901", " +12345678901",
        "+12345678901 ", "+12345678901\n", "12345678901\n", "++12345678901", "+1234567890a", "tel:+12345678901",
        "+١٢٣٤٥٦٧٨٩٠١", "２３４５６７８９０１",
    ],
)  # fmt: skip
def test_what_is_no_telephone_number(written: str) -> None:
    """Nothing is stripped, guessed or repaired; digits are ASCII."""
    assert address.normalise_e164(written) is None


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("20000", SHORT),
        ("999999", SHORT),
        ("12345", None),  # short codes begin with 2 to 9
        ("2345", None),
        ("2345678", None),
        ("ACME", ALPHA),
        ("Acme Shop-1", ALPHA),
        ("a+b_c & d", ALPHA),
        ("A", ALPHA),
        ("12345a", ALPHA),
        ("Twelve Chars", None),
        ("ACME!", None),
        ("Ünïcode", None),
        ("123 456", None),  # needs a letter
        ("", None),
        ("ACME\n", None),
    ],
)
def test_short_codes_and_alphanumeric_senders(written: str, kind: NumberKind | None) -> None:
    """They are stored as they are written: never normalised."""
    assert address.kind_of(written) is kind
    assert address.normalise_sender(written) == (written if kind else None)


@given(st.text(max_size=20))
def test_a_normalised_sender_is_its_own_normal_form(written: str) -> None:
    """Normalising twice changes nothing, and the kind is kept."""
    number = address.normalise_sender(written)
    assert (number is None) == (address.kind_of(written) is None)
    if number is not None:
        assert address.normalise_sender(number) == number
        assert address.kind_of(number) is address.kind_of(written)


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_every_e164_number_is_taken_as_it_is(number: str) -> None:
    """Seven to fifteen digits of which the first is not 0."""
    assert address.normalise_e164(number) == number


@pytest.mark.parametrize(
    ("number", "emergency"),
    [
        ("911", True), ("+1911", True), ("1911", True), ("933", True), ("+1933", True), ("211", True), ("811", True),
        ("111", False), ("112", False), ("9111", False), ("+19115551234", False), ("+1233", False), ("+911", False),
        ("+12345678911", False), ("91100", False), ("911\n", False),
    ],
)  # fmt: skip
def test_emergency_numbers(number: str, emergency: bool) -> None:
    """The N11 services and 933, alone or behind the country code; not numbers that merely contain them."""
    assert address.is_emergency(number) is emergency


@pytest.mark.parametrize(
    ("number", "premium"),
    [
        ("+19005551234", True), ("+19765551234", True), ("+17005551234", True), ("+12129761234", True),
        ("+19015551234", False), ("+12125551976", False), ("+4490012345678", False), ("+12129771234", False),
        ("+190055512345", False), ("9005551234", False),
    ],
)  # fmt: skip
def test_premium_numbers(number: str, premium: bool) -> None:
    """The 900, 976 and 700 area codes and the 976 exchange of any area, in E.164."""
    assert address.is_premium(number) is premium


@pytest.mark.parametrize(
    ("number", "nanp"), [("+12345678901", True), ("+442012345678", False), ("20000", False)]
)
def test_north_american_numbers(number: str, nanp: bool) -> None:
    """Those of country code 1."""
    assert address.is_nanp(number) is nanp


@pytest.mark.parametrize(
    ("number", "class_"),
    [
        ("+12345678901", NumberClass.LOCAL),
        ("+4915112345678", NumberClass.LOCAL),
        *((f"+1{area}5551234", NumberClass.TOLL_FREE) for area in (800, 833, 844, 855, 866, 877, 888)),
        ("+18225551234", NumberClass.LOCAL),
        ("20000", NumberClass.SHORT_CODE),
        ("ACME", NumberClass.ALPHANUMERIC),
        ("1A", NumberClass.ALPHANUMERIC),
    ],
)
def test_the_class_of_a_stored_number(number: str, class_: NumberClass) -> None:
    """What searches tell apart."""
    assert address.class_of(number) is class_

"""How numbers go on the wire and come back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trebuchet.carriers.smpp.addresses import RULES, Address, Form, NumberClass, Rule, inbound, outbound


@pytest.mark.parametrize(
    ("number", "address"),
    [
        ("+12025550123", Address(1, 1, "12025550123")),
        ("+4915112345678", Address(1, 1, "4915112345678")),
        ("72345", Address(3, 0, "72345")),
        ("Trebuchet", Address(5, 0, "Trebuchet")),
    ],
)
def test_each_class_has_its_rule(number: str, address: Address) -> None:
    """E.164 international without plus, short codes network specific, names alphanumeric."""
    assert outbound(number) == address


@pytest.mark.parametrize(
    ("form", "number", "text"),
    [
        (Form.PLUS, "+12025550123", "+12025550123"),
        (Form.DOUBLE_ZERO, "+12025550123", "0012025550123"),
        (Form.NATIONAL, "+12025550123", "2025550123"),
    ],
)
def test_a_link_may_want_another_form(form: Form, number: str, text: str) -> None:
    """Of one class, and the others keep theirs."""
    rules = {NumberClass.E164: Rule(ton=2, npi=1, form=form)}
    assert outbound(number, rules) == Address(2, 1, text)
    assert outbound("72345", rules) == Address(3, 0, "72345")


@pytest.mark.parametrize("number", ["+4915112345678", "+4512345678"])
def test_national_form_is_for_the_home_country(number: str) -> None:
    """Another country's number stays international, or its ten digits would be a number at home."""
    rules = {NumberClass.E164: Rule(ton=2, npi=1, form=Form.NATIONAL)}
    assert outbound(number, rules) == Address(1, 1, number[1:])
    assert outbound(number, rules, home_country=number[1:3]) == Address(2, 1, number[3:])


@pytest.mark.parametrize(
    ("ton", "text", "number"),
    [
        (1, "12025550123", "+12025550123"),
        (1, "+12025550123", "+12025550123"),
        (2, "2025550123", "+12025550123"),
        (0, "2025550123", "+12025550123"),
        (2, "12025550123", "+12025550123"),  # 2 whatever the number is: a default of two gateways
        (0, "0044791112345678", "+44791112345678"),
        (0, "01144791112345678", "+44791112345678"),
        (1, "4915112345678", "+4915112345678"),
        (1, "4512345678", "+4512345678"),
        (0, "0029012345", "+29012345"),  # as short as numbers are
        (0, "01129012345", "+29012345"),
        (0, "0123456789", "0123456789"),  # no country's code starts with 0
        (3, "72345", "72345"),
        (0, "723456", "723456"),
        (5, "Trebuchet", "Trebuchet"),
        (0, "", ""),
    ],
)
def test_what_a_peer_means(ton: int, text: str, number: str) -> None:
    """The digits say more than the type of number does."""
    assert inbound(ton, 1, text) == number


@pytest.mark.parametrize("text", ["015112345678", "15112345678", "004915112345678"])
def test_national_numbers_of_another_home(text: str) -> None:
    """With the trunk prefix or without; a country's code goes before the type of number."""
    assert inbound(2, 1, text, home_country="49") == "+4915112345678"


@given(
    st.from_regex(r"\+1[2-9][0-9]{9}|\+[2-9][0-9]{6,14}", fullmatch=True),
    st.sampled_from([(Form.DIGITS, 1), (Form.PLUS, 1), (Form.DOUBLE_ZERO, 0), (Form.NATIONAL, 2)]),
)
def test_an_e164_number_comes_back_as_it_went(number: str, form: tuple[Form, int]) -> None:
    """In every form, whatever its length."""
    address = outbound(number, {NumberClass.E164: Rule(ton=form[1], npi=1, form=form[0])})
    assert inbound(address.ton, address.npi, address.text) == number


@given(st.integers(0, 6), st.from_regex(r"[0-9]{1,20}", fullmatch=True), st.sampled_from(["1", "44", "49"]))
def test_no_country_s_code_starts_with_0(ton: int, text: str, home_country: str) -> None:
    """A number with a plus is one that can be dialled."""
    assert not inbound(ton, 1, text, home_country=home_country).startswith("+0")


@given(st.integers(0, 255), st.text(max_size=30))
def test_any_address_is_read(ton: int, text: str) -> None:
    """Nothing a peer writes makes it fail."""
    assert isinstance(inbound(ton, 0, text), str)


def test_every_class_has_a_rule() -> None:
    """So none is forgotten."""
    assert set(RULES) == set(NumberClass)

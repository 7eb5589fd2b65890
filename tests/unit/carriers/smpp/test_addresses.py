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
        (Form.NATIONAL, "+4915112345678", "4915112345678"),
    ],
)
def test_a_link_may_want_another_form(form: Form, number: str, text: str) -> None:
    """National form is for numbers of the home country only."""
    rules = {NumberClass.E164: Rule(ton=2, npi=1, form=form)}
    assert outbound(number, rules) == Address(2, 1, text)
    assert outbound("72345", rules) == Address(3, 0, "72345")


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
        (3, "72345", "72345"),
        (0, "723456", "723456"),
        (5, "Trebuchet", "Trebuchet"),
        (0, "", ""),
    ],
)
def test_what_a_peer_means(ton: int, text: str, number: str) -> None:
    """The digits say more than the type of number does."""
    assert inbound(ton, 1, text) == number


def test_national_numbers_of_another_home() -> None:
    """Without the trunk prefix."""
    assert inbound(2, 1, "015112345678", home_country="49") == "+4915112345678"


@given(
    st.from_regex(r"\+[1-9][0-9]{10,14}", fullmatch=True),
    st.sampled_from([Form.DIGITS, Form.PLUS, Form.DOUBLE_ZERO]),
)
def test_an_e164_number_comes_back_as_it_went(number: str, form: Form) -> None:
    """In every form that keeps the country's code."""
    address = outbound(number, {NumberClass.E164: Rule(ton=1, npi=1, form=form)})
    assert inbound(address.ton, address.npi, address.text) == number


@given(st.integers(0, 255), st.text(max_size=30))
def test_any_address_is_read(ton: int, text: str) -> None:
    """Nothing a peer writes makes it fail."""
    assert isinstance(inbound(ton, 0, text), str)


def test_every_class_has_a_rule() -> None:
    """So none is forgotten."""
    assert set(RULES) == set(NumberClass)

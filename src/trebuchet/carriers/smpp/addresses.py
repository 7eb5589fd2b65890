"""How a number goes on the wire and comes back: type of number, numbering plan, digits.

The numbers of this gateway are E.164 with a plus, short codes, or alphanumeric senders. Which TON and NPI a
carrier wants for each is a matter of its taste, so every line of the table can be replaced for a link. On
reading the TON says little: peers leave it at 0, or at 2 whatever the number is.
"""

import enum
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from trebuchet.model.account import NumberKind
from trebuchet.model.address import kind_of
from trebuchet.protocols.smpp.constants import Npi, Ton

_LONGEST: Final = 20  # characters of an address (SMPP 3.4 section 5.2.8, without the NUL)
_NANP_DIGITS: Final = 10
_SHORT_CODE_MAX: Final = 6  # digits
_E164_LEAST: Final = 7  # digits


class NumberClass(enum.StrEnum):
    E164 = "e164"
    SHORT_CODE = "short_code"
    ALPHANUMERIC = "alphanumeric"


class Form(enum.StrEnum):
    """How the digits of an E.164 number are written."""

    DIGITS = "digits"  # 12025550123
    PLUS = "plus"  # +12025550123
    DOUBLE_ZERO = "00"  # 0012025550123
    NATIONAL = "national"  # 2025550123: without the home country's code; others go by the first rule of RULES


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one class of numbers is written."""

    ton: Annotated[int, Meta(ge=0, le=255)]
    npi: Annotated[int, Meta(ge=0, le=255)]
    form: Form = Form.DIGITS


class Address(msgspec.Struct, frozen=True):
    ton: int
    npi: int
    text: str


RULES: Final[dict[NumberClass, Rule]] = {
    NumberClass.E164: Rule(ton=Ton.INTERNATIONAL, npi=Npi.E164),
    NumberClass.SHORT_CODE: Rule(ton=Ton.NETWORK_SPECIFIC, npi=Npi.UNKNOWN),
    NumberClass.ALPHANUMERIC: Rule(ton=Ton.ALPHANUMERIC, npi=Npi.UNKNOWN),
}
_CLASSES: Final = {
    NumberKind.E164: NumberClass.E164,
    NumberKind.SHORT_CODE: NumberClass.SHORT_CODE,
    NumberKind.ALPHANUMERIC: NumberClass.ALPHANUMERIC,
}


def outbound(
    number: str, rules: Mapping[NumberClass, Rule] | None = None, *, home_country: str = "1"
) -> Address:
    """A number of ours, or a recipient, as this link's SMSC wants it. `rules` replaces lines of RULES."""
    kind = NumberClass.E164  # as every recipient is, and nearly every sender
    if not number.startswith("+"):
        kind = _CLASSES[kind_of(number) or NumberKind.ALPHANUMERIC]
    rule = (rules.get(kind) if rules else None) or RULES[kind]
    if kind is not NumberClass.E164:
        return Address(rule.ton, rule.npi, number[:_LONGEST])
    if rule.form is Form.NATIONAL and not number.startswith("+" + home_country):
        # With a national type, +45 12 34 56 78 would be 451 234 5678 of the home country.
        rule = RULES[kind]
    return Address(rule.ton, rule.npi, _written(number, rule.form, home_country))


def _written(number: str, form: Form, home_country: str) -> str:
    if form is Form.DIGITS:
        return number[1:]
    if form is Form.PLUS:
        return number
    if form is Form.DOUBLE_ZERO:
        return "00" + number[1:]
    return number[1 + len(home_country) :]


def inbound(ton: int, npi: int, text: str, *, home_country: str = "1") -> str:  # noqa: ARG001  # npi says nothing here
    """The number that a peer means, in this gateway's form. Never fails: what is no number is taken as it is."""
    text = text.strip()
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return text  # alphanumeric
    if text.startswith("+"):
        return text
    if len(digits) <= _SHORT_CODE_MAX:
        return digits
    if digits[0] == "0":
        return _dialled(ton, digits, home_country)
    if home_country == "1":
        if len(digits) == _NANP_DIGITS and digits[0] != "1" and ton != Ton.INTERNATIONAL:
            return "+1" + digits
    elif ton == Ton.NATIONAL:
        return "+" + home_country + digits
    return "+" + digits


def _dialled(ton: int, digits: str, home_country: str) -> str:
    """A number with the prefix that one dials before it. No country's code starts with 0: the rest stays as it is."""
    for prefix in ("00", "011") if home_country == "1" else ("00",):
        number = digits.removeprefix(prefix)
        if number != digits and len(number) >= _E164_LEAST and number[0] != "0":
            return "+" + number
    if home_country != "1" and ton == Ton.NATIONAL and digits[1] != "0":
        return "+" + home_country + digits[1:]
    return digits
